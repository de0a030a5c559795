"""How many observations an hour or a day should have had, of a device whose pace depends on what it measures.

`analytics.rollups` counts by the step of the series. A 危機管理型水位計 in standby sends one value a day: 23 hours
without one are complete, and so is the day with it. Here `expected` of such series is what came and what was due but
did not come (`devices.duty.missed`), for the hours and days that a batch touched and those that the next observation
after it stands in, since what was due before that one follows from this batch.

Cost: two small queries where no device has a duty cycle; nothing more for series that are fed at a steady pace.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from devices.duty import DutyCycle, missed
from store import Connection
from store.arrays import transposed
from store.duty import datastream_duties, held_before
from store.feed import Touched

_DAY = timedelta(days=1)


def recompute(conn: Connection, touched: Iterable[Touched]) -> None:
    """Puts `expected` right in the hours and days that have a row; after `analytics.rollups`, in its transaction."""
    ranges: dict[int, tuple[datetime, datetime]] = {}
    for each in touched:
        known = ranges.get(each.datastream_id, (each.start, each.end))
        ranges[each.datastream_id] = min(known[0], each.start), max(known[1], each.end)
    cycles = datastream_duties(conn, ranges)
    if not cycles:
        return
    zones: dict[int, ZoneInfo] = {
        datastream_id: ZoneInfo(name)
        for datastream_id, name in conn.execute(
            "select datastream_id, timezone from datastream join municipality using (municipality_id) "
            "where datastream_id = any(%s)",
            (list(cycles),),
        )
    }
    for datastream_id, cycle in sorted(cycles.items()):
        _put_right(conn, datastream_id, cycle, *ranges[datastream_id], zones[datastream_id])


def _put_right(
    conn: Connection, datastream_id: int, cycle: DutyCycle, start: datetime, end: datetime, zone: ZoneInfo
) -> None:
    since = _midnight(start.astimezone(zone).date(), zone)
    following = conn.execute(
        "select phenomenon_time from observation where datastream_id = %s and phenomenon_time > %s "
        "order by phenomenon_time limit 1",
        (datastream_id, end),
    ).fetchone()
    last = end if following is None else following[0]
    until = _midnight(last.astimezone(zone).date() + _DAY, zone)
    reports: list[tuple[datetime, float | None]] = conn.execute(
        """
        (select phenomenon_time, case when quality not in ('bad', 'missing') then value end from observation
         where datastream_id = %(id)s and phenomenon_time < %(since)s order by phenomenon_time desc limit 1)
        union all
        (select phenomenon_time, case when quality not in ('bad', 'missing') then value end from observation
         where datastream_id = %(id)s and phenomenon_time >= %(since)s and phenomenon_time < %(until)s
         order by phenomenon_time)
        """,
        {"id": datastream_id, "since": since, "until": until},
    ).fetchall()
    if not reports:
        return
    held = held_before(conn, {datastream_id: cycle}, {datastream_id: reports[0][0]}, tenant=False)
    came = [time for time, _ in reports if time >= since]
    due = [time for time in missed(cycle, reports, until, held[datastream_id]) if time >= since]
    hours = Counter(time.astimezone(UTC).replace(minute=0, second=0, microsecond=0) for time in (*came, *due))
    days = Counter(time.astimezone(zone).date() for time in (*came, *due))
    for statement, counts in ((_HOURS, hours), (_DAYS, days)):
        conn.execute(statement, (*transposed(sorted(counts.items()), 2), datastream_id))


_HOURS = """
update rollup_hour r set expected = said.n
from unnest(%s::timestamptz[], %s::integer[]) as said (hour, n)
where r.datastream_id = %s and r.hour = said.hour and r.expected <> said.n
"""
_DAYS = """
update rollup_day r set expected = said.n
from unnest(%s::date[], %s::integer[]) as said (day, n)
where r.datastream_id = %s and r.day = said.day and r.expected <> said.n
"""


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=zone)
