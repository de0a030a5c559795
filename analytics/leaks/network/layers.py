"""Files of a town's GIS: GeoJSON, Shapefile, or a ZIP of them -> layers of features, in the files' own coordinates.

    read_layers({name: bytes, ...}) -> [Layer, ...]        what cannot be read is a LayerError: file, why

The files of a Shapefile belong together by their name; .shp, .shx and .dbf are needed, .prj and .cpg are asked for what
they know. Attributes without .cpg are UTF-8 where they can be, else CP932, as in Japan. A GeoJSON without `crs` is in
longitude and latitude (RFC 7946). Values come as text; an empty one is left out.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import PurePosixPath
from typing import Any, Literal

import numpy as np

from analytics.leaks.network.pipes import Floats

MOST_BYTES = 200_000_000  # unpacked: a town's pipes are some 10 MB
MOST_FEATURES = 300_000

Form = Literal["point", "line", "area"]
_FORMS: Mapping[str, Form] = {"Point": "point", "LineString": "line", "Polygon": "area"}
_SHAPEFILE = (".shp", ".shx", ".dbf", ".prj", ".cpg")


class LayerError(ValueError):
    """A file that cannot be read. `code`:

    kind      neither GeoJSON, Shapefile nor ZIP      parts     a file of the Shapefile is missing: which
    json      no GeoJSON: where it breaks             shape     no Shapefile: what is wrong
    zip       no ZIP, or one with a password          size      unpacked it is too large
    empty     no features, or no pipe among them      system    it does not say in which coordinates it is
    alone     a file of EPANET together with others
    range     its places are outside of what its coordinates can be
    """

    def __init__(self, file: str, code: str, about: str = "") -> None:
        super().__init__(f"{file}: {code} {about}".strip())
        self.file, self.code, self.about = file, code, about


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature: its number in the file from 1, its `parts` (k, 2) each (of an area: the outer lines only), and what
    the file says of it. `form` None: a geometry that cannot be used; then there are no parts.
    """

    number: int
    form: Form | None
    parts: tuple[Floats, ...]
    said: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Layer:
    """One file. `system`: the text of its coordinate system, None where it does not say. `short`: names of columns are
    cut to ten bytes, as a DBF does.
    """

    file: str
    system: str | None
    features: tuple[Feature, ...]
    short: bool = False


def read_layers(files: Mapping[str, bytes]) -> list[Layer]:
    """The layers of some files, in their order."""
    plain = dict(_unpacked(files))
    found = []
    for name, data in plain.items():
        path = PurePosixPath(name)
        kind = path.suffix.lower()
        if kind in (".geojson", ".json"):
            found.append(_geojson(path.name, data))
        elif kind == ".shp":
            beside = {PurePosixPath(each).suffix.lower(): plain[each] for each in plain if _stem(each) == _stem(name)}
            found.append(_shapefile(path.name, beside))
        elif kind not in _SHAPEFILE:
            raise LayerError(path.name, "kind")
    if not found:
        name = next(iter(files), "")
        raise LayerError(name, "parts", ".shp")
    if not any(layer.features for layer in found):
        raise LayerError(found[0].file, "empty")
    return found


def _stem(name: str) -> str:
    return str(PurePosixPath(name).with_suffix("")).lower()


def _unpacked(files: Mapping[str, bytes]) -> Iterator[tuple[str, bytes]]:
    for name, data in files.items():
        if not name.lower().endswith(".zip"):
            yield name, data
            continue
        try:
            archive = zipfile.ZipFile(io.BytesIO(data))
            if sum(each.file_size for each in archive.infolist()) > MOST_BYTES:
                raise LayerError(name, "size")
            for each in archive.infolist():
                inner = _name(each)
                wanted = (*_SHAPEFILE, ".geojson", ".json")
                if not each.is_dir() and inner.lower().endswith(wanted) and "__MACOSX" not in inner:
                    yield inner, archive.read(each)
        except LayerError:
            raise
        except (zipfile.BadZipFile, zlib.error, RuntimeError, EOFError, OSError, ValueError) as error:
            raise LayerError(name, "zip", str(error)) from None


def _name(each: zipfile.ZipInfo) -> str:
    """A name without the flag for UTF-8 was most likely written by Windows in Japan."""
    if each.flag_bits & 0x800:
        return each.filename
    try:
        return each.filename.encode("cp437").decode("cp932")
    except UnicodeError:
        return each.filename


def _geojson(file: str, data: bytes) -> Layer:
    try:
        document = json.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise LayerError(file, "json", f"byte {error.start}: not UTF-8") from None
    except json.JSONDecodeError as error:
        raise LayerError(file, "json", f"line {error.lineno}: {error.msg}") from None
    except RecursionError:
        raise LayerError(file, "json", "nested too deeply") from None
    features = document.get("features") if isinstance(document, dict) else None
    if not isinstance(features, list):
        raise LayerError(file, "json", "no FeatureCollection")
    if len(features) > MOST_FEATURES:
        raise LayerError(file, "size")
    crs = document.get("crs")
    properties = crs.get("properties") if isinstance(crs, dict) else None
    named = properties.get("name") if isinstance(properties, dict) else None
    system = named if isinstance(named, str) else "EPSG:4326"
    return Layer(file, system, tuple(_feature(number, each) for number, each in enumerate(features, start=1)))


