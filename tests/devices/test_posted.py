"""What networks post by HTTP: what their documentation allows is read, everything else is refused in words."""

from __future__ import annotations

import base64
import contextlib
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.envelopes import POSTED_KINDS, open_uplink, posted_topic, sigfox
from devices.model import EnvelopeError, Reading, Uplink

NOON = datetime(2026, 6, 1, 3, 0, 0, tzinfo=UTC)
SECONDS = int(NOON.timestamp())
IMSI = "440109876543210"
SIM_ID = "8981000123456789012"
IMEI = "356900012345678"
PAYLOAD = bytes.fromhex("0118aecb30")
IN_BASE64 = base64.b64encode(PAYLOAD).decode()
BEAM = {"x-soracom-imsi": IMSI, "x-soracom-imei": IMEI, "x-soracom-timestamp": f"{SECONDS}250"}


def opened(
    kind: str, body: Any, *, query: dict[str, str] | None = None, headers: dict[str, str] | None = None
) -> Uplink:
    topic = posted_topic("a-source", kind, query or {}, headers or {})
    return open_uplink(topic, body if isinstance(body, bytes) else json.dumps(body).encode())


def refused(kind: str, body: Any, **beside: Any) -> str:
    with pytest.raises(EnvelopeError) as caught:
        opened(kind, body, **beside)
    return str(caught.value)


def callback(**changes: Any) -> dict[str, Any]:
    body = {"device": "1A2B3C", "time": SECONDS, "data": PAYLOAD.hex(), "seqNumber": 812, "lqi": "Good"} | changes
    return {name: value for name, value in body.items() if value is not ...}


def funnel(payloads: Any, **changes: Any) -> dict[str, Any]:
    body = {
        "operatorId": "OP0000000001",
        "destination": {"provider": "aws", "service": "aws-iot", "payloadsOnly": False},
        "sourceProtocol": "udp",
        "payloads": payloads,
        "timestamp": SECONDS * 1000 + 250,
        "imsi": IMSI,
        "imei": IMEI,
    } | changes
    return {name: value for name, value in body.items() if value is not ...}


# --- Sigfox -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [callback(), callback(time=str(SECONDS), seqNumber="812"), callback(device="1a2b3c")])
def test_a_sigfox_callback_is_opened_with_numbers_in_quotation_marks_or_without(body: dict[str, Any]) -> None:
    assert opened("sigfox", body) == Uplink(
        network="sigfox", device_key="1a2b3c", session="", counter=812, network_time=NOON, payload=PAYLOAD
    )


def test_a_sigfox_callback_without_a_time_or_payload_is_a_message_all_the_same() -> None:
    uplink = opened("sigfox", callback(time=..., data=""))
    assert (uplink.network_time, uplink.payload, uplink.counter) == (None, b"", 812)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (callback(seqNumber=...), "no seqNumber"),
        (callback(seqNumber=None), "no seqNumber"),
        (callback(seqNumber="null"), "no seqNumber"),
        (callback(seqNumber="{seqNumber}"), "whole number"),
        (callback(seqNumber=-1), "whole number"),
        (callback(seqNumber=True), "documented shape"),
        (callback(seqNumber=1.5), "documented shape"),
        (callback(device="1A2B3C4D5"), "Sigfox ID"),
        (callback(device=""), "Sigfox ID"),
        (callback(device="{device}"), "Sigfox ID"),
        (callback(device=...), "documented shape"),
        (callback(data="0118AECB3"), "not hex"),
        (callback(data="zz"), "not hex"),
        (callback(data=...), "documented shape"),
        (callback(time=SECONDS * 1000), "seconds since 1970"),
        (callback(time="yesterday"), "whole number"),
        (json.dumps(callback()).encode()[:-1], "not JSON"),
        (b'{"device": "1a2b3c", "time": NaN}', "not JSON"),
        (b'{"device": "\xe9"}', "not JSON"),
        (b"", "not JSON"),
        (b"[" * 100_000, "sigfox"),
    ],
)
def test_what_is_no_sigfox_callback_is_refused_in_words(body: Any, words: str) -> None:
    assert words in refused("sigfox", body)


# --- Soracom ------------------------------------------------------------------------------------------------


def test_bytes_through_soracom_beam_are_opened() -> None:
    assert opened("soracom", {"payload": IN_BASE64}, headers=BEAM) == Uplink(
        network="soracom",
        device_key=IMSI,
        session="",
        counter=None,
        network_time=NOON.replace(microsecond=250_000),
        payload=PAYLOAD,
    )


def test_bytes_through_soracom_funnel_are_the_same_message() -> None:
    assert opened("soracom", funnel(IN_BASE64)) == opened("soracom", {"payload": IN_BASE64}, headers=BEAM)


