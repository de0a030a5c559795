"""Did a block's nights rise at once or slowly? A step says a pipe broke, a drift that something grows.

    change(nights) -> Change | None

Three pictures of the nights are compared: always the same, one step, or flat and then a straight slope. The one that
leaves the least absolute error after a price for its parameters (BIC of Laplace errors) is taken, and only where it is
clearly better than no change and moves the night by what the night alarm tolerates least (0.5 m3/h). Absolute errors:
one burst or one night of filling moves nothing.

When it works badly: two changes within the nights given are one here, the larger; a drift that just began looks like a
step; with fewer than 14 nights there is no answer. Assumes nights of their own scatter. Cost O(n^2) for n nights.

Source: Schwarz (1978) for the criterion; medians as the fit of absolute errors after Bassett & Koenker (1978).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from analytics.leaks.night_alarm import LEAST_TOLERANCE, Night

FEWEST = 14
_SIDE = 4  # nights that a step or slope needs on either side
_SLOPE = 10  # nights that a slope needs to be told from a step
_CLEARLY = 10.0  # of BIC: "very strong" after Kass & Raftery (1995)
_LEAST_ERROR = 0.05  # m3/h: nights that agree better agree by rounding


@dataclass(frozen=True, slots=True)
class Change:
    """From the night `since` on `size` m3/h more (below zero: less): at once (`step`) or `growing` up to the newest."""

    since: date
    size: float
    growing: bool


def change(nights: Sequence[Night]) -> Change | None:
    """`nights` in the order of their days; those that are missing count for nothing. None: no clear change.

    >>> from datetime import timedelta
    >>> first = date(2026, 6, 1)
    >>> step = [Night(first + timedelta(days=n), 4.0 + (n % 3) * 0.1 + 2 * (n >= 20)) for n in range(40)]
    >>> found = change(step)
    >>> found.since.isoformat(), round(found.size, 1), found.growing
    ('2026-06-21', 2.0, False)
    """
    known = [(each.day, each.minimum) for each in nights if each.minimum is not None]
    n = len(known)
    if n < FEWEST:
        return None
    days = np.array([(day - known[0][0]).days for day, _ in known], dtype=np.float64)
    flow = np.array([minimum for _, minimum in known], dtype=np.float64)

    def cost(errors: np.ndarray[tuple[int], np.dtype[np.float64]], parameters: int) -> float:
        return float(2 * n * np.log(max(np.abs(errors).mean(), _LEAST_ERROR)) + parameters * np.log(n))

    best, found = cost(flow - np.median(flow), 1) - _CLEARLY, None
    for at in range(_SIDE, n - _SIDE + 1):
        before = float(np.median(flow[:at]))
        size = float(np.median(flow[at:])) - before
        errors = flow - before - size * (np.arange(n) >= at)
        if abs(size) >= LEAST_TOLERANCE and cost(errors, 3) < best:
            best, found = cost(errors, 3), Change(known[at][0], size, False)
        if n - at < _SLOPE:
            continue
        grown = days[at:] - days[at - 1]
        slope = float(np.median((flow[at:] - before) / grown))
        errors = flow - before
        errors[at:] -= slope * grown
        if abs(slope * grown[-1]) >= LEAST_TOLERANCE and cost(errors, 3) < best:
            best, found = cost(errors, 3), Change(known[at][0], slope * float(grown[-1]), True)
    return found