def _feature(number: int, feature: Any) -> Feature:
    geometry = feature.get("geometry") if isinstance(feature, dict) else None
    said = feature.get("properties") if isinstance(feature, dict) else None
    texts = _texts(said if isinstance(said, dict) else {})
    identity = feature.get("id") if isinstance(feature, dict) else None
    if identity is not None and "id" not in texts:
        texts["id"] = str(identity)
    if not isinstance(geometry, dict):
        return Feature(number, None, (), texts)
    kind, coordinates = str(geometry.get("type")), geometry.get("coordinates")
    form = _FORMS.get(kind.removeprefix("Multi"))
    parts: Any = coordinates if kind.startswith("Multi") else [coordinates]
    try:
        found = tuple(_part(form, each) for each in parts) if form else ()
    except (TypeError, ValueError, LookupError):
        found = ()
    return Feature(number, form if found else None, found, texts)


def _part(form: Form | None, coordinates: Any) -> Floats:
    """(k, 2): heights are left out."""
    rows = [coordinates] if form == "point" else coordinates[0] if form == "area" else coordinates
    part = np.array([[float(row[0]), float(row[1])] for row in rows])
    if len(part) < {"point": 1, "line": 2, "area": 4}[form or "point"] or not np.isfinite(part).all():
        raise ValueError("too few places")
    return part


def _shapefile(file: str, beside: Mapping[str, bytes]) -> Layer:
    missing = [each for each in (".shx", ".dbf") if each not in beside]
    if missing:
        raise LayerError(file, "parts", " ".join(missing))
    _complete(file, beside)
    prj = beside.get(".prj")
    system = None if prj is None else prj.decode("utf-8", errors="replace").strip() or None
    return Layer(file, system, _records(file, beside, _encoding(beside.get(".cpg"), beside[".dbf"])), short=True)


def _complete(file: str, beside: Mapping[str, bytes]) -> None:
    """LayerError of files that were cut off: pipes must not be missing without anybody being told."""
    shp, shx, dbf = (beside[each] for each in (".shp", ".shx", ".dbf"))
    shapes, records = (len(shx) - 100) // 8, int.from_bytes(dbf[4:8], "little")
    head, wide = int.from_bytes(dbf[8:10], "little"), int.from_bytes(dbf[10:12], "little")
    if len(shp) < 100 or len(shp) < 2 * int.from_bytes(shp[24:28], "big"):
        raise LayerError(file, "shape", ".shp is cut off")
    if len(dbf) < head + records * wide:
        raise LayerError(file, "shape", ".dbf is cut off")
    if shapes != records:
        raise LayerError(file, "shape", f"{shapes} shapes in .shx, {records} records in .dbf")


def _encoding(cpg: bytes | None, dbf: bytes) -> str:
    said = "" if cpg is None else cpg.decode("ascii", errors="ignore").strip().upper()
    if "932" in said or "SJIS" in said or "SHIFT" in said:
        return "cp932"
    if "UTF" in said or "65001" in said:
        return "utf-8"
    # The names of columns and the records; a cut name breaks a letter in either.
    begin = int.from_bytes(dbf[8:10], "little")
    text = b"".join(dbf[at : at + 11].rstrip(b"\0") + b" " for at in range(32, max(begin - 32, 32), 32)) + dbf[begin:]
    return min("utf-8", "cp932", key=lambda each: text.decode(each, errors="replace").count("\ufffd"))


def _records(file: str, beside: Mapping[str, bytes], encoding: str) -> tuple[Feature, ...]:
    import shapefile  # loaded by who reads one

    try:
        reader = shapefile.Reader(
            shp=io.BytesIO(beside[".shp"]),
            shx=io.BytesIO(beside[".shx"]),
            dbf=io.BytesIO(beside[".dbf"]),
            encoding=encoding,
            encodingErrors="replace",
        )
        if len(reader) > MOST_FEATURES:
            raise LayerError(file, "size")
        found = []
        for number, each in enumerate(reader.iterShapeRecords(), start=1):
            said = _texts(each.record.as_dict())
            form, parts = _parts(each.shape)
            found.append(Feature(number, form if parts else None, parts, said))
        return tuple(found)
    except LayerError:
        raise
    except Exception as error:  # whatever a broken file brings out of the library: struct.error, KeyError, ...
        raise LayerError(file, "shape", f"{type(error).__name__}: {error}") from None


def _parts(shape: Any) -> tuple[Form | None, tuple[Floats, ...]]:
    kind = shape.shapeTypeName
    words: Mapping[str, Form] = {"POINT": "point", "MULTIPOINT": "point", "POLYLINE": "line", "POLYGON": "area"}
    form = words.get(kind.removesuffix("Z").removesuffix("M"))
    points = np.array([[x, y] for x, y, *_ in shape.points], float).reshape(-1, 2)
    if form is None or not len(points) or not np.isfinite(points).all():
        return form, ()
    if form == "point":
        return form, tuple(points[at : at + 1] for at in range(len(points)))
    starts = [*shape.parts, len(points)]
    rings = [points[a:b] for a, b in pairwise(starts) if b - a >= (2 if form == "line" else 4)]
    if form == "area":  # outer lines run clockwise; holes do not
        rings = [ring for ring in rings if _doubled_area(ring) <= 0] or rings[:1]
    return form, tuple(rings)


def _doubled_area(ring: Floats) -> float:
    x, y = (ring - ring[0]).T
    return float(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1]))


def _texts(said: Mapping[str, Any]) -> dict[str, str]:
    found = {}
    for key, value in said.items():
        if value is None or isinstance(value, (dict, list)):
            continue
        text = f"{value:.10g}" if isinstance(value, float) else str(value)
        if text.strip():
            found[str(key).strip()] = text.strip()
    return found
