"""この端末に通知する: from the browser that a person allows to the push service, the answer, and a device's end."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from alerts import roster
from alerts.calling import About, ladder
from alerts.channels_push import PushChannel
from alerts.config import PushConfig
from alerts.outbox import Dispatcher
from alerts.push_message import new_key
from alerts.reach import reach
from api.roles import Role
from devices.clock import ClockSetting, real_now
from store import connect
from store.town_clock import write_clock
from tests.alerts.people import channels, group, person
from tests.alerts.push_service import Device, PushService, push_service
from tests.api.serving import TownHall, populate, serving
from tests.api.test_answers import Post, rows
from tests.conftest import START, Registered

PAGE, HTML = "/notifications", {"Accept": "text/html"}
ROAD = "https://town.example.jp"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[PushService]:
    with push_service(tmp_path) as running:
        yield running


@pytest.fixture
def channel(service: PushService) -> PushChannel:
    return PushChannel(
        "push", PushConfig(new_key(), "mailto:b@example.jp", frozenset({"127.0.0.1"}), service.ca_file, 5)
    )


@pytest.fixture
def hall(registered: Registered, channel: PushChannel) -> Iterator[TownHall]:
    populate(registered)
    with connect(registered.owner, name="test") as conn:
        now = real_now()
        write_clock(conn, ClockSetting(simulated=False, real_start=now, town_start=now, speed=1.0))
    with connect(registered.worker, name="test") as conn:
        roster.announce(conn, [channel])
        conn.execute("insert into delivery_channel (name, kind) values ('mail', 'mail')")
    with serving(registered) as running:
        yield running


def named(hall: TownHall, name: str, role: Role, *contacts: tuple[str, str]) -> int:
    """Somebody of the contacts with the account of that role; their id."""
    person_id = person(hall.database, name, *contacts)
    (user,) = rows(hall, f"select user_id from app_user where login = 'own-{role.value}'")
    with hall.visitor(Role.DIGITAL) as client:
        said = {"do": "keep_account", "person": str(person_id), "user": str(user[0])}
        assert "keep_account_done" in client.post("/digital/people", data=said).headers["location"]
    return person_id


def allow(client: httpx.Client, device: Device, key: str, **said: str) -> str:
    """What the page's script sends; what the page then says."""
    fields = device.fields(key)
    fields["key"] = fields.pop("public_key")
    answer = client.post(PAGE, data={"do": "allow", "name": "山田のスマホ", **fields, **said})
    assert answer.status_code == 303
    return answer.headers["location"].partition("said=")[2].partition("#")[0]


def send_all(hall: TownHall, *ways: PushChannel | Post) -> None:
    with connect(hall.database.worker, name="test") as conn:
        dispatcher = Dispatcher(ways, public_url=ROAD)
        while dispatcher.send_next(conn) or dispatcher.fall_back(conn):
            pass


def test_a_device_is_allowed_tried_answered_and_taken_away(
    hall: TownHall, service: PushService, channel: PushChannel
) -> None:
    device = service.device()
    with hall.visitor(Role.VIEWER) as nobody:
        assert "連絡先の人と結び付いていません" in nobody.get(PAGE, headers=HTML).text
        assert allow(nobody, device, channel.public_key) == "nobody"
    named(hall, "山田", Role.DISASTER, ("mail", "yamada@example.jp"))
    with hall.visitor(Role.DISASTER) as client:
        page = client.get(PAGE, headers=HTML).text
        assert f'data-key="{channel.public_key}"' in page and "まだどの班にも" in page and "まだありません" in page
        assert allow(client, device, channel.public_key) == "allowed"
        assert allow(client, device, channel.public_key) == "allowed", "twice is once"
        ((contact, address, position),) = rows(
            hall, "select contact_id, address, position from contact where channel = 'push'"
        )
        assert address == f"山田のスマホ #{contact}" and position == 1
        page = client.get(PAGE, headers=HTML).text
        assert address in page and "連絡先の2番目" in page and device.endpoint in page
        for expected in ("tested", "not_tested"):
            said = client.post(PAGE, data={"do": "test", "contact": str(contact)}).headers["location"]
            assert f"said={expected}#" in said
        assert "試験のお知らせを送っています" in client.get(PAGE, headers=HTML).text
        send_all(hall, channel)
        (request,) = service.requests
        told = device.opened(request.body)
        assert told["title"].startswith("【試験】") and "確認してください" in told["title"] + told["body"]
        path = told["url"].removeprefix(ROAD)
        assert path.startswith("/answer/") and "試験のお知らせを" in client.get(PAGE, headers=HTML).text
        with hall.visitor(None) as anyone:
            assert anyone.get(path, headers=HTML).status_code == 200
            assert rows(hall, f"select verified_at from contact where contact_id = {contact}") == [(None,)]
            assert anyone.post(path, headers=HTML).status_code == 303
        assert rows(hall, f"select verified_at is not null from contact where contact_id = {contact}") == [(True,)]
        assert "応答あり" in client.get(PAGE, headers=HTML).text
        with hall.visitor(Role.WATER) as other:
            for do in ("test", "remove"):
                assert "said=nobody" in other.post(PAGE, data={"do": do, "contact": str(contact)}).headers["location"]
        assert "removed" in client.post(PAGE, data={"do": "remove", "contact": str(contact)}).headers["location"]
        assert "まだありません" in client.get(PAGE, headers=HTML).text
    # The self-made test is no group's: the contacts' page goes on without it.
    with hall.visitor(Role.DIGITAL) as client:
        assert client.get("/digital/people", headers=HTML).status_code == 200


