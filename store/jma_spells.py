"""When a 警報 or 特別警報 of the weather agency stood for the town: by all telegrams that came, from when until when.

    spells(conn, town, since, until, status=) -> [Spell]      those that stood in this time, by their beginning

Of one kind and one area or river each telegram holds until the next (`store.jma`). Names are the agency's; what has no
警報 in its name (注意報, and what a river has below it) is left out. A telegram that nothing has followed for three
days and that says no end itself is taken for over: while one stands, its prefecture's is issued anew with every change;
and so is what stood when the town stopped reading telegrams.

A time in which no feed was read has no telegrams: nothing is known to have stood then, and nothing not to have.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from store.connection import Connection
from store.jma import ACTUAL, gravity

_LONGEST = timedelta(days=3)
_BEGAN = timedelta(days=14)  # so far back it is looked for when what stands was first issued
_WORD = "警報"


@dataclass(frozen=True, slots=True)
class Spell:
    """`name` as issued, by `office`, at `since`; `end` None: nothing that came by `until` has ended it. `gravity`: 3 to
    5, the level in the name or what its last word ranks.
    """

    name: str
    office: str
    since: datetime
    end: datetime | None
    gravity: int


def spells(
    conn: Connection, municipality_id: int, since: datetime, until: datetime, *, status: str = ACTUAL
) -> list[Spell]:
    """Those that stood at some time from `since` to `until`, by what had been issued before `until`."""
    rows = conn.execute(
        """
        select t.kind, t.event_id, i.area_code, t.jma_telegram_id, t.report_at, t.valid_until, t.office, i.name,
               i.level, i.in_force
        from jma_telegram t join jma_item i using (jma_telegram_id)
        where t.municipality_id = %(town)s and t.status = %(status)s and t.kind <> 'unknown'
          and t.withdrawn_by is null and t.info_type <> '取消'
          and t.report_at > %(before)s and t.report_at <= %(until)s and (t.named or jma_ours(t))
        order by t.kind, t.event_id, i.area_code, t.report_at, t.sent_at, t.jma_telegram_id, i.ordinal
        """,
        {"town": municipality_id, "status": status, "before": since - _BEGAN, "until": until},
    ).fetchall()
    off = conn.execute(
        "select ended_at from jma_feed where municipality_id = %s and ended_at <= %s", (municipality_id, until)
    ).fetchone()
    found = [
        spell
        for _, of_place in groupby(rows, lambda row: row[:3])
        for spell in _of_place(list(of_place), until, None if off is None else off[0])
    ]
    return sorted((each for each in found if each.end is None or each.end > since), key=lambda each: each.since)


def _of_place(rows: Sequence[tuple[Any, ...]], until: datetime, off: datetime | None) -> Iterator[Spell]:
    """Of one kind at one area; what is said again goes on. `off`: when the town stopped reading telegrams."""
    said = [list(of_one) for _, of_one in groupby(rows, lambda row: row[3])]
    open_: dict[str, Spell] = {}
    for number, telegram in enumerate(said):
        _, _, _, _, report_at, valid_until, office, *_ = telegram[0]
        ends = [valid_until] if valid_until is not None else []
        if number + 1 < len(said):
            ends.append(said[number + 1][0][4])
        if not ends and off is not None and off >= report_at:
            ends.append(off)
        if not ends and report_at + _LONGEST <= until:
            ends.append(report_at + _LONGEST)
        now = {
            name: Spell(name, office, report_at, min(ends, default=None), gravity(name, level))
            for *_, name, level, in_force in telegram
            if in_force and _WORD in name
        }
        for name, before in open_.items():
            if name not in now or before.end != report_at:
                yield before
            else:
                now[name] = replace(now[name], since=before.since)
        open_ = now
    yield from open_.values()
