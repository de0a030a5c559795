"""From a step of an alert to a person: by the roster, by their first way, and by the next one where that fails."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from alerts.channels import Busy, Channel, Notification, Undeliverable
from alerts.outbox import Dispatcher
from alerts.recording import addresses_of
from store import connect
from tests.alerts.gauge import Gauge
from tests.alerts.people import channels, group, person, turn

MORNING = date(2026, 6, 1)  # the gauge's clock stands at 9 o'clock local time


class Way:
    """A channel that does with its messages what the test says."""

    knows_repetitions = False

    def __init__(self, name: str, *, fails: Exception | None = None) -> None:
        self.name = self.kind = name
        self.fails = fails
        self.sent: list[Notification] = []

    def send(self, notification: Notification) -> None:
        if self.fails is not None:
            raise self.fails
        self.sent.append(notification)

    @property
    def told(self) -> list[str]:
        return [each.recipient for each in self.sent]


@pytest.fixture
def night_watch(gauge: Gauge) -> Gauge:
    """Tanaka is on duty by LINE and mail, Suzuki stands behind, Sato has nothing to do with it today."""
    town = gauge.town
    channels(town, "line", "mail")
    tanaka = person(town, "田中", ("line", "U1"), ("mail", "tanaka@example.jp"))
    suzuki = person(town, "鈴木", ("mail", "suzuki@example.jp"))
    sato = person(town, "佐藤", ("mail", "sato@example.jp"))
    number = group(town, "防災当番", [tanaka, suzuki, sato])
    turn(town, number, MORNING, "day", tanaka, suzuki)
    gauge.user("disaster", "desk@example.jp")
    return gauge


def send_all(gauge: Gauge, *ways: Channel) -> None:
    with connect(gauge.town.worker, name="test") as conn:
        dispatcher = Dispatcher(ways)
        while dispatcher.send_next(conn) or dispatcher.fall_back(conn):
            pass


def later(gauge: Gauge, by: timedelta) -> None:
    """As if the messages had been written so much earlier."""
    with connect(gauge.town.owner, name="test") as conn:
        conn.execute(
            "update outbox set written_at = written_at - %(by)s, next_attempt_at = next_attempt_at - %(by)s", {"by": by}
        )


def test_whose_turn_it_is_is_told_by_the_way_they_prefer(night_watch: Gauge) -> None:
    night_watch.send_series(2.1)
    night_watch.evaluate(mail=True)
    line, mail = Way("line"), Way("mail")
    send_all(night_watch, line, mail)
    assert (line.told, mail.told) == (["U1"], [])
    assert night_watch.rows("select channel, recipient, person_id is not null from outbox order by outbox_id") == [
        ("log", "disaster", False),
        ("line", "U1", True),
    ]


def test_with_nobody_configured_the_addresses_of_the_section_are_told(gauge: Gauge) -> None:
    gauge.user("disaster", "desk@example.jp")
    person(gauge.town, "どの組にもいない人", ("mail", "nobody@example.jp"))
    gauge.send_series(2.1)
    gauge.evaluate(mail=True)
    assert gauge.rows("select recipient from outbox where channel = 'mail'") == [("desk@example.jp",)]
    with connect(gauge.town.worker, name="test") as conn:
        assert addresses_of(conn, gauge.town.municipality_id, "disaster") == ["desk@example.jp"]


def test_a_group_that_nobody_can_be_reached_of_leaves_it_to_the_section(gauge: Gauge) -> None:
    gauge.user("disaster", "desk@example.jp")
    group(gauge.town, "防災当番", [person(gauge.town, "田中", ("line", "U1"))])
    gauge.send_series(2.1)
    gauge.evaluate(mail=True)
    assert gauge.rows("select recipient from outbox where channel <> 'log'") == [("desk@example.jp",)]


def test_a_group_of_which_only_a_lamp_can_be_told_leaves_it_to_the_section_too(gauge: Gauge) -> None:
    channels(gauge.town, "lamp")
    gauge.user("disaster", "desk@example.jp")
    group(gauge.town, "回転灯", [person(gauge.town, "回転灯", ("lamp", "1"), kind="equipment")])
    gauge.send_series(2.1)
    gauge.evaluate(mail=True)
    assert gauge.rows("select recipient from outbox where channel <> 'log' order by outbox_id") == [
        ("1",),
        ("desk@example.jp",),
    ]


def test_another_station_and_a_lower_level_are_not_for_a_group_that_does_not_watch_them(gauge: Gauge) -> None:
    town = gauge.town
    channels(town, "mail")
    mayor = person(town, "町長", ("mail", "mayor@example.jp"))
    group(town, "三役", [mayor], least_level=3)
    other = next(each.station_id for each in town.directory.datastreams.values() if each.station_id != gauge.station_id)
    group(town, "別の観測所", [person(town, "別", ("mail", "other@example.jp"))], station_id=other)
    gauge.send_series(2.1, 2.7)
    gauge.evaluate()
    assert gauge.rows("select recipient from outbox where channel = 'mail'") == []
    gauge.send([(gauge.clock.now() + timedelta(minutes=30), 3.3)])
    gauge.evaluate()
    assert gauge.rows("select recipient from outbox where channel = 'mail'") == [("mayor@example.jp",)]
    start = gauge.clock.now() + timedelta(minutes=40)
    gauge.send_series(*[1.0] * 6, start=start)
    gauge.evaluate()
    events = gauge.rows(
        "select event, recipient from outbox join alert_history using (alert_history_id) where channel = 'mail' "
        "order by outbox_id"
    )
    assert events[-1] == ("cleared", "mayor@example.jp"), "who was told that it is high is told that it is over"


def test_a_refused_address_brings_the_next_way_at_once(night_watch: Gauge) -> None:
    night_watch.send_series(2.1)
    night_watch.evaluate()
    line, mail = Way("line", fails=Undeliverable("no such user")), Way("mail")
    send_all(night_watch, line, mail)
    assert mail.told == ["tanaka@example.jp"]
    assert night_watch.rows(
        "select n.channel, o.channel, n.subject = o.subject and n.body = o.body, n.person_id = o.person_id "
        "from outbox n join outbox o on o.outbox_id = n.instead_of"
    ) == [("mail", "line", True, True)]


def test_a_way_that_is_down_is_waited_for_two_minutes_and_then_the_first_to_go_out_counts(night_watch: Gauge) -> None:
    night_watch.send_series(2.1)
    night_watch.evaluate()
    line, mail = Way("line", fails=Busy("503")), Way("mail", fails=Busy("no route"))
    send_all(night_watch, line, mail)
    assert night_watch.rows("select count(*) from outbox where channel = 'mail'") == [(0,)], "not yet"
    later(night_watch, timedelta(minutes=2, seconds=1))
    send_all(night_watch, line, mail)
    waiting = "select channel from outbox where channel <> 'log' and sent_at is null and not stood_in order by channel"
    assert night_watch.rows(waiting) == [("line",), ("mail",)], "both are tried"
    later(night_watch, timedelta(minutes=1))
    line.fails = None
    send_all(night_watch, line, mail)
    assert line.told == ["U1"]
    mail.fails = None
    later(night_watch, timedelta(hours=1))
    send_all(night_watch, line, mail)
    assert mail.told == [] and night_watch.rows(waiting) == []


def test_after_the_last_way_nobody_is_made_up(night_watch: Gauge) -> None:
    night_watch.send_series(2.1)
    night_watch.evaluate()
    dead = Undeliverable("gone")
    send_all(night_watch, Way("line", fails=dead), Way("mail", fails=dead))
    later(night_watch, timedelta(hours=1))
    send_all(night_watch, Way("line", fails=dead), Way("mail", fails=dead))
    assert night_watch.rows("select recipient from outbox where channel <> 'log' order by outbox_id") == [
        ("U1",),
        ("tanaka@example.jp",),
    ]


def test_a_pause_that_the_other_side_asks_for_is_kept(night_watch: Gauge) -> None:
    night_watch.send_series(2.1)
    night_watch.evaluate()
    send_all(night_watch, Way("line", fails=Busy("429", timedelta(minutes=7))))
    ((pause,),) = night_watch.rows(
        "select next_attempt_at - written_at from outbox where channel = 'line' and last_error like 'Busy%%'"
    )
    assert timedelta(minutes=7) <= pause < timedelta(minutes=8)
