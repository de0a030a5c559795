"""The town file: a municipality and everything that is watched in it, as one YAML that people write.

    municipality: {code, name, name_en, timezone}
    map:
      bounds: [west, south, east, north]                        degrees
      shapes: [{kind, name, name_en, points: [[lon, lat], …]}]  kind: river, coast, block, town
    stations:
      - {code, kind, name, name_en, latitude, longitude}        kind: river_gauge, block_inlet, visitor_spot
        datastreams: {water_level: {interval, range: [low, high], max_rate, stuck_after}, …}
        thresholds:  [{valid_from, reason, clear_margin, hold, gauge_zero_tp, levels: {1: {name, name_en, value}}}]
        tank:        {area_m2, full_m, low_m}                   of a service_tank
        block:       {pipe_km, tank: code}                      of a block_inlet
        devices:     [{dev_eui or key, model, silence_after, attached_from, mapping: {water_level: distance}}]

A mapping is the name of the model's field, or `{field, scale, offset}` (value = field x scale + offset).
Durations are 90s, 10min, 24h or 7d. A missing range end is `~`. docs/devices.md shows a whole example.
"""

from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo

import yaml

from devices.model import MapShape, Municipality, Station, Town
from devices.town_stations import read_station
from devices.town_waterworks import check_tanks
from devices.yaml_reader import Mapping, YamlReader

_SHAPE_KINDS = {"river": 2, "coast": 2, "block": 3, "town": 3}  # kind: the fewest points that draw it


def load_town(path: Path) -> Town:
    """The town that a file describes. TownFileError lists every mistake as ``file:line: what, and what to do``."""
    reader = YamlReader(path)
    root = reader.root()
    root.only(("municipality", "map", "stations"))
    municipality = _municipality(reader, root)
    bounds, shapes = _map(reader, root)
    stations: list[Station] = []
    read: list[tuple[Mapping, Station]] = []
    seen: dict[str, int] = {}  # station codes and device keys, and the line where each came first
    node = root.required("stations")
    if node is not None:
        entries = list(reader.mappings(node, "stations"))
        if not entries and isinstance(node, yaml.SequenceNode) and not node.value:
            reader.problem(node, "stations: there must be at least one")
        for entry in entries:
            station = read_station(reader, entry, bounds, seen)
            if station is not None:
                stations.append(station)
                read.append((entry, station))
        check_tanks(reader, read)
    reader.finish()
    assert municipality is not None and bounds is not None  # otherwise finish() has raised
    return Town(municipality, tuple(stations), bounds, tuple(shapes))


def _municipality(reader: YamlReader, root: Mapping) -> Municipality | None:
    node = root.required("municipality")
    entry = None if node is None else reader.mapping(node, "municipality")
    if entry is None:
        return None
    entry.only(("code", "name", "name_en", "timezone"))
    code, name, name_en = entry.text("code"), entry.text("name"), entry.text("name_en")
    timezone = entry.text("timezone")
    if code is not None and not (len(code) == 6 and code.isascii() and code.isdigit()):
        reader.problem(entry.keys["code"], f"municipality: code {code!r} must be 6 digits (全国地方公共団体コード)")
    if timezone is not None:
        try:
            ZoneInfo(timezone)
        except (KeyError, ValueError, OSError):
            reader.problem(
                entry.keys["timezone"], f"municipality: timezone {timezone!r} is unknown; write it as Asia/Tokyo"
            )
    if code is None or name is None or name_en is None or timezone is None:
        return None
    return Municipality(code, name, name_en, timezone)


def _map(reader: YamlReader, root: Mapping) -> tuple[tuple[float, float, float, float] | None, list[MapShape]]:
    node = root.required("map")
    entry = None if node is None else reader.mapping(node, "map")
    if entry is None:
        return None, []
    entry.only(("bounds", "shapes"))
    bounds = _bounds(reader, entry)
    shapes = []
    node = entry.get("shapes")
    for shape in reader.mappings(node, "map: shapes") if node is not None else ():
        read = _shape(reader, shape, bounds)
        if read is not None:
            shapes.append(read)
    return bounds, shapes


def _bounds(reader: YamlReader, entry: Mapping) -> tuple[float, float, float, float] | None:
    node = entry.required("bounds")
    if node is None:
        return None
    numbers = [reader.number(item, "map: bounds") for item in reader.items(node, "map: bounds")]
    if None in numbers:
        return None
    if len(numbers) == 4:
        west, south, east, north = (number for number in numbers if number is not None)
        if -180 <= west < east <= 180 and -90 <= south < north <= 90:
            return west, south, east, north
    reader.problem(node, "map: bounds must be [west, south, east, north] in degrees, west < east, south < north")
    return None


def _shape(reader: YamlReader, entry: Mapping, bounds: tuple[float, float, float, float] | None) -> MapShape | None:
    entry.name = "map: shape"
    entry.only(("kind", "name", "name_en", "points"))
    kind, name, name_en = entry.text("kind"), entry.text("name"), entry.text("name_en")
    if name is not None:
        entry.name = f"map: shape {name}"
    if kind is not None and kind not in _SHAPE_KINDS:
        reader.problem(
            entry.keys["kind"], f"{entry.name}: unknown kind {kind!r}; there can be {', '.join(_SHAPE_KINDS)}"
        )
        kind = None
    node = entry.required("points")
    if node is None:
        return None
    points = []
    for item in reader.items(node, f"{entry.name}: points"):
        pair = [reader.number(part, f"{entry.name}: points") for part in reader.items(item, "a point")]
        if len(pair) != 2:
            reader.problem(item, f"{entry.name}: a point must be [longitude, latitude]")
        elif pair[0] is not None and pair[1] is not None:
            if bounds and not (bounds[0] <= pair[0] <= bounds[2] and bounds[1] <= pair[1] <= bounds[3]):
                reader.problem(
                    item, f"{entry.name}: the point {pair} is outside the map's bounds; is it [longitude, latitude]?"
                )
            points.append((pair[0], pair[1]))
    if kind is None or name is None or name_en is None:
        return None
    if len(points) < _SHAPE_KINDS[kind]:
        reader.problem(node, f"{entry.name}: a {kind} needs at least {_SHAPE_KINDS[kind]} points")
    return MapShape(kind, name, name_en, tuple(points))
