"""The levels of a town file: dated threshold sets, numbered and not, and the surveyed cross-sections of a river."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from itertools import pairwise

import yaml

from devices.levels import HIGHEST, NUMBERED, USUAL_NAMES, CrossSection, Datum, LevelKind, ThresholdMark
from devices.model import Datastream, ObservedProperty, StationKind, ThresholdLevel, ThresholdSet
from devices.threshold_source import ThresholdSource
from devices.yaml_reader import Mapping, YamlReader

_LEVELS = re.compile(r"[1-5]")
_FEWEST_POINTS = 3


def read_thresholds(
    reader: YamlReader, station: Mapping, datastreams: tuple[Datastream, ...]
) -> Iterator[ThresholdSet]:
    """The key `thresholds` of a station; mistakes are noted in `reader`."""
    node = station.get("thresholds")
    if node is None:
        return
    levels = [stream for stream in datastreams if stream.observed_property is ObservedProperty.WATER_LEVEL]
    if not levels:
        reader.problem(
            station.keys["thresholds"], f"{station.name}: thresholds need a datastream water_level at the station"
        )
        return
    valid_from: dict[datetime, int] = {}
    for entry in reader.mappings(node, f"{station.name}: thresholds"):
        entry.name = f"{station.name}: threshold set"
        read = _threshold_set(reader, entry, levels[0])
        if read is not None:
            line = entry.keys["valid_from"].start_mark.line + 1
            if read.valid_from in valid_from:
                reader.problem(
                    entry.keys["valid_from"],
                    f"{entry.name}: valid_from is the same as in line {valid_from[read.valid_from]}; "
                    "two sets cannot begin at once",
                )
            valid_from.setdefault(read.valid_from, line)
            yield read


def _threshold_set(reader: YamlReader, entry: Mapping, stream: Datastream) -> ThresholdSet | None:
    entry.only(("valid_from", "reason", "clear_margin", "hold", "gauge_zero_tp", "source", "levels", "marks"))
    valid_from, reason = entry.time("valid_from"), entry.text("reason")
    margin = entry.number("clear_margin") if entry.get("clear_margin") is not None else 0.10
    if margin is not None and margin < 0:
        reader.problem(entry.keys["clear_margin"], f"{entry.name}: clear_margin must not be below 0")
    node = entry.get("hold")
    hold = timedelta(minutes=30) if node is None else reader.duration(node, f"{entry.name}: hold", zero=True)
    gauge_zero = entry.number("gauge_zero_tp") if entry.get("gauge_zero_tp") is not None else None
    node = entry.get("source")
    given = None if node is None else reader.mapping(node, f"{entry.name}: source")
    source = None if given is None else _source(reader, given)
    node = entry.get("marks")
    marks = () if node is None else tuple(_marks(reader, reader.mappings(node, f"{entry.name}: marks")))
    # A 危機管理型 gauge often has no level with a number.
    node = entry.required("levels") if not marks else entry.get("levels")
    mapping = None if node is None else reader.mapping(node, f"{entry.name}: levels")
    levels = () if mapping is None else tuple(_levels(reader, mapping, stream))
    _check_once(reader, entry, levels, marks)
    if valid_from is None or reason is None or margin is None or hold is None:
        return None
    return ThresholdSet(valid_from, reason, levels, margin, hold, gauge_zero, source, marks)


def _source(reader: YamlReader, entry: Mapping) -> ThresholdSource | None:
    """Whose levels they are: {administrator: 美守県}, or {document: 危第12号, dated: 2026-04-01}."""
    entry.only(("administrator", "document", "dated"))
    if (entry.get("administrator") is None) == (entry.get("document") is None):
        reader.problem(entry, f"{entry.name}: name either the administrator or the document that adopted the levels")
        return None
    if entry.get("administrator") is not None:
        name = entry.text("administrator")
        return None if name is None else ThresholdSource(administrator=name)
    document, text = entry.text("document"), entry.text("dated")
    if document is None or text is None:
        return None
    try:
        return ThresholdSource(document=document, dated=date.fromisoformat(text))
    except ValueError:
        reader.problem(entry.keys["dated"], f"{entry.name}: dated must be a date like 2026-04-01, not {text!r}")
        return None


def _levels(reader: YamlReader, entry: Mapping, stream: Datastream) -> Iterator[ThresholdLevel]:
    if not entry.keys:
        reader.problem(entry, f"{entry.name}: there must be at least one level")
    below: ThresholdLevel | None = None
    for key, node in sorted(entry.items()):
        level = reader.mapping(node, f"{entry.name}: {key}")
        if not _LEVELS.fullmatch(key):
            reader.problem(entry.keys[key], f"{entry.name}: {key!r} is no level; there can be 1, 2, 3, 4, 5")
            continue
        if level is None:
            continue
        level.only(("name", "name_en", "value", "kind"))
        name, name_en, value = level.text("name"), level.text("name_en"), level.number("value")
        kind = LevelKind.REFERENCE if level.get("kind") is None else _kind(reader, level, NUMBERED)
        if name is None or name_en is None or value is None or kind is None:
            continue
        read = ThresholdLevel(int(key), name, name_en, value, kind)
        low, high = stream.valid_range
        if (low is not None and value < low) or (high is not None and value > high):
            reader.problem(
                level.keys["value"],
                f"{level.name}: {value:g} m is outside the station's range of water_level; correct one of them",
            )
        if below is not None and value <= below.value:
            reader.problem(
                level.keys["value"],
                f"{level.name}: {value:g} m must be above level {below.level} ({below.value:g} m)",
            )
        below = read
        yield read


def _marks(reader: YamlReader, entries: Iterator[Mapping]) -> Iterator[ThresholdMark]:
    """Levels without a number: {kind: local, name: 橋げた下端, name_en: Bridge soffit, value: 2.9}."""
    for entry in entries:
        entry.only(("kind", "name", "name_en", "value"))
        kind = _kind(reader, entry, frozenset(LevelKind) - {LevelKind.REFERENCE})
        value = entry.number("value")
        if kind is None:
            continue
        usual = USUAL_NAMES.get(kind)
        unnamed = usual is not None and entry.get("name") is None and entry.get("name_en") is None
        name, name_en = usual if usual is not None and unnamed else (entry.text("name"), entry.text("name_en"))
        if value is not None and abs(value) > HIGHEST:
            reader.problem(
                entry.keys["value"], f"{entry.name}: {value:g} m from gauge zero cannot be: write metres, not cm"
            )
        if name is not None and name_en is not None and value is not None:
            yield ThresholdMark(kind, name, name_en, value)


def _kind(reader: YamlReader, entry: Mapping, allowed: frozenset[LevelKind]) -> LevelKind | None:
    text = entry.text("kind")
    known = [kind for kind in LevelKind if kind in allowed]
    if text is None or text in known:
        return None if text is None else LevelKind(text)
    reader.problem(entry.keys["kind"], f"{entry.name}: {text!r} is no kind here; there can be {', '.join(known)}")
    return None


def _check_once(
    reader: YamlReader, entry: Mapping, levels: tuple[ThresholdLevel, ...], marks: tuple[ThresholdMark, ...]
) -> None:
    every: list[ThresholdLevel | ThresholdMark] = [*levels, *marks]
    names = [each.name for each in every]
    for name in dict.fromkeys(each.name for each in marks):
        if names.count(name) > 1:
            reader.problem(entry, f"{entry.name}: the name {name!r} is there twice; each level needs its own")
    for kind in (LevelKind.DESIGN, LevelKind.OBSERVATION_START, LevelKind.OVERFLOW):
        if sum(each.kind is kind for each in every) > 1:
            reader.problem(entry, f"{entry.name}: there can be only one {kind}")


# --- cross-sections ---------------------------------------------------------------------------------------


def read_sections(reader: YamlReader, station: Mapping, kind: StationKind | None) -> Iterator[CrossSection]:
    """The key `cross_sections` of a river gauge; points as [m from the left bank, height in m] or with a note."""
    node = station.get("cross_sections")
    if node is None or kind is None:
        return
    if kind is not StationKind.RIVER_GAUGE:
        reader.problem(
            station.keys["cross_sections"], f"{station.name}: only a river_gauge has cross_sections; take it out"
        )
        return
    for entry in reader.mappings(node, f"{station.name}: cross_sections"):
        entry.name = f"{station.name}: cross-section"
        entry.only(("surveyed_on", "reason", "datum", "points"))
        day, reason, datum = entry.text("surveyed_on"), entry.text("reason"), entry.text("datum")
        node = entry.required("points")
        points = [] if node is None else list(_points(reader, entry, node))
        if day is None or reason is None or datum is None or node is None:
            continue
        surveyed = _day(reader, entry, day)
        known: Datum | None = "tp" if datum == "tp" else "zero" if datum == "zero" else None
        if known is None:
            reader.problem(entry.keys["datum"], f"{entry.name}: datum is tp (elevation) or zero (above gauge zero)")
        if len(points) < _FEWEST_POINTS or any(b[0] < a[0] for a, b in pairwise(points)):
            reader.problem(
                node, f"{entry.name}: points are at least {_FEWEST_POINTS}, from the left bank to the right one"
            )
        elif surveyed is not None and known is not None:
            distance, height, note = zip(*points, strict=True)
            yield CrossSection(surveyed, reason, known, distance, height, note)


def _points(reader: YamlReader, entry: Mapping, node: yaml.Node) -> Iterator[tuple[float, float, str]]:
    for item in reader.items(node, f"{entry.name}: points"):
        name = f"{entry.name}: a point"
        parts = reader.items(item, name)
        if not 2 <= len(parts) <= 3:
            reader.problem(item, f"{name} is [distance, height] or [distance, height, note]")
            continue
        distance, height = reader.number(parts[0], name), reader.number(parts[1], name)
        note = reader.text(parts[2], name) if len(parts) == 3 else ""
        if distance is not None and height is not None and note is not None:
            yield distance, height, note


def _day(reader: YamlReader, entry: Mapping, text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        reader.problem(
            entry.keys["surveyed_on"], f"{entry.name}: surveyed_on must be a date like 2026-02-10, not {text!r}"
        )
        return None
