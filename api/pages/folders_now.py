"""What the pages tell of the watched folders: each one's state, its files, and the sample its map is made with.

States, worst first; missing, zero, stale and unknown stay apart from here to the pixel:

  UNKNOWN   the process that reads the folders gives no sign of life: nobody knows what lies there
  AWAY      the folder is not there, or may not be read
  LATE      取込停止: nothing new has come for longer than agreed
  FAILED    the newest file could not be read
  NO_MAP    nobody has said yet what the columns mean
  PARTLY    of the newest file something could not be read
  FIRST     ready, and no file has come yet
  FINE      the newest file was read
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from psycopg.sql import SQL

from alerts.rules.operation import FOLDERS
from devices.clock import Clock
from ingest.folders.guess import Series
from store.connection import Connection
from store.folders import Problem, problems

FILES_SHOWN = 30
PROBLEMS_SHOWN = 50


class FolderState(StrEnum):
    UNKNOWN = "unknown"
    AWAY = "away"
    LATE = "late"
    FAILED = "failed"
    NO_MAP = "no_map"
    PARTLY = "partly"
    FIRST = "first"
    FINE = "fine"


@dataclass(frozen=True, slots=True)
class FileNow:
    """A content that came, and what became of it."""

    folder_file_id: int
    name: str
    place: str
    size: int
    arrived_at: datetime
    state: str
    version: int
    lines: int
    stored: int
    unchanged: int
    revised: int
    rejected: int
    newest: datetime | None
    reason: tuple[str, str] | None
    repeats: int
    wanted: bool
    problems: Sequence[Problem] = ()


@dataclass(frozen=True, slots=True)
class FolderNow:
    """A folder at one moment. `waiting`: [(name, size, why)]. `fed_at`: when something new came last; `newest`: the
    time of the newest value that it ever brought; `due`: until when something new is to come, None without a contract.
    """

    folder_id: int
    name: str
    state: FolderState
    looked_at: datetime
    stays: bool
    read_only: bool
    every: timedelta | None
    version: int | None
    map: str | None
    fed_at: datetime | None
    newest: datetime | None
    due: datetime | None
    waiting: tuple[tuple[str, int, str], ...]
    last: FileNow | None
    unread: int


@dataclass(frozen=True, slots=True)
class Sample:
    """The first lines of a file; `sheets` as in the table folder_sample."""

    source: str
    name: str
    taken_at: datetime
    sheets: Sequence[Mapping[str, Any]]

    def sheet(self, name: str) -> Mapping[str, Any]:
        """The sheet of that name, else the first."""
        return next((each for each in self.sheets if each["name"] == name), self.sheets[0])


_FILE = SQL(
    "f.folder_file_id, f.name, f.place, f.size, f.arrived_at, f.state, f.version, f.lines, f.stored, f.unchanged, "
    "f.revised, f.rejected, f.newest, f.reason, f.reason_ja, f.repeats, f.wanted"
)

_FOLDERS = SQL(
    """
    select d.folder_id, d.name, d.looked_at, d.stays, d.read_only, d.every, d.map_version, m.map, d.fed_at,
           series.newest, greatest(d.fed_at, d.every_since) + d.every, d.obstacle is not null, d.waiting,
           (select count(*) from folder_file u
            where u.folder_id = d.folder_id and (u.state = 'failed' or u.rejected > 0)),
           {}
    from folder d
    left join folder_map m on m.folder_id = d.folder_id and m.version = d.map_version
    left join lateral (select max(s.newest) as newest from folder_series s where s.folder_id = d.folder_id) series
         on true
    left join lateral (
        select * from folder_file l where l.folder_id = d.folder_id
        order by l.arrived_at desc, l.folder_file_id desc limit 1
    ) f on true
    where d.ended_at is null
    order by d.name
    """
).format(_FILE)


def folders_now(conn: Connection, clock: Clock, now: datetime) -> tuple[FolderNow, ...]:
    """All folders of the tenant, those first that ask for somebody."""
    row = conn.execute("select seen_at from folder_watch").fetchone()
    silent = row is None or (now - row[0]) / clock.speed > FOLDERS
    found = [_folder(row, now, silent=silent) for row in conn.execute(_FOLDERS)]
    order = list(FolderState)
    return tuple(sorted(found, key=lambda folder: (order.index(folder.state), folder.name)))


def folder_now(conn: Connection, clock: Clock, now: datetime, folder_id: int) -> FolderNow | None:
    """One of them."""
    return next((folder for folder in folders_now(conn, clock, now) if folder.folder_id == folder_id), None)


def _folder(row: Sequence[Any], now: datetime, *, silent: bool) -> FolderNow:
    (folder_id, name, looked_at, stays, read_only, every, version, map_, fed_at, newest, due, away, waiting, unread) = (
        row[:14]
    )
    last = None if row[14] is None else _file(row[14:])
    return FolderNow(
        folder_id=folder_id,
        name=name,
        state=_state(silent, away, version, due is not None and now > due, last),
        looked_at=looked_at,
        stays=stays,
        read_only=read_only,
        every=every,
        version=version,
        map=map_,
        fed_at=fed_at,
        newest=newest,
        due=due,
        waiting=tuple((each["name"], each["size"], each["why"]) for each in waiting),
        last=last,
        unread=unread,
    )


def _state(silent: bool, away: bool, version: int | None, late: bool, last: FileNow | None) -> FolderState:
    if silent:
        return FolderState.UNKNOWN
    if away:
        return FolderState.AWAY
    if late:
        return FolderState.LATE
    if version is None:
        return FolderState.NO_MAP
    if last is None:
        return FolderState.FIRST
    if last.state == "failed":
        return FolderState.FAILED
    return FolderState.PARTLY if last.rejected else FolderState.FINE


def _file(row: Sequence[Any], told: Sequence[Problem] = ()) -> FileNow:
    reason, reason_ja, repeats, wanted = row[13:]
    said = None if reason is None else (reason_ja, reason)
    return FileNow(*[*row[:13], said, repeats, wanted, told])


def files_now(conn: Connection, folder_id: int) -> tuple[FileNow, ...]:
    """The newest files of a folder, with what of them could not be read."""
    rows = conn.execute(
        SQL("select {} from folder_file f where f.folder_id = %s order by f.arrived_at desc, 1 desc limit %s").format(
            _FILE
        ),
        (folder_id, FILES_SHOWN),
    ).fetchall()
    return tuple(_file(row, problems(conn, row[0], PROBLEMS_SHOWN) if row[11] else ()) for row in rows)


def sample_now(conn: Connection, folder_id: int) -> Sample | None:
    """What the map is made with: the sample that was taken or uploaded last."""
    row = conn.execute(
        "select source, name, taken_at, sheets from folder_sample where folder_id = %s "
        "order by source = 'upload' desc, taken_at desc limit 1",
        (folder_id,),
    ).fetchone()
    return None if row is None or not row[3] else Sample(*row)


def known_series(conn: Connection) -> tuple[Series, ...]:
    """Every series that a column can be."""
    return tuple(
        Series(code, observed_property, unit, (name, name_en))
        for code, observed_property, unit, name, name_en in conn.execute(
            """
            select s.code, d.observed_property, d.unit, s.name, s.name_en
            from datastream d join station s using (station_id)
            where d.drill_run is null order by s.station_id, d.datastream_id
            """
        )
    )
