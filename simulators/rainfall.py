"""Rain gauges under the rain that the rivers feel: what falls, and what a tipping bucket has counted of it.

Rain in the hills is stronger than in the town below; each gauge sees the rain of its own catchment with its own share.
The counter of a gauge begins anew every twelve days or so, when somebody has changed its battery. Everything is a pure
function of (seed, scenario, origin, time), as the river is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from simulators.chance import uniform
from simulators.weather import Basin, Rain, Weather

HILLS, TOWN = 1.15, 0.85  # share of the catchment's rain at its first and its last gauge in the town file
BATTERY_LASTS = timedelta(days=12)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HOUR, _NO_TIME = timedelta(hours=1), timedelta(0)


@dataclass(frozen=True, slots=True)
class Bucket:
    """A tipping bucket. `share` of the rain over its catchment falls on it; it tips at every `tip` millimetres."""

    seed: int
    weather: Weather
    basin: Basin
    code: str
    share: float
    tip: float
    _felt: dict[int, tuple[datetime, tuple[Rain, ...]]] = field(default_factory=dict, compare=False, repr=False)

    def depth(self, start: datetime, end: datetime) -> float:
        """What falls on it between two times, mm."""
        return self._depth(self.weather.rain_between(start, end, self.basin), start, end)

    def counter(self, at: datetime) -> tuple[int, int]:
        """(restarts, tips since the last one) at a time. The bucket is empty after a restart."""
        restarts = (at - _EPOCH) // BATTERY_LASTS
        if at < self._since(restarts)[0]:
            restarts -= 1
        start, rain = self._since(restarts)
        return restarts, int(self._depth(rain, start, at) / self.tip)

    def _depth(self, rain: Iterable[Rain], start: datetime, end: datetime) -> float:
        fallen = 0.0
        for each in rain:
            wet = min(end, each.start + each.duration) - max(start, each.start)
            if wet > _NO_TIME:
                fallen += each.intensity * (wet / _HOUR)
        return self.share * fallen

    def _since(self, number: int) -> tuple[datetime, tuple[Rain, ...]]:
        """When the counter began anew for the so-manieth time, and all rain until it does so again at the latest."""
        if number not in self._felt:
            start = self._restart(number)
            end = _EPOCH + (number + 2) * BATTERY_LASTS
            self._felt[number] = start, tuple(self.weather.rain_between(start, end, self.basin))
        return self._felt[number]

    def tips(self, start: datetime, end: datetime) -> int:
        """What the device itself counts in an interval: from 0 where it has begun anew within it."""
        (restarts_before, before), (restarts, after) = self.counter(start), self.counter(end)
        return after - before if restarts == restarts_before else after

    def _restart(self, number: int) -> datetime:
        """When the counter began anew for the so-manieth time: somewhere within each twelve days."""
        return _EPOCH + (number + 0.9 * uniform(self.seed, self.code, "battery changed", number)) * BATTERY_LASTS


def shares(gauges: int) -> list[float]:
    """The shares of so many gauges of a catchment, from the hills down to the town."""
    return [HILLS + (TOWN - HILLS) * position / max(1, gauges - 1) for position in range(gauges)]
