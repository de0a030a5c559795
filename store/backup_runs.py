"""The ledger of backups, drills and restores: one row a command, in real time, read by the page デジタル and /metrics.

It is not in a backup itself: a restored town begins it with its restore.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from store.connection import Connection

Kind = Literal["backup", "drill", "restore"]


@dataclass(frozen=True, slots=True)
class LastRun:
    """The last run of a kind that succeeded (`ended_at` None: none ever did), and whether the last one of all failed.

    `taken_at`: the moment whose state that backup holds. `bytes`: of its files.
    """

    ended_at: datetime | None
    taken_at: datetime | None
    bytes: int | None
    failed: bool


def record(
    conn: Connection,
    kind: Kind,
    began_at: datetime,
    ended_at: datetime,
    *,
    taken_at: datetime | None = None,
    size: int | None = None,
    problem: str | None = None,
) -> None:
    """Writes one run; `problem` is why it failed, None where it did not. The caller commits."""
    conn.execute(
        """
        insert into backup_run (kind, began_at, ended_at, succeeded, taken_at, bytes, detail)
        values (%s, %s, %s, %s, %s, %s, %s)
        """,
        (kind, began_at, max(began_at, ended_at), problem is None, taken_at, size, problem),
    )


def last_runs(conn: Connection) -> Mapping[Kind, LastRun]:
    """Of backups and of drills, each with an entry."""
    good: dict[str, tuple[Any, Any, Any]] = {
        row[0]: (row[1], row[2], row[3])
        for row in conn.execute(
            "select distinct on (kind) kind, ended_at, taken_at, bytes from backup_run where succeeded "
            "order by kind, ended_at desc"
        )
    }
    newest: dict[str, bool] = dict(
        conn.execute(
            "select distinct on (kind) kind, not succeeded from backup_run order by kind, ended_at desc"
        ).fetchall()
    )
    kinds: tuple[Kind, ...] = ("backup", "drill")
    nothing = (None, None, None)
    return {kind: LastRun(*good.get(kind, nothing), newest.get(kind, False)) for kind in kinds}
