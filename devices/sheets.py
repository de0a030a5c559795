"""A table as people keep it - an Excel sheet, or a CSV out of Excel - read into texts that know where they stood.

    read_sheet(data) -> Sheet
    read_rows(data) -> header, rows   the same line after line: for tables too long to be held as cells
    read_cells(data) -> [[str]]     the same without a header: every line with its texts, for tables of any shape

CSV is UTF-8 with or without a byte order mark, or CP932 (Excel's own in Japan). Of an Excel file (.xlsx) the first
sheet counts. What a person sees as one value is one text: 1 and not 1.0, 2026-06-01 and not a serial number of days.

SheetError says what makes the whole table unreadable and where: merged cells, a formula without its result, two columns
of one name. It has a `code` and `values` beside its English sentence, so that pages can say it in their language:

    empty        there is no line with a header
    kind         neither .xlsx nor text: which kind it seems to be
    encoding     neither UTF-8 nor CP932: in which line
    csv          a quotation mark that is never closed, or the like: in which line
    broken       an Excel file that cannot be opened
    merged       merged cells: which
    formula      a formula whose result the file does not hold: in which cell
    error        an Excel error value: in which cell
    twice        the header names a column twice: which, where
    unnamed      values in a column without a header: in which cell
    long         more lines than are taken at once
    large        the file is larger unpacked than is taken
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any

from devices.model import DevicesError

MOST_ROWS = 5_000
MOST_COLUMNS = 200
MOST_CELL = 2_000  # characters
_MOST_UNPACKED = 60_000_000  # bytes: a small file can unpack to gigabytes
_SENTENCES = {
    "empty": "there is no table in this file: its first line must name the columns",
    "kind": "this is {kind}; save it as .xlsx or as CSV",
    "encoding": "line {line} is neither UTF-8 nor CP932 (Shift_JIS); save the file as CSV UTF-8",
    "csv": "line {line} cannot be read as CSV: look for a quotation mark that is never closed",
    "broken": "this Excel file cannot be opened; open it in Excel and save it again as .xlsx",
    "merged": "the cells {cell} are merged; unmerge them and write the value into each row",
    "formula": "{cell} has a formula whose result is not in the file; open and save it in Excel, or paste the value",
    "error": "{cell} shows the error {text}; put the value there",
    "twice": "{cell}: the column {text} is there twice; take one out",
    "unnamed": "{cell} has a value, but its column has no name in the first line",
    "long": "the table has more than {most} lines; divide it",
    "large": "the file is larger unpacked than {most} MB; take pictures and other sheets out",
}


class SheetError(DevicesError):
    """The table cannot be read at all; nothing of it was taken."""

    def __init__(self, code: str, **values: str | int) -> None:
        super().__init__(_SENTENCES[code].format(**values))
        self.code = code
        self.values = values


@dataclass(frozen=True, slots=True)
class Cell:
    """One value. `name` is where it stands ('C5'); `number`: Excel kept it as a number, not as what was typed."""

    text: str
    name: str
    number: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """A line with its number as the program of its author shows it; `cells` by the header of their column."""

    number: int
    cells: dict[str, Cell]


@dataclass(frozen=True, slots=True)
class Sheet:
    """The columns in order, and the lines that are not empty."""

    header: tuple[Cell, ...]
    rows: tuple[Row, ...]


def read_sheet(data: bytes, *, most: int = MOST_ROWS) -> Sheet:
    """The table of a file, of at most so many lines. SheetError, with the place, where it cannot be read."""
    header, rows = read_rows(data, most=most)
    return Sheet(header, tuple(rows))


def read_rows(data: bytes, *, most: int = MOST_ROWS) -> tuple[tuple[Cell, ...], Iterator[Row]]:
    """The columns in order, and the lines that are not empty while they are asked for: SheetError may come at any."""
    lines = _lines(data, most)
    header = next((cells for _, cells in lines if any(cell.text for cell in cells)), None)
    if header is None:
        raise SheetError("empty")
    named: dict[str, str] = {}
    for cell in header:
        if cell.text and named.setdefault(cell.text, cell.name) != cell.name:
            raise SheetError("twice", cell=cell.name, text=cell.text)
    return tuple(cell for cell in header if cell.text), _rows(header, lines, most)


def read_cells(data: bytes, *, most: int = MOST_ROWS) -> list[list[str]]:
    """The lines of a file as texts, the empty ones too. SheetError as in `read_sheet`, where it cannot be read."""
    lines = _lines(data, most)
    rows: list[list[str]] = []
    for _, cells in lines:
        if len(rows) == most:
            raise SheetError("long", most=most)
        rows.append([cell.text for cell in cells])
    if not any(map(any, rows)):
        raise SheetError("empty")
    return rows


_Line = tuple[int, Sequence[Cell]]


def _lines(data: bytes, most: int) -> Iterator[_Line]:
    return _excel(data, most) if data[:4] == b"PK\x03\x04" else _csv(data)


def _rows(header: Sequence[Cell], lines: Iterator[_Line], most: int) -> Iterator[Row]:
    n = 0
    for number, cells in lines:
        if not any(cell.text for cell in cells):
            continue
        if n == most:
            raise SheetError("long", most=most)
        n += 1
        found = {}
        for position, cell in enumerate(cells):
            name = header[position].text if position < len(header) else ""
            if name:
                found[name] = cell
            elif cell.text:
                raise SheetError("unnamed", cell=cell.name)
        yield Row(number, found)


# --- CSV --------------------------------------------------------------------------------------------------


def _csv(data: bytes) -> Iterator[_Line]:
    text = _decoded(data)
    first = text.split("\n", 1)[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter="\t" if "\t" in first else ",", strict=True)
    while True:
        began = reader.line_num + 1
        try:
            fields = next(reader, None)
        except csv.Error:
            raise SheetError("csv", line=began) from None
        if fields is None:
            return
        yield (
            began,
            [
                Cell(field.strip()[:MOST_CELL], f"{_letters(column)}{began}")
                for column, field in enumerate(fields[:MOST_COLUMNS])
            ],
        )


def _decoded(data: bytes) -> str:
    for start, kind in (
        (b"\xd0\xcf\x11\xe0", "an old Excel file (.xls), or one with a password"),
        (b"\xff\xfe", "UTF-16 text"),
        (b"\xfe\xff", "UTF-16 text"),
        (b"%PDF", "a PDF"),
    ):
        if data.startswith(start):
            raise SheetError("kind", kind=kind)
    if b"\x00" in data:
        raise SheetError("kind", kind="no table")
    for encoding in ("utf-8-sig", "cp932"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
    raise SheetError("encoding", line=line)


def _letters(column: int) -> str:
    """The name of a column (0 is A) as spreadsheets have it.

    >>> _letters(0), _letters(25), _letters(26)
    ('A', 'Z', 'AA')
    """
    text = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        text = chr(ord("A") + rest) + text
    return text


# --- Excel ------------------------------------------------------------------------------------------------


def _excel(data: bytes, most: int) -> Iterator[_Line]:
    shown, written = (_opened(data, results=results) for results in (True, False))
    for merged in sorted(map(str, shown.merged_cells.ranges)):
        raise SheetError("merged", cell=merged)
    rows = zip(
        shown.iter_rows(max_row=_last(shown, most), max_col=MOST_COLUMNS),
        written.iter_rows(max_row=_last(shown, most), max_col=MOST_COLUMNS),
        strict=True,
    )
    for number, (cells, sources) in enumerate(rows, 1):
        line = []
        for cell, source in zip(cells, sources, strict=True):
            if cell.value is None and source.data_type == "f":
                raise SheetError("formula", cell=cell.coordinate)
            if cell.data_type == "e":
                raise SheetError("error", cell=cell.coordinate, text=str(cell.value))
            number_ = isinstance(cell.value, int | float) and not isinstance(cell.value, bool)
            line.append(Cell(_text(cell.value)[:MOST_CELL], cell.coordinate, number_))
        yield number, line


def _last(sheet: Any, most: int) -> int:
    """Rows to look at: Excel counts those that only have a border as well."""
    return max(1, min(int(sheet.max_row), max(MOST_ROWS, most) * 4))


def _opened(data: bytes, *, results: bool) -> Any:
    """The first sheet; with the results of its formulas, or with the formulas themselves."""
    import openpyxl

    try:
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            if sum(item.file_size for item in packed.infolist()) > _MOST_UNPACKED:
                raise SheetError("large", most=_MOST_UNPACKED // 1_000_000)
        return openpyxl.load_workbook(io.BytesIO(data), data_only=results, keep_links=False).worksheets[0]
    except SheetError:
        raise
    except Exception as error:
        # openpyxl raises whatever its parsers raise: of a file from outside that is no news of ours.
        raise SheetError("broken") from error


def _text(value: object) -> str:
    """A value as the person who typed it would write it down.

    >>> _text(1.0), _text(0.25), _text(datetime(2026, 6, 1)), _text(True), _text(None)
    ('1', '0.25', '2026-06-01', 'TRUE', '')
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else value.isoformat(sep=" ", timespec="minutes")
    if isinstance(value, date):
        return value.isoformat()
    return str(value).strip()
