"""Which verdicts are to be worked out again, because the gate had not seen all that decides them (`judge_again`).

The verdict on a value depends on the values before it. Those can change after it was given: by a message that comes
late, by a correction, or by another worker that commits in the same moment. The writer notes such stretches here, in
the transaction that makes them; `ingest.again` takes them up. So in the end every verdict follows from the values
alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from devices.model import Quality, Reason
from store import chunks, feed, latest
from store.arrays import transposed
from store.batch import ObservationRow
from store.connection import Connection

MOST_STRETCHES = 500  # taken up in one transaction


class Stretch(NamedTuple):
    """Values of a datastream that were written, the first and the last time of them inclusive."""

    datastream_id: int
    first: datetime
    last: datetime


Row = tuple[datetime, float | None, Quality, str | None]  # (time, value, quality, reason)


class Written(NamedTuple):
    """What one batch wrote of a datastream: `n` times from first to last; `contested`, where two messages did not say
    the same of one time.
    """

    datastream_id: int
    first: datetime
    last: datetime
    n: int
    contested: bool


def note(conn: Connection, municipality_id: int, written: Iterable[Written], *, seen: int, feed_id: int) -> None:
    """Notes what the gate did not know. `seen` is the newest feed row before it judged, `feed_id` the batch's own,
    whose lock is still held: what was committed between the two can be told, and who comes later will tell of us.
    """
    conn.execute(
        """
        insert into judge_again (municipality_id, datastream_id, first_time, last_time)
        select %s, w.datastream_id, w.first, w.last
        from unnest(%s::integer[], %s::timestamptz[], %s::timestamptz[], %s::integer[], %s::boolean[])
             as w (datastream_id, first, last, n, contested)
        join datastream d using (datastream_id)
        where (d.max_rate is not null or d.stuck_after is not null) and (
            w.contested
            or w.n < (select count(*) from (
                select from observation o
                where o.datastream_id = w.datastream_id and o.phenomenon_time >= w.first
                order by o.phenomenon_time limit w.n + 1) after)
            or exists (
                select from feed f
                where f.feed_id > %s and f.feed_id < %s and f.kind = 'observations'
                  and w.datastream_id = any(f.datastream_ids)))
        order by w.datastream_id
        """,
        (municipality_id, *transposed(sorted(written), 5), seen, feed_id),
    )


def take(conn: Connection, municipality_id: int) -> list[Stretch]:
    """Takes noted stretches out, oldest first, at most so many, for this transaction to work out; none where another
    transaction is at it: what it does not take, the next look finds.
    """
    noted = conn.execute(
        """
        select exists (select from judge_again where municipality_id = %s)
               and pg_try_advisory_xact_lock(hashtext('judge again'), %s)
        """,
        (municipality_id, municipality_id),
    ).fetchone()
    if noted is None or not noted[0]:
        return []
    cursor = conn.execute(
        """
        delete from judge_again where judge_again_id in (
            select judge_again_id from judge_again where municipality_id = %s order by judge_again_id limit %s)
        returning datastream_id, first_time, last_time
        """,
        (municipality_id, MOST_STRETCHES),
    )
    return [Stretch(*row) for row in cursor]


class Verdict(NamedTuple):
    """A new verdict on a value that stands, and what stood there when it was worked out."""

    datastream_id: int
    time: datetime
    value: float
    was_quality: Quality
    was_reason: str | None
    quality: Quality
    reason: Reason | None


def give(conn: Connection, municipality_id: int, given: Sequence[Verdict]) -> int:
    """Puts the verdicts in their places and announces them; returns how many. A value that has changed meanwhile keeps
    what it has: who changed it has noted that.
    """
    if not given:
        return 0
    chunks.hold(conn, [(verdict.datastream_id, verdict.time) for verdict in given])
    columns = [(*v[:3], v.was_quality.value, v.was_reason, v.quality.value, v.reason) for v in sorted(given)]
    changed = conn.execute(
        """
        insert into observation (datastream_id, phenomenon_time, value, quality, reason, uplink_id)
        select o.datastream_id, o.phenomenon_time, o.value, v.quality::quality, v.reason, o.uplink_id
        from unnest(%s::integer[], %s::timestamptz[], %s::double precision[], %s::text[], %s::text[], %s::text[],
                    %s::text[])
             as v (datastream_id, phenomenon_time, value, was_quality, was_reason, quality, reason)
        join observation o using (datastream_id, phenomenon_time)
        where o.value = v.value and o.quality::text = v.was_quality and o.reason is not distinct from v.was_reason
        order by 1, 2
        on conflict (datastream_id, phenomenon_time) do update
            set (quality, reason) = (excluded.quality, excluded.reason)
        returning datastream_id, phenomenon_time, value, quality::text, reason, uplink_id
        """,
        transposed(columns, 7),
    ).fetchall()
    if not changed:
        return 0
    over = [
        (ObservationRow(i, time, value, Quality(quality), None if reason is None else Reason(reason)), uplink_id)
        for i, time, value, quality, reason, uplink_id in changed
    ]
    latest.keep(conn, municipality_id, [], over)
    feed.append_observations(conn, municipality_id, [(row.datastream_id, row.phenomenon_time) for row, _ in over])
    return len(changed)


def around(conn: Connection, stretches: Sequence[tuple[Stretch, int, timedelta]]) -> list[list[Row]]:
    """For each stretch its observations as they stand, with so many before and behind it and so much time, whichever
    is more, in the order of time.
    """
    found: list[list[Row]] = [[] for _ in stretches]
    columns = [(n, *stretch, points, span) for n, (stretch, points, span) in enumerate(stretches)]
    cursor = conn.execute(
        """
        select asked.n, o.phenomenon_time, o.value, o.quality::text, o.reason
        from unnest(%s::integer[], %s::integer[], %s::timestamptz[], %s::timestamptz[], %s::integer[], %s::interval[])
             as asked (n, datastream_id, first, last, points, span)
        cross join lateral (
            select least(asked.first - asked.span, min(phenomenon_time)) as low from (
                select phenomenon_time from observation b
                where b.datastream_id = asked.datastream_id and b.phenomenon_time < asked.first
                order by phenomenon_time desc limit asked.points) b
        ) before
        cross join lateral (
            select greatest(asked.last + asked.span, max(phenomenon_time)) as high from (
                select phenomenon_time from observation a
                where a.datastream_id = asked.datastream_id and a.phenomenon_time > asked.last
                order by phenomenon_time limit asked.points) a
        ) after
        join observation o on o.datastream_id = asked.datastream_id
             and o.phenomenon_time >= before.low and o.phenomenon_time <= after.high
        order by 1, 2
        """,
        transposed(columns, 6),
    )
    for n, time, value, quality, reason in cursor:
        found[n].append((time, value, Quality(quality), reason))
    return found
