"""通信網と送信元: sources over both ways, secrets shown once, maps with their errors, and whose they are."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from api.access import Role
from api.pages.words import load_words
from devices.codecs import radar_level
from devices.envelopes import MQTT_KINDS, POSTED_KINDS
from devices.envelopes.message_map import BytesForm, Form, TimeForm
from ingest.intake import IntakeConfig
from ingest.message import Message
from ingest.settle import KnownDevices, Settling
from quality.gate import CLOCK
from store import connect
from tests.api.serving import TownHall, populate, serving
from tests.brokers.running import wait_for
from tests.conftest import START, Registered
from tests.dashboards.test_quarantine import deliver, text_of, work
from tests.ingest.town import GAUGE, SENSOR_HEIGHT, query

PROJECT = Path(__file__).resolve().parents[2]
ADDRESS = "/digital/sources"
ELTRES = {"way": "mqtt", "name": "eltres", "topic_filter": "eltres/#", "kind": "mapped"}
MAP = {
    "device": "$.id",
    "counter": "$.n",
    "network_time": "$.at",
    "network_time_form": "japan",
    "payload": "$.bin",
    "field-name-1": "",
    "field-path-1": "",
}


@pytest.fixture
def hall(registered: Registered) -> Iterator[TownHall]:
    populate(registered)
    with serving(registered, intake=IntakeConfig(registered.worker)) as running:
        yield running


def level(metres: float, n: int, **changes: object) -> tuple[str, bytes]:
    payload = radar_level.encode(distance=round((SENSOR_HEIGHT - metres) * 1000)).hex()
    body = {"id": GAUGE, "n": n, "at": f"2026-06-01 08:{n:02}", "bin": payload} | changes
    return "eltres/okusawa", json.dumps(body).encode()


def deliver_later(registered: Registered, message: tuple[str, bytes]) -> None:
    """An hour from now, whatever was set up since."""
    with (
        connect(registered.worker, name="test") as conn,
        closing(KnownDevices(registered.municipality_id)) as devices,
    ):
        devices.refresh(conn)
        settling = Settling(conn, devices, [Message(*message, START + timedelta(hours=1))], CLOCK)
        while not settling.over:
            settling.step(conn)


def levels(registered: Registered) -> list[float]:
    """What has been stored of the gauge."""
    datastream_id = registered.datastream("river-okusawa", "water_level")
    rows = query(registered.owner, "select value from observation where datastream_id = %s order by 1", datastream_id)
    return [value for (value,) in rows]


def test_a_topic_is_made_listed_and_ended(registered: Registered, hall: TownHall) -> None:
    with hall.visitor(Role.DIGITAL) as client:
        made = client.post(ADDRESS, data=ELTRES | {"name": "aws", "kind": "aws_iot_lorawan"})
        assert (made.status_code, made.headers["location"]) == (303, f"{ADDRESS}?done=made#sources")
        text = text_of(client.get(ADDRESS).text)
        assert "aws MQTTトピック eltres/# AWS IoT Core for LoRaWAN まだ届いていません 受信中" in text
        ended = client.post(f"{ADDRESS}/mqtt-1/end")
        assert ended.status_code == 303
        assert client.post(f"{ADDRESS}/mqtt-1/end").status_code == 303
        assert "終了" in text_of(client.get(ADDRESS).text)
        assert "この送信元は終了しました" in client.get(f"{ADDRESS}/mqtt-1").text
    ((login,),) = query(registered.owner, "select login from mqtt_source join app_user using (user_id)")
    assert login == "own-digital"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "ELTRES"}, "1 to 40 characters"),
        ({"name": "first"}, "a source first already"),
        ({"topic_filter": "#"}, "every topic"),
        ({"topic_filter": "town/1"}, r"overlaps with town/\+ of the source first"),
        ({"topic_filter": "application/1/device/2/event/up"}, "ChirpStack|application/"),
        ({"topic_filter": "+/x/device/#"}, "overlaps with application/"),
        ({"kind": "sigfox"}, "no kind"),
        ({"kind": ""}, "no kind"),
        ({"way": "http", "name": "a b"}, "1 to 40 characters"),
        ({"way": "http", "kind": "telepathy"}, "no kind"),
    ],
)
def test_what_cannot_be_made_says_why_and_keeps_what_was_typed(
    registered: Registered, hall: TownHall, changes: dict[str, str], words: str
) -> None:
    with hall.visitor(Role.DIGITAL) as client:
        client.post(ADDRESS, data=ELTRES | {"name": "first", "topic_filter": "town/+"})
        answer = client.post(ADDRESS, data=ELTRES | changes)
        assert answer.status_code == 422
        assert re.search(words, answer.text)
        assert f'value="{(ELTRES | changes)["name"]}"' in answer.text
    assert query(registered.owner, "select count(*) from mqtt_source union all select count(*) from intake_source") == [
        (1,),
        (0,),
    ]


def test_the_secret_of_an_address_is_on_one_page_and_works(registered: Registered, hall: TownHall) -> None:
    with hall.visitor(Role.DIGITAL) as client:
        answer = client.post(ADDRESS, data={"way": "http", "name": "own", "kind": "mimamori_v1"})
        (secret,) = re.findall(r'id="secret-text">([^<]+)<', answer.text)
        assert answer.headers["cache-control"] == "no-store"
        assert secret not in client.get(ADDRESS).text and secret not in client.get(f"{ADDRESS}/http-1").text
        body = {"device": "pump-house", "counter": 1, "readings": {"flow": 1}}
        headers = {"X-Mimamori-Secret": secret}
        wait_for(
            lambda: client.post("/intake/own", json=body, headers=headers).status_code == 202, "the source to be let in"
        )
        client.post(f"{ADDRESS}/http-1/end")
        wait_for(
            lambda: client.post("/intake/own", json=body, headers=headers).status_code == 401,
            "the source to be refused",
        )
    # The API's own role can write a hash, and not read one.
    with connect(registered.api, name="test") as conn, pytest.raises(Exception, match="permission denied"):
        conn.execute("select secret_hash from intake_source")


def test_a_map_reads_what_waited(registered: Registered, hall: TownHall) -> None:
    with hall.visitor(Role.DIGITAL) as client:
        client.post(ADDRESS, data=ELTRES)
        deliver(registered, level(1.25, 1), level(1.5, 2))
        page = client.get(f"{ADDRESS}/mqtt-1").text
        assert "読めずに待っている電文 2" in text_of(page)
        # The newest one is the example, and all that is in it can be chosen.
        assert "&#34;n&#34;: 2" in page and '<option value="$.bin">' in page
        tried = client.post(f"{ADDRESS}/mqtt-1", data=MAP | {"do": "try"})
        assert tried.status_code == 200 and "この電文はこう読めます" in tried.text
        assert query(registered.owner, "select count(*) from source_map") == [(0,)]
        saved = client.post(f"{ADDRESS}/mqtt-1", data=MAP | {"do": "save"})
        assert saved.headers["location"] == f"{ADDRESS}/mqtt-1?done=saved_again"
        work(registered)
        assert levels(registered) == [1.25, 1.5]
        again = client.get(f"{ADDRESS}/mqtt-1").text
        assert "読めずに待っている電文 0" in text_of(again) and 'value="$.bin"' in again


def test_a_map_that_is_mended_reads_what_came_before_and_a_changed_one_does_not(
    registered: Registered, hall: TownHall
) -> None:
    with hall.visitor(Role.DIGITAL) as client:
        client.post(ADDRESS, data=ELTRES)
        client.post(f"{ADDRESS}/mqtt-1", data=MAP | {"do": "save", "device": "$.wrong"})
        deliver(registered, level(1.25, 1))
        client.post(f"{ADDRESS}/mqtt-1", data=MAP | {"do": "save", "reach": "changed", "device": "$.other"})
        work(registered)
        # What had come was of the old kind: it is still read as that, and cannot be.
        assert query(registered.owner, "select outcome, reason from uplink") == [("quarantined", "envelope")]
        client.post(f"{ADDRESS}/mqtt-1", data=MAP | {"do": "save", "reach": "mended"})
        deliver_later(registered, level(1.5, 2))
    since = query(registered.owner, "select since, map->>'device' from source_map order by source_map_id")
    assert [device for _, device in since] == ["$.wrong", "$.other", "$.id"]
    assert since[0][0] < since[1][0] == since[2][0]
    assert levels(registered) == [1.5]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"device": ""}, "must be said"),
        ({"device": "id"}, "begins with $"),
        ({"device": "$.a[?match(@.a, '(x+)+$')]"}, "no JSONPath"),
        ({"counter": "", "network_time": ""}, "a counter or a time"),
        ({"payload": ""}, "one of the three"),
        ({"field-name-1": "level", "field-path-1": "$.v"}, "one of the three"),
    ],
)
def test_a_map_that_will_not_do_is_not_saved_and_says_where(
    registered: Registered, hall: TownHall, changes: dict[str, str], words: str
) -> None:
    with hall.visitor(Role.DIGITAL) as client:
        client.post(ADDRESS, data=ELTRES)
        answer = client.post(f"{ADDRESS}/mqtt-1", data=MAP | changes | {"do": "save"})
        assert answer.status_code == 422 and words in answer.text.replace("&#39;", "'")
        tried = client.post(f"{ADDRESS}/mqtt-1", data=MAP | changes | {"do": "try", "example": level(1, 1)[1].decode()})
        assert tried.status_code == 200 and words in tried.text.replace("&#39;", "'")
    assert query(registered.owner, "select count(*) from source_map") == [(0,)]


def test_without_an_example_nothing_can_be_tried(hall: TownHall) -> None:
    with hall.visitor(Role.DIGITAL) as client:
        client.post(ADDRESS, data=ELTRES)
        answer = client.post(f"{ADDRESS}/mqtt-1", data=MAP | {"do": "try"})
        assert answer.status_code == 422 and "例の電文がありません" in answer.text
        big = client.post(f"{ADDRESS}/mqtt-1", data=MAP | {"do": "try", "example": "x" * 70_000})
        assert big.status_code == 400
        odd = client.post(f"{ADDRESS}/mqtt-1", data=MAP | {"do": "try", "form": "xml", "example": "{}"})
        assert odd.status_code == 400


def test_an_example_is_shown_as_text_and_never_as_markup(registered: Registered, hall: TownHall) -> None:
    with hall.visitor(Role.DIGITAL) as client:
        client.post(ADDRESS, data=ELTRES)
        deliver(registered, ("eltres/<i>x</i>", b'</textarea><script>alert(1)</script> {"a": 1}'))
        html = client.get(f"{ADDRESS}/mqtt-1").text
    assert "<script>alert" not in html and "</textarea><script" not in html and "<i>x" not in html


def test_a_sigfox_template_of_the_towns_own_begins_with_the_usual_one(registered: Registered, hall: TownHall) -> None:
    with hall.visitor(Role.DIGITAL) as client:
        client.post(ADDRESS, data={"way": "http", "name": "kccs", "kind": "sigfox"})
        html = client.get(f"{ADDRESS}/http-1").text
        assert 'value="$.seqNumber"' in html
        drawn = {"device": "$.id", "counter": "$.seq", "payload": "$.hex"}
        client.post(f"{ADDRESS}/http-1", data=drawn | {"do": "save"})
    body = json.dumps({"id": GAUGE, "seq": "812", "hex": radar_level.encode(distance=4700).hex()}).encode()
    deliver(registered, ("intake/kccs/sigfox", body))
    assert query(registered.owner, "select network, outcome, counter from uplink") == [("sigfox", "accepted", 812)]


def test_the_two_ways_do_not_meddle_with_each_others_messages(registered: Registered, hall: TownHall) -> None:
    """A source's waiting messages are told by its topics, whatever is in its name."""
    with hall.visitor(Role.DIGITAL) as client:
        client.post(ADDRESS, data=ELTRES | {"topic_filter": "a.b/+/c"})
        deliver(registered, ("axb/1/c", b"{"), ("a.b/1/c", b"{"), ("a.b/1/c/d", b"{"), ("a.b/c", b"{"))
        assert "読めずに待っている電文 1" in text_of(client.get(f"{ADDRESS}/mqtt-1").text)


