"""History from a file into the store: the same gate and the same rules as for messages, without a message.

A table is read by its map, a file in a known form (`ingest.formats`) by what that form is and a map of its series.

What an import is not judged by: the clock rule (history is old on purpose) and the level rule (an old flood raises no
alert: `store.writer.write_history` counts the series as judged up to the file's newest value). It is committed in
parts, each with its row of the change feed; ended in the middle, it may simply be run again. A check does all of it
but the commit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path

from ingest import formats
from ingest.again import judge_again
from ingest.errors import ConfigError, HistoryError
from ingest.excel import excel_table, is_workbook
from ingest.gate import judged_there
from ingest.history_file import Line, finder, read_lines
from ingest.history_map import OWN, FormatMap, HistoryMap, Layout, load_map
from ingest.history_rows import Table, file_table
from ingest.trial import apart
from store.chunks import steps
from store.connection import Connection, connect
from store.registry import Directory, load_directory, municipality_id_of
from store.town_clock import load_clock
from store.writer import ObservationRow, write_history

# Values of one transaction: a few megabytes of memory, and a feed row that analytics answers within a second or two.
BATCH = 20_000
# A file that is wrong as a whole need not tell so a million times.
MOST_ERRORS = 1000


@dataclass(frozen=True, slots=True)
class LineError:
    """Why something of a line was not taken."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class Unlisted:
    """A series that the file has and its map does not name: what a map calls it, and what the file does. `unit` None:
    the file does not say.
    """

    series: str
    name: str
    unit: str | None


@dataclass
class ImportReport:
    """What became of a file's values, or of a check what would.

    `stored`: new; `unchanged`: were there already; `revised`: replaced another value, which is kept as a revision;
    `outranked`: another value stands above them, they are kept as revisions; `rejected`: values or whole lines that
    could not be taken, the first `MOST_ERRORS` of them with line and reason in `errors`. `lines`: all lines read.
    Of a file in a known form: `unlisted` are its series that the map leaves out, `absent` those of the map that it does
    not have.
    """

    check: bool = False

    lines: int = 0
    stored: int = 0
    unchanged: int = 0
    revised: int = 0
    outranked: int = 0
    rejected: int = 0
    errors: list[LineError] = field(default_factory=list)
    unlisted: list[Unlisted] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)


def layout_of(file: Path, map_file: Path | None, form: str | None, *, check: bool = False) -> Layout:
    """The map of a file: that which was named, else the one beside it (its name with .yaml), else none, where that is
    enough: for our own exports, and to list in a check what a file in a known form has in it.

    Raises TownFileError where the map is wrong or not there, and HistoryError for a form that is none.
    """
    if form is not None and form not in formats.BY_NAME:
        known = ", ".join(formats.BY_NAME)
        raise HistoryError(
            f"there is no form {form!r}; there can be {known}", f"形式「{form}」はありません（{known}）。"
        )
    beside = file.with_suffix(".yaml")
    if map_file is None and not beside.exists():
        found = form or (formats.recognised(str(file), lambda: file.open("rb")) if file.is_file() else None)
        if found is not None and (check or found == OWN):
            return FormatMap(found, {})
        if found is not None:
            raise HistoryError(
                f"{file}: which of its series are ours? Write {beside.name}, or name a map with --map; --check lists "
                "what is in the file",
                f"{file}：どの系列がどの観測所かを、{beside.name} か --map の対応表に書いてください。"
                "--check を付けると、中にある系列を表示します。",
            )
    return load_map(map_file or beside, form)


def import_history(
    dsn: str,
    municipality: str,
    file: Path,
    layout: Layout,
    *,
    check: bool = False,
    progress: Callable[[int, ImportReport], None] = lambda _bytes, _report: None,
) -> ImportReport:
    """Imports a file as its map says; `progress` hears of the bytes read and the report so far. `check`: nothing is
    stored, and the report says what would be.

    Raises HistoryError (the file cannot be read, or does not fit the map), ConfigError (no such municipality) and
    psycopg.Error; what was committed before stays.
    """
    report = ImportReport(check=check)
    with connect(dsn, name="import") as conn:
        municipality_id = municipality_id_of(conn, municipality)
        if municipality_id is None:
            raise ConfigError(f"municipality {municipality} is not in the database: load its town file first")
        directory = load_directory(conn, municipality_id)
        now = load_clock(conn).now()
        conn.commit()
        waiting: list[ObservationRow] = []
        for line in _lines(file, layout, directory, now, report):
            _note(report, line)
            waiting += line.observations
            if len(waiting) >= BATCH:
                _write(conn, directory, waiting, now, report)
                waiting = []
                progress(line.end, report)
        _write(conn, directory, waiting, now, report)
        if not check:
            judge_again(conn, directory)
        progress(file.stat().st_size, report)
    return report


def _note(report: ImportReport, line: Line) -> None:
    report.lines += 1
    report.rejected += len(line.problems)
    room = MOST_ERRORS - len(report.errors)
    report.errors += [LineError(line.number, str(problem)) for problem in line.problems[:room]]


def _lines(file: Path, layout: Layout, directory: Directory, now: datetime, report: ImportReport) -> Iterator[Line]:
    try:
        with file.open("rb") as opened:
            beginning = opened.read(4)
    except OSError as error:
        raise HistoryError(
            f"{file}: cannot be read: {error.strerror}", f"{file}：ファイルを読めません（{error.strerror}）。"
        ) from None
    find = finder(series_of(directory))
    if isinstance(layout, FormatMap):
        reading = formats.read(str(file), lambda: file.open("rb"), layout, find, now)
        yield from reading.lines()
        report.unlisted = [Unlisted(each.key, each.name, each.unit) for each in reading.unlisted.values()]
        report.absent = reading.absent
    else:
        yield from read_lines(_table(file, layout, beginning), layout, find, now)


def _table(file: Path, layout: HistoryMap, beginning: bytes) -> Table:
    if is_workbook(beginning):
        return excel_table(str(file), lambda: file.open("rb"), layout.sheet)
    return file_table(file)


def _write(
    conn: Connection, directory: Directory, rows: list[ObservationRow], now: datetime, report: ImportReport
) -> None:
    if not rows:
        return
    # What replaces old values takes compressed batches apart, and the database does not do that without limit.
    for part in steps(rows, _key, lambda datastream_id: directory.datastreams[datastream_id].step):
        there, moved = apart(conn, directory, part)
        judge = partial(judged_there, conn, there)
        result = write_history(conn, directory.municipality_id, moved, stated=now, judge=judge)
        if report.check:
            conn.rollback()
        else:
            conn.commit()
        report.stored += result.stored
        report.unchanged += result.unchanged
        report.revised += result.revised
        report.outranked += result.outranked


def _key(row: ObservationRow) -> tuple[int, datetime]:
    return (row.datastream_id, row.phenomenon_time)


def series_of(directory: Directory) -> dict[tuple[str, str], int]:
    """(station code, observed property) -> datastream_id of all that is registered."""
    return {(d.station_code, d.observed_property): i for i, d in directory.datastreams.items()}
