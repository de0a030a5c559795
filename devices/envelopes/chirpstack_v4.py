"""ChirpStack v4 events as JSON, over MQTT or from its HTTP integration.

Topic: ``application/{applicationId}/device/{devEui}/event/{event}``, event being up, join, status, ack, txack,
log, location or integration. Over HTTP the address says it, ``?event=up``, and the body is the same. Read from the
body (everything else is left alone):

    deviceInfo.devEui  16 hex digits; upper case and base64 (as v3 wrote it) are read too; the topic's device
    time               RFC 3339 with an offset, when the network heard the device; may be absent or null
    devAddr            8 hex digits: what the frame counter belongs to, our session (up and join)
    fCnt               up: the frame counter. Absent means 0: protobuf's JSON leaves out zeros
    fPort, data        up: the port, and the payload in base64; absent data is an empty payload

The time is only parsed here; whether it is possible is ingest's to judge on the town clock.
Source: chirpstack.io/docs/chirpstack/integrations/events.html and http.html, api/proto/integration/integration.proto.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Annotated

import msgspec

from devices.envelopes import json
from devices.model import EnvelopeError, Uplink
from devices.timestamps import parse_timestamp

NETWORK = "chirpstack_v4"
TOPIC_FILTER = "application/+/device/+/event/+"
POSTED_WITH: tuple[str, ...] = ("event",)
EVENTS = frozenset({"join", "status", "ack", "txack", "log", "location", "integration"})

_TOPIC = re.compile(r"application/[^/]+/device/(?P<device>[^/]+)/event/(?P<event>[^/]+)")
_EUI = re.compile(r"[0-9a-f]{16}")
_DEV_ADDR = re.compile(r"[0-9a-f]{8}")


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


_UP = msgspec.json.Decoder(_Up)
_EVENT = msgspec.json.Decoder(_Event)


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
    if "event" not in said:
        raise EnvelopeError(
            f"{NETWORK}: the address does not say which event this is (?event=up): ChirpStack's HTTP integration adds "
            "it by itself, so something between ChirpStack and us takes it away"
        )
    return _opened(said["event"], raw, None)


def _opened(event: str, raw: bytes, named: str | None) -> Uplink:
    """`named` is the device that the topic speaks of."""
    if event != "up" and event not in EVENTS:
        raise EnvelopeError(f"{NETWORK}: ChirpStack has no event {json.shown(event)}")
    body = json.decode(raw, _UP, NETWORK) if event == "up" else json.decode(raw, _EVENT, NETWORK)
    device = _eui(body.deviceInfo.devEui, "deviceInfo.devEui")
    if named is not None and _eui(named, "the topic's device") != device:
        raise EnvelopeError(
            f"{NETWORK}: the topic speaks of device {json.shown(named)}, the message of {device}; "
            "somebody may be sending in another device's name"
        )
    session = (body.devAddr or "").lower()
    if session and not _DEV_ADDR.fullmatch(session):
        raise EnvelopeError(f"{NETWORK}: device {device}: devAddr {json.shown(session)} is not 8 hex digits")
    try:
        time = None if body.time is None else parse_timestamp(body.time)
    except ValueError as error:
        raise EnvelopeError(f"{NETWORK}: device {device}: time: {error}") from None
    if not isinstance(body, _Up):
        return Uplink(NETWORK, device, session, counter=None, network_time=time, event=event)
    return Uplink(
        NETWORK,
        device,
        session,
        counter=body.fCnt or 0,
        network_time=time,
        port=body.fPort,
        payload=json.from_base64(body.data or "", f"{NETWORK}: device {device}: data"),
    )


def _eui(text: str, where: str) -> str:
    """A DevEUI as 16 lower-case hex digits, from hex of either case or base64."""
    lowered = text.lower()
    if _EUI.fullmatch(lowered):
        return lowered
    if len(text) == 12 and text.endswith("="):
        try:
            return base64.b64decode(text, validate=True).hex()
        except (binascii.Error, ValueError):
            pass
    raise EnvelopeError(f"{NETWORK}: {where} {json.shown(text)} is not a DevEUI (16 hex digits)")
