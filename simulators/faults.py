"""What goes wrong with devices and gateways, as data: planned beforehand, by chance, and written to the truth file.

    stuck       a sensor goes on reporting the value that it had at `from`
    drift       its value moves away by `a_day` (in the unit of the property) every day, until it is put right
    spike       one value is off by `by`
    clock       the device's clock gains `a_day` seconds every day, until it is set
    battery     the voltage sinks faster and faster from `from` on, the device is silent from `silent_from` until `to`
    step        its zero is shifted: every value is off by `by` from `from` to `to`
    noise       it trembles: each value is off by a normal deviate with the standard deviation `by`
    range       it says the end of its scale, as with a broken cable or without an echo
    vandalism   somebody bends the sensor away: its value jumps by `by`; from `silent_from` on nothing comes at all
    gateway     a gateway is out of order: what only it would hear is lost
    outage      the way from a gateway to its network is broken: what it hears comes in one batch when it is mended
    carrier     the mobile network is out of order: senders with a SIM card keep what they have and send it afterwards;
                never by chance, only by a scenario

What it measures first is hit, or, where the truth says `of`, that property.

A stretch of `PLANNED` holds at most one fault of each kind for each device or gateway, with the chance that
`FaultRates` says; it is a pure function of (seed, device, kind, stretch), so that a run can be repeated and a restart
changes nothing. Each kind is drawn by itself: what else can go wrong shifts nothing.
Which kinds a device can have follows from its model: what has no clock cannot lose it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from types import MappingProxyType

import numpy as np

from devices.model import FieldMapping, ObservedProperty
from simulators.chance import Floats, Keys, uniforms
from simulators.errors import SimulatorError

PLANNED = timedelta(days=30)
DAY = timedelta(days=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FRESH, _EMPTY = 3.62, 2.9  # V


class FaultKind(StrEnum):
    """What can go wrong."""

    STUCK = "stuck"
    DRIFT = "drift"
    SPIKE = "spike"
    CLOCK = "clock"
    BATTERY = "battery"
    STEP = "step"
    NOISE = "noise"
    RANGE = "range"
    VANDALISM = "vandalism"
    GATEWAY = "gateway"
    OUTAGE = "outage"
    CARRIER = "carrier"


# Of a device, by its model: what is measured without a clock of its own, what counts, ...
OF_MODEL: Mapping[str, tuple[FaultKind, ...]] = MappingProxyType(
    {
        "radar_level": (
            FaultKind.STUCK, FaultKind.DRIFT, FaultKind.SPIKE, FaultKind.BATTERY, FaultKind.VANDALISM,
            FaultKind.STEP, FaultKind.NOISE, FaultKind.RANGE,
        ),
        "flow_pressure": (
            FaultKind.STUCK, FaultKind.DRIFT, FaultKind.SPIKE, FaultKind.CLOCK, FaultKind.BATTERY,
            FaultKind.STEP, FaultKind.NOISE, FaultKind.RANGE,
        ),
        "people_counter": (
            FaultKind.STUCK, FaultKind.SPIKE, FaultKind.CLOCK, FaultKind.BATTERY, FaultKind.RANGE,
        ),
        "rain_gauge": (FaultKind.STUCK, FaultKind.CLOCK, FaultKind.BATTERY),
    }
)  # fmt: skip
OF_GATEWAY = (FaultKind.GATEWAY, FaultKind.OUTAGE)
# How large a spike, a jump or a day's drift is, at most and at least half of it, in the unit of what the model
# measures.
SIZES: Mapping[str, float] = MappingProxyType(
    {"radar_level": 1.2, "flow_pressure": 30.0, "people_counter": 400.0, "rain_gauge": 0.0}
)
# What a model measures beside that, and how large faults of it are: half of some kinds hit it.
BESIDE: Mapping[str, tuple[ObservedProperty, float]] = MappingProxyType(
    {"flow_pressure": (ObservedProperty.PRESSURE, 120.0)}
)
# What a model measures first, whatever its station: that is hit where nothing else is said.
_FIRST = frozenset(
    {ObservedProperty.WATER_LEVEL, ObservedProperty.TANK_LEVEL, ObservedProperty.FLOW, ObservedProperty.PASSAGES_IN}
)
OF_ONE = (FaultKind.DRIFT, FaultKind.SPIKE, FaultKind.STEP, FaultKind.NOISE, FaultKind.RANGE)
_OF_EITHER = (FaultKind.STEP, FaultKind.NOISE, FaultKind.RANGE)
_DAILY_DRIFT, _SHIFT, _TREMBLING = 0.15, 0.5, 0.1  # of these sizes
# The end of a sensor's scale, by the field of the model.
_END: Mapping[str, float] = MappingProxyType(
    {"distance": 65534.0, "flow": 80_000.0, "pressure": 6553.4, "passages_in": 65534.0}
)


@dataclass(frozen=True, slots=True)
class FaultRates:
    """How many of each kind a device (`gateway`, `outage`: a gateway) has in `PLANNED`, at most 1."""

    stuck: float = 0.0
    drift: float = 0.0
    spike: float = 0.0
    clock: float = 0.0
    battery: float = 0.0
    vandalism: float = 0.0
    gateway: float = 0.0
    outage: float = 0.0
    step: float = 0.0
    noise: float = 0.0
    range: float = 0.0

    def __post_init__(self) -> None:
        for each in fields(self):
            if not 0 <= getattr(self, each.name) <= 1:
                raise SimulatorError(f"fault rates: {each.name} must be between 0 and 1 in {PLANNED.days} days")

    def times(self, factor: float) -> FaultRates:
        """So many times as often, at most one of each kind for each device."""
        if not 0 <= factor <= 10_000:
            raise SimulatorError(f"faults can be 0 to 10000 times as often as usual, not {factor:g}")
        return FaultRates(**{each.name: min(1.0, factor * getattr(self, each.name)) for each in fields(self)})


NO_FAULTS = FaultRates()
# What a town of cheap devices in the open has to live with.
USUAL = FaultRates(
    stuck=0.02, drift=0.02, spike=0.2, clock=0.03, battery=0.03, vandalism=0.01, gateway=0.3, outage=0.5,
    step=0.01, noise=0.02, range=0.01,
)  # fmt: skip

# How long each kind lasts, hours: at least, and so much more at most.
_LASTS: Mapping[FaultKind, tuple[float, float]] = MappingProxyType(
    {
        FaultKind.STUCK: (8, 64),
        FaultKind.DRIFT: (96, 240),
        FaultKind.SPIKE: (0, 0),
        FaultKind.CLOCK: (240, 240),
        FaultKind.BATTERY: (96, 240),
        FaultKind.VANDALISM: (12, 60),
        FaultKind.GATEWAY: (2, 10),
        FaultKind.OUTAGE: (1, 5),
        FaultKind.STEP: (72, 240),
        FaultKind.NOISE: (24, 120),
        FaultKind.RANGE: (2, 22),
    }
)


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault, from `start` (inclusive) to `end` (exclusive; None: without end).

    `device` is the key of a device, `gateway` that of a gateway, both None where the mobile network is meant.
    """

    kind: FaultKind
    start: datetime
    end: datetime | None
    device: str | None = None
    gateway: str | None = None
    parameters: Mapping[str, float | str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.end is not None and not self.start < self.end:
            raise SimulatorError(f"{self.kind}: it ends at {self.end}, before it starts at {self.start}")

    def covers(self, at: datetime) -> bool:
        return self.start <= at and (self.end is None or at < self.end)

    def days(self, at: datetime) -> float:
        """Days since it began."""
        return (at - self.start) / DAY

    def number(self, name: str) -> float:
        """A parameter that is a number."""
        return float(self.parameters[name])

    def hits(self, observed: ObservedProperty) -> bool:
        """Whether this property is off because of it, if any is."""
        return observed.value == self.parameters["of"] if "of" in self.parameters else observed in _FIRST

    def off(self, at: datetime, deviate: Callable[[], float]) -> float:
        """How far the value at a time is off while it lasts; `deviate` gives a standard normal deviate of that time."""
        if self.kind is FaultKind.DRIFT:
            return self.number("a_day") * self.days(at)
        if self.kind in (FaultKind.STEP, FaultKind.VANDALISM):
            return self.number("by")
        return self.number("by") * deviate() if self.kind is FaultKind.NOISE else 0.0

    def silences(self, at: datetime) -> bool:
        """Whether the device says nothing because of it."""
        return "silent_after_hours" in self.parameters and self.covers(at) and at >= self.silent_from

    @property
    def silent_from(self) -> datetime:
        return self.start + timedelta(hours=self.number("silent_after_hours"))


def end_of_scale(observed: ObservedProperty, mapping: Sequence[FieldMapping]) -> float:
    """What a town with this mapping makes of the farthest that the sensor can say. KeyError where it is not mapped.

    >>> hung_at_6_20 = FieldMapping("distance", ObservedProperty.WATER_LEVEL, -0.001, 6.20)
    >>> end_of_scale(ObservedProperty.WATER_LEVEL, [hung_at_6_20])
    -59.334
    """
    line = {line.observed_property: line for line in mapping}[observed]
    return _END[line.field] * line.scale + line.offset


def voltage(share: float) -> float:
    """How far a dying lithium cell (Li-SOCl2) has sunk, V, when a share (0 to 1) of its last days is over.

    >>> voltage(0.0), round(voltage(0.5), 2), voltage(1.0)
    (3.62, 3.53, 2.9)
    """
    return _FRESH - (_FRESH - _EMPTY) * min(1.0, max(0.0, share)) ** 3


@dataclass(frozen=True, slots=True)
class Plan:
    """Of one kind in one stretch: for each device whether it has the fault, from and to when (s since 1970), how much
    (a number between -1 and 1, at least 0.5 away from 0), and whether it hits what is measured beside the first.
    """

    there: np.ndarray[tuple[int], np.dtype[np.bool_]]
    start: Floats
    end: Floats
    size: Floats
    beside: np.ndarray[tuple[int], np.dtype[np.bool_]]


def plan(kind: FaultKind, chance: float, seed: int, about: Keys, stretch: int) -> Plan:
    """The faults of one kind of many devices in a stretch of `PLANNED`. A fault lies within its stretch."""
    span = PLANNED.total_seconds()
    least, more = _LASTS[kind]
    lasts = 3600 * (least + more * uniforms(about, seed, kind, "lasts", stretch))
    begins = stretch * span + uniforms(about, seed, kind, "from", stretch) * (span - lasts)
    sign = np.where(uniforms(about, seed, kind, "sign", stretch) < 0.5, -1.0, 1.0)
    return Plan(
        uniforms(about, seed, kind, "there", stretch) < chance,
        np.floor(begins),
        np.floor(begins + lasts),
        sign * (0.5 + 0.5 * uniforms(about, seed, kind, "size", stretch)),
        (uniforms(about, seed, kind, "of", stretch) < 0.5) & (kind in _OF_EITHER),
    )


def stretch_of(at: datetime) -> int:
    return (at - _EPOCH) // PLANNED


def fault_of(
    kind: FaultKind, model: str, device: str | None, made: Plan, index: int, *, beside: bool | None = None
) -> Fault:
    """The planned fault of one device in words: `model` is its model, empty for a gateway (whose key `device` then is).

    `beside`: whether it hits what the model measures beside the first; None: as planned.
    """
    start, end, size = (float(each[index]) for each in (made.start, made.end, made.size))
    begins = _EPOCH + timedelta(seconds=start)
    ends = _EPOCH + timedelta(seconds=max(end, start + 1))
    if kind in OF_GATEWAY:
        return Fault(kind, begins, ends, gateway=device)
    largest = SIZES.get(model, 0.0)
    parameters: dict[str, float | str] = {}
    if model in BESIDE and kind in OF_ONE and (bool(made.beside[index]) if beside is None else beside):
        observed, largest = BESIDE[model]
        parameters["of"] = observed.value
    if kind is FaultKind.DRIFT:
        parameters["a_day"] = round(_DAILY_DRIFT * largest * size, 4)
    elif kind is FaultKind.SPIKE:
        parameters["by"] = round(largest * abs(size), 3)
    elif kind is FaultKind.STEP:
        parameters["by"] = round(_SHIFT * largest * size, 3)
    elif kind is FaultKind.NOISE:
        parameters["by"] = round(_TREMBLING * largest * abs(size), 4)
    elif kind is FaultKind.CLOCK:
        parameters["a_day"] = round(120 * size, 1)
    elif kind is FaultKind.BATTERY:
        parameters["silent_after_hours"] = round((end - start) / 3600 * 0.8, 2)
    elif kind is FaultKind.VANDALISM:
        parameters["by"] = round(largest * size, 3)
        parameters["silent_after_hours"] = round((end - start) / 3600 * (0.3 + 0.4 * abs(size)), 2)
    return Fault(kind, begins, ends, device=device, parameters=parameters)


class Faults:
    """Those of a few devices and gateways, asked for one at a time; `set_off` are those that nobody planned by chance.

    `models`: the model of each device by its key; `gateways`: their keys.
    """

    def __init__(
        self,
        seed: int,
        rates: FaultRates,
        models: Mapping[str, str],
        gateways: Sequence[str],
        set_off: Sequence[Fault] = (),
    ) -> None:
        self._seed, self._rates = seed, rates
        self._models, self._gateways = dict(models), tuple(gateways)
        self._set_off = tuple(set_off)
        self._stretches: dict[int, dict[str, tuple[Fault, ...]]] = {}
        self._of: dict[str, tuple[Fault, ...]] = {}
        for each in self._set_off:
            name = each.device or each.gateway or ""
            self._of[name] = (*self._of.get(name, ()), each)
        self._none = rates == NO_FAULTS

    def of(self, name: str, at: datetime) -> tuple[Fault, ...]:
        """The faults of a device or gateway ("": of the mobile network) that last at a time."""
        known = self._of.get(name, ())
        if not self._none:
            known += self._planned(stretch_of(at)).get(name, ())
        return tuple(each for each in known if each.covers(at)) if known else ()

    def one(self, kind: FaultKind, name: str, at: datetime) -> Fault | None:
        return next((each for each in self.of(name, at) if each.kind is kind), None)

    def spike(self, device: str, after: datetime, until: datetime) -> Fault | None:
        """The spike that hits the first value measured after its time: the one at `until`, if `after` was before."""
        known = self._of.get(device, ())
        if not self._none:
            for stretch in {stretch_of(after), stretch_of(until)}:
                known += self._planned(stretch).get(device, ())
        return next((each for each in known if each.kind is FaultKind.SPIKE and after < each.start <= until), None)

    def between(self, first: datetime, last: datetime) -> list[Fault]:
        """All that last at some time in [first, last), the earliest first."""
        found = list(self._set_off)
        if not self._none:
            for stretch in range(stretch_of(first), stretch_of(last) + 1):
                found += [each for some in self._planned(stretch).values() for each in some]
        return sorted(
            (each for each in found if each.start < last and (each.end is None or each.end > first)),
            key=lambda each: (each.start, each.kind, each.device or each.gateway or ""),
        )

    def _planned(self, stretch: int) -> Mapping[str, tuple[Fault, ...]]:
        if stretch not in self._stretches:
            if len(self._stretches) >= 16:
                self._stretches.clear()
            found: dict[str, tuple[Fault, ...]] = {}
            for each in planned(self._seed, self._rates, self._models, self._gateways, stretch):
                name = each.device or each.gateway or ""
                found[name] = (*found.get(name, ()), each)
            self._stretches[stretch] = found
        return self._stretches[stretch]


def planned(
    seed: int, rates: FaultRates, models: Mapping[str, str], gateways: Sequence[str], stretch: int
) -> list[Fault]:
    """All faults of a stretch, in no order."""
    from simulators.chance import keys

    found = []
    for kind in (*dict.fromkeys(kind for kinds in OF_MODEL.values() for kind in kinds), *OF_GATEWAY):
        chance = float(getattr(rates, kind.value))
        if not chance:
            continue
        names = list(gateways) if kind in OF_GATEWAY else [k for k, m in models.items() if kind in OF_MODEL.get(m, ())]
        if not names:
            continue
        made = plan(kind, chance, seed, keys(names), stretch)
        for index in np.flatnonzero(made.there):
            name = names[int(index)]
            found.append(fault_of(kind, models.get(name, ""), name, made, int(index)))
    return found
