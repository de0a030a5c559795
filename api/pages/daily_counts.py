"""日ごとの通過数（延べ）: what stands behind the calendar, its CSV file and the daily form.

Two methods may tell of the same day at the same spot, a counter and a person. Both are shown, each with its method;
neither replaces the other. A day without a number is 欠測 (the counter gave nothing), 未入力 (nobody entered it where
only people count) or a dash (the counter was not there yet); it is never 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from analytics.visitors.day_types import DayType, day_type, holiday_name, same_kind_before
from analytics.visitors.usual import COMPLETE_ENOUGH, DAYS, LOOK_BACK, usual_of
from api.pages.days import day_start
from api.pages.readings import StationNow
from devices.model import ObservedProperty
from store.connection import Connection

SHORTEST = 7  # days that the running month shows on its first days
COUNTER, MANUAL = ObservedProperty.PASSAGES_IN, ObservedProperty.PASSAGES_DAY


@dataclass(frozen=True, slots=True)
class Counted:
    """What a counter says of a day: `n` observations of `expected`, `visits` None where there is none of them."""

    n: int
    expected: int
    visits: float | None

    @property
    def partial(self) -> bool:
        return 0 < self.n < self.expected

    @property
    def complete_enough(self) -> bool:
        return self.visits is not None and self.n >= COMPLETE_ENOUGH * self.expected


@dataclass(frozen=True, slots=True)
class Cell:
    """A spot's day. `counter` None: it has none, or had none yet. `manual` None: nobody entered a number, or took it
    back (`withdrawn`). `enterable`: a person may enter one; at a spot with a counter (`counted`) nobody is expected to.
    """

    counter: Counted | None
    manual: float | None
    withdrawn: bool
    enterable: bool
    counted: bool

    @property
    def known(self) -> float | None:
        """The day's total to compare with: a person's where there is one, else a counter's that was there all day."""
        if self.manual is not None:
            return self.manual
        return self.counter.visits if self.counter is not None and self.counter.complete_enough else None


@dataclass(frozen=True, slots=True)
class Row:
    """A local day and its cells, one a spot in the order of the spots."""

    day: date
    kind: DayType
    holiday: str | None
    today: bool
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Range:
    """The days of a calendar, both ends inclusive. `month` None: the running month, or the last days at its beginning.

    `before` and `after` are the months beside it, as YYYY-MM; `after` None where that has not begun. `fiscal` is the 1
    April of today's 年度.
    """

    today: date
    fiscal: date
    first: date
    last: date
    month: str | None
    before: str
    after: str | None


def month_range(wanted: str | None, today: date) -> Range:
    """The days to show for ?month=YYYY-MM; what is no month, or not begun, is the running one.

    >>> found = month_range("2026-02", date(2026, 6, 3))
    >>> found.first.isoformat(), found.last.isoformat(), found.before, found.after
    ('2026-02-01', '2026-02-28', '2026-01', '2026-03')
    >>> found = month_range(None, date(2026, 6, 3))
    >>> found.first.isoformat(), found.last.isoformat(), found.before, found.after
    ('2026-05-28', '2026-06-03', '2026-05', None)
    """
    this = today.replace(day=1)
    try:
        first = date.fromisoformat(f"{wanted}-01") if wanted else this
    except ValueError:
        first = this
    first = min(first, this)
    fiscal = date(today.year if today.month >= 4 else today.year - 1, 4, 1)
    behind = (first + timedelta(days=31)).replace(day=1)
    before = f"{first - timedelta(days=1):%Y-%m}" if first > date.min else f"{first:%Y-%m}"
    if first == this:
        return Range(today, fiscal, min(first, today - timedelta(days=SHORTEST - 1)), today, None, before, None)
    return Range(today, fiscal, first, behind - timedelta(days=1), f"{first:%Y-%m}", before, f"{behind:%Y-%m}")


def calendar(
    conn: Connection, spots: Sequence[StationNow], first: date, last: date, now: datetime, zone: ZoneInfo
) -> tuple[Row, ...]:
    """The days first..last (none after today) of these spots, newest first. Two queries."""
    today = now.astimezone(zone).date()
    last = min(last, today)
    counted = _counted(conn, [s.readings[COUNTER].datastream_id for s in spots if COUNTER in s.readings], first, last)
    entered = _entered(
        conn, [s.readings[MANUAL].datastream_id for s in spots if MANUAL in s.readings], first, last, zone
    )
    days = [last - timedelta(days=back) for back in range((last - first).days + 1)]
    return tuple(
        Row(
            day,
            day_type(day),
            holiday_name(day),
            day == today,
            tuple(_cell(spot, day, counted, entered, zone) for spot in spots),
        )
        for day in days
    )


_Counts = dict[tuple[int, date], Counted]
_Entries = dict[tuple[int, date], float | None]


def _cell(spot: StationNow, day: date, counted: _Counts, entered: _Entries, zone: ZoneInfo) -> Cell:
    counter, manual = spot.readings.get(COUNTER), spot.readings.get(MANUAL)
    number = None
    if counter is not None:
        number = counted.get((counter.datastream_id, day))
        there = counter.first is not None and day_start(day + timedelta(days=1), zone) > counter.first
        if number is None and there:
            number = Counted(0, 0, None)
    key = None if manual is None else (manual.datastream_id, day)
    return Cell(
        number,
        entered.get(key) if key is not None else None,
        key in entered and entered[key] is None,
        manual is not None,
        counter is not None,
    )


def _counted(conn: Connection, ids: list[int], first: date, last: date) -> _Counts:
    return {
        (datastream_id, day): Counted(n, round(expected), None if n == 0 else total)
        for datastream_id, day, n, expected, total in conn.execute(
            """
            select datastream_id, day, n, expected, total from rollup_day
            where datastream_id = any(%s) and day >= %s and day <= %s
            """,
            (ids, first, last),
        )
    }


def _entered(conn: Connection, ids: list[int], first: date, last: date, zone: ZoneInfo) -> _Entries:
    """What people entered, from the observations themselves: whoever saves a number sees it in the next moment."""
    return {
        (datastream_id, (time - timedelta(microseconds=1)).astimezone(zone).date()): value
        for datastream_id, time, value in conn.execute(
            """
            select datastream_id, phenomenon_time, value from tenant_observation
            where datastream_id = any(%s) and phenomenon_time > %s and phenomenon_time <= %s and quality <> 'bad'
            """,
            (ids, day_start(first, zone), day_start(last + timedelta(days=1), zone)),
        )
    }


@dataclass(frozen=True, slots=True)
class UsualDay:
    """`median` of the `n` last days of the same kind that have a total, None where they are fewer than 3.

    `level` is roughly what to expect: the median, else that of the last days of any kind; None where nothing is known.
    """

    median: float | None
    n: int
    level: float | None


def usual_day(conn: Connection, spot: StationNow, day: date, now: datetime, zone: ZoneInfo) -> UsualDay:
    """What is usual for a whole day of this kind at a spot."""
    rows = calendar(conn, [spot], day - LOOK_BACK, day - timedelta(days=1), now, zone)
    totals = {row.day: total for row in rows if (total := row.cells[0].known) is not None}
    known = [totals[each] for each in same_kind_before(day, LOOK_BACK) if each in totals][:DAYS]
    median = usual_of(known)
    return UsualDay(median, len(known), median if median is not None else usual_of(list(totals.values())[:DAYS]))
