"""The process that reads the weather agency's telegrams for one town.

Contract
- A telegram and what it says is one transaction; the same telegram is kept once, from wherever it comes. What cannot be
  read is kept too, with the reason.
- `looked_at` in jma_feed means that we know what there is: the feed answered and all that it names was fetched, or the
  folder's receiver has given a sign of life: a new telegram, or its file `alive` written again. A folder that nobody
  writes into proves nothing. Where either fails the fault stands there, and pages say that nothing is known.
- The feed is asked once a minute with what it answered last; extra_l.xml only to close a gap. What a gap longer than
  that leaves open is noted: what was issued before its end may have changed unseen.
- A town on a simulated clock takes none but 訓練 and 試験, and asks no feed; a real one nothing that says 【模擬】.
- One process a municipality; others wait for its end (a lock that goes with its connection).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from datetime import datetime, timedelta
from urllib.parse import urljoin

import psycopg
import structlog

from devices.clock import Clock
from ingest.errors import ConfigError
from ingest.folders import FoldersConfig, keep
from ingest.folders.look import Signature, Watched, read_whole, signature_of
from ingest.jma import feed
from ingest.jma.config import JmaConfig
from ingest.jma.feed import Entry, FeedFault
from ingest.jma.telegram import MOST_BYTES, Area, RefusedTelegram, of_town, read
from store import jma, jma_feed
from store.connection import Connection, connect
from store.feed import append_headquarters
from store.registry import municipality_id_of
from store.town_clock import load_clock

ALIVE = "alive"
SIMULATED = "【模擬】"
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.2, 10.0
# A feed that has not changed for so long has stopped, whatever its server answers: somewhere is always something.
FROZEN = timedelta(hours=6)
_NOTE_SECONDS = 10.0
_TIDY_SECONDS = 3600.0

log = structlog.get_logger(__name__)


def run(config: JmaConfig, stop: threading.Event) -> None:
    """Reads until `stop` is set.

    Raises ConfigError when the municipality is not in the database or a simulated town is to read a feed,
    store.errors.ClockNotSet when it has no town clock, and psycopg.Error for what reconnecting cannot cure.
    """
    pause = FIRST_PAUSE_SECONDS
    while not stop.is_set():
        try:
            with connect(config.dsn, name="jma") as conn:
                pause = FIRST_PAUSE_SECONDS
                _read_until(stop, config, conn)
        except psycopg.OperationalError as error:
            log.warning("database out of reach", error=str(error).strip(), again_in=pause)
            stop.wait(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)


def _read_until(stop: threading.Event, config: JmaConfig, conn: Connection) -> None:
    worker = Worker(config, conn, stop)
    while not jma_feed.alone(conn, worker.town):
        conn.commit()
        if stop.wait(config.poll_seconds):
            return
    worker.begin()
    log.info("reading telegrams", source=config.feed or str(config.folder))
    due = tidy = time.monotonic()
    while not stop.is_set():
        now = time.monotonic()
        if config.folder is not None:
            worker.look_into_folder()
        elif now >= due:
            worker.ask_feed()
            due = now + config.feed_seconds
        if now >= tidy:
            worker.tidy()
            tidy = now + _TIDY_SECONDS
        stop.wait(config.poll_seconds)


class Stopped(Exception):
    """The process is to end; what is not fetched yet comes after its next start."""


class Worker:
    """A look at a time. Raises ConfigError at its making."""

    def __init__(self, config: JmaConfig, conn: Connection, stop: threading.Event, clock: Clock | None = None) -> None:
        town = municipality_id_of(conn, config.municipality)
        if town is None:
            raise ConfigError(f"municipality {config.municipality} is not in the database: load its town file first")
        self.town = town
        self._config, self._conn, self._stop = config, conn, stop
        self._clock = clock or load_clock(conn)
        if self._clock.simulated and config.feed is not None:
            raise ConfigError("this town runs on a simulated clock: real telegrams must not be shown in it")
        self._area = Area(config.municipality, frozenset(config.areas))
        self._spent = 0
        self._alive: Signature | None = None
        self._noted = -_NOTE_SECONDS
        self._watched: Watched | None = None
        if config.folder is not None:
            self._watched = Watched(
                FoldersConfig(
                    config.dsn,
                    config.municipality,
                    config.folder,
                    settle_seconds=config.settle_seconds,
                    max_bytes=MOST_BYTES,
                )
            )
            self._alive = signature_of(config.folder / ALIVE)
        conn.commit()

    def begin(self) -> None:
        """This process is the one that reads."""
        source = "feed" if self._config.feed is not None else "folder"
        place = self._config.feed or str(self._config.folder)
        jma_feed.begin(self._conn, self.town, source, place, self._clock.now())
        append_headquarters(self._conn, self.town)
        self._conn.commit()

    def tidy(self) -> None:
        """Lets go of what need not be kept."""
        jma_feed.let_go(self._conn, self.town, self._clock.now())
        self._conn.commit()

    # --- the feed ----------------------------------------------------------------------------------------------

    def ask_feed(self) -> int:
        """One look at the feed; how many new telegrams concern the town."""
        now = self._clock.now()
        known = jma_feed.known(self._conn, self.town, now.date())
        jma_feed.tried(self._conn, self.town, now)
        self._conn.commit()
        self._spent = known.bytes_today
        gap = known.looked_at is None or now - known.looked_at > jma_feed.STALE_AFTER
        try:
            # Across a gap the answer "nothing new" would be one about another state than ours.
            answer = self._ask(feed.NEWEST, *(() if gap else (known.etag, known.modified)))
            found, updated = self._entries(answer.data)
            gap_until = None
            if gap:
                long, _ = self._entries(self._ask(feed.LONG).data)
                first = min((each.updated for each in (*long, *found)), default=now)
                gap_until = first if known.looked_at is None or known.looked_at < first else None
                found = [*long, *found]
            new, lost = self._take(found)
            if lost is not None:
                gap_until = max(filter(None, (gap_until, lost)))
            updated = updated or known.feed_updated_at
            if updated is not None and now - updated > FROZEN:
                raise FeedFault("frozen", updated.isoformat())
        except Stopped:
            return 0
        except FeedFault as fault:
            log.warning("the feed says nothing", fault=fault.code, said=fault.said)
            jma_feed.failed(self._conn, self.town, self._clock.now(), fault.code, fault.said)
            self._conn.commit()
            return 0
        jma_feed.looked(
            self._conn,
            self.town,
            self._clock.now(),
            etag=answer.etag,
            modified=answer.modified,
            updated_at=updated,
            gap_until=gap_until,
        )
        if gap:
            append_headquarters(self._conn, self.town)
        self._conn.commit()
        return new

    def _ask(self, name: str, etag: str | None = None, modified: str | None = None) -> feed.Answer:
        if self._spent >= self._config.most_bytes:
            raise FeedFault("limit", f"{self._spent} bytes")
        assert self._config.feed is not None
        base = self._config.feed if self._config.feed.endswith("/") else f"{self._config.feed}/"
        answer = feed.ask(urljoin(base, name), self._config.timeout_seconds, etag, modified)
        self._spent += answer.size
        jma_feed.fetched(self._conn, self.town, self._clock.now().date(), answer.size)
        self._conn.commit()
        return answer

    def _entries(self, data: bytes | None) -> tuple[list[Entry], datetime | None]:
        assert self._config.feed is not None
        return ([], None) if data is None else feed.entries(data, self._config.feed)

    def _take(self, found: Iterable[Entry]) -> tuple[int, datetime | None]:
        """Fetches what is wanted and new: how many telegrams concern the town, and when the newest of those was made
        that the feed names and that cannot be had any more. Raises FeedFault where something is to be asked for again:
        one that does not come holds up no other.
        """
        prefecture = self._config.municipality[:2]
        entries = {each.url: each for each in found if feed.wanted(each, prefecture)}
        seen = jma_feed.seen(self._conn, self.town, list(entries))
        self._conn.commit()
        todo = [each for url, each in entries.items() if url not in seen]
        # The newest first, the prefecture's own before all others: at a first start there may be hundreds.
        todo.sort(key=lambda each: (feed.own_office(each, prefecture), each.updated), reverse=True)
        new, lost, fault = 0, None, None
        for each in todo:
            if self._stop.is_set():
                raise Stopped
            assert self._config.feed is not None
            if not feed.allowed(each.url, self._config.feed):
                self._refuse(each.url, b"", "host", "")
            else:
                try:
                    data = self._ask(each.url).data
                except FeedFault as error:
                    if error.code == "limit":
                        raise
                    if error.code not in ("gone", "large"):
                        fault = fault or error
                        continue
                    lost = max(filter(None, (lost, each.updated)))
                    self._refuse(each.url, b"", error.code, error.said)
                else:
                    new += self._keep(data or b"", each.url) or 0
            jma_feed.mark_seen(self._conn, self.town, each.url, self._clock.now())
            self._conn.commit()
        if fault is not None:
            raise fault
        return new, lost

    # --- the folder ---------------------------------------------------------------------------------------------

    def look_into_folder(self) -> int:
        """One look into the folder; how many new telegrams concern the town."""
        folder, watched = self._config.folder, self._watched
        assert folder is not None and watched is not None
        now, new = self._clock.now(), 0
        try:
            ready = watched.look(folder, time.monotonic()).ready
        except OSError as error:
            self._note(now, "gone", error.strerror or type(error).__name__)
            return 0
        written = signature_of(folder / ALIVE)
        alive, self._alive = written is not None and written != self._alive, written
        for found in ready:
            if found.name.lower().endswith(".xml"):
                new += self._file(found.name)
                alive = True
            watched.settled(found)
        if alive:
            self._sign_of_life(now)
        else:
            self._note(now, None, "")
        return new

    def _file(self, name: str) -> int:
        assert self._config.folder is not None
        try:
            taken = read_whole(self._config.folder / name, MOST_BYTES)
        except OSError as error:
            log.warning("telegram cannot be read yet", file=name, error=str(error))
            return 0
        if taken is None:
            return 0
        kept = self._keep(taken[0], name)
        self._conn.commit()
        try:
            keep.move(self._config.folder, name, failed=kept is None)
        except keep.CannotMove as error:
            log.warning("telegram stays where it is", file=name, error=str(error))
        return kept or 0

    def _sign_of_life(self, now: datetime) -> None:
        known = jma_feed.known(self._conn, self.town, now.date())
        silent = known.looked_at is not None and now - known.looked_at > jma_feed.patience(self._clock.speed)
        jma_feed.looked(self._conn, self.town, now, gap_until=now if silent else None)
        if silent or known.looked_at is None:
            append_headquarters(self._conn, self.town)
        self._conn.commit()

    def _note(self, now: datetime, code: str | None, said: str) -> None:
        """That we live and the folder says nothing, now and then."""
        if time.monotonic() - self._noted < _NOTE_SECONDS:
            return
        self._noted = time.monotonic()
        known = jma_feed.known(self._conn, self.town, now.date())
        silent = known.looked_at is None or now - known.looked_at > jma_feed.patience(self._clock.speed)
        if code is not None or silent:
            jma_feed.failed(self._conn, self.town, now, code or "silent", said)
        else:
            jma_feed.tried(self._conn, self.town, now)
        self._conn.commit()

    # --- one telegram -------------------------------------------------------------------------------------------

    def _keep(self, data: bytes, place: str) -> int | None:
        """Keeps a telegram: 1 where it is new and concerns the town, 0 where not; None: it cannot be read. The caller
        commits.
        """
        try:
            found = of_town(read(data, place), self._area)
            if found is not None:
                self._refuse_of_another_world(found)
        except RefusedTelegram as error:
            self._refuse(place, data[:MOST_BYTES], error.code, error.said)
            return None
        if found is None or jma.keep(self._conn, self.town, found, self._clock.now()) is None:
            return 0
        log.info("telegram", title=found.head_title, kind=found.kind, status=found.status, type=found.info_type)
        append_headquarters(self._conn, self.town)  # open pages show it
        return 1

    def _refuse_of_another_world(self, found: jma.Telegram) -> None:
        if self._clock.simulated and found.status == jma.ACTUAL:
            raise RefusedTelegram("real", found.head_title)
        if not self._clock.simulated and SIMULATED in found.raw:
            raise RefusedTelegram("simulated", found.head_title)

    def _refuse(self, place: str, data: bytes, code: str, said: str) -> None:
        log.warning("not a telegram", place=place, why=code, said=said)
        raw = data or place.encode()
        jma_feed.refuse(self._conn, self.town, place, raw, code, said, self._clock.now())
