"""連絡先 and 当番表: what the forms write is what the roster reads, and what cannot be meant changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from alerts.calling import About, Duty, Roster, Watch, ladder
from alerts.roster import load_roster
from api.access import Role
from devices.clock import ClockSetting
from store import connect
from store.town_clock import write_clock
from tests.alerts.people import channels, group, person, turn
from tests.api.serving import TownHall, populate, serving
from tests.conftest import Registered

DAY = date(2026, 6, 1)
NOON = datetime(2026, 6, 1, 3, tzinfo=UTC)


@pytest.fixture
def hall(registered: Registered) -> Iterator[TownHall]:
    populate(registered)
    channels(registered, "mail")
    with serving(registered) as running:
        yield running


def read(hall: TownHall) -> Roster:
    with connect(hall.database.worker, name="test") as conn:
        return load_roster(conn, hall.database.municipality_id, DAY)


def post(hall: TownHall, form: str, role: Role = Role.DIGITAL, **fields: Any) -> str:
    """What the page then says (the key)."""
    with hall.visitor(role) as client:
        answer = client.post(form, data={name.replace("__", "."): value for name, value in fields.items()})
    assert answer.status_code == 303, answer.text
    place = urlsplit(answer.headers["location"])
    (said,) = parse_qs(place.query)["said"]
    with hall.visitor(role) as client:
        page = client.get(f"{place.path}?{place.query}", headers={"Accept": "text/html"})
    assert page.status_code == 200
    return said


def test_from_nothing_to_a_person_who_is_told(hall: TownHall) -> None:
    people = "/digital/people"
    assert post(hall, people, do="add_person", name=" 田中  一郎 ", channel="mail", address="tanaka@example.jp") == (
        "add_person_done"
    )
    ((number, tanaka),) = read(hall).persons.items()
    assert (tanaka.name, tanaka.equipment, [c.address for c in tanaka.contacts]) == (
        "田中 一郎",
        False,
        ["tanaka@example.jp"],
    )
    post(hall, people, do="add_contact", person=number, channel="mail", address="private@example.jp")
    second = read(hall).persons[number].contacts[1].contact_id
    assert post(hall, people, do="contact_first", person=number, contact=second) == "contact_first_done"
    assert [c.address for c in read(hall).persons[number].contacts] == ["private@example.jp", "tanaka@example.jp"]
    post(hall, people, do="add_group", name="防災当番")
    (made,) = read(hall).groups
    settings = f"/digital/groups/{made.group_id}"
    post(hall, settings, do="members", **{f"member__{number}": "on"})
    post(hall, settings, do="add_watch", desk="disaster", station="", least_level="2", least_severity="3")
    post(hall, settings, do="keep", name="防災", day_starts="09:00", day_ends="18:00", answer_within="7")
    post(hall, "/alerts/duty", Role.DISASTER, group=made.group_id, **{f"person__{DAY}__day": number})
    roster = read(hall)
    (found,) = roster.groups
    assert (found.name, found.members, found.watches) == ("防災", (number,), (Watch("disaster", None, 2, 3),))
    assert (found.day_starts, found.day_ends, found.answer_within) == (time(9), time(18), timedelta(minutes=7))
    assert found.duties == {(DAY, "day"): Duty(number)}
    ((call,),) = ladder(roster, About("disaster", 1, 2), NOON, {"mail"})[:1]
    assert [way.address for way in call.contacts] == ["private@example.jp"]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"do": "add_person", "name": "  "}, "no_name"),
        ({"do": "add_person", "name": "a" * 101}, "no_name"),
        ({"do": "add_person", "name": "田中", "channel": "mail", "address": "tanaka"}, "no_address"),
        ({"do": "add_person", "name": "田中", "channel": "mail", "address": "a@b.jp,c@d.jp"}, "no_address"),
        ({"do": "add_person", "name": "田中", "channel": "pigeon", "address": "a@b.jp"}, "no_channel"),
        ({"do": "shout"}, "nothing"),
    ],
)
def test_what_cannot_be_meant_is_said_and_changes_nothing(hall: TownHall, fields: dict[str, str], said: str) -> None:
    assert post(hall, "/digital/people", **fields) == said
    assert read(hall) == Roster(read(hall).zone)


def test_an_address_is_entered_once_and_may_come_back(hall: TownHall) -> None:
    number = person(hall.database, "田中", ("mail", "tanaka@example.jp"))
    again = {"do": "add_contact", "person": number, "channel": "mail", "address": "tanaka@example.jp"}
    assert post(hall, "/digital/people", **again) == "address_known"
    contact = read(hall).persons[number].contacts[0].contact_id
    assert post(hall, "/digital/people", do="end_contact", person=number, contact=contact) == "end_contact_done"
    assert read(hall).persons[number].contacts == ()
    assert post(hall, "/digital/people", **again) == "add_contact_done"


def test_who_leaves_is_stood_in_for_and_their_record_stays(hall: TownHall) -> None:
    town = hall.database
    tanaka, suzuki = (person(town, name, ("mail", f"{name}@example.jp")) for name in ("tanaka", "suzuki"))
    number = group(town, "当番", [tanaka, suzuki])
    turn(town, number, DAY, "day", tanaka, suzuki)
    turn(town, number, DAY, "night", suzuki, tanaka)
    turn(town, number, DAY + timedelta(days=1), "day", tanaka)
    turn(town, number, DAY - timedelta(days=1), "day", tanaka)
    assert post(hall, "/digital/people", do="end_person", person=tanaka) == "end_person_done"
    roster = read(hall)
    (found,) = roster.groups
    assert list(roster.persons) == [suzuki] and found.members == (suzuki,)
    assert found.duties == {
        (DAY, "day"): Duty(suzuki),
        (DAY, "night"): Duty(suzuki),
        (DAY - timedelta(days=1), "day"): Duty(tanaka),
    }


@pytest.mark.parametrize(
    ("person_field", "substitute_field", "said"),
    [("t", "t", "same_person"), ("x", "", "not_in_group"), ("t", "x", "not_in_group"), ("", "t", "substitute_alone")],
)
def test_a_turn_that_cannot_be_is_refused_with_the_whole_page(
    hall: TownHall, person_field: str, substitute_field: str, said: str
) -> None:
    town = hall.database
    tanaka, stranger = person(town, "田中"), person(town, "よその人")
    number = group(town, "当番", [tanaka])
    who = {"t": str(tanaka), "x": str(stranger), "": ""}
    fields = {
        f"person__{DAY}__day": who["t"],
        f"person__{DAY}__night": who[person_field],
        f"substitute__{DAY}__night": who[substitute_field],
    }
    assert post(hall, "/alerts/duty", Role.WATER, group=number, **fields) == said
    assert read(hall).groups[0].duties == {}


def test_a_roster_shows_names_and_no_addresses(hall: TownHall) -> None:
    number = group(hall.database, "当番", [person(hall.database, "田中", ("mail", "secret@example.jp"))])
    with hall.visitor(Role.TOURISM) as client:
        page = client.get(f"/alerts/duty?group={number}").text
    assert "田中" in page and "secret@example.jp" not in page


@pytest.mark.parametrize("page", ["/digital/people", "/alerts/duty"])
def test_what_would_reach_nobody_in_the_coming_day_stands_on_the_page_until_somebody_is_there(
    hall: TownHall, page: str
) -> None:
    town = hall.database
    with connect(town.owner, name="test") as conn:
        write_clock(conn, ClockSetting(False, NOON, NOON, 1.0))
        conn.execute("update app_user set email = role || '@example.jp' where role <> 'disaster'")

    def shown(language: str = "ja") -> str:
        with hall.visitor(Role.DIGITAL) as client:
            return client.get(f"{page}?lang={language}", headers={"Accept": "text/html"}).text

    assert "防災：水位の段階（レベル3・4・5相当、" in shown() and "水道：" not in shown()
    assert "Disaster desk: of water levels (level 3, 4, 5;" in shown("en")
    tanaka = person(town, "田中", ("line", "U" + "0" * 32))
    group(town, "防災当番", [tanaka])
    assert "防災：水位の段階" in shown(), "there is no LINE here"
    channels(town, "mail", "line")
    assert "防災：水位の段階" not in shown()


def test_the_alert_itself_says_whose_rules_and_from_when_to_when(hall: TownHall) -> None:
    town = hall.database
    with connect(town.owner, name="test") as conn:
        write_clock(conn, ClockSetting(False, NOON, NOON, 1.0))
        conn.execute("update app_user set email = role || '@example.jp' where role <> 'disaster'")
        conn.execute(
            "insert into alert (municipality_id, rule, cause, raised_at, phenomenon_time) "
            "values (%s, 'operation', 'nobody_told:disaster', %s, %s)",
            (town.municipality_id, NOON, NOON),
        )
        conn.execute(
            "insert into alert_history (municipality_id, alert_id, at, event, phenomenon_time) "
            "select municipality_id, alert_id, raised_at, 'raised', phenomenon_time from alert"
        )
    pages = {}
    for role in (Role.DIGITAL, Role.DISASTER):
        with hall.visitor(role) as client:
            pages[role] = client.get("/alerts?lang=ja", headers={"Accept": "text/html"}).text
    assert "防災：アラートを知らせる相手がいません" in pages[Role.DIGITAL]
    assert "防災：水位の段階（レベル3・4・5相当、" in pages[Role.DIGITAL] and "これから24時間" in pages[Role.DIGITAL]
    assert "知らせる相手がいません" not in pages[Role.DISASTER]


def test_what_a_group_is_told_of_is_what_was_said_last(hall: TownHall) -> None:
    number = group(hall.database, "防災当番", [])
    settings = f"/digital/groups/{number}"
    assert post(hall, settings, do="add_watch", desk="disaster", least_severity="3") == "add_watch_done"
    assert read(hall).groups[0].watches == (Watch("disaster", None, None, 3),)
    assert post(hall, settings, do="add_watch", desk="disaster", least_level="4") == "add_watch_done"
    assert read(hall).groups[0].watches == (Watch("disaster", None, 4, None),)
    assert post(hall, settings, do="add_watch", desk="disaster", least_severity="4") == "no_desk"


def test_another_group_is_not_changed_by_a_form_for_this_one(hall: TownHall) -> None:
    town = hall.database
    first, other = group(town, "一班", []), group(town, "二班", [])
    (watch,) = (each[0] for each in _rows(town, "select group_watch_id from group_watch where group_id = %s", other))
    post(hall, f"/digital/groups/{first}", do="end_watch", watch=watch)
    assert [len(each.watches) for each in read(hall).groups] == [1, 1]


def _rows(town: Registered, query: str, *values: object) -> list[Any]:
    with connect(town.owner, name="test") as conn:
        return conn.execute(query.encode(), values).fetchall()
