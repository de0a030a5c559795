"""One distribution block: what flows in, at what pressure, and what leaks out of its pipes.

Inflow = what people draw + what leaks. People draw by the hour, more at weekends, in summer and while there is a
festival. Leaks answer the pressure, L = L0 (p / p0)^N1 (FAVAD; N1 = 1, that of a town's mixed pipes): the background
leakage, which never sleeps; a burst every fourth day from the scenario's origin on, which opens within a quarter of an
hour and runs until it is repaired more than a day later, so that at least one night shows it. Pressure at the inlet is
the reservoir's head less the loss in the trunk main, which grows with flow^1.852 (Hazen-Williams), less the burst's own
draw-down. A leak is at a node of the network, where it has one: there the pressure is that of the inlet, more by what
the node lies lower, less by the loss on the way.

A block whose network has been solved (`simulators.hydraulics`: EPANET) has inflow and pressure from there instead. In
such a one there is a night user as well: the harbour's ice plant, which draws from eleven in the evening of working
days on.

Three scenarios are about the block. `leak`: half an hour after the origin a leak of 3 to 5 m3/h opens and stays, so
that every night shows it; nothing else bursts. `burst`: half an hour after the origin, and every third day again, a
burst of 18 to 24 m3/h that is repaired after six hours. `valve`: half an hour after it, and every third day again, the
valve at the inlet is half shut for eight hours, for works. Sizes are those at the usual pressure.

Every value is a pure function of (seed, scenario, origin, interventions, time). Works badly for: pumps in the block,
demand that depends on pressure.

Source: J. May, "Pressure dependent leakage", World Water and Environmental Engineering (October 1994).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import lru_cache
from math import pow
from zoneinfo import ZoneInfo

import jpholiday

from simulators.chance import normal, uniform
from simulators.config import Scenario
from simulators.hydraulics import Table
from simulators.network import Site
from simulators.visits import FESTIVAL_EVERY, FESTIVAL_LASTS
from simulators.weather import STORM_EVERY

BURST_EVERY = timedelta(hours=96)
BACKGROUND_LEAKAGE = 4.0  # m3/h
FIRST_EVENT = timedelta(minutes=30)  # after the origin, in the scenarios that are about this block
GREAT_BURST_EVERY, GREAT_BURST_LASTS = timedelta(hours=72), timedelta(hours=6)
OPENED_BURST = 22.0  # m3/h, of a burst that somebody sets off
OPENING = timedelta(minutes=5)
VALVE_SHUT_EVERY, VALVE_SHUT_LASTS = timedelta(hours=72), timedelta(hours=8)
NIGHT_USER = 2.5  # m3/h, from 23:00 to 01:30
SCOURED = (timedelta(hours=3.5), timedelta(hours=10.5))  # from and to how long after the beginning of a storm

_MEAN_DEMAND = 26.0  # m3/h, a block of about 2,500 people
_DEMAND_BY_HOUR = (0.30, 0.18, 0.12, 0.12, 0.22, 0.60, 1.45, 1.85, 1.60, 1.30, 1.15, 1.10,
                   1.20, 1.05, 0.95, 0.95, 1.05, 1.30, 1.65, 1.80, 1.60, 1.35, 0.95, 0.55)  # fmt: skip
_STATIC_PRESSURE = 460.0  # kPa, with no flow
_FRICTION = 0.042  # kPa/(m3/h)^1.852
_SEASON = (0.97, 0.97, 0.98, 0.99, 1.00, 1.00, 1.05, 1.07, 1.03, 1.00, 0.97, 0.97)  # by month
_GUESTS = 0.10  # more while there is a festival
_DRAWDOWN = 2.2  # kPa/(m3/h) of a burst, in the pipes beside it
N1 = 1.0
_USUAL_PRESSURE = 380.0  # kPa, at which a leak has its size
_LOSS = 9.81 * 10.67 / (110**1.852 * 0.15**4.87 * 3600**1.852)  # kPa/m/(m3/h)^1.852: a 150 mm pipe, Hazen-Williams 110
_ROUNDS = 4
_REMEMBERED = 4096  # states: a tank and a meter ask for the same times


Opening = tuple[datetime, datetime, float]  # from, to, m3/h at the usual pressure


@dataclass(frozen=True, slots=True)
class State:
    """What is truly there: inflow, m3/h, pressure at the inlet, kPa, and of the inflow what is drawn and what leaks."""

    inflow: float
    pressure: float
    demand: float
    leakage: float


@dataclass(frozen=True, slots=True)
class Block:
    """The inlet of one block (`code` keeps two blocks of a town apart)."""

    seed: int
    origin: datetime
    timezone: ZoneInfo
    code: str
    opened: tuple[tuple[datetime, datetime], ...] = ()  # bursts that no scenario knows: from, to
    scenario: Scenario = Scenario.NORMAL
    opened_size: float = OPENED_BURST  # m3/h, of each of them
    festivals: tuple[tuple[datetime, datetime], ...] = ()  # from, to: as of the visitor spots (`simulators.visits`)
    festival_from: datetime | None = None
    site: Site | None = None  # where leak and burst are, None: beside the inlet
    table: Table | None = None  # the solved network; it needs the site
    _known: dict[datetime, State] = field(default_factory=dict, init=False, compare=False, repr=False)
    scoured_from: datetime | None = None  # a storm's start: its flood bares a main, and after each later one again

    def flow(self, at: datetime) -> float:
        """Inflow, m3/h, with the meter's noise."""
        return self.drawn(at) * (1 + 0.01 * normal(self.seed, self.code, "meter", at.timestamp()))

    def pressure(self, at: datetime) -> float:
        """Pressure at the inlet, kPa, with the gauge's noise."""
        return self.state(at).pressure + 0.8 * normal(self.seed, self.code, "gauge", at.timestamp())

    def burst(self, at: datetime) -> float:
        """What burst pipes let out, m3/h; 0 while there is none."""
        return (
            self._scheduled(at)
            + self._scoured(at)
            + sum(
                self.opened_size * min(1.0, (at - start) / OPENING) for start, end in self.opened if start <= at < end
            )
        )

    def _scoured(self, at: datetime) -> float:
        """What comes out of the main at the bridge that the flood has bared."""
        if self.scoured_from is None or at < self.scoured_from:
            return 0.0
        since = (at - self.scoured_from) % STORM_EVERY
        if not SCOURED[0] <= since < SCOURED[1]:
            return 0.0
        return OPENED_BURST * min(1.0, (since - SCOURED[0]) / OPENING)

    def _great_burst(self, at: datetime) -> float:
        n, since = divmod(at - self.origin - FIRST_EVENT, GREAT_BURST_EVERY)
        if n < 0 or since >= GREAT_BURST_LASTS:
            return 0.0
        return self._great_size(n) * min(1.0, since / OPENING)

    def _great_size(self, n: int) -> float:
        return 18.0 + 6.0 * uniform(self.seed, self.code, "great burst", n)

    def leak(self, at: datetime) -> float:
        """What the scenario's leak lets out besides, m3/h; 0 while there is none."""
        since = at - self.origin - FIRST_EVENT
        if self.scenario is not Scenario.LEAK or since < timedelta(0):
            return 0.0
        return self.leak_size * min(1.0, since / timedelta(hours=2))

    @property
    def leak_size(self) -> float:
        """Of the scenario's leak, m3/h."""
        return 3.0 + 2.0 * uniform(self.seed, self.code, "leak")

    def _scheduled(self, at: datetime) -> float:
        if self.scenario in (Scenario.LEAK, Scenario.VALVE):
            return 0.0
        if self.scenario is Scenario.BURST:
            return self._great_burst(at)
        n = (at - self.origin) // BURST_EVERY
        if n < 0:
            return 0.0
        start, end, size = self._nth_burst(n)
        if not start <= at < end:
            return 0.0
        return size * min(1.0, (at - start) / timedelta(minutes=15))

    def _nth_burst(self, n: int) -> Opening:
        hours = 26 + 14 * uniform(self.seed, self.code, "burst starts", n)
        start = self.origin + n * BURST_EVERY + timedelta(hours=hours)
        lasts = timedelta(hours=26 + 8 * uniform(self.seed, self.code, "burst lasts", n))
        return start, start + lasts, 8.0 + 6.0 * uniform(self.seed, self.code, "burst", n)

    def bursts(self, first: datetime, last: datetime) -> list[Opening]:
        """The bursts that run at some time in [first, last)."""
        found = [(start, end, self.opened_size) for start, end in self.opened]
        every = min(
            BURST_EVERY, GREAT_BURST_EVERY, STORM_EVERY
        )  # so none is left out; what is too early or late is sorted out
        numbers = range(max(0, (first - self.origin) // BURST_EVERY - 2), (last - self.origin) // every + 1)
        for n in numbers:
            if self.scenario is Scenario.BURST:
                start = self.origin + FIRST_EVENT + n * GREAT_BURST_EVERY
                found.append((start, start + GREAT_BURST_LASTS, self._great_size(n)))
            elif self.scenario not in (Scenario.LEAK, Scenario.VALVE):
                found.append(self._nth_burst(n))
            if self.scoured_from is not None:
                storm = self.scoured_from + n * STORM_EVERY
                found.append((storm + SCOURED[0], storm + SCOURED[1], OPENED_BURST))
        return sorted(each for each in found if each[0] < last and each[1] > first)

    def valves_shut(self, first: datetime, last: datetime) -> list[tuple[datetime, datetime]]:
        """When the inlet's valve is half shut in [first, last)."""
        if self.scenario is not Scenario.VALVE:
            return []
        began = self.origin + FIRST_EVENT
        numbers = range(max(0, (first - began) // VALVE_SHUT_EVERY), (last - began) // VALVE_SHUT_EVERY + 1)
        times = [began + n * VALVE_SHUT_EVERY for n in numbers]
        return [(at, at + VALVE_SHUT_LASTS) for at in times if at < last and at + VALVE_SHUT_LASTS > first]

    def drawn(self, at: datetime) -> float:
        """What truly flows in, m3/h."""
        return self.state(at).inflow

    def state(self, at: datetime) -> State:
        """What is truly there, without the instruments' noise."""
        found = self._known.get(at)
        if found is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            found = self._known[at] = self._settled(at)
        return found

    def valve_shut(self, at: datetime) -> bool:
        """Whether the inlet's valve is half shut for works."""
        n, since = divmod(at - self.origin - FIRST_EVENT, VALVE_SHUT_EVERY)
        return self.scenario is Scenario.VALVE and n >= 0 and since < VALVE_SHUT_LASTS

    def _settled(self, at: datetime) -> State:
        if self.table is not None and self.site is not None:
            return self._solved(self.table, self.site.node, at)
        return self._worked_out(at)

    def _solved(self, table: Table, node: str, at: datetime) -> State:
        demand, opening = self._demand(at) + self._night_user(at), self.leak(at) + self.burst(at)
        throttle = "throttled" if self.valve_shut(at) else "usual"
        inflow = table.inflow(node, demand, opening, throttle)
        return State(inflow, table.pressure(node, demand, opening, throttle), demand, inflow - demand)

    def _night_user(self, at: datetime) -> float:
        """What the ice plant draws: on the evenings of Monday to Friday, and into the next morning."""
        evening = (at - timedelta(hours=12)).astimezone(self.timezone)
        hours = evening.hour + evening.minute / 60
        return NIGHT_USER if evening.weekday() < 5 and 11 <= hours < 13.5 else 0.0

    def _worked_out(self, at: datetime) -> State:
        """Leaks take pressure away and pressure makes leaks: a few rounds bring the two together."""
        demand, leak, burst = self._demand(at), self.leak(at), self.burst(at)
        pressure, background, holes = _STATIC_PRESSURE, BACKGROUND_LEAKAGE, leak + burst
        for _ in range(_ROUNDS):
            inflow = demand + background + holes
            pressure = _STATIC_PRESSURE - _FRICTION * pow(inflow, 1.852) - _DRAWDOWN * burst
            background = BACKGROUND_LEAKAGE * pow(max(0.0, pressure) / _STATIC_PRESSURE, N1)
            holes = (leak + burst) * pow(max(0.0, self._at_site(pressure, inflow)) / _USUAL_PRESSURE, N1)
        return State(demand + background + holes, pressure, demand, background + holes)

    def _at_site(self, pressure: float, inflow: float) -> float:
        """The pressure at the leak, kPa: a third of the inflow goes its way."""
        if self.site is None:
            return pressure
        lost = _LOSS * self.site.way_m * pow(inflow / 3, 1.852)
        return pressure + 9.81 * self.site.lower_m - lost

    def _demand(self, at: datetime) -> float:
        """What people draw, m3/h."""
        local = at.astimezone(self.timezone)
        hour = local.hour + local.minute / 60 + local.second / 3600
        before, after = _DEMAND_BY_HOUR[int(hour)], _DEMAND_BY_HOUR[(int(hour) + 1) % 24]
        shape = before + (after - before) * (hour % 1)
        moment = 1 + 0.05 * normal(self.seed, self.code, "moment", at.timestamp() // 300)
        guests = 1.0 + _GUESTS * self._festival(at)
        return _MEAN_DEMAND * shape * _of_day(self.seed, self.code, local.date()) * guests * max(0.0, moment)

    def _festival(self, at: datetime) -> bool:
        first = self.festival_from
        if first is not None and at >= first and (at - first) % FESTIVAL_EVERY < FESTIVAL_LASTS:
            return True
        return any(start <= at < end for start, end in self.festivals)


@lru_cache(maxsize=64)
def _of_day(seed: int, code: str, day: date) -> float:
    """How much more or less is drawn than on a mean weekday: by weekday, month and the day's own luck."""
    weekend = 1.08 if day.weekday() >= 5 or jpholiday.is_holiday(day) else 1.0
    return weekend * _SEASON[day.month - 1] * (1 + 0.04 * normal(seed, code, "day", day))
