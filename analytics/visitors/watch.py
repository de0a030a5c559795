"""Keeps the findings `visits` and `counter` of every visitor spot equal to what its counts say.

Judged at the spot's newest count, whatever the touched range was: a late value moves what is usual, or today. So the
same observations give the same open finding, however often this runs. An open finding of `visits` ends with its day,
or when the day has come back to its usual; one of `counter` when somebody is counted again. A day on which the counter
was blocked has no sum to judge: then there is no finding of `visits` beside that of `counter`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from itertools import groupby
from zoneinfo import ZoneInfo

from analytics.findings import Changes, Finding, Kind, Stored, end, last, open_or_update
from analytics.visitors.day_types import day_type
from analytics.visitors.unusual import BLOCKED_VERSION, RULE_VERSION, Hour, blocked, far_from_usual
from analytics.visitors.usual import COMPLETE_ENOUGH, SoFar, counts_of, day_start, local_day, so_far, whole_day_of
from analytics.visitors.visits import count
from store import Connection
from store.feed import Touched

_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class _Spot:
    """A counter's series, and its newest usable count."""

    datastream_id: int
    municipality_id: int
    station_id: int
    timezone: str
    newest: datetime


def recompute(conn: Connection, touched: Iterable[Touched]) -> Changes:
    """Judges the spots whose inward counts were touched; the rollups must be up to date. What changed."""
    changes: Changes = []
    spots = _spots(conn, sorted({each.datastream_id for each in touched}))
    for timezone, group in groupby(sorted(spots, key=lambda spot: spot.timezone), key=lambda spot: spot.timezone):
        zone, of_zone = ZoneInfo(timezone), list(group)
        parts = so_far(conn, {spot.datastream_id: spot.newest for spot in of_zone}, zone)
        for spot in of_zone:
            changes += _judge_counter(conn, spot, parts[spot.datastream_id], zone)
            changes += _judge_visits(conn, spot, parts[spot.datastream_id], zone)
    return changes


def _spots(conn: Connection, datastream_ids: Sequence[int]) -> list[_Spot]:
    return [
        _Spot(*row)
        for row in conn.execute(
            """
            select d.datastream_id, d.municipality_id, d.station_id, m.timezone, o.newest
            from datastream d
            join station s on s.station_id = d.station_id and s.kind = 'visitor_spot'
            join municipality m on m.municipality_id = d.municipality_id
            cross join lateral (
                select phenomenon_time as newest from observation
                where datastream_id = d.datastream_id and quality not in ('bad', 'missing')
                order by phenomenon_time desc limit 1
            ) o
            where d.datastream_id = any(%s) and d.observed_property = 'passages_in' and d.drill_run is null
            """,
            (list(datastream_ids),),
        )
    ]


def _judge_visits(conn: Connection, spot: _Spot, part: SoFar, zone: ZoneInfo) -> Changes:
    changes: Changes = []
    day = part.today.day
    open_ = _open(conn, spot, "visits")
    if open_ is not None and (its_day := local_day(open_.started_at, zone)) != day:
        changes += end(conn, spot.station_id, "visits", day_start(its_day + timedelta(days=1), zone))
        open_ = None
    if _blocked_since(conn, spot, day_start(day, zone)):
        return changes + end(conn, spot.station_id, "visits", spot.newest)
    if part.today.visits is None or part.today.completeness < COMPLETE_ENOUGH:
        return changes  # what was not counted says nothing, for the finding or against it
    earlier = counts_of(part)
    far = far_from_usual(part.today.visits, earlier, whole_day_of(part), already=open_ is not None)
    if far is None:
        return changes + end(conn, spot.station_id, "visits", spot.newest)
    return changes + open_or_update(
        conn,
        Finding(
            spot.municipality_id,
            spot.station_id,
            spot.datastream_id,
            "visits",
            spot.newest if open_ is None else open_.started_at,
            float(part.today.visits),
            float(far.usual),
            far.score,
            RULE_VERSION,
            {"day": day.isoformat(), "day_type": day_type(day).value, "n": len(earlier)},
        ),
    )


def _judge_counter(conn: Connection, spot: _Spot, part: SoFar, zone: ZoneInfo) -> Changes:
    open_ = _open(conn, spot, "counter")
    if open_ is not None:
        row = conn.execute(
            """
            select min(phenomenon_time) from observation
            where datastream_id = %s and phenomenon_time > %s and value > 0 and quality not in ('bad', 'missing')
            """,
            (spot.datastream_id, open_.started_at),
        ).fetchone()
        if row is not None and row[0] is not None:
            return end(conn, spot.station_id, "counter", row[0])
    today = _hours(conn, spot, [(day_start(part.today.day, zone), spot.newest)], zone)
    others = _hours(
        conn,
        spot,
        [(day_start(each.day, zone), day_start(each.day + timedelta(days=1), zone)) for each in part.earlier],
        zone,
    )
    earlier: dict[time, list[int]] = {}
    for hour in others:
        if hour.visits is not None and hour.whole:
            earlier.setdefault(hour.local, []).append(hour.visits)
    found = blocked(today, {hour.local: earlier.get(hour.local, []) for hour in today})
    if found is None:
        return []  # an open one stays open at night: nobody has been counted yet
    return open_or_update(
        conn,
        Finding(
            spot.municipality_id,
            spot.station_id,
            spot.datastream_id,
            "counter",
            found.started_at if open_ is None else open_.started_at,
            0.0,
            float(found.usual),
            found.score,
            BLOCKED_VERSION,
            {"hours": found.hours, "day_type": day_type(part.today.day).value, "n": len(part.earlier)},
        ),
    )


def _open(conn: Connection, spot: _Spot, kind: Kind) -> Stored | None:
    stored = last(conn, spot.station_id, kind)
    return stored if stored is not None and stored.ended_at is None else None


def _blocked_since(conn: Connection, spot: _Spot, since: datetime) -> bool:
    counter = last(conn, spot.station_id, "counter")
    return counter is not None and (counter.ended_at is None or counter.ended_at > since)


def _hours(conn: Connection, spot: _Spot, ranges: Sequence[tuple[datetime, datetime]], zone: ZoneInfo) -> list[Hour]:
    """The hours that lie wholly within one of the ranges, oldest first."""
    return [
        Hour(start, start.astimezone(zone).time(), count(total), n >= COMPLETE_ENOUGH * expected)
        for start, n, expected, total in conn.execute(
            """
            select r.hour, r.n, r.expected, r.total
            from unnest(%s::timestamptz[], %s::timestamptz[]) as asked (start, finish)
            join rollup_hour r on r.datastream_id = %s
                 and r.hour >= asked.start and r.hour <= asked.finish - %s::interval
            order by r.hour
            """,
            ([start for start, _ in ranges], [finish for _, finish in ranges], spot.datastream_id, _HOUR),
        )
    ]
