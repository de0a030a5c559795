"""Alerts through the API: who may act, what is refused, and what the history says."""

from __future__ import annotations

import pytest

from api.access import Role
from api.roles import desks_of
from devices.model import StationKind
from store import connect
from tests.api.serving import TownHall, assert_problem, minutes

LEVEL = "river-okusawa/water_level"
PLACES = {
    StationKind.RIVER_GAUGE: LEVEL,
    StationKind.BLOCK_INLET: "block-hamamachi/flow",
    StationKind.VISITOR_SPOT: "spot-todai/passages_in",
}
TABLE = {
    ("level", StationKind.RIVER_GAUGE): {Role.DISASTER},
    ("silence", StationKind.RIVER_GAUGE): {Role.DISASTER, Role.DIGITAL},
    ("level", StationKind.BLOCK_INLET): {Role.WATER},
    ("silence", StationKind.BLOCK_INLET): {Role.WATER, Role.DIGITAL},
    ("level", StationKind.VISITOR_SPOT): {Role.TOURISM},
    ("silence", StationKind.VISITOR_SPOT): {Role.TOURISM, Role.DIGITAL},
}


@pytest.mark.parametrize(("rule", "kind"), TABLE)
def test_an_alert_is_its_desks_alone(town_hall: TownHall, rule: str, kind: StationKind) -> None:
    assert desks_of(rule, kind) == TABLE[rule, kind]
    alert_id = town_hall.raise_alert(PLACES[kind], rule=rule)
    allowed = set()
    for role in Role:
        with town_hall.visitor(role) as client:
            (listed,) = client.get("/api/v1/alerts?open=true").json()["alerts"]
            response = client.post(f"/api/v1/alerts/{alert_id}/comment", json={"note": "確認に向かう"})
            assert listed["may_act"] == (response.status_code == 200)
            if response.status_code == 200:
                allowed.add(role)
            else:
                assert_problem(response, 403, "refused")
    assert allowed == TABLE[rule, kind]


def test_the_life_of_an_alert_is_written_down_with_who_and_when(town_hall: TownHall) -> None:
    alert_id = town_hall.raise_alert(LEVEL)
    with town_hall.visitor(Role.DISASTER) as client:
        path = f"/api/v1/alerts/{alert_id}"
        raised = client.get(path).json()
        assert (raised["state"], raised["level"], raised["unit"], raised["value"]) == ("raised", 3, "m", 2.5)
        acknowledged = client.post(f"{path}/acknowledge", json={"note": "巡視を手配"}).json()
        again = assert_problem(client.post(f"{path}/acknowledge"), 409, "conflict")
        client.post(f"{path}/comment", json={"note": "橋の下に流木"})
        cleared = client.post(f"{path}/clear", json={"note": "目視で低下を確認"}).json()
        assert_problem(client.post(f"{path}/clear"), 409, "conflict")
        assert client.get(path).json() == cleared
        assert client.get("/api/v1/alerts?open=true").json()["alerts"] == []
        assert [each["alert_id"] for each in client.get("/api/v1/alerts?open=false").json()["alerts"]] == [alert_id]
    assert acknowledged["state"] == "acknowledged"
    assert acknowledged["acknowledged_by"] == "disaster of the own town"
    assert "disaster of the own town" in again["detail"]
    assert (cleared["state"], cleared["cleared_by"]) == ("cleared", "disaster of the own town")
    assert [(each["event"], each["by"], each["note"]) for each in cleared["history"]] == [
        ("raised", None, None),
        ("acknowledged", "disaster of the own town", "巡視を手配"),
        ("commented", "disaster of the own town", "橋の下に流木"),
        ("cleared", "disaster of the own town", "目視で低下を確認"),
    ]


def test_an_alert_cannot_be_cleared_while_the_water_is_above(town_hall: TownHall) -> None:
    (at,) = minutes(0)
    town_hall.observe(LEVEL, (at, 9.0))
    alert_id = town_hall.raise_alert(LEVEL)
    with town_hall.visitor(Role.DISASTER) as client:
        english = {"Accept-Language": "en"}
        refused = client.post(f"/api/v1/alerts/{alert_id}/clear", json={"note": "x"}, headers=english)
        body = assert_problem(refused, 409, "conflict")
        assert client.get(f"/api/v1/alerts/{alert_id}").json()["state"] == "raised"
    assert "9.00 m" in body["detail"]


def test_a_comment_needs_words(town_hall: TownHall) -> None:
    alert_id = town_hall.raise_alert(LEVEL)
    with town_hall.visitor(Role.DISASTER) as client:
        path = f"/api/v1/alerts/{alert_id}/comment"
        assert_problem(client.post(path, json={"note": ""}), 422, "invalid")
        assert_problem(client.post(path, json={}), 422, "invalid")
        assert_problem(client.post(path, json={"note": "  "}), 400, "bad_request")
        assert_problem(client.post(path, json={"note": "x" * 2001}), 422, "invalid")


def test_alerts_come_newest_first_in_pages_and_since_a_time(town_hall: TownHall) -> None:
    ids = [town_hall.raise_alert(LEVEL) for _ in range(5)]
    with connect(town_hall.database.owner, name="test") as conn:
        conn.execute("update alert set raised_at = raised_at + interval '1 hour' where alert_id >= %s", (ids[3],))
    found: list[int] = []
    with town_hall.visitor(Role.VIEWER) as client:
        address = "/api/v1/alerts?limit=2"
        while address:
            page = client.get(address).json()
            found += [each["alert_id"] for each in page["alerts"]]
            address = page["next"]
        since = client.get("/api/v1/alerts?since=2026-06-01T10:00:00%2B09:00&limit=1").json()
        rest = client.get(since["next"]).json()
    assert found == ids[::-1]
    assert [each["alert_id"] for each in since["alerts"] + rest["alerts"]] == [ids[4], ids[3]]
    assert rest["next"] is None


def test_a_person_says_that_an_unconfirmed_reading_is_right_or_wrong(town_hall: TownHall) -> None:
    alert_id = town_hall.raise_alert(LEVEL, unconfirmed=True)
    with town_hall.visitor(Role.DISASTER) as client:
        found = client.get(f"/api/v1/alerts/{alert_id}").json()
        assert (found["level"], found["confirmed_level"], found["withheld"]) == (3, None, "unconfirmed")
        answer = client.post(f"/api/v1/alerts/{alert_id}/confirm", json={"note": "現地で確認"})
        assert answer.status_code == 200, answer.text
        assert (answer.json()["confirmed_level"], answer.json()["withheld"]) == (3, "released")
        assert [(each["event"], each["note"]) for each in answer.json()["history"]][-1] == ("confirmed", "現地で確認")
        assert_problem(client.post(f"/api/v1/alerts/{alert_id}/dismiss"), 409, "conflict")
        wrong = town_hall.raise_alert(LEVEL, unconfirmed=True)
        over = client.post(f"/api/v1/alerts/{wrong}/dismiss").json()
        assert (over["state"], over["history"][-1]["unconfirmed"]) == ("cleared", True)
