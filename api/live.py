"""What just changed, to every open page: one listening connection a process, handed on by municipality.

A thread waits for NOTIFY "feed", reads the new feed rows, turns them into events and hands them to the event loop;
there each subscriber has a bounded queue. Ids are feed ids, and feed ids become visible in the order of commit, so
whoever has seen id n continues after n and misses nothing, on any process, after any break:

- `begun` and `subscribe` first, then `replay` what came after the last seen id, then take from the queue what is newer;
- a lost database connection is made again and reading goes on after the last id;
- a subscriber whose queue is full is dropped: its browser comes back with its last id;
- where the feed no longer holds what is missing, or never held it (another database), the answer is `reset`.

Under load rows are taken together: one event carries the latest observation of each touched datastream.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any, Final

import msgspec
import psycopg
import structlog

from api.database import enter_municipality
from api.instruments import Instruments
from api.readings import changed_alerts, latest_in_trial, latest_of
from store.connection import Connection, connect
from store.feed import LOOK_SECONDS, FeedRow, newest_id, notified, read_after

log = structlog.get_logger(__name__)

QUEUE_LENGTH: Final = 100
REPLAY_ROWS: Final = 2000  # reloading the page is cheaper than replaying more
_BATCH = 500
# Pages cannot use more than some updates a second; taking rows together is what keeps a burst small.
_REST_SECONDS = 0.1
_BACKOFF_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0)


@dataclass(frozen=True, slots=True)
class Event:
    """One event of the stream; `data` is JSON. Whoever has it has everything up to `feed_id`."""

    feed_id: int
    kind: str
    data: str


class Subscriber:
    """One open stream. Lives in the event loop; `dropped` is set when it fell behind."""

    def __init__(self, municipality_id: int) -> None:
        self.municipality_id = municipality_id
        self.dropped = False
        self._events: asyncio.Queue[Event | None] = asyncio.Queue(QUEUE_LENGTH + 1)

    async def next(self) -> Event | None:
        """The next event; None when the stream is to end."""
        return await self._events.get()

    def offer(self, event: Event) -> bool:
        """Queues an event; False when there is no room."""
        if self._events.qsize() >= QUEUE_LENGTH:
            return False
        self._events.put_nowait(event)
        return True

    @property
    def caught_up(self) -> bool:
        return self._events.empty()

    def end(self) -> None:
        """Throws away what waits and ends the stream."""
        while not self._events.empty():
            self._events.get_nowait()
        self._events.put_nowait(None)


class Hub:
    """The listener and its subscribers. `start` in the event loop, `close` from anywhere."""

    def __init__(self, dsn: str, instruments: Instruments) -> None:
        self._dsn = dsn
        self._instruments = instruments
        self._subscribers: set[Subscriber] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._begun = asyncio.Event()
        # The newest id handed to the subscribers; 0 before the first connection.
        self.position = 0
        self.connected = False

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._listen, name="mimamori-feed", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends every stream and the listener; in the event loop, idempotent."""
        self._stop.set()
        for subscriber in list(self._subscribers):
            subscriber.end()

    def join(self) -> None:
        """Waits for the listening thread; not in the event loop."""
        if self._thread is not None:
            self._thread.join(timeout=3.0)

    async def begun(self, within: float) -> bool:
        """Whether everything that is committed from now on will be handed on, waiting so many seconds at most. False
        before the first connection: what it finds in the feed it takes for known.
        """
        with suppress(TimeoutError):
            await asyncio.wait_for(self._begun.wait(), within)
        return self._begun.is_set()

    @property
    def clients(self) -> int:
        return len(self._subscribers)

    def subscribe(self, municipality_id: int) -> Subscriber:
        subscriber = Subscriber(municipality_id)
        self._subscribers.add(subscriber)
        self._instruments.stream_clients.set(len(self._subscribers))
        if self._stop.is_set():
            subscriber.end()
        return subscriber

    def unsubscribe(self, subscriber: Subscriber) -> None:
        self._subscribers.discard(subscriber)
        self._instruments.stream_clients.set(len(self._subscribers))

    # --- in the listening thread ------------------------------------------------------------------------

    def _listen(self) -> None:
        failures = 0
        position: int | None = None
        while not self._stop.is_set():
            try:
                with connect(self._dsn, name="api feed", autocommit=True) as conn:
                    conn.execute("listen feed")
                    if position is None:
                        position = newest_id(conn)
                        self._in_loop(self._begin, position)
                    elif not holds_after(conn, position):
                        position = newest_id(conn)
                        self._hand_over(position, {}, reset=True)
                    failures, self.connected = 0, True
                    while not self._stop.is_set():
                        position = self._forward(conn, position)
            except psycopg.OperationalError as error:
                delay = _BACKOFF_SECONDS[min(failures, len(_BACKOFF_SECONDS) - 1)]
                failures += 1
                log.warning("feed_listener_lost", error=str(error), retry_in_seconds=delay)
                self._stop.wait(delay)
            finally:
                self.connected = False

    def _forward(self, conn: Connection, position: int) -> int:
        """Hands on what is new after `position`, or waits for it; the new position."""
        rows = read_after(conn, position, _BATCH)
        if not rows:
            # A NOTIFY may have come between the two; then this returns at once and the next read finds the row.
            notified(conn, self._stop, until=time.monotonic() + LOOK_SECONDS)
            return position
        events: dict[int, list[Event]] = {}
        for municipality_id in {row.municipality_id for row in rows}:
            own = [row for row in rows if row.municipality_id == municipality_id]
            events[municipality_id] = events_of(conn, municipality_id, own)
        self._hand_over(rows[-1].feed_id, events)
        self._stop.wait(_REST_SECONDS)
        return rows[-1].feed_id

    def _hand_over(self, position: int, events: dict[int, list[Event]], *, reset: bool = False) -> None:
        self._in_loop(self._deliver, position, events, reset)

    def _in_loop(self, call: Callable[..., None], *arguments: object) -> None:
        assert self._loop is not None
        with suppress(RuntimeError):  # the loop has ended since: so have its subscribers
            self._loop.call_soon_threadsafe(call, *arguments)

    # --- in the event loop ------------------------------------------------------------------------------

    def _begin(self, position: int) -> None:
        self.position = position
        self._begun.set()

    def _deliver(self, position: int, events: dict[int, list[Event]], reset: bool) -> None:
        self.position = position
        for subscriber in list(self._subscribers):
            own = [reset_event(position)] if reset else events.get(subscriber.municipality_id, [])
            if not all(subscriber.offer(event) for event in own):
                subscriber.dropped = True
                subscriber.end()
                self.unsubscribe(subscriber)
                self._instruments.stream_dropped.inc()


