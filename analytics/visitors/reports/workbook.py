"""A report as an Excel workbook: real numbers and days with their formats, a chart over the cells, and the notes.

    workbook(report) -> bytes     .xlsx; sheets: the table with its chart, the comparison, the data, the notes, and
                                  the numbers of the chart

A mark (p, e, *, #, r) is part of a cell's number format, so that the cell stays a number to calculate with. A cell
without a value holds the reason as text. A text that begins with = is a text. A hundred spots cost 0.7 s
of one processor.
"""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING, Any

from analytics.visitors.reports.cells import Cell, Kind, Report, Table

if TYPE_CHECKING:
    from openpyxl.worksheet.worksheet import Worksheet

_FORMATS = {"count": "#,##0", "ratio": "0.0%", "day": "yyyy-mm-dd", "tenths": "#,##0.0", "text": "General"}
_WIDE, _NARROW, _LABEL = 40, 12, 16
_SERIES = 12  # as many as a chart can be read with
_ON_PAPER = 16  # columns of an A4 page in landscape
MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def workbook(report: Report) -> bytes:
    """The whole report as a file."""
    from openpyxl import Workbook  # half a second, for whoever wants a workbook at all

    book = Workbook()
    sheet = book.active
    top = 4
    for n, table in enumerate(report.tables):
        page = sheet if n == 0 else book.create_sheet()
        assert page is not None
        page.title = _sheet_name(report, table, n)
        _write(page, table, report, top)
    if report.data is not report.tables[0]:
        page = book.create_sheet(report.asked.say("title.data"))
        _write(page, report.data, report, 1)
    _notes(book.create_sheet(report.asked.say("title.notes")), report)
    numbers = book.create_sheet(report.asked.say("title.numbers"))
    first = report.tables[0]
    _chart(book.worksheets[0], numbers, report, top + len(first.rows) + 3)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _sheet_name(report: Report, table: Table, n: int) -> str:
    name = report.asked.say("title.change") if n else table.title
    return name[:31]


def _write(sheet: Worksheet, table: Table, report: Report, top: int) -> None:
    """The table with its head in row `top`; above it what it is, where there is room."""
    from openpyxl.styles import Alignment, Font, PatternFill

    bold, fill = Font(bold=True), PatternFill("solid", fgColor="DCE6F1")
    if top > 1:
        mark = report.asked.say("mark.simulated") if report.asked.simulated else ""
        _text(sheet.cell(1, 1), f"{mark}{table.title}").font = Font(bold=True, size=14)
        version = report.asked.say("version.provisional") if report.provisional else ""
        _text(sheet.cell(2, 1), f"{report.period}{f'　【{version}】' if version else ''}")
    for column, title in enumerate(table.head, start=1):
        cell = _text(sheet.cell(top, column), title)
        cell.font, cell.fill = bold, fill
        cell.alignment = Alignment(wrap_text=True, vertical="center", horizontal="center")
    for row, cells in enumerate(table.rows, start=top + 1):
        total = row > top + len(table.rows) - table.totals
        for column, content in enumerate(cells, start=1):
            cell = _fill(sheet.cell(row, column), content)
            if total:
                cell.font = bold
    sheet.freeze_panes = sheet.cell(top + 1, table.labels + 1)
    for column in range(1, len(table.head) + 1):
        longest = max((_width(cells[column - 1].text) for cells in table.rows), default=0)
        least = _LABEL if column <= table.labels else _NARROW
        sheet.column_dimensions[sheet.cell(top, column).column_letter].width = min(_WIDE, max(least, longest + 3))
    sheet.print_title_rows = f"{top}:{top}"
    sheet.page_setup.orientation = "landscape"
    sheet.page_setup.paperSize = sheet.PAPERSIZE_A4
    sheet.page_setup.fitToHeight = 0
    if len(table.head) > _ON_PAPER:  # a sheet of many spots goes over several pages, each with what names its rows
        sheet.page_setup.fitToWidth = math.ceil((len(table.head) - table.labels) / (_ON_PAPER - table.labels))
        sheet.print_title_cols = f"A:{sheet.cell(top, table.labels).column_letter}"
    sheet.sheet_properties.pageSetUpPr.fitToPage = True


