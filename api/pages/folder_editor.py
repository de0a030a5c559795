"""What the page of a folder's map shows: the sample, its columns, what they mean so far, and what would come of it.

The preview is worked out by the code that reads the files (`ingest.history_file`), over the lines of the sample.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from api.errors import Text
from api.pages import folder_known
from api.pages.folder_form import TIMES, fields_of, guessed, yaml_of
from api.pages.folders_now import FolderNow, Sample
from devices.model import TownFileError
from ingest.errors import HistoryError, Wrong
from ingest.folders.guess import Series, guess
from ingest.folders.reading import AHEAD
from ingest.folders.tables import known_head, sampled
from ingest.history import series_of
from ingest.history_file import Find, Line, column_names, finder, read_lines
from ingest.history_map import FORMATS, FormatMap, Layout, read_map
from ingest.history_rows import Open, Table, letters
from store.registry import Directory

VALUES_SHOWN, PROBLEMS_SHOWN, LINES_SHOWN, EXAMPLES_SHOWN, NAMES_SHOWN = 12, 8, 15, 3, 40


@dataclass(frozen=True, slots=True)
class Value:
    """A value as the map reads it: of which line, where, what, when. `value` None: missing, and `reason` says why."""

    line: int
    station: tuple[str, str]
    observed_property: str
    unit: str
    time: datetime
    value: float | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Preview:
    """What the first lines of the sample become. `refused`: the map or the whole sample cannot be read."""

    values: tuple[Value, ...] = ()
    problems: tuple[tuple[int, tuple[str, str]], ...] = ()
    refused: tuple[tuple[str, str], ...] = ()
    lines: int = 0
    read: int = 0


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the sample: its letter, its name, and what stands in it. `series`: STATION/PROPERTY, or empty. Of a
    file in a known form a series, which has no letter: `called` what the file calls it, `examples` its unit there.
    """

    letter: str
    name: str
    examples: tuple[str, ...]
    series: str
    scale: str
    offset: str
    called: str = ""


@dataclass(frozen=True, slots=True)
class Editor:
    """The form as it stands: `fields`, the sample's `rows` (number, cells), its columns, and of a long file the names
    of stations and properties with what they mean. `draft`: it is not saved yet. `form`: the known form that the form
    says its files have.
    """

    fields: Mapping[str, str]
    draft: bool
    rows: tuple[tuple[int, tuple[str, ...]], ...]
    heads: tuple[str, ...]
    columns: tuple[Column, ...]
    stations: tuple[tuple[str, str], ...]
    properties: tuple[tuple[str, str, str, str], ...]
    yaml: str
    preview: Preview | None
    form: str | None = None


def editor_of(
    now: datetime,
    timezone: str,
    folder: FolderNow,
    sample: Sample | None,
    known: Sequence[Series],
    directory: Directory,
    draft: Mapping[str, str] | None,
) -> Editor:
    """The form: the draft, else the map that is there, else a first idea from the sample. The preview is of `now`."""
    fields = draft
    if fields is None and folder.map is not None:
        fields = fields_of(read_map(folder.map))
    table: Table | None = None
    rows: list[tuple[int, tuple[str, ...]]] = []
    head: tuple[str, Open] | None = None
    if sample is not None:
        sheet = sample.sheet("" if fields is None else fields.get("sheet", ""))
        table = sampled(sample.name, sheet)
        rows = [(n, tuple(cells)) for n, cells in enumerate(sheet["rows"], 1)]
        head = known_head(sheet)
        if fields is None:
            fields = guessed(guess(table, known), timezone) if head is None else {"kind": head[0]}
    if fields is None:
        fields = {"header": "1", "zone": timezone, "kind": "wide"}
    text, problems = yaml_of(fields)
    layout, refused = _understood(text, problems)
    heads = () if table is None else _heads(table, fields)
    form = fields["kind"] if fields.get("kind") in FORMATS else None
    if form is None:
        columns = _columns(fields, heads, rows)
    else:
        columns = tuple(
            Column("", *each) for each in folder_known.columns(form, fields, sample, head, finder(series_of(directory)))
        )
    return Editor(
        fields=fields,
        draft=draft is not None,
        rows=tuple(rows[:LINES_SHOWN]),
        heads=heads,
        columns=columns,
        stations=_names(fields, heads, rows, "station", ("name", "code")),
        properties=_words(fields, heads, rows),
        yaml=folder.map if draft is None and folder.map is not None else text,
        preview=None if table is None else _preview(now, (table, head), layout, refused, known, directory),
        form=form,
    )


def _understood(text: str, problems: Sequence[Text]) -> tuple[Layout | None, tuple[tuple[str, str], ...]]:
    if problems:
        return None, tuple((problem.ja, problem.en) for problem in problems)
    try:
        return read_map(text), ()
    except TownFileError as error:
        lines = [line.partition(": ")[2] or line for line in str(error).splitlines()]
        return None, tuple((line, line) for line in lines)


