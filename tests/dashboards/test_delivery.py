"""知らせた記録: every message of an alert with what became of it, for the desks and without whole addresses."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from api.access import Role
from api.database import enter_municipality
from api.pages.delivery import messages_of
from store import connect
from tests.alerts.people import channels, person
from tests.api.serving import TownHall, populate, serving
from tests.conftest import Registered


@pytest.fixture
def hall(registered: Registered) -> Iterator[TownHall]:
    populate(registered)
    channels(registered, "mail", "line")
    with serving(registered) as running:
        yield running


def write(hall: TownHall, alert_id: int, person_id: int | None, channel: str, address: str, **fields: object) -> None:
    values = {"attempts": 0, "sent_at": None, "stood_in": False, "unsure": 0, "last_error": None, **fields}
    with connect(hall.database.owner, name="test") as conn:
        conn.execute(
            f"""
            insert into outbox (municipality_id, alert_history_id, channel, recipient, subject, body, next_attempt_at,
                                person_id, {", ".join(values)})
            select municipality_id, alert_history_id, %s, %s, 's', 'b', now(), %s, {", ".join(["%s"] * len(values))}
            from alert_history where alert_id = %s
            """.encode(),
            (channel, address, person_id, *values.values(), alert_id),
        )


def test_each_message_says_what_became_of_it(hall: TownHall) -> None:
    town = hall.database
    alert_id = hall.raise_alert("river-okusawa/water_level")
    tanaka = person(town, "田中")
    sent = "2026-06-01 00:00:05+00"
    write(hall, alert_id, None, "log", "disaster", sent_at=sent)
    write(hall, alert_id, None, "mail", "desk@example.jp", sent_at=sent, attempts=1, unsure=1)
    write(hall, alert_id, tanaka, "line", "U0123456789", attempts=100, last_error="Undeliverable: gone")
    write(hall, alert_id, tanaka, "mail", "tanaka@example.jp", attempts=3, last_error="Busy: 503")
    write(hall, alert_id, tanaka, "pager", "1", stood_in=True)
    with connect(town.api, name="test") as conn:
        enter_municipality(conn, town.municipality_id)
        found = [(m.name, m.kind, m.address, m.state, m.unsure) for m in messages_of(conn, alert_id)]
    assert found == [
        (None, "mail", "des…@example.jp", "sent", True),
        ("田中", "line", "U01…789", "given_up", False),
        ("田中", "mail", "tan…@example.jp", "waiting", False),
        ("田中", None, "1", "stood_in", False),
    ]
    with hall.visitor(Role.DISASTER) as client:
        html = {"Accept": "text/html"}
        text = client.get(f"/alerts/{alert_id}/delivery", headers=html).text
        assert "田中" in text and "Busy: 503" in text and "tanaka@example.jp" not in text
        assert f'href="/alerts/{alert_id}/delivery"' in client.get("/alerts", headers=html).text
        assert client.get("/alerts/999999/delivery").status_code == 404
    with hall.visitor(Role.VIEWER) as client:
        assert client.get(f"/alerts/{alert_id}/delivery").status_code == 403


def test_what_is_wrong_with_the_operation_is_the_digital_sections_alone(hall: TownHall) -> None:
    with connect(hall.database.owner, name="test") as conn:
        row = conn.execute(
            "insert into alert (municipality_id, rule, cause, raised_at, phenomenon_time) "
            "values (%s, 'operation', 'disk_full', now(), now()) returning alert_id",
            (hall.database.municipality_id,),
        ).fetchone()
    assert row is not None
    for role, status in ((Role.WATER, 404), (Role.DIGITAL, 200)):
        with hall.visitor(role) as client:
            assert client.get(f"/alerts/{row[0]}/delivery").status_code == status
