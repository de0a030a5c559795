"""Form beside counter on the same days, before a spot goes from one to the other.

    parallel(conn, spot_id, first, last)   the days that both have, and what they say of each other
    weigh(pairs)                           pure: the figures

Only days count that a person entered and that the counter (by formula and calibration) counted for at least 85 %,
without estimates.

    ratio     sum of the form / sum of the counter
    typical   median of the days' ratios: one bad day does not move it
    apart     days on which one is more than a fifth above the other
    together  Pearson's r of the days: whether both rise and fall alike; None under 5 days, or where one never changes
    scatter   median distance of the days' ratios from the typical one, in percent: how far a single day may be off
              after the whole level has been put right

Under 14 days, or without a weekend or holiday among them, the two are shown and not judged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from statistics import correlation, median

from analytics.visitors.day_types import DayType, day_type
from analytics.visitors.spots.plan import Method
from analytics.visitors.spots.series import days
from analytics.visitors.usual import COMPLETE_ENOUGH, Observations
from store import Connection

ENOUGH_DAYS = 14
FAR = 1.2
_FEWEST_TOGETHER = 5
_CLOSE, _ALIKE, _SCATTERED = 0.05, 0.8, 0.15


class Verdict(StrEnum):
    """What the days say, for people."""

    FEW = "few"  # too few days, or no weekend
    AGREE = "agree"  # within 5 %, and rise and fall together
    SHIFTED = "shifted"  # together, at another level: a factor would put it right
    SCATTERED = "scattered"  # single days are far apart: find out why before switching


@dataclass(frozen=True, slots=True)
class Pair:
    """A day as a person and as the counter said it."""

    day: date
    form: int
    counter: int

    @property
    def ratio(self) -> float | None:
        return self.form / self.counter if self.counter > 0 else None

    @property
    def far(self) -> bool:
        low, high = sorted((self.form, self.counter))
        return high > FAR * low


@dataclass(frozen=True, slots=True)
class Weighed:
    """See the module. `ratio` and `typical` None where the counter counted nobody."""

    n: int
    weekends: int
    form: int
    counter: int
    ratio: float | None
    typical: float | None
    scatter: float | None
    together: float | None
    apart: int
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Parallel:
    """`pairs` oldest first; `form_only` and `counter_only`: how many days only one of them has."""

    pairs: tuple[Pair, ...]
    form_only: int
    counter_only: int
    weighed: Weighed


def parallel(
    conn: Connection, spot_id: int, first: date, last: date, *, relation: Observations = "observation"
) -> Parallel:
    """The local days first..last of a real spot, whichever method is in force on them. Raises NoSpot."""
    entered = days(conn, spot_id, first, last, relation=relation, method=Method.FORM)
    counted = days(conn, spot_id, first, last, relation=relation, method=Method.COUNTER)
    pairs, form_only, counter_only = [], 0, 0
    for form, counter in zip(entered, counted, strict=True):
        there = counter.state == "ok" and counter.completeness >= COMPLETE_ENOUGH
        if form.visitors is not None and there and counter.visitors is not None:
            pairs.append(Pair(form.day, form.visitors, counter.visitors))
        elif form.visitors is not None:
            form_only += 1
        elif there:
            counter_only += 1
    return Parallel(tuple(pairs), form_only, counter_only, weigh(pairs))


def weigh(pairs: Sequence[Pair]) -> Weighed:
    """What the days say of each other.

    >>> found = weigh([Pair(date(2026, 5, 1 + n), 110 + n, 100 + n) for n in range(20)])
    >>> found.n, found.weekends, round(found.typical or 0, 2), found.apart, found.verdict.value
    (20, 10, 1.09, 0, 'shifted')
    """
    form, counter = sum(each.form for each in pairs), sum(each.counter for each in pairs)
    ratios = [ratio for each in pairs if (ratio := each.ratio) is not None]
    typical = median(ratios) if ratios else None
    scatter = None
    if typical:
        scatter = 100 * median(abs(each / typical - 1) for each in ratios)
    together = None
    several = len({each.form for each in pairs}) > 1 and len({each.counter for each in pairs}) > 1
    if len(pairs) >= _FEWEST_TOGETHER and several:
        together = correlation([each.form for each in pairs], [each.counter for each in pairs])
    weekends = sum(day_type(each.day) is not DayType.WEEKDAY for each in pairs)
    verdict = Verdict.FEW
    if len(pairs) >= ENOUGH_DAYS and weekends and typical is not None and scatter is not None:
        if (together is not None and together < _ALIKE) or scatter > 100 * _SCATTERED:
            verdict = Verdict.SCATTERED
        else:
            verdict = Verdict.AGREE if abs(typical - 1) <= _CLOSE else Verdict.SHIFTED
    return Weighed(
        *(len(pairs), weekends, form, counter, form / counter if counter else None),
        *(typical, scatter, together, sum(each.far for each in pairs), verdict),
    )
