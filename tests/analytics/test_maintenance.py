"""Housekeeping: partitions are there before their month, and the feed forgets only what all have read."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from analytics import maintenance
from analytics.maintenance import Maintenance, keep_house
from devices.clock import FixedClock
from store import connect
from tests.analytics.series import Analyst
from tests.conftest import START


def partitions(analyst: Analyst) -> list[str]:
    found = analyst.rows("select inhrelid::regclass::text from pg_inherits where inhparent = 'observation'::regclass")
    return sorted(row[0] for row in found)


def keep(analyst: Analyst, now: datetime) -> None:
    with connect(analyst.town.worker, name="test") as conn:
        keep_house(conn, now)


def test_the_worker_makes_this_and_the_next_two_months(analyst: Analyst) -> None:
    if analyst.town.engine != "postgresql":
        pytest.skip("a hypertable makes its own chunks")
    analyst.send(analyst.town.datastream("river-mimamoribashi", "water_level"), [(START, 1.0)])
    for _ in range(2):
        keep(analyst, START)
    made = ["observation_202606", "observation_202607", "observation_202608"]
    assert partitions(analyst) == [*made, "observation_default"]
    assert analyst.rows("select count(*) from observation_202606") == [(1,)], "what waited in the default one moved"
    analyst.send(
        analyst.town.datastream("river-mimamoribashi", "water_level"), [(datetime(2026, 8, 31, tzinfo=UTC), 2.0)]
    )
    assert analyst.rows("select count(*) from observation_202608") == [(1,)]


def test_the_house_is_kept_hourly_on_the_town_clock(analyst: Analyst, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[datetime] = []
    monkeypatch.setattr(maintenance, "keep_house", lambda _, now: kept.append(now))
    clock = FixedClock(START)
    keeper = Maintenance(clock)
    with connect(analyst.town.worker, name="test") as conn:
        for _ in range(5):
            keeper.tick(conn)
            clock.advance(timedelta(minutes=30))
    assert kept == [START, START + timedelta(hours=1), START + timedelta(hours=2)]


def blocked(analyst: Analyst) -> int:
    (found,) = analyst.rows(
        "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
    )[0]
    return int(found)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)


def test_a_writer_that_waits_for_a_new_partition_writes_into_it(analyst: Analyst) -> None:
    """It must neither be refused (its row would look like poison) nor end in a deadlock with who has read before."""
    if analyst.town.engine != "postgresql":
        pytest.skip("a hypertable makes its own chunks")
    ds = analyst.town.datastream("river-mimamoribashi", "water_level")
    failed: list[Exception] = []

    def run(action: Callable[[], None]) -> threading.Thread:
        def caught() -> None:
            try:
                action()
            except Exception as error:
                failed.append(error)

        thread = threading.Thread(target=caught)
        thread.start()
        return thread

    with connect(analyst.town.worker, name="first writer") as first:
        first.execute("select from observation where datastream_id = %s", (ds,))
        first.execute("insert into observation values (%s, %s, 1.0, 'good')", (ds, START))
        keeper = run(lambda: keep(analyst, START))
        wait_until(lambda: blocked(analyst) == 1)
        second = run(lambda: analyst.send(ds, [(START + timedelta(minutes=10), 2.0)]))
        wait_until(lambda: blocked(analyst) == 2)
        first.execute("insert into observation values (%s, %s, 3.0, 'good')", (ds, START + timedelta(minutes=20)))
    keeper.join()
    second.join()
    assert not failed
    assert analyst.rows("select value from observation_202606 order by phenomenon_time") == [(1.0,), (2.0,), (3.0,)]


def test_a_long_query_postpones_the_house_and_holds_nobody_up(analyst: Analyst) -> None:
    if analyst.town.engine != "postgresql":
        pytest.skip("a hypertable makes its own chunks")
    keeper = Maintenance(FixedClock(START))
    with (
        connect(analyst.town.worker, name="reader") as reader,
        connect(analyst.town.worker, name="test") as conn,
    ):
        reader.execute("select from observation")
        keeper.tick(conn)
        conn.commit()
        assert partitions(analyst) == ["observation_default"]
        reader.rollback()
        keeper.tick(conn)
    assert len(partitions(analyst)) == 4


def feed(analyst: Analyst, rows: int, **cursors: int) -> None:
    analyst.execute(
        "insert into feed (municipality_id, kind) select %s, 'alerts' from generate_series(1, %s)",
        analyst.town.municipality_id,
        rows,
    )
    for consumer, feed_id in cursors.items():
        analyst.execute("insert into feed_cursor values (%s, %s)", consumer, feed_id)


def span(analyst: Analyst) -> tuple[int, int]:
    found: tuple[int, int] = analyst.rows("select min(feed_id), max(feed_id) from feed")[0]
    return found


def test_the_feed_keeps_the_newest_rows_for_open_pages(analyst: Analyst, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maintenance, "KEPT_FEED_ROWS", 10)
    feed(analyst, 100, alerts=100, analytics=100)
    keep(analyst, START)
    assert span(analyst) == (91, 100)


def test_the_feed_keeps_what_a_slow_consumer_has_not_read(analyst: Analyst, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maintenance, "KEPT_FEED_ROWS", 10)
    feed(analyst, 100, alerts=100, analytics=40)
    keep(analyst, START)
    assert span(analyst) == (41, 100)


def test_the_feed_keeps_all_while_a_consumer_has_never_run(analyst: Analyst, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maintenance, "KEPT_FEED_ROWS", 10)
    feed(analyst, 100, analytics=100)
    keep(analyst, START)
    assert span(analyst) == (1, 100)


def test_the_consumers_of_the_house_are_the_real_ones() -> None:
    from alerts.shards import NAME as alerts
    from analytics.service import NAME as analytics

    assert set(maintenance.CONSUMERS) == {alerts, analytics}
