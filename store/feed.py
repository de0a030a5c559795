"""The change feed: how the rest of the town learns that something was committed.

A writer's last statement is `feed_append`; ids therefore become visible in the order of commit, and a consumer that
has read up to n will never find a smaller id later. A consumer keeps its cursor in the database and moves it in the
transaction that holds its result, so that a kill between the two is impossible. NOTIFY only wakes.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import psycopg
import structlog

from store.arrays import array
from store.connection import Connection, connect

log = structlog.get_logger(__name__)

Handler = Callable[[Connection, list["FeedRow"]], None]
Tick = Callable[[Connection], None]

_BATCH = 500
# A NOTIFY wakes a waiting consumer at once. Without one it looks into the feed this often all the same: once in a while
# is enough, as a look costs the database a transaction, and a town at rest is mostly waiting.
LOOK_SECONDS = 5.0
# After a step a consumer rests for REST times as long as that took. At rest a step takes milliseconds. In a backlog
# every batch touches every series, and to look at each once for many batches costs little more than for one.
REST = 3.0
_DEAF_SECONDS = 0.5  # how long a waiting consumer may be deaf to `stop`
_BACKOFF_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0)


@dataclass(frozen=True, slots=True)
class Touched:
    """A datastream and the first and last phenomenon time (both inclusive) that a batch changed in it."""

    datastream_id: int
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class FeedRow:
    """One committed batch. `kind` is observations, alerts, findings or headquarters (of which only the pages hear)."""

    feed_id: int
    municipality_id: int
    kind: str
    touched: tuple[Touched, ...]
    alert_ids: tuple[int, ...]
    finding_ids: tuple[int, ...] = ()


def append_observations(conn: Connection, municipality_id: int, keys: Sequence[tuple[int, datetime]]) -> int:
    """Announces changed (datastream_id, phenomenon_time) pairs; must be the transaction's last statement."""
    ids: list[int] = []
    starts: list[datetime] = []
    ends: list[datetime] = []
    for datastream_id, at in sorted(keys):
        if not ids or ids[-1] != datastream_id:
            ids.append(datastream_id)
            starts.append(at)
            ends.append(at)
        else:
            ends[-1] = at
    return _append(conn, municipality_id, "observations", ids, starts, ends, [])


def append_alerts(conn: Connection, municipality_id: int, alert_ids: Sequence[int]) -> int:
    """Announces changed alerts; must be the transaction's last statement."""
    return _append(conn, municipality_id, "alerts", [], [], [], list(alert_ids))


def append_findings(conn: Connection, municipality_id: int, finding_ids: Sequence[int]) -> int:
    """Announces new, changed or ended findings; must be the transaction's last statement."""
    row = conn.execute("select feed_append_findings(%s, %s::bigint[])", (municipality_id, list(finding_ids))).fetchone()
    assert row is not None
    return int(row[0])


def append_headquarters(conn: Connection, municipality_id: int) -> int:
    """Announces that the headquarters wrote something down; must be the transaction's last statement."""
    return _append(conn, municipality_id, "headquarters", [], [], [], [])


def _append(conn: Connection, municipality_id: int, kind: str, *arrays: Sequence[object]) -> int:
    row = conn.execute(
        "select feed_append(%s, %s, %s::integer[], %s::timestamptz[], %s::timestamptz[], %s::bigint[])",
        (municipality_id, kind, *map(array, arrays)),
    ).fetchone()
    assert row is not None
    return int(row[0])


def read_after(conn: Connection, feed_id: int, limit: int = _BATCH) -> list[FeedRow]:
    """The next rows after an id, oldest first."""
    return [
        FeedRow(row[0], row[1], row[2], tuple(map(Touched, row[3], row[4], row[5])), tuple(row[6]), tuple(row[7]))
        for row in conn.execute(
            "select feed_id, municipality_id, kind, datastream_ids, from_times, to_times, alert_ids, finding_ids "
            "from feed where feed_id > %s order by feed_id limit %s",
            (feed_id, limit),
        )
    ]


def newest_id(conn: Connection) -> int:
    """The id of the newest row, 0 where there is none."""
    row = conn.execute("select coalesce(max(feed_id), 0) from feed").fetchone()
    assert row is not None
    return int(row[0])


