"""The content of a dropped file as a table, and its first lines as a sample for the page where its map is made.

The sample of a file in a known form (`ingest.formats`) has its beginning as such a file beside that (`known_head`).
"""

from __future__ import annotations

import io
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from ingest import formats
from ingest.errors import HistoryError, Wrong
from ingest.excel import excel_table, is_workbook, sheet_names
from ingest.history_rows import Merged, Open, Table, csv_table, grid_table

SAMPLE_ROWS, SAMPLE_COLUMNS, SAMPLE_LETTERS, SAMPLE_SHEETS = 40, 60, 120, 8
_TEXT_ENDINGS = (".csv", ".txt")


def open_content(content: bytes) -> Open:
    """A content as something that can be opened again and again."""
    return partial(io.BytesIO, content)


def table_of(name: str, content: bytes, sheet: str | None) -> Table:
    """A file by what is in it, and by its name where that does not tell. HistoryError for what is no table."""
    open_ = open_content(content)
    if name.lower().endswith(".zip"):
        raise HistoryError(
            f"{name}: no file in it is in a known form: unpack it, and put its files here",
            f"{name}：中に、決まった形式のファイルがありません。展開して、中のファイルを置いてください。",
        )
    if is_workbook(content[:4]):
        return excel_table(name, open_, sheet)
    if not name.lower().endswith(_TEXT_ENDINGS):
        raise HistoryError(
            f"{name}: is neither a CSV file (.csv, .txt) nor an Excel workbook (.xlsx)",
            f"{name}：CSV（.csv、.txt）でも Excel（.xlsx）でもありません。",
        )
    if b"\0" in content[:1000] and not content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise HistoryError(f"{name}: is no text", f"{name}：文字のファイルではありません。")
    return csv_table(name, open_)


def sample_of(name: str, content: bytes) -> list[dict[str, Any]]:
    """The first lines of each sheet (a CSV file has one without a name). HistoryError as `table_of`."""
    form = formats.recognised(name, open_content(content))
    if form is not None:
        return [_known(form, name, content)]
    sheets: Sequence[str | None] = [None]
    if is_workbook(content[:4]):
        sheets = sheet_names(name, open_content(content))[:SAMPLE_SHEETS]
    return [_sheet(sheet, table_of(name, content, sheet)) for sheet in sheets]


def _known(form: str, name: str, content: bytes) -> dict[str, Any]:
    """The sample of a file in a known form; `rows` where it is a table as it lies."""
    head = formats.head(form, name, open_content(content))
    is_table = name.lower().endswith(_TEXT_ENDINGS) and not is_workbook(content[:4])
    table = csv_table(name, open_content(head)) if is_table else grid_table(name, [])
    return _sheet(None, table) | {"format": form, "head": b64encode(head).decode()}


def known_head(sheet: Mapping[str, Any]) -> tuple[str, Open] | None:
    """The form of a sample's sheet and its beginning as a file, None where it is in none."""
    if "format" not in sheet:
        return None
    return sheet["format"], open_content(b64decode(sheet["head"]))


def _sheet(sheet: str | None, table: Table) -> dict[str, Any]:
    rows: list[list[str]] = []
    for row in table.rows():
        if row.number > SAMPLE_ROWS:
            break
        cells = [] if isinstance(row.cells, Wrong) else row.cells[:SAMPLE_COLUMNS]
        # what the database cannot hold is no text
        rows.append([cell[:SAMPLE_LETTERS].replace("\0", "") for cell in cells])
    merged = [list(box) for box in table.merged if box.top <= SAMPLE_ROWS and box.left < SAMPLE_COLUMNS]
    return {"name": sheet, "rows": rows, "merged": merged[:1000]}


def sampled(name: str, sheet: Mapping[str, Any]) -> Table:
    """A sheet of a sample as the table that it was."""
    return grid_table(name, sheet["rows"], [Merged(*box) for box in sheet["merged"]])
