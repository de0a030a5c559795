"""Who is not written to yet: one doubtful reading waits for the next one, and what is said during work for its end."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

import pytest

from alerts import actions
from alerts.errors import NothingUnconfirmed
from alerts.rules.condition import Body, Compare, Number, Reading, Series
from devices.model import Quality, Reason
from store import connect
from store.planned_work import cancel_work, plan_work
from store.reviews import Said, review, settle_reviews
from tests.alerts.gauge import KEY, STEP, Gauge
from tests.alerts.test_actions import do
from tests.alerts.test_written import write_rule
from tests.conftest import START

MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
UPSTREAM = "river-takehara"  # of the same river; its lowest reference level is not reached below
RAIN = "rain-okusawa"


def doubtful(value: float, reason: Reason = Reason.RATE) -> tuple[float, Quality, Reason]:
    return value, Quality.DOUBTFUL, reason


def arrives(gauge: Gauge, value: object, *, after: timedelta = STEP) -> None:
    """A reading of this moment, `after` the one before."""
    gauge.clock.advance(after)
    gauge.send([(gauge.clock.now(), value)])  # type: ignore[list-item]
    gauge.evaluate()


def passes(gauge: Gauge, time: timedelta) -> None:
    gauge.clock.advance(time)
    gauge.tick()


def subjects(gauge: Gauge) -> list[str]:
    return [row[0] for row in gauge.rows("select subject from outbox where channel = 'log' order by outbox_id")]


def withheld(gauge: Gauge) -> list[tuple[int, int | None, str | None]]:
    """(level, confirmed level, why nobody is told) of the open level alerts."""
    return gauge.rows(
        "select level, confirmed_level, withheld from alert where rule = 'level' and cleared_at is null order by 1"
    )


def steps(gauge: Gauge) -> list[tuple[str, int | None, bool, str | None]]:
    return gauge.rows("select event, level, unconfirmed, reason from alert_history order by alert_history_id")


def beside(gauge: Gauge, station: str, observed: str, *values: float, until: datetime) -> None:
    """Readings of another station, the last of them at `until`."""
    series = gauge.town.datastream(station, observed)
    with connect(gauge.town.owner, name="test") as conn:
        for n, value in enumerate(reversed(values)):
            conn.execute("insert into observation values (%s, %s, %s, 'good')", (series, until - n * STEP, value))


def work(gauge: Gauge, start: timedelta, end: timedelta, *, key: str = KEY) -> int:
    """Planned at the gauge's device, from and to so long after START."""
    device = gauge.town.directory.device(key)
    assert device is not None
    with connect(gauge.town.owner, name="test") as conn:
        return plan_work(
            conn,
            gauge.town.municipality_id,
            device.device_id,
            starts_at=START + start,
            ends_at=START + end,
            work="清掃",
            now=START,
            user_id=None,
        )


# --- one doubtful reading --------------------------------------------------------------------------------------


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


# --- work ------------------------------------------------------------------------------------------------------


def test_during_work_an_alert_is_on_the_screen_and_people_are_told_once_when_it_is_over(gauge: Gauge) -> None:
    work(gauge, timedelta(0), timedelta(hours=1))
    arrives(gauge, doubtful(2.7, Reason.MAINTENANCE))
    arrives(gauge, doubtful(2.8, Reason.MAINTENANCE))
    passes(gauge, 30 * MINUTE)
    assert withheld(gauge) == [(2, 2, "work")]
    assert subjects(gauge) == []
    passes(gauge, 12 * MINUTE)
    assert withheld(gauge) == [(2, 2, "unconfirmed")], "the first reading after the work says whether it is so"
    arrives(gauge, 2.9, after=MINUTE)
    passes(gauge, timedelta(hours=1))
    assert len(subjects(gauge)) == 1 and "2.90 m" in subjects(gauge)[0]
    assert [event for event, *_ in steps(gauge)] == ["raised", "withheld", "confirmed", "withheld", "told"]


def test_what_the_first_reading_after_the_work_does_not_bear_out_pages_nobody(gauge: Gauge) -> None:
    work(gauge, timedelta(0), timedelta(hours=1))
    for _ in range(5):
        arrives(gauge, doubtful(2.7, Reason.MAINTENANCE))
    passes(gauge, 11 * MINUTE)
    for _ in range(5):
        arrives(gauge, 1.0)
    passes(gauge, timedelta(hours=1))
    assert (withheld(gauge), subjects(gauge)) == ([], [])
    assert gauge.told()[-1] == ("cleared", None)


