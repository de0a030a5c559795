"""What somebody typed -> a drill: its readings from a scenario, from the town's own past, or made by hand.

Raises `RecordError`: the field, and what is wrong with it.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from analytics.rivers.rises import SCENARIOS, Course, made, scenario
from api.pages.disaster import Threshold, thresholds_at
from api.pages.site import Moment
from api.pages.town_time import read_time
from store.connection import Connection
from store.drills import LONGEST, SPEEDS, NewDrill
from store.errors import RecordError

KINDS = ("scenario", "history", "made")
USUAL_STOP = 2
# A scenario goes this far above the level that it is to reach.
ABOVE = 0.1
_DRY = 0.3  # of the lowest level: where a river stands that nothing is known of


@dataclass(frozen=True, slots=True)
class GaugeHere:
    """A river gauge that can take part: `now` its newest value, None where there is none; levels lowest first."""

    station_id: int
    code: str
    name: str
    name_en: str
    datastream_id: int
    step: timedelta
    low: float | None
    high: float | None
    now: float | None
    levels: tuple[Threshold, ...]


def gauges_here(conn: Connection, now: datetime) -> list[GaugeHere]:
    """Every station with a water level and levels in force."""
    levels = thresholds_at(conn, now)
    return [
        GaugeHere(*(*row, levels[row[0]]))
        for row in conn.execute(
            """
            select s.station_id, s.code, s.name, s.name_en, d.datastream_id, d.step, d.range_low, d.range_high,
                   l.measured_value
            from station s
            join datastream d on d.station_id = s.station_id and d.observed_property = 'water_level'
                 and d.drill_run is null
            left join datastream_latest l using (datastream_id)
            where s.kind = 'river_gauge' order by s.station_id
            """
        )
        if row[0] in levels
    ]


def read_plan(conn: Connection, typed: Mapping[str, str], at: Moment) -> NewDrill:
    """The drill that is meant."""
    gauges = [each for each in gauges_here(conn, at.now) if typed.get(f"station-{each.code}") == "1"]
    if not gauges:
        raise RecordError("stations", "empty")
    speed = next((each for each in SPEEDS if f"{each:g}" == typed.get("speed", "1")), None)
    if speed is None:
        raise RecordError("speed", "unreadable")
    stop = _level(typed, "stop_level")
    kind = typed.get("kind", "")
    source: dict[str, Any] = {"kind": kind}
    if kind == "scenario":
        name, level = typed.get("scenario", ""), _level(typed, "level")
        if name not in SCENARIOS:
            raise RecordError("scenario", "unknown")
        source |= {"name": name, "level": level}
        courses = {each.station_id: _scenario(name, each, level) for each in gauges}
    elif kind == "history":
        since, until = _time(typed, "from", at), _time(typed, "to", at)
        if until <= since:
            raise RecordError("to", "before")
        if until - since > LONGEST:
            raise RecordError("to", "long")
        source |= {"from": since.isoformat(), "to": until.isoformat()}
        courses = _history(conn, gauges, since, until)
    elif kind == "made":
        peak, hours = _number(typed, "peak"), _number(typed, "hours")
        start = None if not typed.get("start", "").strip() else _number(typed, "start")
        if not 0.1 <= hours <= 18:
            raise RecordError("hours", "range")
        source |= {"start": start, "peak": peak, "hours": hours}
        courses = {each.station_id: _made(each, start, peak, hours) for each in gauges}
    else:
        raise RecordError("kind", "empty")
    readings = {i: [(after / speed, value) for after, value in course] for i, course in courses.items()}
    return NewDrill(
        typed.get("name", ""), source, speed, stop, readings, _chosen(typed, "person"), _chosen(typed, "group")
    )


def _scenario(name: str, gauge: GaugeHere, level: int) -> Course:
    aim = next((each for each in gauge.levels if each.level == level), gauge.levels[-1])
    peak = aim.value + ABOVE
    _possible(gauge, peak, "level")
    return scenario(name, start=_start(gauge, peak), peak=peak, step=gauge.step)


def _made(gauge: GaugeHere, start: float | None, peak: float, hours: float) -> Course:
    _possible(gauge, peak, "peak")
    if start is not None:
        _possible(gauge, start, "start")
    begin = _start(gauge, peak) if start is None else start
    if peak <= begin:
        raise RecordError("peak", "low")
    return made(start=begin, peak=peak, hours=hours, step=gauge.step)


def _start(gauge: GaugeHere, peak: float) -> float:
    """Where the river stands, if that is below what it is to reach."""
    if gauge.now is not None and gauge.now < peak:
        return gauge.now
    return min(_DRY * gauge.levels[0].value, peak - ABOVE)


def _possible(gauge: GaugeHere, value: float, field: str) -> None:
    if (gauge.low is not None and value < gauge.low) or (gauge.high is not None and value > gauge.high):
        raise RecordError(field, "range")


def _history(conn: Connection, gauges: Sequence[GaugeHere], since: datetime, until: datetime) -> dict[int, Course]:
    stations = {each.datastream_id: each.station_id for each in gauges}
    courses: dict[int, Course] = {each.station_id: [] for each in gauges}
    for datastream_id, time, value in conn.execute(
        """
        select datastream_id, phenomenon_time, value from tenant_observation
        where datastream_id = any(%s) and phenomenon_time >= %s and phenomenon_time <= %s
          and quality not in ('bad', 'missing') order by phenomenon_time
        """,
        (list(stations), since, until),
    ):
        courses[stations[datastream_id]].append((time - since, value))
    if not all(courses.values()):
        raise RecordError("from", "nothing")
    return courses


def _chosen(typed: Mapping[str, str], what: str) -> list[int]:
    """The ids whose boxes are ticked."""
    return [
        int(name.removeprefix(f"{what}-"))
        for name, value in typed.items()
        if value == "1" and name.startswith(f"{what}-") and name.removeprefix(f"{what}-").isdecimal()
    ]


def _level(typed: Mapping[str, str], field: str) -> int:
    text = typed.get(field, "")
    if text not in ("1", "2", "3", "4", "5"):
        raise RecordError(field, "unreadable")
    return int(text)


def _number(typed: Mapping[str, str], field: str) -> float:
    text = unicodedata.normalize("NFKC", typed.get(field, "")).strip()
    try:
        value = float(text)
    except ValueError:
        raise RecordError(field, "number") from None
    if not math.isfinite(value):
        raise RecordError(field, "number")
    return value


def _time(typed: Mapping[str, str], field: str, at: Moment) -> datetime:
    if not typed.get(field, "").strip():
        raise RecordError(field, "empty")
    try:
        found = read_time(typed[field], at.now, at.zone)
    except RecordError:
        raise RecordError(field, "unreadable") from None
    if found > at.now:
        raise RecordError(field, "future")
    return found
