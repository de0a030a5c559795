"""Totals of past months as the office kept them: a series of its own method, `monthly_history`, beside the days.

    put_months(conn, town, totals, ...) -> Put          appends what is new or another; nothing is overwritten
    put_month(conn, town, station, month, ...)          one, as a form sends it: nothing is replaced unseen
    month_arrived(conn, town, station, month, ...)      whether this very entry came before
    usual_month(conn, station, month)                   what the office's other months are like
    held_months(conn, stations, first, last)            what holds: {(station, month): Held}
    month_entries(conn, station)                        who entered what, newest first
    spot_months(conn, spot, station, first, last, ...)  a spot's months by every method that has them
    year_on_year(now, before) -> YearOnYear | None      the share, and whether it compares two methods

A month may have several numbers: what the spot's series says (`analytics.visitors.spots.series`: by counter, by form,
or a part by each where it was switched), and the office's own total. They are shown side by side and never added. A
comparison takes a method that both months have; where they have none in common it compares across methods and says
so: a change of method looks like a change of visitors. Months of which much more is missing than of the other are not
compared.
"""

from __future__ import annotations

import calendar
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from statistics import median
from uuid import UUID

from psycopg.rows import class_row

from analytics.visitors.manual import Entered
from analytics.visitors.spots.plan import Method
from analytics.visitors.spots.series import days
from analytics.visitors.usual import Observations
from store.connection import Connection

_FIRST = (Method.COUNTER, Method.FORM, Method.MIXED, Method.MONTHLY_HISTORY)  # the first that two months share
FEWEST_MONTHS = 3  # fewer say nothing of what is usual
MOST_APART = 0.2  # of the days of a month: more than that in one and not in the other is no comparison


@dataclass(frozen=True, slots=True)
class Held:
    """The office's total of a month, and how it was counted in their words (empty: not said)."""

    value: int
    source: str


@dataclass(frozen=True, slots=True)
class Put:
    """How many months were new, changed or as they were."""

    stored: int
    corrected: int
    unchanged: int

    @property
    def word(self) -> Entered:
        """Of one month."""
        return Entered.STORED if self.stored else Entered.CORRECTED if self.corrected else Entered.UNCHANGED


@dataclass(frozen=True, slots=True)
class MonthEntry:
    """One line of the history; `value` None took the month back, `replaced` is what stood there before."""

    month: date
    value: int | None
    replaced: int | None
    source: str
    entered_at: datetime
    entered_by: str


@dataclass(frozen=True, slots=True)
class Total:
    """延べ of a month by one method. `share` of its days that have a number, 0..1; `days` how many, None of a
    month's own.
    """

    visitors: int
    share: float
    days: int | None
    source: str = ""


@dataclass(frozen=True, slots=True)
class SpotMonth:
    """A month (its first day) and its total by every method that has one."""

    month: date
    totals: Mapping[Method, Total]


@dataclass(frozen=True, slots=True)
class YearOnYear:
    """`share` of the earlier month (1.0: as many); None where that was 0. `across`: they were counted differently."""

    now: Method
    before: Method
    share: float | None

    @property
    def across(self) -> bool:
        return self.now is not self.before


def put_months(
    conn: Connection,
    municipality_id: int,
    totals: Mapping[tuple[int, date], int | None],
    *,
    source: str,
    at: datetime,
    user_id: int,
    key: UUID | None = None,
) -> Put:
    """Stores the totals by (station, first of the month); None takes one back. Sent again it changes nothing. `key`
    names what was sent (`month_arrived`).
    """
    counts = {"stored": 0, "corrected": 0, "unchanged": 0}
    _one_at_a_time(conn, municipality_id)
    months = [month for _, month in totals]
    if not months:
        return Put(**counts)
    held = held_months(conn, sorted({station for station, _ in totals}), min(months), max(months))
    for (station, month), value in sorted(totals.items()):
        before = held.get((station, month))
        if value == (None if before is None else before.value) and (before is None or before.source == source):
            counts["unchanged"] += 1
            continue
        counts["stored" if before is None else "corrected"] += 1
        conn.execute(
            """
            insert into month_entry (municipality_id, station_id, month, value, replaced, source, entered_at,
                                     entered_by, client_key)
            values (%s, %s, %s, %s, %s, %s, %s, %s, %s)
            """,
            (
                municipality_id,
                station,
                month,
                value,
                None if before is None else before.value,
                source,
                at,
                user_id,
                key,
            ),
        )
    return Put(**counts)


