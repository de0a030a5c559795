"""What devices with a SIM of Soracom send, as Soracom Beam and Soracom Funnel pass it on; and Soracom Air for Sigfox.

Soracom knows by the SIM who sent. Our key is the first of these that is there, digits only:

    IMSI     header x-soracom-imsi (Beam), key imsi (Funnel)
    SIM ID   header x-soracom-sim-id, key simId
    IMEI     header x-soracom-imei, key imei

Bodies:

    {"payload": "AQID"}                            Beam from UDP or TCP, Unified Endpoint: the device's bytes in base64
    {"payloads": "AQID", "timestamp": 1780272000000, "imsi": "440101234567890", ...}          Funnel: the same
    {"payloads": {"counter": 7, "readings": {...}}, "timestamp": ..., "imsi": ...}
                                                   Funnel with JSON from the device: our own (mimamori_v1)
    {"counter": 7, "readings": {...}}              Beam with JSON from the device: the same
    {"temp": 21.5, ...} in either of the two       JSON that is not our own, from the device or from Soracom's binary
                                                   parser: read of a device model that takes what the network decoded
    {"device": "1A2B3C", "data": "0118", "seqNumber": "812", "time": "1780272000"} in either of the two
                                                   Air for Sigfox: the message that Sigfox itself would post (sigfox.py)

The Unified Endpoint passes on by Beam and Funnel what it is given, in these forms. Beam's MQTT entry point publishes
what the device says on a topic that ends in ``/{IMSI}``; it says no time, so that there it must be our own JSON.

The time is Soracom's, in milliseconds since 1970: header x-soracom-timestamp (Beam adds it with the signature header),
key timestamp (Funnel). Soracom counts nothing, so that for bytes this time is also what tells a repetition from a
second measurement of the same value: without it they are refused. Over TCP, Beam may split or join messages: use UDP or
HTTP.
Source: developers.soracom.io/en/docs/beam (udp-http, header-manipulation, signature-verification),
users.soracom.io/ja-jp/docs/funnel/format and air-for-sigfox/format.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import msgspec
from msgspec.structs import replace

from devices.envelopes import json, mimamori_v1, sigfox
from devices.model import EnvelopeError, Uplink

NETWORK = "soracom"
POSTED_WITH: tuple[str, ...] = ("x-soracom-imsi", "x-soracom-sim-id", "x-soracom-imei", "x-soracom-timestamp")

_IDENTITY = re.compile(r"[0-9]{10,22}")
_MILLISECONDS = re.compile(r"[0-9]{1,15}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class _Funnel(msgspec.Struct):
    payloads: msgspec.Raw
    timestamp: int | str | None = None
    imsi: str | None = None
    simId: str | None = None
    imei: str | None = None


class _Bytes(msgspec.Struct, forbid_unknown_fields=True):
    payload: str


# What our own JSON has, one of the two; and what makes a message of Air for Sigfox.
_OWN = frozenset({"readings", "samples"})
_SIGFOX = frozenset({"device", "data", "seqNumber"})

_KEYS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_FUNNEL = msgspec.json.Decoder(_Funnel)
_BYTES = msgspec.json.Decoder(_Bytes)
_TEXT = msgspec.json.Decoder(str)


def open_posted(said: Mapping[str, str], raw: bytes) -> Uplink:
    """The message of a device; `said` has Soracom's headers. EnvelopeError says what is wrong with it."""
    keys = json.decode(raw, _KEYS, NETWORK)
    if keys.keys() >= _SIGFOX:
        return sigfox.open_posted({}, raw)
    identities = [said.get("x-soracom-imsi"), said.get("x-soracom-sim-id"), said.get("x-soracom-imei")]
    timestamp: int | str | None = said.get("x-soracom-timestamp")
    if "payloads" in keys:
        body = json.decode(raw, _FUNNEL, NETWORK)
        sent = bytes(body.payloads)
        if sent[:1] == b"{" and json.decode(sent, _KEYS, NETWORK).keys() >= _SIGFOX:
            return sigfox.open_posted({}, sent)
        identities = [body.imsi, body.simId, body.imei]
        timestamp = body.timestamp
    device = _device(identities)
    time = _time(timestamp, device)
    if "payloads" in keys:
        sent = bytes(keys["payloads"])
        if sent[:1] != b'"':
            return _own(device, sent, time)
        text = json.decode(sent, _TEXT, NETWORK)
    elif "payload" in keys:
        text = json.decode(raw, _BYTES, NETWORK).payload
    else:
        return _own(device, raw, time)
    if time is None:
        raise EnvelopeError(
            f"{NETWORK}: device {device}: there is no time; without it a repeated message cannot be told from a new "
            "one: switch on the signature header of Soracom Beam, which also adds x-soracom-timestamp"
        )
    payload = json.from_base64(text, f"{NETWORK}: device {device}: payload")
    return Uplink(NETWORK, device, session="", counter=None, network_time=time, payload=payload)


def open_uplink(topic: str, raw: bytes) -> Uplink:
    """The same of Beam's MQTT entry point: the last level of the topic is the SIM's IMSI."""
    return _own(_device([topic.rpartition("/")[2]]), raw, None)


def _own(device: str, raw: bytes, time: datetime | None) -> Uplink:
    """Our own JSON out of the device, or another that is to be read as it is."""
    keys = json.decode(raw, _KEYS, NETWORK)
    if time is not None and not keys.keys() & _OWN:
        return Uplink(NETWORK, device, session="", counter=None, network_time=time, payload=raw, decoded=raw)
    return replace(mimamori_v1.open_forwarded(device, raw), network=NETWORK, network_time=time)


def _device(identities: list[str | None]) -> str:
    identity = next((each for each in identities if each), None)
    if identity is None:
        raise EnvelopeError(
            f"{NETWORK}: nothing says which SIM sent this: switch on the IMSI header of Soracom Beam, and leave "
            "'payloads only' of Soracom Funnel off"
        )
    if not _IDENTITY.fullmatch(identity):
        raise EnvelopeError(f"{NETWORK}: {json.shown(identity)} is no IMSI, SIM ID or IMEI (digits only)")
    return identity


def _time(given: int | str | None, device: str) -> datetime | None:
    if given is None or given == "":
        return None
    if not _MILLISECONDS.fullmatch(str(given)):
        raise EnvelopeError(
            f"{NETWORK}: device {device}: timestamp {json.shown(str(given))} is not milliseconds since 1970"
        )
    try:
        return _EPOCH + timedelta(milliseconds=int(given))
    except OverflowError:
        raise EnvelopeError(f"{NETWORK}: device {device}: timestamp {given} is no time") from None
