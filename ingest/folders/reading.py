"""One dropped file to observations: through the same gate and writer as a device's messages.

A file is cut into parts of about PART values. Each part is one message in `uplink` (network `folder`, its topic names
folder and file, its raw bytes say which lines of which content it is; the file itself is kept), committed together with
its values, both counts and how far the file is read (`store.folders`). A killed worker goes on behind the last part.

What decides between two values for one time (docs/ingest.md) is what decides for devices too: a map with `quality:
manual` or `confirmed` says that people stand behind it, else a file ranks as a device. Its network time is when the
file came; of two readings of one file under different maps the later map stands (a microsecond a version).

What is older than the folder's contract allows (an hour, where it has none) says nothing of the present: it counts as
judged by the level rule, so that a year of history raises no alert about an old flood.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

import structlog

from devices.clock import Clock
from devices.model import Outcome, TownFileError
from ingest import formats
from ingest.again import judge_again
from ingest.errors import HistoryError
from ingest.folders.tables import open_content, table_of
from ingest.gate import through_gate
from ingest.history import series_of
from ingest.history_file import Line, finder, read_lines
from ingest.history_map import FormatMap, Layout, read_map
from ingest.settle import REFUSALS
from quality.gate import CLOCK
from store import folders
from store.batch import ObservationRow, UplinkRow
from store.chunks import steps
from store.connection import Connection
from store.counts import Tallies, slot
from store.folders import Counts, FileRow, Folder, Problem
from store.judged import count_past_as_judged
from store.registry import Directory
from store.writer import write_batch

PART = 5000  # values of one transaction: under a second
NETWORK = "folder"
# What a clock may be ahead, of a folder's sender as of a device.
AHEAD = timedelta(seconds=CLOCK.ahead)
PRESENT = timedelta(hours=1)  # of a folder without a contract

log = structlog.get_logger(__name__)


@dataclass
class _Part:
    """The lines since the last commit."""

    rows: list[ObservationRow] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts)
    first: int = 0
    last: int = 0

    def add(self, line: Line) -> None:
        self.first = self.first or line.position
        self.last = line.position
        self.rows += line.observations
        self.problems += [Problem(line.number, str(problem), problem.ja) for problem in line.problems]
        self.counts.lines += 1
        self.counts.rejected += len(line.problems)


class Reading:
    """Reads files of one municipality. `alive` is called between parts, in their transactions."""

    def __init__(self, conn: Connection, directory: Directory, clock: Clock, alive: Callable[[], None]) -> None:
        self._conn = conn
        self._directory = directory
        self._clock = clock
        self._alive = alive
        self._find = finder(series_of(directory))

    def read(self, folder: Folder, file: FileRow, content: bytes) -> tuple[str, str] | None:
        """Reads a content that `store.folders.begin` has noted, from where it was left; commits. Returns why it cannot
        be read, None where it was. Raises psycopg.OperationalError when the database is to be tried again.
        """
        why: tuple[str, str] | None = None
        try:
            self._parts(folder, file, content)
        except HistoryError as error:
            why = (str(error), error.ja)
        except TownFileError as error:
            why = (f"the map cannot be used: {error}", "対応表が正しくありません。保存し直してください。")
        except REFUSALS as error:
            log.error("file refused by the database", folder=folder.name, file=file.name, error=str(error).strip())
            why = (
                f"the database refused it: {type(error).__name__}: {str(error).strip()}",
                "データベースが保存を拒みました。記録（ログ）に詳細があります。",
            )
        if why is not None:
            self._conn.rollback()
        folders.finish(self._conn, file, self._clock.now(), why=why)
        self._conn.commit()
        if why is None:
            judge_again(self._conn, self._directory)
        return why

    def _parts(self, folder: Folder, file: FileRow, content: bytes) -> None:
        part, told = _Part(), file.rejected
        for line in self._lines(layout_of(folder), file.name, content):
            if line.position <= file.reached:
                continue
            part.add(line)
            if len(part.rows) >= PART or len(part.problems) >= PART:
                told = self._write(folder, file, part, told)
                part = _Part()
        self._write(folder, file, part, told)

    def _lines(self, layout: Layout, name: str, content: bytes) -> Iterator[Line]:
        latest = self._clock.now() + AHEAD
        if isinstance(layout, FormatMap):
            return formats.read(name, open_content(content), layout, self._find, latest).lines()
        return read_lines(table_of(name, content, layout.sheet), layout, self._find, latest)

    def _write(self, folder: Folder, file: FileRow, part: _Part, told: int) -> int:
        """Stores a part and commits; returns how many problems the file has so far."""
        if not part.counts.lines:
            return told
        newest: dict[int, datetime] = {}
        for row in part.rows:
            newest[row.datastream_id] = max(row.phenomenon_time, newest.get(row.datastream_id, row.phenomenon_time))
        pace = {i: info.step for i, info in self._directory.datastreams.items()}
        # Old values are compressed: what replaces many of them has to be cut again (`store.chunks`).
        cuts = list(steps(part.rows, lambda row: (row.datastream_id, row.phenomenon_time), pace.__getitem__))
        for number, rows in enumerate(cuts):
            self._store(folder, file, part, rows, rejected=0 if number else part.counts.rejected)
            if number < len(cuts) - 1:
                self._conn.commit()
        folders.advance(
            self._conn,
            self._directory.municipality_id,
            file,
            part.last,
            part.counts,
            part.problems[: max(0, folders.MOST_PROBLEMS - told)],
            newest,
            folder.folder_id,
        )
        self._alive()
        self._conn.commit()
        return told + len(part.problems)

    def _store(self, folder: Folder, file: FileRow, part: _Part, rows: list[ObservationRow], *, rejected: int) -> None:
        conn, town = self._conn, self._directory.municipality_id
        now = self._clock.now()
        uplink = UplinkRow(
            device_id=None,
            device_key=f"{NETWORK}/{folder.name}",
            session=str(file.version),
            counter=None,
            payload_hash=_hash(file, rows),
            network=NETWORK,
            topic=f"{NETWORK}/{folder.name}/{file.name}",
            raw=json.dumps(
                {
                    "file": file.name,
                    "sha256": file.sha256.hex(),
                    "lines": [part.first, part.last],
                    "map": file.version,
                },
                ensure_ascii=False,
            ).encode(),
            network_time=file.arrived_at + timedelta(microseconds=file.version),
            received_time=now,
            outcome=Outcome.ACCEPTED,
            reason=None,
            detail=None,
            observations=tuple(rows),
            rejected=rejected,
        )
        count_past_as_judged(conn, town, _past(rows, now - (folder.every or PRESENT)))
        delivered = Tallies()
        delivered.deliver([slot(None, now)])
        judge = partial(through_gate, conn, self._directory)
        result = write_batch(conn, town, [uplink], judge, delivered=delivered)
        part.counts.stored += result.stored
        repeated = result.each == (Outcome.DUPLICATE,)
        part.counts.unchanged += len(rows) if repeated else result.unchanged
        part.counts.revised += result.revised


def layout_of(folder: Folder) -> Layout:
    """The map of a folder that has one. TownFileError where it is none."""
    assert folder.map is not None
    return read_map(folder.map, f"the map of {folder.name}")


def _past(rows: list[ObservationRow], until: datetime) -> dict[int, datetime]:
    """By datastream the newest value that says nothing of the present."""
    newest: dict[int, datetime] = {}
    for row in rows:
        if row.phenomenon_time <= until:
            newest[row.datastream_id] = max(row.phenomenon_time, newest.get(row.datastream_id, row.phenomenon_time))
    return newest


def _hash(file: FileRow, rows: list[ObservationRow]) -> bytes:
    """What these rows are: the same content says the same under one map, so that stored twice it is a repetition."""
    digest = hashlib.sha256(file.sha256)
    for row in rows:
        digest.update(
            f"{row.datastream_id} {row.phenomenon_time.timestamp()} {row.value} {row.quality} {row.reason}\n".encode()
        )
    return digest.digest()
