"""What the learnt checks know of each series, which values they doubt, and what people say of that.

    memories, remember           what has been learnt of a series, as bytes (`quality.memory`)
    newest_events, put_event     doubted values side by side are one event, which people look at
    doubt                        the verdicts on the values themselves; the one before and the new one are both kept

What a person says of a stretch is a review (`store.reviews`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from store.arrays import array, transposed
from store.connection import Connection
from store.verdicts import Verdict, give


class Memory(NamedTuple):
    """What is known of a datastream after its values up to and with `judged_to`."""

    datastream_id: int
    form: str
    judged_to: datetime
    state: bytes


class Event(NamedTuple):
    """Doubted values of one fault. `event_id` None: not kept yet. `excess` is the greatest, `usual` the last value
    before it that was believed; `reviewed` what a person said of it.
    """

    event_id: int | None
    datastream_id: int
    reason: str
    first: datetime
    last: datetime
    n: int
    excess: float
    usual: float | None
    reviewed: str | None = None


def memories(conn: Connection, datastream_ids: Sequence[int]) -> dict[int, Memory]:
    """Those that there are."""
    cursor = conn.execute(
        "select datastream_id, form, judged_to, state from quality_memory where datastream_id = any(%s::integer[])",
        (array(datastream_ids),),
    )
    return {row[0]: Memory(row[0], row[1], row[2], bytes(row[3])) for row in cursor}


def remember(conn: Connection, municipality_id: int, known: Sequence[Memory]) -> None:
    """Keeps them in place of what was known before."""
    conn.execute(
        """
        insert into quality_memory (datastream_id, municipality_id, form, judged_to, state)
        select datastream_id, %s, form, judged_to, state
        from unnest(%s::integer[], %s::text[], %s::timestamptz[], %s::bytea[])
             as known (datastream_id, form, judged_to, state)
        order by datastream_id
        on conflict (datastream_id) do update
            set (form, judged_to, state) = (excluded.form, excluded.judged_to, excluded.state)
        """,
        (municipality_id, *transposed(sorted(known), 4)),
    )


def newest_events(conn: Connection, datastream_ids: Sequence[int]) -> dict[int, Event]:
    """The newest event of each datastream that has one."""
    cursor = conn.execute(
        """
        select e.quality_event_id, e.datastream_id, e.reason, e.first_time, e.last_time, e.n, e.excess, e.usual,
               (select verdict from quality_review r where r.quality_event_id = e.quality_event_id
                order by quality_review_id desc limit 1)
        from unnest(%s::integer[]) as asked (datastream_id)
        cross join lateral (
            select * from quality_event e where e.datastream_id = asked.datastream_id order by last_time desc limit 1
        ) e
        """,
        (array(datastream_ids),),
    )
    return {row[1]: Event(*row) for row in cursor}


def put_event(conn: Connection, municipality_id: int, event: Event, *, told: datetime, rule: str) -> int:
    """Writes a new event, or what has become of a known one; its id."""
    if event.event_id is not None:
        conn.execute(
            """
            update quality_event set (reason, last_time, n, excess) = (%s, %s, %s, %s) where quality_event_id = %s
            """,
            (event.reason, event.last, event.n, event.excess, event.event_id),
        )
        return event.event_id
    row = conn.execute(
        """
        insert into quality_event (municipality_id, datastream_id, reason, first_time, last_time, n, excess, usual,
                                   told_at, rule_version)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) returning quality_event_id
        """,
        (municipality_id, *event[1:8], told, rule),
    ).fetchone()
    assert row is not None
    return int(row[0])


def doubt(conn: Connection, municipality_id: int, given: Sequence[tuple[Verdict, int]], *, told: datetime) -> int:
    """Puts (verdict, event) in their places and announces them: the last statement of a transaction. How many there
    are: a value that has changed meanwhile keeps what it has.
    """
    conn.execute(
        """
        insert into quality_verdict (municipality_id, datastream_id, phenomenon_time, value, was_quality, was_reason,
                                     quality, reason, quality_event_id, told_at)
        select %s, datastream_id, phenomenon_time, v.value, was_quality::quality, was_reason, v.quality::quality,
               v.reason, event_id, %s
        from unnest(%s::integer[], %s::timestamptz[], %s::double precision[], %s::text[], %s::text[], %s::text[],
                    %s::text[], %s::bigint[])
             as v (datastream_id, phenomenon_time, value, was_quality, was_reason, quality, reason, event_id)
        join observation o using (datastream_id, phenomenon_time)
        where o.value = v.value and o.quality::text = was_quality and o.reason is not distinct from was_reason
        on conflict do nothing
        """,
        (municipality_id, told, *transposed(sorted((*verdict, event_id) for verdict, event_id in given), 8)),
    )
    return give(conn, municipality_id, [verdict for verdict, _ in given])
