"""people_counter: a doorway or path counter, 11 bytes (fits the 11 of LoRaWAN AS923 DR2).

    byte  type    meaning
    0     u8      version, 1
    1-4   u32 BE  end of the counting period on the device's own clock, seconds since 1970-01-01T00:00:00Z
    5-6   u16 BE  passages inwards in the period; 0xFFFF: could not count
    7-8   u16 BE  passages outwards in the period; 0xFFFF: could not count
    9     u8      battery, 0.02 V; 0xFF: unknown
    10    u8      status bits: 0 view blocked, 1 battery low, 2-7 reserved

Fields: `passages_in`, `passages_out` (passages, never persons: who comes back is counted again), `battery`
(V), `status` (the byte as a number). While the view is blocked a device counts too little without knowing how
much; its counts are then read as 'could not count', not as zero.
"""

from __future__ import annotations

import struct
from datetime import UTC, datetime

from devices.codecs.models import DeviceModel, check_length, check_version, unsigned
from devices.model import Reading

VERSION = 1
BLOCKED, BATTERY_LOW = 0x01, 0x02

_NAME = "people_counter"
_LAYOUT = struct.Struct(">BIHHBB")


def encode(
    *,
    time: datetime,
    passages_in: float | None,
    passages_out: float | None,
    battery: float | None = None,
    status: int = 0,
) -> bytes:
    """The payload for the passages of a period that ended at `time` (whole seconds).

    None: could not count. ValueError when a value does not fit.
    """
    epoch = time.timestamp()
    if not (0 <= epoch <= 0xFFFFFFFF and epoch.is_integer()):
        raise ValueError(f"{_NAME}: {time.isoformat()} does not fit: whole seconds from 1970 to 2106")
    if not 0 <= status <= 0xFF:
        raise ValueError(f"{_NAME}: status {status} does not fit, it goes from 0 to 255")
    return _LAYOUT.pack(
        VERSION,
        int(epoch),
        unsigned(_NAME, "passages_in", passages_in, step=1.0, unknown=0xFFFF),
        unsigned(_NAME, "passages_out", passages_out, step=1.0, unknown=0xFFFF),
        unsigned(_NAME, "battery", battery, step=0.02, unknown=0xFF),
        status,
    )


def decode(payload: bytes) -> tuple[Reading, ...]:
    """The readings of one payload, all at the end of the period. CodecError on anything else."""
    check_version(_NAME, payload, VERSION)
    check_length(_NAME, payload, _LAYOUT.size)
    _, epoch, inwards, outwards, battery, status = _LAYOUT.unpack(payload)
    end = datetime.fromtimestamp(epoch, UTC)
    blocked = bool(status & BLOCKED)
    return (
        Reading("passages_in", None if blocked or inwards == 0xFFFF else float(inwards), end),
        Reading("passages_out", None if blocked or outwards == 0xFFFF else float(outwards), end),
        Reading("battery", None if battery == 0xFF else battery / 50, end),
        Reading("status", float(status), end),
    )


MODEL = DeviceModel(
    name=_NAME,
    title="通過人数カウンター",
    title_en="People counter",
    fields={"passages_in": "{passage}", "passages_out": "{passage}", "battery": "V", "status": "1"},
    decode=decode,
    battery_low=3.3,
    battery_low_bit=BATTERY_LOW,
)
