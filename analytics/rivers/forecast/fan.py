"""What is expected, and how sure that is.

Fan(leads, values, quantiles, persistence, left_out)
passing(fan, level, within) -> (m,)        probability that the level is reached within so many hours
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from analytics.rivers.forecast.record import Floats

QUANTILES = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)


@dataclass(frozen=True, slots=True)
class Fan:
    """m issue times and L leads (hours).

    `values` (m, L), nan where nothing can be said; `quantiles` (m, L, 7) at `QUANTILES`, ascending, nan where it is not
    known how sure that is; `persistence` (m,) the level known at the issue time; `left_out` (m, k) neighbours that were
    not believed then.
    """

    leads: tuple[float, ...]
    values: Floats
    quantiles: Floats
    persistence: Floats
    left_out: npt.NDArray[np.bool_]


def passing(fan: Fan, level: float, within: float) -> Floats:
    """The probability (m,) that `level` is reached at one of the leads up to `within` hours; nan where it is unknown.

    It is the largest of the single leads' probabilities, which is the least that the probability of reaching it at any
    of them can be: how the leads hang together is not known. Between the quantiles it is linear; beyond the outer ones
    it goes on as they did and stays within 0.01 and 0.99. 1 where the level known at the issue time stands there already.

    >>> fan = Fan((1.0,), np.array([[1.2]]), np.array([[[0.9, 1.0, 1.1, 1.2, 1.3, 1.4, 1.5]]]),
    ...           np.array([1.0]), np.zeros((1, 0), dtype=bool))
    >>> passing(fan, 1.4, 1.0).round(2).tolist(), passing(fan, 1.25, 1.0).round(3).tolist()
    ([0.1], [0.375])
    """
    chosen = [at for at, lead in enumerate(fan.leads) if lead <= within + 1e-9]
    found = np.full(len(fan.values), np.nan)
    for at in chosen:
        found = np.fmax(found, np.array([_above(row, level) for row in fan.quantiles[:, at]]))
    return np.where(fan.persistence >= level, 1.0, found)


def _above(quantiles: Floats, level: float) -> float:
    """1 - F(level) by the quantiles of one lead."""
    if np.isnan(quantiles).any():
        return float("nan")
    low, high = quantiles[0], quantiles[-1]
    if level <= low:
        slope = (QUANTILES[1] - QUANTILES[0]) / max(quantiles[1] - low, 1e-9)
        below = QUANTILES[0] - (low - level) * slope
    elif level >= high:
        slope = (QUANTILES[-1] - QUANTILES[-2]) / max(high - quantiles[-2], 1e-9)
        below = QUANTILES[-1] + (level - high) * slope
    else:
        below = float(np.interp(level, quantiles, QUANTILES))
    return float(min(0.99, max(0.01, 1.0 - below)))