@pytest.mark.parametrize("through", ["beam", "funnel"])
def test_our_own_json_through_soracom_needs_no_device(through: str) -> None:
    said = {"counter": 7, "readings": {"flow": 42.5}}
    uplink = opened("soracom", funnel(said)) if through == "funnel" else opened("soracom", said, headers=BEAM)
    assert uplink.readings == (Reading("flow", 42.5),)
    assert (uplink.network, uplink.device_key, uplink.counter) == ("soracom", IMSI, 7)
    assert uplink.network_time == NOON.replace(microsecond=250_000)


@pytest.mark.parametrize("through", ["beam", "funnel"])
def test_other_json_through_soracom_is_for_a_model_that_takes_it_as_it_is(through: str) -> None:
    """As a device sends it to the Unified Endpoint, or Soracom's binary parser makes it."""
    said = {"temp": 21.5, "bat": 3}
    uplink = opened("soracom", funnel(said)) if through == "funnel" else opened("soracom", said, headers=BEAM)
    assert (uplink.device_key, uplink.decoded, uplink.readings) == (IMSI, json.dumps(said).encode(), None)
    assert uplink.network_time == NOON.replace(microsecond=250_000)


@pytest.mark.parametrize("through", ["beam", "funnel"])
def test_air_for_sigfox_is_the_message_that_sigfox_would_post(through: str) -> None:
    said = callback(time=str(SECONDS), seqNumber="812", operatorName="SIGFOX_Japan_KCCS", tmp=28.5)
    body = funnel(said, imsi=..., imei=...) if through == "funnel" else said
    assert opened("soracom", body) == opened("sigfox", callback())


@pytest.mark.parametrize(
    ("headers", "device"),
    [
        ({"x-soracom-sim-id": SIM_ID, "x-soracom-imei": IMEI}, SIM_ID),
        ({"x-soracom-imei": IMEI}, IMEI),
        ({"x-soracom-imsi": IMSI, "x-soracom-sim-id": SIM_ID}, IMSI),
    ],
)
def test_the_device_is_the_sim_before_the_modem(headers: dict[str, str], device: str) -> None:
    headers = headers | {"x-soracom-timestamp": f"{SECONDS}000"}
    assert opened("soracom", {"payload": IN_BASE64}, headers=headers).device_key == device


@pytest.mark.parametrize(
    ("body", "headers", "words"),
    [
        ({"payload": IN_BASE64}, {}, "which SIM"),
        (funnel(IN_BASE64, imsi=..., imei=...), BEAM, "which SIM"),
        ({"payload": IN_BASE64}, BEAM | {"x-soracom-imsi": "4401'; drop"}, "no IMSI"),
        ({"payload": IN_BASE64}, {"x-soracom-imsi": IMSI}, "no time"),
        (funnel(IN_BASE64, timestamp=...), {}, "no time"),
        ({"payload": IN_BASE64}, BEAM | {"x-soracom-timestamp": "noon"}, "milliseconds"),
        (funnel(IN_BASE64, timestamp=10**15 - 1), {}, "is no time"),
        ({"payload": "not base64!"}, BEAM, "not base64"),
        ({"payload": 5}, BEAM, "documented shape"),
        (funnel("%%%"), {}, "not base64"),
        (funnel(5), {}, "documented shape"),
        (funnel({"counter": 7, "device": "440100000000000", "readings": {"flow": 1}}), {}, "another device's name"),
        (funnel({"temp": 54.98}, timestamp=...), {}, "documented shape"),
        ({"readings": {"flow": 1}}, BEAM, "neither a counter nor a time"),
        (b"[]", BEAM, "documented shape"),
        (b'{"payload": "\xff"}', BEAM, "not JSON"),
        (b"", BEAM, "not JSON"),
        (b'{"payloads": ' + b"[" * 100_000, BEAM, "soracom"),
    ],
)
def test_what_soracom_does_not_send_is_refused_in_words(body: Any, headers: dict[str, str], words: str) -> None:
    assert words in refused("soracom", body, headers=headers)


# --- the networks that also speak MQTT ------------------------------------------------------------------------

CHIRPSTACK = {
    "deviceInfo": {"devEui": "a84041ffff310001"},
    "devAddr": "00189440",
    "time": NOON.isoformat(),
    "fCnt": 41,
    "fPort": 10,
    "data": IN_BASE64,
}
TTS_IDS = {"device_id": "okusawa-bridge", "dev_eui": "A84041FFFF310001", "dev_addr": "01ABCDEF"}
TTS = {
    "end_device_ids": TTS_IDS,
    "received_at": NOON.isoformat(),
    "uplink_message": {"f_cnt": 41, "f_port": 10, "frm_payload": IN_BASE64},
}


