"""The town file: a municipality and everything that is watched in it, as one YAML that people write.

    municipality: {code, name, name_en, timezone}
    map:
      bounds: [west, south, east, north]                        degrees
      basemap: town.geojson                                     beside the town file (devices.basemap)
    stations:
      - {code, kind, name, name_en, latitude, longitude}        kind: river_gauge, block_inlet, visitor_spot
        datastreams: {water_level: {interval, range: [low, high], max_rate, stuck_after}, …}
        thresholds:  [{valid_from, reason, clear_margin, hold, gauge_zero_tp, levels: {1: {name, name_en, value}}}]
        tank:        {area_m2, full_m, low_m}                   of a service_tank
        block:       {pipe_km, tank: code}                      of a block_inlet
        river:       {name, km_from_mouth, catchment_km2}       of a river_gauge; {name} of a rain_gauge
        devices:     [{dev_eui or key, model, silence_after, attached_from, mapping: {water_level: distance},
                       duty: {interval: 24h, above: [{start, stop, interval}]}}]   of a 危機管理型水位計

A mapping is the name of the model's field, or `{field, scale, offset}` (value = field x scale + offset).
Durations are 90s, 10min, 24h or 7d. A missing range end is `~`. docs/devices.md shows a whole example.
"""

from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo

import yaml

from devices.basemap import read_basemap
from devices.model import MapShape, Municipality, Station, Town, TownFileError
from devices.town_rivers import check_rivers
from devices.town_stations import read_station
from devices.town_waterworks import check_tanks, measured
from devices.yaml_reader import Mapping, YamlReader


def load_town(path: Path) -> Town:
    """The town that a file describes. TownFileError lists every mistake as ``file:line: what, and what to do``."""
    reader = YamlReader(path)
    root = reader.root()
    root.only(("municipality", "map", "stations"))
    municipality = _municipality(reader, root)
    bounds, basemap = _map(reader, root)
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
                read.append((entry, station))
        check_tanks(reader, read)
    shapes = _shapes(reader, path.parent, basemap, bounds)
    check_rivers(reader, read, shapes)
    stations = measured(reader, read, shapes, None if basemap is None else basemap[1])
    reader.finish()
    assert municipality is not None and bounds is not None  # otherwise finish() has raised
    return Town(municipality, tuple(stations), bounds, shapes)


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


def _map(
    reader: YamlReader, root: Mapping
) -> tuple[tuple[float, float, float, float] | None, tuple[str, yaml.Node] | None]:
    """The bounds, and the basemap's file with the place where it is named."""
    node = root.required("map")
    entry = None if node is None else reader.mapping(node, "map")
    if entry is None:
        return None, None
    entry.only(("bounds", "basemap"))
    bounds = _bounds(reader, entry)
    file = entry.text("basemap") if entry.get("basemap") is not None else None
    return bounds, None if file is None else (file, entry.keys["basemap"])


def _shapes(
    reader: YamlReader,
    folder: Path,
    basemap: tuple[str, yaml.Node] | None,
    bounds: tuple[float, float, float, float] | None,
) -> tuple[MapShape, ...]:
    if basemap is None or bounds is None:
        return ()
    file, where = basemap
    try:
        return read_basemap(folder / file, bounds)
    except TownFileError as error:
        for mistake in str(error).splitlines():
            reader.problem(where, f"map: basemap: {mistake}")
    return ()


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
