"""A file of customers' meters, a line for each meter and hour -> their hours. Nothing but number, time, value and block
is looked at: a column with names or addresses is left alone, and said.

    read_meters(data, zone=, oldest=, newest=) -> Found

Columns are known by their usual names: メーター番号, 日時 (of what the dial showed then, or the beginning of the hour),
指針 or 使用量 with its unit as 指針(m3) or 使用量(L), ブロック. A dial without a unit counts m3. A line that cannot be
understood is left out and told by its number, never by what stands in it. Raises `MeterFileError`, which names what is
missing in the header, and `devices.sheets.SheetError`.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType
from zoneinfo import ZoneInfo

import numpy as np

from analytics.leaks.meters.keyed import normal
from analytics.leaks.meters.signs import Floats
from devices.sheets import Cell, read_rows

MOST_LINES = 400_000
MOST_TOLD = 50  # lines that were left out
_HOUR = timedelta(hours=1)

_NAMES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "number": frozenset(
            {"メーター番号", "メータ番号", "水道メーター番号", "水道メータ番号", "計器番号", "量水器番号", "meter"}
        ),
        "time": frozenset({"日時", "検針日時", "計測日時", "time"}),
        "index": frozenset({"指針", "指針値", "検針値", "積算値", "index"}),
        "usage": frozenset({"使用量", "使用水量", "水量", "usage"}),
        "block": frozenset({"ブロック", "配水ブロック", "block"}),
    }
)
_UNITS = {"L": 1.0, "リットル": 1.0, "M3": 1000.0, "立方メートル": 1000.0}
_HEAD = re.compile(r"([^(\[]+)(?:[(\[](.+)[)\]])?")
_TIME = re.compile(
    r"(\d{4})[-/年](\d{1,2})[-/月](\d{1,2})日?(?:[T\s]*(\d{1,2})[:時](?:(\d{2})(?::(\d{2})(?:\.\d+)?)?)?分?)?"
)


class MeterFileError(Exception):
    """The file cannot be used. `code`: 'number', 'time', 'value' (no such column), 'both' (dial and flow), 'unit' (of
    flow: it must be said), or 'twice' (two columns of one meaning); `about` the column that it is about, or ''.
    """

    def __init__(self, code: str, about: str = "") -> None:
        super().__init__(f"{code}: {about}")
        self.code = code
        self.about = about


@dataclass(slots=True)
class Hours:
    """One meter's: L by day of UTC, 24 each, NaN where the file says nothing."""

    block: str | None = None
    days: dict[date, Floats] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Found:
    """`counts` 'index' or 'usage'; `meters` by `normal` number; `hours` values that were understood. `refused` lines
    were left out, the first of them `problems`: line, code ('number', 'time', 'hour', 'value', 'old', 'future'),
    column. `ignored`: columns nobody looked at.
    """

    counts: str
    meters: Mapping[str, Hours]
    hours: int
    refused: int
    problems: Sequence[tuple[int, str, str]]
    ignored: tuple[str, ...]


class _Line(Exception):
    def __init__(self, code: str, column: str) -> None:
        super().__init__(code)
        self.code, self.column = code, column


def read_meters(data: bytes, *, zone: ZoneInfo, oldest: datetime, newest: datetime) -> Found:
    """The hours from `oldest` to `newest`. Times without an offset are of `zone`. A value that is there twice: the
    later line counts.
    """
    header, rows = read_rows(data, most=MOST_LINES)
    columns, counts, litres = _columns(header)
    meters: dict[str, Hours] = {}
    problems: list[tuple[int, str, str]] = []
    hours = refused = 0
    for row in rows:
        texts = {name: row.cells[head].text if head in row.cells else "" for name, head in columns.items()}
        if not texts[counts]:
            continue  # an hour that the meter did not send: not known, and nothing wrong
        try:
            number = normal(texts["number"])
            if not number:
                raise _Line("number", columns["number"])
            time = _time(texts["time"], columns["time"], zone)
            if not oldest <= time <= newest:
                raise _Line("old" if time < oldest else "future", columns["time"])
            value = round(_value(texts[counts], columns[counts], counts) * litres, 3)
        except _Line as problem:
            refused += 1
            if len(problems) < MOST_TOLD:
                problems.append((row.number, problem.code, problem.column))
            continue
        meter = meters.setdefault(number, Hours())
        meter.block = texts.get("block") or meter.block
        day = meter.days.get(time.date())
        if day is None:
            day = meter.days[time.date()] = np.full(24, np.nan)
        hours += bool(np.isnan(day[time.hour]))
        day[time.hour] = value
    ignored = tuple(cell.text for cell in header if cell.text not in columns.values())
    return Found(counts, meters, hours, refused, problems, ignored)


def _columns(header: Sequence[Cell]) -> tuple[dict[str, str], str, float]:
    """Column by meaning, which of index and usage it has, and the litres of its unit."""
    columns: dict[str, str] = {}
    units: dict[str, str] = {}
    for cell in header:
        text = re.sub(r"\s", "", unicodedata.normalize("NFKC", cell.text))
        found = _HEAD.fullmatch(text)
        name = next((name for name, known in _NAMES.items() if found and found[1].lower() in known), None)
        if found is None or name is None:
            continue
        if name in columns:
            raise MeterFileError("twice", cell.text)
        columns[name] = cell.text
        units[name] = (found[2] or "").upper()
    for name in ("number", "time"):
        if name not in columns:
            raise MeterFileError(name)
    if "index" not in columns and "usage" not in columns:
        raise MeterFileError("value")
    if "index" in columns and "usage" in columns:
        raise MeterFileError("both", columns["usage"])
    counts = "index" if "index" in columns else "usage"
    unit = units[counts] or ("M3" if counts == "index" else "")
    if unit not in _UNITS:
        raise MeterFileError("unit", columns[counts])
    return columns, counts, _UNITS[unit]


def _time(text: str, column: str, zone: ZoneInfo) -> datetime:
    """A full hour in UTC. A day alone is its midnight, as spreadsheets write it; 24:00 is the next one."""
    text = unicodedata.normalize("NFKC", text)
    found = _TIME.match(text)
    if found is None:
        raise _Line("time", column)
    year, month, day, hour, minute, second = (int(each or 0) for each in found.groups())
    rest = text[found.end() :].strip()
    try:
        local = datetime(year, month, day, tzinfo=zone if not rest else None)
        if rest:  # it has an offset of its own
            local = local.replace(tzinfo=datetime.strptime(rest, "%z").tzinfo)
    except ValueError:
        raise _Line("time", column) from None
    if hour > 24 or minute > 59 or second > 59:
        raise _Line("time", column)
    # spreadsheets keep times as fractions of a day, which miss the hour by a little
    past = timedelta(hours=hour, minutes=minute, seconds=second)
    whole = timedelta(hours=round(past / _HOUR))
    if abs(past - whole) > timedelta(minutes=1):
        raise _Line("hour", column)
    return (local + whole).astimezone(UTC)


def _value(text: str, column: str, counts: str) -> float:
    try:
        value = float(unicodedata.normalize("NFKC", text).replace(",", ""))
    except ValueError:
        raise _Line("value", column) from None
    if not math.isfinite(value) or (counts == "index" and value < 0):
        raise _Line("value", column)
    return value
