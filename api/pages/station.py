"""One gauge with its past: the curve over hours, days or a year, the rain above it, its reference levels and since when
and why they are in force, its alerts, and where its newest value came from.

Over a long range the curve joins the lowest and highest value of each hour, or whatever is told (`SLICES`), so that no
peak is lost; the table beside it is made of the same slices and says how complete each is. The files for a spreadsheet
are in `gauge_file.py`.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from api.curves import Curve, Step, curve, quality_of
from api.pages.alert_list import Alert, station_alerts
from api.pages.chart import Chart, line_chart
from api.pages.disaster import WINDOW, Gauge, gauge_of, named_lines, thresholds_at
from api.pages.hyetograph import Hyetograph, Interval, hyetograph, picture
from api.pages.rain import RainGauge, rain_sums
from api.pages.readings import Now, Point, StationNow, history, stations_now
from api.pages.river import RiverHere, rain_gauges_of, river_here
from api.pages.section import SectionView, section_view
from api.pages.stretches import Due, Stretch, stretches
from api.readings import latest_of
from devices.codecs import MODELS
from devices.duty import missed
from devices.model import ObservedProperty, Quality, StationKind, Statistic
from store.connection import Connection
from store.duty import datastream_duties, held_before
from store.field_reports import GaugeReading, readings
from store.levels import DatedSet, Marks, in_force, marks_at, sections, station_sets

RANGES = {
    "6h": timedelta(hours=6),
    "24h": timedelta(hours=24),
    "3d": timedelta(days=3),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
    "1y": timedelta(days=365),
}
USUAL_RANGE = "24h"
MOST_POINTS = 500  # a curve of more than these is gathered into slices
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
SLICES = {"30d": 3 * _HOUR, "1y": _DAY}  # of a long curve; of the others _HOUR
DAILY_RAIN = frozenset({"30d", "1y"})  # rain over these ranges is told by the local day
NEAR = 2  # rain gauges shown above a river gauge whose catchment has none that we know of
ALERTS_SHOWN = 10
LONGEST_PACE = timedelta(days=2)  # so far back somebody who speaks once a day was heard, or missed one
FINER_POINTS = 1000  # asked for when a reader looks closer
PROPERTIES = {
    StationKind.RIVER_GAUGE: ObservedProperty.WATER_LEVEL,
    StationKind.RAIN_GAUGE: ObservedProperty.PRECIPITATION,
    StationKind.THERMOMETER: ObservedProperty.AIR_TEMPERATURE,
}


@dataclass(frozen=True, slots=True)
class Longer:
    """A curve in slices: how long each is, what was read for it, its table, newest first, and the address that tells
    the same series more finely (`api.observations`), for `chart.js`.
    """

    slice: timedelta
    step: Step
    stretches: tuple[Stretch, ...]
    address: str


@dataclass(frozen=True, slots=True)
class Air:
    """The temperature of the air over the range; `points` and `longer` as of the page itself."""

    now: Now
    chart: Chart
    points: tuple[Point, ...]
    longer: Longer | None


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
    """`gauge` at a river gauge, else None; `chart` its curve; `air` where a thermometer stands. `points` newest
    first where every observation is shown, else `longer` says what is. `in_stretches`: the station's own table is of
    hours or days. `reported`: what people read on the staff gauge in this range, apart from all that. `levels` in
    force, `other_levels` the earlier and coming sets, newest first. `section`: the newest survey, at a river gauge.
    """

    station: StationNow
    kind: StationKind
    range: str
    now: Now | None
    gauge: Gauge | None
    chart: Chart | None
    points: tuple[Point, ...]
    longer: Longer | None
    air: Air | None
    rainfall: tuple[Rainfall, ...]
    in_stretches: bool
    river: RiverHere | None
    levels: DatedSet | None
    other_levels: tuple[DatedSet, ...]
    section: SectionView | None
    alerts: tuple[Alert, ...]
    provenance: Provenance | None
    reported: tuple[GaugeReading, ...]


def station_page(conn: Connection, code: str, range_: str, now: datetime, zone: ZoneInfo) -> StationPage | None:
    """The page of a river or rain gauge or a thermometer; None where there is none of this code."""
    found = find(conn, code, now)
    if found is None:
        return None
    kind, station = found
    length = RANGES[range_]
    reading = station.readings.get(PROPERTIES[kind])
    gauge: Gauge | None = None
    chart: Chart | None = None
    points: tuple[Point, ...] = ()
    longer: Longer | None = None
    reported = tuple(readings(conn, station.station_id, now - length, now))
    read = [(each.seen_at, each.value) for each in reported]
    if kind is StationKind.RIVER_GAUGE:
        levels = thresholds_at(conn, now).get(station.station_id, ())
        marks = marks_at(conn, now).get(station.station_id, Marks())
        ids = [] if reading is None else [reading.datastream_id]
        gauge = gauge_of(station, levels, history(conn, ids, now - WINDOW, now), marks)
        if reading is not None:
            lines = [(level.level, level.value) for level in levels]
            named = named_lines(marks)
            chart, points, longer = _curve(conn, reading, range_, now, zone, lines, read, named)
    air = _air(conn, station, range_, now, zone)
    sets = [each for each in station_sets(conn, station.station_id) if each.corrected_by is None]
    current = in_force(sets, now)
    return StationPage(
        station=station,
        kind=kind,
        range=range_,
        now=reading,
        gauge=gauge,
        chart=chart,
        points=points,
        longer=longer,
        air=air,
        rainfall=() if kind is StationKind.THERMOMETER else _rainfall(conn, station, kind, range_, now, zone),
        in_stretches=longer is not None
        or (air is not None and air.longer is not None)
        or (kind is StationKind.RAIN_GAUGE and _adds_up(range_)),
        river=river_here(conn, station, now),
        levels=current,
        other_levels=tuple(s for s in sets if s is not current),
        section=_section(conn, station, gauge, current),
        alerts=tuple(station_alerts(conn, code, ALERTS_SHOWN)),
        provenance=None if reading is None else _provenance(conn, reading.datastream_id),
        reported=reported,
    )


def find(conn: Connection, code: str, now: datetime) -> tuple[StationKind, StationNow] | None:
    """A river or rain gauge or a thermometer by its code."""
    row = conn.execute(
        "select kind from station where code = %s and kind = any(%s)", (code, [kind.value for kind in PROPERTIES])
    ).fetchone()
    if row is None:
        return None
    kind = StationKind(row[0])
    return kind, next(s for s in stations_now(conn, kind, now) if s.code == code)


def _curve(
    conn: Connection,
    reading: Now,
    range_: str,
    now: datetime,
    zone: ZoneInfo,
    lines: Sequence[tuple[int, float]] = (),
    read: Sequence[tuple[datetime, float]] = (),
    named: Sequence[tuple[str, str, float]] = (),
) -> tuple[Chart, tuple[Point, ...], Longer | None]:
    """The curve of a series, and its table: every observation, newest first, or where they are too many the slices."""
    start = now - RANGES[range_]
    sliced = gathered(conn, reading, range_, now, zone)
    if sliced is None:
        points = history(conn, [reading.datastream_id], start, now)[reading.datastream_id]
        chart = line_chart(points, start, now, reading.step, zone, lines, reported=read, named=named)
        return chart, tuple(points[::-1]), None
    chart = line_chart(_points(sliced), start, now, None, zone, lines, _doubted(sliced), read, named)
    return chart, (), _longer(sliced, reading, start, now, due_of(conn, reading, start, now))


def _air(conn: Connection, station: StationNow, range_: str, now: datetime, zone: ZoneInfo) -> Air | None:
    reading = station.readings.get(ObservedProperty.AIR_TEMPERATURE)
    return None if reading is None else Air(reading, *_curve(conn, reading, range_, now, zone))


def gathered(conn: Connection, reading: Now, range_: str, now: datetime, zone: ZoneInfo) -> Curve | None:
    """The curve of a range in slices; None where every observation has room."""
    length = RANGES[range_]
    if length / reading.step <= MOST_POINTS:
        return None
    (series,) = latest_of(conn, [reading.datastream_id])
    found = curve(conn, series, now - length, now, zone, every=SLICES.get(range_, _HOUR))
    # What reports about once a day while nothing happens has few observations, whatever its step.
    return None if found.step is Step.RAW and found.read <= MOST_POINTS else found


def table_of(conn: Connection, reading: Now, range_: str, now: datetime, zone: ZoneInfo) -> tuple[Stretch, ...]:
    """A range by the hour or day, as its table says it where that is not of observations; newest first."""
    start, total = now - RANGES[range_], adds_up(reading)
    every = SLICES.get(range_, _HOUR)
    if total:
        every = _DAY if range_ in DAILY_RAIN else _HOUR
    (series,) = latest_of(conn, [reading.datastream_id])
    found = curve(conn, series, start, now, zone, every=every)
    due = None if total else due_of(conn, reading, start, now)
    return stretches(found, reading.step, reading.first, start, now, total=total, due=due)


def due_of(conn: Connection, reading: Now, start: datetime, end: datetime) -> Due | None:
    """How many observations there should be of a series whose device has a duty cycle; None of any other."""
    cycle = datastream_duties(conn, [reading.datastream_id]).get(reading.datastream_id)
    if cycle is None:
        return None
    points = history(conn, [reading.datastream_id], start - LONGEST_PACE, end)[reading.datastream_id]
    if not points:
        return lambda since, until: 0
    before = held_before(conn, {reading.datastream_id: cycle}, {reading.datastream_id: points[0].time}, tenant=True)
    reports = [(point.time, point.value if point.usable else None) for point in points]
    times = sorted([point.time for point in points] + missed(cycle, reports, end, before[reading.datastream_id]))
    return lambda since, until: bisect_left(times, until) - bisect_left(times, since)


def adds_up(reading: Now) -> bool:
    """Whether it counts or measures amounts: an hour of it has a sum, not a lowest and a highest value."""
    return ObservedProperty(reading.datastream.rpartition("/")[2]).statistic is Statistic.TOTAL


def _adds_up(range_: str) -> bool:
    """Whether rain over this range is told by the hour or day, not by the observation."""
    return RANGES[range_] > RANGES["24h"]


def _points(found: Curve) -> list[Point]:
    """A curve as points; one without a value breaks the line."""
    return [
        Point(datetime.fromtimestamp(time, UTC), None, Quality.MISSING)
        if math.isnan(value)
        else Point(datetime.fromtimestamp(time, UTC), value, Quality.GOOD)
        for time, value in zip(found.times.tolist(), found.values.tolist(), strict=True)
    ]


def _doubted(found: Curve) -> dict[datetime, Quality]:
    """Where the curve stands for values that should not simply be believed."""
    told = zip(found.times.tolist(), map(quality_of, found.worst.tolist()), strict=True)
    return {
        datetime.fromtimestamp(time, UTC): quality
        for time, quality in told
        if quality in (Quality.DOUBTFUL, Quality.BAD)
    }


def _longer(found: Curve, reading: Now, start: datetime, end: datetime, due: Due | None) -> Longer:
    assert found.slice is not None
    address = f"/api/v1/datastreams/{reading.datastream}/observations?step=auto&points={FINER_POINTS}"
    told = stretches(found, reading.step, reading.first, start, end, total=False, due=due)
    return Longer(found.slice, found.step, told, address)


def _rainfall(
    conn: Connection, station: StationNow, kind: StationKind, range_: str, end: datetime, zone: ZoneInfo
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
    ids = [r.datastream_id for r in readings.values() if r is not None]
    start = end - RANGES[range_]
    sums = rain_sums(conn, {r.datastream_id: r.step for r in readings.values() if r is not None}, end)
    by_day = range_ in DAILY_RAIN
    series = {} if by_day else history(conn, ids, start, end)
    bar = _HOUR if _adds_up(range_) else timedelta(0)
    found = []
    for each, distance in near:
        reading = readings[each.code]
        if reading is None:
            continue
        if by_day:
            shown = picture(_days(conn, reading, range_, end, zone), start, end, zone)
        else:
            points = series[reading.datastream_id]
            shown = hyetograph(points, start, end, reading.step, bar, reading.first, zone)
        found.append(Rainfall(RainGauge(each, reading, sums[reading.datastream_id]), distance, shown))
    return tuple(found)


def _days(conn: Connection, reading: Now, range_: str, end: datetime, zone: ZoneInfo) -> list[Interval]:
    """Rain by the local day, oldest first."""
    return [
        Interval(day.start, day.end, day.high, day.n, day.expected, day.worst, running=day.running)
        for day in reversed(table_of(conn, reading, range_, end, zone))
    ]


def _kilometres(a: StationNow, b: StationNow) -> float:
    shrink = math.cos(math.radians((a.latitude + b.latitude) / 2))
    return 111.2 * math.hypot(a.latitude - b.latitude, (a.longitude - b.longitude) * shrink)


def _section(conn: Connection, station: StationNow, gauge: Gauge | None, levels: DatedSet | None) -> SectionView | None:
    """The newest survey with the present water; None where there is none."""
    known = [] if gauge is None else sections(conn, station.station_id)
    if gauge is None or not known:
        return None
    value = gauge.now.value if gauge.now is not None and gauge.now.current else None
    zero = None if levels is None else levels.gauge_zero_tp
    return section_view(known[0], value, zero, () if levels is None else levels.every)


def _provenance(conn: Connection, datastream_id: int) -> Provenance | None:
    row = conn.execute(
        """
        select l.phenomenon_time, u.received_time, u.device_key, v.model, m.title, m.title_en, u.network
        from datastream_latest l
        left join uplink u using (uplink_id)
        left join device v using (device_id)
        left join device_model m on m.municipality_id = v.municipality_id and m.name = v.model
        where l.datastream_id = %s
        """,
        (datastream_id,),
    ).fetchone()
    if row is None:
        return None
    time, received, key, model, title, title_en, network = row
    if model in MODELS:
        title, title_en = MODELS[model].title, MODELS[model].title_en
    return Provenance(time, received, key, title or model, title_en or model, network)
