"""The basemap: what a GIS exports is read, and every mistake is named with the file and the number of the feature."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from devices.basemap import KINDS, length_m, read_basemap
from devices.model import TownFileError
from devices.town import load_town

BOUNDS = (135.0, 32.0, 136.0, 33.0)
SQUARE = [[135.1, 32.1], [135.2, 32.1], [135.2, 32.2], [135.1, 32.1]]
HOLE = [[135.15, 32.12], [135.16, 32.12], [135.16, 32.13], [135.15, 32.12]]
PIPE = {"kind": "pipe", "block": "inlet", "diameter_mm": 100}
TOWN = """\
municipality: {code: 012345, name: 試町, name_en: Trial, timezone: Asia/Tokyo}
map: {bounds: [135.0, 32.0, 136.0, 33.0], basemap: map.geojson}
stations:
  - code: inlet
    kind: block_inlet
    name: 流入点
    name_en: Inlet
    latitude: 32.5
    longitude: 135.5
    block: {pipe_km: 8.5}
    datastreams: {flow: {interval: 5min}}
    devices: []
"""


def feature(properties: dict[str, Any], form: str, coordinates: Any) -> dict[str, Any]:
    geometry = {"type": form, "coordinates": coordinates}
    return {"type": "Feature", "properties": properties, "geometry": geometry}


def write(folder: Path, *features: Any) -> Path:
    path = folder / "map.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")
    return path


def test_areas_with_holes_multi_geometries_and_strange_properties_are_read(tmp_path: Path) -> None:
    road = {"kind": "road", "class": "national", "GIS_ID": 7}
    path = write(
        tmp_path,
        feature(road, "MultiLineString", [[[135.1, 32.1], [135.2, 32.2]], [[135.3, 32.1, 5.0], [135.2, 32.2]]]),
        feature({"kind": "terrain", "height_m": 40}, "Polygon", [SQUARE, HOLE]),
    )
    land, first, second = read_basemap(path, BOUNDS)
    assert (land.kind, len(land.lines), land.properties) == ("terrain", 2, {"height_m": 40.0}), "what lies below first"
    assert (first.properties, second.properties) == ({"class": "national"}, {"class": "national"})
    assert second.lines == (((135.3, 32.1), (135.2, 32.2)),)


@pytest.mark.parametrize(
    ("wrong", "mistake"),
    [
        (feature({"kind": "lake"}, "Polygon", [SQUARE]), "feature 2: unknown kind 'lake'; there can be sea, terrain"),
        (feature({"kind": "sea"}, "Point", [135.1, 32.1]), "feature 2 (sea): its geometry must be a Polygon, not 'Poi"),
        (feature({"kind": "sea"}, "Polygon", [[*SQUARE[:3], [135.3, 32.3]]]), "(sea): a ring of a Polygon must end"),
        (feature({"kind": "sea"}, "Polygon", [SQUARE[:2]]), "(sea): its coordinates must be those of a Polygon: at l"),
        (
            feature({"kind": "coast"}, "LineString", [[32.1, 135.1], [32.2, 135.1]]),
            "is outside the map's bounds; is it",
        ),
        (feature({"kind": "coast"}, "LineString", [[135.1, True], [135.1, 32.1]]), "(coast): its coordinates must be"),
        (feature({"kind": "terrain"}, "Polygon", [SQUARE]), "(terrain): 'height_m' must be a number, not None"),
        (
            feature({"kind": "road", "class": "motorway"}, "LineString", SQUARE),
            "(road): unknown class 'motorway'",
        ),
        (feature({"kind": "river"}, "LineString", SQUARE), "(river): a river has 'name' and 'name_en'; one without"),
        (feature({"kind": "pipe", "code": "p1"}, "LineString", SQUARE), "(pipe p1): 'block' must say the station code"),
        (feature(PIPE | {"length_m": 0}, "LineString", SQUARE), "(pipe): 'length_m' must be above 0"),
        (feature({"kind": "node", "block": "inlet"}, "Point", [135.1, 32.1]), "(node): 'code' must be a text and must"),
        (feature({"kind": "town", "name": "町"}, "Polygon", [SQUARE]), "(town 町): 'name_en' must be a text"),
        ({"type": "Feature"}, "feature 2: must have a geometry and properties"),
    ],
)
def test_a_mistake_is_named_with_file_and_feature(tmp_path: Path, wrong: Any, mistake: str) -> None:
    path = write(tmp_path, feature({"kind": "sea"}, "Polygon", [SQUARE]), wrong)
    with pytest.raises(TownFileError) as caught:
        read_basemap(path, BOUNDS)
    assert str(caught.value).startswith(f"{path}: feature 2") and mistake in str(caught.value)


@pytest.mark.parametrize(
    ("text", "mistake"),
    [("{", "map.geojson:1: this is not JSON"), ('{"features": []}', "must be a GeoJSON FeatureCollection")],
)
def test_a_file_that_is_no_geojson_is_named(tmp_path: Path, text: str, mistake: str) -> None:
    path = tmp_path / "map.geojson"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(TownFileError, match=mistake):
        read_basemap(path, BOUNDS)
    with pytest.raises(TownFileError, match="cannot be read"):
        read_basemap(tmp_path / "other.geojson", BOUNDS)


def test_the_pipes_of_a_block_say_its_length_once(tmp_path: Path) -> None:
    line = [[135.1, 32.1], [135.1, 32.2]]
    trunk = {"kind": "pipe", "class": "trunk"}
    write(
        tmp_path,
        feature(PIPE, "LineString", line),
        feature(PIPE | {"length_m": 500}, "LineString", line),
        feature(trunk, "LineString", line),
    )
    file = tmp_path / "town.yaml"
    file.write_text(TOWN, encoding="utf-8")
    with pytest.raises(TownFileError, match=r"10: station inlet: block: the basemap has 11\.6 km of pipes.*pipe_km"):
        load_town(file)
    file.write_text(TOWN.replace("    block: {pipe_km: 8.5}\n", ""), encoding="utf-8")
    (station,) = load_town(file).stations
    assert station.block is not None and station.block.pipe_km == pytest.approx(11.12 + 0.5)
    write(tmp_path, feature(PIPE | {"block": "outlet"}, "LineString", line))
    with pytest.raises(TownFileError, match="names the block_inlet 'outlet', which the town file does not have"):
        load_town(file)


def test_a_degree_of_latitude_is_a_hundred_and_eleven_kilometres() -> None:
    assert length_m(((135.0, 32.0), (135.0, 33.0))) == pytest.approx(111_200)
    assert length_m(((135.0, 60.0), (136.0, 60.0))) == pytest.approx(55_600)


def test_every_kind_is_drawn_in_the_demo_town() -> None:
    from simulators.towns.draw import path

    assert {shape.kind for shape in read_basemap(path(), (134.985, 32.40, 135.135, 32.515))} == set(KINDS)
