"""日ごとの一覧: the days of a fiscal year of one spot as calendar months, each day a number, a colour and its state.

Colours are five steps of the spot's own days of that year with anybody there, as many days in each: they say busy or
quiet for this place, and nothing between places. A day without a number has no colour; it is 欠測 (somebody or
something should have counted), a dash (nobody was to) or has not come yet, and never 0. All counts are 延べ.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from analytics.visitors.day_types import DayType, day_type, holiday_name
from analytics.visitors.spots.series import SpotDay, Version
from analytics.visitors.usual import COMPLETE_ENOUGH

STEPS = 5
_DAY = timedelta(days=1)
_WEEK = 7


@dataclass(frozen=True, slots=True)
class HeatDay:
    """`said` None: it has not come yet. `step`: 1 (few) to STEPS (many), 0 where nobody came, None where the number
    says nothing about the day: there is none, or a part of it only (`partial`).
    """

    day: date
    kind: DayType
    holiday: str | None
    said: SpotDay | None
    step: int | None
    running: bool

    @property
    def partial(self) -> bool:
        """Whether the counter was not there for too much of a day that is over."""
        return self.said is not None and not self.running and is_partial(self.said)


@dataclass(frozen=True, slots=True)
class HeatMonth:
    """`weeks` from Monday on, None where the day is of another month. `visitors` of its `n` days that have a number,
    of `days` that are over; None where none has.
    """

    first: date
    weeks: tuple[tuple[HeatDay | None, ...], ...]
    visitors: int | None
    n: int
    days: int
    versions: Mapping[Version, int]


@dataclass(frozen=True, slots=True)
class Heat:
    """`bounds`: the lowest and the highest number of each step that any day has; empty where no day has one."""

    months: tuple[HeatMonth, ...]
    bounds: tuple[tuple[int, int, int], ...]
    outages: int
    estimated: int


def fiscal_year(day: date) -> int:
    """年度: the year in which its 1 April lies.

    >>> fiscal_year(date(2026, 3, 31)), fiscal_year(date(2026, 4, 1))
    (2025, 2026)
    """
    return day.year if day.month >= 4 else day.year - 1


def is_partial(said: SpotDay) -> bool:
    """Whether a number is of a part of its day only, so that it is compared with nothing."""
    return said.visitors is not None and said.state == "ok" and said.completeness < COMPLETE_ENOUGH


def span(year: int) -> tuple[date, date]:
    """The first and the last day of a 年度."""
    return date(year, 4, 1), date(year + 1, 3, 31)


def heat(year: int, said: Iterable[SpotDay], today: date) -> Heat:
    """The months of a 年度 until today's; `said` of its days, today's as it is so far."""
    days = {each.day: each for each in said}
    first, last = span(year)
    whole = sorted(
        n for each in days.values() if each.day < today and (n := each.visitors) and n > 0 and not is_partial(each)
    )
    tops = tuple(float(each) for each in np.quantile(whole, np.arange(1, STEPS) / STEPS)) if whole else ()
    months = []
    month = first
    while month <= min(last, today):
        behind = (month + timedelta(days=31)).replace(day=1)
        shown = [_day(month + n * _DAY, days, tops, today) for n in range((behind - month).days)]
        months.append(_month(month, shown))
        month = behind
    bounds = _bounds(each for m in months for week in m.weeks for each in week if each is not None)
    states = Counter(each.state for each in days.values() if each.day <= today)
    return Heat(tuple(months), bounds, states["outage"], states["estimated"])


def _day(day: date, days: Mapping[date, SpotDay], tops: Sequence[float], today: date) -> HeatDay:
    said = days.get(day) if day <= today else None
    number = None if said is None else said.visitors
    if number is None or said is None or day == today or is_partial(said):
        step = None
    else:
        step = 0 if number <= 0 else bisect_left(tops, number) + 1
    return HeatDay(day, day_type(day), holiday_name(day), said, step, day == today)


def _month(first: date, days: Sequence[HeatDay]) -> HeatMonth:
    cells: list[HeatDay | None] = [None] * first.weekday() + list(days)
    cells += [None] * (-len(cells) % _WEEK)
    over = [each.said for each in days if each.said is not None and not each.running]
    numbers = [each.visitors for each in over if each.visitors is not None]
    versions = Counter(each.version for each in over if each.visitors is not None)
    weeks = tuple(tuple(cells[n : n + _WEEK]) for n in range(0, len(cells), _WEEK))
    return HeatMonth(first, weeks, sum(numbers) if numbers else None, len(numbers), len(over), versions)


def _bounds(days: Iterable[HeatDay]) -> tuple[tuple[int, int, int], ...]:
    """Of each step that there is: (step, lowest, highest)."""
    found: dict[int, list[int]] = {}
    for each in days:
        if each.step and each.said is not None and each.said.visitors is not None:
            found.setdefault(each.step, []).append(each.said.visitors)
    return tuple((step, min(numbers), max(numbers)) for step, numbers in sorted(found.items()))
