"""Months and years of a report. A year is a fiscal one (年度, April to March) or a calendar one (年), by the office's
setting; whatever is shown names which, since figures of the two were mixed up often enough.

    months(year, kind)     the first days of its twelve months
    year_of(day, kind)     the year that a day lies in
    days_of(month)         all days of a month
"""

from __future__ import annotations

from datetime import date, timedelta
from enum import StrEnum


class YearKind(StrEnum):
    """Which twelve months make a year."""

    FISCAL = "fiscal"
    CALENDAR = "calendar"


def year_of(day: date, kind: YearKind) -> int:
    """The year of a day.

    >>> year_of(date(2026, 3, 31), YearKind.FISCAL), year_of(date(2026, 3, 31), YearKind.CALENDAR)
    (2025, 2026)
    """
    return day.year - (kind is YearKind.FISCAL and day.month < 4)


def months(year: int, kind: YearKind) -> tuple[date, ...]:
    """The first days of the months of a year, in order.

    >>> [f"{each:%y-%m}" for each in months(2026, YearKind.FISCAL)][::11]
    ['26-04', '27-03']
    """
    start = 4 if kind is YearKind.FISCAL else 1
    return tuple(date(year + (start + n - 1) // 12, (start + n - 1) % 12 + 1, 1) for n in range(12))


def after(month: date) -> date:
    """The first day of the month after."""
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)


def year_before(month: date) -> date:
    """The same month a year before (its first day)."""
    return date(month.year - 1, month.month, 1)


def days_between(first: date, last: date) -> tuple[date, ...]:
    """The days first..last, both ends inclusive; none where last is before first."""
    return tuple(first + timedelta(days=n) for n in range((last - first).days + 1))


def days_of(month: date) -> tuple[date, ...]:
    """All days of the month that begins on `month`.

    >>> len(days_of(date(2028, 2, 1)))
    29
    """
    return days_between(month, after(month) - timedelta(days=1))
