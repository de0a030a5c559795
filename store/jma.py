"""What the weather agency has issued for the town: telegrams kept as they came, and what holds now.

    keep(conn, town, telegram, now) -> id | None       None: it is there already
    current(conn, town, status=) -> Current            what stands, what is called off, which kinds have come at all
    telegrams(conn, town, since, until, ...) / telegram(conn, town, id)

How the feed itself is: `store.jma_feed`. Nothing here makes words: names, headlines and offices are the agency's,
unchanged. Which telegram holds is a function of all that came, in the order of their own times, never of their arrival:

- of one kind and one area or river the newest report (報: 発表時刻, then 発信時刻) holds, a 訂正 like any other;
- a 取消 takes one report back, with all 訂正 of it: the one of its own 発表時刻, else the newest before it. What stood
  before that report stands again;
- 通常, 訓練 and 試験 never meet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import LiteralString

from store.connection import Connection

# The kinds that are read, in the order in which pages tell them; `unknown` is whatever else concerns the town.
WEATHER = ("rain", "landslide", "surge", "wind", "wave", "snow", "other_weather")
RIVERS = ("river", "river_level")
KINDS = (*WEATHER, *RIVERS)
GOES_ON = "継続"
# What was said of a kind longer ago holds no more: each is said anew whenever anything changes in its prefecture.
REMEMBERED = timedelta(days=400)
ACTUAL, DRILL, TEST = "通常", "訓練", "試験"
_WORDS = (("特別警報", 5), ("危険警報", 4), ("警報", 3), ("注意報", 2))
_ISSUES, _CANCELS, _CORRECTS = "発表", "取消", "訂正"


@dataclass(frozen=True, slots=True)
class Item:
    """What a telegram says of one area or river. `name` empty: nothing is issued there. `change`: what has changed, in
    the telegram's word. `level`: the number in the name.
    """

    area_code: str
    area: str
    name: str
    code: str
    change: str
    level: int | None
    in_force: bool


@dataclass(frozen=True, slots=True)
class Telegram:
    """A telegram as it was read (`ingest.jma.telegram`). `named`: a place of the town stands in it; else it names no
    place at all, and concerns the town where another of its kind and river does.
    """

    digest: bytes
    kind: str
    title: str
    head_title: str
    status: str
    info_type: str
    office: str
    event_id: str
    serial: str
    report_at: datetime
    sent_at: datetime
    valid_until: datetime | None
    headline: str
    body: str
    items: tuple[Item, ...]
    named: bool
    place: str
    raw: str


@dataclass(frozen=True, slots=True)
class Kept:
    """A telegram as it is kept. `withdrawn`: a 取消 took it back."""

    telegram_id: int
    kind: str
    title: str
    head_title: str
    status: str
    info_type: str
    office: str
    event_id: str
    serial: str
    report_at: datetime
    sent_at: datetime
    valid_until: datetime | None
    headline: str
    body: str
    received_at: datetime
    place: str
    withdrawn: bool
    items: tuple[Item, ...] = ()
    raw: str | None = None

    @property
    def actual(self) -> bool:
        return self.status == ACTUAL

    @property
    def revises(self) -> bool:
        """Whether it is more than plainly issued: 訂正, 取消, 遅延."""
        return self.info_type != _ISSUES


@dataclass(frozen=True, slots=True)
class State:
    """What holds in one area or at one river, by the telegram that says so."""

    telegram_id: int
    kind: str
    area: str
    name: str
    change: str
    level: int | None
    in_force: bool
    head_title: str
    headline: str
    office: str
    report_at: datetime
    info_type: str

    @property
    def revises(self) -> bool:
        return self.info_type != _ISSUES


@dataclass(frozen=True, slots=True)
class Current:
    """`standing`: what is in force, the gravest first. `calm`: kinds of which the newest telegram says that
    nothing is, with its time. `never`: kinds of weather of which none has come at all: nobody knows. `cancels`: what
    the agency took back in the last day, newest first.
    """

    standing: tuple[State, ...]
    calm: tuple[State, ...]
    never: tuple[str, ...]
    cancels: tuple[Kept, ...]

    @property
    def level(self) -> int | None:
        """The highest level in force, None where no name has one."""
        return max((each.level for each in self.standing if each.level is not None), default=None)


# --- what came ------------------------------------------------------------------------------------------------


def keep(conn: Connection, municipality_id: int, telegram: Telegram, now: datetime) -> int | None:
    """Keeps a telegram, and works out anew what the 取消 of its kind take back; None where it was there already."""
    t = telegram
    row = conn.execute(
        """
        insert into jma_telegram (municipality_id, digest, kind, title, head_title, status, info_type, office, event_id,
                                  serial, report_at, sent_at, valid_until, headline, body, received_at, place, named,
                                  raw)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
        on conflict (municipality_id, digest) do nothing returning jma_telegram_id
        """,
        (
            municipality_id, t.digest, t.kind, t.title, t.head_title, t.status, t.info_type, t.office, t.event_id,
            t.serial, t.report_at, t.sent_at, t.valid_until, t.headline, t.body, now, t.place, t.named, t.raw,
        ),
    ).fetchone()  # fmt: skip
    if row is None:
        return None
    for ordinal, item in enumerate(t.items):
        conn.execute(
            """
            insert into jma_item (jma_telegram_id, ordinal, municipality_id, area_code, area, name, code, change, level,
                                  in_force)
            values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
            """,
            (
                row[0], ordinal, municipality_id, item.area_code, item.area, item.name, item.code, item.change,
                item.level, item.in_force,
            ),
        )  # fmt: skip
        conn.execute(
            "insert into jma_place (municipality_id, kind, event_id, area_code) values (%s, %s, %s, %s) "
            "on conflict do nothing",
            (municipality_id, t.kind, t.event_id, item.area_code),
        )
    _withdraw(conn, municipality_id, t)
    return int(row[0])


@dataclass(frozen=True, slots=True)
class Report:
    """As much of a telegram as decides what takes what back."""

    number: int
    info_type: str
    report_at: datetime
    sent_at: datetime

    @property
    def order(self) -> tuple[datetime, datetime, int]:
        return self.report_at, self.sent_at, self.number


def taken_back(reports: Sequence[Report]) -> dict[int, int]:
    """Of the reports of one stream: which are taken back, and by which 取消. The order of arrival does not matter.

    A 取消 is answered in the order of its sending; what an earlier one took back is not there for a later one.
    """
    gone: dict[int, int] = {}
    said = sorted((each for each in reports if each.info_type != _CANCELS), key=lambda each: each.order)
    for cancel in sorted((each for each in reports if each.info_type == _CANCELS), key=lambda c: (c.sent_at, c.number)):
        before = [each for each in said if each.number not in gone and each.sent_at <= cancel.sent_at]
        same = [each for each in before if each.report_at == cancel.report_at]
        chain = same or [each for each in before if each.report_at < cancel.report_at]
        if not chain:
            continue
        at = before.index(chain[-1])
        while True:
            gone[before[at].number] = cancel.number
            # What it corrected goes with it, and so does whatever has the same time of report.
            if at == 0:
                break
            corrects = before[at].info_type == _CORRECTS
            if not corrects and before[at - 1].report_at != before[at].report_at:
                break
            at -= 1
    return gone


def _withdraw(conn: Connection, municipality_id: int, telegram: Telegram) -> None:
    stream = (municipality_id, telegram.title, telegram.event_id, telegram.status, telegram.office)
    rows = conn.execute(
        "select jma_telegram_id, info_type, report_at, sent_at, withdrawn_by from jma_telegram "
        "where municipality_id = %s and title = %s and event_id = %s and status = %s "
        "and (event_id <> '' or office = %s)",
        stream,
    ).fetchall()
    gone = taken_back([Report(*row[:4]) for row in rows])
    for number, *_, withdrawn_by in rows:
        if gone.get(number) != withdrawn_by:
            conn.execute(
                "update jma_telegram set withdrawn_by = %s where jma_telegram_id = %s", (gone.get(number), number)
            )


# --- what holds -----------------------------------------------------------------------------------------------


def current(conn: Connection, municipality_id: int, now: datetime, *, status: str = ACTUAL) -> Current:
    """What holds by all that came."""
    states = [
        State(*row)
        for row in conn.execute(
            """
            select t.jma_telegram_id, t.kind, i.area, i.name, i.change, i.level, i.in_force, t.head_title, t.headline,
                   t.office, t.report_at, t.info_type
            from jma_place p
            cross join lateral (
                select n.* from jma_telegram n
                where n.municipality_id = p.municipality_id and n.status = %(status)s and n.kind = p.kind
                  and n.event_id = p.event_id and n.withdrawn_by is null and n.info_type <> '取消'
                  and n.report_at > %(since)s and (n.named or jma_ours(n))
                  and exists (select from jma_item i where i.jma_telegram_id = n.jma_telegram_id
                              and i.area_code = p.area_code)
                order by n.report_at desc, n.sent_at desc, n.jma_telegram_id desc limit 1
            ) t
            join jma_item i on i.jma_telegram_id = t.jma_telegram_id and i.area_code = p.area_code
            where p.municipality_id = %(town)s
            order by i.ordinal
            """,
            {"town": municipality_id, "status": status, "since": now - REMEMBERED},
        )
    ]
    standing = sorted(
        (each for each in states if each.in_force),
        key=lambda each: (-gravity(each.name, each.level), KINDS.index(each.kind), each.area),
    )
    told = {each.kind for each in standing}
    calm: dict[str, State] = {}
    for each in states:
        if each.kind not in told and (each.kind not in calm or each.report_at > calm[each.kind].report_at):
            calm[each.kind] = each
    came = told | calm.keys()
    cancels = telegrams(conn, municipality_id, now - timedelta(days=1), now + timedelta(days=1), status=(status,))
    return Current(
        tuple(standing),
        tuple(sorted(calm.values(), key=lambda each: KINDS.index(each.kind))),
        tuple(kind for kind in WEATHER if kind not in came),
        tuple(each for each in cancels if each.info_type == _CANCELS and each.kind != "unknown"),
    )


def gravity(name: str, level: int | None) -> int:
    """In which order they are told. A name without a level is ranked by its last word, and is given none by that.

    >>> gravity("レベル３大雨警報", 3), gravity("暴風特別警報", None), gravity("乾燥注意報", None)
    (3, 5, 2)
    """
    if level is not None:
        return level
    return next((rank for word, rank in _WORDS if word in name), 0)


def telegrams(
    conn: Connection,
    municipality_id: int,
    since: datetime,
    until: datetime,
    *,
    status: Sequence[str],
    unknown: bool = False,
    limit: int = 500,
) -> list[Kept]:
    """Those with since <= 発表時刻 < until, newest first, with their items; `unknown`: those that nobody here reads.
    What names no place is among them where another of its kind and river has named the town.
    """
    rows = conn.execute(
        _KEPT
        + """
        where t.municipality_id = %(town)s and t.report_at >= %(since)s and t.report_at < %(until)s
          and t.status = any(%(status)s) and (t.kind = 'unknown') = %(unknown)s
          and (t.named or jma_ours(t))
        order by t.report_at desc, t.sent_at desc, t.jma_telegram_id desc limit %(limit)s
        """,
        {
            "town": municipality_id,
            "since": since,
            "until": until,
            "status": list(status),
            "unknown": unknown,
            "limit": limit,
        },
    ).fetchall()
    items: dict[int, list[Item]] = {}
    for number, *item in conn.execute(
        "select jma_telegram_id, area_code, area, name, code, change, level, in_force from jma_item "
        "where municipality_id = %s and jma_telegram_id = any(%s) order by jma_telegram_id, ordinal",
        (municipality_id, [row[0] for row in rows]),
    ):
        items.setdefault(number, []).append(Item(*item))
    return [replace(Kept(*row), items=tuple(items.get(row[0], ()))) for row in rows]


def telegram(conn: Connection, municipality_id: int, telegram_id: int) -> Kept | None:
    """One, with its XML where that is still kept."""
    row = conn.execute(
        _KEPT + "where t.municipality_id = %s and t.jma_telegram_id = %s", (municipality_id, telegram_id)
    ).fetchone()
    if row is None:
        return None
    items = conn.execute(
        "select area_code, area, name, code, change, level, in_force from jma_item where jma_telegram_id = %s "
        "order by ordinal",
        (telegram_id,),
    )
    raw = conn.execute("select raw from jma_telegram where jma_telegram_id = %s", (telegram_id,)).fetchone()
    return replace(Kept(*row), items=tuple(Item(*item) for item in items), raw=None if raw is None else raw[0])


_KEPT: LiteralString = """
select t.jma_telegram_id, t.kind, t.title, t.head_title, t.status, t.info_type, t.office, t.event_id, t.serial,
       t.report_at, t.sent_at, t.valid_until, t.headline, t.body, t.received_at, t.place, t.withdrawn_by is not null
from jma_telegram t
"""
