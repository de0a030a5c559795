"""AWS IoT Core for LoRaWAN. The first two messages are those of aws-samples/aws-iot-core-lorawan (MIT-0)."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from devices.model import Radio
from tests.devices.envelopes.vectors import EUI, IN_BASE64, NOON, PAYLOAD, Vector, holds, without

KIND = "aws_iot_lorawan"
SAMPLE = {
    "PayloadData": "y6QHxgG4AQhmf/8=",
    "PayloadDecoderName": "dragino_lht65",
    "WirelessDeviceId": "57728ff8-5d1d-4130-9de2-f004d8722bc2",
    "WirelessMetadata": {
        "LoRaWAN": {
            "DataRate": 0,
            "DevEui": "a84041d55182720b",
            "FPort": 2,
            "Frequency": 867900000,
            "Gateways": [{"GatewayEui": "dca632fffe45b3c0", "Rssi": -76, "Snr": 9.75}],
            "Timestamp": "2020-12-07T14:41:48Z",
        }
    },
}
RULE_SAMPLE: dict[str, Any] = {
    "transformed_message": {
        "status": 200,
        "payload": {"temperature": 29.7, "humidity": 52.41, "input_length": 11},
        "WirelessDeviceId": "904d63b1-ed1d-42ad-8cb4-6778dd03e86c",
        "DevEui": "a84041d55182720b",
    },
    "lns_message": {
        "WirelessDeviceId": "904d63b1-ed1d-42ad-8cb4-6778dd03e86c",
        "WirelessMetadata": {
            "LoRaWAN": {
                "DataRate": 0,
                "DevEui": "a84041d55182720b",
                "FPort": 2,
                "Frequency": 867300000,
                "Gateways": [{"GatewayEui": "dca632fffe45b3c0", "Rssi": -70, "Snr": 10.75}],
                "Timestamp": "2020-12-09T16:33:19Z",
            }
        },
        "PayloadData": "y68JUAHBAQlsf/8=",
    },
}
LORA: dict[str, Any] = {
    "ADR": True,
    "DataRate": "2",
    "DevAddr": "00B96050",
    "DevEui": EUI.upper(),
    "FCnt": 41,
    "FPort": 10,
    "Gateways": [{"GatewayEui": "01", "Rssi": -119, "Snr": -7}, {"GatewayEui": "02", "Rssi": -80.5, "Snr": 6}],
    "Timestamp": "2026-06-01T03:00:00Z",
}


def uplink(data: Any = IN_BASE64, **changes: Any) -> dict[str, Any]:
    return without({"PayloadData": data, "WirelessMetadata": {"LoRaWAN": without(LORA, **changes)}}, PayloadData=data)


VECTORS = [
    Vector(
        "the sample of an uplink",
        SAMPLE,
        {
            "network": KIND,
            "device_key": "a84041d55182720b",
            "session": "",
            "counter": None,
            "network_time": datetime(2020, 12, 7, 14, 41, 48, tzinfo=UTC),
            "port": 2,
            "payload": bytes.fromhex("cba407c601b80108667fff"),
            "radio": Radio("dca632fffe45b3c0", -76, 9.75, "SF12BW125", 1),
            "decoded": None,
        },
    ),
    Vector(
        "the sample of what a rule makes of it",
        RULE_SAMPLE,
        {
            "device_key": "a84041d55182720b",
            "payload": bytes.fromhex("cbaf095001c101096c7fff"),
            "decoded": json.dumps(RULE_SAMPLE["transformed_message"]["payload"]).encode(),
        },
    ),
    Vector(
        "a newer one",
        uplink(),
        {
            "device_key": EUI,
            "session": "00b96050",
            "counter": 41,
            "network_time": NOON,
            "payload": PAYLOAD,
            "radio": Radio("02", -80.5, 6, "SF10BW125", 2),
        },
    ),
    Vector("a counter of 0", uplink(FCnt=0), {"counter": 0}),
    Vector("no time, but a counter", uplink(Timestamp=...), {"network_time": None, "counter": 41}),
    Vector("no payload", uplink(data=None), {"payload": b""}),
    Vector("gateways of another shape", uplink(Gateways={}), {"radio": None, "payload": PAYLOAD}),
    Vector("a data rate that nobody knows", uplink(DataRate=13), {"radio": Radio("02", -80.5, 6, None, 2)}),
    Vector("something else beside it", uplink() | {"transformed_message": "done"}, {"decoded": None, "counter": 41}),
    Vector("neither counter nor time", uplink(Timestamp=..., FCnt=...), "neither FCnt nor Timestamp"),
    Vector("Sidewalk", {"PayloadData": "AQ==", "WirelessMetadata": {"Sidewalk": {"Seq": 1}}}, "LoRaWAN"),
    Vector("an EUI that is none", uplink(DevEui="a840"), "not a DevEUI"),
    Vector("a payload that is none", uplink(data="%"), "not base64"),
    Vector("a time without an offset", uplink(Timestamp="2026-06-01T03:00:00"), "no time zone"),
    Vector("a list", [], "documented shape"),
    Vector("a message that is cut off", json.dumps(SAMPLE).encode()[:-9], "not JSON"),
]


@pytest.mark.parametrize("vector", VECTORS, ids=str)
def test_the_vectors_are_read_as_they_say(vector: Vector) -> None:
    holds(KIND, vector)
