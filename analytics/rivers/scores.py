"""How good what was said turned out to be: per lead against persistence, and probabilities against how often it came.

    came(level, rows, leads, step)                what was measured so many hours after each row
    scores(fan_leads, expected, quantiles, persistence, came)       a `Score` a lead
    reached(level, rows, threshold, hours, step)  whether a level was reached within so many hours: 1, 0, or nan

PI and coverage are those of `analytics.rivers.forecast.scores`. Where nothing was measured later, or nothing was said,
there is nothing to compare, and it is left out.

Cost: a few passes over the rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from analytics.rivers.forecast.fan import QUANTILES
from analytics.rivers.forecast.scores import coverage, errors
from store.columns import Floats

LOW, MEDIAN, HIGH = (QUANTILES.index(each) for each in (0.05, 0.5, 0.95))
LOW_HALF, HIGH_HALF = (QUANTILES.index(each) for each in (0.25, 0.75))


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
    compared = np.where(np.isnan(expected), np.nan, later)
    found = errors(expected, persistence, compared)
    within = coverage(quantiles[:, LOW], quantiles[:, HIGH], compared)
    return Score(lead, found.n, found.rmse, found.rmse_persistence, found.pi, within)


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
