"""ChirpStack v4, over MQTT: `application/{application}/device/{devEui}/event/{event}`, one rxInfo a gateway."""

from __future__ import annotations

import base64
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from simulators.networks.names import message_id, rfc3339, uuid

if TYPE_CHECKING:
    from simulators.frames import Frame

POSTED = False
TENANT, APPLICATION = uuid("tenant"), uuid("application")

_AIR = timedelta(milliseconds=80)  # from the gateway to the network server
_encode = msgspec.json.Encoder().encode
_profile = lru_cache(maxsize=256)(uuid)


def topic(frame: Frame) -> str:
    return f"application/{APPLICATION}/device/{frame.device}/event/{frame.event}"


def body(frame: Frame) -> bytes:
    name = message_id(frame.device, frame.session, frame.event, frame.counter)
    heard = rfc3339(frame.heard)
    message: dict[str, Any] = {
        "deduplicationId": name,
        "time": heard,
        "deviceInfo": {
            "tenantId": TENANT,
            "tenantName": "mimamori",
            "applicationId": APPLICATION,
            "applicationName": "town",
            "deviceProfileId": _profile(frame.model),
            "deviceProfileName": frame.model,
            "deviceName": frame.name,
            "devEui": frame.device,
        },
        "devAddr": frame.session,
    }
    if frame.event != "up":
        return _encode(message)
    message |= {"adr": True, "dr": 12 - frame.spreading_factor}
    if frame.counter:  # protobuf's JSON leaves out zeros
        message["fCnt"] = frame.counter
    uplink_id = int(name[:8], 16)
    at_the_gateway = rfc3339(frame.heard - _AIR)
    message |= {
        "fPort": 10,
        "data": base64.b64encode(frame.payload).decode(),
        "rxInfo": [
            {
                "gatewayId": each.gateway,
                "uplinkId": (uplink_id + number) % 2**32,
                "gwTime": at_the_gateway,
                "nsTime": heard,
                "rssi": each.rssi,
                "snr": each.snr,
            }
            for number, each in enumerate(frame.receptions)
        ],
        "txInfo": {
            "frequency": 923_200_000,
            "modulation": {
                "lora": {
                    "bandwidth": 125_000,
                    "spreadingFactor": frame.spreading_factor,
                    "codeRate": "CR_4_5",
                }
            },
        },
    }
    return _encode(message)
