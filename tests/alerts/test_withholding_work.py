"""What is said during work waits for its end."""

from __future__ import annotations

from datetime import timedelta

from alerts import actions
from alerts.rules.condition import Body, Compare, Number, Reading, Series
from devices.model import Reason
from store import connect
from store.planned_work import cancel_work, plan_work
from tests.alerts.gauge import KEY, STEP, Gauge
from tests.alerts.test_actions import do
from tests.alerts.test_written import write_rule
from tests.alerts.withholding import (
    MINUTE,
    UPSTREAM,
    arrives,
    beside,
    doubtful,
    passes,
    steps,
    subjects,
    withheld,
    work,
)
from tests.conftest import START


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
