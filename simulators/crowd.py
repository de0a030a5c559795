"""Many devices: the copies of a town (`simulators.towns.larger`) beside its own, up to a hundred thousand.

The town's own devices are a `Fleet`, one by one; those of its copies are a `Crowd`, in arrays: all devices of one kind,
network and period wake together, are measured together (`simulators.mass`), heard together (`simulators.radio`) and
break together (`simulators.faults`). What comes out are the same frames, in the order in which they are heard. Fourteen
copies stand in one valley with the same two gateways, the first thirteen in that of the town itself; no gateway hears
into another valley.

A device of a copy needs about 300 bytes. Everything is a pure function of (seed, scenario, origin, interventions,
time), as the town is; the town that has the same devices for the database is `larger(town, devices, networks)`.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import groupby
from typing import Protocol

import numpy as np

from devices.model import Device, Station, Town
from simulators import radio
from simulators.config import Scenario, SimulatorConfig
from simulators.devices import SAMPLES, Fleet, session_of
from simulators.errors import SimulatorError
from simulators.faults import OF_GATEWAY, Fault, FaultKind, planned, stretch_of
from simulators.frames import LORAWAN, MIMAMORI_V1, Frame
from simulators.gateways import gateways
from simulators.groups import BURST, VALLEY, Batch, Group, burst_size, lasting
from simulators.interventions import Intervention
from simulators.mass import Kind, at, kind_of
from simulators.towns.larger import MOST_DEVICES, larger, network_for, pace
from simulators.truth import Happened
from simulators.world import World, quiet_block

WINDOW = 60.0  # s of town time: so much is made ready at once
LEAST_WITH_SIM_CARDS = 150  # of the town's kind, over `MIXED` networks: some of them have a SIM card


class Speaking(Protocol):
    """Whoever says something: `Fleet`, `Crowd`, or both."""

    def intervene(self, interventions: Sequence[Intervention]) -> None: ...

    def joins(self) -> Iterator[Frame]: ...

    def uplinks(self) -> Iterator[Frame]: ...

    def happened(self, first: datetime, last: datetime) -> Iterator[Happened]: ...

    def with_sim_cards(self) -> list[str]: ...


def everybody(config: SimulatorConfig, town: Town, *, origin: datetime, first: datetime) -> Speaking:
    """The devices of a town, or of a larger one where `config.devices` says so. Sessions begin at `first`.

    SimulatorError for a device that nobody simulates, for more devices than can be, and where the scenario is about
    devices that are not there.
    """
    found = _everybody(config, town, origin, first)
    if config.scenario is Scenario.CARRIER and not found.with_sim_cards():
        raise SimulatorError(
            "the scenario carrier is about senders with a SIM card, and none of these devices has one: give --mixed "
            f"and more devices, such as --devices {LEAST_WITH_SIM_CARDS}"
        )
    return found


def _everybody(config: SimulatorConfig, town: Town, origin: datetime, first: datetime) -> Speaking:
    own = sum(len(station.devices) for station in town.stations)
    if config.devices is None or config.devices == own:
        return Fleet(config, town, origin=origin, first=first)
    if config.devices < own:
        return Fleet(config, larger(town, config.devices), origin=origin, first=first)
    fleet = Fleet(config, town, origin=origin, first=first)
    return _Both(fleet, Crowd(config, town, fleet, config.devices - own, origin=origin, first=first))


class _Both:
    """The town's own devices and those of its copies."""

    def __init__(self, fleet: Fleet, crowd: Crowd) -> None:
        self._fleet, self._crowd = fleet, crowd

    def intervene(self, interventions: Sequence[Intervention]) -> None:
        self._fleet.intervene(interventions)
        self._crowd.intervene(interventions)

    def joins(self) -> Iterator[Frame]:
        yield from self._fleet.joins()
        yield from self._crowd.joins()

    def uplinks(self) -> Iterator[Frame]:
        return heapq.merge(self._fleet.uplinks(), self._crowd.uplinks(), key=lambda frame: frame.heard)

    def happened(self, first: datetime, last: datetime) -> Iterator[Happened]:
        for each in self._fleet.happened(first, last):
            if "only_there" in each.parameters:  # the town's own valley, and the mobile network, have copies too
                gateway = each.parameters.get("gateway")
                more = self._crowd.with_sim_cards() if gateway is None else self._crowd.behind(gateway)
                each = replace(
                    each, parameters={**each.parameters, "only_there": [*each.parameters["only_there"], *more]}
                )
            yield each
        yield from self._crowd.happened(first, last)

    def with_sim_cards(self) -> list[str]:
        return self._fleet.with_sim_cards() + self._crowd.with_sim_cards()


