"""rain_gauge: a tipping-bucket rain gauge (転倒ます雨量計) with a clock, 11 bytes (fits the 11 of LoRaWAN AS923 DR2).

    byte  type    meaning
    0     u8      version, 1
    1-4   u32 BE  end of the interval on the device's own clock, seconds since 1970-01-01T00:00:00Z
    5     u8      restarts: how often the counter below has started again from 0, modulo 256
    6-7   u16 BE  tips since that start, 0 to 65534, then 0 again; 0xFFFF: could not read the counter
    8     u8      tips in the interval alone, 0 to 254; 0xFF: unknown, or more
    9     u8      battery, 0.02 V; 0xFF: unknown
    10    u8      status bits: 0 battery low, 1-7 reserved

Fields: `count` (tips), `restarts`, `tips` (tips in the interval), `battery` (V), `status` (the byte as a number). The
rain is the mapping's work: `precipitation: {field: count, scale: 0.5}` for a bucket of 0.5 mm, the usual one in Japan.

`count` is cumulative, so that a lost message loses no rain: what fell between two messages is their difference
(`ingest.increments`). `restarts` tells a counter that began anew (a battery was changed) from one that wrapped; `tips`
tells how much of the difference fell in the last interval when messages between were lost.
"""

from __future__ import annotations

import struct
from datetime import UTC, datetime

from devices.codecs.models import Counter, DeviceModel, check_length, check_version, unsigned
from devices.model import Reading

VERSION = 1
BATTERY_LOW = 0x01
MODULUS = 0xFFFF  # the count after 65534 is 0
MOST_TIPS = 0xFE

_NAME = "rain_gauge"
_LAYOUT = struct.Struct(">BIBHBBB")


def encode(
    *,
    time: datetime,
    restarts: int,
    count: int | None,
    tips: int | None = None,
    battery: float | None = None,
    status: int = 0,
) -> bytes:
    """The payload of a gauge at the end of an interval (`time`, whole seconds).

    `count` is taken modulo 65535 and `restarts` modulo 256, as the device does; None: could not read the counter.
    `tips` above 254 are sent as unknown. ValueError when a value does not fit.
    """
    epoch = time.timestamp()
    if not (0 <= epoch <= 0xFFFFFFFF and epoch.is_integer()):
        raise ValueError(f"{_NAME}: {time.isoformat()} does not fit: whole seconds from 1970 to 2106")
    if not 0 <= status <= 0xFF:
        raise ValueError(f"{_NAME}: status {status} does not fit, it goes from 0 to 255")
    if (count is not None and count < 0) or (tips is not None and tips < 0) or restarts < 0:
        raise ValueError(f"{_NAME}: counts do not go below 0")
    return _LAYOUT.pack(
        VERSION,
        int(epoch),
        restarts % 0x100,
        0xFFFF if count is None else count % MODULUS,
        0xFF if tips is None or tips > MOST_TIPS else tips,
        unsigned(_NAME, "battery", battery, step=0.02, unknown=0xFF),
        status,
    )


def decode(payload: bytes) -> tuple[Reading, ...]:
    """The readings of one payload, all at the end of the interval. CodecError on anything else."""
    check_version(_NAME, payload, VERSION)
    check_length(_NAME, payload, _LAYOUT.size)
    _, epoch, restarts, count, tips, battery, status = _LAYOUT.unpack(payload)
    end = datetime.fromtimestamp(epoch, UTC)
    return (
        Reading("count", None if count == 0xFFFF else float(count), end),
        Reading("restarts", float(restarts), end),
        Reading("tips", None if tips == 0xFF else float(tips), end),
        Reading("battery", None if battery == 0xFF else battery / 50, end),
        Reading("status", float(status), end),
    )


MODEL = DeviceModel(
    name=_NAME,
    title="転倒ます雨量計",
    title_en="Tipping-bucket rain gauge",
    fields={"count": "{tip}", "restarts": "1", "tips": "{tip}", "battery": "V", "status": "1"},
    decode=decode,
    battery_low=3.3,
    battery_low_bit=BATTERY_LOW,
    counters={"count": Counter(MODULUS, restarts="restarts", latest="tips")},
)
