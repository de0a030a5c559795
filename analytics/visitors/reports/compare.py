"""A period beside the year before, in three ways, since no single one is fair:

    DATE     the same dates; 29 February has none. A month with five Sundays stands beside one with four
    WEEKDAY  364 days before: the same weekdays. A holiday may stand beside a working day
    HOLIDAY  the same kind of day (`day_types`): a public holiday beside the one of its name, the days of GW, お盆 and
             年末年始 beside the same dates, any other day beside the day 364 days before or the nearest one that is of
             its kind and no named holiday, the same weekday first

Only pairs of which both days have a number are added up, so that neither side is short of a day. With more days without
a pair than a month may lack (`most_missing`, per month), there is no ratio. A pair of two methods is marked: a counter
beside ticket sales compares the methods too.

What it costs: a table look-up a day. It works badly where a festival has moved in the calendar: that is the events
calendar's business. Source of the kinds of day: `analytics.visitors.day_types`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from functools import lru_cache

from analytics.visitors.day_types import DayType, day_type, holiday_name
from analytics.visitors.reports.counting import Counted

_YEAR = timedelta(days=364)
_NEAR = 21  # days around
_BY_DATE = frozenset({DayType.GOLDEN_WEEK, DayType.OBON, DayType.NEW_YEAR})


class Way(StrEnum):
    """How a day finds its day of the year before."""

    DATE = "date"
    WEEKDAY = "weekday"
    HOLIDAY = "holiday"


@lru_cache(maxsize=16384)
def partner(day: date, way: Way) -> date | None:
    """The day of the year before that a day is compared with; None where there is none.

    >>> str(partner(date(2026, 5, 10), Way.WEEKDAY)), partner(date(2028, 2, 29), Way.DATE)
    ('2025-05-11', None)
    >>> str(partner(date(2026, 7, 20), Way.HOLIDAY)), holiday_name(date(2025, 7, 21))
    ('2025-07-21', '海の日')
    """
    if way is Way.DATE:
        return _same_date(day)
    aligned = day - _YEAR
    if way is Way.WEEKDAY:
        return aligned
    kind, name = day_type(day), holiday_name(day)
    around = [aligned + timedelta(days=n) for n in range(-_NEAR, _NEAR + 1)]
    if kind in _BY_DATE:
        same = _same_date(day)
        wanted = [] if same is None else [same]
    else:
        wanted = [each for each in around if name is not None and holiday_name(each) == name]
        around = [each for each in around if holiday_name(each) is None] + around
    ordered = sorted(
        around,
        key=lambda each: (
            kind not in _BY_DATE and holiday_name(each) is not None,
            each.weekday() != day.weekday(),
            abs((each - aligned).days),
        ),
    )
    return next((each for each in [*wanted, *ordered] if day_type(each) is kind), None)


def _same_date(day: date) -> date | None:
    try:
        return day.replace(year=day.year - 1)
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class Change:
    """A period beside the year before: `now` and `before` are sums over the same `pairs` of `days` days; `ratio` is
    now / before, None where it may not be formed, and `why` says which: gaps, nothing (no pair at all), zero (nobody
    in the year before).
    """

    way: Way
    now: int
    before: int
    pairs: int
    days: int
    ratio: float | None
    why: str | None
    method_changed: bool
    estimated: bool


def change(
    days: Sequence[date], counted: Mapping[date, Counted], way: Way, most_missing: int, *, months: int = 1
) -> Change:
    """Compares the days of a period of so many months; `counted` holds the year before too."""
    now = before = pairs = 0
    changed = estimated = False
    for day in days:
        other = partner(day, way)
        here, there = counted.get(day), None if other is None else counted.get(other)
        if here is None or there is None or here.visitors is None or there.visitors is None:
            continue
        pairs += 1
        now, before = now + here.visitors, before + there.visitors
        changed = changed or bool(here.methods ^ there.methods)
        estimated = estimated or here.estimated or there.estimated
    # 29 February has no date a year before: that is no gap.
    missing = sum(partner(day, way) is not None for day in days) - pairs
    why = "nothing" if not pairs else "gaps" if missing > most_missing * months else "zero" if not before else None
    return Change(way, now, before, pairs, len(days), now / before if why is None else None, why, changed, estimated)
