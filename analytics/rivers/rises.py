"""Courses of a flood for a drill: how high a river that is not rising would stand, minute by minute.

    scenario(name, start=, peak=, step=)         a storm's answer by name, between two levels
    made(start=, peak=, hours=, step=)           a smooth rise in so many hours, and the fall after it
    rain(name, step=), shower(hours=, step=)     the rain of the one, and a rain to the other: mm in each interval
    wet(course)                                  a contact beside the river: 1 while the water stands high, else 0

What it is not: a forecast, or what this river would do. A scenario is the answer of two equal linear reservoirs in a
row (Nash, IASH Publication 45, 1957) to hours of rain, as a level by h = c Q^0.6 (Manning, wide channel), stretched
between the levels that are asked for: its shape is that of a flood, its height is whatever the drill is to practise.

`typhoon` has the storm of the simulated town's scenario `flood` (docs/simulators.md).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from math import cos, exp, pi
from types import MappingProxyType

Course = list[tuple[timedelta, float]]
"""(after the beginning, metres above gauge zero; of rain mm in the interval that ends then), ascending."""

_HOUR = timedelta(hours=1)
# Of the way from the lowest to the highest level: where the low ground beside the river goes under, and is dry again.
_WET, _DRY = 0.85, 0.6
_HEAVY = 40.0  # mm/h


@dataclass(frozen=True, slots=True)
class Storm:
    """Rain hour by hour in mm/h, storage `k` of each reservoir and the length of the whole, in hours."""

    rain: tuple[float, ...]
    k: float
    hours: float


SCENARIOS: Mapping[str, Storm] = MappingProxyType(
    {
        "typhoon": Storm((30.0, 62.0, 58.0, 34.0), 1.7, 14.0),
        "cloudburst": Storm((62.0, 62.0), 0.7, 6.0),
        "two_peaks": Storm((40.0, 50.0, 10.0, 0.0, 0.0, 20.0, 60.0, 55.0), 1.4, 18.0),
    }
)


def scenario(name: str, *, start: float, peak: float, step: timedelta) -> Course:
    """The course of one of the `SCENARIOS` from `start` to `peak` and down again. KeyError for an unknown name.

    >>> course = scenario("cloudburst", start=0.5, peak=3.0, step=timedelta(minutes=10))
    >>> course[0], max(value for _, value in course), course[-1][0]
    ((datetime.timedelta(0), 0.5), 3.0, datetime.timedelta(seconds=21600))
    """
    storm = SCENARIOS[name]
    n = round(storm.hours * _HOUR / step)
    stages = [_discharge(storm, step * i / _HOUR) ** 0.6 for i in range(n + 1)]
    top = max(stages)
    return [(step * i, round(start + (peak - start) * stage / top, 2)) for i, stage in enumerate(stages)]


def made(*, start: float, peak: float, hours: float, step: timedelta) -> Course:
    """From `start` to `peak` in `hours`, and down again in one and a half times as many.

    >>> [value for _, value in made(start=1.0, peak=3.0, hours=1.0, step=timedelta(minutes=30))]
    [1.0, 2.0, 3.0, 2.5, 1.5, 1.0]
    """
    rise, fall = max(1, round(hours * _HOUR / step)), max(1, round(1.5 * hours * _HOUR / step))
    up = [0.5 - 0.5 * cos(pi * i / rise) for i in range(rise + 1)]
    down = [0.5 + 0.5 * cos(pi * i / fall) for i in range(1, fall + 1)]
    return [(step * i, round(start + (peak - start) * share, 2)) for i, share in enumerate([*up, *down])]


def rain(name: str, *, step: timedelta) -> Course:
    """The rain of one of the `SCENARIOS`: what falls in each interval, until the end of the course.

    >>> fallen = rain("cloudburst", step=timedelta(minutes=10))
    >>> round(sum(amount for _, amount in fallen)), fallen[1], fallen[-1]
    (124, (datetime.timedelta(seconds=600), 10.3), (datetime.timedelta(seconds=21600), 0.0))
    """
    storm = SCENARIOS[name]

    def until(hours: float) -> float:
        return sum(each * min(1.0, max(0.0, hours - n)) for n, each in enumerate(storm.rain))

    return _intervals(until, round(storm.hours * _HOUR / step), step)


def shower(*, hours: float, step: timedelta) -> Course:
    """A rain of at most 40 mm/h over the `hours` of a rise, and the dry time of its fall.

    >>> round(sum(amount for _, amount in shower(hours=2.0, step=timedelta(minutes=10))))
    51
    """

    def until(at: float) -> float:
        return _HEAVY * hours / pi * (1.0 - cos(pi * min(at, hours) / hours))

    return _intervals(until, round(2.5 * hours * _HOUR / step), step)


def wet(course: Course) -> Course:
    """What a contact on low ground beside a river of this course says.

    >>> [said for _, said in wet([(n * _HOUR, level) for n, level in enumerate((0.0, 1.0, 2.0, 1.5, 1.0))])]
    [0.0, 0.0, 1.0, 1.0, 0.0]
    """
    low, high = min(value for _, value in course), max(value for _, value in course)
    under, found = False, []
    for after, value in course:
        share = (value - low) / (high - low) if high > low else 0.0
        under = share >= _WET or (under and share >= _DRY)
        found.append((after, float(under)))
    return found


def _intervals(until: Callable[[float], float], n: int, step: timedelta) -> Course:
    """Of what has fallen until so many hours, what falls in each interval; in that before the beginning nothing."""
    ends = [until(step * i / _HOUR) for i in range(n + 1)]
    return [(step * i, round(ends[i] - ends[i - 1], 1) if i else 0.0) for i in range(n + 1)]


def _discharge(storm: Storm, at: float) -> float:
    """mm/h over the catchment, so many hours after the rain began."""
    total = 0.0
    for hour, intensity in enumerate(storm.rain):
        total += intensity * (_filled(at - hour, storm.k) - _filled(at - hour - 1.0, storm.k))
    return max(0.0, total)


def _filled(hours: float, k: float) -> float:
    """The answer, 0 to 1, to steady rain that began so many hours ago."""
    return 0.0 if hours <= 0 else 1.0 - (1.0 + hours / k) * exp(-hours / k)
