"""What is said of a suspect: when, where, how much, and why (a 漏水調査候補, until someone has dug)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analytics.leaks.network.pipes import Ints


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """`at` and the interval `began` in seconds since the record's start; `pipe` the index of the one to begin at,
    `area` those to search, likeliest first, of `search_km` in all; `size` m3/h; `strength` of the evidence, in standard
    deviations; `evidence` names it in words."""

    at: float
    pipe: int
    area: Ints
    search_km: float
    size: float
    began: tuple[float, float]
    strength: float
    evidence: str


def walked(lengths: np.typing.NDArray[np.float64], area: Ints) -> float:
    """Kilometres of the pipes in `area` by the `lengths` (p,) m of all.

    >>> walked(np.array([300.0, 50.0, 450.0]), np.array([0, 2]))
    0.75
    """
    return float(lengths[area].sum() / 1000)
