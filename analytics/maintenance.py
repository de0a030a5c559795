"""Housekeeping of the store, hourly on the town clock: partitions ahead of time, and a feed that does not grow.

On TimescaleDB the partitions are its own; the same call does nothing there.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import psycopg
import structlog

from devices.clock import Clock
from store import Connection

log = structlog.get_logger(__name__)

EVERY = timedelta(hours=1)
MONTHS_AHEAD = 2
# Open pages come back with the last feed id they saw: that much history they may still ask for.
KEPT_FEED_ROWS = 5000
# A consumer that has not begun yet has no cursor, and yet must find its rows.
CONSUMERS = ("alerts", "analytics")


class Maintenance:
    """Calls `keep_house` when an hour of town time has passed since it last did.

    A new partition needs the table for itself for a moment. Where a long query has it, everyone would queue up behind
    us; so we give up soon and come again at the next tick.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._due: datetime | None = None

    def tick(self, conn: Connection) -> None:
        """The body of a transaction."""
        now = self._clock.now()
        if self._due is not None and now < self._due:
            return
        try:
            with conn.transaction():
                conn.execute("set local lock_timeout = '2s'")
                keep_house(conn, now)
        except psycopg.errors.LockNotAvailable:
            log.warning("maintenance_postponed", because="a long query holds the observations")
        else:
            self._due = now + EVERY


def keep_house(conn: Connection, now: datetime) -> None:
    """Makes the partitions of this and the next months and drops feed rows that everyone has read."""
    conn.execute(
        """
        delete from feed
        where feed_id <= least((select min(feed_id) from feed_cursor), (select max(feed_id) from feed) - %s)
          and (select count(*) from feed_cursor where consumer = any(%s)) = cardinality(%s::text[])
        """,
        (KEPT_FEED_ROWS, list(CONSUMERS), list(CONSUMERS)),
    )
    # Last, for it may lock the observations until the commit.
    for month in months(now, MONTHS_AHEAD):
        conn.execute("select observation_partition(%s)", (month,))


def months(now: datetime, ahead: int) -> list[datetime]:
    """The first moments of this UTC month and the next `ahead`.

    >>> [f"{each:%Y-%m}" for each in months(datetime(2026, 11, 30, tzinfo=UTC), 2)]
    ['2026-11', '2026-12', '2027-01']
    """
    first = now.astimezone(UTC)
    count = first.year * 12 + first.month - 1
    return [datetime(n // 12, n % 12 + 1, 1, tzinfo=UTC) for n in range(count, count + ahead + 1)]
