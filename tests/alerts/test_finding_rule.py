"""From a finding to an alert on a real database: raised once, cleared with its finding, whoever evaluates."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest

from alerts import actions
from alerts.errors import AlreadyCleared, NoteRequired
from alerts.evaluator import Evaluator
from alerts.shards import NAME
from analytics import findings
from analytics.findings import Finding
from store import Connection, connect
from store.feed import Consumer
from tests.alerts.gauge import Gauge
from tests.conftest import START


@pytest.fixture
def burst(gauge: Gauge) -> Finding:
    """A burst at the block's inlet, found at START."""
    flow = gauge.town.datastream("block-hamamachi", "flow")
    station = gauge.town.directory.datastreams[flow].station_id
    return Finding(gauge.town.municipality_id, station, flow, "burst", START, 38.0, 24.5, 2.0, "burst:1", {"n": 1})


@contextmanager
def analytics_of(gauge: Gauge) -> Iterator[Connection]:
    with connect(gauge.town.worker, name="test analytics") as conn:
        yield conn


def found(gauge: Gauge, finding: Finding) -> findings.Changes:
    with analytics_of(gauge) as conn:
        changes = findings.open_or_update(conn, finding)
        findings.announce(conn, changes)
    return changes


def over(gauge: Gauge, finding: Finding, hours: float = 3) -> findings.Changes:
    with analytics_of(gauge) as conn:
        changes = findings.end(conn, finding.station_id, finding.kind, START + timedelta(hours=hours))
        findings.announce(conn, changes)
    return changes


def test_a_finding_raises_one_alert_and_its_end_clears_it(gauge: Gauge, burst: Finding) -> None:
    gauge.user("water", "suido@example.jp")
    gauge.user("disaster", "bousai@example.jp")
    found(gauge, burst)
    gauge.evaluate(mail=True)
    assert gauge.told() == [("raised", None)]
    assert gauge.rows("select rule, level, value, datastream_id, station_id, cleared_at from alert") == [
        ("burst", None, 38.0, burst.datastream_id, burst.station_id, None)
    ]
    over(gauge, burst)
    gauge.evaluate(mail=True)
    assert gauge.told() == [("raised", None), ("cleared", None)]
    told = gauge.rows("select channel, recipient, subject from outbox order by outbox_id")
    assert [row[:2] for row in told] == [("log", "water"), ("mail", "suido@example.jp")] * 2
    assert all(row[2].startswith("【模擬】浜町配水ブロック流入点 流入量のお知らせ：") for row in told)


def test_saying_the_same_again_changes_nothing_and_tells_nobody(gauge: Gauge, burst: Finding) -> None:
    assert len(found(gauge, burst)) == 1
    feed = gauge.rows("select count(*) from feed")
    assert found(gauge, burst) == []
    assert gauge.rows("select count(*) from feed") == feed
    changes = found(gauge, replace(burst, value=41.0))
    assert len(changes) == 1 and gauge.rows("select value from finding") == [(41.0,)]
    gauge.evaluate()
    assert gauge.told() == [("raised", None)], "how it grows is on the page, not in the mail"
    assert len(over(gauge, burst)) == 1 and over(gauge, burst) == []


def test_a_finding_that_was_over_before_anyone_looked_raises_nothing(gauge: Gauge, burst: Finding) -> None:
    found(gauge, burst)
    over(gauge, burst)
    gauge.evaluate()
    assert gauge.told() == []


def test_a_finding_at_the_end_of_an_imported_history_raises_nothing(gauge: Gauge, burst: Finding) -> None:
    gauge.clock.advance(timedelta(days=2, minutes=1))
    found(gauge, burst)
    gauge.evaluate()
    assert gauge.told() == []


def test_the_next_finding_of_the_place_is_a_new_alert_also_in_one_batch(gauge: Gauge, burst: Finding) -> None:
    found(gauge, burst)
    gauge.evaluate()
    over(gauge, burst)
    found(gauge, replace(burst, started_at=START + timedelta(hours=5)))
    gauge.evaluate()
    assert gauge.told() == [("raised", None), ("cleared", None), ("raised", None)]
    assert gauge.rows("select count(*) from alert where cleared_at is null") == [(1,)]


def test_replaying_the_feed_and_a_second_evaluator_change_nothing(gauge: Gauge, burst: Finding) -> None:
    found(gauge, burst)
    gauge.evaluate()
    over(gauge, burst)
    gauge.evaluate()
    before = gauge.history(), gauge.rows("select * from outbox")
    gauge.rows("delete from feed_cursor where consumer = 'alerts' returning 1")
    gauge.evaluate()
    with connect(gauge.town.worker, name="test") as conn:
        Consumer(gauge.town.worker, "another " + NAME).drain(conn, Evaluator(gauge.clock).handle)
    assert (gauge.history(), gauge.rows("select * from outbox")) == before


def test_the_database_refuses_a_second_alert_of_one_finding(gauge: Gauge, burst: Finding) -> None:
    found(gauge, burst)
    gauge.evaluate()
    with pytest.raises(psycopg.errors.UniqueViolation):
        gauge.rows(
            "insert into alert (municipality_id, station_id, rule, datastream_id, finding_id, raised_at, "
            "phenomenon_time, cleared_at) select municipality_id, station_id, rule, datastream_id, finding_id, "
            "raised_at, phenomenon_time, raised_at from alert"
        )


def test_a_person_clears_it_with_a_note_and_the_same_finding_does_not_come_back(gauge: Gauge, burst: Finding) -> None:
    found(gauge, burst)
    gauge.evaluate()
    user = gauge.user("water")
    town = gauge.town.municipality_id
    (alert_id,) = gauge.rows("select alert_id from alert")[0]

    def act(action: str, *note: str) -> None:
        with connect(gauge.town.api, name="test api") as conn:
            conn.execute("select set_config('mimamori.municipality_id', %s, true)", (str(town),))
            getattr(actions, action)(conn, town, alert_id, user, gauge.clock.now(), *note)

    act("acknowledge")
    act("comment", "職員が向かっています")
    with pytest.raises(NoteRequired):
        act("clear")
    act("clear", "消防の放水訓練でした")
    found(gauge, replace(burst, value=45.0))
    gauge.evaluate()
    over(gauge, burst)
    gauge.evaluate()
    assert [event for event, _ in gauge.told()] == ["raised", "acknowledged", "commented", "cleared"]
    with pytest.raises(AlreadyCleared):
        act("clear", "もう一度")


@pytest.mark.parametrize("kind", ["visits", "counter"])
def test_a_visitor_spots_finding_goes_to_the_tourism_desk(gauge: Gauge, kind: findings.Kind) -> None:
    series = gauge.town.datastream("spot-taki", "passages_in")
    station = gauge.town.directory.datastreams[series].station_id
    found(gauge, Finding(gauge.town.municipality_id, station, series, kind, START, 12.0, 80.0, 2.0, f"{kind}:1"))
    gauge.evaluate()
    assert gauge.rows("select recipient from outbox") == [("tourism",)]
