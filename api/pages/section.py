"""横断図: the newest survey of a gauge with the water at its present height, as words, a table and SVG coordinates.

Seen looking downstream, the left bank on the left. Heights are elevations above T.P. where gauge zero is known, else
metres above gauge zero; a survey above T.P. at a gauge whose zero nobody knows is drawn without water and levels.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from analytics.rivers.section import Water, water_at
from api.pages.chart import Tick, scale_of
from devices.levels import CrossSection, Datum, LevelKind
from devices.model import ThresholdLevel
from store.levels import Level, Survey

WIDTH, HEIGHT = 480.0, 230.0
LEFT, RIGHT, TOP, BOTTOM = 44.0, 124.0, 12.0, 24.0
_LABEL_GAP = 13.0  # between two names, so that both can be read
_LONGEST_LABEL = 10
_MOST_LINES = 9

_Place = Callable[[float], float]  # metres -> where that is in the picture


@dataclass(frozen=True, slots=True)
class LevelLine:
    """A level as a line: `y` of the line, `label_y` of its name; `level` None where it has no number."""

    y: float
    label_y: float
    name: str
    name_en: str
    level: int | None
    kind: LevelKind


@dataclass(frozen=True, slots=True)
class Point:
    """A surveyed point with its height as drawn; `under` m of water above it, None where dry or nobody knows."""

    distance: float
    height: float
    note: str
    under: float | None


@dataclass(frozen=True, slots=True)
class SectionView:
    """`datum` of every height here. `water` None: there is no present level, or nobody knows gauge zero
    (`zero_unknown`). `ground` and `surface` are SVG paths; `level_y` of the water.
    """

    survey: Survey
    datum: Datum
    zero_unknown: bool
    water: Water | None
    points: tuple[Point, ...]
    lines: tuple[LevelLine, ...]
    ground: str
    surface: str
    level_y: float | None
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    width: float = WIDTH
    height: float = HEIGHT
    left: float = LEFT
    right: float = WIDTH - RIGHT
    bottom: float = HEIGHT - BOTTOM


def section_view(survey: Survey, value: float | None, zero: float | None, levels: Sequence[Level]) -> SectionView:
    """`value` the present level in m above gauge zero, `zero` the elevation of gauge zero; None where not known."""
    section = survey.section
    shown: Datum = "tp" if section.datum == "tp" or zero is not None else "zero"
    unknown = section.datum == "tp" and zero is None
    heights = _heights(section, zero)
    lift = 0.0 if zero is None else zero
    water = None
    if value is not None and not unknown:
        water = water_at(section.distance, heights, section.note, value + lift)
    drawn = [] if unknown else sorted(levels, key=lambda each: -each.value)[:_MOST_LINES]
    values = [*heights, *(each.value + lift for each in drawn), *([] if water is None else [water.level])]
    low, high, tick = scale_of(values)
    across = (WIDTH - LEFT - RIGHT) / (section.distance[-1] - section.distance[0])
    up = (HEIGHT - TOP - BOTTOM) / (high - low)

    def x(distance: float) -> float:
        return round(LEFT + across * (distance - section.distance[0]), 1)

    def y(height: float) -> float:
        return round(HEIGHT - BOTTOM - up * (height - low), 1)

    spots = [(x(a), y(b)) for a, b in zip(section.distance, heights, strict=True)]
    outline = "L".join(f"{a} {b}" for a, b in spots)
    floor = HEIGHT - BOTTOM
    ticks = [low + n * tick for n in range(round((high - low) / tick) + 1)]
    start, end, every = scale_of([0.0, section.distance[-1] - section.distance[0]])
    marks = [start + n * every for n in range(round((end - start) / every) + 1)]
    return SectionView(
        survey,
        shown,
        unknown,
        water,
        tuple(
            Point(a, b, note, _under(water, a, b))
            for a, b, note in zip(section.distance, heights, section.note, strict=True)
        ),
        tuple(_lines(drawn, lift, y)),
        f"M{spots[0][0]} {floor}L{outline}L{spots[-1][0]} {floor}Z",
        "" if water is None else _surface(water, section, heights, x, y),
        None if water is None else y(water.level),
        tuple(
            Tick(x(section.distance[0] + each), f"{section.distance[0] + each:g}")
            for each in marks
            if each <= section.distance[-1] - section.distance[0]
        ),
        tuple(Tick(y(each), f"{each:g}" if tick >= 1 else f"{each:.2f}".rstrip("0").rstrip(".")) for each in ticks),
    )


def section_file(station: str, view: SectionView | None) -> bytes:
    """The survey for a spreadsheet, as it can be read back (`devices.cross_section`), with how deep each point is; its
    first line alone where there is none.
    """
    text = io.StringIO()
    text.write("\ufeff")
    writer = csv.writer(text)
    writer.writerow(("station", "surveyed_on", "datum", "distance", "height", "note", "under_water_m"))
    if view is None:
        return text.getvalue().encode()
    for point in view.points:
        writer.writerow(
            (
                station,
                view.survey.section.surveyed_on.isoformat(),
                view.datum,
                f"{point.distance:g}",
                f"{point.height:.3f}",
                f"'{point.note}" if point.note[:1] in ("=", "+", "-", "@", "\t", "\r") else point.note,
                "" if point.under is None else f"{point.under:.2f}",
            )
        )
    return text.getvalue().encode()


def _heights(section: CrossSection, zero: float | None) -> tuple[float, ...]:
    if section.datum == "zero" and zero is not None:
        return tuple(round(each + zero, 4) for each in section.height)
    return section.height


def _under(water: Water | None, distance: float, height: float) -> float | None:
    if water is None or water.left is None or water.right is None or not water.left <= distance <= water.right:
        return None
    return water.level - height if water.level > height else None


def _surface(water: Water, section: CrossSection, heights: Sequence[float], x: _Place, y: _Place) -> str:
    """The water as an area: along its surface, and back along the bed."""
    if water.left is None or water.right is None:
        return ""
    bed = [
        f"{x(a)} {y(min(b, water.level))}"
        for a, b in zip(section.distance, heights, strict=True)
        if water.left <= a <= water.right
    ]
    top = y(water.level)
    return f"M{x(water.left)} {top}L{x(water.right)} {top}L" + "L".join(reversed(bed)) + "Z"


def _lines(levels: Sequence[Level], lift: float, y: _Place) -> list[LevelLine]:
    """Highest first; a name that would stand on the one above it is moved down."""
    found: list[LevelLine] = []
    below = 0.0
    for each in levels:
        at = y(each.value + lift)
        label = max(at + 4, below + _LABEL_GAP)
        below = label
        number = each.level if isinstance(each, ThresholdLevel) else None
        found.append(LevelLine(at, label, _short(each.name), _short(each.name_en, 17), number, each.kind))
    return found


def _short(name: str, most: int = _LONGEST_LABEL) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"
