"""The evaluator on a real database: one alert a cause, one history, whoever evaluates and however often."""

from __future__ import annotations

import random
import threading
from dataclasses import replace
from datetime import timedelta
from itertools import count

import psycopg
import pytest

from alerts import observed
from alerts.evaluator import Evaluator
from alerts.recording import mark_judged
from alerts.shards import NAME
from devices.clock import FixedClock
from devices.model import Outcome, Quality, Reason
from ingest.gate import judged
from store import Connection, connect
from store.batch import ObservationRow
from store.feed import Consumer, FeedRow
from store.registry import load_directory
from tests.alerts.gauge import STEP, Gauge
from tests.conftest import START

FLOOD = (1.5, 2.1, 2.7, 3.3, 3.9, 4.5, 3.9, 3.3, 2.7, 2.3, 1.8, 1.8, 1.8, 1.8, 1.8)
FLOOD_TOLD = [
    ("raised", 1),
    ("escalated", 2),
    ("escalated", 3),
    ("escalated", 4),
    ("escalated", 5),
    ("lowered", 4),
    ("lowered", 3),
    ("lowered", 2),
    ("lowered", 1),
    ("cleared", None),
]


def test_a_flood_is_one_alert_with_its_whole_history(gauge: Gauge) -> None:
    gauge.send_series(*FLOOD)
    gauge.clock.advance(timedelta(hours=3))
    gauge.evaluate()
    assert gauge.told() == FLOOD_TOLD
    assert gauge.rows(
        "select level, peak_level, raised_at, phenomenon_time, value, cleared_at, cleared_by, datastream_id from alert"
    ) == [
        (
            1,
            5,
            START + timedelta(hours=3),
            START + 13 * STEP,
            1.8,
            START + timedelta(hours=3),
            None,
            gauge.datastream_id,
        )
    ]
    assert {row[0].split(":")[0] for row in gauge.rows("select rule_version from alert_history")} == {"threshold_set"}


def test_reading_by_reading_gives_the_same_history(gauge: Gauge) -> None:
    for n, value in enumerate(FLOOD):
        gauge.send([(START + n * STEP, value)])
        gauge.evaluate()
    assert gauge.told() == FLOOD_TOLD
    assert gauge.rows("select count(*) from alert") == [(1,)]


def test_the_last_reading_before_the_hold_is_evidence_after_a_restart_too(gauge: Gauge) -> None:
    gauge.send([(START, 2.1), (START + STEP, 1.8)])
    gauge.evaluate()
    gauge.send([(START + timedelta(minutes=45), 1.8)])
    gauge.evaluate()
    assert gauge.told() == [("raised", 1), ("cleared", None)]


def test_the_rule_waits_for_a_person_who_is_clearing(gauge: Gauge) -> None:
    gauge.send_series(2.1, 1.0)
    gauge.evaluate()
    user = gauge.user("disaster")
    gauge.send([(START + 2 * STEP, 2.7)])
    with connect(gauge.town.owner, name="test person") as person:
        person.execute("update alert set cleared_at = %s, cleared_by = %s", (START, user))
        thread = threading.Thread(target=gauge.evaluate)
        thread.start()
        gauge.wait_until_blocked()
    thread.join()
    assert gauge.told() == [("raised", 1), ("raised", 2)], "what was cleared stays cleared"
    assert gauge.rows("select level, cleared_by from alert order by alert_id") == [(1, user), (2, None)]


def test_the_set_in_force_at_the_time_decides(gauge: Gauge) -> None:
    """Until April the second level was 2.80: 2.70 was level 1 then and is level 2 now."""
    old = START - timedelta(days=90)
    gauge.send([(old, 2.7), (START, 2.7)])
    gauge.evaluate()
    versions = [row[0] for row in gauge.rows("select rule_version from alert_history order by 1")]
    assert gauge.told() == [("raised", 1), ("escalated", 2)]
    assert len(set(versions)) == 2


def test_every_step_waits_in_the_outbox_marked_as_simulated(gauge: Gauge) -> None:
    gauge.user("disaster", "bousai@example.jp")
    gauge.user("water", "suido@example.jp")
    for n, value in enumerate((2.1, 3.7)):
        gauge.send([(START + n * STEP, value)])
        gauge.evaluate(mail=True)
    waiting = gauge.rows("select channel, recipient, subject, sent_at from outbox order by outbox_id")
    assert [(row[0], row[1]) for row in waiting] == [("log", "disaster"), ("mail", "bousai@example.jp")] * 2
    assert all(row[2].startswith("【模擬】美守橋水位観測所 水位のお知らせ：") and row[3] is None for row in waiting)


