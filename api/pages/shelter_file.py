"""A list of shelters out of a spreadsheet -> entries. Columns are known by their Japanese names; others are left alone.

`read_shelters(data)` gives (line, entry, which fields the file has a column for). Raises `FileProblem`, which names
line and column, and `devices.sheets.SheetError`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from api.pages.field_form import number
from devices.sheets import read_sheet
from store.errors import RecordError
from store.shelters import Entry, checked

# In the order of the file that we write. The names on the first line are the town's own language in every case.
COLUMNS: Mapping[str, str] = MappingProxyType(
    {
        "name": "名称",
        "kana": "かな",
        "address": "住所",
        "latitude": "緯度",
        "longitude": "経度",
        "capacity": "収容人数",
        "access": "バリアフリー",
    }
)


class FileProblem(Exception):
    """What is wrong in which line and column; `code` of `record.problem`."""

    def __init__(self, line: int, column: str, code: str) -> None:
        super().__init__(f"line {line}, {column}: {code}")
        self.line = line
        self.column = column
        self.code = code


def read_shelters(data: bytes) -> list[tuple[int, Entry, frozenset[str]]]:
    """The entries of a file, in its order."""
    sheet = read_sheet(data)
    heads = {cell.text.strip() for cell in sheet.header}
    given = frozenset(name for name, head in COLUMNS.items() if head in heads)
    if "name" not in given:
        raise FileProblem(1, "name", "empty")
    found: list[tuple[int, Entry, frozenset[str]]] = []
    names: set[str] = set()
    for row in sheet.rows:
        texts = {
            name: row.cells[head].text.removeprefix("'") if head in row.cells else "" for name, head in COLUMNS.items()
        }
        if not any(texts.values()):
            continue
        try:
            entry = checked(_entry(texts))
            if entry.name in names:
                raise RecordError("name", "twice")
        except RecordError as error:
            raise FileProblem(row.number, error.field, error.code) from None
        names.add(entry.name)
        found.append((row.number, entry, given))
    return found


def _entry(texts: Mapping[str, str]) -> Entry:
    capacity = number(texts["capacity"].replace(",", "").replace("人", ""), "capacity")
    return Entry(
        texts["name"],
        texts["kana"],
        texts["address"],
        number(texts["latitude"], "latitude"),
        number(texts["longitude"], "longitude"),
        None if capacity is None else round(capacity),
        texts["access"],
    )
