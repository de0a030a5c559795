"""How large is usual? The tail of a statistic, learnt row by row for many series.

    state = begin(n)
    state.limit(nats)            what is tolerated, shape (n,)
    state.learn(values, cap)     goes on; nan says nothing

A tail is two numbers: the height `high` that one row in fifty exceeds, and the mean `excess` by which these do. Where
tails fall off exponentially, high + nats * excess is passed by one row in 50 * e^nats; a series with bursts has a
greater mean excess, and more is tolerated of it. The height moves by steps of its logarithm (Robbins and Monro 1951),
so that one value a thousand times too large moves it no further than any other; the mean takes no more of a value than
`cap`.

Source: peaks over threshold as in Siffer et al., "Anomaly Detection in Streams with Extreme Value Theory" (KDD 2017),
with an exponential tail in place of a fitted one: its shape needs more excesses than a month has.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from quality.estimator import Floats

_RARE = 0.02  # so many rows exceed `high`
_FASTEST = 100  # rows that are learnt from faster, while little is known


@dataclass(slots=True)
class Tail:
    """What is known of the tails of n series, each of shape (n,): `known` rows, of which `above` exceeded."""

    high: Floats
    excess: Floats
    known: Floats
    above: Floats

    def limit(self, nats: float) -> Floats:
        """What is tolerated."""
        return self.high + nats * self.excess

    def learn(self, values: Floats, cap: Floats, *, pace: float, gain: float, weight: float | Floats = 1.0) -> None:
        """Go on to a row of values from 0 on, shape (n,), nan where there is none; above `cap` they count as that.

        `pace`: how far the logarithm of the height moves at an exceedance; `gain`: how much of the newest excess the
        mean takes. `weight`: how many rows this one counts as, where values that follow each other say the same.
        """
        there = ~np.isnan(values)
        values = np.minimum(np.where(there, values, 0.0), cap)
        first = there & (self.high <= 0) & (values > 0)
        above = there & (values > self.high)
        fast = np.maximum(pace, 1.0 / np.sqrt(np.minimum(self.known, _FASTEST * _FASTEST) + 1.0))
        move = np.where(above, 1.0 - _RARE, -_RARE) * np.where(self.known < _FASTEST, fast, pace) * weight
        mean = np.maximum(gain, 1.0 / (self.above + 2.0)) * weight
        self.excess = np.where(above, self.excess + mean * (values - self.high - self.excess), self.excess)
        self.excess = np.where(first, values / 2, self.excess)
        self.high = np.where(first, values, np.where(there, self.high * np.exp(move), self.high))
        self.known = self.known + there * weight
        self.above = self.above + above * weight


@dataclass(slots=True)
class Grain:
    """The smallest movement of n series, each of shape (n,): what their last digit is. It grows where it never comes
    again, so that one value that was worked out more finely does not count for ever.
    """

    newest: Floats
    finest: Floats

    def learn(self, values: Floats) -> Floats:
        """The grain after a row of values (nan: none), 0 while nothing has moved."""
        there = ~np.isnan(values)
        moved = np.where(there, np.abs(values - self.newest), np.nan)
        self.finest = np.where(moved > 0, np.minimum(moved, self.finest * 1.0005), self.finest)
        self.newest = np.where(there, values, self.newest)
        return np.where(np.isinf(self.finest), 0.0, self.finest)


def grain(n: int) -> Grain:
    """Nothing has moved yet in n series."""
    return Grain(np.full(n, np.nan), np.full(n, np.inf))


def begin(n: int) -> Tail:
    """Nothing is known of n series."""
    return Tail(np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n))