def replay(conn: Connection, municipality_id: int, last_id: int | None) -> tuple[int, list[Event]]:
    """What a page that has seen `last_id` has missed, and the id up to which it is then complete.

    `last_id` None: a page that knows nothing yet, nothing to replay. In one transaction of the municipality.
    """
    newest = newest_id(conn)
    if last_id is None:
        return newest, []
    if not holds_after(conn, last_id):
        return newest, [reset_event(newest)]
    rows = read_after(conn, last_id, REPLAY_ROWS + 1)
    if len(rows) > REPLAY_ROWS:
        return newest, [reset_event(newest)]
    position = rows[-1].feed_id if rows else last_id
    return position, events_of(conn, municipality_id, [row for row in rows if row.municipality_id == municipality_id])


def holds_after(conn: Connection, last_id: int) -> bool:
    """Whether the feed still holds every row after this id, and the id is not from another database's future."""
    row = conn.execute(
        """
        select (select min(feed_id) from feed), (select max(feed_id) from feed),
               (select max(feed_id) from feed_cursor)
        """
    ).fetchone()
    assert row is not None
    oldest, newest, cursor = row
    if oldest is None:  # pruned to nothing, or never used: all there was is below the cursors
        return bool(last_id == (cursor or 0))
    return bool(oldest <= last_id + 1 and last_id <= newest)


def reset_event(position: int) -> Event:
    """Tells the page to load itself anew: what it missed can no longer be told one by one."""
    return Event(position, "reset", "{}")


def events_of(conn: Connection, municipality_id: int, rows: Sequence[FeedRow]) -> list[Event]:
    """Events of one municipality's rows, in their order; neighbours of one kind become one event."""
    events = []
    with conn.transaction():
        enter_municipality(conn, municipality_id)
        for kind, run in groupby(rows, key=lambda row: row.kind):
            batch = list(run)
            if kind == "headquarters":  # what was written is for the page to fetch: people's words go to readers only
                events.append(Event(batch[-1].feed_id, kind, "{}"))
                continue
            if kind == "observations":
                # In one event, for a place in the feed is told once; under a name that nobody takes for what is real.
                found = {kind: _observations(conn, batch), "trial": _observations(conn, batch, trial=True)}
            else:
                found = {kind: _alerts(conn, batch)}
            if any(found.values()):
                told = {name: items for name, items in found.items() if items or name == kind}
                events.append(Event(batch[-1].feed_id, kind, msgspec.json.encode(told).decode()))
    return events


def _observations(conn: Connection, rows: Iterable[FeedRow], *, trial: bool = False) -> list[dict[str, Any]]:
    """What is real; or what came of stations in trial, marked."""
    spans: dict[int, tuple[datetime, datetime]] = {}
    for touched in (touched for row in rows for touched in row.touched):
        start, end = spans.get(touched.datastream_id, (touched.start, touched.end))
        spans[touched.datastream_id] = min(start, touched.start), max(end, touched.end)
    return [
        {
            "datastream": latest.datastream,
            "mode": "test" if trial else "actual",
            "station": latest.station,
            "observed_property": latest.observed_property,
            "unit": latest.unit,
            "value": latest.value,
            "quality": latest.quality,
            "reason": latest.reason,
            "phenomenon_time": latest.phenomenon_time,
            "from": spans[latest.datastream_id][0],
            "to": spans[latest.datastream_id][1],
        }
        for latest in (latest_in_trial(conn, datastream_ids=list(spans)) if trial else latest_of(conn, list(spans)))
    ]


def _alerts(conn: Connection, rows: Iterable[FeedRow]) -> list[dict[str, Any]]:
    return changed_alerts(conn, sorted({alert_id for row in rows for alert_id in row.alert_ids}))
