"""ChirpStack v3 events as JSON, in both of its forms; many towns' servers still send them.

The topics are those of v4, ``application/{application id}/device/{devEUI}/event/{event}``, and event is up, join,
status, ack, error, txack, location or integration; before 3.11 ``…/device/{devEUI}/rx`` and so on. Over HTTP the
address says it, ``?event=up``. Read from the body (everything else is left alone):

    devEUI             marshaler "JSON": base64; marshaler "JSON (v3)": 16 hex digits; the topic's device
    devAddr            the same two ways; what the frame counter belongs to, our session
    fCnt               up: the frame counter. Absent means 0
    fPort, data        up: the port, and the payload in base64; absent data is an empty payload
    objectJSON         "JSON", up: what ChirpStack's own codec made of it, as text. "JSON (v3)" has it in `object`
    rxInfo[].time      RFC 3339, when a gateway heard it; many gateways have no clock, and then it is null
    publishedAt        RFC 3339, when the server passed it on: the network's time where no gateway has one
    rxInfo, txInfo     up: which gateways heard it, and how; whatever is wrong with these costs only these
    batteryLevel, batteryLevelUnavailable, externalPowerSource, margin    status: what the device says of itself

Source: chirpstack.io/application-server/integrations/events (v3) and integrate/sending-receiving (JSON v3).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec.structs import replace

from devices.envelopes import chirpstack, json, lorawan
from devices.model import EnvelopeError, Radio, Uplink
from devices.timestamps import parse_timestamp

NETWORK = "chirpstack_v3"
POSTED_WITH: tuple[str, ...] = ("event",)
EVENTS = frozenset({"join", "status", "ack", "error", "txack", "location", "integration"})

_TOPIC = re.compile(r"application/[^/]+/device/(?P<device>[^/]+)/(event/)?(?P<event>[^/]+)")


class _Event(msgspec.Struct):
    devEUI: str
    devAddr: str | None = None
    publishedAt: str | None = None


class _Up(_Event):
    fCnt: Annotated[int, msgspec.Meta(ge=0, le=0xFFFFFFFF)] | None = None
    fPort: Annotated[int, msgspec.Meta(ge=0, le=255)] | None = None
    data: str | None = None
    objectJSON: str | None = None
    object: msgspec.Raw = msgspec.Raw()


class _Reception(msgspec.Struct, rename={"gateway": "gatewayID", "snr": "loRaSNR"}):
    gateway: str | None = None
    time: str | None = None
    rssi: float | None = None
    snr: float | None = 0.0


class _Transmission(msgspec.Struct):
    loRaModulationInfo: chirpstack.LoRa | None = None


class _Heard(_Up):
    rxInfo: list[_Reception] = []
    txInfo: _Transmission | None = None


class _Status(_Event):
    batteryLevel: float | None = 0.0
    batteryLevelUnavailable: bool = False
    externalPowerSource: bool = False
    margin: float | None = 0.0


_BODIES: chirpstack.Bodies[_Event] = chirpstack.Bodies(
    msgspec.json.Decoder(_Heard), msgspec.json.Decoder(_Up), msgspec.json.Decoder(_Status), msgspec.json.Decoder(_Event)
)


def open_uplink(topic: str, raw: bytes) -> Uplink:
    """The message of a device, or an event of its network. EnvelopeError says what is wrong with it."""
    match = _TOPIC.fullmatch(topic)
    if match is None:
        raise EnvelopeError(f"{NETWORK}: {json.shown(topic)} is not application/…/device/…/event/…")
    return opened(match["event"], raw, match["device"])


def open_posted(said: Mapping[str, str], raw: bytes) -> Uplink:
    """The same from the HTTP integration; `said` is what the address says beside the body."""
    return opened(chirpstack.posted_event(said, NETWORK), raw, None)


def opened(event: str, raw: bytes, named: str | None) -> Uplink:
    """An event of that name; `named` is the device that the topic speaks of."""
    event = "up" if event == "rx" else event
    body = chirpstack.body(event, raw, EVENTS, _BODIES, NETWORK)
    device = lorawan.device_of(body.devEUI, named, NETWORK, "devEUI")
    session = lorawan.dev_addr(body.devAddr, NETWORK, device, "devAddr")
    time = _time(body, device)
    if not isinstance(body, _Up):
        status = chirpstack.device_status(body) if isinstance(body, _Status) else None
        return Uplink(NETWORK, device, session, counter=None, network_time=time, event=event, status=status)
    return Uplink(
        NETWORK,
        device,
        session,
        counter=body.fCnt or 0,
        network_time=time,
        port=body.fPort,
        payload=json.from_base64(body.data or "", f"{NETWORK}: device {device}: data"),
        radio=_radio(body) if isinstance(body, _Heard) else None,
        decoded=body.objectJSON.encode(errors="replace") if body.objectJSON else json.known(body.object),
    )


def _time(body: _Event, device: str) -> datetime | None:
    """Of the gateway that heard it best among those that have a clock, else of the server."""
    written = body.publishedAt
    where = "publishedAt"
    if isinstance(body, _Heard):
        clocks = [heard for heard in body.rxInfo if heard.time]
        if clocks:
            where = "rxInfo.time"
            written = max(clocks, key=lambda heard: heard.rssi if heard.rssi is not None else float("-inf")).time
    try:
        return parse_timestamp(written) if written else None
    except ValueError as error:
        raise EnvelopeError(f"{NETWORK}: device {device}: {where}: {error}") from None


def _radio(body: _Heard) -> Radio | None:
    lora = None if body.txInfo is None else body.txInfo.loRaModulationInfo
    rate = None if lora is None else lorawan.data_rate(lora.spreadingFactor, lora.bandwidth)
    radio = lorawan.radio(body.rxInfo, rate)
    if radio is None or radio.gateway is None:
        return radio
    return replace(radio, gateway=lorawan.hex_of(radio.gateway))
