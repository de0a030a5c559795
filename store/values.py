"""Candidates into `observation` and `observation_revision`, in two statements where nothing was there before.

Rows are touched in the order of their keys, so that two writers wait for each other instead of deadlocking; a row that
may change is held before it is looked at, so that what it is compared with is what stands there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from devices.model import Quality
from store import chunks
from store.arrays import transposed
from store.batch import ObservationRow
from store.candidates import NEVER, Candidate, Done, Standing, settle, source_rank
from store.connection import Connection

_NULL = r"\N"  # in PostgreSQL's text format
_NEAR = timedelta(days=2)  # between rows of an import: what lies there is read with them


def write_candidates(conn: Connection, municipality_id: int, candidates: Iterable[Candidate]) -> Done:
    """Brings every candidate to its place, in the caller's transaction."""
    current, losers, unchanged = settle(candidates)
    done = Done(list(current), losers=losers, unchanged=unchanged)
    there = _insert_observations(conn, current)
    done.stored = [candidate for key, candidate in current.items() if key not in there]
    if there:
        _replace(conn, municipality_id, [candidate for key, candidate in current.items() if key in there], done)
    if done.losers:
        _insert_revisions(conn, municipality_id, done.losers)
    return done


def not_there_yet(conn: Connection, rows: Sequence[ObservationRow]) -> list[ObservationRow]:
    """Those of values that no device sent, in their order, that may change anything: without them that stand there just
    so already. Of a time that is named twice both are given back: the later is a correction of the earlier.

    Cost: what is stored between the rows is read once, by stretches of each datastream. Asked for one by one, by keys,
    the server would go through the whole table of a small town, and take each compressed batch apart for every row.
    """
    there = {
        (row[0], row[1]): row[2:]
        for row in conn.execute(
            """
            select run.datastream_id, o.phenomenon_time, o.value, o.quality::text, o.reason
            from unnest(%s::integer[], %s::timestamptz[], %s::timestamptz[]) as run (datastream_id, first, last)
            cross join lateral (
                select phenomenon_time, value, quality, reason from observation
                where datastream_id = run.datastream_id and phenomenon_time >= run.first and phenomenon_time <= run.last
                order by phenomenon_time
            ) o
            """,
            transposed(_runs(rows), 3),
        )
    }
    if not there:
        return list(rows)
    times = Counter((row.datastream_id, row.phenomenon_time) for row in rows)
    return [row for row in rows if times[row.datastream_id, row.phenomenon_time] > 1 or not _stands(row, there)]


def _runs(rows: Iterable[ObservationRow]) -> list[tuple[int, datetime, datetime]]:
    """The stretches of each datastream in which the rows lie near to each other."""
    runs: list[tuple[int, datetime, datetime]] = []
    for datastream_id, time in sorted((row.datastream_id, row.phenomenon_time) for row in rows):
        if runs and runs[-1][0] == datastream_id and time - runs[-1][2] <= _NEAR:
            runs[-1] = (datastream_id, runs[-1][1], time)
        else:
            runs.append((datastream_id, time, time))
    return runs


def _stands(row: ObservationRow, there: Mapping[tuple[int, datetime], Sequence[Any]]) -> bool:
    standing = there.get((row.datastream_id, row.phenomenon_time))
    if standing is None or standing[0] != row.value:
        return False
    # What stands above a device's word says with its quality who said it.
    return not source_rank(row.quality, row.reason) or (row.quality.value, row.reason) == tuple(standing[1:])


def _insert_observations(
    conn: Connection, candidates: Mapping[tuple[int, datetime], Candidate]
) -> set[tuple[int, datetime]]:
    """Inserts what is not there yet and returns the keys that did not go in, because a value is there."""
    if not candidates:
        return set()
    conn.execute(
        """
        create temporary table if not exists incoming_observation
            (datastream_id integer, phenomenon_time timestamptz, value double precision, quality quality, reason text,
             uplink_id bigint) on commit delete rows
        """
    )
    with conn.cursor() as cursor, cursor.copy("copy incoming_observation from stdin") as copy:
        copy.write("".join(map(_copy_line, candidates.values())))
    held = conn.execute(
        """
        with inserted as (
            insert into observation (datastream_id, phenomenon_time, value, quality, reason, uplink_id)
            select * from incoming_observation order by datastream_id, phenomenon_time
            on conflict (datastream_id, phenomenon_time) do nothing
            returning datastream_id, phenomenon_time
        )
        select datastream_id, phenomenon_time from incoming_observation
        except all select datastream_id, phenomenon_time from inserted
        """
    ).fetchall()
    conn.execute("delete from incoming_observation")
    return {(row[0], row[1]) for row in held}


@lru_cache(maxsize=1 << 14)  # the series of a file share their times
def _time_text(time: datetime) -> str:
    return time.isoformat()


