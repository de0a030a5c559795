"""Who is told of what comes late: a batch is told once, what was overtaken is told to nobody and listed."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from alerts.rules.level import Newest, Stand
from alerts.rules.telling import Told, level_steps
from alerts.rules.transition import Event, Transition
from tests.alerts.gauge import STEP, Gauge
from tests.conftest import START

MINUTE = timedelta(minutes=1)


def subjects(gauge: Gauge) -> list[str]:
    return [row[0] for row in gauge.rows("select subject from outbox where channel = 'log' order by outbox_id")]


def test_an_outage_over_a_rising_flood_is_told_once_at_the_highest_level(gauge: Gauge) -> None:
    gauge.send_series(1.5)
    gauge.evaluate()
    gauge.clock.advance(70 * MINUTE)
    gauge.send_series(2.1, 2.4, 2.7, 3.0, 3.3, 3.7, start=START + STEP)
    gauge.evaluate()
    (told,) = subjects(gauge)
    assert "警戒レベル４相当" in told and "3.70 m" in told
    assert gauge.told()[-1] == ("escalated", 4)


def test_what_is_old_says_so_first(gauge: Gauge) -> None:
    gauge.clock.advance(40 * MINUTE)
    gauge.send_series(2.7)
    gauge.evaluate()
    assert subjects(gauge)[0].startswith("【模擬】40分前の観測 美守橋水位観測所")


def test_the_newest_value_is_told_with_the_highest_of_the_batch(gauge: Gauge) -> None:
    gauge.clock.advance(30 * MINUTE)
    gauge.send_series(2.1, 3.7, 3.3)
    gauge.evaluate()
    ((body,),) = gauge.rows("select body from outbox where channel = 'log'")
    assert "3.70 m" in body and "最新の観測値：3.30 m" in body


def test_fifty_overtaken_readings_of_a_battery_device_tell_nobody(gauge: Gauge) -> None:
    gauge.clock.advance(50 * STEP)
    gauge.send_series(*(2.1 + 0.1 * (n % 20) for n in range(40)), *(1.0 for _ in range(10)))
    gauge.evaluate()
    assert subjects(gauge) == []
    assert gauge.told()[-1] == ("cleared", None), "it stands in the list of what was"


def test_what_was_overtaken_a_moment_ago_is_open_untold_and_told_when_it_is_so_again(gauge: Gauge) -> None:
    gauge.clock.advance(20 * MINUTE)
    gauge.send_series(2.1, 1.8)
    gauge.evaluate()
    assert (gauge.told(), subjects(gauge)) == ([("raised", 1)], [])
    gauge.clock.advance(10 * MINUTE)
    gauge.send_series(2.2, start=START + 2 * STEP)
    gauge.evaluate()
    assert gauge.told() == [("raised", 1), ("told", 1)]
    assert len(subjects(gauge)) == 1


def test_whoever_was_not_told_of_it_is_not_told_of_its_end(gauge: Gauge) -> None:
    gauge.send_series(2.1, 1.8)
    gauge.evaluate()
    for n in range(2, 6):
        gauge.send_series(1.8, start=START + n * STEP)
        gauge.evaluate()
    assert gauge.told() == [("raised", 1), ("cleared", None)]
    assert subjects(gauge) == []


def test_an_end_is_told_to_those_who_were_told(gauge: Gauge) -> None:
    gauge.send_series(2.1)
    gauge.evaluate()
    gauge.send_series(1.8, 1.8, 1.8, 1.8, start=START + STEP)
    gauge.evaluate()
    assert len(subjects(gauge)) == 2


def test_beyond_the_limit_of_the_station_nobody_is_told(gauge: Gauge) -> None:
    gauge.clock.advance(timedelta(hours=6, minutes=1))
    gauge.send_series(2.7)
    gauge.evaluate()
    assert (gauge.told(), subjects(gauge)) == ([("raised", 2)], [])
    gauge.rows("update station set tell_within = '7 hours' where station_id = %s returning 1", gauge.station_id)
    gauge.send_series(2.7, start=START + MINUTE)
    gauge.evaluate()
    assert gauge.told()[-1] == ("told", 2)


def test_what_comes_behind_what_was_judged_is_listed_once(gauge: Gauge) -> None:
    gauge.send_series(1.0, start=START + 6 * STEP)
    gauge.evaluate()
    gauge.send([(START, 2.7), (START + STEP, 3.3), (START + 2 * STEP, 1.0), (START + 3 * STEP, 2.1)])
    gauge.evaluate()
    gauge.send([(START + 4 * STEP, 1.0)])
    gauge.evaluate()
    assert (gauge.told(), subjects(gauge)) == ([], [])
    assert gauge.rows("select from_time, to_time, value, level from late_excursion order by 1") == [
        (START, START + STEP, 3.3, 3),
        (START + 3 * STEP, START + 3 * STEP, 2.1, 1),
    ]


def test_late_readings_of_a_flood_that_had_its_alert_are_not_listed(gauge: Gauge) -> None:
    gauge.send_series(2.1, start=START)
    gauge.evaluate()
    gauge.send_series(2.2, start=START + 2 * STEP)
    gauge.evaluate()
    gauge.send_series(2.3, start=START + STEP)
    gauge.evaluate()
    assert gauge.rows("select from late_excursion") == []


levels = st.lists(st.sampled_from([None, 1, 2, 3]), min_size=1, max_size=12)


@given(levels, st.lists(st.integers(1, 4), max_size=12), st.data())
def test_in_whatever_batches_it_comes_nobody_is_left_with_a_wrong_picture(
    course: list[int | None], cuts: list[int], data: st.DataObject
) -> None:
    """After every batch: who was told knows the level that stands, unless that is newer than what was told and has
    been overtaken; and nobody believes an alert open that is not.
    """
    steps = [
        Transition(
            Event.CLEARED
            if now is None
            else Event.RAISED
            if was is None
            else Event.ESCALATED
            if now > was
            else Event.LOWERED,
            now,
            START + n * MINUTE,
            1.0,
            "threshold_set:1",
            confirmed=now,
        )
        for n, (was, now) in enumerate(zip([None, *course], course, strict=False))
        if was != now
    ]
    level: int | None = None
    told: int | None = None
    while steps:
        size = cuts.pop() if cuts else len(steps)
        batch, steps = steps[:size], steps[size:]
        after = batch[-1].level
        stands = data.draw(st.sampled_from([None, after])) if after is not None else None
        newest = Newest(batch[-1].time, 1.0, stands, stands, (batch[-1].time, 1.0), 3, "threshold_set:1")
        decided, _ = level_steps(
            batch,
            None if level is None else Told(Stand(level, level), told),
            newest,
            START + timedelta(hours=1),
            timedelta(hours=6),
        )
        messages = [each for each, tell in decided if tell]
        assert len(messages) <= 1, "a batch is told once"
        believed = messages[-1].level if messages else told
        level = after
        if level is None:
            assert believed is None or told is None
        elif stands is not None:
            assert believed is not None and believed >= level
        told = believed
