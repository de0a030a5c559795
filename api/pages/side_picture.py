"""Values of several spots over the same categories (days, weekdays, hours) as SVG coordinates: a line a spot, with a
letter and a dash of its own. The table below the picture has the same numbers.

A line breaks where a value is missing; a value between two missing ones is a dot. The scale begins at 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_uppercase

from api.pages.chart import Tick, scale_of
from api.pages.flood_picture import spread

MOST = 4
LETTERS = ascii_uppercase[:MOST]
WIDTH, HEIGHT = 720.0, 280.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 64.0, 48.0, 12.0, 30.0
_MOST_LABELS = 12
_MOST_DOTS = 31


@dataclass(frozen=True, slots=True)
class Side:
    """A spot's line; `at`: where its letter stands, None where it has no value."""

    letter: str
    paths: tuple[str, ...]
    dots: tuple[tuple[float, float], ...]
    at: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class SidePicture:
    width: float
    height: float
    left: float
    right: float
    top: float
    bottom: float
    sides: tuple[Side, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]


def side_picture(labels: Sequence[str], spots: Sequence[Sequence[float | None]]) -> SidePicture:
    """`labels` of the categories; of each spot as many values, None where there is none."""
    known = [value for values in spots for value in values if value is not None]
    _, high, tick = scale_of([0.0, *known] if any(known) else [0.0, 1.0])
    right, bottom = WIDTH - _RIGHT, HEIGHT - _BOTTOM
    apart = (right - _LEFT) / max(1, len(labels) - 1)

    def x(n: int) -> float:
        return round(_LEFT + apart * n, 1)

    def y(value: float) -> float:
        return round(bottom - (bottom - _TOP) * value / high, 1)

    runs = [_runs(values) for values in spots]
    last = [y(found[-1][-1][1]) + 4 for found in runs if found]
    places = iter(spread(last, _TOP + 8, bottom))
    sides = []
    for letter, found in zip(LETTERS, runs, strict=False):
        points = [(x(n), y(value)) for run in found for n, value in run]
        alone = [(x(run[0][0]), y(run[0][1])) for run in found if len(run) == 1]
        paths = tuple("M" + "L".join(f"{x(n)} {y(value)}" for n, value in run) for run in found if len(run) > 1)
        dots = points if len(labels) <= _MOST_DOTS else alone
        sides.append(Side(letter, paths, tuple(dots), (right + 24, next(places)) if found else None))
    every = -(-len(labels) // _MOST_LABELS)
    decimals = 0 if tick >= 1 else 1
    return SidePicture(
        WIDTH,
        HEIGHT,
        _LEFT,
        right,
        _TOP,
        bottom,
        tuple(sides),
        tuple(Tick(x(n), label) for n, label in enumerate(labels) if n % every == 0),
        tuple(Tick(y(n * tick), f"{n * tick:,.{decimals}f}") for n in range(round(high / tick) + 1)),
    )


def _runs(values: Sequence[float | None]) -> list[list[tuple[int, float]]]:
    """Stretches of neighbours that all have a value, with their positions."""
    runs: list[list[tuple[int, float]]] = []
    open_run = False
    for n, value in enumerate(values):
        if value is None:
            open_run = False
            continue
        if not open_run:
            runs.append([])
        runs[-1].append((n, value))
        open_run = True
    return runs
