"""A lamp that listens to a real broker: what it hears, and what became of a message that nobody took."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

import alerts
from alerts.channels import Notification, Undeliverable, Unsure
from alerts.channels_config import channel_of, read_channels
from alerts.channels_http import NotTaken
from alerts.channels_mqtt import MOST_BYTES, MqttChannel
from alerts.config import AlertsConfig, MqttConfig
from alerts.errors import ChannelFileError
from alerts.monthly import ask
from alerts.outbox import Dispatcher
from devices.clock import ClockSetting, real_now
from ingest.broker import Broker
from ingest.embedded import EmbeddedBroker
from store import connect
from store.town_clock import write_clock
from tests.alerts.gauge import STEP, Gauge
from tests.alerts.people import channels, group, person
from tests.alerts.test_delivery import Way
from tests.brokers.running import Ear, broker, embedded, wait_for
from tests.conftest import START, Registered

__all__ = ["broker", "embedded"]

BODY = '{"event": "${event}", "level": "${level}", "mode": "${mode}", "text": "${brief}", "key": "${key}"}'
NOTE = Notification(
    7, "dam", "件名", "庁内だけの本文", brief='公開 "文"\n', key=str(uuid4()), event="raised", level=4, mode="exercise"
)


def configured(broker: Broker, **fields: Any) -> MqttConfig:
    config = MqttConfig(
        broker.host,
        "town/lamp/${address}",
        BODY,
        port=broker.port,
        username=broker.username,
        password=broker.password,
        timeout_seconds=5,
    )
    return replace(config, **fields)


def channel(broker: Broker, **fields: Any) -> MqttChannel:
    return MqttChannel("lamp", configured(broker, **fields))


@pytest.fixture
def lamp(broker: Broker) -> Iterator[Ear]:
    found = Ear(broker, "lamp", "town/lamp/+")
    yield found
    found.leave()


def test_a_lamp_hears_what_happened_at_which_level_and_whether_it_is_a_drill(broker: Broker, lamp: Ear) -> None:
    channel(broker).send(NOTE)
    wait_for(lambda: lamp.payloads != [], "the lamp hears it")
    assert lamp.heard[0].topic == "town/lamp/dam" and lamp.heard[0].qos == 1 and not lamp.heard[0].retain
    assert json.loads(lamp.payloads[0]) == {
        "event": "raised",
        "level": "4",
        "mode": "exercise",
        "text": '公開 "文"\n',
        "key": NOTE.key,
    }


def test_a_payload_need_not_be_json(broker: Broker, lamp: Ear) -> None:
    channel(broker, body='${event} "${level}"', json=False).send(replace(NOTE, event="cleared", level=None))
    wait_for(lambda: lamp.payloads == [b'cleared ""'], "the lamp hears it")


@pytest.mark.parametrize("embedded", ["mosquitto"], indirect=True)
def test_version_5_says_when_nobody_listens(broker: Broker, lamp: Ear) -> None:
    with pytest.raises(NotTaken, match="nobody listens to town/siren/dam"):
        channel(broker, version="5", topic="town/siren/${address}").send(NOTE)
    channel(broker, version="5").send(NOTE)
    wait_for(lambda: len(lamp.payloads) == 1, "the lamp hears it")


def test_a_wrong_password_is_our_fault_and_no_lamps(broker: Broker) -> None:
    with pytest.raises(NotTaken, match="lamp: the broker") as raised:
        channel(broker, password="wrong").send(NOTE)
    assert not isinstance(raised.value, Undeliverable) and "wrong" not in str(raised.value)


def test_a_broker_that_is_away_took_nothing(broker: Broker, embedded: EmbeddedBroker) -> None:
    embedded.stop()
    with pytest.raises(OSError, match="refused"):
        channel(broker).send(NOTE)


def test_a_broker_that_does_not_answer_may_have_taken_it(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    """The acknowledgement is what counts: here it is lost on the way."""
    monkeypatch.setattr("alerts.channels_mqtt._Answers._on_publish", lambda *_: None)
    with pytest.raises(Unsure, match="did not acknowledge"):
        channel(broker, timeout_seconds=0.5).send(NOTE)


@pytest.mark.parametrize("address", ["a/b", "+", "x#", "dam\x00"])
def test_an_address_is_one_word_of_a_topic(address: str) -> None:
    with pytest.raises(Undeliverable, match="cannot stand in a topic"):
        MqttChannel("lamp", MqttConfig("x", "town/${address}", "1")).send(replace(NOTE, recipient=address))


def test_a_payload_has_a_limit() -> None:
    with pytest.raises(Undeliverable, match=f"more than the {MOST_BYTES}"):
        MqttChannel("lamp", MqttConfig("x", "t", "${body}")).send(replace(NOTE, body="水" * MOST_BYTES))


def test_the_operators_file_says_where_and_what(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("s3cret\n", "utf-8")
    file = tmp_path / "channels.yaml"

    def written(**fields: object) -> Path:
        given = {"kind": "mqtt", "host": "192.168.10.5", "topic": "town/${address}", "body": "${event}"} | fields
        file.write_text(json.dumps({"lamp": given}), "utf-8")
        return file

    full = {"username": "m", "password_file": str(tmp_path / "password"), "tls": True, "retain": True, "version": "5"}
    config = read_channels(written(**full))["lamp"]
    assert config == MqttConfig(
        "192.168.10.5", "town/${address}", "${event}", 8883, "m", "s3cret", True, retain=True, version="5"
    )
    assert "s3cret" not in repr(config)
    assert channel_of("lamp", config).kind == "mqtt"
    for wrong, said in (
        ({"topic": "town/#"}, "topic must be"),
        ({"topic": "town/${body}"}, "topic must be"),
        ({"topic": ""}, "topic must be"),
        ({"body": "${nothing}"}, "no placeholder nothing"),
        ({"body": "x" * 2001}, "at most 2000"),
        ({"port": 70000}, "port must be"),
        ({"version": "4"}, "version must be"),
        ({"json": "yes"}, "json must be true or false"),
        ({"ca_file": str(tmp_path / "gone")}, "is not there"),
        ({"qos": 2}, "unknown: qos"),
    ):
        with pytest.raises(ChannelFileError, match=said) as raised:
            read_channels(written(**wrong))
        assert "channel lamp" in str(raised.value)


def test_a_lamp_of_a_group_goes_on_with_the_water_and_off_with_the_end(gauge: Gauge) -> None:
    channels(gauge.town, "mail", "lamp")
    members = [
        person(gauge.town, "田中", ("mail", "t@example.jp")),
        person(gauge.town, "回転灯", ("lamp", "dam"), kind="equipment"),
    ]
    group(gauge.town, "防災当番", members)
    for n, value in enumerate([2.1, 2.7, *[1.0] * 6]):
        gauge.send([(START + n * STEP, value)])
        gauge.evaluate()
    lamp = Way("lamp")
    with connect(gauge.town.worker, name="test") as conn:
        dispatcher = Dispatcher([lamp])
        while dispatcher.send_next(conn):
            pass
    assert [(each.event, each.level, each.mode) for each in lamp.sent] == [
        ("raised", 1, "actual"),
        ("escalated", 2, "actual"),
        ("cleared", None, "actual"),
    ]


@pytest.mark.parametrize("embedded", ["mosquitto"], indirect=True)
def test_a_test_that_a_person_asks_for_goes_the_whole_way_to_the_lamp(
    registered: Registered, broker: Broker, lamp: Ear
) -> None:
    with connect(registered.owner, name="test") as conn:
        write_clock(conn, ClockSetting(False, real_now(), real_now(), 1.0))
        user = conn.execute(
            "insert into app_user (municipality_id, login, display_name, role, password_hash) "
            "values (%s, 'd', 'x', 'digital', 'x') returning user_id",
            (registered.municipality_id,),
        ).fetchone()
    assert user is not None
    number = group(registered, "防災当番", [person(registered, "回転灯", ("lamp", "dam"), kind="equipment")])
    with connect(registered.owner, name="test") as conn:
        conn.execute("update call_group set test_equipment = true, test_day = null")
        ask(conn, registered.municipality_id, number, user[0], real_now())
    stop = threading.Event()
    config = AlertsConfig(registered.worker, channels={"lamp": configured(broker)})
    process = threading.Thread(target=alerts.run, args=(config, stop))
    process.start()
    try:
        wait_for(lambda: lamp.payloads != [], "the lamp hears it")
    finally:
        stop.set()
        process.join(30)
    assert not process.is_alive()
    heard = json.loads(lamp.payloads[0])
    assert (heard["event"], heard["level"], heard["mode"]) == ("test", "", "test") and "【試験】" in heard["text"]
