"""A table out of Excel: the same texts whichever way it came, and the place of what cannot be read."""

from __future__ import annotations

import io
import zipfile
from datetime import UTC, datetime

import pytest
from openpyxl import Workbook

from devices.sheets import SheetError, read_sheet

TEXT = "機器ID,緯度\nnew-1,32.4\n\nnew-2,\n"


def workbook(*rows: list[object], merge: str | None = None) -> bytes:
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    for row in rows:
        sheet.append(row)
    if merge is not None:
        sheet.merge_cells(merge)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp932"])
def test_a_csv_is_read_in_each_encoding_that_excel_writes(encoding: str) -> None:
    sheet = read_sheet(TEXT.encode(encoding))
    assert [cell.text for cell in sheet.header] == ["機器ID", "緯度"]
    assert [(row.number, row.cells["機器ID"].text, row.cells["機器ID"].name) for row in sheet.rows] == [
        (2, "new-1", "A2"),
        (4, "new-2", "A4"),
    ]


def test_tabs_divide_too_and_a_cell_may_hold_a_line_break() -> None:
    sheet = read_sheet(b'key\tnote\na\t"one\ntwo"\nb\tthree\n')
    assert [(row.number, row.cells["note"].text) for row in sheet.rows] == [(2, "one\ntwo"), (4, "three")]


def test_of_a_workbook_each_cell_is_what_a_person_sees() -> None:
    # A cell of Excel knows no time zone.
    at = datetime(2026, 6, 1, 9, 5, tzinfo=UTC).replace(tzinfo=None)
    sheet = read_sheet(workbook(["key", "n", "x", "day", "time", "yes"], ["a", 3, 0.25, at.date(), at, True]))
    (row,) = sheet.rows
    assert {name: cell.text for name, cell in row.cells.items()} == {
        "key": "a", "n": "3", "x": "0.25", "day": "2026-06-01", "time": "2026-06-01 09:05", "yes": "TRUE",
    }  # fmt: skip
    assert row.cells["n"].number and not row.cells["key"].number and row.cells["x"].name == "C2"


def broken_zip() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as packed:
        packed.writestr("xl/workbook.xml", "<nothing/>")
    return out.getvalue()


def bomb() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("xl/worksheets/sheet1.xml", b"0" * 70_000_000)
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "code", "said"),
    [
        (workbook(["key", "a"], ["x", 1], ["y", 2], merge="B2:B3"), "merged", "B2:B3"),
        (workbook(["key", "a"], ["x", "=1+1"]), "formula", "B2"),
        (workbook(["key", "a"], ["x", "#N/A"]), "error", "B2 shows the error #N/A"),
        (workbook(["key", "a", "key"], ["x", 1, "y"]), "twice", "C1"),
        (workbook(["key"], ["x", "lost"]), "unnamed", "B2"),
        (workbook(), "empty", "first line"),
        (broken_zip(), "broken", "open it in Excel"),
        (bomb(), "large", "60 MB"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "kind", "old Excel file"),
        ("key\nx\n".encode("utf-16"), "kind", "UTF-16"),
        (b"%PDF-1.7\n", "kind", "PDF"),
        (b"key,a\nx,\x81\x20\n", "encoding", "line 2"),
        (b'key,a\nx,"never closed\n', "csv", "line 2"),
        (b"", "empty", "first line"),
        (b"key\n" + b"x\n" * 5001, "long", "5000"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_read_is_refused_with_its_place(data: bytes, code: str, said: str) -> None:
    with pytest.raises(SheetError) as caught:
        read_sheet(data)
    assert caught.value.code == code and said in str(caught.value)
