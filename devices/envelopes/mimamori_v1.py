"""Mimamori's own JSON, for senders that bring values instead of bytes (a PLC, a script, another system).

Over MQTT on the topic ``mimamori/v1/{device}/up``, or posted by HTTP. One message:

    {
      "device":   "pump-house",                      over MQTT the topic's device
      "session":  "a41f",                            optional: change it whenever the counter starts again
      "counter":  1042,                              counts up by one with every message
      "time":     "2026-06-01T09:00:00+09:00",       when it was measured, RFC 3339 with an offset
      "readings": {"flow": 42.1, "pressure": null}   null: the device could not measure
    }

or several measurements in one message, each with its own time, instead of `time` and `readings`:

    {"device": "pump-house", "counter": 1043, "samples": [
      {"time": "2026-06-01T09:00:00+09:00", "readings": {"flow": 42.1}},
      {"time": "2026-06-01T09:05:00+09:00", "readings": {"flow": 42.4}}
    ]}

A message must carry a counter or its times (or both): without either a repetition could not be told from a
second measurement of the same value. Field names are those of the device's model. Device and session are 1 to
64 characters out of a-z 0-9 . _ - and start with a letter or digit. Numbers are JSON numbers: text, true, NaN
and Infinity are refused. Unknown keys are refused too, since a misspelt "counter" must not pass unseen.
Times are only parsed here; whether they are possible is ingest's to judge on the town clock.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

import msgspec

from devices.envelopes import json
from devices.model import EnvelopeError, Reading, Uplink
from devices.timestamps import parse_timestamp

NETWORK = "mimamori_v1"
TOPIC_FILTER = "mimamori/v1/+/up"

POSTED_WITH: tuple[str, ...] = ()

_TOPIC = re.compile(r"mimamori/v1/(?P<device>[^/]+)/up")
_KEY = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


class _Sample(msgspec.Struct, forbid_unknown_fields=True):
    time: str
    readings: dict[str, float | None]


class _Said(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    session: str | None = None
    # the highest integer that every JSON library keeps exactly
    counter: Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)] | None = None
    time: str | None = None
    readings: dict[str, float | None] | None = None
    samples: list[_Sample] | None = None


class _Up(_Said, kw_only=True):
    device: str


class _Forwarded(_Said, kw_only=True):
    device: str | None = None


_DECODER = msgspec.json.Decoder(_Up)
_FORWARDED = msgspec.json.Decoder(_Forwarded)


def matches(topic: str) -> bool:
    """Whether a message on this topic is our own JSON."""
    return topic.startswith("mimamori/")


def open_uplink(topic: str, raw: bytes) -> Uplink:
    """The message of a device. EnvelopeError says what is wrong with it."""
    match = _TOPIC.fullmatch(topic)
    if match is None:
        raise EnvelopeError(f"{NETWORK}: {json.shown(topic)} is not mimamori/v1/(device)/up")
    body = json.decode(raw, _DECODER, NETWORK)
    device = _key(body.device, "device")
    if match["device"] != device:
        raise EnvelopeError(
            f"{NETWORK}: the topic speaks of device {json.shown(match['device'])}, the message of {device}; "
            "somebody may be sending in another device's name"
        )
    return _opened(body, device)


def open_posted(said: Mapping[str, str], raw: bytes) -> Uplink:
    """The same by HTTP; the address says nothing beside the body."""
    body = json.decode(raw, _DECODER, NETWORK)
    return _opened(body, _key(body.device, "device"))


def open_forwarded(device: str, raw: bytes) -> Uplink:
    """The same brought by a network that knows who sent it: the body may leave `device` out, but not deny it."""
    body = json.decode(raw, _FORWARDED, NETWORK)
    if body.device is not None and body.device != device:
        raise EnvelopeError(
            f"{NETWORK}: the network speaks of device {device}, the message of {json.shown(body.device)}; "
            "somebody may be sending in another device's name"
        )
    return _opened(body, device)


def _opened(body: _Said, device: str) -> Uplink:
    readings = _readings(body, device)
    if body.counter is None and readings[0].time is None:
        raise EnvelopeError(
            f"{NETWORK}: device {device}: there is neither a counter nor a time; without one of them "
            "a repeated message cannot be told from a new one"
        )
    session = "" if body.session is None else _key(body.session, "session")
    return Uplink(NETWORK, device, session, counter=body.counter, network_time=None, readings=readings)


def _readings(body: _Said, device: str) -> tuple[Reading, ...]:
    if (body.readings is None) == (body.samples is None):
        raise EnvelopeError(f"{NETWORK}: device {device}: there must be either 'readings' or 'samples'")
    if body.readings is not None:
        time = None if body.time is None else _time(body.time, device)
        readings = [Reading(field, value, time) for field, value in body.readings.items()]
    else:
        if body.time is not None:
            raise EnvelopeError(f"{NETWORK}: device {device}: with 'samples' each sample has its own time")
        readings = []
        for sample in body.samples or ():
            at = _time(sample.time, device)
            readings += [Reading(field, value, at) for field, value in sample.readings.items()]
        newest = max((reading.time for reading in readings if reading.time), default=None)
        if newest is not None:
            # where these times turn out to be impossible, the ages still keep the samples apart
            readings = [
                Reading(reading.field, reading.value, reading.time, newest - (reading.time or newest))
                for reading in readings
            ]
    if not readings:
        raise EnvelopeError(f"{NETWORK}: device {device}: the message brings no readings")
    return tuple(readings)


def _key(text: str, name: str) -> str:
    if not _KEY.fullmatch(text):
        raise EnvelopeError(
            f"{NETWORK}: {name} {json.shown(text)} is not 1 to 64 characters out of a-z 0-9 . _ -, "
            "starting with a letter or digit"
        )
    return text


def _time(text: str, device: str) -> datetime:
    try:
        return parse_timestamp(text)
    except ValueError as error:
        raise EnvelopeError(f"{NETWORK}: device {device}: time: {error}") from None
