"""Puts a backup back, or tries out whether that would work.

    restore(backup, dsn, replace=False, settle=..., say=print) -> Restored
    drill(backup, dsn, say=print) -> Restored

Either way the backup goes into a new database beside the others, is counted and hashed there, and only what agrees with
its manifest gets the town's name, in one transaction of two renames. So a restore that fails, or is killed, leaves the
old database as it was; and what `replace` replaces is kept under another name until somebody drops it.

Two routes lead into the new database:

  native    pg_restore as it stands; both sides are TimescaleDB, or neither
  portable  the schema by our own migrations, the rows streamed into it: for the other engine, another version of
            TimescaleDB or an older PostgreSQL

Roles belong to the server: they are made first, so that the grants in the dump find them.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

import psycopg
from psycopg import sql

from devices.clock import real_now
from store import migrate as schema
from store import pgtools, portable
from store.connection import Connection, connect
from store.content import content, differences
from store.errors import BackupError
from store.manifest import Backup

Say = Callable[[str], None]

_SIDE = "mimamori_restoring_"
# Connections of ours that were closed a moment ago may still be there for the server.
_OWN_NAME = "mimamori restore"
_ATTEMPTS = 5  # for each the server itself waits 5 s


@dataclass(frozen=True, slots=True)
class Restored:
    """What became of it: `differences` is empty where counts and hashes agree with the manifest.

    `migrated` counts the migrations that the backup did not have yet. `kept` is the name under which the database that
    was replaced is still there, None where there was none.
    """

    route: str
    rows: int
    differences: tuple[str, ...]
    migrated: int
    kept: str | None
    seconds: float


def restore(
    backup: Backup,
    dsn: str,
    *,
    replace: bool = False,
    settle: Callable[[Connection], None] = lambda conn: None,
    say: Say = lambda line: None,
) -> Restored:
    """Puts the backup into the database of this address. The address has to be that of an owner who may make databases.

    `settle` runs in the restored database before anybody else sees it. A database with a town in it is refused unless
    `replace`. BackupError says what is wrong; then nothing has changed.
    """
    began = time.monotonic()
    name = database_name(dsn)
    _check(backup)
    with _maintenance(dsn) as admin:
        there = _exists(admin, name)
        occupied = there and _holds_a_town(dsn, name, backup, replace=replace)
        if there:
            _refuse_users(admin, name)
        say(f"verifying {backup.folder}")
        backup.verify()
        with _side(admin, dsn) as side:
            address = address_of(dsn, side)
            route, wrong = _fill(backup, address, say)
            if wrong:
                raise BackupError(
                    f"{backup.folder} was restored and does not hold what its manifest says; nothing was replaced. "
                    + "; ".join(wrong[:5])
                    + (f"; and {len(wrong) - 5} more" if len(wrong) > 5 else "")
                )
            with connect(address, name="restore") as conn:
                settle(conn)
            migrated = schema.migrate(address)
            if migrated:
                say(f"{migrated} newer migrations applied")
            kept = f"{name}_before_{real_now():%Y%m%dT%H%M%S}" if occupied else None
            _swap(admin, side, name, kept or f"{side}_empty", there=there)
            if there and kept is None:
                _drop(admin, f"{side}_empty")
    return Restored(route, backup.manifest.rows, (), migrated, kept, round(time.monotonic() - began, 2))


def drill(backup: Backup, dsn: str, *, say: Say = lambda line: None) -> Restored:
    """Restores into a database that is dropped again, on the server of this address, and says what came back.

    The difference to the manifest is in the answer; BackupError where it did not even come to that.
    """
    began = time.monotonic()
    _check(backup)
    say(f"verifying {backup.folder}")
    backup.verify()
    with _maintenance(dsn) as admin, _side(admin, dsn) as side:
        address = address_of(dsn, side)
        route, wrong = _fill(backup, address, say)
        migrated = 0 if wrong else schema.migrate(address)
    return Restored(route, backup.manifest.rows, tuple(wrong), migrated, None, round(time.monotonic() - began, 2))


def database_name(dsn: str) -> str:
    """The database that an address names. BackupError where it names none."""
    parts = urlsplit(dsn)
    name = unquote(parts.path.lstrip("/"))
    if parts.scheme not in ("postgresql", "postgres") or not name:
        raise BackupError("the address of the database must be postgresql://USER@HOST/DATABASE, with its name")
    return name


def address_of(dsn: str, database: str) -> str:
    """The same address with another database."""
    return urlunsplit(urlsplit(dsn)._replace(path=f"/{database}"))


def _check(backup: Backup) -> None:
    unknown = sorted(set(backup.manifest.migrations) - schema.known())
    if unknown:
        raise BackupError(
            f"{backup.folder} was made by a newer Mimamori ({backup.manifest.product}): this one does not know its "
            f"migration {unknown[0]}; update first"
        )


def _fill(backup: Backup, address: str, say: Say) -> tuple[str, list[str]]:
    """Fills an empty database; the route taken, and what is not as the manifest says."""
    manifest = backup.manifest
    schema.make_roles(address)
    with connect(address, name="restore") as conn:
        native = _native(conn, backup)
        server = conn.info.server_version // 10000
    if native:
        _pg_restore(backup, address, server, say)
    else:
        if manifest.compressed and manifest.observation is None:
            raise BackupError(
                f"{backup.folder} was made by an older Mimamori ({manifest.product}) and has observations that only "
                f"TimescaleDB {manifest.timescaledb} can read, in compressed chunks: restore it on a server with that "
                f"version and PostgreSQL {manifest.postgresql.split('.')[0]} or newer, or take another backup"
            )
        portable.fill(backup, address, say)
    say("counting what came back")
    with connect(address, name="restore", autocommit=True) as conn:
        conn.execute("analyze")
    with connect(address, name="restore") as conn:
        found = content(conn)
        conn.rollback()
    return "native" if native else "portable", differences(manifest.tables, found)


def _native(conn: Connection, backup: Backup) -> bool:
    manifest = backup.manifest
    if conn.info.server_version // 10000 < int(manifest.postgresql.split(".")[0]):
        return False
    offered = {
        str(row[0])
        for row in conn.execute("select version from pg_available_extension_versions where name = 'timescaledb'")
    }
    return not offered if manifest.timescaledb is None else manifest.timescaledb in offered


def _pg_restore(backup: Backup, address: str, server: int, say: Say) -> None:
    manifest = backup.manifest
    tool = pgtools.find("pg_restore", max(server, int(manifest.pg_dump.split(".")[0])))
    say(f"pg_restore {tool.version} reads {backup.dump.name}")
    arguments: list[str | Path] = ["--no-owner", "--no-tablespaces"]
    # A tool that is newer than the server says something to it that it does not know; see pgtools.
    forgiving = tool.major > server
    if not forgiving:
        arguments.append("--exit-on-error")
    if manifest.timescaledb is None:
        arguments.append(f"--jobs={min(os.cpu_count() or 1, 4)}")
    else:
        _timescale(address, sql.SQL("create extension timescaledb version {}").format(manifest.timescaledb))
        _timescale(address, sql.SQL("select timescaledb_pre_restore()"))
    with pgtools.running(tool, [*arguments, backup.dump], dsn=address, forgiving=forgiving) as run:
        run.wait()
    if manifest.timescaledb is not None:
        _timescale(address, sql.SQL("select timescaledb_post_restore()"))


def _timescale(address: str, statement: sql.SQL | sql.Composed) -> None:
    """One a session: the extension wants to be made in the first statement, and restoring is a setting of a session."""
    with connect(address, name="restore", autocommit=True) as conn:
        conn.execute(statement)


@contextmanager
def _maintenance(dsn: str) -> Iterator[Connection]:
    """A connection from which databases are made and renamed; one restore or drill on a server at a time."""
    with connect(address_of(dsn, "postgres"), name="restore", autocommit=True) as conn:
        if not _true(conn, "select pg_try_advisory_lock(hashtext('mimamori restore'))"):
            raise BackupError("another restore or drill is running on this server")
        try:
            for (leftover,) in conn.execute(
                "select datname from pg_database where starts_with(datname, %s)", (_SIDE,)
            ).fetchall():
                _drop(conn, leftover)
            yield conn
        finally:
            # The server notices only after a while that a connection is gone, and the next restore may not wait.
            with suppress(psycopg.OperationalError):
                conn.execute("select pg_advisory_unlock(hashtext('mimamori restore'))")


@contextmanager
def _side(admin: Connection, dsn: str) -> Iterator[str]:
    """A new empty database, gone afterwards unless it was renamed."""
    name = _SIDE + secrets.token_hex(6)
    try:
        admin.execute(sql.SQL("create database {} template template0 encoding 'UTF8'").format(sql.Identifier(name)))
    except psycopg.errors.InsufficientPrivilege as error:
        raise BackupError(
            "this account may not make a database, which a restore needs: as a superuser, "
            f"`alter role {admin.info.user} createdb`"
        ) from error
    try:
        yield name
    except psycopg.errors.DiskFull as error:
        raise BackupError(f"the disk of the database server is full: {error}") from error
    except psycopg.errors.InsufficientPrivilege as error:
        raise BackupError(f"the account {admin.info.user} may not do what a restore needs: {error}") from error
    finally:
        _drop(admin, name)


def _drop(admin: Connection, name: str) -> None:
    admin.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))


def _exists(admin: Connection, name: str) -> bool:
    return _true(admin, "select exists (select from pg_database where datname = %s)", name)


def _holds_a_town(dsn: str, name: str, backup: Backup, *, replace: bool) -> bool:
    """Whether more is in it than `mimamori migrate` leaves. BackupError where that is not to be replaced."""
    with connect(dsn, name="restore") as conn:
        if not _true(
            conn,
            r"""
            select exists (
                select from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'm')
                and not exists (select from pg_depend d where d.objid = c.oid and d.deptype = 'e'))
            """,
        ):
            return False
        ours = bool(schema.applied(conn))
        towns = [row[0] for row in conn.execute("select code from municipality order by 1")] if ours else []
        if ours and not towns:
            return False
        simulated = ours and _true(conn, "select coalesce((select simulated from town_clock), false)")
        conn.rollback()
    what = f"the town {', '.join(towns)}" if ours else "tables that are not Mimamori's"
    if not replace:
        raise BackupError(
            f"the database {name} is not empty, it holds {what}: name another one, or say --replace, which puts the "
            "backup in its place and keeps the present one under another name"
        )
    if not ours:
        raise BackupError(f"the database {name} holds {what}, and is not replaced: name another one")
    if backup.manifest.simulated and not simulated:
        raise BackupError(f"{backup.folder} is of a simulated town, and {name} holds a real one: name another database")
    return True


def _refuse_users(admin: Connection, name: str) -> None:
    users = [
        str(row[0])
        for row in admin.execute(
            "select distinct coalesce(nullif(application_name, ''), 'unknown') from pg_stat_activity "
            "where datname = %s and backend_type = 'client backend' and application_name <> %s order by 1",
            (name, _OWN_NAME),
        )
    ]
    if users:
        raise BackupError(f"the database {name} is in use by {', '.join(users)}: stop Mimamori's processes first")


def _swap(admin: Connection, side: str, name: str, old: str, *, there: bool) -> None:
    """Both names change or none does. TimescaleDB's own workers come and go: they are sent away until none is in."""
    _refuse_users(admin, name)
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with admin.transaction():
                admin.execute(
                    "select pg_terminate_backend(pid, 5000) from pg_stat_activity "
                    "where datname = %s "
                    "or (datname = %s and (backend_type <> 'client backend' or application_name = %s))",
                    (side, name, _OWN_NAME),
                )
                if there:
                    admin.execute(_renaming(name, old))
                admin.execute(_renaming(side, name))
            return
        except psycopg.errors.ObjectInUse as error:
            if attempt == _ATTEMPTS:
                raise BackupError(f"the database {name} is in use: stop what uses it ({error})") from error


def _renaming(name: str, new: str) -> sql.Composed:
    return sql.SQL("alter database {} rename to {}").format(sql.Identifier(name), sql.Identifier(new))


def _true(conn: Connection, query: str, *values: object) -> bool:
    row = conn.execute(query.encode(), values or None).fetchone()
    assert row is not None
    return bool(row[0])
