"""A town's network out of whatever files it has, and into the same.

    read_network({name: bytes, ...}, system=, bounds=) -> Found       one .inp, or GeoJSON, Shapefile, ZIP
    as_geojson(network) -> bytes                                      WGS84, one file
    as_shapefile(network) -> bytes                                    JGD2011, a ZIP of pipes, fixtures and blocks

What was written is read again as the same network: the columns have the names that the reader knows. A network whose
places are in no known plane can be written as .inp only (`inp_text`).
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from analytics.leaks.network import coordinates, inp
from analytics.leaks.network.assembly import Bounds, assemble
from analytics.leaks.network.checks import check
from analytics.leaks.network.layers import LayerError, read_layers
from analytics.leaks.network.pipes import Floats, Network
from analytics.leaks.network.problems import CODES, HINTS, Problem

_JGD2011 = 6668
_KINDS = {"valve": "仕切弁", "hydrant": "消火栓", "meter": "流量計", "tank": "配水池"}


@dataclass(frozen=True, slots=True)
class Found:
    """A network that was read. `form`: inp or gis; `problems` kind by kind, what is wrong before the hints."""

    network: Network
    form: str
    problems: tuple[Problem, ...]


def read_network(files: Mapping[str, bytes], *, system: str | int | None = None, bounds: Bounds | None = None) -> Found:
    """`system`: the coordinates of files that do not say theirs (an EPANET file never does; without one its network
    is on no map). LayerError, InpError and CoordinatesError say what cannot be read at all.
    """
    hydraulic = [name for name in files if name.lower().endswith(".inp")]
    if hydraulic and len(files) > 1:
        raise LayerError(hydraulic[0], "alone")
    if hydraulic:
        network = inp.parse(inp.decoded(files[hydraulic[0]]), PurePosixPath(hydraulic[0]).name)
        network, found = _on_map(network, system, bounds)
        return Found(network, "inp", _ordered([*found, *check(network)]))
    network, found = assemble(read_layers(files), system=system, bounds=bounds)
    return Found(network, "gis", _ordered([*found, *check(network)]))


def _ordered(problems: list[Problem]) -> tuple[Problem, ...]:
    rank = {code: at for at, code in enumerate((*CODES, *HINTS))}
    return tuple(sorted(problems, key=lambda each: rank[each.code]))


def _on_map(network: Network, system: str | int | None, bounds: Bounds | None) -> tuple[Network, list[Problem]]:
    """The places of an EPANET file in a plane of the survey law, if somebody says what they are in."""
    xy = network.nodes.xy
    good = np.isfinite(xy).all(axis=1)
    if system is None or not good.any():
        return network, []
    crs = coordinates.system(system)
    first = coordinates.between(crs, coordinates.WGS84, xy[good][:1])[0]
    if not np.isfinite(first).all():
        raise LayerError("", "range")
    plane = coordinates.plane_near(*first)

    def moved(places: Floats) -> Floats:
        found = np.full(places.shape, np.nan)
        known = np.isfinite(places).all(axis=1)
        found[known] = coordinates.between(crs, plane, places[known])
        return found

    pipes = replace(network.pipes, lines=tuple(moved(line) for line in network.pipes.lines))
    placed = replace(network, nodes=replace(network.nodes, xy=moved(xy)), pipes=pipes, epsg=plane)
    problems = [Problem("datum")] if coordinates.old(crs) else []
    if bounds is not None:
        x, y = first
        if not (bounds[0] - 0.05 <= x <= bounds[2] + 0.05 and bounds[1] - 0.05 <= y <= bounds[3] + 0.05):
            values = {"longitude": round(float(x), 5), "latitude": round(float(y), 5)}
            problems.append(Problem("outside", feature=network.nodes.names[int(np.argmax(good))], values=values))
    return placed, problems


def _features(network: Network, target: int) -> Iterator[tuple[str, Floats, dict[str, Any]]]:
    """(pipe, fixture or block; places in the target; what is said of it), the columns in the order of the file."""
    if network.epsg is None:
        raise coordinates.CoordinatesError("")
    pipes = network.pipes
    for at, name in enumerate(pipes.names):
        diameter = float(pipes.diameter[at])
        yield (
            "pipe",
            coordinates.between(network.epsg, target, pipes.lines[at]),
            {
                "管路番号": name,
                "管種": pipes.material[at],
                "口径": round(diameter, 1) if np.isfinite(diameter) else None,
                "布設年度": int(pipes.year[at]) or None,
                "延長": round(float(pipes.length[at]), 2),
                "ブロック": pipes.block[at],
                "開閉": "閉" if pipes.closed[at] else None,
            },
        )
    fixtures = network.fixtures
    for at, name in enumerate(fixtures.names):
        place = coordinates.between(network.epsg, target, fixtures.xy[at : at + 1])
        yield "fixture", place, {"番号": name, "種別": _KINDS[fixtures.kind[at]]}
    for name, ring in zip(network.blocks.names, network.blocks.rings, strict=True):
        yield "block", coordinates.between(network.epsg, target, ring), {"ブロック": name}


def as_geojson(network: Network) -> bytes:
    """Pipes as lines, fixtures as points, blocks as areas; seven decimals are a centimetre."""
    features = []
    for kind, places, said in _features(network, coordinates.WGS84):
        rounded = np.round(places, 7).tolist()
        geometry = {
            "pipe": {"type": "LineString", "coordinates": rounded},
            "fixture": {"type": "Point", "coordinates": rounded[0]},
            "block": {"type": "Polygon", "coordinates": [rounded]},
        }[kind]
        properties = {key: value for key, value in said.items() if value is not None}
        features.append({"type": "Feature", "geometry": geometry, "properties": properties})
    return json.dumps({"type": "FeatureCollection", "features": features}, ensure_ascii=False).encode()


_POINT, _POLYLINE, _POLYGON = 1, 3, 5  # as the format numbers them
_SHAPES = {"pipe": ("pipes", _POLYLINE), "fixture": ("fixtures", _POINT), "block": ("blocks", _POLYGON)}
_NUMBERS = {"口径": 1, "延長": 2, "布設年度": 0}


def as_shapefile(network: Network) -> bytes:
    """Attributes in CP932 with a .cpg that says so: what Japanese desktop GIS of every age opens."""
    rows: dict[str, list[tuple[Floats, dict[str, Any]]]] = {}
    for kind, places, said in _features(network, _JGD2011):
        rows.setdefault(kind, []).append((places, said))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for kind, of_it in rows.items():
            name, shape = _SHAPES[kind]
            for ending, data in _written(shape, of_it).items():
                archive.writestr(zipfile.ZipInfo(f"{name}.{ending}", (1980, 1, 1, 0, 0, 0)), data)
    return packed.getvalue()


def _written(shape: int, rows: list[tuple[Floats, dict[str, Any]]]) -> dict[str, bytes]:
    import shapefile  # loaded by who writes one

    parts = {ending: io.BytesIO() for ending in ("shp", "shx", "dbf")}
    with shapefile.Writer(shapeType=shape, encoding="cp932", encodingErrors="replace", **parts) as writer:
        for column in rows[0][1]:
            if column in _NUMBERS:
                writer.field(column, "N", size=12, decimal=_NUMBERS[column])
            else:
                writer.field(column, "C", size=80)
        for places, said in rows:
            if shape == _POLYLINE:
                writer.line([places.tolist()])
            elif shape == _POINT:
                writer.point(*places[0].tolist())
            else:
                writer.poly([places.tolist()])
            writer.record(**said)
        writer.close()
        prj = coordinates.system(_JGD2011).to_wkt("WKT1_ESRI")
        return {ending: part.getvalue() for ending, part in parts.items()} | {"prj": prj.encode(), "cpg": b"932"}
