"""What each line of a table says under its map, or why it cannot be taken. Memory does not grow with the table.

Numbers may be full-width, have thousands separators, and △ or ▲ for a minus; text in place of a number, NaN and
infinity are refused. Merged cells are understood where they say one thing about several lines (a heading, a date over
the hours of its day, a station over its values) and refused by name where they would be one value for several times.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from itertools import groupby

from devices.model import Quality
from ingest.errors import HistoryError, Wrong
from ingest.history_map import HistoryMap, Measured
from ingest.history_rows import Merged, Row, Table, letters
from ingest.history_times import time_reader
from store.writer import ObservationRow

_NUMBER = re.compile(r"[+-]?(\d+|\d{1,3}(,\d{3})+)?(\.\d*)?([eE][+-]?\d+)?", re.ASCII)
_MINUS = str.maketrans("△▲−‐–", "-----")
_MOST_MERGED = 100_000  # cells; a table for people has hundreds

Find = Callable[[str, str], int]
"""(station code, property) -> datastream_id; Wrong where there is none."""


@dataclass(frozen=True, slots=True)
class Line:
    """What one line says. `problems`: why something of it, or all of it, cannot be taken. `end`: bytes read so far.
    `before`: lines in the earlier parts of the file, where it has several, each with its own numbers.
    """

    number: int
    observations: Sequence[ObservationRow]
    problems: Sequence[Wrong]
    end: int
    before: int = 0

    @property
    def position(self) -> int:
        """Where the line stands in the whole file: grows from line to line."""
        return self.before + self.number


@dataclass(frozen=True, slots=True)
class _Wide:
    index: int
    name: str
    datastream_id: int
    scale: float
    offset: float


class _Parser:
    """Reads the lines of one table: `parse`. `labels` are the columns that may speak for several lines, `values` those
    that may not.
    """

    labels: frozenset[int]
    values: frozenset[int]

    def parse(self, fields: list[str]) -> tuple[list[ObservationRow], list[Wrong]]:
        raise NotImplementedError


def read_lines(table: Table, layout: HistoryMap, find: Find, now: datetime) -> Iterator[Line]:
    """The lines with values, blank ones left out. HistoryError where the table or its header cannot be read at all.

    `now` is the town's present: what claims to be later is a mistake, not history.
    """
    merged = _Cells(table)
    last = max(layout.header, default=0)
    heading: list[tuple[int, list[str]]] = []
    parser: _Parser | None = None
    for number, fields, end in table.rows():
        if isinstance(fields, Wrong):
            if number in layout.header:
                raise HistoryError(
                    f"{table.name}:{number}: the header cannot be read: {fields}",
                    f"{table.name}：{number}行目の見出しを読めません。{fields.ja}",
                )
            if number >= layout.first_line:
                yield Line(number, (), (fields,), end)
            continue
        if number in layout.header:
            heading.append((number, fields))
        if parser is None and (number == last or (not last and number == layout.first_line)):
            parser = _parser(table, layout, column_names(table, layout.header, heading, len(fields)), find, now)
        if number < layout.first_line or parser is None:
            continue
        refused = merged.apply(number, fields, parser) if merged else []
        if refused:
            yield Line(number, (), refused, end)
        elif any(field.strip() for field in fields):
            yield Line(number, *parser.parse(fields), end)
    if parser is None:
        what = f"line {last}, where the header should be" if last else f"line {layout.first_line}, where values begin"
        raise HistoryError(
            f"{table.name}: has no {what}",
            f"{table.name}：{last or layout.first_line}行目がありません（{'見出し' if last else '最初の値'}の行）。",
        )


def column_names(
    table: Table, header: Sequence[int], heading: Sequence[tuple[int, list[str]]], width: int
) -> list[str]:
    """The names of the columns. Of several lines each column's words are joined; what is merged counts for every column
    below it, as does in a CSV file a word of an upper line with empty cells to its right: that is how Excel saves it.
    """
    if not header:
        return [letters(i) for i in range(width)]
    width = max(len(fields) for _, fields in heading)
    columns: list[list[str]] = [[] for _ in range(width)]
    above: dict[tuple[int, int], str] = {}
    for number, fields in heading:
        words = [field.strip() for field in fields] + [""] * (width - len(fields))
        for box in table.merged:
            if box.top == number and box.left < width:
                above[box.top, box.left] = words[box.left]
            if box.top <= number <= box.bottom:
                for i in range(box.left, min(box.right + 1, width)):
                    words[i] = above.get((box.top, box.left), words[i])
        if not table.merged and number != header[-1]:
            for i in range(1, width):
                words[i] = words[i] or words[i - 1]
        for column, word in zip(columns, words, strict=True):
            column.append(" ".join(word.split()))
    return [" ".join(word for word, _ in groupby(filter(None, column))) for column in columns]


class _Cells:
    """The merged cells of a table, line by line."""

    def __init__(self, table: Table) -> None:
        self._by_line: dict[int, list[tuple[int, Merged]]] = {}
        self._texts: dict[Merged, str] = {}
        cells = 0
        for box in table.merged:
            cells += (box.bottom - box.top + 1) * (box.right - box.left + 1)
            if cells > _MOST_MERGED:
                raise HistoryError(
                    f"{table.name}: cells {box} are merged, which is too much for a table: unmerge them",
                    f"{table.name}：セル {box} が結合されています。範囲が大きすぎるため、結合を解除してください。",
                )
            for line in range(box.top, box.bottom + 1):
                self._by_line.setdefault(line, []).extend((i, box) for i in range(box.left, box.right + 1))

    def __bool__(self) -> bool:
        return bool(self._by_line)

    def apply(self, number: int, fields: list[str], parser: _Parser) -> list[Wrong]:
        """Writes what stands for several lines into this one; what may not do so is refused."""
        refused: dict[Merged, Wrong] = {}
        for i, box in self._by_line.get(number, ()):
            if i in parser.values or (i in parser.labels and box.right > box.left):
                refused[box] = Wrong(
                    f"the cells {box} are merged, and nobody can tell of which line or column that is: unmerge them",
                    f"セル {box} が結合されていて、どの行・列の値か分かりません。結合を解除してください",
                )
            elif i in parser.labels:
                fields += [""] * (i + 1 - len(fields))
                if number == box.top:
                    self._texts[box] = fields[i]
                fields[i] = self._texts.get(box, fields[i])
        return list(refused.values())


def _parser(table: Table, layout: HistoryMap, names: list[str], find: Find, now: datetime) -> _Parser:
    def column(name: str) -> int:
        if names.count(name) == 1:
            return names.index(name)
        many = name in names
        en = "is there several times" if many else "is not there"
        ja = "が複数あります" if many else "がありません"
        where = f"{table.name}:{layout.header[-1]}" if layout.header else table.name
        hint, hint_ja = "", ""
        box = next((b for b in table.merged if b.top in layout.header and b.right > b.left), None)
        if many and box is not None:
            lines = f"[{layout.header[-1]}, {layout.header[-1] + 1}]"
            hint = f" (cells {box} are merged: name the header's lower line too, header: {lines})"
            hint_ja = f"セル {box} が結合されています。見出しの行に下の行も加えてください（{lines}）。"
        raise HistoryError(
            f"{where}: column {name!r} {en}{hint}; the header has {', '.join(filter(None, names))[:400]}",
            f"{where}：列「{name}」{ja}。{hint_ja}見出しにあるのは {'、'.join(filter(None, names))[:400]} です。",
        )

    return (_Table if layout.long is None else _List)(layout, column, len(names), find, now)


class _Timed(_Parser):
    """What both kinds of table have: a time in every line, and so many columns."""

    def __init__(self, layout: HistoryMap, column: Callable[[str], int], width: int, now: datetime) -> None:
        self._layout = layout
        self._width = width
        self._now = now
        self._read_time = time_reader(layout.time.format, layout.time.zone)
        self._times = [column(name) for name in layout.time.columns]
        self.labels = frozenset(self._times)

    def _time(self, fields: list[str]) -> datetime:
        self._whole(fields)
        parts = [fields[i].strip() for i in self._times]
        if len(parts) > 1:
            parts[0] = parts[0].removesuffix(" 00:00:00")  # how a spreadsheet writes a day that has its time beside it
        time = self._read_time(" ".join(parts)) + self._layout.time.shift
        if time > self._now:
            said = f"{time.astimezone(self._layout.time.zone):%Y-%m-%d %H:%M}"
            raise Wrong(f"{said} is later than the town's present", f"{said} は、いまより先の日時です")
        return time

    def _whole(self, fields: list[str]) -> None:
        # Excel leaves out what is empty at the end of a line, or adds commas.
        if any(field.strip() for field in fields[self._width :]):
            raise Wrong(
                f"has {len(fields)} fields, the header has {self._width}",
                f"項目が{len(fields)}個あり、見出しの{self._width}個より多くなっています",
            )
        fields += [""] * (self._width - len(fields))


class _Table(_Timed):
    """A column a series."""

    def __init__(self, layout: HistoryMap, column: Callable[[str], int], width: int, find: Find, now: datetime) -> None:
        super().__init__(layout, column, width, now)
        self._wide = []
        for name, (station, measured) in layout.columns.items():
            try:
                datastream_id = find(station, measured.observed_property.value)
            except Wrong as error:
                raise HistoryError(
                    f"the map's column {name!r}: {error}", f"対応表の列「{name}」：{error.ja}。"
                ) from None
            self._wide.append(_Wide(column(name), name, datastream_id, measured.scale, measured.offset))
        self.values = frozenset(each.index for each in self._wide)

    def parse(self, fields: list[str]) -> tuple[list[ObservationRow], list[Wrong]]:
        layout = self._layout
        observations, problems = [], []
        try:
            time = self._time(fields)
        except Wrong as error:
            return [], [error]
        for each in self._wide:
            text = fields[each.index].strip()
            if not text and "" not in layout.missing:
                continue
            try:
                observations.append(_observation(layout, each.datastream_id, time, text, each.scale, each.offset))
            except Wrong as error:
                problems.append(Wrong(f"{each.name}: {error}", f"{each.name}：{error.ja}"))
        return observations, problems


class _List(_Timed):
    """A value a line."""

    def __init__(self, layout: HistoryMap, column: Callable[[str], int], width: int, find: Find, now: datetime) -> None:
        super().__init__(layout, column, width, now)
        assert layout.long is not None
        self._long = layout.long
        self._find = find
        self._station, self._property = column(layout.long.station), column(layout.long.observed_property)
        self._value = column(layout.long.value)
        self._known: dict[tuple[str, str], tuple[int, float, float]] = {}
        self.labels |= {self._station, self._property}
        self.values = frozenset({self._value})

    def parse(self, fields: list[str]) -> tuple[list[ObservationRow], list[Wrong]]:
        try:
            time = self._time(fields)
            text = fields[self._value].strip()
            if not text and "" not in self._layout.missing:
                return [], []
            series = self._series(fields[self._station].strip(), fields[self._property].strip())
            return [_observation(self._layout, series[0], time, text, *series[1:])], []
        except Wrong as error:
            return [], [error]

    def _series(self, station: str, named: str) -> tuple[int, float, float]:
        if (station, named) not in self._known:
            code = self._long.stations.get(station, station)
            measured: Measured | None = self._long.properties.get(named)
            found = self._find(code, named if measured is None else measured.observed_property.value)
            self._known[station, named] = (
                (found, 1.0, 0.0) if measured is None else (found, measured.scale, measured.offset)
            )
        return self._known[station, named]


def _observation(
    layout: HistoryMap, datastream_id: int, time: datetime, text: str, scale: float, offset: float
) -> ObservationRow:
    reason = layout.missing.get(text)
    if reason is not None:
        return ObservationRow(datastream_id, time, None, Quality.MISSING, reason)
    try:
        number = number_of(text)
    except ValueError:
        known = ", ".join(repr(marker) for marker in layout.missing)
        raise Wrong(
            f"{text[:40]!r} is no number" + (f" and none of the missing markers {known}" if known else "")
            + "; if it means that there is no value, list it under 'missing' in the map",
            f"「{text[:40]}」は数値ではありません。欠測の記号なら、対応表の「欠測の記号」に加えてください",
        ) from None  # fmt: skip
    value = number * scale + offset
    if not math.isfinite(value):
        raise Wrong(f"{text[:40]!r} is beyond all numbers", f"「{text[:40]}」は大きすぎて数値として扱えません")
    return ObservationRow(datastream_id, time, value, layout.quality, layout.reason)


@lru_cache(maxsize=1 << 15)  # a series says few different things, again and again
def number_of(text: str) -> float:
    """A number as people write it, full-width or with thousands separators; ValueError for what is none."""
    plain = text if text.isascii() else unicodedata.normalize("NFKC", text).translate(_MINUS)
    if not _NUMBER.fullmatch(plain) or not any(character.isdigit() for character in plain):
        raise ValueError(text)
    return float(plain.replace(",", ""))


def finder(known: Mapping[tuple[str, str], int]) -> Find:
    """A `Find` over (station code, property) -> datastream_id."""

    def find(station: str, observed_property: str) -> int:
        found = known.get((station, observed_property))
        if found is not None:
            return found
        there = sorted(name for code, name in known if code == station)
        if there:
            raise Wrong(
                f"station {station} has no {observed_property[:40]!r}; it has {', '.join(there)}",
                f"観測所 {station} に項目「{observed_property[:40]}」はありません。あるのは {'、'.join(there)} です",
            )
        codes = ", ".join(sorted({code for code, _ in known}))
        raise Wrong(
            f"there is no station {station[:40]!r}; there are {codes[:400]}",
            f"観測所「{station[:40]}」は登録されていません",
        )

    return find


__all__ = ["Find", "Line", "Row", "column_names", "finder", "number_of", "read_lines"]
