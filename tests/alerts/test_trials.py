"""In a trial only those who are named are told, every word says so, and nothing real waits for it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from alerts.escalation import Escalation
from alerts.rule_book import add_rule, add_version
from alerts.rules.condition import Body, Compare, Number, Reading, Series
from devices.clock import FixedClock, real_now
from devices.model import StationKind
from store import connect
from tests.alerts.gauge import Gauge
from tests.alerts.people import channels, group, person
from tests.alerts.test_delivery import Way, send_all
from tests.conftest import START, Registered
from tests.drilling import STEP
from tests.trialling import Trialled

MARK = "【模擬】【試験】"


@pytest.fixture
def trial(registered: Registered, clock: FixedClock) -> Trialled:
    """Mail is a channel; somebody is told of what is real."""
    channels(registered, "mail")
    trial = Trialled(registered, clock)
    group(registered, "防災当番", [person(registered, "鈴木", ("mail", "suzuki@example.jp"))])
    return trial


def test_only_those_who_are_named_are_told_and_its_end_ends_its_alerts(trial: Trialled) -> None:
    installer = person(trial.town, "設置業者", ("mail", "installer@example.jp"))
    number = trial.begin(persons=[installer])
    trial.send((START, 3.7), (START + STEP, 3.7))
    trial.clock.advance(STEP)
    trial.judge(mail=True)
    with connect(trial.town.owner, name="test") as conn:
        conn.execute("update outbox set written_at = written_at - interval '1 hour', sent_at = %s", (real_now(),))
    with connect(trial.town.worker, name="test") as conn:
        assert Escalation(trial.clock).look(conn) == 0, "nobody is called on in a trial"
    assert trial.alerts() == [("test", 4, False)]
    trial.end(number)
    trial.send((START + STEP / 2, 4.5))  # late: of the trial, which is over
    trial.judge(mail=True)
    trial.tick()
    assert trial.alerts() == [("test", 4, True)]
    assert [(event, who) for event, who, _ in trial.told()] == [
        ("raised", "installer@example.jp"),
        ("cleared", "installer@example.jp"),
    ]
    for subject, body, brief, spoken in trial.rows("select subject, body, brief, spoken from outbox"):
        assert all(each.startswith(MARK) for each in (subject, body, brief))
        assert "これは試験です。" in spoken
    trial.tick()
    assert len(trial.told()) == 2, "it is said once"


def test_what_is_real_has_its_own_alert_and_goes_out_first(trial: Trialled) -> None:
    """Real, of a drill and of a trial at once: in the order of writing the real one is the last."""
    here = person(trial.town, "設置業者", ("mail", "installer@example.jp"))
    trial.start(trial.plan((3.7, 3.7), persons=[here], stop_level=5))
    trial.run(1)
    number = trial.begin(persons=[here])
    trial.send((trial.clock.now(), 3.3))
    trial.judge()
    trial.end(number)
    trial.clock.advance(STEP)
    Gauge(trial.town, trial.clock).send([(trial.clock.now() - timedelta(minutes=n), 2.7) for n in (1, 0)])
    trial.judge()
    modes = [mode for mode, *_ in trial.alerts()]
    assert modes == ["exercise", "test", "actual"]
    way = Way("mail")
    send_all(Gauge(trial.town, trial.clock), way)
    marks = [("【訓練】" in each.subject, "【試験】" in each.subject) for each in way.sent]
    assert marks[0] == (False, False) and sorted(marks[1:]) == [(False, True), (True, False)]


def test_rules_of_the_staff_judge_it_as_a_test_and_other_stations_never(trial: Trialled) -> None:
    with connect(trial.town.owner, name="test") as conn:
        rule = add_rule(conn, trial.town.municipality_id, station_id=None, kind=StationKind.RIVER_GAUGE, now=START)
        high = Body(Compare(Reading(Series("water_level", station="river-mimamoribashi")), "above", Number(1.5)))
        said = {"name": "橋の水位が高い", "severity": 2, "active": True, "body": high, "reason": "大雨"}
        add_version(conn, trial.town.municipality_id, rule, valid_from=START, now=START, user_id=None, **said)  # type: ignore[arg-type]
    trial.begin(starts_at=START + STEP)
    trial.clock.advance(2 * STEP)
    trial.send((START + STEP, 1.9), (START + 2 * STEP, 1.9))
    trial.judge()
    assert trial.rows("select mode, station_id, rule from alert") == [("test", trial.station(), "written")]


def test_a_station_in_trial_owes_no_message_and_has_its_whole_patience_after_it(trial: Trialled) -> None:
    gauge = Gauge(trial.town, trial.clock)
    gauge.send([(START, 1.0)])
    elsewhere = "(select attachment_id from attachment where station_id <> %s)"
    for table in ("field_mapping", "attachment"):
        trial.rows(f"delete from {table} where attachment_id in {elsewhere} returning 1", trial.station())

    def silent() -> bool:
        gauge.listen(START - timedelta(days=1))
        gauge.tick()
        return bool(trial.rows("select from alert where rule = 'silence' and cleared_at is null"))

    number = trial.begin()
    trial.clock.advance(timedelta(days=3))
    assert not silent()
    trial.end(number)
    trial.clock.advance(timedelta(minutes=1))
    assert not silent()
    trial.clock.advance(timedelta(days=3))
    assert silent()


def flooded(trial: Trialled) -> Gauge:
    """A real alert of the station, at level 3."""
    gauge = Gauge(trial.town, trial.clock)
    gauge.send([(START, 2.9), (START + STEP, 3.3)])
    trial.clock.advance(STEP)
    trial.judge(mail=True)
    assert trial.alerts() == [("actual", 3, False)]
    return gauge


def of_trials(trial: Trialled) -> list[tuple[str, str]]:
    return trial.rows(
        "select event, rule_version from alert_history where rule_version like 'trial:%%' order by alert_history_id"
    )


def test_over_a_real_alert_it_is_said_to_who_is_on_duty_and_in_its_history(trial: Trialled) -> None:
    flooded(trial)
    number = trial.begin(starts_at=trial.clock.now() + STEP)
    trial.tick()
    assert of_trials(trial) == [], "it has not begun"
    trial.clock.advance(STEP)
    trial.tick()
    trial.tick()
    assert of_trials(trial) == [("in_trial", f"trial:{number}")], "it is said once"
    assert [(event, who) for event, who, _ in trial.told()][-1] == ("in_trial", "suzuki@example.jp")
    ((subject, body, brief, spoken),) = trial.rows(
        "select subject, body, brief, spoken from outbox join alert_history using (alert_history_id) "
        "where event = 'in_trial' and channel = 'mail'"
    )
    assert subject.startswith("【模擬】発生中のアラートの観測所が、試験になりました：美守橋")
    assert "【試験】" not in subject, "the alert is real"
    assert "上がりも下がりも終わりもしません" in body and "水位計の交換" in body
    assert "水位計の交換" not in brief + spoken, "why is for staff alone"
    trial.send((trial.clock.now(), 0.5))
    trial.judge()
    trial.clock.advance(timedelta(hours=2))
    trial.tick()
    assert trial.alerts() == [("actual", 3, False)], "what is measured in it ends nothing"
    trial.end(number)
    trial.tick()
    assert of_trials(trial)[1:] == [("commented", f"trial:{number}")], "it hears again"


def test_an_alert_that_the_trial_does_not_touch_hears_nothing_of_it(trial: Trialled) -> None:
    flooded(trial)
    trial.end(trial.begin(starts_at=trial.clock.now() + STEP))
    trial.begin(properties=["precipitation"])
    trial.clock.advance(2 * STEP)
    trial.tick()
    assert of_trials(trial) == []
    assert trial.rows("select count(*) from station_trial where opened_at is null") == [(0,)], "nobody looks again"
