"""What may come at a gauge, for the disaster desk (behind `api.internal_forecast`): the newest of what the job has
worked out, in figures and as a picture; how it has done so far; and what was said during past floods.

Every function here takes a transaction in which the door was opened; in any other it finds nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from analytics.rivers import forecast_store as stored
from analytics.rivers.floods import moment_of, recorded
from analytics.rivers.forecast.fan import QUANTILES, Fan, passing
from analytics.rivers.forecast.scores import Bin, reliability
from analytics.rivers.forecast_store import Model, Said
from analytics.rivers.inputs import FINEST, readings, record
from analytics.rivers.scores import HIGH, HIGH_HALF, LOW, LOW_HALF, MEDIAN, Score, came, reached, scores
from analytics.rivers.soil_water import SoilWater, soil_water_now
from api.pages.disaster import Threshold, thresholds_at
from api.pages.fan_chart import BEFORE, Diagram, FanChart, diagram, fan_chart
from api.pages.readings import Now, StationNow, history, stations_now
from api.pages.river import rain_gauges_of
from devices.model import ObservedProperty, StationKind
from store.columns import Floats
from store.connection import Connection

SPANS = (1.0, 3.0, 6.0)  # hours within which a level may be reached
OLD = timedelta(hours=1)
MOST_COMPARED = 1500  # of what was said, spread over all of it
_FLOODS = 12
_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Step:
    """After so many hours, metres: the median, the 90 % interval `low` to `high`, the 50 % one. `came`: what was
    measured then, None where that is not known. The intervals are None where none was learned.
    """

    hours: float
    at: datetime
    median: float
    low: float | None
    high: float | None
    low_half: float | None
    high_half: float | None
    came: float | None = None

    @property
    def inside(self) -> bool | None:
        """Whether what came lay within the 90 % interval."""
        if self.came is None or self.low is None or self.high is None:
            return None
        return self.low <= self.came <= self.high


@dataclass(frozen=True, slots=True)
class Chance:
    """How likely it is, 0 to 1, that a level not reached yet is reached within each of `SPANS`; and when, at the
    earliest and latest (the 90 % interval) and in the middle: None where not within the hours that are looked ahead.
    """

    threshold: Threshold
    within: tuple[float | None, ...]
    earliest: timedelta | None
    middle: timedelta | None
    latest: timedelta | None


@dataclass(frozen=True, slots=True)
class Without:
    """A gauge that was not used: `why` missing, doubtful or left_out."""

    why: str
    code: str
    name: str
    name_en: str


@dataclass(frozen=True, slots=True)
class Highest:
    """The highest level (m) that was learned from, in the hour that begins at `hour`."""

    level: float
    hour: datetime


@dataclass(frozen=True, slots=True)
class Outlook:
    """What was said last, of the observation at `said.time`. `old`: that is too long ago to act on. `score` of three
    hours ahead, from the model's back-test; None where it has none. `beyond`: the 90 % interval reaches above all that
    was learned from, which was this; None where it does not.
    """

    said: Said
    model: Model
    steps: tuple[Step, ...]
    chances: tuple[Chance, ...]
    without: tuple[Without, ...]
    chart: FanChart
    old: bool
    score: Score | None
    beyond: Highest | None


@dataclass(frozen=True, slots=True)
class Soil:
    """How wet the ground is at a rain gauge; None where it has measured nothing in the last hour."""

    gauge: StationNow
    water: SoilWater | None


@dataclass(frozen=True, slots=True)
class Record:
    """How it has done: `scores` a lead, of `n` that were said since `since`, `rehearsed` of them worked out afterwards;
    and for each of `SPANS` a reliability diagram over all reference levels.
    """

    n: int
    rehearsed: int
    since: datetime | None
    scores: tuple[Score, ...]
    bins: tuple[tuple[float, tuple[Bin, ...], Diagram], ...]


@dataclass(frozen=True, slots=True)
class Flood:
    """A stretch above the lowest reference level, `peak` metres at about `peak_at`; `said`: whether anything is stored
    of what was expected in it.
    """

    start: datetime
    end: datetime
    peak: float
    peak_at: datetime
    said: bool


def outlook(
    conn: Connection, station: StationNow, now: datetime, zone: ZoneInfo, at: datetime | None = None
) -> Outlook | None:
    """What was said last, or in the hour before `at`; None where nothing was."""
    reading = level_of(station)
    said = None
    if reading is not None:
        said = stored.said_last(conn, [reading.datastream_id], at or now).get(reading.datastream_id)
    if reading is None or said is None or (at is not None and said.time <= at - _HOUR):
        return None
    model = next(m for m in stored.models(conn, reading.datastream_id) if m.model_id == said.model_id)
    levels = thresholds_at(conn, said.time).get(station.station_id, ())
    end = said.time + timedelta(hours=said.leads[-1])
    points = history(conn, [reading.datastream_id], said.time - BEFORE, min(end, now))[reading.datastream_id]
    later = _later(conn, reading, [said], now)[0] if at is not None else None
    return Outlook(
        said,
        model,
        _steps(said, later),
        _chances(said, levels),
        tuple(_without(conn, said)),
        fan_chart(said, points, reading.step, zone, [(each.level, each.value) for each in levels]),
        _old(said, reading, now),
        next((each for each in model.scores or () if each.lead == 3.0 and each.n), None),
        _beyond(conn, said, model),
    )


def _old(said: Said, reading: Now, now: datetime) -> bool:
    return now - said.time > max(OLD, 3 * reading.step)


@dataclass(frozen=True, slots=True)
class Ahead:
    """A gauge in the list of all: `steps` at `SPANS` hours; none, and no time or level, where nothing was said yet."""

    station: StationNow
    time: datetime | None = None
    level: float | None = None
    steps: tuple[Step, ...] = ()
    old: bool = False


def every_gauge(conn: Connection, stations: Sequence[StationNow], now: datetime) -> tuple[Ahead, ...]:
    """In one query, however many there are."""
    of = {station.code: level_of(station) for station in stations}
    said = stored.said_last(conn, [reading.datastream_id for reading in of.values() if reading is not None], now)
    found = []
    for station in stations:
        reading = of[station.code]
        last = None if reading is None else said.get(reading.datastream_id)
        if reading is None or last is None:
            found.append(Ahead(station))
        else:
            steps = tuple(step for step in _steps(last) if step.hours in SPANS)
            found.append(Ahead(station, last.time, last.level, steps, _old(last, reading, now)))
    return tuple(found)


def soil_here(conn: Connection, station: StationNow, now: datetime) -> tuple[Soil, ...]:
    """The ground of the catchment by each of its rain gauges; none where nobody has said which those are."""
    known = rain_gauges_of(conn, station)
    gauges = [each for each in stations_now(conn, StationKind.RAIN_GAUGE, now) if each.code in known]
    found = [(each, soil_water_now(conn, each.station_id, now)) for each in gauges]
    return tuple(Soil(each, water) for each, water in found)


def level_of(station: StationNow) -> Now | None:
    """The level of a river gauge; None where it has none."""
    return station.readings.get(ObservedProperty.WATER_LEVEL)


def _steps(said: Said, later: np.ndarray[tuple[int], np.dtype[np.float64]] | None = None) -> tuple[Step, ...]:
    found = []
    for n, (lead, row) in enumerate(zip(said.leads, said.quantiles.tolist(), strict=True)):
        if not any(map(math.isnan, row)):
            measured = None if later is None or math.isnan(later[n]) else float(later[n])
            at = said.time + timedelta(hours=lead)
            low, high, low_half, high_half = (
                row[place] if said.sure else None for place in (LOW, HIGH, LOW_HALF, HIGH_HALF)
            )
            found.append(Step(lead, at, row[MEDIAN], low, high, low_half, high_half, measured))
    return tuple(found)


def fan_of(said: Sequence[Said]) -> Fan:
    """Several of one gauge, with the same leads, as `analytics.rivers.forecast` has them: without quantiles where they
    were not learned.
    """
    quantiles = np.array([each.quantiles for each in said]).reshape(len(said), -1, len(QUANTILES))
    sure = np.array([each.sure for each in said])
    return Fan(
        said[0].leads,
        quantiles[:, :, MEDIAN],
        np.where(sure[:, None, None], quantiles, np.nan),
        np.array([each.level for each in said]),
        np.zeros((len(said), 0), np.bool_),
    )


def _chances(said: Said, levels: Iterable[Threshold]) -> tuple[Chance, ...]:
    fan = fan_of([said])
    found = []
    for level in levels:
        if said.sure and level.value > said.level:
            within = tuple(_known(float(passing(fan, level.value, hours)[0])) for hours in SPANS)
            times = (_crossing(said, place, level.value) for place in (HIGH, MEDIAN, LOW))
            found.append(Chance(level, within, *times))
    return tuple(found)


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def _crossing(said: Said, place: int, level: float) -> timedelta | None:
    """When a quantile's curve reaches a level that lies above the water now."""
    before, height = 0.0, said.level
    for lead, value in zip(said.leads, said.quantiles[:, place].tolist(), strict=True):
        if math.isnan(value):
            return None
        if value >= level:
            hours = before + (lead - before) * (level - height) / (value - height)
            return timedelta(minutes=round(hours * 60))
        before, height = lead, value
    return None


