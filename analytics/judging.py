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

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from devices.model import Reason
from quality.detector import Checks, Counts, Detector
from quality.estimator import Floats
from quality.memory import form
from quality.neighbours import Near, Neighbours
from quality.online import Bools
from quality.shift import Shift
from quality.spike import Spike
from quality.tremble import Tremble
from quality.unshared import Beside, Unshared


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


def contained() -> Judging:
    """As the town judges the water in a tank, which cannot jump."""
    return Judging(Detector(), shift=Shift())


def beside() -> Judging:
    """As the town judges gauges beside each other. In a flood they tremble: no peak of one value is told of them for
    that alone, and their spikes are farther than they ever move.
    """
    return Judging(Detector(spike=Spike(peaks=False)), Company())


@dataclass(frozen=True, slots=True)
class Company:
    """What looks at gauges beside each other."""

    neighbours: Neighbours = field(default_factory=Neighbours)
    unshared: Unshared = field(default_factory=Unshared)
    # a brook is not as regular as a pipe: it has to be learnt for longer, and to tremble more
    tremble: Tremble = field(default_factory=lambda: Tremble(days=14.0, least=4.0))


class Judging:
    """The checks of each series, with a look at its neighbours (`company`), or at its shifts, or without."""

    def __init__(self, detector: Detector, company: Company | None = None, shift: Shift | None = None) -> None:
        self._detector, self._company, self._shift = detector, company, shift
        self._reasons = (*(check.reason for check in detector.checks), Neighbours.reason)
        self._tremble = Tremble() if company is None else company.tremble
        self._parts: tuple[Any, ...] = (detector, self._tremble)
        # A spike is told when it is over, trembling by what it is at this time of day. What a flood does as well is not
        # told of a series alone.
        self._unsure: tuple[Reason, ...] = (Reason.SPIKE, Reason.NOISE)
        if company is not None:
            self._parts += (company.neighbours, company.unshared)
            self._unsure += (Reason.STEP, Reason.DRIFT)
        elif shift is not None:
            self._parts += (shift,)
            self._unsure += (Reason.STEP,)

    @property
    def compares(self) -> bool:
        """Whether series are compared with others."""
        return self._company is not None

    @property
    def form(self) -> str:
        """The same for the same settings (`quality.memory`)."""
        return form(*self._parts)

    def begin(self, n: int) -> list[Any]:
        """What is known of `n` series of which nothing is known."""
        return [part.begin(n) for part in self._parts]

    def step(self, state: list[Any], times: Floats, values: Floats, near: Near) -> Found:
        """Rows of n series, shapes (rows, n): `times` in s since 1970, of each series ascending, `values` nan where
        there is none that says something. `near`: of each series its neighbours (`analytics.beside.near`).
        """
        judged = [self._detector.step(state[0], *row) for row in zip(times, values, strict=True)]
        excess = np.where(np.isnan(values), 0.0, [row.excess for row in judged])
        check = np.array([row.check for row in judged])
        unsure = [n for n, reason in enumerate(self._reasons) if reason in self._unsure]
        excess = np.where(np.isin(check, unsure), np.minimum(excess, 0.99), excess)
        for reason, found in self._looks(state, times, values, near):
            told = (found >= 1.0) & (excess < 1.0)
            excess = np.where(told, found, excess)
            check = np.where(told, np.int8(self._reasons.index(reason)), check).astype(np.int8)
        return Found(
            excess,
            check,
            np.array([row.returned for row in judged]),
            np.array([row.height for row in judged]),
            self._reasons,
        )

    def _looks(self, state: list[Any], times: Floats, values: Floats, near: Near) -> Iterator[tuple[Reason, Floats]]:
        """What is told of the series after a look at more than their own checks, with the excess, shapes (rows, n)."""
        still: Sequence[Bools | None] = [None] * len(values)
        if self._shift is not None:
            rows = [self._shift.step(state[2], *row) for row in zip(times, values, strict=True)]
            yield Reason.STEP, np.array(rows).reshape(values.shape)
        if self._company is not None:
            compared = self._company.neighbours.step(state[2], times, values, near)
            seen = [Beside(*row) for row in zip(compared.up, compared.down, compared.known, compared.walk, strict=True)]
            still = [each.still for each in seen]
            rows = [self._company.unshared.step(state[3], *row) for row in zip(times, values, seen, strict=True)]
            yield Reason.STEP, np.array(rows).reshape(values.shape)
            yield Reason.NEIGHBOURS, compared.excess
        rows = [self._tremble.step(state[1], *row) for row in zip(times, values, still, strict=True)]
        yield Reason.NOISE, np.array(rows).reshape(values.shape)
