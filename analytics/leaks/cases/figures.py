"""How good the suspects were: hit rate, km walked for a leak, metres off, how long everything took, and what was lost.

    figures(cases, off, now) -> Figures

A case counts when it is decided: a leak was found, or it ended without one (`case.WRONG`). One that was opened twice
does not count. What nobody wrote down is not guessed: a median is of those that are known, and `n` says how many.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

from analytics.leaks.cases.case import ENDED, FOUND, REPAIRED, WRONG, Case, loss

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Median:
    """`value` is None where none is known; `n` are."""

    value: float | None
    n: int


@dataclass(frozen=True, slots=True)
class Figures:
    """`hits` leaks found, `wrong` cases without one; `km` walked in both, of which `unsaid` cases lack a visit's km.
    Medians: `off` m along pipes from the suspected pipe to the one that leaked; days from the estimated beginning to
    the case, from the case to the find, from the find to the repair; from the beginning to the find (`delay`). `lost`:
    m3 of the leaks found, until their repair or so far, but of `uncounted` whose beginning or size nobody knows.
    """

    hits: int
    wrong: int
    km: float
    unsaid: int
    off: Median
    to_case: Median
    to_find: Median
    to_repair: Median
    delay: Median
    lost: float
    uncounted: int

    @property
    def rate(self) -> float | None:
        """0 to 1; None before anything is decided."""
        return self.hits / (self.hits + self.wrong) if self.hits + self.wrong else None

    @property
    def km_a_leak(self) -> float | None:
        """Walked, in vain too, for each leak found; None where none was, or a visit did not say how far it was."""
        return self.km / self.hits if self.hits and not self.unsaid else None


def decided_at(case: Case) -> datetime | None:
    """When it was found, or ended without a leak; None where it is open, or was opened twice."""
    found, ended = case.last(FOUND), case.last(ENDED)
    if found is not None:
        return found.at
    return ended.at if ended is not None and ended.what in WRONG else None


def figures(cases: Iterable[Case], off: Mapping[int, float], now: datetime) -> Figures:
    """Of the decided ones among `cases`; `off`: m by case id, where the place is known."""
    decided = [each for each in cases if decided_at(each) is not None]
    hits = [(case, found) for case in decided if (found := case.last(FOUND)) is not None]
    walked = [case.walked_km for case in decided]
    lost = [loss(case, now) for case, _ in hits]
    repaired = [(found, last) for case, found in hits if (last := case.last(REPAIRED)) is not None]
    return Figures(
        len(hits),
        len(decided) - len(hits),
        sum(each for each in walked if each is not None),
        walked.count(None),
        _median(off[case.case_id] for case, _ in hits if case.case_id in off),
        _median((case.opened_at - case.started_at) / _DAY for case, _ in hits if case.started_at is not None),
        _median((found.at - case.opened_at) / _DAY for case, found in hits),
        _median((last.at - found.at) / _DAY for found, last in repaired),
        _median((found.at - case.started_at) / _DAY for case, found in hits if case.started_at is not None),
        sum(each for each in lost if each is not None),
        lost.count(None),
    )


def _median(values: Iterable[float]) -> Median:
    known = list(values)
    return Median(median(known) if known else None, len(known))
