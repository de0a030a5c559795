"""An Excel workbook (.xlsx) as tables: cells become the text that a CSV file would have, so that one map reads both.

A day is written 2026-06-01, a moment 2026-06-01 09:00:00, a time of day 09:00:00 (and 24:00:00), a number with all its
digits. Of a formula the value counts that was stored with it. Sheets are read as a stream, merged cells from the same
file beside it.

Anybody may drop a workbook: what it unpacks to is limited before any of it is unpacked, as are lines and columns, and
macros are never looked at. The old .xls and workbooks with a password are refused in words.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from contextlib import closing
from datetime import date, datetime, time, timedelta
from typing import Any, BinaryIO, NoReturn

from ingest.errors import HistoryError
from ingest.history_rows import Merged, Open, Row, Table

MOST_UNPACKED = 100_000_000  # bytes
MOST_PARTS = 2000
MOST_ROWS = 200_000
MOST_COLUMNS = 1000

_ZIP, _OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"
_MERGED = re.compile(rb"<(?:\w+:)?mergeCell\s[^>]{0,200}?ref=\"([A-Z]{1,3})(\d{1,7})(?::([A-Z]{1,3})(\d{1,7}))?\"")
_CHUNK = 1 << 16
_TAIL = 300  # a merged cell's mark is shorter
_YEAR_ZERO = datetime(1899, 12, 31)  # noqa: DTZ001 - where a spreadsheet begins to count


def is_workbook(beginning: bytes) -> bool:
    """Whether a file with these first bytes is a workbook of any kind, whatever it is called."""
    return beginning.startswith((_ZIP, _OLE))


def excel_table(name: str, open_: Open, sheet: str | None = None) -> Table:
    """A sheet of a workbook, the first visible one for None. HistoryError where it cannot be read."""
    _check(name, open_)
    with open_() as file, _opened(name, file) as book:
        found = _sheet(name, book, sheet)
        merged = _merged(name, file, found)

    def rows() -> Iterator[Row]:
        with open_() as again, _opened(name, again) as other:
            yield from _rows(name, _sheet(name, other, sheet))

    return Table(name if sheet is None else f"{name}（{sheet}）", rows, merged)


def sheet_names(name: str, open_: Open) -> list[str]:
    """The visible sheets, in order."""
    _check(name, open_)
    with open_() as file, _opened(name, file) as book:
        return _visible(book)


def _check(name: str, open_: Open) -> None:
    with open_() as file:
        beginning = file.read(4)
        if beginning.startswith(_OLE):
            _refuse(
                name,
                "is an old .xls workbook, or one with a password: save it as .xlsx without a password",
                "古い形式（.xls）か、パスワード付きです。パスワードを外し、.xlsx で保存し直してください",
            )
        try:
            with zipfile.ZipFile(file) as packed:
                parts = packed.infolist()
        except (zipfile.BadZipFile, ValueError, NotImplementedError):
            _refuse(
                name,
                "is no .xlsx workbook, or only a part of one: save it again",
                ".xlsx として読めません（途中で切れている可能性があります）。保存し直してください",
            )
    # What is unpacked never exceeds what a part says of itself: zipfile stops there.
    unpacked = sum(part.file_size for part in parts)
    if unpacked > MOST_UNPACKED or len(parts) > MOST_PARTS:
        _refuse(
            name,
            f"unpacks to {unpacked:,} bytes in {len(parts):,} parts, and the limit is {MOST_UNPACKED:,} in "
            f"{MOST_PARTS:,}: split it, or save the sheet as CSV",
            f"展開すると {unpacked:,} バイトになり、上限（{MOST_UNPACKED:,} バイト）を超えます。"
            "分けるか、CSV で保存してください",
        )


def _opened(name: str, file: BinaryIO) -> closing[Any]:
    import openpyxl  # half a second, for whoever has a workbook at all

    try:
        return closing(openpyxl.load_workbook(file, read_only=True, data_only=True, keep_links=False))
    except Exception as error:  # whatever a broken part of it makes of the library
        _refuse(
            name,
            f"cannot be read as a workbook ({_fault(error)}): open it in Excel and save it again",
            "Excel ファイルとして読めません。Excel で開いて保存し直してください",
        )


def _visible(book: Any) -> list[str]:
    return [sheet.title for sheet in book.worksheets if sheet.sheet_state == "visible"]


def _sheet(name: str, book: Any, sheet: str | None) -> Any:
    there = _visible(book)
    wanted = sheet if sheet is not None else next(iter(there), "")
    found = next((each for each in book.worksheets if each.title == wanted), None)
    if found is None:
        _refuse(
            name,
            f"has no sheet {wanted!r}; it has {', '.join(there)[:400]}",
            f"シート「{wanted}」がありません。あるのは {'、'.join(there)[:400]} です",
        )
    found.reset_dimensions()  # what a program has written there is often wrong
    return found


def _rows(name: str, sheet: Any) -> Iterator[Row]:
    try:
        for number, cells in enumerate(sheet.rows, 1):
            if number > MOST_ROWS:
                _refuse(
                    name,
                    f"has more than {MOST_ROWS:,} lines: split it",
                    f"{MOST_ROWS:,} 行を超えています。分けてください",
                )
            yield Row(number, [_text(cell) for cell in cells[:MOST_COLUMNS]], 0)
    except HistoryError:
        raise
    except Exception as error:  # as above
        _refuse(
            name,
            f"cannot be read to its end ({_fault(error)}): open it in Excel and save it again",
            "最後まで読めません。Excel で開いて保存し直してください",
        )


def _text(cell: Any) -> str:
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, str):
        return " ".join(value.split())
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, datetime):
        if value.year <= 1900:  # a time of day of 24 hours or more, in a format that shows hours only
            return _clock(value - _YEAR_ZERO)
        value = (value + timedelta(microseconds=500_000)).replace(microsecond=0)
        midnight = (value.hour, value.minute, value.second) == (0, 0, 0)
        return f"{value:%Y-%m-%d}" if midnight and "h" not in str(cell.number_format).lower() else f"{value}"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, time):
        return _clock(timedelta(hours=value.hour, minutes=value.minute, seconds=value.second + value.microsecond / 1e6))
    if isinstance(value, timedelta):
        return _clock(value)
    if isinstance(value, float):
        return repr(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return str(value)


def _clock(since_midnight: timedelta) -> str:
    seconds = round(since_midnight.total_seconds())
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def _merged(name: str, file: BinaryIO, sheet: Any) -> list[Merged]:
    """The merged cells of a sheet: a workbook that is read as a stream does not tell them."""
    found = []
    with zipfile.ZipFile(file) as packed, packed.open(sheet._worksheet_path) as part:
        rest = b""
        while True:
            chunk = part.read(_CHUNK)
            text = rest + chunk
            # of a mark that is cut by the end of this chunk the rest comes with the next
            cut = len(text) if not chunk else max(text.rfind(b"<", len(text) - _TAIL), 0) or len(text)
            for match in _MERGED.finditer(text, 0, cut):
                left, top, right, bottom = match.groups()
                box = (int(top), _column(left), int(bottom or top), _column(right or left))
                found.append(Merged(*box))
            rest = text[cut:]
            if len(found) > MOST_ROWS:
                _refuse(name, "has too many merged cells: unmerge them", "結合セルが多すぎます。結合を解除してください")
            if not chunk:
                return found


def _column(name: bytes) -> int:
    number = 0
    for letter in name:
        number = number * 26 + letter - 64
    return number - 1


def _fault(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error)[:200]}"


def _refuse(name: str, en: str, ja: str) -> NoReturn:
    raise HistoryError(f"{name}: {en}", f"{name}：{ja}。")
