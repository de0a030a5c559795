"""A table as rows of cells, whatever it came as: a CSV file, an Excel sheet (`ingest.excel`), the sample on a page.

    table.rows()     every line once, from the first on; it may be read again
    table.merged     the merged cells, of an Excel sheet

CSV: UTF-8 with or without a byte order mark, or CP932 (Excel's and most ministries' Shift_JIS): whichever reads more
lines. A line is a record: a quotation mark that is never closed spoils its own line and nothing after it. Memory does
not grow with the file.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

from ingest.errors import HistoryError, Wrong

BOM = b"\xef\xbb\xbf"
_AWKWARD = re.compile(r'["\r\n\0]')
_UTF16 = (b"\xff\xfe", b"\xfe\xff")

Open = Callable[[], BinaryIO]


class Row(NamedTuple):
    """A line by its number (from 1): its cells, or why it cannot be read. `end`: bytes read so far."""

    number: int
    cells: list[str] | Wrong
    end: int


class Merged(NamedTuple):
    """Cells that were merged into one, both corners inclusive; rows from 1, columns from 0."""

    top: int
    left: int
    bottom: int
    right: int

    def __str__(self) -> str:
        return f"{letters(self.left)}{self.top}:{letters(self.right)}{self.bottom}"


@dataclass(frozen=True, slots=True)
class Table:
    """`name` is for messages. `rows` raises HistoryError where the whole cannot be read."""

    name: str
    rows: Callable[[], Iterator[Row]]
    merged: Sequence[Merged] = ()


def letters(column: int) -> str:
    """The name that Excel gives a column, counted from 0.

    >>> letters(0), letters(25), letters(26), letters(701), letters(702)
    ('A', 'Z', 'AA', 'ZZ', 'AAA')
    """
    name = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        name = chr(65 + rest) + name
    return name


def file_table(path: Path) -> Table:
    """A CSV file where it lies."""
    return csv_table(str(path), lambda: path.open("rb"))


def csv_table(name: str, open_: Open, delimiter: str = ",") -> Table:
    """A CSV file; `open_` opens it anew from its beginning. Between tabs a quotation mark is a letter like others."""
    quoted = delimiter != "\t"

    def rows() -> Iterator[Row]:
        encoding = _encoding(name, open_)
        end = 0
        with open_() as file:
            for number, raw in enumerate(file, 1):
                end += len(raw)
                raw = raw.removeprefix(BOM) if number == 1 else raw
                try:
                    text = raw.decode(encoding).rstrip("\r\n")
                    # csv says the same of a line without a quotation mark, and takes twice as long
                    if quoted and _AWKWARD.search(text):
                        cells = next(csv.reader([text], strict=True, delimiter=delimiter), [])
                    else:
                        cells = text.split(delimiter)
                except UnicodeDecodeError as error:
                    label = "UTF-8" if encoding == "utf-8" else "CP932"
                    yield Row(number, _unreadable(f"byte {error.start + 1} of it is not {label}", error, label), end)
                    continue
                except csv.Error as error:
                    yield Row(number, _unreadable(str(error)), end)
                    continue
                yield Row(number, cells, end)

    return Table(name, rows)


def grid_table(name: str, grid: Sequence[Sequence[str]], merged: Sequence[Merged] = ()) -> Table:
    """Cells that are at hand; `grid[0]` is line 1."""
    return Table(name, lambda: (Row(n, list(cells), 0) for n, cells in enumerate(grid, 1)), merged)


def _unreadable(why: str, error: UnicodeDecodeError | None = None, label: str = "") -> Wrong:
    ja = f"{error.start + 1}バイト目が {label} の文字ではありません" if error else '引用符（"）の対応が取れていません'
    return Wrong(f"the line cannot be read: {why}", f"この行は読めません：{ja}")


def _encoding(name: str, open_: Open) -> str:
    """utf-8 or cp932: the one in which fewer lines are unreadable, UTF-8 where both do equally well."""
    unreadable = {"utf-8": 0, "cp932": 0}
    try:
        with open_() as file:
            for number, raw in enumerate(file):
                if number == 0 and raw.startswith(BOM):
                    return "utf-8"
                if number == 0 and raw.startswith(_UTF16):
                    raise HistoryError(
                        f'{name}: is UTF-16 (Excel\'s "Unicode text"): save it as CSV UTF-8',
                        f"{name}：UTF-16（Excel の「Unicode テキスト」）です。「CSV UTF-8」で保存し直してください。",
                    )
                if raw.isascii():
                    continue
                for encoding in unreadable:
                    try:
                        raw.decode(encoding)
                    except UnicodeDecodeError:
                        unreadable[encoding] += 1
    except OSError as error:
        raise HistoryError(
            f"{name}: cannot be read: {error.strerror}", f"{name}：ファイルを読めません（{error.strerror}）。"
        ) from None
    return min(unreadable, key=lambda encoding: unreadable[encoding])
