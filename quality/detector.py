"""All learnt checks of a series together: one score, one reason, one setting for every series there is.

    detector = Detector()
    state = detector.begin(n)                       n series of which nothing is known
    row = detector.step(state, times, values)       one row of all of them: Row(excess, check), both of shape (n,)
    judged = detector.judge(times, values)          all rows at once, shapes (rows, n)
    judged.of(0, rows)                              ... of one series: scores, verdict, reasons

The checks learn what is usual for each series; nothing is set by unit, kind, place or dataset. What `spike` tells is no
neighbour for the others. The greatest excess counts.

One fault is to be one event: what has just been told raises what is tolerated, to `again` times its own excess, which
fades within `rest` rows; while an event lasts it does not matter. A standstill and a silence are told as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from devices.model import Reason
from quality.drift import Drift
from quality.estimator import Flags, Floats
from quality.gap import Gap
from quality.noise import Noise
from quality.online import Online, score_of
from quality.spike import Spike
from quality.standstill import Standstill
from quality.step import Step

Checks = npt.NDArray[np.int8]
Counts = npt.NDArray[np.int64]

_MOST = 1e6  # an excess counts as no more


@dataclass(frozen=True, slots=True)
class Row:
    """Of each series: the excess (told from 1 on), and the number of the check that has the greatest. `returned`: so
    many values before this one had jumped away, and with it the series is back; `height` is their greatest excess.
    """

    excess: Floats
    check: Checks
    returned: Counts
    height: Floats


@dataclass(frozen=True, slots=True)
class Judged:
    """Scores between 0 and 1, told from 0.5 on, and of the same shape the numbers of the checks in `checks`."""

    scores: Floats
    check: Checks
    checks: tuple[Online[Any], ...]

    @property
    def verdict(self) -> Flags:
        return np.asarray(self.scores >= 0.5)

    def of(self, series: int, rows: int) -> Judged:
        """The first `rows` rows of one series."""
        return Judged(self.scores[:rows, series], self.check[:rows, series], self.checks)

    def reasons(self, rows: Sequence[int]) -> list[Reason]:
        """Why these rows of one series are told."""
        return [self.checks[self.check[row]].reason for row in rows]


@dataclass(slots=True)
class Known:
    """What the checks know of n series, what is tolerated of each now, and whether an event lasts."""

    states: list[Any]
    tolerated: Floats
    lasts: Flags


@dataclass(frozen=True, slots=True)
class Detector:
    """The checks, and how an event becomes one.

    >>> times = np.arange(2000.0)[:, None] * 600
    >>> rng = np.random.default_rng(1)
    >>> values = 1 + 0.1 * np.sin(times / 86400 * 2 * np.pi) + 0.01 * rng.standard_normal(times.shape)
    >>> values[1500:1503] = -9999.0
    >>> judged = Detector().judge(times, values).of(0, 2000)
    >>> told = np.flatnonzero(judged.verdict).tolist()
    >>> told, judged.reasons(told[:1])
    ([1500, 1501, 1502], [<Reason.SPIKE: 'spike'>])
    """

    spike: Spike = field(default_factory=Spike)
    step_: Step = field(default_factory=Step)
    drift: Drift = field(default_factory=Drift)
    noise: Noise = field(default_factory=Noise)
    standstill: Standstill = field(default_factory=Standstill)
    gap: Gap = field(default_factory=Gap)
    again: float = 3.0
    rest: float = 96.0

    @property
    def checks(self) -> tuple[Online[Any], ...]:
        return (self.spike, self.step_, self.drift, self.noise, self.standstill, self.gap)

    def begin(self, n: int) -> Known:
        return Known([check.begin(n) for check in self.checks], np.ones(n), np.zeros(n, dtype=np.bool_))

    def step(self, state: Known, times: Floats, values: Floats) -> Row:
        """One row: `times` (s since 1970) and `values` (nan where there is none) of shape (n,). The state goes on."""
        excess = self.excesses(state.states, times, values)
        moving = np.minimum(excess[:4].max(axis=0), _MOST)
        there = ~np.isnan(values)
        compared = self.compared(state, moving, there)
        still = excess[4:].max(axis=0)
        check = np.where(still > compared, 4 + excess[4:].argmax(axis=0), excess[:4].argmax(axis=0))
        # a row without a value does not end an event
        compared = np.where(there, compared, np.where(state.lasts, 1.0, 0.0))
        returned, height = state.states[0].returned.astype(np.int64), state.states[0].height
        return Row(np.maximum(compared, still), check.astype(np.int8), returned, height)

    def excesses(self, states: list[Any], times: Floats, values: Floats) -> Floats:
        """One row of every check for itself, shape (checks, n), in the order of `checks`. The states go on."""
        spiked = self.spike.step(states[0], times, values)
        believed = np.where(spiked >= 1.0, np.nan, values)
        excess = np.empty((len(self.checks), len(values)))
        excess[0] = spiked
        for number, check in enumerate(self.checks[1:-2], 1):
            excess[number] = check.step(states[number], times, believed)
        for number, check in ((4, self.standstill), (5, self.gap)):
            excess[number] = check.step(states[number], times, values)
        return excess

    def compared(self, state: Known, moving: Floats, there: Flags) -> Floats:
        """One row of excesses, of shape (n,), less what is tolerated since something was told: one fault is one event.
        `there`: where there is a value. The state goes on.
        """
        goes_on = state.lasts & (moving >= 1.0)
        compared = np.where(goes_on, np.maximum(moving / state.tolerated, 1.0), moving / state.tolerated)
        told = compared >= 1.0
        state.lasts = np.where(there, told, state.lasts)
        faded = 1.0 + (state.tolerated - 1.0) * np.exp(-1.0 / self.rest)
        state.tolerated = np.where(
            there, np.where(told, np.maximum(faded, self.again * moving), faded), state.tolerated
        )
        return compared

    def judge(
        self, times: Floats, values: Floats, progress: Callable[[int, int], None] = lambda _done, _all: None
    ) -> Judged:
        """Rows from the beginning on, shapes (rows, n)."""
        rows, n = values.shape
        state = self.begin(n)
        excess, check = np.zeros((rows, n), dtype=np.float32), np.zeros((rows, n), dtype=np.int8)
        for row in range(rows):
            found = self.step(state, times[row], values[row])
            excess[row], check[row] = found.excess, found.check
            if row % 1000 == 0:
                progress(row, rows)
        progress(rows, rows)
        return Judged(score_of(excess.astype(np.float64)), check, self.checks)
