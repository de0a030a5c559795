"""What was retracted and still stands at the gauge raises nothing, until it is over, is something new, or a person
says that it counts.
"""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts import retraction
from alerts.errors import NotRetracted
from alerts.rules.level import LevelRule, Observed, Stand, after, judge_level
from alerts.rules.transition import Transition
from alerts.still_false import StillFalse, after_level
from devices.model import Quality, Reason, ThresholdLevel
from store import connect
from tests.alerts.gauge import STEP, Gauge
from tests.alerts.test_actions import as_api, do
from tests.alerts.test_retraction import WHY, retract
from tests.alerts.test_written import HIGH, write_rule
from tests.alerts.test_written import written as steps_written
from tests.conftest import START

BAD = Quality.BAD, Reason.RANGE


@pytest.fixture
def officer(gauge: Gauge) -> int:
    return gauge.user("disaster", name="山田")


@pytest.fixture
def false(gauge: Gauge, officer: int) -> Gauge:
    """Level 3 by a false reading, retracted."""
    gauge.send_series(3.3)
    gauge.evaluate()
    retract(gauge, officer)
    return gauge


def send(gauge: Gauge, first: int, *values: float | tuple[float | None, Quality, Reason | None]) -> None:
    """Readings from the `first` step after the start on, one by one, each judged."""
    for n, value in enumerate(values, start=first):
        gauge.send([(START + n * STEP, value)])
        gauge.evaluate()


def held(gauge: Gauge) -> bool:
    return bool(gauge.rows("select from alert_retraction where counts_again_at is null"))


def events(gauge: Gauge) -> list[tuple[str, int | None]]:
    return [each for each in gauge.told() if each[0] not in ("retracted",)]


@pytest.mark.parametrize("together", [False, True], ids=["one by one", "in one batch"])
def test_the_same_false_value_pages_nobody_again_nor_does_a_lower_one_and_back(false: Gauge, together: bool) -> None:
    values = 3.3, 3.31, 2.7, 2.7, 2.7, 2.7, 2.7, 3.3, 3.5
    if together:
        false.send([(START + n * STEP, value) for n, value in enumerate(values, start=1)])
        false.evaluate()
    else:
        send(false, 1, *values)
    assert events(false) == [("raised", 3)] and held(false)
    assert false.rows("select count(*) from outbox where channel = 'log'") == [(2,)], "the alert and its correction"


@pytest.mark.parametrize("together", [False, True], ids=["one by one", "in one batch"])
def test_once_it_was_below_for_its_hold_the_next_rise_is_a_new_alert(false: Gauge, together: bool) -> None:
    values = 3.3, 1.0, 1.0, 1.0, 1.0, 2.1
    if together:
        false.send([(START + n * STEP, value) for n, value in enumerate(values, start=1)])
        false.evaluate()
    else:
        send(false, 1, *values)
    assert events(false) == [("raised", 3), ("raised", 1)] and not held(false)
    assert false.rows("select counts_again_at, counts_again_by from alert_retraction") == [(START + 5 * STEP, None)]


def test_one_plausible_reading_between_false_ones_ends_nothing(false: Gauge) -> None:
    send(false, 1, 1.0, 3.3, 1.0, 3.3)
    assert events(false) == [("raised", 3)] and held(false)


@pytest.mark.parametrize("together", [False, True], ids=["one by one", "in one batch"])
def test_a_level_above_all_that_was_false_is_something_new(false: Gauge, together: bool) -> None:
    values = 2.7, 3.3, 3.7, 4.5
    if together:
        false.send([(START + n * STEP, value) for n, value in enumerate(values, start=1)])
        false.evaluate()
    else:
        send(false, 1, *values)
    assert events(false) == [("raised", 3), ("raised", 4), ("escalated", 5)]
    assert false.rows("select count(*) from alert where cleared_at is null") == [(1,)]


def test_one_doubtful_reading_above_it_is_nothing_new_and_a_second_that_says_so_is(false: Gauge) -> None:
    doubtful = Quality.DOUBTFUL, Reason.RATE
    send(false, 1, (4.5, *doubtful), 3.3, (4.5, *doubtful))
    assert events(false) == [("raised", 3)] and held(false)
    send(false, 4, (3.7, *doubtful))
    assert events(false)[:2] == [("raised", 3), ("raised", 4)] and not held(false)


def test_bad_and_missing_readings_end_nothing_and_a_value_marked_bad_and_good_again_raises_nothing(
    false: Gauge,
) -> None:
    send(false, 1, *[(0.5, *BAD)] * 5, (None, Quality.MISSING, Reason.SENSOR), 3.3)
    assert held(false)
    false.send([(START, (3.3, *BAD))])  # a person says so of what raised it
    false.evaluate()
    false.send([(START, 3.3)])  # and takes it back
    false.evaluate()
    assert events(false) == [("raised", 3)]


def test_a_person_says_that_it_counts_again(false: Gauge, officer: int) -> None:
    send(false, 1, 3.3)
    do(retraction.count_again, false, 1, officer)
    assert false.rows("select counts_again_by from alert_retraction") == [(officer,)]
    assert events(false) == [("raised", 3)], "what was judged stays judged"
    send(false, 2, 3.3)
    assert events(false) == [("raised", 3), ("raised", 3)]
    with pytest.raises(NotRetracted):
        do(retraction.count_again, false, 1, officer)


def test_what_its_rule_had_seen_end_holds_nothing_back(gauge: Gauge, officer: int) -> None:
    send(gauge, 0, 3.3, 1.0, 1.0, 1.0, 1.0)
    retract(gauge, officer)
    assert not held(gauge)
    send(gauge, 5, 3.3)
    assert events(gauge) == [("raised", 3), ("cleared", None), ("raised", 3)]


