"""Calling on until somebody answers: whose turn it is, who stands in, at last everybody."""

from __future__ import annotations

from datetime import timedelta

import pytest

from alerts import actions
from alerts.escalation import Escalation
from devices.clock import real_now
from devices.model import Quality, Reason
from store import connect
from tests.alerts.gauge import Gauge
from tests.alerts.people import channels, group, person, turn
from tests.alerts.test_delivery import MORNING
from tests.alerts.test_written import HIGH, write_rule

FIVE = timedelta(minutes=5, seconds=1)


@pytest.fixture
def called(gauge: Gauge) -> Gauge:
    """Three people, the turn of the first, at level 4."""
    town = gauge.town
    channels(town, "mail")
    tanaka, suzuki, sato = (person(town, each, ("mail", f"{each}@example.jp")) for each in ("tanaka", "suzuki", "sato"))
    turn(town, group(town, "防災当番", [tanaka, suzuki, sato]), MORNING, "day", tanaka, suzuki)
    gauge.send_series(3.65)
    gauge.evaluate()
    return gauge


def look(gauge: Gauge, after: timedelta) -> int:
    """One look, so long (real time) after now."""
    with connect(gauge.town.worker, name="test") as conn:
        return Escalation(gauge.clock).look(conn, now=real_now() + after)


def mails(gauge: Gauge) -> list[tuple[str, str]]:
    """(event, who) of each mail in the order of writing."""
    return [
        (event, address.partition("@")[0])
        for event, address in gauge.rows(
            "select event, recipient from outbox join alert_history using (alert_history_id) where channel = 'mail' "
            "order by outbox_id"
        )
    ]


def earlier(gauge: Gauge, by: timedelta) -> None:
    with connect(gauge.town.owner, name="test") as conn:
        conn.execute("update outbox set written_at = written_at - %s", (by,))


def test_the_substitute_after_five_minutes_and_everybody_after_five_more(called: Gauge) -> None:
    assert mails(called) == [("raised", "tanaka")]
    assert look(called, timedelta(minutes=4, seconds=50)) == 0
    assert look(called, FIVE) == 1
    assert mails(called)[1:] == [("called", "suzuki")]
    assert look(called, timedelta(minutes=4)) == 0, "suzuki has five minutes too"
    earlier(called, FIVE)
    assert look(called, timedelta(0)) == 1
    assert mails(called)[2:] == [("called", "tanaka"), ("called", "suzuki"), ("called", "sato")]
    earlier(called, FIVE)
    assert look(called, timedelta(hours=1)) == 0, "there is nobody left to call"
    subjects = called.rows("select subject, brief from outbox where channel = 'mail' order by outbox_id")
    assert [subject.startswith("【未応答】") for subject, _ in subjects] == [False, True, True, True, True]
    assert all(brief.startswith("【未応答】") for _, brief in subjects[1:])


def test_an_answer_ends_it(called: Gauge) -> None:
    user = called.user("disaster")
    with connect(called.town.owner, name="test") as conn:
        actions.acknowledge(conn, called.town.municipality_id, 1, user, called.clock.now())
    assert look(called, timedelta(hours=1)) == 0


def test_below_the_two_highest_levels_nobody_is_woken(gauge: Gauge) -> None:
    channels(gauge.town, "mail")
    number = person(gauge.town, "田中", ("mail", "tanaka@example.jp"))
    group(gauge.town, "当番", [number, person(gauge.town, "鈴木", ("mail", "suzuki@example.jp"))])
    gauge.send_series(3.3)
    gauge.evaluate()
    assert gauge.told() == [("raised", 3)] and look(gauge, timedelta(hours=1)) == 0
    gauge.send([(gauge.clock.now() + timedelta(minutes=10), 3.7)])
    gauge.evaluate()
    assert look(gauge, FIVE) == 1


@pytest.mark.parametrize(("severity", "called_on"), [(3, True), (2, False)])
def test_a_rule_of_the_staff_that_says_act_at_once_is_called_on_as_the_highest_levels_are(
    gauge: Gauge, severity: int, called_on: bool
) -> None:
    town = gauge.town
    channels(town, "mail")
    tanaka, suzuki = (person(town, each, ("mail", f"{each}@example.jp")) for each in ("tanaka", "suzuki"))
    turn(town, group(town, "防災当番", [tanaka, suzuki]), MORNING, "day", tanaka, suzuki)
    write_rule(gauge, HIGH, severity=severity, name="急な増水")
    gauge.send_series(1.2, 1.6)
    gauge.evaluate()
    assert mails(gauge) == [("raised", "tanaka")]
    assert look(gauge, FIVE) == called_on
    if called_on:
        assert mails(gauge)[1:] == [("called", "suzuki")]
        ((subject,),) = gauge.rows("select subject from outbox where subject like '【未応答】%%'")
        assert "「急な増水」の条件にあてはまりました（至急対応）" in subject
        user = gauge.user("disaster")
        with connect(town.owner, name="test") as conn:
            actions.acknowledge(conn, town.municipality_id, 1, user, gauge.clock.now())
        earlier(gauge, FIVE)
        assert look(gauge, timedelta(hours=1)) == 0