def test_what_is_no_subscription_of_this_key_is_refused(hall: TownHall, channel: PushChannel) -> None:
    named(hall, "山田", Role.DISASTER)
    good = Device("https://push.example.org/1")
    with hall.visitor(Role.DISASTER) as client:
        for device, changed in (
            (Device("http://push.example.org/1"), {}),
            (Device("https://user@push.example.org/1"), {}),
            (Device("https://push.example.org/" + "x" * 2000), {}),
            (good, {"p256dh": "AAAA"}),
            (good, {"auth": "鍵"}),
        ):
            assert allow(client, device, channel.public_key, **changed) == "no_subscription"
        assert allow(client, good, "another") == "old_key"
        assert allow(client, good, channel.public_key, name="\u202e\x00" + "長" * 500) == "allowed"
    ((address,),) = rows(hall, "select address from contact where channel = 'push'")
    assert str(address).startswith("長") and len(str(address)) < 80
    with hall.visitor(Role.DIGITAL) as client:
        typed = {"do": "add_contact", "person": "1", "channel": "push", "address": "Android #1"}
        assert "own_browser" in client.post("/digital/people", data=typed).headers["location"]


def told(hall: TownHall, person_id: int) -> int:
    """An alert of which somebody is told by their first contact, as the roster has it; its id."""
    alert_id = hall.raise_alert("river-okusawa/water_level")
    with connect(hall.database.worker, name="test") as conn:
        people = roster.load_roster(conn, hall.database.municipality_id, START.date())
        steps = ladder(people, About("disaster", None, 3), START, roster.channels(conn))
        (call,) = steps[0]
        assert call.person.person_id == person_id
        (way,) = call.contacts
        conn.execute(
            """
            insert into outbox (municipality_id, alert_history_id, channel, recipient, subject, body, brief,
                                next_attempt_at, written_at, person_id, contact_id)
            select municipality_id, alert_history_id, %s, %s, '件名', '本文', '見出し', %s, %s, %s, %s
            from alert_history where alert_id = %s
            """,
            (way.channel, way.address, real_now(), real_now(), person_id, way.contact_id, alert_id),
        )
    return alert_id


def untold(hall: TownHall) -> tuple[str, ...]:
    """What the watch over the operation would raise."""
    with connect(hall.database.worker, name="test") as conn:
        return reach(conn, hall.database.municipality_id, real_now(), mail=True).causes


