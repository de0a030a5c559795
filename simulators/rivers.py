"""Rain, the river it becomes, and the levels its gauges show.

Rain falls in blocks of steady intensity. Each gauge's catchment answers like two equal linear reservoirs in a
row: discharge is the rain convolved with the unit hydrograph t/k^2 exp(-t/k), which for blocks of rain has the
closed form used here. So the level at any time is a pure function of (seed, scenario, origin, time). Downstream
gauges have a larger k and answer later. Level follows discharge by a rating curve h = c Q^0.6 (Manning's
formula for a wide channel), scaled so that the nominal storm reaches a chosen level.

Above `brim` the water spreads over the land beside the river and rises no further.

Works badly for: snow, dry ground that swallows the first rain, backwater from the tide or a weir.

Source: J. E. Nash, "The form of the instantaneous unit hydrograph", IASH Publication 45 (1957).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import exp, pow

from devices.model import Station
from simulators.chance import normal, uniform
from simulators.config import Scenario

STORM = (30.0, 62.0, 58.0, 34.0)  # mm/h, hour by hour
FIRST_STORM = timedelta(minutes=30)
STORM_EVERY = timedelta(hours=72)
CLOUDBURST = (62.0, 62.0, 50.0, 20.0)  # mm/h, hour by hour: somebody set it off and is watching

_HOUR = timedelta(hours=1)
_MEMORY = timedelta(hours=48)  # what fell before has run off
_RIPPLES = 0.006  # m, standard deviation of the water's surface


@dataclass(frozen=True, slots=True)
class Rain:
    """Rain of `intensity` mm/h from `start` on, for `duration`."""

    start: datetime
    duration: timedelta
    intensity: float


@dataclass(frozen=True, slots=True)
class Catchment:
    """What lies above a gauge: `lag` until its water arrives, `k` hours of storage in each reservoir."""

    lag: timedelta
    k: float

    def discharge(self, rain: Sequence[Rain], at: datetime) -> float:
        """Discharge over the catchment's area, mm/h, without base flow."""
        total = 0.0
        for block in rain:
            since = (at - block.start - self.lag) / _HOUR
            total += block.intensity * (self._filled(since) - self._filled(since - block.duration / _HOUR))
        return total

    def _filled(self, hours: float) -> float:
        """The answer, 0 to 1, to steady rain that began so many hours ago."""
        if hours <= 0:
            return 0.0
        x = hours / self.k
        return 1.0 - (1.0 + x) * exp(-x)


@dataclass(frozen=True, slots=True)
class Gauge:
    """A river gauge: `base` and `peak` are its levels in dry weather and at the top of the nominal storm, m."""

    code: str
    catchment: Catchment
    base: float
    peak: float
    peak_discharge: float
    brim: float

    def level(self, discharge: float) -> float:
        """The level (m above gauge zero) of a discharge in mm/h."""
        return min(self.brim, self._rated(discharge))

    def _rated(self, discharge: float) -> float:
        return self.base + (self.peak - self.base) * pow(discharge / self.peak_discharge, 0.6)


