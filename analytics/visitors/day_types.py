"""Kinds of day: a day is compared only with days on which people have the same reason to come.

    平日 weekday     土曜 saturday     日曜・祝日 holiday
    GW  golden_week  29 April to 5 May, and on to the 振替休日 (6 May) where the year has one
    お盆 obon        13 to 16 August (月遅れ盆, as kept in most of the country)
    年末年始 new_year 29 December to 3 January (the days on which offices are closed by 行政機関の休日に関する法律)

The last three apart whatever their weekday: a Tuesday in the Bon week is no Tuesday. A town with a Bon of its own
calendar (新盆 in July) has its busy days in the kinds of the weekdays; then the median of eight says less.

Source of the holidays: 国民の祝日に関する法律 as computed by `jpholiday` (振替休日, 国民の休日 and the equinoxes
included). The equinoxes of a year are announced in the February before it; for later years they are computed.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from enum import StrEnum
from functools import lru_cache

import jpholiday

from analytics.visitors.expected.calendar import Calendar

_AROUND = 40  # days beyond both ends whose holidays matter


class DayType(StrEnum):
    """The kinds of day."""

    WEEKDAY = "weekday"
    SATURDAY = "saturday"
    HOLIDAY = "holiday"
    GOLDEN_WEEK = "golden_week"
    OBON = "obon"
    NEW_YEAR = "new_year"


@lru_cache(maxsize=4096)
def day_type(day: date) -> DayType:
    """The kind of a day.

    >>> day_type(date(2026, 6, 1)).value, day_type(date(2026, 7, 20)).value, day_type(date(2026, 5, 6)).value
    ('weekday', 'holiday', 'golden_week')
    """
    place = (day.month, day.day)
    if (4, 29) <= place <= (5, 5) or (place == (5, 6) and holiday_name(day) is not None):
        return DayType.GOLDEN_WEEK
    if (8, 13) <= place <= (8, 16):
        return DayType.OBON
    if place >= (12, 29) or place <= (1, 3):
        return DayType.NEW_YEAR
    if day.weekday() == 6 or holiday_name(day) is not None:
        return DayType.HOLIDAY
    return DayType.SATURDAY if day.weekday() == 5 else DayType.WEEKDAY


@lru_cache(maxsize=4096)
def holiday_name(day: date) -> str | None:
    """The Japanese name of a public holiday, None on any other day.

    >>> holiday_name(date(2026, 9, 22)), holiday_name(date(2026, 9, 24))
    ('国民の休日', None)
    """
    name = jpholiday.is_holiday_name(day)
    return None if name is None else str(name)


@lru_cache(maxsize=4096)
def group(day: date) -> tuple[DayType, int]:
    """The kind of a day, of working days with their weekday: many a spot is closed on one of them.

    >>> group(date(2026, 6, 3)), group(date(2026, 6, 7))
    ((<DayType.WEEKDAY: 'weekday'>, 2), (<DayType.HOLIDAY: 'holiday'>, 7))
    """
    kind = day_type(day)
    return kind, day.weekday() if kind is DayType.WEEKDAY else 7


def calendar(first: date, days: int) -> Calendar:
    """The days from `first` on with the Japanese holidays."""
    around = (first + timedelta(days=at) for at in range(-_AROUND, days + _AROUND))
    return Calendar.of(first, days, {day for day in around if holiday_name(day) is not None})


def same_kind_before(day: date, look_back: timedelta) -> Iterator[date]:
    """The days of the same kind before a day, newest first, at most `look_back` ago.

    >>> [f"{each:%m-%d}" for each in same_kind_before(date(2026, 5, 11), timedelta(days=13))]
    ['05-08', '05-07', '04-28']
    """
    kind = day_type(day)
    for back in range(1, look_back.days + 1):
        earlier = day - timedelta(days=back)
        if day_type(earlier) is kind:
            yield earlier
