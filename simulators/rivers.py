"""The rivers that rain becomes, and the levels their gauges show.

Each gauge's catchment answers the rain over it (`simulators.weather`) like two equal linear reservoirs in a row:
discharge is the rain convolved with the unit hydrograph t/k^2 exp(-t/k), which for blocks of rain has the closed form
used here. So the level at any time is a pure function of (seed, scenario, origin, time). Where the town file says how
large a gauge's catchment is, `k` is half its time of concentration by Kadoya and Fukushima's formula for a mountain
catchment, and the lag is the water's way from the river's first gauge. Level follows discharge by a rating curve
h = c Q^0.6 (Manning's formula for a wide channel), scaled so that the nominal storm reaches a chosen level.

Above `brim` the water spreads over the land beside the river and rises no further.

Works badly for: snow, dry ground that swallows the first rain, backwater from the tide or a weir.

Sources: J. E. Nash, "The form of the instantaneous unit hydrograph", IASH Publication 45 (1957); 角屋睦・福島晟
「中小河川の洪水到達時間」京都大学防災研究所年報 19B (1976).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import exp, pow

from devices.model import RiverPlace, Station
from simulators.chance import normal
from simulators.config import Scenario
from simulators.weather import FIRST, STORM, Basin, Rain, Weather

CONCENTRATION = 290.0  # min, of 1 km2 of mountain forest under 1 mm/h
DESIGN_RAIN = 60.0  # mm/h
RIVER_SPEED = 2.1  # m/s, of a flood in a bed of moderate slope (Kraven)

_HOUR = timedelta(hours=1)
_MEMORY = timedelta(hours=48)  # what fell before has run off
_RIPPLES = 0.006  # m, standard deviation of the water's surface


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
    """The gauges of the town's rivers, of each in the order in which the water passes them.

    `basins`: the catchments by their rivers' names (`simulators.weather.basins`); a river without one has the weather
    of the first. `cloudbursts` are the times at which one begins that no scenario knows.
    """

    def __init__(
        self,
        seed: int,
        scenario: Scenario,
        origin: datetime,
        stations: Sequence[Station],
        cloudbursts: Sequence[datetime] = (),
        basins: Mapping[str, Basin] | None = None,
    ) -> None:
        self.weather = Weather(seed, scenario, origin, cloudbursts)
        self._seed = seed
        self._basins = basins or {}
        self._first = next(iter(self._basins.values()), FIRST)
        self._felt: dict[tuple[Basin, datetime], tuple[Rain, ...]] = {}  # by the hour: it is asked often
        rivers: dict[str, list[Station]] = {}
        for station in stations:
            rivers.setdefault(_river(station), []).append(station)
        self._gauges = {
            station.code: _gauge(station, along, main=number == 0)
            for number, along in enumerate(rivers.values())
            for station in along
        }
        self._basin = {station.code: self.basin(station) for station in stations}

    def level(self, code: str, at: datetime) -> float:
        """The level at a gauge, m above gauge zero."""
        gauge = self._gauges[code]
        discharge = gauge.catchment.discharge(self._rain(self._basin[code], at), at)
        return gauge.level(discharge) + _RIPPLES * normal(self._seed, "ripples", code, at.timestamp())

    def base(self, code: str) -> float:
        """The level at a gauge in dry weather, m above gauge zero."""
        return self._gauges[code].base

    def basin(self, station: Station) -> Basin:
        """The catchment that a gauge stands in; the first where nobody has said."""
        return self._basins.get(_river(station), self._first)

    def rain(self, at: datetime, basin: Basin = FIRST) -> Iterator[Rain]:
        """The rain over a catchment that its river still feels at a time."""
        return self.weather.rain_between(at - _MEMORY, at, basin)

    def _rain(self, basin: Basin, at: datetime) -> tuple[Rain, ...]:
        hour = at.replace(minute=0, second=0, microsecond=0)
        if (basin, hour) not in self._felt:
            if len(self._felt) > 4096:
                self._felt.clear()
            self._felt[basin, hour] = tuple(self.weather.rain_between(hour - _MEMORY, hour + _HOUR, basin))
        return self._felt[basin, hour]


def _river(station: Station) -> str:
    return "" if station.river is None else station.river.river


def _gauge(station: Station, along: Sequence[Station], *, main: bool) -> Gauge:
    """The gauge of a station among those along its river.

    The nominal storm takes the last gauge of the main river over its fourth level and all others between their third
    and fourth.
    """
    catchment = _catchment(station, along)
    levels = {level.level: level.value for level in station.thresholds[-1].levels} if station.thresholds else {}
    first = levels.get(1, min(levels.values(), default=2.0))
    base = 0.3 * first
    if main and station is along[-1]:
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


def _catchment(station: Station, along: Sequence[Station]) -> Catchment:
    """By the size of the catchment and the way of the water where the town file has them, else by the gauge's place in
    the row: from 1.0 h and no lag to 1.3 h and 45 minutes.
    """
    downstream = 1.0 if len(along) == 1 else along.index(station) / (len(along) - 1)
    here, top = station.river or RiverPlace(""), along[0].river or RiverPlace("")
    k, lag = 1.0 + 0.3 * downstream, timedelta(minutes=45) * downstream
    if here.catchment_km2 is not None:
        k = CONCENTRATION * here.catchment_km2**0.22 * DESIGN_RAIN**-0.35 / 60 / 2
    if here.km_from_mouth is not None and top.km_from_mouth is not None:
        lag = timedelta(seconds=1000 * max(0.0, top.km_from_mouth - here.km_from_mouth) / RIVER_SPEED)
    return Catchment(lag, k)
