"""Draws Mimamori Town: `python -m simulators.towns.draw` writes mimamori-cho.geojson from plan.py.

The land is raised from the plan (`simulators.terrain`), its heights become polygons to tint and shade, the water's ways
become the rivers' catchments, and pipes are laid in the distribution block. No survey and no foreign map data: the file
is a function of plan.py alone, and a test draws it again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import cache
from math import cos, dist, radians
from pathlib import Path
from typing import Any

import numpy as np

from simulators import terrain
from simulators.contours import areas_above, rounded, simplified, wandering
from simulators.network import Network, Pipe, lay
from simulators.towns import plan

HEIGHTS = (40, 100, 180, 280, 400)  # m: where a tint begins
_SHADES = ((0.22, "light"), (0.42, "deep"))  # of the slopes that turn away from the sun: how much, and its name
_WEST, _SOUTH, _EAST, _NORTH = plan.BOUNDS
KM_NORTH = 111.2  # km a degree
KM_EAST = KM_NORTH * cos(radians((_SOUTH + _NORTH) / 2))

Line = Sequence[tuple[float, float]]
Feature = dict[str, Any]


def path() -> Path:
    return Path(__file__).with_name("mimamori-cho.geojson")


def km(point: Sequence[float]) -> tuple[float, float]:
    """[longitude, latitude, ...] to km from the map's south-west corner."""
    return (point[0] - _WEST) * KM_EAST, (point[1] - _SOUTH) * KM_NORTH


@cache
def land() -> terrain.Terrain:
    """The town's terrain."""
    return terrain.raise_land(plan.SEED, km((_EAST, _NORTH)), [km(p) for p in _coast()], _streams(), _hills())


@cache
def network() -> Network:
    """The pipes of the block."""
    return lay(
        plan.SEED,
        [km(p) for p in plan.BLOCK[2]],
        km(plan.INLET),
        [km(p) for p in plan.TRUNK],
        land().at,
        spacing=plan.STREETS,
        turned=plan.TURNED,
    )


def document() -> str:
    """The GeoJSON, a feature a line."""
    lines = ",\n".join(json.dumps(feature, ensure_ascii=False, separators=(",", ":")) for feature in features())
    return f'{{"type":"FeatureCollection","features":[\n{lines}\n]}}\n'


def features() -> Iterator[Feature]:
    """Everything on the map, what lies below first."""
    corners = [(_EAST, _SOUTH), (_WEST, _SOUTH)]
    yield _area("sea", [[*_coast(), *corners]], name="美守湾", name_en="Mimamori Bay")
    yield from _tints()
    yield from _shades()
    for name, name_en, outline in plan.DISTRICTS:
        yield _area("district", [rounded([*outline, outline[0]])[:-1]], name=name, name_en=name_en)
    yield from _catchments()
    coast = _coast()
    shore = coast[coast.index(plan.BORDER[0]) + 1 : coast.index(plan.BORDER[-1])]
    yield _area("town", [[*plan.BORDER, *reversed(shore)]], name="美守町", name_en="Mimamori Town")
    name, name_en, outline = plan.BLOCK
    yield _area("block", [list(outline)], name=name, name_en=name_en, station=plan.BLOCK_CODE)
    yield _line("coast", coast, name="美守湾", name_en="Mimamori Bay")
    for brook in _brooks():
        yield _line("river", brook, **{"class": "brook"})
    for river in plan.RIVERS:
        yield _line("river", _river(river), name=river[0], name_en=river[1], **{"class": "river"})
    for (rank, name, name_en, _), road in reversed(list(zip(plan.ROADS, _roads(), strict=True))):
        named = {"name": name, "name_en": name_en} if name else {}
        yield _line("road", road, **named, **{"class": rank})
    yield from _pipes()


# --- land -------------------------------------------------------------------------------------------------


def course(river: plan.River) -> list[tuple[float, float]]:
    """The line of a river, as drawn, in km."""
    return [km(point) for point in _river(river)]


@cache
def _coast() -> list[tuple[float, float]]:
    return wandering(plan.COAST, 0.22, plan.SEED, "coast")


@cache
def _river(river: plan.River) -> list[tuple[float, float, float]]:
    """[longitude, latitude, height of the bed] from source to mouth."""
    return rounded(wandering(river[2], 0.3, plan.SEED, river[0])[::2], 2)


@cache
def _brooks() -> list[list[tuple[float, float, float]]]:
    """Each ends in the line of the river or brook that its last point is nearest to."""
    drawn: list[list[tuple[float, float, float]]] = [_river(river) for river in plan.RIVERS]
    for number, points in enumerate(plan.BROOKS):
        brook = rounded(wandering(points, 0.25, plan.SEED, "brook", number)[::2], 2)
        end = brook[-1]
        if end[2] > 0:
            brook[-1] = min((p for line in drawn for p in line), key=lambda p: dist(p[:2], end[:2]))
        drawn.append(brook)
    return drawn[len(plan.RIVERS) :]


@cache
def _roads() -> list[list[tuple[float, float]]]:
    """In the order of the plan; an end that is near an earlier road meets it."""
    drawn: list[list[tuple[float, float]]] = []
    for *_, points in plan.ROADS:
        road = rounded(points)
        for end in (0, -1):
            near = min((p for line in drawn for p in line), key=lambda p: dist(p, road[end]), default=road[end])
            if dist(near, road[end]) < 0.0025:
                road[end] = near
        drawn.append(road)
    return drawn


