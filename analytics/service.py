"""The analytics process: feed consumers that keep rollups and findings equal to the observations, doubt values,
and look ahead."""

from __future__ import annotations

import threading
from collections.abc import Callable

from analytics import doubts, duty_reports, findings, old_values, rollups
from analytics.config import AnalyticsConfig
from analytics.leaks import nights
from analytics.leaks import watch as leaks
from analytics.leaks.blocks import rises
from analytics.leaks.loggers import nightly, sounds
from analytics.maintenance import Maintenance
from analytics.rivers import forecasting
from analytics.visitors import ahead, watch
from analytics.visitors.checks import estimates
from analytics.visitors.events import watch as crowds
from analytics.visitors.reports import monthly
from devices.clock import Clock
from store import Connection, connect
from store.feed import Consumer, FeedRow
from store.reviews import open_reviews, settle_reviews
from store.town_clock import load_clock

NAME = "analytics"  # of the feed cursor

_LOOK_SECONDS = 3.0  # how long a review waits to be settled
_LAST_STEP_SECONDS = 5.0


def handle(conn: Connection, rows: list[FeedRow]) -> None:
    """Recomputes what the rows touched; the body of a feed consumer's transaction."""
    touched = old_values.kept(conn, [each for row in rows for each in row.touched])
    changes: findings.Changes = []
    for municipality_id in sorted({row.municipality_id for row in rows if row.kind == "headquarters"}):
        changes += crowds.recompute_changed(conn, municipality_id)
    if not touched:
        findings.announce(conn, changes)
        return
    rollups.recompute(conn, touched)
    duty_reports.recompute(conn, touched)
    nights.recompute(conn, touched)
    sounds.recompute(conn, touched)
    changes += leaks.recompute(conn, touched)
    changes += watch.recompute(conn, touched)
    estimates.recompute(conn, touched)
    changes += crowds.recompute(conn, touched)
    findings.announce(conn, changes)


def catch_up(config: AnalyticsConfig) -> None:
    """Answers what is in the feed, and ends: after a large import, before anybody looks at the pages."""
    with connect(config.dsn, name=NAME) as conn:
        Consumer(config.dsn, NAME).drain(conn, handle)


def run(config: AnalyticsConfig, stop: threading.Event) -> None:
    """Follows the feed and keeps house until `stop` is set.

    The learnt checks, who looks ahead at rivers and spots or back at the night's pressures, and the monthly reports
    have threads and connections of their own: what they find can wait, hours and days cannot. Should one fail, `stop`
    is set and its error is raised
    here.
    """
    with connect(config.dsn, name=NAME) as conn:
        clock = load_clock(conn)
    failures: list[Exception] = []

    def beside(work: Callable[[str, Clock, threading.Event], None]) -> None:
        try:
            work(config.dsn, clock, stop)
        except Exception as error:
            failures.append(error)
            stop.set()

    threads = [
        threading.Thread(target=beside, args=(work,), name=name, daemon=True)
        for name, work in (
            (doubts.NAME, _doubt),
            (forecasting.NAME, forecasting.follow),
            (forecasting.LEARNING, forecasting.learn),
            (monthly.NAME, monthly.follow),
            (ahead.NAME, ahead.follow),
            (nightly.NAME, nightly.follow),
            (rises.NAME, rises.follow),
        )
    ]
    for thread in threads:
        thread.start()
    # Housekeeping is a matter of an hour of town time: soon enough on a fast clock, and seldom on the real one.
    seconds = min(10.0, max(0.5, 60.0 / clock.speed))
    house = Maintenance(clock, config.retention, config.keep)

    def tick(conn: Connection) -> None:
        house.tick(conn)
        findings.announce(conn, crowds.end_over(conn, clock.now()))

    try:
        # Hours and days can wait in a flood of messages: what is urgent is judged by alerts from the values themselves.
        Consumer(config.dsn, NAME, longest_rest=3.0).run(handle, stop=stop, tick=tick, tick_seconds=seconds)
    finally:
        stop.set()
        for thread in threads:
            thread.join(_LAST_STEP_SECONDS)
    if failures:
        raise failures[0]


def _doubt(dsn: str, clock: Clock, stop: threading.Event) -> None:
    """The learnt checks on the feed, and the values that follow what people say of them."""

    def settle(looking: Connection) -> None:
        if not open_reviews(looking):
            return
        with connect(dsn, name="reviews") as conn:
            while not stop.is_set() and settle_reviews(conn, now=clock.now()):
                pass

    # A row of many series costs little more than one of a few, and in a backlog nobody waits for what is told here.
    Consumer(dsn, doubts.NAME, rest=10.0, longest_rest=30.0).run(
        doubts.Doubts(clock).handle, stop=stop, tick=settle, tick_seconds=_LOOK_SECONDS
    )
