"""Sigfox data callbacks: JSON posted by HTTP, in a shape that the town itself writes into the Sigfox backend.

The backend fills in a template. Ours, for a callback DATA, UPLINK with the content type application/json:

    {"device": "{device}", "time": {time}, "data": "{data}", "seqNumber": {seqNumber}}

    device      the Sigfox ID, up to 8 hex digits: our key, in lower case, as the backend writes it
    time        whole seconds since 1970 (UTC), when the network heard it: Sigfox devices have no clock
    data        the payload in hex, up to 12 bytes; empty is an empty payload
    seqNumber   the sequence number, which counts up by one a message and wraps: the frame counter. Without it a
                repetition could not be told from a second measurement of the same value

Numbers may stand in quotation marks, as in many templates (and as Soracom Air for Sigfox sends them). Further keys
(lqi, rssi, duplicates, ...) are left alone. A callback SERVICE, DATA_ADVANCED repeats the message half a minute later
with the same sequence number: a repetition like any other.
Source: support.sigfox.com/docs/uplink, docs/data-advanced and docs/callback-integration.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec

from devices.envelopes import json
from devices.model import EnvelopeError, Uplink

NETWORK = "sigfox"
POSTED_WITH: tuple[str, ...] = ()

_ID = re.compile(r"[0-9A-Fa-f]{1,8}")
_HEX = re.compile(r"([0-9A-Fa-f]{2})*")
_NUMBER = re.compile(r"[0-9]{1,15}")


class _Callback(msgspec.Struct):
    device: str
    data: str
    time: int | str | None = None
    seqNumber: int | str | None = None


_DECODER = msgspec.json.Decoder(_Callback)


def open_posted(said: Mapping[str, str], raw: bytes) -> Uplink:
    """The message of a device. EnvelopeError says what is wrong with it."""
    body = json.decode(raw, _DECODER, NETWORK)
    if not _ID.fullmatch(body.device):
        raise EnvelopeError(f"{NETWORK}: device {json.shown(body.device)} is not a Sigfox ID (up to 8 hex digits)")
    device = body.device.lower()
    if not _HEX.fullmatch(body.data):
        raise EnvelopeError(f"{NETWORK}: device {device}: data is not hex: {json.shown(body.data)}")
    counter = _number(body.seqNumber, device, "seqNumber")
    if counter is None:
        raise EnvelopeError(
            f"{NETWORK}: device {device}: there is no seqNumber; without it a repeated message cannot be told from a "
            'new one: add "seqNumber": {seqNumber} to the body of the callback in the Sigfox backend'
        )
    return Uplink(
        NETWORK,
        device,
        session="",
        counter=counter,
        network_time=_time(body.time, device),
        payload=bytes.fromhex(body.data),
    )


def _time(given: int | str | None, device: str) -> datetime | None:
    seconds = _number(given, device, "time")
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        raise EnvelopeError(
            f"{NETWORK}: device {device}: time {seconds} is no time: it is seconds since 1970, not milliseconds"
        ) from None


def _number(given: int | str | None, device: str, name: str) -> int | None:
    """A whole number, with quotation marks or without; None where the backend had nothing to fill in."""
    if given is None or given in ("", "null"):
        return None
    text = str(given)
    if not _NUMBER.fullmatch(text):
        raise EnvelopeError(f"{NETWORK}: device {device}: {name} {json.shown(text)} is not a whole number")
    return int(text)
