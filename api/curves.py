"""A datastream's history as a curve of so many points, whatever its length: what a chart draws.

    curve(conn, series, start, end, zone, points=1000)      the step is chosen
    curve(..., step=Step.HOUR)                              read from the hours
    curve(..., every=timedelta(hours=1))                    in slices of an hour, which are told as well

Read from the finest step that is affordable: the observations themselves where there are at most `MOST_READ` of them in
the range, else the hours (`rollup_hour`), else the local days. What is more than `points` is gathered into slices of
equal length, aligned to the local midnight:

- of an instant (level, flow, pressure) the lowest and the highest value of each slice, at their own times: the curve
  has all the peaks of the series. An hour or a day stands with its lowest and highest value at its middle. The newest
  observation is always there;
- of a total (passages, rain) their sum, at the end of the slice: a total of many intervals is one of a longer interval.

Bad and missing observations have no value on a curve. Each point says the worst quality of what it stands for, those
included: of a slice the row says it that has it, and the highest value where neither of the two is of that row. A gap
stays a gap: a point without a value (nan) breaks the line wherever nothing is usable for longer than 2.5 steps and
longer than a slice; unthinned, at every single one that is not usable.

Cost: the rows come as one binary COPY into numpy, without an object for each. A year of hours takes about as long as
the server needs to read them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from itertools import pairwise
from math import isnan
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
from psycopg import sql

from api.readings import Latest
from devices.model import Quality
from store.columns import Floats, columns
from store.connection import Connection

MOST_READ = 20_000  # rows of a finer step are not read, though they would show a little more
FEWEST_POINTS, MOST_POINTS = 20, 5000
_GAP_STEPS = 2.5  # api.pages.readings.LATE_AFTER_STEPS
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
# Slices that a person can name, s.
LENGTHS = (
    60,
    120,
    300,
    600,
    900,
    1200,
    1800,
    3600,
    7200,
    10800,
    21600,
    43200,
    *(86400 * n for n in (1, 2, 4, 7, 14, 28)),
)


# From best to worst as a curve says it: what is missing is told by `n`, and does not hide what is doubted.
_QUALITIES = (
    Quality.GOOD,
    Quality.MANUAL,
    Quality.ESTIMATED,
    Quality.MISSING,
    Quality.DOUBTFUL,
    Quality.BAD,
)


class Step(StrEnum):
    """How fine history is read."""

    RAW = "raw"
    HOUR = "hour"
    DAY = "day"


@dataclass(frozen=True, slots=True)
class Slices:
    """Columns of one length, a row for every slice that reaches into the range: when it begins (seconds since 1970),
    the lowest and highest value (of a total both are the sum; nan where nothing is usable), and how many usable
    observations it has, and the worst quality of all its observations (nan: there are none). A slice is
    [start, start + `Curve.slice`), of a total (start, start + `Curve.slice`].
    """

    starts: Floats
    low: Floats
    high: Floats
    n: Floats
    worst: Floats


@dataclass(frozen=True, slots=True)
class Curve:
    """`times` (seconds since 1970, not descending), `values` and `worst` of one length; a value of nan breaks the line.
    `worst` is to be read by `quality_of`; nan where there is nothing.

    `step`: what was read; `slice` the length of what one point or pair of points stands for, None where each row stands
    for itself; `slices` what was gathered then. `read` rows were read.
    """

    step: Step
    slice: timedelta | None
    times: Floats
    values: Floats
    worst: Floats
    read: int
    slices: Slices | None = None


def curve(
    conn: Connection,
    series: Latest,
    start: datetime,
    end: datetime,
    zone: ZoneInfo,
    *,
    points: int | None = None,
    step: Step | None = None,
    every: timedelta | None = None,
) -> Curve:
    """The curve of start <= time <= end, of at most `points` points (None: of everything there is at that step), or in
    slices of `every` (one of LENGTHS; no shorter than a row).

    `step` None: chosen. Times are observations' own; hours and days count by their beginning. In a transaction of the
    tenant.
    """
    step = step or chosen(end - start, series.step)
    rows = _read(conn, series, start, end, zone, step)
    length = {Step.RAW: series.step, Step.HOUR: _HOUR, Step.DAY: _DAY}[step]
    total = series.statistic == "total"
    if every is not None:
        every = _slice(every, length)
    elif points is not None:
        every = _thinned(rows, start, end, length, points, total=total)
    if every is None:
        told = (rows.times, rows.high, rows.worst) if total else _each(rows, length)
        return Curve(step, None, *told, len(rows.times))
    slices = _gathered(rows, start, end, zone, every, total=total)
    told = _sums(rows, slices, every) if total else _extremes(rows, slices, length, every)
    return Curve(step, every, *told, len(rows.times), slices)


def chosen(span: timedelta, step: timedelta) -> Step:
    """The finest step whose rows may all be read.

    >>> [chosen(timedelta(days=days), timedelta(minutes=10)).value for days in (1, 100, 366, 3660)]
    ['raw', 'raw', 'hour', 'day']
    """
    if span / step <= MOST_READ:
        return Step.RAW
    return Step.HOUR if span / _HOUR <= MOST_READ else Step.DAY


def quality_of(worst: float) -> Quality | None:
    """What a number of `Curve.worst` or `Slices.worst` says.

    >>> quality_of(4.0), quality_of(float("nan"))
    (<Quality.DOUBTFUL: 'doubtful'>, None)
    """
    return None if isnan(worst) else _QUALITIES[int(worst)]


def worst_of(qualities: Iterable[Quality]) -> Quality | None:
    """What a curve says of them together; None of none.

    >>> worst_of([Quality.GOOD, Quality.DOUBTFUL, Quality.MISSING])
    <Quality.DOUBTFUL: 'doubtful'>
    """
    return max(qualities, key=_QUALITIES.index, default=None)


class _Rows(NamedTuple):
    """Columns of one length: seconds since 1970, lowest and highest value (nan: nothing usable; both are the total of a
    total), how many usable observations there are, and the worst quality of all.
    """

    times: Floats
    low: Floats
    high: Floats
    n: Floats
    worst: Floats


_Told = tuple[Floats, Floats, Floats]  # times, values and qualities of a curve


# --- slices --------------------------------------------------------------------------------------------------


def _thinned(
    rows: _Rows, start: datetime, end: datetime, length: timedelta, points: int, *, total: bool
) -> timedelta | None:
    """How long slices have to be for so many points; None where the rows themselves are not too many."""
    if total:
        return None if len(rows.times) <= points else _slice((end - start) / max(1, points - 2), length)
    usable = ~np.isnan(rows.low)
    paired = bool(np.any(rows.low[usable] != rows.high[usable]))
    if len(rows.times) * (2 if paired else 1) * 1.5 <= points:
        return None
    # Three points a slice at most: two values and a gap; and the newest one.
    return _slice((end - start) / max(1, points // 3 - 2), length)


def _gathered(rows: _Rows, start: datetime, end: datetime, zone: ZoneInfo, every: timedelta, *, total: bool) -> Slices:
    origin, seconds = _origin(start, zone, every), every.total_seconds()

    def number(time: Floats) -> npt.NDArray[np.int64]:
        # A total of 10:00 sharp was counted before it.
        places = (time - origin) / seconds
        return (np.ceil(places) - 1 if total else np.floor(places)).astype(np.int64)

    first, last = number(np.array([start.timestamp(), end.timestamp()]))
    size = int(last - first) + 1
    low, high, worst, n = *np.full((3, size), np.nan), np.zeros(size)
    if len(rows.times):
        numbers = number(rows.times) - first
        begins = np.flatnonzero(np.diff(numbers, prepend=-1))
        at = numbers[begins]
        n[at], worst[at] = np.add.reduceat(rows.n, begins), np.maximum.reduceat(rows.worst, begins)
        if total:
            sums = np.add.reduceat(np.nan_to_num(rows.high), begins)
            low[at] = high[at] = np.where(n[at] > 0, sums, np.nan)
        else:
            low[at], high[at] = np.fmin.reduceat(rows.low, begins), np.fmax.reduceat(rows.high, begins)
    return Slices(origin + (first + np.arange(size)) * seconds, low, high, n, worst)


# --- instants ------------------------------------------------------------------------------------------------


def _extremes(rows: _Rows, slices: Slices, length: timedelta, every: timedelta) -> _Told:
    times, low, high, _, worst = rows
    usable = np.flatnonzero(~np.isnan(low))
    number = (times[usable] - slices.starts[0]) // every.total_seconds()
    begins = np.flatnonzero(np.diff(number, prepend=-np.inf))
    of_slice = slices.worst[number[begins].astype(np.int64)]
    gap = max(length * _GAP_STEPS, every).total_seconds()
    kept: list[tuple[float, float, float]] = []
    for (first, last), said in zip(pairwise([*begins, len(usable)]), of_slice.tolist(), strict=True):
        part = usable[first:last]
        if first and times[part[0]] - times[usable[first - 1]] > gap:
            kept.append((float(times[part[0]]) - length.total_seconds() / 2, np.nan, np.nan))
        lowest, highest = part[np.argmin(low[part])], part[np.argmax(high[part])]
        # Who has the worst quality says so; what lies between the two, or has no value, is said by the highest.
        by_highest = float(worst[highest]) if worst[lowest] == said else said
        pair = [
            (float(times[lowest]), float(low[lowest]), float(worst[lowest])),
            (float(times[highest]), float(high[highest]), by_highest),
        ]
        if pair[0][:2] == pair[1][:2]:
            pair = [pair[1] if by_highest == said else pair[0]]
        elif pair[1] < pair[0] and times[highest] != times[lowest]:
            pair.reverse()
        kept += pair
    if len(usable) and kept[-1][0] < times[usable[-1]]:
        kept.append((float(times[usable[-1]]), float(high[usable[-1]]), float(worst[usable[-1]])))
    told = np.array(kept).reshape(-1, 3)
    return told[:, 0], told[:, 1], told[:, 2]


def _each(rows: _Rows, length: timedelta) -> _Told:
    """Every row: one point, or two where it is a range; and one without a value before a row that comes late."""
    late = np.diff(rows.times, prepend=rows.times[:1]) > length.total_seconds() * _GAP_STEPS
    ranged = rows.low < rows.high
    counts = 1 + ranged + late
    ends = np.cumsum(counts)
    times, worst = np.repeat(rows.times, counts), np.repeat(rows.worst, counts)
    values = np.full(len(times), np.nan)
    values[ends - 1] = rows.high
    values[ends[ranged] - 2] = rows.low[ranged]
    before = ends[late] - counts[late]
    times[before] -= length.total_seconds() / 2
    worst[before] = np.nan
    return times, values, worst


# --- totals --------------------------------------------------------------------------------------------------


def _sums(rows: _Rows, slices: Slices, every: timedelta) -> _Told:
    """A point for each slice of which anything was told, and be it that nothing was measured."""
    told = np.unique(np.ceil((rows.times - slices.starts[0]) / every.total_seconds()).astype(np.int64) - 1)
    return slices.starts[told] + every.total_seconds(), slices.high[told], slices.worst[told]


# --- lengths and rows -----------------------------------------------------------------------------------------


def _slice(least: timedelta, length: timedelta) -> timedelta:
    """The shortest length with a name that is at least so long, and not shorter than one row."""
    needed = max(least, length).total_seconds()
    month = LENGTHS[-1]
    return timedelta(seconds=next((n for n in LENGTHS if n >= needed), float(-(-needed // month) * month)))


def _origin(start: datetime, zone: ZoneInfo, every: timedelta) -> float:
    """The local midnight that slices are counted from: the same one for every range that shows the same slices."""
    day = start.astimezone(zone).date()
    whole = max(1, every // _DAY)
    midnight = datetime.combine(day - timedelta(days=day.toordinal() % whole), time(), zone)
    return midnight.timestamp()


# date_part counts in double precision; extract counts in numeric, which takes as long as all the rest. And the order is
# that of the index, by the column itself.
_QUERIES = {
    Step.RAW: """
        select date_part('epoch', phenomenon_time), {value}, {value}, (value is not null)::int::float8, {worst}
        from (select phenomenon_time, quality, case when quality not in ('bad', 'missing') then value end as value
              from tenant_observation
              where datastream_id = {datastream} and phenomenon_time >= {start} and phenomenon_time <= {end}) o
        order by phenomenon_time
    """,
    Step.HOUR: """
        select date_part('epoch', hour) + {place} * 3600, {low}, {high}, n::float8, {worst}
        from rollup_hour where datastream_id = {datastream} and hour >= {start} and hour <= {end} order by hour
    """,
    Step.DAY: """
        select date_part('epoch', begins) + {place} * date_part('epoch', ends - begins), {low}, {high},
               n::float8, {worst}
        from (select day::timestamp at time zone {zone} as begins, (day + 1)::timestamp at time zone {zone} as ends, *
              from rollup_day where datastream_id = {datastream} and day >= {first} and day <= {last}) d
        where begins >= {start} and begins <= {end} order by 1
    """,
}


def _read(conn: Connection, series: Latest, start: datetime, end: datetime, zone: ZoneInfo, step: Step) -> _Rows:
    """The rows, in the order of time."""
    total = series.statistic == "total"

    def number(column: str) -> sql.Composed:
        return sql.SQL("coalesce({}, 'NaN')::float8").format(sql.Identifier(column))

    worst = sql.SQL("case {} {} end::float8").format(
        sql.Identifier("quality" if step is Step.RAW else "worst_quality"),
        sql.SQL(" ").join(
            sql.SQL("when {} then {}").format(sql.Literal(quality.value), sql.Literal(place))
            for place, quality in enumerate(_QUALITIES)
        ),
    )
    query = sql.SQL(_QUERIES[step]).format(
        datastream=sql.Literal(series.datastream_id),
        start=sql.Literal(start.astimezone(UTC)),
        end=sql.Literal(end.astimezone(UTC)),
        zone=sql.Literal(zone.key),
        # One more on each side: which days begin within the range is decided by their beginnings.
        first=sql.Literal(start.astimezone(zone).date() - _DAY),
        last=sql.Literal(end.astimezone(zone).date() + _DAY),
        place=sql.Literal(1.0 if total else 0.5),
        worst=worst,
        value=number("value"),
        low=number("total" if total else "minimum"),
        high=number("total" if total else "maximum"),
    )
    return _Rows(*columns(conn, query, _Rows._fields))
