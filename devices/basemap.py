"""The basemap: a town's own geography as one GeoJSON file (RFC 7946) beside its town file.

    {"type": "FeatureCollection", "features": [{"type": "Feature", "geometry": ..., "properties": {"kind": ...}}, ...]}

What there can be, and what each must say of itself, is `KINDS`; docs/devices.md explains it for people. A MultiPolygon
or MultiLineString is taken as so many features; properties that are not known here are left alone, for an export of a
town's own GIS has many. Drawn in the order of `KINDS`, and within a kind in the order of the file.

Mistakes are reported all at once: ``file: feature 12 (pipe p03): what, and what to do``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from devices.model import MapPoint, MapShape, TownFileError

Bounds = tuple[float, float, float, float]
Form = Literal["Point", "LineString", "Polygon"]
_FEWEST: Mapping[Form, int] = {"Point": 1, "LineString": 2, "Polygon": 4}  # a ring comes back to its first point


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of feature: its geometry, whether it must have `name` and `name_en`, and its other properties.

    `numbers` and `texts` that end in ``?`` may be missing. `classes`: what `class` can be; the first is usual where it
    is left out.
    """

    form: Form
    named: bool = False
    numbers: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()


# What lies below comes first.
KINDS: Mapping[str, Kind] = {
    "sea": Kind("Polygon"),
    "terrain": Kind("Polygon", numbers=("height_m",)),
    "shade": Kind("Polygon", classes=("light", "deep")),
    "district": Kind("Polygon", named=True),
    "catchment": Kind("Polygon", texts=("river",), numbers=("area_km2?",)),
    "town": Kind("Polygon", named=True),
    "block": Kind("Polygon", named=True, texts=("station?",)),
    "coast": Kind("LineString"),
    "river": Kind("LineString", classes=("river", "brook")),
    "road": Kind("LineString", classes=("town", "prefectural", "national")),
    "pipe": Kind(
        "LineString",
        classes=("branch", "main", "trunk"),
        texts=("block?", "tank?", "code?", "material?", "from?", "to?"),
        numbers=("diameter_mm?", "length_m?"),
    ),
    "node": Kind("Point", texts=("block", "code"), numbers=("height_m?",)),
}


def read_basemap(path: Path, bounds: Bounds) -> tuple[MapShape, ...]:
    """The shapes of a file. TownFileError lists every mistake."""
    problems: list[str] = []
    shapes: list[MapShape] = []
    for number, feature in enumerate(_features(path), start=1):
        shapes += _read(feature, number, bounds, problems)
    if problems:
        raise TownFileError("\n".join(f"{path}: {problem}" for problem in problems))
    rank = list(KINDS)
    return tuple(sorted(shapes, key=lambda shape: rank.index(shape.kind)))


def length_m(line: Sequence[MapPoint]) -> float:
    """The length of a line of [longitude, latitude] in metres, as the earth is round enough for a town."""
    total = 0.0
    for (x1, y1), (x2, y2) in pairwise(line):
        shrink = math.cos(math.radians((y1 + y2) / 2))
        total += 111_200 * math.hypot((x2 - x1) * shrink, y2 - y1)
    return total


def pipe_km(shapes: Sequence[MapShape]) -> dict[str, float]:
    """The length of the pipes of each block that has any, km: by station code. A trunk main is no part of a block."""
    found: dict[str, float] = {}
    for shape in shapes:
        if shape.kind == "pipe" and shape.properties["class"] != "trunk":
            block = str(shape.properties["block"])
            found[block] = found.get(block, 0.0) + float(shape.properties["length_m"]) / 1000
    return found


