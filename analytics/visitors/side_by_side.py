"""Two to four spots over the same days: what a day, a weekday and an hour of each usually has.

    common_days(spots)            the days of which every spot has a number
    by_weekday(counts, days)      月 to 日, and public holidays apart: the mean of each spot's days of that kind
    by_hour(counts, days)         the same of the hours of a day
    index(values)                 each in per cent of the spot's own mean, so that a large and a small spot compare

Only days of which all spots have a number go into a profile: a spot that was in outage on the three best Sundays would
else look weaker than it is. A day without a number is None and never 0. All counts are 延べ.

When it works badly: with few common days a weekday is one or two of them; `Mean.n` says how many.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from statistics import fmean

from analytics.visitors.day_types import holiday_name

HOLIDAY = 7  # behind 月 (0) to 日 (6)
KINDS = range(8)


@dataclass(frozen=True, slots=True)
class Mean:
    """`value` of `n` days, None of none."""

    value: float | None
    n: int


def weekday_of(day: date) -> int:
    """0 to 6 from Monday on, HOLIDAY on a public holiday.

    >>> weekday_of(date(2026, 11, 22)), weekday_of(date(2026, 11, 23))
    (6, 7)
    """
    return HOLIDAY if holiday_name(day) is not None else day.weekday()


def common_days(spots: Sequence[Mapping[date, float | None]]) -> tuple[date, ...]:
    """In their order.

    >>> day = date(2026, 6, 1)
    >>> common_days([{day: 3.0}, {day: 0.0}]) == (day,), common_days([{day: 3.0}, {day: None}])
    (True, ())
    """
    known = [{day for day, count in counts.items() if count is not None} for counts in spots]
    return tuple(sorted(set.intersection(*known))) if known else ()


def by_weekday(counts: Mapping[date, float | None], days: Iterable[date]) -> tuple[Mean, ...]:
    """One for each of KINDS."""
    return _means(((weekday_of(day), counts.get(day)) for day in days), KINDS)


def by_hour(counts: Mapping[tuple[date, int], float | None], days: Iterable[date]) -> tuple[Mean, ...]:
    """One for each hour that a day begins with, 0 to 23; hours without a number are left out of their mean."""
    return _means(((hour, counts.get((day, hour))) for day in days for hour in range(24)), range(24))


def index(values: Sequence[float | None]) -> tuple[float | None, ...]:
    """Per cent of their mean; None where a value is, or where the mean is 0.

    >>> index([1.0, None, 3.0]), index([0.0])
    ((50.0, None, 150.0), (None,))
    """
    known = [value for value in values if value is not None]
    mean = fmean(known) if known else 0.0
    return tuple(None if value is None or not mean else 100.0 * value / mean for value in values)


def _means(told: Iterable[tuple[int, float | None]], keys: Iterable[int]) -> tuple[Mean, ...]:
    groups: dict[int, list[float]] = {}
    for key, value in told:
        if value is not None:
            groups.setdefault(key, []).append(value)
    return tuple(Mean(fmean(groups[key]), len(groups[key])) if key in groups else Mean(None, 0) for key in keys)
