"""ChirpStack v3, both of its marshalers: on the topics of v4 and told from it by what is in the message."""

from __future__ import annotations

import json
from typing import Any

import pytest

from devices.envelopes import open_uplink
from devices.model import DeviceStatus, Radio
from tests.devices.envelopes.vectors import EUI, EUI_IN_BASE64, IN_BASE64, NOON, PAYLOAD, Vector, holds, without

KIND = "chirpstack_v3"
UP = {"event": "up"}
# Marshaler "JSON": ids in base64, the object as text.
JSON: dict[str, Any] = {
    "applicationID": "7",
    "deviceName": "okusawa",
    "devEUI": EUI_IN_BASE64,
    "devAddr": "ABiUQA==",
    "rxInfo": [
        {"gatewayID": "bWltYW1vcmk=", "time": None, "rssi": -101, "loRaSNR": 2.5},
        {"gatewayID": "AAAAAAAAAAE=", "time": "2026-06-01T12:00:00+09:00", "rssi": -117, "loRaSNR": -9},
    ],
    "txInfo": {"frequency": 923200000, "loRaModulationInfo": {"bandwidth": 125, "spreadingFactor": 10}},
    "fCnt": 41,
    "fPort": 10,
    "data": IN_BASE64,
    "objectJSON": '{"level": 1.25}',
    "publishedAt": "2026-06-01T03:00:04Z",
}
# Marshaler "JSON (v3)": ids in hex, the object as it is.
JSON_V3: dict[str, Any] = {
    "applicationID": "7",
    "devEUI": EUI,
    "rxInfo": [{"gatewayID": "6d696d616d6f7269", "time": NOON.isoformat(), "rssi": -57, "loRaSNR": 10}],
    "txInfo": {"frequency": 923200000, "dr": 2},
    "fCnt": 41,
    "fPort": 10,
    "data": IN_BASE64,
    "object": {"level": 1.25},
}
HEARD = Radio("6d696d616d6f7269", -101, 2.5, "SF10BW125", 2)

VECTORS = [
    Vector(
        "the form JSON",
        JSON,
        {
            "network": KIND,
            "device_key": EUI,
            "session": "00189440",
            "counter": 41,
            "network_time": NOON,
            "port": 10,
            "payload": PAYLOAD,
            "radio": HEARD,
            "decoded": b'{"level": 1.25}',
            "event": None,
        },
        UP,
    ),
    Vector(
        "the form JSON (v3)",
        JSON_V3,
        {
            "device_key": EUI,
            "session": "",
            "counter": 41,
            "network_time": NOON,
            "payload": PAYLOAD,
            "radio": Radio("6d696d616d6f7269", -57, 10, None, 1),
            "decoded": b'{"level": 1.25}',
        },
        UP,
    ),
    Vector("no counter is 0", without(JSON, fCnt=...), {"counter": 0}, UP),
    Vector(
        "no data is an empty payload", without(JSON, data=..., objectJSON=""), {"payload": b"", "decoded": None}, UP
    ),
    Vector(
        "no gateway with a clock", without(JSON, rxInfo=[]), {"network_time": NOON.replace(second=4), "radio": None}, UP
    ),
    Vector("no time at all", without(JSON, rxInfo=..., publishedAt=...), {"network_time": None}, UP),
    Vector("gateways of another shape", without(JSON, rxInfo="?", txInfo=7), {"radio": None, "payload": PAYLOAD}, UP),
    Vector("the old name of an uplink", JSON, {"event": None, "counter": 41}, {"event": "rx"}),
    Vector(
        "a join", without(JSON, data=...), {"event": "join", "counter": None, "session": "00189440"}, {"event": "join"}
    ),
    Vector(
        "a status",
        {"devEUI": EUI_IN_BASE64, "margin": 10, "batteryLevel": 88.23},
        {"event": "status", "status": DeviceStatus(88.23, False, 10)},
        {"event": "status"},
    ),
    Vector(
        "a status of a device on mains",
        {"devEUI": EUI_IN_BASE64, "margin": -3, "externalPowerSource": True},
        {"status": DeviceStatus(None, True, -3)},
        {"event": "status"},
    ),
    Vector(
        "a status of a device that does not know",
        {"devEUI": EUI_IN_BASE64, "batteryLevelUnavailable": True},
        {"status": DeviceStatus(None, False, 0)},
        {"event": "status"},
    ),
    Vector("an error", without(JSON, error="OTAA"), {"event": "error", "payload": b""}, {"event": "error"}),
    Vector("an EUI that is none", without(JSON, devEUI="qEBB//8x"), "not a DevEUI", UP),
    Vector("a DevAddr that is none", without(JSON, devAddr="ABiU"), "not 8 hex digits", UP),
    Vector("a counter that is text", without(JSON, fCnt="41"), "fCnt", UP),
    Vector("a time that is none", without(JSON, rxInfo=[{"time": "noon"}]), "rxInfo.time", UP),
    Vector("data that is none", without(JSON, data="%"), "not base64", UP),
    Vector("an event that is none", JSON, "no event 'x'", {"event": "x"}),
    Vector("an address that does not say the event", JSON, "?event=up"),
    Vector("a message that is cut off", json.dumps(JSON).encode()[:-9], "not JSON", UP),
]


@pytest.mark.parametrize("vector", VECTORS, ids=str)
def test_the_vectors_are_read_as_they_say(vector: Vector) -> None:
    holds(KIND, vector)


@pytest.mark.parametrize("body", [JSON, JSON_V3], ids=["JSON", "JSON (v3)"])
@pytest.mark.parametrize("end", ["event/up", "rx"])
def test_on_the_topics_of_v4_it_is_known_by_what_is_in_it(body: dict[str, Any], end: str) -> None:
    uplink = open_uplink(f"application/7/device/{EUI}/{end}", json.dumps(body).encode())
    assert (uplink.network, uplink.device_key, uplink.payload) == (KIND, EUI, PAYLOAD)


def test_a_topic_cannot_speak_for_another_device() -> None:
    from devices.model import EnvelopeError

    with pytest.raises(EnvelopeError, match="another device's name"):
        open_uplink("application/7/device/a84041ffff310002/event/up", json.dumps(JSON).encode())
