"""The days as people plan them: what a day is, and what lies beside it.

    Calendar.of(first, days, holidays)    one row a day
    Calendar.with_school(free)            the same where it is known when the schools are closed
    Calendar.table()                      (days, len(names)) figures that a model can learn from

Holidays are given (`analytics.visitors.day_types` knows the Japanese ones): a weekday between two days off, the last
day of five in a row, the Monday after Easter and the week before Christmas all differ from their weekday, and which of
them matters is learned, not written here. 30 and more days away from a holiday is "far".
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np

from analytics.visitors.expected.counts import Bools, Floats, Ints

_NAMES = (
    "weekday", "kind", "holiday", "off_before", "off_after", "days_off", "nth_day_off",
    "holiday_before", "holiday_after", "since_holiday", "until_holiday", "day_of_year", "to_new_year",
    "to_christmas", "from_easter", "to_obon",
)  # fmt: skip
_FAR = 30
_WEEKDAY, _SATURDAY, FREE = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Calendar:
    """`weekday` (d,) 0 is Monday; `holiday` (d,); `kind` (d,) 0 working day, 1 Saturday, 2 Sunday or holiday; `school`
    (d,) school holidays, None where nobody has said any.
    """

    first: date
    weekday: Ints
    holiday: Bools
    _around: Bools  # the holidays with _FAR days before and after
    school: Bools | None = None

    @staticmethod
    def of(first: date, days: int, holidays: Collection[date]) -> Calendar:
        """`holidays` should reach 30 days beyond both ends."""
        around = np.array([first + timedelta(days=at) in holidays for at in range(-_FAR, days + _FAR)], dtype=np.bool_)
        weekday = (first.weekday() + np.arange(days)) % 7
        return Calendar(first, weekday, around[_FAR : _FAR + days], around)

    def until(self, days: int) -> Calendar:
        """The first days of it; holidays are known beforehand."""
        return self.between(0, days)

    def between(self, begin: int, end: int) -> Calendar:
        """The days of it in the rows `begin` to before `end`."""
        return Calendar(
            self.first + timedelta(days=begin),
            self.weekday[begin:end],
            self.holiday[begin:end],
            self._around[begin : end + 2 * _FAR],
            None if self.school is None else self.school[begin:end],
        )

    def with_school(self, free: Bools) -> Calendar:
        """`free` (d,) the school holidays; nothing is learned of them where there are none."""
        return replace(self, school=free) if free.any() else self

    @property
    def days(self) -> int:
        return len(self.weekday)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the columns of the table."""
        return _NAMES if self.school is None else (*_NAMES, "school")

    @property
    def kind(self) -> Ints:
        kind: Ints = np.where(
            self.holiday | (self.weekday == 6), FREE, np.where(self.weekday == 5, _SATURDAY, _WEEKDAY)
        )
        return kind

    @property
    def new_year(self) -> Bools:
        """(d,) 29 December to 3 January: many a spot is closed, whatever its weekday."""
        days = (self.first + timedelta(days=each) for each in range(len(self.weekday)))
        places = [(day.month, day.day) for day in days]
        return np.array([each >= (12, 29) or each <= (1, 3) for each in places], dtype=np.bool_)

    def table(self) -> Floats:
        """(days, len(names))."""
        days = len(self.weekday)
        at = np.arange(days) + _FAR
        weekday = (self.first.weekday() - _FAR + np.arange(days + 2 * _FAR)) % 7
        off = self._around | (weekday >= 5)
        nth, length = _runs(off)
        since = _since(self._around)
        until = _since(self._around[::-1])[::-1]
        dates = [self.first + timedelta(days=each) for each in range(days)]
        table = np.column_stack(
            [
                self.weekday,
                self.kind,
                self.holiday,
                off[at - 1],
                off[at + 1],
                length[at],
                nth[at],
                self._around[at - 1],
                self._around[at + 1],
                since[at],
                until[at],
                [each.timetuple().tm_yday for each in dates],
                [_to(each, 1, 1) for each in dates],
                [_to(each, 12, 25) for each in dates],
                [_clipped((each - easter(each.year)).days) for each in dates],
                [_to(each, 8, 15) for each in dates],
            ]
        ).astype(np.float64)
        return table if self.school is None else np.column_stack([table, self.school])


def easter(year: int) -> date:
    """Easter Sunday of the Gregorian calendar (Butcher's algorithm, as in Meeus, Astronomical Algorithms, ch. 8).

    >>> easter(2026)
    datetime.date(2026, 4, 5)
    """
    a, (b, c) = year % 19, divmod(year, 100)
    (d, e), g = divmod(b, 4), (8 * b + 13) // 25
    h = (19 * a + b - d - g + 15) % 30
    i, k = divmod(c, 4)
    m = (32 + 2 * e + 2 * i - h - k) % 7
    n = (a + 11 * h + 22 * m) // 451
    month, day = divmod(h + m - 7 * n + 114, 31)
    return date(year, month, day + 1)


def _to(day: date, month: int, of_month: int) -> int:
    """Days from the nearest such date, negative before it, at most _FAR."""
    return _clipped(min(((day - date(day.year + at, month, of_month)).days for at in (-1, 0, 1)), key=abs))


def _clipped(days: int) -> int:
    return max(-_FAR, min(_FAR, days))


def _since(marks: Bools) -> Ints:
    """How many days ago the last mark was, at most _FAR."""
    at = np.arange(len(marks))
    last = np.maximum.accumulate(np.where(marks, at, -_FAR))
    since: Ints = np.minimum(at - last, _FAR)
    return since


def _runs(off: Bools) -> tuple[Ints, Ints]:
    """Of each day off: the how many-th of its run it is, and how long the run is; 0 on others."""
    nth = np.zeros(len(off), dtype=np.int64)
    for at, each in enumerate(off):
        nth[at] = (nth[at - 1] if at else 0) + 1 if each else 0
    length = nth.copy()
    for at in range(len(off) - 2, -1, -1):
        if off[at] and off[at + 1]:
            length[at] = length[at + 1]
    return nth, length
