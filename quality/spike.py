"""Jumped farther than the series ever does, or there and back farther than it ever does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from devices.model import Reason
from quality import tolerance
from quality.estimator import Floats
from quality.online import Bools, Online, ratio


@dataclass(slots=True)
class Believed:
    """Of n series: the last believed value and its time, the value before, the usual step, and what jumps are usual."""

    value: Floats
    time: Floats
    newest: Floats
    newest_time: Floats
    step: Floats
    earlier: Floats  # the level that was left by the last accepted jump
    doubted: Floats  # rows in a row that agree with each other and not with the last believed value
    away: Floats  # rows in a row that do not agree with the last believed value
    returned: Floats  # how many of them there were, where the newest value has come back from them; else 0
    height: Floats  # the greatest excess of those that are away, or have just returned
    activity: Floats  # how far it moved lately
    finest: Floats  # the smallest movement
    move: Floats  # the newest movement, with its sign; nan where its value was doubted
    before: Floats  # how far it moved lately, before that
    tail: tolerance.Tail
    peaks: tolerance.Tail


@dataclass(frozen=True, slots=True)
class Spike(Online[Believed]):
    """Tells a value that is farther from the last believed one than movements of this series reach.

    What is tolerated is learnt: the tail of its movements, several times what it moved in the last rows (a flood rises
    fast only after it has risen a little), and a few digits. A value that is told is not believed: the next is compared
    with the one before it. After `accept` values that agree with each other, or go on from each other, the new level is
    believed; going back to the level before is no new jump.

    Where jumps are honest, what goes there and comes back with the next value is not: a peak or a dip of one value is
    compared with those that the series has had (`peaks`, `peak_nats`), and with how far it moved before that
    (`lately`). It is known with the next value only (`returned`), so it has no excess. Turbulence looks the same.

    Works badly on series that jump by nature (pumps, gates), and on spikes no larger than honest movements.

    Assumes that honest jumps of the size of the fault have happened before, or do not happen.

    Cost: some sixty operations on whole rows; 22 numbers a series.

    >>> values = np.array([[1.0 + 0.01 * (n % 7)] for n in range(300)])
    >>> values[250] = 4.0
    >>> spike = Spike()
    >>> times = np.arange(300.0)[:, None] * 600
    >>> np.flatnonzero(spike.score(spike.begin(1), times, values)[:, 0] >= 0.5).tolist()
    [250]

    Source: own; as `rate`, with what the place can do learnt instead of given.
    """

    nats: float = 8.0
    recent: float = 6.0
    digits: float = 4.0
    accept: int = 4
    agree: float = 0.5
    warm: int = 96
    peaks: bool = True
    peak_nats: float = 8.0
    lately: float = 4.0

    reason: ClassVar[Reason] = Reason.SPIKE
    sentence: ClassVar[str] = "jumped {excess} times as far as this series does"

    def begin(self, n: int) -> Believed:
        unknown = np.full(n, np.nan)
        return Believed(
            unknown, unknown, unknown, unknown, unknown, unknown, np.zeros(n), np.zeros(n), np.zeros(n),
            np.zeros(n), np.zeros(n), np.full(n, np.inf), unknown, np.zeros(n), tolerance.begin(n), tolerance.begin(n),
        )  # fmt: skip

    def step(self, state: Believed, times: Floats, values: Floats) -> Floats:
        there = ~np.isnan(values)
        first = there & np.isnan(state.value)
        compared = there & ~first
        height = np.where(state.away > 0, state.height, 0.0)
        distance = np.where(compared, np.abs(values - state.value), 0.0)
        gap = np.where(compared, (times - state.time) / state.step, 1.0)
        moved = distance / np.sqrt(np.maximum(np.nan_to_num(gap, nan=1.0), 1.0))
        finest = np.where(np.isinf(state.finest), 0.0, state.finest)
        limit = np.maximum(state.tail.limit(self.nats), self.recent * state.activity)
        limit = np.maximum(limit, self.digits * finest)
        warm = state.tail.known >= self.warm
        excess = ratio(moved, limit, compared & warm)
        far = excess >= 1.0
        back = far & (np.abs(values - state.earlier) < 0.25 * np.abs(state.value - state.earlier))
        excess = np.where(back, 0.99, excess)
        doubted = far & ~back
        # Most of the way, and before the new level was believed: what falls slowly has not come back.
        nearer = np.abs(values - state.value) < 0.5 * np.abs(state.newest - state.value)
        came = there & ~doubted & (state.away > 0) & (state.doubted < self.accept) & nearer
        state.returned = np.where(came, state.away, 0.0)
        agrees = np.abs(values - state.newest) <= np.maximum(limit, self.agree * distance)
        state.doubted = np.where(there, np.where(doubted, np.where(agrees, state.doubted + 1, 1.0), 0.0), state.doubted)
        state.away = np.where(there, np.where(doubted, state.away + 1, 0.0), state.away)
        height = np.where(doubted, np.maximum(height, excess), np.where(came, height, 0.0))
        state.height = np.where(there, height, state.height)
        if self.peaks:
            self._peak(state, values, np.where(doubted | ~compared, np.nan, moved), there, finest)
        accepted = doubted & (state.doubted >= self.accept)
        learnt = compared & ~back & (~doubted | (state.doubted == 1))
        cap = np.where(warm, limit, np.inf)
        state.tail.learn(np.where(learnt, moved, np.nan), cap, pace=0.08, gain=0.02)
        calm = compared & ~doubted & ~back
        state.activity = np.where(calm, state.activity + 0.2 * (moved - state.activity), state.activity)
        state.finest = np.where(compared & (moved > 0), np.minimum(moved, state.finest * 1.0005), state.finest)
        self._believe(state, times, values, first | accepted | (there & ~doubted), accepted)
        return excess

    def _peak(self, state: Believed, values: Floats, moved: Floats, there: Bools, finest: Floats) -> None:
        """Looks at the value before, now that this one is there: `moved` from it, nan where this one is doubted or
        nothing is known.
        """
        move = np.sign(values - state.value) * moved
        peak = np.where(state.move * move < 0, np.minimum(np.abs(state.move), moved), 0.0)
        peak = np.where(np.isnan(state.move) | np.isnan(move), np.nan, peak)
        limit = np.maximum(
            state.peaks.limit(self.peak_nats), np.maximum(self.lately * state.before, self.digits * finest)
        )
        warm = state.peaks.known >= self.warm
        excess = ratio(peak, limit, (peak > 0) & warm)
        told = excess >= 1.0
        state.returned = np.where(told, 1.0, state.returned)
        state.height = np.where(told, excess, state.height)
        state.peaks.learn(peak, np.where(warm, limit, np.inf), pace=0.08, gain=0.02)
        state.move = np.where(there, move, state.move)
        state.before = np.where(there, state.activity, state.before)

    @staticmethod
    def _believe(state: Believed, times: Floats, values: Floats, believed: Bools, accepted: Bools) -> None:
        there = ~np.isnan(values)
        state.earlier = np.where(accepted, state.value, state.earlier)
        state.value = np.where(believed, values, state.value)
        state.time = np.where(believed, times, state.time)
        passed = times - state.newest_time
        usual = there & (passed > 0)
        state.step = np.where(usual & np.isnan(state.step), passed, state.step)
        state.step = np.where(usual, state.step * np.where(passed > state.step, 1.02, 1 / 1.02), state.step)
        state.newest = np.where(there, values, state.newest)
        state.newest_time = np.where(there, times, state.newest_time)
