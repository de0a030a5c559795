"""Hour and day rollups, recomputed from the observations for exactly the buckets that a batch touched.

`rollup_hour` and `rollup_day` always equal what a query over `observation` would say, also after late values,
corrections and removals: a bucket is computed anew as a whole, never added to. So it does not matter how often or in
which order batches are taken up.

A bucket of an instant (level, flow, pressure) is [start, end); a total (passages) stands at the end of its counting
interval, so its bucket is (start, end]: a count of exactly 10:00 belongs to 9-10 o'clock. Hours are hours of UTC;
days are local days of the municipality, 23 or 25 hours long where the clocks change.

    n              usable observations: neither bad nor missing
    expected       how many there would be without gaps: bucket length / the datastream's step. Of a device with a duty
                   cycle `analytics.duty_reports` then says it better
    minimum, maximum, mean   of the usable values; null where there are none
    total          their sum; null for instants, and where there are none: no count is not a count of zero
    worst_quality  of all observations, missing ones included

A bucket without any observation has no row, and neither has the series of a drill. Cost: one statement a batch and
bucket size; ranges that touch each other are one stretch, whose observations are read once, in the order of the primary
key.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import LiteralString

from psycopg.sql import SQL, Composed, Identifier

from store import Connection
from store.arrays import transposed
from store.feed import Touched


def _statement(table: LiteralString, key: LiteralString, kind: LiteralString, zone: LiteralString) -> Composed:
    """The statement for one bucket size: `kind` of bucket, in the time zone that the SQL expression `zone` gives.

    `shift` moves a total into the bucket of its interval; PostgreSQL counts time in whole microseconds.
    """
    return SQL(
        """
        with touched as (
            select d.datastream_id, d.municipality_id, d.step, d.statistic, {zone} as zone, shift,
                   date_trunc('{kind}', (asked.first - shift) at time zone {zone}) as first,
                   date_trunc('{kind}', (asked.last - shift) at time zone {zone}) + interval '1 {kind}' as last
            from unnest(%s::integer[], %s::timestamptz[], %s::timestamptz[]) as asked (datastream_id, first, last)
            join datastream d using (datastream_id)
            join municipality m using (municipality_id)
            cross join lateral (
                select case d.statistic when 'total' then interval '1 microsecond' else interval '0' end as shift
            ) s
            where d.drill_run is null
        ), stretch as materialized (
            select t.datastream_id, municipality_id, step, statistic, zone, shift,
                   lower(whole) as low, upper(whole) as high
            from (
                select datastream_id, municipality_id, step, statistic, zone, shift,
                       range_agg(tstzrange(first at time zone zone, last at time zone zone)) as ranges
                from touched group by 1, 2, 3, 4, 5, 6
            ) t, unnest(t.ranges) as whole
        ), figure as materialized (
            select s.datastream_id, s.municipality_id, {value} as key,
                   extract(epoch from (start + interval '1 {kind}') at time zone s.zone - start at time zone s.zone)
                   / extract(epoch from s.step) as expected,
                   count(usable) as n, min(usable) as minimum, max(usable) as maximum, avg(usable) as mean,
                   sum(usable) filter (where s.statistic = 'total') as total, max(quality) as worst_quality
            from stretch s
            cross join lateral (
                select date_trunc('{kind}', (phenomenon_time - s.shift) at time zone s.zone) as start, quality,
                       case when quality not in ('bad', 'missing') then value end as usable
                from observation
                where datastream_id = s.datastream_id
                  and phenomenon_time >= s.low + s.shift and phenomenon_time < s.high + s.shift
            ) o
            group by s.datastream_id, s.municipality_id, start, s.zone, s.step, s.statistic
        ), gone as (
            delete from {table} r using stretch s
            where r.datastream_id = s.datastream_id and {begins} >= s.low and {begins} < s.high
              and not exists (select from figure f where f.datastream_id = r.datastream_id and f.key = r.{key})
        )
        insert into {table} as r
            (datastream_id, municipality_id, {key}, expected, n, minimum, maximum, mean, total, worst_quality)
        select * from figure order by datastream_id, key
        on conflict (datastream_id, {key}) do update
            set (expected, n, minimum, maximum, mean, total, worst_quality)
              = (excluded.expected, excluded.n, excluded.minimum, excluded.maximum, excluded.mean, excluded.total,
                 excluded.worst_quality)
            where (r.expected, r.n, r.minimum, r.maximum, r.mean, r.total, r.worst_quality) is distinct from
                  (excluded.expected, excluded.n, excluded.minimum, excluded.maximum, excluded.mean, excluded.total,
                   excluded.worst_quality)
        """
    ).format(
        table=Identifier(table),
        key=Identifier(key),
        kind=SQL(kind),
        zone=SQL(zone),
        value=SQL("start::date" if kind == "day" else "start at time zone s.zone"),
        begins=SQL("r.day::timestamp at time zone s.zone" if kind == "day" else "r.hour"),
    )


_HOURS = _statement("rollup_hour", "hour", "hour", "'UTC'")
_DAYS = _statement("rollup_day", "day", "day", "m.timezone")


def recompute(conn: Connection, touched: Iterable[Touched]) -> None:
    """Computes anew every hour and day that the touched ranges (both ends inclusive) reach into."""
    ranges = [(each.datastream_id, each.start, each.end) for each in touched]
    if not ranges:
        return
    columns = transposed(ranges, 3)
    conn.execute(_HOURS, columns)
    conn.execute(_DAYS, columns)
