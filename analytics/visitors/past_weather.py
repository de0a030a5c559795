"""The weather of days that are over, as the town's own gauges and thermometers had it.

    weather_of(conn, town, zone, first, today) -> (days, 2)    mm of rain, °C of the warmest hour; without today

A day of which too little was measured is nan, and so is all of what nobody measures: not known is not dry, nor 0 °C.
"""

from __future__ import annotations

from datetime import date
from zoneinfo import ZoneInfo

import numpy as np

from analytics.visitors.expected.counts import Floats
from analytics.visitors.usual import COMPLETE_ENOUGH, day_start
from store import Connection


def weather_of(conn: Connection, town: int, zone: ZoneInfo, first: date, today: date) -> Floats:
    """See the module."""
    return np.column_stack([_rain(conn, town, first, today), _warmest(conn, town, zone, first, today)])


def _rain(conn: Connection, town: int, first: date, today: date) -> Floats:
    """(days,) mm, the mean of the town's gauges that were there for the whole day; today not among them."""
    rain = np.full((today - first).days, np.nan)
    for day, millimetres in conn.execute(
        """
        select r.day, avg(r.total) from rollup_day r join datastream d using (datastream_id)
        where d.municipality_id = %s and d.observed_property = 'precipitation' and d.drill_run is null
          and r.day >= %s and r.day < %s and r.n >= %s * r.expected
        group by r.day
        """,
        (town, first, today, COMPLETE_ENOUGH),
    ):
        rain[(day - first).days] = millimetres
    return rain


def _warmest(conn: Connection, town: int, zone: ZoneInfo, first: date, today: date) -> Floats:
    """(days,) °C, the mean of the warmest hour, in the middle of the town's thermometers; of hours without a doubt, and
    days of which most are there; today not among them.
    """
    warmest = np.full((today - first).days, np.nan)
    for day, degrees in conn.execute(
        """
        select day, percentile_cont(0.5) within group (order by highest) from (
            select (r.hour at time zone %(zone)s)::date as day, max(r.mean) as highest
            from rollup_hour r join datastream d using (datastream_id)
            where d.municipality_id = %(town)s and d.observed_property = 'air_temperature' and d.drill_run is null
              and r.hour >= %(from)s and r.hour < %(to)s and r.n >= %(enough)s * r.expected
              and r.worst_quality in ('good', 'manual')
            group by r.datastream_id, 1 having count(*) >= 24 * %(enough)s::float
        ) of_each group by day
        """,
        {
            "zone": zone.key,
            "town": town,
            "from": day_start(first, zone),
            "to": day_start(today, zone),
            "enough": COMPLETE_ENOUGH,
        },
    ):
        warmest[(day - first).days] = degrees
    return warmest
