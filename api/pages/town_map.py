"""The schematic map (模式図): shapes and station markers placed in one SVG coordinate system, with labels that do
not cover one another. It goes over the line with every page, so a shape keeps only the points that can be seen.

Equirectangular about the middle latitude, which is exact enough for a town (a few kilometres); north is up.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from api.basemap import Shape, shapes_of
from api.pages.words import Words
from api.roles import Role
from devices.basemap import KINDS
from store.connection import Connection

WIDTH = 480.0
_MIN_HEIGHT, _MAX_HEIGHT = 280.0, 520.0
_MARGIN = 0.06
_RADIUS = 17.0
_TEXT = 18.0  # height of a station's label
_NAME = 13.0  # height of a shape's name
_FINEST = {"terrain": 3.0, "shade": 3.0}  # SVG units between two points of a shape
_FINE = 1.8
_BESIDE = {"river"}  # kinds whose names stand beside a bend, not in the middle
_OPTIONAL = {"catchment", "block", "pipe", "node"}  # kinds that a page has only if it asks for them


@dataclass(frozen=True, slots=True)
class Layer:
    """All shapes that are drawn alike, as one SVG path; `kind` and `name` as in `api.basemap`. `inlet` and `shade` of
    what is coloured by the block that it is of, '' of others.
    """

    kind: str
    name: str
    path: str
    inlet: str = ""
    shade: str = ""


@dataclass(frozen=True, slots=True)
class Name:
    """The name of a shape, and where its middle stands."""

    kind: str
    text: str
    x: float
    y: float


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
    """The picture, `width` by `height` SVG units; `extent` is west, south, east, north of the town, degrees."""

    width: float
    height: float
    layers: tuple[Layer, ...]
    names: tuple[Name, ...]
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


def draw(
    conn: Connection,
    municipality_id: int,
    words: Words,
    places: Sequence[Place],
    *,
    reader: Role,
    also: Collection[str] = (),
    shades: Mapping[str, str] = MappingProxyType({}),
) -> TownMap:
    """The map of a municipality with the given places, as a role may see it. Two queries.

    `also`: kinds that only some pages show (catchment, block, pipe). `shades`: by inlet, the class of what the map
    shows of its block: 'unknown', '0' to '3'.
    """
    row = conn.execute("select bounds from municipality where municipality_id = %s", (municipality_id,)).fetchone()
    assert row is not None, f"municipality {municipality_id} is not registered"
    shapes = shapes_of(conn, reader, _OPTIONAL - set(also))
    extent = _extent(row[0], shapes, places)
    projection = _Projection(extent)
    markers, taken = _markers(projection, places)
    paths: dict[tuple[str, str, str], str] = {}
    for shape in shapes:
        which = shape.kind, shape.layer, shape.inlet if shape.inlet in shades else ""
        paths[which] = paths.get(which, "") + _path(projection, shape)
    layers = tuple(
        Layer(kind, name, path, inlet, shades.get(inlet, "")) for (kind, name, inlet), path in paths.items() if path
    )
    return TownMap(WIDTH, projection.height, layers, tuple(_names(projection, words, shapes, taken)), markers, extent)


def _extent(bounds: Sequence[float], shapes: Iterable[Shape], places: Sequence[Place]) -> Box:
    """West, south, east, north of the town and its stations; the municipality's bounds where no border is drawn."""
    drawn = [point for shape in shapes if shape.kind == "town" for line in shape.lines for point in line]
    if not drawn:
        west, south, east, north = bounds
        return west, south, east, north
    longitudes = [point[0] for point in drawn] + [place.longitude for place in places]
    latitudes = [point[1] for point in drawn] + [place.latitude for place in places]
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


def _path(projection: _Projection, shape: Shape) -> str:
    """The shape as a piece of an SVG path: of an area that is too small to be seen, nothing."""
    form = KINDS[shape.kind].form
    if form == "Point":
        return ""
    digits = 0 if shape.kind in _FINEST else 1
    finest, fewest = _FINEST.get(shape.kind, _FINE), 3 if form == "Polygon" else 2
    path = ""
    for line in shape.lines:
        places = [projection(longitude, latitude) for longitude, latitude in line]
        seen = [places[0]]
        for place in places[1:-1]:
            if abs(place[0] - seen[-1][0]) + abs(place[1] - seen[-1][1]) >= finest:
                seen.append(place)
        if form == "LineString":
            seen.append(places[-1])
        if len(seen) >= fewest:
            path += (
                "M"
                + " ".join(f"{round(x, digits):g} {round(y, digits):g}" for x, y in seen)
                + ("Z" if form == "Polygon" else "")
            )
    return path


def _names(projection: _Projection, words: Words, shapes: Sequence[Shape], taken: list[Box]) -> Iterable[Name]:
    """The names that find room where they cover nothing: beside a bend of a river, in, above or below an area."""
    for shape in shapes:
        name = words.name(shape.name, shape.name_en)
        # what the town and its sea are called is known to whoever works there
        if not name or shape.kind not in ("river", "block", "district"):
            continue
        places = [projection(longitude, latitude) for longitude, latitude in shape.lines[0]]
        half = _width(name, _NAME) / 2
        if shape.kind in _BESIDE:
            inner = _from_the_middle(places[1:-1])
            spots = [(x - half - 8, y) for x, y in inner] + [(x + half + 8, y) for x, y in inner]
        else:
            middle = sum(x for x, _ in places) / len(places)
            rows = sorted(y for _, y in places)
            spots = [(middle, y) for y in (sum(rows) / len(rows), rows[0] - 5, rows[-1] + _NAME + 3)]
        for x, y in spots:
            box = (x - half, y - _NAME, x + half, y + 4)
            inside = box[0] >= 2 and box[2] <= WIDTH - 2 and box[1] >= 2 and box[3] <= projection.height - 2
            if inside and not any(_overlap(box, other) for other in taken):
                taken.append(box)
                yield Name(shape.kind, name, round(x, 1), round(y, 1))
                break


def _from_the_middle(places: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    half = (len(places) - 1) / 2
    order = sorted(range(len(places)), key=lambda index: abs(index - half))
    return [places[index] for index in order]


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
