"""The feed: exactly once, in the order of commit, across kills and beside a second consumer."""

from __future__ import annotations

import queue
import threading
import time

import pytest

from store import connect, feed
from store.connection import Connection
from store.feed import Consumer, FeedRow
from tests.conftest import START, Registered


def announce(registered: Registered, n: int = 1) -> None:
    with connect(registered.worker, name="test") as conn:
        for _ in range(n):
            feed.append_observations(conn, registered.municipality_id, [(1, START)])


def test_a_consumer_sees_each_row_once_across_restarts(registered: Registered) -> None:
    seen: list[int] = []

    def handle(conn: Connection, rows: list[FeedRow]) -> None:
        seen.extend(row.feed_id for row in rows)

    for _ in range(3):
        announce(registered, 3)
        with connect(registered.worker, name="test") as conn:
            Consumer(registered.worker, "rollups").drain(conn, handle)
    assert len(seen) == 9
    assert seen == sorted(set(seen))


def test_a_handler_that_fails_leaves_the_cursor_where_it_was(registered: Registered) -> None:
    announce(registered)
    consumer = Consumer(registered.worker, "alerts")

    def fail(conn: Connection, rows: list[FeedRow]) -> None:
        raise RuntimeError("killed here")

    with connect(registered.worker, name="test") as conn, pytest.raises(RuntimeError, match="killed here"):
        consumer.drain(conn, fail)
    seen: list[FeedRow] = []
    with connect(registered.worker, name="test") as conn:
        assert consumer.drain(conn, lambda _, rows: seen.extend(rows)) == 1
    assert len(seen) == 1


def test_a_row_is_never_found_behind_the_cursor(registered: Registered) -> None:
    """Writers that commit in another order than they began must not slip a row past a reader."""
    with connect(registered.worker, name="slow") as slow, connect(registered.worker, name="reader") as reader:
        slow.execute("select 1")  # began first
        announce(registered)
        first = feed.read_after(reader, 0)
        reader.commit()
        feed.append_observations(slow, registered.municipality_id, [(2, START)])
        slow.commit()
        later = feed.read_after(reader, first[-1].feed_id)
    assert [row.touched[0].datastream_id for row in later] == [2]


def test_a_running_consumer_is_woken_and_ticks(registered: Registered) -> None:
    stop = threading.Event()
    ticked = threading.Event()
    seen: list[int] = []
    got_all = threading.Event()

    def handle(conn: Connection, rows: list[FeedRow]) -> None:
        seen.extend(row.feed_id for row in rows)
        if len(seen) == 5:
            got_all.set()

    thread = threading.Thread(
        target=Consumer(registered.worker, "pages").run,
        args=(handle,),
        kwargs={"stop": stop, "tick": lambda _: ticked.set(), "tick_seconds": 0.1},
    )
    thread.start()
    try:
        assert ticked.wait(20)
        announce(registered, 5)
        assert got_all.wait(20)
    finally:
        stop.set()
        thread.join(20)
    assert not thread.is_alive()


def test_a_consumer_survives_the_loss_of_its_connection(registered: Registered) -> None:
    stop = threading.Event()
    first, second = threading.Event(), threading.Event()
    seen: list[int] = []

    def handle(conn: Connection, rows: list[FeedRow]) -> None:
        seen.extend(row.feed_id for row in rows)
        (second if first.is_set() else first).set()

    thread = threading.Thread(target=Consumer(registered.worker, "stubborn").run, args=(handle,), kwargs={"stop": stop})
    thread.start()
    try:
        announce(registered)
        assert first.wait(20)
        with connect(registered.owner, name="test") as conn:
            conn.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'mimamori stubborn'"
            )
        announce(registered)
        assert second.wait(30)
    finally:
        stop.set()
        thread.join(20)
    assert len(seen) == 2


def test_a_waiting_consumer_needs_no_clock_to_hear_of_each_row(
    registered: Registered, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It looks by itself only once in a while: the NOTIFY alone must be enough, whenever it comes."""
    monkeypatch.setattr(feed, "LOOK_SECONDS", 3600.0)
    stop = threading.Event()
    heard: queue.Queue[int] = queue.Queue()

    def handle(conn: Connection, rows: list[FeedRow]) -> None:
        conn.execute("select pg_sleep(0.02)")  # the next one arrives while this is at work
        for row in rows:
            heard.put(row.feed_id)

    thread = threading.Thread(target=Consumer(registered.worker, "ears").run, args=(handle,), kwargs={"stop": stop})
    thread.start()
    try:
        for number in range(40):
            announce(registered, 1 + number % 2)
            if number % 3 == 0:
                heard.get(timeout=20)
        seen = 14
        while seen < 60:
            heard.get(timeout=20)
            seen += 1
    finally:
        stop.set()
        thread.join(20)
    assert heard.empty() and not thread.is_alive()


def test_a_notification_that_came_before_the_waiting_counts(registered: Registered) -> None:
    stop = threading.Event()
    with connect(registered.worker, name="test") as conn:
        conn.execute("listen feed")
        conn.commit()
        assert not feed.notified(conn, stop, until=time.monotonic() + 0.1)
        announce(registered)
        conn.execute("select 1")  # its answer brings the notification along
        conn.commit()
        assert feed.notified(conn, stop, until=time.monotonic() + 20)
        assert not feed.notified(conn, stop, until=time.monotonic() + 0.1), "once"
        assert not conn.autocommit
        stop.set()
        assert not feed.notified(conn, stop, until=time.monotonic() + 3600)
