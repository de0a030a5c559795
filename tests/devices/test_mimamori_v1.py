"""Our own JSON: what its documentation says is read, everything else is refused in words."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.envelopes import TOPIC_FILTERS, open_uplink
from devices.envelopes.mimamori_v1 import TOPIC_FILTER
from devices.model import EnvelopeError, Reading, Uplink

TOPIC = "mimamori/v1/pump-house/up"
NINE = datetime(2026, 6, 1, tzinfo=UTC)
NINE_TEXT = "2026-06-01T09:00:00+09:00"


def message(**changes: Any) -> bytes:
    """A message of the documented shape; a change to ... takes the key away."""
    body = {"device": "pump-house", "counter": 7, "time": NINE_TEXT, "readings": {"flow": 42.1, "pressure": None}}
    body |= changes
    return json.dumps({key: value for key, value in body.items() if value is not ...}).encode()


def refused(raw: bytes, topic: str = TOPIC) -> str:
    with pytest.raises(EnvelopeError) as caught:
        open_uplink(topic, raw)
    return str(caught.value)


def test_a_message_is_opened() -> None:
    assert open_uplink(TOPIC, message(session="a41f")) == Uplink(
        network="mimamori_v1",
        device_key="pump-house",
        session="a41f",
        counter=7,
        network_time=None,
        readings=(Reading("flow", 42.1, NINE), Reading("pressure", None, NINE)),
    )


def test_a_counter_alone_or_a_time_alone_is_enough() -> None:
    without_time = open_uplink(TOPIC, message(time=...))
    assert without_time.counter == 7 and without_time.readings is not None
    assert {reading.time for reading in without_time.readings} == {None}
    without_counter = open_uplink(TOPIC, message(counter=...))
    assert without_counter.counter is None and without_counter.readings is not None
    assert {reading.time for reading in without_counter.readings} == {NINE}


@pytest.mark.parametrize("nothing", [..., None])
def test_without_counter_and_time_a_repetition_could_not_be_told(nothing: Any) -> None:
    assert "neither a counter nor a time" in refused(message(counter=nothing, time=nothing))


def test_samples_have_a_time_and_an_age_each() -> None:
    samples = [
        {"time": "2026-06-01T09:05:00+09:00", "readings": {"flow": 2}},
        {"time": NINE_TEXT, "readings": {"flow": 1, "pressure": 300}},
    ]
    uplink = open_uplink(TOPIC, message(counter=..., time=..., readings=..., samples=samples))
    five = timedelta(minutes=5)
    assert uplink.readings == (
        Reading("flow", 2.0, NINE + five),
        Reading("flow", 1.0, NINE, five),
        Reading("pressure", 300.0, NINE, five),
    )


def test_a_device_time_of_1970_is_read_as_it_is() -> None:
    uplink = open_uplink(TOPIC, message(time="1970-01-01T00:00:00Z"))
    assert uplink.readings is not None and uplink.readings[0].time == datetime(1970, 1, 1, tzinfo=UTC)


def test_a_topic_cannot_speak_for_another_device() -> None:
    assert "another device's name" in refused(message(), "mimamori/v1/pump-house-2/up")
    assert "another device's name" in refused(message(device="pump-house-2"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"device": ...}, "device"),
        ({"device": 5}, "device"),
        ({"device": ""}, "1 to 64 characters"),
        ({"device": "Pump"}, "1 to 64 characters"),
        ({"device": "x" * 65}, "1 to 64 characters"),
        ({"device": "a\u0000"}, "1 to 64 characters"),
        ({"session": ""}, "session"),
        ({"session": "ü"}, "session"),
        ({"counter": "7"}, "counter"),
        ({"counter": True}, "counter"),
        ({"counter": -1}, "counter"),
        ({"counter": 2**53}, "counter"),
        ({"counter": 7.5}, "counter"),
        ({"Counter": 7}, "Counter"),
        ({"time": 1780272000}, "time"),
        ({"time": "2026-06-01T09:00:00"}, "no time zone"),
        ({"time": "2026-06-01"}, "is not a time"),
        ({"time": "2026-06-01T25:00:00Z"}, "calendar or on the clock"),
        ({"readings": ...}, "either 'readings' or 'samples'"),
        ({"readings": None}, "either 'readings' or 'samples'"),
        ({"readings": {}}, "no readings"),
        ({"readings": []}, "readings"),
        ({"readings": {"flow": "42.1"}}, "readings"),
        ({"readings": {"flow": True}}, "readings"),
        ({"readings": {"flow": [1]}}, "readings"),
        ({"readings": {"flow": float("nan")}}, "not JSON"),
        ({"readings": {"flow": float("-inf")}}, "not JSON"),
        ({"samples": []}, "either 'readings' or 'samples'"),
        ({"readings": ..., "samples": []}, "own time"),
        ({"readings": ..., "time": ..., "samples": []}, "no readings"),
        ({"readings": ..., "time": ..., "samples": [{"readings": {"flow": 1}}]}, "time"),
        ({"readings": ..., "time": ..., "samples": [{"time": None, "readings": {"flow": 1}}]}, "time"),
        ({"readings": ..., "time": ..., "samples": [{"time": NINE_TEXT}]}, "readings"),
        ({"readings": ..., "time": ..., "samples": [{"time": "2026-06-01T09:00", "readings": {"f": 1}}]}, "zone"),
    ],
)
def test_what_is_not_as_documented_is_refused(changes: dict[str, Any], words: str) -> None:
    assert words in refused(message(**changes))


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"17",
        b"[]",
        b"\xff",
        message()[:-1],
        message() + message(),
        message().replace(b"42.1", b"1e999"),
        message().replace(b"42.1", b"0x10"),
        message().replace(b"pump", b"\xe6"),
        b'{"readings":' + b"[" * 100_000,
    ],
)
def test_what_is_not_json_is_refused(raw: bytes) -> None:
    assert refused(raw).startswith("mimamori_v1: ")


@pytest.mark.parametrize("topic", ["mimamori/v2/pump-house/up", "mimamori/v1/pump-house/down", "mimamori/v1//up"])
def test_other_topics_of_ours_are_refused(topic: str) -> None:
    assert "is not mimamori/v1" in refused(message(), topic)


@pytest.mark.parametrize("topic", ["", "v4/app/devices/dev/up", "$SYS/broker/uptime", "x" * 60_000])
def test_topics_of_nobody_are_refused_shortly(topic: str) -> None:
    assert "no known network" in (text := refused(message(), topic)) and len(text) < 200


def test_every_network_is_subscribed() -> None:
    assert TOPIC_FILTERS == ("application/+/device/+/event/+", "v3/+/devices/+/#", "mimamori/v1/+/up")
    assert TOPIC_FILTER in TOPIC_FILTERS


@given(
    st.dictionaries(
        st.sampled_from(["device", "session", "counter", "time", "readings", "samples", "other"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["pump-house", NINE_TEXT, "x"]),
            lambda inner: (
                st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["time", "readings", "f"]), inner)
            ),
            max_leaves=6,
        ),
    )
)
def test_any_object_is_read_or_refused(body: dict[str, Any]) -> None:
    try:
        uplink = open_uplink(TOPIC, json.dumps(body).encode())
    except EnvelopeError:
        return
    assert uplink.readings
    assert uplink.counter is not None or all(reading.time is not None for reading in uplink.readings)
