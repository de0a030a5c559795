"""防災: the worst level now and where, what has changed, what cannot be judged; then the rain, every gauge, the map,
the curves.

A level here is what the present observation reaches of its thresholds. The alert strip may stand one level
higher for a while: an alert clears only after its hold time below the threshold.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from analytics.rivers.trend import trend
from api.pages.changes import SPAN, Change, steps, told_by_alerts
from api.pages.chart import Chart, line_chart
from api.pages.rain import RainGauge, rain
from api.pages.readings import Now, Point, StationNow, history, stations_now
from devices.levels import LevelKind
from devices.model import ObservedProperty, StationKind, ThresholdLevel
from store.connection import Connection
from store.levels import Level, Marks, marks_at, overflow_of

WINDOW = timedelta(hours=12)
# Rows and curves of one page: where a town has more gauges the nearest to harm come first, and the others page by page.
MOST_SHOWN = 100
_MOST_UNJUDGED = 20
_NO_MARKS = Marks()


Threshold = ThresholdLevel  # one that is in force


@dataclass(frozen=True, slots=True)
class Overflow:
    """Where the water leaves the river, and how far it is up to there: `left` m, 0 or less where it has come to it."""

    level: Level
    left: float


@dataclass(frozen=True, slots=True)
class Gauge:
    """A river gauge as its row shows it.

    `level`: 1..5 reached, 0 below all thresholds, None where it cannot be judged (no present value, or no
    thresholds). `to_next` metres up to `next`, the lowest threshold above the value. `rate` in m/h. `marks`: the levels
    without a number. `overflow` and `elevation` (m above T.P.) of the present value, None where it or they are unknown.
    """

    station: StationNow
    now: Now | None
    thresholds: tuple[Threshold, ...]
    level: int | None
    reached: Threshold | None
    next: Threshold | None
    to_next: float | None
    rate: float | None
    chart: Chart | None
    recent: tuple[Point, ...]
    marks: Marks = _NO_MARKS
    overflow: Overflow | None = None
    elevation: float | None = None

    @property
    def badge(self) -> str:
        """Which badge: level-0..5, none (the place has no thresholds) or unknown (no present value)."""
        if self.level is not None:
            return str(self.level)
        return "unknown" if self.thresholds else "none"


@dataclass(frozen=True, slots=True)
class Disaster:
    """`worst` is the gauge nearest to harm, None where none can be judged; `unjudged` the first stations that say
    nothing of the present, of `n_unjudged`; `changes` of the last half hour, newest first. `gauges`: those of this
    page, of `n_gauges` on so many pages; those that cannot be judged come last, from `unjudged_page` on.
    """

    gauges: tuple[Gauge, ...]
    rain: tuple[RainGauge, ...]
    worst: Gauge | None
    unjudged: tuple[Gauge | RainGauge, ...]
    changes: tuple[Change, ...]
    n_unjudged: int = 0
    unjudged_page: int = 1
    n_gauges: int = 0
    page: int = 1
    pages: int = 1


def disaster(conn: Connection, now: datetime, zone: ZoneInfo, page: int = 1) -> Disaster:
    """The whole page in seven queries. Curves and trends are read for the gauges that it shows."""
    stations = stations_now(conn, StationKind.RIVER_GAUGE, now)
    levels, marks = thresholds_at(conn, now), marks_at(conn, now)
    every = [judged(s, levels.get(s.station_id, ()), marks.get(s.station_id, _NO_MARKS)) for s in stations]
    pages = max(1, -(-len(every) // MOST_SHOWN))
    page = min(max(page, 1), pages)
    shown = every
    if pages > 1:
        every.sort(key=lambda each: (each.level is not None, *_nearness(each)), reverse=True)
        shown = every[(page - 1) * MOST_SHOWN : page * MOST_SHOWN]
    series = history(conn, [each.now.datastream_id for each in shown if each.now is not None], now - WINDOW, now)
    gauges = tuple(_drawn(_rated(each, series), series, now, zone) for each in shown)
    rain_gauges = rain(conn, now)
    since = now - SPAN
    changes = told_by_alerts(conn, since, now)
    for gauge in gauges:
        changes += steps(gauge.station, tuple(reversed(gauge.recent)), gauge.thresholds, since)
    silent: list[Gauge | RainGauge] = [gauge for gauge in every if gauge.now is None or not gauge.now.current]
    silent += [gauge for gauge in rain_gauges if not gauge.current]
    worst = worst_of(every)
    return Disaster(
        gauges,
        rain_gauges,
        next((each for each in gauges if worst is not None and each.station.code == worst.station.code), worst),
        tuple(silent if len(silent) <= _MOST_UNJUDGED else silent[:_MOST_UNJUDGED]),
        tuple(sorted(changes, key=lambda change: change.at, reverse=True)),
        len(silent),
        1 + sum(each.level is not None for each in every) // MOST_SHOWN,
        len(every),
        page,
        pages,
    )


def _nearness(gauge: Gauge) -> tuple[int, float]:
    """Higher is nearer to harm: first the level, then how little is left to the next one."""
    return (gauge.level or 0, -gauge.to_next if gauge.to_next is not None else 0.0)


def gauge_of(
    station: StationNow,
    thresholds: tuple[Threshold, ...],
    series: Mapping[int, Sequence[Point]],
    marks: Marks = _NO_MARKS,
) -> Gauge:
    """A station's row, without a curve; `series` has its observations of the last WINDOW, oldest first."""
    return _rated(judged(station, thresholds, marks), series)


