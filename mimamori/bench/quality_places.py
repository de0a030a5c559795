"""Simulated places with faults for `mimamori bench quality`: what the town knows of them, as arrays.

A place is a copy of a station of the demo's town (`simulators.groups`), measured, broken and packed as any of a large
town; one message in a hundred is lost. Its payloads are read here as the codecs read them, many at once. Each place has
one kind of fault and no other, or none at all (a `Lot`), once in 30 days; the first 30 days of all are whole. What is
wrong when is the simulator's own plan, as on its truth file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from devices.model import Datastream, Device, FieldMapping, ObservedProperty, Station, StationKind, Town
from devices.town import load_town
from quality.estimator import Flags, Floats
from quality.gate import CLOCK
from simulators.chance import uniforms
from simulators.config import SimulatorConfig
from simulators.devices import SAMPLES
from simulators.faults import BESIDE, OF_MODEL, OF_ONE, PLANNED, Fault, FaultKind, FaultRates, Plan, fault_of
from simulators.frames import MIMAMORI_V1
from simulators.groups import Group
from simulators.mass import at, kind_of
from simulators.towns import path
from simulators.world import World, quiet_block

STRETCH = PLANNED.total_seconds()
FIRST = 685  # of `simulators.faults`: the stretch that all of them are whole in begins on 2026-04-07
LOST = 0.01
# Of each kind of place what is judged of it.
JUDGED: Mapping[StationKind, tuple[ObservedProperty, ...]] = {
    StationKind.RIVER_GAUGE: (ObservedProperty.WATER_LEVEL,),
    StationKind.SERVICE_TANK: (ObservedProperty.TANK_LEVEL,),
    StationKind.BLOCK_INLET: (ObservedProperty.FLOW, ObservedProperty.PRESSURE),
    StationKind.VISITOR_SPOT: (ObservedProperty.PASSAGES_IN,),
    StationKind.RAIN_GAUGE: (ObservedProperty.PRECIPITATION,),
}

_ALL = FaultRates(**{each.name: 1.0 for each in fields(FaultRates)})


@dataclass(frozen=True, slots=True)
class Lot:
    """What breaks at a place: a kind of fault (None: nothing), of what the model measures first or `of` this."""

    kind: FaultKind | None
    of: ObservedProperty | None = None


def lots(model: str) -> tuple[Lot, ...]:
    """Every way in which a model can break, and none."""
    beside = [Lot(kind, BESIDE[model][0]) for kind in OF_MODEL[model] if model in BESIDE and kind in OF_ONE]
    return (Lot(None), *(Lot(kind) for kind in OF_MODEL[model]), *beside)


@dataclass(frozen=True, slots=True)
class Heard:
    """What is known of n places, arrays of shape (rows, n), nan where no message came.

    `times`: when a value counts, `heard`: when the network heard of it, both s since 1970; `aside`: its clock was
    impossible, so that `times` stands in; `values`: by property. `lots`: of each place; `faults`: those of each.
    `clock`: the model has one; `period`: s between two messages; `months`: of 30 days, in which verdicts count.
    """

    station: Station
    device: Device
    streams: Mapping[ObservedProperty, Datastream]
    clock: bool
    period: float
    months: int
    times: Floats
    heard: Floats
    aside: Flags
    values: Mapping[ObservedProperty, Floats]
    lots: tuple[Lot, ...]
    faults: tuple[tuple[Fault, ...], ...]

    @property
    def judged_from(self) -> float:
        """From here on verdicts count, s since 1970: before it everything is learnt."""
        return (FIRST + 1) * STRETCH


class _Places(Group):
    """Copies of a station of which each has its own lot."""

    def break_as(self, each: Sequence[Lot]) -> None:
        """Say what breaks where."""
        self._lots = tuple(each)
        self._meant = {kind: np.array([lot.kind is kind for lot in each]) for kind in FaultKind}
        self._kept: dict[tuple[FaultKind, int], Plan | None] = {}
        self._said: dict[tuple[FaultKind, int, float], Fault] = {}

    def plan(self, kind: FaultKind, stretch: int) -> Plan | None:
        if stretch <= FIRST or not self._meant[kind].any():
            return None
        if (kind, stretch) not in self._kept:
            made = super().plan(kind, stretch)
            self._kept[kind, stretch] = made and replace(made, there=made.there & self._meant[kind])
        return self._kept[kind, stretch]

    def fault(self, kind: FaultKind, made: Plan, index: int) -> Fault:
        which = (kind, index, float(made.start[index]))
        if which not in self._said:
            beside = self._lots[index].of is not None
            self._said[which] = fault_of(kind, self.device.model, self.key(index), made, index, beside=beside)
        return self._said[which]


def stations(kind: StationKind) -> tuple[Station, ...]:
    """The stations whose copies are simulated: of each kind the first two."""
    return tuple(station for station in town().stations if station.kind is kind and station.devices)[:2]


def simulate(
    station: Station,
    numbers: Sequence[int],
    months: int,
    seed: int,
    *,
    learning: bool = True,
    whole: Sequence[int] = (),
    world: World | None = None,
) -> Heard:
    """What is heard of so many copies of a station for each lot, in 30 days and `months` more with faults.

    `numbers`: of the copies; the same numbers are the same series, whoever else is simulated. `learning`: whether the
    30 days without faults are told as well. `whole`: numbers of copies at which nothing breaks, behind the others;
    `world`: whose weather they have (None: that of the seed).
    """
    device = station.devices[0]
    ways = lots(device.model)
    each = [(number, lot) for number in numbers for lot in ways] + [(number, ways[0]) for number in whole]
    group = _group(station, each, seed, world or _world(seed))
    period, samples = group.period, group.kind.samples
    begins, ends = (FIRST if learning else FIRST + 1) * STRETCH, (FIRST + 1 + months) * STRETCH
    slots = int((ends - begins) // period)
    shape = (slots * samples, len(group.copies))
    times, heard = np.full(shape, np.nan), np.full(shape, np.nan)
    values = {observed: np.full(shape, np.nan) for observed in JUDGED[station.kind]}
    clocked = False
    for slot in range(slots):
        moment = begins + (slot + 1) * period
        batch = group.batch(moment, (), ())
        came = uniforms(group.about, seed, "bench lost", moment)[batch.which] >= LOST
        where = batch.which[came]
        clock, read = reads(device.model, batch.payloads[came])
        clocked |= clock is not None
        for sample in range(samples):
            row, age = slot * samples + sample, (samples - 1 - sample) * period / samples
            heard[row, where] = batch.heard[came] - age
            times[row, where] = heard[row, where] if clock is None else clock - age
            for observed, kept in values.items():
                kept[row, where] = _mapped(device.mapping, observed, read, sample)
    aside = CLOCK.flags(heard.ravel(), times.ravel()).reshape(shape)
    faults: list[tuple[Fault, ...]] = [()] * shape[1]
    for index, fault in group.faults(at(begins), at(ends)):
        faults[index] += (fault,)
    return Heard(
        station,
        device,
        {stream.observed_property: stream for stream in station.datastreams},
        clocked,
        period,
        months,
        np.where(aside, heard, times),
        heard,
        aside,
        values,
        tuple(lot for _, lot in each),
        tuple(faults),
    )


@cache
def town() -> Town:
    """The demo's town."""
    return load_town(path())


