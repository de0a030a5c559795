"""The Things Stack v3 events as JSON, over MQTT or from a webhook.

Topic: ``v3/{application}@{tenant}/devices/{device id}/{event}``; the open source edition has no ``@{tenant}``. Events
are up, join, down/queued, down/sent, down/ack, down/nack, down/failed, service/data and location/solved. A webhook's
body is the same; which event it is shows in the key that it has beside the ids (uplink_message, join_accept, ...). Read
from the body (everything else is left alone):

    end_device_ids.device_id       the network's name of the device; the topic's must be the same
    end_device_ids.dev_eui         16 hex digits in upper case: our key, in lower case. A device activated by
                                   personalisation may have none; then its device_id is the key
    end_device_ids.dev_addr        8 hex digits: what the frame counter belongs to, our session
    received_at                    RFC 3339 with an offset, when the stack had the message
    uplink_message.received_at     the same, when its network server had it: nearer to the air, so it comes first
    uplink_message.f_cnt           the frame counter. Absent means 0: protobuf's JSON leaves out zeros
    uplink_message.f_port, .frm_payload   the port, and the payload in base64; absent is an empty payload
    simulated                      true where it was made up in the console: an event of that name, never a reading

down/push and down/replace are commands to the stack, not its words: they are refused like any unknown event.
The time is only parsed here; whether it is possible is ingest's to judge on the town clock.
Source: thethingsindustries.com/docs/integrations/other-integrations/mqtt and integrations/webhooks, api/messages.proto
of lorawan-stack v3.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated

import msgspec

from devices.envelopes import json
from devices.model import EnvelopeError, Uplink
from devices.timestamps import parse_timestamp

NETWORK = "the_things_stack_v3"
TOPIC_FILTER = "v3/+/devices/+/#"
EVENTS = frozenset(
    {
        "join",
        "down/queued",
        "down/sent",
        "down/ack",
        "down/nack",
        "down/failed",
        "service/data",
        "location/solved",
    }
)

POSTED_WITH: tuple[str, ...] = ()

_TOPIC = re.compile(r"v3/[^/]+/devices/(?P<device>[^/]+)/(?P<event>.+)", re.DOTALL)
_DEVICE_ID = re.compile(r"[a-z0-9](-?[a-z0-9]){1,35}")
_EUI = re.compile(r"[0-9a-f]{16}")
_DEV_ADDR = re.compile(r"[0-9a-f]{8}")


class _Ids(msgspec.Struct):
    device_id: str
    dev_eui: str | None = None
    dev_addr: str | None = None


class _UplinkMessage(msgspec.Struct):
    f_cnt: Annotated[int, msgspec.Meta(ge=0, le=0xFFFFFFFF)] | None = None
    f_port: Annotated[int, msgspec.Meta(ge=0, le=255)] | None = None
    frm_payload: str | None = None
    received_at: str | None = None


class _Event(msgspec.Struct):
    end_device_ids: _Ids
    received_at: str | None = None


class _Up(_Event, kw_only=True):
    uplink_message: _UplinkMessage
    simulated: bool = False


class _Posted(_Event, kw_only=True):
    """What a webhook posts has one of these; only of an uplink more is read than that it is there."""

    uplink_message: _UplinkMessage | None = None
    simulated: bool = False
    uplink_normalized: msgspec.Raw = msgspec.Raw()
    join_accept: msgspec.Raw = msgspec.Raw()
    downlink_queued: msgspec.Raw = msgspec.Raw()
    downlink_queue_invalidated: msgspec.Raw = msgspec.Raw()
    downlink_sent: msgspec.Raw = msgspec.Raw()
    downlink_ack: msgspec.Raw = msgspec.Raw()
    downlink_nack: msgspec.Raw = msgspec.Raw()
    downlink_failed: msgspec.Raw = msgspec.Raw()
    location_solved: msgspec.Raw = msgspec.Raw()
    service_data: msgspec.Raw = msgspec.Raw()


# The name over MQTT of what a webhook posts.
_POSTED_EVENTS = {
    "uplink_normalized": "up/normalized",
    "join_accept": "join",
    "downlink_queued": "down/queued",
    "downlink_queue_invalidated": "down/invalidated",
    "downlink_sent": "down/sent",
    "downlink_ack": "down/ack",
    "downlink_nack": "down/nack",
    "downlink_failed": "down/failed",
    "location_solved": "location/solved",
    "service_data": "service/data",
}

_UP = msgspec.json.Decoder(_Up)
_EVENT = msgspec.json.Decoder(_Event)
_POSTED = msgspec.json.Decoder(_Posted)


def matches(topic: str) -> bool:
    """Whether a message on this topic is The Things Stack's."""
    return topic.startswith("v3/")


