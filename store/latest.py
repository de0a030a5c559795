"""`datastream_latest`: the newest observation of every datastream, kept in the transaction that writes observations.

Always what a query over `observation` would say, whatever comes in which order: a late value does not take it back, a
correction of the newest one changes it, and where the last measured value turns out to be none the one before it comes
back. So "what does the town say now" costs one row a datastream, however long the history and however it is stored.

Exact with several writers: the upsert locks the row of every datastream it names until the commit, also of those it
leaves alone, and what has to be looked up in the history is looked up only then.

    keep(conn, municipality_id, stored, replaced)   what a writer has just written; one statement, seldom two
    recompute(conn, datastream_ids)                 after observations were changed in another way, such as taken out

Cost of `keep`: one row a datastream of the batch, however many values it brings, updated in place (HOT).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import LiteralString

from psycopg.sql import SQL, Composed

from store.arrays import array, transposed
from store.batch import ObservationRow
from store.connection import Connection

# An observation as it is now, and the message it came from.
Written = tuple[ObservationRow, int | None]


def keep(conn: Connection, municipality_id: int, stored: Iterable[Written], replaced: Sequence[Written]) -> set[int]:
    """Takes up what was written: `stored` where nothing was before, `replaced` where another value stood. Returns the
    datastreams of which something newer is there.
    """
    newest: dict[int, Written] = {}
    measured: dict[int, ObservationRow] = {}
    oldest: dict[int, datetime] = {}
    for written in (*stored, *replaced):
        row = written[0]
        key, time = row.datastream_id, row.phenomenon_time
        if key not in newest:
            newest[key], oldest[key] = written, time
        elif newest[key][0].phenomenon_time < time:
            newest[key] = written
        elif time < oldest[key]:
            oldest[key] = time
        if row.value is not None and (key not in measured or measured[key].phenomenon_time < time):
            measured[key] = row
    if not newest:
        return set()
    rows: list[tuple[object, ...]] = []
    for key, (row, uplink_id) in sorted(newest.items()):
        # Mostly the newest value is a measured one, and the only one: then nothing more need be said.
        last = measured.get(key) if row.value is None else None
        figures = (None, None, None) if last is None else (last.phenomenon_time, last.value, last.quality.value)
        first = None if oldest[key] is row.phenomenon_time else oldest[key]
        shown = (row.phenomenon_time, row.value, row.quality.value, row.reason, uplink_id)
        rows.append((key, *shown, *figures, first))
    overtaken = {row[0] for row in conn.execute(_KEEP, (*transposed(rows, 10), municipality_id))}
    if lost := [(row.datastream_id, row.phenomenon_time) for row, _ in replaced if row.value is None]:
        conn.execute(_REMEASURE, transposed(lost, 2))
    return overtaken


def standing(conn: Connection, datastream_ids: Sequence[int]) -> dict[int, tuple[datetime, float | None, str | None]]:
    """The newest observation of each: (time, value, reason); of what has none, nothing."""
    return {
        row[0]: row[1:]
        for row in conn.execute(
            "select datastream_id, phenomenon_time, value, reason from datastream_latest where datastream_id = any(%s)",
            (array(datastream_ids),),
        )
    }


def recompute(conn: Connection, datastream_ids: Sequence[int] | None = None) -> None:
    """Works the rows of these datastreams (None: of all) out anew from the observations; writers wait meanwhile."""
    ids = None if datastream_ids is None else list(datastream_ids)
    conn.execute("select latest_recompute(%s::integer[])", (ids,))


_NEWER = SQL("excluded.phenomenon_time >= held.phenomenon_time")
_MEASURED_LATER = SQL("excluded.measured_time >= coalesce(held.measured_time, '-infinity')")


def _chosen(condition: SQL, *columns: LiteralString) -> Composed:
    each = SQL("{column} = case when {condition} then excluded.{column} else held.{column} end")
    return SQL(", ").join(each.format(column=SQL(column), condition=condition) for column in columns)


_KEEP = (
    SQL(
        """
        with said as materialized (
            select * from unnest(
                %s::integer[], %s::timestamptz[], %s::double precision[], %s::text[], %s::text[], %s::bigint[],
                %s::timestamptz[], %s::double precision[], %s::text[], %s::timestamptz[])
            as said (datastream_id, phenomenon_time, value, quality, reason, uplink_id,
                     measured_time, measured_value, measured_quality, first_time)
        ), kept as (
            insert into datastream_latest as held
                   (datastream_id, municipality_id, phenomenon_time, value, quality, reason, uplink_id,
                    measured_time, measured_value, measured_quality, first_time)
            select datastream_id, %s, phenomenon_time, value, quality::quality, reason, uplink_id,
                   case when value is null then measured_time else phenomenon_time end,
                   case when value is null then measured_value else value end,
                   case when value is null then measured_quality else quality end::quality,
                   coalesce(first_time, phenomenon_time)
            from said order by datastream_id
            on conflict (datastream_id) do update set
                {observation}, {measured}, first_time = least(held.first_time, excluded.first_time)
            where {newer} or {later} or excluded.first_time < held.first_time
            returning datastream_id, phenomenon_time
        )
        select datastream_id from said left join kept using (datastream_id)
        where kept.phenomenon_time is distinct from said.phenomenon_time
        """
    )
    .format(
        observation=_chosen(_NEWER, "phenomenon_time", "value", "quality", "reason", "uplink_id"),
        measured=_chosen(_MEASURED_LATER, "measured_time", "measured_value", "measured_quality"),
        newer=_NEWER,
        later=_MEASURED_LATER,
    )
    .as_bytes()
)

# A value that is none any more may have been the last measured one.
_REMEASURE = """
update datastream_latest held
set (measured_time, measured_value, measured_quality) = (
    select o.phenomenon_time, o.value, o.quality from observation o
    where o.datastream_id = held.datastream_id and o.value is not null order by o.phenomenon_time desc limit 1
)
from unnest(%s::integer[], %s::timestamptz[]) as lost (datastream_id, phenomenon_time)
where held.datastream_id = lost.datastream_id and held.measured_time = lost.phenomenon_time
"""
