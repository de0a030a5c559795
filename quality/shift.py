"""Its level was put somewhere else by one movement, and goes on from there as before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from devices.model import Reason
from quality import tolerance
from quality.estimator import Floats
from quality.online import Online, ratio


@dataclass(slots=True)
class Shifted:
    """Of n series: the newest value, its time, and the usual time between two; the excess of a jump that is looked at
    (0: none is) and how many values have moved as usual since; the smallest movement, and what movements are usual.
    """

    newest: Floats
    time: Floats
    pace: Floats
    excess: Floats
    steady: Floats
    grain: tolerance.Grain
    moves: tolerance.Tail


@dataclass(frozen=True, slots=True)
class Shift(Online[Shifted]):
    """Tells one movement that is farther than any usual one, once `rows` values behind it have moved as usual. For what
    cannot jump: the water in a tank. A pipe that bursts empties it value by value, and is not told; a spike is back
    with one more such movement.

    Works badly where filling is as sudden as the fault, and on shifts no larger than usual movements.

    Assumes that what is measured changes by what flows in and out, and that this has a limit.

    Cost: some thirty operations on whole rows; ten numbers a series.

    >>> times = np.arange(600.0)[:, None] * 600
    >>> values = 2.0 + np.sin(times / 86400 * 2 * np.pi)
    >>> values[500:] += 0.4
    >>> shift = Shift()
    >>> np.flatnonzero(shift.score(shift.begin(1), times, values)[:, 0] >= 0.5).tolist()
    [503]

    Source: own; as `rate`, with what the place can do learnt instead of given.
    """

    rows: int = 3
    nats: float = 10.0
    digits: float = 6.0
    apart: float = 1.5  # times the usual time between values: what happened in a longer gap is no jump
    warm: int = 288

    reason: ClassVar[Reason] = Reason.STEP
    sentence: ClassVar[str] = "was put elsewhere by {excess} times what is tolerated of this series in one movement"

    def begin(self, n: int) -> Shifted:
        unknown, nothing = np.full(n, np.nan), np.zeros(n)
        return Shifted(unknown, unknown, unknown, nothing, nothing, tolerance.grain(n), tolerance.begin(n))

    def step(self, state: Shifted, times: Floats, values: Floats) -> Floats:
        there = ~np.isnan(values)
        passed = np.where(there, times - state.time, np.nan)
        with np.errstate(invalid="ignore"):
            near = there & ~(passed > self.apart * state.pace) & ~np.isnan(state.newest)
        moved = np.where(near, np.abs(values - state.newest), 0.0)
        limit = np.maximum(state.moves.limit(self.nats), self.digits * state.grain.learn(values))
        warm = state.moves.known >= self.warm
        excess = ratio(moved, limit, near & warm)
        looks = state.excess > 0
        goes_on = looks & near & (excess < 1.0)
        state.steady = np.where(there, np.where(goes_on, state.steady + 1, 0.0), state.steady)
        told = there & (state.steady >= self.rows)
        found = np.where(told, state.excess, 0.0)
        begins = near & ~looks & (excess >= 1.0)
        keeps = np.where(goes_on & ~told, state.excess, 0.0)
        state.excess = np.where(there, np.where(begins, excess, keeps), state.excess)
        state.moves.learn(np.where(near, moved, np.nan), np.where(warm, limit, np.inf), pace=0.02, gain=0.02)
        usual = there & (passed > 0)
        state.pace = np.where(usual & np.isnan(state.pace), passed, state.pace)
        state.pace = np.where(usual, state.pace * np.where(passed > state.pace, 1.02, 1 / 1.02), state.pace)
        state.newest = np.where(there, values, state.newest)
        state.time = np.where(there, times, state.time)
        return found
