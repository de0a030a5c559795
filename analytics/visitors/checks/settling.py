"""Writes down, once an hour of town time, which looked-at days have another number now (`gate.settle`).

Whoever reads a day sees at once that it is provisional again; here its history learns when and why.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from analytics.visitors.checks import gate
from analytics.visitors.spots.series import days
from store import Connection

_SPOTS = """
select c.spot_id, c.municipality_id, m.timezone, min(c.day), max(c.day)
from day_check c join municipality m using (municipality_id)
group by 1, 2, 3 order by 1
"""
OLDEST = timedelta(days=800)


def settle(conn: Connection, now: datetime) -> int:
    """The looked-at days of the last 800 of every spot; how many went back. The caller commits."""
    n = 0
    for spot_id, town, timezone, first, last in conn.execute(_SPOTS).fetchall():
        first = max(first, now.astimezone(ZoneInfo(timezone)).date() - OLDEST)
        if first <= last:
            n += gate.settle(conn, town, {spot_id: days(conn, spot_id, first, last)}, now)
    return n
