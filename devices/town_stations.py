"""The stations of a town file: datastreams, and the devices that feed them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

import yaml

from devices.codecs import MODELS
from devices.model import (
    Datastream,
    Device,
    FieldMapping,
    ObservedProperty,
    Station,
    StationKind,
)
from devices.templates import PROPERTIES
from devices.town_duty import read_duty
from devices.town_levels import read_sections, read_thresholds
from devices.town_links import read_links
from devices.town_rivers import read_river
from devices.town_waterworks import read_block, read_tank
from devices.units import UnitError, conversion
from devices.yaml_reader import Mapping, YamlReader

_CODE = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_DEV_EUI = re.compile(r"[0-9a-f]{16}")
_KEY = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")

_Bounds = tuple[float, float, float, float]


def read_station(reader: YamlReader, entry: Mapping, bounds: _Bounds | None, seen: dict[str, int]) -> Station | None:
    """One entry of `stations`; None where a mistake, noted in `reader`, leaves nothing to build.

    `seen` remembers station codes and device keys across the town, which must have each only once.
    """
    entry.name = "station"
    code = entry.text("code")
    if code is not None:
        entry.name = f"station {code}"
        if not _CODE.fullmatch(code):
            reader.problem(entry.keys["code"], f"{entry.name}: a code is up to 40 characters out of a-z 0-9 and -")
        _once(reader, entry.keys["code"], f"station code {code!r}", seen)
    entry.only(
        (
            "code",
            "kind",
            "name",
            "name_en",
            "latitude",
            "longitude",
            "datastreams",
            "thresholds",
            "devices",
            "tank",
            "block",
            "river",
            "links",
            "cross_sections",
        )
    )
    kind = _kind(reader, entry)
    name, name_en = entry.text("name"), entry.text("name_en")
    latitude, longitude = entry.number("latitude"), entry.number("longitude")
    if bounds is not None and latitude is not None and not bounds[1] <= latitude <= bounds[3]:
        reader.problem(entry.keys["latitude"], f"{entry.name}: latitude {latitude} is outside the map's bounds")
    if bounds is not None and longitude is not None and not bounds[0] <= longitude <= bounds[2]:
        reader.problem(entry.keys["longitude"], f"{entry.name}: longitude {longitude} is outside the map's bounds")
    datastreams = tuple(_datastreams(reader, entry, kind))
    thresholds = tuple(read_thresholds(reader, entry, datastreams))
    devices = tuple(_devices(reader, entry, datastreams, seen))
    tank, block = read_tank(reader, entry, kind), read_block(reader, entry, kind)
    river = read_river(reader, entry, kind)
    sections = tuple(read_sections(reader, entry, kind))
    links = read_links(reader, entry)
    if code is None or kind is None or name is None or name_en is None or latitude is None or longitude is None:
        return None
    return Station(
        code,
        kind,
        name,
        name_en,
        latitude,
        longitude,
        datastreams,
        devices,
        thresholds,
        tank=tank,
        block=block,
        river=river,
        links=links,
        cross_sections=sections,
    )


def _once(reader: YamlReader, node: yaml.Node, what: str, seen: dict[str, int]) -> None:
    line = node.start_mark.line + 1
    if what in seen:
        reader.problem(node, f"{what} is already used in line {seen[what]}; each must be there only once")
    seen.setdefault(what, line)


def _kind(reader: YamlReader, entry: Mapping) -> StationKind | None:
    text = entry.text("kind")
    if text is None:
        return None
    try:
        return StationKind(text)
    except ValueError:
        kinds = ", ".join(StationKind)
        reader.problem(entry.keys["kind"], f"{entry.name}: unknown kind {text!r}; there can be {kinds}")
        return None


# --- datastreams ------------------------------------------------------------------------------------------


def _datastreams(reader: YamlReader, station: Mapping, kind: StationKind | None) -> Iterator[Datastream]:
    node = station.required("datastreams")
    entry = None if node is None else reader.mapping(node, f"{station.name}: datastreams")
    if entry is None:
        return
    if not entry.keys:
        reader.problem(entry, f"{entry.name}: there must be at least one")
    known = PROPERTIES[kind] if kind is not None else tuple(ObservedProperty)
    for key, value in entry.items():
        stream = reader.mapping(value, f"{station.name}: {key}")
        if key not in known:
            here = f" at a {kind}" if kind is not None else ""
            reader.problem(
                entry.keys[key],
                f"{station.name}: unknown observed property {key!r}{here}; there can be {', '.join(known)}",
            )
        elif stream is not None:
            yield _datastream(reader, stream, ObservedProperty(key))


def _datastream(reader: YamlReader, entry: Mapping, observed: ObservedProperty) -> Datastream:
    """The datastream; with a stand-in for what was wrong, so that no other line is blamed for this one."""
    entry.only(("interval", "range", "max_rate", "stuck_after"))
    interval = entry.duration("interval")
    node = entry.get("range")
    valid_range = (None, None) if node is None else _range(reader, node, f"{entry.name}: range")
    max_rate = None
    if entry.get("max_rate") is not None:
        max_rate = entry.number("max_rate")
        if max_rate is not None and max_rate <= 0:
            reader.problem(entry.keys["max_rate"], f"{entry.name}: max_rate must be above 0")
    stuck_after = None
    if entry.get("stuck_after") is not None:
        stuck_after = entry.duration("stuck_after")
        if stuck_after is not None and interval is not None and stuck_after <= interval:
            reader.problem(
                entry.keys["stuck_after"],
                f"{entry.name}: stuck_after must be longer than the interval, or every value counts as stuck",
            )
    return Datastream(observed, interval or timedelta(seconds=1), valid_range or (None, None), max_rate, stuck_after)


def _range(reader: YamlReader, node: yaml.Node, name: str) -> tuple[float | None, float | None] | None:
    items = reader.items(node, name)
    before = reader.problems
    ends = [None if _is_null(item) else reader.number(item, name) for item in items]
    if reader.problems > before or (not items and not isinstance(node, yaml.SequenceNode)):
        return None
    if len(ends) != 2:
        reader.problem(node, f"{name} must be [lowest, highest]; ~ for an end that is not known")
        return None
    low, high = ends
    if low is not None and high is not None and low >= high:
        reader.problem(node, f"{name}: the lowest value {low:g} must be below the highest {high:g}")
        return None
    return low, high


def _is_null(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null"


# --- devices ----------------------------------------------------------------------------------------------


def _devices(
    reader: YamlReader, station: Mapping, datastreams: tuple[Datastream, ...], seen: dict[str, int]
) -> Iterator[Device]:
    node = station.required("devices")
    if node is None:
        return
    fed: dict[ObservedProperty, str] = {}
    for entry in reader.mappings(node, f"{station.name}: devices"):
        key = _device_key(reader, entry, station.name, seen)
        entry.only(("dev_eui", "key", "model", "silence_after", "attached_from", "mapping", "duty"))
        model, silence_after = entry.text("model"), entry.duration("silence_after")
        attached_from = entry.time("attached_from")
        if model is not None and model not in MODELS and "/" not in model:
            reader.problem(
                entry.keys["model"],
                f"{entry.name}: unknown model {model!r}; there can be {', '.join(MODELS)}, or MAKER/MODEL of one that "
                "the town has brought along",
            )
            model = None
        mapping = tuple(_mapping(reader, entry, model, datastreams))
        for line in mapping:
            stream = next(s for s in datastreams if s.observed_property is line.observed_property)
            if silence_after is not None and silence_after < stream.interval:
                reader.problem(
                    entry.keys["silence_after"],
                    f"{entry.name}: silence_after must not be shorter than the interval of "
                    f"{line.observed_property}, or the device always counts as silent",
                )
            if line.observed_property in fed:
                reader.problem(
                    entry.keys["mapping"],
                    f"{entry.name}: {line.observed_property} is already fed by {fed[line.observed_property]}; "
                    "take out the device that is no longer there, or make a second station",
                )
            fed.setdefault(line.observed_property, entry.name)
        duty = read_duty(reader, entry, silence_after, (line.observed_property for line in mapping))
        if key is not None and model is not None and silence_after is not None and attached_from is not None:
            yield Device(key, model, silence_after, attached_from, mapping, duty)


def _device_key(reader: YamlReader, entry: Mapping, station: str, seen: dict[str, int]) -> str | None:
    entry.name = f"{station}: device"
    names = [name for name in ("dev_eui", "key") if name in entry.keys]
    if len(names) != 1:
        reader.problem(entry, f"{entry.name}: there must be either 'dev_eui' (LoRaWAN) or 'key' (any other sender)")
        return None
    key = entry.text(names[0])
    if key is None:
        return None
    entry.name = f"{station}: device {key}"
    if names == ["dev_eui"] and not _DEV_EUI.fullmatch(key):
        reader.problem(
            entry.keys["dev_eui"],
            f"{entry.name}: a DevEUI is 16 hex digits in lower case, without separators; "
            f"this has {len(key)} characters",
        )
    if names == ["key"] and not _KEY.fullmatch(key):
        reader.problem(
            entry.keys["key"],
            f"{entry.name}: a key is up to 64 characters out of a-z 0-9 . _ -, starting with a letter or digit",
        )
    _once(reader, entry.keys[names[0]], f"device {key}", seen)
    return key


def _mapping(
    reader: YamlReader, device: Mapping, model: str | None, datastreams: tuple[Datastream, ...]
) -> Iterator[FieldMapping]:
    # A model that the town has brought along says itself what its fields are; only the database knows it.
    brought = model is not None and model not in MODELS
    node = device.get("mapping") if brought else device.required("mapping")
    entry = None if node is None else reader.mapping(node, f"{device.name}: mapping")
    if entry is None:
        return
    builtin = MODELS.get(model or "")
    if not entry.keys:
        reader.problem(entry, f"{entry.name}: there must be at least one line")
    known = [stream.observed_property for stream in datastreams]
    fields: dict[str, str] = {}
    for key, value in entry.items():
        if key not in known:
            reader.problem(
                entry.keys[key],
                f"{entry.name}: {key!r} is no datastream of this station; it has {', '.join(known) or 'none'}",
            )
            continue
        read = _field(reader, value, ObservedProperty(key), f"{entry.name}: {key}")
        if read is None:
            continue
        if builtin is not None and read.field not in builtin.fields:
            reader.problem(
                value,
                f"{entry.name}: {model} has no field {read.field!r}; it has {', '.join(builtin.fields)}",
            )
        elif builtin is not None and read.field in builtin.counters and (read.offset != 0 or read.scale < 0):
            reader.problem(
                value,
                f"{entry.name}: {read.field} of a {model} is a counter; its scale says what one count is worth "
                "(above 0), and it has no offset",
            )
        elif read.field in fields:
            reader.problem(
                value, f"{entry.name}: field {read.field!r} already feeds {fields[read.field]}; it can feed only one"
            )
        else:
            fields[read.field] = key
            yield read


def _field(reader: YamlReader, node: yaml.Node, observed: ObservedProperty, name: str) -> FieldMapping | None:
    if isinstance(node, yaml.ScalarNode):
        field = reader.text(node, name)
        return None if field is None else FieldMapping(field, observed)
    entry = reader.mapping(node, name)
    if entry is None:
        return None
    entry.only(("field", "unit", "scale", "offset"))
    field = entry.text("field")
    unit = entry.text("unit") if entry.get("unit") is not None else None
    scale = entry.number("scale") if entry.get("scale") is not None else 1.0
    offset = entry.number("offset") if entry.get("offset") is not None else 0.0
    if unit is not None and entry.get("scale") is None and offset is not None:
        try:
            scale, more = conversion(unit, observed.unit)
        except UnitError as error:
            reader.problem(entry.keys["unit"], f"{entry.name}: {error}")
            return None
        offset += more
    if scale == 0:
        reader.problem(entry.keys["scale"], f"{entry.name}: scale must not be 0, or every value is the offset")
    if field is None or scale is None or offset is None:
        return None
    return FieldMapping(field, observed, scale, offset)
