"""A worker's sign of life: every real second, what it is doing, in its row of `ingest_worker` (town time).

It beats in a thread and on a connection of its own, so that a worker which waits for the database can say so.

| obstacle | is |
|---|---|
| broker | the broker is out of reach, or has not granted the subscriptions |
| database | the batch in hand is not stored, since more than `SLOW_SECONDS` |
| full | no room for more in hand: messages come faster than they are stored |

While there is one, `listening_since` is null: the silence of a device means nothing then. A database that is away
altogether cannot be told so; the outage is written down when it is over.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import psycopg
import structlog

from devices.clock import Clock
from ingest.sessions import Hearing
from store.connection import Connection, connect

HEARTBEAT_SECONDS = 1.0
SLOW_SECONDS = 10.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Doing:
    """What a worker is at. `busy_for`: real seconds since it began to settle the batch in hand, 0 where it has none."""

    hearing: Hearing
    busy_for: float


class Heart:
    """Beats from `start` to `stop`; `doing` is asked once a beat, from the heart's thread."""

    def __init__(
        self, dsn: str, worker_id: str, municipality_id: int, clock: Clock, doing: Callable[[], Doing]
    ) -> None:
        self._dsn = dsn
        self._worker_id = worker_id
        self._municipality_id = municipality_id
        self._clock = clock
        self._doing = doing
        self._conn: Connection | None = None
        self._away_since: datetime | None = None
        self._outage: tuple[datetime, datetime] | None = None
        self._hindered_until: datetime | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"heart {worker_id}", daemon=True)

    def start(self) -> None:
        """Begins to beat; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """Beats a last time, saying that the worker has ended. Where the database is away, an old beat says as much."""
        self._stopping.set()
        self._thread.join()
        self._beat(ended=True)
        self._close()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._beat(ended=False)
            self._stopping.wait(HEARTBEAT_SECONDS)

    def _beat(self, *, ended: bool) -> None:
        now = self._clock.now()
        try:
            if self._conn is None:
                self._conn = connect(self._dsn, name=f"heart of ingest {self._worker_id}", autocommit=True)
            if self._away_since is not None:
                self._outage, self._hindered_until = (self._away_since, now), now
            self._write(self._conn, now, ended=ended)
            self._away_since = None
        except psycopg.OperationalError as error:
            if self._away_since is None:
                log.warning("no sign of life: database out of reach", error=str(error).strip())
                self._away_since = now
            self._close()

    def _write(self, conn: Connection, now: datetime, *, ended: bool) -> None:
        doing = self._doing()
        obstacle = None if ended else self._obstacle(doing, now)
        if obstacle is not None:
            self._hindered_until = now
        since = doing.hearing.listening_since
        if since is not None and self._hindered_until is not None:
            # What came meanwhile waits: from now on silence of a device means something again.
            since = max(since, self._hindered_until)
        conn.execute(
            """
            insert into ingest_worker
                   (worker_id, municipality_id, heartbeat_at, listening_since, obstacle, obstacle_since, held,
                    outage_from, outage_until, stopped_at)
            values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
            on conflict (worker_id) do update
                set (municipality_id, heartbeat_at, listening_since, obstacle, obstacle_since, held, stopped_at,
                     drained_at)
                  = (excluded.municipality_id, excluded.heartbeat_at, excluded.listening_since, excluded.obstacle,
                     excluded.obstacle_since, excluded.held, excluded.stopped_at, null),
                    outage_from = coalesce(excluded.outage_from, ingest_worker.outage_from),
                    outage_until = coalesce(excluded.outage_until, ingest_worker.outage_until)
            """,
            (
                self._worker_id,
                self._municipality_id,
                now,
                None if ended or obstacle is not None else since,
                *(obstacle or (None, None)),
                doing.hearing.held,
                *(self._outage or (None, None)),
                now if ended else None,
            ),
        )

    def _obstacle(self, doing: Doing, now: datetime) -> tuple[str, datetime] | None:
        """Why messages are not taken, and since when; None where they are."""
        slow = timedelta(seconds=SLOW_SECONDS) * self._clock.speed
        busy = timedelta(seconds=doing.busy_for) * self._clock.speed
        hearing = doing.hearing
        if busy > slow:
            return "database", now - busy
        if hearing.listening_since is None:
            return "broker", hearing.lost_since
        if hearing.full_since is not None and now - hearing.full_since > slow:
            return "full", hearing.full_since
        return None

    def _close(self) -> None:
        if self._conn is not None:
            self._conn.close()
            self._conn = None
