"""機器台帳の一括登録: a table of devices as a town keeps it in Excel -> what each line says, or what is wrong with it.

    read_list(sheet, zone) -> DeviceList

One line is one device, known by its key. The header has the names below or their Japanese titles, in any order. An
empty cell leaves things as they are; a hyphen alone takes out what was there (of the papers only). What the
database has to say about a line is `store.bulk`'s.

A mapping is `water_level=distance*-0.001+5.2`: property = field, with a factor and an addend where the value is not
the field itself; several are divided by semicolons. So are the levels and intervals of a gauge with several steps: the
first start level goes with the first stop level and the first interval.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from devices.duty import DutyCycle
from devices.mapping import MappingEntry
from devices.model import ObservedProperty
from devices.sheets import Cell, Row, Sheet
from devices.templates import TEMPLATES

# The columns in the order of the form, with their titles in Japanese.
COLUMNS: Mapping[str, str] = {
    "key": "機器ID",
    "model": "機種",
    "station": "地点コード",
    "template": "ひな形",
    "station_name": "地点名",
    "station_name_en": "地点名（英語）",
    "latitude": "緯度",
    "longitude": "経度",
    "attached_from": "設置日時",
    "silence_after": "無通信の許容時間",
    "report_interval": "待機中の間隔",
    "start_level": "観測開始水位",
    "stop_level": "観測停止水位",
    "observing_interval": "観測中の間隔",
    "mapping": "割付け",
    "serial_number": "製造番号",
    "owner": "管理者",
    "phone": "電話先",
    "battery_type": "電池の種類",
    "battery_exchanged": "電池交換日",
    "solar": "太陽電池",
    "service_ends": "通信終了日",
    "jc_star": "JC-STAR",
    "jc_star_label": "JC-STAR番号",
    "note": "備考",
}
# Columns whose cells must have been typed as text: as a number Excel keeps 15 digits, and no leading zero.
_AS_TEXT = frozenset({"key", "station", "serial_number", "phone", "jc_star_label"})
PAPERS = frozenset(
    {
        "serial_number",
        "owner",
        "phone",
        "battery_type",
        "battery_exchanged",
        "solar",
        "service_ends",
        "jc_star",
        "jc_star_label",
        "note",
    }
)
PACE = ("report_interval", "start_level", "stop_level", "observing_interval")
CLEAR = "-"

_SENTENCES = {
    "unknown_column": "the column {text} is unknown; there can be {known}",
    "no_key": "there is no column key (機器ID): it says which device a line is about",
    "no_lines": "there is no line below the header",
    "empty_key": "the key is empty; write the DevEUI or whatever the device calls itself",
    "lost_digits": "Excel keeps this as a number, which loses digits; make the column a text and type it again",
    "twice": "this device is in line {line} already; one line a device",
    "key": "{text} is no key: up to 64 characters out of a-z 0-9 . _ -",
    "station": "{text} is no code of a station: up to 40 characters out of a-z 0-9 and -",
    "number": "{text} is no number",
    "latitude": "{text} is no latitude in degrees, like 32.4012",
    "longitude": "{text} is no longitude in degrees, like 135.0345",
    "time": "{text} is no date; write 2026-06-01 or 2026-06-01 09:00",
    "day": "{text} is no date; write 2026-06-01",
    "duration": "{text} is no length of time; write 90min, 24h or 7d",
    "levels": "{text} is no level; write metres, like 1.2 or 1.2;2.0",
    "yes_no": "{text} is neither yes nor no; write yes or no (あり, なし)",
    "jc_star": "{text} is no level of JC-STAR; write 1, 2, 3 or 4",
    "template": "{text} is no template; there can be {known}",
    "mapping": "{text} is no mapping; write water_level=distance*-0.001+5.2",
    "property": "{text} is no observed property; there can be {known}",
    "clear": "this cannot be taken out; leave the cell empty, or write the new value",
    # What the database says (store.bulk):
    "missing_model": "a new device needs its model; there are {known}",
    "missing_station": "a new device needs the code of its station",
    "new_station": "there is no station {text} yet: give its template, name, latitude and longitude as well",
    "other_kind": "the station {text} is a {kind}; a {template} cannot be there",
    "moved_when": "the device is at {text} now; say in attached_from since when it is here",
    "no_mapping": "which field of {model} is what is not known; say it in the column mapping ({fields})",
    "downward": "{field} is measured down from the sensor; say mapping, like {example}",
    "missing_levels": "such a gauge needs a start level and a stop level: its station has no reference levels",
    "uneven": "write as many start levels, stop levels and intervals, divided by semicolons",
    "pace": "levels and intervals do not fit: {text}",
    "refused": "{text}",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a line: `line` and `cell` as the author's program numbers them, `column` by its name (empty:
    the line as a whole), `code` and `values` for who says it in other words.
    """

    line: int
    cell: str
    column: str
    code: str
    values: Mapping[str, str | int] = field(default_factory=dict)

    def __str__(self) -> str:
        return _SENTENCES[self.code].format(**self.values)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: `values` by column, of those cells that are not empty; None where a hyphen takes out what was there."""

    line: int
    cells: Mapping[str, str]
    values: Mapping[str, Any]

    def problem(self, column: str, code: str, **values: str | int) -> Problem:
        """A problem at a cell of this line."""
        return Problem(self.line, self.cells.get(column, ""), column, code, values)


@dataclass(frozen=True, slots=True)
class DeviceList:
    """The lines that can be read and the problems of those that cannot; `lines` is how many there are."""

    lines: int
    entries: tuple[Entry, ...]
    problems: tuple[Problem, ...]


def read_list(sheet: Sheet, zone: ZoneInfo) -> DeviceList:
    """What the lines say. Times without an offset are in `zone`."""
    names = {title: name for name, title in COLUMNS.items()} | {name: name for name in COLUMNS}
    columns = {cell.text: names[_plain(cell.text)] for cell in sheet.header if _plain(cell.text) in names}
    problems = [
        Problem(1, cell.name, "", "unknown_column", {"text": cell.text[:40], "known": ", ".join(COLUMNS.values())})
        for cell in sheet.header
        if cell.text not in columns
    ]
    if "key" not in columns.values():
        problems.append(Problem(1, "", "key", "no_key"))
    elif not sheet.rows:
        problems.append(Problem(1, "", "", "no_lines"))
    if problems:
        return DeviceList(len(sheet.rows), (), tuple(problems))
    entries, seen = [], dict[str, int]()
    for row in sheet.rows:
        entry, wrong = _entry(row, columns, zone)
        key = entry.values.get("key")
        if isinstance(key, str) and seen.setdefault(key, row.number) != row.number:
            wrong.append(entry.problem("key", "twice", line=seen[key]))
        problems += wrong
        if not wrong:
            entries.append(entry)
    return DeviceList(len(sheet.rows), tuple(entries), tuple(problems))


def _entry(row: Row, columns: Mapping[str, str], zone: ZoneInfo) -> tuple[Entry, list[Problem]]:
    cells = {columns[title]: cell for title, cell in row.cells.items() if title in columns}
    values: dict[str, Any] = {}
    problems = []
    entry = Entry(row.number, {name: cell.name for name, cell in cells.items()}, values)
    for name, cell in cells.items():
        if not cell.text:
            continue
        try:
            values[name] = _value(name, cell, zone)
        except _Wrong as wrong:
            problems.append(entry.problem(name, wrong.code, **wrong.values))
    if "key" not in values and not any(problem.column == "key" for problem in problems):
        problems.append(entry.problem("key", "empty_key"))
    return entry, problems


class _Wrong(Exception):
    """A cell that cannot be read; never leaves this module."""

    def __init__(self, code: str, **values: str | int) -> None:
        self.code = code
        self.values = values


def _plain(text: str) -> str:
    """Full-width letters and digits as plain ones."""
    return unicodedata.normalize("NFKC", text).strip() if text not in COLUMNS.values() else text


def _value(name: str, cell: Cell, zone: ZoneInfo) -> Any:
    if cell.text in (CLEAR, "－", "ー", "―"):
        if name not in PAPERS:
            raise _Wrong("clear")
        return None
    if cell.number and name in _AS_TEXT:
        raise _Wrong("lost_digits")
    reader = _READERS.get(name)
    if reader is None:
        return cell.text
    return reader(unicodedata.normalize("NFKC", cell.text).strip(), zone)


_KEY = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_EUI = re.compile(r"(?:[0-9A-Fa-f]{2}[-: ]?){7}[0-9A-Fa-f]{2}")
_CODE = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?(s|min|h|d|秒|分|時間|日)")
_UNITS = {"s": 1, "秒": 1, "min": 60, "分": 60, "h": 3600, "時間": 3600, "d": 86400, "日": 86400}
_DAY = re.compile(r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?")
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?")
_YES = frozenset({"yes", "true", "1", "あり", "有", "有り", "○", "〇", "はい"})
_NO = frozenset({"no", "false", "0", "なし", "無", "無し", "×", "いいえ"})
_NUMBER = r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?"
_MAPPING = re.compile(
    rf"(?P<property>[a-z_]+)\s*=\s*(?P<field>[^\s=;*+]+?)(?:\s*\*\s*(?P<scale>{_NUMBER}))?"
    rf"(?:\s*(?P<offset>[+-]\s*(?:\d+(?:\.\d*)?|\.\d+)))?"
)


def _key(text: str, zone: ZoneInfo) -> str:
    # A label says 24-E1-24-71-36-B1-23-45; the network says 24e124713 6b12345 without separators.
    if _EUI.fullmatch(text):
        return re.sub(r"[-: ]", "", text).lower()
    if not _KEY.fullmatch(text.lower()):
        raise _Wrong("key", text=text[:40])
    return text.lower()


def _code(text: str, zone: ZoneInfo) -> str:
    if not _CODE.fullmatch(text.lower()):
        raise _Wrong("station", text=text[:40])
    return text.lower()


def _degrees(name: str, most: float) -> Callable[[str, ZoneInfo], float]:
    def read(text: str, zone: ZoneInfo) -> float:
        try:
            value = float(text)
        except ValueError:
            raise _Wrong(name, text=text[:40]) from None
        if not -most <= value <= most:
            raise _Wrong(name, text=text[:40])
        return value

    return read


def _day(text: str, zone: ZoneInfo) -> date:
    found = _DAY.fullmatch(text)
    try:
        if found:
            return date(*(int(part) for part in found.groups()))
    except ValueError:
        pass
    raise _Wrong("day", text=text[:40])


def _time(text: str, zone: ZoneInfo) -> datetime:
    try:
        given = datetime.fromisoformat(text)
        if given.tzinfo is not None:
            return given.astimezone(UTC)
    except ValueError:
        pass
    day, _, clock = text.replace("T", " ").partition(" ")
    found = _CLOCK.fullmatch(clock.strip()) if clock.strip() else None
    try:
        hour, minute, second = (int(part) for part in found.groups("0")) if found else (0, 0, 0)
        if clock.strip() and not found:
            raise ValueError(clock)
        return datetime.combine(_day(day, zone), time(hour, minute, second), zone).astimezone(UTC)
    except (ValueError, _Wrong):
        raise _Wrong("time", text=text[:40]) from None


def _duration(text: str, zone: ZoneInfo) -> timedelta:
    found = _DURATION.fullmatch(text)
    if found is None or not 0 < float(found[1]) * _UNITS[found[2]] <= 366 * 86400:
        raise _Wrong("duration", text=text[:40])
    return timedelta(seconds=float(found[1]) * _UNITS[found[2]])


def _durations(text: str, zone: ZoneInfo) -> tuple[timedelta, ...]:
    return tuple(_duration(part, zone) for part in _parts(text, "duration"))


def _levels(text: str, zone: ZoneInfo) -> tuple[float, ...]:
    try:
        levels = tuple(float(part.removesuffix("m").strip()) for part in _parts(text, "levels"))
    except ValueError:
        raise _Wrong("levels", text=text[:40]) from None
    if not all(map(math.isfinite, levels)):
        raise _Wrong("levels", text=text[:40])
    return levels


def _parts(text: str, code: str) -> list[str]:
    parts = [part.strip() for part in text.split(";")]
    if not all(parts):
        raise _Wrong(code, text=text[:40])
    return parts


def _yes_no(text: str, zone: ZoneInfo) -> bool:
    if text.lower() in _YES:
        return True
    if text.lower() in _NO:
        return False
    raise _Wrong("yes_no", text=text[:40])


def _jc_star(text: str, zone: ZoneInfo) -> int:
    if text.removeprefix("★") not in ("1", "2", "3", "4"):
        raise _Wrong("jc_star", text=text[:40])
    return int(text.removeprefix("★"))


def _template(text: str, zone: ZoneInfo) -> str:
    for template in TEMPLATES.values():
        if text in (template.name, unicodedata.normalize("NFKC", template.title), template.title_en):
            return template.name
    raise _Wrong("template", text=text[:40], known="、".join(t.title for t in TEMPLATES.values()))


def _mapping(text: str, zone: ZoneInfo) -> tuple[MappingEntry, ...]:
    return read_mapping(text)


def read_mapping(text: str) -> tuple[MappingEntry, ...]:
    """The entries of a mapping as people write it in one cell."""
    entries = []
    for part in filter(None, (part.strip() for part in text.split(";"))):
        found = _MAPPING.fullmatch(part)
        if found is None:
            raise _Wrong("mapping", text=part[:60])
        try:
            observed = ObservedProperty(found["property"])
        except ValueError:
            raise _Wrong("property", text=found["property"][:40], known=", ".join(ObservedProperty)) from None
        scale = None if found["scale"] is None else float(found["scale"])
        offset = 0.0 if found["offset"] is None else float(found["offset"].replace(" ", ""))
        entries.append(MappingEntry(found["field"], observed, scale=scale, offset=offset))
    return tuple(entries)


def written_mapping(entries: Sequence[MappingEntry]) -> str:
    """The same backwards; fields that are not stored are left out.

    >>> written_mapping([MappingEntry("distance", ObservedProperty.WATER_LEVEL, scale=-0.001, offset=5.2)])
    'water_level=distance*-0.001+5.2'
    """
    parts = []
    for entry in entries:
        if entry.observed_property is not None:
            scale = "" if entry.scale is None else f"*{entry.scale:.12g}"
            offset = "" if entry.offset == 0 else f"{entry.offset:+.12g}"
            parts.append(f"{entry.observed_property}={entry.field}{scale}{offset}")
    return "; ".join(parts)


def written_pace(duty: DutyCycle) -> dict[str, str]:
    """The columns of a duty cycle.

    >>> from devices.duty import crisis_gauge
    >>> written_pace(crisis_gauge(1.2, 1.0))["start_level"], written_pace(crisis_gauge(1.2, 1.0))["observing_interval"]
    ('1.2', '10min')
    """
    return {
        "report_interval": _written(duty.calm.interval),
        "start_level": ";".join(f"{mode.start:.12g}" for mode in duty.above),
        "stop_level": ";".join(f"{mode.stop:.12g}" for mode in duty.above),
        "observing_interval": ";".join(_written(mode.interval) for mode in duty.above),
    }


def _written(duration: timedelta) -> str:
    return f"{duration.total_seconds() / 60:.12g}min"


_READERS: Mapping[str, Callable[[str, ZoneInfo], Any]] = {
    "key": _key,
    "station": _code,
    "template": _template,
    "latitude": _degrees("latitude", 90.0),
    "longitude": _degrees("longitude", 180.0),
    "attached_from": _time,
    "silence_after": _duration,
    "report_interval": _duration,
    "start_level": _levels,
    "stop_level": _levels,
    "observing_interval": _durations,
    "mapping": _mapping,
    "battery_exchanged": _day,
    "solar": _yes_no,
    "service_ends": _day,
    "jc_star": _jc_star,
}
