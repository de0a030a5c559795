"""How a message was heard, and what a device says of itself: of the networks whose other tables stand elsewhere."""

from __future__ import annotations

import json
from typing import Any

import pytest

from devices.envelopes import open_uplink
from devices.model import DeviceStatus, Radio, Uplink
from tests.devices.envelopes.vectors import EUI, IN_BASE64, NOON, PAYLOAD, without

V4: dict[str, Any] = {
    "deviceInfo": {"devEui": EUI},
    "devAddr": "00189440",
    "time": NOON.isoformat(),
    "fPort": 10,
    "data": IN_BASE64,
    "object": {"level": 1.25},
    "rxInfo": [
        {"gatewayId": "far", "rssi": -118, "snr": -9.5},
        {"gatewayId": "near", "rssi": -71},
        {"gatewayId": "deaf", "snr": 1.0},
    ],
    "txInfo": {"frequency": 923200000, "modulation": {"lora": {"bandwidth": 125000, "spreadingFactor": 10}}},
}
TTS: dict[str, Any] = {
    "f_port": 10,
    "frm_payload": IN_BASE64,
    "decoded_payload": {"level": 1.25},
    "rx_metadata": [
        {"gateway_ids": {"gateway_id": "far"}, "rssi": -118, "snr": -9.5},
        {"gateway_ids": {"gateway_id": "near"}, "rssi": -71},
    ],
    "settings": {"data_rate": {"lora": {"bandwidth": 125000, "spreading_factor": 10}}},
    "last_battery_percentage": {"f_cnt": 3, "value": 88.5},
}
# A proto that is 0 is left out.
NEAR = Radio("near", -71, 0.0, "SF10BW125", 3)


def v4(event: str = "up", **changes: Any) -> Uplink:
    return open_uplink(f"application/a/device/{EUI}/event/{event}", json.dumps(without(V4, **changes)).encode())


def tts(**changes: Any) -> Uplink:
    body = {"end_device_ids": {"device_id": "gauge", "dev_eui": EUI}, "uplink_message": without(TTS, **changes)}
    return open_uplink("v3/town/devices/gauge/up", json.dumps(body).encode())


def test_of_several_gateways_the_best_is_told_and_how_many_there_were() -> None:
    assert v4().radio == NEAR
    assert tts().radio == Radio("near", -71, 0.0, "SF10BW125", 2)


@pytest.mark.parametrize(
    "changes",
    [{"rxInfo": "?"}, {"rxInfo": [{"rssi": "loud"}]}, {"txInfo": []}, {"rxInfo": [{"gatewayId": 7}]}, {"rxInfo": None}],
)
def test_what_is_wrong_with_how_it_was_heard_costs_only_that(changes: dict[str, Any]) -> None:
    uplink = v4(**changes)
    assert (uplink.radio, uplink.payload, uplink.counter, uplink.port) == (None, PAYLOAD, 0, 10)


@pytest.mark.parametrize("changes", [{"rx_metadata": {}}, {"settings": 3}, {"last_battery_percentage": "full"}])
def test_the_same_of_the_things_stack(changes: dict[str, Any]) -> None:
    uplink = tts(**changes)
    assert (uplink.radio, uplink.status, uplink.payload) == (None, None, PAYLOAD)


def test_nobody_named_is_nobody_heard() -> None:
    assert v4(rxInfo=[]).radio is None and tts(rx_metadata=...).radio is None
    assert v4(txInfo=...).radio == Radio("near", -71, 0.0, None, 3)


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({"margin": 10, "batteryLevel": 88.3}, DeviceStatus(88.3, False, 10)),
        ({"margin": -4, "externalPowerSource": True}, DeviceStatus(None, True, -4)),
        ({"batteryLevelUnavailable": True}, DeviceStatus(None, False, 0)),
        ({}, DeviceStatus(0, False, 0)),
        ({"margin": "fine"}, None),
    ],
)
def test_a_status_tells_battery_and_margin(said: dict[str, Any], status: DeviceStatus | None) -> None:
    uplink = v4("status", **said)
    assert (uplink.event, uplink.status) == ("status", status)


def test_the_things_stack_tells_the_battery_beside_a_reading() -> None:
    assert tts().status == DeviceStatus(battery_percent=88.5)
    assert tts(last_battery_percentage=...).status is None


@pytest.mark.parametrize("event", ["join", "ack", "txack", "log", "location", "integration"])
def test_other_events_tell_neither(event: str) -> None:
    uplink = v4(event, level="ERROR")
    assert (uplink.event, uplink.status, uplink.radio, uplink.decoded) == (event, None, None, None)


def test_what_the_network_has_decoded_is_kept_as_it_stood() -> None:
    assert v4().decoded == tts().decoded == b'{"level": 1.25}'
    assert v4(object=None).decoded is None and v4(object=...).decoded is None
