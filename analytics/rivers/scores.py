"""How good what was said turned out to be: per lead against persistence, and probabilities against how often it came.

    came(level, rows, leads, step)                what was measured so many hours after each row
    scores(fan_leads, expected, quantiles, persistence, came)       a `Score` a lead
    reached(level, rows, threshold, hours, step)  whether a level was reached within so many hours: 1, 0, or nan
    reliability(probabilities, happened)          a reliability diagram's bins

PI = 1 - SSE / SSE of persistence (Kitanidis and Bras 1980, Water Resources Research 16(6)): 1 is perfect, 0 no better
than "it stays as it is". Coverage is how much of what came lay within the 90 % interval, limits included. Where nothing
was measured later there is nothing to compare, and it is left out of both.

Cost: a few passes over the rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from analytics.rivers.forecast.fan import QUANTILES
from store.columns import Floats

LOW, MEDIAN, HIGH = (QUANTILES.index(each) for each in (0.05, 0.5, 0.95))
LOW_HALF, HIGH_HALF = (QUANTILES.index(each) for each in (0.25, 0.75))
EDGES = (0.0, 0.05, 0.2, 0.4, 0.6, 0.8, 0.95, 1.0)


@dataclass(frozen=True, slots=True)
class Score:
    """Of one lead (hours): `n` comparisons; `pi` None where persistence was never wrong; `coverage` a share, None where
    there was no interval; errors in the unit of the level.
    """

    lead: float
    n: int
    rmse: float | None
    rmse_persistence: float | None
    pi: float | None
    coverage: float | None


@dataclass(frozen=True, slots=True)
class Bin:
    """Of `n` probabilities from `low` to `high`, `said` on average, so many came true."""

    low: float
    high: float
    n: int
    said: float
    came: int

    @property
    def share(self) -> float:
        return self.came / self.n


def came(level: Floats, rows: npt.NDArray[np.intp], leads: Sequence[float], step: float) -> Floats:
    """What was measured, (rows, leads); nan where nothing usable was. `step` seconds between rows of `level` (n,).

    >>> came(np.array([1.0, 2.0, np.nan, 4.0]), np.array([0, 1]), (1.0, 2.0), 3600.0).tolist()
    [[2.0, nan], [nan, 4.0]]
    """
    at = rows[:, None] + np.round(np.array(leads) * 3600.0 / step).astype(np.intp)
    padded = np.append(level, np.nan)
    return padded[np.minimum(at, len(level))]


def scores(
    leads: Sequence[float], expected: Floats, quantiles: Floats, persistence: Floats, later: Floats
) -> tuple[Score, ...]:
    """`expected` and `later` (m, leads), `quantiles` (m, leads, QUANTILES), `persistence` (m,)."""
    return tuple(
        _score(lead, expected[:, n], quantiles[:, n], persistence, later[:, n]) for n, lead in enumerate(leads)
    )


def _score(lead: float, expected: Floats, quantiles: Floats, persistence: Floats, later: Floats) -> Score:
    known = ~np.isnan(expected) & ~np.isnan(later) & ~np.isnan(persistence)
    n = int(known.sum())
    if not n:
        return Score(lead, 0, None, None, None, None)
    error = float(np.mean((later[known] - expected[known]) ** 2))
    still = float(np.mean((later[known] - persistence[known]) ** 2))
    low, high = quantiles[known, LOW], quantiles[known, HIGH]
    spanned = ~np.isnan(low) & ~np.isnan(high)
    inside = (later[known] >= low) & (later[known] <= high)
    return Score(
        lead,
        n,
        error**0.5,
        still**0.5,
        1.0 - error / still if still > 0 else None,
        float(inside[spanned].mean()) if spanned.any() else None,
    )


def reached(level: Floats, rows: npt.NDArray[np.intp], threshold: float, hours: float, step: float) -> Floats:
    """(rows,): 1 where the level stood at `threshold` or above within `hours` after the row, 0 where it did not, nan
    where it stood there already, and where half of those hours were not measured, unless what was measured is enough.

    >>> level = np.array([1.0, 1.5, 2.0, 1.0, np.nan, np.nan])
    >>> reached(level, np.arange(5), 2.0, 2.0, 3600.0).tolist()
    [1.0, 1.0, nan, nan, nan]
    """
    steps = max(1, round(hours * 3600.0 / step))
    padded = np.append(level, np.full(steps, np.nan))
    ahead = np.lib.stride_tricks.sliding_window_view(padded, steps)[rows + 1]
    known = ~np.isnan(ahead)
    hit = np.any(np.where(known, ahead, -np.inf) >= threshold, axis=1)
    answer = np.where(hit, 1.0, np.where(known.sum(axis=1) * 2 > steps, 0.0, np.nan))
    here = level[rows]
    return np.where(np.isnan(here) | (here >= threshold), np.nan, answer)


def reliability(probabilities: Floats, happened: Floats) -> tuple[Bin, ...]:
    """Bins between `EDGES` that hold anything, the lowest first; pairs with a nan are left out.

    >>> reliability(np.array([0.0, 0.01, 0.5, 1.0]), np.array([0.0, 1.0, np.nan, 1.0]))
    (Bin(low=0.0, high=0.05, n=2, said=0.005, came=1), Bin(low=0.95, high=1.0, n=1, said=1.0, came=1))
    """
    known = ~np.isnan(probabilities) & ~np.isnan(happened)
    said, true = probabilities[known], happened[known]
    place = np.clip(np.searchsorted(np.array(EDGES), said, side="right") - 1, 0, len(EDGES) - 2)
    found = []
    for n in np.unique(place):
        inside = place == n
        found.append(
            Bin(
                EDGES[n],
                EDGES[n + 1],
                int(inside.sum()),
                float(said[inside].mean()),
                int(true[inside].sum()),
            )
        )
    return tuple(found)
