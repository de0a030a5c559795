"""The Things Stack v3 events: what its documentation allows is read, everything else is refused in words."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.envelopes import TOPIC_FILTERS, open_uplink
from devices.envelopes.the_things_stack_v3 import EVENTS, TOPIC_FILTER
from devices.model import EnvelopeError, Radio, Uplink

EUI = "a84041ffff310001"
TOPIC = "v3/town-rivers@mimamori/devices/okusawa-bridge/up"
ON_AIR = datetime(2026, 6, 1, 0, 0, 0, 123456, tzinfo=UTC)
IN_STACK = datetime(2026, 6, 1, 0, 0, 0, 400000, tzinfo=UTC)


def event(*, ids: dict[str, Any] | None = None, uplink: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """An uplink of the documented shape; a change to ... takes the key away, `ids` and `uplink` change inside."""
    message: dict[str, Any] = {
        "end_device_ids": {
            "device_id": "okusawa-bridge",
            "application_ids": {"application_id": "town-rivers"},
            "dev_eui": EUI.upper(),
            "join_eui": "70B3D57ED0000000",
            "dev_addr": "01ABCDEF",
        }
        | (ids or {}),
        "correlation_ids": ["gs:uplink:01HZ0000000000000000000000"],
        "received_at": "2026-06-01T00:00:00.400000001Z",
        "uplink_message": {
            "session_key_id": "AZAZAZAZAZAZAZAZAZAZAQ==",
            "f_port": 10,
            "f_cnt": 41,
            "frm_payload": "ARYusww=",
            "decoded_payload": {"anything": [1, None]},
            "rx_metadata": [{"gateway_ids": {"gateway_id": "hill"}, "rssi": -110, "snr": -3.2}],
            "settings": {"data_rate": {"lora": {"bandwidth": 125000, "spreading_factor": 10}}},
            "received_at": "2026-06-01T00:00:00.123456789Z",
        }
        | (uplink or {}),
    }
    message |= changes
    return _without(message)


def _without(message: dict[str, Any]) -> dict[str, Any]:
    return {k: _without(v) if isinstance(v, dict) else v for k, v in message.items() if v is not ...}


def opened(topic: str = TOPIC, **changes: Any) -> Uplink:
    return open_uplink(topic, json.dumps(event(**changes)).encode())


def refused(raw: bytes | dict[str, Any], topic: str = TOPIC) -> str:
    with pytest.raises(EnvelopeError) as caught:
        open_uplink(topic, raw if isinstance(raw, bytes) else json.dumps(raw).encode())
    return str(caught.value)


@pytest.mark.parametrize("application", ["town-rivers@mimamori", "town-rivers"])
def test_an_uplink_is_opened_with_and_without_a_tenant(application: str) -> None:
    assert opened(f"v3/{application}/devices/okusawa-bridge/up") == Uplink(
        network="the_things_stack_v3",
        device_key=EUI,
        session="01abcdef",
        counter=41,
        network_time=ON_AIR,
        port=10,
        payload=bytes.fromhex("01162eb30c"),
        radio=Radio("hill", -110, -3.2, "SF10BW125"),
        decoded=b'{"anything": [1, null]}',
    )


@pytest.mark.parametrize("changes", [{"f_cnt": ...}, {"f_cnt": 0}, {"f_cnt": None}])
def test_an_absent_frame_counter_is_zero(changes: dict[str, Any]) -> None:
    assert opened(uplink=changes).counter == 0


@pytest.mark.parametrize("changes", [{"frm_payload": ...}, {"frm_payload": None}, {"frm_payload": ""}])
def test_an_absent_payload_is_an_empty_one(changes: dict[str, Any]) -> None:
    assert opened(uplink=changes).payload == b""


def test_the_network_servers_time_comes_before_the_stacks() -> None:
    assert opened(uplink={"received_at": ...}).network_time == IN_STACK
    assert opened(uplink={"received_at": ...}, received_at=...).network_time is None


@pytest.mark.parametrize("changes", [{"dev_addr": ...}, {"dev_addr": ""}])
def test_a_missing_address_is_an_empty_session(changes: dict[str, Any]) -> None:
    assert opened(ids=changes).session == ""


@pytest.mark.parametrize("changes", [{"dev_eui": ...}, {"dev_eui": None}, {"dev_eui": ""}])
def test_a_device_without_an_eui_goes_by_its_id(changes: dict[str, Any]) -> None:
    assert opened(ids=changes).device_key == "okusawa-bridge"


def test_an_uplink_made_up_in_the_console_is_no_reading() -> None:
    uplink = opened(simulated=True)
    assert (uplink.event, uplink.counter, uplink.payload) == ("simulated", None, b"")


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_other_events_bring_their_name_and_no_payload(name: str) -> None:
    body = event(uplink_message=..., join_accept={"session_key_id": "AQ=="})
    uplink = open_uplink(f"v3/town-rivers/devices/okusawa-bridge/{name}", json.dumps(body).encode())
    assert (uplink.event, uplink.counter, uplink.payload, uplink.readings) == (name, None, b"", None)
    assert (uplink.device_key, uplink.session, uplink.network_time) == (EUI, "01abcdef", IN_STACK)


def test_a_topic_cannot_speak_for_another_device() -> None:
    text = refused(event(), topic="v3/town-rivers/devices/downtown/up")
    assert "downtown" in text and "okusawa-bridge" in text and "another device's name" in text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"end_device_ids": ...}, "end_device_ids"),
        ({"uplink_message": ...}, "uplink_message"),
        ({"ids": {"device_id": ...}}, "device_id"),
        ({"ids": {"device_id": "Not an id"}}, "is not an id"),
        ({"ids": {"dev_eui": EUI[:-1]}}, "not a DevEUI"),
        ({"ids": {"dev_eui": 1}}, "dev_eui"),
        ({"ids": {"dev_addr": "01ab"}}, "dev_addr"),
        ({"uplink": {"f_cnt": "41"}}, "f_cnt"),
        ({"uplink": {"f_cnt": -1}}, "f_cnt"),
        ({"uplink": {"f_cnt": 2**32}}, "f_cnt"),
        ({"uplink": {"f_port": 256}}, "f_port"),
        ({"uplink": {"frm_payload": "%%%"}}, "not base64"),
        ({"uplink": {"received_at": "2026-06-01T09:00:00"}}, "no time zone"),
        ({"uplink": {"received_at": "yesterday"}}, "is not a time"),
        ({"simulated": "yes"}, "simulated"),
    ],
)
def test_what_is_not_as_documented_is_refused(changes: dict[str, Any], words: str) -> None:
    assert words in refused(event(**changes))


@pytest.mark.parametrize(
    "raw", [b"", b"{}", b"[]", b"\xff\xfe", json.dumps(event()).encode()[:-5], b'{"a":' + b"[" * 100_000]
)
def test_what_is_not_json_is_refused(raw: bytes) -> None:
    assert refused(raw).startswith("the_things_stack_v3: ")


@pytest.mark.parametrize(
    "topic",
    [
        "v3/town-rivers/devices/okusawa-bridge/down/push",
        "v3/town-rivers/devices/okusawa-bridge/down/replace",
        "v3/town-rivers/devices/okusawa-bridge/up/more",
        "v3/town-rivers/devices/okusawa-bridge/",
        "v3//devices/okusawa-bridge/up",
        "v3/",
    ],
)
def test_other_topics_are_refused(topic: str) -> None:
    refused(event(), topic)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(["end_device_ids", "uplink_message", "received_at", "simulated"]), JSON)
def test_any_value_anywhere_is_read_or_refused(key: str, value: Any) -> None:
    raw = json.dumps(event(**{key: value})).encode()
    try:
        uplink = open_uplink(TOPIC, raw)
    except EnvelopeError:
        return
    assert uplink.device_key == EUI


def test_the_subscription_matches_the_topics_of_all_events() -> None:
    assert TOPIC_FILTER in TOPIC_FILTERS
    *wanted, rest = TOPIC_FILTER.split("/")
    assert rest == "#"
    assert all(want in ("+", have) for want, have in zip(wanted, TOPIC.split("/"), strict=False))
