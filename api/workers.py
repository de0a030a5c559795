"""The ingest workers of a town as people see them: does one take messages, and if not, why."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from store.connection import Connection


class WorkerState(StrEnum):
    """LISTENING: it takes messages. It lives, but takes none: NO_BROKER, out of reach; DATABASE, what is in hand is not
    stored; FULL, more comes than is stored. Gone: STOPPED in good order; LOST, no sign of life; DRAINED, and nothing
    waits for it.
    """

    LISTENING = "listening"
    NO_BROKER = "no_broker"
    DATABASE = "database"
    FULL = "full"
    STOPPED = "stopped"
    LOST = "lost"
    DRAINED = "drained"


@dataclass(frozen=True, slots=True)
class Worker:
    """An ingest worker. `since`: town time of the state; for LOST its last sign of life. `held`: messages in hand.
    `outage`: the last time that it could not reach the database, from and until.
    """

    worker_id: str
    state: WorkerState
    since: datetime
    held: int
    outage: tuple[datetime, datetime] | None


_OBSTACLES = {"broker": WorkerState.NO_BROKER, "database": WorkerState.DATABASE, "full": WorkerState.FULL}


def workers(conn: Connection, oldest: datetime) -> tuple[Worker, ...]:
    """All that the tenant ever had. One whose sign of life is older than `oldest` (town time) is lost."""
    rows = conn.execute(
        """
        select worker_id, heartbeat_at, listening_since, obstacle, obstacle_since, stopped_at, drained_at, held,
               outage_from, outage_until
        from ingest_worker order by worker_id
        """
    )
    found = []
    for worker_id, heartbeat, listening, obstacle, hindered, stopped, drained, held, lost, back in rows:
        if drained is not None:
            state, since = WorkerState.DRAINED, drained
        elif stopped is not None:
            state, since = WorkerState.STOPPED, stopped
        elif heartbeat < oldest:
            state, since = WorkerState.LOST, heartbeat
        elif obstacle is not None:
            state, since = _OBSTACLES[obstacle], hindered
        elif listening is None:
            state, since = WorkerState.NO_BROKER, heartbeat
        else:
            state, since = WorkerState.LISTENING, listening
        found.append(Worker(worker_id, state, since, held, None if lost is None else (lost, back)))
    return tuple(found)
