"""One gauge with its past: the curve over some hours or days, the rain above it, its reference levels and since when
and why they are in force, its alerts, and where its newest value came from.

Over a long range the curve is thinned to the lowest and highest observation of each hour, so that no peak is lost; the
table beside it says the same hour by hour. The file for a spreadsheet always has every observation.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from api.pages.alert_list import Alert, station_alerts
from api.pages.chart import Chart, line_chart, thinned
from api.pages.disaster import WINDOW, Gauge, Threshold, gauge_of, thresholds_at
from api.pages.hyetograph import Hyetograph, hyetograph
from api.pages.rain import LOOK_BACK, RainGauge, sums_of
from api.pages.readings import Now, Point, StationNow, history, stations_now
from api.pages.river import RiverHere, rain_gauges_of, river_here
from devices.codecs import MODELS
from devices.model import ObservedProperty, StationKind
from store.connection import Connection

RANGES = {
    "6h": timedelta(hours=6),
    "24h": timedelta(hours=24),
    "3d": timedelta(days=3),
    "7d": timedelta(days=7),
}
USUAL_RANGE = "24h"
MOST_POINTS = 500  # a curve of more than these is thinned
NEAR = 2  # rain gauges shown above a river gauge whose catchment has none that we know of
ALERTS_SHOWN = 10
_HOUR = timedelta(hours=1)
_PROPERTIES = {
    StationKind.RIVER_GAUGE: ObservedProperty.WATER_LEVEL,
    StationKind.RAIN_GAUGE: ObservedProperty.PRECIPITATION,
}


@dataclass(frozen=True, slots=True)
class LevelSet:
    """Reference levels from `valid_from` on, lowest first. `gauge_zero_tp`: T.P. of gauge zero in m, None where it was
    never surveyed.
    """

    valid_from: datetime
    reason: str
    gauge_zero_tp: float | None
    levels: tuple[Threshold, ...]


@dataclass(frozen=True, slots=True)
class LevelHour:
    """The water level in [start, start + 1 h); `low` None: not one usable observation."""

    start: datetime
    low: float | None
    high: float | None
    n: int
    expected: int


@dataclass(frozen=True, slots=True)
class Rainfall:
    """A rain gauge over the range; `distance` km from the river gauge, None at the gauge's own page."""

    gauge: RainGauge
    distance: float | None
    picture: Hyetograph


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where the newest observation came from; `received` None: no device sent it (entered by hand, imported)."""

    time: datetime
    received: datetime | None
    device_key: str | None
    title: str | None
    title_en: str | None
    network: str | None


@dataclass(frozen=True, slots=True)
class StationPage:
    """`gauge` at a river gauge, else None; `chart` its curve. `points` newest first where every observation is shown,
    else `hours` newest first. `levels` in force, `other_levels` the earlier and coming sets, newest first.
    """

    station: StationNow
    kind: StationKind
    range: str
    now: Now | None
    gauge: Gauge | None
    chart: Chart | None
    points: tuple[Point, ...]
    hours: tuple[LevelHour, ...]
    rainfall: tuple[Rainfall, ...]
    river: RiverHere | None
    levels: LevelSet | None
    other_levels: tuple[LevelSet, ...]
    alerts: tuple[Alert, ...]
    provenance: Provenance | None


def station_page(conn: Connection, code: str, range_: str, now: datetime, zone: ZoneInfo) -> StationPage | None:
    """The page of a river or rain gauge; None where there is none of this code."""
    found = find(conn, code, now)
    if found is None:
        return None
    kind, station = found
    length = RANGES[range_]
    reading = station.readings.get(_PROPERTIES[kind])
    gauge: Gauge | None = None
    chart: Chart | None = None
    points: tuple[Point, ...] = ()
    hours: tuple[LevelHour, ...] = ()
    if kind is StationKind.RIVER_GAUGE:
        levels = thresholds_at(conn, now).get(station.station_id, ())
        ids = [] if reading is None else [reading.datastream_id]
        series = history(conn, ids, now - max(length, WINDOW), now)
        recent = {i: [p for p in each if p.time > now - WINDOW] for i, each in series.items()}
        gauge = gauge_of(station, levels, recent, now, zone)
        if reading is not None:
            shown = [p for p in series[reading.datastream_id] if p.time > now - length]
            chart, points, hours = _curve(shown, now - length, now, reading, zone, levels)
    sets = _level_sets(conn, station.station_id)
    current = next((s for s in sets if s.valid_from <= now), None)
    return StationPage(
        station=station,
        kind=kind,
        range=range_,
        now=reading,
        gauge=gauge,
        chart=chart,
        points=points,
        hours=hours,
        rainfall=_rainfall(conn, station, kind, now - length, now, zone),
        river=river_here(conn, station, now, zone),
        levels=current,
        other_levels=tuple(s for s in sets if s is not current),
        alerts=tuple(station_alerts(conn, code, ALERTS_SHOWN)),
        provenance=None if reading is None else _provenance(conn, reading.datastream_id),
    )


def find(conn: Connection, code: str, now: datetime) -> tuple[StationKind, StationNow] | None:
    """A river or rain gauge by its code."""
    row = conn.execute(
        "select kind from station where code = %s and kind = any(%s)", (code, [kind.value for kind in _PROPERTIES])
    ).fetchone()
    if row is None:
        return None
    kind = StationKind(row[0])
    return kind, next(s for s in stations_now(conn, kind, now) if s.code == code)


def _curve(
    points: Sequence[Point],
    start: datetime,
    end: datetime,
    reading: Now,
    zone: ZoneInfo,
    levels: Sequence[Threshold],
) -> tuple[Chart, tuple[Point, ...], tuple[LevelHour, ...]]:
    lines = [(level.level, level.value) for level in levels]
    if len(points) <= MOST_POINTS:
        return line_chart(points, start, end, reading.step, zone, lines), tuple(reversed(points)), ()
    chart = line_chart(thinned(points, reading.step, _HOUR), start, end, max(reading.step, _HOUR), zone, lines)
    return chart, (), _hours(points, start, end, reading, zone)


def _hours(
    points: Sequence[Point], start: datetime, end: datetime, reading: Now, zone: ZoneInfo
) -> tuple[LevelHour, ...]:
    """Every hour of the range that the series has lived through, newest first."""
    values: dict[float, list[float]] = {}
    for point in points:
        if point.usable and point.value is not None:
            values.setdefault(point.time.timestamp() // 3600, []).append(point.value)
    first = max(start, reading.first or start)
    hour = first.astimezone(zone).replace(minute=0, second=0, microsecond=0)
    hours = []
    while hour < end:
        inside = values.get(hour.timestamp() // 3600, [])
        expected = math.floor((min(end, hour + _HOUR) - max(first, hour)) / reading.step)
        if inside or expected:
            low, high = (min(inside), max(inside)) if inside else (None, None)
            hours.append(LevelHour(hour, low, high, len(inside), max(expected, len(inside))))
        hour += _HOUR
    return tuple(reversed(hours))


def _rainfall(
    conn: Connection, station: StationNow, kind: StationKind, start: datetime, end: datetime, zone: ZoneInfo
) -> tuple[Rainfall, ...]:
    """The rain at the gauges of the catchment, the nearest first; at the nearest of all where the town file does not
    say which those are; or at the gauge itself.
    """
    gauges = stations_now(conn, StationKind.RAIN_GAUGE, end)
    near: list[tuple[StationNow, float | None]]
    if kind is StationKind.RAIN_GAUGE:
        near = [(s, None) for s in gauges if s.code == station.code]
    else:
        known = rain_gauges_of(conn, station)
        nearest = sorted(gauges, key=lambda s: _kilometres(station, s))
        nearest = [s for s in nearest if s.code in known] or nearest[:NEAR]
        near = [(s, _kilometres(station, s)) for s in nearest]
    readings = {s.code: s.readings.get(ObservedProperty.PRECIPITATION) for s, _ in near}
    series = history(
        conn, [r.datastream_id for r in readings.values() if r is not None], min(start, end - LOOK_BACK), end
    )
    bar = timedelta(0) if end - start <= RANGES["24h"] else _HOUR
    found = []
    for each, distance in near:
        reading = readings[each.code]
        if reading is None:
            continue
        points = series[reading.datastream_id]
        sums = sums_of([p for p in points if p.time > end - LOOK_BACK], reading.step)
        picture = hyetograph(points, start, end, reading.step, bar, reading.first, zone)
        found.append(Rainfall(RainGauge(each, reading, sums), distance, picture))
    return tuple(found)


def _kilometres(a: StationNow, b: StationNow) -> float:
    shrink = math.cos(math.radians((a.latitude + b.latitude) / 2))
    return 111.2 * math.hypot(a.latitude - b.latitude, (a.longitude - b.longitude) * shrink)


def _level_sets(conn: Connection, station_id: int) -> list[LevelSet]:
    """All sets of a station, the one with the newest beginning first."""
    levels: dict[int, list[Threshold]] = {}
    for set_id, level, name, name_en, value in conn.execute(
        """
        select threshold_set_id, level, name, name_en, value from threshold_level
        join threshold_set using (threshold_set_id) where station_id = %s order by value
        """,
        (station_id,),
    ):
        levels.setdefault(set_id, []).append(Threshold(level, name, name_en, value))
    return [
        LevelSet(valid_from, reason, zero, tuple(levels.get(set_id, ())))
        for set_id, valid_from, reason, zero in conn.execute(
            """
            select threshold_set_id, valid_from, reason, gauge_zero_tp from threshold_set
            where station_id = %s order by valid_from desc
            """,
            (station_id,),
        )
    ]


def _provenance(conn: Connection, datastream_id: int) -> Provenance | None:
    row = conn.execute(
        """
        select l.phenomenon_time, u.received_time, u.device_key, v.model, u.network
        from datastream_latest l
        left join uplink u using (uplink_id)
        left join device v using (device_id)
        where l.datastream_id = %s
        """,
        (datastream_id,),
    ).fetchone()
    if row is None:
        return None
    time, received, key, model, network = row
    known = MODELS.get(model)
    return Provenance(time, received, key, known.title if known else model, known.title_en if known else model, network)


def csv_file(conn: Connection, code: str, range_: str, now: datetime, zone: ZoneInfo) -> bytes | None:
    """Every observation of the range for a spreadsheet: UTF-8 with a BOM, so that Excel reads it; times in the town's
    zone with their offset; an empty value where there is none. None where there is no such gauge.
    """
    found = find(conn, code, now)
    if found is None:
        return None
    kind, station = found
    observed = _PROPERTIES[kind]
    reading = station.readings.get(observed)
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\r\n")
    out.writerow(("station", "observed_property", "time", "value", "unit", "quality", "reason"))
    if reading is not None:
        for time, value, quality, reason in conn.execute(
            """
            select phenomenon_time, value, quality::text, reason from tenant_observation
            where datastream_id = %s and phenomenon_time > %s and phenomenon_time <= %s order by phenomenon_time
            """,
            (reading.datastream_id, now - RANGES[range_], now),
        ):
            number = "" if value is None else f"{value:.4f}".rstrip("0").rstrip(".")
            local = time.astimezone(zone).isoformat(timespec="seconds")
            out.writerow((code, observed.value, local, number, reading.unit, quality, reason or ""))
    return text.getvalue().encode("utf-8-sig")
