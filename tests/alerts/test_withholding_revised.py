"""What is said later of a reading: an alert ends, goes down or is told when a person has looked into it."""

from __future__ import annotations

from datetime import datetime

from devices.model import Quality, Reason
from store import connect
from store.reviews import Said, review, settle_reviews
from tests.alerts.gauge import STEP, Gauge
from tests.alerts.withholding import (
    arrives,
    doubtful,
    steps,
    subjects,
    withheld,
)
from tests.conftest import START


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
