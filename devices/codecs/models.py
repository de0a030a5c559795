"""What a kind of device is: its fields with their units, and how its messages are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from devices.model import CodecError, Reading

if TYPE_CHECKING:
    from devices.codecs.javascript import JavaScriptCodec


@dataclass(frozen=True, slots=True)
class Counter:
    """A field that counts on from message to message: what is measured is the difference of two of them.

    `modulus`: the count at which it is 0 again. `restarts` and `latest` are fields of the same message: how often the
    counter began anew, and how much it counted in the last interval alone.
    """

    modulus: int
    restarts: str
    latest: str


@dataclass(frozen=True, slots=True)
class DeviceModel:
    """A device model (機種): built in, or one that a municipality brought along (`store.models`).

    `fields` maps the names of its fields to their units (UCUM; "1" = a number without one, or an unknown one).
    `decode` turns the payload's bytes into readings or raises CodecError; a model without it reads by the JavaScript
    `codec`, and one with neither takes the values that the network itself has decoded.

    `battery_field` tells the battery: times `battery_scale` it is in `battery_unit`, V or % of a full one. Below
    `battery_low`, in that unit, it should be exchanged; `battery_low_bit` is the bit of the field `status` by which the
    device says so itself. None where the model has none.

    `counters` are the fields that are cumulative; every other field is a measurement by itself.
    """

    name: str
    title: str
    title_en: str
    fields: Mapping[str, str]
    decode: Callable[[bytes], tuple[Reading, ...]] | None
    battery_low: float | None = None
    battery_low_bit: int | None = None
    counters: Mapping[str, Counter] = field(default_factory=dict)
    codec: JavaScriptCodec | None = None
    manufacturer: str = ""
    battery_field: str | None = "battery"
    battery_scale: float = 1.0
    battery_unit: str = "V"

    def __post_init__(self) -> None:
        object.__setattr__(self, "fields", MappingProxyType(dict(self.fields)))
        object.__setattr__(self, "counters", MappingProxyType(dict(self.counters)))

    def says_low(self, charge: float, status: float | None) -> bool:
        """Whether a battery of this charge (in `battery_unit`), at a device with this status, needs changing."""
        flagged = self.battery_low_bit is not None and status is not None and int(status) & self.battery_low_bit != 0
        return flagged or (self.battery_low is not None and charge < self.battery_low)


def check_version(model: str, payload: bytes, version: int) -> None:
    """CodecError unless the payload starts with the version byte that this codec was written for."""
    if not payload:
        raise CodecError(f"{model}: the payload is empty")
    if payload[0] != version:
        raise CodecError(
            f"{model}: payload version {payload[0]} is unknown, this codec reads version {version}; "
            "the device has other firmware or is registered as the wrong model"
        )


def check_length(model: str, payload: bytes, length: int) -> None:
    """CodecError unless the payload has exactly `length` bytes."""
    if len(payload) != length:
        raise CodecError(f"{model}: the payload has {len(payload)} bytes, this model sends {length}")


def unsigned(model: str, name: str, value: float | None, *, step: float, unknown: int) -> int:
    """A measured value as a count of `step`; None becomes `unknown`, the field's highest count.

    ValueError when the field cannot hold the value.
    """
    if value is None:
        return unknown
    count = round(value / step)
    if not 0 <= count < unknown:
        raise ValueError(f"{model}: {name} {value} does not fit, it goes from 0 to {(unknown - 1) * step:g}")
    return count
