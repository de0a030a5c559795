"""The picture of what may come: the levels so far as a line, from the last of them on two bands (50 % and 90 %) with
the median between, the reference levels across, and where it is known by now what came. And a reliability diagram. The
tables beside them have the same numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from analytics.rivers.forecast.scores import Bin
from analytics.rivers.forecast_store import Said
from analytics.rivers.scores import HIGH, HIGH_HALF, LOW, LOW_HALF, MEDIAN
from api.pages.chart import HEIGHT, LEFT, RIGHT, WIDTH, Line, Tick, runs_of, scale_of, time_ticks
from api.pages.readings import Point

BEFORE = timedelta(hours=12)
_TALLER = 1.25
_TOP, _BOTTOM = 12.0, 24.0


@dataclass(frozen=True, slots=True)
class FanChart:
    """`bands` the wide one first; `later` what came, as paths; `now` where the line of the present stands."""

    width: float
    height: float
    left: float
    right: float
    top: float
    bottom: float
    bands: tuple[str, ...]
    median: str
    paths: tuple[str, ...]
    later: tuple[str, ...]
    now: float
    end: tuple[float, float]
    lines: tuple[Line, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]


def fan_chart(
    said: Said,
    points: Sequence[Point],
    step: timedelta,
    zone: ZoneInfo,
    levels: Sequence[tuple[int, float]],
) -> FanChart:
    """`points` from before `said.time` and, where they are there, after it; `levels` are (警戒レベル, metres). One far
    above all that is shown would make the curve flat, and is left out; the lowest is always there.
    """
    start, end = said.time - BEFORE, said.time + timedelta(hours=said.leads[-1])
    shown = [p for p in points if p.usable and p.value is not None and start <= p.time <= end]
    known = [(lead, row) for lead, row in zip(said.leads, said.quantiles, strict=True) if not np.isnan(row).any()]
    values = [p.value for p in shown if p.value is not None] + [said.level]
    values += [float(each) for _, row in known for each in (row[LOW], row[HIGH])]
    reach = max(max(values) - min(values), 0.5)
    near = [(level, value) for level, value in levels if value <= max(values) + 1.5 * reach]
    near = near or [(level, value) for level, value in sorted(levels, key=lambda each: each[1])[:1]]
    low, high, tick = scale_of([*values, *(value for _, value in near)])
    height = HEIGHT * _TALLER
    right, bottom = WIDTH - RIGHT, height - _BOTTOM

    def x(time: datetime) -> float:
        return round(LEFT + (right - LEFT) * ((time - start) / (end - start)), 1)

    def y(value: float) -> float:
        return round(bottom - (bottom - _TOP) * (value - low) / (high - low), 1)

    def lines_of(those: Iterable[Point]) -> tuple[str, ...]:
        runs = runs_of(list(those), step)
        return tuple(_path((x(p.time), y(p.value)) for p in run if p.value is not None) for run in runs if len(run) > 1)

    origin = (x(said.time), y(said.level))

    def along(place: int) -> list[tuple[float, float]]:
        return [origin, *((x(said.time + timedelta(hours=lead)), y(float(row[place]))) for lead, row in known)]

    decimals = max(0, -int(np.floor(np.log10(tick)))) if tick < 1 else 0
    decimals += f"{tick:.10f}".rstrip("0").endswith("25")
    y_values = [low + n * tick for n in range(round((high - low) / tick) + 1)]
    return FanChart(
        WIDTH,
        height,
        LEFT,
        right,
        _TOP,
        bottom,
        tuple(
            _path([*along(a), *along(b)[::-1]], close=True)
            for a, b in ((LOW, HIGH), (LOW_HALF, HIGH_HALF))
            if said.sure
        ),
        _path(along(MEDIAN)),
        lines_of(p for p in shown if p.time <= said.time),
        lines_of(p for p in shown if p.time >= said.time),
        origin[0],
        origin,
        tuple(Line(y(value), level, value) for level, value in near),
        time_ticks(start, end, zone),
        tuple(Tick(y(value), f"{value:.{decimals}f}") for value in y_values),
    )


@dataclass(frozen=True, slots=True)
class Diagram:
    """A square of `size`: what was said across, what came up, a circle a bin whose area grows with its count."""

    size: float
    low: float
    high: float
    dots: tuple[tuple[float, float, float], ...]
    ticks: tuple[Tick, ...]


def diagram(bins: Iterable[Bin]) -> Diagram:
    """The reliability diagram of these bins: on the diagonal is what was said as often as it came."""
    size, low, high = 220.0, 36.0, 208.0
    across = high - low
    dots = tuple(
        (
            round(low + across * each.said, 1),
            round(high - across * each.came, 1),
            round(min(14.0, 3.0 + float(np.log10(each.n)) * 3.0), 1),
        )
        for each in bins
    )
    return Diagram(size, low, high, dots, tuple(Tick(low + across * n / 4, f"{25 * n}") for n in range(5)))


def _path(places: Iterable[tuple[float, float]], *, close: bool = False) -> str:
    return "M" + "L".join(f"{a} {b}" for a, b in places) + ("Z" if close else "")
