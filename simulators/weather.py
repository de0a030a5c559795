"""The weather over the town: which rain falls on which catchment, and when.

Rain falls in blocks of steady intensity. Storms come by the scenario, showers by the day, cloudbursts when somebody
sets one off. A storm moves: it comes from the south-west and takes its time from one catchment to the next, and no two
of them get the same. Of a shower one catchment may get nothing. A cloudburst stands over all of them at once.

Everything is a pure function of (seed, scenario, origin, time). Works badly for: typhoons that turn, snow.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import cos, radians

from devices.model import MapShape
from simulators.chance import uniform
from simulators.config import Scenario

STORM = (30.0, 62.0, 58.0, 34.0)  # mm/h, hour by hour
FIRST_STORM = timedelta(minutes=30)
STORM_EVERY = timedelta(hours=72)
CLOUDBURST = (62.0, 62.0, 50.0, 20.0)  # mm/h, hour by hour: somebody set it off and is watching
STORM_SPEED = 8.0  # km/h, towards the north-east

_HOUR = timedelta(hours=1)
_LONGEST_SHOWER = 4 * _HOUR
_KM_A_DEGREE = 111.2


@dataclass(frozen=True, slots=True)
class Rain:
    """Rain of `intensity` mm/h from `start` on, for `duration`."""

    start: datetime
    duration: timedelta
    intensity: float


@dataclass(frozen=True, slots=True)
class Basin:
    """A river's catchment under the weather: `delay` is how much later than over the first one a storm arrives."""

    river: str = ""
    delay: timedelta = timedelta(0)


FIRST = Basin()  # that sets the time of the others


def basins(shapes: Iterable[MapShape]) -> Mapping[str, Basin]:
    """The catchments of a basemap by the name of their river; the first river of the basemap sets the time."""
    rivers = [shape for shape in shapes if shape.kind == "river" and shape.properties["class"] == "river"]
    middles = {str(s.properties["river"]): _middle(s) for s in shapes if s.kind == "catchment"}
    named = [river.name for river in rivers if river.name in middles]
    if not named:
        return {}
    return {
        name: Basin(
            name, timedelta(hours=(middles[name] - middles[named[0]]) / STORM_SPEED) if number else timedelta(0)
        )
        for number, name in enumerate(dict.fromkeys(named))
    }


def _middle(shape: MapShape) -> float:
    """How far to the north-east the middle of an area lies, km."""
    points = shape.lines[0]
    longitude = sum(x for x, _ in points) / len(points)
    latitude = sum(y for _, y in points) / len(points)
    return _KM_A_DEGREE * (longitude * cos(radians(latitude)) + latitude) / 2**0.5


class Weather:
    """The rain over every catchment. `cloudbursts` are the times at which one begins that no scenario knows."""

    def __init__(self, seed: int, scenario: Scenario, origin: datetime, cloudbursts: Sequence[datetime] = ()) -> None:
        self._seed = seed
        self._scenario = scenario
        self._origin = origin
        self._cloudbursts = tuple(cloudbursts)
        self._days: dict[tuple[Basin, datetime], Rain | None] = {}  # what `_shower` said: it is asked often

    def rain_between(self, start: datetime, end: datetime, basin: Basin = FIRST) -> Iterator[Rain]:
        """The rain of a stretch of time over a catchment, with what began before it or ends after it."""
        if self._scenario.storms:
            yield from self._storms(start, end, basin)
        for cloudburst in self._cloudbursts:
            if cloudburst <= end and start < cloudburst + len(CLOUDBURST) * _HOUR:
                for hour, intensity in enumerate(CLOUDBURST):
                    yield Rain(cloudburst + hour * _HOUR, _HOUR, intensity)
        # a shower of the day before can reach into the first day, and one that is late over this catchment too
        reach = _LONGEST_SHOWER + max(timedelta(0), basin.delay)
        day = (start - reach).astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        while day <= end - min(timedelta(0), basin.delay):
            if (basin, day) not in self._days:
                self._days[basin, day] = self._shower(day, basin)
            shower = self._days[basin, day]
            if shower is not None:
                yield shower
            day += timedelta(days=1)

    def wet(self, day: datetime) -> bool:
        """Whether a day (UTC) has a shower somewhere."""
        return uniform(self._seed, "wet", day.date()) <= 0.35

    def _storms(self, start: datetime, end: datetime, basin: Basin) -> Iterator[Rain]:
        began = self._origin + FIRST_STORM + basin.delay
        first = (start - len(STORM) * _HOUR - began) // STORM_EVERY
        last = (end - began) // STORM_EVERY
        for n in range(max(0, first), last + 1):
            strength = 0.98 + 0.05 * uniform(self._seed, "storm", n, *([basin.river] if basin.delay else []))
            for hour, intensity in enumerate(STORM):
                yield Rain(began + n * STORM_EVERY + hour * _HOUR, _HOUR, intensity * strength)

    def _shower(self, day: datetime, basin: Basin) -> Rain | None:
        """A few millimetres on every third day or so, but not on top of a storm."""
        if not self.wet(day):
            return None
        start = day + 24 * _HOUR * uniform(self._seed, "shower starts", day.date())
        duration = _HOUR * (1 + 3 * uniform(self._seed, "shower lasts", day.date()))
        if self._scenario.storms:
            began = self._origin + FIRST_STORM
            n = (start + 12 * _HOUR - began) // STORM_EVERY
            if n >= 0 and start < began + n * STORM_EVERY + 24 * _HOUR:
                return None
        share = 1.0
        if basin.delay:  # another catchment than the first: from nothing to somewhat more
            share = max(0.0, 1.4 * uniform(self._seed, "shower over", basin.river, day.date()) - 0.15)
        intensity = share * (0.5 + 2.5 * uniform(self._seed, "shower", day.date()))
        return Rain(start + basin.delay, duration, intensity) if intensity > 0 else None