def open_uplink(topic: str, raw: bytes) -> Uplink:
    """The message of a device, or an event of its network. EnvelopeError says what is wrong with it."""
    match = _TOPIC.fullmatch(topic)
    if match is None:
        raise EnvelopeError(f"{NETWORK}: {json.shown(topic)} is not v3/…/devices/…/…")
    event = match["event"]
    if event != "up" and event not in EVENTS:
        raise EnvelopeError(f"{NETWORK}: The Things Stack has no event {json.shown(event)}")
    body = json.decode(raw, _UP, NETWORK) if event == "up" else json.decode(raw, _EVENT, NETWORK)
    if not isinstance(body, _Up):
        return _opened(body, event, None, match["device"])
    return _opened(body, "simulated" if body.simulated else None, body.uplink_message, match["device"])


def open_posted(said: Mapping[str, str], raw: bytes) -> Uplink:
    """The same from a webhook; the address says nothing beside the body."""
    body = json.decode(raw, _POSTED, NETWORK)
    if body.uplink_message is not None:
        return _opened(body, "simulated" if body.simulated else None, body.uplink_message, None)
    event = next((name for key, name in _POSTED_EVENTS.items() if bytes(getattr(body, key))), None)
    if event is None:
        raise EnvelopeError(
            f"{NETWORK}: the message has neither uplink_message nor any other event of The Things Stack"
        )
    return _opened(body, event, None, None)


def _opened(body: _Event, event: str | None, message: _UplinkMessage | None, named: str | None) -> Uplink:
    """`named` is the device that the topic speaks of."""
    ids = body.end_device_ids
    if not _DEVICE_ID.fullmatch(ids.device_id):
        raise EnvelopeError(f"{NETWORK}: end_device_ids.device_id {json.shown(ids.device_id)} is not an id")
    if named is not None and named != ids.device_id:
        raise EnvelopeError(
            f"{NETWORK}: the topic speaks of device {json.shown(named)}, the message of {ids.device_id}; "
            "somebody may be sending in another device's name"
        )
    device = _key(ids)
    session = (ids.dev_addr or "").lower()
    if session and not _DEV_ADDR.fullmatch(session):
        raise EnvelopeError(f"{NETWORK}: device {device}: dev_addr {json.shown(session)} is not 8 hex digits")
    written = (None if message is None else message.received_at) or body.received_at
    try:
        time = None if written is None else parse_timestamp(written)
    except ValueError as error:
        raise EnvelopeError(f"{NETWORK}: device {device}: received_at: {error}") from None
    if message is None or event is not None:
        return Uplink(NETWORK, device, session, counter=None, network_time=time, event=event)
    return Uplink(
        NETWORK,
        device,
        session,
        counter=message.f_cnt or 0,
        network_time=time,
        port=message.f_port,
        payload=json.from_base64(message.frm_payload or "", f"{NETWORK}: device {device}: frm_payload"),
    )


def _key(ids: _Ids) -> str:
    """The DevEUI as 16 lower-case hex digits, else the network's own name of the device."""
    if not ids.dev_eui:
        return ids.device_id
    eui = ids.dev_eui.lower()
    if not _EUI.fullmatch(eui):
        raise EnvelopeError(f"{NETWORK}: dev_eui {json.shown(ids.dev_eui)} is not a DevEUI (16 hex digits)")
    return eui
