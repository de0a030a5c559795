"""Courses of a flood for a drill: how high a river that is not rising would stand, minute by minute.

    scenario(name, start=, peak=, step=)         a storm's answer by name, between two levels
    made(start=, peak=, hours=, step=)           a smooth rise in so many hours, and the fall after it

What it is not: a forecast, or what this river would do. A scenario is the answer of two equal linear reservoirs in a
row (Nash, IASH Publication 45, 1957) to hours of rain, as a level by h = c Q^0.6 (Manning, wide channel), stretched
between the levels that are asked for: its shape is that of a flood, its height is whatever the drill is to practise.

`typhoon` has the storm of the simulated town's scenario `flood` (docs/simulators.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from math import cos, exp, pi
from types import MappingProxyType

Course = list[tuple[timedelta, float]]
"""(after the beginning, metres above gauge zero), ascending."""

_HOUR = timedelta(hours=1)


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


def _discharge(storm: Storm, at: float) -> float:
    """mm/h over the catchment, so many hours after the rain began."""
    total = 0.0
    for hour, intensity in enumerate(storm.rain):
        total += intensity * (_filled(at - hour, storm.k) - _filled(at - hour - 1.0, storm.k))
    return max(0.0, total)


def _filled(hours: float, k: float) -> float:
    """The answer, 0 to 1, to steady rain that began so many hours ago."""
    return 0.0 if hours <= 0 else 1.0 - (1.0 + hours / k) * exp(-hours / k)
