"""Devices of one kind, network and period: they wake together, and are measured, broken and heard as arrays.

`Group.batch` is what all of them say about one round time; `Group.frame` makes one frame of it. See `simulators.crowd`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import numpy as np
from numpy.typing import NDArray

from devices.model import Device, Station
from simulators import radio
from simulators.chance import Floats, Keys, normals, uniforms
from simulators.config import SimulatorConfig
from simulators.devices import SAMPLES, session_of
from simulators.faults import OF_MODEL, Fault, FaultKind, Plan, end_of_scale, fault_of, plan, stretch_of, voltage
from simulators.frames import LORAWAN, MIMAMORI_V1, Frame, Reception
from simulators.gateways import gateways
from simulators.interventions import Happening, Intervention
from simulators.mass import Inlets, Kind, Mask, at, mapped
from simulators.networks.mimamori_v1 import in_own_words
from simulators.towns.larger import beside, key_of

VALLEY = 14  # copies with the same gateways
BURST = "burst"
_LONGEST_LAG = 480.0  # s: devices of many makers do not all speak in the same minute
_BURSTS_A_PLAN = 0.25  # of a block, in `simulators.faults.PLANNED`
_NEVER = np.inf


@dataclass(slots=True)
class Batch:
    """What a group says about one round time, in the order in which it is heard; `which` are indices of the group."""

    heard: Floats
    which: NDArray[np.int64]
    counters: NDArray[np.int64]
    payloads: NDArray[np.uint8]
    snr: Floats
    by: Mask
    repeats: NDArray[np.int64]
    held: Floats  # s since 1970; nan: not held back
    taken: int = 0


class Group:
    """All devices of copies that watch the same station of the town, over one network, with one period."""

    def __init__(
        self,
        config: SimulatorConfig,
        member: tuple[int, int, Station, Device],
        network: str,
        period: float,
        copies: NDArray[np.int64],
        kind: Kind,
        bounds: tuple[float, float, float, float],
        hills: Sequence[float],
        first: datetime,
    ) -> None:
        position, n, self.station, self.device = member
        self.position, self.n = position, n
        self.network, self.period, self.kind = network, period, kind
        self._config, self._first = config, first
        self.copies = copies
        self.about: Keys = (copies * 4096 + position * 8 + n).astype(np.uint64)
        seed = config.seed
        self.lag = 2.0 + (min(0.8 * period, _LONGEST_LAG) - 2.0) * uniforms(self.about, seed, "lag")
        self.counters = np.zeros(len(copies), dtype=np.int64)
        self.valleys = copies // VALLEY
        self.fresh = 3.62 - 0.5 * uniforms(self.about, seed, "battery") ** 4
        self.links: radio.Links | None = None
        if network in LORAWAN:
            slowest = radio.slowest_for(8 + 5 * SAMPLES if self.device.model == "flow_pressure" else 11)
            west, south, east, north = bounds
            places = [
                (
                    beside(self.station.longitude, west, east, self.station.code, int(copy), "longitude"),
                    beside(self.station.latitude, south, north, self.station.code, int(copy), "latitude"),
                )
                for copy in copies
            ]
            longitude, latitude = np.array(places).T
            self.links = radio.links(
                self.about, longitude, latitude, gateways(), np.full(len(copies), slowest, dtype=np.int8), hills
            )
        self._plans: dict[tuple[str, int], Plan] = {}
        self._silenced: tuple[tuple[int, Intervention], ...] = ()

    def key(self, index: int) -> str:
        return key_of(self.network, int(self.copies[index]), self.position, self.n)

    def code(self, index: int) -> str:
        return f"{self.station.code}-{int(self.copies[index]) + 1}"

    def name(self, index: int) -> str:
        return f"{self.station.name}{int(self.copies[index]) + 1}"

    def intervene(self, interventions: Sequence[Intervention]) -> None:
        """Notes which of these devices somebody has stopped."""
        found = []
        for each in interventions:
            if each.happening is Happening.SILENCE and each.target is not None:
                found += [(int(index), each) for index in self._indices(each.target)]
        self._silenced = tuple(found)

    def _indices(self, key: str) -> NDArray[np.int64]:
        digits = [part for part in key.split("-")[1:2] if part.isdecimal()]
        if self.network in LORAWAN and len(key) == 16:
            digits = [str(int(key[4:10], 16))]
        for copy in digits:
            index = np.flatnonzero(self.copies == int(copy))
            if len(index) and self.key(int(index[0])) == key:
                return index
        return np.array([], dtype=np.int64)

    def plan(self, kind: FaultKind, stretch: int) -> Plan | None:
        """Which of the devices have a fault in a stretch; None: none of them can."""
        chance = float(getattr(self._config.breaks, kind.value))
        if not chance or kind not in OF_MODEL[self.device.model]:
            return None
        key = (kind.value, stretch)
        if key not in self._plans:
            self._plans = {each: kept for each, kept in self._plans.items() if each[1] >= stretch - 1}
            self._plans[key] = plan(kind, chance, self._config.seed, self.about, stretch)
        return self._plans[key]

    def bursts(self, stretch: int) -> Plan | None:
        """The bursts of the blocks themselves."""
        if not isinstance(self.kind, Inlets):
            return None
        key = (BURST, stretch)
        if key not in self._plans:
            self._plans = {each: kept for each, kept in self._plans.items() if each[1] >= stretch - 1}
            # as long as a gateway is out of order, at most; its size is drawn as that of any fault
            self._plans[key] = plan(FaultKind.STUCK, _BURSTS_A_PLAN, self._config.seed + 7, self.about, stretch)
        return self._plans[key]

    def faults(self, first: datetime, last: datetime) -> Iterator[tuple[int, Fault]]:
        """Those that last at some time in [first, last), with the index of the device."""
        for stretch in range(stretch_of(first), stretch_of(last) + 1):
            for kind in OF_MODEL[self.device.model]:
                made = self.plan(kind, stretch)
                if made is None:
                    continue
                for index in lasting(made, first.timestamp(), last.timestamp()):
                    yield int(index), self.fault(kind, made, int(index))

    def fault(self, kind: FaultKind, made: Plan, index: int) -> Fault:
        """The planned fault of one device."""
        return fault_of(kind, self.device.model, self.key(index), made, index)

    def batch(self, slot: float, broken: Sequence[Fault], held: Sequence[Fault]) -> Batch:
        """What the group says about a round time; `broken` are gateways out of order, `held` those that are cut off and
        the mobile network.
        """
        seed, about = self._config.seed, self.about
        heard = slot + self.lag + 0.9 * uniforms(about, seed, "jitter", slot)
        battery = self.fresh.copy()
        values = self.kind.measure(about, slot, heard, self.period)
        clock = np.full(len(about), int(slot), dtype=np.int64)
        silent = np.zeros(len(about), dtype=bool)
        for index, intervention in self._silenced:
            silent[index] |= intervention.covers(at(heard[index]))
        self._break(slot, heard, values, clock, battery, silent)
        missing = uniforms(about, seed, "unmeasured", slot) < self._config.impairments.unmeasured
        payloads = self.kind.pack(
            mapped(values, self.kind, self.device.mapping), missing, clock, battery, self.period / self.kind.samples
        )
        speaking = np.flatnonzero(~silent)
        order = speaking[np.argsort(heard[speaking], kind="stable")]
        counters = self.counters[order].copy()
        self.counters[order] += 1
        snr, by, repeats, until = self._heard(order, heard[order], slot, broken, held)
        return Batch(heard[order], order, counters, payloads[order], snr, by, repeats, until)

    def _heard(
        self, which: NDArray[np.int64], heard: Floats, slot: float, broken: Sequence[Fault], held: Sequence[Fault]
    ) -> tuple[Floats, Mask, NDArray[np.int64], Floats]:
        number = len(gateways())
        until = np.full(len(which), np.nan)
        if self.links is None:
            if self.network == MIMAMORI_V1:
                for fault in (each for each in held if each.kind is FaultKind.CARRIER):
                    until[_during(fault, heard)] = np.nan if fault.end is None else fault.end.timestamp()
            empty = np.zeros((len(which), 0))
            return empty, empty.astype(bool), np.zeros(len(which), dtype=np.int64), until
        down = _out_of_order(self.valleys[which], heard, broken, number)
        snr, by, repeats = radio.heard(
            self.links, which, self.about[which], self._config.impairments.fading, down, self._config.seed, slot
        )
        held = [fault for fault in held if fault.gateway is not None]
        if held:
            cut = _out_of_order(self.valleys[which], heard, held, number)
            kept = by & cut
            only: Mask = np.asarray(kept.any(axis=1) & ~(by & ~cut).any(axis=1))
            for fault in held:
                assert fault.end is not None
                behind = _out_of_order(self.valleys[which], heard, [fault], number).any(axis=1)
                until[only & behind] = fault.end.timestamp()
            by = np.where(only[:, None], by, by & ~cut)
        return snr, by, repeats, until

    def _break(
        self, slot: float, heard: Floats, values: Floats, clock: NDArray[np.int64], battery: Floats, silent: Mask
    ) -> None:
        """Puts the faults into what was measured."""
        first, last = slot - self.period, slot + self.period
        made = self.bursts(stretch_of(at(slot)))
        if made is not None and isinstance(self.kind, Inlets):
            for index in lasting(made, slot - self.period, slot):
                flow, pressure = self.kind.opened(slot, burst_size(float(made.size[index])))
                steps = slot - self.period / self.kind.samples * np.arange(self.kind.samples)[::-1]
                open_ = (steps >= made.start[index]) & (steps < made.end[index])
                values[index, open_, 0] += flow
                values[index, open_, 1] += pressure
        for index, fault in self.faults(at(first), at(last)):
            when = at(heard[index]) if self.device.model == "radar_level" else at(slot)
            silent[index] |= fault.silences(at(heard[index]))
            column = next((n for n, each in enumerate(self.kind.properties) if fault.hits(each)), 0)
            if fault.kind is FaultKind.SPIKE:
                if at(when.timestamp() - self.period) < fault.start <= when:
                    values[index, -1, column] += fault.number("by")
            elif not fault.covers(when):
                continue
            elif fault.kind is FaultKind.STUCK:
                before = fault.start.timestamp() // self.period * self.period
                one = np.array([index])
                then = self.kind.measure(self.about[one], before, before + self.lag[one], self.period)
                values[index] = then[0, -1]
                if self.device.model == "rain_gauge":
                    values[index, 0, 2] = 0.0
            elif fault.kind is FaultKind.CLOCK:
                clock[index] += round(fault.number("a_day") * fault.days(when))
            elif fault.kind is FaultKind.BATTERY:
                battery[index] = voltage(24 * fault.days(when) / fault.number("silent_after_hours"))
            elif fault.kind is FaultKind.RANGE:
                values[index, :, column] = end_of_scale(self.kind.properties[column], self.device.mapping)
            else:
                for sample in range(self.kind.samples):
                    values[index, sample, column] += fault.off(when, partial(self._deviate, index, slot, sample))

    def _deviate(self, index: int, slot: float, sample: int) -> float:
        """A standard normal deviate of one device and sample."""
        return float(normals(self.about[index : index + 1], self._config.seed, "trembles", slot, sample)[0])

    def frame(self, batch: Batch, number: int) -> Frame:
        """The so-manieth frame of a batch."""
        index = int(batch.which[number])
        key = self.key(index)
        heard = at(batch.heard[number])
        receptions: tuple[Reception, ...] = ()
        factor = 10
        if self.links is not None:
            factor = int(self.links.spreading_factor[index])
            valley = f"6d696d61{int(self.valleys[index]):06x}"
            found = [
                radio.reported(f"{valley}{gateway:02x}", float(batch.snr[number, gateway]))
                for gateway in np.flatnonzero(batch.by[number])
            ]
            receptions = tuple(sorted(found, key=lambda each: (-each.rssi, each.gateway)))
        elif self.network != MIMAMORI_V1:
            receptions = radio.by_base_stations(self._config.seed, key, self._config.impairments.fading, heard)
        until = float(batch.held[number])
        frame = Frame(
            key,
            self.name(index),
            self.device.model,
            session_of(self._config.seed, key, self._first, self.network),
            heard,
            "up",
            int(batch.counters[number]),
            batch.payloads[number].tobytes(),
            self.network,
            receptions,
            factor,
            int(batch.repeats[number]),
            None if np.isnan(until) else at(until),
        )
        return in_own_words(frame) if self.network == MIMAMORI_V1 else frame


def _out_of_order(valleys: NDArray[np.int64], heard: Floats, faults: Sequence[Fault], gateways: int) -> Mask:
    """(devices, gateways): which of its valley's gateways are out of order when each device is heard."""
    found = np.zeros((len(valleys), gateways), dtype=bool)
    for fault in faults:
        assert fault.gateway is not None
        valley, gateway = int(fault.gateway[8:14], 16), int(fault.gateway[14:], 16)
        found[(valleys == valley) & _during(fault, heard), gateway] = True
    return found


def _during(fault: Fault, heard: Floats) -> Mask:
    until = _NEVER if fault.end is None else fault.end.timestamp()
    return np.asarray((heard >= fault.start.timestamp()) & (heard < until))


def lasting(made: Plan, first: float, last: float) -> NDArray[np.int64]:
    return np.flatnonzero(made.there & (made.start < last) & (np.maximum(made.end, made.start + 1) > first))


def burst_size(size: float) -> float:
    """m3/h, from the drawn number (0.5 to 1, of either sign)."""
    return 4.0 + 32.0 * (abs(size) - 0.5)
