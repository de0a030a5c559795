"""The worker: batch -> decoded -> judged -> written -> committed -> only now acknowledged.

Contract
- A message is acknowledged after the commit of the transaction that holds its outcome, in the order of arrival.
- What happens to a batch in between is `settle.py`'s: one poisonous message does not hold up the others.
- A lost database connection is made again with growing pauses; nothing is acknowledged meanwhile, and what is in
  hand is written when it is back.
- Every real second while the database is there, `ingest_worker` says that the worker lives, since when (town time) it
  takes messages, and why not (`heart.py`).
- After an outage what is new overtakes what waits (`sessions.py`).
- Quarantined messages that somebody wants read again are taken up in small steps between the batches (`replay.py`);
  while live ones come as fast as they can be written, once in REPLAY_SECONDS.
- Verdicts that a late message puts in doubt are worked out again within a second or so (`again.py`); where there are
  many, in small steps that take a quarter of the time.
- What was stored before a calibration was entered is put right a minute or two later (`calibrating.py`).
- Beside all this it feeds the town's drills (`drilling.py`).
- Any other database error (a missing table, a missing right) ends the worker: that is for an operator, and nothing
  is lost by it.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import replace

import psycopg
import structlog

from devices.clock import Clock
from devices.model import Outcome
from ingest.again import judge_step
from ingest.batcher import batch_limit
from ingest.calibrating import Calibrating
from ingest.config import IngestConfig
from ingest.drilling import Drilling
from ingest.errors import ConfigError
from ingest.heart import Doing, Heart
from ingest.own_topics import OwnTopics
from ingest.replay import Replaying
from ingest.sessions import Sessions
from ingest.settle import DIRECTORY_SECONDS, InOrder, KnownDevices, Settling
from ingest.subscriber import Delivery, Subscriber
from quality.gate import CLOCK
from store.connection import Connection, connect
from store.registry import municipality_id_of
from store.town_clock import load_clock

REPORT_SECONDS = 60.0
REPLAY_SECONDS = 1.0
AGAIN_SECONDS = 1.0  # how long a verdict may stand after what it was given by has changed
AGAIN_SHARE = 0.25  # of the time at most, where many are to be worked out
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
            if database.devices is not None:
                database.devices.close()


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
                self.devices.listen(self.conn)
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
        self._sessions = Sessions(config, database.clock, database.known.directory.definitions)
        self._own_topics = OwnTopics(self._sessions, database.known, database.clock)
        self._heart = Heart(config.dsn, config.worker_id, database.known.municipality_id, database.clock, self._doing)
        self._busy_since: float | None = None
        self._possible = replace(CLOCK, behind=config.oldest.total_seconds())
        self._calibrating = Calibrating(config.dsn, database.clock)
        self._drilling = Drilling(config.dsn, database.known.municipality_id, database.clock)
        self._replaying = Replaying(database.known, database.clock, self._possible)
        self._next_replay = time.monotonic()
        self._many = batch_limit(config.batch_size, config.broker) // 2
        self._next_again = time.monotonic()
        self._next_report = time.monotonic() + REPORT_SECONDS
        self._outcomes: Counter[Outcome] = Counter()

    def run(self) -> None:
        self._sessions.start()
        self._heart.start()
        self._drilling.start()
        more = False
        try:
            while not self._stop.is_set():
                self._sessions.check()
                subscriber, batch = self._sessions.take(timeout=0.0 if more else 0.2)
                if batch:
                    self._busy_since = time.monotonic()
                    self._settle(subscriber, batch)
                    self._busy_since = None
                self._rounds()
                more = self._replay(pressed=len(batch) > self._many)
        finally:
            self._drilling.stop()
            self._sessions.stop()
            self._heart.stop()
            self._report()

    def _doing(self) -> Doing:
        since = self._busy_since
        return Doing(self._sessions.hearing(), 0.0 if since is None else time.monotonic() - since)

    # --- one batch ---------------------------------------------------------------------------------------

    def _settle(self, subscriber: Subscriber, batch: list[Delivery]) -> None:
        """Brings every message of the batch to its outcome and acknowledges it; leaves early only to stop."""
        settling: Settling[Delivery] | None = None
        order = InOrder(batch)
        self._own_topics.hear(batch)
        while not self._stopped_without_database():
            try:
                conn = self._database.live
                if settling is None:
                    settling = Settling(conn, self._database.known, batch, self._possible)
                while not settling.over:
                    done = settling.step(conn)
                    self._outcomes.update(settled.outcome for settled in done)
                    subscriber.acknowledge(order.add(settled.message for settled in done))
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
        self._sessions.rounds()
        try:
            self._database.known.refresh(self._database.live, older_than=DIRECTORY_SECONDS)
            self._own_topics.look(self._database.live)
            if now >= self._next_again:
                begun = time.monotonic()
                more = judge_step(self._database.live, self._database.known.directory).more
                took = time.monotonic() - begun
                self._next_again = begun + (took / AGAIN_SHARE if more else AGAIN_SECONDS)
            self._calibrating.look(self._database.known.directory)
        except psycopg.OperationalError as error:
            log.warning("database lost", error=str(error).strip())
            self._database.open()

    def _replay(self, *, pressed: bool) -> bool:
        """A step of what people want read again, if it is due; whether the next is due at once.

        `pressed`: live messages wait.
        """
        now = time.monotonic()
        if now < self._next_replay:
            return False
        more = False
        try:
            more = self._replaying.step(self._database.live)
        except psycopg.OperationalError as error:
            log.warning("database lost", error=str(error).strip())
            self._database.open()
        if more and not pressed:
            return True
        self._next_replay = now + REPLAY_SECONDS
        return False

    def _report(self) -> None:
        if self._outcomes:
            log.info("messages", outcomes={outcome.value: n for outcome, n in self._outcomes.items()})
            self._outcomes.clear()
