"""通知の試験: its page says who would get it, sends what was confirmed, and names who did not answer."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from alerts.monthly import Monthly
from alerts.outbox import Dispatcher
from api.access import Role
from devices.clock import FixedClock
from store import connect
from tests.alerts.people import channels, group, person
from tests.alerts.test_delivery import Way
from tests.api.serving import TownHall, populate, serving
from tests.conftest import START, Registered


@pytest.fixture
def hall(registered: Registered) -> Iterator[TownHall]:
    populate(registered)
    channels(registered, "mail")
    with serving(registered) as running:
        yield running


def made(hall: TownHall) -> int:
    town = hall.database
    people = [person(town, name, ("mail", f"{n}@example.jp")) for n, name in enumerate(("田中", "鈴木"))]
    return group(
        town, "防災当番", [*people, person(town, "佐藤"), person(town, "灯", ("mail", "l@x.jp"), kind="equipment")]
    )


def post(hall: TownHall, number: int, **fields: str) -> str:
    with hall.visitor(Role.DIGITAL) as client:
        answer = client.post(f"/digital/groups/{number}/test", data=fields)
    assert answer.status_code == 303, answer.text
    (said,) = parse_qs(urlsplit(answer.headers["location"]).query)["said"]
    return said


def page(hall: TownHall, address: str, language: str = "ja") -> str:
    with hall.visitor(Role.DIGITAL) as client:
        return client.get(f"{address}?lang={language}", headers={"Accept": "text/html"}).text


def rows(hall: TownHall, query: str) -> list[tuple[object, ...]]:
    with connect(hall.database.owner, name="test") as conn:
        return conn.execute(query.encode()).fetchall()


def test_the_number_on_the_button_is_the_number_of_those_who_get_it(hall: TownHall) -> None:
    number = made(hall)
    shown = page(hall, f"/digital/groups/{number}/test")
    assert "2件の試験を送る" in shown and "使える連絡先がないため届かない人：佐藤" in shown
    assert post(hall, number, do="send", people="3") == "test_changed"
    assert rows(hall, "select * from call_test") == []
    assert post(hall, number, do="send", people="2") == "test_asked"
    assert post(hall, number, do="send", people="2") == "test_already"
    with connect(hall.database.worker, name="test") as conn:
        assert Monthly(FixedClock(START), mail=True).look(conn) == 1
    assert rows(hall, "select count(*) from outbox where call_test_id is not null") == [(2,)]


def test_a_group_that_nobody_of_can_be_reached_has_no_button(hall: TownHall) -> None:
    number = group(hall.database, "空の班", [person(hall.database, "佐藤")])
    assert "件の試験を送る" not in page(hall, f"/digital/groups/{number}/test")
    assert post(hall, number, do="send", people="0") == "test_nobody"


def test_when_it_is_and_whether_can_be_changed(hall: TownHall) -> None:
    number = made(hall)
    assert "毎月1日 10時" in page(hall, "/digital/people")
    assert post(hall, number, do="keep", on="1", day="15", hour="14", equipment="1") == "keep_done"
    assert rows(hall, "select test_day, test_hour, test_equipment from call_group") == [(15, 14, True)]
    assert "3件の試験を送る" in page(hall, f"/digital/groups/{number}/test"), "the equipment too"
    assert post(hall, number, do="keep", day="15", hour="9") == "keep_done"
    assert "毎月の試験をしていません" in page(hall, "/digital/people")
    for wrong in ({"day": "31", "hour": "9"}, {"day": "1", "hour": "24"}, {"day": "x", "hour": "9"}):
        assert post(hall, number, do="keep", on="1", **wrong) == "no_test_day"
    assert post(hall, number, do="shout") == "nothing"


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("ja", "前回の試験に1日のうちに応答がなかった人：佐藤（使える連絡先がありません）"),
        ("en", "Did not answer the last test within a day: 佐藤"),
    ],
)
def test_who_did_not_answer_within_a_day_is_named(hall: TownHall, language: str, said: str) -> None:
    number = made(hall)
    assert post(hall, number, do="send", people="2") == "test_asked"
    with connect(hall.database.worker, name="test") as conn:
        Monthly(FixedClock(START), mail=True).look(conn)
        dispatcher = Dispatcher([Way("mail")], public_url="https://town.example.jp")
        while dispatcher.send_next(conn):
            pass
    with connect(hall.database.owner, name="test") as conn:
        conn.execute("update answer_link set answered_at = %s", (START,))
        conn.execute("update call_test set begun_at = %s", (START - timedelta(hours=25),))
    assert said in page(hall, "/digital/people", language)
    assert "3人のうち2人が応答しました" in page(hall, f"/digital/groups/{number}/test")


def test_another_desk_has_no_such_page(hall: TownHall) -> None:
    number = made(hall)
    with hall.visitor(Role.DISASTER) as client:
        assert client.get(f"/digital/groups/{number}/test").status_code == 403
    with hall.visitor(Role.DIGITAL) as client:
        assert client.get("/digital/groups/9999/test").status_code == 404
