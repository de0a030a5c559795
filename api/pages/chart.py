"""A small line chart as SVG coordinates: one series, its reference lines, hour ticks. The table beside it has the same
numbers, so that nobody needs the picture.

Gaps stay gaps: the line breaks where observations are missing for more than 2.5 steps or could not be measured.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from api.pages.readings import LATE_AFTER_STEPS, Point
from devices.model import Quality

WIDTH, HEIGHT = 480.0, 170.0
LEFT, RIGHT, _TOP, _BOTTOM = 44.0, 20.0, 12.0, 24.0
_NAME_HEIGHT = 12.0
_DAY = timedelta(days=1)


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
class NamedLine:
    """A horizontal line of a level without a number; its name stands with its foot at `label_y`, None where another
    line would go through it: the key below the picture has all names.
    """

    y: float
    label_y: float | None
    name: str
    name_en: str
    value: float


@dataclass(frozen=True, slots=True)
class Chart:
    """The picture, and in `runs` what it shows: stretches of usable points with no gap between them. `doubted`: where
    those among them are that should not simply be believed, `marks` why. `reported`: what people read beside the
    series, as far as the scale reaches, and in `readings` its times and values: no line joins them.
    """

    width: float
    height: float
    left: float
    right: float
    top: float
    bottom: float
    paths: tuple[str, ...]
    dots: tuple[tuple[float, float], ...]
    doubted: tuple[tuple[float, float], ...]
    reported: tuple[tuple[float, float], ...]
    end: tuple[float, float] | None
    lines: tuple[Line, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    start: datetime
    end_time: datetime
    y_values: tuple[float, ...]
    runs: tuple[tuple[Point, ...], ...]
    marks: Mapping[datetime, Quality]
    readings: tuple[tuple[datetime, float], ...]
    named: tuple[NamedLine, ...] = ()

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
            "doubted": [(_seconds(time), quality) for time, quality in self.marks.items()],
            "reported": [(_seconds(time), round(value, decimals)) for time, value in self.readings],
            "levels": [(line.level, line.value) for line in self.lines],
            "decimals": decimals,
        }


def line_chart(
    points: Sequence[Point],
    start: datetime,
    end: datetime,
    step: timedelta | None,
    zone: ZoneInfo,
    levels: Sequence[tuple[int, float]] = (),
    marks: Mapping[datetime, Quality] | None = None,
    reported: Sequence[tuple[datetime, float]] = (),
    named: Sequence[tuple[str, str, float]] = (),
) -> Chart:
    """The chart of the usable points between start and end; `levels` are (警戒レベル, value) reference lines. `step`
    None: only a point without a value breaks the line. `marks`: the moments that have a ring, for what the points of
    these times stand for; None: the doubtful points. `reported`: readings by people, which do not stretch the scale: a
    slip of the finger must not make the curve flat. `named`: (name, English name, value) of levels without a number.

    The scale always holds every reference line: a flood line outside the picture tells nobody how far it is.
    """
    usable = [point for point in points if point.usable]
    if marks is None:
        marks = {point.time: point.quality for point in usable if point.quality is Quality.DOUBTFUL}
    values = [point.value for point in usable if point.value is not None] + [value for _, value in levels]
    values += [value for *_, value in named]
    low, high, tick = scale_of(values)
    readings = tuple((time, value) for time, value in reported if start <= time <= end and low <= value <= high)
    right, bottom = WIDTH - RIGHT, HEIGHT - _BOTTOM

    across, up, begin = (right - LEFT) / (end - start).total_seconds(), (bottom - _TOP) / (high - low), _seconds(start)

    def x(time: datetime) -> float:
        return round(LEFT + across * (_seconds(time) - begin), 1)

    def y(value: float) -> float:
        return round(bottom - up * (value - low), 1)

    runs = runs_of(points, step)
    paths, dots = [], []
    for run in runs:
        places = [(x(time), y(value)) for time, value, _ in run if value is not None]
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
        tuple((x(point.time), y(point.value)) for point in usable if point.time in marks and point.value is not None),
        tuple((x(time), y(value)) for time, value in readings),
        None if last is None or last.value is None else (x(last.time), y(last.value)),
        tuple(Line(y(value), level, value) for level, value in levels),
        time_ticks(start, end, zone),
        tuple(Tick(y(value), f"{value:.{decimals}f}") for value in y_values),
        start,
        end,
        y_values,
        tuple(tuple(run) for run in runs),
        marks,
        readings,
        tuple(_named(named, [y(value) for _, value in levels], y)),
    )


def _named(
    named: Sequence[tuple[str, str, float]], others: Sequence[float], y: Callable[[float], float]
) -> Iterator[NamedLine]:
    """Each with its name above its line, or below it, wherever no line (`others`: those with a number) passes."""
    lines = [*others, *(y(value) for *_, value in named)]
    for name, name_en, value in named:
        at = y(value)
        feet = (at - 3, at + _NAME_HEIGHT)
        free = (
            foot
            for foot in feet
            if foot > _TOP + _NAME_HEIGHT
            and not any(foot - _NAME_HEIGHT < line < foot + 2 and line != at for line in lines)
        )
        yield NamedLine(at, next(free, None), name, name_en, value)


def _seconds(time: datetime) -> float:
    return time.timestamp()


def runs_of(points: Sequence[Point], step: timedelta | None) -> list[list[Point]]:
    """Stretches of usable points with no gap between them."""
    runs: list[list[Point]] = []
    open_run = False
    longest = timedelta.max if step is None else step * LATE_AFTER_STEPS
    for point in points:
        if not point.usable:
            open_run = False
        elif open_run and point.time - runs[-1][-1].time <= longest:
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


@lru_cache(maxsize=16)  # one range for all the pictures of a page
def time_ticks(start: datetime, end: datetime, zone: ZoneInfo) -> tuple[Tick, ...]:
    """The hours, days or months below a time axis, at most nine of them."""
    times = _moments(start.astimezone(zone), end.astimezone(zone))
    dated = end - start > _DAY  # midnight says whose it is
    return tuple(
        Tick(
            round(LEFT + (WIDTH - RIGHT - LEFT) * ((time - start) / (end - start)), 1),
            f"{time.month}/{time.day}" if dated and time.hour == 0 else f"{time:%H:%M}",
        )
        for time in times
    )


def _moments(start: datetime, end: datetime) -> list[datetime]:
    """Whole local hours, days or firsts of months from `start` to `end`, as many as there is room for."""
    length = end - start
    if length > 63 * _DAY:
        months = range(start.year * 12 + start.month, end.year * 12 + end.month)
        every = -(-len(months) // 8)
        return [datetime(n // 12, n % 12 + 1, 1, tzinfo=start.tzinfo) for n in months if n % every == 0]
    hour = start.replace(minute=0, second=0, microsecond=0)
    if length > 8 * _DAY:
        days = (hour.date() + timedelta(days=n) for n in range(1, length // _DAY + 2))
        every = -(-(length // _DAY) // 8)
        found = [datetime(day.year, day.month, day.day, tzinfo=start.tzinfo) for day in days]
        return [time for time in found[every - 1 :: every] if time <= end]
    every = next(n for n in (1, 2, 3, 6, 12, 24) if length / timedelta(hours=n) <= 8 or n == 24)
    hours = (hour + timedelta(hours=n) for n in range(1, length // timedelta(hours=1) + 2))
    return [time for time in hours if time.hour % every == 0 and time <= end]