def _width(text: str) -> int:
    """In letters of the Latin alphabet."""
    return sum(2 if ord(letter) > 0x2E7F else 1 for letter in text)


def _text(cell: Any, text: str) -> Any:
    """A text that is no formula, whatever it begins with."""
    cell.value = text
    if text:
        cell.data_type = "s"
    return cell


def _fill(cell: Any, content: Cell) -> Any:
    from openpyxl.styles import Alignment

    if content.value is None or isinstance(content.value, str):
        _text(cell, content.text)
        if content.kind != "text":
            cell.alignment = Alignment(horizontal="right")
        return cell
    cell.value = content.value
    marks = f'" {content.marks}"' if content.marks else ""
    cell.number_format = _FORMATS[content.kind] + marks
    return cell


def _chart(sheet: Worksheet, numbers: Worksheet, report: Report, below: int) -> None:
    """Of a month a line for each spot, of months and years bars for each, for the prefecture one bar a spot. It points
    to a sheet of numbers only: a text in the place of a missing number would be drawn as a zero, no cell is a gap.
    """
    from openpyxl.chart import BarChart, LineChart, Reference

    grid = _grid(report)
    for row, line in enumerate(grid, start=1):
        for column, value in enumerate(line, start=1):
            if isinstance(value, str):
                _text(numbers.cell(row, column), value)
            elif value is not None:
                numbers.cell(row, column).value = value
    if len(grid) < 2 or len(grid[0]) < 2:
        return
    daily = report.asked.kind is Kind.DAILY
    chart: Any = LineChart() if daily else BarChart()
    for column in range(2, min(len(grid[0]), 1 + _SERIES) + 1):
        chart.add_data(Reference(numbers, min_col=column, min_row=1, max_row=len(grid)), titles_from_data=True)
    chart.set_categories(Reference(numbers, min_col=1, min_row=2, max_row=len(grid)))
    chart.title = f"{report.asked.say('title.chart')} {report.period}"
    chart.y_axis.number_format = "#,##0"
    chart.y_axis.scaling.min = 0
    chart.x_axis.delete = chart.y_axis.delete = False
    chart.width, chart.height = 28, 12
    sheet.add_chart(chart, f"A{below}")


def _grid(report: Report) -> list[list[str | int | float | None]]:
    """What the chart shows: periods (or, for the prefecture, spots) down, spots across; no sums."""
    table, kind = report.tables[0], report.asked.kind
    places = [place.called(report.asked.language) for place in report.asked.places]
    rows = table.rows[: len(table.rows) - table.totals]

    def value(cell: Cell) -> int | float | None:
        return cell.value if isinstance(cell.value, int | float) else None

    if kind is Kind.DAILY:
        return [["", *places], *([row[0].text, *map(value, row[table.labels :])] for row in rows)]
    if kind is Kind.PREFECTURE:
        mine = [[place, value(row[report.main])] for place, row in zip(places, rows, strict=True)]
        return [["", report.asked.say("column.visitors")], *mine]
    last = len(table.head) - table.total_columns
    return [["", *places], *([table.head[n], *(value(row[n]) for row in rows)] for n in range(table.labels, last))]


def _notes(sheet: Worksheet, report: Report) -> None:
    from openpyxl.styles import Alignment, Font

    for row, (head, said) in enumerate(report.notes, start=1):
        _text(sheet.cell(row, 1), head).font = Font(bold=True)
        _text(sheet.cell(row, 2), said)
        for column in (1, 2):
            sheet.cell(row, column).alignment = Alignment(wrap_text=True, vertical="top")
    sheet.column_dimensions["A"].width, sheet.column_dimensions["B"].width = 20, 100
