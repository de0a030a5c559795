"""Whoever is assigned to an alert is written to, once, and says by the link that they go; who is replaced is told."""

from __future__ import annotations

import pytest

from alerts import actions
from alerts.answers import answer, find
from alerts.channels import Channel
from alerts.fallback import PATIENCE
from alerts.outbox import Dispatcher
from store import connect
from tests.alerts.gauge import Gauge
from tests.alerts.people import channels, person
from tests.alerts.test_actions import as_api, do
from tests.alerts.test_delivery import Way, later


@pytest.fixture
def officer(gauge: Gauge) -> int:
    return gauge.user("disaster", "yamada@example.jp", name="山田")


@pytest.fixture
def raised(gauge: Gauge) -> Gauge:
    """Level 1, of which nobody of the town's people was told: they are in no group."""
    channels(gauge.town, "line", "mail")
    gauge.send_series(2.1)
    gauge.evaluate()
    return gauge


def send_all(gauge: Gauge, *ways: Channel) -> None:
    with connect(gauge.town.worker, name="test") as conn:
        dispatcher = Dispatcher(ways, public_url="https://mimamori.example.jp")
        while dispatcher.send_next(conn) or dispatcher.fall_back(conn):
            pass


def written(gauge: Gauge) -> list[tuple[str, str]]:
    return gauge.rows("select channel, recipient from outbox where person_id is not null order by outbox_id")


def test_who_is_assigned_is_written_to_once_and_says_by_the_link_that_they_go(raised: Gauge, officer: int) -> None:
    tanaka = person(raised.town, "田中", ("line", "U1"), ("mail", "tanaka@example.jp"))
    do(actions.assign, raised, 1, officer, tanaka, "長靴で")
    do(actions.assign, raised, 1, officer, tanaka)
    assert written(raised) == [("line", "U1")], "by the way they prefer, and not again for the same"
    line = Way("line")
    send_all(raised, line)
    (message,) = line.sent
    assert message.subject.startswith("【模擬】対応をお願いします：美守橋水位観測所")
    assert "山田さんが、田中さんを" in message.body and "長靴で" in message.body and "長靴で" not in message.brief
    assert message.event == "assigned" and message.answer_url is not None
    with as_api(raised) as conn:
        token = message.answer_url.rsplit("/", 1)[1]
        asked = find(conn, raised.town.municipality_id, token)
        assert asked is not None and asked.goes
        answer(conn, asked, token, raised.clock.now())
    assert raised.rows(
        "select h.event, h.note from alert_history h where h.person_id = %s order by alert_history_id", tanaka
    ) == [("commented", actions.GOING), ("acknowledged", None)]


def test_where_the_first_way_fails_the_next_one_is_tried(raised: Gauge, officer: int) -> None:
    do(actions.assign, raised, 1, officer, person(raised.town, "田中", ("line", "U1"), ("mail", "tanaka@example.jp")))
    later(raised, PATIENCE)
    mail = Way("mail")
    send_all(raised, mail)
    assert mail.told == ["tanaka@example.jp"]


def test_who_is_replaced_is_told_of_it_where_the_request_had_gone_out(raised: Gauge, officer: int) -> None:
    people = [person(raised.town, each, ("mail", f"{each}@example.jp")) for each in ("suzuki", "sato", "kato")]
    mail = Way("mail")
    do(actions.assign, raised, 1, officer, people[0])
    send_all(raised, mail)
    do(actions.assign, raised, 1, officer, people[1])
    do(actions.assign, raised, 1, officer, people[2])
    do(actions.assign, raised, 1, officer, None)
    send_all(raised, mail)
    assert mail.told == ["suzuki@example.jp", "suzuki@example.jp"], "the others' requests had not gone out"
    changed = mail.sent[1]
    assert "対応者が変わりました" in changed.subject and "satoさんに変わりました" in changed.body
    assert changed.answer_url is None, "there is nothing to say to it"


def test_nobody_is_written_to_by_themselves_or_of_a_drill_that_they_take_no_part_in(
    raised: Gauge, officer: int
) -> None:
    do(actions.assign, raised, 1, officer, person(raised.town, "山田", ("line", "U9"), ("mail", "Yamada@example.jp")))
    assert written(raised) == []
    raised.rows("update alert set mode = 'exercise' returning 1")
    do(actions.assign, raised, 1, officer, person(raised.town, "田中", ("mail", "tanaka@example.jp")))
    assert written(raised) == []
