"""A backup of one engine into the other: our own migrations make the schema, the rows are streamed into it.

pg_restore writes its rows as a script; each block `COPY part (columns) FROM stdin;` of it goes, unread, into the table
that the part belongs to. So the chunks of a hypertable become partitions and the other way round. What is in compressed
chunks nobody else can read; so a backup of such a town holds all observations a second time, as plain rows.
"""

from __future__ import annotations

import gzip
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from graphlib import TopologicalSorter
from pathlib import Path
from typing import IO

from psycopg import sql

from store import migrate as schema
from store import pgtools
from store.connection import Connection, connect
from store.content import TRANSIENT, tables
from store.errors import BackupError
from store.manifest import Backup

_ENTRY = re.compile(r"^\d+; \d+ \d+ (TABLE DATA|SEQUENCE SET) (\S+) (\S+) ")
_COPY = re.compile(rb"^COPY (\S+) \((.*)\) FROM stdin;$")
_SETVAL = re.compile(rb"^SELECT pg_catalog\.setval\('public\.(\w+)', (\d+), (true|false)\);$")
_END = b"\\.\n"
_BLOCK = 1 << 16
_LEVEL = 6
_APART = "observation"


def write_observations(
    conn: Connection, path: Path, columns: Sequence[str], each_block: Callable[[], None] = lambda: None
) -> None:
    """Writes all observations as `COPY` does, compressed; how values are written is a setting of the transaction, see
    `store.content`. `each_block` is called now and then, and may raise.
    """
    query = sql.SQL("copy (select {} from {}) to stdout").format(_names(columns), sql.Identifier(_APART))
    held: list[bytes] = []
    size = 0
    with gzip.open(path, "wb", compresslevel=_LEVEL) as file, conn.cursor() as cursor, cursor.copy(query) as copy:
        for rows in copy:
            held.append(bytes(rows))
            size += len(rows)
            if size >= _BLOCK:
                file.write(b"".join(held))
                each_block()
                held, size = [], 0
        file.write(b"".join(held))


def _read_observations(conn: Connection, path: Path, columns: Sequence[str]) -> None:
    query = sql.SQL("copy {} ({}) from stdin").format(sql.Identifier(_APART), _names(columns))
    with gzip.open(path, "rb") as file, conn.cursor() as cursor, cursor.copy(query) as copy:
        while block := file.read(_BLOCK):
            copy.write(block)


def _names(columns: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, columns))


def fill(backup: Backup, address: str, say: Callable[[str], None]) -> None:
    """Fills an empty database. Raises BackupError."""
    manifest = backup.manifest
    schema.migrate(address, only=manifest.migrations)
    tool = pgtools.find("pg_restore", int(manifest.pg_dump.split(".")[0]))
    say(f"pg_restore {tool.version} reads {backup.dump.name}, row by row for the other engine")
    with connect(address, name="restore") as conn, tempfile.NamedTemporaryFile("w", suffix=".list") as order:
        here = tables(conn)
        # Migrations fill in what a new town begins with.
        conn.execute(sql.SQL("truncate {} restart identity").format(sql.SQL(", ").join(map(sql.Identifier, here))))
        for month in manifest.tables["observation"].months:
            conn.execute("select observation_partition(%s::timestamptz)", (f"{month}-01 00:00+00",))
        conn.execute("set constraints all deferred")
        wanted = after_what_they_name(conn)
        if manifest.observation is not None:
            wanted.remove(_APART)
        order.writelines(_in_order(_entries(tool, backup), wanted, manifest.parts))
        order.flush()
        arguments: list[str | Path] = ["--data-only", "--file=-", "--use-list", order.name, backup.dump]
        with pgtools.running(tool, arguments, piped=True) as run:
            _load(conn, run.output, manifest.parts)
            run.wait()
        if manifest.observation is not None:
            _read_observations(conn, backup.observation, manifest.tables[_APART].columns)


def _entries(tool: pgtools.Tool, backup: Backup) -> list[str]:
    with pgtools.running(tool, ["--list", backup.dump], piped=True) as run:
        lines = run.output.read().decode().splitlines(keepends=True)
        run.wait()
    return lines


def after_what_they_name(conn: Connection) -> list[str]:
    """The tables, each after those that its foreign keys point to; a backup of all at once knows no such order. What is
    checked at the end of the transaction asks for none. Raises graphlib.CycleError where none of a circle is.
    """
    order: TopologicalSorter[str] = TopologicalSorter(dict.fromkeys(tables(conn), ()))
    for table, other in conn.execute(
        "select a.relname, b.relname from pg_constraint k join pg_class a on a.oid = k.conrelid "
        "join pg_class b on b.oid = k.confrelid where k.contype = 'f' and not k.condeferrable and a.oid <> b.oid "
        "and a.relnamespace = 'public'::regnamespace"
    ):
        order.add(str(table), str(other))
    return list(order.static_order())


def _in_order(entries: list[str], order: list[str], parts: Mapping[str, str]) -> list[str]:
    """The lines of the list of contents to be read: rows in the order of their tables, then the sequences."""
    rank = {table: place for place, table in enumerate(order) if table not in TRANSIENT}
    wanted = []
    for line in entries:
        found = _ENTRY.match(line)
        if found is None:
            continue
        kind, space, name = found.groups()
        if kind == "SEQUENCE SET":
            place = len(order) if space == "public" else None
        else:
            place = rank.get(parts.get(f"{space}.{name}", name if space == "public" else ""))
        if place is not None:
            wanted.append((place, line))
    return [line for _, line in sorted(wanted, key=lambda each: each[0])]


def _load(conn: Connection, script: IO[bytes], parts: Mapping[str, str]) -> None:
    for line in script:
        if block := _COPY.match(line.rstrip(b"\n")):
            part = block[1].decode().replace('"', "")
            table = parts.get(part, part.removeprefix("public."))
            # The columns stay as pg_dump quoted them.
            statement = (
                sql.SQL("copy {} (").format(sql.Identifier(table))
                + sql.SQL(block[2].decode())
                + sql.SQL(") from stdin")
            )
            with conn.cursor() as cursor, cursor.copy(statement) as copy:
                for rows in _rows(script, part):
                    copy.write(rows)
        elif value := _SETVAL.match(line.rstrip(b"\n")):
            name, number, called = value[1].decode(), int(value[2]), value[3] == b"true"
            conn.execute("select setval(to_regclass(%s), %s, %s)", (f"public.{name}", number, called))


def _rows(script: IO[bytes], part: str) -> Iterator[bytes]:
    """The lines up to the one that ends a block, many at a time. BackupError where that one does not come."""
    held: list[bytes] = []
    size = 0
    for line in script:
        if line == _END:
            yield b"".join(held)
            return
        held.append(line)
        size += len(line)
        if size >= _BLOCK:
            yield b"".join(held)
            held, size = [], 0
    raise BackupError(f"the rows of {part} break off in the middle")
