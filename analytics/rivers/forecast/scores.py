"""How good forecasts were, by what came.

    errors(values, persistence, came, high) -> Errors
    crossings(...) -> Crossings               of one level, against the rule that only tells what stands already
    reliability(said, came) -> [Bin]

PI is the persistence index 1 - SSE / SSE of persistence (Kitanidis & Bras 1980), NSE the Nash-Sutcliffe efficiency.
POD, FAR and the lead time are those of warning verification (Wilks, Statistical Methods in the Atmospheric Sciences).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from analytics.rivers.forecast.record import Floats

Flags = npt.NDArray[np.bool_]
BINS = (0.0, 0.05, 0.15, 0.3, 0.5, 0.7, 0.85, 0.95, 1.0)
APART = 6.0  # hours below a level until reaching it again is another crossing


@dataclass(frozen=True, slots=True)
class Errors:
    """Of `n` targets; None where there is nothing to divide by. A target without a forecast counts as persistence."""

    n: int
    rmse: float | None
    rmse_persistence: float | None
    nse: float | None
    pi: float | None


@dataclass(frozen=True, slots=True)
class Crossings:
    """`events` crossings, of which `found` were told before; `told` stretches of being told, of which `false` were
    followed by none. `lead_time` median hours from the first word to the crossing, 0 for what was not told: persistence
    never has more.
    """

    events: int
    found: int
    told: int
    false: int
    lead_time: float | None

    @property
    def pod(self) -> float | None:
        return self.found / self.events if self.events else None

    @property
    def far(self) -> float | None:
        return self.false / self.told if self.told else None


@dataclass(frozen=True, slots=True)
class Bin:
    """`n` times a probability of `said` on average was told, and how often it came."""

    said: float
    came: float
    n: int


def errors(values: Floats, persistence: Floats, came: Floats) -> Errors:
    """All (m,); nan `came` or `persistence` is left out, nan `values` is scored as persistence."""
    kept = ~np.isnan(came) & ~np.isnan(persistence)
    came, persistence = came[kept], persistence[kept]
    missed = came - np.where(np.isnan(values[kept]), persistence, values[kept])
    stayed = came - persistence
    if not len(came):
        return Errors(0, None, None, None, None)
    squared, still = float((missed**2).sum()), float((stayed**2).sum())
    spread = float(((came - came.mean()) ** 2).sum())
    return Errors(
        len(came),
        (squared / len(came)) ** 0.5,
        (still / len(came)) ** 0.5,
        1.0 - squared / spread if spread else None,
        1.0 - squared / still if still else None,
    )


def coverage(low: Floats, high: Floats, came: Floats) -> float | None:
    """The share of what came that lay within."""
    kept = ~np.isnan(came) & ~np.isnan(low) & ~np.isnan(high)
    return float(((came >= low) & (came <= high))[kept].mean()) if kept.any() else None


def crossings(came: Floats, told: Flags, rows: int, hour: int) -> Crossings:
    """`came` (n,) the level less the threshold, row by row; `told` (n,) whether it was expected, at that row, to be
    reached within so many `rows`.
    """
    above = came >= 0
    below = ~above & ~np.isnan(came)
    # A gap neither ends a crossing nor begins one.
    apart = round(APART * hour)
    ups = [int(at) for at in np.flatnonzero(above) if at and below[at - 1] and not above[max(0, at - apart) : at].any()]
    waits = []
    for up in ups:
        first = up
        while first > max(0, up - rows) and told[first - 1] and below[first - 1]:
            first -= 1
        waits.append((up - first) / hour)
    said = told & below
    starts = np.flatnonzero(said & ~np.concatenate([[False], said[:-1]]))
    # What was said so late that its time is not over cannot be judged.
    judged = [int(at) for at in starts if at + rows < len(came)]
    false = sum(1 for at in judged if not above[at : at + rows + 1].any())
    lead_time = float(np.median(waits)) if waits else None
    return Crossings(len(ups), sum(1 for wait in waits if wait), len(judged), false, lead_time)


def reliability(said: Floats, came: Flags) -> list[Bin]:
    """`said` (m,) probabilities (nan: none) and whether it came, in `BINS`."""
    known = ~np.isnan(said)
    said, came = said[known], came[known]
    place = np.clip(np.digitize(said, BINS[1:-1]), 0, len(BINS) - 2)
    return [
        Bin(float(said[place == at].mean()), float(came[place == at].mean()), int((place == at).sum()))
        for at in range(len(BINS) - 1)
        if (place == at).any()
    ]
