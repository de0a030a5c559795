"""A small invented network, and files of it as a town's GIS would write them."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Sequence
from typing import Any

import numpy as np
import shapefile

from analytics.leaks.network import coordinates

PLANE = 6670
Line = Sequence[tuple[float, float]]

# Metres in the plane: a main from the tank, a loop, a tee in the middle of the main, a branch.
PIPES: dict[str, tuple[Line, dict[str, Any]]] = {
    "本管1": (((0, 0), (300, 0)), {"管種": "ダクタイル鋳鉄管", "口径": 150, "布設年度": "S62", "ブロック": "中央"}),
    "本管2": (((300, 0), (300, 200)), {"管種": "DIP", "口径": "φ100", "布設年度": "平成3年度", "ブロック": "中央"}),
    "枝1": (((300, 200), (100, 200), (100, 0)), {"管種": "VP", "口径": 75, "布設年度": 1998, "ブロック": "中央"}),
    "枝2": (((300, 200), (420, 200)), {"管種": "VP", "口径": 50, "布設年度": 0, "ブロック": "東"}),
}
POINTS = {
    "栓1": ((150.0, 0.3), "消火栓"),
    "弁1": ((300.0, 100.0), "ソフトシール仕切弁"),
    "高台": ((0.0, 20.0), "配水池"),
}


def there(places: Line) -> list[list[float]]:
    """Longitude and latitude of places in metres, from a point in zone 2."""
    metres = np.array(places, float) + np.array([-20_000.0, -190_000.0])
    found: list[list[float]] = coordinates.between(PLANE, coordinates.WGS84, metres).tolist()
    return found


def geojson(
    pipes: dict[str, tuple[Line, dict[str, Any]]] = PIPES,
    points: dict[str, tuple[tuple[float, float], str]] = POINTS,
    areas: dict[str, Line] | None = None,
) -> bytes:
    features = [_feature("LineString", there(line), {"管路番号": name, **said}) for name, (line, said) in pipes.items()]
    features += [_feature("Point", there([at])[0], {"番号": name, "種別": kind}) for name, (at, kind) in points.items()]
    features += [_feature("Polygon", [there(ring)], {"ブロック": name}) for name, ring in (areas or {}).items()]
    return json.dumps({"type": "FeatureCollection", "features": features}).encode()


def _feature(kind: str, places: Any, said: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Feature", "geometry": {"type": kind, "coordinates": places}, "properties": said}


def shapefile_zip(encoding: str, cpg: bytes | None, name: str = "管路") -> bytes:
    """The pipes in metres of the plane, with the names of columns cut as a DBF cuts them."""
    parts = {ending: io.BytesIO() for ending in ("shp", "shx", "dbf")}
    with shapefile.Writer(shapeType=shapefile.POLYLINE, encoding=encoding, **parts) as writer:
        for column in ("管路番号", "管種", "布設年度", "配水ブロック"):
            writer.field(_cut(column, encoding), "C", size=40)
        writer.field(_cut("口径", encoding), "N", size=6)
        for each, (line, said) in PIPES.items():
            writer.line([[(x - 20_000.0, y - 190_000.0) for x, y in line]])
            diameter = int(str(said["口径"]).removeprefix("φ"))
            writer.record(each, said["管種"], str(said["布設年度"]), said["ブロック"], diameter)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for ending, part in parts.items():
            archive.writestr(f"{name}.{ending}", part.getvalue())
        archive.writestr(f"{name}.prj", coordinates.system(PLANE).to_wkt("WKT1_ESRI"))
        if cpg is not None:
            archive.writestr(f"{name}.cpg", cpg)
    return packed.getvalue()


def _cut(column: str, encoding: str) -> str:
    return column.encode(encoding)[:10].decode(encoding, "ignore")