@pytest.mark.parametrize("status", [404, 410])
def test_a_device_that_is_gone_is_said_to_be_and_the_next_way_is_used_at_once(
    hall: TownHall, service: PushService, channel: PushChannel, status: int
) -> None:
    yamada = named(hall, "山田", Role.DISASTER)
    group(hall.database, "当番", [yamada])
    with hall.visitor(Role.DISASTER) as client:
        assert allow(client, service.device(), channel.public_key) == "allowed"
        with hall.visitor(Role.DIGITAL) as keeper:
            typed = {"do": "add_contact", "person": str(yamada), "channel": "mail", "address": "y@example.jp"}
            assert "add_contact_done" in keeper.post("/digital/people", data=typed).headers["location"]
        alert_id = told(hall, yamada)
        assert untold(hall) != ("nobody_told:all",)
        service.failures = [status]
        post = Post()
        send_all(hall, channel, post)
        assert len(service.requests) == 1 and [each.recipient for each in post.sent] == ["y@example.jp"]
        assert rows(hall, "select gone_why from contact where channel = 'push'") == [("refused",)]
        assert "受け付けなくなりました" in client.get(PAGE, headers=HTML).text
        record = client.get(f"/alerts/{alert_id}/delivery", headers=HTML).text
        assert f"answered {status}" in record and service.url not in record
        # From now on the roster has the mail alone, and without it nobody, which the reach check tells.
        told(hall, yamada)
        send_all(hall, channel, post)
        assert len(post.sent) == 2 and len(service.requests) == 1
        with hall.visitor(Role.DIGITAL) as keeper:
            page = keeper.get("/digital/people", headers=HTML).text
            assert "届かなくなりました" in page and "連絡できません" not in page
            mail = rows(hall, "select contact_id from contact where channel = 'mail'")[0][0]
            keeper.post("/digital/people", data={"do": "end_contact", "person": str(yamada), "contact": str(mail)})
            page = keeper.get("/digital/people", headers=HTML).text
            assert "連絡できません" in page and untold(hall) == ("nobody_told:all",)
        # Allowed anew on the same browser it takes the place that it had.
        assert allow(client, service.device("two"), channel.public_key, old=service.device().endpoint) == "allowed"
        found = rows(hall, "select position from contact where channel = 'push' and ended_at is null")
        assert found == [(1,)] and "受け付けなくなりました" not in client.get(PAGE, headers=HTML).text


def test_a_browser_is_one_persons_at_a_time(hall: TownHall, service: PushService, channel: PushChannel) -> None:
    named(hall, "山田", Role.DISASTER)
    named(hall, "鈴木", Role.WATER)
    with hall.visitor(Role.DISASTER) as one, hall.visitor(Role.WATER) as two:
        assert allow(one, service.device("shared"), channel.public_key) == "allowed"
        assert allow(two, service.device("new"), channel.public_key, old=service.device("shared").endpoint) == "allowed"
        assert "別の人の通知に切り替えられました" in one.get(PAGE, headers=HTML).text
        assert "連絡先の1番目" in two.get(PAGE, headers=HTML).text
        # Two people with the same telephone are two recipients of one step.
        addresses = {row[0] for row in rows(hall, "select address from contact where channel = 'push'")}
        assert len(addresses) == 2
    # Another account for the same person: what the one before had allowed is nobody's any more.
    (suzuki,) = rows(hall, "select person_id from person where name = '鈴木'")
    with hall.visitor(Role.DIGITAL) as keeper:
        taken = keeper.post("/digital/people", data={"do": "keep_account", "person": str(suzuki[0]), "user": "999"})
        assert "no_account" in taken.headers["location"]
        keeper.post("/digital/people", data={"do": "keep_account", "person": str(suzuki[0]), "user": ""})
    assert rows(
        hall, "select count(*) from contact where channel = 'push' and ended_at is null and gone_at is null"
    ) == [(0,)]


def test_a_town_that_has_no_push_says_so(hall: TownHall) -> None:
    named(hall, "山田", Role.DISASTER)
    channels(hall.database, "mail")
    with hall.visitor(Role.DISASTER) as client:
        assert "設定していません" in client.get(PAGE, headers=HTML).text
        assert allow(client, Device("https://push.example.org/1"), "key") == "no_channel"


def test_a_step_of_a_high_level_is_urgent_and_its_correction_too(
    hall: TownHall, service: PushService, channel: PushChannel
) -> None:
    yamada = named(hall, "山田", Role.DISASTER)
    group(hall.database, "当番", [yamada])
    with hall.visitor(Role.DISASTER) as client:
        allow(client, service.device(), channel.public_key)
        alert_id = told(hall, yamada)
        with connect(hall.database.owner, name="test") as conn:
            conn.execute("update alert_history set level = 4 where alert_id = %s", (alert_id,))
            conn.execute("update alert set level = 4, peak_level = 4 where alert_id = %s", (alert_id,))
        send_all(hall, channel)
        assert "1" in client.get(f"/alerts/{alert_id}/retract", headers=HTML).text
        answer = client.post(f"/alerts/{alert_id}/retract", data={"note": "センサーの故障"}, headers=HTML)
        assert answer.status_code == 303, answer.text
        send_all(hall, channel)
    one, two = service.requests
    assert (one.headers["Urgency"], two.headers["Urgency"]) == ("high", "high")
    assert int(two.headers["TTL"]) == timedelta(days=28).total_seconds()
    assert rows(hall, "select count(*) from outbox where sent_at is null and channel = 'push'") == [(0,)]
