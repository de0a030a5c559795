"""AWS IoT Core for LoRaWAN: what its rules publish or post.

The topic is the user's to choose in the rule, so a source says which one it is (`devices.envelopes.sources`); an HTTPS
action of the rule posts the same body. Read from the body, which is the message itself or has it under `lns_message`,
where a rule has put its own decoding beside it (everything else is left alone):

    WirelessMetadata.LoRaWAN.DevEui      16 hex digits: our key
    WirelessMetadata.LoRaWAN.DevAddr     8 hex digits where it is there: what the frame counter belongs to, our session
    WirelessMetadata.LoRaWAN.FCnt        the frame counter. Older messages have none; then the time tells a repetition
    WirelessMetadata.LoRaWAN.Timestamp   RFC 3339 with an offset, when the network heard it
    WirelessMetadata.LoRaWAN.FPort       the port
    PayloadData                          the payload in base64; absent is an empty payload
    WirelessMetadata.LoRaWAN.Gateways    which gateways heard it, and how; whatever is wrong with these costs only these
    WirelessMetadata.LoRaWAN.DataRate    DR0 to DR5 of AS923, which is SF12 to SF7 at 125 kHz
    transformed_message.payload          what the rule's own function made of it

A message of Amazon Sidewalk is refused. Source: docs.aws.amazon.com/iot-wireless (uplink metadata), and the samples of
aws-samples/aws-iot-core-lorawan.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

import msgspec

from devices.envelopes import json, lorawan
from devices.model import EnvelopeError, Radio, Uplink
from devices.timestamps import parse_timestamp

NETWORK = "aws_iot_lorawan"
POSTED_WITH: tuple[str, ...] = ()


class _LoRaWAN(msgspec.Struct):
    DevEui: str
    DevAddr: str | None = None
    FCnt: Annotated[int, msgspec.Meta(ge=0, le=0xFFFFFFFF)] | None = None
    FPort: Annotated[int, msgspec.Meta(ge=0, le=255)] | None = None
    Timestamp: str | None = None


class _Gateway(msgspec.Struct, rename={"gateway": "GatewayEui", "rssi": "Rssi", "snr": "Snr"}):
    gateway: str | None = None
    rssi: float | None = None
    snr: float | None = None


class _HeardLoRaWAN(_LoRaWAN):
    Gateways: list[_Gateway] = []
    DataRate: int | str | None = None


class _Metadata(msgspec.Struct):
    LoRaWAN: _LoRaWAN


class _HeardMetadata(msgspec.Struct):
    LoRaWAN: _HeardLoRaWAN


class _Up(msgspec.Struct):
    WirelessMetadata: _Metadata
    PayloadData: str | None = None


class _HeardUp(msgspec.Struct):
    WirelessMetadata: _HeardMetadata
    PayloadData: str | None = None


class _Transformed(msgspec.Struct):
    payload: msgspec.Raw = msgspec.Raw()


class _Rule(msgspec.Struct):
    lns_message: msgspec.Raw = msgspec.Raw()
    transformed_message: msgspec.Raw = msgspec.Raw()


_RULE = msgspec.json.Decoder(_Rule)
_TRANSFORMED = msgspec.json.Decoder(_Transformed)
_UP = msgspec.json.Decoder(_Up)
_HEARD = msgspec.json.Decoder(_HeardUp)


def open_posted(said: Mapping[str, str], raw: bytes) -> Uplink:
    """The message of a device. EnvelopeError says what is wrong with it."""
    rule = json.decode(raw, _RULE, NETWORK)
    body = json.decode_either(json.known(rule.lns_message) or raw, _HEARD, _UP, NETWORK)
    lora = body.WirelessMetadata.LoRaWAN
    device = lorawan.device_of(lora.DevEui, None, NETWORK, "DevEui")
    session = lorawan.dev_addr(lora.DevAddr, NETWORK, device, "DevAddr")
    time = _time(lora.Timestamp, device)
    if lora.FCnt is None and time is None:
        raise EnvelopeError(
            f"{NETWORK}: device {device}: there is neither FCnt nor Timestamp; without one of them a repeated message "
            "cannot be told from a new one"
        )
    return Uplink(
        NETWORK,
        device,
        session,
        counter=lora.FCnt,
        network_time=time,
        port=lora.FPort,
        payload=json.from_base64(body.PayloadData or "", f"{NETWORK}: device {device}: PayloadData"),
        radio=_radio(lora) if isinstance(lora, _HeardLoRaWAN) else None,
        decoded=_decoded(rule),
    )


def _radio(lora: _HeardLoRaWAN) -> Radio | None:
    said = str(lora.DataRate)
    rate = lorawan.data_rate(12 - int(said), 125) if said in ("0", "1", "2", "3", "4", "5") else None
    return lorawan.radio(lora.Gateways, rate)


def _decoded(rule: _Rule) -> bytes | None:
    """What a rule's function made of it; whatever else stands there is somebody else's."""
    said = json.known(rule.transformed_message)
    if said is None or not said.startswith(b"{"):
        return None
    return json.known(json.decode(said, _TRANSFORMED, NETWORK).payload)


def _time(written: str | None, device: str) -> datetime | None:
    try:
        return parse_timestamp(written) if written else None
    except ValueError as error:
        raise EnvelopeError(f"{NETWORK}: device {device}: Timestamp: {error}") from None
