"""Its level is suddenly another than it usually is at this time of day."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from devices.model import Reason
from quality import tolerance
from quality.estimator import Floats
from quality.online import Online, ratio

_PARTS = 48  # of a day
_PART = 86400.0 / _PARTS
_ROWS = 6.0  # that a part of a day has: what comes oftener moves its mean faster


@dataclass(slots=True)
class Days:
    """Of n series: the usual value of each half hour of the day and on how many days it was seen, shapes (48, n); the
    half hour of the newest value; how far the values are off that lately, over few rows and over more.
    """

    usual: Floats
    seen: Floats
    newest: Floats
    short: Floats
    long: Floats
    off: Floats
    jump: Floats  # the largest single movement of late
    grain: tolerance.Grain
    tail: tolerance.Tail


@dataclass(frozen=True, slots=True)
class Step(Online[Days]):
    """Tells that the mean of the last `short` values has left that of the last `long` farther than it ever does, both
    after the usual value of the half hour of the day (UTC) is taken off, as a mean over `memory` days.

    Only what came suddenly is told: of the distance at least the share `sudden` in one movement of late. A flood that
    rises value by value is none. A level that stays is told for as long as the long mean takes to follow. A daily
    pattern that fails to come is told too: it is the same as a level that is off for an hour.

    Works badly on slow changes (see `drift`), in the first `days` days, and where weekends differ from working days.

    Assumes that days resemble each other, or that they do not differ suddenly.

    Cost: some thirty operations on whole rows; a hundred numbers a series.

    >>> times = np.arange(0.0, 14 * 86400, 600)[:, None]
    >>> rng = np.random.default_rng(1)
    >>> values = np.sin(times / 86400 * 2 * np.pi) + 0.2 * rng.standard_normal(times.shape)
    >>> values[1500:] += 1.5
    >>> step = Step()
    >>> told = np.flatnonzero(step.score(step.begin(1), times, values)[:, 0] >= 0.5)
    >>> int(told[0]), len(told) < 24
    (1500, True)

    Source: own; a two-window comparison of means, as in Ahmad et al., "Unsupervised real-time anomaly detection for
    streaming data" (Neurocomputing 262, 2017), of values less their usual day.
    """

    short: float = 3.0
    long: float = 24.0
    memory: float = 7.0
    nats: float = 4.0
    days: float = 3.0
    digits: float = 0.25
    sudden: float = 0.4
    warm: int = 288

    reason: ClassVar[Reason] = Reason.STEP
    sentence: ClassVar[str] = "left its usual level {excess} times as far as is tolerated of this series"

    def begin(self, n: int) -> Days:
        nothing = np.full((_PARTS, n), np.nan)
        return Days(
            nothing, np.zeros((_PARTS, n)), np.full(n, -1.0), np.zeros(n), np.zeros(n),
            np.zeros(n), np.zeros(n), tolerance.grain(n), tolerance.begin(n),
        )  # fmt: skip

    def step(self, state: Days, times: Floats, values: Floats) -> Floats:
        there = ~np.isnan(values)
        number = np.floor(np.where(there, times, 0.0) / _PART)
        part, series = (number % _PARTS).astype(np.intp), np.arange(len(values))
        usual, seen = state.usual[part, series], state.seen[part, series]
        known = there & ~np.isnan(usual)
        off = np.where(known, values - usual, 0.0)
        state.short = np.where(known, state.short + (off - state.short) / self.short, state.short)
        distance = np.abs(state.short - state.long)
        state.jump = np.where(known, np.maximum(np.abs(off - state.off), 0.8 * state.jump), state.jump)
        state.off = np.where(known, off, state.off)
        limit = np.maximum(state.tail.limit(self.nats), self.digits * state.grain.learn(values))
        ready = known & (seen >= self.days)
        warm = state.tail.known >= self.warm
        excess = ratio(distance, limit, ready & warm)
        excess = np.where(state.jump >= self.sudden * distance, excess, np.minimum(excess, 0.99))
        cap = np.where(warm, limit, np.inf)
        state.tail.learn(np.where(ready, distance, np.nan), cap, pace=0.04, gain=0.02)
        state.long = np.where(known, state.long + (off - state.long) / self.long, state.long)
        self._remember(state, part, series, number, values)
        return excess

    def _remember(
        self, state: Days, part: npt.NDArray[np.intp], series: npt.NDArray[np.intp], number: Floats, values: Floats
    ) -> None:
        there = ~np.isnan(values)
        usual, seen = state.usual[part, series], state.seen[part, series]
        gain = 1.0 / (np.minimum(seen + 1.0, self.memory) * _ROWS)
        moved = np.where(np.isnan(usual), values, usual + gain * (values - usual))
        state.usual[part, series] = np.where(there, moved, usual)
        state.seen[part, series] = seen + (there & (number != state.newest))
        state.newest = np.where(there, number, state.newest)
