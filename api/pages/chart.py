"""A small line chart as SVG coordinates: one series, its reference lines, hour ticks. The table beside it has the same
numbers, so that nobody needs the picture.

Gaps stay gaps: the line breaks where observations are missing for more than 2.5 steps or could not be measured.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

from api.pages.readings import LATE_AFTER_STEPS, Point
from devices.model import Quality

WIDTH, HEIGHT = 480.0, 170.0
LEFT, RIGHT, _TOP, _BOTTOM = 44.0, 20.0, 12.0, 24.0


@dataclass(frozen=True, slots=True)
class Tick:
    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Line:
    """A horizontal reference line."""

    y: float
    level: int
    value: float


@dataclass(frozen=True, slots=True)
class Chart:
    """The picture, and in `runs` what it shows: stretches of usable points with no gap between them."""

    width: float
    height: float
    left: float
    right: float
    top: float
    bottom: float
    paths: tuple[str, ...]
    dots: tuple[tuple[float, float], ...]
    end: tuple[float, float] | None
    lines: tuple[Line, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    start: datetime
    end_time: datetime
    y_values: tuple[float, ...]
    runs: tuple[tuple[Point, ...], ...]

    def data(self, decimals: int) -> dict[str, Any]:
        """What chart.js draws the same curve from (docs/dashboards.md); values as the table rounds them."""
        points: list[tuple[float, float | None]] = []
        for run in self.runs:
            if points:
                points.append((_seconds(run[0].time) - 0.5, None))  # a gap: the line breaks before the next run
            points += [(_seconds(p.time), round(p.value, decimals)) for p in run if p.value is not None]
        return {
            "start": _seconds(self.start),
            "end": _seconds(self.end_time),
            "ticks": [(value, tick.label) for value, tick in zip(self.y_values, self.y_ticks, strict=True)],
            "points": points,
            "levels": [(line.level, line.value) for line in self.lines],
            "decimals": decimals,
        }


def line_chart(
    points: Sequence[Point],
    start: datetime,
    end: datetime,
    step: timedelta,
    zone: ZoneInfo,
    levels: Sequence[tuple[int, float]] = (),
) -> Chart:
    """The chart of the usable points between start and end; `levels` are (警戒レベル, value) reference lines.

    The scale always holds every reference line: a flood line outside the picture tells nobody how far it is.
    """
    usable = [point for point in points if point.usable]
    values = [point.value for point in usable if point.value is not None] + [value for _, value in levels]
    low, high, tick = scale_of(values)
    right, bottom = WIDTH - RIGHT, HEIGHT - _BOTTOM

    def x(time: datetime) -> float:
        return round(LEFT + (right - LEFT) * ((time - start) / (end - start)), 1)

    def y(value: float) -> float:
        return round(bottom - (bottom - _TOP) * (value - low) / (high - low), 1)

    runs = _runs(points, step)
    paths, dots = [], []
    for run in runs:
        places = [(x(point.time), y(point.value)) for point in run if point.value is not None]
        if len(places) == 1:
            dots.append(places[0])
        else:
            paths.append("M" + "L".join(f"{a} {b}" for a, b in places))
    last = usable[-1] if usable else None
    y_values = tuple(low + i * tick for i in range(round((high - low) / tick) + 1))
    power = math.floor(math.log10(tick))
    decimals = max(0, -power + (round(tick / 10.0**power, 1) == 2.5))
    return Chart(
        WIDTH,
        HEIGHT,
        LEFT,
        right,
        _TOP,
        bottom,
        tuple(paths),
        tuple(dots),
        None if last is None or last.value is None else (x(last.time), y(last.value)),
        tuple(Line(y(value), level, value) for level, value in levels),
        tuple(hour_ticks(start, end, zone, x)),
        tuple(Tick(y(value), f"{value:.{decimals}f}") for value in y_values),
        start,
        end,
        y_values,
        tuple(tuple(run) for run in runs),
    )


def _seconds(time: datetime) -> float:
    return time.timestamp()


def thinned(points: Sequence[Point], step: timedelta, every: timedelta) -> list[Point]:
    """The lowest and the highest point of each `every`, in the order of their times: a curve of them has all the peaks
    of the whole series. Gaps between points stay gaps: a point without a value stands in each.
    """
    kept: list[Point] = []
    for run in _runs(points, step):
        if kept:
            kept.append(Point(run[0].time - step / 2, None, Quality.MISSING))
        for _, group in groupby(run, key=lambda point: point.time.timestamp() // every.total_seconds()):
            part = sorted(group, key=lambda point: point.value or 0.0)
            kept += sorted({part[0].time: part[0], part[-1].time: part[-1]}.values(), key=lambda point: point.time)
    return kept


def _runs(points: Sequence[Point], step: timedelta) -> list[list[Point]]:
    """Stretches of usable points with no gap between them."""
    runs: list[list[Point]] = []
    open_run = False
    for point in points:
        if not point.usable:
            open_run = False
        elif open_run and point.time - runs[-1][-1].time <= step * LATE_AFTER_STEPS:
            runs[-1].append(point)
        else:
            runs.append([point])
            open_run = True
    return runs


def scale_of(values: Sequence[float]) -> tuple[float, float, float]:
    """Low end, high end and tick of an axis that holds all values with three to six ticks."""
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    if high - low < 1e-9:
        low, high = low - 0.5, high + 0.5
    raw = (high - low) / 4
    power = 10.0 ** math.floor(math.log10(raw))
    tick = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * 0.999)
    return math.floor(low / tick) * tick, math.ceil(high / tick) * tick, tick


def hour_ticks(start: datetime, end: datetime, zone: ZoneInfo, x: object) -> list[Tick]:
    """The hours below a time axis, at most nine of them; `x` places a time."""
    assert callable(x)
    hours = (end - start) / timedelta(hours=1)
    every = next(n for n in (1, 2, 3, 6, 12, 24) if hours / n <= 8 or n == 24)
    time = start.astimezone(zone).replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    ticks = []
    while time <= end:
        if time.hour % every == 0:
            # Over several days midnight says whose it is.
            dated = hours > 24 and time.hour == 0
            ticks.append(Tick(x(time), f"{time.month}/{time.day}" if dated else f"{time:%H:%M}"))
        time += timedelta(hours=1)
    return ticks
