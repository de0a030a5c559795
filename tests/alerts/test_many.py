"""Ten thousand stations: what one evaluator decides, two decide, whoever of them is faster."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

from alerts.evaluator import Evaluator
from alerts.rule_book import add_rule, add_version
from alerts.rules.condition import Body, Compare, Number, Reading, Series
from alerts.shards import Shard, deal
from devices.clock import FixedClock
from mimamori.bench.many import STEP, many_gauges, say
from store import connect
from store.feed import Consumer
from tests.conftest import START, Registered

GAUGES = 10_000


def test_ten_thousand_stations_have_one_history_whether_one_evaluator_judges_them_or_two(
    registered: Registered, clock: FixedClock
) -> None:
    town = registered.municipality_id
    with connect(registered.owner, name="test") as conn:
        many_gauges(conn, town, GAUGES, START)
        conn.execute("analyze")
        _looks_at_its_neighbour(conn, town)
        # A flood at one gauge in 97, its end after the hold, and another one at one in 53.
        for minutes, restless in ((0, 97), (40, 0), (80, 0), (90, 53)):
            say(conn, town, START + timedelta(minutes=minutes), restless=restless)
        clock.at = START + 10 * STEP

    _judge(registered, clock, 1)
    once = _history(registered)
    assert len({row[0] for row in once}) > GAUGES // 97, "the flood was everywhere that it was"
    assert {(row[1], row[2]) for row in once} == {("level", "raised"), ("level", "cleared"), ("written", "raised")}
    assert [row[2] for row in once if row[0] == "gauge-1" and row[1] == "written"] == ["raised"], "by its neighbour"
    with connect(registered.owner, name="test") as conn:
        conn.execute("truncate alert, alert_judged, late_excursion, feed_cursor cascade")
    _judge(registered, clock, 2)
    assert _history(registered) == once


def _looks_at_its_neighbour(conn: Any, town: int) -> None:
    """A rule at the first gauge about another one, that belongs to the other evaluator."""
    stations = dict(conn.execute("select code, station_id from station where code like 'gauge-%'").fetchall())
    first = Shard(0, 2).mine(stations["gauge-1"])
    datastreams = dict(conn.execute("select station_id, datastream_id from datastream").fetchall())
    other = next(
        code
        for code, station_id in stations.items()
        if Shard(0, 2).mine(station_id) != first and datastreams[station_id] % 53 == 0
    )
    rule_id = add_rule(conn, town, station_id=stations["gauge-1"], kind=None, now=START)
    add_version(
        conn,
        town,
        rule_id,
        valid_from=START,
        name="隣の水位",
        severity=2,
        active=True,
        body=Body(Compare(Reading(Series("water_level", other)), "above", Number(3.4))),
        reason="試しに",
        now=START,
        user_id=None,
    )


def _judge(town: Registered, clock: FixedClock, evaluators: int) -> None:
    """So many of them at the same time, until each has read the feed to its end."""
    with connect(town.worker, name="test") as conn:
        shards = deal(conn, evaluators)

    def run(shard: Shard) -> None:
        with connect(town.worker, name="test") as conn:
            Consumer(town.worker, shard.name).drain(conn, Evaluator(clock, shard=shard).handle)

    threads = [threading.Thread(target=run, args=(shard,)) for shard in shards]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _history(town: Registered) -> list[tuple[Any, ...]]:
    with connect(town.owner, name="test") as conn:
        return conn.execute(
            """
            select s.code, a.rule, h.event, a.alert_rule_id, h.level, h.phenomenon_time, h.value, h.rule_version,
                   (select count(*) from outbox o where o.alert_history_id = h.alert_history_id)
            from alert_history h join alert a using (alert_id) join station s using (station_id)
            order by s.code, a.rule, a.alert_rule_id, h.phenomenon_time, h.event
            """
        ).fetchall()
