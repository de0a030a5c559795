"""Makes a backup: one snapshot of the database, dumped by pg_dump and counted by us at the same moment.

    make_backup(dsn, folder, product="0.1.0", keep=14, say=print) -> Backup

While others go on writing, one transaction exports its snapshot; pg_dump copies exactly that state, and `store.content`
counts and hashes it meanwhile. So the manifest says what the dump has to bring back, not what was there a minute later.
Compressed chunks, which only the same TimescaleDB understands, are written once more as rows (`store.portable`).

Whatever ends it (a kill, a full disk, a lost database) leaves a folder `.partial-...` at most, which the next backup
removes. Folder and files are for their owner only: they hold addresses, password hashes and messages.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from json import dumps
from pathlib import Path

from devices.clock import clock_from, real_now
from store import pgtools, portable
from store.connection import Connection, connect
from store.content import MONTHLY, TRANSIENT, content
from store.errors import BackupError
from store.file_lock import hold
from store.manifest import DUMP, MANIFEST, OBSERVATION, PREFIX, Backup, Manifest, Written, backup_folders, read_backup
from store.migrate import applied
from store.town_clock import read_clock

Say = Callable[[str], None]

_PARTIAL = ".partial-"
_LOCK = ".lock"
_WAIT_FOR_LOCKS = "120s"


def make_backup(
    dsn: str, folder: Path, *, product: str, keep: int | None = None, say: Say = lambda line: None
) -> Backup:
    """Writes a new backup into `folder`, which is made where it is missing, and returns it.

    `keep` leaves so many whole ones of the same towns, this one among them, and removes older ones; nothing is removed
    before the new one is on the disk. BackupError says what went wrong, `psycopg.OperationalError` that the database
    is out of reach; then there is no new backup, and none was removed.
    """
    began = time.monotonic()
    with _writing(folder), _alone(folder):
        for leftover in folder.glob(f"{_PARTIAL}*"):
            say(f"removing {leftover}, which was never finished")
            shutil.rmtree(leftover)
        taken_at = real_now().astimezone(UTC)
        partial = folder / f"{_PARTIAL}{taken_at:%Y%m%dT%H%M%S%fZ}"
        partial.mkdir(mode=0o700)
        try:
            manifest = _write(dsn, partial, taken_at, product, began, say)
            final = _free_name(folder, taken_at)
            partial.rename(final)
            _sync(folder)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        backup = Backup(final, manifest)
        if keep is not None:
            _prune(folder, backup, keep, say)
        return backup


def _write(dsn: str, partial: Path, taken_at: datetime, product: str, began: float, say: Say) -> Manifest:
    dump, observation = partial / DUMP, partial / OBSERVATION
    with connect(dsn, name="backup") as conn:
        conn.execute("set transaction isolation level repeatable read, read only")
        snapshot, server, timescale = _one(
            conn,
            "select pg_export_snapshot(), current_setting('server_version'), "
            "(select extversion from pg_extension where extname = 'timescaledb')",
        )
        migrations = applied(conn)
        if not migrations:
            raise BackupError("the database has never been migrated: there is nothing of Mimamori to back up")
        setting = read_clock(conn)
        town_time = None if setting is None else clock_from(setting).now()
        tool = pgtools.find("pg_dump", int(str(server).split(".")[0]))
        arguments: list[str | Path] = ["--format=custom", f"--snapshot={snapshot}", "--file", dump]
        arguments += [f"--exclude-table-data=public.{table}" for table in TRANSIENT]
        arguments += [f"--lock-wait-timeout={_WAIT_FOR_LOCKS}"]
        say(f"pg_dump {tool.version} writes {dump.name}")
        with pgtools.running(tool, arguments, dsn=dsn) as run:

            def still_running() -> None:
                if run.failed:
                    run.wait()

            def begin(table: str) -> None:
                still_running()
                if table in MONTHLY:
                    say(f"counting {table}")

            found = content(conn, begin=begin)
            parts, compressed = _parts(conn, timescale is not None)
            if compressed:
                say(f"writing {observation.name}, for servers that cannot read compressed chunks")
                observation.touch(mode=0o600)
                portable.write_observations(conn, observation, found["observation"].columns, still_running)
            codes = tuple(row[0] for row in conn.execute("select code from municipality order by 1"))
            run.wait()
        conn.rollback()
    dump.chmod(0o600)
    for file in (dump, observation) if compressed else (dump,):
        _sync(file)
    reader = pgtools.find("pg_restore", tool.major)
    with pgtools.running(reader, ["--list", dump]) as listing:
        listing.wait()
    manifest = Manifest(
        product=product,
        migrations=tuple(migrations),
        postgresql=str(server).split()[0],
        timescaledb=None if timescale is None else str(timescale),
        pg_dump=tool.version,
        municipalities=codes,
        taken_at=taken_at,
        town_time=town_time,
        simulated=setting is not None and setting.simulated,
        tables=found,
        parts=parts,
        compressed=compressed,
        dump=Written.of(dump),
        observation=Written.of(observation) if compressed else None,
        seconds=round(time.monotonic() - began, 2),
    )
    path = partial / MANIFEST
    path.touch(mode=0o600)
    path.write_text(dumps(manifest.as_json(), ensure_ascii=False, indent=1) + "\n", "utf-8")
    _sync(path)
    _sync(partial)
    return manifest


def _parts(conn: Connection, timescale: bool) -> tuple[dict[str, str], bool]:
    """Which table each partition or chunk belongs to ('schema.name' -> table), and whether any is compressed."""
    parts = {
        str(part): str(table)
        for part, table in conn.execute(
            """
            with recursive part as (
                select c.oid as relation, c.relname as name from pg_class c
                where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
                  and not exists (select from pg_inherits i where i.inhrelid = c.oid)
                union all
                select i.inhrelid, part.name from part join pg_inherits i on i.inhparent = part.relation
            )
            select n.nspname || '.' || c.relname, part.name
            from part join pg_class c on c.oid = part.relation join pg_namespace n on n.oid = c.relnamespace
            where c.relname <> part.name order by 1
            """
        )
    }
    compressed = (
        timescale and _one(conn, "select exists (select from timescaledb_information.chunks where is_compressed)")[0]
    )
    return parts, bool(compressed)


def _prune(folder: Path, newest: Backup, keep: int, say: Say) -> None:
    """Removes the oldest of this database's whole backups; what cannot be read is not ours to judge, and stays."""
    older = []
    for each in backup_folders(folder):
        with contextlib.suppress(BackupError):
            backup = read_backup(each)
            same = backup.manifest.municipalities == newest.manifest.municipalities
            if each != newest.folder and backup.whole and same:
                older.append(each)
    for each in older[: max(len(older) - (keep - 1), 0)]:
        say(f"removing {each}, as {keep} are kept")
        # Under its own name it would look whole while half of it is gone.
        gone = each.rename(folder / f"{_PARTIAL}{each.name}")
        shutil.rmtree(gone)


def _free_name(folder: Path, taken_at: datetime) -> Path:
    """Named by the second; a second one in the same second goes by its microseconds, after it in the order of names."""
    name = folder / f"{PREFIX}{taken_at:%Y%m%dT%H%M%S}Z"
    return name.with_name(f"{PREFIX}{taken_at:%Y%m%dT%H%M%SZ%f}") if name.exists() else name


@contextlib.contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Makes the folder, and says in words what the disk refuses."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise BackupError(f"{error.filename or folder}: the backup could not be written there: {reason}") from error
    except BackupError as error:
        raise BackupError(f"{folder}: no backup was made: {error}") from error


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One backup at a time into a folder; a killed one holds nothing."""
    with (folder / _LOCK).open("ab") as lock:
        try:
            hold(lock)
        except OSError as error:
            raise BackupError("another backup into this folder is running") from error
        yield


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _one(conn: Connection, query: str) -> tuple[object, ...]:
    row = conn.execute(query.encode()).fetchone()
    assert row is not None
    return row