def test_a_group_that_wants_only_what_is_urgent_is_not_told_of_the_rest(gauge: Gauge) -> None:
    town = gauge.town
    channels(town, "mail")
    group(town, "三役", [person(town, "町長", ("mail", "mayor@example.jp"))])
    with connect(town.owner, name="test") as conn:
        conn.execute("update group_watch set least_severity = 3")
    write_rule(gauge, HIGH, severity=2, name="対応")
    gauge.send_series(1.2, 1.6)
    gauge.evaluate()
    assert mails(gauge) == []
    write_rule(gauge, HIGH, severity=3, name="至急")
    gauge.send([(gauge.clock.now() + timedelta(minutes=30), 1.7)])
    gauge.evaluate()
    assert mails(gauge) == [("raised", "mayor")]


def test_what_was_told_only_later_is_called_on_too(called: Gauge) -> None:
    """As after an outage: it stood already, and nobody had been written to."""
    with connect(called.town.owner, name="test") as conn:
        conn.execute("update alert_history set event = 'told' where event = 'raised'")
        conn.execute(
            "insert into alert_history (alert_history_id, municipality_id, alert_id, at, event, level) "
            "overriding system value select -1, municipality_id, alert_id, at, 'raised', level from alert_history"
        )
    assert look(called, FIVE) == 1
    assert mails(called)[-1] == ("called", "suzuki")


def test_a_higher_level_begins_anew(called: Gauge) -> None:
    assert look(called, FIVE) == 1
    called.send([(called.clock.now() + timedelta(minutes=10), 4.5)])
    called.evaluate()
    assert mails(called)[-1] == ("escalated", "tanaka")
    assert look(called, FIVE) == 1
    assert mails(called)[-1] == ("called", "suzuki")


def test_a_group_says_how_long_it_takes(called: Gauge) -> None:
    with connect(called.town.owner, name="test") as conn:
        conn.execute("update call_group set answer_within = '20 minutes'")
    assert look(called, timedelta(minutes=19)) == 0
    assert look(called, timedelta(minutes=21)) == 1


def test_two_loops_call_once(called: Gauge) -> None:
    with connect(called.town.worker, name="first") as first, connect(called.town.worker, name="second") as second:
        loop = Escalation(called.clock)
        assert loop.look(first, now=real_now() + FIVE) == 1
        assert loop.look(second, now=real_now() + FIVE) == 0, "the first holds it"
        first.commit()
        second.commit()
        assert loop.look(second, now=real_now() + timedelta(minutes=4)) == 0


def test_a_section_that_is_told_by_its_addresses_is_not_called_on(gauge: Gauge) -> None:
    gauge.user("disaster", "desk@example.jp")
    gauge.send_series(3.65)
    gauge.evaluate(mail=True)
    assert look(gauge, timedelta(hours=1)) == 0


def test_of_what_waits_nobody_is_called_and_of_what_was_told_then_the_words_are_said_again(gauge: Gauge) -> None:
    channels(gauge.town, "mail")
    tanaka, suzuki = (person(gauge.town, each, ("mail", f"{each}@example.jp")) for each in ("tanaka", "suzuki"))
    turn(gauge.town, group(gauge.town, "防災当番", [tanaka, suzuki]), MORNING, "day", tanaka, suzuki)
    gauge.send_series(2.1)
    gauge.evaluate()
    gauge.send([(gauge.clock.now() + timedelta(minutes=10), (3.65, Quality.DOUBTFUL, Reason.RATE))])
    gauge.evaluate()
    assert mails(gauge) == [("raised", "tanaka")]
    assert look(gauge, FIVE) == 0, "of the fourth level nobody was told"
    gauge.clock.advance(timedelta(minutes=6))
    gauge.tick()
    assert mails(gauge)[1:] == [("told", "tanaka")]
    assert look(gauge, timedelta(minutes=4)) == 0
    assert look(gauge, FIVE) == 1
    assert mails(gauge)[2:] == [("called", "suzuki")]
    ((subject,),) = gauge.rows("select subject from outbox where recipient like 'suzuki%%'")
    assert subject.startswith("【未応答】【模擬】未確認の値 ")
