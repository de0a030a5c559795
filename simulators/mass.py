"""What many devices of one kind measure at once, as arrays: the copies of a town's stations (`simulators.crowd`).

A copy is another place of the same kind under the same weather. Its water is that of the town's own station a little
later and a little less or more high; its rain falls a little later; its block is another size and has bursts of its
own; its spot has its own number of visitors in every period (groups of one to four, as `simulators.visits` has them).
So the town's own `World` is asked once a minute, however many copies there are, and the rest is arithmetic on arrays.

Everything is a pure function of (seed, copy, time); `about` are the copies' numbers for chance.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices.model import FieldMapping, ObservedProperty, Station, StationKind
from simulators.chance import Floats, Keys, normals, poissons, uniforms
from simulators.pipes import Block
from simulators.visits import GROUPS, MEAN_GROUP
from simulators.world import World

Bytes = NDArray[np.uint8]
Mask = NDArray[np.bool_]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTE = 60.0
_REMEMBERED = 1500  # minutes of a curve


def at(seconds: float) -> datetime:
    """Seconds since 1970 as a time."""
    return _EPOCH + timedelta(seconds=float(seconds))


class Curve:
    """A quantity of the town's own station, asked for each minute and remembered; linear between."""

    def __init__(self, read: Callable[[datetime], float]) -> None:
        self._read = read
        self._known: dict[int, float] = {}

    def __call__(self, seconds: Floats) -> Floats:
        first, last = int(seconds.min() // _MINUTE), int(seconds.max() // _MINUTE) + 1
        if len(self._known) > _REMEMBERED:
            self._known = {minute: value for minute, value in self._known.items() if minute >= first - 60}
        for minute in range(first, last + 1):
            if minute not in self._known:
                self._known[minute] = self._read(at(minute * _MINUTE))
        grid = np.array([self._known[minute] for minute in range(first, last + 1)])
        return np.asarray(np.interp(seconds, np.arange(first, last + 1) * _MINUTE, grid))


class Kind:
    """How one of the town's stations is measured at its copies. `properties`: the quantities, the main one first."""

    properties: Sequence[ObservedProperty]
    samples = 1

    def measure(self, about: Keys, slot: float, heard: Floats, period: float) -> Floats:
        """(devices, samples, quantities) about a round time `slot`; `heard` is when each is heard."""
        raise NotImplementedError

    def pack(self, fields: Floats, missing: Mask, clock: NDArray[np.int64], battery: Floats, step: float) -> Bytes:
        """The payloads, (devices, bytes); `fields` as `measure` has them, mapped to the model's fields; `clock`: what
        each device's clock says (s), `battery` in V.
        """
        raise NotImplementedError


class Levels(Kind):
    """River gauges and tanks: one level, by radar."""

    def __init__(self, seed: int, read: Callable[[datetime], float], base: float, spread: tuple[float, float]) -> None:
        self._seed, self._base, self._spread = seed, base, spread
        self._curve = Curve(read)

    def measure(self, about: Keys, slot: float, heard: Floats, period: float) -> Floats:
        least, more = self._spread
        later = 2700.0 * uniforms(about, self._seed, "later")
        share = least + more * uniforms(about, self._seed, "share")
        level = self._base + (self._curve(heard - later) - self._base) * share
        return np.asarray(level + 0.004 * normals(about, self._seed, "ripples", slot))[:, None, None]

    def pack(self, fields: Floats, missing: Mask, clock: NDArray[np.int64], battery: Floats, step: float) -> Bytes:
        distance = np.where(missing, 0xFFFF, np.clip(np.rint(fields[:, 0, 0]), 0, 65534))
        return _packed(len(distance), ("u1", 1), (">u2", distance), ("u1", np.rint(battery / 0.02)), ("u1", 0))


class River(Levels):
    properties = (ObservedProperty.WATER_LEVEL,)


class Tank(Levels):
    properties = (ObservedProperty.TANK_LEVEL,)


class Rain(Kind):
    """Rain gauges: the counter, and what it counted in the interval."""

    properties = (ObservedProperty.PRECIPITATION,)

    def __init__(self, seed: int, counter: Callable[[datetime], tuple[int, int]], tip: float) -> None:
        self._seed, self._tip = seed, tip
        self._restarts = Curve(lambda when: float(counter(when)[0]))
        self._count = Curve(lambda when: float(counter(when)[1]))

    def measure(self, about: Keys, slot: float, heard: Floats, period: float) -> Floats:
        """Here the quantities are (mm counted since the last restart, restarts, tips in the interval)."""
        later = _MINUTE * np.floor(30 * uniforms(about, self._seed, "later"))
        restarts, count = self._counter(about, slot - later)
        restarts_before, before = self._counter(about, slot - later - period)
        tips = np.where(restarts == restarts_before, count - before, count)
        return np.stack([count * self._tip, restarts, tips], axis=1)[:, None, :]

    def _counter(self, about: Keys, seconds: Floats) -> tuple[Floats, Floats]:
        share = 0.7 + 0.6 * uniforms(about, self._seed, "share")
        return self._restarts(seconds), np.floor(self._count(seconds) * share)

    def pack(self, fields: Floats, missing: Mask, clock: NDArray[np.int64], battery: Floats, step: float) -> Bytes:
        count = np.where(missing, 0xFFFF, np.rint(fields[:, 0, 0]) % 65535)
        tips = np.where(missing, 0xFF, np.minimum(fields[:, 0, 2], 254))
        return _packed(
            len(count), ("u1", 1), (">u4", clock), ("u1", fields[:, 0, 1] % 256), (">u2", count), ("u1", tips),
            ("u1", np.rint(battery / 0.02)), ("u1", 0),
        )  # fmt: skip


class Inlets(Kind):
    """Flow and pressure loggers at blocks: of another size each, with bursts of their own."""

    properties = (ObservedProperty.FLOW, ObservedProperty.PRESSURE)

    def __init__(self, seed: int, block: Block, samples: int) -> None:
        self._seed, self._block, self.samples = seed, block, samples
        self._demand = Curve(lambda when: block.state(when).demand)
        self._inflow = Curve(block.drawn)
        self._pressure = Curve(lambda when: block.state(when).pressure)

    def measure(self, about: Keys, slot: float, heard: Floats, period: float) -> Floats:
        step = period / self.samples
        later = 1800.0 * uniforms(about, self._seed, "later")
        size = 0.5 + 1.1 * uniforms(about, self._seed, "size")
        samples = []
        for index in reversed(range(self.samples)):
            when = slot - index * step
            flow = size * self._inflow(when - later)
            noise = 1 + 0.01 * normals(about, self._seed, "meter", when)
            pressure = self._pressure(when - later) + 0.8 * normals(about, self._seed, "gauge", when)
            samples.append(np.stack([flow * noise, pressure], axis=1))
        return np.stack(samples, axis=1)

    def opened(self, when: float, size: float) -> tuple[float, float]:
        """What a burst of a size adds to inflow (m3/h) and pressure (kPa)."""
        block = self._block
        if block.table is None or block.site is None:
            return size, -2.2 * size
        node, demand = block.site.node, float(self._demand(np.array([when]))[0])
        more = block.table.inflow(node, demand, size) - block.table.inflow(node, demand, 0.0)
        return more, block.table.pressure(node, demand, size) - block.table.pressure(node, demand, 0.0)

    def pack(self, fields: Floats, missing: Mask, clock: NDArray[np.int64], battery: Floats, step: float) -> Bytes:
        flows = np.where(missing[:, None], -0x800000, np.clip(np.rint(fields[:, :, 0] / 0.01), -8_000_000, 8_000_000))
        pressures = np.where(missing[:, None], 0xFFFF, np.clip(np.rint(fields[:, :, 1] / 0.1), 0, 65534))
        parts: list[tuple[str, Any]] = [
            ("u1", 1), (">u4", clock), (">u2", step), ("u1", np.rint(battery / 0.02)),
        ]  # fmt: skip
        for index in range(fields.shape[1]):
            parts += [("i24", flows[:, index]), (">u2", pressures[:, index])]
        return _packed(len(clock), *parts)


class Spots(Kind):
    """People counters: a compound Poisson count in every period."""

    properties = (ObservedProperty.PASSAGES_IN, ObservedProperty.PASSAGES_OUT)

    def __init__(self, seed: int, expected: Callable[[datetime, timedelta], float], stay: timedelta) -> None:
        self._seed, self._expected, self._stay = seed, expected, stay

    def measure(self, about: Keys, slot: float, heard: Floats, period: float) -> Floats:
        end, span = at(slot), timedelta(seconds=period)
        share = 0.4 + uniforms(about, self._seed, "share")
        came = self._count(about, share * self._expected(end, span), "in", slot)
        left = self._count(about, share * self._expected(end - self._stay, span), "out", slot)
        return np.stack([came, left], axis=1)[:, None, :]

    def _count(self, about: Keys, means: Floats, way: str, slot: float) -> Floats:
        found = np.zeros(len(about))
        if means.max(initial=0.0) > 0:
            for size, part in enumerate(GROUPS, 1):
                found += size * poissons(means * part / MEAN_GROUP, about, self._seed, way, slot, size)
        return found

    def pack(self, fields: Floats, missing: Mask, clock: NDArray[np.int64], battery: Floats, step: float) -> Bytes:
        came, left = (np.where(missing, 0xFFFF, np.clip(np.rint(fields[:, 0, n]), 0, 65534)) for n in (0, 1))
        return _packed(
            len(came), ("u1", 1), (">u4", clock), (">u2", came), (">u2", left),
            ("u1", np.rint(battery / 0.02)), ("u1", 0),
        )  # fmt: skip


def kind_of(seed: int, world: World, quiet: Block | None, station: Station, samples: int) -> Kind:
    """How the copies of a station are measured. `quiet`: its block without the town's own bursts."""
    code = station.code
    if station.kind is StationKind.RIVER_GAUGE:
        return River(seed, lambda when: world.river.level(code, when), world.river.base(code), (0.75, 0.3))
    if station.kind is StationKind.SERVICE_TANK:
        return Tank(seed, world.tanks[code].level, 0.0, (0.9, 0.1))
    if station.kind is StationKind.RAIN_GAUGE:
        return Rain(seed, world.buckets[code].counter, world.buckets[code].tip)
    if station.kind is StationKind.BLOCK_INLET:
        assert quiet is not None
        return Inlets(seed, quiet, samples)
    spot = world.spots[code]
    return Spots(seed, spot.expected, spot.profile.stay)


def mapped(values: Floats, kind: Kind, mapping: Sequence[FieldMapping]) -> Floats:
    """The quantities as the fields that the town's mapping turns into them."""
    fields = values.copy()
    for index, observed in enumerate(kind.properties):
        for line in mapping:
            if line.observed_property is observed:
                fields[:, :, index] = (values[:, :, index] - line.offset) / line.scale
    return fields


def _packed(devices: int, *parts: tuple[str, Any]) -> Bytes:
    """Big-endian columns side by side; `i24`: the low three bytes of a signed number."""
    columns = []
    for layout, values in parts:
        column = np.broadcast_to(np.asarray(values, dtype=np.float64), (devices,))
        if layout == "i24":
            columns.append(column.astype(">i4").view(np.uint8).reshape(devices, 4)[:, 1:])
        else:
            kind = np.dtype(layout)
            columns.append(column.astype(kind).view(np.uint8).reshape(devices, kind.itemsize))
    return np.concatenate(columns, axis=1)
