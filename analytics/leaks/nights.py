"""Keeps `night_flow` equal to what the observations say: one row a block's flow series and local day."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from analytics.leaks.night_flow import minimum_night_flow, night_of
from devices.model import Quality
from store import Connection
from store.feed import Touched
from store.observations import Series, series


def recompute(conn: Connection, touched: Iterable[Touched]) -> None:
    """Computes anew every night that a touched range reaches into; other hours of the day cost nothing."""
    ranges = list(touched)
    blocks = {
        row[0]: row[1:]
        for row in conn.execute(
            """
            select d.datastream_id, d.municipality_id, d.step, m.timezone
            from datastream d
            join station s on s.station_id = d.station_id and s.kind = 'block_inlet'
            join municipality m on m.municipality_id = d.municipality_id
            where d.datastream_id = any(%s) and d.observed_property = 'flow' and d.drill_run is null
            """,
            (sorted({each.datastream_id for each in ranges}),),
        )
    }
    nights = {
        (each.datastream_id, day)
        for each in ranges
        if each.datastream_id in blocks
        for day in nights_touched(each, blocks[each.datastream_id][2])
    }
    for datastream_id, day in sorted(nights):
        _recompute_night(conn, datastream_id, day, *blocks[datastream_id])


def nights_touched(touched: Touched, timezone: str) -> Iterator[date]:
    """The local days whose night (01:00 to before 05:00) a range, both ends inclusive, reaches into."""
    zone = ZoneInfo(timezone)
    day = touched.start.astimezone(zone).date()
    while day <= touched.end.astimezone(zone).date():
        start, end = night_of(day, timezone)
        if touched.start < end and touched.end >= start:
            yield day
        day += timedelta(days=1)


def _recompute_night(
    conn: Connection, datastream_id: int, day: date, municipality_id: int, step: timedelta, timezone: str
) -> None:
    start, end = night_of(day, timezone)
    found = series(conn, [datastream_id], start, end)[datastream_id]
    if not found.times or found.times[0] >= end:
        conn.execute("delete from night_flow where datastream_id = %s and day = %s", (datastream_id, day))
        return
    night = minimum_night_flow(found.times, usable(found), start, end, step)
    conn.execute(
        """
        insert into night_flow as r (municipality_id, datastream_id, day, minimum, minimum_from, completeness)
        values (%s, %s, %s, %s, %s, %s)
        on conflict (datastream_id, day) do update
            set (minimum, minimum_from, completeness)
              = (excluded.minimum, excluded.minimum_from, excluded.completeness)
            where (r.minimum, r.minimum_from, r.completeness)
                  is distinct from (excluded.minimum, excluded.minimum_from, excluded.completeness)
        """,
        (municipality_id, datastream_id, day, night.minimum, night.minimum_from, night.completeness),
    )


def usable(found: Series) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """The values, nan where they are bad or missing."""
    bad = np.array([quality in (Quality.BAD, Quality.MISSING) for quality in found.qualities], dtype=bool)
    return np.where(bad, np.nan, found.values)
