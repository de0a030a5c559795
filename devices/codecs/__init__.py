"""Payload codecs: the bytes of a device model to named fields.

One model a file, with its layout byte by byte at the top, and an `encode` that says the same backwards.
`MODELS` is every model a town file may name.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from msgspec.structs import replace

from devices.codecs import flow_pressure, people_counter, radar_level, rain_gauge, values
from devices.codecs.models import DeviceModel
from devices.model import CodecError, Reading, Uplink

__all__ = ["MODELS", "DeviceModel", "decode"]

MODELS: Mapping[str, DeviceModel] = MappingProxyType(
    {
        model.name: model
        for model in (
            radar_level.MODEL,
            flow_pressure.MODEL,
            people_counter.MODEL,
            rain_gauge.MODEL,
            values.MODEL,
        )
    }
)


def decode(model: str, uplink: Uplink) -> tuple[Reading, ...]:
    """The readings of a device's message; none for an event.

    A message that brings values instead of bytes (our own JSON) must use the model's field names: a field that the
    model does not have comes back with a `problem`, beside those that it has. CodecError names the device: unknown
    model, no field that the model has, or bytes that it does not send.
    """
    known = MODELS.get(model)
    if known is None:
        raise CodecError(
            f"device {uplink.device_key}: model {model!r} has no codec; there are {', '.join(sorted(MODELS))}"
        )
    if uplink.event is not None:
        return ()
    if uplink.readings is not None:
        unknown = next((reading.field for reading in uplink.readings if reading.field not in known.fields), None)
        if unknown is None:
            return uplink.readings
        problem = f"{model} has no field {unknown[:40]!r}; it has {', '.join(known.fields)}"
        if not any(reading.field in known.fields for reading in uplink.readings):
            raise CodecError(f"device {uplink.device_key}: {problem}")
        return tuple(
            reading if reading.field in known.fields else replace(reading, value=None, problem=problem)
            for reading in uplink.readings
        )
    try:
        return known.decode(uplink.payload)
    except CodecError as error:
        raise CodecError(f"device {uplink.device_key}: {error}") from None
