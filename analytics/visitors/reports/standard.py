"""観光入込客統計に関する共通基準 (観光庁, 2009-12, revised 2013-03 and 2023-05): is a place a 観光地点 of its?

    (1) mainly used outside daily life      a person says it, with where they have it from
    (2) its visitors can be measured        a person says it
    (3) >= 10,000 in the year before, or >= 5,000 in one month of it      computed here from the counts

What is counted is at least what came, as long as days are missing: so gaps never turn a yes into a no, but a no becomes
"not known" with more missing days than a month may lack. The year is the calendar one, whatever the office reports by.

The counts are 延べ of one place. The standard's 観光入込客数 of a prefecture, which counts a person once, is made from
them by its survey, not by this system.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from analytics.visitors.reports.counting import Sum

IN_A_YEAR = 10_000
IN_A_MONTH = 5_000


@dataclass(frozen=True, slots=True)
class Size:
    """Criterion (3) of a calendar year. `enough` None: too many days lack a number to say no. `counted`: what was
    counted in the year, `best` in its best month; None where nothing was. `without`: days that lack a number.
    """

    year: int
    enough: bool | None
    counted: int | None
    best: int | None
    best_month: date | None
    without: int


def size(year: int, months: Sequence[tuple[date, Sum]]) -> Size:
    """The criterion out of the twelve months of a calendar year."""
    known = [(of.counted, month) for month, of in months if of.methods]
    counted = sum(n for n, _ in known)
    best, best_month = max(known, key=lambda each: each[0], default=(None, None))
    without = sum(of.missing + of.unconfirmed for _, of in months)
    reached = counted >= IN_A_YEAR or (best is not None and best >= IN_A_MONTH)
    whole = bool(months) and all(of.total is not None for _, of in months)
    return Size(
        year, True if reached else False if whole else None, counted if known else None, best, best_month, without
    )


@dataclass(frozen=True, slots=True)
class Survey:
    """What an interview survey at a place said, in per cent of those asked: one share None where it was not asked.
    `first` to `last`: when it was made. `asked`: how many people. `source`: who made it, where it stands.
    """

    first: date
    last: date
    asked: int | None
    source: str
    day_trip: float | None = None
    overnight: float | None = None
    in_prefecture: float | None = None
    other_prefectures: float | None = None
    abroad: float | None = None


SHARES = ("day_trip", "overnight", "in_prefecture", "other_prefectures", "abroad")
_OLDEST_DAYS = 366


def survey_for(surveys: Sequence[Survey], month: date, end: date) -> Survey | None:
    """The survey to take the shares of a month (first and last day) from: the one made in it, else the newest of the
    year before it; None where there is none. Shares of another season are better than none, and are named.
    """
    usable = [each for each in surveys if each.first <= end and (month - each.last).days <= _OLDEST_DAYS]
    return max(usable, key=lambda each: (each.first <= end and each.last >= month, each.last), default=None)


def unbalanced(survey: Survey) -> tuple[str, ...]:
    """The groups of shares that do not add up to about 100 %: stay (day_trip, overnight), origin (the other three).

    >>> unbalanced(Survey(date(2026, 5, 1), date(2026, 5, 3), 100, "", day_trip=70.0, overnight=25.0))
    ('stay',)
    """
    groups = {"stay": SHARES[:2], "origin": SHARES[2:]}
    found = []
    for name, shares in groups.items():
        known = [value for share in shares if (value := getattr(survey, share)) is not None]
        if known and (len(known) < len(shares) or abs(sum(known) - 100) > 1.0):
            found.append(name)
    return tuple(found)
