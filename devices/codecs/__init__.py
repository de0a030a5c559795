"""Payload codecs: the bytes of a device model to named fields.

One built-in model a file, with its layout byte by byte at the top, and an `encode` that says the same backwards.
`MODELS` is all of them. `decode` also reads by models that a town brought along: manufacturers' codecs in JavaScript
(`devices.codecs.javascript`), or what the network itself has decoded.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

from msgspec.structs import replace

from devices.codecs import (
    cayenne_lpp,
    csv_line,
    flow_pressure,
    people_counter,
    radar_level,
    rain_gauge,
    values,
)
from devices.codecs.models import DeviceModel
from devices.model import CodecError, Reading, Uplink

if TYPE_CHECKING:
    from devices.codecs.javascript import JavaScriptCodec

__all__ = ["MODELS", "DeviceModel", "Runs", "decode"]

MODELS: Mapping[str, DeviceModel] = MappingProxyType(
    {
        model.name: model
        for model in (
            radar_level.MODEL,
            flow_pressure.MODEL,
            people_counter.MODEL,
            rain_gauge.MODEL,
            values.MODEL,
            cayenne_lpp.MODEL,
            csv_line.MODEL,
        )
    }
)


class Runs(Protocol):
    """Where codecs in JavaScript run: `devices.codecs.javascript.Sandbox`."""

    @property
    def pid(self) -> int | None: ...

    def decode(
        self, codec: JavaScriptCodec, payload: bytes, port: int | None, time: datetime | None
    ) -> tuple[Reading, ...]: ...


def decode(
    model: str,
    uplink: Uplink,
    models: Mapping[str, DeviceModel] = MODELS,
    sandbox: Runs | None = None,
    received: datetime | None = None,
) -> tuple[Reading, ...]:
    """The readings of a device's message; none for an event.

    `models` are those that its town has (`store.registry.Directory.models`), `sandbox` is where those with a codec in
    JavaScript run; it is told when the network heard the message, else when it was `received`.

    A message that brings values instead of bytes (our own JSON) must use the model's field names: a field that the
    model does not have comes back with a `problem`, beside those that it has. CodecError names the device: unknown
    model, no field that the model has, or bytes that it does not send.
    """
    known = models.get(model)
    if known is None:
        raise CodecError(
            f"device {uplink.device_key}: model {model!r} has no codec; there are {', '.join(sorted(models))}"
        )
    if uplink.event is not None:
        return ()
    if uplink.readings is not None:
        return _named(known, uplink.device_key, uplink.readings)
    try:
        if known.decode is not None:
            return known.decode(uplink.payload)
        if known.codec is None:
            return _of_network(uplink)
        if sandbox is None:
            raise RuntimeError(f"{model} reads by JavaScript, and nobody said where that may run")
        return sandbox.decode(known.codec, uplink.payload, uplink.port, uplink.network_time or received)
    except CodecError as error:
        raise CodecError(f"device {uplink.device_key}: {error}") from None


def _named(known: DeviceModel, key: str, readings: tuple[Reading, ...]) -> tuple[Reading, ...]:
    """Values as the sender named them."""
    unknown = next((reading.field for reading in readings if reading.field not in known.fields), None)
    if unknown is None:
        return readings
    problem = f"{known.name} has no field {unknown[:40]!r}; it has {', '.join(known.fields)}"
    if not any(reading.field in known.fields for reading in readings):
        raise CodecError(f"device {key}: {problem}")
    return tuple(
        reading if reading.field in known.fields else replace(reading, value=None, problem=problem)
        for reading in readings
    )


def _of_network(uplink: Uplink) -> tuple[Reading, ...]:
    """What the network itself has made of the payload."""
    from devices.codecs.javascript.flatten import flatten  # only who chose this pays for it

    if uplink.decoded is None:
        raise CodecError(
            "the network sent no decoded values: set up a decoder there, or choose a device model with a codec here"
        )
    try:
        decoded = json.loads(uplink.decoded)
    except (ValueError, RecursionError):
        raise CodecError("what the network has decoded is no JSON") from None
    return flatten(decoded)
