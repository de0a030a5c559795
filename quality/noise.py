"""Trembles more than the series does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from devices.model import Reason
from quality import tolerance
from quality.estimator import Floats
from quality.online import Online, ratio


@dataclass(slots=True)
class Tremble:
    """Of n series: the two values before, the mean bend, and the tail of that."""

    newest: Floats
    before: Floats
    bend: Floats
    grain: tolerance.Grain
    tail: tolerance.Tail


@dataclass(frozen=True, slots=True)
class Noise(Online[Tremble]):
    """Tells that the mean bend of the last `rows` values (how far each is from the line through the two before) is
    greater than it ever is.

    Works badly on series whose trembling changes by nature (turbulence in floods, pumps that start), and on a single
    spike, which has a bend too: `spike` takes those out before.

    Assumes that a smooth series stays smooth.

    Cost: a dozen operations on whole rows; four numbers a series and its tail.

    >>> rng = np.random.default_rng(1)
    >>> values = 0.01 * rng.standard_normal((2000, 1))
    >>> values[1500:1600] *= 20
    >>> times = np.arange(2000.0)[:, None] * 600
    >>> noise = Noise()
    >>> told = np.flatnonzero(noise.score(noise.begin(1), times, values)[:, 0] >= 0.5)
    >>> bool(1500 <= told[0] < 1520), bool(told[-1] < 1640)
    (True, True)

    Source: own; a control chart for the spread, as in Montgomery, "Introduction to Statistical Quality Control", ch. 9.
    """

    rows: float = 12.0
    nats: float = 12.0
    digits: float = 4.0
    most: float = 3.0  # times what is tolerated: a single bend counts as no more
    pace: float = 0.01
    gain: float = 0.004
    warm: int = 288

    reason: ClassVar[Reason] = Reason.NOISE
    sentence: ClassVar[str] = "trembles {excess} times as much as is tolerated of this series"

    def begin(self, n: int) -> Tremble:
        unknown = np.full(n, np.nan)
        return Tremble(unknown, unknown, np.zeros(n), tolerance.grain(n), tolerance.begin(n))

    def step(self, state: Tremble, times: Floats, values: Floats) -> Floats:
        there = ~np.isnan(values)
        compared = there & ~np.isnan(state.before)
        bend = np.where(compared, np.abs(values - 2 * state.newest + state.before), 0.0)
        limit = np.maximum(state.tail.limit(self.nats), self.digits * state.grain.learn(values))
        warm = state.tail.known >= self.warm
        cap = np.where(warm, self.most * limit, np.inf)
        state.bend = np.where(compared, state.bend + (np.minimum(bend, cap) - state.bend) / self.rows, state.bend)
        excess = ratio(state.bend, limit, compared & warm)
        # what is told is not what is usual; the means overlap, so that a fault could teach while it rises
        cap = np.where(excess >= 1.0, state.tail.limit(1.0), np.where(warm, limit, np.inf))
        state.tail.learn(np.where(compared, state.bend, np.nan), cap, pace=self.pace, gain=self.gain)
        state.before = np.where(there, state.newest, state.before)
        state.newest = np.where(there, values, state.newest)
        return excess
