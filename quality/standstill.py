"""Stands still longer than the series ever did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from devices.model import Reason
from quality.estimator import Floats
from quality.online import Online, ratio


@dataclass(slots=True)
class Runs:
    """Of n series: the value, how often in a row, the longest run so far, the share of repetitions, rows."""

    value: Floats
    length: Floats
    longest: Floats
    repeats: Floats
    rows: Floats
    told: Floats


@dataclass(frozen=True, slots=True)
class Standstill(Online[Runs]):
    """Tells that a value is repeated more often than this series repeats values: `least` times, `times_longest` times
    as often as ever before, and more often than chance would once in 10^9 rows with its share of repetitions.

    It tells the first `tell` values, which is news; the gate doubts each value of a standstill (`stuck`).

    Works badly on sensors that tremble although they are stuck, and until a series has stood still honestly once.

    Assumes that an honest standstill is no more than `times_longest` times as long as the longest before.

    Cost: a dozen operations on whole rows and a logarithm; six numbers a series.

    >>> rng = np.random.default_rng(1)
    >>> values = np.round(rng.standard_normal((600, 1)), 1)
    >>> values[500:550] = 0.3
    >>> times = np.arange(600.0)[:, None] * 600
    >>> standstill = Standstill()
    >>> told = np.flatnonzero(standstill.score(standstill.begin(1), times, values)[:, 0] >= 0.5)
    >>> int(told[0]), len(told)
    (511, 24)

    Source: own; as `stuck`, with what is honest learnt instead of given.
    """

    least: int = 12
    times_longest: float = 3.0
    tell: int = 24
    warm: int = 288

    reason: ClassVar[Reason] = Reason.STUCK
    sentence: ClassVar[str] = "stands still {excess} times as long as is tolerated of this series"

    def begin(self, n: int) -> Runs:
        return Runs(np.full(n, np.nan), np.zeros(n), np.ones(n), np.full(n, 0.5), np.zeros(n), np.zeros(n))

    def step(self, state: Runs, times: Floats, values: Floats) -> Floats:
        there = ~np.isnan(values)
        same = there & (values == state.value)
        limit = np.maximum(self.least, self.times_longest * state.longest)
        # by chance, were repetitions independent: once in 10^9 rows
        limit = np.maximum(limit, 20.7 / -np.log(np.minimum(state.repeats, 0.999)))
        ended = there & ~same
        learnt = np.maximum(np.minimum(state.length, limit), state.longest * 0.9999)
        state.longest = np.where(ended, learnt, state.longest)
        state.length = np.where(same, state.length + 1, np.where(there, 1.0, state.length))
        excess = ratio(state.length, limit, there & (state.rows >= self.warm))
        state.told = np.where(there, np.where(excess >= 1.0, state.told + 1, 0.0), state.told)
        known = state.told > self.tell
        gain = 1.0 / np.minimum(state.rows + 2.0, 2000.0)
        learnt = there & (excess < 1.0)
        state.repeats = np.where(learnt, state.repeats + gain * (same - state.repeats), state.repeats)
        state.value = np.where(there, values, state.value)
        state.rows = state.rows + there
        return np.where(known, np.minimum(excess, 0.99), excess)