def test_a_chirpstack_post_is_the_message_that_mqtt_brings() -> None:
    topic = "application/8a1f/device/a84041ffff310001/event/up"
    assert opened("chirpstack_v4", CHIRPSTACK, query={"event": "up"}) == open_uplink(
        topic, json.dumps(CHIRPSTACK).encode()
    )
    assert opened("chirpstack_v4", CHIRPSTACK, query={"event": "join"}).event == "join"


def test_a_chirpstack_post_says_in_its_address_which_event_it_is() -> None:
    assert "?event=up" in refused("chirpstack_v4", CHIRPSTACK)
    assert "no event 'x'" in refused("chirpstack_v4", CHIRPSTACK, query={"event": "x"})


def test_a_webhook_of_the_things_stack_is_the_message_that_mqtt_brings() -> None:
    topic = "v3/town-rivers@mimamori/devices/okusawa-bridge/up"
    assert opened("the_things_stack_v3", TTS) == open_uplink(topic, json.dumps(TTS).encode())


@pytest.mark.parametrize(
    ("key", "event"), [("join_accept", "join"), ("downlink_ack", "down/ack"), ("location_solved", "location/solved")]
)
def test_other_events_of_the_things_stack_have_the_names_that_mqtt_gives_them(key: str, event: str) -> None:
    uplink = opened("the_things_stack_v3", {"end_device_ids": TTS_IDS, key: {"session_key_id": "x"}})
    assert (uplink.event, uplink.payload, uplink.counter) == (event, b"", None)


def test_a_simulated_uplink_is_an_event_here_too() -> None:
    assert opened("the_things_stack_v3", TTS | {"simulated": True}).event == "simulated"


def test_a_webhook_with_no_event_in_it_is_refused() -> None:
    assert "any other event" in refused("the_things_stack_v3", {"end_device_ids": TTS_IDS})


# --- the documentation ---------------------------------------------------------------------------------------

DOCUMENT = (Path(__file__).resolve().parents[2] / "docs" / "ingest.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", POSTED_KINDS)
def test_how_to_set_up_every_kind_is_documented(kind: str) -> None:
    assert f"(`--kind {kind}`)" in DOCUMENT


@pytest.mark.parametrize("place", ["the documentation", "the top of the file"])
def test_the_template_for_the_sigfox_backend_makes_messages(place: str) -> None:
    text = DOCUMENT if place == "the documentation" else str(sigfox.__doc__)
    (template,) = re.findall(r'^ *(\{"device": "\{device\}".*\})$', text, re.MULTILINE)
    filled = template.replace("{device}", "1A2B3C").replace("{data}", PAYLOAD.hex())
    filled = filled.replace("{time}", str(SECONDS)).replace("{seqNumber}", "812")
    assert opened("sigfox", filled.encode()) == opened("sigfox", callback())


# --- the topic ------------------------------------------------------------------------------------------------


def test_the_topic_holds_what_belongs_to_the_message_and_no_secret() -> None:
    headers = BEAM | {"authorization": "Bearer secret", "x-mimamori-secret": "secret"}
    topic = posted_topic("lte", "soracom", {"event": "up", "token": "secret"}, headers)
    assert topic == f"intake/lte/soracom?x-soracom-imsi={IMSI}&x-soracom-imei={IMEI}&x-soracom-timestamp={SECONDS}250"


@pytest.mark.parametrize("topic", ["intake/a/unknown", "intake/a", "intake//sigfox", "intake/a/sigfox/more"])
def test_a_topic_of_no_kind_is_refused(topic: str) -> None:
    with pytest.raises(EnvelopeError, match="no known network"):
        open_uplink(topic, json.dumps(callback()).encode())


@given(
    kind=st.sampled_from(POSTED_KINDS),
    said=st.dictionaries(st.sampled_from(["event", *BEAM]), st.text(max_size=80), max_size=3),
    raw=st.one_of(
        st.binary(max_size=60),
        st.recursive(
            st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=8)),
            lambda inner: st.dictionaries(
                st.sampled_from(
                    ["device", "data", "time", "seqNumber", "payload", "payloads", "readings", "timestamp"]
                ),
                inner,
                max_size=4,
            ),
            max_leaves=8,
        ).map(lambda body: json.dumps(body).encode()),
    ),
)
def test_whatever_is_posted_is_a_message_or_an_envelope_error(kind: str, said: dict[str, str], raw: bytes) -> None:
    topic = posted_topic("s", kind, said, said)
    assert "\x00" not in topic and topic.isprintable()
    with contextlib.suppress(EnvelopeError):
        assert open_uplink(topic, raw).device_key
