"""A CSV file read line by line: what each line says, or why it cannot be taken. Memory does not grow with the file.

UTF-8 with or without a byte order mark, or CP932 (Excel's and most ministries' Shift_JIS): whichever reads more lines.
A line is a record: a quotation mark that is never closed spoils its own line and nothing after it. Numbers may be
full-width and have thousands separators; text in place of a number, NaN and infinity are refused.
"""

from __future__ import annotations

import csv
import math
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path

from devices.model import Quality
from ingest.errors import HistoryError
from ingest.history_map import HistoryMap, Measured
from ingest.history_times import time_reader
from store.writer import ObservationRow

_NUMBER = re.compile(r"[+-]?(\d+|\d{1,3}(,\d{3})+)?(\.\d*)?([eE][+-]?\d+)?", re.ASCII)
_AWKWARD = re.compile(r'["\r\n\0]')
_BOM = b"\xef\xbb\xbf"

Find = Callable[[str, str], int]
"""(station code, property) -> datastream_id; ValueError, in words, where there is none."""


@dataclass(frozen=True, slots=True)
class Line:
    """What one line says. `problems`: why something of it, or all of it, cannot be taken. `end`: bytes read so far."""

    number: int
    observations: Sequence[ObservationRow]
    problems: Sequence[str]
    end: int


@dataclass(frozen=True, slots=True)
class _Wide:
    index: int
    name: str
    datastream_id: int
    scale: float
    offset: float


def read_lines(path: Path, layout: HistoryMap, find: Find, now: datetime) -> Iterator[Line]:
    """The lines with values, blank ones left out. HistoryError where the file or its header cannot be read at all.

    `now` is the town's present: what claims to be later is a mistake, not history.
    """
    encoding = _encoding(path)
    read_time = time_reader(layout.time.format, layout.time.zone)
    parse: Callable[[list[str]], tuple[list[ObservationRow], list[str]]] | None = None
    with path.open("rb") as file:
        end = 0
        for number, raw in enumerate(file, 1):
            end += len(raw)
            if number < layout.header or layout.header < number < layout.first_line:
                continue
            raw = raw.removeprefix(_BOM) if number == 1 else raw
            try:
                text = raw.decode(encoding).rstrip("\r\n")
                # csv says the same of a line without a quotation mark, and takes twice as long
                fields = next(csv.reader([text], strict=True), []) if _AWKWARD.search(text) else text.split(",")
            except (UnicodeDecodeError, csv.Error) as error:
                if parse is None:
                    raise HistoryError(f"{path}:{number}: the header cannot be read: {error}") from None
                yield Line(number, (), (f"the line cannot be read: {_in_words(error, encoding)}",), end)
                continue
            if parse is None:
                parse = _parser(path, layout, fields, find, read_time, now)
            elif any(field.strip() for field in fields):
                yield Line(number, *parse(fields), end)
    if parse is None:
        raise HistoryError(f"{path}: has no line {layout.header}, where the header should be")


def _parser(
    path: Path,
    layout: HistoryMap,
    header: list[str],
    find: Find,
    read_time: Callable[[str], datetime],
    now: datetime,
) -> Callable[[list[str]], tuple[list[ObservationRow], list[str]]]:
    """The function that reads one line of this file."""
    names = [name.strip() for name in header]

    def column(name: str) -> int:
        if names.count(name) != 1:
            there = "is there several times" if name in names else "is not there"
            raise HistoryError(
                f"{path}:{layout.header}: column {name!r} {there}; the header has {', '.join(names)[:400]}"
            )
        return names.index(name)

    time_columns = [column(name) for name in layout.time.columns]

    def time_of(fields: list[str]) -> datetime:
        time = read_time(" ".join(fields[i].strip() for i in time_columns)) + layout.time.shift
        if time > now:
            raise ValueError(f"{time.astimezone(layout.time.zone):%Y-%m-%d %H:%M} is later than the town's present")
        return time

    if layout.long is not None:
        return _long_parser(layout, column, len(names), time_of, find)
    wide = []
    for name, (station, measured) in layout.columns.items():
        try:
            datastream_id = find(station, measured.observed_property.value)
        except ValueError as error:
            raise HistoryError(f"the map's column {name!r}: {error}") from None
        wide.append(_Wide(column(name), name, datastream_id, measured.scale, measured.offset))

    def parse(fields: list[str]) -> tuple[list[ObservationRow], list[str]]:
        observations, problems = [], []
        try:
            _whole(fields, len(names))
            time = time_of(fields)
        except ValueError as error:
            return [], [str(error)]
        for each in wide:
            text = fields[each.index].strip()
            if not text and "" not in layout.missing:
                continue
            try:
                observations.append(_observation(layout, each.datastream_id, time, text, each.scale, each.offset))
            except ValueError as error:
                problems.append(f"{each.name}: {error}")
        return observations, problems

    return parse


