"""A recorded river on its way through the broker: a town of one station a column, and every cell an uplink.

A recording is a folder with `dataset.json` and `series.csv`:

    dataset.json   name; kind "river"; step ("10min", "1h"); utc_offset ("+09:00") or timezone (IANA); target, rain
                   and neighbours: columns of series.csv; unit of the levels: m, cm, mm or ft; other keys are left alone
    series.csv     first column `time`, local; then a column a station; an empty field is a value that nobody has

The target and its neighbours become river gauges, rain columns rain gauges (mm in the step). Where they stand is not
known: the map is a grid. One message is one station at one time, in our own JSON, in the order of the file; its
counter is the number of its row, so that the same recording again is the same messages again. For an empty field
nothing is sent. Nothing is changed but the unit.

Raises SimulatorError, naming file and line.
"""

from __future__ import annotations

import csv
import json
import math
import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from devices.clock import Clock
from devices.model import (
    Datastream,
    Device,
    FieldMapping,
    Municipality,
    ObservedProperty,
    Station,
    StationKind,
    ThresholdLevel,
    ThresholdSet,
    Town,
)
from simulators.config import SimulatorConfig
from simulators.errors import SimulatorError
from simulators.frames import MIMAMORI_V1, Frame
from simulators.ledger import Ledger
from simulators.publisher import Publisher

MUNICIPALITY = "999998"  # belongs to nobody
MODEL = "values"
SESSION = "replay"
METRES = {"m": 1.0, "cm": 0.01, "mm": 0.001, "ft": 0.3048}
MOST_LEVELS = 5

_STEP = re.compile(r"(\d+)\s*(s|min|h|d)")
_SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86400}
_LOOK_EVERY = 0.1  # s of real time
_BOUNDS = (135.0, 32.0, 135.2, 32.2)


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the recording as a station: value = field x scale, in the property's unit."""

    name: str
    code: str
    index: int
    kind: StationKind
    observed_property: ObservedProperty
    scale: float


@dataclass(frozen=True, slots=True)
class Recording:
    """What a folder holds. `start`, `end`: first and last time, UTC; `ignored`: columns that nobody names."""

    name: str
    series: Path
    zone: tzinfo
    step: timedelta
    columns: tuple[Column, ...]
    target: str
    ignored: tuple[str, ...]
    start: datetime
    end: datetime
    rows: int

    @property
    def cells(self) -> int:
        """Rows times stations, empty fields included."""
        return self.rows * len(self.columns)


@dataclass(frozen=True, slots=True)
class Levels:
    """Reference levels of the target in metres, ascending, and how an alert over them clears."""

    values: tuple[float, ...] = ()
    clear_margin: float = 0.10
    hold: timedelta = timedelta(0)

    def __post_init__(self) -> None:
        if len(self.values) > MOST_LEVELS:
            raise SimulatorError(f"there can be {MOST_LEVELS} levels, not {len(self.values)}")
        if not all(map(math.isfinite, self.values)) or list(self.values) != sorted(set(self.values)):
            raise SimulatorError("the levels must be different heights in metres, the lowest first")
        if not (math.isfinite(self.clear_margin) and self.clear_margin >= 0 and self.hold >= timedelta(0)):
            raise SimulatorError("the clearing margin and the hold must not be negative")

    def numbered(self) -> dict[int, float]:
        """警戒レベル相当 -> metres. Up to four levels begin at 2, where people begin to act; five take 1 to 5."""
        first = 1 if len(self.values) == MOST_LEVELS else 2
        return dict(enumerate(self.values, first))


@dataclass
class Reading:
    """What was found while the cells were read: empty fields, and (line, why) of what is no value."""

    empty: int = 0
    rejected: list[tuple[int, str]] = field(default_factory=list)