def _streams() -> list[terrain.Stream]:
    lines = [*(_river(river) for river in plan.RIVERS), *_brooks()]
    return [terrain.Stream(tuple(km(point) for point in line), tuple(point[2] for point in line)) for line in lines]


def _hills() -> list[terrain.Hill]:
    hills = [terrain.Hill(km(middle), height, reach) for middle, height, reach in plan.HILLS]
    bare = terrain.raise_land(plan.SEED, km((_EAST, _NORTH)), [km(p) for p in _coast()], _streams(), hills)
    tank = terrain.Hill(km(plan.TANK), plan.TANK_HEIGHT - bare.at(km(plan.TANK)), plan.TANK_REACH)
    return [*hills, tank]


def _tints() -> Iterator[Feature]:
    ground = land()
    for height in HEIGHTS:
        for rings in areas_above(ground.x, ground.y, ground.height, height, 0.06):
            yield _area("terrain", [_degrees(ring, 0.018) for ring in rings], height_m=height)


def _shades() -> Iterator[Feature]:
    """Slopes that turn away from a sun in the north-west, as maps have it."""
    ground = land()
    north, east = np.gradient(np.maximum(ground.height, 0.0) / 1000, terrain.STEP)
    dark = _smooth(_smooth((north - east) / np.sqrt(2)))  # falls towards the south-east
    for least, name in _SHADES:
        for rings in areas_above(ground.x, ground.y, dark, least / 2, 0.04):
            yield _area("shade", [_degrees(ring, 0.02) for ring in rings], **{"class": name})


def _smooth(field: terrain.Grid) -> terrain.Grid:
    padded = np.pad(field, 1, mode="edge")
    rows, columns = field.shape
    parts = [padded[i : i + rows, j : j + columns] for i in range(3) for j in range(3)]
    mean: terrain.Grid = sum(parts) / 9  # type: ignore[assignment]
    return mean


def _catchments() -> Iterator[Feature]:
    ground = land()
    for river in plan.RIVERS:
        cells = ground.above(last_on_land(course(river)))
        (rings, *_) = areas_above(ground.x, ground.y, _smooth(_smooth(cells.astype(float))), 0.5, 0.5)
        size = round(float(cells.sum()) * terrain.STEP**2, 1)
        names = {"name": f"{river[0]}流域", "name_en": f"{river[1]} catchment", "river": river[0]}
        yield _area("catchment", [_degrees(rings[0], 0.03)], **names, area_km2=size)


def last_on_land(line: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The last point of a river that lies in a land cell: its mouth."""
    ground = land()
    return next(place for place in reversed(line) if ground.at(place) >= 0)


def catchment_km2(place: tuple[float, float], river: plan.River) -> float:
    """What drains to a gauge: to the point of the river nearest to where it stands (km)."""
    ground = land()
    nearest = min(course(river), key=lambda each: (each[0] - place[0]) ** 2 + (each[1] - place[1]) ** 2)
    return float(ground.above(nearest).sum()) * terrain.STEP**2


# --- pipes ------------------------------------------------------------------------------------------------


def _pipes() -> Iterator[Feature]:
    found = network()
    for pipe in (found.trunk, *found.pipes):
        where = {"tank": plan.TANK_CODE} if pipe is found.trunk else {"block": plan.BLOCK_CODE}
        yield _line("pipe", [_degree(place) for place in pipe.line], **where, **_of(pipe))
    for node in found.nodes:
        properties = {"kind": "node", "block": plan.BLOCK_CODE, "code": node.name, "height_m": node.height}
        yield _feature("Point", _place(_degree(node.place)), properties)


def _of(pipe: Pipe) -> dict[str, Any]:
    return {
        "code": pipe.name,
        "class": "trunk" if pipe.name == "trunk" else "main" if pipe.diameter_mm >= 150 else "branch",
        "from": pipe.start,
        "to": pipe.end,
        "diameter_mm": pipe.diameter_mm,
        "material": pipe.material,
        "length_m": round(pipe.length_m, 1),
    }


# --- GeoJSON ----------------------------------------------------------------------------------------------


def _degree(place: tuple[float, float]) -> tuple[float, float]:
    return _WEST + place[0] / KM_EAST, _SOUTH + place[1] / KM_NORTH


def _degrees(ring: Line, tolerance: float) -> list[tuple[float, float]]:
    return [_degree(place) for place in simplified([*ring, ring[0]], tolerance)[:-1]]


def _place(point: Sequence[float]) -> list[float]:
    """About a metre; inside the map, though a rounded corner may lie on its edge."""
    return [
        round(min(max(point[0], _WEST), _EAST), 5),
        round(min(max(point[1], _SOUTH), _NORTH), 5),
    ]


def _line(kind: str, line: Sequence[Sequence[float]], **properties: object) -> Feature:
    return _feature("LineString", [_place(point) for point in line], {"kind": kind, **properties})


def _area(kind: str, rings: Sequence[Line], **properties: object) -> Feature:
    closed = [[_place(point) for point in (*ring, ring[0])] for ring in rings if len(ring) >= 3]
    return _feature("Polygon", closed, {"kind": kind, **properties})


def _feature(geometry: str, coordinates: object, properties: dict[str, object]) -> Feature:
    return {"type": "Feature", "geometry": {"type": geometry, "coordinates": coordinates}, "properties": properties}


if __name__ == "__main__":
    path().write_text(document(), encoding="utf-8")
