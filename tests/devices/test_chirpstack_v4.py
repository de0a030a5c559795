"""ChirpStack v4 events: what its documentation allows is read, everything else is refused in words."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.envelopes import open_uplink
from devices.envelopes.chirpstack_v4 import EVENTS, TOPIC_FILTER
from devices.model import EnvelopeError, Radio, Uplink

EUI = "a84041ffff310001"
TOPIC = f"application/5f4c/device/{EUI}/event/up"


def event(**changes: Any) -> dict[str, Any]:
    """An `up` event of the documented shape; a change to ... takes the key away."""
    message = {
        "deduplicationId": "8b7d4a5e-0f6c-4d43-9a7a-000000000001",
        "time": "2026-06-01T09:00:00.123456789+09:00",
        "deviceInfo": {
            "tenantId": "t",
            "applicationId": "5f4c",
            "deviceProfileName": "radar_level",
            "deviceName": "gauge",
            "devEui": EUI,
            "tags": {"river": "a"},
        },
        "devAddr": "01ABCDEF",
        "adr": True,
        "dr": 2,
        "fCnt": 41,
        "fPort": 10,
        "data": "ARYusww=",
        "object": {"anything": [1, None, {"deep": True}]},
        "rxInfo": [{"gatewayId": "6d69", "uplinkId": 1, "gwTime": None, "rssi": -110, "snr": -3.2}],
        "txInfo": {"frequency": 923200000, "modulation": {"lora": {"bandwidth": 125000}}},
    }
    message |= changes
    return {key: value for key, value in message.items() if value is not ...}


def opened(topic: str = TOPIC, **changes: Any) -> Uplink:
    return open_uplink(topic, json.dumps(event(**changes)).encode())


def refused(raw: bytes | dict[str, Any], topic: str = TOPIC) -> str:
    with pytest.raises(EnvelopeError) as caught:
        open_uplink(topic, raw if isinstance(raw, bytes) else json.dumps(raw).encode())
    return str(caught.value)


def test_an_uplink_is_opened() -> None:
    assert opened() == Uplink(
        network="chirpstack_v4",
        device_key=EUI,
        session="01abcdef",
        counter=41,
        network_time=datetime(2026, 6, 1, 0, 0, 0, 123456, tzinfo=UTC),
        port=10,
        payload=bytes.fromhex("01162eb30c"),
        radio=Radio("6d69", -110, -3.2),
        decoded=b'{"anything": [1, null, {"deep": true}]}',
    )


@pytest.mark.parametrize("changes", [{"fCnt": ...}, {"fCnt": 0}, {"fCnt": None}])
def test_an_absent_frame_counter_is_zero(changes: dict[str, Any]) -> None:
    assert opened(**changes).counter == 0


@pytest.mark.parametrize("changes", [{"data": ...}, {"data": None}, {"data": ""}])
def test_absent_data_is_an_empty_payload(changes: dict[str, Any]) -> None:
    assert opened(**changes).payload == b""


@pytest.mark.parametrize("changes", [{"time": ...}, {"time": None}])
def test_a_missing_network_time_is_none(changes: dict[str, Any]) -> None:
    assert opened(**changes).network_time is None


def test_an_impossible_network_time_is_read_as_it_is() -> None:
    assert opened(time="1970-01-01T00:00:00Z").network_time == datetime(1970, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("changes", [{"devAddr": ...}, {"devAddr": None}, {"devAddr": ""}])
def test_a_missing_address_is_an_empty_session(changes: dict[str, Any]) -> None:
    assert opened(**changes).session == ""


@pytest.mark.parametrize("written", [EUI, EUI.upper(), base64.b64encode(bytes.fromhex(EUI)).decode()])
@pytest.mark.parametrize("in_topic", [EUI, EUI.upper()])
def test_a_dev_eui_is_one_device_however_it_is_written(written: str, in_topic: str) -> None:
    topic = f"application/5f4c/device/{in_topic}/event/up"
    assert opened(topic, deviceInfo={"devEui": written}).device_key == EUI


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_other_events_bring_their_name_and_no_payload(name: str) -> None:
    body = json.dumps(event(fCnt=..., data=..., level="ERROR", batteryLevel=88.3)).encode()
    uplink = open_uplink(f"application/5f4c/device/{EUI}/event/{name}", body)
    assert (uplink.event, uplink.counter, uplink.payload, uplink.readings) == (name, None, b"", None)
    assert (uplink.device_key, uplink.session) == (EUI, "01abcdef")


def test_a_topic_cannot_speak_for_another_device() -> None:
    text = refused(event(), topic="application/5f4c/device/a84041ffff310002/event/up")
    assert "a84041ffff310002" in text and EUI in text and "another device's name" in text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"deviceInfo": ...}, "deviceInfo"),
        ({"deviceInfo": None}, "deviceInfo"),
        ({"deviceInfo": {}}, "devEui"),
        ({"deviceInfo": {"devEui": 1}}, "devEui"),
        ({"deviceInfo": {"devEui": EUI[:-1]}}, "not a DevEUI"),
        ({"deviceInfo": {"devEui": "qEBB//8xA==="}}, "not a DevEUI"),
        ({"deviceInfo": {"devEui": "a\u0000b"}}, "not a DevEUI"),
        ({"fCnt": "41"}, "fCnt"),
        ({"fCnt": True}, "fCnt"),
        ({"fCnt": -1}, "fCnt"),
        ({"fCnt": 2**32}, "fCnt"),
        ({"fCnt": 1.5}, "fCnt"),
        ({"fPort": 256}, "fPort"),
        ({"data": "%%%"}, "not base64"),
        ({"data": "QUJD\n"}, "not base64"),
        ({"data": "日本"}, "not base64"),
        ({"data": [1, 2]}, "data"),
        ({"devAddr": "01ab"}, "devAddr"),
        ({"devAddr": "zzzzzzzz"}, "devAddr"),
        ({"time": 1780272000}, "time"),
        ({"time": "2026-06-01T09:00:00"}, "no time zone"),
        ({"time": "yesterday"}, "is not a time"),
        ({"time": "2026-02-30T09:00:00Z"}, "calendar"),
        ({"time": "0001-01-01T00:00:00+09:00"}, "calendar"),
    ],
)
def test_what_is_not_as_documented_is_refused(changes: dict[str, Any], words: str) -> None:
    assert words in refused(event(**changes))


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"\xff\xfe",
        b"\xef\xbb\xbf{}",
        json.dumps(event()).encode()[:-5],
        json.dumps(event()).encode() + b"}",
        json.dumps(event()).encode().replace(b"01ABCDEF", b"\xff"),
        json.dumps(event()).replace("41", "NaN").encode(),
        json.dumps(event()).replace("41", "1e400").encode(),
        json.dumps(event(data="é"), ensure_ascii=False).encode("latin-1"),
        b'{"deviceInfo":' + b'{"devEui":' * 100_000,
        b'{"object":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
)
def test_what_is_not_json_is_refused(raw: bytes) -> None:
    assert refused(raw).startswith("chirpstack_v4: ")


def test_what_is_not_read_is_left_alone_even_where_it_is_not_utf_8() -> None:
    raw = json.dumps(event()).encode().replace(b"gauge", b"\xe9tang")
    assert open_uplink(TOPIC, raw).counter == 41


@pytest.mark.parametrize(
    "topic",
    [
        f"application/5f4c/device/{EUI}/event/down",
        f"application/5f4c/device/{EUI}/event/up/more",
        f"application/5f4c/device/{EUI}/command/down",
        f"application//device/{EUI}/event/up",
        "application/5f4c/device/gauge/event/up",
        "application/",
    ],
)
def test_other_topics_are_refused(topic: str) -> None:
    refused(event(), topic)


def test_errors_stay_short_and_printable() -> None:
    text = refused(event(deviceInfo={"devEui": "\u0000\u001b[2J" + "x" * 10_000}))
    assert len(text) < 200 and text.isprintable()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(sorted(event())), JSON)
def test_any_value_anywhere_is_read_or_refused(key: str, value: Any) -> None:
    raw = json.dumps(event(**{key: value})).encode()
    try:
        uplink = open_uplink(TOPIC, raw)
    except EnvelopeError:
        return
    assert uplink.device_key == EUI and uplink.counter is not None


@given(st.binary(max_size=200))
def test_any_bytes_are_refused(raw: bytes) -> None:
    refused(raw)


def test_the_subscription_matches_the_topics() -> None:
    filter_levels, topic_levels = TOPIC_FILTER.split("/"), TOPIC.split("/")
    assert len(filter_levels) == len(topic_levels)
    assert all(want in ("+", have) for want, have in zip(filter_levels, topic_levels, strict=True))
