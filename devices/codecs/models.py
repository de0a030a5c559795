"""What a kind of device is: its fields with their units, and how its bytes are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from devices.model import CodecError, Reading


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
    """A device model (機種). `fields` maps the names a town file may use to their units (UCUM; "1" = a number
    without one). `decode` turns the payload's bytes into readings or raises CodecError.

    `battery_low` is the voltage (field `battery`) below which a battery should be exchanged, `battery_low_bit` the
    bit of the field `status` by which the device says so itself; None where the model has none.

    `counters` are the fields that are cumulative; every other field is a measurement by itself.
    """

    name: str
    title: str
    title_en: str
    fields: Mapping[str, str]
    decode: Callable[[bytes], tuple[Reading, ...]]
    battery_low: float | None = None
    battery_low_bit: int | None = None
    counters: Mapping[str, Counter] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "fields", MappingProxyType(dict(self.fields)))
        object.__setattr__(self, "counters", MappingProxyType(dict(self.counters)))

    def says_low(self, volts: float, status: float | None) -> bool:
        """Whether a battery of this voltage (V), at a device with this status byte, should be exchanged."""
        flagged = self.battery_low_bit is not None and status is not None and int(status) & self.battery_low_bit != 0
        return flagged or (self.battery_low is not None and volts < self.battery_low)


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
