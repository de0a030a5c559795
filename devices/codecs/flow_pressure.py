"""flow_pressure: a logger of flow and pressure at a block inlet, 8 + 5 n bytes, n = 1 to 9 samples
(53 bytes at most, as LoRaWAN AS923 DR3 allows).

    byte  type    meaning
    0     u8      version, 1
    1-4   u32 BE  the device's own clock at the newest sample, seconds since 1970-01-01T00:00:00Z
    5-6   u16 BE  step between samples, s (at least 1)
    7     u8      battery, 0.02 V; 0xFF: unknown
    then n samples, oldest first, newest last:
    +0-2  i24 BE  flow, 0.01 m3/h, negative = backwards; 0x800000: could not measure
    +3-4  u16 BE  pressure, 0.1 kPa; 0xFFFF: could not measure

Fields: `flow` (m3/h), `pressure` (kPa), `battery` (V, with the newest sample). Each reading has the device's
time and its age before the newest sample, so that samples stay apart where the device's clock is impossible.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from devices.codecs.models import DeviceModel, check_version, unsigned
from devices.model import CodecError, Reading

VERSION = 1
MAX_SAMPLES = 9

_NAME = "flow_pressure"
_HEADER = struct.Struct(">BIHB")
_SAMPLE_SIZE = 5
_FLOW_UNKNOWN = -0x800000


def encode(
    *,
    time: datetime,
    step: timedelta,
    samples: Sequence[tuple[float | None, float | None]],
    battery: float | None = None,
) -> bytes:
    """The payload for (flow in m3/h, pressure in kPa) samples, oldest first, the last one measured at `time`.

    `step` is whole seconds up to 65535 s. None: could not measure. ValueError when a value does not fit.
    """
    if not 1 <= len(samples) <= MAX_SAMPLES:
        raise ValueError(f"{_NAME}: 1 to {MAX_SAMPLES} samples fit, not {len(samples)}")
    epoch, seconds = time.timestamp(), step.total_seconds()
    if not (0 <= epoch <= 0xFFFFFFFF and epoch.is_integer()):
        raise ValueError(f"{_NAME}: {time.isoformat()} does not fit: whole seconds from 1970 to 2106")
    if not (1 <= seconds <= 0xFFFF and seconds.is_integer()):
        raise ValueError(f"{_NAME}: step {step} does not fit: whole seconds from 1 to 65535")
    parts = [
        _HEADER.pack(
            VERSION,
            int(epoch),
            int(seconds),
            unsigned(_NAME, "battery", battery, step=0.02, unknown=0xFF),
        )
    ]
    for flow, pressure in samples:
        count = _FLOW_UNKNOWN if flow is None else round(flow * 100)
        if flow is not None and not _FLOW_UNKNOWN < count < 0x800000:
            raise ValueError(f"{_NAME}: flow {flow} does not fit, it goes from -83886.07 to 83886.07")
        kilopascals = unsigned(_NAME, "pressure", pressure, step=0.1, unknown=0xFFFF)
        parts.append(count.to_bytes(3, "big", signed=True) + kilopascals.to_bytes(2, "big"))
    return b"".join(parts)


def decode(payload: bytes) -> tuple[Reading, ...]:
    """The readings of one payload, oldest sample first. CodecError on anything that is not this layout."""
    check_version(_NAME, payload, VERSION)
    count, rest = divmod(len(payload) - _HEADER.size, _SAMPLE_SIZE)
    if rest or not 1 <= count <= MAX_SAMPLES:
        raise CodecError(
            f"{_NAME}: the payload has {len(payload)} bytes, this model sends "
            f"{_HEADER.size} + {_SAMPLE_SIZE} for each of 1 to {MAX_SAMPLES} samples"
        )
    _, epoch, step, battery = _HEADER.unpack_from(payload)
    if step == 0:
        raise CodecError(f"{_NAME}: the step between samples is 0 s")
    newest = datetime.fromtimestamp(epoch, UTC)
    readings = []
    for index in range(count):
        start = _HEADER.size + index * _SAMPLE_SIZE
        flow = int.from_bytes(payload[start : start + 3], "big", signed=True)
        pressure = int.from_bytes(payload[start + 3 : start + 5], "big")
        age = timedelta(seconds=step * (count - 1 - index))
        readings.append(Reading("flow", None if flow == _FLOW_UNKNOWN else flow / 100, newest - age, age))
        readings.append(Reading("pressure", None if pressure == 0xFFFF else pressure / 10, newest - age, age))
    readings.append(Reading("battery", None if battery == 0xFF else battery / 50, newest))
    return tuple(readings)


MODEL = DeviceModel(
    name=_NAME,
    title="流量・水圧ロガー",
    title_en="Flow and pressure logger",
    fields={"flow": "m3/h", "pressure": "kPa", "battery": "V"},
    decode=decode,
    battery_low=3.3,
)
