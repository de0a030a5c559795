"""Days of a spot -> what a month or a year of it comes to, or why it comes to nothing.

A sum over a month that lacks ten days looks like a quiet month. So a month has a total only where at most
`most_missing` of its days lack a number or have a part of one; else it says how many do, and what was counted
(`counted`) stands apart from the total. A month that is running has what there is until yesterday, and says so.

    of_day(SpotDay, version)   a day as a report takes it
    of_days(...) -> Sum        a month
    of_month(...) -> Sum       the same, or the total that the office kept of a past month
    together(months) -> Sum    a year

Partial days (a counter that was away for some hours) count as they are, low as they may be, and towards `most_missing`.
But for `Version.ALL` a day that nobody has confirmed has no number here, and is counted apart: it is not missing. For
publication (`Version.PUBLISHED`) a day with a small number has none either: sums are of the days that are given, so
that nothing can be worked out by taking one from another. They too are counted apart, and are no gap.

A month whose days make no total takes the one that the office kept of it (method monthly_history), where there is one.
The office has published it before, so it counts as confirmed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from enum import StrEnum

from analytics.visitors.spots.plan import Method
from analytics.visitors.spots.series import SpotDay

COMPLETE_ENOUGH = 0.85  # of a day's counts, as in the comparison with the usual


MONTHLY_HISTORY = "monthly_history"


class Version(StrEnum):
    """Which days a report takes: only those that somebody has confirmed, or all there are (速報); for publication
    (公表用) the confirmed ones of the public spots, small numbers withheld (`checks.published`).
    """

    CONFIRMED = "confirmed"
    ALL = "all"
    PUBLISHED = "published"


HIDDEN = frozenset({"small", "withheld"})  # why a day that has a number does not give it


@dataclass(frozen=True, slots=True)
class Counted:
    """A day in a report. `visitors` None: `why` says it: unconfirmed, missing (欠測), not_entered (nobody wrote the
    day's number), absent (nobody was to count), small or withheld (it would say too much), not_public (of a spot that
    is not). `partial`: a part of the day was counted. `methods`: by which it was counted, two where it is the day of a
    switch. `below`: the limit that a small number is below.
    """

    day: date
    visitors: int | None
    methods: frozenset[str] = frozenset()
    partial: bool = False
    estimated: bool = False
    provisional: bool = False
    switched: bool = False
    why: str | None = None
    below: int | None = None


def of_day(day: SpotDay, version: Version) -> Counted:
    """A day as the chosen version has it."""
    provisional = day.version != "confirmed"
    methods = frozenset(each.value for each in (day.method, day.method_before) if each is not None)
    if day.visitors is None:
        absent = "not_entered" if day.method is Method.FORM else "absent"
        return Counted(day.day, None, why=absent if day.state == "absent" else "missing")
    if provisional and version is not Version.ALL:
        return Counted(day.day, None, why="unconfirmed")
    estimated = day.state == "estimated"
    partial = not estimated and (day.state == "outage" or day.completeness < COMPLETE_ENOUGH)
    return Counted(
        day.day,
        day.visitors,
        methods,
        partial=partial,
        estimated=estimated,
        provisional=provisional,
        switched=day.method_before is not None,
    )


@dataclass(frozen=True, slots=True)
class Sum:
    """A stretch of days. `total` None: `why` says it (future, nothing, unconfirmed, gaps, small, not_public).
    `counted`: what the days with a number add up to. `days` have passed, of `length`; the other numbers are days too,
    `small` those whose number is withheld: the total is without them.
    """

    total: int | None
    why: str | None
    counted: int
    length: int
    days: int
    missing: int
    unconfirmed: int
    partial: int
    estimated: int
    provisional: int
    methods: frozenset[str]
    changed: bool
    small: int = 0

    @property
    def running(self) -> bool:
        """Whether some of its days are still to come."""
        return 0 < self.days < self.length


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a spot: its days, and the totals that the office kept of months (by their first day). A number
    below `smallest` is not given.
    """

    days: Mapping[date, Counted]
    months: Mapping[date, int] = field(default_factory=dict)
    smallest: int = 0


def of_month(days: Sequence[date], known: Known, until: date, most_missing: int) -> Sum:
    """The month of these days."""
    found = of_days(days, known.days, until, most_missing)
    held = known.months.get(days[0])
    if held is None or found.total is not None or found.unconfirmed or found.days < found.length:
        return found
    return replace(
        found,
        total=held,
        why=None,
        counted=held,
        missing=0,
        partial=0,
        estimated=0,
        provisional=0,
        methods=frozenset({MONTHLY_HISTORY}),
        changed=False,
        small=0,
    )


def of_days(days: Sequence[date], counted: Mapping[date, Counted], until: date, most_missing: int) -> Sum:
    """The days of one month, of which those after `until` have not passed."""
    passed = [counted.get(day, Counted(day, None, why="missing")) for day in days if day <= until]
    with_number = [each for each in passed if each.visitors is not None]
    unconfirmed = sum(each.why == "unconfirmed" for each in passed)
    small = sum(each.why in HIDDEN for each in passed)
    apart = sum(each.why == "not_public" for each in passed)
    missing = len(passed) - len(with_number) - unconfirmed - small - apart
    partial = sum(each.partial for each in passed)
    known = sum(each.visitors or 0 for each in with_number)
    methods = frozenset[str]().union(*(each.methods for each in with_number))
    why: str | None = None
    if not passed:
        why = "future"
    elif apart:
        why = "not_public"
    elif unconfirmed:
        why = "unconfirmed"
    elif not with_number and not missing:
        why = "small"
    elif not with_number:
        why = "nothing"
    elif missing + partial > most_missing:
        why = "gaps"
    return Sum(
        total=None if why else known,
        why=why,
        counted=known,
        length=len(days),
        days=len(passed),
        missing=missing,
        unconfirmed=unconfirmed,
        partial=partial,
        estimated=sum(each.estimated for each in with_number),
        provisional=sum(each.provisional for each in with_number),
        methods=methods,
        changed=len(methods) > 1 or any(each.switched for each in with_number),
        small=small,
    )


def together(months: Iterable[Sum]) -> Sum:
    """A year out of its months: it has a total where each month that has begun has one."""
    every = list(months)
    begun = [each for each in every if each.why != "future"]
    reasons = {each.why for each in begun}
    why = "future" if not begun else None
    if len(reasons) == 1 and reasons <= {"nothing", "small", "not_public"}:
        (why,) = reasons
    elif why is None and reasons - {None, "small"}:
        why = "unconfirmed" if "unconfirmed" in reasons else "gaps"
    methods = frozenset[str]().union(*(each.methods for each in begun))
    known = sum(each.counted for each in begun)
    return Sum(
        total=None if why else known,
        why=why,
        counted=known,
        length=sum(each.length for each in every),
        days=sum(each.days for each in every),
        missing=sum(each.missing for each in begun),
        unconfirmed=sum(each.unconfirmed for each in begun),
        partial=sum(each.partial for each in begun),
        estimated=sum(each.estimated for each in begun),
        provisional=sum(each.provisional for each in begun),
        methods=methods,
        changed=len(methods) > 1 or any(each.changed for each in begun),
        small=sum(each.small for each in begun),
    )
