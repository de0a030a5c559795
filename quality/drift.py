"""Walks away, day by day."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from devices.model import Reason
from quality import tolerance
from quality.estimator import Floats
from quality.online import Online, ratio

_DAY = 86400.0


@dataclass(slots=True)
class Walk:
    """Of n series: the mean of about a day and of many, the time of the newest value, when it began, and the tail."""

    day: Floats
    days: Floats
    time: Floats
    began: Floats
    grain: tolerance.Grain
    tail: tolerance.Tail


@dataclass(frozen=True, slots=True)
class Drift(Online[Walk]):
    """Tells that the mean of the last day (of memory) is farther from that of the last `days` days than it ever was.

    Works badly on series that walk by nature: the warming of a spring, a river that falls for weeks, a tank that is
    filled. There only neighbours could tell. It is never early: a day at least.

    Assumes that what the series did in the weeks before is what it does.

    Cost: a dozen operations on whole rows and two exponentials; four numbers a series and its tail.

    >>> times = np.arange(0.0, 90 * 86400, 3600)[:, None]
    >>> rng = np.random.default_rng(1)
    >>> values = np.sin(times / 86400 * 2 * np.pi) + 0.2 * rng.standard_normal(times.shape)
    >>> values[1440:1680, 0] += np.linspace(0, 2, 240)
    >>> drift = Drift()
    >>> told = np.flatnonzero(drift.score(drift.begin(1), times, values)[:, 0] >= 0.5)
    >>> bool(1440 < told[0] < 1680)
    True

    Source: own; exponentially weighted means as in Roberts, "Control chart tests based on geometric moving averages"
    (Technometrics 1, 1959), against a limit that is learnt.
    """

    days: float = 10.0
    nats: float = 6.0
    least_days: float = 20.0
    digits: float = 4.0
    warm: int = 288

    reason: ClassVar[Reason] = Reason.DRIFT
    sentence: ClassVar[str] = "walked away {excess} times as far as is tolerated of this series"

    def begin(self, n: int) -> Walk:
        unknown = np.full(n, np.nan)
        return Walk(unknown, unknown, unknown, unknown, tolerance.grain(n), tolerance.begin(n))

    def step(self, state: Walk, times: Floats, values: Floats) -> Floats:
        there = ~np.isnan(values)
        first = there & np.isnan(state.time)
        compared = there & ~first
        passed = np.where(compared, np.maximum(times - state.time, 0.0), 0.0) / _DAY
        age = np.where(compared, times - state.began, 0.0) / _DAY
        day = np.where(first, values, state.day)
        days = np.where(first, values, state.days)
        # while little is known a mean is one over all that is
        fast = 1.0 - np.exp(-passed / np.minimum(np.maximum(age, 0.01), 1.0))
        slow = 1.0 - np.exp(-passed / np.minimum(np.maximum(age, 0.01), self.days))
        state.day = np.where(compared, day + fast * (values - day), day)
        state.days = np.where(compared, days + slow * (values - days), days)
        distance = np.abs(state.day - state.days)
        limit = np.maximum(state.tail.limit(self.nats), self.digits * state.grain.learn(values))
        warm = (state.tail.known >= self.warm) & (age >= self.least_days)
        excess = ratio(distance, limit, compared & warm)
        known = compared & (age >= 3.0)
        state.tail.learn(np.where(known, distance, np.nan), np.where(warm, limit, np.inf), pace=0.004, gain=0.004)
        state.time = np.where(there, times, state.time)
        state.began = np.where(first, times, state.began)
        return excess
