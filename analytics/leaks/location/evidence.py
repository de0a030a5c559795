"""One search area from all that speaks for a place: loggers' pressures, correlations, what was heard.

    combined(lengths, evidences) -> Area
    together(lengths, pipes, own, evidences) -> Area | None     the same beside a search area that was there before

Each evidence is a probability for each pipe, as if it were all that is known and a leak as likely on every metre:
`Suspects.probability`, a correlation's `Place.shares` on the pipes of its way, `falls.chances`. It is of this
leak with a probability `right`; else it is of something else (another leak, a tap, a wrong way) and says nothing. So
one that contradicts the others is outvoted, not multiplied to nothing, and none alone is believed further than `right`.

A recording in which nothing was heard in common is no evidence, and must not be given as one. Two evidences from the
same measurement count as one: give the better.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analytics.leaks.location.suspects import HOLDS
from analytics.leaks.network.pipes import Floats, Ints

RIGHT = 0.8


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """`probability` (p,) of each pipe, summing to 1 (within rounding), and how probably it is `right`."""

    probability: Floats
    right: float = RIGHT


@dataclass(frozen=True, slots=True, eq=False)
class Area:
    """`probability` (p,); `pipes` to search, those with most a metre first, of `km` in all, which hold the leak with
    the probability `holds`."""

    probability: Floats
    pipes: Ints
    km: float
    holds: float


def combined(lengths: Floats, evidences: Sequence[Evidence]) -> Area:
    """`lengths` (p,) m of the pipes that may leak; without evidence all of them alike by the metre.

    >>> pressures, sound = np.array([0.5, 0.4, 0.1, 0.0]), np.array([0.0, 0.9, 0.1, 0.0])
    >>> found = combined(np.full(4, 100.0), [Evidence(pressures), Evidence(sound)])
    >>> found.pipes.tolist(), round(found.km, 1), found.probability.round(2).tolist()
    ([1], 0.1, [0.07, 0.87, 0.05, 0.01])
    """
    metres = np.maximum(lengths, 0.1)
    start = metres / metres.sum()
    log = np.log(start)
    for each in evidences:
        log = log + np.log(np.maximum(each.right * each.probability / start + 1 - each.right, 1e-12))
    probability = np.exp(log - log.max())
    probability /= probability.sum()
    order = np.argsort(-probability / metres, kind="stable")
    held = np.cumsum(probability[order])
    count = min(int(np.searchsorted(held, HOLDS)) + 1, len(order))
    pipes = order[:count]
    return Area(probability, pipes, float(lengths[pipes].sum() / 1000), float(held[count - 1]))


def together(
    lengths: Floats, pipes: Sequence[int], own: Sequence[float] | None, evidences: Sequence[Evidence]
) -> Area | None:
    """`lengths` (p,) m of a network's pipes; `pipes` of the area, with the chance of each where a method gave them
    (`own`), else alike by the metre. The pipes of the answer are of the network; None where there is no evidence.

    >>> sound = Evidence(np.array([0.0, 0.1, 0.9]))
    >>> found = together(np.full(3, 100.0), [0, 1], None, [sound])
    >>> found.pipes.tolist(), round(found.holds, 2)
    ([1, 2, 0], 1.0)
    """
    if not evidences:
        return None
    several = list(evidences)
    if len(pipes):
        first = np.zeros(len(lengths))
        first[list(pipes)] = np.maximum(lengths[list(pipes)], 0.1) if own is None else own
        if first.sum() > 0:
            several.insert(0, Evidence(first / first.sum()))
    domain = np.flatnonzero(sum(each.probability for each in several) > 0)
    found = combined(lengths[domain], [Evidence(each.probability[domain], each.right) for each in several])
    return Area(found.probability, domain[found.pipes], found.km, found.holds)
