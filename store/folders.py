"""The ledger of the watched folders: what was found, under which map it was read, and what became of it.

For the worker that reads (`ingest.folders`) and for the pages. A content is known by its SHA-256: one row of
`folder_file` a folder and content, whatever it was called. What moves while a file is read (`reached`, the counts, the
problems) moves in the transaction that stores the values, so that a killed worker goes on behind the last line whose
values are there.

    alone(conn, town)                     whether this process is the one that reads
    folders(conn, town)                   what is watched
    begin / advance / finish / moved      one reading of one file
    to_read_again(conn, folder)           interrupted, wanted, or unread under an older map
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from psycopg import sql
from psycopg.types.json import Jsonb

from store.arrays import transposed
from store.connection import Connection

State = Literal["reading", "read", "failed"]
Obstacle = Literal["gone", "refused"]
Source = Literal["file", "upload"]

MOST_PROBLEMS = 500  # lines of a file that are kept; `rejected` counts all


@dataclass(frozen=True, slots=True)
class Folder:
    """A watched folder with its map; `map` None: nobody has said yet what its columns mean. `ended`: it is no longer
    watched, because somebody has said so while it was not there.
    """

    folder_id: int
    name: str
    stays: bool
    every: timedelta | None
    version: int | None
    map: str | None
    ended: bool = False


@dataclass(frozen=True, slots=True)
class FileRow:
    """What is known of a content."""

    folder_file_id: int
    sha256: bytes
    name: str
    place: str
    arrived_at: datetime
    state: State
    version: int
    reached: int
    rejected: int
    wanted: bool


@dataclass(frozen=True, slots=True)
class Problem:
    """What of a line could not be taken, in both languages."""

    line: int
    reason: str
    reason_ja: str


@dataclass(slots=True)
class Counts:
    """What became of the values of some lines."""

    lines: int = 0
    stored: int = 0
    unchanged: int = 0
    revised: int = 0
    rejected: int = 0


# --- the process -----------------------------------------------------------------------------------------------


def alone(conn: Connection, municipality_id: int) -> bool:
    """Whether this connection is the one that reads the folders of a municipality; it is until it ends."""
    row = conn.execute("select pg_try_advisory_lock(hashtext('folders'), %s)", (municipality_id,)).fetchone()
    return row is not None and bool(row[0])


def alive(conn: Connection, municipality_id: int, now: datetime, *, stopped: bool = False) -> None:
    """A sign of life; `stopped`: the last one, of an end in good order."""
    conn.execute(
        """
        insert into folder_watch (municipality_id, seen_at, stopped_at) values (%(town)s, %(now)s, %(end)s)
        on conflict (municipality_id) do update set seen_at = excluded.seen_at, stopped_at = excluded.stopped_at
        """,
        {"town": municipality_id, "now": now, "end": now if stopped else None},
    )


def folders(conn: Connection, municipality_id: int) -> dict[str, Folder]:
    """The folders by name."""
    return {
        row[1]: Folder(*row)
        for row in conn.execute(
            """
            select f.folder_id, f.name, f.stays, f.every, f.map_version, m.map, f.ended_at is not null
            from folder f left join folder_map m on m.folder_id = f.folder_id and m.version = f.map_version
            where f.municipality_id = %s order by f.name
            """,
            (municipality_id,),
        )
    }


def add_folder(conn: Connection, municipality_id: int, name: str, now: datetime) -> Folder:
    """A folder that was not there before."""
    row = conn.execute(
        "insert into folder (municipality_id, name, found_at, looked_at) values (%s, %s, %s, %s) returning folder_id",
        (municipality_id, name, now, now),
    ).fetchone()
    assert row is not None
    return Folder(int(row[0]), name, False, None, None, None)


def watch_again(conn: Connection, folder_id: int) -> None:
    """A folder that was no longer watched is there again."""
    conn.execute("update folder set ended_at = null where folder_id = %s", (folder_id,))


def looked(
    conn: Connection, folder_id: int, now: datetime, *, obstacle: Obstacle | None, waiting: Sequence[Mapping[str, Any]]
) -> None:
    """Somebody has looked into a folder: whether that was possible, and which files wait there."""
    conn.execute(
        """
        update folder set looked_at = %(now)s, waiting = %(waiting)s, obstacle = %(obstacle)s,
               obstacle_since = case when %(obstacle)s::text is null then null
                                     when obstacle is null then %(now)s else obstacle_since end
        where folder_id = %(folder)s
        """,
        {"now": now, "waiting": Jsonb(list(waiting)), "obstacle": obstacle, "folder": folder_id},
    )


def note_read_only(conn: Connection, folder_id: int, *, read_only: bool) -> None:
    """Whether files could be moved the last time that one was to be."""
    conn.execute(
        "update folder set read_only = %s where folder_id = %s and read_only <> %s", (read_only, folder_id, read_only)
    )


# --- one reading of one file -------------------------------------------------------------------------------------

_FILE = sql.SQL("folder_file_id, sha256, name, place, arrived_at, state, version, reached, rejected, wanted")


def _file(row: Sequence[Any]) -> FileRow:
    return FileRow(row[0], bytes(row[1]), *row[2:])


def file_of(conn: Connection, folder_id: int, sha256: bytes) -> FileRow | None:
    """What is known of a content, None where it was never read."""
    row = conn.execute(
        sql.SQL("select {} from folder_file where folder_id = %s and sha256 = %s").format(_FILE), (folder_id, sha256)
    ).fetchone()
    return None if row is None else _file(row)


def to_read_again(conn: Connection, folder: Folder) -> list[FileRow]:
    """Files whose reading was interrupted, that somebody wants read again, or of which something could not be read
    under an older map than that of now; oldest first.
    """
    return [
        _file(row)
        for row in conn.execute(
            sql.SQL(
                """
                select {} from folder_file
                where folder_id = %(folder)s and (wanted or state <> 'read' or rejected > 0)
                  and (wanted or state = 'reading' or version < %(version)s)
                order by arrived_at, folder_file_id
                """
            ).format(_FILE),
            {"folder": folder.folder_id, "version": folder.version},
        )
    ]


def begin(
    conn: Connection,
    municipality_id: int,
    folder: Folder,
    *,
    sha256: bytes,
    name: str,
    place: str,
    size: int,
    now: datetime,
) -> FileRow:
    """Starts to read a content under the folder's map; what an earlier reading of it said is forgotten, but when it
    came.
    """
    row = conn.execute(
        sql.SQL(
            """
        insert into folder_file as f (municipality_id, folder_id, sha256, name, place, size, arrived_at, state, version)
        values (%(town)s, %(folder)s, %(sha256)s, %(name)s, %(place)s, %(size)s, %(now)s, 'reading', %(version)s)
        on conflict (folder_id, sha256) do update
            set state = 'reading', version = excluded.version, name = excluded.name, place = excluded.place,
                reached = 0, lines = 0, stored = 0, unchanged = 0, revised = 0, rejected = 0, newest = null,
                reason = null, reason_ja = null, wanted = false, finished_at = null
        returning {}
        """
        ).format(_FILE),
        {
            "town": municipality_id,
            "folder": folder.folder_id,
            "sha256": sha256,
            "name": name,
            "place": place,
            "size": size,
            "now": now,
            "version": folder.version,
        },
    ).fetchone()
    assert row is not None
    found = _file(row)
    conn.execute("delete from folder_problem where folder_file_id = %s", (found.folder_file_id,))
    return found


def advance(
    conn: Connection,
    municipality_id: int,
    file: FileRow,
    reached: int,
    counts: Counts,
    problems: Iterable[Problem],
    newest: Mapping[int, datetime],
    folder_id: int,
) -> None:
    """Notes what became of the lines up to `reached`, in the transaction that stores their values. `newest` by
    datastream.
    """
    conn.execute(
        """
        update folder_file set reached = %s, lines = lines + %s, stored = stored + %s, unchanged = unchanged + %s,
               revised = revised + %s, rejected = rejected + %s, newest = greatest(newest, %s)
        where folder_file_id = %s
        """,
        (
            reached,
            counts.lines,
            counts.stored,
            counts.unchanged,
            counts.revised,
            counts.rejected,
            max(newest.values(), default=None),
            file.folder_file_id,
        ),
    )
    told = [(file.folder_file_id, municipality_id, p.line, p.reason[:500], p.reason_ja[:500]) for p in problems]
    if told:
        conn.cursor().executemany(
            "insert into folder_problem (folder_file_id, municipality_id, line, reason, reason_ja) "
            "values (%s, %s, %s, %s, %s)",
            told,
        )
    if newest:
        conn.execute(
            """
            insert into folder_series as held (folder_id, datastream_id, municipality_id, newest, brought_at)
            select %s, datastream_id, %s, newest, %s from unnest(%s::integer[], %s::timestamptz[])
                 as said (datastream_id, newest)
            on conflict (folder_id, datastream_id) do update
                set newest = excluded.newest, brought_at = excluded.brought_at
                where excluded.newest > held.newest
            """,
            (folder_id, municipality_id, file.arrived_at, *transposed(sorted(newest.items()), 2)),
        )


def finish(conn: Connection, file: FileRow, now: datetime, *, why: tuple[str, str] | None = None) -> None:
    """The file is read to its end, or (`why`, in both languages) cannot be read as it is. What brought something new
    has fed its folder, when it came.
    """
    conn.execute(
        """
        update folder_file set state = %s, reason = %s, reason_ja = %s, finished_at = %s, wanted = false
        where folder_file_id = %s
        """,
        ("read" if why is None else "failed", *(why or (None, None)), now, file.folder_file_id),
    )
    conn.execute(
        """
        update folder set fed_at = greatest(folder.fed_at, f.arrived_at)
        from folder_file f
        where f.folder_file_id = %s and folder.folder_id = f.folder_id and f.stored + f.revised > 0
        """,
        (file.folder_file_id,),
    )


def give_up(conn: Connection, folder: Folder, file: FileRow, now: datetime, why: tuple[str, str]) -> None:
    """The content is no longer where it was: it cannot be read again."""
    conn.execute(
        """
        update folder_file set wanted = false, version = coalesce(%s, version), finished_at = coalesce(finished_at, %s),
               state = case state when 'read' then 'read' else 'failed' end,
               reason = case state when 'read' then null else %s end,
               reason_ja = case state when 'read' then null else %s end
        where folder_file_id = %s
        """,
        (folder.version, now, *why, file.folder_file_id),
    )


def moved(conn: Connection, file: FileRow, place: str) -> None:
    """The file lies there now."""
    conn.execute("update folder_file set place = %s where folder_file_id = %s", (place, file.folder_file_id))


def repeated(conn: Connection, file: FileRow) -> None:
    """The same content has come once more."""
    conn.execute("update folder_file set repeats = repeats + 1 where folder_file_id = %s", (file.folder_file_id,))


def problems(conn: Connection, folder_file_id: int, limit: int = MOST_PROBLEMS) -> list[Problem]:
    """What of a file could not be taken, by line."""
    return [
        Problem(*row)
        for row in conn.execute(
            "select line, reason, reason_ja from folder_problem where folder_file_id = %s order by line limit %s",
            (folder_file_id, limit),
        )
    ]


def keep_sample(
    conn: Connection,
    municipality_id: int,
    folder_id: int,
    source: Source,
    name: str,
    sheets: Sequence[Mapping[str, Any]],
    now: datetime,
) -> None:
    """The first lines of a file, in place of the sample that was there."""
    conn.execute(
        """
        insert into folder_sample (folder_id, source, municipality_id, name, taken_at, sheets)
        values (%s, %s, %s, %s, %s, %s)
        on conflict (folder_id, source) do update
            set name = excluded.name, taken_at = excluded.taken_at, sheets = excluded.sheets
        """,
        (folder_id, source, municipality_id, name, now, Jsonb(list(sheets))),
    )
