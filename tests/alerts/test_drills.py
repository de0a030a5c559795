"""In a drill everything runs and says so, only those who take part are told, and what is real goes first."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from alerts import actions
from alerts.apart import participants
from alerts.calling import Group, Person, Roster
from alerts.escalation import MARK, Escalation
from alerts.retraction import retract
from alerts.rule_book import add_rule, add_version
from alerts.rules.condition import Body, Compare, Number, Reading, Series
from devices.clock import FixedClock, real_now
from store import connect
from tests.alerts.gauge import Gauge
from tests.alerts.people import channels, group, person, turn
from tests.alerts.test_delivery import MORNING, Way, send_all
from tests.conftest import Registered
from tests.drilling import FLOOD, STEP, Drill
from tests.store.rights import as_api


@pytest.fixture
def drill(registered: Registered, clock: FixedClock) -> Drill:
    """Mail is a channel; the section has an address."""
    channels(registered, "mail")
    drill = Drill(registered, clock)
    with connect(registered.owner, name="test") as conn:
        conn.execute("update app_user set email = 'desk@example.jp' where user_id = %s", (drill.user(),))
    return drill


def gauge_of(drill: Drill) -> Gauge:
    return Gauge(drill.town, drill.clock)


def test_only_those_who_take_part_are_told_and_every_word_begins_with_the_mark(drill: Drill) -> None:
    tanaka = person(drill.town, "田中", ("mail", "tanaka@example.jp"))
    suzuki = person(drill.town, "鈴木", ("mail", "suzuki@example.jp"))
    group(drill.town, "防災当番", [suzuki])
    drill.start(drill.plan(persons=[tanaka]))
    drill.run(len(FLOOD), mail=True)
    assert drill.alerts() == [("exercise", 4, False)]
    assert [(event, who) for event, who, _ in drill.told()] == [
        ("raised", "tanaka@example.jp"),
        ("escalated", "tanaka@example.jp"),
        ("escalated", "tanaka@example.jp"),
        ("escalated", "tanaka@example.jp"),
    ]
    texts = drill.rows("select subject, body, brief, spoken from outbox")
    assert len(texts) == 8, "the log has them too"
    for subject, body, brief, spoken in texts:
        assert all(each.startswith("【模擬】【訓練】") for each in (subject, body, brief))
        assert spoken.startswith("これは模擬です。実際の状況ではありません。これは訓練です。")


def test_with_nobody_enrolled_nobody_is_told_not_even_the_sections_address(drill: Drill) -> None:
    group(drill.town, "防災当番", [person(drill.town, "鈴木", ("mail", "suzuki@example.jp"))])
    drill.start(drill.plan())
    drill.run(len(FLOOD), mail=True)
    assert drill.alerts() == [("exercise", 4, False)] and drill.told() == []


def test_an_exercise_without_a_drill_and_a_test_reach_nobody(drill: Drill) -> None:
    suzuki = person(drill.town, "鈴木", ("mail", "suzuki@example.jp"))
    group(drill.town, "防災当番", [suzuki])
    from alerts.recording import Recorder

    with connect(drill.town.worker, name="test") as conn:
        recorder = Recorder(conn, drill.clock.now(), True)
        assert set(recorder.roster_of(drill.town.municipality_id).persons) == {suzuki}
        for mode in ("exercise", "test"):
            assert recorder.roster_of(drill.town.municipality_id, mode).persons == {}


def test_the_one_on_duty_first_then_the_substitute_then_everybody_who_takes_part(drill: Drill) -> None:
    people = {
        name: person(drill.town, name, ("mail", f"{name}@example.jp")) for name in ("tanaka", "suzuki", "sato", "mori")
    }
    number = group(drill.town, "防災当番", [people["tanaka"], people["suzuki"], people["sato"]])
    turn(drill.town, number, MORNING, "day", people["tanaka"], people["suzuki"])
    group(drill.town, "ほかの班", [people["mori"]])  # watches the same, and takes no part
    drill.start(drill.plan((3.7, 3.7), groups=[number]))
    drill.run(1)

    def wait(minutes: int) -> None:
        with connect(drill.town.owner, name="test") as conn:
            conn.execute("update outbox set written_at = written_at - %s", (timedelta(minutes=minutes),))
        with connect(drill.town.worker, name="test") as conn:
            Escalation(drill.clock).look(conn, now=real_now())

    wait(6)
    wait(6)
    said = [(event, who.partition("@")[0]) for event, who, _ in drill.told()]
    assert said == [
        ("raised", "tanaka"),
        ("called", "suzuki"),
        ("called", "tanaka"),
        ("called", "suzuki"),
        ("called", "sato"),
    ]
    assert all(subject.startswith("【模擬】【訓練】") for *_, subject in drill.told())
    assert drill.told()[-1][2].startswith(f"【模擬】【訓練】{MARK}")


def test_a_groups_equipment_takes_part_only_where_it_was_chosen() -> None:
    persons = {1: Person(1, "田中"), 2: Person(2, "屋外スピーカー", equipment=True), 3: Person(3, "鈴木")}
    town = Roster(ZoneInfo("Asia/Tokyo"), persons, (Group(7, "防災", (1, 2)), Group(8, "水道", (3,))))
    assert set(participants(town, (), (7,)).persons) == {1}
    assert set(participants(town, (2,), (7,)).persons) == {1, 2}
    assert set(participants(town, (99,), (99,)).persons) == set()


def test_a_drill_and_a_real_flood_have_an_alert_each_and_touch_neither(drill: Drill) -> None:
    tanaka = person(drill.town, "田中", ("mail", "tanaka@example.jp"))
    suzuki = person(drill.town, "鈴木", ("mail", "suzuki@example.jp"))
    group(drill.town, "防災当番", [suzuki])
    drill.start(drill.plan((3.7, 3.7), persons=[tanaka], stop_level=5))
    drill.run(1)
    gauge = gauge_of(drill)
    gauge.send([(drill.clock.now(), 2.1)])
    drill.judge()
    assert drill.alerts() == [("exercise", 4, False), ("actual", 1, False)]
    assert [(who, subject[:8]) for _, who, subject in drill.told()] == [
        ("tanaka@example.jp", "【模擬】【訓練】"),
        ("suzuki@example.jp", drill.told()[1][2][:8]),
    ]
    assert "訓練" not in drill.told()[1][2]
    actual = drill.rows("select level, phenomenon_time, value from alert where mode = 'actual'")
    drill.run(2)
    assert drill.rows("select level, phenomenon_time, value from alert where mode = 'actual'") == actual


def test_the_end_ends_its_alerts_and_tells_those_who_were_told(drill: Drill) -> None:
    tanaka = person(drill.town, "田中", ("mail", "tanaka@example.jp"))
    person(drill.town, "鈴木", ("mail", "suzuki@example.jp"))
    number = drill.plan(persons=[tanaka])
    drill.start(number)
    drill.run(4)
    mail = Way("mail")
    send_all(gauge_of(drill), mail)
    drill.run(1)  # one more step is told, and waits to be sent
    drill.stop(number)
    drill.tick()
    drill.tick()
    assert drill.alerts() == [("exercise", 3, True)]
    send_all(gauge_of(drill), mail)
    assert [each.subject for each in mail.sent][2:] == ["【模擬】【訓練】訓練は担当者が止めました。（秋の図上訓練）"]
    assert "すべて訓練でした" in mail.sent[-1].body
    assert drill.rows("select note from alert_history where event = 'cleared'") == [
        ("訓練「秋の図上訓練」：訓練は担当者が止めました。",)
    ]
    # what is judged late raises nothing any more
    with connect(drill.town.owner, name="test") as conn:
        conn.execute("update feed_cursor set feed_id = 0")
        conn.execute("delete from alert_judged")
    drill.judge()
    assert drill.alerts() == [("exercise", 3, True)]


def test_an_actual_alert_breaks_it_off_and_says_so(drill: Drill) -> None:
    tanaka = person(drill.town, "田中", ("mail", "tanaka@example.jp"))
    drill.start(drill.plan((3.7, 3.7, 3.7), persons=[tanaka]))
    drill.run(1)
    mail = Way("mail")
    send_all(gauge_of(drill), mail)
    gauge_of(drill).send([(drill.clock.now(), 2.7)])
    drill.judge()
    drill.feed()
    drill.tick()
    send_all(gauge_of(drill), mail)
    assert drill.alerts() == [("exercise", 4, True), ("actual", 2, False)]
    assert "実際のお知らせが出ています" in mail.sent[-1].subject


def test_where_all_had_ended_by_itself_the_end_is_told_all_the_same(drill: Drill) -> None:
    tanaka = person(drill.town, "田中", ("mail", "tanaka@example.jp"))
    drill.start(drill.plan((2.1, 1.0, 1.0, 1.0, 1.0, 1.0), persons=[tanaka]))
    drill.run(7)
    mail = Way("mail")
    send_all(gauge_of(drill), mail)
    assert drill.alerts() == [("exercise", 1, True)]
    drill.feed()
    drill.tick()
    send_all(gauge_of(drill), mail)
    assert [each.subject.split("】")[-1][:10] for each in mail.sent][-1] == "訓練は終わりました。"


def test_rules_of_the_staff_are_judged_too(drill: Drill) -> None:
    tanaka = person(drill.town, "田中", ("mail", "tanaka@example.jp"))
    with connect(drill.town.owner, name="test") as conn:
        town, now = drill.town.municipality_id, drill.clock.now()
        rule = add_rule(conn, town, station_id=drill.station(), kind=None, now=now)
        body = Body(Compare(Reading(Series("water_level")), "above", Number(1.5)))
        add_version(
            conn, town, rule, valid_from=now, name="高い", severity=2, active=True, body=body,
            reason="試験", now=now, user_id=None,
        )  # fmt: skip
    drill.start(drill.plan((1.0, 1.6), persons=[tanaka]))
    drill.run(2)
    assert drill.rows("select rule, mode from alert") == [("written", "exercise")]
    ((_, who, subject),) = drill.told()
    assert who == "tanaka@example.jp" and subject.startswith("【模擬】【訓練】")


def test_what_was_taken_back_in_one_drill_is_not_held_back_in_the_next(drill: Drill) -> None:
    for n in (1, 2):
        drill.start(drill.plan((3.7, 3.7)))
        drill.run(1)
        assert len(drill.alerts()) == n
        with as_api(drill.town) as conn:
            at, user = drill.clock.now(), drill.user()
            retract(conn, drill.town.municipality_id, n, user, at, "練習", simulated=True)
        drill.run(1)
        assert len(drill.alerts()) == n, "within a drill it is held back, as in earnest"
        drill.stop(n)
        drill.tick()


def test_who_acknowledged_when_stands_at_the_drills_alert_alone(drill: Drill) -> None:
    drill.start(drill.plan((3.7, 3.7)))
    drill.run(1)
    with connect(drill.town.owner, name="test") as conn:
        actions.acknowledge(conn, drill.town.municipality_id, 1, drill.user(), drill.clock.now())
    assert drill.rows("select mode, acknowledged_at - raised_at from alert") == [("exercise", STEP)]
