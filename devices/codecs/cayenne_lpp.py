"""cayenne_lpp: Cayenne Low Power Payload, in which many devices speak that have no codec of their own.

    byte  type    meaning
    0     u8      channel: which of several sensors
    1     u8      type: what it measures, and with that how many bytes follow
    2-    BE      the value, in the type's steps

and so on until the end. A field is named by type and channel, ``temperature_1``; the types, their units and steps are
those of `TYPES` (an accelerometer, a gyrometer, a position and a colour have several values:
``accelerometer_x_2``). Channels 0 to 15 can be mapped; what others say is read and left. The same channel and type
twice in one message: the last one counts.
Source: MyDevices Cayenne LPP 1.0 (digital input to GPS, as ChirpStack and The Things Stack read them), and the IPSO
types that CayenneLPP of ElectronicCats adds (generic sensor to switch), which both networks read too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from devices.codecs.models import DeviceModel
from devices.model import CodecError, Reading

CHANNELS = 16

_NAME = "cayenne_lpp"


@dataclass(frozen=True, slots=True)
class _Type:
    """A type of data: `values` are the names of its values (one without a name is the type itself), each of `size`
    bytes and counted in `step` of `unit` (UCUM).
    """

    name: str
    unit: str
    size: int
    step: float
    signed: bool = False
    values: tuple[str, ...] = ("",)
    steps: tuple[float, ...] = ()

    def fields(self, channel: int) -> list[str]:
        return [f"{self.name}_{value}_{channel}" if value else f"{self.name}_{channel}" for value in self.values]


_XYZ = ("x", "y", "z")
TYPES = {
    0: _Type("digital_in", "1", 1, 1),
    1: _Type("digital_out", "1", 1, 1),
    2: _Type("analog_in", "1", 2, 0.01, signed=True),
    3: _Type("analog_out", "1", 2, 0.01, signed=True),
    100: _Type("generic", "1", 4, 1),
    101: _Type("luminosity", "lx", 2, 1),
    102: _Type("presence", "1", 1, 1),
    103: _Type("temperature", "Cel", 2, 0.1, signed=True),
    104: _Type("humidity", "%", 1, 0.5),
    113: _Type("accelerometer", "[g]", 2, 0.001, signed=True, values=_XYZ),
    115: _Type("barometer", "hPa", 2, 0.1),
    116: _Type("voltage", "V", 2, 0.01),
    117: _Type("current", "A", 2, 0.001),
    118: _Type("frequency", "Hz", 4, 1),
    120: _Type("percentage", "%", 1, 1),
    121: _Type("altitude", "m", 2, 1, signed=True),
    125: _Type("concentration", "[ppm]", 2, 1),
    128: _Type("power", "W", 2, 1),
    130: _Type("distance", "m", 4, 0.001),
    131: _Type("energy", "kW.h", 4, 0.001),
    132: _Type("direction", "deg", 2, 1),
    133: _Type("time", "s", 4, 1),
    134: _Type("gyrometer", "deg/s", 2, 0.01, signed=True, values=_XYZ),
    135: _Type("colour", "1", 1, 1, values=("r", "g", "b")),
    136: _Type(
        "gps", "1", 3, 1, signed=True, values=("latitude", "longitude", "altitude"), steps=(0.0001, 0.0001, 0.01)
    ),
    142: _Type("switch", "1", 1, 1),
}
_BY_NAME = {each.name: (number, each) for number, each in TYPES.items()}


def encode(*parts: tuple[int, str, Sequence[float]]) -> bytes:
    """The payload for (channel, type's name, its values), in order.

    KeyError for a type that there is not, ValueError where a value does not fit.
    """
    payload = b""
    for channel, name, values in parts:
        number, kind = _BY_NAME[name]
        payload += bytes((channel, number))
        for step, value in zip(_steps(kind), values, strict=True):
            try:
                payload += round(value / step).to_bytes(kind.size, "big", signed=kind.signed)
            except OverflowError:
                raise ValueError(f"{_NAME}: {name} {value} does not fit into {kind.size} bytes") from None
    return payload


def decode(payload: bytes) -> tuple[Reading, ...]:
    """The readings of one payload, without times: the device has no clock. CodecError says what is wrong, and where."""
    if not payload:
        raise CodecError(f"{_NAME}: the payload is empty")
    found: dict[str, Reading] = {}
    at = 0
    while at < len(payload):
        if at + 1 == len(payload):
            raise CodecError(f"{_NAME}: the payload ends at byte {at}, after a channel and before its type")
        channel, number = payload[at], payload[at + 1]
        kind = TYPES.get(number)
        if kind is None:
            raise CodecError(
                f"{_NAME}: byte {at + 1} says type {number}, which there is not; is it registered as the wrong model?"
            )
        for field, step in zip(kind.fields(channel), _steps(kind), strict=True):
            begin = at + 2
            value = payload[begin : begin + kind.size]
            if len(value) < kind.size:
                raise CodecError(f"{_NAME}: the payload ends at byte {len(payload)}, within the value of {field}")
            # Divided, not multiplied, so that 27.2 is 27.2.
            count = int.from_bytes(value, "big", signed=kind.signed)
            found[field] = Reading(field, count / round(1 / step) if step < 1 else count * step)
            at += kind.size
        at += 2
    return tuple(found.values())


def _steps(kind: _Type) -> tuple[float, ...]:
    return kind.steps or (kind.step,) * len(kind.values)


def _units() -> dict[str, str]:
    units = {}
    for channel in range(CHANNELS):
        for kind in TYPES.values():
            for field, value in zip(kind.fields(channel), kind.values, strict=True):
                of_gps = "m" if value == "altitude" else "deg"
                units[field] = of_gps if kind.name == "gps" else kind.unit
    return units


MODEL = DeviceModel(
    name=_NAME,
    title="Cayenne LPP を送る機器",
    title_en="Device that speaks Cayenne LPP",
    fields=_units(),
    decode=decode,
    battery_field=None,
)
