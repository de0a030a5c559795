"""Past floods of one gauge laid over each other at their peaks, and the present course beside them, as SVG coordinates.

Across goes from `BEFORE` before the peak to `AFTER` after it; the present course ends at 0, where its now is: that says
nothing about whether a peak is coming. Each course has a letter at its right end and a dash of its own, so that it is
found without colour; the colours of levels are kept for the reference lines.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from string import ascii_uppercase

import numpy as np

from analytics.rivers.floods import Course
from api.pages.chart import Line, Tick, scale_of

BEFORE, AFTER = timedelta(hours=24), timedelta(hours=24)
MOST = 6  # courses beside the present one
LETTERS = ascii_uppercase[:MOST]
WIDTH, HEIGHT = 480.0, 260.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 44.0, 26.0, 12.0, 26.0
_APART = 15.0  # between two letters
_THIN = 200  # points of a course that can be told apart


@dataclass(frozen=True, slots=True)
class Curve:
    """`letter` empty: the present one. `at`: where its letter stands."""

    letter: str
    paths: tuple[str, ...]
    at: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class FloodPicture:
    width: float
    height: float
    left: float
    right: float
    top: float
    bottom: float
    zero: float
    curves: tuple[Curve, ...]
    lines: tuple[Line, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]


def picture(
    floods: Sequence[tuple[str, Course]],
    present: Course,
    step: timedelta,
    levels: Sequence[tuple[int, float]],
) -> FloodPicture:
    """`floods`: letter and course of each; `levels`: (警戒レベル, m). The scale holds every reference line up to the
    first above the highest course.
    """
    drawn = [*floods, ("", present)]
    values = [float(each) for _, course in drawn for each in course.values]
    top_value = max(values, default=0.0)
    above = [value for _, value in levels if value > top_value]
    shown = [(level, value) for level, value in levels if not above or value <= min(above)]
    low, high, tick = scale_of(values + [value for _, value in shown])
    right, bottom = WIDTH - _RIGHT, HEIGHT - _BOTTOM
    hours = (BEFORE + AFTER) / timedelta(hours=1)

    def x(hour: float) -> float:
        return round(_LEFT + (right - _LEFT) * (hour + BEFORE / timedelta(hours=1)) / hours, 1)

    def y(value: float) -> float:
        return round(bottom - (bottom - _TOP) * (value - low) / (high - low), 1)

    ends = [y(float(course.values[-1])) + 4 for _, course in floods if len(course.values)]
    places = iter(spread(ends, _TOP + 8, bottom))
    curves = []
    for letter, course in drawn:
        runs = [run for run in _runs(course, step) if len(run) > 1]
        paths = tuple("M" + "L".join(f"{x(hour)} {y(value)}" for hour, value in run) for run in runs)
        at = None
        if len(course.hours):
            here = (x(float(course.hours[-1])) + 6, y(float(course.values[-1])) + 4)
            at = (right + 6, next(places)) if letter else here
        curves.append(Curve(letter, paths, at))
    decimals = 2 if tick < 0.1 else 1
    return FloodPicture(
        WIDTH,
        HEIGHT,
        _LEFT,
        right,
        _TOP,
        bottom,
        x(0.0),
        tuple(curves),
        tuple(Line(y(value), level, value) for level, value in shown),
        tuple(Tick(x(hour), f"{hour:+.0f}" if hour else "0") for hour in range(-24, 25, 6)),
        tuple(Tick(y(low + n * tick), f"{low + n * tick:.{decimals}f}") for n in range(round((high - low) / tick) + 1)),
    )


def by_hour(course: Course) -> dict[int, float]:
    """The value nearest to each whole hour, where one lies within half an hour of it."""
    found: dict[int, float] = {}
    for hour in range(-(BEFORE // timedelta(hours=1)), AFTER // timedelta(hours=1) + 1):
        if len(course.hours):
            nearest = int(np.argmin(np.abs(course.hours - hour)))
            if abs(course.hours[nearest] - hour) <= 0.5:
                found[hour] = float(course.values[nearest])
    return found


def _runs(course: Course, step: timedelta) -> list[list[tuple[float, float]]]:
    """Stretches without a gap, of no more points than can be seen; of those left out none is a peak."""
    longest = 2.5 * step / timedelta(hours=1)
    keep = np.ones(len(course.hours), dtype=np.bool_)
    every = len(course.hours) // _THIN
    if every > 1:
        keep[:] = False
        keep[::every] = True
        keep[[int(np.argmax(course.values)), len(keep) - 1]] = True
    runs: list[list[tuple[float, float]]] = []
    last = -np.inf
    for hour, value, kept in zip(course.hours.tolist(), course.values.tolist(), keep.tolist(), strict=True):
        if hour - last > longest:
            runs.append([])
        if kept or not runs[-1]:
            runs[-1].append((hour, value))
        last = hour
    return runs


def spread(wanted: Sequence[float], top: float, bottom: float) -> list[float]:
    """Places near to those that are wanted, in their order, so far apart that letters can be told from each other.

    >>> spread([50.0, 48.0, 49.0], 0.0, 70.0)
    [70.0, 40.0, 55.0]
    """
    order = sorted(range(len(wanted)), key=lambda n: wanted[n])
    found = list(wanted)
    lowest = top
    for n in order:
        found[n] = lowest = max(wanted[n], lowest)
        lowest += _APART
    highest = bottom
    for n in reversed(order):
        found[n] = highest = min(found[n], highest)
        highest -= _APART
    return found