def touched_between(conn: Connection, after: int, before: int) -> set[int]:
    """The datastreams of which anybody announced observations between two ids, both exclusive."""
    touched: set[int] = set()
    for (ids,) in conn.execute(
        "select datastream_ids from feed where feed_id > %s and feed_id < %s and kind = 'observations'", (after, before)
    ):
        touched.update(ids)
    return touched


class Consumer:
    """Reads the feed under a name, exactly once each row, across restarts and beside other processes of that name.

    After a long step it rests `rest` times as long, for `longest_rest` seconds at most (see REST).
    """

    def __init__(self, dsn: str, name: str, *, rest: float = REST, longest_rest: float = 1.0) -> None:
        self.dsn = dsn
        self.name = name
        self.rest = rest
        self.longest_rest = longest_rest

    def run(
        self, handle: Handler, *, stop: threading.Event, tick: Tick | None = None, tick_seconds: float = 1.0
    ) -> None:
        """Hands every row to `handle` until `stop` is set; reconnects for as long as that takes.

        `handle` and `tick` run in transactions of their own, which this commits; with `handle`'s goes the cursor.
        `tick` runs about every `tick_seconds`, also while the feed is busy.
        """
        failures = 0
        while not stop.is_set():
            try:
                with connect(self.dsn, name=self.name) as conn:
                    failures = self._serve(conn, handle, stop, tick, tick_seconds)
            except psycopg.OperationalError as error:
                delay = _BACKOFF_SECONDS[min(failures, len(_BACKOFF_SECONDS) - 1)]
                failures += 1
                log.warning("database_lost", consumer=self.name, error=str(error), retry_in_seconds=delay)
                stop.wait(delay)

    def drain(self, conn: Connection, handle: Handler) -> int:
        """Processes everything there is, commits, and returns how many rows that were."""
        total = 0
        while n := self._step(conn, handle):
            total += n
        return total

    def _serve(
        self, conn: Connection, handle: Handler, stop: threading.Event, tick: Tick | None, tick_seconds: float
    ) -> int:
        conn.execute("listen feed")
        conn.commit()
        next_tick = time.monotonic() if tick is not None else math.inf
        next_look = time.monotonic()
        while not stop.is_set():
            if tick is not None and time.monotonic() >= next_tick:
                with conn.transaction():
                    tick(conn)
                next_tick = time.monotonic() + tick_seconds
            if time.monotonic() >= next_look:
                began = time.monotonic()
                if self._step(conn, handle):
                    stop.wait(min(self.rest * (time.monotonic() - began), self.longest_rest))
                    continue
                next_look = time.monotonic() + LOOK_SECONDS
            if notified(conn, stop, until=min(next_look, next_tick)):
                next_look = time.monotonic()
        return 0

    def _step(self, conn: Connection, handle: Handler) -> int:
        with conn.transaction():
            # The lock on the cursor's row makes processes of one name take turns.
            conn.execute(
                "insert into feed_cursor (consumer, feed_id) values (%s, 0) on conflict do nothing",
                (self.name,),
            )
            cursor = conn.execute(
                "select feed_id from feed_cursor where consumer = %s for update", (self.name,)
            ).fetchone()
            assert cursor is not None
            rows = read_after(conn, cursor[0])
            if not rows:
                return 0
            # The cursor first: what `handle` appends to the feed has to be the transaction's last statement.
            conn.execute("update feed_cursor set feed_id = %s where consumer = %s", (rows[-1].feed_id, self.name))
            handle(conn, rows)
            return len(rows)


def notified(conn: Connection, stop: threading.Event, *, until: float) -> bool:
    """Waits for a NOTIFY on an idle connection that listens, until `stop` or a monotonic time; whether one came.

    One that came since the last waiting counts, so that nothing is overheard between a look and the waiting.
    """
    before = conn.autocommit
    conn.autocommit = True
    try:
        while not stop.is_set() and (left := until - time.monotonic()) > 0:
            if list(conn.notifies(timeout=min(left, _DEAF_SECONDS), stop_after=1)):
                return True
        return False
    finally:
        conn.autocommit = before
