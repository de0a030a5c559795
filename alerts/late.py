"""What was known too late to be an alert: each time once, however often it is judged. SQL for the worker."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from store import Connection


@dataclass(frozen=True, slots=True)
class Late:
    """From `start` to `last` it was so, and newer observations said otherwise already. `rule_id` None: level rule."""

    municipality_id: int
    station_id: int
    datastream_id: int
    rule_id: int | None
    mode: str
    start: datetime
    last: datetime
    value: float | None
    level: int | None = None


def list_late(conn: Connection, found: Iterable[Late], judged_at: datetime) -> None:
    """Lists what was no alert. What touches one that is listed already is the same one, known better now."""
    for each in found:
        cause = {
            "town": each.municipality_id,
            "station": each.station_id,
            "series": each.datastream_id,
            "rule": each.rule_id,
            "mode": each.mode,
            "start": each.start,
            "last": each.last,
            "value": each.value,
            "level": each.level,
            "at": judged_at,
        }
        if conn.execute(_ALERTED, cause).fetchone() is not None:
            continue
        conn.execute(_LIST, cause)


_ALERTED = """
    select from alert a
    cross join lateral (
        select min(phenomenon_time) as start, max(phenomenon_time) as last from alert_history
        where alert_id = a.alert_id
    ) h
    where a.station_id = %(station)s and a.mode = %(mode)s
      and case when %(rule)s::integer is null then a.rule = 'level' else a.alert_rule_id = %(rule)s end
      and h.start <= %(last)s and (a.cleared_at is null or h.last >= %(start)s)
    limit 1
"""
_LIST = """
    with known as (
        delete from late_excursion
        where station_id = %(station)s and mode = %(mode)s and alert_rule_id is not distinct from %(rule)s
          and from_time <= %(last)s and to_time >= %(start)s
        returning from_time, to_time, value, level, judged_at
    )
    insert into late_excursion (municipality_id, station_id, datastream_id, alert_rule_id, mode, from_time, to_time,
                                value, level, judged_at)
    select %(town)s, %(station)s, %(series)s, %(rule)s, %(mode)s,
           least(min(from_time), %(start)s), greatest(max(to_time), %(last)s),
           greatest(max(value), %(value)s), greatest(max(level), %(level)s), coalesce(min(judged_at), %(at)s)
    from known
"""
