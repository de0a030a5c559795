"""過去の出水: what a gauge has recorded of floods, as a table, as courses laid over each other, and as files.

Everything is an observation: how high it was, how fast it rose, how long it stood above which of today's levels, and
how much it had rained by then at the gauge of the catchment that had most (`analytics.rivers.floods`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from starlette.requests import Request
from starlette.responses import Response

from analytics.rivers.floods import (
    SPANS,
    Course,
    Flood,
    PastFloods,
    RainBefore,
    courses,
    past_floods,
    rain_before,
)
from api.access import READERS, Router, SignedIn, Visit, access
from api.errors import NotFound, Text
from api.pages.alert_list import open_alerts
from api.pages.disaster import Threshold, thresholds_at
from api.pages.flood_picture import AFTER, BEFORE, LETTERS, MOST, FloodPicture, by_hour, picture
from api.pages.gauge_file import BOM, lines, number_text, time_text
from api.pages.readings import Now, StationNow, stations_now
from api.pages.river import rain_gauges_of
from api.pages.site import moment, page
from api.pages.station import find
from devices.model import ObservedProperty, StationKind
from store.connection import Connection

router = Router()

_CSV = "text/csv; charset=utf-8"
_CHOSEN = 4  # courses that are shown unless somebody chooses
_HOUR = timedelta(hours=1)
_NOTHING = Course(np.empty(0), np.empty(0))


@dataclass(frozen=True, slots=True)
class Fallen:
    """What a rain gauge had measured by a peak."""

    station: StationNow
    rain: RainBefore


@dataclass(frozen=True, slots=True)
class Row:
    """A flood as its row shows it. `key` names it in addresses; `letter` empty: its course is not shown. `reached`: the
    highest of today's levels that it passed. `rain`: of the gauge with most; `fallen` of all of them.
    """

    flood: Flood
    key: str
    letter: str
    reached: Threshold | None
    above: tuple[tuple[Threshold, timedelta, bool], ...]
    rain: Fallen | None
    fallen: tuple[Fallen, ...]


@dataclass(frozen=True, slots=True)
class FloodsPage:
    """`shown`: letter, row and course of what the picture has; `hours`: its table, (hours after the peak, the value of
    each of them, the present one's).
    """

    station: StationNow
    now: Now | None
    levels: tuple[Threshold, ...]
    past: PastFloods
    rows: tuple[Row, ...]
    shown: tuple[tuple[str, Row, Course], ...]
    present: Course | None
    picture: FloodPicture | None
    hours: tuple[tuple[int, tuple[float | None, ...], float | None], ...]


@router.get("/disaster/stations/{code}/floods")
@access(READERS, page=True)
def floods_page(request: Request, visit: SignedIn, code: str) -> Response:
    at = moment(request, visit)
    with visit.transaction() as conn:
        model = floods(conn, code, at.now, request.query_params.getlist("flood"))
        alerts = open_alerts(conn, visit.user.role)
    return page(request, visit, at, "disaster_floods", alerts, model=model, most=MOST)


@router.get("/disaster/stations/{code}/floods.csv")
@access(READERS, page=True)
def floods_file(request: Request, visit: SignedIn, code: str) -> Response:
    """A line a flood."""
    model, zone = _model(request, visit, code)
    return _file(f"{code}_floods", _rows(model, zone))


@router.get("/disaster/stations/{code}/floods/courses.csv")
@access(READERS, page=True)
def courses_file(request: Request, visit: SignedIn, code: str) -> Response:
    """Every observation of the courses that the page shows."""
    model, zone = _model(request, visit, code)
    return _file(f"{code}_flood_courses", _observations(model, zone))


def floods(conn: Connection, code: str, now: datetime, chosen: Sequence[str] = ()) -> FloodsPage:
    """The page of a river gauge; `chosen`: the keys of the floods whose courses are shown. Raises NotFound."""
    found = find(conn, code, now)
    if found is None or found[0] is not StationKind.RIVER_GAUGE:
        raise NotFound(Text(f"水位観測所「{code}」はありません。", f"There is no river gauge {code!r}."))
    station = found[1]
    reading = station.readings.get(ObservedProperty.WATER_LEVEL)
    if reading is None:
        return FloodsPage(station, None, (), PastFloods((), 0, None, None, 0), (), (), None, None, ())
    levels = thresholds_at(conn, now).get(station.station_id, ())
    past = past_floods(conn, reading.datastream_id, [each.value for each in levels], reading.step, now)
    keys = {_key(each): each for each in past.floods}
    # One that still goes on is the present course, which is shown anyway.
    over = [each for each, flood in keys.items() if not flood.running]
    highest = sorted(over, key=lambda each: keys[each].peak, reverse=True)
    wanted = [each for each in dict.fromkeys(chosen) if each in keys][:MOST] or highest[:_CHOSEN]
    letters = dict(zip(sorted(wanted, key=lambda each: keys[each].peak, reverse=True), LETTERS, strict=False))
    fallen = _rain(conn, station, [each.peak_at for each in past.floods], now)
    rows = tuple(
        _row(flood, key, letters.get(key, ""), levels, rain)
        for (key, flood), rain in zip(keys.items(), fallen, strict=True)
    )
    shown, present = _courses(conn, reading, rows, now)
    drawn = None
    if shown or (present is not None and len(present.hours)):
        lines = [(each.level, each.value) for each in levels]
        told = [(letter, course) for letter, _, course in shown]
        drawn = picture(told, present or _NOTHING, reading.step, lines)
    return FloodsPage(station, reading, levels, past, rows, shown, present, drawn, _table(shown, present))


def _courses(
    conn: Connection, reading: Now, rows: Sequence[Row], now: datetime
) -> tuple[tuple[tuple[str, Row, Course], ...], Course | None]:
    with_letter = sorted((row for row in rows if row.letter), key=lambda row: row.letter)
    told = courses(conn, reading.datastream_id, [row.flood.peak_at for row in with_letter], BEFORE, AFTER)
    (present,) = courses(conn, reading.datastream_id, [now], BEFORE, timedelta(0))
    shown = tuple((row.letter, row, course) for row, course in zip(with_letter, told, strict=True))
    return shown, present if len(present.hours) else None


def _row(flood: Flood, key: str, letter: str, levels: Sequence[Threshold], fallen: Mapping[int, Fallen]) -> Row:
    # Both are in the order of height, and those that were not reached are the last.
    above = tuple((level, each.length, each.complete) for level, each in zip(levels, flood.above, strict=False))
    most = max(fallen.values(), key=lambda each: each.rain.amounts[1] or 0.0, default=None)
    return Row(flood, key, letter, above[-1][0] if above else None, above, most, tuple(fallen.values()))


def _rain(conn: Connection, station: StationNow, peaks: Sequence[datetime], now: datetime) -> list[dict[int, Fallen]]:
    """What the rain gauges of the catchment had by each peak; all of the town where nobody says which those are."""
    known = rain_gauges_of(conn, station)
    gauges: dict[int, tuple[StationNow, Now]] = {}
    for each in stations_now(conn, StationKind.RAIN_GAUGE, now):
        reading = each.readings.get(ObservedProperty.PRECIPITATION)
        if reading is not None and (not known or each.code in known):
            gauges[reading.datastream_id] = (each, reading)
    told = rain_before(conn, {series: reading.step for series, (_, reading) in gauges.items()}, peaks)
    return [
        {
            series: Fallen(gauges[series][0], rain)
            for series, rain in of_peak.items()
            if any(each is not None for each in rain.amounts)
        }
        for of_peak in told
    ]


def _table(
    shown: Iterable[tuple[str, Row, Course]], present: Course | None
) -> tuple[tuple[int, tuple[float | None, ...], float | None], ...]:
    each_hour = [by_hour(course) for _, _, course in shown]
    now = {} if present is None else by_hour(present)
    hours = sorted({hour for told in (*each_hour, now) for hour in told})
    return tuple((hour, tuple(told.get(hour) for told in each_hour), now.get(hour)) for hour in hours)


def _key(flood: Flood) -> str:
    return f"{flood.peak_at:%Y%m%dT%H%M}"


def _model(request: Request, visit: Visit, code: str) -> tuple[FloodsPage, ZoneInfo]:
    with visit.transaction() as conn:
        model = floods(conn, code, visit.clock.now(), request.query_params.getlist("flood"))
    return model, ZoneInfo(visit.tenant.timezone)


def _rows(model: FloodsPage, zone: ZoneInfo) -> Iterable[Sequence[object]]:
    gauges = {each.station.code: None for row in model.rows for each in row.fallen}
    yield (
        "station", "peak_time", "peak", "unit", "quality", "begin", "end", "running", "risen_24h", "rise_per_hour",
        "level_reached", *(f"minutes_above_{number_text(each.value)}m" for each in model.levels), "above_complete",
        *(name for code in gauges for name in (*(f"{code}_{_hours(span)}h_mm" for span in SPANS), f"{code}_complete")),
    )  # fmt: skip
    for row in model.rows:
        flood = row.flood
        above = {level.value: length for level, length, _ in row.above}
        rain = {each.station.code: each.rain for each in row.fallen}
        nothing = RainBefore((None,) * len(SPANS), (False,) * len(SPANS))
        yield (
            model.station.code,
            time_text(flood.peak_at, zone),
            number_text(flood.peak),
            "m",
            "doubtful" if flood.doubtful else "good",
            time_text(flood.begin, zone),
            time_text(flood.end, zone),
            int(flood.running),
            number_text(flood.risen),
            number_text(flood.rate),
            row.reached.level if row.reached else 0,
            *(round(above.get(each.value, timedelta(0)) / timedelta(minutes=1)) for each in model.levels),
            int(all(complete for _, _, complete in row.above)),
            *(
                each
                for code in gauges
                for told in (rain.get(code, nothing),)
                for each in (*map(number_text, told.amounts), int(all(told.complete)))
            ),
        )


def _observations(model: FloodsPage, zone: ZoneInfo) -> Iterable[Sequence[object]]:
    yield ("station", "course", "peak_time", "hours_from_peak", "time", "value", "unit")
    for letter, row, course in model.shown:
        peak = row.flood.peak_at
        for hour, value in zip(course.hours.tolist(), course.values.tolist(), strict=True):
            time = time_text(peak + hour * _HOUR, zone)
            yield (
                model.station.code, letter, time_text(peak, zone), f"{hour:.2f}", time, number_text(value), "m",
            )  # fmt: skip


def _hours(span: timedelta) -> str:
    return f"{span / _HOUR:g}"


def _file(name: str, rows: Iterable[Sequence[object]]) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
    return Response(BOM + lines(rows), media_type=_CSV, headers=headers)
