"""From a grid to polygons: what lies above a height as rings, simplified, with their holes.

Marching squares with linear interpolation; beyond the grid's edge everything is low, so every line closes. A ring runs
with the high ground on its left: outer rings turn counter-clockwise, holes clockwise (RFC 7946).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from simulators.chance import uniform

Place = tuple[float, float]
Ring = list[Place]
Point = TypeVar("Point", bound=tuple[float, ...])
_Edge = tuple[int, int, int]  # row, column, 0: the edge to the right of that corner, 1: the one upwards

# Corners: 1 south-west, 2 south-east, 4 north-east, 8 north-west. Sides: 0 south, 1 east, 2 north, 3 west.
# Each pair is a piece of line from side to side, high ground on its left; a saddle keeps its two high corners apart.
_PIECES = {
    1: ((0, 3),), 2: ((1, 0),), 3: ((1, 3),), 4: ((2, 1),), 5: ((0, 3), (2, 1)), 6: ((2, 0),), 7: ((2, 3),),
    8: ((3, 2),), 9: ((0, 2),), 10: ((1, 0), (3, 2)), 11: ((1, 2),), 12: ((3, 1),), 13: ((0, 1),), 14: ((3, 0),),
}  # fmt: skip


def areas_above(
    x: NDArray[np.float64], y: NDArray[np.float64], field: NDArray[np.float64], level: float, smallest: float
) -> list[list[Ring]]:
    """The areas in which a field is above a level: for each its outer ring and then its holes.

    Rings of less than `smallest` (in units of x times y) are left out. The largest area comes first.
    """
    step = float(x[1] - x[0])
    # just below the level, so that an area at the edge ends where the padding stands, not half a cell before
    padded = np.pad(field, 1, constant_values=level - 1e-6)
    xs = np.concatenate([[x[0] - step / 2], x, [x[-1] + step / 2]])
    ys = np.concatenate([[y[0] - step / 2], y, [y[-1] + step / 2]])
    rings = [ring for ring in _rings(xs, ys, padded, level) if abs(area(ring)) >= smallest]
    outer = sorted((ring for ring in rings if area(ring) > 0), key=lambda ring: -area(ring))
    found = [[ring] for ring in outer]
    for hole in (ring for ring in rings if area(ring) < 0):
        around = [each for each in found if inside(hole[0], each[0])]
        if around:
            min(around, key=lambda each: area(each[0])).append(hole)
    return found


def _rings(
    xs: NDArray[np.float64], ys: NDArray[np.float64], field: NDArray[np.float64], level: float
) -> Iterator[Ring]:
    high = field > level
    code = 1 * high[:-1, :-1] + 2 * high[:-1, 1:] + 4 * high[1:, 1:] + 8 * high[1:, :-1]
    follows: dict[_Edge, _Edge] = {}
    for i, j in np.argwhere((code > 0) & (code < 15)).tolist():
        sides = ((i, j, 0), (i, j + 1, 1), (i + 1, j, 0), (i, j, 1))
        for start, end in _PIECES[int(code[i, j])]:
            follows[sides[start]] = sides[end]

    def crossing(edge: _Edge) -> Place:
        i, j, upwards = edge
        k, m = (i + 1, j) if upwards else (i, j + 1)
        share = (level - field[i, j]) / (field[k, m] - field[i, j])
        return float(xs[j] + share * (xs[m] - xs[j])), float(ys[i] + share * (ys[k] - ys[i]))

    while follows:
        first, edge = follows.popitem()
        ring = [crossing(first)]
        while edge != first:
            ring.append(crossing(edge))
            edge = follows.pop(edge)
        yield ring


def area(ring: Sequence[Place]) -> float:
    """Twice-signed area halved: above 0 where the ring turns counter-clockwise."""
    closed = [*ring, ring[0]]
    return sum(a[0] * b[1] - b[0] * a[1] for a, b in pairwise(closed)) / 2


def inside(place: Place, ring: Sequence[Place]) -> bool:
    """Whether a place lies in a ring (even-odd rule)."""
    x, y = place
    odd = False
    for (ax, ay), (bx, by) in pairwise([*ring, ring[0]]):
        if (ay > y) != (by > y) and x < ax + (y - ay) / (by - ay) * (bx - ax):
            odd = not odd
    return odd


def simplified(line: Sequence[Place], tolerance: float) -> list[Place]:
    """The line with no more points than it needs to stay within `tolerance` of itself (Douglas and Peucker, 1973)."""
    if len(line) < 3:
        return list(line)
    (ax, ay), (bx, by) = line[0], line[-1]
    points = np.array(line)
    length = np.hypot(bx - ax, by - ay)
    if length < 1e-9:  # a ring: by the distance from its first point
        away = np.hypot(points[:, 0] - ax, points[:, 1] - ay)
    else:
        away = abs((bx - ax) * (points[:, 1] - ay) - (by - ay) * (points[:, 0] - ax)) / length
    far = int(np.argmax(away))
    if away[far] <= tolerance:
        return [line[0], line[-1]]
    return simplified(line[: far + 1], tolerance)[:-1] + simplified(line[far:], tolerance)


def rounded(line: Sequence[Point], times: int = 2) -> list[Point]:
    """The line with its corners cut (Chaikin, 1974); its ends stay. Points may have any number of coordinates."""
    for _ in range(times):
        cut = [line[0]]
        for a, b in pairwise(line):
            for share in (0.25, 0.75):
                cut.append(tuple(p + share * (q - p) for p, q in zip(a, b, strict=True)))  # type: ignore[arg-type]
        line = [*cut, line[-1]]
    return list(line)


def wandering(line: Sequence[Point], amount: float, *question: object) -> list[Point]:
    """The line as nature would draw it: three times the middle of each piece set aside by up to `amount` of its length.

    `question` is what chance is asked with (`simulators.chance`). The first two coordinates wander; others lie between.
    """
    for depth in range(3):
        crooked = [line[0]]
        for number, (a, b) in enumerate(pairwise(line)):
            middle = [(p + q) / 2 for p, q in zip(a, b, strict=True)]
            aside = amount * (2 * uniform(*question, depth, number) - 1)
            middle[0] -= aside * (b[1] - a[1])
            middle[1] += aside * (b[0] - a[0])
            crooked += [tuple(middle), b]  # type: ignore[list-item]
        line = crooked
    return list(line)
