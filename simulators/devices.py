"""The town's devices: which one speaks when, and what it says.

A device wakes at round times of its own clock, measures the simulated river, block or spot, encodes the payload
of its model and is heard some seconds later. Its frame counter starts at 0 with each session; a session begins
with the run, by a join, with a DevAddr that depends on when that was.

Devices that are no LoRaWAN devices (their key is no DevEUI) keep silent here.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from devices.codecs import flow_pressure, people_counter, radar_level, rain_gauge
from devices.model import Device, ObservedProperty, Station, StationKind, Town
from simulators.chance import integer, uniform
from simulators.chirpstack import Frame
from simulators.config import Scenario, SimulatorConfig
from simulators.errors import SimulatorError
from simulators.impairments import unmeasured
from simulators.interventions import Happening, Intervention, of
from simulators.network import site
from simulators.pipes import Block
from simulators.rainfall import Bucket, shares
from simulators.rivers import River
from simulators.tanks import USUAL_TANK, Tank
from simulators.visits import FIRST_FESTIVAL, PROFILES, Spot
from simulators.weather import FIRST_STORM, basins

SAMPLES = 3  # of a flow and pressure logger in one uplink
FRESH_BATTERY = 3.62  # V
# Of the visitor spots by their profile, in a flood: the roadside station is a shelter, the hot spring's counter is
# covered with leaves.
_ON_HIGH_GROUND, _UNDER_TREES = 0, 3
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DEV_EUI = re.compile(r"[0-9a-f]{16}")


class World:
    """What there is to measure, at any time: a pure function of (seed, scenario, origin, interventions, time)."""

    def __init__(
        self, config: SimulatorConfig, town: Town, origin: datetime, interventions: Sequence[Intervention] = ()
    ) -> None:
        zone = ZoneInfo(town.municipality.timezone)
        kinds: Mapping[StationKind, list[Station]] = {
            kind: [station for station in town.stations if station.kind is kind] for kind in StationKind
        }
        self.interventions = tuple(interventions)
        cloudbursts = [rain.start for rain in of(self.interventions, Happening.RAIN)]
        festivals = tuple((each.start, each.end) for each in of(self.interventions, Happening.FESTIVAL))
        storm = origin + FIRST_STORM if config.scenario is Scenario.FLOOD else None
        gauges = kinds[StationKind.RIVER_GAUGE]
        self.river = River(config.seed, config.scenario, origin, gauges, cloudbursts, basins(town.shapes))
        self.buckets = self._buckets(config.seed, kinds[StationKind.RAIN_GAUGE])
        self.blocks = {
            station.code: Block(
                config.seed,
                origin,
                zone,
                station.code,
                self._bursts(station.code),
                config.scenario,
                scoured_from=storm if position == 0 else None,
                festivals=festivals,
                festival_from=_festival(config, origin),
                site=site(config.seed, station.code, town.shapes),
            )
            for position, station in enumerate(kinds[StationKind.BLOCK_INLET])
        }
        self.tanks = {
            station.code: Tank(config.seed, zone, station.code, station.tank or USUAL_TANK, self._fed(station, kinds))
            for station in kinds[StationKind.SERVICE_TANK]
        }
        self.spots = {
            station.code: Spot(
                config.seed,
                zone,
                station.code,
                PROFILES[position % len(PROFILES)],
                festivals,
                _festival(config, origin) if position % 2 == 0 else None,
                shelter_from=storm if position % len(PROFILES) == _ON_HIGH_GROUND else None,
                covered_from=storm if position % len(PROFILES) == _UNDER_TREES else None,
            )
            for position, station in enumerate(kinds[StationKind.VISITOR_SPOT])
        }

    def _buckets(self, seed: int, gauges: Sequence[Station]) -> dict[str, Bucket]:
        found = {}
        for basin in dict.fromkeys(map(self.river.basin, gauges)):
            inside = [station for station in gauges if self.river.basin(station) == basin]
            for station, share in zip(inside, shares(len(inside)), strict=True):
                found[station.code] = Bucket(seed, self.river.weather, basin, station.code, share, _tip(station))
        return found

    def _fed(self, tank: Station, kinds: Mapping[StationKind, list[Station]]) -> tuple[Block, ...]:
        return tuple(
            self.blocks[inlet.code]
            for inlet in kinds[StationKind.BLOCK_INLET]
            if inlet.block is not None and inlet.block.tank == tank.code
        )

    def _bursts(self, code: str) -> tuple[tuple[datetime, datetime], ...]:
        return tuple((each.start, each.end) for each in of(self.interventions, Happening.BURST, code))

    def silent(self, device_key: str, at: datetime) -> bool:
        """Whether somebody has stopped the device."""
        return any(each.covers(at) for each in of(self.interventions, Happening.SILENCE, device_key))


def _festival(config: SimulatorConfig, origin: datetime) -> datetime | None:
    """When the scenario's festivals begin."""
    return origin + FIRST_FESTIVAL if config.scenario is Scenario.FESTIVAL else None


