"""History from a file into the store: the same gate and the same rules as for messages, without a message.

What an import is not judged by: the clock rule (history is old on purpose) and the level rule (an old flood raises no
alert: `store.writer.write_history` counts the series as judged up to the file's newest value). It is committed in
parts, each with its row of the change feed; ended in the middle, it may simply be run again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path

from ingest.again import judge_again
from ingest.errors import ConfigError, HistoryError
from ingest.excel import excel_table, is_workbook
from ingest.gate import judged
from ingest.history_file import Line, finder, read_lines
from ingest.history_map import HistoryMap, load_map
from ingest.history_rows import Table, file_table
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


@dataclass
class ImportReport:
    """What became of a file's values.

    `stored`: new; `unchanged`: were there already; `revised`: replaced another value, which is kept as a revision;
    `outranked`: another value stands above them, they are kept as revisions; `rejected`: values or whole lines that
    could not be taken, the first `MOST_ERRORS` of them with line and reason in `errors`. `lines`: all lines read.
    """

    lines: int = 0
    stored: int = 0
    unchanged: int = 0
    revised: int = 0
    outranked: int = 0
    rejected: int = 0
    errors: list[LineError] = field(default_factory=list)


def import_history(
    dsn: str,
    municipality: str,
    file: Path,
    map_file: Path,
    *,
    progress: Callable[[int, ImportReport], None] = lambda _bytes, _report: None,
) -> ImportReport:
    """Imports a CSV or Excel file as its map says; `progress` hears of the bytes read and the report so far.

    Raises TownFileError (the map is wrong), HistoryError (the file cannot be read, or does not fit the map),
    ConfigError (no such municipality) and psycopg.Error; what was committed before stays.
    """
    layout = load_map(map_file)
    report = ImportReport()
    with connect(dsn, name="import") as conn:
        municipality_id = municipality_id_of(conn, municipality)
        if municipality_id is None:
            raise ConfigError(f"municipality {municipality} is not in the database: load its town file first")
        directory = load_directory(conn, municipality_id)
        now = load_clock(conn).now()
        conn.commit()
        waiting: list[ObservationRow] = []
        for line in read_lines(_table(file, layout), layout, finder(series_of(directory)), now):
            _note(report, line)
            waiting += line.observations
            if len(waiting) >= BATCH:
                _write(conn, directory, waiting, now, report)
                waiting = []
                progress(line.end, report)
        _write(conn, directory, waiting, now, report)
        judge_again(conn, directory)
        progress(file.stat().st_size, report)
    return report


def _note(report: ImportReport, line: Line) -> None:
    report.lines += 1
    report.rejected += len(line.problems)
    room = MOST_ERRORS - len(report.errors)
    report.errors += [LineError(line.number, str(problem)) for problem in line.problems[:room]]


def _table(file: Path, layout: HistoryMap) -> Table:
    try:
        with file.open("rb") as opened:
            beginning = opened.read(4)
    except OSError as error:
        raise HistoryError(
            f"{file}: cannot be read: {error.strerror}", f"{file}：ファイルを読めません（{error.strerror}）。"
        ) from None
    if is_workbook(beginning):
        return excel_table(str(file), lambda: file.open("rb"), layout.sheet)
    return file_table(file)


def _write(
    conn: Connection, directory: Directory, rows: list[ObservationRow], now: datetime, report: ImportReport
) -> None:
    if not rows:
        return
    judge = partial(judged, conn, directory)
    # What replaces old values takes compressed batches apart, and the database does not do that without limit.
    for part in steps(rows, _key, lambda datastream_id: directory.datastreams[datastream_id].step):
        result = write_history(conn, directory.municipality_id, part, stated=now, judge=judge)
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