@cache
def _world(seed: int) -> World:
    return World(SimulatorConfig("", 0, seed=seed), town(), at(FIRST * STRETCH))


def _group(station: Station, each: Sequence[tuple[int, Lot]], seed: int, world: World) -> _Places:
    """Of each number and lot a copy of its own."""
    device = station.devices[0]
    ways = lots(device.model)
    copies = np.array([1 + number * len(ways) + ways.index(lot) for number, lot in each], dtype=np.int64)
    samples = SAMPLES if device.model == "flow_pressure" else 1
    fed = {line.observed_property for line in device.mapping}
    interval = min(stream.interval for stream in station.datastreams if stream.observed_property in fed)
    quiet = world.blocks.get(station.code)
    group = _Places(
        SimulatorConfig("", 0, seed=seed, faults=_ALL),
        ([each for each in town().stations if each.devices].index(station), 0, station, device),
        MIMAMORI_V1,
        samples * interval.total_seconds(),
        copies,
        kind_of(seed, world, quiet and quiet_block(quiet), station, samples),
        town().bounds,
        (),
        at(FIRST * STRETCH),
    )
    group.lag = 2.0 + 38.0 * uniforms(group.about, seed, "lag")  # as the town's own devices
    group.break_as([lot for _, lot in each])
    return group


# --- payloads, many at once: the same as `devices.codecs` reads them ----------------------------------------


def reads(model: str, payloads: npt.NDArray[np.uint8]) -> tuple[Floats | None, dict[str, Floats]]:
    """What the device's clock says (None: it has none), shape (n,), and its fields, shapes (n, samples)."""
    if model == "radar_level":
        return None, {"distance": _number(payloads, 1, 3, 0xFFFF)[:, None]}
    clock = _number(payloads, 1, 5, None)
    if model == "people_counter":
        return clock, {"passages_in": _number(payloads, 5, 7, 0xFFFF)[:, None]}
    if model == "rain_gauge":  # what it counted in the interval, in steps of the counter
        return clock, {"count": _number(payloads, 8, 9, 0xFF)[:, None]}
    size = 5 * ((payloads.shape[1] - 8) // 5)
    samples = payloads[:, 8 : 8 + size].reshape(-1, 5)
    flow = _number(samples, 0, 3, 0x800000)
    flow = np.where(flow >= 0x800000, flow - 0x1000000, flow) / 100
    shape = (len(payloads), -1)
    return clock, {"flow": flow.reshape(shape), "pressure": _number(samples, 3, 5, 0xFFFF).reshape(shape) / 10}


def _number(payloads: npt.NDArray[np.uint8], first: int, end: int, unknown: int | None) -> Floats:
    """An unsigned number of these bytes, most significant first; nan where it says that it is unknown."""
    found = payloads[:, first:end].astype(np.float64) @ 256.0 ** np.arange(end - first)[::-1]
    return found if unknown is None else np.where(found == unknown, np.nan, found)


def _mapped(
    mapping: Sequence[FieldMapping], observed: ObservedProperty, read: Mapping[str, Any], sample: int
) -> Floats:
    line = {line.observed_property: line for line in mapping}[observed]
    return np.asarray(read[line.field][:, sample] * line.scale + line.offset)
