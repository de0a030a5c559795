"""Which verdicts are to be worked out again, because the gate had not seen all that decides them (`judge_again`).

The verdict on a value depends on the values before it. Those can change after it was given: by a message that comes
late, by a correction, or by another worker that commits in the same moment. The writer notes such stretches here, in
the transaction that makes them; `ingest.again` takes them up. So in the end every verdict follows from the values
alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from devices.model import Quality, Reason
from store import chunks, feed, latest
from store.arrays import transposed
from store.batch import ObservationRow
from store.connection import Connection

# Taken up in one transaction: what the oldest so many notes are about, and of that at most so many notes.
MOST_DATASTREAMS = 100
MOST_NOTES = 5_000


class Stretch(NamedTuple):
    """Values of a datastream that were written, the first and the last time of them inclusive."""

    datastream_id: int
    first: datetime
    last: datetime


Row = tuple[datetime, float | None, str, str | None]  # (time, value, quality, reason)


class Written(NamedTuple):
    """What one batch wrote of a datastream: `n` times from first to last; `contested`, where two messages did not say
    the same of one time, or one said the same again and is judged otherwise now.
    """

    datastream_id: int
    first: datetime
    last: datetime
    n: int
    contested: bool


def behind(conn: Connection, corrected: Sequence[chunks.Key], paces: Mapping[int, timedelta]) -> list[Written]:
    """What to note after a person has put these values, in order, in their places; `paces` as in `store.correct`.

    A verdict on a corrected value is final, so of a run of them only what is behind its end is to be judged again; all
    of it where others stand between. Otherwise a long correction would ask for years at once.
    """
    runs: list[Written] = []
    for datastream_id, time in corrected:
        last = runs[-1] if runs else None
        if last and last.datastream_id == datastream_id and time - last.last <= paces[datastream_id]:
            runs[-1] = last._replace(last=time, n=last.n + 1)
        else:
            runs.append(Written(datastream_id, time, time, 1, contested=True))
    mixed = {
        (row[0], row[1])
        for row in conn.execute(
            """
            select datastream_id, first
            from unnest(%s::integer[], %s::timestamptz[], %s::timestamptz[], %s::integer[])
                 as run (datastream_id, first, last, n)
            where n > 1 and n < (
                select count(*) from observation o
                where o.datastream_id = run.datastream_id and o.phenomenon_time >= first and o.phenomenon_time <= last)
            """,
            transposed([run[:4] for run in runs], 4),
        )
    }
    return [run if run[:2] in mixed else run._replace(first=run.last, n=1) for run in runs]


def note(conn: Connection, municipality_id: int, written: Iterable[Written], *, seen: int, feed_id: int) -> None:
    """Notes what the gate did not know. `seen` is the newest feed row before it judged, `feed_id` the batch's own,
    whose lock is still held: what was committed between the two can be told, and who comes later will tell of us.
    """
    rows = sorted(written)
    if not rows:
        return
    conn.execute(
        """
        insert into judge_again (municipality_id, datastream_id, first_time, last_time)
        select %s, w.datastream_id, w.first, w.last
        from unnest(%s::integer[], %s::timestamptz[], %s::timestamptz[], %s::integer[], %s::boolean[])
             as w (datastream_id, first, last, n, contested)
        join datastream d using (datastream_id)
        -- how levels move is judged also where nobody has set a rate
        where (d.max_rate is not null or d.stuck_after is not null or d.observed_property = 'water_level') and (
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
        (municipality_id, *transposed(rows, 5), seen, feed_id),
    )


