"""What was counted and entered for spots, as it is stored: read for `analytics.visitors.spots.series`.

began(conn, datastreams)                    the local day of the first count of each
daily, hourly(conn, datastreams, ...)       what counters counted
entered(conn, plans, ...)                   the days that people entered
entered_hours(conn, plans, start, end)      the hours that people entered
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from psycopg.sql import SQL, Identifier

from analytics.visitors.spots.plan import Plan
from analytics.visitors.spots.sums import Sum
from analytics.visitors.usual import Observations, day_start, local_day
from store import Connection

_DAY = timedelta(days=1)


def began(conn: Connection, datastreams: Sequence[int]) -> dict[int, date]:
    """The local day of the first count of each; a series that never counted is not there."""
    rows: list[tuple[int, date]] = conn.execute(
        """
        select asked.datastream_id, first.day from unnest(%s::integer[]) as asked (datastream_id)
        cross join lateral (
            select day from rollup_day where datastream_id = asked.datastream_id and n > 0 order by day limit 1
        ) first
        """,
        (list(datastreams),),
    ).fetchall()
    return dict(rows)


def daily(conn: Connection, datastreams: Sequence[int], first: date, last: date) -> dict[int, dict[date, Sum]]:
    """By datastream and local day."""
    found: dict[int, dict[date, Sum]] = {each: {} for each in datastreams}
    for datastream_id, day, n, expected, total in conn.execute(
        """
        select datastream_id, day, n, expected, total from rollup_day
        where datastream_id = any(%s) and day >= %s and day <= %s
        """,
        (list(datastreams), first, last),
    ):
        found[datastream_id][day] = Sum(n, expected, total)
    return found


def hourly(
    conn: Connection, datastreams: Sequence[int], start: datetime, end: datetime
) -> dict[int, dict[datetime, Sum]]:
    """By datastream and the beginning of the hour."""
    found: dict[int, dict[datetime, Sum]] = {each: {} for each in datastreams}
    for datastream_id, hour, n, expected, total in conn.execute(
        """
        select datastream_id, hour, n, expected, total from rollup_hour
        where datastream_id = any(%s) and hour >= %s and hour < %s
        """,
        (list(datastreams), start, end),
    ):
        found[datastream_id][hour] = Sum(n, expected, total)
    return found


def entered(
    conn: Connection, real: Sequence[Plan], first: date, last: date, relation: Observations
) -> dict[int, dict[date, float | None]]:
    """What people entered, from the observations themselves: whoever saves a number sees it in the next moment."""
    forms = {plan.form: plan for plan in real if plan.form is not None}
    if not forms:
        return {}
    zone: ZoneInfo = next(iter(forms.values())).zone
    found: dict[int, dict[date, float | None]] = {}
    for datastream_id, time, value in conn.execute(
        SQL(
            """
            select datastream_id, phenomenon_time, value from {relation}
            where datastream_id = any(%s) and phenomenon_time > %s and phenomenon_time <= %s and quality <> 'bad'
            """
        ).format(relation=Identifier(relation)),
        (list(forms), day_start(first, zone), day_start(last + _DAY, zone)),
    ):
        found.setdefault(forms[datastream_id].spot_id, {})[local_day(time, zone)] = value
    return found


def entered_hours(
    conn: Connection, real: Sequence[Plan], start: datetime, end: datetime
) -> dict[int, dict[datetime, float]]:
    """By spot and the beginning of the hour, of [start, end); an hour that was taken back is not there."""
    found: dict[int, dict[datetime, float]] = {}
    for spot_id, hour, value in conn.execute(
        """
        select * from (
            select distinct on (s.spot_id, e.from_time) s.spot_id, e.from_time, e.value
            from spot s join part_entry e on e.station_id = s.station_id
            where s.spot_id = any(%s) and e.kind = 'hour' and e.from_time >= %s and e.from_time < %s
              and e.to_time = e.from_time + interval '1 hour'
            order by s.spot_id, e.from_time, e.part_entry_id desc
        ) newest where value is not null
        """,
        ([plan.spot_id for plan in real], start, end),
    ):
        found.setdefault(spot_id, {})[hour] = float(value)
    return found
