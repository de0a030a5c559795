"""The old Helium Console's JSON, which some integrations and replacements of it still send.

Helium itself has run ChirpStack v4 since 2023: what comes from there is read as that. The topic of the Console's MQTT
integration is the user's to choose, so a source says which one it is (`devices.envelopes.sources`); over HTTP the body
is the same. Read from the body (everything else is left alone):

    dev_eui        16 hex digits in upper case: our key, in lower case
    devaddr        8 hex digits: what the frame counter belongs to, our session
    type           "join" is an event; absent or "uplink" is a message
    fcnt           the frame counter. Absent means 0
    port, payload  the port, and the payload in base64; absent is an empty payload
    reported_at    when the network heard it, since 1970: seconds, milliseconds or less, told by the number of digits
    hotspots       which gateways heard it, and how; whatever is wrong with these costs only these
    decoded        what the Console's own function made of it, in its `payload`
Source: docs.helium.com/use-the-network/console/integrations/json-schema.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

import msgspec

from devices.envelopes import json, lorawan
from devices.model import EnvelopeError, Radio, Uplink
from devices.timestamps import from_epoch_of_unknown_unit

NETWORK = "helium"
POSTED_WITH: tuple[str, ...] = ()


class _Decoded(msgspec.Struct):
    payload: msgspec.Raw = msgspec.Raw()


class _Up(msgspec.Struct):
    dev_eui: str
    devaddr: str | None = None
    type: str | None = None
    fcnt: Annotated[int, msgspec.Meta(ge=0, le=0xFFFFFFFF)] | None = None
    port: Annotated[int, msgspec.Meta(ge=0, le=255)] | None = None
    payload: str | None = None
    reported_at: int | float | None = None


class _Hotspot(msgspec.Struct, rename={"gateway": "id"}):
    gateway: str | None = None
    rssi: float | None = None
    snr: float | None = None
    spreading: str | None = None


class _Heard(_Up):
    hotspots: list[_Hotspot] = []
    decoded: _Decoded | None = None


_HEARD = msgspec.json.Decoder(_Heard)
_UP = msgspec.json.Decoder(_Up)


def open_posted(said: Mapping[str, str], raw: bytes) -> Uplink:
    """The message of a device, or its joining. EnvelopeError says what is wrong with it."""
    body = json.decode_either(raw, _HEARD, _UP, NETWORK)
    device = lorawan.device_of(body.dev_eui, None, NETWORK, "dev_eui")
    session = lorawan.dev_addr(body.devaddr, NETWORK, device, "devaddr")
    time = _time(body.reported_at, device)
    if body.type not in (None, "uplink"):
        if body.type != "join":
            raise EnvelopeError(f"{NETWORK}: device {device}: there is no message of type {json.shown(body.type)}")
        return Uplink(NETWORK, device, session, counter=None, network_time=time, event="join")
    return Uplink(
        NETWORK,
        device,
        session,
        counter=body.fcnt or 0,
        network_time=time,
        port=body.port,
        payload=json.from_base64(body.payload or "", f"{NETWORK}: device {device}: payload"),
        radio=_radio(body) if isinstance(body, _Heard) else None,
        decoded=json.known(body.decoded.payload) if isinstance(body, _Heard) and body.decoded else None,
    )


def _radio(body: _Heard) -> Radio | None:
    return lorawan.radio(body.hotspots, next((each.spreading for each in body.hotspots if each.spreading), None))


def _time(given: float | None, device: str) -> datetime | None:
    if given is None:
        return None
    try:
        return from_epoch_of_unknown_unit(given)
    except ValueError as error:
        raise EnvelopeError(f"{NETWORK}: device {device}: reported_at: {error}") from None
