"""The way in for what cannot speak MQTT: messages that networks post, many requests to one transaction.

Contract
- `Intake.put` answers (by a future) with what became of the message, after the commit of the transaction that holds it;
  or with NotTaken, and then the sender must send it again. Whatever happened meanwhile, the same message again ends as
  a duplicate: nothing is stored twice.
- The messages that come while one transaction runs make the next one, whoever sent them (one for each municipality).
- The source says which municipality a message is for: a device of another one is unknown there.
- Bounded: at most `hold_messages` and `hold_bytes` in hand; above that NotTaken.
- While the database is away, a message waits for it for `patience` at most; later ones are told NotTaken at once until
  it is back. So a short break is bridged, for there are networks that never send again, and a long one is theirs.
- Sources are read every SOURCES_SECONDS; a revoked one is refused after that time at the latest.

One thread owns the connection. `source` and `put` are for any thread and never block.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Self

import psycopg
import structlog

from devices.clock import Clock
from devices.codecs.javascript import Sandbox
from devices.envelopes import posted_topic
from ingest.batcher import Batcher
from ingest.errors import ConfigError, NotTaken
from ingest.message import Message
from ingest.rate import Rate
from ingest.settle import DIRECTORY_SECONDS, KnownDevices, Settled, Settling
from ingest.sources import Source, has_secret, load_sources
from quality.gate import CLOCK
from store.connection import Connection, connect
from store.errors import ClockNotSet
from store.town_clock import load_clock

SOURCES_SECONDS = 1.0
_SHORT_PAUSE_SECONDS = 0.2

log = structlog.get_logger(__name__)


class IntakeState(StrEnum):
    """Whether messages are taken, and why not."""

    OPENING = "opening"  # it has not seen its sources yet
    OPEN = "open"
    FAULT = "fault"  # the database answers and does not store: a missing table or right, the log has it
    CLOCK = "clock"  # the town clock is not set
    DATABASE = "database"  # out of reach


@dataclass(frozen=True, slots=True)
class IntakeConfig:
    """How the intake runs. `dsn` is for the role mimamori_worker; a message may have `max_bytes`; `oldest` as for MQTT
    (`ingest.config`). Raises ConfigError, naming the field.
    """

    dsn: str
    max_bytes: int = 65_536
    oldest: timedelta = timedelta(seconds=CLOCK.behind)
    batch_size: int = 500
    batch_seconds: float = 0.002
    hold_messages: int = 2000
    hold_bytes: int = 16_000_000
    patience: float = 4.0

    def __post_init__(self) -> None:
        if not 1 <= self.max_bytes <= self.hold_bytes:
            raise ConfigError(f"intake max_bytes is {self.max_bytes}: it must be 1 to {self.hold_bytes}")
        if not self.oldest > timedelta(0):
            raise ConfigError(f"intake oldest is {self.oldest}: it must be longer than 0")


class Posted(Message, frozen=True, eq=False):
    """One message with where it came from and who waits for its outcome."""

    source: Source
    room: Room
    answer: Future[Settled[Posted]]


class Room:
    """Room for one message of so many bytes, from before its body is read until it is settled.

    As a context manager it is given back at the end, unless `Intake.put` has taken it over.
    """

    def __init__(self, intake: Intake, size: int) -> None:
        self.size = size
        self.taken_over = False
        self._intake = intake

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if not self.taken_over:
            self._intake.give_back([self])


class Intake:
    """Takes messages from `start` until `close`."""

    def __init__(self, config: IntakeConfig) -> None:
        self.config = config
        self._batcher: Batcher[Posted] = Batcher(limit=config.batch_size, linger=config.batch_seconds)
        self._possible = replace(CLOCK, behind=config.oldest.total_seconds())
        self._rate = Rate()
        self._stop = threading.Event()
        self._conn: Connection | None = None
        self._clock: Clock | None = None
        self._sources: Mapping[str, Source] = MappingProxyType({})
        self._towns: dict[int, KnownDevices] = {}
        self._sandbox = Sandbox()
        self._available = False
        self._complaint = ""
        self._closed = IntakeState.OPENING
        self._fault = False
        self._away_since: float | None = None
        self._held = 0
        self._held_bytes = 0
        self._holding = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="intake", daemon=True)

    # --- from any thread ---------------------------------------------------------------------------------

    @property
    def state(self) -> IntakeState:
        """For operators. A fault is told until a message has been stored again."""
        if not self._available:
            return self._closed
        return IntakeState.FAULT if self._fault else IntakeState.OPEN

    @property
    def held(self) -> int:
        """Messages in hand: being read, waiting for their transaction, or in it."""
        return self._held

    def start(self) -> None:
        """Starts taking; returns at once, whether or not there is a database yet."""
        self._thread.start()

    def close(self, *, timeout: float = 10.0) -> None:
        """Settles what is in hand, refuses what comes, and ends the thread."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(timeout)

    def source(self, name: str, secrets: Iterable[str]) -> Source | None:
        """The source of that name, if one of these is its secret. Raises NotTaken while nobody can say."""
        if not self._available:
            raise NotTaken("the database is out of reach")
        source = self._sources.get(name)
        known = [has_secret(source, secret) for secret in secrets]
        return source if any(known) else None

    def wait(self, source: Source) -> float:
        """Seconds until this source may bring its next message; 0.0: now, and that one is counted."""
        return self._rate.wait(source.source_id, source.per_minute)

    def room(self, size: int) -> Room:
        """Room for a message of so many bytes at most. Raises NotTaken where there is none."""
        with self._holding:
            if self._held >= self.config.hold_messages or self._held_bytes + size > self.config.hold_bytes:
                raise NotTaken("too many messages at once", soon=True)
            self._held += 1
            self._held_bytes += size
        return Room(self, size)

    def give_back(self, rooms: Collection[Room]) -> None:
        """What these held is free again; each once."""
        with self._holding:
            self._held -= len(rooms)
            self._held_bytes -= sum(room.size for room in rooms)

    def put(
        self, source: Source, room: Room, query: Mapping[str, str], headers: Mapping[str, str], raw: bytes
    ) -> Future[Settled[Posted]]:
        """The outcome of a message, once it is committed; the future may raise NotTaken, and so may this."""
        clock = self._clock
        if not self._available or clock is None or self._stop.is_set():
            raise NotTaken("the database is out of reach")
        room.taken_over = True
        topic = posted_topic(source.name, source.kind, query, headers)
        posted = Posted(topic, raw, clock.now(), source, room, Future())
        posted.answer.set_running_or_notify_cancel()  # who waits may go away; the message is on its way all the same
        self._batcher.put(posted)
        return posted.answer

    # --- the intake's thread -----------------------------------------------------------------------------

    def _run(self) -> None:
        due = 0.0
        try:
            while not self._stop.is_set():
                if time.monotonic() >= due:
                    self._look_round()
                    due = time.monotonic() + (SOURCES_SECONDS if self._away_since is None else _SHORT_PAUSE_SECONDS)
                self._take(timeout=0.25)
        finally:
            self._available = False
        while self._take(timeout=0.0):
            pass
        self._disconnect()
        self._sandbox.close()

    def _take(self, *, timeout: float) -> bool:
        """Settles what waits, or refuses it; whether there was anything."""
        batch = self._batcher.take(timeout=timeout)
        towns: dict[int, list[Posted]] = {}
        for posted in batch:
            towns.setdefault(posted.source.municipality_id, []).append(posted)
        for municipality_id, of_town in towns.items():
            unsettled = {id(posted): posted for posted in of_town}
            try:
                self._settle(municipality_id, of_town, unsettled)
            except psycopg.OperationalError as error:
                self._lost(error)
            except Exception as error:
                # A missing table or right is for an operator; the API lives on, and the senders keep their messages.
                log.exception("intake cannot store", error=str(error).strip())
                self._fault = True
                self._disconnect()
            for posted in unsettled.values():
                posted.answer.set_exception(NotTaken("the database is out of reach"))
        self.give_back([posted.room for posted in batch])
        return bool(batch)

    def _settle(self, municipality_id: int, batch: list[Posted], unsettled: dict[int, Posted]) -> None:
        """Answers every message of one municipality. psycopg.OperationalError when the database stays away."""
        until = time.monotonic() + self.config.patience
        settling: Settling[Posted] | None = None
        while True:
            try:
                conn = self._live()
                if settling is None:
                    settling = Settling(conn, self._town(conn, municipality_id), batch, self._possible)
                while not settling.over:
                    for settled in settling.step(conn):
                        self._answer(settled)
                        del unsettled[id(settled.message)]
                self._remember(conn, {posted.source.source_id: posted.received for posted in batch})
                return
            except psycopg.OperationalError as error:
                self._disconnect()
                if not self._available or time.monotonic() >= until:
                    raise
                log.warning("database lost, messages wait", error=str(error).strip(), messages=len(unsettled))
                self._stop.wait(_SHORT_PAUSE_SECONDS)

    def _answer(self, settled: Settled[Posted]) -> None:
        self._fault = False
        settled.message.answer.set_result(settled)

    def _remember(self, conn: Connection, latest: Mapping[int, datetime]) -> None:
        """When a source last brought something, about once a minute."""
        conn.execute(
            """
            update intake_source s set last_message_at = said.at
            from unnest(%s::integer[], %s::timestamptz[]) as said (id, at)
            where s.intake_source_id = said.id
              and (s.last_message_at is null or s.last_message_at < said.at - interval '1 minute')
            """,
            (list(latest), list(latest.values())),
        )
        conn.commit()

    def _look_round(self) -> None:
        """The sources and the clock as they are now; from then on messages can be taken. Closes the intake when the
        database has been away for longer than it may.
        """
        try:
            conn = self._live()
            if self._clock is None:
                self._clock = load_clock(conn)
            sources = load_sources(conn)
            conn.commit()
        except (psycopg.Error, ClockNotSet) as error:
            now = time.monotonic()
            self._away_since = self._away_since or now
            if not self._available or now - self._away_since >= self.config.patience:
                self._lost(error)
            self._disconnect()
            return
        self._away_since = None
        self._sources = MappingProxyType(sources)
        self._rate.keep({source.source_id for source in sources.values()})
        if not self._available:
            log.info("intake open", sources=len(sources))
        self._available = True
        self._complaint = ""

    def _town(self, conn: Connection, municipality_id: int) -> KnownDevices:
        known = self._towns.get(municipality_id)
        if known is None:
            known = self._towns[municipality_id] = KnownDevices(municipality_id, self._sandbox)
            known.listen(conn)
        known.refresh(conn, older_than=DIRECTORY_SECONDS)
        return known

    def _live(self) -> Connection:
        if self._conn is None:
            self._conn = connect(self.config.dsn, name="intake")
            for known in self._towns.values():
                known.listen(self._conn)
        return self._conn

    def _lost(self, error: Exception) -> None:
        complaint = str(error).strip()
        if complaint != self._complaint:
            log.warning("intake closed", error=complaint)
        self._complaint = complaint
        self._closed = _why(error)
        self._available = False
        self._disconnect()

    def _disconnect(self) -> None:
        if self._conn is not None:
            self._conn.close()
            self._conn = None


def _why(error: Exception) -> IntakeState:
    if isinstance(error, ClockNotSet):
        return IntakeState.CLOCK
    return IntakeState.DATABASE if isinstance(error, psycopg.OperationalError) else IntakeState.FAULT
