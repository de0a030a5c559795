"""What is true of a counter's hours and days where it was at fault or silent: for the reader of the spots' series.

    days(conn, ids, first, last)    by datastream and local day, only those that are not simply what was counted
    hours(conn, ids, first, last)   the same by hour
    choices(conn, spot_ids)         what the office chose for each spot: estimates, or leave it missing

`counted` is the sum of the hours that count, `n` of how many observations; `estimate` with its interval (90 %) stands
for the lost hours that could be estimated, and `hopeless` says how many could not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from psycopg.sql import SQL

from store import Connection

DEFAULT_SMALLEST = 5
Outages = Literal["estimate", "missing"]


@dataclass(frozen=True, slots=True)
class Judged:
    """`counted` None where no hour counts; `estimate` None where none could be made."""

    n: int
    counted: float | None
    estimate: float | None
    low: float
    high: float
    hopeless: int


@dataclass(frozen=True, slots=True)
class Choice:
    """How a spot is published. `said_at`, `by` None: nobody has said anything yet."""

    outages: Outages = "missing"
    public: bool = False
    smallest: int = DEFAULT_SMALLEST
    reason: str = ""
    said_at: datetime | None = None
    by: str | None = None


def days(conn: Connection, ids: Sequence[int], first: date, last: date) -> dict[tuple[int, date], Judged]:
    """The local days first..last on which a period took hours out, or an hour was estimated."""
    found = {}
    for datastream_id, day, n, counted, value, low, high, hopeless in conn.execute(
        SQL(
            """
        {hours} select h.datastream_id, h.day, coalesce(d.n, 0) - sum(h.n),
               case when d.n > sum(h.n) then greatest(0, d.total - coalesce(sum(h.total), 0)) end,
               sum(h.value), sum(h.low), sum(h.high), count(*) filter (where h.value is null)
        from hours h left join rollup_day d using (datastream_id, day)
        group by h.datastream_id, h.day, d.n, d.total
        """
        ).format(hours=_HOURS),
        {"ids": list(ids), "first": first, "last": last},
    ):
        found[datastream_id, day] = Judged(int(n), counted, value, low or 0.0, high or 0.0, hopeless)
    return found


def hours(conn: Connection, ids: Sequence[int], first: date, last: date) -> dict[tuple[int, datetime], Judged]:
    """The hours of these local days that do not count; `counted` is None, `n` 0."""
    return {
        (datastream_id, hour): Judged(0, None, value, low or 0.0, high or 0.0, int(value is None))
        for datastream_id, hour, value, low, high in conn.execute(
            SQL("{hours} select h.datastream_id, h.hour, h.value, h.low, h.high from hours h").format(hours=_HOURS),
            {"ids": list(ids), "first": first, "last": last},
        )
    }


def choices(conn: Connection, spot_ids: Sequence[int]) -> dict[int, Choice]:
    """The newest choice of each spot, and the default where there is none."""
    found = dict.fromkeys(spot_ids, Choice())
    for spot_id, *said in conn.execute(
        """
        select distinct on (c.spot_id) c.spot_id, c.outages, c.public, c.smallest, c.reason, c.said_at, u.display_name
        from spot_choice c join app_user u using (user_id)
        where c.spot_id = any(%s) order by c.spot_id, c.spot_choice_id desc
        """,
        (list(spot_ids),),
    ):
        found[spot_id] = Choice(*said)
    return found


_HOURS = SQL("""
with asked as (
    select d.datastream_id, d.station_id, m.timezone, %(first)s::date::timestamp at time zone m.timezone as start,
           (%(last)s::date + 1)::timestamp at time zone m.timezone as finish
    from datastream d join municipality m using (municipality_id)
    where d.datastream_id = any(%(ids)s) and d.drill_run is null
), out as (
    select d.datastream_id, d.timezone, r.hour from asked d
    join count_period p on p.station_id = d.station_id and p.standing in ('found', 'confirmed', 'by_hand')
                        and p.starts_at < d.finish and coalesce(p.ends_at, 'infinity') > d.start
    join rollup_hour r on r.datastream_id = d.datastream_id and r.hour >= d.start and r.hour < d.finish
                       and r.hour > p.starts_at - interval '50 minutes'
                       and r.hour < coalesce(p.ends_at, 'infinity') - interval '10 minutes'
    union
    select d.datastream_id, d.timezone, e.hour from asked d
    join count_estimate e on e.datastream_id = d.datastream_id and e.hour >= d.start and e.hour < d.finish
), hours as (
    select o.datastream_id, o.hour, (o.hour at time zone o.timezone)::date as day, coalesce(r.n, 0) as n, r.total,
           e.value, e.low, e.high
    from out o left join rollup_hour r using (datastream_id, hour)
    left join count_estimate e using (datastream_id, hour)
)
""")
