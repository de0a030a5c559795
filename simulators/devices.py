"""The town's devices: which one speaks when, what it says, and who hears it.

A device wakes at round times of its own clock, measures the simulated river, block or spot, encodes the payload
of its model and is heard some seconds later, by the gateways that its radio reaches (`simulators.radio`). Its frame
counter starts at 0 with each session; a session begins with the run, by a join, with a DevAddr that depends on when
that was. What breaks (`simulators.faults`) shows in what it says, or in that it says nothing.

Its key tells its network (`simulators.towns.larger.network_of`). Devices of which that does not tell one, such as a
real PLC in the town file, keep silent here.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from devices.codecs import flow_pressure, people_counter, radar_level, rain_gauge
from devices.model import Device, ObservedProperty, Station, StationKind, Town
from simulators import radio
from simulators.chance import integer, normal, uniform
from simulators.config import SimulatorConfig
from simulators.errors import SimulatorError
from simulators.faults import FaultKind, Faults, end_of_scale, voltage
from simulators.frames import LORAWAN, MIMAMORI_V1, SIGFOX, Frame, Reception
from simulators.gateways import BROKEN_GATEWAY, gateways, set_off
from simulators.impairments import unmeasured
from simulators.interventions import Happening, Intervention
from simulators.networks.mimamori_v1 import in_own_words
from simulators.networks.sigfox import LONGEST
from simulators.towns.larger import network_of
from simulators.truth import Happened
from simulators.world import World

SAMPLES = 3  # of a flow and pressure logger in one uplink
FRESH_BATTERY = 3.62  # V
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MOST_DISTANCE, _MOST_PRESSURE = 65534.0, 6553.4  # mm, kPa: what a radar gauge and a logger can say


@dataclass(frozen=True, slots=True)
class VirtualDevice:
    """One device at its station: an uplink every `period`, heard `lag` (and up to a second) after a round time."""

    config: SimulatorConfig
    world: World
    station: Station
    device: Device
    period: timedelta
    lag: timedelta
    network: str
    faults: Faults
    link: radio.Link | None  # of LoRaWAN

    @classmethod
    def at(
        cls,
        config: SimulatorConfig,
        world: World,
        station: Station,
        device: Device,
        network: str,
        faults: Faults,
        relief: radio.Relief,
    ) -> VirtualDevice:
        """The device as the town file describes it. SimulatorError for a model that is not simulated there."""
        if station.kind not in _SIMULATED.get(device.model, ()):
            raise SimulatorError(
                f"device {device.key} at {station.code}: nobody simulates a {device.model} at a {station.kind}"
            )
        if network == SIGFOX and device.model == "flow_pressure":
            raise SimulatorError(
                f"device {device.key} at {station.code}: a {device.model} sends more than the {LONGEST} bytes of Sigfox"
            )
        fed = {line.observed_property for line in device.mapping}
        interval = min(stream.interval for stream in station.datastreams if stream.observed_property in fed)
        period = interval * SAMPLES if device.model == "flow_pressure" else interval
        lag = timedelta(seconds=2 + 38 * uniform(config.seed, device.key, "lag"))
        link = None
        if network in LORAWAN:
            place = (station.longitude, station.latitude)
            slowest = radio.slowest_for(8 + 5 * SAMPLES if device.model == "flow_pressure" else 11)
            hills = [relief.loss(place, gateway) for gateway in gateways()]
            link = radio.link(config.seed, device.key, place, gateways(), slowest, hills)
        return cls(config, world, station, device, period, lag, network, faults, link)

    def wakes(self, after: datetime) -> datetime:
        """The first round time of the device's clock after a time."""
        return _EPOCH + ((after - _EPOCH) // self.period + 1) * self.period

    def heard(self, slot: datetime) -> datetime:
        """When the network hears what the device says about a round time."""
        jitter = uniform(self.config.seed, self.device.key, "jitter", slot.timestamp())
        return slot + self.lag + timedelta(milliseconds=round(900 * jitter))

    def silent(self, at: datetime) -> bool:
        """Whether it says nothing: somebody has stopped it, its battery is empty, it lies in the river."""
        key = self.device.key
        return self.world.silent(key, at) or any(fault.silences(at) for fault in self.faults.of(key, at))

    def receptions(self, at: datetime) -> tuple[tuple[Reception, ...], int, datetime | None]:
        """Who hears it, further transmissions heard, and until when what they heard is held back."""
        impairments, key = self.config.impairments, self.device.key
        if self.network == MIMAMORI_V1:
            broken = self.faults.one(FaultKind.CARRIER, "", at)
            return (), 0, None if broken is None else broken.end
        if self.link is None:
            return radio.by_base_stations(self.config.seed, key, impairments.fading, at), 0, None
        down = {
            gateway for gateway, _ in self.link.gateways if self.faults.one(FaultKind.GATEWAY, gateway, at) is not None
        }
        heard, further = radio.receptions(self.link, impairments.fading, self.config.seed, key, at, down.__contains__)
        held = {each: self.faults.one(FaultKind.OUTAGE, each.gateway, at) for each in heard}
        at_once = tuple(each for each in heard if held[each] is None)
        if at_once or not heard:
            return at_once, further, None
        ends = [fault.end for fault in held.values() if fault is not None and fault.end is not None]
        return heard, further, min(ends, default=None)

    def battery(self, at: datetime) -> float:
        """V. Most are fresh; about one in ten has come close to its end, and some die."""
        dying = self.faults.one(FaultKind.BATTERY, self.device.key, at)
        if dying is not None:
            return voltage(24 * dying.days(at) / dying.number("silent_after_hours"))
        return FRESH_BATTERY - 0.5 * uniform(self.config.seed, self.device.key, "battery") ** 4

    def clock(self, at: datetime) -> datetime:
        """What its clock says, in whole seconds."""
        fault = self.faults.one(FaultKind.CLOCK, self.device.key, at)
        return at if fault is None else at + timedelta(seconds=round(fault.number("a_day") * fault.days(at)))

    def payload(self, slot: datetime) -> bytes:
        """The bytes it sends about a round time. SimulatorError where the model's payload cannot hold the values."""
        try:
            return _SPEAKERS[self.device.model](self, slot)
        except ValueError as error:
            raise SimulatorError(
                f"device {self.device.key} at {self.station.code}: {error}; check scale and offset in the town file"
            ) from error

    def field(
        self, observed: ObservedProperty, read: Callable[[datetime], float], at: datetime, since: timedelta
    ) -> float | None:
        """The value of the codec's field that the town's mapping turns into what `read` says; None: could not measure.

        `since`: how long ago it measured before that.
        """
        if unmeasured(self.config.impairments, self.config.seed, self.device.key, at):
            return None
        value = self._measured(observed, read, at, since)
        for line in self.device.mapping:
            if line.observed_property is observed:
                return (value - line.offset) / line.scale
        return None

    def _measured(
        self, observed: ObservedProperty, read: Callable[[datetime], float], at: datetime, since: timedelta
    ) -> float:
        """What the sensor makes of what is there."""
        key = self.device.key
        stuck = self.faults.one(FaultKind.STUCK, key, at)
        value = read(at if stuck is None else self.slot_before(stuck.start))
        lasting = [fault for fault in self.faults.of(key, at) if fault.hits(observed)]
        for fault in lasting:
            value += fault.off(at, lambda: normal(self.config.seed, key, "trembles", at.timestamp()))
        spike = self.faults.spike(key, at - since, at)
        if spike is not None and spike.hits(observed):
            value += spike.number("by")
        if any(fault.kind is FaultKind.RANGE for fault in lasting):
            return end_of_scale(observed, self.device.mapping)
        return value

    def slot_before(self, at: datetime) -> datetime:
        """The round time of its clock at or before a time."""
        return _EPOCH + (at - _EPOCH) // self.period * self.period


def _radar_level(device: VirtualDevice, slot: datetime) -> bytes:
    at = device.heard(slot)
    code = device.station.code
    observed, read = ObservedProperty.WATER_LEVEL, lambda when: device.world.river.level(code, when)
    if device.station.kind is StationKind.SERVICE_TANK:
        observed, read = ObservedProperty.TANK_LEVEL, lambda when: device.world.tanks[code].level(when)
    distance = device.field(observed, read, at, device.period)
    if distance is not None and device.faults.of(device.device.key, at):
        distance = min(max(0.0, distance), _MOST_DISTANCE)  # a broken one says what it can
    return radar_level.encode(distance=distance, battery=device.battery(at))


def _flow_pressure(device: VirtualDevice, slot: datetime) -> bytes:
    block = device.world.blocks[device.station.code]
    step = device.period / SAMPLES
    samples = []
    for index in reversed(range(SAMPLES)):
        at = slot - index * step
        flow = device.field(ObservedProperty.FLOW, block.flow, at, step)
        pressure = device.field(ObservedProperty.PRESSURE, block.pressure, at, step)
        if pressure is not None and device.faults.of(device.device.key, at):
            pressure = min(max(0.0, pressure), _MOST_PRESSURE)
        samples.append((flow, pressure))
    return flow_pressure.encode(time=device.clock(slot), step=step, samples=samples, battery=device.battery(slot))


def _people_counter(device: VirtualDevice, slot: datetime) -> bytes:
    spot, period = device.world.spots[device.station.code], device.period
    inwards = device.field(ObservedProperty.PASSAGES_IN, lambda end: spot.inwards(end, period), slot, period)
    outwards = device.field(ObservedProperty.PASSAGES_OUT, lambda end: spot.outwards(end, period), slot, period)
    return people_counter.encode(
        time=device.clock(slot), passages_in=inwards, passages_out=outwards, battery=device.battery(slot)
    )


def _rain_gauge(device: VirtualDevice, slot: datetime) -> bytes:
    bucket = device.world.buckets[device.station.code]
    unread = unmeasured(device.config.impairments, device.config.seed, device.device.key, slot)

    def counter(at: datetime) -> tuple[int, int]:
        # what falls into a blocked funnel stays there, and runs through when it has been cleaned
        stuck = device.faults.one(FaultKind.STUCK, device.device.key, at)
        return bucket.counter(at if stuck is None else device.slot_before(stuck.start))

    (restarts_before, before), (restarts, count) = counter(slot - device.period), counter(slot)
    tips = count - before if restarts == restarts_before else count
    return rain_gauge.encode(
        time=device.clock(slot),
        restarts=restarts,
        count=None if unread else count,
        tips=None if unread else min(tips, 254),
        battery=device.battery(slot),
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
    """All devices of a town that somebody simulates, in one session each."""

    def __init__(self, config: SimulatorConfig, town: Town, *, origin: datetime, first: datetime) -> None:
        """Sessions begin at `first`, the town time after which the devices speak."""
        self.world = World(config, town, origin)
        self._config, self._town, self._origin = config, town, origin
        self._interventions: tuple[Intervention, ...] = ()
        self._seed = config.seed
        self._first = first
        spoken = [
            (station, device, network)
            for station in town.stations
            for device in station.devices
            if (network := network_of(device.key)) is not None
        ]
        self.faults = Faults(
            config.seed,
            config.breaks,
            {device.key: device.model for _, device, _ in spoken},
            [gateway.key for gateway in gateways()],
            set_off(config.scenario, origin, gateways()[BROKEN_GATEWAY]),
        )
        self.relief = radio.Relief(town.shapes)
        self._devices = [
            VirtualDevice.at(config, self.world, station, device, network, self.faults, self.relief)
            for station, device, network in spoken
        ]
        self._stations: Mapping[str, str] = {device.key: station.code for station, device, _ in spoken}

    def intervene(self, interventions: Sequence[Intervention]) -> None:
        """From the next uplink on, the town is one in which all these were set off, and no others."""
        if tuple(interventions) == self._interventions:
            return
        self._interventions = tuple(interventions)
        self.world = World(self._config, self._town, self._origin, self._interventions)
        self._devices = [replace(device, world=self.world) for device in self._devices]

    def joins(self) -> Iterator[Frame]:
        """The join of each device, at the beginning; other networks than LoRaWAN have none."""
        for device in self._devices:
            if device.network in LORAWAN:
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
            if not device.silent(heard):
                yield self._uplink(device, slot, heard, counter)
                counter += 1
            slot += device.period
            heapq.heapreplace(waiting, (device.heard(slot), index, slot, counter))

    def happened(self, first: datetime, last: datetime) -> Iterator[Happened]:
        """What was made to go wrong, or to happen, at some time in [first, last): the lines of the truth file."""
        yield from self.world.happened(first, last)
        for each in of_all(self._interventions, first, last):
            yield Happened("silence", each.start, each.end, each.target, self._stations.get(each.target or ""))
        for fault in self.faults.between(first, last):
            parameters: dict[str, object] = dict(fault.parameters)
            if fault.gateway is not None:
                parameters |= {"gateway": fault.gateway, "only_there": self.behind(fault.gateway)}
            elif fault.kind is FaultKind.CARRIER:
                parameters["only_there"] = self.with_sim_cards()
            station = None if fault.device is None else self._stations[fault.device]
            yield Happened(fault.kind.value, fault.start, fault.end, fault.device, station, parameters)

    def with_sim_cards(self) -> list[str]:
        """The devices that speak over the mobile network."""
        return [each.device.key for each in self._devices if each.network == MIMAMORI_V1]

    def behind(self, gateway: str) -> list[str]:
        """The devices that no other gateway hears in the median."""
        found = []
        for device in self._devices:
            link = device.link
            if link is None:
                continue
            limit = radio.NOISE + radio.needed(link.spreading_factor)
            able = [key for key, power in link.gateways if power >= limit]
            if able == [gateway]:
                found.append(device.device.key)
        return found

    def _uplink(self, device: VirtualDevice, slot: datetime, heard: datetime, counter: int) -> Frame:
        payload = device.payload(slot)
        receptions, repeats, held = device.receptions(heard)
        frame = self._frame(device, heard, counter=counter, payload=payload, receptions=receptions)
        if device.network == MIMAMORI_V1:
            return in_own_words(replace(frame, held_until=held))
        return replace(frame, repeats=repeats, held_until=held)

    def _frame(
        self,
        device: VirtualDevice,
        heard: datetime,
        *,
        event: str = "up",
        counter: int | None = None,
        payload: bytes = b"",
        receptions: tuple[Reception, ...] = (),
    ) -> Frame:
        key, network = device.device.key, device.network
        return Frame(
            key,
            device.station.name,
            device.device.model,
            session_of(self._seed, key, self._first, network),
            heard,
            event,
            counter,
            payload,
            network,
            receptions,
            10 if device.link is None else device.link.spreading_factor,
        )


def of_all(interventions: Sequence[Intervention], first: datetime, last: datetime) -> list[Intervention]:
    """The silent devices that somebody has set off in [first, last)."""
    return [
        each for each in interventions if each.happening is Happening.SILENCE and each.start < last and each.end > first
    ]


def session_of(seed: int, key: str, first: datetime, network: str) -> str:
    """What the frame counter belongs to: 24 bits under a prefix that belongs to private networks (NetID 000000)."""
    if network == SIGFOX:
        return ""
    address = integer(seed, key, "session", first.isoformat()) % 2**24
    return f"01{address:06x}"