class Crowd:
    """So many devices in copies of a town, beside its own, which `fleet` has."""

    def __init__(
        self,
        config: SimulatorConfig,
        town: Town,
        fleet: Fleet,
        devices: int,
        *,
        origin: datetime,
        first: datetime,
    ) -> None:
        own = sum(len(station.devices) for station in town.stations)
        if devices < 1 or devices + own > MOST_DEVICES:
            raise SimulatorError(f"a town can have 1 to {MOST_DEVICES} devices, not {devices + own}")
        self._config, self._town, self._fleet = config, town, fleet
        self._first, self._origin = first, origin
        members = [
            (position, n, station, device)
            for position, station in enumerate(each for each in town.stations if each.devices)
            for n, device in enumerate(station.devices)
        ]
        copies = 1 + (devices - 1) // len(members)
        self._valleys = copies // VALLEY + 1
        world, relief = fleet.world, fleet.relief
        self.groups: list[Group] = []
        for number, member in enumerate(members):
            _, _, station, device = member
            hills = [relief.loss((station.longitude, station.latitude), gateway) for gateway in gateways()]
            last = copies if number < devices - (copies - 1) * len(members) else copies - 1
            fed = {line.observed_property for line in device.mapping}
            interval = min(stream.interval for stream in station.datastreams if stream.observed_property in fed)
            samples = SAMPLES if device.model == "flow_pressure" else 1
            kind = self._kind(world, station, samples)

            def manner(
                copy: int, station: Station = station, device: Device = device, samples: int = samples
            ) -> tuple[str, float]:
                step = pace(station.kind, device.model, interval, copy, config.networks)  # noqa: B023
                return network_for(device.model, copy, config.networks), samples * step.total_seconds()

            for (network, period), some in groupby(sorted(range(1, last + 1), key=manner), key=manner):
                numbers = np.array(list(some), dtype=np.int64)
                self.groups.append(Group(config, member, network, period, numbers, kind, town.bounds, hills, first))
        self._gateway_plans: dict[int, list[Fault]] = {}
        self._gateways = [gateway.key for valley in range(1, self._valleys) for gateway in gateways(valley)]

    def _kind(self, world: World, station: Station, samples: int) -> Kind:
        quiet = world.blocks.get(station.code)
        return kind_of(self._config.seed, world, quiet and quiet_block(quiet), station, samples)

    @property
    def devices(self) -> int:
        return sum(len(group.copies) for group in self.groups)

    def intervene(self, interventions: Sequence[Intervention]) -> None:
        """From the next round time on, the town is one in which all these were set off. The fleet comes first."""
        for group in self.groups:
            samples = group.kind.samples
            group.kind = self._kind(self._fleet.world, group.station, samples)
            group.intervene(interventions)

    def joins(self) -> Iterator[Frame]:
        """The join of each device of LoRaWAN."""
        for group in self.groups:
            if group.network not in LORAWAN:
                continue
            for index in range(len(group.copies)):
                key = group.key(index)
                session = session_of(self._config.seed, key, self._first, group.network)
                yield Frame(
                    key, group.name(index), group.device.model, session, self._first, "join", network=group.network
                )

    def uplinks(self) -> Iterator[Frame]:
        """What all of them say, without end, in the order in which the networks hear it."""
        start = self._first.timestamp()
        slots = [(start // group.period + 1) * group.period for group in self.groups]
        pending: list[list[Batch]] = [[] for _ in self.groups]
        window = start // WINDOW * WINDOW
        while True:
            end = window + WINDOW
            found: list[tuple[float, int, Batch, int]] = []
            around = at(window - 3600), at(end + 3600)
            gateway_faults = self._of_gateways(*around)
            broken = [fault for fault in gateway_faults if fault.kind is FaultKind.GATEWAY]
            held = [fault for fault in gateway_faults if fault.kind is FaultKind.OUTAGE]
            held += [fault for fault in self._fleet.faults.between(*around) if fault.kind is FaultKind.CARRIER]
            for number, group in enumerate(self.groups):
                while slots[number] < end:
                    pending[number].append(group.batch(slots[number], broken, held))
                    slots[number] += group.period
                for batch in pending[number]:
                    until = int(batch.heard.searchsorted(end))
                    found += [(float(batch.heard[n]), number, batch, n) for n in range(batch.taken, until)]
                    batch.taken = until
                pending[number] = [batch for batch in pending[number] if batch.taken < len(batch.heard)]
            found.sort(key=lambda each: each[:2])
            for _, number, batch, n in found:
                yield self.groups[number].frame(batch, n)
            window = end

    def happened(self, first: datetime, last: datetime) -> Iterator[Happened]:
        """What was made to go wrong in the copies at some time in [first, last)."""
        for group in self.groups:
            for index, fault in group.faults(first, last):
                yield Happened(
                    fault.kind.value, fault.start, fault.end, fault.device, group.code(index), dict(fault.parameters)
                )
            for stretch in range(stretch_of(first), stretch_of(last) + 1):
                made = group.bursts(stretch)
                if made is None:
                    continue
                for index in lasting(made, first.timestamp(), last.timestamp()):
                    size = round(burst_size(float(made.size[index])), 2)
                    yield Happened(
                        BURST, at(made.start[index]), at(made.end[index]), station=group.code(int(index)),
                        parameters={"m3h": size},
                    )  # fmt: skip
        own = {gateway.key for gateway in gateways()}
        for fault in self._of_gateways(first, last):
            if fault.gateway is not None and fault.gateway not in own:
                yield Happened(
                    fault.kind.value, fault.start, fault.end,
                    parameters={**fault.parameters, "gateway": fault.gateway, "only_there": self.behind(fault.gateway)},
                )  # fmt: skip

    def with_sim_cards(self) -> list[str]:
        """The devices of copies that speak over the mobile network."""
        return [
            group.key(index)
            for group in self.groups
            if group.network == MIMAMORI_V1
            for index in range(len(group.copies))
        ]

    def behind(self, gateway: str) -> list[str]:
        """The devices of copies that no other gateway hears in the median."""
        valley, number = int(gateway[8:14], 16), int(gateway[14:], 16)
        found = []
        for group in self.groups:
            if group.links is None:
                continue
            limit = radio.NOISE + (-7.5 - 2.5 * (group.links.spreading_factor.astype(np.float64) - 7))
            able = group.links.power >= limit[:, None]
            only = able[:, number] & (able.sum(axis=1) == 1) & (group.valleys == valley)
            found += [group.key(int(index)) for index in np.flatnonzero(only)]
        return found

    def _of_gateways(self, first: datetime, last: datetime) -> list[Fault]:
        """Those of all valleys, the town's own included."""
        found = [each for each in self._fleet.faults.between(first, last) if each.kind in OF_GATEWAY]
        for stretch in range(stretch_of(first), stretch_of(last) + 1):
            found += self._planned(stretch)
        return [each for each in found if each.start < last and (each.end is None or each.end > first)]

    def _planned(self, stretch: int) -> list[Fault]:
        known = self._gateway_plans
        if stretch not in known:
            for old in [each for each in known if each < stretch - 1]:
                del known[old]
            known[stretch] = planned(self._config.seed, self._config.breaks, {}, self._gateways, stretch)
        return known[stretch]
