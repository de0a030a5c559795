"""Actility ThingPark: the JSON that its tunnel interface posts, and that its MQTT connector publishes.

The topic of the connector is the operator's to choose, so a source says which one it is (`devices.envelopes.sources`);
over HTTP the body is the same. One key says what it is; `DevEUI_uplink` is a message, of which is read (everything else
is left alone; numbers may stand in quotation marks, as where the JSON was made of XML):

    DevEUI         16 hex digits in upper case: our key, in lower case
    DevAddr        8 hex digits: what the frame counter belongs to, our session
    Time           RFC 3339 with an offset, when a gateway heard it, also where it is delivered later (`Late` 1)
    FCntUp         the frame counter. Absent means 0
    FPort          the port
    payload_hex    the payload in hex; absent is an empty payload
    payload        what ThingPark X's own driver made of it, where one is switched on
    LrrRSSI, LrrSNR, Lrrid, Lrrs.Lrr, DevLrrCnt, SpFact   how it was heard, by which gateways; whatever is wrong with
                   these costs only these
    BatteryLevel   0 means mains, 1 to 254 a part of 254, 255 unknown, as LoRaWAN's DevStatusAns says it

DevEUI_downlink_Sent, DevEUI_downlink_Rejected, DevEUI_multicast_summary, DevEUI_location and DevEUI_notification are
events, of the name behind the underscore.
Source: docs.thingpark.com, ThingPark Wireless tunnel interface (LRC-AS) and the ThingPark X processor.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

import msgspec

from devices.envelopes import json, lorawan
from devices.model import DeviceStatus, EnvelopeError, Radio, Uplink
from devices.timestamps import parse_timestamp

NETWORK = "actility"
POSTED_WITH: tuple[str, ...] = ()
EVENTS = frozenset({"downlink_Sent", "downlink_Rejected", "multicast_summary", "location", "notification"})


class _Said(msgspec.Struct):
    DevEUI: str
    Time: str | None = None
    DevAddr: str | None = None


class _Up(_Said):
    FCntUp: Annotated[int, msgspec.Meta(ge=0, le=0xFFFFFFFF)] | None = None
    FPort: Annotated[int, msgspec.Meta(ge=0, le=255)] | None = None
    payload_hex: str | None = None
    payload: msgspec.Raw = msgspec.Raw()


class _Lrr(msgspec.Struct, rename={"gateway": "Lrrid", "rssi": "LrrRSSI", "snr": "LrrSNR"}):
    gateway: str | None = None
    rssi: float | None = None
    snr: float | None = None


class _Lrrs(msgspec.Struct):
    Lrr: list[_Lrr] = []


class _Heard(_Up):
    Lrrid: str | None = None
    LrrRSSI: float | None = None
    LrrSNR: float | None = None
    Lrrs: _Lrrs | None = None
    DevLrrCnt: int | None = None
    SpFact: int | None = None
    BatteryLevel: Annotated[int, msgspec.Meta(ge=0, le=255)] | None = None


_KEYS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_SAID = msgspec.json.Decoder(_Said)
_UP = msgspec.json.Decoder(_Up, strict=False)
_HEARD = msgspec.json.Decoder(_Heard, strict=False)


def open_posted(said: Mapping[str, str], raw: bytes) -> Uplink:
    """The message of a device, or an event of its network. EnvelopeError says what is wrong with it."""
    keys = json.decode(raw, _KEYS, NETWORK)
    kind = next((key for key in keys if key.startswith("DevEUI_")), "")
    event = kind.removeprefix("DevEUI_")
    if event == "uplink":
        return _uplink(bytes(keys[kind]))
    if event not in EVENTS:
        raise EnvelopeError(
            f"{NETWORK}: the message has neither DevEUI_uplink nor any other event of ThingPark; it has "
            f"{json.shown(', '.join(keys))}"
        )
    body = json.decode(bytes(keys[kind]), _SAID, NETWORK)
    device, session = _who(body)
    return Uplink(NETWORK, device, session, counter=None, network_time=_time(body, device), event=event)


def _uplink(raw: bytes) -> Uplink:
    body = json.decode_either(raw, _HEARD, _UP, NETWORK)
    device, session = _who(body)
    return Uplink(
        NETWORK,
        device,
        session,
        counter=body.FCntUp or 0,
        network_time=_time(body, device),
        port=body.FPort,
        payload=json.from_hex(body.payload_hex or "", f"{NETWORK}: device {device}: payload_hex"),
        radio=_radio(body) if isinstance(body, _Heard) else None,
        status=_status(body) if isinstance(body, _Heard) else None,
        decoded=json.known(body.payload),
    )


def _who(body: _Said) -> tuple[str, str]:
    device = lorawan.device_of(body.DevEUI, None, NETWORK, "DevEUI")
    return device, lorawan.dev_addr(body.DevAddr, NETWORK, device, "DevAddr")


def _time(body: _Said, device: str) -> datetime | None:
    try:
        return parse_timestamp(body.Time) if body.Time else None
    except ValueError as error:
        raise EnvelopeError(f"{NETWORK}: device {device}: Time: {error}") from None


def _radio(body: _Heard) -> Radio | None:
    """Lrrid and its values are those of the gateway that heard it best."""
    if body.LrrRSSI is None and body.Lrrs is not None:
        return lorawan.radio(body.Lrrs.Lrr, _rate(body))
    if body.Lrrid is None and body.LrrRSSI is None:
        return None
    named = 0 if body.Lrrs is None else len(body.Lrrs.Lrr)
    return Radio(body.Lrrid, body.LrrRSSI, body.LrrSNR, _rate(body), max(body.DevLrrCnt or 1, named, 1))


def _rate(body: _Heard) -> str | None:
    """All that Japan's AS923 uses of LoRa is 125 kHz wide."""
    return lorawan.data_rate(body.SpFact, 125)


def _status(body: _Heard) -> DeviceStatus | None:
    level = body.BatteryLevel
    if level is None or level == 255:
        return None
    return DeviceStatus(external_power=True) if level == 0 else DeviceStatus(battery_percent=round(level / 2.54, 1))
