"""The rows of a notice: what it is made from, and the draft, its words and what was decided, as they are added.

For the API's role within one municipality, and for the worker that publishes what was approved beforehand
(`alerts.public.standing_publish`), which has set the municipality as the API does. Nothing here decides anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal
from zoneinfo import ZoneInfo

from alerts.public import words
from alerts.public.basis import sets_in_force
from alerts.public.evacuation import current_evacuation
from alerts.public.notices import Notice
from alerts.public.refusals import NoSuchNotice
from alerts.public.words import Basis, Facts, Kind, Stage, Texts
from store import Connection
from store.feed import append_alerts

Step = Literal["reached", "renewed", "ended"]


def facts_of(
    conn: Connection,
    municipality_id: int,
    alert_id: int,
    level: int,
    time: datetime,
    value: float,
    before: int | None,
) -> Facts:
    """What a notice of this reading of an alert's gauge tells; `before` as in `Facts`. Raises `NoSuchNotice`."""
    row = conn.execute(
        """
        select m.name, m.timezone, s.name, s.name_en, s.station_id, newest.phenomenon_time, newest.value
        from alert a join station s using (station_id)
        join municipality m on m.municipality_id = a.municipality_id
        left join lateral (
            select o.phenomenon_time, o.value from tenant_observation o
            where o.datastream_id = a.datastream_id and o.quality in ('good', 'manual', 'estimated')
            order by o.phenomenon_time desc limit 1
        ) newest on newest.phenomenon_time > %s
        where a.alert_id = %s and a.municipality_id = %s
        """,
        (time, alert_id, municipality_id),
    ).fetchone()
    if row is None:
        raise NoSuchNotice(alert_id)
    municipality, timezone, station, station_en, station_id, newest_time, newest_value = row
    held = next(iter(sets_in_force(conn, time, station_id)), None)
    stage: Stage | None = None if held is None else next((s for s in held.stages if s.level == level), None)
    return Facts(
        municipality,
        station,
        station_en or station,
        ZoneInfo(timezone),
        time,
        value,
        stage,
        Basis() if held is None else held.basis,
        before,
        None if newest_time is None else (newest_time, newest_value),
    )


def insert(
    conn: Connection,
    municipality_id: int,
    alert_id: int,
    mode: str,
    kind: Kind,
    supersedes: int | None,
    level: int,
    facts: Facts,
    texts: Texts,
    user_id: int | None,
    at: datetime,
    *,
    equivalent: bool | None = None,
    standing: tuple[int, Step] | None = None,
) -> int:
    """Adds a draft and returns its number. `equivalent` None: as the facts have it. `standing`: the standing approval
    in whose name it is, and at which step; then there is no `user_id`.
    """
    row = conn.execute(
        """
        insert into public_notice (municipality_id, station_id, alert_id, mode, kind, supersedes, equivalent, level,
                                   threshold, phenomenon_time, value, made_at, made_by, standing_approval_id,
                                   standing_step)
        select municipality_id, station_id, alert_id, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s
        from alert where alert_id = %s and municipality_id = %s
        returning public_notice_id
        """,
        (
            mode,
            kind,
            supersedes,
            facts.basis.equivalent if equivalent is None else equivalent,
            level,
            None if facts.stage is None else facts.stage.value,
            facts.time,
            facts.value,
            at,
            user_id,
            *(standing or (None, None)),
            alert_id,
            municipality_id,
        ),
    ).fetchone()
    assert row is not None, "the alert is locked"
    write(conn, municipality_id, row[0], texts, None, at)
    append_alerts(conn, municipality_id, [alert_id])
    return int(row[0])


def write(
    conn: Connection, municipality_id: int, notice_id: int, texts: Texts, user_id: int | None, at: datetime
) -> None:
    """Adds words to a draft; `user_id` None: as the wording module wrote them."""
    conn.execute(
        """
        insert into public_notice_text (municipality_id, public_notice_id, ja_headline, ja_body, en_headline, en_body,
                                        plain_headline, plain_body, written_at, user_id)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
        """,
        (
            municipality_id,
            notice_id,
            texts["ja"].headline,
            texts["ja"].body,
            texts["en"].headline,
            texts["en"].body,
            texts["plain"].headline,
            texts["plain"].body,
            at,
            user_id,
        ),
    )


def decide(
    conn: Connection,
    municipality_id: int,
    found: Notice,
    event: str,
    user_id: int | None,
    at: datetime,
    *,
    text_id: int | None = None,
    valid_until: datetime | None = None,
    ends: int | None = None,
    closing: Sequence[str] | None = None,
    standing_approval_id: int | None = None,
) -> None:
    """Notes what was decided about a draft: by a person, or in the name of a standing approval."""
    conn.execute(
        """
        insert into public_notice_event (public_notice_id, municipality_id, event, at, user_id, public_notice_text_id,
                                         valid_until, ends, ja_closing, en_closing, plain_closing,
                                         standing_approval_id)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
        """,
        (
            found.notice_id,
            municipality_id,
            event,
            at,
            user_id,
            text_id,
            valid_until,
            ends,
            *(closing or (None, None, None)),
            standing_approval_id,
        ),
    )
    append_alerts(conn, municipality_id, [found.alert_id])


def closing_lines(conn: Connection, municipality_id: int, mode: str, at: datetime, zone: ZoneInfo) -> list[str]:
    """The last line of a notice at that moment, in the order in which `decide` keeps them: ja, en, plain."""
    (name,) = conn.execute(
        "select name from municipality where municipality_id = %s", (municipality_id,)
    ).fetchone() or ("",)
    evacuation = current_evacuation(conn, municipality_id, at, zone, mode=mode)
    return [words.closing(name, evacuation, variant) for variant in ("ja", "en", "plain")]
