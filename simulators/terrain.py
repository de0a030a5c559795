"""The lie of a land that does not exist: a height for every cell of a grid, and where its water goes.

Valleys are cones about the beds of streams: a cell is as high as the lowest of `bed + slope x distance` over all
streams and the coast, so that ridges stand where two valleys meet. Slopes steepen inland, noise of three wavelengths
makes the hills uneven, and hills of their own can be set on top. Beside the map's landward edges the land rises: the
divide is the edge.

Water finds its way by priority flood: from the sea upwards the lowest cell not yet reached drains into the neighbour it
was reached from. So no cell is left in a pit, and what lies above a place is one walk over the tree.

Lengths in km from the map's south-west corner (x east, y north), heights in m. A pure function of its arguments.

Source: R. Barnes, C. Lehman, D. Mulla, "Priority-flood: an optimal depression-filling and watershed-labeling algorithm
for digital elevation models", Computers & Geosciences 62 (2014).
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Grid = NDArray[np.float64]
Place = tuple[float, float]

STEP = 0.08  # km between cells
_BED_CUT = 4.0  # m, how deep a stream lies in its cell
_NEIGHBOURS = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if i or j]


@dataclass(frozen=True, slots=True)
class Stream:
    """A river or a brook: its line from source to end, and the height of its bed at each point."""

    line: tuple[Place, ...]
    bed: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Hill:
    """A hill on top of the rest: `height` m more in its middle, `reach` km to where it is 60 % of that."""

    middle: Place
    height: float
    reach: float


@dataclass(frozen=True)
class Terrain:
    """Heights (rows from south to north) at the cells' middles, below 0 in the sea; `drains` is the flat index of the
    cell that a cell's water goes to, -1 in the sea.
    """

    x: Grid
    y: Grid
    height: Grid
    drains: NDArray[np.int64]
    order: NDArray[np.int64]  # land cells, each after the one it drains to

    def at(self, place: Place) -> float:
        """The height of the nearest cell's middle."""
        return float(self.height[self._cell(place)])

    def above(self, place: Place) -> NDArray[np.bool_]:
        """The cells whose water passes a place (rows, columns), itself included: the wettest cell within 0.2 km, for a
        line drawn by hand may miss its river by a cell.
        """
        away = np.hypot(self.x[None, :] - place[0], self.y[:, None] - place[1])
        near = np.where((away <= 0.2) & (self.drains.reshape(away.shape) >= 0), self._drained(), 0)
        inside = np.zeros(self.height.size, dtype=bool)
        inside[int(np.argmax(near))] = True
        for cell in self.order:
            if inside[self.drains[cell]]:
                inside[cell] = True
        return inside.reshape(self.height.shape)

    def _drained(self) -> NDArray[np.int64]:
        """How many cells drain through each."""
        count = np.ones(self.height.size, dtype=np.int64)
        for cell in self.order[::-1]:
            count[self.drains[cell]] += count[cell]
        return count.reshape(self.height.shape)

    def _cell(self, place: Place) -> tuple[int, int]:
        return int(np.argmin(abs(self.y - place[1]))), int(np.argmin(abs(self.x - place[0])))


def raise_land(
    seed: int,
    size: Place,
    coast: Sequence[Place],
    streams: Sequence[Stream],
    hills: Sequence[Hill] = (),
) -> Terrain:
    """The land north of a coast (points from west to east across the whole map), with its streams."""
    x = np.arange(STEP / 2, size[0], STEP)
    y = np.arange(STEP / 2, size[1], STEP)
    across, along = np.meshgrid(x, y)
    shore, _ = _distance(across, along, coast)
    land = ~_within(across, along, [*coast, (size[0] + 1, coast[-1][1]), (size[0] + 1, -1.0), (-1.0, -1.0)])
    inland = np.clip((shore - 1.4) / 4.2, 0.0, 1.0)
    steep = 12.0 + 340.0 * inland
    roughness = 1.0 + 0.75 * _noise(np.random.default_rng(seed), size, across, along)
    height = 1.2 + 3.0 * shore + 85.0 * np.clip(shore - 1.7, 0.0, None) ** 1.3 * roughness
    for stream in streams:
        away, nearest = _distance(across, along, stream.line)
        bed = np.interp(nearest, np.arange(len(stream.bed)), stream.bed)
        flat = np.clip(away - 0.12, 0.0, None)
        height = np.minimum(height, bed + 6.0 * away + steep * flat**1.1 * roughness)
    edge = np.minimum(np.minimum(across, size[0] - across), size[1] - along)
    height += 45.0 * inland * np.clip(1.0 - edge / 0.5, 0.0, 1.0)
    for hill in hills:
        far2 = (across - hill.middle[0]) ** 2 + (along - hill.middle[1]) ** 2
        height += hill.height * np.exp(-far2 / (2 * hill.reach**2))
    height = np.where(land, np.maximum(height, 0.4), -20.0 * shore - 1.0)
    drains, order = _drainage(_carved(height, x, y, streams))
    return Terrain(x, y, height, drains, order)