_HIGHEST = """
select maximum, hour from rollup_hour
where datastream_id = %s and hour >= %s and hour <= %s and maximum is not null order by maximum desc, hour limit 1
"""


def _beyond(conn: Connection, said: Said, model: Model) -> Highest | None:
    """What was worked out afterwards was told by a twin that knew less than the model, nothing of that day at least."""
    if not said.sure or model.trained_from is None or model.trained_to is None or np.isnan(said.quantiles).all():
        return None
    until = min(model.trained_to, said.time - timedelta(days=1)) if said.rehearsed else model.trained_to
    row = conn.execute(_HIGHEST, (said.datastream_id, model.trained_from - _HOUR, until)).fetchone()
    if row is None or float(np.nanmax(said.quantiles[:, HIGH])) <= row[0]:
        return None
    return Highest(float(row[0]), row[1])


def _without(conn: Connection, said: Said) -> Iterable[Without]:
    ids = {i: why for why in ("missing", "doubtful", "left_out") for i in getattr(said, why)}
    rows = conn.execute(
        """
        select d.datastream_id, s.code, s.name, s.name_en from datastream d join station s using (station_id)
        where d.datastream_id = any(%s) and d.drill_run is null order by s.station_id
        """,
        (list(ids),),
    )
    for datastream_id, *station in rows:
        yield Without(ids[datastream_id], *station)


