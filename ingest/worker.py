"""The worker: batch -> decoded -> judged -> written -> committed -> only now acknowledged.

Contract
- A message is acknowledged after the commit of the transaction that holds its outcome, in the order of arrival.
- What happens to a batch in between is `settle.py`'s: one poisonous message does not hold up the others.
- A lost database connection is made again with growing pauses; nothing is acknowledged meanwhile, and what is in
  hand is written when it is back.
- Every real second while the database is there, `ingest_worker` says that the worker lives and since when (town
  time) it hears the broker.
- Any other database error (a missing table, a missing right) ends the worker: that is for an operator, and nothing
  is lost by it.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import replace
from datetime import datetime

import psycopg
import structlog

from devices.clock import Clock
from devices.envelopes import TOPIC_FILTERS
from devices.model import Outcome
from ingest.batcher import Batcher, batch_limit
from ingest.config import IngestConfig
from ingest.errors import ConfigError
from ingest.settle import DIRECTORY_SECONDS, KnownDevices, Settling
from ingest.subscriber import Delivery, Subscriber
from quality.gate import CLOCK
from store.connection import Connection, connect
from store.registry import municipality_id_of
from store.town_clock import load_clock

HEARTBEAT_SECONDS = 1.0
REPORT_SECONDS = 60.0
FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 10.0

log = structlog.get_logger(__name__)


def run(config: IngestConfig, stop: threading.Event) -> None:
    """Ingests until `stop` is set, then finishes the batch in hand.

    Raises ConfigError when the municipality is not in the database, store.errors.ClockNotSet when it has no town
    clock, and psycopg.Error for what reconnecting cannot cure.
    """
    with structlog.contextvars.bound_contextvars(worker=config.worker_id):
        database = _Database(config, stop)
        try:
            if not database.open():
                return
            _Worker(config, database, stop).run()
        finally:
            database.close()


class _Database:
    """The worker's connection, with what it needs to know from it."""

    def __init__(self, config: IngestConfig, stop: threading.Event) -> None:
        self._config = config
        self._stop = stop
        self.conn: Connection | None = None
        self.clock: Clock
        self.devices: KnownDevices | None = None

    def open(self) -> bool:
        """Connects, for as long as it takes; False when the end was asked for first."""
        self.close()
        pause = FIRST_PAUSE_SECONDS
        while not self._stop.is_set():
            try:
                self.conn = connect(self._config.dsn, name=f"ingest {self._config.worker_id}")
                if self.devices is None:
                    self.devices = self._learn(self.conn)
                self.devices.refresh(self.conn)
                return True
            except psycopg.OperationalError as error:
                self.close()
                log.warning("database out of reach", error=str(error).strip(), again_in=pause)
            self._stop.wait(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
        return False

    def close(self) -> None:
        if self.conn is not None:
            self.conn.close()
            self.conn = None

    @property
    def live(self) -> Connection:
        if self.conn is None:
            raise psycopg.OperationalError("not connected")
        return self.conn

    @property
    def known(self) -> KnownDevices:
        if self.devices is None:
            raise psycopg.OperationalError("never connected")
        return self.devices

    def _learn(self, conn: Connection) -> KnownDevices:
        found = municipality_id_of(conn, self._config.municipality)
        if found is None:
            raise ConfigError(
                f"municipality {self._config.municipality} is not in the database: load its town file first"
            )
        self.clock = load_clock(conn)
        conn.commit()
        return KnownDevices(found)


class _Worker:
    def __init__(self, config: IngestConfig, database: _Database, stop: threading.Event) -> None:
        self._config = config
        self._database = database
        self._stop = stop
        self._batcher: Batcher[Delivery] = Batcher(
            limit=batch_limit(config.batch_size, config.broker), linger=config.batch_seconds
        )
        self._subscriber = Subscriber(config.broker, config.client_id, TOPIC_FILTERS, database.clock, self._batcher.put)
        self._possible = replace(CLOCK, behind=config.oldest.total_seconds())
        self._next_heartbeat = time.monotonic()
        self._next_report = time.monotonic() + REPORT_SECONDS
        self._outcomes: Counter[Outcome] = Counter()

    def run(self) -> None:
        self._subscriber.start()
        try:
            while not self._stop.is_set():
                self._subscriber.check()
                batch = self._batcher.take(timeout=0.2)
                if batch:
                    self._settle(batch)
                self._rounds()
        finally:
            self._subscriber.stop()
            self._take_leave()
            self._report()

    # --- one batch ---------------------------------------------------------------------------------------

    def _settle(self, batch: list[Delivery]) -> None:
        """Brings every message of the batch to its outcome and acknowledges it; leaves early only to stop."""
        settling: Settling[Delivery] | None = None
        while not self._stopped_without_database():
            try:
                conn = self._database.live
                if settling is None:
                    settling = Settling(conn, self._database.known, batch, self._possible)
                while not settling.over:
                    done = settling.step(conn)
                    self._outcomes.update(settled.outcome for settled in done)
                    self._subscriber.acknowledge(settled.message for settled in done)
                return
            except psycopg.OperationalError as error:
                log.warning("database lost, batch waits", error=str(error).strip(), messages=len(batch))
                self._database.open()

    def _stopped_without_database(self) -> bool:
        return self._stop.is_set() and self._database.conn is None

    # --- beside the batches ------------------------------------------------------------------------------

    def _rounds(self) -> None:
        """What is due by the (real) time."""
        now = time.monotonic()
        if now >= self._next_report:
            self._report()
            self._next_report = now + REPORT_SECONDS
        if now < self._next_heartbeat:
            return
        self._next_heartbeat = now + HEARTBEAT_SECONDS
        try:
            self._heartbeat(self._subscriber.listening_since)
            self._database.known.refresh(self._database.live, older_than=DIRECTORY_SECONDS)
        except psycopg.OperationalError as error:
            log.warning("database lost", error=str(error).strip())
            self._database.open()

    def _heartbeat(self, listening_since: datetime | None) -> None:
        conn = self._database.live
        conn.execute(
            """
            insert into ingest_worker (worker_id, municipality_id, heartbeat_at, listening_since)
            values (%s, %s, %s, %s)
            on conflict (worker_id) do update set (municipality_id, heartbeat_at, listening_since)
                = (excluded.municipality_id, excluded.heartbeat_at, excluded.listening_since)
            """,
            (self._config.worker_id, self._database.known.municipality_id, self._database.clock.now(), listening_since),
        )
        conn.commit()

    def _take_leave(self) -> None:
        """A worker that has ended does not listen; if the database is away, its old heartbeat says as much."""
        try:
            self._heartbeat(None)
        except psycopg.Error as error:
            log.warning("no last heartbeat", error=str(error).strip())

    def _report(self) -> None:
        if self._outcomes:
            log.info("messages", outcomes={outcome.value: n for outcome, n in self._outcomes.items()})
            self._outcomes.clear()