def test_an_older_alert_that_is_retracted_leaves_the_open_one_alone(gauge: Gauge, officer: int) -> None:
    send(gauge, 0, 3.3, 1.0, 1.0, 1.0, 1.0, 2.7)
    retract(gauge, officer)
    send(gauge, 6, 3.3, 1.0, 1.0, 1.0, 1.0)
    assert events(gauge) == [
        ("raised", 3),
        ("cleared", None),
        ("raised", 2),
        ("escalated", 3),
        ("cleared", None),
    ]


def test_what_was_false_in_one_drill_holds_nothing_back_in_the_next(false: Gauge) -> None:
    """The alert of a drill is of the drill's own series; here the gauge's is the next one's."""
    with connect(false.town.owner, name="test") as conn:
        conn.execute(
            "update alert set datastream_id = (select min(datastream_id) from datastream where datastream_id <> %s)",
            (false.datastream_id,),
        )
    send(false, 1, 3.3)
    assert events(false) == [("raised", 3), ("raised", 3)]


def test_an_evaluator_that_waits_for_the_retraction_sees_it(gauge: Gauge, officer: int) -> None:
    gauge.send_series(3.3)
    gauge.evaluate()
    gauge.send([(START + STEP, 3.4)])
    with as_api(gauge) as conn:
        retraction.retract(conn, gauge.town.municipality_id, 1, officer, START, WHY, simulated=False)
        thread = threading.Thread(target=gauge.evaluate)
        thread.start()
        gauge.wait_until_blocked()
    thread.join()
    assert gauge.told() == [("raised", 3), ("retracted", None)] and held(gauge)


RULE = LevelRule(
    "threshold_set:1",
    START - timedelta(days=1),
    tuple(ThresholdLevel(n, f"L{n}", f"L{n}", float(n)) for n in range(1, 6)),
    clear_margin=0.1,
    hold=2 * STEP,
)
FALSE = StillFalse(7, 1, 3, 5, "actual", None, 3, START, START)


def judged(readings: list[Observed], pieces: list[int]) -> list[Transition]:
    """What counts of readings behind a retracted alert of level 3, that come in pieces of these lengths."""
    found: list[Transition] = []
    still: StillFalse | None = FALSE
    stand: Stand | None = None
    at = 0
    for piece in [*pieces, len(readings)]:
        new, before = readings[at : at + piece], readings[max(0, at - 3) : at]
        at += piece
        steps = judge_level([RULE], new, before, stand if still is None else Stand(3, 3))
        if still is not None:
            steps, over = after_level(steps, still)
            still = still if over is None else None
        found += steps
        stand = after(found[-1]) if found else None
    return found


@given(
    st.lists(st.tuples(st.sampled_from([0.5, 0.95, 1.2, 2.5, 3.3, 4.2, 5.5]), st.sampled_from(Quality)), max_size=24),
    st.lists(st.integers(1, 6), max_size=12),
)
def test_in_whatever_pieces_they_come_the_same_readings_count(
    values: list[tuple[float, Quality]], pieces: list[int]
) -> None:
    readings = [
        Observed(START + n * STEP, None if quality is Quality.MISSING else value, quality)
        for n, (value, quality) in enumerate(values, start=1)
        if quality not in (Quality.BAD, Quality.MISSING)  # as they are read
    ]
    assert judged(readings, pieces) == judged(readings, [len(readings)])


@pytest.mark.parametrize("together", [False, True], ids=["one by one", "in one batch"])
def test_a_rule_of_the_staff_is_quiet_until_it_is_no_longer_so(gauge: Gauge, officer: int, together: bool) -> None:
    write_rule(gauge, HIGH)
    send(gauge, 0, 1.6)
    assert steps_written(gauge) == [("raised", 1.6)]
    gauge.clock.advance(timedelta(minutes=5))
    retract(gauge, officer)
    values = 1.6, 1.7, 1.0, 1.0, 1.0, 1.6
    if together:
        gauge.send([(START + n * STEP, value) for n, value in enumerate(values, start=1)])
        gauge.evaluate()
    else:
        send(gauge, 1, *values[:-1])
        assert [event for event, _ in steps_written(gauge)] == ["raised", "retracted"]
        send(gauge, 6, values[-1])
    assert [event for event, _ in steps_written(gauge)] == ["raised", "retracted", "raised"]
    assert not held(gauge)


def test_a_silence_that_is_retracted_is_not_raised_again_until_the_device_was_heard(gauge: Gauge, officer: int) -> None:
    gauge.send_series(1.0)
    gauge.clock.advance(timedelta(minutes=41))
    gauge.listen(START)
    gauge.tick()
    ((alert_id,),) = gauge.rows("select alert_id from alert where station_id = %s", gauge.station_id)
    retract(gauge, officer, alert_id=alert_id)
    mine = "select count(*) from alert where station_id = %s"
    for since in (START, START + timedelta(minutes=60)):  # the second time ingest was started anew meanwhile
        gauge.clock.advance(timedelta(hours=1))
        gauge.listen(since)
        gauge.tick()
        assert gauge.rows(mine, gauge.station_id) == [(1,)]
    gauge.send([(gauge.clock.now(), 1.0)])
    gauge.tick()
    assert not held(gauge)
    gauge.clock.advance(timedelta(minutes=41))
    gauge.listen(START)
    gauge.tick()
    assert gauge.rows(mine, gauge.station_id) == [(2,)], "that is another silence"