def _rated(gauge: Gauge, series: Mapping[int, Sequence[Point]]) -> Gauge:
    if gauge.now is None or not gauge.now.current:
        return gauge
    return replace(gauge, rate=_rate(series[gauge.now.datastream_id]))


def _drawn(gauge: Gauge, series: Mapping[int, Sequence[Point]], now: datetime, zone: ZoneInfo) -> Gauge:
    """The same with its curve."""
    if gauge.now is None:
        return gauge
    points = series[gauge.now.datastream_id]
    lines = [(threshold.level, threshold.value) for threshold in gauge.thresholds]
    chart = line_chart(points, now - WINDOW, now, gauge.now.step, zone, lines, named=named_lines(gauge.marks))
    return replace(gauge, chart=chart, recent=tuple(reversed(points)))


def named_lines(marks: Marks) -> list[tuple[str, str, float]]:
    """The levels without a number, as a chart takes them."""
    return [(mark.name, mark.name_en, mark.value) for mark in marks.marks]


def judged(station: StationNow, thresholds: tuple[Threshold, ...], marks: Marks = _NO_MARKS) -> Gauge:
    """A station by its newest observation alone: without curve and trend."""
    reading = station.readings.get(ObservedProperty.WATER_LEVEL)
    plain = Gauge(station, reading, thresholds, None, None, None, None, None, None, (), marks)
    if reading is None or not reading.current or reading.value is None:
        return plain
    value = reading.value
    reached = next((t for t in reversed(thresholds) if t.value <= value), None)
    above = next((t for t in thresholds if t.value > value), None)
    over = overflow_of(thresholds, marks.marks)
    return replace(
        plain,
        level=None if not thresholds else reached.level if reached else 0,
        reached=reached,
        next=above,
        to_next=None if above is None else above.value - value,
        overflow=None if over is None else Overflow(over, over.value - value),
        elevation=None if marks.gauge_zero_tp is None else marks.gauge_zero_tp + value,
    )


def worst_of(gauges: Iterable[Gauge]) -> Gauge | None:
    """The gauge nearest to harm; None where none can be judged."""
    return max((gauge for gauge in gauges if gauge.level is not None), key=_nearness, default=None)


def worst_now(conn: Connection, now: datetime) -> Gauge | None:
    """The same from the present alone, in two queries."""
    levels = thresholds_at(conn, now)
    return worst_of(judged(s, levels.get(s.station_id, ())) for s in stations_now(conn, StationKind.RIVER_GAUGE, now))


def _rate(points: Sequence[Point]) -> float | None:
    values = [point.value if point.usable and point.value is not None else np.nan for point in points]
    found = trend([point.time for point in points], np.array(values, dtype=np.float64))
    return None if found is None else found.rate


def thresholds_at(conn: Connection, now: datetime) -> dict[int, tuple[Threshold, ...]]:
    """The thresholds in force at a moment, lowest first, by station id."""
    found: dict[int, list[Threshold]] = {}
    for station_id, level, name, name_en, value, kind in conn.execute(
        """
        select station_id, level, name, name_en, value, kind
        from (
            select distinct on (station_id) station_id, threshold_set_id from threshold_set
            where valid_from <= %s order by station_id, valid_from desc, threshold_set_id desc
        ) in_force
        join threshold_level using (threshold_set_id)
        order by station_id, value
        """,
        (now,),
    ):
        found.setdefault(station_id, []).append(Threshold(level, name, name_en, value, LevelKind(kind)))
    return {station_id: tuple(levels) for station_id, levels in found.items()}
