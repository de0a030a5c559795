"""Which pipes a change speaks for.

    suspects(change, variance, directions, lengths, near) -> Suspects

The change of m channels (whitened) is compared with the direction of each pipe's leak, its size free. What is left
over is judged by the scatter of the change and by how wrong a direction may be: in each channel by a share of the whole
change, since what is known of the network is rough and a strong change is no better known by that. Before anything is
felt, a leak is as likely on every metre. The pipe to begin at is the one with most probability within the reach of a
crew; the area is what holds it to 80 %.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from analytics.leaks.network.pipes import Floats, Ints

HOLDS = 0.8


@dataclass(frozen=True, slots=True, eq=False)
class Suspects:
    """`probability` (p,); `pipe` to begin at, with the probability `reach` near it; `area` likeliest first; `size` the
    change of flow in m3/h as the best pipe has it; `likeness` (-1..1) of the change to that pipe's direction,
    `contrary` the highest to that of a leak which ends."""

    probability: Floats
    pipe: int
    reach: float
    area: Ints
    size: float
    likeness: float
    contrary: float


def suspects(
    change: Floats, variance: float, directions: Floats, lengths: Floats, near: sparse.csr_array, wrong: float
) -> Suspects:
    """`change` (m,), `directions` (p, m) of 1 m3/h, `lengths` (p,) m, `near` (p, p) what a crew reaches, `wrong` the
    share of the whole change by which each channel of a direction may be wrong.

    >>> near = sparse.csr_array(np.eye(2, dtype=bool))
    >>> found = suspects(np.array([6.0, 0.5]), 1.0, np.eye(2), np.array([100.0, 100.0]), near, 0.2)
    >>> found.pipe, found.area.tolist(), found.size, round(found.reach, 2)
    (0, [0], 6.0, 1.0)
    """
    power = np.maximum((directions**2).sum(axis=1), 1e-12)
    size = directions @ change / power
    whole = float(change @ change)
    left = np.maximum(whole - size**2 * power, 0.0)
    scale = variance + wrong**2 * whole
    weight = np.where(size > 0, -left / (2 * scale), -np.inf)
    if not np.isfinite(weight).any():
        weight = np.zeros(len(weight))
    probability = np.exp(weight - weight.max()) * np.maximum(lengths, 0.1)
    probability /= probability.sum()
    reach = near @ probability
    # Of all that reach as much, the likeliest.
    pipe = int(np.lexsort((probability, np.round(reach, 6)))[-1])
    order = np.argsort(-probability, kind="stable")
    area = order[: int(np.searchsorted(np.cumsum(probability[order]), HOLDS)) + 1]
    likeness = size * np.sqrt(power) / np.sqrt(max(whole, 1e-12))
    best = int(np.argmax(likeness))
    return Suspects(
        probability, pipe, float(reach[pipe]), area, float(size[best]), float(likeness[best]), float(-likeness.min())
    )