def read_recording(folder: Path, *, neighbour_unit: str | None = None) -> Recording:
    """The recording in a folder; `neighbour_unit` is that of the neighbours' levels where it is not the target's."""
    described, series = _described(folder / "dataset.json"), folder / "series.csv"
    where = folder / "dataset.json"
    step, zone = _step(where, described.get("step")), _zone(where, described)
    unit = described.get("unit")
    for given in (unit, neighbour_unit or unit):
        if given not in METRES:
            raise SimulatorError(f"{where}: unit {given!r} is no unit of a water level{_why_not(given)}")
    target = described.get("target")
    if not isinstance(target, str):
        raise SimulatorError(f"{where}: 'target' must name a column")
    rain, neighbours = (_names(where, described, key) for key in ("rain", "neighbours"))
    kinds = dict.fromkeys(rain, (StationKind.RAIN_GAUGE, ObservedProperty.PRECIPITATION, 1.0))
    level = (StationKind.RIVER_GAUGE, ObservedProperty.WATER_LEVEL)
    kinds |= {name: (*level, METRES[neighbour_unit or str(unit)]) for name in neighbours}
    kinds[target] = (*level, METRES[str(unit)])

    header: list[str] = []
    times: list[datetime] = []
    rows = 0
    for _, fields in _lines(series):
        if not header:
            header = fields
            continue
        rows += 1
        try:
            times.append(_time(fields[0], zone))
        except ValueError:
            continue  # told when the cells are read
    if header[:1] != ["time"]:
        raise SimulatorError(f"{series}:1: the first column must be 'time'")
    if not times:
        raise SimulatorError(f"{series}: has no row with a time")
    missing = [name for name in kinds if header.count(name) != 1]
    if missing:
        raise SimulatorError(f"{series}:1: column {missing[0]!r} of dataset.json must be there once")
    columns = tuple(Column(name, _code(name), i, *kinds[name]) for i, name in enumerate(header) if name in kinds)
    codes = [column.code for column in columns]
    if len(set(codes)) < len(codes):
        raise SimulatorError(f"{series}:1: two columns differ only in case or signs: rename one")
    ignored = tuple(name for name in header[1:] if name not in kinds)
    name = str(described.get("name") or folder.name)
    return Recording(name, series, zone, step, columns, target, ignored, min(times), max(times), rows)


