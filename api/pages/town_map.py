"""The schematic map (模式図): shapes and station markers placed in one SVG coordinate system, with labels that do
not cover one another.

Equirectangular about the middle latitude, which is exact enough for a town (a few kilometres); north is up.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from api.basemap import LINES
from api.pages.words import Words
from store.connection import Connection

WIDTH = 480.0
_MIN_HEIGHT, _MAX_HEIGHT = 280.0, 520.0
_MARGIN = 0.06
_RADIUS = 17.0
_TEXT = 18.0  # height of a station's label
_NAME = 13.0  # height of a shape's name


@dataclass(frozen=True, slots=True)
class Shape:
    """A line or an area as an SVG path; `name_at` is the middle of its name, None where there is no room for it."""

    kind: str
    name: str
    path: str
    name_at: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Marker:
    """A station on the map; `label_x`, `label_y`, `anchor` place its name beside the mark.

    `longitude` and `latitude` (degrees) are for the map that takes the picture's place where the browser can.
    """

    code: str
    label: str
    x: float
    y: float
    label_x: float
    label_y: float
    anchor: str
    longitude: float
    latitude: float


@dataclass(frozen=True, slots=True)
class TownMap:
    """The picture, `width` by `height` SVG units; `extent` is west, south, east, north of what is drawn, degrees."""

    width: float
    height: float
    shapes: tuple[Shape, ...]
    markers: dict[str, Marker]
    extent: tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Place:
    """What is to be marked: a station and its label in the page's language."""

    code: str
    label: str
    latitude: float
    longitude: float


Box = tuple[float, float, float, float]
Points = Sequence[Sequence[float]]


def draw(conn: Connection, municipality_id: int, words: Words, places: Sequence[Place]) -> TownMap:
    """The map of a municipality with the given places: as much of it as is drawn. Two queries."""
    row = conn.execute("select bounds from municipality where municipality_id = %s", (municipality_id,)).fetchone()
    assert row is not None, f"municipality {municipality_id} is not registered"
    # Areas first: a river drawn before its coast would disappear under it.
    shapes: list[tuple[str, str, Points]] = [
        (kind, words.name(name, name_en), points)
        for kind, name, name_en, points in conn.execute(
            """
            select kind, name, name_en, points from map_shape
            order by array_position(array['town', 'coast', 'block', 'river'], kind), map_shape_id
            """
        )
    ]
    extent = _extent(row[0], [points for _, _, points in shapes], places)
    projection = _Projection(extent)
    markers, taken = _markers(projection, places)
    drawn = [_shape(projection, *shape, taken) for shape in shapes]
    return TownMap(WIDTH, projection.height, tuple(drawn), markers, extent)


def _extent(bounds: Sequence[float], shapes: Sequence[Points], places: Sequence[Place]) -> Box:
    """West, south, east, north of what is drawn; the municipality's bounds where nothing is."""
    if not shapes:
        west, south, east, north = bounds
        return west, south, east, north
    drawn = [point for points in shapes for point in points] + [(p.longitude, p.latitude) for p in places]
    longitudes, latitudes = [point[0] for point in drawn], [point[1] for point in drawn]
    return min(longitudes), min(latitudes), max(longitudes), max(latitudes)


class _Projection:
    """Degrees to SVG units."""

    def __init__(self, bounds: Sequence[float]) -> None:
        west, south, east, north = bounds
        shrink = math.cos(math.radians((south + north) / 2))
        width, height = (east - west) * shrink, north - south
        self.height = round(min(max(WIDTH * height / width, _MIN_HEIGHT), _MAX_HEIGHT))
        self._scale = min(WIDTH * (1 - 2 * _MARGIN) / width, self.height * (1 - 2 * _MARGIN) / height)
        self._shrink = shrink
        self._middle = ((west + east) / 2, (south + north) / 2)

    def __call__(self, longitude: float, latitude: float) -> tuple[float, float]:
        x = WIDTH / 2 + (longitude - self._middle[0]) * self._shrink * self._scale
        y = self.height / 2 - (latitude - self._middle[1]) * self._scale
        return round(x, 1), round(y, 1)


def _shape(projection: _Projection, kind: str, name: str, points: Points, taken: list[Box]) -> Shape:
    """The shape, its name where it covers nothing: beside a bend of a line, above or below an area."""
    places = [projection(longitude, latitude) for longitude, latitude in points]
    path = "M" + "L".join(f"{x} {y}" for x, y in places) + ("" if kind in LINES else "Z")
    half = _width(name, _NAME) / 2
    if kind == "river":
        spots = [(x - half - 8, y) for x, y in places[1:-1]] + [(x + half + 8, y) for x, y in places[1:-1]]
    elif kind == "block":
        middle = sum(x for x, _ in places) / len(places)
        rows = sorted(y for _, y in places)
        spots = [(middle, y) for y in (sum(rows) / len(rows), rows[0] - 5, rows[-1] + _NAME + 3)]
    else:
        spots = []  # what the town and its sea are called is known to whoever works there
    for x, y in spots:
        box = (x - half, y - _NAME, x + half, y + 4)
        if box[0] >= 2 and box[2] <= WIDTH - 2 and not any(_overlap(box, other) for other in taken):
            taken.append(box)
            return Shape(kind, name, path, (round(x, 1), round(y, 1)))
    return Shape(kind, name, path, None)


def _width(text: str, height: float) -> float:
    return sum(height if ord(letter) > 0x2E80 else height * 0.56 for letter in text)


def _markers(projection: _Projection, places: Sequence[Place]) -> tuple[dict[str, Marker], list[Box]]:
    """Each label goes to the first side of its mark where it covers neither a mark nor an earlier label.

    Also gives the boxes that marks and labels take up.
    """
    spots = [(place, *projection(place.longitude, place.latitude)) for place in places]
    taken: list[Box] = [(x - _RADIUS, y - _RADIUS, x + _RADIUS, y + _RADIUS) for _, x, y in spots]
    markers = {}
    for place, x, y in spots:
        width = _width(place.label, _TEXT)
        own = (x - _RADIUS, y - _RADIUS, x + _RADIUS, y + _RADIUS)
        gap = _RADIUS + 5
        sides = (
            (x + gap, y + 5, "start", x + gap),
            (x - gap, y + 5, "end", x - gap - width),
            (x, y + gap + 13, "middle", x - width / 2),
            (x, y - gap, "middle", x - width / 2),
        )
        boxes = [(left, label_y - _TEXT, left + width, label_y + 4) for _, label_y, _, left in sides]
        others = [box for box in taken if box != own]
        free = [
            i
            for i, box in enumerate(boxes)
            if box[0] >= 2 and box[2] <= WIDTH - 2 and not any(_overlap(box, other) for other in others)
        ]
        best = free[0] if free else 2
        taken.append(boxes[best])
        label_x, label_y, anchor, _ = sides[best]
        markers[place.code] = Marker(
            place.code,
            place.label,
            x,
            y,
            round(label_x, 1),
            round(label_y, 1),
            anchor,
            place.longitude,
            place.latitude,
        )
    return markers, taken


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
