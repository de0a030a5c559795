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
    uplink_message.decoded_payload what the stack's own codec made of it
    uplink_message.rx_metadata, .settings   which gateways heard it, and how; what is wrong with these costs only these
    uplink_message.last_battery_percentage  the device's last answer about its battery
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

from devices.envelopes import json, lorawan
from devices.model import DeviceStatus, EnvelopeError, Radio, Uplink
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


class _Ids(msgspec.Struct):
    device_id: str
    dev_eui: str | None = None
    dev_addr: str | None = None


class _UplinkMessage(msgspec.Struct):
    f_cnt: Annotated[int, msgspec.Meta(ge=0, le=0xFFFFFFFF)] | None = None
    f_port: Annotated[int, msgspec.Meta(ge=0, le=255)] | None = None
    frm_payload: str | None = None
    received_at: str | None = None
    decoded_payload: msgspec.Raw = msgspec.Raw()


class _GatewayIds(msgspec.Struct):
    gateway_id: str | None = None


class _Reception(msgspec.Struct):
    gateway_ids: _GatewayIds | None = None
    rssi: float | None = None
    snr: float | None = 0.0

    @property
    def gateway(self) -> str | None:
        return None if self.gateway_ids is None else self.gateway_ids.gateway_id


class _LoRa(msgspec.Struct):
    bandwidth: int | None = None
    spreading_factor: int | None = None


class _DataRate(msgspec.Struct):
    lora: _LoRa | None = None


class _Settings(msgspec.Struct):
    data_rate: _DataRate | None = None


class _Battery(msgspec.Struct):
    value: float | None = None


class _HeardMessage(_UplinkMessage):
    rx_metadata: list[_Reception] = []
    settings: _Settings | None = None
    last_battery_percentage: _Battery | None = None


class _Event(msgspec.Struct):
    end_device_ids: _Ids
    received_at: str | None = None


class _Up(_Event, kw_only=True):
    uplink_message: _UplinkMessage
    simulated: bool = False


class _HeardUp(_Event, kw_only=True):
    uplink_message: _HeardMessage
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

_HEARD = msgspec.json.Decoder(_HeardUp)
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
    if event != "up":
        return _opened(json.decode(raw, _EVENT, NETWORK), event, None, match["device"])
    body = json.decode_either(raw, _HEARD, _UP, NETWORK)
    return _opened(body, "simulated" if body.simulated else None, body.uplink_message, match["device"])


def open_posted(said: Mapping[str, str], raw: bytes) -> Uplink:
    """The same from a webhook; the address says nothing beside the body."""
    body = json.decode(raw, _POSTED, NETWORK)
    if body.uplink_message is not None:
        up = json.decode_either(raw, _HEARD, _UP, NETWORK)
        return _opened(up, "simulated" if up.simulated else None, up.uplink_message, None)
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
    session = lorawan.dev_addr(ids.dev_addr, NETWORK, device, "dev_addr")
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
        radio=_radio(message) if isinstance(message, _HeardMessage) else None,
        status=_status(message) if isinstance(message, _HeardMessage) else None,
        decoded=json.known(message.decoded_payload),
    )


def _radio(message: _HeardMessage) -> Radio | None:
    rate = None if message.settings is None else message.settings.data_rate
    lora = None if rate is None else rate.lora
    return lorawan.radio(
        message.rx_metadata, None if lora is None else lorawan.data_rate(lora.spreading_factor, lora.bandwidth)
    )


def _status(message: _HeardMessage) -> DeviceStatus | None:
    battery = message.last_battery_percentage
    return None if battery is None or battery.value is None else DeviceStatus(battery_percent=battery.value)


def _key(ids: _Ids) -> str:
    """The DevEUI as 16 lower-case hex digits, else the network's own name of the device."""
    if not ids.dev_eui:
        return ids.device_id
    return lorawan.eui(ids.dev_eui, f"{NETWORK}: dev_eui")