def take(conn: Connection, municipality_id: int) -> tuple[list[Stretch], bool]:
    """Takes noted stretches out for this transaction to work out, and says whether others wait: those of the
    datastreams that have waited longest, all of a datastream together, in order. None where another transaction is at
    it: what it does not take, the next look finds.
    """
    row = conn.execute(
        """
        select n, n > 0 and pg_try_advisory_xact_lock(hashtext('judge again'), %s)
        from (select count(*) as n from judge_again where municipality_id = %s) noted
        """,
        (municipality_id, municipality_id),
    ).fetchone()
    if row is None or not row[1]:
        return [], False
    # Arrays, not joins: what the planner believes of a queue that was empty a moment ago made them take seconds.
    cursor = conn.execute(
        """
        delete from judge_again where judge_again_id = any(array(
            select judge_again_id from judge_again where municipality_id = %s and datastream_id = any(array(
                select datastream_id from judge_again where municipality_id = %s order by judge_again_id limit %s))
            order by judge_again_id limit %s))
        returning datastream_id, first_time, last_time
        """,
        (municipality_id, municipality_id, MOST_DATASTREAMS, MOST_NOTES),
    )
    taken = sorted(Stretch(*stretch) for stretch in cursor.fetchall())
    return taken, row[0] > len(taken)


def leave(conn: Connection, municipality_id: int, stretches: Sequence[Stretch]) -> None:
    """Notes for a later transaction what this one took out and does not work out; behind all that waits already."""
    if stretches:
        conn.execute(
            """
            insert into judge_again (municipality_id, datastream_id, first_time, last_time)
            select %s, * from unnest(%s::integer[], %s::timestamptz[], %s::timestamptz[])
            """,
            (municipality_id, *transposed(stretches, 3)),
        )


class Verdict(NamedTuple):
    """A new verdict on a value that stands, and what stood there when it was worked out."""

    datastream_id: int
    time: datetime
    value: float
    was_quality: str
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
        transposed(sorted(given), 7),
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


def ends(conn: Connection, stretches: Sequence[Stretch], most: int) -> list[datetime]:
    """How far each stretch goes if it is to hold about so many observations at most: where it ends, or before that."""
    found = [stretch.last for stretch in stretches]
    cursor = conn.execute(
        """
        select asked.n, o.phenomenon_time
        from unnest(%s::integer[], %s::integer[], %s::timestamptz[], %s::timestamptz[])
             as asked (n, datastream_id, first, last)
        cross join lateral (
            select phenomenon_time from observation o
            where o.datastream_id = asked.datastream_id
              and o.phenomenon_time > asked.first and o.phenomenon_time < asked.last
            order by phenomenon_time offset %s limit 1
        ) o
        """,
        (*transposed([(n, *s) for n, s in enumerate(stretches) if s.first < s.last], 4), most),
    )
    for n, time in cursor.fetchall():
        found[n] = time
    return found


def around(conn: Connection, stretches: Sequence[tuple[Stretch, int]]) -> list[list[Row]]:
    """For each stretch its observations as they stand, with so many before it and so many behind it, in the order of
    time.
    """
    found: list[list[Row]] = [[] for _ in stretches]
    # Of each stretch by itself, with an order: a plan that joins all of them could read everything there is.
    cursor = conn.execute(
        """
        select asked.n, o.phenomenon_time, o.value, o.quality::text, o.reason
        from unnest(%s::integer[], %s::integer[], %s::timestamptz[], %s::timestamptz[], %s::integer[])
             as asked (n, datastream_id, first, last, points)
        cross join lateral (
            select coalesce(min(phenomenon_time), asked.first) as low from (
                select phenomenon_time from observation b
                where b.datastream_id = asked.datastream_id and b.phenomenon_time < asked.first
                order by phenomenon_time desc limit asked.points) b
        ) before
        cross join lateral (
            select coalesce(max(phenomenon_time), asked.last) as high from (
                select phenomenon_time from observation a
                where a.datastream_id = asked.datastream_id and a.phenomenon_time > asked.last
                order by phenomenon_time limit asked.points) a
        ) after
        cross join lateral (
            select phenomenon_time, value, quality, reason from observation o
            where o.datastream_id = asked.datastream_id
              and o.phenomenon_time >= before.low and o.phenomenon_time <= after.high
            order by phenomenon_time
        ) o
        order by 1, 2
        """,
        transposed([(n, *stretch, points) for n, (stretch, points) in enumerate(stretches)], 5),
    )
    for n, rows in groupby(cursor.fetchall(), key=itemgetter(0)):
        found[n] = [row[1:] for row in rows]
    return found
