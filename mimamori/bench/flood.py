"""A made-up town of river gauges, and what they say: the load of `mimamori bench ingest`.

Two kinds of message, one value each:

    own         Mimamori's own JSON, a sender of values; the targets are on it
    chirpstack  a ChirpStack v4 event round the five bytes of a radar gauge

The gauges are set up like those of a town: range, rate and standstill are checked, and every one has five reference
levels. One in `CALM_EVERY` stands still for hours, as small rivers do; one in `FLOODED_EVERY` has a flood on each day
that passes through all of its levels and back. A message is a function of (gauge, step), so that the same numbers give
the same messages. The second kind costs more, and its builder is not part of what is measured.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from devices.codecs import radar_level, values
from devices.model import (
    Datastream,
    Device,
    FieldMapping,
    ObservedProperty,
    Station,
    StationKind,
    ThresholdLevel,
    ThresholdSet,
    Town,
)
from simulators.frames import Frame

STEP = timedelta(minutes=10)
CALM_EVERY = 5
FLOODED_EVERY = 100
# The sensor hangs so far above gauge zero, and measures down to the water in millimetres.
SENSOR_HEIGHT = 9.0

_DEV_EUI_PREFIX = "02bb00000000"
_ATTACHED = datetime(2024, 4, 1, tzinfo=UTC)
_CALM_STEPS = 18
_DAY_STEPS = 144
_LEVELS = (1.2, 1.6, 2.0, 2.4, 3.0)


class Kind(StrEnum):
    """What wraps the value."""

    OWN = "own"
    CHIRPSTACK = "chirpstack"

    @property
    def topic_filter(self) -> str:
        """What a subscriber that wants nothing else subscribes to."""
        return "mimamori/v1/+/up" if self is Kind.OWN else "application/+/device/+/event/+"


@dataclass(frozen=True, slots=True)
class Flood:
    """`sensors` gauges of one kind, each speaking every ten minutes from `start` on; `run` tells floods apart."""

    kind: Kind
    sensors: int
    start: datetime
    run: int = 0

    def messages(self, count: int, skip: int = 0) -> Iterator[tuple[str, bytes]]:
        """So many (topic, payload), the first `skip` left out: all gauges at one time, then all at the next."""
        make = self._own if self.kind is Kind.OWN else self._chirpstack
        return (make(n % self.sensors, n // self.sensors) for n in range(skip, skip + count))

    def _own(self, sensor: int, step: int) -> tuple[str, bytes]:
        key = device_key(self.kind, sensor)
        time = (self.start + step * STEP).strftime("%Y-%m-%dT%H:%M:%SZ")
        body = (
            f'{{"device":"{key}","session":"r{self.run}","counter":{step},"time":"{time}",'
            f'"readings":{{"water_level":{self._level(sensor, step)}}}}}'
        )
        return f"mimamori/v1/{key}/up", body.encode()

    def _chirpstack(self, sensor: int, step: int) -> tuple[str, bytes]:
        frame = Frame(
            device=device_key(self.kind, sensor),
            name=f"gauge {sensor}",
            model=radar_level.MODEL.name,
            session=f"{self.run:08x}",
            heard=self.start + step * STEP,
            counter=step,
            payload=radar_level.encode(distance=round(1000 * (SENSOR_HEIGHT - self._level(sensor, step))), battery=3.6),
        )
        return frame.topic, frame.body()

    def _level(self, sensor: int, step: int) -> float:
        return level(sensor, step + round((self.start - _ATTACHED) / STEP))


def device_key(kind: Kind, sensor: int) -> str:
    """The key of a gauge's device."""
    return f"gauge-{sensor:04d}" if kind is Kind.OWN else f"{_DEV_EUI_PREFIX}{sensor:04x}"


def level(sensor: int, step: int) -> float:
    """Metres above gauge zero, in whole millimetres; `step` counts on over the floods."""
    if sensor % CALM_EVERY == 0:
        return round(0.4 + 0.001 * (step // _CALM_STEPS % 7), 3)
    phase = 2 * math.pi * (step / _DAY_STEPS + sensor / 97)
    height = 0.6 + 0.25 * math.sin(phase) + 0.001 * (7 * step * (sensor + 1) % 5)
    if sensor % FLOODED_EVERY == 1:
        height += 3.0 * math.exp(-(((step % _DAY_STEPS - _DAY_STEPS / 2) / 12) ** 2))
    return round(height, 3)


def flooded_town(town: Town, sensors: int, kinds: tuple[Kind, ...] = tuple(Kind)) -> Town:
    """The municipality of `town` with so many gauges, each with a device of every kind but only one that speaks."""
    stations = tuple(_gauge(kind, sensor) for kind in kinds for sensor in range(sensors))
    return replace(town, stations=stations, shapes=())


def _gauge(kind: Kind, sensor: int) -> Station:
    own = kind is Kind.OWN
    mapping = (
        FieldMapping(ObservedProperty.WATER_LEVEL.value, ObservedProperty.WATER_LEVEL)
        if own
        else FieldMapping("distance", ObservedProperty.WATER_LEVEL, scale=-0.001, offset=SENSOR_HEIGHT)
    )
    return Station(
        code=f"{kind.value}-{sensor:04d}",
        kind=StationKind.RIVER_GAUGE,
        name=f"水位計{sensor}",
        name_en=f"Gauge {sensor}",
        latitude=32.4,
        longitude=135.0,
        datastreams=(
            Datastream(ObservedProperty.WATER_LEVEL, STEP, (-0.5, 8.0), max_rate=4.0, stuck_after=timedelta(hours=24)),
        ),
        devices=(
            Device(
                device_key(kind, sensor),
                values.MODEL.name if own else radar_level.MODEL.name,
                timedelta(minutes=40),
                _ATTACHED,
                (mapping,),
            ),
        ),
        thresholds=(
            ThresholdSet(
                _ATTACHED,
                "bench",
                tuple(ThresholdLevel(n, f"水位{n}", f"level {n}", value) for n, value in enumerate(_LEVELS, start=1)),
            ),
        ),
    )