def test_the_feed_names_the_alert_after_everything_else(gauge: Gauge) -> None:
    gauge.send_series(2.1)
    gauge.evaluate()
    (alert_id,) = gauge.rows("select alert_id from alert")[0]
    assert gauge.rows("select alert_ids from feed where kind = 'alerts'") == [([alert_id],)]


def test_replaying_the_feed_from_the_beginning_changes_nothing(gauge: Gauge) -> None:
    gauge.send_series(*FLOOD)
    gauge.evaluate()
    before = gauge.history(), gauge.rows("select * from outbox"), gauge.rows("select * from alert_judged")
    with connect(gauge.town.worker, name="test") as conn:
        conn.execute("update feed_cursor set feed_id = 0")
    gauge.evaluate()
    assert (gauge.history(), gauge.rows("select * from outbox"), gauge.rows("select * from alert_judged")) == before


def test_a_kill_before_the_commit_leaves_nothing_and_loses_nothing(gauge: Gauge) -> None:
    gauge.send_series(*FLOOD[:6])

    def killed(conn: Connection, rows: list[FeedRow]) -> None:
        Evaluator(gauge.clock).handle(conn, rows)
        raise KeyboardInterrupt

    with connect(gauge.town.worker, name="test") as conn, pytest.raises(KeyboardInterrupt):
        Consumer(gauge.town.worker, NAME).drain(conn, killed)
    assert gauge.history() == []
    assert gauge.rows("select * from alert_judged") == []
    gauge.evaluate()
    assert gauge.told() == FLOOD_TOLD[:5]


def test_two_evaluators_at_once_give_one_history(gauge: Gauge) -> None:
    errors: list[BaseException] = []
    stop = threading.Event()

    def evaluate() -> None:
        try:
            Consumer(gauge.town.worker, NAME).run(Evaluator(gauge.clock).handle, stop=stop, tick_seconds=0.1)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=evaluate) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for n, value in enumerate(FLOOD):
            gauge.send([(START + n * STEP, value)])
        newest = gauge.rows("select max(feed_id) from feed where kind = 'observations'")[0][0]
        for _ in range(600):
            if gauge.rows("select coalesce(max(feed_id), 0) >= %s from feed_cursor", newest) == [(True,)]:
                break
            stop.wait(0.05)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not errors
    assert gauge.told() == FLOOD_TOLD


def test_a_late_reading_is_not_judged(gauge: Gauge) -> None:
    gauge.send([(START + 6 * STEP, 1.0)])
    gauge.evaluate()
    gauge.send([(START + 3 * STEP, 4.5)])
    gauge.evaluate()
    assert gauge.history() == []


def test_a_late_high_reading_inside_the_hold_keeps_the_alert_open(gauge: Gauge) -> None:
    """It raises nothing, but it is evidence."""
    gauge.send([(START, 2.1), (START + 2 * STEP, 1.8)])
    gauge.evaluate()
    gauge.send([(START + STEP, 2.1)])
    gauge.evaluate()
    gauge.send([(START + 3 * STEP, 1.8), (START + 4 * STEP, 1.8)])
    gauge.evaluate()
    assert gauge.told() == [("raised", 1)]
    gauge.send([(START + 5 * STEP, 1.8)])
    gauge.evaluate()
    assert gauge.told() == [("raised", 1), ("cleared", None)]


def test_delivery_out_of_order_within_a_batch_does_not_matter(gauge: Gauge) -> None:
    readings = [(START + n * STEP, value) for n, value in enumerate(FLOOD)]
    random.Random(7).shuffle(readings)
    gauge.send(readings)
    gauge.evaluate()
    assert gauge.told() == FLOOD_TOLD


def test_a_correction_of_a_judged_reading_raises_nothing_again(gauge: Gauge) -> None:
    gauge.send_series(2.1, 2.2)
    gauge.evaluate()
    gauge.clock.advance(timedelta(minutes=1))
    gauge.send([(START + STEP, 4.9)])
    assert gauge.rows("select count(*) from observation_revision") == [(1,)]
    gauge.evaluate()
    assert gauge.told() == [("raised", 1)]


def test_a_bad_reading_that_is_corrected_is_judged_then(gauge: Gauge) -> None:
    gauge.send([(START, (99.0, Quality.BAD, Reason.RANGE))])
    gauge.evaluate()
    assert gauge.history() == []
    gauge.clock.advance(timedelta(minutes=1))
    gauge.send([(START, (2.7, Quality.MANUAL, None))])
    gauge.evaluate()
    assert gauge.told() == [("raised", 2)]


