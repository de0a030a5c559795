"""A small line chart as SVG coordinates: one series, its reference lines, hour ticks. The table beside it has the same
numbers, so that nobody needs the picture.

Gaps stay gaps: the line breaks where observations are missing for more than 2.5 steps or could not be measured.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from api.pages.readings import LATE_AFTER_STEPS, Point

WIDTH, HEIGHT = 480.0, 170.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 44.0, 20.0, 12.0, 24.0


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
    low, high, tick = _scale(values)
    right, bottom = WIDTH - _RIGHT, HEIGHT - _BOTTOM

    def x(time: datetime) -> float:
        return round(_LEFT + (right - _LEFT) * ((time - start) / (end - start)), 1)

    def y(value: float) -> float:
        return round(bottom - (bottom - _TOP) * (value - low) / (high - low), 1)

    paths, dots = [], []
    for run in _runs(points, step):
        places = [(x(point.time), y(point.value)) for point in run if point.value is not None]
        if len(places) == 1:
            dots.append(places[0])
        else:
            paths.append("M" + "L".join(f"{a} {b}" for a, b in places))
    last = usable[-1] if usable else None
    count = round((high - low) / tick)
    decimals = max(0, -math.floor(math.log10(tick)))
    return Chart(
        WIDTH,
        HEIGHT,
        _LEFT,
        right,
        _TOP,
        bottom,
        tuple(paths),
        tuple(dots),
        None if last is None or last.value is None else (x(last.time), y(last.value)),
        tuple(Line(y(value), level, value) for level, value in levels),
        tuple(_hours(start, end, zone, x)),
        tuple(Tick(y(low + i * tick), f"{low + i * tick:.{decimals}f}") for i in range(count + 1)),
    )


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


def _scale(values: Sequence[float]) -> tuple[float, float, float]:
    """Low end, high end and tick of an axis that holds all values with three to six ticks."""
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    if high - low < 1e-9:
        low, high = low - 0.5, high + 0.5
    raw = (high - low) / 4
    power = 10.0 ** math.floor(math.log10(raw))
    tick = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * 0.999)
    return math.floor(low / tick) * tick, math.ceil(high / tick) * tick, tick


def _hours(start: datetime, end: datetime, zone: ZoneInfo, x: object) -> list[Tick]:
    assert callable(x)
    hours = (end - start) / timedelta(hours=1)
    every = next(n for n in (1, 2, 3, 6, 12, 24) if hours / n <= 8 or n == 24)
    time = start.astimezone(zone).replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    ticks = []
    while time <= end:
        if time.hour % every == 0:
            ticks.append(Tick(x(time), f"{time:%H:%M}"))
        time += timedelta(hours=1)
    return ticks
