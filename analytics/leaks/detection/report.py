"""What is said of a suspect: when, where, how much, and why (a 漏水調査候補, until someone has dug)."""

from __future__ import annotations

from dataclasses import dataclass

from analytics.leaks.network.pipes import Floats, Ints


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """`at` and the interval `began` in seconds since the record's start; `pipe` the index of the one to begin at,
    `area` those to search, likeliest first, with the `chances` (k,) that it is each, of `search_km` in all; `size` in
    m3/h.

    Why: a change of `strength` standard deviations, sudden or growing over some days (`growth`, 0: sudden), as alike
    (`likeness`, at most 1) to what that pipe's leak would do; seen by the kinds of channel `means`.
    """

    at: float
    pipe: int
    area: Ints
    chances: Floats
    search_km: float
    size: float
    began: tuple[float, float]
    strength: float
    likeness: float
    growth: int
    means: tuple[str, ...]

    @property
    def holds(self) -> float:
        """The probability that the area holds the leak, as the method sees it."""
        return float(self.chances.sum())

    @property
    def evidence(self) -> str:
        """Why, in words."""
        kind = "growth" if self.growth else "step"
        strength = f"strength {self.strength:.0f}; likeness {self.likeness:.2f}"
        return f"{' and '.join(self.means)}: {kind}; {strength}"


def walked(lengths: Floats, area: Ints) -> float:
    """Kilometres of the pipes in `area` by the `lengths` (p,) m of all.

    >>> import numpy as np
    >>> walked(np.array([300.0, 50.0, 450.0]), np.array([0, 2]))
    0.75
    """
    return float(lengths[area].sum() / 1000)
