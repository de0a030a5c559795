"""What a gauge's future is worked out from: its own levels, those of the gauges near it, and the rain.

    gauges(conn, municipality_id)            the gauges of a town, each with its neighbours and rain gauges
    readings(conn, ids, start, end)          what was observed, as columns
    record(readings, level, neighbours, rain, last, step, n)      the same on one grid that ends at `last`
    stored_record(conn, level, neighbours, rain, last, step, n)   such a grid of a long time

The grid hangs on the observation from which is looked ahead: a row stands for what was known at its time, the last
usable level within its step, the rain that fell in its step. Doubtful, bad and missing values are not on it; they are
counted (`Readings.doubtful`), so that whoever looks ahead can say what there was to do without. A gauge that tells an
hour's rain at a time has it where it was told, for before nobody knew of it.

When it works badly: where a device's clock runs ahead its values stand in rows that are not theirs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

import numpy as np
from psycopg import sql

from analytics.beside import Place, near
from analytics.rivers.forecast.record import Record, on_grid, summed
from analytics.rivers.link_records import further_up, known_links
from devices.model import ObservedProperty, StationKind
from store import Connection
from store.columns import Floats, columns

MOST_NEIGHBOURS, MOST_RAIN = 6, 4
NEAREST_RAIN = 2  # where nobody has said whose catchment it is
FINEST, HOUR = timedelta(minutes=10), timedelta(hours=1)
_STEPS = tuple(timedelta(minutes=each) for each in (10, 12, 15, 20, 30, 60))
Observations = Literal["observation", "tenant_observation"]
_PART = 13_000  # rows
_KM = 111.2  # a degree of latitude


@dataclass(frozen=True, slots=True)
class Gauge:
    """A river gauge's level, and the datastreams that its future is worked out from: first the gauges above it in the
    order of the time that the water takes, then the nearest.
    """

    datastream_id: int
    station_id: int
    code: str
    step: timedelta
    neighbours: tuple[int, ...]
    rain: tuple[int, ...]

    @property
    def inputs(self) -> tuple[int, ...]:
        return (*self.neighbours, *self.rain)


@dataclass(frozen=True, slots=True)
class Readings:
    """Of one datastream, oldest first, all of one length: seconds since 1970, values (nan: not usable), and whether
    there was a value that is doubted or bad.
    """

    times: Floats
    values: Floats
    doubtful: Floats


NOTHING = Readings(*np.empty((3, 0)))


def gauges(conn: Connection, municipality_id: int) -> list[Gauge]:
    """The river gauges of a town, as the register orders them. Neighbours are those that are linked further up
    (`link_records.further_up`), then the gauges of the same river, or where there are fewer than two the nearest ones
    (`analytics.beside`), as many as a model bears; rain that of the catchment, or the nearest.
    """
    rows = conn.execute(
        """
        select d.datastream_id, s.station_id, s.code, d.step, d.observed_property, s.latitude, s.longitude,
               r.river, r.km_from_mouth
        from datastream d join station s using (station_id) left join station_river r using (station_id)
        where d.municipality_id = %s and d.drill_run is null
          and (s.kind, d.observed_property) in ((%s, %s), (%s, %s))
        order by s.station_id
        """,
        (
            municipality_id,
            *(StationKind.RIVER_GAUGE, ObservedProperty.WATER_LEVEL),
            *(StationKind.RAIN_GAUGE, ObservedProperty.PRECIPITATION),
        ),
    ).fetchall()
    levels = [row for row in rows if row[4] == ObservedProperty.WATER_LEVEL]
    rains = [row for row in rows if row[4] == ObservedProperty.PRECIPITATION]
    beside = near([Place(*row[5:]) for row in levels])
    linked = further_up(known_links(conn, municipality_id=municipality_id))
    of_station = {row[1]: row[0] for row in levels}

    def neighbours(n: int) -> tuple[int, ...]:
        above = [of_station[each] for each in linked.get(levels[n][1], ()) if each in of_station]
        others = [levels[other][0] for other in beside[n] if other >= 0]
        return tuple(dict.fromkeys([*above, *others]))[:MOST_NEIGHBOURS]

    return [
        Gauge(
            row[0],
            row[1],
            row[2],
            row[3],
            neighbours(n),
            tuple(_rain_of(row, rains)),
        )
        for n, row in enumerate(levels)
    ]


def _rain_of(gauge: Sequence[float | str | None], rains: Sequence[Sequence[float | str | None]]) -> Iterable[int]:
    """Of rows as `gauges` reads them."""

    def far(rain: Sequence[float | str | None]) -> float:
        latitude, longitude = np.array(gauge[5:7], np.float64), np.array(rain[5:7], np.float64)
        north, east = latitude - longitude
        return float(np.hypot(north, east * np.cos(np.radians(latitude[0]))) * _KM)

    nearest = sorted(rains, key=far)
    of_catchment = [rain for rain in nearest if gauge[7] is not None and rain[7] == gauge[7]]
    for rain in (of_catchment or nearest[:NEAREST_RAIN])[:MOST_RAIN]:
        assert isinstance(rain[0], int)
        yield rain[0]


def readings(
    conn: Connection, ids: Iterable[int], start: datetime, end: datetime, *, of: Observations = "observation"
) -> dict[int, Readings]:
    """What each of these datastreams observed, start < time <= end. `of`: what the role may read."""
    wanted = sorted(set(ids))
    query = sql.SQL(
        """
        select datastream_id::float8, date_part('epoch', phenomenon_time),
               case when quality in ('doubtful', 'bad') then 'NaN' else coalesce(value, 'NaN') end::float8,
               (quality in ('doubtful', 'bad'))::int::float8
        from {of}
        where datastream_id = any({ids}) and phenomenon_time > {start} and phenomenon_time <= {end}
        order by datastream_id, phenomenon_time
        """
    ).format(of=sql.Identifier(of), ids=sql.Literal(wanted), start=sql.Literal(start), end=sql.Literal(end))
    numbers, times, values, doubtful = columns(conn, query, ("number", "at", "value", "doubtful"))
    begins = np.searchsorted(numbers, np.array(wanted, np.float64), side="left")
    ends = np.searchsorted(numbers, np.array(wanted, np.float64), side="right")
    return {
        each: Readings(times[first:last], values[first:last], doubtful[first:last])
        for each, first, last in zip(wanted, begins, ends, strict=True)
    }


def record(
    found: Mapping[int, Readings],
    level: int,
    neighbours: Sequence[int],
    rain: Sequence[int],
    *,
    last: float,
    step: timedelta,
    n: int,
) -> Record:
    """`n` rows, the last of them at `last` (seconds since 1970). What is not in `found` was never observed."""
    seconds = step.total_seconds()
    start = last - (n - 1) * seconds

    def column(each: int, *, total: bool) -> Floats:
        told = found.get(each, NOTHING)
        return (summed if total else on_grid)(told.times, told.values, start, seconds, n)

    def stacked(ids: Sequence[int], *, total: bool) -> Floats:
        told = [column(each, total=total) for each in ids]
        return np.stack(told, axis=1) if told else np.empty((n, 0))

    return Record(
        start,
        seconds,
        column(level, total=False),
        stacked(neighbours, total=False),
        stacked(rain, total=True),
    )


def stored_record(
    conn: Connection,
    level: int,
    neighbours: Sequence[int],
    rain: Sequence[int],
    *,
    last: float,
    step: timedelta,
    n: int,
) -> Record:
    """The same of what is stored, read in parts: ten years of ten minutes have no room on a small machine."""
    seconds, parts = step.total_seconds(), []
    ids = (level, *neighbours, *rain)
    for first in range(0, n, _PART):
        rows = min(_PART, n - first)
        end = last - (n - first - rows) * seconds
        found = readings(conn, ids, _moment(end - rows * seconds), _moment(end))
        parts.append(record(found, level, neighbours, rain, last=end, step=step, n=rows))
    return Record(
        parts[0].start,
        seconds,
        np.concatenate([part.level for part in parts]),
        np.concatenate([part.neighbours for part in parts]),
        np.concatenate([part.rain for part in parts]),
    )


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def step_of(gauge: timedelta) -> timedelta:
    """The rows of a gauge that is read at this step: no finer than ten minutes, and whole ones make an hour.

    >>> [step_of(timedelta(minutes=each)) // timedelta(minutes=1) for each in (1, 10, 25, 90)]
    [10, 10, 30, 60]
    """
    return next((each for each in _STEPS if each >= gauge), HOUR)


def lately(found: Readings, since: float) -> tuple[bool, bool]:
    """Of what was observed after `since`: whether anything usable is there, and whether the newest is doubted."""
    first = int(np.searchsorted(found.times, since, side="right"))
    values, doubtful = found.values[first:], found.doubtful[first:]
    return bool(np.any(~np.isnan(values))), bool(len(doubtful) and doubtful[-1])
