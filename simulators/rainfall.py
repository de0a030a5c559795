"""Rain gauges under the rain that the river feels: what falls, and what a tipping bucket has counted of it.

Rain in the hills is stronger than in the town below; each gauge sees the same storm with its own share. The counter of
a gauge begins anew every twelve days or so, when somebody has changed its battery. Everything is a pure function of
(seed, scenario, origin, time), as the river is.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from simulators.chance import uniform
from simulators.rivers import River

HILLS, TOWN = 1.15, 0.85  # share of the river's rain at the first and the last gauge of a town file
BATTERY_LASTS = timedelta(days=12)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Bucket:
    """A tipping bucket. `share` of the river's rain falls on it; it tips at every `tip` millimetres."""

    seed: int
    river: River
    code: str
    share: float
    tip: float

    def depth(self, start: datetime, end: datetime) -> float:
        """What falls on it between two times, mm."""
        return self.share * sum(
            rain.intensity
            * max(timedelta(0), min(end, rain.start + rain.duration) - max(start, rain.start))
            / timedelta(hours=1)
            for rain in self.river.rain_between(start, end)
        )

    def counter(self, at: datetime) -> tuple[int, int]:
        """(restarts, tips since the last one) at a time. The bucket is empty after a restart."""
        restarts = (at - _EPOCH) // BATTERY_LASTS
        if at < self._restart(restarts):
            restarts -= 1
        return restarts, int(self.depth(self._restart(restarts), at) / self.tip)

    def tips(self, start: datetime, end: datetime) -> int:
        """What the device itself counts in an interval: from 0 where it has begun anew within it."""
        (restarts_before, before), (restarts, after) = self.counter(start), self.counter(end)
        return after - before if restarts == restarts_before else after

    def _restart(self, number: int) -> datetime:
        """When the counter began anew for the so-manieth time: somewhere within each twelve days."""
        return _EPOCH + (number + 0.9 * uniform(self.seed, self.code, "battery changed", number)) * BATTERY_LASTS


def shares(gauges: int) -> list[float]:
    """The shares of so many gauges, from the hills down to the town."""
    return [HILLS + (TOWN - HILLS) * position / max(1, gauges - 1) for position in range(gauges)]
