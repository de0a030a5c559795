"""Our own JSON over MQTT, `mimamori/v1/{device}/up`: a sender of values with a SIM card and no gateway of the town."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from devices.codecs import flow_pressure, people_counter, radar_level, rain_gauge

if TYPE_CHECKING:
    from simulators.frames import Frame

POSTED = False

_encode = msgspec.json.Encoder().encode
_READ = {
    "radar_level": radar_level.decode,
    "flow_pressure": flow_pressure.decode,
    "people_counter": people_counter.decode,
    "rain_gauge": rain_gauge.decode,
}


def topic(frame: Frame) -> str:
    return f"mimamori/v1/{frame.device}/up"


def body(frame: Frame) -> bytes:
    message: dict[str, Any] = {"device": frame.device, "counter": frame.counter}
    if frame.session:
        message["session"] = frame.session
    if len(frame.samples) == 1:
        ((time, readings),) = frame.samples
        message |= {"time": time.isoformat(), "readings": readings}
    else:
        message["samples"] = [{"time": time.isoformat(), "readings": readings} for time, readings in frame.samples]
    return _encode(message)


def in_own_words(frame: Frame) -> Frame:
    """The frame of a sender that brings values instead of bytes: the fields of its model, each at its own time."""
    samples: dict[datetime, dict[str, float | None]] = {}
    for each in _READ[frame.model](frame.payload):
        samples.setdefault(each.time or frame.heard, {})[each.field] = each.value
    return replace(frame, payload=b"", samples=tuple(sorted(samples.items(), key=lambda sample: sample[0])))