def _heads(table: Table, fields: Mapping[str, str]) -> tuple[str, ...]:
    """The columns' names under the header that the form says."""
    wanted = [int(part) for part in re.findall(r"\d{1,7}", fields.get("header", "")) if int(part)]
    rows = [(row.number, row.cells) for row in table.rows() if not isinstance(row.cells, Wrong)]
    heading = [(number, cells) for number, cells in rows if number in wanted]
    if not heading:
        return tuple(letters(i) for i in range(max((len(cells) for _, cells in rows), default=0)))
    return tuple(column_names(table, [number for number, _ in heading], heading, 0))


def _first_line(fields: Mapping[str, str]) -> int:
    found = re.findall(r"\d{1,7}", fields.get("first_line") or "")
    header = re.findall(r"\d{1,7}", fields.get("header") or "")
    return int(found[0]) if found else max((int(line) for line in header), default=0) + 1


def _columns(
    fields: Mapping[str, str], heads: Sequence[str], rows: Sequence[tuple[int, tuple[str, ...]]]
) -> tuple[Column, ...]:
    """Every column of the sample, and those of the map that the sample does not have."""
    said = {value: key.removeprefix("column.") for key, value in fields.items() if key.startswith("column.")}
    times = [fields.get(key) for key in TIMES]
    first = _first_line(fields)
    columns = []
    for i, name in enumerate(heads):
        if not name or name in times:
            continue
        cells = (cells[i] for number, cells in rows if number >= first and i < len(cells) and cells[i])
        columns.append((letters(i), name, tuple(islice(cells, EXAMPLES_SHOWN))))
    columns += [("", name, ()) for name in said if name and name not in heads]
    return tuple(
        Column(
            letter,
            name,
            examples,
            fields.get(f"series.{said.get(name, '')}", ""),
            fields.get(f"scale.{said.get(name, '')}", ""),
            fields.get(f"offset.{said.get(name, '')}", ""),
        )
        for letter, name, examples in columns
    )


def _cells(fields: Mapping[str, str], heads: Sequence[str], rows: Sequence[Any], key: str) -> list[str]:
    """The different texts of the column that a field names."""
    if fields.get(key, "") not in heads or not fields.get(key):
        return []
    i, first = list(heads).index(fields[key]), _first_line(fields)
    found = dict.fromkeys(cells[i] for number, cells in rows if number >= first and i < len(cells) and cells[i])
    return list(found)[:NAMES_SHOWN]


def _names(
    fields: Mapping[str, str], heads: Sequence[str], rows: Sequence[Any], key: str, pair: tuple[str, str]
) -> tuple[tuple[str, str], ...]:
    """What stands in a column of names, and what it means so far."""
    said = {
        value: fields.get(f"{pair[1]}.{name.partition('.')[2]}", "")
        for name, value in fields.items()
        if name.startswith(f"{pair[0]}.") and value
    }
    there = dict.fromkeys([*_cells(fields, heads, rows, key), *said])
    return tuple((name, said.get(name, "")) for name in there)


def _words(
    fields: Mapping[str, str], heads: Sequence[str], rows: Sequence[Any]
) -> tuple[tuple[str, str, str, str], ...]:
    numbers = {value: name.partition(".")[2] for name, value in fields.items() if name.startswith("word.")}
    return tuple(
        (
            name,
            means,
            fields.get(f"factor.{numbers.get(name, '')}", ""),
            fields.get(f"plus.{numbers.get(name, '')}", ""),
        )
        for name, means in _names(fields, heads, rows, "property", ("word", "means"))
    )


def _lines(table: Table, head: tuple[str, Open] | None, layout: Layout, find: Find, latest: datetime) -> Iterator[Line]:
    if isinstance(layout, FormatMap):
        return folder_known.lines(table.name, head, layout, find, latest)
    return read_lines(table, layout, find, latest)


def _preview(
    now: datetime,
    sample: tuple[Table, tuple[str, Open] | None],
    layout: Layout | None,
    refused: tuple[tuple[str, str], ...],
    known: Sequence[Series],
    directory: Directory,
) -> Preview:
    if layout is None:
        return Preview(refused=refused)
    series = {datastream_id: key for key, datastream_id in series_of(directory).items()}
    names = {(each.station, each.observed_property): each for each in known}
    values: list[Value] = []
    problems: list[tuple[int, tuple[str, str]]] = []
    lines = read = 0
    try:
        for line in _lines(*sample, layout, finder(series_of(directory)), now + AHEAD):
            lines += 1
            read += len(line.observations)
            for row in line.observations[: VALUES_SHOWN - len(values)]:
                of = names[series[row.datastream_id]]
                place = (of.names[0], of.names[1])
                time, reason = row.phenomenon_time, None if row.reason is None else row.reason.value
                values.append(Value(line.number, place, of.observed_property, of.unit, time, row.value, reason))
            problems += [(line.number, (problem.ja, str(problem))) for problem in line.problems]
    except HistoryError as error:
        return Preview(refused=((error.ja, str(error)),))
    return Preview(tuple(values), tuple(problems[:PROBLEMS_SHOWN]), (), lines, read)
