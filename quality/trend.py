"""Where do a few weeks of daily figures go, whatever single days did?

    theil_sen(days, values) -> Trend | None

The slope is the median of the slopes of all pairs of days (Theil 1950, Sen 1968): a third of the days may be anything.
Its limits are Sen's, from the variance of Kendall's tau, two-sided 95 %: where they lie on both sides of 0 nobody can
say whether it goes anywhere at all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

FEWEST = 10
_Z = 1.96


@dataclass(frozen=True, slots=True)
class Trend:
    """`slope` per day with its limits, and `now`: the level at the newest day by that slope."""

    slope: float
    low: float
    high: float
    now: float

    @property
    def falling(self) -> bool:
        return self.high < 0

    @property
    def rising(self) -> bool:
        return self.low > 0


def theil_sen(days: Sequence[float], values: Sequence[float]) -> Trend | None:
    """The trend of values over days (each day once, in any order); None of fewer than `FEWEST` days.

    >>> trend = theil_sen(range(30), [3.6 - 0.002 * day for day in range(30)])
    >>> round(trend.slope, 6), round(trend.now, 3), trend.falling
    (-0.002, 3.542, True)
    >>> theil_sen(range(5), [3.6] * 5)
    """
    x, y = np.asarray(days, dtype=np.float64), np.asarray(values, dtype=np.float64)
    n = len(x)
    if n < FEWEST:
        return None
    first, second = np.triu_indices(n, 1)
    apart = x[second] - x[first]
    slopes = np.sort((y[second] - y[first])[apart != 0] / apart[apart != 0])
    if not len(slopes):
        return None
    slope = float(np.median(slopes))
    spread = _Z * math.sqrt(n * (n - 1) * (2 * n + 5) / 18)
    low = slopes[max(0, math.floor((len(slopes) - spread) / 2))]
    high = slopes[min(len(slopes) - 1, math.ceil((len(slopes) + spread) / 2))]
    now = float(np.median(y - slope * (x - x.max())))
    return Trend(slope, float(low), float(high), now)
