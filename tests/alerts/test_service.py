"""The alerts process as a whole: from a stored reading to a handed-over notification."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import psycopg
import pytest

from alerts import AlertsConfig, MailConfig, run
from alerts.errors import RealChannelsOnSimulatedClock
from alerts.shards import deal
from store import connect
from tests.alerts.gauge import Gauge


def wait_for(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.05)


@pytest.mark.parametrize("evaluators", [1, 3])
def test_a_reading_becomes_an_alert_and_a_notification_and_the_process_ends_when_told(
    gauge: Gauge, evaluators: int
) -> None:
    stop = threading.Event()
    process = threading.Thread(target=run, args=(AlertsConfig(gauge.town.worker, evaluators=evaluators), stop))
    process.start()
    try:
        gauge.send_series(2.7)
        wait_for(lambda: gauge.rows("select count(*) from outbox where sent_at is not null") == [(1,)])
        assert gauge.told() == [("raised", 2)]
    finally:
        stop.set()
        process.join(10)
    assert not process.is_alive()


def test_where_the_number_of_evaluators_changes_all_begin_where_the_slowest_stood(gauge: Gauge) -> None:
    def cursors() -> dict[str, int]:
        return dict(gauge.rows("select consumer, feed_id from feed_cursor"))

    with connect(gauge.town.worker, name="test", autocommit=True) as conn:
        deal(conn, 2)
        conn.execute("update feed_cursor set feed_id = case consumer when 'alerts' then 9 else 7 end")
        deal(conn, 2)
        assert cursors() == {"alerts": 9, "alerts 2/2": 7}, "nothing is judged again where nothing changed"
        deal(conn, 3)
        assert cursors() == {"alerts": 7, "alerts 2/3": 7, "alerts 3/3": 7}
        deal(conn, 1)
    assert cursors() == {"alerts": 7}


def test_an_outbox_that_fails_ends_the_process_with_its_error(gauge: Gauge) -> None:
    with connect(gauge.town.owner, name="test") as conn:
        conn.execute("revoke select on outbox from mimamori_worker")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        run(AlertsConfig(gauge.town.worker), threading.Event())


def test_a_simulated_town_refuses_real_channels(gauge: Gauge) -> None:
    config = AlertsConfig(gauge.town.worker, MailConfig("127.0.0.1", 25, "mimamori@example.jp"))
    with pytest.raises(RealChannelsOnSimulatedClock, match="simulated clock"):
        run(config, threading.Event())
