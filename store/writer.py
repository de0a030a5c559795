"""Writes one batch of messages: uplinks, observations and their feed row, in the caller's transaction.

The order of the steps is the promise:
1. `uplink`: a message whose (device, session, counter, payload hash) is known ends here as a duplicate and adds only
   to `repeats`; so a redelivery can never revert what was corrected since.
2. `observation`: new values go in by COPY; of two values for one time the one with the higher (source rank, network
   time, payload hash) is current, whatever the order of arrival, and the other goes to `observation_revision` if it is
   a different one. An equal value of higher precedence costs no revision: the row takes up the message that it is from.
   A derived value (of a counter: the difference of two messages) is the same whatever came first, so the one that was
   worked out last is current.
3. `device_status` and `battery_day`: the newest battery reading of each device that brought one, and the first of its
   day; `radio_day` and `device_report`: what networks say of it (`store.device_health`); `delivery_count` and
   `frame_run`: the two counts (`store.counts`, `store.frames`).
4. `datastream_latest`: the newest observation of each datastream that changed (`store.latest`).
5. `feed`, whose lock others wait for until the commit: one row that names what changed. After it only
   `store.verdicts` notes what the gate had not seen when it judged.

A batch touches rows in the order of their keys, so that two writers wait for each other instead of deadlocking.
Cost: ten statements a batch, whatever its size; one more where networks say how they heard it, and more for values
that were there already.

`write_history` is the same for values that no device sent: imported files, forms. They have no uplink, so that a
device's value of equal source rank stands above them; of two of theirs the later statement stands, as a correction.
What stands there already as they say it is neither judged nor written again.
`write_unsent` is the same for those that the rules are to judge: of a drill, and of a trial that counts after all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby

from devices.model import Outcome
from store import feed, latest, verdicts
from store.batch import BatchResult, BatteryRow, HistoryResult, ObservationRow, UplinkRow
from store.batteries import keep_batteries
from store.calibrations import stamp
from store.candidates import NEVER, Candidate, Done
from store.connection import Connection
from store.counts import Tallies, counted_as, slot, write_tallies
from store.device_health import keep_radio, keep_reports
from store.frames import count_frames
from store.judged import count_as_judged, count_past_as_judged
from store.quarantine import settle_again
from store.uplinks import insert_uplinks
from store.values import not_there_yet, write_candidates

__all__ = [
    "BatchResult",
    "BatteryRow",
    "HistoryResult",
    "ObservationRow",
    "UplinkRow",
    "write_again",
    "write_batch",
    "write_history",
    "write_unsent",
]


# New messages to the same with their values judged.
Judge = Callable[[list[UplinkRow]], Sequence[UplinkRow]]


def write_batch(
    conn: Connection,
    municipality_id: int,
    rows: Sequence[UplinkRow],
    judge: Judge = list,
    delivered: Tallies | None = None,
) -> BatchResult:
    """Writes the messages of one municipality, in the order in which they arrived. The caller commits.

    `judge` is given those that are new, and returns them in the same order with their values judged: what a repetition
    says is never looked at. `delivered` are the messages as they were handed in, counted by the caller; what became of
    them is added, and the count from inside is written (`store.counts`). None: these are no deliveries.

    Raises `psycopg.DataError` or `psycopg.IntegrityError` when a message cannot be stored (the caller finds out
    which by halving the batch) and `psycopg.OperationalError` when the database is to be tried again.
    """
    fresh = insert_uplinks(conn, municipality_id, rows)
    each = _outcomes(rows, fresh)
    if delivered is not None:
        delivered.settle(zip(rows, each, strict=True))
    return BatchResult(Counter(each), each, *_write_values(conn, municipality_id, fresh, delivered, judge))


def write_again(
    conn: Connection,
    municipality_id: int,
    rows: Sequence[tuple[int, UplinkRow]],
    judge: Judge,
    *,
    past: Mapping[int, datetime],
) -> BatchResult:
    """Writes what quarantined messages (uplink_id, as they are read now) turned out to be. The caller commits.

    Everything is decided as if they could have been read when they came; nothing depends on when this is done. `past`
    says of a datastream up to which time its values tell nothing of the present: they count as judged by the level
    rule, so that what heals raises no alert about an old flood. Raises as `write_batch`; and
    `psycopg.errors.UniqueViolation` where the same message came in at this moment: then it is to be done again.
    """
    tallies = counted_as(conn, [uplink_id for uplink_id, _ in rows])
    standing, duplicates = settle_again(conn, municipality_id, rows)
    outcome_of = {uplink_id: row.outcome for uplink_id, row in standing} | dict.fromkeys(duplicates, Outcome.DUPLICATE)
    each = tuple(outcome_of[uplink_id] for uplink_id, _ in rows)
    count_past_as_judged(conn, municipality_id, past)
    tallies.deliver(slot(row.device_id, row.received_time) for _, row in rows)
    tallies.settle(((row, outcome) for (_, row), outcome in zip(rows, each, strict=True)))
    return BatchResult(Counter(each), each, *_write_values(conn, municipality_id, standing, tallies, judge))


def _write_values(
    conn: Connection,
    municipality_id: int,
    fresh: Sequence[tuple[int, UplinkRow]],
    tallies: Tallies | None,
    judge: Judge = list,
) -> tuple[int, int, int, int | None]:
    """The values of messages that were not there, or not readable, before, and the two counts:
    (stored, unchanged, revised, feed_id).
    """
    seen = feed.newest_id(conn)
    judged = judge([row for _, row in fresh])
    fresh = [(uplink_id, row) for (uplink_id, _), row in zip(fresh, judged, strict=True)]
    candidates = (
        Candidate(observation, row.network_time or NEVER, row.payload_hash, uplink_id, row.received_time)
        for uplink_id, row in fresh
        for observation in row.observations
    )
    done = write_candidates(conn, municipality_id, candidates)
    if stamps := [(each, uplink_id) for uplink_id, row in fresh for each in row.calibrations]:
        stamp(conn, municipality_id, sorted(stamps))
    messages = [row for _, row in fresh]
    keep_batteries(conn, municipality_id, messages)
    keep_radio(conn, municipality_id, messages)
    keep_reports(conn, municipality_id, messages)
    if tallies is not None:
        unchanged = [*done.unchanged, *done.adopted]
        _tally_values(tallies, fresh, done.stored, unchanged, [*done.winners, *done.losers])
        write_tallies(conn, municipality_id, tallies)
    count_frames(conn, municipality_id, messages)
    feed_id = _announce(conn, municipality_id, done, seen)
    return len(done.stored), len(done.unchanged) + len(done.adopted), len(done.winners) + len(done.losers), feed_id


def _tally_values(
    tallies: Tallies,
    fresh: Sequence[tuple[int, UplinkRow]],
    stored: Iterable[Candidate],
    unchanged: Iterable[Candidate],
    revised: Iterable[Candidate],
) -> None:
    """What became of the values of each message; each of the three as the writer listed it."""
    slots = {uplink_id: slot(row.device_id, row.received_time) for uplink_id, row in fresh}
    for uplink_id, row in fresh:
        tallies[slots[uplink_id]].given += len(row.observations)
        tallies[slots[uplink_id]].rejected += row.rejected
    for candidate in stored:
        tallies[slots[candidate.uplink_id or 0]].stored += 1
    for candidate in unchanged:
        tallies[slots[candidate.uplink_id or 0]].unchanged += 1
    for candidate in revised:
        tallies[slots[candidate.uplink_id or 0]].revised += 1


def _announce(conn: Connection, municipality_id: int, done: Done, seen: int) -> int | None:
    """Says what is different now: the newest observations, then the feed, whose lock others wait for until the commit.
    `seen` is the newest feed row before the values were judged.
    """
    over = [*done.winners, *done.adopted]
    overtaken: set[int] = set()
    if done.stored or over:
        overtaken = latest.keep(
            conn,
            municipality_id,
            [(c.row, c.uplink_id) for c in done.stored],
            [(c.row, c.uplink_id) for c in over],
        )
    changed = [candidate.key for candidate in (*done.stored, *done.winners, *done.reworded)]
    if not changed:
        return None
    feed_id = feed.append_observations(conn, municipality_id, changed)
    contested = {c.row.datastream_id for c in (*over, *done.losers, *done.rejudged)}
    # Of a single value that is newer than all there are the gate has seen everything, unless another worker wrote
    # something of the same datastream meanwhile.
    meanwhile = feed.touched_between(conn, seen, feed_id)
    surprising = contested | overtaken | meanwhile | {c.row.datastream_id for c in done.unchanged}
    verdicts.note(conn, municipality_id, _stretches(done.keys, contested, surprising), seen=seen, feed_id=feed_id)
    return feed_id


def _stretches(
    keys: Iterable[tuple[int, datetime]], contested: Container[int], surprising: Container[int]
) -> Iterator[verdicts.Written]:
    """What was written of each datastream; of those with a single value only the `surprising` ones."""
    for datastream_id, group in groupby(keys, key=lambda key: key[0]):
        times = [time for _, time in group]
        if len(times) > 1 or datastream_id in surprising:
            yield verdicts.Written(datastream_id, times[0], times[-1], len(times), datastream_id in contested)


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
    conn: Connection,
    municipality_id: int,
    rows: Sequence[ObservationRow],
    *,
    stated: datetime,
    judge: Callable[[Sequence[ObservationRow]], Sequence[ObservationRow]] | None = None,
) -> HistoryResult:
    """Writes values that no device sent, of one municipality, in the order in which they were said. The caller commits.
    `judge` gives the same values back with their verdicts; each is asked for by the series that it is given with.

    `stated` is the town's present time: when they were said. Nothing later may be among the rows, because the series
    then counts as judged by the level rule up to the newest of them: an old flood in a file raises no alert.

    Raises ValueError for a row later than `stated`, and `psycopg.Error` as `write_batch` does.
    """
    if rows and max(row.phenomenon_time for row in rows) > stated:
        raise ValueError(f"history cannot be later than the town's present, {stated.isoformat()}")
    return _write_stated(conn, municipality_id, rows, stated, judge, past=True)


def write_unsent(
    conn: Connection,
    municipality_id: int,
    rows: Sequence[ObservationRow],
    *,
    stated: datetime,
    judge: Callable[[Sequence[ObservationRow]], Sequence[ObservationRow]],
) -> HistoryResult:
    """The same for the readings of a drill (`store.drills`), of its own datastreams, and for what was measured in a
    trial (`store.trials`) and counts: every rule judges them.
    """
    return _write_stated(conn, municipality_id, rows, stated, judge, past=False)


def _write_stated(
    conn: Connection,
    municipality_id: int,
    rows: Sequence[ObservationRow],
    stated: datetime,
    judge: Callable[[Sequence[ObservationRow]], Sequence[ObservationRow]] | None,
    *,
    past: bool,
) -> HistoryResult:
    """`past`: each datastream counts as judged by the level rule up to the newest of the rows."""
    seen = feed.newest_id(conn)
    fresh = not_there_yet(conn, rows) if past else rows
    judged = fresh if judge is None else judge(fresh)
    known: dict[int, datetime] = {}
    for row in (*rows, *judged) if past else ():
        known[row.datastream_id] = max(row.phenomenon_time, known.get(row.datastream_id, row.phenomenon_time))
    done = write_candidates(conn, municipality_id, (Candidate(row, NEVER, b"", None, stated) for row in judged))
    count_as_judged(conn, municipality_id, known)
    feed_id = _announce(conn, municipality_id, done, seen)
    unchanged = len(rows) - len(fresh) + len(done.unchanged) + len(done.adopted)
    return HistoryResult(len(done.stored), unchanged, len(done.winners), len(done.losers), feed_id)
