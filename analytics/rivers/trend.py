"""How fast is the water rising, and how far is it to the next reference level?

    trend(times, values) -> Trend | None
    distance_to_next(value, levels) -> Distance | None

The rate is the Theil-Sen slope: the median of the slopes between all pairs of readings of the last hour. One wrong
reading in five does not move it, which a regression line or the difference of the last two readings cannot say; with
seven readings at 10 minutes it needs no tuning.

When it works badly: it lags a sudden rise by about a third of its window; with fewer than three readings, or less
than 20 minutes between the first and the last, it says nothing (None), for unknown is not steady. It describes what
was observed and says nothing about what comes: by law that is another matter (気象業務法 第17条).

Cost: O(n^2) pairs; n is 7 at 10 minutes and 61 at 1 minute.

Source: Sen, P. K. (1968), Estimates of the regression coefficient based on Kendall's tau, JASA 63, 1379-1389.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt

from devices.model import ThresholdLevel

WINDOW = timedelta(minutes=60)
SHORTEST_SPAN = timedelta(minutes=20)
FEWEST = 3


@dataclass(frozen=True, slots=True)
class Trend:
    """`rate` in the unit of the values per hour, upwards positive, over `n` readings that span `span`."""

    rate: float
    n: int
    span: timedelta


@dataclass(frozen=True, slots=True)
class Distance:
    """The next reference level above the water and how many metres it is away (above 0)."""

    level: ThresholdLevel
    metres: float


def trend(times: Sequence[datetime], values: npt.NDArray[np.float64], *, window: timedelta = WINDOW) -> Trend | None:
    """The rate over the last `window` before the last usable reading.

    `times` (n,) ascending and aware; `values` (n,), nan where not usable. None where there is too little to say.

    >>> from datetime import UTC
    >>> times = [datetime(2026, 6, 1, 3, tzinfo=UTC) + timedelta(minutes=10 * n) for n in range(7)]
    >>> rising = trend(times, np.array([1.00, 1.05, 1.11, 1.15, 9.99, 1.25, 1.31]))
    >>> round(rising.rate, 2), rising.n
    (0.3, 7)
    >>> trend(times[:2], np.array([1.0, 1.2])) is None
    True
    """
    usable = np.flatnonzero(~np.isnan(values))
    if not len(usable):
        return None
    newest = times[int(usable[-1])]
    chosen = [int(each) for each in usable if newest - times[int(each)] <= window]
    span = newest - times[chosen[0]]
    if len(chosen) < FEWEST or span < SHORTEST_SPAN:
        return None
    hours = np.array([(times[each] - newest).total_seconds() / 3600 for each in chosen])
    first, second = np.triu_indices(len(chosen), k=1)
    readings = values[chosen]
    slopes = (readings[second] - readings[first]) / (hours[second] - hours[first])
    return Trend(float(np.median(slopes)), len(chosen), span)


def distance_to_next(value: float, levels: Iterable[ThresholdLevel]) -> Distance | None:
    """The lowest reference level that `value` has not reached; None above the highest.

    >>> levels = [ThresholdLevel(2, "氾濫注意水位", "Caution", 1.5), ThresholdLevel(4, "氾濫危険水位", "Danger", 2.3)]
    >>> ahead = distance_to_next(1.8, levels)
    >>> ahead.level.name, round(ahead.metres, 2)
    ('氾濫危険水位', 0.5)
    >>> distance_to_next(2.3, levels) is None
    True
    """
    above = [each for each in levels if each.value > value]
    if not above:
        return None
    level = min(above, key=lambda each: each.value)
    return Distance(level, level.value - value)
