"""What the digital section looks at when pages grow slow: room on the disk, who works, who lags, what waits.

Sizes are of the whole database, which may serve several towns; workers and notifications are of the own one.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from api.health import lags
from api.workers import Worker, workers
from devices.clock import Clock, real_now
from store.backup_runs import last_runs
from store.connection import Connection

# Tables by what they are for; what is in none of these is a ledger.
GROUPS: Mapping[str, frozenset[str]] = {
    "observations": frozenset({"observation", "observation_revision"}),
    "messages": frozenset({"uplink"}),
    "results": frozenset(
        {"rollup_hour", "rollup_day", "night_flow", "finding", "feed", "feed_cursor", "quality_memory"}
    ),
    "alerts": frozenset({"alert", "alert_history", "alert_judged", "outbox"}),
}
LEDGERS = "ledgers"
_WAITING = "select count(*) from outbox where sent_at is null and not stood_in and call_test_id is null"


@dataclass(frozen=True, slots=True)
class Disk:
    """Bytes on the disk of the database's files."""

    free: int
    total: int


@dataclass(frozen=True, slots=True)
class BackupNow:
    """Backups, or the drills that try them out: how long ago (real time) the last one succeeded, None for never.

    `failed`: a later one did not succeed. `bytes`: of the dump.
    """

    age: timedelta | None
    bytes: int | None
    failed: bool


@dataclass(frozen=True, slots=True)
class MachineRoom:
    """Sizes in bytes; `disk` None where the database's files are not on this machine, or nobody said where.

    `lags`: committed batches a consumer of the feed has not read yet. `waiting`: notifications not sent.
    `backups`: by kind, backup and drill.
    """

    database: int
    groups: Mapping[str, int]
    disk: Disk | None
    workers: tuple[Worker, ...]
    lags: Mapping[str, int]
    waiting: int
    backups: Mapping[str, BackupNow]


def machine_room(conn: Connection, clock: Clock, patience: timedelta, folder: Path | None) -> MachineRoom:
    """Seven queries. `patience` is for how long (real time) a worker may give no sign of life."""
    size = _number(conn, "select pg_database_size(current_database())")
    return MachineRoom(
        database=size,
        groups=_groups(conn),
        disk=disk(folder),
        workers=workers(conn, clock.now() - patience * clock.speed),
        lags=lags(conn),
        waiting=_number(conn, _WAITING),
        backups=_backups(conn),
    )


def disk(folder: Path | None) -> Disk | None:
    """The room on the disk of a folder; None where there is no such folder."""
    if folder is None:
        return None
    try:
        usage = shutil.disk_usage(folder)
    except OSError:
        return None
    return Disk(usage.free, usage.total)


def _groups(conn: Connection) -> dict[str, int]:
    """Bytes by group, indexes included. Partitions and chunks count with the table that they are a part of."""
    sizes = dict.fromkeys((*GROUPS, LEDGERS), 0)
    group_of = {table: group for group, tables in GROUPS.items() for table in tables}
    for table, size in conn.execute(
        """
        with recursive part as (
            select c.oid as relation, c.relname as name
            from pg_class c
            where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
              and not exists (select from pg_inherits i where i.inhrelid = c.oid)
            union all
            select i.inhrelid, part.name from part join pg_inherits i on i.inhparent = part.relation
        )
        select name, sum(pg_total_relation_size(relation))::bigint from part group by name
        """
    ):
        sizes[group_of.get(table, LEDGERS)] += size
    return sizes


def _backups(conn: Connection) -> dict[str, BackupNow]:
    now = real_now()
    return {
        kind: BackupNow(None if run.ended_at is None else now - run.ended_at, run.bytes, run.failed)
        for kind, run in last_runs(conn).items()
    }


def _number(conn: Connection, query: str) -> int:
    row = conn.execute(query.encode()).fetchone()
    assert row is not None
    return int(row[0])
