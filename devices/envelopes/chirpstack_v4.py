"""ChirpStack v4 events as JSON, over MQTT or from its HTTP integration.

Topic: ``application/{applicationId}/device/{devEui}/event/{event}``, event being up, join, status, ack, txack,
log, location or integration. Over HTTP the address says it, ``?event=up``, and the body is the same. Read from the
body (everything else is left alone):

    deviceInfo.devEui  16 hex digits; upper case and base64 (as v3 wrote it) are read too; the topic's device
    time               RFC 3339 with an offset, when the network heard the device; may be absent or null
    devAddr            8 hex digits: what the frame counter belongs to, our session (up and join)
    fCnt               up: the frame counter. Absent means 0: protobuf's JSON leaves out zeros
    fPort, data        up: the port, and the payload in base64; absent data is an empty payload
    object             up: what ChirpStack's own codec made of it
    rxInfo, txInfo     up: which gateways heard it, and how; whatever is wrong with these costs only these
    batteryLevel, batteryLevelUnavailable, externalPowerSource, margin    status: what the device says of itself

ChirpStack v3 sends on the same topics: a body without deviceInfo but with devEUI is v3's (chirpstack_v3.py). The time
is only parsed here; whether it is possible is ingest's to judge on the town clock.
Source: chirpstack.io/docs/chirpstack/integrations/events.html and http.html, api/proto/integration/integration.proto.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated

import msgspec

from devices.envelopes import chirpstack, chirpstack_v3, json, lorawan
from devices.model import EnvelopeError, Radio, Uplink
from devices.timestamps import parse_timestamp

NETWORK = "chirpstack_v4"
TOPIC_FILTER = "application/+/device/+/event/+"
POSTED_WITH: tuple[str, ...] = ("event",)
EVENTS = frozenset({"join", "status", "ack", "txack", "log", "location", "integration"})

_TOPIC = re.compile(r"application/[^/]+/device/(?P<device>[^/]+)/(event/)?(?P<event>[^/]+)")


class _DeviceInfo(msgspec.Struct):
    devEui: str


class _Event(msgspec.Struct):
    deviceInfo: _DeviceInfo
    time: str | None = None
    devAddr: str | None = None


class _Up(_Event):
    fCnt: Annotated[int, msgspec.Meta(ge=0, le=0xFFFFFFFF)] | None = None
    fPort: Annotated[int, msgspec.Meta(ge=0, le=255)] | None = None
    data: str | None = None
    object: msgspec.Raw = msgspec.Raw()


class _Reception(msgspec.Struct, rename={"gateway": "gatewayId"}):
    gateway: str | None = None
    rssi: float | None = None
    snr: float | None = 0.0


class _Modulation(msgspec.Struct):
    lora: chirpstack.LoRa | None = None


class _Transmission(msgspec.Struct):
    modulation: _Modulation | None = None


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


def matches(topic: str) -> bool:
    """Whether a message on this topic is ChirpStack's."""
    return topic.startswith("application/")


def open_uplink(topic: str, raw: bytes) -> Uplink:
    """The message of a device, or an event of its network. EnvelopeError says what is wrong with it."""
    match = _TOPIC.fullmatch(topic)
    if match is None:
        raise EnvelopeError(f"{NETWORK}: {json.shown(topic)} is not application/…/device/…/event/…")
    return _opened(match["event"], raw, match["device"])


def open_posted(said: Mapping[str, str], raw: bytes) -> Uplink:
    """The same from the HTTP integration; `said` is what the address says beside the body."""
    return _opened(chirpstack.posted_event(said, NETWORK), raw, None)


def _opened(event: str, raw: bytes, named: str | None) -> Uplink:
    """`named` is the device that the topic speaks of."""
    if b'"deviceInfo"' not in raw and b'"devEUI"' in raw:
        return chirpstack_v3.opened(event, raw, named)
    body = chirpstack.body(event, raw, EVENTS, _BODIES, NETWORK)
    device = lorawan.device_of(body.deviceInfo.devEui, named, NETWORK, "deviceInfo.devEui")
    session = lorawan.dev_addr(body.devAddr, NETWORK, device, "devAddr")
    try:
        time = None if body.time is None else parse_timestamp(body.time)
    except ValueError as error:
        raise EnvelopeError(f"{NETWORK}: device {device}: time: {error}") from None
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
        decoded=json.known(body.object),
    )


def _radio(body: _Heard) -> Radio | None:
    lora = None if body.txInfo is None or body.txInfo.modulation is None else body.txInfo.modulation.lora
    return lorawan.radio(body.rxInfo, None if lora is None else lorawan.data_rate(lora.spreadingFactor, lora.bandwidth))
