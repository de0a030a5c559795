"""Which pipe a point lies on or next to, and where on it.

    nearest(points, lines, within) -> Nearest        of each point the nearest line that is no further than `within`

Lines are sampled every few metres and found by a k-d tree, so that the cost is O(points + metres of pipe).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

import numpy as np

from analytics.leaks.network.pipes import Floats, Ints

_SAMPLE = 5.0  # m


@dataclass(frozen=True, slots=True, eq=False)
class Nearest:
    """Of each point: `line` (n,) its index, -1 where none is near; `distance` (n,) m, inf then; `along` (n,) m from the
    line's start to the place nearest to the point.
    """

    line: Ints
    distance: Floats
    along: Floats


def length(line: Floats) -> float:
    """m along a line.

    >>> length(np.array([[0.0, 0.0], [3.0, 4.0], [3.0, 5.0]]))
    6.0
    """
    return float(np.hypot(*np.diff(line, axis=0).T).sum())


def nearest(
    points: Floats, lines: Sequence[Floats], within: float, *, but: Mapping[int, Set[int]] | None = None
) -> Nearest:
    """`but`: by point, lines that do not count, as the pipes an end belongs to.

    >>> found = nearest(np.array([[5.0, 1.0], [50.0, 50.0]]), [np.array([[0.0, 0.0], [10.0, 0.0]])], 2.0)
    >>> found.line.tolist(), found.distance.tolist(), found.along.tolist()
    ([0, -1], [1.0, inf], [5.0, 0.0])
    """
    from scipy.spatial import cKDTree  # loaded by who reads a network

    result = Nearest(np.full(len(points), -1), np.full(len(points), np.inf), np.zeros(len(points)))
    usable = np.flatnonzero(np.isfinite(points).all(axis=1)) if len(points) else np.zeros(0, np.int64)
    starts, ends, owner, before = _segments(lines)
    if not len(usable) or not len(starts):
        return result
    pieces = np.maximum(np.ceil(np.hypot(*(ends - starts).T) / _SAMPLE).astype(int), 1)
    segment = np.repeat(np.arange(len(starts)), pieces)
    step = np.arange(len(segment)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    share = (step + 0.5) / pieces[segment]
    samples = starts[segment] + share[:, None] * (ends - starts)[segment]
    for point, found in zip(
        usable, cKDTree(samples).query_ball_point(points[usable], within + _SAMPLE / 2 + 1e-9), strict=True
    ):
        near = np.unique(segment[found])
        if but is not None:
            near = near[[owner[each] not in but.get(int(point), ()) for each in near]] if len(near) else near
        if not len(near):
            continue
        way = ends[near] - starts[near]
        squared = np.maximum((way**2).sum(axis=1), 1e-18)
        at = np.clip(((points[point] - starts[near]) * way).sum(axis=1) / squared, 0, 1)
        distance = np.hypot(*(starts[near] + at[:, None] * way - points[point]).T)
        best = int(np.argmin(distance))
        if distance[best] <= within:
            result.line[point] = owner[near[best]]
            result.distance[point] = distance[best]
            result.along[point] = before[near[best]] + at[best] * np.sqrt(squared[best])
    return result


def _segments(lines: Sequence[Floats]) -> tuple[Floats, Floats, Ints, Floats]:
    """Starts, ends, the line of each segment, and the metres of the line before it."""
    good = [(at, line) for at, line in enumerate(lines) if np.isfinite(line).all() and len(line) > 1]
    if not good:
        return np.zeros((0, 2)), np.zeros((0, 2)), np.zeros(0, np.int64), np.zeros(0)
    starts = np.concatenate([line[:-1] for _, line in good])
    ends = np.concatenate([line[1:] for _, line in good])
    owner = np.concatenate([np.full(len(line) - 1, at) for at, line in good])
    before = np.concatenate([np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(x, axis=0).T))[:-1]]) for _, x in good])
    return starts, ends, owner, before
