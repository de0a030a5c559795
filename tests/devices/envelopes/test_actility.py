"""Actility ThingPark."""

from __future__ import annotations

import json
from typing import Any

import pytest

from devices.model import DeviceStatus, Radio
from tests.devices.envelopes.vectors import EUI, NOON, PAYLOAD, Vector, holds, without

KIND = "actility"
SAID: dict[str, Any] = {
    "Time": "2026-06-01T12:00:00.000+09:00",
    "DevEUI": EUI.upper(),
    "DevAddr": "04D2848E",
    "FPort": 2,
    "FCntUp": 53,
    "MType": 4,
    "payload_hex": PAYLOAD.hex(),
    "LrrRSSI": -83.0,
    "LrrSNR": 9.5,
    "SpFact": 10,
    "DevLrrCnt": 2,
    "Lrrid": "3C200E92",
    "Lrrs": {"Lrr": [{"Lrrid": "3C200E92", "LrrRSSI": -83}, {"Lrrid": "3C200E93", "LrrRSSI": -119}]},
    "Late": 0,
    "CustomerID": "100000001",
}
HEARD = Radio("3C200E92", -83, 9.5, "SF10BW125", 2)


def uplink(**changes: Any) -> dict[str, Any]:
    return {"DevEUI_uplink": without(SAID, **changes)}


VECTORS = [
    Vector(
        "an uplink",
        uplink(),
        {
            "network": KIND,
            "device_key": EUI,
            "session": "04d2848e",
            "counter": 53,
            "port": 2,
            "payload": PAYLOAD,
            "network_time": NOON,
            "radio": HEARD,
            "status": None,
            "event": None,
        },
    ),
    Vector(
        "numbers in quotation marks",
        uplink(FPort="2", FCntUp="53", LrrRSSI="-83.0", LrrSNR="9.5", SpFact="10", DevLrrCnt="2"),
        {"port": 2, "counter": 53, "radio": HEARD},
    ),
    Vector("one that is delivered late", uplink(Late=1), {"network_time": NOON, "counter": 53}),
    Vector("no counter is 0", uplink(FCntUp=...), {"counter": 0}),
    Vector("no payload", uplink(payload_hex=...), {"payload": b""}),
    Vector(
        "gateways without a best one",
        uplink(LrrRSSI=..., LrrSNR=..., Lrrid=...),
        {"radio": Radio("3C200E92", -83, None, "SF10BW125", 2)},
    ),
    Vector("gateways of another shape", uplink(Lrrs=[1], SpFact="fast"), {"radio": None, "payload": PAYLOAD}),
    Vector("a battery", uplink(BatteryLevel=127), {"status": DeviceStatus(50.0)}),
    Vector("mains", uplink(BatteryLevel="0"), {"status": DeviceStatus(external_power=True)}),
    Vector("an unknown battery", uplink(BatteryLevel=255), {"status": None}),
    Vector("what its own driver has decoded", uplink(payload={"level": 1.25}), {"decoded": b'{"level": 1.25}'}),
    Vector(
        "a downlink that was sent",
        {"DevEUI_downlink_Sent": {"Time": NOON.isoformat(), "DevEUI": EUI.upper(), "FPort": "2"}},
        {"event": "downlink_Sent", "network_time": NOON, "counter": None, "payload": b""},
    ),
    Vector("a place", {"DevEUI_location": {"DevEUI": EUI, "DevLAT": 35.1}}, {"event": "location"}),
    Vector("another event", {"DevEUI_dream": SAID}, "neither DevEUI_uplink"),
    Vector("nothing of ThingPark", {"x": 1}, "neither DevEUI_uplink"),
    Vector("an EUI that is none", uplink(DevEUI="402C"), "not a DevEUI"),
    Vector("a payload of half a byte", uplink(payload_hex="123"), "not hex"),
    Vector("a time without an offset", uplink(Time="2026-06-01T12:00:00.000"), "no time zone"),
    Vector("a counter that is none", uplink(FCntUp="many"), "FCntUp"),
    Vector("a list", [], "documented shape"),
    Vector("a message that is cut off", json.dumps(uplink()).encode()[:-9], "not JSON"),
]


@pytest.mark.parametrize("vector", VECTORS, ids=str)
def test_the_vectors_are_read_as_they_say(vector: Vector) -> None:
    holds(KIND, vector)