def _features(path: Path) -> list[Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise TownFileError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise TownFileError(f"{path}: is not UTF-8 (byte {error.start}): export it as UTF-8") from None
    except json.JSONDecodeError as error:
        raise TownFileError(f"{path}:{error.lineno}: this is not JSON: {error.msg}") from None
    except RecursionError:
        raise TownFileError(f"{path}: is nested too deeply") from None
    features = document.get("features") if isinstance(document, dict) else None
    if not isinstance(features, list) or document.get("type") != "FeatureCollection":
        raise TownFileError(f"{path}: must be a GeoJSON FeatureCollection with a list 'features'")
    return features


def _read(feature: Any, number: int, bounds: Bounds, problems: list[str]) -> Iterator[MapShape]:
    geometry, properties = (
        (feature.get("geometry"), feature.get("properties")) if isinstance(feature, dict) else (None, None)
    )
    name = f"feature {number}"
    if not isinstance(geometry, dict) or not isinstance(properties, dict):
        problems.append(f"{name}: must have a geometry and properties")
        return
    kind = properties.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        problems.append(f"{name}: unknown kind {kind!r}; there can be {', '.join(KINDS)}")
        return
    called = properties.get("name") or properties.get("code")
    name = f"{name} ({kind} {called})" if isinstance(called, str) else f"{name} ({kind})"
    before = len(problems)
    form = KINDS[kind].form
    geometries = _parts(geometry, form)
    if geometries is None:
        problems.append(f"{name}: its geometry must be a {form}, not {geometry.get('type')!r}")
        return
    read = list(_properties(KINDS[kind], properties, name, problems))
    shapes = [list(_lines(each, form, name, bounds, problems)) for each in geometries]
    if len(problems) > before:
        return
    known = dict(read)
    for lines in shapes:
        more = {"length_m": round(length_m(lines[0]), 1)} if kind == "pipe" and "length_m" not in known else {}
        text = {key: str(known.pop(key, "")) for key in ("name", "name_en")}
        yield MapShape(kind, text["name"], text["name_en"], tuple(lines), {**known, **more})
        known |= text


def _parts(geometry: dict[str, Any], form: Form) -> list[Any] | None:
    """The coordinates of each feature that the geometry stands for."""
    coordinates = geometry.get("coordinates")
    if geometry.get("type") == form:
        return [coordinates]
    if geometry.get("type") == f"Multi{form}" and isinstance(coordinates, list):
        return coordinates
    return None


def _properties(
    kind: Kind, properties: dict[str, Any], name: str, problems: list[str]
) -> Iterator[tuple[str, str | float]]:
    names = ("name", "name_en") if kind.named else ("name?", "name_en?")
    for key in (*names, *kind.texts):
        value = properties.get(key.removesuffix("?"))
        if value is None and key.endswith("?"):
            continue
        if not isinstance(value, str) or not value.strip():
            problems.append(f"{name}: '{key.removesuffix('?')}' must be a text and must not be empty")
        else:
            yield key.removesuffix("?"), value.strip()
    for key in kind.numbers:
        value = properties.get(key.removesuffix("?"))
        if value is None and key.endswith("?"):
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            problems.append(f"{name}: '{key.removesuffix('?')}' must be a number, not {value!r}")
        elif key.startswith(("length", "diameter", "area")) and value <= 0:
            problems.append(f"{name}: '{key.removesuffix('?')}' must be above 0")
        else:
            yield key.removesuffix("?"), float(value)
    if kind.classes:
        rank = properties.get("class") or kind.classes[0]
        if rank not in kind.classes:
            problems.append(f"{name}: unknown class {rank!r}; there can be {', '.join(kind.classes)}")
        else:
            yield "class", rank
            if rank == "river" and not (properties.get("name") and properties.get("name_en")):
                problems.append(f"{name}: a river has 'name' and 'name_en'; one without is of class brook")
            if kind is KINDS["pipe"] and rank != "trunk" and not properties.get("block"):
                problems.append(f"{name}: 'block' must say the station code of the block that the pipe belongs to")


def _lines(
    coordinates: Any, form: Form, name: str, bounds: Bounds, problems: list[str]
) -> Iterator[tuple[MapPoint, ...]]:
    lines = {"Point": [[coordinates]], "LineString": [coordinates], "Polygon": coordinates}[form]
    if not isinstance(lines, list) or not lines:
        problems.append(f"{name}: its coordinates must be those of a {form}")
        return
    for line in lines:
        points = [_point(point) for point in line] if isinstance(line, list) else []
        if len(points) < _FEWEST[form] or None in points:
            problems.append(
                f"{name}: its coordinates must be those of a {form}: at least {_FEWEST[form]} positions "
                "[longitude, latitude]"
            )
            return
        kept = tuple(point for point in points if point is not None)
        outside = [p for p in kept if not (bounds[0] <= p[0] <= bounds[2] and bounds[1] <= p[1] <= bounds[3])]
        if outside:
            problems.append(
                f"{name}: the position {list(outside[0])} is outside the map's bounds; is it [longitude, latitude]?"
            )
            return
        if form == "Polygon" and kept[0] != kept[-1]:
            problems.append(f"{name}: a ring of a Polygon must end where it begins")
            return
        yield kept


def _point(point: Any) -> MapPoint | None:
    """[longitude, latitude], with or without a height."""
    if not isinstance(point, list) or len(point) not in (2, 3):
        return None
    if any(isinstance(number, bool) or not isinstance(number, int | float) for number in point):
        return None
    return (float(point[0]), float(point[1])) if all(map(math.isfinite, point)) else None