class River:
    """The gauges of one river, in the order in which the water passes them.

    `cloudbursts` are the times at which one begins that no scenario knows.
    """

    def __init__(
        self,
        seed: int,
        scenario: Scenario,
        origin: datetime,
        stations: Sequence[Station],
        cloudbursts: Sequence[datetime] = (),
    ) -> None:
        self._seed = seed
        self._scenario = scenario
        self._origin = origin
        self._cloudbursts = tuple(cloudbursts)
        self._showers: dict[datetime, Rain | None] = {}  # what `_shower` said: a rain gauge asks for weeks, often
        steps = max(1, len(stations) - 1)
        self._gauges = {
            station.code: _gauge(station, 1.0 if len(stations) == 1 else position / steps)
            for position, station in enumerate(stations)
        }

    def level(self, code: str, at: datetime) -> float:
        """The level at a gauge, m above gauge zero."""
        gauge = self._gauges[code]
        discharge = gauge.catchment.discharge(tuple(self.rain(at)), at)
        return gauge.level(discharge) + _RIPPLES * normal(self._seed, "ripples", code, at.timestamp())

    def rain(self, at: datetime) -> Iterator[Rain]:
        """The rain that the river still feels at a time."""
        return self.rain_between(at - _MEMORY, at)

    def rain_between(self, start: datetime, end: datetime) -> Iterator[Rain]:
        """The rain of a stretch of time, and what began before it or ends after it: storms by the scenario, showers by
        the day.
        """
        if self._scenario is Scenario.FLOOD:
            yield from self._storms(start, end)
        for cloudburst in self._cloudbursts:
            if cloudburst <= end and start < cloudburst + len(CLOUDBURST) * _HOUR:
                for hour, intensity in enumerate(CLOUDBURST):
                    yield Rain(cloudburst + hour * _HOUR, _HOUR, intensity)
        # a shower lasts four hours at most, so one of the day before can reach into the first day
        day = (start - timedelta(hours=4)).astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        while day <= end:
            if day not in self._showers:
                self._showers[day] = self._shower(day)
            shower = self._showers[day]
            if shower is not None:
                yield shower
            day += timedelta(days=1)

    def _storms(self, start: datetime, end: datetime) -> Iterator[Rain]:
        first = (start - len(STORM) * _HOUR - self._origin - FIRST_STORM) // STORM_EVERY
        last = (end - self._origin - FIRST_STORM) // STORM_EVERY
        for n in range(max(0, first), last + 1):
            strength = 0.98 + 0.05 * uniform(self._seed, "storm", n)
            begins = self._storm_start(n)
            for hour, intensity in enumerate(STORM):
                yield Rain(begins + hour * _HOUR, _HOUR, intensity * strength)

    def _storm_start(self, n: int) -> datetime:
        return self._origin + FIRST_STORM + n * STORM_EVERY

    def _shower(self, day: datetime) -> Rain | None:
        """A few millimetres on every third day or so, but not on top of a storm."""
        if uniform(self._seed, "wet", day.date()) > 0.35:
            return None
        start = day + 24 * _HOUR * uniform(self._seed, "shower starts", day.date())
        duration = _HOUR * (1 + 3 * uniform(self._seed, "shower lasts", day.date()))
        if self._scenario is Scenario.FLOOD:
            n = (start + 12 * _HOUR - self._origin - FIRST_STORM) // STORM_EVERY
            if n >= 0 and start < self._storm_start(n) + 24 * _HOUR:
                return None
        return Rain(start, duration, 0.5 + 2.5 * uniform(self._seed, "shower", day.date()))


def _gauge(station: Station, downstream: float) -> Gauge:
    """The gauge of a station; `downstream` is 0 for the first of the river and 1 for the last.

    The nominal storm takes the last gauge over its fourth level and the others between their third and fourth.
    """
    catchment = Catchment(lag=timedelta(minutes=45) * downstream, k=1.0 + 0.3 * downstream)
    levels = {level.level: level.value for level in station.thresholds[-1].levels} if station.thresholds else {}
    first = levels.get(1, min(levels.values(), default=2.0))
    base = 0.3 * first
    if downstream == 1.0:
        danger = levels.get(4, max(levels.values(), default=3.5))
        peak = danger + 0.4 * (levels.get(5, danger + 0.8) - danger)
    else:
        judgement = levels.get(3, max(levels.values(), default=3.0))
        peak = judgement + 0.6 * (levels.get(4, judgement + 0.4) - judgement)
    start = datetime(2000, 1, 1, tzinfo=UTC)
    storm = [Rain(start + hour * _HOUR, _HOUR, intensity) for hour, intensity in enumerate(STORM)]
    highest = max(catchment.discharge(storm, start + step * timedelta(minutes=5)) for step in range(12 * 24))
    brim = levels.get(5, max(levels.values(), default=peak)) + 0.3
    return Gauge(station.code, catchment, base, peak, highest, max(brim, peak + 0.1))