def put_month(
    conn: Connection,
    municipality_id: int,
    station_id: int,
    month: date,
    value: int | None,
    *,
    source: str,
    at: datetime,
    user_id: int,
    seen: int | None,
    key: UUID | None,
) -> Entered:
    """Stores one total (None takes it back) as a form sends it: `meanwhile`, and nothing is stored, where another value
    stands than the one that was `seen`. `key` names the entry.
    """
    _one_at_a_time(conn, municipality_id)
    held = held_months(conn, [station_id], month, month).get((station_id, month))
    there = None if held is None else held.value
    if there not in (seen, value):
        return Entered.MEANWHILE
    totals = {(station_id, month): value}
    return put_months(conn, municipality_id, totals, source=source, at=at, user_id=user_id, key=key).word


def month_arrived(
    conn: Connection, municipality_id: int, station_id: int, month: date, value: int | None, key: UUID | None
) -> bool:
    """Whether this very entry came under this key: then there is nothing to be done."""
    if key is None:
        return False
    row = conn.execute(
        "select station_id, month, value from month_entry where municipality_id = %s and client_key = %s",
        (municipality_id, key),
    ).fetchone()
    return row == (station_id, month, value)


def _one_at_a_time(conn: Connection, municipality_id: int) -> None:
    conn.execute("select pg_advisory_xact_lock(hashtext('month totals'), %s)", (municipality_id,))


def usual_month(conn: Connection, station_id: int, month: date) -> float | None:
    """The median of the office's other months at this spot; None with fewer than three."""
    held = held_months(conn, [station_id], date.min, date.max)
    others = [each.value for (_, when), each in held.items() if when != month]
    return median(others) if len(others) >= FEWEST_MONTHS else None


def held_months(conn: Connection, stations: Sequence[int], first: date, last: date) -> dict[tuple[int, date], Held]:
    """The totals that hold, of the months that begin in first..last."""
    return {
        (station, month): Held(value, source)
        for station, month, value, source in conn.execute(
            """
            select distinct on (station_id, month) station_id, month, value, source from month_entry
            where station_id = any(%s) and month >= %s and month <= %s
            order by station_id, month, month_entry_id desc
            """,
            (list(stations), first, last),
        )
        if value is not None
    }


def month_entries(conn: Connection, station_id: int, most: int = 50) -> tuple[MonthEntry, ...]:
    """What was entered for a spot, newest first."""
    with conn.cursor(row_factory=class_row(MonthEntry)) as cursor:
        return tuple(
            cursor.execute(
                """
                select e.month, e.value, e.replaced, e.source, e.entered_at, u.display_name as entered_by
                from month_entry e join app_user u on u.user_id = e.entered_by
                where e.station_id = %s order by e.month_entry_id desc limit %s
                """,
                (station_id, most),
            )
        )


def spot_months(
    conn: Connection,
    spot_id: int,
    station_id: int | None,
    first: date,
    last: date,
    today: date,
    *,
    relation: Observations = "observation",
) -> dict[date, SpotMonth]:
    """The months that begin in first..last, none after today's, by the first day of each; those without any number are
    left out. A month in which the method was switched has a part by each. `station_id`: whose months the office kept.
    """
    found: dict[date, dict[Method, Total]] = {}
    until = min(month_end(last), today)
    for day in days(conn, spot_id, first, until, relation=relation) if first <= until else []:
        if day.visitors is None:
            continue
        month = day.day.replace(day=1)
        so_far = min(month_end(month), today).day
        before = found.setdefault(month, {}).get(day.method, Total(0, 0.0, 0))
        assert before.days is not None
        found[month][day.method] = Total(
            before.visitors + day.visitors, before.share + day.completeness / so_far, before.days + 1
        )
    stations = [] if station_id is None else [station_id]
    for (_, month), held in held_months(conn, stations, first, last).items():
        found.setdefault(month, {})[Method.MONTHLY_HISTORY] = Total(held.value, 1.0, None, held.source)
    return {month: SpotMonth(month, totals) for month, totals in sorted(found.items())}


def month_end(month: date) -> date:
    """The last day of a month."""
    return month.replace(day=calendar.monthrange(month.year, month.month)[1])


def year_on_year(now: SpotMonth | None, before: SpotMonth | None) -> YearOnYear | None:
    """The two months against each other; None where one has no number, or they miss too different a part of their days.

    >>> form, kept = Total(120, 1.0, 30), Total(100, 1.0, None)
    >>> found = year_on_year(SpotMonth(date(2026, 4, 1), {Method.FORM: form}),
    ...                      SpotMonth(date(2025, 4, 1), {Method.MONTHLY_HISTORY: kept}))
    >>> found.share, found.across
    (1.2, True)
    """
    if now is None or before is None:
        return None
    pairs = [(method, method) for method in _FIRST] + [(a, b) for a in _FIRST for b in _FIRST if a is not b]
    for method, earlier in pairs:
        new, old = now.totals.get(method), before.totals.get(earlier)
        if new is not None and old is not None and abs(new.share - old.share) <= MOST_APART:
            return YearOnYear(method, earlier, new.visitors / old.visitors if old.visitors else None)
    return None
