"""What the learnt checks find in series side by side, each for itself or also beside its neighbours, and what of that
may be told.

    judging = alone()                                   each series for itself; `beside()`: gauges beside each other
    state = judging.begin(n)                            nothing is known of n series
    found = judging.step(state, times, values, near)    rows of all of them, shapes (rows, n); the state goes on
    found.of(series, told)                              what may be told of one of them

Only numbers: where they come from and what becomes of a doubt is for `analytics.doubts`. Who measures how good the
checks are (`mimamori bench quality`) takes this way too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from devices.model import Reason
from quality.detector import Checks, Counts, Detector
from quality.estimator import Floats
from quality.memory import form
from quality.neighbours import Near, Neighbours
from quality.online import Online
from quality.spike import Spike


class Doubt(NamedTuple):
    """One thing that is told in a row: of the value that stands there (`back` 0), or of so many values that were seen
    before it. `excess`: as a multiple of what is tolerated.
    """

    row: int
    back: int
    reason: Reason
    excess: float


@dataclass(frozen=True, slots=True)
class Found:
    """Of rows of n series, shapes (rows, n): as `quality.detector.Row`, after a look at the neighbours."""

    excess: Floats
    check: Checks
    returned: Counts
    height: Floats
    reasons: tuple[Reason, ...]  # of the checks

    def of(self, series: int, told: frozenset[Reason]) -> Iterator[Doubt]:
        """What may be told of one series, row by row. A value that has jumped is told when the series has come back
        from it, and not before: a flood does not come back.
        """
        excess, returned = self.excess[:, series], self.returned[:, series]
        for row in np.flatnonzero((excess >= 1.0) | (returned > 0)).tolist():
            if returned[row] and Reason.SPIKE in told:
                yield Doubt(row, int(returned[row]), Reason.SPIKE, float(self.height[row, series]))
            reason = self.reasons[self.check[row, series]]
            if excess[row] >= 1.0 and reason in told and reason is not Reason.SPIKE:
                yield Doubt(row, 0, reason, float(excess[row]))


def alone() -> Judging:
    """As the town judges what has no neighbours."""
    return Judging(Detector())


def beside() -> Judging:
    """As the town judges gauges beside each other. In a flood they tremble: no peak of one value is told of them for
    that alone, and their spikes are farther than they ever move.
    """
    return Judging(Detector(spike=Spike(peaks=False)), Neighbours())


class Judging:
    """The checks, with the neighbours or without."""

    def __init__(self, detector: Detector, neighbours: Neighbours | None = None) -> None:
        self._detector, self._neighbours = detector, neighbours
        self._checks: tuple[Online[Any] | Neighbours, ...] = detector.checks
        if neighbours is not None:
            self._checks += (neighbours,)
        self._reasons = tuple(check.reason for check in self._checks)

    @property
    def compares(self) -> bool:
        """Whether series are compared with others."""
        return self._neighbours is not None

    @property
    def form(self) -> str:
        """The same for the same settings (`quality.memory`)."""
        return form(*([self._detector] if self._neighbours is None else [self._detector, self._neighbours]))

    def begin(self, n: int) -> list[Any]:
        """What is known of `n` series of which nothing is known."""
        known: list[Any] = [self._detector.begin(n)]
        return known if self._neighbours is None else [*known, self._neighbours.begin(n)]

    def step(self, state: list[Any], times: Floats, values: Floats, near: Near) -> Found:
        """Rows of n series, shapes (rows, n): `times` in s since 1970, of each series ascending, `values` nan where
        there is none that says something. `near`: of each series its neighbours (`analytics.beside.near`).
        """
        judged = [self._detector.step(state[0], *row) for row in zip(times, values, strict=True)]
        excess = np.where(np.isnan(values), 0.0, [row.excess for row in judged])
        check = np.array([row.check for row in judged])
        if self._neighbours is not None:
            compared = self._neighbours.step(state[1], times, values, near)
            excess, check = self._neighbours.settled(excess, check, compared, self._checks)
        return Found(
            excess,
            check,
            np.array([row.returned for row in judged]),
            np.array([row.height for row in judged]),
            self._reasons,
        )
