"""The hours of counters as arrays, without those at which a counter is known to have been at fault.

    series(conn, ids, first, last, zone)   (days, 24) by datastream, nan where nothing true is known
    lost(conn, ids, first, last, zone)     which hours a period takes out, or nothing usable came in
    vouched(conn, ids, first, last, zone)  of which somebody has said that nothing was wrong with them
    beside(conn, id)                       which other counters of the town count the same

Hours are whole hours of UTC, as `rollup_hour` has them, under their local day and hour.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
from psycopg.sql import SQL

from analytics.visitors.usual import COMPLETE_ENOUGH, day_start
from store import Connection

Hourly = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
_DAY, _HOUR = timedelta(days=1), timedelta(hours=1)
BESIDE = 8  # other counters that are looked at
HALF = 0.5  # of an hour's counts: with fewer the hour is lost

# of rollup_hour r join datastream d: whether a period takes the hour out, of which it has 10 minutes or more
OUT = SQL("""
exists (select from count_period p
        where p.station_id = d.station_id and p.standing in ('found', 'confirmed', 'by_hand')
          and p.starts_at < r.hour + interval '50 minutes'
          and coalesce(p.ends_at, 'infinity') > r.hour + interval '10 minutes')
""")


def series(conn: Connection, ids: Sequence[int], first: date, last: date, zone: ZoneInfo) -> dict[int, Hourly]:
    """The local days first..last of each; nan where less than 85 % of an hour came, or a period takes it out."""
    found = {each: np.full(((last - first).days + 1, 24), np.nan) for each in ids}
    for datastream_id, hour, total in conn.execute(
        SQL(
            """
        select r.datastream_id, r.hour, r.total from rollup_hour r join datastream d using (datastream_id)
        where r.datastream_id = any(%s) and r.hour >= %s and r.hour < %s and r.n >= %s * r.expected
          and d.drill_run is null and not {out}
        """
        ).format(out=OUT),
        (list(ids), day_start(first, zone), day_start(last + _DAY, zone), COMPLETE_ENOUGH),
    ):
        local = hour.astimezone(zone)
        found[datastream_id][(local.date() - first).days, local.hour] = total
    return found


def vouched(conn: Connection, ids: Iterable[int], first: date, last: date, zone: ZoneInfo) -> dict[int, Mask]:
    """(days, 24) by datastream: the hours of the local days first..last in a period that somebody has overruled. What
    was counted in them, 0 too, is true.
    """
    found = {each: np.zeros(((last - first).days + 1, 24), dtype=np.bool_) for each in ids}
    row = np.arange(24 * ((last - first).days + 1))
    for datastream_id, *period in conn.execute(
        """
        select d.datastream_id, p.starts_at, p.ends_at from datastream d join count_period p using (station_id)
        where d.datastream_id = any(%s) and p.standing = 'overruled' and p.starts_at < %s and p.ends_at > %s
          and d.drill_run is null
        """,
        (list(found), day_start(last + _DAY, zone), day_start(first, zone)),
    ):
        start, end = (
            24 * (local.date() - first).days + local.hour + local.minute / 60
            for local in (each.astimezone(zone) for each in period)
        )
        # of ten minutes or more, as in OUT
        found[datastream_id] |= ((start < row + 5 / 6) & (end > row + 1 / 6)).reshape(-1, 24)
    return found


def lost(
    conn: Connection, datastream_id: int, first: date, last: date, until: datetime, zone: ZoneInfo
) -> dict[date, Mask]:
    """By local day that has any, the hours (24) up to `until` in which nothing true is known: fewer than half of the
    counts came, or a period takes it out.
    """
    start, end = day_start(first, zone), min(day_start(last + _DAY, zone), until)
    known = {
        hour
        for (hour,) in conn.execute(
            SQL(
                """
            select r.hour from rollup_hour r join datastream d using (datastream_id)
            where r.datastream_id = %s and r.hour >= %s and r.hour < %s and r.n >= %s * r.expected
              and d.drill_run is null and not {out}
            """
            ).format(out=OUT),
            (datastream_id, start, end, HALF),
        )
    }
    found: dict[date, Mask] = {}
    for n in range(int((end - start) // _HOUR)):
        hour = start + n * _HOUR
        if hour not in known:
            local = hour.astimezone(zone)
            found.setdefault(local.date(), np.zeros(24, dtype=bool))[local.hour] = True
    return found


def beside(conn: Connection, datastream_id: int) -> list[int]:
    """Series of the same property at other stations of the town, at most `BESIDE`."""
    return [
        other
        for (other,) in conn.execute(
            """
            select o.datastream_id from datastream d
            join datastream o on o.municipality_id = d.municipality_id and o.observed_property = d.observed_property
                              and o.station_id <> d.station_id and o.drill_run is null
            where d.datastream_id = %s and d.drill_run is null order by o.datastream_id limit %s
            """,
            (datastream_id, BESIDE),
        )
    ]
