"""A first idea of what the columns of a sample mean, for a person to look over. It never decides anything.

The first line with a time in it is the first with values, and the line above names the columns. A column is a series
where its name has a station's name in it, and of that station's series the one whose usual word is there too; the unit
in brackets says by how much a number has to be multiplied.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC
from typing import NamedTuple

from ingest.errors import Wrong
from ingest.history_file import column_names
from ingest.history_rows import Table
from ingest.history_times import time_reader

_WORDS: Mapping[str, tuple[str, ...]] = {
    "water_level": ("水位", "level"),
    "precipitation": ("雨量", "雨", "rain"),
    "air_temperature": ("気温", "temperature"),
    "tank_level": ("水位", "池", "level"),
    "flow": ("流量", "flow"),
    "pressure": ("圧", "pressure"),
    "passages_in": ("入", "in"),
    "passages_out": ("出", "out"),
}
# (unit of the property, unit in the file) -> factor
_FACTORS: Mapping[tuple[str, str], float] = {
    ("m", "cm"): 0.01,
    ("m", "mm"): 0.001,
    ("mm", "cm"): 10.0,
    ("kPa", "mpa"): 1000.0,
    ("m3/h", "l/s"): 3.6,
    ("m3/h", "l/min"): 0.06,
    ("m3/h", "m3/s"): 3600.0,
}
_UNIT = re.compile(r"[(（\[［]\s*([^)）\]］]+?)\s*[)）\]］]")
_CLOCK = re.compile(r"\d{1,2}(:|時)(\d{1,2}(:\d{1,2}|分)?)?")
_DAY = re.compile(r"(\d{4}|[RHS]\d{1,2}|令和(\d{1,2}|元))[-/.年]\d{1,2}[-/.月]\d{1,2}日?")
_KINDS = (("観測所", "地点", "局", "station"), ("項目", "property", "種別"), ("値", "データ", "value"))


class Series(NamedTuple):
    """What is registered: a series, and the names of its station."""

    station: str
    observed_property: str
    unit: str
    names: tuple[str, ...]


class Meaning(NamedTuple):
    """A column taken for a series; value = field x scale."""

    column: str
    station: str
    observed_property: str
    scale: float


class Guess(NamedTuple):
    """`header`: as in a map. `long`: the columns of station, property and value, where every line is one value."""

    header: tuple[int, ...]
    first_line: int
    time: tuple[str, ...]
    columns: tuple[Meaning, ...]
    long: tuple[str, str, str] | None


def guess(table: Table, known: Sequence[Series]) -> Guess:
    """The idea; where nothing looks like a time, the first line names the columns and nothing is said of them."""
    rows = [(row.number, row.cells) for row in table.rows() if not isinstance(row.cells, Wrong)]
    for position, (number, cells) in enumerate(rows):
        times = _times(cells)
        if not times:
            continue
        above = rows[position - 1] if position else None
        header = () if above is None or sum(map(bool, above[1])) < 2 else (above[0],)
        names = column_names(table, header, [] if above is None else [above], len(cells))
        if any(i >= len(names) for i in times):
            break
        named = tuple(names[i] for i in times)
        rest = [name for i, name in enumerate(names) if i not in times and name]
        long = _long(rest)
        meanings = () if long else tuple(filter(None, (_meaning(name, known) for name in rest)))
        return Guess(header, number, named, meanings, long)
    return Guess((1,), 2, (), (), None)


def _times(cells: Sequence[str]) -> tuple[int, ...]:
    read = time_reader(None, UTC)
    for i, cell in enumerate(cells):
        with suppress(Wrong):
            read(cell)
            return (i,)
        if _DAY.fullmatch(cell.strip()) and i + 1 < len(cells) and _CLOCK.fullmatch(cells[i + 1].strip()):
            return (i, i + 1)
    return ()


def _long(names: Sequence[str]) -> tuple[str, str, str] | None:
    found = [next((name for name in names if any(word in name.lower() for word in words)), None) for words in _KINDS]
    station, observed_property, value = found
    if station is None or observed_property is None or value is None:
        return None
    return station, observed_property, value


def _meaning(name: str, known: Sequence[Series]) -> Meaning | None:
    of_place = [series for series in known if any(_core(place) in name for place in series.names if _core(place))]
    said = [s for s in of_place if any(word in name.lower() for word in _WORDS.get(s.observed_property, ()))]
    candidates = said or (of_place if len(of_place) == 1 else [])
    if len(candidates) != 1:
        return None
    (series,) = candidates
    unit = _UNIT.search(name)
    written = "" if unit is None else unit[1].lower().replace("³", "3").replace("㎝", "cm")
    return Meaning(name, series.station, series.observed_property, _FACTORS.get((series.unit, written), 1.0))


def _core(name: str) -> str:
    """A station's name without what is the same of all: 奥沢水位観測所 -> 奥沢."""
    return re.sub(r"(水位|雨量)?(観測所|観測局|局|計)$|配水(区|ブロック|池)?$", "", name) or name
