"""The worker: batch -> decoded -> judged -> written -> committed -> only now acknowledged.

Contract
- A message is acknowledged after the commit of the transaction that holds its outcome, in the order of arrival.
- A batch that the database refuses for its content is halved until the poisonous message is alone; that one is
  stored bare, quarantined with the reason `store`, and the others pass.
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
from ingest.decode import UNKNOWN_DEVICE, bare, decode
from ingest.errors import ConfigError
from ingest.gate import through_gate
from ingest.subscriber import Delivery, Subscriber
from quality.gate import CLOCK
from store.connection import Connection, connect
from store.registry import Directory, load_directory, municipality_id_of
from store.town_clock import load_clock
from store.writer import UplinkRow, write_batch

HEARTBEAT_SECONDS = 1.0
REPORT_SECONDS = 60.0
# The directory is read again this often, and for an unknown device at most this often.
DIRECTORY_SECONDS = 30.0
UNKNOWN_DEVICE_SECONDS = 3.0
FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 10.0

# What the content of a message can cause; psycopg itself raises the last two while it writes a value down.
REFUSALS = (psycopg.DataError, psycopg.IntegrityError, ValueError, OverflowError)

Item = tuple[Delivery, UplinkRow]

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
        self._directory_read = 0.0
        self.conn: Connection | None = None
        self.municipality_id = 0
        self.clock: Clock
        self.directory: Directory

    def open(self) -> bool:
        """Connects, for as long as it takes; False when the end was asked for first."""
        self.close()
        pause = FIRST_PAUSE_SECONDS
        while not self._stop.is_set():
            try:
                self.conn = connect(self._config.dsn, name=f"ingest {self._config.worker_id}")
                if self.municipality_id == 0:
                    self._learn(self.conn)
                self.read_directory()
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

    def read_directory(self, *, older_than: float = 0.0) -> bool:
        """Reads the directory again if it is older than so many seconds; says whether it did."""
        if self._directory_read and time.monotonic() - self._directory_read < older_than:
            return False
        self.directory = load_directory(self.live, self.municipality_id)
        self.live.commit()
        self._directory_read = time.monotonic()
        return True

    def _learn(self, conn: Connection) -> None:
        found = municipality_id_of(conn, self._config.municipality)
        if found is None:
            raise ConfigError(
                f"municipality {self._config.municipality} is not in the database: load its town file first"
            )
        self.clock = load_clock(conn)
        conn.commit()
        self.municipality_id = found


class _Worker:
    def __init__(self, config: IngestConfig, database: _Database, stop: threading.Event) -> None:
        self._config = config
        self._database = database
        self._stop = stop
        self._batcher = Batcher(limit=batch_limit(config.batch_size, config.broker), linger=config.batch_seconds)
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
        parts: list[list[Item]] | None = None
        while not self._stopped_without_database():
            try:
                if parts is None:
                    parts = [self._decode(batch)]
                while parts:
                    self._step(parts)
                return
            except psycopg.OperationalError as error:
                log.warning("database lost, batch waits", error=str(error).strip(), messages=len(batch))
                self._database.open()

    def _stopped_without_database(self) -> bool:
        return self._stop.is_set() and self._database.conn is None

    def _step(self, parts: list[list[Item]]) -> None:
        """Writes the first part, or replaces it by smaller ones."""
        part = parts[0]
        conn = self._database.live
        try:
            rows = through_gate(conn, self._database.directory, [row for _, row in part])
            result = write_batch(conn, self._database.municipality_id, rows)
            conn.commit()
        except REFUSALS as refusal:
            conn.rollback()
            if len(part) > 1:
                half = len(part) // 2
                parts[:1] = [part[:half], part[half:]]
                return
            delivery, row = part[0]
            if row.reason == "store":
                raise
            detail = f"the database refused this message: {type(refusal).__name__}: {refusal}"
            log.error("message refused by the database", topic=row.topic, device=row.device_key, error=str(refusal))
            parts[0] = [(delivery, bare(row, detail))]
            return
        except BaseException:
            if not conn.closed:
                conn.rollback()
            raise
        del parts[0]
        self._outcomes += result.outcomes
        self._subscriber.acknowledge(delivery for delivery, _ in part)

    def _decode(self, batch: list[Delivery]) -> list[Item]:
        directory = self._database.directory
        items = [(delivery, decode(delivery, directory, self._possible)) for delivery in batch]
        if any(row.reason == UNKNOWN_DEVICE for _, row in items) and self._database.read_directory(
            older_than=UNKNOWN_DEVICE_SECONDS
        ):
            directory = self._database.directory
            items = [
                (delivery, decode(delivery, directory, self._possible) if row.reason == UNKNOWN_DEVICE else row)
                for delivery, row in items
            ]
        return items

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
            self._database.read_directory(older_than=DIRECTORY_SECONDS)
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
            (self._config.worker_id, self._database.municipality_id, self._database.clock.now(), listening_since),
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