def test_where_nothing_comes_after_the_work_people_are_told_of_what_stands(gauge: Gauge) -> None:
    work(gauge, timedelta(0), timedelta(hours=8))
    arrives(gauge, doubtful(2.7, Reason.MAINTENANCE))
    arrives(gauge, doubtful(2.7, Reason.MAINTENANCE))
    passes(gauge, timedelta(hours=7, minutes=41))
    passes(gauge, 6 * MINUTE)
    assert len(subjects(gauge)) == 1, "older than the station's limit only because of the work"
    assert steps(gauge)[-1][0] == "told"


def test_a_work_that_is_called_off_is_over(gauge: Gauge) -> None:
    planned = work(gauge, timedelta(0), timedelta(hours=5))
    arrives(gauge, 2.7)
    assert (withheld(gauge), subjects(gauge)) == ([(2, 2, "work")], [])
    with connect(gauge.town.owner, name="test") as conn:
        cancel_work(conn, gauge.town.municipality_id, planned, now=gauge.clock.now(), user_id=None)
    arrives(gauge, 2.8)
    assert len(subjects(gauge)) == 1


def test_the_highest_level_is_told_during_work_where_two_readings_agree(gauge: Gauge) -> None:
    work(gauge, timedelta(0), timedelta(hours=5))
    arrives(gauge, doubtful(4.5, Reason.MAINTENANCE))
    assert subjects(gauge) == [], "a hand before the sensor"
    arrives(gauge, doubtful(4.5, Reason.MAINTENANCE))
    (told,) = subjects(gauge)
    assert told.startswith("【模擬】作業中の機器の値 美守橋")
    assert steps(gauge)[-1] == ("confirmed", 5, False, "highest_at_work")


def test_the_highest_level_is_told_during_work_where_a_neighbour_rises(gauge: Gauge) -> None:
    work(gauge, timedelta(0), timedelta(hours=5))
    beside(gauge, UPSTREAM, "water_level", 0.5, 0.6, 0.75, until=START + STEP)
    arrives(gauge, doubtful(4.5, Reason.MAINTENANCE))
    assert subjects(gauge)[0].startswith("【模擬】作業中の機器の値 未確認の値")


def test_work_at_another_device_keeps_nobody_from_being_told(gauge: Gauge) -> None:
    other = gauge.rows("select key from device where key <> %s order by device_id limit 1", KEY)[0][0]
    work(gauge, timedelta(0), timedelta(hours=5), key=other)
    arrives(gauge, 2.7)
    assert len(subjects(gauge)) == 1


def test_a_person_can_have_people_told_during_work(gauge: Gauge) -> None:
    user = gauge.user("disaster")
    work(gauge, timedelta(0), timedelta(hours=5))
    arrives(gauge, doubtful(2.7, Reason.MAINTENANCE))
    arrives(gauge, doubtful(2.7, Reason.MAINTENANCE))
    ((alert_id,),) = gauge.rows("select alert_id from alert")
    do(actions.confirm, gauge, alert_id, user)
    gauge.evaluate()
    assert len(subjects(gauge)) == 1


def test_a_rule_of_the_staff_waits_for_the_end_of_the_work(gauge: Gauge) -> None:
    write_rule(gauge, Body(Compare(Reading(Series("water_level")), "above", Number(1.5), margin=0.1), hold=1200))
    work(gauge, timedelta(0), 35 * MINUTE)
    arrives(gauge, 1.6)
    arrives(gauge, 1.7)
    passes(gauge, 10 * MINUTE)
    assert gauge.rows("select rule, withheld from alert") == [("written", "work")]
    assert subjects(gauge) == []
    arrives(gauge, 1.7)
    assert len(subjects(gauge)) == 1
    assert gauge.rows("select withheld from alert") == [(None,)]
    passes(gauge, timedelta(hours=1))
    assert [event for event, *_ in steps(gauge) if event == "told"] == ["told"]


def test_a_rule_of_the_staff_is_told_after_the_work_though_nothing_comes(gauge: Gauge) -> None:
    write_rule(gauge, Body(Compare(Reading(Series("water_level")), "above", Number(1.5), margin=0.1), hold=1200))
    work(gauge, timedelta(0), 35 * MINUTE)
    arrives(gauge, 1.6)
    passes(gauge, 26 * MINUTE)
    assert subjects(gauge) == []
    passes(gauge, 6 * MINUTE)
    assert len(subjects(gauge)) == 1


