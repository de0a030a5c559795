"""A drill is fed as devices feed: through the gate, at its own times, whatever happens to the process that does it."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
import structlog

from devices.clock import FixedClock
from ingest.drilling import LATEST, Drilling
from store import connect
from store.drills import LAST_ANSWERS
from store.errors import RecordError
from store.town_clock import load_clock
from tests.brokers.running import wait_for
from tests.conftest import START, Registered
from tests.drilling import BRIDGE, FLOOD, STEP, Drill


@pytest.fixture
def drill(registered: Registered, clock: FixedClock) -> Drill:
    return Drill(registered, clock)


def ending(drill: Drill) -> list[tuple[object, ...]]:
    return drill.rows("select started_at, ended_at, ending from drill order by drill_id")


def test_readings_become_observations_of_a_shadow_when_they_are_due(drill: Drill) -> None:
    real = drill.town.datastream(BRIDGE, "water_level")
    drill.start(drill.plan())
    drill.feed()
    assert drill.values() == [(START, 1.0, "good", None)]
    drill.clock.advance(2 * STEP)
    drill.feed()
    drill.feed()
    assert [value for _, value, *_ in drill.values()] == [1.0, 1.6, 2.2]
    assert drill.rows("select count(*) from observation where datastream_id = %s", real) == [(0,)]
    ((run, station),) = drill.rows("select drill_run, station_id from datastream where drill_run is not null")
    assert (run, station) == ("drill:1", drill.station())
    for ledger in ("uplink", "delivery_count", "device_status", "battery_day"):
        assert drill.rows(f"select count(*) from {ledger}") == [(0,)], ledger


def test_the_gate_judges_them_in_the_pace_of_the_drill(drill: Drill) -> None:
    limit = "update datastream set max_rate = 4.0, range_high = 6.0 where datastream_id = %s"
    with connect(drill.town.owner, name="test") as conn:
        conn.execute(limit, (drill.town.datastream(BRIDGE, "water_level"),))
    # 0.6 m in ten minutes are 3.6 m/h, six times as fast 21.6 m/h: no doubt; 2 m at once are one
    drill.start(drill.plan((1.0, 1.6, 3.6, 7.0), step=STEP / 6, speed=6.0))
    drill.clock.advance(4 * STEP)
    drill.feed()
    said = [(value, quality, reason) for _, value, quality, reason in drill.values()]
    assert said == [(1.0, "good", None), (1.6, "good", None), (3.6, "doubtful", "rate"), (7.0, "bad", "range")]


def test_what_became_due_while_nobody_fed_comes_late_and_once(drill: Drill) -> None:
    drill.start(drill.plan())
    drill.run(2)
    drill.clock.advance(3 * STEP)  # the process was away
    for _ in range(2):
        drill.feed()
    assert [time - START for time, *_ in drill.values()] == [n * STEP for n in range(6)]
    assert [value for _, value, *_ in drill.values()] == list(FLOOD)


def test_it_waits_for_its_time_and_ends_by_itself_after_the_last_answers(drill: Drill) -> None:
    number = drill.plan()
    drill.start(number, START + timedelta(hours=1))
    assert ending(drill) == [(None, None, None)]
    drill.clock.advance(timedelta(hours=1))
    drill.feed()
    begun = drill.clock.now()
    assert ending(drill) == [(begun, None, None)]
    drill.clock.advance(5 * STEP + LAST_ANSWERS - timedelta(seconds=1))
    drill.feed()
    assert ending(drill) == [(begun, None, None)]
    drill.clock.advance(timedelta(seconds=1))
    drill.feed()
    assert ending(drill) == [(begun, drill.clock.now(), "done")]
    assert len(drill.values()) == len(FLOOD)


def test_a_time_that_went_by_is_not_made_up_for(drill: Drill) -> None:
    number = drill.plan()
    drill.start(number, START + timedelta(minutes=1))
    drill.clock.advance(timedelta(minutes=1) + LATEST + timedelta(seconds=1))
    drill.feed()
    assert ending(drill) == [(None, drill.clock.now(), "missed")]
    assert drill.values() == []


def test_a_second_drill_waits_for_the_end_of_the_first(drill: Drill) -> None:
    first = drill.plan()
    drill.start(first)
    drill.start(drill.plan(name="次の訓練"))
    drill.feed()
    assert [row[0] is not None for row in ending(drill)] == [True, False]
    drill.stop(first)
    drill.feed()
    assert [row[0] is not None for row in ending(drill)] == [True, False], "what the first left open is ended first"
    drill.tick()
    drill.feed()
    assert [row[0] is not None for row in ending(drill)] == [True, True]


@pytest.mark.parametrize(("level", "ends"), [(1, False), (2, True), (4, True)])
def test_an_actual_alert_at_its_level_ends_it_at_once(drill: Drill, level: int, ends: bool) -> None:
    drill.start(drill.plan(stop_level=2))
    drill.run(1)
    raise_actual(drill, level)
    drill.feed()
    assert ending(drill)[0][2] == ("alert" if ends else None)
    if ends:
        assert drill.rows("select ended_for from drill") == drill.rows(
            "select alert_id from alert where mode = 'actual'"
        )
        drill.clock.advance(STEP)
        drill.feed()
        assert len(drill.values()) == 1, "nothing is fed any more"


def test_while_an_actual_alert_stands_it_does_not_begin(drill: Drill) -> None:
    raise_actual(drill, 3)
    number = drill.plan()
    with pytest.raises(RecordError, match="stopped"):
        drill.start(number)
    assert ending(drill) == [(None, None, None)]
    drill.start(number, START + STEP)  # it may be over by then; here it is not
    drill.clock.advance(STEP)
    drill.feed()
    assert ending(drill) == [(None, START + STEP, "alert")]
    assert drill.rows("select count(*) from datastream where drill_run is not null") == [(0,)]


def raise_actual(drill: Drill, level: int) -> None:
    with connect(drill.town.owner, name="test") as conn:
        conn.execute(
            """
            insert into alert (municipality_id, station_id, rule, datastream_id, level, raised_at, phenomenon_time)
            select municipality_id, station_id, 'level', datastream_id, %s, %s, %s from datastream
            where datastream_id = %s
            """,
            (level, START, START, drill.town.datastream("river-okusawa", "water_level")),
        )


def test_a_fault_is_tried_again(drill: Drill) -> None:
    """Here a missing right, which an operator puts right."""
    with connect(drill.town.owner, name="test") as conn:
        conn.execute("revoke insert on datastream from mimamori_worker")
    number = drill.plan(step=timedelta(milliseconds=1))
    with connect(drill.town.worker, name="test") as conn:
        clock = load_clock(conn)
    user = drill.user()
    with connect(drill.town.owner, name="test") as conn:
        conn.execute("update drill set starts_at = %s, start_by = %s where drill_id = %s", (clock.now(), user, number))
    feeding = Drilling(drill.town.worker, drill.town.municipality_id, clock)
    with structlog.testing.capture_logs() as logs:
        feeding.start()
        try:
            wait_for(lambda: any(each["event"] == "the drill cannot be fed" for each in logs), "the fault is told")
            with connect(drill.town.owner, name="test") as conn:
                conn.execute("grant insert on datastream to mimamori_worker")
            wait_for(lambda: len(drill.values()) == len(FLOOD), "it is fed")
        finally:
            feeding.stop()


def test_the_workers_thread_feeds_and_one_of_two_at_a_time(drill: Drill) -> None:
    number = drill.plan(step=timedelta(milliseconds=1))
    with connect(drill.town.worker, name="test") as conn:
        clock = load_clock(conn)
    drill.clock.at = clock.now()
    workers = [Drilling(drill.town.worker, drill.town.municipality_id, clock) for _ in range(2)]
    for each in workers:
        each.start()
    try:
        here = "datname = current_database() and application_name = 'mimamori drills'"
        held = f"select count(*) from pg_stat_activity where {here}"
        wait_for(lambda: drill.rows(held) == [(2,)], "both are connected")
        user = drill.user()
        with connect(drill.town.owner, name="test") as conn:
            conn.execute(
                "update drill set starts_at = %s, start_by = %s where drill_id = %s", (clock.now(), user, number)
            )
        wait_for(lambda: len(drill.values()) == len(FLOOD), "it is fed")
    finally:
        ended = [threading.Thread(target=each.stop) for each in workers]
        for thread in ended:
            thread.start()
        for thread in ended:
            thread.join(20)
    assert not any(thread.is_alive() for thread in ended)
