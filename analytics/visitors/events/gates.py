"""Reads what the gates of an event counted: their series, and the passages of its time. SQL for jobs and pages.

    gates(conn, plan) -> [Gate]                         in the order of the plan; stations without both series left out
    passages(conn, gates, since, until, relation)       usable counts with since < end <= until, by time
    counted(conn, day, counts, at, relation)            both, ready to be asked how many are there

`relation` is `observation` for workers and `tenant_observation` for the API, whose role and municipality decide what
is seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from psycopg.sql import SQL, Identifier

from analytics.visitors.events.present import Counted, Gate, Passage
from analytics.visitors.usual import Observations
from store import Connection
from store.event_days import Count, EventDay, Plan


def gates(conn: Connection, plan: Plan) -> list[Gate]:
    """The gates of a plan."""
    rows = conn.execute(
        """
        select s.station_id, s.code, s.name, s.name_en, greatest(i.step, o.step), i.datastream_id, o.datastream_id
        from unnest(%s::integer[]) with ordinality as asked (station_id, position)
        join station s using (station_id)
        join datastream i on i.station_id = s.station_id and i.observed_property = 'passages_in' and i.drill_run is null
        join datastream o on o.station_id = s.station_id and o.observed_property = 'passages_out'
             and o.drill_run is null
        order by asked.position
        """,
        (list(plan.gates),),
    )
    turned = set(plan.turned)
    return [
        Gate(station, code, name, name_en, step, (out, in_) if station in turned else (in_, out))
        for station, code, name, name_en, step, in_, out in rows
    ]


def possible(conn: Connection) -> list[Gate]:
    """Every station that counts in and out, by its code."""
    rows = conn.execute(
        """
        select s.station_id, s.code, s.name, s.name_en, greatest(i.step, o.step), i.datastream_id, o.datastream_id
        from station s
        join datastream i on i.station_id = s.station_id and i.observed_property = 'passages_in' and i.drill_run is null
        join datastream o on o.station_id = s.station_id and o.observed_property = 'passages_out'
             and o.drill_run is null
        order by s.code
        """
    )
    return [
        Gate(station, code, name, name_en, step, (in_, out)) for station, code, name, name_en, step, in_, out in rows
    ]


def passages(
    conn: Connection, found: Sequence[Gate], since: datetime, until: datetime, relation: Observations
) -> list[Passage]:
    """What they counted, the earliest first."""
    rows = conn.execute(
        SQL(
            """
            select datastream_id, phenomenon_time, value from {relation}
            where datastream_id = any(%s) and phenomenon_time > %s and phenomenon_time <= %s
              and quality not in ('bad', 'missing')
            order by phenomenon_time, datastream_id
            """
        ).format(relation=Identifier(relation)),
        ([each for gate in found for each in gate.series], since, until),
    )
    return [Passage(*row) for row in rows]


def counted(conn: Connection, day: EventDay, counts: Sequence[Count], at: datetime, relation: Observations) -> Counted:
    """What the gates of an event counted by a moment."""
    there = gates(conn, day.plan)
    since = min([day.plan.starts_at, *(each.at for each in counts)])
    found = passages(conn, there, since, min(at, day.plan.ends_at), relation)
    return Counted(found, there, day.plan, counts)