def test_a_silence_during_work_is_told_when_it_is_over_and_its_end_only_to_who_was_told(gauge: Gauge) -> None:
    """Two devices at one station: somebody works at the one, the other falls silent."""
    arrives(gauge, 1.0, after=timedelta(0))
    with connect(gauge.town.owner, name="test") as conn:
        row = conn.execute(
            """
            insert into device (municipality_id, key, model, silence_after)
            select municipality_id, 'beefbeefbeefbeef', model, '1 day' from device where key = %s returning device_id
            """,
            (KEY,),
        ).fetchone()
        assert row is not None
        conn.execute(
            "insert into attachment (municipality_id, device_id, station_id, attached_from) values (%s, %s, %s, %s)",
            (gauge.town.municipality_id, row[0], gauge.station_id, START),
        )
        plan_work(
            conn,
            gauge.town.municipality_id,
            row[0],
            starts_at=START,
            ends_at=START + timedelta(hours=2),
            work="交換",
            now=START,
            user_id=None,
        )

    def about() -> list[str]:
        return [each for each in subjects(gauge) if "美守橋" in each]

    gauge.clock.advance(timedelta(hours=1))
    gauge.listen(START)
    gauge.tick()
    assert about() == []
    query = "select withheld from alert where station_id = %s and rule = 'silence' order by alert_id"
    assert gauge.rows(query, gauge.station_id) == [("work",)]
    gauge.clock.advance(timedelta(hours=1))
    gauge.listen(START)
    gauge.tick()
    assert len(about()) == 1 and gauge.rows(query, gauge.station_id) == [(None,)]
    gauge.send([(gauge.clock.now(), 1.0)])
    gauge.clock.advance(MINUTE)
    gauge.listen(START)
    gauge.tick()
    assert len(about()) == 2


# --- what is said later of a reading ---------------------------------------------------------------------------


def revise(gauge: Gauge, time: datetime, quality: Quality, reason: Reason) -> None:
    """A person has looked into the reading of this time, and its quality is another one (`store.correct`)."""
    said = Said.FALSE if quality is Quality.BAD else Said.TRUE
    user = gauge.rows("select coalesce(max(user_id), 0) from app_user")[0][0] or gauge.user("digital")
    with connect(gauge.town.owner, name="test") as conn:
        review(
            conn,
            gauge.town.municipality_id,
            gauge.datastream_id,
            start=time,
            end=time,
            verdict=said,
            amount=None,
            note="点検で確認",
            now=gauge.clock.now(),
            user_id=user,
        )
    with connect(gauge.town.worker, name="test") as conn:
        while settle_reviews(conn, now=gauge.clock.now()):
            pass
    assert gauge.rows(
        "select quality::text, reason from observation where datastream_id = %s and phenomenon_time = %s",
        gauge.datastream_id,
        time,
    ) == [(quality, reason)]
    gauge.evaluate()


def test_an_alert_that_stands_only_on_a_false_reading_ends_when_a_person_says_so(gauge: Gauge) -> None:
    arrives(gauge, 1.0)
    arrives(gauge, 2.9)
    assert len(subjects(gauge)) == 1
    revise(gauge, START + 2 * STEP, Quality.BAD, Reason.REJECTED)
    assert withheld(gauge) == []
    assert steps(gauge)[-1] == ("cleared", None, False, "revised")
    assert "先の観測値が訂正され、水位は基準を下回っています" in subjects(gauge)[1]
    arrives(gauge, 2.9)
    assert [event for event, *_ in steps(gauge)].count("raised") == 2, "the next one is judged as any other"


def test_an_alert_goes_down_to_what_its_other_readings_say(gauge: Gauge) -> None:
    arrives(gauge, 2.1)
    arrives(gauge, 3.3)
    arrives(gauge, 2.2)
    revise(gauge, START + 2 * STEP, Quality.BAD, Reason.REJECTED)
    assert withheld(gauge) == [(1, 1, None)]
    assert gauge.told()[-1] == ("lowered", 1)
    assert "先の観測値が訂正され" in subjects(gauge)[-1]


def test_an_alert_that_others_bear_out_stays_when_one_reading_is_false(gauge: Gauge) -> None:
    for value in (2.1, 3.3, 3.4):
        arrives(gauge, value)
    before = steps(gauge)
    revise(gauge, START + 2 * STEP, Quality.BAD, Reason.REJECTED)
    assert steps(gauge) == before


def test_a_doubtful_reading_that_a_person_confirms_on_the_quality_page_is_told(gauge: Gauge) -> None:
    arrives(gauge, 1.0)
    arrives(gauge, doubtful(2.9))
    revise(gauge, START + 2 * STEP, Quality.GOOD, Reason.CONFIRMED)
    (told,) = subjects(gauge)
    assert "未確認" not in told and steps(gauge)[-1] == ("confirmed", 2, False, None)


def test_a_false_reading_of_an_alert_that_is_over_changes_nothing(gauge: Gauge) -> None:
    for value in (2.1, 1.0, 1.0, 1.0, 1.0):
        arrives(gauge, value)
    before = steps(gauge)
    revise(gauge, START + STEP, Quality.BAD, Reason.REJECTED)
    assert steps(gauge) == before
