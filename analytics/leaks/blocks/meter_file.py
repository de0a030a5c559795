"""検針水量 as the office has it in a table: a line a block and period, totals only.

    read(sheet, blocks, today) -> [Line, ...]              raises FileProblems with every line that is wrong
    plan(lines, current) -> Plan                           what it would change; raises FileProblems

Columns: ブロック (code or name), 前回検針日, 今回検針日, 有収水量 (m3), and where it is known 有効無収水量 (m3); their
English names too. Any other column is refused: a list of customers is not to be loaded by mistake.

A line of a period that is there already puts it right; with an empty 有収水量 it takes it back. All lines are taken, or
none. Problems, by `code`:

    column    a column that is none of these           need      a column is missing
    block     no block has this code or name           date      no date with its year
    order     今回検針日 is not after 前回検針日             future    今回検針日 is still to come
    long      a period of more than 200 days           number    no number of m3, or below zero
    twice     the same block and period twice          overlap   it overlaps another period of the block
    nothing   an empty number of a period that is not there
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import pairwise

from analytics.visitors.pasting.periods import PeriodError, day_of, read_period
from devices.sheets import Cell, Row, Sheet

LONGEST = timedelta(days=200)
COLUMNS = {
    "block": ("ブロック", "配水ブロック", "block"),
    "from": ("前回検針日", "read_from"),
    "until": ("今回検針日", "検針日", "read_until"),
    "billed": ("有収水量", "検針水量", "有収水量(m3)", "検針水量(m3)", "billed_m3"),
    "unbilled": ("有効無収水量", "有効無収水量(m3)", "unbilled_m3"),
}
_NEEDED = ("block", "from", "until", "billed")
_NUMBER = re.compile(r"(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?")

Period = tuple[date, date]
Volumes = tuple[float, float | None]  # billed, unbilled (None: not known); m3


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong in which cell, and what stands there."""

    code: str
    cell: str
    text: str


class FileProblems(ValueError):
    """All that is wrong in a file; nothing of it was taken."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(f"{each.cell}: {each.code} {each.text}" for each in problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class Line:
    """A period of a block as the file says it; `volumes` None takes it back. `cell`: where the line begins."""

    station_id: int
    period: Period
    volumes: Volumes | None
    cell: str


@dataclass(slots=True)
class Plan:
    """What a file changes: the periods to `put`, those of them that were there (`corrected`), those taken back, and how
    many are there as they are.
    """

    put: dict[tuple[int, Period], Volumes] = field(default_factory=dict)
    gone: list[tuple[int, Period]] = field(default_factory=list)
    corrected: int = 0
    unchanged: int = 0


def read(sheet: Sheet, blocks: Mapping[str, int], today: date) -> list[Line]:
    """`blocks`: their station by code and by name, in the letters of `plain`."""
    known = {plain(name): column for column, names in COLUMNS.items() for name in names}
    named: dict[str, str] = {}
    problems = []
    for cell in sheet.header:
        column = known.get(plain(cell.text))
        if column is None or column in named:
            problems.append(Problem("column", cell.name, cell.text))
        else:
            named[column] = cell.text
    problems += [Problem("need", "A1", COLUMNS[column][0]) for column in _NEEDED if column not in named]
    if problems:
        raise FileProblems(problems)
    lines = []
    for row in sheet.rows:
        found = _line(row, named, blocks, today)
        if isinstance(found, Line):
            lines.append(found)
        else:
            problems += found
    if problems:
        raise FileProblems(problems)
    return lines


def plan(lines: Sequence[Line], current: Mapping[tuple[int, Period], Volumes]) -> Plan:
    """`current`: what is known of the blocks."""
    found, problems = Plan(), []
    after = dict(current)
    cells: dict[tuple[int, Period], str] = {}
    for line in lines:
        key = (line.station_id, line.period)
        if key in cells:
            problems.append(Problem("twice", line.cell, cells[key]))
            continue
        cells[key] = line.cell
        if line.volumes is None:
            if after.pop(key, None) is None:
                problems.append(Problem("nothing", line.cell, _written(line.period)))
            else:
                found.gone.append(key)
        elif current.get(key) == line.volumes:
            found.unchanged += 1
        else:
            found.corrected += key in current
            found.put[key] = after[key] = line.volumes
    ordered = sorted(after)
    for (station, period), (other, later) in pairwise(ordered):
        if station == other and later[0] < period[1]:
            # told at the line of the file: at least one of the two is in it
            here, there = ((other, later), period) if (other, later) in cells else ((station, period), later)
            problems.append(Problem("overlap", cells[here], _written(there)))
    if problems:
        raise FileProblems(problems)
    return found


def plain(text: str) -> str:
    """A name without the width of its letters and its blanks.

    >>> plain("有収水量（ｍ３）"), plain(" 浜町 ブロック")
    ('有収水量(m3)', '浜町ブロック')
    """
    return re.sub(r"\s+", "", unicodedata.normalize("NFKC", text)).lower()


def _line(row: Row, named: Mapping[str, str], blocks: Mapping[str, int], today: date) -> Line | list[Problem]:
    cells = {column: row.cells.get(name, Cell("", f"{row.number}")) for column, name in named.items()}
    problems = []
    station = blocks.get(plain(cells["block"].text))
    if station is None:
        problems.append(_problem("block", cells["block"]))
    first, last = _day(cells["from"].text, today), _day(cells["until"].text, today)
    problems += [_problem("date", cells[name]) for name, day in (("from", first), ("until", last)) if day is None]
    if first is not None and last is not None:
        wrong = "order" if last <= first else "long" if last - first > LONGEST else "future" if last > today else None
        if wrong is not None:
            problems.append(_problem(wrong, cells["until"]))
    numbers: list[float | None] = []
    for name in ("billed", "unbilled"):
        cell = cells.get(name)
        text = "" if cell is None else plain(cell.text).removesuffix("m3")
        if cell is not None and text and not _NUMBER.fullmatch(text):
            problems.append(_problem("number", cell))
            text = ""
        numbers.append(float(text.replace(",", "")) if text else None)
    billed, unbilled = numbers
    if billed is None and unbilled is not None and not problems:
        problems.append(_problem("number", cells["billed"]))
    if problems or station is None or first is None or last is None:
        return problems
    return Line(station, (first, last), None if billed is None else (billed, unbilled), cells["block"].name)


def _day(text: str, today: date) -> date | None:
    """A day with its year; None where it is none."""
    part = read_period(text)
    if part is None or (part.year is None and part.fiscal is None):
        return None
    try:
        return day_of(part, today)
    except PeriodError:
        return None


def _problem(code: str, cell: Cell) -> Problem:
    return Problem(code, cell.name, cell.text[:40])


def _written(period: Period) -> str:
    return f"{period[0]:%Y-%m-%d} – {period[1]:%Y-%m-%d}"
