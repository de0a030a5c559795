"""What ChirpStack's JSON has in common from v3 to v4: which event it is, and what a device says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic, NamedTuple, Protocol, TypeVar

import msgspec

from devices.envelopes import json
from devices.model import DeviceStatus, EnvelopeError

E = TypeVar("E")


class LoRa(msgspec.Struct):
    """How a frame was modulated; `bandwidth` in Hz or kHz."""

    bandwidth: int | None = None
    spreadingFactor: int | None = None


class Status(Protocol):
    """A status event. Absent means 0 or false."""

    @property
    def batteryLevel(self) -> float | None: ...

    @property
    def batteryLevelUnavailable(self) -> bool: ...

    @property
    def externalPowerSource(self) -> bool: ...

    @property
    def margin(self) -> float | None: ...


class Bodies(NamedTuple, Generic[E]):
    """How each kind of event is read. What is wrong with how a frame was `heard` costs only that: then it is just `up`;
    what is wrong with a `status`, only what the device says of itself.
    """

    heard: msgspec.json.Decoder[E]
    up: msgspec.json.Decoder[E]
    status: msgspec.json.Decoder[E]
    event: msgspec.json.Decoder[E]


def body(event: str, raw: bytes, events: frozenset[str], bodies: Bodies[E], network: str) -> E:
    """The body of an event: `up`, or one of `events`. EnvelopeError says what is wrong with it."""
    if event == "up":
        return json.decode_either(raw, bodies.heard, bodies.up, network)
    if event not in events:
        raise EnvelopeError(f"{network}: ChirpStack has no event {json.shown(event)}")
    if event == "status":
        return json.decode_either(raw, bodies.status, bodies.event, network)
    return json.decode(raw, bodies.event, network)


def posted_event(said: Mapping[str, str], network: str) -> str:
    """Which event the HTTP integration brings, as its address says; EnvelopeError where it does not."""
    if "event" not in said:
        raise EnvelopeError(
            f"{network}: the address does not say which event this is (?event=up): ChirpStack's HTTP integration adds "
            "it by itself, so something between ChirpStack and us takes it away"
        )
    return said["event"]


def device_status(said: Status) -> DeviceStatus:
    """What the device says of itself."""
    unknown = said.batteryLevelUnavailable or said.externalPowerSource
    return DeviceStatus(None if unknown else said.batteryLevel, said.externalPowerSource, said.margin)
