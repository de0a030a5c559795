"""A file of customers' meters, a line for each meter and hour, or for each meter and day -> their hours. Nothing but
number, time, value and block is looked at: a column with names or addresses is left alone, and said.

    read_meters(data, zone=, oldest=, newest=) -> Found

Columns are known by their usual names: メーター番号, 日時 (of what the dial showed then, or the beginning of the hour),
指針 or 使用量 with its unit as 指針(m3) or 使用量(L), ブロック. A dial without a unit counts m3. A line for a day
has 日付 and a column for each hour: 指針(m3)0時 to 指針(m3)23時, or 使用量(L)0時 and so on; from 1時 to 24時,
what was used is that of the hour before. A line or value that cannot be understood is left out and told by its line and
column, never by what stands in it. Raises `MeterFileError`, which names what is missing in the header, and
`devices.sheets.SheetError`.
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
        "time": frozenset({"日時", "検針日時", "計測日時", "日付", "検針日", "計測日", "time", "date"}),
        "index": frozenset({"指針", "指針値", "検針値", "積算値", "index"}),
        "usage": frozenset({"使用量", "使用水量", "水量", "usage"}),
        "block": frozenset({"ブロック", "配水ブロック", "block"}),
    }
)
_COUNTS = ("index", "usage")
_UNITS = {"L": 1.0, "リットル": 1.0, "M3": 1000.0, "立方メートル": 1000.0}
_HEAD = re.compile(r"([^(\[]+)(?:[(\[](.+)[)\]])?")
_OF_HOUR = re.compile(r"(.*?)(\d{1,2})(?:時|:00)")
_TIME = re.compile(
    r"(\d{4})[-/年](\d{1,2})[-/月](\d{1,2})日?(?:[T\s]*(\d{1,2})[:時](?:(\d{2})(?::(\d{2})(?:\.\d+)?)?)?分?)?"
)


class MeterFileError(Exception):
    """The file cannot be used. `code`: 'number', 'time', 'value' (no such column), 'both' (dial and flow), 'unit' (of
    flow: it must be said), 'hours' (columns of hours that do not say what they show, or from 0 to 24), or 'twice' (two
    columns of one meaning); `about` the column that it is about, or ''.
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
    (or values of a line for a day) were left out, the first of them `problems`: line, code ('number', 'time', 'hour',
    'day', 'value', 'old', 'future'), column. `ignored`: columns nobody looked at.
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


@dataclass(frozen=True, slots=True)
class _Columns:
    """What the columns mean. `values`: with how long after the time of their line (None: at it)."""

    number: str
    time: str
    block: str | None
    values: Mapping[str, timedelta | None]
    counts: str
    litres: float


def read_meters(data: bytes, *, zone: ZoneInfo, oldest: datetime, newest: datetime, most: int = MOST_LINES) -> Found:
    """The hours from `oldest` to `newest`. Times without an offset are of `zone`. A value that is there twice: the
    later line counts. More than `most` lines are a SheetError.
    """
    header, rows = read_rows(data, most=most)
    columns = _columns(header)
    meters: dict[str, Hours] = {}
    problems: list[tuple[int, str, str]] = []
    hours = refused = 0
    for row in rows:
        texts = {head: cell.text for head, cell in row.cells.items()}
        for column, after in columns.values.items():
            if not texts.get(column):
                continue  # an hour that the meter did not send: not known, and nothing wrong
            try:
                number = normal(texts.get(columns.number, ""))
                if not number:
                    raise _Line("number", columns.number)
                time = _time(texts.get(columns.time, ""), columns.time, zone, after)
                if not oldest <= time <= newest:
                    raise _Line("old" if time < oldest else "future", columns.time)
                value = round(_value(texts[column], column, columns.counts) * columns.litres, 3)
            except _Line as problem:
                refused += 1
                if len(problems) < MOST_TOLD:
                    problems.append((row.number, problem.code, problem.column))
                if problem.column != column:
                    break  # the whole line's: told once
                continue
            meter = meters.setdefault(number, Hours())
            meter.block = (texts.get(columns.block) if columns.block else None) or meter.block
            day = meter.days.get(time.date())
            if day is None:
                day = meter.days[time.date()] = np.full(24, np.nan)
            hours += bool(np.isnan(day[time.hour]))
            day[time.hour] = value
    known = {columns.number, columns.time, columns.block, *columns.values}
    ignored = tuple(cell.text for cell in header if cell.text not in known)
    return Found(columns.counts, meters, hours, refused, problems, ignored)


def _columns(header: Sequence[Cell]) -> _Columns:
    columns: dict[str, str] = {}
    of_hours: dict[int, str] = {}
    shown: dict[tuple[str, str], str] = {}  # what is counted, in which unit: a column that says so
    for cell in header:
        text = re.sub(r"\s", "", unicodedata.normalize("NFKC", cell.text))
        of_hour = _OF_HOUR.fullmatch(text)
        name, unit = _meaning(of_hour[1] if of_hour else text)
        if of_hour and (not of_hour[1] or (name in _COUNTS and int(of_hour[2]) > 24)):
            raise MeterFileError("hours", cell.text)
        if name is None or (of_hour and name not in _COUNTS):
            continue
        if of_hour and int(of_hour[2]) not in of_hours:
            of_hours[int(of_hour[2])] = cell.text
        elif of_hour or name in columns:
            raise MeterFileError("twice", cell.text)
        else:
            columns[name] = cell.text
        if name in _COUNTS:
            shown.setdefault((name, unit), cell.text)
    for name in ("number", "time"):
        if name not in columns:
            raise MeterFileError(name)
    if not shown:
        raise MeterFileError("value")
    if len({name for name, _ in shown}) > 1:
        raise MeterFileError("both", next(column for (name, _), column in shown.items() if name == "usage"))
    (counts, unit), column = list(shown.items())[-1]
    litres = _UNITS.get(unit or ("M3" if counts == "index" else ""))
    if litres is None or len(shown) > 1:
        raise MeterFileError("unit", column)
    values: dict[str, timedelta | None] = {column: None}
    if of_hours:
        if counts in columns:
            raise MeterFileError("twice", columns[counts])
        if counts == "usage" and {0, 24} <= set(of_hours):
            raise MeterFileError("hours", of_hours[24])  # does 1時 begin or end its hour?
        begins = _HOUR if counts == "usage" and 24 in of_hours else timedelta()
        values = {head: hour * _HOUR - begins for hour, head in sorted(of_hours.items())}
    return _Columns(columns["number"], columns["time"], columns.get("block"), values, counts, litres)


def _meaning(text: str) -> tuple[str | None, str]:
    """What a column with this heading is, None where we do not look at it; and its unit, '' where it says none."""
    found = _HEAD.fullmatch(text)
    name = next((name for name, known in _NAMES.items() if found and found[1].lower() in known), None)
    return name, ((found[2] if found else "") or "").upper()


def _time(text: str, column: str, zone: ZoneInfo, after: timedelta | None) -> datetime:
    """A full hour in UTC. A day alone is its midnight, as spreadsheets write it; 24:00 is the next one. `after`: the
    text is a day, and the hour that long after it began.
    """
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
    if after is not None:
        if whole:
            raise _Line("day", column)
        whole = after
    return (local + whole).astimezone(UTC)


def _value(text: str, column: str, counts: str) -> float:
    try:
        value = float(unicodedata.normalize("NFKC", text).replace(",", ""))
    except ValueError:
        raise _Line("value", column) from None
    if not math.isfinite(value) or (counts == "index" and value < 0):
        raise _Line("value", column)
    return value