def town_of(
    recording: Recording,
    levels: Levels = Levels(),
    *,
    max_rate: float | None = None,
    stuck_after: timedelta | None = None,
) -> Town:
    """A town of the recording's stations. `max_rate` (m/h) and `stuck_after` of all levels; None: not checked.

    No device of it ever counts as silent: a gap of a record says nothing about the hardware.
    """
    span = recording.end - recording.start
    first = recording.start - timedelta(days=1)
    thresholds: tuple[ThresholdSet, ...] = ()
    if levels.values:
        named = tuple(
            ThresholdLevel(number, f"基準{i}", f"Reference level {i}", value)
            for i, (number, value) in enumerate(levels.numbered().items(), 1)
        )
        thresholds = (ThresholdSet(first, "再生のための基準", named, levels.clear_margin, levels.hold),)
    across = math.ceil(math.sqrt(len(recording.columns)))
    stations = []
    for i, column in enumerate(recording.columns):
        is_level = column.observed_property is ObservedProperty.WATER_LEVEL
        measured = Datastream(
            column.observed_property,
            recording.step,
            max_rate=max_rate if is_level else None,
            stuck_after=stuck_after if is_level else None,
        )
        property_name = column.observed_property.value
        mapping = (FieldMapping(property_name, column.observed_property),)
        device = Device(column.code, MODEL, span + timedelta(days=366), first, mapping)
        stations.append(
            Station(
                code=column.code,
                kind=column.kind,
                name=column.name,
                name_en=column.name,
                latitude=_BOUNDS[3] - 0.2 * (i // across + 0.5) / across,
                longitude=_BOUNDS[0] + 0.2 * (i % across + 0.5) / across,
                datastreams=(measured,),
                devices=(device,),
                thresholds=thresholds if column.name == recording.target else (),
            )
        )
    zone = recording.zone.key if isinstance(recording.zone, ZoneInfo) else _named_zone(recording.zone)
    municipality = Municipality(MUNICIPALITY, f"再生 {recording.name}", f"Replay {recording.name}", zone)
    return Town(municipality, tuple(stations), _BOUNDS)


def frames(recording: Recording, seen: Reading) -> Iterator[Frame]:
    """Every cell with a value, in the order of the file; what is none is noted in `seen`."""
    width = len(recording.columns)
    row = -1
    for line, fields in _lines(recording.series):
        if line == 1:
            continue
        row += 1
        try:
            time = _time(fields[0], recording.zone)
        except ValueError as error:
            seen.rejected += [(line, str(error))] * width
            continue
        for column in recording.columns:
            text = fields[column.index].strip() if column.index < len(fields) else ""
            if not text:
                seen.empty += 1
                continue
            try:
                value = _scaled(_number(text), column.scale)
            except ValueError as error:
                seen.rejected.append((line, f"{column.name}: {error}"))
                continue
            yield Frame(
                device=column.code, name=column.name, model=MODEL, session=SESSION, heard=time, counter=row,
                network=MIMAMORI_V1, samples=((time, {column.observed_property.value: value}),),
            )  # fmt: skip


def publish(config: SimulatorConfig, cells: Iterator[Frame], clock: Clock | None, stop: threading.Event) -> int:
    """Publishes the cells, each when the clock has reached its time (None: as fast as the broker takes them).

    Returns how many the broker has acknowledged: all of them, unless `stop` was set. SimulatorError when the broker
    refuses us or did not acknowledge everything in the end.
    """
    sent = 0
    with Ledger(config.ledger) as ledger:
        publisher = Publisher(config, ledger, stop)
        try:
            for frame in cells:
                while clock is not None and not stop.is_set() and (wait := _until(frame.heard, clock)) > 0:
                    publisher.collect(0.0)
                    stop.wait(min(wait, _LOOK_EVERY))
                if stop.is_set():
                    break
                publisher.publish(frame, 0)
                sent += 1
        finally:
            publisher.close()
    if publisher.sent < sent and not stop.is_set():
        raise SimulatorError(f"the broker has acknowledged only {publisher.sent} of {sent} messages")
    return publisher.sent


def _until(time: datetime, clock: Clock) -> float:
    return (time - clock.now()).total_seconds() / clock.speed


def _described(path: Path) -> dict[str, Any]:
    try:
        described = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SimulatorError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise SimulatorError(f"{path}: is not JSON in UTF-8: {error}") from None
    if not isinstance(described, dict) or described.get("kind") != "river":
        raise SimulatorError(f"{path}: 'kind' must be 'river': only rivers can be replayed")
    return described


def _why_not(unit: object) -> str:
    if isinstance(unit, str) and re.fullmatch(r".+/(s|min|h|d)", unit):
        return ", but of a flow: only the gauge's own rating curve can tell the level, so this cannot be replayed"
    return f"; there are {', '.join(METRES)}"


def _names(path: Path, described: dict[str, Any], key: str) -> Sequence[str]:
    names = described.get(key, [])
    if isinstance(names, list) and all(isinstance(name, str) for name in names):
        return names
    raise SimulatorError(f"{path}: {key!r} must be a list of columns")


def _step(path: Path, text: object) -> timedelta:
    match = _STEP.fullmatch(text) if isinstance(text, str) else None
    if match is None or int(match[1]) == 0:
        raise SimulatorError(f"{path}: 'step' must be a duration such as 10min or 1h, not {text!r}")
    return timedelta(seconds=int(match[1]) * _SECONDS[match[2]])


def _zone(path: Path, described: dict[str, Any]) -> tzinfo:
    offset, name = described.get("utc_offset"), described.get("timezone")
    try:
        if isinstance(name, str):
            return ZoneInfo(name)
        zone = datetime.fromisoformat(f"2000-01-01T00:00{offset}").tzinfo
    except (ValueError, KeyError, OSError):
        zone = None
    if zone is None:
        raise SimulatorError(f"{path}: there must be a 'utc_offset' such as +09:00, or a 'timezone' such as Asia/Tokyo")
    return zone


def _named_zone(zone: tzinfo) -> str:
    """A name for a fixed offset, as the municipality needs one: Etc/GMT-9 is nine hours ahead of UTC."""
    if zone == timezone(timedelta(hours=9)):
        return "Asia/Tokyo"
    offset = zone.utcoffset(None) or timedelta(0)
    hours, rest = divmod(offset, timedelta(hours=1))
    if rest or not -12 <= hours <= 14:
        return "UTC"
    return f"Etc/GMT{-hours:+d}" if hours else "UTC"


def _lines(series: Path) -> Iterator[tuple[int, list[str]]]:
    """The file's lines that are not blank, with their numbers."""
    try:
        with series.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            for fields in reader:
                if fields:
                    yield reader.line_num, fields
    except OSError as error:
        raise SimulatorError(f"{series}: cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise SimulatorError(f"{series}: is not CSV in UTF-8: {error}") from None


def _time(text: str, zone: tzinfo) -> datetime:
    try:
        time = datetime.fromisoformat(text.strip())
        return (time if time.tzinfo is not None else time.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"{text[:40]!r} is not a time such as 2026-06-01 09:00") from None


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"{text[:40]!r} is no number")
    return value


def _scaled(value: float, scale: float) -> float:
    """In metres; without the binary dust that makes 41 cm 0.41000000000000003 m."""
    return value if scale == 1.0 else round(value * scale, 9)


def _code(name: str) -> str:
    code = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40].rstrip("-")
    if not code:
        raise SimulatorError(f"column {name!r}: its name needs a letter or digit of ASCII to become a station's code")
    return code
