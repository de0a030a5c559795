"""A block of cells, pasted from a spreadsheet or out of a file: numbers of visitors with their spot and day or month.

    cells_of(text) -> rows of texts                      tabs, commas or blanks between the cells
    read_block(rows, spots, by=, today=, chosen=, said=) -> Block

Understood without being told: a spot a column, a spot a row, a column that names the spot; days or months down or
across; years down and months across for one spot. Lines above the table may say year, month and spot. A spot is known
by its name, English name or code. What is no number is never turned into one: an empty cell is nothing, a dash or 休館
is left out, everything else stands in the list with the reason.

Of a `Line` with a `problem` nothing is to be stored:
    number     no whole number                 left       a dash or a word for 'closed': no number, and no mistake
    spot       no spot is named                period     the day (month) is not said, or not all of it
    year       the year is missing             none       there is no such day
    weekday    the day is another weekday      against    row, column and title say different days
    unsure     without a year it may be last year's day or the coming one
    twice      the block has another number for the same spot and day
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from difflib import get_close_matches
from enum import StrEnum

from analytics.visitors.manual import NotANumber, parse
from analytics.visitors.pasting.periods import (
    Bare,
    Part,
    PeriodError,
    completed,
    day_of,
    merged,
    month_of,
    plain,
    read_period,
    read_title,
    read_weekday,
)

MOST_ROWS, MOST_COLUMNS = 2_000, 120
_DATES = {
    "日付": Bare.DATE, "年月日": Bare.DATE, "月日": Bare.DATE, "date": Bare.DATE, "日": Bare.DAY, "day": Bare.DAY,
    "年月": Bare.DATE, "月": Bare.MONTH, "month": Bare.MONTH, "年": Bare.YEAR, "year": Bare.YEAR,
    "年度": Bare.FISCAL,
}  # fmt: skip


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_SPOTS = _words(
    "地点 地点名 地点コード 施設 施設名 観光地 観光地点 観光地点名 観光施設 名称 場所 コード spot spot_code site"
)
_VALUES = _words(
    "人数 延べ人数 延人数 客数 観光客数 入込客数 入込数 入込 観光入込客数 来場者数 来館者数 来園者数 入館者数 入場者数"
    " 利用者数 通過数 延べ通過数 visitors passages count"
)
_WEEKDAYS = _words("曜日 曜 weekday")
_SUMS = _words("計 合計 小計 総計 総数 累計 平均 年計 年度計 月計 total sum average")
_NO_NUMBER = _words("- ー — – ― − ‐ / * × x 休 休み 休館 休館日 休園 休園日 休業 休業日 定休日 閉館 閉園 閉鎖 欠測")
# A number with separators, in a text where a comma may also stand between two cells.
_THOUSANDS = re.compile(r"(?<!\S)\d{1,3}(?:,\d{3})+(?=\s|人|$)")


class By(StrEnum):
    """What one number is of."""

    DAY = "day"
    MONTH = "month"


@dataclass(frozen=True, slots=True)
class Line:
    """One cell with something in it. `where` is its place in the block ('C5'); `spot` the code; `period` the day, or
    the first of the month; `total` the number; each None where it is not known. `detail` is what the problem is about.
    """

    where: str
    typed: str
    spot: str | None
    period: date | None
    total: int | None
    problem: str | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Ignored:
    """A row or column of `n` numbers that was not read: its heading is no spot and no date. `like`: the spot it may
    mean.
    """

    where: str
    heading: str
    n: int
    like: str | None


@dataclass(frozen=True, slots=True)
class Block:
    """All cells with something in them, in their order, and the rows and columns that were passed over."""

    lines: tuple[Line, ...]
    ignored: tuple[Ignored, ...]


@dataclass(frozen=True, slots=True)
class _Column:
    """What a column is: `key` (date, spot, weekday, auto: whichever it is) tells of its row; `value` holds numbers."""

    what: str
    bare: Bare | None = None
    spot: str | None = None
    part: Part = field(default_factory=Part)


_NOTHING = _Column("none")


def cells_of(text: str) -> list[list[str]]:
    """The cells of a pasted text. Between them stand tabs; in a text without any commas, or else blanks.

    >>> cells_of("6/1\\t12\\n6/2\\t1,234"), cells_of("6/1 12人")
    ([['6/1', '12'], ['6/2', '1,234']], [['6/1', '12人']])
    """
    if "\t" in text:
        rows = csv.reader(io.StringIO(text, newline=""), delimiter="\t")
    elif "," in _THOUSANDS.sub("", text):
        rows = csv.reader(io.StringIO(text, newline=""))
    else:
        return [line.split() for line in text.splitlines()]
    return [[cell.strip() for cell in row] for row in rows]


class _Spots:
    """The spots by what they are called."""

    def __init__(self, names: Mapping[str, Sequence[str]]) -> None:
        self._codes = {plain(name): code for code, called in names.items() for name in (code, *called) if name}

    def code(self, text: str) -> str | None:
        return self._codes.get(re.sub(r"[(]人[)]$", "", plain(text)))

    def within(self, text: str) -> str | None:
        said = plain(text)
        found = {code for name, code in self._codes.items() if name in said}
        return found.pop() if len(found) == 1 else None

    def like(self, text: str) -> str | None:
        near = get_close_matches(plain(text), self._codes, n=1, cutoff=0.6)
        return self._codes[near[0]] if near else None


def read_block(
    rows: Sequence[Sequence[str]],
    spots: Mapping[str, Sequence[str]],
    *,
    by: By,
    today: date,
    chosen: str | None = None,
    said: Part = Part(),  # noqa: B008  a frozen value
) -> Block:
    """The numbers of a block. `spots`: the names of each code; `chosen` is the spot, and `said` the year or month,
    where the block itself names none.

    >>> rows = cells_of("日付\\t滝\\n6/1(月)\\t１，２３４\\n6/2\\t休")
    >>> found = read_block(rows, {"taki": ["滝"]}, by=By.DAY, today=date(2026, 6, 9))
    >>> [(line.where, line.spot, str(line.period), line.total, line.problem) for line in found.lines]
    [('B2', 'taki', '2026-06-01', 1234, None), ('B3', 'taki', '2026-06-02', None, 'left')]
    """
    return _Reading(_Spots(spots), by, today, chosen, said).of(rows)


class _Reading:
    """One pass over one block."""

    def __init__(self, spots: _Spots, by: By, today: date, chosen: str | None, said: Part) -> None:
        self.spots, self.by, self.today, self.chosen, self.title = spots, by, today, chosen, said
        self.lines: list[Line] = []
        self.ignored: list[Ignored] = []

    def of(self, rows: Sequence[Sequence[str]]) -> Block:
        rows = [[cell.strip() for cell in row[:MOST_COLUMNS]] for row in rows[:MOST_ROWS]]
        columns: list[_Column] | None = None
        began = 0
        for number, row in enumerate(rows):
            if (columns := self._header(row)) is not None:
                began = number + 1
                break
            if (columns := self._without_header(row)) is not None:
                began = number
                break
            self._titled(" ".join(row))
        if columns is None:
            return Block((), ())
        self._passed_over(rows, began, columns)
        for number, row in enumerate(rows[began:], began + 1):
            self._row(number, row, columns)
        return Block(tuple(_twice(self.lines)), tuple(self.ignored))

    def _titled(self, text: str) -> None:
        self.title = completed(self.title, read_title(text)) if text.strip() else self.title
        self.chosen = self.chosen or self.spots.within(text)

    # --- the header

    @property
    def _alone(self) -> Bare:
        """What a small number is where a date is expected."""
        return Bare.DAY if self.by is By.DAY else Bare.MONTH

    def _header(self, row: Sequence[str]) -> list[_Column] | None:
        """What the columns are, where this line says so."""
        if sum(bool(cell) for cell in row) < 2:
            return None
        alone = self._alone
        numbers = sum(read_period(cell, alone) is not None for cell in row)
        bares = [alone] if numbers > 2 else []
        if plain(row[0]) in _SPOTS:
            bares.append(Bare.DATE)  # days across, in a table whose dates have lost their format
        columns = [self._column(cell, bares) for cell in row]
        if not any(column.what == "value" for column in columns):
            return None
        titled = any(column.what in ("date", "spot") for column in columns)
        named = any(column.spot for column in columns)
        across = sum(bool(column.part) for column in columns) > 1 and not any(
            column.what == "value" and not column.part for column in columns
        )
        if not (titled or named or across):
            return None
        if columns and not row[0] and columns[0] is _NOTHING:
            columns[0] = _Column("auto")  # the corner of a table
        elif not any(column.what in ("date", "spot") for column in columns):
            columns[0] = _Column("auto")
        return columns

    def _column(self, text: str, bares: Sequence[Bare]) -> _Column:
        said = re.sub(r"[(]人[)]$", "", plain(text))
        if said in _DATES:
            return _Column("date", bare=_DATES[said])
        if said in _WEEKDAYS:
            return _Column("weekday")
        if said in _SPOTS:
            return _Column("spot")
        if said in _VALUES:
            return _Column("value")
        spot = self.spots.code(text)
        if spot is not None:
            return _Column("value", spot=spot)
        part = next((found for bare in (None, *bares) if (found := read_period(text, bare)) is not None), None)
        return _NOTHING if part is None else _Column("value", part=part)

    def _without_header(self, row: Sequence[str]) -> list[_Column] | None:
        """A date and a number, a date, a spot and a number: a block that has no header."""
        cells = [cell for cell in row if cell]
        if len(cells) < 2 or read_period(row[0], Bare.DATE) is None or not _number(cells[-1]):
            return None
        last = max(n for n, cell in enumerate(row) if cell)
        middle = [_Column("spot") if self.spots.code(cell) else _NOTHING for cell in row[1:last]]
        if any(_number(cell) for cell in row[1:last]):
            return None  # which of the numbers is meant, nobody says
        return [_Column("date", bare=Bare.DATE), *middle, _Column("value")]

    def _passed_over(self, rows: Sequence[Sequence[str]], began: int, columns: Sequence[_Column]) -> None:
        """Columns of numbers under a heading that is neither a spot nor a date, nor a sum."""
        header = rows[began - 1] if began and self._header(rows[began - 1]) is not None else ()
        for n, column in enumerate(columns):
            text = header[n] if n < len(header) else ""
            if column is _NOTHING and plain(text) not in _SUMS and not plain(text).endswith(("計", "比")):
                count = sum(n < len(row) and _number(row[n]) for row in rows[began:])
                if count:
                    self.ignored.append(Ignored(_letters(n), text, count, self.spots.like(text)))

    # --- a row

    def _row(self, number: int, row: Sequence[str], columns: Sequence[_Column]) -> None:
        spot, parts, unread = None, [], None
        for n, (column, cell) in enumerate(zip(columns, row, strict=False)):
            if not cell or column.what in ("value", "none"):
                continue
            found = self.spots.code(cell) if column.what in ("spot", "auto") else None
            part = None
            if column.what == "weekday":
                part = read_weekday(cell)
            elif column.what == "date" or (column.what == "auto" and found is None):
                part = read_period(cell, column.bare) or read_period(cell, self._alone)
            spot = found or spot
            if part is not None:
                parts.append(part)
            elif found is None and column.what != "weekday":
                unread = (column.what, f"{_letters(n)}{number}", cell)
        values = [n for n, column in enumerate(columns) if column.what == "value" and n < len(row) and row[n]]
        if unread is not None and not parts and spot is None:
            what, where, cell = unread
            if plain(cell) in _SUMS or plain(cell).endswith(("計", "平均", "比")):
                return
            if what != "date":
                if count := sum(_number(row[n]) for n in values):
                    self.ignored.append(Ignored(where, cell, count, self.spots.like(cell)))
                return
        for n in values:
            column = columns[n]
            line = Line(f"{_letters(n)}{number}", row[n], column.spot or spot or self.chosen, None, None)
            if unread is not None:
                problem = "spot" if unread[0] == "spot" else "period"
                self.lines.append(replace(line, problem=problem, detail=unread[2]))
            else:
                self.lines.append(self._line(line, [column.part, *parts]))

    def _line(self, line: Line, parts: Sequence[Part]) -> Line:
        part = merged(*parts)
        if part is None:
            return replace(line, problem="against")
        try:
            whole = completed(part, self.title)
            period = day_of(whole, self.today) if self.by is By.DAY else month_of(whole)
        except PeriodError as error:
            return replace(line, problem=error.code)
        line = replace(line, period=period)
        if plain(line.typed) in _NO_NUMBER:
            return replace(line, problem="left")
        try:
            total = parse(line.typed)
        except NotANumber:
            return replace(line, problem="number")
        return replace(line, total=total, problem=None if line.spot is not None else "spot")


def _twice(lines: Sequence[Line]) -> list[Line]:
    """Two numbers for one spot and day are none; the same one twice is one."""
    first: dict[tuple[str | None, date | None], Line] = {}
    kept: list[Line] = []
    torn = set()
    for line in lines:
        if line.problem is None:
            one = first.setdefault((line.spot, line.period), line)
            if one is not line and one.total == line.total:
                continue
            if one is not line:
                torn.add((line.spot, line.period))
        kept.append(line)
    return [
        replace(line, problem="twice", detail=first[line.spot, line.period].where)
        if line.problem is None and (line.spot, line.period) in torn
        else line
        for line in kept
    ]


def _number(text: str) -> bool:
    try:
        parse(text)
    except NotANumber:
        return False
    return True


def _letters(n: int) -> str:
    """The name of a column as spreadsheets have it (0 is A)."""
    return (chr(ord("A") + n // 26 - 1) if n >= 26 else "") + chr(ord("A") + n % 26)