# --- how it has done -----------------------------------------------------------------------------------------


def track_record(conn: Connection, station: StationNow, now: datetime) -> Record | None:
    """Of everything that is stored; None where there is nothing to compare yet."""
    reading = level_of(station)
    if reading is None:
        return None
    said = stored.said(conn, reading.datastream_id, now - timedelta(days=3660), now)
    said = [each for each in said if said and each.leads == said[-1].leads]
    said = said[:: -(-len(said) // MOST_COMPARED) or 1]
    if not said:
        return None
    level, rows = _grid(conn, reading, said, now)
    fan, step = fan_of(said), FINEST.total_seconds()
    levels = [each.value for each in thresholds_at(conn, now).get(station.station_id, ())]
    found = []
    for hours in SPANS:
        pairs = [(passing(fan, each, hours), reached(level, rows, each, hours, step)) for each in levels]
        bins = _bins(pairs)
        found.append((hours, bins, diagram(bins)))
    later = came(level, rows, fan.leads, step)
    return Record(
        len(said),
        sum(each.rehearsed for each in said),
        said[0].time,
        scores(fan.leads, fan.values, fan.quantiles, fan.persistence, later),
        tuple(found),
    )


def _bins(pairs: Sequence[tuple[Floats, Floats]]) -> tuple[Bin, ...]:
    """Of probabilities and whether it came, of each reference level."""
    if not pairs:
        return ()
    said, true = map(np.concatenate, zip(*pairs, strict=True))
    return tuple(reliability(np.where(np.isnan(true), np.nan, said), true == 1.0))


def _grid(
    conn: Connection, reading: Now, said: Sequence[Said], now: datetime
) -> tuple[np.ndarray[tuple[int], np.dtype[np.float64]], np.ndarray[tuple[int], np.dtype[np.intp]]]:
    """The levels every ten minutes from the first that was said on, and the row of each."""
    first, seconds = said[0].time, FINEST.total_seconds()
    start = math.floor(first.timestamp() / seconds) * seconds
    n = math.ceil((now.timestamp() - start) / seconds) + 1
    found = readings(conn, [reading.datastream_id], first - FINEST, now, of="tenant_observation")
    grid = record(found, reading.datastream_id, (), (), last=start + (n - 1) * seconds, step=FINEST, n=n)
    at = np.array([each.time.timestamp() for each in said])
    return grid.level, np.ceil((at - start) / seconds).astype(np.intp)


def _later(
    conn: Connection, reading: Now, said: Sequence[Said], now: datetime
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """What was measured at each lead of each, (said, leads); nan where it is not known."""
    level, rows = _grid(conn, reading, said, now)
    return came(level, rows, said[0].leads, FINEST.total_seconds())


# --- looking back --------------------------------------------------------------------------------------------


def floods(conn: Connection, station: StationNow, now: datetime) -> tuple[Flood, ...]:
    """The newest ones (`analytics.rivers.floods`)."""
    reading, levels = level_of(station), thresholds_at(conn, now).get(station.station_id, ())
    if reading is None:
        return ()
    found = recorded(conn, reading.datastream_id, [each.value for each in levels], now).spells[-_FLOODS:][::-1]
    spans = [(moment_of(each.begin), moment_of(each.end)) for each in found]
    rows = conn.execute(
        """
        select exists (select from forecast f where f.datastream_id = %s
                       and f.phenomenon_time >= span.first and f.phenomenon_time < span.last)
        from unnest(%s::timestamptz[], %s::timestamptz[]) with ordinality as span (first, last, number)
        order by span.number
        """,
        (reading.datastream_id, [first for first, _ in spans], [last for _, last in spans]),
    )
    return tuple(
        Flood(*span, each.high, moment_of(each.top), said)
        for span, each, (said,) in zip(spans, found, rows, strict=True)
    )


def hour_by_hour(
    conn: Connection, station: StationNow, start: datetime, end: datetime, now: datetime
) -> tuple[tuple[Said, tuple[Step, ...]], ...]:
    """What was said about once an hour between the two, oldest first, beside what came."""
    reading = level_of(station)
    found: list[Said] = []
    for each in [] if reading is None else stored.said(conn, reading.datastream_id, start, end):
        if not found or each.time - found[-1].time >= _HOUR - FINEST:
            found.append(each)
    if reading is None or not found:
        return ()
    later = [_later(conn, reading, [each], now)[0] for each in found] if len({f.leads for f in found}) > 1 else None
    told = _later(conn, reading, found, now) if later is None else later
    return tuple((said, _steps(said, row)) for said, row in zip(found, told, strict=True))
