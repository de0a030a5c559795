"""The devices: a made-up town's, what they say, and what they have said.

Half are river gauges of ChirpStack without a clock, whose levels rise above and fall below their thresholds; half send
our own JSON: by their own clock, in the order of time, late by up to a day, several samples a message, or without any
time. Some messages come twice, as by two gateways. Every device counts its messages in one session for the whole run,
so that whatever is missing leaves a gap in its numbers.
"""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta

from devices.clock import Clock
from devices.codecs import radar_level
from devices.model import Datastream, Device, FieldMapping, ObservedProperty, Station, StationKind, Town
from devices.town import load_town
from simulators.towns import path as town_path

SENSOR_HEIGHT = 6.20
LOW, HIGH = 0.50, 2.60  # below the lowest, above the fourth level of the demo's first gauge
_TWICE = 0.03
_LATE = 0.05
_LATEST = timedelta(hours=20)

Transmission = tuple[str, str, int]  # device, session, counter


@dataclass(frozen=True, slots=True)
class Message:
    """One transmission as it is published, `copies` times."""

    key: Transmission
    topic: str
    raw: bytes
    copies: int


def town_of(gauges: int, senders: int) -> Town:
    """The demo's municipality with so many river gauges, which alert and clear at once, and senders of flows."""
    town = load_town(town_path())
    river = next(each for each in town.stations if each.kind is StationKind.RIVER_GAUGE)
    inlet = next(each for each in town.stations if each.kind is StationKind.BLOCK_INLET)
    stations: list[Station] = []
    for n in range(gauges):
        device = river.devices[0]
        stations.append(
            replace(
                river,
                code=f"gauge-{n:03}",
                # its rivers jump from low to high, and are to be believed
                datastreams=(
                    Datastream(ObservedProperty.WATER_LEVEL, timedelta(minutes=1), (-0.5, 6.0), max_rate=1000.0),
                ),
                devices=(replace(device, key=f"02aac4a0{n:08x}", silence_after=timedelta(hours=1)),),
                thresholds=tuple(replace(each, hold=timedelta(0)) for each in river.thresholds),
            )
        )
    for n in range(senders):
        stations.append(
            replace(
                inlet,
                code=f"inlet-{n:03}",
                datastreams=(Datastream(ObservedProperty.FLOW, timedelta(minutes=1), (0.0, 1e6)),),
                devices=(
                    Device(
                        key=f"plc-{n:03}",
                        model="values",
                        silence_after=timedelta(hours=1),
                        attached_from=inlet.devices[0].attached_from,
                        mapping=(FieldMapping("flow", ObservedProperty.FLOW),),
                    ),
                ),
                block=None,
            )
        )
    return replace(town, stations=tuple(stations))


class Fleet:
    """All devices of `town`; `chance` decides what they say, `clock` is the time of the world they stand in."""

    def __init__(self, town: Town, clock: Clock, chance: random.Random, run: str) -> None:
        self._clock = clock
        self._chance = chance
        self._run = run
        self.gauges = {s.devices[0].key: s.code for s in town.stations if s.kind is StationKind.RIVER_GAUGE}
        self._senders = [s.devices[0].key for s in town.stations if s.kind is not StationKind.RIVER_GAUGE]
        self._counters = dict.fromkeys([*self.gauges, *self._senders], 0)
        self._last = dict.fromkeys(self._counters, clock.now() - timedelta(days=2))
        self.high = dict.fromkeys(self.gauges, False)

    @property
    def session(self) -> str:
        """Of our own JSON; a DevAddr is made of it."""
        return self._run

    def flip(self) -> None:
        """A river rises or falls."""
        device = self._chance.choice(list(self.high))
        self.high[device] = not self.high[device]

    def messages(self) -> Iterator[Message]:
        """What the devices say, without end, in no order of devices."""
        devices = list(self._counters)
        while True:
            self._chance.shuffle(devices)
            for device in devices:
                yield self._say(device)

    def last_words(self) -> list[Message]:
        """One more message of each: it closes the numbers, and says how high the river stands."""
        return [self._say(device, plain=True) for device in self._counters]

    def _say(self, device: str, *, plain: bool = False) -> Message:
        counter = self._counters[device]
        self._counters[device] += 1
        # Strictly later than the one before: two measurements of one moment would be one observation.
        now = self._last[device] = max(self._clock.now(), self._last[device] + timedelta(milliseconds=1))
        copies = 2 if not plain and self._chance.random() < _TWICE else 1
        if device in self.gauges:
            return self._level(device, counter, now.isoformat(), copies)
        body: dict[str, object] = {"session": self._run, "counter": counter}
        kind = self._chance.random()
        flow = round(self._chance.uniform(10, 90), 3)
        if plain or kind > 3 * _LATE:
            body |= {"time": now.isoformat(), "readings": {"flow": flow}}
        elif kind < _LATE:
            # Between the milliseconds, where nobody else measures.
            then = now - self._chance.random() * _LATEST
            then = then.replace(microsecond=then.microsecond // 1000 * 1000 + 1 + counter % 998)
            body |= {"time": then.isoformat(), "readings": {"flow": flow}}
        elif kind < 2 * _LATE:
            times = [now - timedelta(microseconds=300), now]
            body |= {"samples": [{"time": each.isoformat(), "readings": {"flow": flow}} for each in times]}
        else:
            body |= {"readings": {"flow": flow}}
        return Message(
            (device, self._run, counter),
            f"mimamori/v1/{device}/up",
            json.dumps({"device": device} | body).encode(),
            copies,
        )

    def _level(self, device: str, counter: int, time: str, copies: int) -> Message:
        metres = (HIGH if self.high[device] else LOW) + self._chance.randrange(100) / 1000
        session = f"{int(self._run, 16):08x}"
        body = {
            "deviceInfo": {"devEui": device},
            "time": time,
            "devAddr": session,
            "fCnt": counter,
            "fPort": 10,
            "data": base64.b64encode(radar_level.encode(distance=round((SENSOR_HEIGHT - metres) * 1000))).decode(),
        }
        topic = f"application/chaos/device/{device}/event/up"
        return Message((device, session, counter), topic, json.dumps(body).encode(), copies)
