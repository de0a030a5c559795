"""The map of a table: which column of a CSV or Excel file is which series. A YAML file that people write, for
`mimamori import-csv` and for a watched folder alike.

    sheet: 観測                   of an Excel file [its first sheet]
    header: 1                     the line that names the columns [1]; several, as of a heading over two lines with
                                  merged cells: [2, 3], whose words are joined by a space; 0: none, then the columns
                                  are called A, B, C and so on
    first_line: 2                 the first line with values [the line after the header]
    time:
      column: 日時                or several, joined by a space: [日付, 時刻]
      format: "%Y/%m/%d %H:%M"    as in strptime [2026-06-01 9:00, 2026/6/1 9:00, 2026年6月1日9時00分 and RFC 3339]
      zone: Asia/Tokyo            or +09:00; for times without an offset of their own
      shift: 1h                   added to every time [0s]: for files that name the beginning of a counting interval
    quality: good                 or manual: written down by people, stands above what a device said;
                                  or confirmed: 確定値, stands above both and is not judged any more [good]
    missing:                      what stands there instead of a value, and what it means:
      "***": failure              failure (障害欠測), out_of_service (休止) or no_record (記録なし);
      "---": out_of_service       an empty field that is not listed here says nothing at all, and nothing is stored
    columns:                      a wide file: one column a series
      新橋水位: {station: river-shinbashi, property: water_level, scale: 0.01, offset: 0}

or, where every line is one value (a long file), instead of `columns`:

    long: {station: 観測所, property: 項目, value: 値}            the columns
    stations: {"0123": river-shinbashi}                           the file's names, where they are not our codes
    properties: {水位: {property: water_level, scale: 0.01}}      the same for properties

value = field x scale + offset, in the property's unit (m, m3/h, kPa, mm, passages).

or, of a file in a form that is known (`ingest.formats`), nothing but which of its series is which of ours:

    format: kagoshima             kagoshima, usgs, hubeau, mimamori
    series:                       the file's own name of a series, as `import-csv --check` lists it
      水位/139: {station: river-okusawa, property: water_level, name: 屋仁橋}

`name`: what the file must call it, where it may be numbered anew one day. `scale` and `offset` as above; without a
scale the file's own unit is converted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta, timezone, tzinfo
from enum import StrEnum
from pathlib import Path
from typing import TypeVar
from zoneinfo import ZoneInfo

import yaml

from devices.model import ObservedProperty, Quality, Reason
from devices.yaml_reader import Mapping as Entry
from devices.yaml_reader import YamlReader

MISSING_REASONS = (Reason.FAILURE, Reason.OUT_OF_SERVICE, Reason.NO_RECORD)
_QUALITIES = (Quality.GOOD, Quality.MANUAL, Reason.CONFIRMED)
_KEYS = (
    "sheet", "header", "first_line", "time", "quality", "missing", "columns", "long", "stations", "properties",
)  # fmt: skip
# The known forms (`ingest.formats`); the last is ours, whose series have our names.
FORMATS = ("kagoshima", "usgs", "hubeau", "mimamori")
OWN = FORMATS[-1]
_LAST_LINE = 10**9
_OFFSET = re.compile(r"([+-])(\d{2}):(\d{2})", re.ASCII)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TimeRule:
    """Where the time of a line stands and how it is written; `format` None: one of the usual ways."""

    columns: tuple[str, ...]
    format: str | None
    zone: tzinfo
    shift: timedelta


@dataclass(frozen=True, slots=True)
class Measured:
    """What a field means: value = field x scale + offset, of that property."""

    observed_property: ObservedProperty
    scale: float
    offset: float


@dataclass(frozen=True, slots=True)
class SeriesRule:
    """Which of ours a series of a file in a known form is. `scale` None: by the file's own unit; `name` None: whatever
    the file calls it.
    """

    station: str
    observed_property: ObservedProperty
    scale: float | None
    offset: float
    name: str | None


@dataclass(frozen=True, slots=True)
class FormatMap:
    """The map of a file in a known form: its series by their names in the file."""

    format: str
    series: Mapping[str, SeriesRule]


@dataclass(frozen=True, slots=True)
class LongColumns:
    """The columns of a long file, and what its names of stations and properties mean where they are not ours."""

    station: str
    observed_property: str
    value: str
    stations: Mapping[str, str]
    properties: Mapping[str, Measured]


@dataclass(frozen=True, slots=True)
class HistoryMap:
    """A map that makes sense. `columns` (wide file): column -> (station code, what it measures); else `long` is set.

    `header`: the lines that name the columns, ascending; empty where the columns have letters. `sheet` None: the first.
    """

    header: tuple[int, ...]
    first_line: int
    time: TimeRule
    quality: Quality
    reason: Reason | None
    missing: Mapping[str, Reason]
    columns: Mapping[str, tuple[str, Measured]]
    long: LongColumns | None
    sheet: str | None = None

    @property
    def fields(self) -> tuple[str, ...]:
        """The columns that it reads."""
        if self.long is None:
            return (*self.time.columns, *self.columns)
        return (*self.time.columns, self.long.station, self.long.observed_property, self.long.value)


Layout = HistoryMap | FormatMap
"""What a map says, of either kind."""


def load_map(path: Path, format_: str | None = None) -> Layout:
    """The map that a file describes; `format_`: the known form of its file, where that was said beside it.

    TownFileError lists every mistake as ``file:line: what, and what to do``.
    """
    return _read(YamlReader(path), None, format_)


def read_map(text: str, name: str = "map") -> Layout:
    """The same of a text; `name` is what messages call it."""
    return _read(YamlReader(Path(name)), text, None)


def _read(reader: YamlReader, text: str | None, format_: str | None) -> Layout:
    root = reader.root(text)
    if root.get("format") is not None or format_ is not None:
        return _read_format(reader, root, format_)
    root.only(_KEYS)
    sheet = None if root.get("sheet") is None else root.text("sheet")
    header = _header(reader, root)
    first_line = _line_number(reader, root, "first_line", max(header or (0,)) + 1)
    if header and first_line is not None and first_line <= max(header):
        reader.problem(root.keys["first_line"], f"first_line must come after the header's line {max(header)}")
    time = _time(reader, root)
    quality = _word(reader, root, "quality", _QUALITIES) if root.get("quality") else Quality.GOOD
    missing = _each(reader, root, "missing", lambda node, name: _one_of(reader, node, name, MISSING_REASONS))
    columns: dict[str, tuple[str, Measured]] = {}
    long = None
    if (root.get("columns") is None) == (root.get("long") is None):
        reader.problem(root, "there must be either 'columns' (a column a series) or 'long' (a value a line)")
    elif root.get("columns") is not None:
        columns = _each(reader, root, "columns", lambda node, name: _column(reader, node, name))
        if not columns:
            reader.problem(root.keys["columns"], "columns: there must be at least one")
        for key in ("stations", "properties"):
            if root.get(key) is not None:
                reader.problem(root.keys[key], f"'{key}' goes with 'long'; a column names its own")
    else:
        long = _long(reader, root)
    reader.finish()
    assert header is not None and first_line is not None and time is not None and quality is not None
    kind = quality if isinstance(quality, Quality) else Quality.GOOD
    reason = quality if isinstance(quality, Reason) else None
    return HistoryMap(header, first_line, time, kind, reason, missing, columns, long, sheet)


def _read_format(reader: YamlReader, root: Entry, said: str | None) -> FormatMap:
    root.only(("format", "series"))
    name = said if root.get("format") is None else root.text("format")
    if said is not None and name is not None and name != said:
        reader.problem(root.keys["format"], f"format: the map is for {name!r}, and the file was said to be {said!r}")
    if name is not None and name not in FORMATS and "format" in root.keys:
        reader.problem(root.keys["format"], f"format: {name!r} is none of {', '.join(FORMATS)}")
    series = _each(reader, root, "series", lambda node, key: _series(reader, node, key))
    listed = root.get("series")
    if name != OWN and (listed is None or not listed.value):
        reader.problem(root, "'series' must say of one series at least which of ours it is")
    reader.finish()
    assert name is not None
    return FormatMap(name, series)


def _series(reader: YamlReader, node: yaml.Node, name: str) -> SeriesRule | None:
    entry = reader.mapping(node, name)
    if entry is None:
        return None
    entry.only(("station", "property", "scale", "offset", "name"))
    station, measured = entry.text("station"), _described(reader, entry)
    called = None if entry.get("name") is None else entry.text("name")
    if measured is not None and measured.scale == 0:
        reader.problem(entry.keys["scale"], f"{name}: a scale of 0 makes every value 0; give another")
    if station is None or measured is None:
        return None
    scale = None if entry.get("scale") is None else measured.scale
    return SeriesRule(station, measured.observed_property, scale, measured.offset, called)


def _header(reader: YamlReader, root: Entry) -> tuple[int, ...] | None:
    node = root.get("header")
    if node is None:
        return (1,)
    if isinstance(node, yaml.SequenceNode):
        lines = [_line(reader, item, "header") for item in node.value]
        found = tuple(line for line in lines if line is not None)
        if not found or len(found) != len(lines) or list(found) != sorted(set(found)):
            reader.problem(node, "header must be a line, or several in ascending order such as [2, 3]")
            return None
        return found
    if isinstance(node, yaml.ScalarNode) and node.value == "0":
        return ()
    line = _line(reader, node, "header")
    return None if line is None else (line,)


def _line_number(reader: YamlReader, root: Entry, key: str, default: int) -> int | None:
    node = root.get(key)
    return default if node is None else _line(reader, node, key)


def _line(reader: YamlReader, node: yaml.Node, key: str) -> int | None:
    number = reader.number(node, key)
    if number is not None and (number != int(number) or not 1 <= number <= _LAST_LINE):
        reader.problem(node, f"{key} must be the number of a line, counted from 1")
        return None
    return None if number is None else int(number)


def _time(reader: YamlReader, root: Entry) -> TimeRule | None:
    node = root.required("time")
    entry = None if node is None else reader.mapping(node, "time")
    if entry is None:
        return None
    entry.only(("column", "format", "zone", "shift"))
    columns: list[str | None] = []
    where = entry.required("column")
    if isinstance(where, yaml.SequenceNode) and where.value:
        columns = [reader.text(item, "time: column") for item in where.value]
    elif where is not None:
        columns = [reader.text(where, "time: column")]
    format_node, shift_node = entry.get("format"), entry.get("shift")
    written = None if format_node is None else reader.text(format_node, "time: format")
    if format_node is not None and written is not None and "%" not in written:
        reader.problem(format_node, 'time: format must be written like "%Y/%m/%d %H:%M"')
    shift = timedelta(0) if shift_node is None else reader.duration(shift_node, "time: shift", zero=True)
    zone = _zone(reader, entry)
    named = tuple(column for column in columns if column is not None)
    if zone is None or shift is None or len(named) != len(columns) or not named:
        return None
    return TimeRule(named, written, zone, shift)


def _zone(reader: YamlReader, entry: Entry) -> tzinfo | None:
    text = entry.text("zone")
    if text is None:
        return None
    if match := _OFFSET.fullmatch(text):
        minutes = int(match[2]) * 60 + int(match[3])
        if minutes < 24 * 60:
            return timezone(timedelta(minutes=minutes if match[1] == "+" else -minutes))
    try:
        return ZoneInfo(text)
    except (KeyError, ValueError, OSError):
        reader.problem(entry.keys["zone"], f"time: zone {text!r} is unknown; write Asia/Tokyo or +09:00")
        return None


def _long(reader: YamlReader, root: Entry) -> LongColumns | None:
    node = root.get("long")
    entry = None if node is None else reader.mapping(node, "long")
    if entry is None:
        return None
    entry.only(("station", "property", "value"))
    station, observed_property, value = entry.text("station"), entry.text("property"), entry.text("value")
    stations = _each(reader, root, "stations", reader.text)
    properties = _each(reader, root, "properties", lambda node, name: _measured(reader, node, name))
    if station is None or observed_property is None or value is None:
        return None
    return LongColumns(station, observed_property, value, stations, properties)


def _column(reader: YamlReader, node: yaml.Node, name: str) -> tuple[str, Measured] | None:
    entry = reader.mapping(node, name)
    if entry is None:
        return None
    entry.only(("station", "property", "scale", "offset"))
    station, measured = entry.text("station"), _described(reader, entry)
    return None if station is None or measured is None else (station, measured)


def _measured(reader: YamlReader, node: yaml.Node, name: str) -> Measured | None:
    entry = reader.mapping(node, name)
    if entry is None:
        return None
    entry.only(("property", "scale", "offset"))
    return _described(reader, entry)


def _described(reader: YamlReader, entry: Entry) -> Measured | None:
    observed_property = _word(reader, entry, "property", tuple(ObservedProperty))
    scale, offset = (
        default if (node := entry.get(key)) is None else reader.number(node, f"{entry.name}: {key}")
        for key, default in (("scale", 1.0), ("offset", 0.0))
    )
    if observed_property is None or scale is None or offset is None:
        return None
    return Measured(observed_property, scale, offset)


def _each(reader: YamlReader, root: Entry, key: str, read: Callable[[yaml.Node, str], T | None]) -> dict[str, T]:
    """A mapping of the file's own words; empty where the key is absent."""
    node = root.get(key)
    entry = None if node is None else reader.mapping(node, key)
    found: dict[str, T] = {}
    for word, value in () if entry is None else entry.items():
        what = read(value, f"{key}: {word}")
        if what is not None:
            found[word] = what
    return found


W = TypeVar("W", bound=StrEnum)


def _word(reader: YamlReader, entry: Entry, key: str, allowed: tuple[W, ...]) -> W | None:
    node = entry.required(key)
    return None if node is None else _one_of(reader, node, f"{entry.name}: {key}", allowed)


def _one_of(reader: YamlReader, node: yaml.Node, name: str, allowed: tuple[W, ...]) -> W | None:
    text = reader.text(node, name)
    found = next((word for word in allowed if word.value == text), None)
    if found is None and text is not None:
        reader.problem(node, f"{name}: {text!r} is none of {', '.join(word.value for word in allowed)}")
    return found