def _tip(station: Station) -> float:
    """What one tip of the gauge at a station is worth, mm: as its town maps it."""
    lines = [line for device in station.devices for line in device.mapping]
    return next((line.scale for line in lines if line.observed_property is ObservedProperty.PRECIPITATION), 0.5)


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
        if station.kind not in _SIMULATED.get(device.model, ()):
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

    @property
    def battery(self) -> float:
        """V. Most are fresh; about one in ten has come close to its end."""
        return FRESH_BATTERY - 0.5 * uniform(self.config.seed, self.device.key, "battery") ** 4

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
    if device.station.kind is StationKind.SERVICE_TANK:
        observed, level = ObservedProperty.TANK_LEVEL, device.world.tanks[device.station.code].level(at)
    else:
        observed, level = ObservedProperty.WATER_LEVEL, device.world.river.level(device.station.code, at)
    distance = device.field(observed, level, at)
    return radar_level.encode(distance=distance, battery=device.battery)


def _flow_pressure(device: VirtualDevice, slot: datetime) -> bytes:
    block = device.world.blocks[device.station.code]
    step = device.period / SAMPLES
    samples = []
    for index in reversed(range(SAMPLES)):
        at = slot - index * step
        flow = device.field(ObservedProperty.FLOW, block.flow(at), at)
        pressure = device.field(ObservedProperty.PRESSURE, block.pressure(at), at)
        samples.append((flow, pressure))
    return flow_pressure.encode(time=slot, step=step, samples=samples, battery=device.battery)


def _people_counter(device: VirtualDevice, slot: datetime) -> bytes:
    inwards, outwards = device.world.spots[device.station.code].passages(slot, device.period)
    return people_counter.encode(
        time=slot,
        passages_in=device.field(ObservedProperty.PASSAGES_IN, inwards, slot),
        passages_out=device.field(ObservedProperty.PASSAGES_OUT, outwards, slot),
        battery=device.battery,
    )


def _rain_gauge(device: VirtualDevice, slot: datetime) -> bytes:
    bucket = device.world.buckets[device.station.code]
    restarts, count = bucket.counter(slot)
    unread = unmeasured(device.config.impairments, device.config.seed, device.device.key, slot)
    return rain_gauge.encode(
        time=slot,
        restarts=restarts,
        count=None if unread else count,
        tips=None if unread else bucket.tips(slot - device.period, slot),
        battery=device.battery,
    )


_SIMULATED = {
    "radar_level": (StationKind.RIVER_GAUGE, StationKind.SERVICE_TANK),
    "flow_pressure": (StationKind.BLOCK_INLET,),
    "people_counter": (StationKind.VISITOR_SPOT,),
    "rain_gauge": (StationKind.RAIN_GAUGE,),
}
_SPEAKERS = {
    "radar_level": _radar_level,
    "flow_pressure": _flow_pressure,
    "people_counter": _people_counter,
    "rain_gauge": _rain_gauge,
}


class Fleet:
    """All LoRaWAN devices of a town in one session each."""

    def __init__(self, config: SimulatorConfig, town: Town, *, origin: datetime, first: datetime) -> None:
        """Sessions begin at `first`, the town time after which the devices speak."""
        world = World(config, town, origin)
        self._config, self._town, self._origin = config, town, origin
        self._interventions: tuple[Intervention, ...] = ()
        self._seed = config.seed
        self._first = first
        self._devices = [
            VirtualDevice.at(config, world, station, device)
            for station in town.stations
            for device in station.devices
            if _DEV_EUI.fullmatch(device.key)
        ]

    def intervene(self, interventions: Sequence[Intervention]) -> None:
        """From the next uplink on, the town is one in which all these were set off, and no others."""
        if tuple(interventions) == self._interventions:
            return
        self._interventions = tuple(interventions)
        world = World(self._config, self._town, self._origin, self._interventions)
        self._devices = [replace(device, world=world) for device in self._devices]

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
            if not device.world.silent(device.device.key, heard):
                yield self._frame(device, heard, counter=counter, payload=device.payload(slot))
                counter += 1
            slot += device.period
            heapq.heapreplace(waiting, (device.heard(slot), index, slot, counter))

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
