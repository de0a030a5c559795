"""What somebody typed -> a drill: its readings from a scenario, from the town's own past, or made by hand.

The past gives every series of the stations that are chosen: rain, counts, flows, contacts as well as levels. A flood,
one that is ready or made, gives the levels of rivers, the rain at rain gauges (those of the rivers go along with one
that is ready) and the contacts on low ground.

Raises `RecordError`: the field, and what is wrong with it.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from analytics.rivers.rises import SCENARIOS, Course, made, rain, scenario, shower, wet
from api.pages.disaster import Threshold, thresholds_at
from api.pages.site import Moment
from api.pages.town_time import read_time
from devices.model import ObservedProperty, StationKind
from store.connection import Connection
from store.drills import LONGEST, SPEEDS, NewDrill, Series
from store.errors import RecordError

KINDS = ("scenario", "history", "made")
USUAL_STOP = 2
# A scenario goes this far above the level that it is to reach.
ABOVE = 0.1
_DRY = 0.3  # of the lowest level: where a river stands that nothing is known of


@dataclass(frozen=True, slots=True)
class SeriesHere:
    """A series that can take part; `now` its newest value, None where there is none."""

    observed_property: str
    datastream_id: int
    step: timedelta
    low: float | None
    high: float | None
    now: float | None


@dataclass(frozen=True, slots=True)
class StationHere:
    """A station that can take part. `levels` of a gauge, lowest first; `river` as the register has it."""

    station_id: int
    code: str
    kind: StationKind
    name: str
    name_en: str
    river: str | None
    series: Mapping[str, SeriesHere]
    levels: tuple[Threshold, ...]

    @property
    def gauge(self) -> SeriesHere | None:
        """Its water level, where it has reference levels: what a flood is made for."""
        return self.series.get(ObservedProperty.WATER_LEVEL) if self.levels else None


def stations_here(conn: Connection, now: datetime) -> list[StationHere]:
    """Every station with something to say, as the register orders them."""
    levels = thresholds_at(conn, now)
    found: dict[int, StationHere] = {}
    for station_id, code, kind, name, name_en, river, *series in conn.execute(
        """
        select s.station_id, s.code, s.kind, s.name, s.name_en, r.river, d.observed_property, d.datastream_id, d.step,
               d.range_low, d.range_high, l.measured_value
        from station s
        join datastream d on d.station_id = s.station_id and d.drill_run is null and d.observed_property <> %s
        left join station_river r on r.station_id = s.station_id
        left join datastream_latest l using (datastream_id)
        order by s.station_id, d.datastream_id
        """,
        (ObservedProperty.PASSAGES_DAY,),  # what people write down no device says
    ):
        here = found.setdefault(
            station_id,
            StationHere(station_id, code, StationKind(kind), name, name_en, river, {}, levels.get(station_id, ())),
        )
        assert isinstance(here.series, dict)
        here.series[series[0]] = SeriesHere(*series)
    return list(found.values())


def read_plan(conn: Connection, typed: Mapping[str, str], at: Moment) -> NewDrill:
    """The drill that is meant."""
    here = stations_here(conn, at.now)
    chosen = [each for each in here if typed.get(f"station-{each.code}") == "1"]
    if not chosen:
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
        courses = _flood(
            _with_rain(chosen, here),
            lambda gauge, series: _scenario(name, gauge, series, level),
            lambda step: rain(name, step=step),
        )
    elif kind == "history":
        since, until = _time(typed, "from", at), _time(typed, "to", at)
        if until <= since:
            raise RecordError("to", "before")
        if until - since > LONGEST:
            raise RecordError("to", "long")
        source |= {"from": since.isoformat(), "to": until.isoformat()}
        courses = _history(conn, chosen, since, until)
    elif kind == "made":
        peak, hours = _number(typed, "peak"), _number(typed, "hours")
        start = None if not typed.get("start", "").strip() else _number(typed, "start")
        if not 0.1 <= hours <= 18:
            raise RecordError("hours", "range")
        source |= {"start": start, "peak": peak, "hours": hours}
        courses = _flood(
            chosen,
            lambda gauge, series: _made(gauge, series, start, peak, hours),
            lambda step: shower(hours=hours, step=step),
        )
    else:
        raise RecordError("kind", "empty")
    readings = {of: [(after / speed, value) for after, value in course] for of, course in courses.items()}
    return NewDrill(
        typed.get("name", ""), source, speed, stop, readings, chosen_ids(typed, "person"), chosen_ids(typed, "group")
    )


def _with_rain(chosen: Sequence[StationHere], here: Sequence[StationHere]) -> list[StationHere]:
    """With the rain gauges that the register has on the rivers of the gauges: a flood comes with its rain."""
    rivers = {each.river for each in chosen if each.gauge is not None and each.river is not None}
    beside = [
        each for each in here if each.kind is StationKind.RAIN_GAUGE and each.river in rivers and each not in chosen
    ]
    return [*chosen, *beside]


def _flood(
    stations: Sequence[StationHere],
    level: Callable[[StationHere, SeriesHere], Course],
    fallen: Callable[[timedelta], Course],
) -> dict[Series, Course]:
    """What they say in a flood: the gauges their water, rain gauges the rain, contacts on low ground when the water is
    high. Of what else there is a flood says nothing: that is for the town's own past.
    """
    found: dict[Series, Course] = {}
    for each in stations:
        if each.gauge is not None:
            found[each.station_id, ObservedProperty.WATER_LEVEL] = level(each, each.gauge)
    river = next(iter(found.values()), None)
    for each in stations:
        if ObservedProperty.PRECIPITATION in each.series:
            step = each.series[ObservedProperty.PRECIPITATION].step
            found[each.station_id, ObservedProperty.PRECIPITATION] = fallen(step)
        if ObservedProperty.INUNDATION in each.series and river is not None:
            found[each.station_id, ObservedProperty.INUNDATION] = wet(river)
        if not any(station_id == each.station_id for station_id, _ in found):
            raise RecordError("stations", "past_only")
    return found


def _scenario(name: str, gauge: StationHere, series: SeriesHere, level: int) -> Course:
    aim = next((each for each in gauge.levels if each.level == level), gauge.levels[-1])
    peak = aim.value + ABOVE
    _possible(series, peak, "level")
    return scenario(name, start=_start(gauge, series, peak), peak=peak, step=series.step)


def _made(gauge: StationHere, series: SeriesHere, start: float | None, peak: float, hours: float) -> Course:
    _possible(series, peak, "peak")
    if start is not None:
        _possible(series, start, "start")
    begin = _start(gauge, series, peak) if start is None else start
    if peak <= begin:
        raise RecordError("peak", "low")
    return made(start=begin, peak=peak, hours=hours, step=series.step)


def _start(gauge: StationHere, series: SeriesHere, peak: float) -> float:
    """Where the river stands, if that is below what it is to reach."""
    if series.now is not None and series.now < peak:
        return series.now
    return min(_DRY * gauge.levels[0].value, peak - ABOVE)


def _possible(gauge: SeriesHere, value: float, field: str) -> None:
    if (gauge.low is not None and value < gauge.low) or (gauge.high is not None and value > gauge.high):
        raise RecordError(field, "range")


def _history(
    conn: Connection, stations: Sequence[StationHere], since: datetime, until: datetime
) -> dict[Series, Course]:
    """What every series of the stations said then. Of each station something must be stored."""
    series = {
        each.datastream_id: (s.station_id, each.observed_property) for s in stations for each in s.series.values()
    }
    courses: dict[Series, Course] = {}
    for datastream_id, time, value in conn.execute(
        """
        select datastream_id, phenomenon_time, value from tenant_observation
        where datastream_id = any(%s) and phenomenon_time >= %s and phenomenon_time <= %s
          and quality not in ('bad', 'missing') order by phenomenon_time
        """,
        (list(series), since, until),
    ):
        courses.setdefault(series[datastream_id], []).append((time - since, value))
    if {station_id for station_id, _ in courses} != {each.station_id for each in stations}:
        raise RecordError("from", "nothing")
    return courses


def chosen_ids(typed: Mapping[str, str], what: str) -> list[int]:
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
