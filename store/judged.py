"""What counts as judged by the level rule although nobody judged it: the past that comes late raises no alarm."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from store.arrays import transposed
from store.connection import Connection


def count_as_judged(conn: Connection, municipality_id: int, newest: Mapping[int, datetime]) -> None:
    """Everything of these datastreams up to these times."""
    conn.execute(
        """
        insert into alert_judged (datastream_id, municipality_id, rule, judged_to)
        select datastream_id, %s, 'level', newest
        from unnest(%s::integer[], %s::timestamptz[]) as said (datastream_id, newest)
        on conflict (datastream_id, rule) do update
            set judged_to = greatest(alert_judged.judged_to, excluded.judged_to)
        """,
        (municipality_id, *transposed(sorted(newest.items()), 2)),
    )


def count_past_as_judged(conn: Connection, municipality_id: int, newest: Mapping[int, datetime]) -> None:
    """The same, before the values are written, and only where nothing up to that time is waiting to be judged.

    Where something is, the rule goes through all of it in order.
    """
    if not newest:
        return
    conn.execute(
        """
        insert into alert_judged as held (datastream_id, municipality_id, rule, judged_to)
        select said.datastream_id, %s, 'level', said.newest
        from unnest(%s::integer[], %s::timestamptz[]) as said (datastream_id, newest)
        left join alert_judged j on j.datastream_id = said.datastream_id and j.rule = 'level'
        where not exists (
            select from observation o
            where o.datastream_id = said.datastream_id and o.phenomenon_time > coalesce(j.judged_to, '-infinity')
              and o.phenomenon_time <= said.newest and o.quality not in ('bad', 'missing'))
        on conflict (datastream_id, rule) do update
            set judged_to = greatest(held.judged_to, excluded.judged_to)
        """,
        (municipality_id, *transposed(sorted(newest.items()), 2)),
    )
