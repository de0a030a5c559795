"""The link in a message: opening it changes nothing, its button acknowledges, and it is bound to whom and what."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import httpx
import pytest

from alerts.answers import LASTS
from alerts.channels import Notification
from alerts.outbox import Dispatcher
from store import connect
from tests.alerts.people import channels, group, person
from tests.api.serving import TownHall, populate, serving
from tests.conftest import Registered

HTML = {"Accept": "text/html"}


class Post:
    """A channel that keeps what it is given."""

    name = kind = "mail"
    knows_repetitions = False

    def __init__(self) -> None:
        self.sent: list[Notification] = []

    def send(self, notification: Notification) -> None:
        self.sent.append(notification)


@pytest.fixture
def hall(registered: Registered) -> Iterator[TownHall]:
    populate(registered)
    channels(registered, "mail")
    with serving(registered) as running:
        yield running


@pytest.fixture
def anyone(hall: TownHall) -> Iterator[httpx.Client]:
    """Somebody with a browser and no session."""
    with httpx.Client(base_url=hall.url, headers=HTML, timeout=20, trust_env=False) as client:
        yield client


def told(hall: TownHall, *names: str, event: str = "raised") -> tuple[int, dict[str, str]]:
    """An alert of which these people were told; its id, and the path of each one's link."""
    town = hall.database
    members = [person(town, name, ("mail", f"{name}@example.jp")) for name in names]
    group(town, "当番", members)
    alert_id = hall.raise_alert("river-okusawa/water_level")
    with connect(town.owner, name="test") as conn:
        conn.execute("update alert_history set event = %s where alert_id = %s", (event, alert_id))
        conn.execute(
            """
            insert into outbox (municipality_id, alert_history_id, channel, recipient, subject, body, next_attempt_at,
                                written_at, person_id, contact_id)
            select h.municipality_id, h.alert_history_id, channel, address, '奥沢水位観測所 水位のお知らせ', '本文',
                   now(), now(), c.person_id, contact_id
            from alert_history h, contact c where h.alert_id = %s and c.person_id = any(%s) order by contact_id
            """,
            (alert_id, members),
        )
    post = Post()
    with connect(town.worker, name="test") as conn:
        while Dispatcher([post], public_url="https://town.example.jp").send_next(conn):
            pass
    return alert_id, {
        each.recipient.partition("@")[0]: each.answer_url.removeprefix("https://town.example.jp")
        for each in post.sent
        if each.answer_url is not None
    }


def rows(hall: TownHall, query: str) -> list[tuple[object, ...]]:
    with connect(hall.database.owner, name="test") as conn:
        return conn.execute(query.encode()).fetchall()


def test_a_gateway_that_opens_every_link_acknowledges_nothing(hall: TownHall, anyone: httpx.Client) -> None:
    _, links = told(hall, "tanaka")
    for _ in range(3):
        page = anyone.get(links["tanaka"])
        assert page.status_code == 200 and "奥沢水位観測所" in page.text and "tanakaさん" in page.text
        assert page.headers["cache-control"] == "no-store"
        anyone.head(links["tanaka"])
    assert rows(hall, "select acknowledged_at from alert") == [(None,)]
    assert rows(hall, "select answered_at from answer_link") == [(None,)]


def test_the_button_acknowledges_for_its_recipient_and_stops_nobody_elses(hall: TownHall, anyone: httpx.Client) -> None:
    alert_id, links = told(hall, "tanaka", "suzuki")
    answer = anyone.post(links["tanaka"])
    assert answer.status_code == 303 and answer.headers["location"] == links["tanaka"]
    page = anyone.get(links["tanaka"]).text
    assert "tanakaさんの確認を記録しました" in page and "<button" not in page
    assert rows(hall, "select p.name, acknowledged_by from alert join person p on person_id = acknowledged_person") == [
        ("tanaka", None)
    ]
    other = anyone.get(links["suzuki"]).text
    assert "tanakaさんが" in other and "<button" in other
    anyone.post(links["suzuki"])
    anyone.post(links["suzuki"])
    assert rows(
        hall, "select p.name from alert_history join person p using (person_id) where event = 'acknowledged'"
    ) == [("tanaka",)], "the first one stands"
    assert rows(hall, "select count(*) from answer_link where answered_at is not null") == [(2,)]
    assert rows(hall, "select count(*) from contact where verified_at is not null") == [(2,)]
    with hall.visitor(None) as client:
        assert client.get(f"/api/v1/alerts/{alert_id}").status_code == 401


def test_the_desks_see_who_answered(hall: TownHall, anyone: httpx.Client) -> None:
    from api.access import Role

    alert_id, links = told(hall, "tanaka")
    anyone.post(links["tanaka"])
    with hall.visitor(Role.DISASTER) as client:
        found = client.get(f"/api/v1/alerts/{alert_id}").json()
        assert found["acknowledged_by"] == "tanaka" and found["history"][-1]["by"] == "tanaka"
        assert "tanaka" in client.get("/alerts", headers=HTML).text


def test_a_telephone_service_posts_and_reads_json(hall: TownHall) -> None:
    _, links = told(hall, "tanaka")
    with httpx.Client(base_url=hall.url, timeout=20, trust_env=False) as service:
        assert service.post(links["tanaka"]).json() == {"acknowledged": True}


def test_what_is_over_asks_for_no_answer(hall: TownHall) -> None:
    _, links = told(hall, "tanaka", event="cleared")
    assert links == {} and rows(hall, "select count(*) from answer_link") == [(0,)]


def test_after_twelve_hours_a_link_is_like_one_that_never_was(hall: TownHall, anyone: httpx.Client) -> None:
    _, links = told(hall, "tanaka")
    assert timedelta(hours=12) == LASTS
    with connect(hall.database.owner, name="test") as conn:
        conn.execute("update answer_link set expires_at = expires_at - %s", (LASTS,))
    over = anyone.post(links["tanaka"])
    never = anyone.post("/answer/" + "x" * 32)
    assert over.status_code == never.status_code == 404
    assert over.text.replace(links["tanaka"], "") == never.text.replace("/answer/" + "x" * 32, "")
    assert rows(hall, "select acknowledged_at from alert") == [(None,)]


def test_who_was_taken_off_the_list_answers_no_more(hall: TownHall, anyone: httpx.Client) -> None:
    _, links = told(hall, "tanaka")
    with connect(hall.database.owner, name="test") as conn:
        conn.execute("update person set ended_at = now()")
    assert anyone.post(links["tanaka"]).status_code == 404


def test_guessing_is_slowed_down_and_only_hashes_are_kept(hall: TownHall, anyone: httpx.Client) -> None:
    _, links = told(hall, "tanaka")
    token = links["tanaka"].removeprefix("/answer/")
    assert len(token) == 32
    kept = rows(hall, "select token_hash::text || body from answer_link join outbox using (outbox_id)")
    assert token not in str(kept)
    statuses = [anyone.get(f"/answer/{n:032}").status_code for n in range(40)]
    assert statuses[0] == 404 and statuses[-1] == 429
    assert anyone.get(links["tanaka"]).status_code == 429


def test_another_sites_page_cannot_press_the_button(hall: TownHall, anyone: httpx.Client) -> None:
    _, links = told(hall, "tanaka")
    answer = anyone.post(links["tanaka"], headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403
    assert rows(hall, "select acknowledged_at from alert") == [(None,)]
