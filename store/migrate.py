"""Brings the schema up to date: plain SQL files, applied in order by yoyo, the same on both engines.

Where the server offers TimescaleDB the extension is created first, outside any transaction of the migrations,
because it must be the first thing its session does; the migrations then find it and make hypertables.
A file that TimescaleDB wants outside a transaction says so in its first line (`-- transactional: false`).
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from importlib.resources import as_file, files

import psycopg
from psycopg import sql
from yoyo import get_backend, read_migrations
from yoyo.exceptions import LockTimeout

from devices.clock import ClockSetting, real_now
from store.connection import Connection, connect
from store.errors import MigrationError
from store.town_clock import read_clock, write_clock


def migrate(dsn: str, *, only: Collection[str] | None = None) -> int:
    """Applies what is missing, as the owner of the database, and returns how many files that were.

    `only` names the migrations to stop at: those of a backup that is older than this program. A town without a clock
    gets the real one. Safe to call from several processes at once: yoyo takes a lock.
    Raises `MigrationError` naming the file that failed; its changes are then rolled back.
    """
    logging.getLogger("yoyo.migrations").setLevel(logging.WARNING)
    try:
        _create_timescaledb(dsn)
        with as_file(files("store") / "migrations") as folder:
            backend = get_backend(_yoyo_address(dsn))
            try:
                with backend.lock(timeout=60):
                    wanted = read_migrations(str(folder)).filter(lambda m: only is None or m.id in only)
                    pending = backend.to_apply(wanted)
                    backend.apply_migrations(pending)
            finally:
                backend.connection.close()
    except (psycopg.Error, LockTimeout) as error:
        raise MigrationError(f"the database schema could not be brought up to date: {error}") from error
    with connect(dsn, name="migrate") as conn:
        if read_clock(conn) is None:
            now = real_now()
            write_clock(conn, ClockSetting(simulated=False, real_start=now, town_start=now, speed=1.0))
    return len(pending)


def known() -> frozenset[str]:
    """The names of all migrations that this program has."""
    return frozenset(
        file.name.removesuffix(".sql")
        for file in (files("store") / "migrations").iterdir()
        if file.name.endswith(".sql")
    )


def applied(conn: Connection) -> list[str]:
    """The names of those that the database has, in their order; empty where it was never migrated."""
    row = conn.execute("select to_regclass('_yoyo_migration') is not null").fetchone()
    if row is None or not row[0]:
        return []
    return [str(each[0]) for each in conn.execute("select migration_id from _yoyo_migration order by 1")]


def make_roles(dsn: str) -> None:
    """Makes the two roles where the server has none yet: they belong to it, and no dump of a database holds them."""
    with connect(dsn, name="migrate") as conn:
        conn.execute("select pg_advisory_xact_lock(hashtext('mimamori roles'))")
        for role in ("mimamori_worker", "mimamori_api"):
            if conn.execute("select from pg_roles where rolname = %s", (role,)).fetchone() is None:
                conn.execute(sql.SQL("create role {} login").format(sql.Identifier(role)))


def _create_timescaledb(dsn: str) -> None:
    with connect(dsn, name="migrate", autocommit=True) as conn:
        offered = conn.execute("select from pg_available_extensions where name = 'timescaledb'").fetchone()
        if offered is not None:
            conn.execute("create extension if not exists timescaledb")
        conn.execute("create extension if not exists btree_gist")


def _yoyo_address(dsn: str) -> str:
    """yoyo chooses its driver by the scheme: psycopg 3 is `postgresql+psycopg`."""
    scheme, separator, rest = dsn.partition("://")
    if not separator or scheme not in ("postgresql", "postgres"):
        raise MigrationError(f"the database address must start with postgresql://, not {scheme}://")
    return f"postgresql+psycopg://{rest}"
