"""The Things Stack v3, over MQTT: `v3/{application}@{tenant}/devices/{device}/{event}`, one rx_metadata a gateway."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from simulators.networks.names import message_id, rfc3339

if TYPE_CHECKING:
    from simulators.frames import Frame

POSTED = False
APPLICATION, TENANT = "mimamori", "town"

_AIR, _WAY = timedelta(milliseconds=80), timedelta(milliseconds=250)
_encode = msgspec.json.Encoder().encode


def topic(frame: Frame) -> str:
    return f"v3/{APPLICATION}@{TENANT}/devices/eui-{frame.device}/{frame.event}"


def body(frame: Frame) -> bytes:
    name = message_id(frame.device, frame.session, frame.event, frame.counter)
    # the application server has it a little after the network server
    received, at_the_server = rfc3339(frame.heard + _WAY, "Z"), rfc3339(frame.heard, "Z")
    message: dict[str, Any] = {
        "end_device_ids": {
            "device_id": f"eui-{frame.device}",
            "application_ids": {"application_id": APPLICATION},
            "dev_eui": frame.device.upper(),
            "join_eui": "0000000000000000",
            "dev_addr": frame.session.upper(),
        },
        "correlation_ids": [f"gs:uplink:{name}"],
        "received_at": received,
    }
    if frame.event != "up":
        return _encode(message | {"join_accept": {"session_key_id": name, "received_at": at_the_server}})
    at_the_gateway = rfc3339(frame.heard - _AIR, "Z")
    uplink: dict[str, Any] = {"session_key_id": name, "f_port": 10}
    if frame.counter:  # protobuf's JSON leaves out zeros
        uplink["f_cnt"] = frame.counter
    uplink |= {
        "frm_payload": base64.b64encode(frame.payload).decode(),
        "rx_metadata": [
            {
                "gateway_ids": {"gateway_id": f"eui-{each.gateway}", "eui": each.gateway.upper()},
                "time": at_the_gateway,
                "rssi": each.rssi,
                "channel_rssi": each.rssi,
                "snr": each.snr,
            }
            for each in frame.receptions
        ],
        "settings": {
            "data_rate": {
                "lora": {
                    "bandwidth": 125_000,
                    "spreading_factor": frame.spreading_factor,
                    "coding_rate": "4/5",
                }
            },
            "frequency": "923200000",
        },
        "received_at": at_the_server,
        "consumed_airtime": f"{_airtime(frame.spreading_factor, len(frame.payload)):.6f}s",
    }
    return _encode(message | {"uplink_message": uplink})


def _airtime(spreading_factor: int, payload: int) -> float:
    """Seconds on the air of a LoRaWAN uplink at 125 kHz, coding rate 4/5 (Semtech AN1200.13); 13 bytes are overhead."""
    symbol = 2**spreading_factor / 125_000
    slow = 2 if spreading_factor >= 11 else 0
    bits = 8 * (payload + 13) - 4 * spreading_factor + 44
    return float((12.25 + 8 + max(0, -(-bits // (4 * (spreading_factor - slow)))) * 5) * symbol)
