"""Silent for longer than the series is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from devices.model import Reason
from quality.estimator import Floats
from quality.online import Online, ratio


@dataclass(slots=True)
class Silence:
    """Of n series: when the last value was, the usual time between two, the longest so far, values."""

    time: Floats
    usual: Floats
    longest: Floats
    known: Floats


@dataclass(frozen=True, slots=True)
class Gap(Online[Silence]):
    """Tells that values are missing: for `least` times the usual step, and `times_longest` times the longest silence
    before. Rows without a value are told from then on, and so is the first value after it.

    The value after a gap is not wrong; but what happened meanwhile nobody knows, and means over it are not reliable.

    Works badly on devices that send when something happens, until their longest silence is known, and on ones whose
    interval was changed: until the new one is usual the first values are told.

    Assumes that there is a usual interval.

    Cost: a dozen operations on whole rows; four numbers a series.

    >>> gap = Gap(warm=3)
    >>> times = np.array([0.0, 600, 1200, 1800, 2400, 20000, 20600])[:, None]
    >>> np.flatnonzero(gap.score(gap.begin(1), times, np.ones((7, 1)))[:, 0] >= 0.5).tolist()
    [5]

    Source: own.
    """

    least: float = 6.0
    times_longest: float = 2.0
    warm: int = 96

    reason: ClassVar[Reason] = Reason.GAP
    sentence: ClassVar[str] = "silent for {excess} times as long as is tolerated of this series"

    def begin(self, n: int) -> Silence:
        return Silence(np.full(n, np.nan), np.full(n, np.nan), np.zeros(n), np.zeros(n))

    def step(self, state: Silence, times: Floats, values: Floats) -> Floats:
        there = ~np.isnan(values)
        passed = times - state.time
        limit = np.maximum(self.least * state.usual, self.times_longest * state.longest)
        excess = ratio(np.nan_to_num(passed, nan=0.0), limit, (state.known >= self.warm) & (passed > 0))
        known = there & (passed > 0)
        first = known & np.isnan(state.usual)
        state.usual = np.where(first, passed, state.usual)
        toward = np.where(passed > state.usual, 1.02, 1 / 1.02)
        closer = np.where(
            known & ~first,
            np.where(
                passed > state.usual, np.minimum(state.usual * toward, passed), np.maximum(state.usual * toward, passed)
            ),
            state.usual,
        )
        state.usual = np.where(known & ~first, closer, state.usual)
        # what was told once counts as no more than the limit, so that the next of its length is told too
        longest = np.maximum(np.where(excess < 1.0, passed, np.minimum(passed, limit)), state.longest * 0.9999)
        state.longest = np.where(known, np.where(np.isnan(longest), state.longest, longest), state.longest)
        state.time = np.where(there, times, state.time)
        state.known = state.known + there
        return excess
