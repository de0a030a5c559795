"""Rain over time as bars that hang from the top, as hydrologists draw it above the level of the river: SVG coordinates
on the time axis of `chart.py`, and the same numbers for a table.

An interval of which nothing was measured is a hatched field, not a bar of no height.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from api.curves import worst_of
from api.pages.chart import LEFT, RIGHT, WIDTH, Tick, scale_of, time_ticks
from api.pages.readings import Point
from devices.model import Quality

HEIGHT = 84.0
LEAST = 5.0  # mm at the end of the axis, at least: a drizzle must not look like a cloudburst
_TOP, _BOTTOM = 8.0, 6.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Interval:
    """The rain in (start, end]. `amount` None: nothing was measured; `n` of `expected` observations were. `worst`: the
    worst quality of all its observations (`api.curves.worst_of`). `running`: the end has not come yet.
    """

    start: datetime
    end: datetime
    amount: float | None
    n: int
    expected: int
    worst: Quality | None
    running: bool = False

    @property
    def complete(self) -> bool:
        return self.n >= self.expected

    @property
    def doubted(self) -> bool:
        return self.worst in (Quality.DOUBTFUL, Quality.BAD)


@dataclass(frozen=True, slots=True)
class Bar:
    """A rectangle; `measured` False: a field of an interval of which nothing is known. `doubted`: not all of it should
    simply be believed.
    """

    x: float
    width: float
    height: float
    measured: bool
    doubted: bool


@dataclass(frozen=True, slots=True)
class Hyetograph:
    width: float
    height: float
    left: float
    right: float
    top: float
    bars: tuple[Bar, ...]
    ticks: tuple[Tick, ...]
    times: tuple[Tick, ...]
    intervals: tuple[Interval, ...]


def hyetograph(
    points: Sequence[Point],
    start: datetime,
    end: datetime,
    step: timedelta,
    bar: timedelta,
    first: datetime | None,
    zone: ZoneInfo,
) -> Hyetograph:
    """The rain between two times, gathered into intervals of `bar` (at least a step) at whole multiples of it.

    The running interval is left out, and so is what lies before `first`, the oldest observation there is.
    """
    return picture(_intervals(points, start, end, step, max(bar, step), first), start, end, zone)


def picture(intervals: Sequence[Interval], start: datetime, end: datetime, zone: ZoneInfo) -> Hyetograph:
    """The bars of these intervals, oldest first."""
    most = max((i.amount for i in intervals if i.amount is not None), default=0.0)
    _, high, _ = scale_of([0.0, max(LEAST, most)])
    right, field = WIDTH - RIGHT, HEIGHT - _TOP - _BOTTOM

    def x(time: datetime) -> float:
        return round(LEFT + (right - LEFT) * ((min(max(time, start), end) - start) / (end - start)), 1)

    bars = [
        Bar(
            x(i.start),
            round(max(0.5, x(i.end) - x(i.start) - 0.5), 1),
            field if i.amount is None else round(field * i.amount / high, 1),
            i.amount is not None,
            i.amount is not None and i.doubted,
        )
        for i in intervals
        if i.amount is None or i.amount > 0
    ]
    ticks = (Tick(_TOP, "0"), Tick(_TOP + field, f"{high:g}"))
    return Hyetograph(
        WIDTH, HEIGHT, LEFT, right, _TOP, tuple(bars), ticks, time_ticks(start, end, zone), tuple(intervals)
    )


def _intervals(
    points: Sequence[Point], start: datetime, end: datetime, step: timedelta, bar: timedelta, first: datetime | None
) -> list[Interval]:
    if first is None:
        return []
    inside: dict[datetime, list[Point]] = {}
    for point in points:
        # an amount at 10:00 sharp fell before 10:00
        inside.setdefault(_EPOCH + -(-(point.time - _EPOCH) // bar) * bar, []).append(point)
    found = []
    close = _EPOCH + ((max(start, first - step) - _EPOCH) // bar + 1) * bar
    while close <= end:
        known = [p for p in inside.get(close, ()) if p.usable and p.value is not None]
        found.append(
            Interval(
                close - bar,
                close,
                sum(p.value for p in known if p.value is not None) if known else None,
                len(known),
                round(bar / step),
                worst_of(p.quality for p in inside.get(close, ())),
            )
        )
        close += bar
    return found