def _distance(across: Grid, along: Grid, line: Sequence[Place]) -> tuple[Grid, Grid]:
    """How far each cell is from a line, and where on it the nearest point is (index of the point, with a fraction)."""
    best, where = np.full(across.shape, np.inf), np.zeros(across.shape)
    for index, ((ax, ay), (bx, by)) in enumerate(pairwise(line)):
        dx, dy = bx - ax, by - ay
        share = np.clip(((across - ax) * dx + (along - ay) * dy) / max(dx * dx + dy * dy, 1e-12), 0.0, 1.0)
        away = np.hypot(across - ax - share * dx, along - ay - share * dy)
        nearer = away < best
        best, where = np.where(nearer, away, best), np.where(nearer, index + share, where)
    return best, where


def _within(across: Grid, along: Grid, ring: Sequence[Place]) -> NDArray[np.bool_]:
    """Which cells lie in a ring (even-odd rule)."""
    odd = np.zeros(across.shape, dtype=bool)
    for (ax, ay), (bx, by) in zip(ring, [*ring[1:], ring[0]], strict=True):
        if ay != by:
            odd ^= ((ay > along) != (by > along)) & (across < ax + (along - ay) / (by - ay) * (bx - ax))
    return odd


def _noise(chance: np.random.Generator, size: Place, across: Grid, along: Grid) -> Grid:
    """Smooth noise between about -1 and 1: values on three lattices, joined by a smooth step."""
    total = np.zeros(across.shape)
    for wavelength, weight in ((2.4, 0.4), (1.1, 0.36), (0.5, 0.24)):
        lattice = chance.uniform(-1.0, 1.0, (int(size[1] / wavelength) + 3, int(size[0] / wavelength) + 3))
        column, row = across / wavelength, along / wavelength
        left, low = column.astype(int), row.astype(int)
        u, v = column - left, row - low
        u, v = u * u * (3 - 2 * u), v * v * (3 - 2 * v)
        south = lattice[low, left] * (1 - u) + lattice[low, left + 1] * u
        north = lattice[low + 1, left] * (1 - u) + lattice[low + 1, left + 1] * u
        total += weight * (south * (1 - v) + north * v)
    return total


def _carved(height: Grid, x: Grid, y: Grid, streams: Sequence[Stream]) -> Grid:
    """The heights with every stream cut into its cells, so that water which has met one stays in it."""
    carved = height.copy()
    for stream in streams:
        for index, ((ax, ay), (bx, by)) in enumerate(pairwise(stream.line)):
            for share in np.linspace(0.0, 1.0, 2 + int(np.hypot(bx - ax, by - ay) / (STEP / 4))):
                column = int(np.argmin(abs(x - ax - share * (bx - ax))))
                row = int(np.argmin(abs(y - ay - share * (by - ay))))
                bed = stream.bed[index] + share * (stream.bed[index + 1] - stream.bed[index])
                if height[row, column] >= 0:
                    carved[row, column] = min(carved[row, column], max(0.01, bed) - _BED_CUT)
    return carved


def _drainage(height: Grid) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    rows, columns = height.shape
    levels = height.ravel().tolist()
    drains = np.full(height.size, -1, dtype=np.int64)
    # the sea is reached from the start; carved river mouths lie below zero too, but on land
    sea = (height < -_BED_CUT).ravel()
    reached = sea.copy()
    waiting: list[tuple[float, int]] = [(levels[cell], int(cell)) for cell in np.flatnonzero(sea)]
    heapq.heapify(waiting)
    order: list[int] = []
    while waiting:
        level, cell = heapq.heappop(waiting)
        if not sea[cell]:
            order.append(cell)
        row, column = divmod(cell, columns)
        for down, right in _NEIGHBOURS:
            i, j = row + down, column + right
            if 0 <= i < rows and 0 <= j < columns and not reached[other := i * columns + j]:
                reached[other] = True
                drains[other] = cell
                heapq.heappush(waiting, (max(level, levels[other]), other))
    return drains, np.array(order, dtype=np.int64)