def _copy_line(candidate: Candidate) -> str:
    """A line of PostgreSQL's text format. Nothing in it needs an escape: numbers, times and words of ours."""
    row = candidate.row
    value = _NULL if row.value is None else repr(float(row.value))
    return (
        f"{row.datastream_id}\t{_time_text(row.phenomenon_time)}\t{value}\t"
        f"{row.quality.value}\t{_NULL if row.reason is None else row.reason.value}\t"
        f"{_NULL if candidate.uplink_id is None else candidate.uplink_id}\n"
    )


def _replace(conn: Connection, municipality_id: int, held: Sequence[Candidate], done: Done) -> None:
    """Decides between each candidate and the value that is there."""
    # First without a lock: what can change nothing, whatever else happens, asks for none, and leaves a compressed batch
    # alone.
    there = _standing(conn, held)
    open_: list[Candidate] = []
    for candidate in held:
        standing = there[candidate.key]
        if candidate.says_nothing_new(standing):
            done.leave(candidate, standing)
        else:
            open_.append(candidate)
    if not open_:
        return
    chunks.hold(conn, [c.key for c in open_])
    there = _standing(conn, open_)
    for candidate in open_:
        standing = there[candidate.key]
        if candidate.says_nothing_new(standing):
            done.leave(candidate, standing)
        elif candidate.row.value == standing.value:
            done.adopted.append(candidate)
            if (candidate.row.quality, candidate.row.reason) != (standing.quality, standing.reason):
                done.reworded.append(candidate)
        elif candidate.outranks(standing.precedence):
            done.winners.append(candidate)
        else:
            done.losers.append(candidate)
    if done.winners or done.adopted:
        _update_observations(conn, municipality_id, done.winners, done.adopted)


def _standing(conn: Connection, candidates: Sequence[Candidate]) -> dict[tuple[int, datetime], Standing]:
    return {
        (row[0], row[1]): Standing(row[2], Quality(row[3]), row[4], row[5] or NEVER, bytes(row[6] or b""))
        for row in conn.execute(
            """
            select o.datastream_id, o.phenomenon_time, o.value, o.quality::text, o.reason,
                   (select network_time from uplink u where u.uplink_id = o.uplink_id),
                   (select payload_hash from uplink u where u.uplink_id = o.uplink_id)
            from unnest(%s::integer[], %s::timestamptz[]) as asked (datastream_id, phenomenon_time)
            join observation o using (datastream_id, phenomenon_time)
            """,
            transposed([c.key for c in candidates], 2),
        )
    }


def _update_observations(
    conn: Connection, municipality_id: int, winners: Sequence[Candidate], adopted: Sequence[Candidate]
) -> None:
    """Moves the values that the winners replace to observation_revision and writes both over what is there."""
    conn.execute(
        """
        insert into observation_revision
               (municipality_id, datastream_id, phenomenon_time, value, quality, reason, uplink_id, revised_at)
        select %s, o.datastream_id, o.phenomenon_time, o.value, o.quality, o.reason, o.uplink_id, asked.revised_at
        from unnest(%s::integer[], %s::timestamptz[], %s::timestamptz[])
             as asked (datastream_id, phenomenon_time, revised_at)
        join observation o using (datastream_id, phenomenon_time)
        """,
        (municipality_id, *transposed([(*c.key, c.received_time) for c in winners], 3)),
    )
    conn.execute(
        """
        insert into observation (datastream_id, phenomenon_time, value, quality, reason, uplink_id)
        select datastream_id, phenomenon_time, value, quality::quality, reason, uplink_id
        from unnest(%s::integer[], %s::timestamptz[], %s::double precision[], %s::text[], %s::text[], %s::bigint[])
             as new (datastream_id, phenomenon_time, value, quality, reason, uplink_id)
        order by 1, 2
        on conflict (datastream_id, phenomenon_time) do update set (value, quality, reason, uplink_id)
            = (excluded.value, excluded.quality, excluded.reason, excluded.uplink_id)
        """,
        transposed(
            [(*c.key, c.row.value, c.row.quality.value, c.row.reason, c.uplink_id) for c in (*winners, *adopted)], 6
        ),
    )


def _insert_revisions(conn: Connection, municipality_id: int, losers: Sequence[Candidate]) -> None:
    """Keeps the values that lost against the current one."""
    conn.execute(
        """
        insert into observation_revision
               (municipality_id, datastream_id, phenomenon_time, value, quality, reason, uplink_id, revised_at)
        select %s, datastream_id, phenomenon_time, value, quality::quality, reason, uplink_id, revised_at
        from unnest(%s::integer[], %s::timestamptz[], %s::double precision[], %s::text[], %s::text[], %s::bigint[],
                    %s::timestamptz[])
             as lost (datastream_id, phenomenon_time, value, quality, reason, uplink_id, revised_at)
        """,
        (
            municipality_id,
            *transposed(
                [
                    (*c.key, c.row.value, c.row.quality.value, c.row.reason, c.uplink_id, c.received_time)
                    for c in losers
                ],
                7,
            ),
        ),
    )
