"""The town's devices: which one speaks when, and what it says.

A device wakes at round times of its own clock, measures the simulated river, block or spot, encodes the payload
of its model and is heard some seconds later. Its frame counter starts at 0 with each session; a session begins
with the run, by a join, with a DevAddr that depends on when that was.

Devices that are no LoRaWAN devices (their key is no DevEUI) keep silent here.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from devices.codecs import flow_pressure, people_counter, radar_level
from devices.model import Device, ObservedProperty, Station, StationKind, Town
from simulators.chance import integer, uniform
from simulators.chirpstack import Frame
from simulators.config import SimulatorConfig
from simulators.errors import SimulatorError
from simulators.impairments import unmeasured
from simulators.pipes import Block
from simulators.rivers import River
from simulators.visits import PROFILES, Spot

SAMPLES = 3  # of a flow and pressure logger in one uplink
_BATTERY = 3.58
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DEV_EUI = re.compile(r"[0-9a-f]{16}")


class World:
    """What there is to measure, at any time: a pure function of (seed, scenario, origin, time)."""

    def __init__(self, config: SimulatorConfig, town: Town, origin: datetime) -> None:
        zone = ZoneInfo(town.municipality.timezone)
        kinds: Mapping[StationKind, list[Station]] = {
            kind: [station for station in town.stations if station.kind is kind] for kind in StationKind
        }
        self.river = River(config.seed, config.scenario, origin, kinds[StationKind.RIVER_GAUGE])
        self.blocks = {
            station.code: Block(config.seed, origin, zone, station.code) for station in kinds[StationKind.BLOCK_INLET]
        }
        self.spots = {
            station.code: Spot(config.seed, zone, station.code, PROFILES[position % len(PROFILES)])
            for position, station in enumerate(kinds[StationKind.VISITOR_SPOT])
        }


@dataclass(frozen=True, slots=True)
class VirtualDevice:
    """One device at its station: an uplink every `period`, heard `lag` (and up to a second) after a round time."""

    config: SimulatorConfig
    world: World
    station: Station
    device: Device
    period: timedelta
    lag: timedelta

    @classmethod
    def at(cls, config: SimulatorConfig, world: World, station: Station, device: Device) -> VirtualDevice:
        """The device as the town file describes it. SimulatorError for a model that is not simulated there."""
        if _SIMULATED.get(device.model) is not station.kind:
            raise SimulatorError(
                f"device {device.key} at {station.code}: nobody simulates a {device.model} at a {station.kind}"
            )
        fed = {line.observed_property for line in device.mapping}
        interval = min(stream.interval for stream in station.datastreams if stream.observed_property in fed)
        period = interval * SAMPLES if device.model == "flow_pressure" else interval
        lag = timedelta(seconds=2 + 38 * uniform(config.seed, device.key, "lag"))
        return cls(config, world, station, device, period, lag)

    def wakes(self, after: datetime) -> datetime:
        """The first round time of the device's clock after a time."""
        return _EPOCH + ((after - _EPOCH) // self.period + 1) * self.period

    def heard(self, slot: datetime) -> datetime:
        """When the network hears what the device says about a round time."""
        jitter = uniform(self.config.seed, self.device.key, "jitter", slot.timestamp())
        return slot + self.lag + timedelta(milliseconds=round(900 * jitter))

    def payload(self, slot: datetime) -> bytes:
        """The bytes it sends about a round time. SimulatorError where the model's payload cannot hold the values."""
        try:
            return _SPEAKERS[self.device.model](self, slot)
        except ValueError as error:
            raise SimulatorError(
                f"device {self.device.key} at {self.station.code}: {error}; check scale and offset in the town file"
            ) from error

    def field(self, observed: ObservedProperty, value: float, at: datetime) -> float | None:
        """The value of the codec's field that the town's mapping turns into `value`; None: could not measure."""
        if unmeasured(self.config.impairments, self.config.seed, self.device.key, at):
            return None
        for line in self.device.mapping:
            if line.observed_property is observed:
                return (value - line.offset) / line.scale
        return None


def _radar_level(device: VirtualDevice, slot: datetime) -> bytes:
    at = device.heard(slot)
    level = device.world.river.level(device.station.code, at)
    distance = device.field(ObservedProperty.WATER_LEVEL, level, at)
    return radar_level.encode(distance=distance, battery=_BATTERY)


def _flow_pressure(device: VirtualDevice, slot: datetime) -> bytes:
    block = device.world.blocks[device.station.code]
    step = device.period / SAMPLES
    samples = []
    for index in reversed(range(SAMPLES)):
        at = slot - index * step
        flow = device.field(ObservedProperty.FLOW, block.flow(at), at)
        pressure = device.field(ObservedProperty.PRESSURE, block.pressure(at), at)
        samples.append((flow, pressure))
    return flow_pressure.encode(time=slot, step=step, samples=samples, battery=_BATTERY)


def _people_counter(device: VirtualDevice, slot: datetime) -> bytes:
    inwards, outwards = device.world.spots[device.station.code].passages(slot, device.period)
    return people_counter.encode(
        time=slot,
        passages_in=device.field(ObservedProperty.PASSAGES_IN, inwards, slot),
        passages_out=device.field(ObservedProperty.PASSAGES_OUT, outwards, slot),
        battery=_BATTERY,
    )


_SIMULATED = {
    "radar_level": StationKind.RIVER_GAUGE,
    "flow_pressure": StationKind.BLOCK_INLET,
    "people_counter": StationKind.VISITOR_SPOT,
}
_SPEAKERS = {
    "radar_level": _radar_level,
    "flow_pressure": _flow_pressure,
    "people_counter": _people_counter,
}


class Fleet:
    """All LoRaWAN devices of a town in one session each."""

    def __init__(self, config: SimulatorConfig, town: Town, *, origin: datetime, first: datetime) -> None:
        """Sessions begin at `first`, the town time after which the devices speak."""
        world = World(config, town, origin)
        self._seed = config.seed
        self._first = first
        self._devices = [
            VirtualDevice.at(config, world, station, device)
            for station in town.stations
            for device in station.devices
            if _DEV_EUI.fullmatch(device.key)
        ]

    def joins(self) -> Iterator[Frame]:
        """The join of each device, at the beginning."""
        for device in self._devices:
            yield self._frame(device, self._first, event="join")

    def uplinks(self) -> Iterator[Frame]:
        """What all devices say, without end, in the order in which the network hears it."""
        waiting = []
        for index, device in enumerate(self._devices):
            slot = device.wakes(self._first)
            waiting.append((device.heard(slot), index, slot, 0))
        heapq.heapify(waiting)
        while waiting:
            heard, index, slot, counter = waiting[0]
            device = self._devices[index]
            yield self._frame(device, heard, counter=counter, payload=device.payload(slot))
            slot += device.period
            heapq.heapreplace(waiting, (device.heard(slot), index, slot, counter + 1))

    def _frame(
        self,
        device: VirtualDevice,
        heard: datetime,
        *,
        event: str = "up",
        counter: int | None = None,
        payload: bytes = b"",
    ) -> Frame:
        # 24 bits under a prefix that belongs to private networks (NetID 000000)
        address = integer(self._seed, device.device.key, "session", self._first.isoformat()) % 2**24
        session = f"01{address:06x}"
        name, model = device.station.name, device.device.model
        return Frame(device.device.key, name, model, session, heard, event, counter, payload)
