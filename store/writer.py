"""Writes one batch of messages: uplinks, observations and their feed row, in the caller's transaction.

The order of the steps is the promise:
1. `uplink`: a message whose (device, session, counter, payload hash) is known ends here as a duplicate and adds only
   to `repeats`; so a redelivery can never revert what was corrected since.
2. `observation`: new values go in by COPY; a value that is already there unchanged is left alone; of two different
   values the one with the higher (source rank, network time, payload hash) is current, whatever the order of arrival,
   and the other goes to `observation_revision`. A derived value (of a counter: the difference of two messages) is
   the same whatever came first, so the one that was worked out last is current.
3. `device_status`: the newest battery reading of each device that brought one.
4. `feed`, the very last statement: one row that names what changed.

A batch touches rows in the order of their keys, so that two writers wait for each other instead of deadlocking.
Cost: six statements a batch, whatever its size; more only for values that were there already.

`write_history` is the same for values that no device sent: imported files, forms. They have no uplink, so that a
device's value of equal source rank stands above them; of two of theirs the later statement stands, as a correction.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

from devices.model import Outcome, Quality
from store import feed
from store.batch import BatchResult, BatteryRow, HistoryResult, ObservationRow, UplinkRow
from store.connection import Connection, transposed
from store.uplinks import insert_uplinks

__all__ = [
    "BatchResult",
    "BatteryRow",
    "HistoryResult",
    "ObservationRow",
    "UplinkRow",
    "write_batch",
    "write_history",
]


class _Candidate(NamedTuple):
    """A value with what decides whether it is the current one."""

    row: ObservationRow
    network_time: datetime
    payload_hash: bytes
    uplink_id: int | None
    received_time: datetime

    @property
    def key(self) -> tuple[int, datetime]:
        return (self.row.datastream_id, self.row.phenomenon_time)

    @property
    def precedence(self) -> tuple[int, datetime, bytes]:
        return (_source_rank(self.row.quality), self.network_time, self.payload_hash)

    def repeats(self, value: float | None, quality: Quality, reason: str | None) -> bool:
        """Whether this says what is there already. A value worked out anew also says anew how good it is."""
        same = value == self.row.value
        return same and (not self.row.derived or (quality, reason) == (self.row.quality, self.row.reason))

    def outranks(self, other: tuple[int, datetime, bytes]) -> bool:
        """Whether this stands above a value of that precedence that was there before."""
        if self.row.derived:
            return self.precedence[0] >= other[0]
        # Equal precedence without an uplink: both were stated by people, and this one later.
        return self.precedence > other or (self.uplink_id is None and self.precedence == other)


_NEVER = datetime.min.replace(tzinfo=UTC)
_NULL = r"\N"  # in PostgreSQL's text format


def write_batch(conn: Connection, municipality_id: int, rows: Sequence[UplinkRow]) -> BatchResult:
    """Writes the messages of one municipality, in the order in which they arrived. The caller commits.

    Raises `psycopg.DataError` or `psycopg.IntegrityError` when a message cannot be stored (the caller finds out
    which by halving the batch) and `psycopg.OperationalError` when the database is to be tried again.
    """
    fresh = insert_uplinks(conn, municipality_id, rows)
    each = _outcomes(rows, fresh)
    outcomes = Counter(each)

    candidates = [
        _Candidate(observation, row.network_time or _NEVER, row.payload_hash, uplink_id, row.received_time)
        for uplink_id, row in fresh
        for observation in row.observations
    ]
    current, losers, unchanged = _settle(candidates)
    there = _insert_observations(conn, current)
    changed = [candidate for key, candidate in current.items() if key not in there]
    stored = len(changed)
    held = [candidate for key, candidate in current.items() if key in there]
    if held:
        replaced, lost, same = _replace(conn, municipality_id, held)
        changed += replaced
        losers += lost
        unchanged += same
        revised = len(replaced)
    else:
        revised = 0
    if losers:
        _insert_revisions(conn, municipality_id, losers)
    _keep_batteries(conn, municipality_id, [row for _, row in fresh])
    feed_id = None
    if changed:
        feed_id = feed.append_observations(conn, municipality_id, [candidate.key for candidate in changed])
    return BatchResult(outcomes, each, stored, unchanged, revised + len(losers), feed_id)


def _outcomes(rows: Sequence[UplinkRow], fresh: Sequence[tuple[int, UplinkRow]]) -> tuple[Outcome, ...]:
    """What became of each message: those that are not among the new ones, in order, are repetitions."""
    remaining = iter(fresh)
    following = next(remaining, None)
    outcomes = []
    for row in rows:
        if following is not None and following[1] is row:
            outcomes.append(row.outcome)
            following = next(remaining, None)
        else:
            outcomes.append(Outcome.DUPLICATE)
    return tuple(outcomes)


def write_history(
    conn: Connection, municipality_id: int, rows: Sequence[ObservationRow], *, stated: datetime
) -> HistoryResult:
    """Writes values that no device sent, of one municipality, in the order in which they were said. The caller commits.

    `stated` is the town's present time: when they were said. Nothing later may be among the rows, because the series
    then counts as judged by the level rule up to the newest of them: an old flood in a file raises no alert.

    Raises ValueError for a row later than `stated`, and `psycopg.Error` as `write_batch` does.
    """
    newest: dict[int, datetime] = {}
    for row in rows:
        newest[row.datastream_id] = max(row.phenomenon_time, newest.get(row.datastream_id, row.phenomenon_time))
    if newest and max(newest.values()) > stated:
        raise ValueError(f"history cannot be later than the town's present, {stated.isoformat()}")
    current, losers, unchanged = _settle(_Candidate(row, _NEVER, b"", None, stated) for row in rows)
    there = _insert_observations(conn, current)
    changed = [candidate for key, candidate in current.items() if key not in there]
    stored = len(changed)
    replaced, lost, same = _replace(conn, municipality_id, [c for key, c in current.items() if key in there])
    changed += replaced
    losers += lost
    if losers:
        _insert_revisions(conn, municipality_id, losers)
    _count_as_judged(conn, municipality_id, newest)
    feed_id = None
    if changed:
        feed_id = feed.append_observations(conn, municipality_id, [candidate.key for candidate in changed])
    return HistoryResult(stored, unchanged + same, len(replaced), len(losers), feed_id)


def _count_as_judged(conn: Connection, municipality_id: int, newest: dict[int, datetime]) -> None:
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


def _source_rank(quality: Quality) -> int:
    """What a person wrote down stands above what a device said."""
    return 1 if quality is Quality.MANUAL else 0


def _settle(
    candidates: Iterable[_Candidate],
) -> tuple[dict[tuple[int, datetime], _Candidate], list[_Candidate], int]:
    """One candidate a key, sorted by key; the others with a different value; how many repeated the same value."""
    current: dict[tuple[int, datetime], _Candidate] = {}
    losers: list[_Candidate] = []
    unchanged = 0
    for candidate in candidates:
        row = candidate.row
        other = current.setdefault((row.datastream_id, row.phenomenon_time), candidate)
        if other is candidate:
            continue
        if candidate.repeats(other.row.value, other.row.quality, other.row.reason):
            unchanged += 1
        elif candidate.outranks(other.precedence):
            losers.append(other)
            current[candidate.key] = candidate
        else:
            losers.append(candidate)
    return dict(sorted(current.items())), losers, unchanged


def _insert_observations(
    conn: Connection, candidates: Mapping[tuple[int, datetime], _Candidate]
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


def _copy_line(candidate: _Candidate) -> str:
    """A line of PostgreSQL's text format. Nothing in it needs an escape: numbers, times and words of ours."""
    row = candidate.row
    value = _NULL if row.value is None else repr(float(row.value))
    return (
        f"{row.datastream_id}\t{_time_text(row.phenomenon_time)}\t{value}\t"
        f"{row.quality.value}\t{_NULL if row.reason is None else row.reason.value}\t"
        f"{_NULL if candidate.uplink_id is None else candidate.uplink_id}\n"
    )


