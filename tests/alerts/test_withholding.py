"""Who is not written to yet: one doubtful reading waits for the next one."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from alerts import actions
from alerts.errors import NothingUnconfirmed
from store import connect
from tests.alerts.gauge import KEY, STEP, Gauge
from tests.alerts.test_actions import do
from tests.alerts.withholding import (
    MINUTE,
    RAIN,
    SECOND,
    UPSTREAM,
    arrives,
    beside,
    doubtful,
    passes,
    steps,
    subjects,
    withheld,
)
from tests.conftest import START


def test_a_spike_is_on_the_screen_and_pages_nobody_when_its_next_reading_comes_in_time(gauge: Gauge) -> None:
    gauge.user("disaster", "bousai@example.jp")
    arrives(gauge, 1.9)
    arrives(gauge, doubtful(2.9))
    assert withheld(gauge) == [(2, None, "unconfirmed")]
    passes(gauge, 4 * MINUTE)
    arrives(gauge, doubtful(1.9), after=MINUTE)
    passes(gauge, timedelta(hours=1))
    assert steps(gauge) == [
        ("raised", 2, True, None),
        ("withheld", 2, False, "unconfirmed"),
        ("cleared", None, True, None),
    ]
    assert gauge.rows("select from outbox") == []
    assert gauge.rows("select peak_level, confirmed_level, withheld from alert") == [(2, None, None)]


def test_a_flash_flood_whose_readings_are_doubtful_pages_within_one_interval(gauge: Gauge) -> None:
    arrives(gauge, 1.0)
    arrives(gauge, doubtful(2.9))
    passes(gauge, 5 * MINUTE + 29 * SECOND)
    assert subjects(gauge) == []
    passes(gauge, 2 * SECOND)
    (told,) = subjects(gauge)
    assert told.startswith("【模擬】未確認の値 美守橋水位観測所 水位のお知らせ：")
    assert "以上の値が１回観測されました 2.90 m" in told
    passes(gauge, 4 * MINUTE)
    arrives(gauge, doubtful(3.0), after=SECOND)
    assert steps(gauge)[2:] == [("told", 2, True, "waited"), ("confirmed", 2, False, None)]
    assert len(subjects(gauge)) == 1, "who was told of it is not told again that it is so"


def test_what_the_next_reading_confirms_is_told_as_any_other(gauge: Gauge) -> None:
    arrives(gauge, 1.0)
    arrives(gauge, doubtful(2.7))
    arrives(gauge, doubtful(2.8), after=4 * MINUTE)
    (told,) = subjects(gauge)
    assert "未確認" not in told and "2.80 m" in told
    assert withheld(gauge) == [(2, 2, None)]
    passes(gauge, timedelta(hours=1))
    assert len(subjects(gauge)) == 1


def test_what_is_confirmed_does_not_wait_for_the_rest(gauge: Gauge) -> None:
    arrives(gauge, 1.0)
    arrives(gauge, doubtful(2.1))
    arrives(gauge, doubtful(2.9), after=4 * MINUTE)
    (told,) = subjects(gauge)
    assert "警戒レベル１相当" in told and "2.10 m" in told and "未確認" not in told
    ((body,),) = gauge.rows("select body from outbox where channel = 'log'")
    assert "2.90 m" in body and "未確認）" in body
    assert withheld(gauge) == [(2, 1, "unconfirmed")]
    passes(gauge, 6 * MINUTE)
    assert subjects(gauge)[1].startswith("【模擬】未確認の値")
    assert withheld(gauge) == [(2, 1, None)]


def test_what_was_told_as_unconfirmed_and_is_not_borne_out_is_taken_back_to_those_who_were_told(gauge: Gauge) -> None:
    gauge.user("disaster", "bousai@example.jp")
    arrives(gauge, 1.0)
    arrives(gauge, doubtful(2.9))
    gauge.clock.advance(6 * MINUTE)
    gauge.tick(mail=True)
    gauge.clock.advance(4 * MINUTE)
    gauge.send([(gauge.clock.now(), 1.0)])
    gauge.evaluate(mail=True)
    found = gauge.rows("select subject from outbox where channel = 'mail' order by outbox_id")
    assert len(found) == 2 and "次の観測値で否定され" in found[1][0]


def test_at_the_highest_level_nothing_waits(gauge: Gauge) -> None:
    arrives(gauge, 1.0)
    arrives(gauge, doubtful(4.5))
    (told,) = subjects(gauge)
    assert told.startswith("【模擬】未確認の値")
    assert steps(gauge) == [("raised", 5, True, "highest")]


def test_a_station_that_allows_no_waiting_tells_at_once(gauge: Gauge) -> None:
    gauge.rows("update station set confirm_within = '0' where station_id = %s returning 1", gauge.station_id)
    arrives(gauge, 1.0)
    arrives(gauge, doubtful(2.9))
    assert subjects(gauge)[0].startswith("【模擬】未確認の値")


def test_a_series_that_reports_every_minute_waits_for_one(gauge: Gauge) -> None:
    gauge.rows("update datastream set step = '1 minute' where datastream_id = %s returning 1", gauge.datastream_id)
    arrives(gauge, 1.0, after=MINUTE)
    arrives(gauge, doubtful(2.9), after=MINUTE)
    passes(gauge, MINUTE + 31 * SECOND)
    assert len(subjects(gauge)) == 1


def test_a_rising_neighbour_lets_it_go_at_once(gauge: Gauge) -> None:
    beside(gauge, UPSTREAM, "water_level", 0.5, 0.6, 0.75, until=START + 2 * STEP)
    arrives(gauge, 1.0)
    arrives(gauge, doubtful(2.9))
    assert steps(gauge) == [("raised", 2, True, "neighbour")]
    assert subjects(gauge)[0].startswith("【模擬】未確認の値")


def test_a_neighbour_that_rises_meanwhile_lets_it_go_and_one_that_falls_does_not(gauge: Gauge) -> None:
    beside(gauge, UPSTREAM, "water_level", 0.9, 0.7, 0.6, until=START + 2 * STEP)
    arrives(gauge, 1.0)
    arrives(gauge, doubtful(2.9))
    passes(gauge, MINUTE)
    assert subjects(gauge) == []
    beside(gauge, UPSTREAM, "water_level", 0.85, until=START + 2 * STEP + MINUTE)
    passes(gauge, MINUTE)
    assert steps(gauge)[-1] == ("told", 2, True, "neighbour")


def test_a_gauge_of_another_river_speaks_for_nothing_where_this_one_has_neighbours(gauge: Gauge) -> None:
    beside(gauge, "river-shiomibashi", "water_level", 0.5, 1.5, until=START + 2 * STEP)
    arrives(gauge, 1.0)
    arrives(gauge, doubtful(2.9))
    assert subjects(gauge) == []


def test_rain_in_the_catchment_lets_it_go(gauge: Gauge) -> None:
    beside(gauge, RAIN, "precipitation", 4.0, 3.0, 2.9, until=START + 2 * STEP)
    arrives(gauge, 1.0)
    arrives(gauge, doubtful(2.9))
    assert subjects(gauge) == [], "9.9 mm are less than the station's 10 mm in an hour"
    gauge.rows("update station set confirming_rain = 9.5 where station_id = %s returning 1", gauge.station_id)
    passes(gauge, MINUTE)
    assert steps(gauge)[-1] == ("told", 2, True, "rain")


def test_a_device_that_falls_silent_at_the_top_is_told_of_at_once(gauge: Gauge) -> None:
    gauge.rows("update device set silence_after = '2 minutes' where key = %s returning 1", KEY)
    arrives(gauge, 1.0)
    arrives(gauge, doubtful(3.3))
    gauge.clock.advance(3 * MINUTE)
    gauge.listen(START)
    gauge.tick()
    assert ("told", 3, True, "silent") in steps(gauge)
    assert any(each.startswith("【模擬】未確認の値 美守橋") for each in subjects(gauge))


def test_a_reading_that_comes_late_waits_from_when_it_is_known(gauge: Gauge) -> None:
    gauge.clock.advance(40 * MINUTE)
    gauge.send([(START, 1.0), (START + STEP, doubtful(2.9))])
    gauge.evaluate()
    passes(gauge, 5 * MINUTE)
    assert subjects(gauge) == []
    passes(gauge, MINUTE)
    (told,) = subjects(gauge)
    assert told.startswith("【模擬】未確認の値 36分前の観測")


def test_a_spike_that_is_overtaken_in_its_own_batch_pages_nobody(gauge: Gauge) -> None:
    gauge.clock.advance(timedelta(hours=1))
    gauge.send_series(1.0, doubtful(4.5), 1.0, 2.1)
    gauge.evaluate()
    assert [(event, level) for event, level, *_ in steps(gauge)] == [("raised", 5), ("cleared", None), ("raised", 1)]
    assert len(subjects(gauge)) == 1 and "2.10 m" in subjects(gauge)[0]


def test_a_spike_over_a_level_in_one_batch_is_not_told_for_that_level(gauge: Gauge) -> None:
    gauge.clock.advance(STEP)
    gauge.send_series(doubtful(3.3), 2.1)
    gauge.evaluate()
    (told,) = subjects(gauge)
    assert "警戒レベル１相当" in told and "2.10 m" in told


def test_two_evaluators_and_replays_make_one_history(gauge: Gauge) -> None:
    arrives(gauge, 1.0)
    arrives(gauge, doubtful(2.9))
    gauge.clock.advance(6 * MINUTE)
    errors: list[BaseException] = []

    def look() -> None:
        try:
            gauge.tick()
            gauge.evaluate()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    gauge.tick()  # what another had in hand is left to the next look
    assert not errors
    assert [event for event, *_ in steps(gauge)] == ["raised", "withheld", "told"]
    before = steps(gauge), gauge.rows("select * from outbox"), gauge.rows("select * from alert")
    with connect(gauge.town.worker, name="test") as conn:
        conn.execute("update feed_cursor set feed_id = 0")
    gauge.evaluate()
    gauge.tick()
    assert (steps(gauge), gauge.rows("select * from outbox"), gauge.rows("select * from alert")) == before


def test_a_newer_reading_that_is_not_judged_yet_decides_before_the_clock(gauge: Gauge) -> None:
    arrives(gauge, 1.0)
    arrives(gauge, doubtful(2.9))
    gauge.clock.advance(6 * MINUTE)
    gauge.send([(gauge.clock.now(), 1.0)])
    gauge.tick()
    gauge.evaluate()
    assert subjects(gauge) == []


def test_a_person_who_says_that_it_is_right_has_people_told_now(gauge: Gauge) -> None:
    user = gauge.user("disaster")
    arrives(gauge, 1.0)
    arrives(gauge, doubtful(2.9))
    ((alert_id,),) = gauge.rows("select alert_id from alert")
    do(actions.confirm, gauge, alert_id, user, "現地で確認")
    gauge.evaluate()
    (told,) = subjects(gauge)
    assert "未確認" not in told and "2.90 m" in told
    assert [event for event, *_ in steps(gauge)] == ["raised", "withheld", "confirmed", "told"]
    assert gauge.rows("select verdict, note, from_time = to_time from quality_review") == [("true", "現地で確認", True)]
    passes(gauge, timedelta(hours=1))
    assert len(subjects(gauge)) == 1
    with pytest.raises(NothingUnconfirmed):
        do(actions.dismiss, gauge, alert_id, user)


def test_a_person_who_says_that_it_is_wrong_ends_it_and_nobody_is_told(gauge: Gauge) -> None:
    user = gauge.user("disaster")
    arrives(gauge, 1.0)
    arrives(gauge, doubtful(2.9))
    ((alert_id,),) = gauge.rows("select alert_id from alert")
    do(actions.dismiss, gauge, alert_id, user)
    passes(gauge, timedelta(hours=1))
    assert (withheld(gauge), subjects(gauge)) == ([], [])
    assert gauge.rows("select verdict from quality_review") == [("false",)]
    assert gauge.rows("select cleared_by from alert") == [(user,)]


def test_a_person_who_dismisses_what_was_above_a_confirmed_level_leaves_that(gauge: Gauge) -> None:
    user = gauge.user("disaster")
    arrives(gauge, 2.1)
    arrives(gauge, doubtful(3.3))
    ((alert_id,),) = gauge.rows("select alert_id from alert")
    do(actions.dismiss, gauge, alert_id, user)
    assert withheld(gauge) == [(3, 1, "dismissed")]
    gauge.evaluate()
    assert withheld(gauge) == [(1, 1, None)]
    assert gauge.rows("select peak_level from alert") == [(1,)]
    assert len(subjects(gauge)) == 1
