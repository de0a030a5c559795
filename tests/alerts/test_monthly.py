"""The test message: to everybody of a group, by their first contact, behind all that is real, once a month."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from alerts import monthly
from alerts.calling import Contact, Person, Roster
from alerts.channels import Undeliverable
from alerts.errors import AskedAlready
from alerts.monthly import LATEST, PAUSE, Monthly, addressees, ask, due_month
from alerts.monthly_results import CallTest, group_tests, newest_tests
from alerts.operation import Watch
from alerts.outbox import MAX_ATTEMPTS, Dispatcher
from devices.clock import FixedClock
from store import Connection, connect
from tests.alerts.people import channels, group, person
from tests.alerts.test_delivery import Way
from tests.alerts.test_reach import RealClock
from tests.conftest import Registered

TOKYO = ZoneInfo("Asia/Tokyo")
FIRST = datetime(2026, 6, 1, 1, 0, tzinfo=UTC)  # 10:00 local on the first
URL = "https://town.example.jp"


@pytest.fixture
def conn(registered: Registered) -> Iterator[Connection]:
    with connect(registered.worker, name="test") as opened:
        yield opened


@pytest.fixture
def people(registered: Registered) -> tuple[int, int, int, int]:
    """Tanaka by LINE and mail, Suzuki by mail, Sato by nothing that is there, and a lamp."""
    channels(registered, "line", "mail", "lamp")
    return (
        person(registered, "田中", ("line", "U1"), ("mail", "tanaka@example.jp")),
        person(registered, "鈴木", ("mail", "suzuki@example.jp")),
        person(registered, "佐藤", ("pigeon", "coo")),
        person(registered, "回転灯", ("lamp", "1"), kind="equipment"),
    )


def look(conn: Connection, at: datetime = FIRST) -> int:
    found = Monthly(RealClock(at)).look(conn)
    conn.commit()
    return found


def messages(conn: Connection) -> list[tuple[str, str]]:
    rows = conn.execute("select channel, recipient from outbox where call_test_id is not null order by outbox_id")
    found = [(row[0], row[1]) for row in rows]
    conn.commit()
    return found


def results(town: Registered, group_id: int) -> list[CallTest]:
    with connect(town.api, name="test") as conn:
        conn.execute("select set_config('mimamori.municipality_id', %s, true)", (str(town.municipality_id),))
        return group_tests(conn, group_id)


@pytest.mark.parametrize(
    ("at", "due"),
    [
        (FIRST - timedelta(seconds=1), False),
        (FIRST, True),
        (FIRST + LATEST - timedelta(seconds=1), True),
        (FIRST + LATEST, False),
        (FIRST + timedelta(days=1), False),
    ],
)
def test_a_month_is_due_from_its_hour_on_and_not_for_long(at: datetime, due: bool) -> None:
    assert (due_month(1, 10, TOKYO, at) is not None) is due
    assert due_month(None, 10, TOKYO, at) is None


def test_everybody_by_their_first_contact_and_equipment_only_where_it_is_wanted() -> None:
    lamp = Person(9, "回転灯", (Contact(90, "lamp", "1"),), equipment=True)
    tanaka = Person(1, "田中", (Contact(10, "pigeon", "coo"), Contact(11, "line", "U"), Contact(12, "mail", "t@x.jp")))
    town = Roster(TOKYO, {1: tanaka, 9: lamp})
    (only,) = addressees(town, (1, 9, 77), {"line", "mail", "lamp"}, equipment=False)
    assert only.way is not None and only.way.channel == "line"
    both = addressees(town, (1, 9), {"line", "mail", "lamp"}, equipment=True)
    assert [each.person.person_id for each in both] == [1, 9]
    (nobody,) = addressees(town, (1,), set(), equipment=False)
    assert nobody.way is None


def test_a_month_is_written_once_whoever_looks(
    conn: Connection, registered: Registered, people: tuple[int, ...]
) -> None:
    group(registered, "防災当番", people)
    assert look(conn, FIRST - timedelta(hours=1)) == 0
    assert [look(conn), look(conn), look(conn, FIRST + timedelta(hours=2))] == [1, 0, 0]
    assert sorted(messages(conn)) == [("line", "U1"), ("mail", "suzuki@example.jp")]
    assert look(conn, FIRST + timedelta(days=30)) == 1, "the next month"
    assert len(messages(conn)) == 4


def test_two_that_look_at_the_same_time_write_one(
    conn: Connection, registered: Registered, people: tuple[int, ...]
) -> None:
    group(registered, "防災当番", people)
    Monthly(RealClock(FIRST)).look(conn)
    with connect(registered.worker, name="second") as second:
        second.execute("set lock_timeout = '100ms'")
        with pytest.raises(Exception, match="lock timeout"):
            Monthly(RealClock(FIRST)).look(second)
        second.rollback()
        conn.commit()
        assert Monthly(RealClock(FIRST)).look(second) == 0


def test_a_group_says_when_and_whether_and_with_equipment(
    conn: Connection, registered: Registered, people: tuple[int, ...]
) -> None:
    number = group(registered, "防災当番", people)
    with connect(registered.owner, name="test") as owner:
        owner.execute("update call_group set test_day = null where group_id = %s", (number,))
    assert look(conn) == 0
    with connect(registered.owner, name="test") as owner:
        owner.execute("update call_group set test_day = 15, test_hour = 22, test_equipment = true")
    assert look(conn) == 0
    assert look(conn, datetime(2026, 6, 15, 13, 0, tzinfo=UTC)) == 1
    assert ("lamp", "1") in messages(conn)


def test_who_is_in_two_groups_gets_one_message_and_answers_for_both(
    conn: Connection, registered: Registered, people: tuple[int, ...]
) -> None:
    first, second = group(registered, "防災当番", people), group(registered, "三役", people[:2])
    assert look(conn) == 2
    assert len(messages(conn)) == 2
    line, mail = Way("line"), Way("mail")
    while Dispatcher([line, mail], public_url=URL).send_next(conn):
        pass
    with connect(registered.owner, name="test") as owner:
        owner.execute("update answer_link set answered_at = %s", (FIRST,))
    for number in (first, second):
        (test,) = results(registered, number)
        assert test.answered == 2, number


def test_it_is_marked_carries_a_link_and_waits_behind_what_is_real(
    conn: Connection, registered: Registered, people: tuple[int, ...]
) -> None:
    group(registered, "防災当番", people)
    look(conn)
    with connect(registered.owner, name="test") as owner:
        owner.execute(
            """
            with raised as (
                insert into alert (municipality_id, rule, cause, raised_at, phenomenon_time)
                select municipality_id, 'operation', 'disk_full', now(), now() from municipality returning *
            ), told as (
                insert into alert_history (municipality_id, alert_id, at, event)
                select municipality_id, alert_id, now(), 'raised' from raised returning *
            )
            insert into outbox (municipality_id, alert_history_id, channel, recipient, subject, body, next_attempt_at)
            select municipality_id, alert_history_id, 'mail', 'real', 'x', 'x', now() from told
            """
        )
    mail = Way("mail")
    dispatcher = Dispatcher([mail], public_url=URL)
    while dispatcher.send_next(conn):
        pass
    assert mail.told == ["real", "suzuki@example.jp"], "written later, and sent first"
    test = mail.sent[1]
    assert test.subject.startswith("【試験】") and test.brief.startswith("【試験】") and "試験" in test.spoken
    assert test.answer_url is not None and test.answer_url.startswith(f"{URL}/answer/")
    assert "実際のお知らせではありません" in test.body and "TEST" in test.body


def test_what_fails_falls_back_to_nothing_and_is_no_alert_about_the_operation(
    conn: Connection, registered: Registered, people: tuple[int, ...]
) -> None:
    number = group(registered, "防災当番", people)
    look(conn)
    dispatcher = Dispatcher([Way("line", fails=Undeliverable("400 no such user")), Way("mail")])
    while dispatcher.send_next(conn) or dispatcher.fall_back(conn):
        pass
    assert len(messages(conn)) == 2
    assert conn.execute("select max(attempts) from outbox").fetchone() == (MAX_ATTEMPTS,)
    Watch(FixedClock(FIRST)).look(conn)
    assert conn.execute("select cause from operation_condition where cause = 'outbox_failing'").fetchall() == []
    (test,) = results(registered, number)
    outcomes = {each.name: each.outcome for each in test.results}
    # no address of the pages is set in this town: nobody could answer, and nobody is blamed for it
    assert outcomes == {"田中": "given_up", "鈴木": "no_link", "佐藤": "no_way"}
    assert {each.name for each in test.results if each.missing} == {"田中", "佐藤"}


def test_who_does_not_answer_within_a_day_is_named_until_they_answer_anything(
    conn: Connection, registered: Registered, people: tuple[int, ...]
) -> None:
    number = group(registered, "防災当番", people)
    look(conn)
    line, mail = Way("line"), Way("mail")
    while Dispatcher([line, mail], public_url=URL).send_next(conn):
        pass
    tanaka = people[0]
    with connect(registered.owner, name="test") as owner:
        owner.execute(
            "update answer_link l set answered_at = %s from outbox o "
            "where o.outbox_id = l.outbox_id and o.person_id = %s",
            (FIRST + timedelta(hours=1), tanaka),
        )

    def missing(after: timedelta) -> list[str]:
        with connect(registered.api, name="test") as api:
            api.execute("select set_config('mimamori.municipality_id', %s, true)", (str(registered.municipality_id),))
            found = newest_tests(api, FIRST + after)
        return [each.name for test in found.values() for each in test.results if each.missing]

    assert missing(timedelta(hours=23)) == [], "there is still time"
    assert missing(timedelta(hours=25)) == ["佐藤", "鈴木"]
    (test,) = results(registered, number)
    assert (test.answered, test.asked) == (1, 3)
    with connect(registered.owner, name="test") as owner:
        owner.execute("update contact set verified_at = %s where channel = 'mail'", (FIRST + timedelta(days=2),))
    assert missing(timedelta(hours=49)) == ["佐藤"]


def test_a_person_asks_for_one_now_and_a_second_press_is_none(
    conn: Connection, registered: Registered, people: tuple[int, ...]
) -> None:
    number = group(registered, "防災当番", people)
    with connect(registered.owner, name="test") as owner:
        user = owner.execute(
            "insert into app_user (municipality_id, login, display_name, role, password_hash) "
            "values (%s, 'd', 'デジタル係', 'digital', 'x') returning user_id",
            (registered.municipality_id,),
        ).fetchone()
    assert user is not None
    at = FIRST + timedelta(days=3)
    with connect(registered.api, name="test") as api:
        api.execute("select set_config('mimamori.municipality_id', %s, false)", (str(registered.municipality_id),))
        ask(api, registered.municipality_id, number, user[0], at)
        api.commit()
        with pytest.raises(AskedAlready):
            ask(api, registered.municipality_id, number, user[0], at + 2 * PAUSE)
        api.rollback()
        api.execute("select set_config('mimamori.municipality_id', %s, false)", (str(registered.municipality_id),))
        assert look(conn, at) == 1
        with pytest.raises(AskedAlready):
            ask(api, registered.municipality_id, number, user[0], at + PAUSE / 2)
        api.rollback()
        api.execute("select set_config('mimamori.municipality_id', %s, false)", (str(registered.municipality_id),))
        ask(api, registered.municipality_id, number, user[0], at + 2 * PAUSE)
        api.commit()
    assert look(conn, at + 2 * PAUSE) == 1
    assert len(messages(conn)) == 4, "whoever asks gets one, however lately there was another"
    assert [test.by for test in results(registered, number)] == ["デジタル係", "デジタル係"]


def test_a_simulated_town_has_no_month(conn: Connection, registered: Registered, people: tuple[int, ...]) -> None:
    group(registered, "防災当番", people)
    assert Monthly(FixedClock(FIRST)).look(conn) == 0


def test_the_words_could_be_public_and_name_no_place_and_no_person() -> None:
    for text in (monthly.brief("美守町"), monthly.spoken("美守町"), monthly.subject("美守町", simulated=True)):
        assert "試験" in text and not re.search(r"防災当番|[0-9]|水位|警報|注意報|避難", text)
    assert monthly.subject("美守町", simulated=True).startswith("【模擬】【試験】")
