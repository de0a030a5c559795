"""The table for the prefecture's 観光動向調査: which columns, in which order, called what, in which unit.

Each prefecture wants it otherwise, and changes it. So the office writes the columns on a page; a layout holds from a
month on and is never changed afterwards, so that the table of a past month stays as it was handed in.

    Column(field, title, unit)   one column; FIELDS says which fields there are
    read(rows) -> list[Column]   what was typed on the page; raises LayoutError
    DEFAULT                      until somebody has written one

  LayoutError   what was typed makes no table: `code` and `row` say what and where
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from types import MappingProxyType

MOST_COLUMNS = 30
LONGEST_TITLE = 60
# Field -> whether it is a number of visitors, whose unit can be chosen.
FIELDS = MappingProxyType(
    {
        "number": False,
        "code": False,
        "name": False,
        "category": False,
        "town": False,
        "month": False,
        "visitors": True,
        "before": True,
        "difference": True,
        "change": False,
        "year_to_date": True,
        "day_trip": True,
        "overnight": True,
        "in_prefecture": True,
        "other_prefectures": True,
        "abroad": True,
        "method": False,
        "missing": False,
        "remarks": False,
        "blank": False,
    }
)
UNITS = (1, 100, 1000)


class LayoutError(ValueError):
    """`code`: empty, field, title, unit, twice, many, visitors; `row` counts the columns from 1."""

    def __init__(self, code: str, row: int = 0) -> None:
        super().__init__(f"{code} in column {row}")
        self.code, self.row = code, row


@dataclass(frozen=True, slots=True)
class Column:
    """One column: what it holds, what stands above it, and for visitors in units of how many."""

    field: str
    title: str
    unit: int = 1


DEFAULT = (
    Column("number", "地点番号"),
    Column("name", "地点名"),
    Column("category", "区分"),
    Column("visitors", "当月 延べ人数"),
    Column("before", "前年同月 延べ人数"),
    Column("change", "前年同月比（%）"),
    Column("year_to_date", "当年累計 延べ人数"),
    Column("remarks", "備考"),
)


def read(rows: Iterable[tuple[str, str, str]]) -> list[Column]:
    """Columns out of (field, title, unit) as typed; a row without a field is none.

    >>> read([("name", " 地点名 ", "1"), ("", "", ""), ("visitors", "延べ（千人）", "1000")])[1]
    Column(field='visitors', title='延べ（千人）', unit=1000)
    """
    columns: list[Column] = []
    for row, (field, title, unit) in enumerate(rows, start=1):
        if not field:
            if title.strip():
                raise LayoutError("field", row)
            continue
        if field not in FIELDS:
            raise LayoutError("field", row)
        title = " ".join(title.split())
        if not title or len(title) > LONGEST_TITLE:
            raise LayoutError("title", row)
        if any(each.title == title for each in columns):
            raise LayoutError("twice", row)
        if unit not in {str(each) for each in UNITS}:
            raise LayoutError("unit", row)
        columns.append(Column(field, title, int(unit) if FIELDS[field] else 1))
    if len(columns) > MOST_COLUMNS:
        raise LayoutError("many")
    if not columns:
        raise LayoutError("empty")
    if not any(each.field == "visitors" for each in columns):
        raise LayoutError("visitors")
    return columns
