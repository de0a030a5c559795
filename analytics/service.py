"""The analytics process: a feed consumer that keeps rollups and findings equal to the observations."""

from __future__ import annotations

import threading

from analytics import duty_reports, findings, old_values, rollups
from analytics.config import AnalyticsConfig
from analytics.leaks import nights
from analytics.leaks import watch as leaks
from analytics.maintenance import Maintenance
from analytics.visitors import watch
from store import Connection, connect
from store.feed import Consumer, FeedRow
from store.town_clock import load_clock

NAME = "analytics"  # of the feed cursor


def handle(conn: Connection, rows: list[FeedRow]) -> None:
    """Recomputes what the rows touched; the body of a feed consumer's transaction."""
    touched = old_values.kept(conn, [each for row in rows for each in row.touched])
    if not touched:
        return
    changes: findings.Changes = []
    rollups.recompute(conn, touched)
    duty_reports.recompute(conn, touched)
    nights.recompute(conn, touched)
    changes += leaks.recompute(conn, touched)
    changes += watch.recompute(conn, touched)
    findings.announce(conn, changes)


def catch_up(config: AnalyticsConfig) -> None:
    """Answers what is in the feed, and ends: after a large import, before anybody looks at the pages."""
    with connect(config.dsn, name=NAME) as conn:
        Consumer(config.dsn, NAME).drain(conn, handle)


def run(config: AnalyticsConfig, stop: threading.Event) -> None:
    """Follows the feed and keeps house until `stop` is set."""
    with connect(config.dsn, name=NAME) as conn:
        clock = load_clock(conn)
    # Housekeeping is a matter of an hour of town time: soon enough on a fast clock, and seldom on the real one.
    seconds = min(10.0, max(0.5, 60.0 / clock.speed))
    # Hours and days can wait in a flood of messages: what is urgent is judged by alerts from the values themselves.
    Consumer(config.dsn, NAME, longest_rest=3.0).run(
        handle, stop=stop, tick=Maintenance(clock, config.retention, config.keep).tick, tick_seconds=seconds
    )
