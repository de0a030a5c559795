"""Housekeeping of the store, hourly on the town clock: partitions ahead of time, a feed that does not grow, old
chunks compressed, and messages and values let go that need not be kept any longer.

On TimescaleDB the partitions are its own; the same call does nothing there. Compressing is ours on purpose, not a
policy of TimescaleDB's: that would run on the server's clock, which is not the town's.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

import psycopg
import structlog

from analytics import device_days, old_values
from analytics.leaks.meters import stored as meters
from analytics.rivers.link_job import next_link
from analytics.visitors.checks import settling
from devices.clock import Clock
from store import Connection, chunks
from store.field_photos import STEP, forget_old
from store.retention import Retention, prune

log = structlog.get_logger(__name__)

EVERY = timedelta(hours=1)
MONTHS_AHEAD = 2
# Late values come within days; a chunk that ended so long ago is rarely written into.
COMPRESSED_AFTER = timedelta(days=30)
# Open pages come back with the last feed id they saw: that much history they may still ask for.
KEPT_FEED_ROWS = 5000
# A consumer that has not begun yet has no cursor, and yet must find its rows.
CONSUMERS = ("alerts", "analytics")


class Maintenance:
    """Calls `keep_house` when an hour of town time has passed since it last did. Then lets go of the messages that are
    older than `retention`, works out the days of the devices (`analytics.device_days`), learns how long the water takes
    between gauges (`analytics.rivers.link_job`), compresses chunks, and lets go of the values older than `keep` (years
    by observed property): a small step each tick, until there is nothing to do.

    A new partition needs the table for itself for a moment. Where a long query has it, everyone would queue up behind
    us; so we give up soon and come again at the next tick.
    """

    def __init__(
        self, clock: Clock, retention: Retention | None = None, keep: Mapping[str, int] = MappingProxyType({})
    ) -> None:
        self._clock = clock
        self._retention = retention or Retention()
        self._keep = keep
        self._due: datetime | None = None
        self._pruning = False
        self._counting = False
        self._learning = False
        self._untidy = False

    def tick(self, conn: Connection) -> None:
        """The body of a transaction."""
        now = self._clock.now()
        if self._pruning:
            self._pruning = let_go(conn, self._retention, now)
        elif self._counting:
            self._counting = device_days.next_day(conn, now)
        elif self._learning:
            self._learning = next_link(conn, now)
        due = self._due is None or now >= self._due
        if not due and not self._untidy:
            return
        try:
            with conn.transaction():
                conn.execute("set local lock_timeout = '2s'")
                if due:
                    keep_house(conn, now)
                else:
                    self._untidy = tidy_up(conn, now, self._keep)
        except psycopg.errors.LockNotAvailable:
            log.warning("maintenance_postponed", because="a long query holds the observations")
            self._untidy = False
        else:
            if due:
                self._due = now + EVERY
                self._pruning = self._counting = self._learning = self._untidy = True


def let_go(conn: Connection, retention: Retention, now: datetime) -> bool:
    """One small step for every municipality, photos from the field and readings of customers' meters too; whether there
    may be more to do.
    """
    towns = conn.execute("select municipality_id from municipality order by 1").fetchall()
    unfinished = [
        town
        for (town,) in towns
        if prune(conn, town, retention, now)
        | (forget_old(conn, town, now) == STEP)
        | (meters.forget_old(conn, town, now) == meters.STEP)
    ]
    return bool(unfinished)


def keep_house(conn: Connection, now: datetime) -> None:
    """Makes the partitions of this and the next months, drops feed rows that everyone has read, and sends back days
    whose numbers have changed since somebody looked at them.
    """
    conn.execute(
        """
        delete from feed
        where feed_id <= least((select min(feed_id) from feed_cursor), (select max(feed_id) from feed) - %s)
          and (select count(*) from feed_cursor where consumer = any(%s)) = cardinality(%s::text[])
        """,
        (KEPT_FEED_ROWS, list(CONSUMERS), list(CONSUMERS)),
    )
    device_days.forget(conn, now)
    settling.settle(conn, now)
    # Last, for it may lock the observations until the commit.
    for month in months(now, MONTHS_AHEAD):
        conn.execute("select observation_partition(%s)", (month,))


def tidy_up(conn: Connection, now: datetime, keep: Mapping[str, int]) -> bool:
    """Compresses one chunk, or else takes out a part of what is too old; whether there may be more."""
    chunk = chunks.compress(conn, now - COMPRESSED_AFTER)
    if chunk is not None:
        log.info("chunk_compressed", chunk=chunk)
        return True
    return old_values.forget(conn, now, keep, CONSUMERS[1])


def months(now: datetime, ahead: int) -> list[datetime]:
    """The first moments of this UTC month and the next `ahead`.

    >>> [f"{each:%Y-%m}" for each in months(datetime(2026, 11, 30, tzinfo=UTC), 2)]
    ['2026-11', '2026-12', '2027-01']
    """
    first = now.astimezone(UTC)
    count = first.year * 12 + first.month - 1
    return [datetime(n // 12, n % 12 + 1, 1, tzinfo=UTC) for n in range(count, count + ahead + 1)]