def _replace(
    conn: Connection, municipality_id: int, held: Sequence[_Candidate]
) -> tuple[list[_Candidate], list[_Candidate], int]:
    """Decides between each candidate and the value that is there: (winners, losers, unchanged)."""
    if not held:
        return [], [], 0
    stored = {
        (row[0], row[1]): row[2:]
        for row in conn.execute(
            """
            select o.datastream_id, o.phenomenon_time, o.value, o.quality::text, o.reason,
                   (select network_time from uplink u where u.uplink_id = o.uplink_id),
                   (select payload_hash from uplink u where u.uplink_id = o.uplink_id)
            from unnest(%s::integer[], %s::timestamptz[]) as asked (datastream_id, phenomenon_time)
            join observation o using (datastream_id, phenomenon_time)
            order by 1, 2 for update of o
            """,
            transposed([c.key for c in held], 2),
        )
    }
    winners: list[_Candidate] = []
    losers: list[_Candidate] = []
    unchanged = 0
    for candidate in held:
        value, quality, reason, network_time, digest = stored[candidate.key]
        if candidate.repeats(value, Quality(quality), reason):
            unchanged += 1
        elif candidate.outranks((_source_rank(Quality(quality)), network_time or _NEVER, bytes(digest or b""))):
            winners.append(candidate)
        else:
            losers.append(candidate)
    if winners:
        _update_observations(conn, municipality_id, winners)
    return winners, losers, unchanged


def _update_observations(conn: Connection, municipality_id: int, winners: Sequence[_Candidate]) -> None:
    """Moves the old values to observation_revision and puts the new ones in their place."""
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
        update observation o
        set (value, quality, reason, uplink_id) = (new.value, new.quality::quality, new.reason, new.uplink_id)
        from unnest(%s::integer[], %s::timestamptz[], %s::double precision[], %s::text[], %s::text[], %s::bigint[])
             as new (datastream_id, phenomenon_time, value, quality, reason, uplink_id)
        where o.datastream_id = new.datastream_id and o.phenomenon_time = new.phenomenon_time
        """,
        transposed([(*c.key, c.row.value, c.row.quality.value, c.row.reason, c.uplink_id) for c in winners], 6),
    )


def _keep_batteries(conn: Connection, municipality_id: int, rows: Iterable[UplinkRow]) -> None:
    """One row a device, by its own time of measurement: a late message does not take the battery back."""
    newest: dict[int, BatteryRow] = {}
    for row in rows:
        if row.device_id is None or row.battery is None:
            continue
        held = newest.get(row.device_id)
        if held is None or held.measured_at <= row.battery.measured_at:
            newest[row.device_id] = row.battery
    if not newest:
        return
    conn.execute(
        """
        insert into device_status as held (device_id, municipality_id, battery, battery_low, measured_at)
        select device_id, %s, battery, low, measured_at
        from unnest(%s::integer[], %s::double precision[], %s::boolean[], %s::timestamptz[])
             as said (device_id, battery, low, measured_at)
        on conflict (device_id) do update set (battery, battery_low, measured_at)
            = (excluded.battery, excluded.battery_low, excluded.measured_at)
        where held.measured_at <= excluded.measured_at
        """,
        (municipality_id, *transposed([(i, b.volts, b.low, b.measured_at) for i, b in sorted(newest.items())], 4)),
    )


def _insert_revisions(conn: Connection, municipality_id: int, losers: Sequence[_Candidate]) -> None:
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