def test_missing_readings_keep_an_alert_open(gauge: Gauge) -> None:
    gauge.send_series(2.1, *[(None, Quality.MISSING, Reason.SENSOR)] * 12)
    gauge.evaluate()
    assert gauge.told() == [("raised", 1)]


def test_a_series_longer_than_the_chunk_is_judged_whole(gauge: Gauge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alerts.evaluator._CHUNK", 4)
    gauge.send_series(*FLOOD)
    gauge.evaluate()
    assert gauge.told() == FLOOD_TOLD


@pytest.mark.parametrize("chunk", [3, 4, 8, 9])
def test_a_backlog_of_so_many_is_told_once_and_at_once(
    gauge: Gauge, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr("alerts.evaluator._CHUNK", chunk)
    gauge.send_series(*[1.0] * 7, 2.1)
    gauge.evaluate()
    assert gauge.told() == [("raised", 1)]
    assert gauge.rows("select count(*) from outbox") == [(1,)], "told with this batch, and not with the next reading"


def test_a_series_without_reference_levels_is_left_alone(gauge: Gauge) -> None:
    with connect(gauge.town.worker, name="test") as conn:
        streams = observed.level_streams(conn, sorted(gauge.town.directory.datastreams))
    assert len(streams) == 4
    assert {stream.place.kind for stream in streams} == {"river_gauge"}


def test_a_drill_has_an_alert_of_its_own(gauge: Gauge) -> None:
    with connect(gauge.town.owner, name="test") as conn:
        row = conn.execute(
            """
            insert into datastream (municipality_id, station_id, observed_property, unit, statistic, step, drill_run)
            select municipality_id, station_id, observed_property, unit, statistic, step, '2026-06'
            from datastream where datastream_id = %s returning datastream_id
            """,
            (gauge.datastream_id,),
        ).fetchone()
        assert row is not None
        conn.execute("insert into observation values (%s, %s, 3.7, 'good')", (row[0], START))
        Evaluator(gauge.clock).handle(conn, [_touching(row[0])])
    gauge.send_series(2.1)
    gauge.evaluate()
    assert gauge.rows("select mode, level from alert order by 1") == [("actual", 1), ("exercise", 4)]
    (subject,) = gauge.rows("select subject from outbox order by outbox_id limit 1")[0]
    assert subject.startswith("【模擬】【訓練】")


def _touching(datastream_id: int) -> FeedRow:
    from store.feed import Touched

    return FeedRow(1, 1, "observations", (Touched(datastream_id, START, START),), ())


def test_the_database_refuses_a_second_open_alert_of_one_cause(gauge: Gauge) -> None:
    gauge.send_series(2.1)
    gauge.evaluate()
    with connect(gauge.town.worker, name="test") as conn, pytest.raises(psycopg.errors.UniqueViolation):
        conn.execute(
            """
            insert into alert (municipality_id, station_id, rule, datastream_id, level, raised_at, phenomenon_time)
            select municipality_id, station_id, rule, datastream_id, level, raised_at, phenomenon_time from alert
            """
        )


def test_what_is_judged_never_moves_back(gauge: Gauge) -> None:
    with connect(gauge.town.worker, name="test") as conn:
        for hours in (2, 1):
            mark_judged(conn, [(gauge.datastream_id, gauge.town.municipality_id, START + timedelta(hours=hours))])
    assert gauge.rows("select judged_to from alert_judged") == [(START + timedelta(hours=2),)]


# --- silence ---------------------------------------------------------------------------------------------


def test_where_nobody_has_set_a_rate_one_value_far_off_is_unconfirmed_and_a_second_one_is_not(gauge: Gauge) -> None:
    with connect(gauge.town.owner, name="test") as conn:
        conn.execute("update datastream set max_rate = null where datastream_id = %s", (gauge.datastream_id,))
        gauge.town = replace(gauge.town, directory=load_directory(conn, gauge.town.municipality_id))

    def arrive(*values: float) -> None:
        rows = [
            ObservationRow(gauge.datastream_id, START + next(steps) * STEP, value, Quality.GOOD, None)
            for value in values
        ]
        with connect(gauge.town.worker, name="test") as conn:
            judged_rows = judged(conn, gauge.town.directory, rows)
        gauge.send([(each.phenomenon_time, (each.value, each.quality, each.reason)) for each in judged_rows])
        gauge.evaluate()

    steps = count()
    arrive(0.8, 0.82, 0.81, 4.3)
    assert gauge.told() == [("raised", 4), ("withheld", 4)]
    arrive(0.83, 0.8)
    assert gauge.told() == [("raised", 4), ("withheld", 4), ("cleared", None)]
    assert gauge.rows("select from outbox") == []
    arrive(4.3, 4.2)
    assert gauge.told()[3:] == [("raised", 4), ("confirmed", 4)]


def silences(gauge: Gauge) -> list[tuple[str, object]]:
    """What befell the bridge's gauge; the other stations of the town never say anything in these tests."""
    return gauge.rows(
        """
        select h.event, h.phenomenon_time from alert_history h join alert a using (alert_id)
        where a.rule = 'silence' and a.station_id = %s order by alert_history_id
        """,
        gauge.station_id,
    )


def pass_time(gauge: Gauge, minutes: int, *, listening: bool = True) -> None:
    gauge.clock.advance(timedelta(minutes=minutes))
    if listening:
        gauge.listen(START)
    gauge.tick()


def test_a_silent_device_raises_one_alert_which_its_next_message_clears(gauge: Gauge) -> None:
    gauge.send_series(1.0)
    pass_time(gauge, 40)
    assert silences(gauge) == []
    pass_time(gauge, 1)
    pass_time(gauge, 1)
    assert silences(gauge) == [("raised", START)]
    gauge.send([(gauge.clock.now(), 1.0)])
    heard = gauge.clock.now()
    pass_time(gauge, 1)
    assert silences(gauge) == [("raised", START), ("cleared", heard)]
    alert = gauge.rows(
        "select level, value, cleared_by, datastream_id from alert where rule = 'silence' and station_id = %s",
        gauge.station_id,
    )
    assert alert == [(None, None, None, gauge.datastream_id)]


def test_a_message_that_could_not_be_read_ends_no_silence(gauge: Gauge) -> None:
    gauge.send_series(1.0)
    pass_time(gauge, 41)
    gauge.send([(gauge.clock.now(), 1.0)], outcome=Outcome.QUARANTINED)
    gauge.send([(gauge.clock.now(), 1.0)], outcome=Outcome.EVENT)
    pass_time(gauge, 1)
    assert silences(gauge) == [("raised", START)]


def test_nothing_is_silent_while_ingest_does_not_listen(gauge: Gauge) -> None:
    gauge.send_series(1.0)
    pass_time(gauge, 600, listening=False)
    assert silences(gauge) == [], "no worker ever"
    gauge.listen(None)
    gauge.tick()
    assert silences(gauge) == [], "a worker without a broker"
    gauge.listen(START)
    gauge.clock.advance(timedelta(minutes=1))
    gauge.tick()
    assert silences(gauge) == [], "a worker whose heartbeat is stale"
    gauge.listen(gauge.clock.now() - timedelta(minutes=40))
    gauge.tick()
    assert silences(gauge) == [], "a worker that has not listened for long enough"


def test_the_heartbeat_is_real_time_on_a_fast_clock(gauge: Gauge) -> None:
    """At speed 60 a heartbeat every few real seconds is minutes apart in the town."""

    class Fast(FixedClock):
        speed = 60.0

    gauge.clock = Fast(START)
    gauge.send_series(1.0)
    gauge.clock.advance(timedelta(minutes=30))
    gauge.listen(START)
    gauge.clock.advance(timedelta(minutes=29))
    gauge.tick()
    assert silences(gauge) == [], "whoever died at 30 minutes has not heard a silence of 40"
    gauge.listen(START)
    gauge.clock.advance(timedelta(minutes=29))
    gauge.tick()
    assert silences(gauge) == [("raised", START)]


def test_silence_goes_to_the_digital_section(gauge: Gauge) -> None:
    gauge.user("digital", "joho@example.jp")
    gauge.user("disaster", "bousai@example.jp")
    gauge.send_series(1.0)
    gauge.clock.advance(timedelta(minutes=41))
    gauge.listen(START)
    gauge.tick(mail=True)
    found = gauge.rows("select distinct recipient from outbox where channel = 'mail'")
    assert found == [("joho@example.jp",)]
    stations = gauge.rows("select count(*) from alert where rule = 'silence'")
    assert stations[0][0] > 1, "those that were never heard are silent too"


def test_two_ticks_at_once_raise_one_alert(gauge: Gauge) -> None:
    gauge.send_series(1.0)
    gauge.clock.advance(timedelta(minutes=41))
    gauge.listen(START)
    errors: list[BaseException] = []

    def tick() -> None:
        try:
            gauge.tick()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=tick) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert silences(gauge) == [("raised", START)]


def test_a_device_that_was_taken_down_is_not_silent(gauge: Gauge) -> None:
    gauge.send_series(1.0)
    with connect(gauge.town.owner, name="test") as conn:
        conn.execute("update attachment set attached_to = %s where station_id = %s", (START, gauge.station_id))
    pass_time(gauge, 600)
    assert silences(gauge) == []
