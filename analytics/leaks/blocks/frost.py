"""Nights so cold that taps are left running against frost: what flows then is neither usual nor a leak.

    frost_nights(conn, since, until, town) -> {day: bool}   by the day on which a night ends; not there: nobody measured

A night is cold where the town's thermometers, in the middle of them, fell to -4 °C or below between 18:00 and 09:00,
as hours without a doubt say. Of a night of which too little was measured nothing is known: that is not mild.

When it works badly: where a town's thermometer stands by the sea and its houses in the hills; people who leave taps
running at -2 °C. Cost: one query of the hours.

Source: -4 °C of the air is where waterworks in Japan begin to tell of pipes that freeze, and to leave taps running.
"""

from __future__ import annotations

from datetime import date

from analytics.leaks.night_flow import COMPLETE_ENOUGH
from store.connection import Connection

FROST = -4.0  # °C


def frost_nights(conn: Connection, since: date, until: date, municipality_id: int | None = None) -> dict[date, bool]:
    """The nights that end on the days [since, until] of a town; None: of who may ask, the pages, for their own."""
    rows = conn.execute(
        """
        select day, percentile_cont(0.5) within group (order by lowest) <= %(frost)s from (
            select ((r.hour at time zone m.timezone) + interval '6 hours')::date as day, min(r.minimum) as lowest
            from rollup_hour r
            join datastream d on d.datastream_id = r.datastream_id
            join municipality m on m.municipality_id = d.municipality_id
            where d.observed_property = 'air_temperature' and d.drill_run is null
              and (%(town)s::integer is null or d.municipality_id = %(town)s)
              and r.hour >= (%(since)s::date - 1 + time '18:00') at time zone m.timezone
              and r.hour < (%(until)s::date + time '09:00') at time zone m.timezone
              and extract(hour from r.hour at time zone m.timezone) not between 9 and 17
              and r.n >= %(enough)s * r.expected and r.worst_quality in ('good', 'manual')
            group by r.datastream_id, 1 having count(*) >= 15 * %(enough)s::float
        ) of_each group by day
        """,
        {"since": since, "until": until, "frost": FROST, "enough": COMPLETE_ENOUGH, "town": municipality_id},
    )
    return dict(rows.fetchall())
