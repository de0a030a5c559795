"""How water stands in a surveyed cross-section: how wide, how deep, and how much is left to each bank.

    water_at(distance, height, note, level) -> Water

The water of the river is what is connected to the deepest point of its bed: a field behind the levee that lies lower
than the river is dry as long as the levee stands above it. The bank of a side is the point whose note names it (左岸,
右岸, "left bank", "right bank"), else the highest point of that side; the page says which, for a survey that reaches up
a hillside would else promise too much.

Limits: one survey, taken as it was on its day; a flood moves the bed. The surface is level across the river. Nothing
is said of what flows (no rating curve). O(points).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

_LEFT, _RIGHT = ("左岸", "left bank"), ("右岸", "right bank")


@dataclass(frozen=True, slots=True)
class Bank:
    """The crest of a side: where it is (m from the left end of the survey), its height (m), and whether the survey
    names it. `freeboard` m from the water up to it; below 0: the water stands above it.
    """

    distance: float
    height: float
    named: bool
    freeboard: float


@dataclass(frozen=True, slots=True)
class Water:
    """`left` and `right`: where the water meets the ground, m; None where the bed is dry. `width` m of the surface,
    `depth` m at the deepest point, `area` m²; 0 where dry. `beyond`: the water stands above an end of the survey, so
    that width and area are at least that.
    """

    level: float
    left: float | None
    right: float | None
    width: float
    depth: float
    area: float
    beyond: bool
    left_bank: Bank
    right_bank: Bank
    bed: float


def water_at(distance: Sequence[float], height: Sequence[float], note: Sequence[str], level: float) -> Water:
    """How water at `level` stands in a survey of at least three points; level and heights above the same datum, m.

    >>> channel = water_at([0, 2, 4, 6, 8, 10], [5.0, 5.0, 1.0, 1.0, 5.0, 6.0], [""] * 6, 3.0)
    >>> channel.left, channel.right, channel.width, channel.depth, channel.area
    (3.0, 7.0, 4.0, 2.0, 6.0)
    >>> channel.left_bank.freeboard, channel.right_bank.freeboard
    (2.0, 3.0)
    """
    left_named, right_named = _named(note, _LEFT), _named(note, _RIGHT)
    first = 0 if left_named is None else left_named
    last = len(height) - 1 if right_named is None else right_named
    if first >= last:  # the notes contradict the order of the survey
        left_named = right_named = None
        first, last = 0, len(height) - 1
    deepest = min(range(first, last + 1), key=lambda n: height[n])
    banks = (
        _bank(distance, height, level, left_named, range(deepest + 1)),
        _bank(distance, height, level, right_named, range(len(height) - 1, deepest - 1, -1)),
    )
    if level <= height[deepest]:
        return Water(level, None, None, 0.0, 0.0, 0.0, False, *banks, height[deepest])
    begin, left_open = _edge(distance, height, level, deepest, -1)
    end, right_open = _edge(distance, height, level, deepest, 1)
    return Water(
        level,
        begin,
        end,
        end - begin,
        level - height[deepest],
        _area(distance, height, level, begin, end),
        left_open or right_open,
        *banks,
        height[deepest],
    )


def _named(note: Sequence[str], words: Sequence[str]) -> int | None:
    return next((n for n, text in enumerate(note) if any(word in text.lower() for word in words)), None)


def _bank(distance: Sequence[float], height: Sequence[float], level: float, named: int | None, side: range) -> Bank:
    """The named point, else the highest of a side; of equals the one nearest to the river (the last of `side`)."""
    n = named if named is not None else max(side, key=lambda each: (height[each], abs(each - side[0])))
    return Bank(distance[n], height[n], named is not None, height[n] - level)


def _edge(distance: Sequence[float], height: Sequence[float], level: float, n: int, step: int) -> tuple[float, bool]:
    """Where the surface meets the ground on one side; at an end of the survey that is under water, that end."""
    while 0 <= n + step < len(height):
        after = n + step
        if height[after] >= level:
            share = (level - height[n]) / (height[after] - height[n])
            # Weighed, not added: where the water just reaches a point, it meets the ground exactly there; and between
            # two points at one distance, a wall, nowhere beside it.
            edge = (1.0 - share) * distance[n] + share * distance[after]
            low, high = sorted((distance[n], distance[after]))
            return min(max(edge, low), high), False
        n = after
    return distance[n], True


def _area(distance: Sequence[float], height: Sequence[float], level: float, begin: float, end: float) -> float:
    """Between the surface and the ground from `begin` to `end`, by trapezes."""
    points = [(begin, 0.0)]
    points += [(x, max(0.0, level - y)) for x, y in zip(distance, height, strict=True) if begin <= x <= end]
    points.append((end, 0.0))
    return sum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in pairwise(points))
