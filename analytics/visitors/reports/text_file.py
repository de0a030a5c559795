"""A report as CSV: one line a spot and period, with the notes of a reader's interest in columns of their own.

    csv_file(report, encoding) -> (bytes, replaced)
    lost(report)               the letters that CP932 (Excel's own in Japan, Shift_JIS) does not have

UTF-8 has a byte order mark: without one Excel takes it for the machine's code page. In CP932 a letter that does
not exist there becomes 〓, as printers have done it, and is told (`replaced`): on
the page, and in the last line of the file.
Wave dashes and minus signs that only look the same there are written as those.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from analytics.visitors.reports.cells import Cell, Report

GETA = "〓"
# Unicode has two of each; CP932 knows the full-width one.
_ALIKE = str.maketrans(
    {"〜": "～", "−": "－", "–": "－", "—": "―", "‖": "∥", "¢": "￠", "£": "￡", "¬": "￢", "\u00a0": " "}
)
UTF_8, CP932 = "utf-8-sig", "cp932"


def csv_file(report: Report, encoding: str) -> tuple[bytes, str]:
    """The file, and the letters that were replaced in it (only in CP932)."""
    rows = list(_lines(report))
    if encoding == CP932:
        rows = [[cell.translate(_ALIKE) for cell in row] for row in rows]
    replaced = _lost(rows) if encoding == CP932 else ""
    if replaced:
        rows = [["".join(GETA if letter in replaced else letter for letter in cell) for cell in row] for row in rows]
        said = "Shift_JIS" if report.asked.language == "en" else "Shift_JIS（CP932）にない文字を〓に置き換えました"
        codes = " ".join(f"U+{ord(letter):04X}" for letter in replaced)
        rows.append([f"{said}: {GETA} = {codes}" if report.asked.language == "en" else f"{said}：{codes}"])
    out = io.StringIO()
    csv.writer(out).writerows([_safe(cell) for cell in row] for row in rows)
    return out.getvalue().encode(encoding), replaced


def lost(report: Report) -> str:
    """The letters of the file that CP932 does not have, each once."""
    return _lost([[cell.translate(_ALIKE) for cell in row] for row in _lines(report)])


def _lost(rows: list[list[str]]) -> str:
    found = dict.fromkeys(letter for row in rows for cell in row for letter in cell if not _known(letter))
    return "".join(found)


def _known(letter: str) -> bool:
    try:
        letter.encode(CP932)
    except UnicodeEncodeError:
        return False
    return True


def _lines(report: Report) -> Iterator[list[str]]:
    yield list(report.data.head)
    for row in report.data.rows:
        yield [_plain(cell) for cell in row]


def _plain(cell: Cell) -> str:
    """A number without separators; what has none is empty, or the words where they stand in its place."""
    value = cell.value
    if isinstance(value, float):
        return f"{value * 100:.1f}" if cell.kind == "ratio" else f"{value:.1f}"
    if value is None:
        return cell.text
    return str(value)


def _safe(text: str) -> str:
    """What would be a formula gets an apostrophe before it; a negative number is none."""
    if text[:1] in ("=", "+", "@", "\t", "\r") or (text[:1] == "-" and not text[1:].replace(".", "", 1).isdigit()):
        return f"'{text}"
    return text
