"""Keeps `count_estimate` equal to what `estimate` says of the hours that counters have lost.

    recompute(conn, touched)              after new or changed counts, with the rollups
    put(conn, station_id, first, last)    after somebody spoke of a period

An hour is estimated when fewer than half of its counts came or a period takes it out (`hours.lost`), as far as the
newest count: whether a counter that is silent now will send what it kept, nobody knows yet. The whole day is worked out
anew, as a whole; what is no longer lost has no estimate. Whether a spot uses its estimates is the office's choice
(`spot_choice`); they are there for either.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from analytics.visitors.checks.estimate import estimate
from analytics.visitors.checks.hours import beside, lost, series
from analytics.visitors.usual import day_start, local_day
from store import Connection
from store.arrays import transposed
from store.feed import Touched

HISTORY_DAYS = 120
_LONGEST_GAP = timedelta(days=92)
_DAY, _HOUR = timedelta(days=1), timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class _Series:
    """One direction of a counter, and its first and newest usable count."""

    datastream_id: int
    municipality_id: int
    station_id: int
    zone: ZoneInfo
    first: datetime
    newest: datetime


def recompute(conn: Connection, touched: Iterable[Touched]) -> None:
    """The days that were touched, and a gap that came to its end with them."""
    ranges: dict[int, tuple[datetime, datetime]] = {}
    for each in touched:
        low, high = ranges.get(each.datastream_id, (each.start, each.end))
        ranges[each.datastream_id] = (min(low, each.start), max(high, each.end))
    for one in _series(conn, sorted(ranges)):
        start, end = ranges[one.datastream_id]
        since = max(_before(conn, one.datastream_id, start), start - _LONGEST_GAP, one.first)
        _put(conn, one, local_day(since, one.zone), local_day(end, one.zone))


def put(conn: Connection, station_id: int, first: date, last: date) -> None:
    """The local days first..last of a counter, all its directions."""
    ids = [
        datastream_id
        for (datastream_id,) in conn.execute(
            """
            select datastream_id from datastream
            where station_id = %s and observed_property in ('passages_in', 'passages_out') and drill_run is null
            """,
            (station_id,),
        )
    ]
    for one in _series(conn, ids):
        _put(conn, one, first, last)


def _put(conn: Connection, one: _Series, first: date, last: date) -> None:
    first, last = max(first, local_day(one.first, one.zone)), min(last, local_day(one.newest, one.zone))
    if first > last:
        return
    until = one.newest.replace(minute=0, second=0, microsecond=0)
    days = lost(conn, one.datastream_id, first, last, until, one.zone)
    rows: list[tuple[datetime, float, float, float, int]] = []
    if days:
        began = local_day(one.first, one.zone)
        since = max(began, min(days) - HISTORY_DAYS * _DAY)
        others = beside(conn, one.datastream_id)
        counts = series(conn, [one.datastream_id, *others], since, max(days), one.zone)
        own, other = counts[one.datastream_id], [counts[each] for each in others]
        for day, out in sorted(days.items()):
            if day == began:
                continue  # before its first hour nobody counted
            from_ = max(0, (day - since).days - HISTORY_DAYS)
            to = (day - since).days + 1
            made = estimate(day, since + from_ * _DAY, own[from_:to], out, [each[from_:to] for each in other])
            if made is not None:
                midnight = day_start(day, one.zone)
                rows += [
                    (
                        midnight + int(n) * _HOUR,
                        float(made.value[n]),
                        float(made.low[n]),
                        float(made.high[n]),
                        made.days,
                    )
                    for n in np.flatnonzero(out)
                ]
    conn.execute(
        "delete from count_estimate where datastream_id = %s and hour >= %s and hour < %s and not hour = any(%s)",
        (
            *(one.datastream_id, day_start(first, one.zone), day_start(last + _DAY, one.zone)),
            [row[0] for row in rows],
        ),
    )
    if rows:
        conn.execute(
            """
            insert into count_estimate as e (municipality_id, datastream_id, hour, value, low, high, days)
            select %s, %s, * from unnest(%s::timestamptz[], %s::float8[], %s::float8[], %s::float8[], %s::smallint[])
            on conflict (datastream_id, hour) do update set (value, low, high, days)
                = (excluded.value, excluded.low, excluded.high, excluded.days)
            where (e.value, e.low, e.high, e.days)
                  is distinct from (excluded.value, excluded.low, excluded.high, excluded.days)
            """,
            (one.municipality_id, one.datastream_id, *transposed(rows, 5)),
        )


def _series(conn: Connection, ids: Sequence[int]) -> list[_Series]:
    return [
        _Series(datastream_id, town, station_id, ZoneInfo(zone), first, newest)
        for datastream_id, town, station_id, zone, first, newest in conn.execute(
            """
            select d.datastream_id, d.municipality_id, d.station_id, m.timezone, span.first,
                   span.newest + interval '1 hour'
            from datastream d join municipality m using (municipality_id)
            join station s on s.station_id = d.station_id and s.kind = 'visitor_spot'
            cross join lateral (
                select (select hour from rollup_hour where datastream_id = d.datastream_id and n > 0
                        order by hour limit 1) as first,
                       (select hour from rollup_hour where datastream_id = d.datastream_id and n > 0
                        order by hour desc limit 1) as newest
            ) span
            where d.datastream_id = any(%s) and d.observed_property in ('passages_in', 'passages_out')
              and d.drill_run is null and span.first is not null
            """,
            (list(ids),),
        )
    ]


def _before(conn: Connection, datastream_id: int, start: datetime) -> datetime:
    """The newest hour with counts before `start`; `start` itself where there is none."""
    row = conn.execute(
        "select hour from rollup_hour where datastream_id = %s and hour < %s and n > 0 order by hour desc limit 1",
        (datastream_id, start - _HOUR),
    ).fetchone()
    return start if row is None else row[0]
