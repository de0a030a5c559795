"""The gauges at which the level rule has nothing to do, passed in one statement: nearly all of thousands. For workers.

Calm is a series of which all that is new lies below every reference level that its station ever had, while no alert of
the rule is open there and none that was false still stands there. Such an observation raises nothing, ends nothing and
confirms nothing, whatever came before it; so it is enough to note that it was judged. A higher one, a station without
reference levels, and what has nothing new are the level rule's to look at.

One snapshot answers all of it: an alert that a person ends or retracts meanwhile is seen open, or as what became of it.
"""

from __future__ import annotations

from collections.abc import Iterable

from store import Connection
from store.arrays import array


def pass_calm(conn: Connection, datastream_ids: Iterable[int]) -> set[int]:
    """Notes of those of these series that are calm that they are judged up to their newest; which these are."""
    rows = conn.execute(_PASS, (array(sorted(datastream_ids)),)).fetchall()
    return {row[0] for row in rows}


# `not in`, asked once and hashed: in a flood thousands of alerts are open, and no series is to be held against each.
_PASS = """
    insert into alert_judged (datastream_id, municipality_id, rule, judged_to)
    select d.datastream_id, d.municipality_id, 'level', new.newest
    from datastream d
    join lateral (
        select min(l.value) as value from threshold_set t join threshold_level l using (threshold_set_id)
        where t.station_id = d.station_id
    ) lowest on true
    left join alert_judged j on j.datastream_id = d.datastream_id and j.rule = 'level'
    cross join lateral (
        select max(o.phenomenon_time) as newest, max(o.value) as highest from observation o
        where o.datastream_id = d.datastream_id
          and o.phenomenon_time > coalesce(j.judged_to, '-infinity') and o.quality not in ('bad', 'missing')
    ) new
    where d.datastream_id = any(%s::integer[]) and d.observed_property = 'water_level' and new.highest < lowest.value
      and d.station_id not in (
          select a.station_id from alert a where a.rule = 'level' and a.cleared_at is null and a.station_id is not null
          union all
          select a.station_id from alert_retraction r join alert a using (alert_id)
          where r.counts_again_at is null and a.rule = 'level' and a.station_id is not null)
    order by d.datastream_id
    on conflict (datastream_id, rule) do update set judged_to = greatest(alert_judged.judged_to, excluded.judged_to)
    returning datastream_id
"""