def test_only_the_digital_section_of_the_own_town_sees_it(registered: Registered, hall: TownHall) -> None:
    with hall.visitor(Role.DIGITAL) as client:
        client.post(ADDRESS, data=ELTRES)
        assert ADDRESS in client.get("/digital").text
    with hall.visitor(Role.DISASTER) as client:
        assert client.get(ADDRESS).status_code == 403
        assert ADDRESS not in client.get("/digital").text
    with hall.visitor(Role.DIGITAL, town="other") as client:
        assert "eltres" not in text_of(client.get(ADDRESS).text).lower().replace("eltres、csv", "")
        assert client.get(f"{ADDRESS}/mqtt-1").status_code == 404
        assert client.post(f"{ADDRESS}/mqtt-1/end").status_code == 404
        assert client.post(f"{ADDRESS}/mqtt-1", data=MAP | {"do": "save"}).status_code == 404
        # The same name and topic in another town are another source.
        assert client.post(ADDRESS, data=ELTRES).status_code == 303
    assert query(registered.owner, "select count(*) from mqtt_source where ended_at is null") == [(2,)]


def test_an_unknown_device_of_a_mapped_source_can_be_registered_by_what_it_says(
    registered: Registered, hall: TownHall
) -> None:
    with hall.visitor(Role.DIGITAL) as client:
        client.post(ADDRESS, data=ELTRES)
        client.post(f"{ADDRESS}/mqtt-1", data=MAP | {"do": "save"})
        deliver(registered, level(1.25, 1, id="CLIP-0042"))
        page = client.get("/digital/register", params={"key": "clip-0042"}).text
    payload = radar_level.encode(distance=round((SENSOR_HEIGHT - 1.25) * 1000)).hex(" ")
    assert payload in page and "distance=" in text_of(page)


def test_every_kind_and_form_has_its_words() -> None:
    for words in load_words(PROJECT / "dashboards" / "locales").values():
        for kind in {*MQTT_KINDS, *POSTED_KINDS}:
            assert f"source.kind.{kind}" in words.texts
        for group, forms in (("form", Form), ("time", TimeForm), ("payload", BytesForm)):
            assert all(f"sourcemap.{group}.{each.value}" in words.texts for each in forms)


def test_what_came_before_the_source_ended_is_opened_as_before(registered: Registered, hall: TownHall) -> None:
    with hall.visitor(Role.DIGITAL) as client:
        client.post(ADDRESS, data=ELTRES)
        client.post(f"{ADDRESS}/mqtt-1", data=MAP | {"do": "save"})
        client.post(f"{ADDRESS}/mqtt-1/end")
    deliver_later(registered, level(1.25, 3))
    assert levels(registered) == [1.25]
