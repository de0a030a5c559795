"""The old Helium Console."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from devices.model import Radio
from tests.devices.envelopes.vectors import EUI, IN_BASE64, NOON, PAYLOAD, SECONDS, Vector, holds, without

KIND = "helium"
UP: dict[str, Any] = {
    "dev_eui": EUI.upper(),
    "devaddr": "B5A44869",
    "fcnt": 19,
    "port": 2,
    "payload": IN_BASE64,
    "reported_at": SECONDS * 1000 + 250,
    "hotspots": [
        {"id": "11far", "name": "far-red-heron", "rssi": -118, "snr": -12.5, "spreading": "SF10BW125"},
        {"id": "11near", "name": "near-blue-heron", "rssi": -71, "snr": 9.5, "spreading": "SF10BW125"},
    ],
    "decoded": {"payload": {"level": 1.25}, "status": "success"},
    "name": "okusawa",
}

VECTORS = [
    Vector(
        "an uplink",
        UP,
        {
            "network": KIND,
            "device_key": EUI,
            "session": "b5a44869",
            "counter": 19,
            "port": 2,
            "payload": PAYLOAD,
            "network_time": NOON.replace(microsecond=250_000),
            "radio": Radio("11near", -71, 9.5, "SF10BW125", 2),
            "decoded": b'{"level": 1.25}',
            "event": None,
        },
    ),
    Vector("seconds", without(UP, reported_at=SECONDS), {"network_time": NOON}),
    Vector("tenths of milliseconds", without(UP, reported_at=SECONDS * 10_000), {"network_time": NOON}),
    Vector("microseconds", without(UP, reported_at=SECONDS * 1_000_000), {"network_time": NOON}),
    Vector("nanoseconds", without(UP, reported_at=SECONDS * 1_000_000_000), {"network_time": NOON}),
    Vector(
        "a clock that was never set",
        without(UP, reported_at=7),
        {"network_time": datetime(1970, 1, 1, 0, 0, 7, tzinfo=UTC)},
    ),
    Vector("no counter is 0", without(UP, fcnt=...), {"counter": 0}),
    Vector("no payload", without(UP, payload=...), {"payload": b""}),
    Vector("no time", without(UP, reported_at=None), {"network_time": None}),
    Vector("no hotspot", without(UP, hotspots=[]), {"radio": None}),
    Vector("hotspots of another shape", without(UP, hotspots=[{"rssi": "loud"}]), {"radio": None, "payload": PAYLOAD}),
    Vector("a join", without(UP, type="join"), {"event": "join", "counter": None, "payload": b""}),
    Vector("another type", without(UP, type="ack"), "no message of type 'ack'"),
    Vector("an EUI that is none", without(UP, dev_eui="1C29"), "not a DevEUI"),
    Vector("a counter below 0", without(UP, fcnt=-1), "fcnt"),
    Vector("a time of no unit", without(UP, reported_at=SECONDS * 100), "neither seconds nor milliseconds"),
    Vector("a payload that is none", without(UP, payload="?"), "not base64"),
    Vector("a message of nothing", b"", "not JSON"),
    Vector("a list", [], "documented shape"),
    Vector("a message that is cut off", json.dumps(UP).encode()[:-9], "not JSON"),
]


@pytest.mark.parametrize("vector", VECTORS, ids=str)
def test_the_vectors_are_read_as_they_say(vector: Vector) -> None:
    holds(KIND, vector)
