"""Keeps the findings `crowd_1`, `crowd_2` and `crowd_3` equal to what the gates of an event say: one for each step of
capacity that the estimate of people in its area has reached.

Judged at the newest count of the event's gates, so that the same observations and manual counts give the same open
findings, however often this runs. A step is reached by the estimate, not by its upper bound, and over below 95 % of it,
or with the event. Where the estimate is unknown nothing changes: nobody has said that people have left. The finding
stands at the first gate, `value` the estimate, `usual` the step; its detail names the event and who is to be told.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import LiteralString, get_args

from psycopg.sql import SQL

from analytics.findings import Changes, Finding, Kind, end, last, open_or_update
from analytics.visitors.events.gates import counted, gates
from analytics.visitors.events.present import steps_reached
from store import Connection
from store.event_days import EventDay, counts, days, days_at
from store.event_days import day as day_of
from store.feed import Touched

KINDS: tuple[Kind, ...] = tuple(each for each in get_args(Kind) if each.startswith("crowd_"))
RULE_VERSION = "crowd:1"
_BEHIND = timedelta(days=2)  # an event that ended longer before is history: nobody is told of it any more


def recompute(conn: Connection, touched: Iterable[Touched]) -> Changes:
    """Judges the events whose gates were touched. What changed."""
    newest = _newest(conn, "d.datastream_id = any(%s)", sorted({each.datastream_id for each in touched}))
    if not newest:
        return []
    found = days_at(conn, list(newest), min(newest.values()) - _BEHIND)
    gates_ = sorted({each for day in found for each in day.plan.gates})
    return _judge_all(conn, found, _newest(conn, "d.station_id = any(%s)", gates_))


def recompute_changed(conn: Connection, municipality_id: int) -> Changes:
    """Judges the events of a town where people have written something: a manual count counts at once."""
    newest = _newest(conn, "d.municipality_id = %s", municipality_id)
    return _judge_all(conn, days(conn, municipality_id, max(newest.values()) - _BEHIND), newest) if newest else []


def _newest(conn: Connection, which: LiteralString, value: object) -> dict[int, datetime]:
    """The newest passage of stations, counted or known to be missing."""
    rows: list[tuple[int, datetime]] = conn.execute(
        SQL(
            """
            select d.station_id, max(l.phenomenon_time) from datastream d join datastream_latest l using (datastream_id)
            where d.observed_property in ('passages_in', 'passages_out') and d.drill_run is null
              and l.phenomenon_time is not null and {} group by 1
            """
        ).format(SQL(which)),
        (value,),
    ).fetchall()
    return dict(rows)


def _judge_all(conn: Connection, found: Sequence[EventDay], newest: Mapping[int, datetime]) -> Changes:
    changes: Changes = []
    for day in found:
        heard = [newest[each] for each in day.plan.gates if each in newest]
        if heard and day.plan.levels:
            changes += judge(conn, day, max(heard))
    return changes


def end_over(conn: Connection, now: datetime) -> Changes:
    """Ends the findings of events that are over at `now` (town time), or are not watched any more: their counters may
    be packed away by then and never send again.
    """
    changes: Changes = []
    for town, station, kind, event_id in conn.execute(
        """
        select municipality_id, station_id, kind, (detail ->> 'event_id')::bigint from finding
        where ended_at is null and kind = any(%s) order by finding_id
        """,
        (list(KINDS),),
    ).fetchall():
        watched = day_of(conn, town, event_id)
        if watched is None or watched.plan.gates[0] != station or not watched.plan.levels:
            changes += end(conn, station, kind, now)
        elif watched.plan.ends_at <= now:
            changes += end(conn, station, kind, watched.plan.ends_at)
    return changes


def judge(conn: Connection, day: EventDay, at: datetime) -> Changes:
    """Opens, keeps and ends the findings of an event as things stand at the newest count."""
    station = day.plan.gates[0]
    standing = 0
    for number, kind in enumerate(KINDS, 1):
        before = last(conn, station, kind)
        if before is not None and before.ended_at is None:
            standing = number
    if at >= day.plan.ends_at:
        return [change for kind in KINDS for change in end(conn, station, kind, day.plan.ends_at)]
    if at <= day.plan.starts_at:
        return []
    there = gates(conn, day.plan)
    if not there:
        return []
    said = counts(conn, day.municipality_id, day.event_id)
    found = counted(conn, day, said, at, "observation").present(at)
    reached = steps_reached(found, day.plan, min(standing, len(day.plan.levels)))
    if found.estimate is None or reached is None:
        return []
    changes: Changes = []
    for number, kind in enumerate(KINDS, 1):
        if number > reached:
            changes += end(conn, station, kind, at)
            continue
        before = last(conn, station, kind)
        if before is not None and before.ended_at is None:
            continue  # it says how many there were when it was reached: each change is a message to every open page
        changes += open_or_update(
            conn,
            Finding(
                day.municipality_id,
                station,
                there[0].series[0],
                kind,
                at,
                float(found.estimate),
                float(day.plan.levels[number - 1]),
                found.estimate / day.plan.levels[number - 1],
                RULE_VERSION,
                {"event_id": day.event_id, "event": day.name, "call_group": day.plan.group_id},
            ),
        )
    return changes