def _long_parser(
    layout: HistoryMap,
    column: Callable[[str], int],
    width: int,
    time_of: Callable[[list[str]], datetime],
    find: Find,
) -> Callable[[list[str]], tuple[list[ObservationRow], list[str]]]:
    long = layout.long
    assert long is not None
    station_at, property_at, value_at = column(long.station), column(long.observed_property), column(long.value)
    known: dict[tuple[str, str], tuple[int, float, float]] = {}

    def series(station: str, named: str) -> tuple[int, float, float]:
        if (station, named) not in known:
            code = long.stations.get(station, station)
            measured: Measured | None = long.properties.get(named)
            found = find(code, named if measured is None else measured.observed_property.value)
            known[station, named] = (found, 1.0, 0.0) if measured is None else (found, measured.scale, measured.offset)
        return known[station, named]

    def parse(fields: list[str]) -> tuple[list[ObservationRow], list[str]]:
        try:
            _whole(fields, width)
            time = time_of(fields)
            text = fields[value_at].strip()
            if not text and "" not in layout.missing:
                return [], []
            datastream_id, scale, offset = series(fields[station_at].strip(), fields[property_at].strip())
            return [_observation(layout, datastream_id, time, text, scale, offset)], []
        except ValueError as error:
            return [], [str(error)]

    return parse


def _whole(fields: list[str], width: int) -> None:
    # Excel leaves out what is empty at the end of a line, or adds commas.
    if any(field.strip() for field in fields[width:]):
        raise ValueError(f"has {len(fields)} fields, the header has {width}")
    fields += [""] * (width - len(fields))


def _observation(
    layout: HistoryMap, datastream_id: int, time: datetime, text: str, scale: float, offset: float
) -> ObservationRow:
    reason = layout.missing.get(text)
    if reason is not None:
        return ObservationRow(datastream_id, time, None, Quality.MISSING, reason)
    try:
        number = _number(text)
    except ValueError as error:
        known = ", ".join(repr(marker) for marker in layout.missing)
        raise ValueError(
            f"{error}" + (f" and none of the missing markers {known}" if known else "")
            + "; if it means that there is no value, list it under 'missing' in the map"
        ) from None  # fmt: skip
    value = number * scale + offset
    if not math.isfinite(value):
        raise ValueError(f"{text[:40]!r} is beyond all numbers")
    return ObservationRow(datastream_id, time, value, layout.quality, layout.reason)


@lru_cache(maxsize=1 << 15)  # a series says few different things, again and again
def _number(text: str) -> float:
    plain = text if text.isascii() else unicodedata.normalize("NFKC", text)
    if not _NUMBER.fullmatch(plain) or not any(character.isdigit() for character in plain):
        raise ValueError(f"{text[:40]!r} is no number")
    return float(plain.replace(",", ""))


def _encoding(path: Path) -> str:
    """utf-8 or cp932: the one in which fewer lines are unreadable, UTF-8 where both do equally well."""
    unreadable = {"utf-8": 0, "cp932": 0}
    try:
        with path.open("rb") as file:
            for number, raw in enumerate(file):
                if number == 0 and raw.startswith(_BOM):
                    return "utf-8"
                if raw.isascii():
                    continue
                for encoding in unreadable:
                    try:
                        raw.decode(encoding)
                    except UnicodeDecodeError:
                        unreadable[encoding] += 1
    except OSError as error:
        raise HistoryError(f"{path}: cannot be read: {error.strerror}") from None
    return min(unreadable, key=lambda encoding: unreadable[encoding])


def _in_words(error: Exception, encoding: str) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start + 1} of it is not {'UTF-8' if encoding == 'utf-8' else 'CP932'}"
    return str(error)
