"""Sums of what everybody may read: the months and the year of a public spot, out of its published days alone.

    month_totals(spot, months) -> [PublicTotal]     one a month
    together(totals) -> PublicTotal                 the year

A sum is of the days whose number is published, and of no other: a small or withheld number is not in it, so that nobody
finds it by subtracting. How many days of the month are in the sum, and how many are left out for being small, stands
beside it; a month with no published number has no sum.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from analytics.visitors.checks.published import PublishedSpot
from analytics.visitors.reports.counting import HIDDEN
from analytics.visitors.reports.periods import days_of


@dataclass(frozen=True, slots=True)
class PublicTotal:
    """`visitors` None: no day of it has a published number. `days` are in the sum, of `length`; `small` are left out
    because their number is withheld; `estimated` of the days hold an estimate.
    """

    visitors: int | None
    days: int
    length: int
    small: int
    estimated: int

    @property
    def told(self) -> bool:
        """Whether any day of it is published, be it as a small number."""
        return bool(self.days or self.small)

    @property
    def whole(self) -> bool:
        """Whether every day is in the sum."""
        return self.days == self.length


def month_totals(spot: PublishedSpot, months: Sequence[date]) -> list[PublicTotal]:
    """Each month (its first day) of a spot.

    >>> from analytics.visitors.checks.places import Place
    >>> from analytics.visitors.checks.published import PublishedDay
    >>> days = [PublishedDay(date(2026, 5, n), "counted", 10, None, None, None, "form") for n in (1, 2)]
    >>> small = PublishedDay(date(2026, 5, 3), "small", None, None, None, 5, "form")
    >>> falls = PublishedSpot(Place(1, "taki", "滝", "", False, None), (*days, small))
    >>> (may,) = month_totals(falls, [date(2026, 5, 1)])
    >>> may.visitors, may.days, may.length, may.small, may.whole
    (20, 2, 31, 1, False)
    """
    totals = []
    for month in months:
        inside = [each for each in spot.days if (each.day.year, each.day.month) == (month.year, month.month)]
        given = [each.visitors for each in inside if each.visitors is not None]
        totals.append(
            PublicTotal(
                sum(given) if given else None,
                len(given),
                len(days_of(month)),
                sum(each.state in HIDDEN for each in inside),
                sum(each.state == "estimated" for each in inside),
            )
        )
    return totals


def together(totals: Sequence[PublicTotal]) -> PublicTotal:
    """A year out of its months."""
    known = [each.visitors for each in totals if each.visitors is not None]
    return PublicTotal(
        sum(known) if known else None,
        sum(each.days for each in totals),
        sum(each.length for each in totals),
        sum(each.small for each in totals),
        sum(each.estimated for each in totals),
    )
