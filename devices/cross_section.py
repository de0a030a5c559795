"""横断図: a surveyed profile across the river, and how it is read from a table (CSV or Excel).

    read_section(sheet) -> (distance, height, note) by point

The first line names the columns: `distance` (距離, m from the left bank, rising), `height` (標高 or 高さ, m), and
`note` (摘要), which may be missing. The left bank is the one on the left of somebody who looks downstream. Where the
notes name a point 左岸 and another 右岸 ("left bank", "right bank"), these are the crests over which the river would
leave its bed.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from devices.levels import HIGHEST, Datum
from devices.sheets import Cell, Sheet

FEWEST, MOST = 3, 1000  # points
WIDEST = 5000.0  # m
LONGEST_NOTE = 60
_HIGHEST_TP = 4000.0  # no river of Japan flows higher
_COLUMNS = {
    "distance": ("distance", "distance_m", "距離", "追加距離", "左岸からの距離", "距離(m)", "追加距離(m)"),
    "height": ("height", "height_m", "elevation", "標高", "高さ", "地盤高", "標高(m)", "高さ(m)", "地盤高(m)"),
    "note": ("note", "摘要", "備考", "名称"),
}


@dataclass(frozen=True, slots=True)
class SectionProblem:
    """What is wrong in a line of the table; `line` None: with the table as a whole."""

    line: int | None
    ja: str
    en: str


Points = tuple[tuple[float, ...], tuple[float, ...], tuple[str, ...]]


def read_section(sheet: Sheet, datum: Datum) -> tuple[Points | None, list[SectionProblem]]:
    """The points of a table, or everything that is wrong with it, line by line."""
    columns = {name: _column([cell.text for cell in sheet.header], spellings) for name, spellings in _COLUMNS.items()}
    missing = [name for name in ("distance", "height") if columns[name] is None]
    if missing:
        wanted = {"distance": "「距離」（distance）", "height": "「標高」（height）"}
        return None, [
            SectionProblem(
                1,
                "1行目に列の名前 " + "と".join(wanted[name] for name in missing) + " がありません。",
                f"the first line names no column {' and '.join(missing)}",
            )
        ]
    found: list[SectionProblem] = []
    distances, heights, notes = [], [], []
    for row in sheet.rows:
        cells = {name: row.cells.get(column) for name, column in columns.items() if column is not None}
        values = [_number(cells.get(name), name, row.number, found) for name in ("distance", "height")]
        note = _text(cells.get("note"))
        if len(note) > LONGEST_NOTE:
            found.append(SectionProblem(row.number, "摘要は60字までです。", "a note has at most 60 characters"))
        if values[0] is not None and values[1] is not None:
            distances.append((row.number, values[0]))
            heights.append(values[1])
            notes.append(note)
            if abs(values[1]) > (_HIGHEST_TP if datum == "tp" else HIGHEST):
                found.append(
                    SectionProblem(
                        row.number,
                        f"高さ {values[1]:g} m は大きすぎます。mで書いてください（cmやmmではありません）。",
                        f"a height of {values[1]:g} m cannot be: write metres, not cm or mm",
                    )
                )
    for (_, before), (line, after) in pairwise(distances):
        if after < before:
            found.append(
                SectionProblem(
                    line,
                    f"距離 {after:g} m が前の行の {before:g} m より小さくなっています。左岸から順に並べてください。",
                    f"the distance {after:g} m is less than {before:g} m in the line before: begin at the left bank",
                )
            )
    if not found:
        found += _whole([value for _, value in distances])
    if found:
        return None, found
    return (tuple(value for _, value in distances), tuple(heights), tuple(notes)), []


def _whole(distances: Sequence[float]) -> list[SectionProblem]:
    if not FEWEST <= len(distances) <= MOST:
        return [
            SectionProblem(
                None,
                f"測点は{FEWEST}～{MOST}点にしてください（今は{len(distances)}点）。",
                f"a cross-section has {FEWEST} to {MOST} points, this one has {len(distances)}",
            )
        ]
    if not 0 < distances[-1] - distances[0] <= WIDEST:
        return [
            SectionProblem(
                None,
                f"幅が{distances[-1] - distances[0]:g} mになっています。距離はmで書いてください。",
                f"it would be {distances[-1] - distances[0]:g} m wide: write distances in metres",
            )
        ]
    return []


def _column(header: Sequence[str], spellings: Sequence[str]) -> str | None:
    plain = {"".join(unicodedata.normalize("NFKC", name).lower().split()): name for name in header}
    return next((plain[each] for each in spellings if each in plain), None)


def _text(cell: Cell | None) -> str:
    return "" if cell is None else unicodedata.normalize("NFKC", cell.text).strip()


def _number(cell: Cell | None, name: str, line: int, found: list[SectionProblem]) -> float | None:
    text = _text(cell)
    ja = {"distance": "距離", "height": "標高"}[name]
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if math.isfinite(value):
        return value
    found.append(
        SectionProblem(line, f"{ja}が空です。", f"the {name} is empty")
        if not text
        else SectionProblem(line, f"{ja}「{text[:30]}」は数ではありません。", f"the {name} {text[:30]!r} is no number")
    )
    return None
