"""radar_level: a radar water level gauge without a clock, 5 bytes (fits the 11 of LoRaWAN AS923 DR2).

    byte  type    meaning
    0     u8      version, 1
    1-2   u16 BE  distance from the sensor down to the water, mm; 0xFFFF: could not measure (no echo)
    3     u8      battery, 0.02 V; 0xFF: unknown
    4     u8      status bits: 0 weak echo, 1 sensor has been tilted, 2 battery low, 3-7 reserved

Fields: `distance` (mm), `battery` (V), `status` (the byte as a number). The water level is the mapping's
work: scale -0.001 and the height of the sensor above gauge zero in metres as offset.
"""

from __future__ import annotations

import struct

from devices.codecs.models import DeviceModel, check_length, check_version, unsigned
from devices.model import Reading

VERSION = 1
WEAK_ECHO, TILTED, BATTERY_LOW = 0x01, 0x02, 0x04

_NAME = "radar_level"
_LAYOUT = struct.Struct(">BHBB")


def encode(*, distance: float | None, battery: float | None = None, status: int = 0) -> bytes:
    """The payload for a distance in mm (0 to 65534, None: could not measure) and a battery in V (0 to 5.08).

    ValueError when a value does not fit.
    """
    if not 0 <= status <= 0xFF:
        raise ValueError(f"{_NAME}: status {status} does not fit, it goes from 0 to 255")
    return _LAYOUT.pack(
        VERSION,
        unsigned(_NAME, "distance", distance, step=1.0, unknown=0xFFFF),
        unsigned(_NAME, "battery", battery, step=0.02, unknown=0xFF),
        status,
    )


def decode(payload: bytes) -> tuple[Reading, ...]:
    """The readings of one payload, without times: the device has no clock. CodecError on anything else."""
    check_version(_NAME, payload, VERSION)
    check_length(_NAME, payload, _LAYOUT.size)
    _, distance, battery, status = _LAYOUT.unpack(payload)
    return (
        Reading("distance", None if distance == 0xFFFF else float(distance)),
        Reading("battery", None if battery == 0xFF else battery / 50),
        Reading("status", float(status)),
    )


MODEL = DeviceModel(
    name=_NAME,
    title="電波式水位計",
    title_en="Radar level gauge",
    fields={"distance": "mm", "battery": "V", "status": "1"},
    decode=decode,
    battery_low=3.3,
    battery_low_bit=BATTERY_LOW,
)
