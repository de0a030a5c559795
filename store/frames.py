"""The count from outside: which frame counters of a device came, and which never did (欠番).

A device counts its messages. Between the first and the last counter of a run, last - first + 1 are expected; what is
not among them was lost on the way to us, and `frame_gap` names it. A run is what a device sends in one session
without starting again:

    one more than the last      the run goes on
    further ahead               so does it, and what is between is a gap, noticed now
    inside a gap                a late one: the gap shrinks, splits or closes
    before the first            a late one too, if it was sent before the first or is close to it
    said already, or far back,
    and sent later than all     the counter began anew: after a restart, or after 65535 on 16 bits. A new run
    more than JUMP ahead        the same
    sent before the run began   of an earlier run: it closes a gap there, if it is in one

So where a device does not start again, every order of arrival gives the same runs and gaps. What was lost just before a
restart, or after the last message of a session, nobody can know: those are not counted.

A counter that stands still (a sender that always says the same) is one frame. Messages of unknown devices and events
are not looked at; quarantined ones have arrived like any other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from devices.model import Outcome
from store.arrays import transposed
from store.batch import UplinkRow
from store.connection import Connection
from store.uplinks import new_ids

JUMP = 16_384  # LoRaWAN's MAX_FCNT_GAP: a counter further ahead is another count
NEAR = 64  # a counter so little before the first one is late, even where no network says when it was sent


class Frame(NamedTuple):
    """A message as its counter tells of it."""

    counter: int
    sent: datetime
    received: datetime


class Gap(NamedTuple):
    """Counters that did not come, both ends inclusive, and when the frame after them did."""

    start: int
    end: int
    noticed: datetime


@dataclass(slots=True)
class Run:
    """Counters without a restart. `gaps` holds those that matter here: of a stored run the ones that were asked for."""

    first: int
    last: int
    received: int
    first_sent: datetime
    last_sent: datetime
    gaps: list[Gap] = field(default_factory=list)
    run_id: int | None = None
    stored_gaps: tuple[Gap, ...] = ()
    changed: bool = False

    @property
    def expected(self) -> int:
        return self.last - self.first + 1

    def holds(self, counter: int) -> bool:
        """Whether a counter lies between the first and the last, come or not."""
        return self.first <= counter <= self.last

    def extend(self, frame: Frame) -> bool:
        """Takes a frame that lies after the last or before the first; False where it is not of this run."""
        counter = frame.counter
        if self.last < counter <= self.last + JUMP and frame.sent >= self.first_sent:
            if counter > self.last + 1:
                self.gaps.append(Gap(self.last + 1, counter - 1, frame.received))
            self.last = counter
        elif self.first - JUMP <= counter < self.first and (
            frame.sent < self.first_sent or self.first - counter <= NEAR
        ):
            if counter < self.first - 1:
                self.gaps.append(Gap(counter + 1, self.first - 1, frame.received))
            self.first = counter
        else:
            return False
        self._came(frame)
        return True

    def fill(self, frame: Frame) -> bool:
        """Takes a frame out of the gap that it lies in; False where it lies in none."""
        for position, (start, end, noticed) in enumerate(self.gaps):
            if start <= frame.counter <= end:
                parts = [Gap(start, frame.counter - 1, noticed), Gap(frame.counter + 1, end, noticed)]
                self.gaps[position : position + 1] = [part for part in parts if part.start <= part.end]
                self._came(frame)
                return True
        return False

    def _came(self, frame: Frame) -> None:
        self.received += 1
        self.first_sent = min(self.first_sent, frame.sent)
        self.last_sent = max(self.last_sent, frame.sent)
        self.changed = True


def take(runs: list[Run], frame: Frame) -> None:
    """Puts a frame where it belongs among the runs of its device and session, newest first; may begin a new one."""
    newest = runs[0] if runs else None
    if newest is not None:
        if newest.extend(frame) or any(run.fill(frame) for run in runs):
            return
        if frame.counter == newest.last or frame.sent <= newest.last_sent:
            return  # it stands still; or of an earlier run, or said already
    runs.insert(0, Run(frame.counter, frame.counter, 1, frame.sent, frame.sent, changed=True))


def count_frames(conn: Connection, municipality_id: int, rows: Iterable[UplinkRow]) -> None:
    """Counts new messages, in the order in which they arrived. The caller commits.

    One statement where every counter is the next one; more only for gaps, late messages and restarts.
    """
    frames: dict[tuple[int, str], list[Frame]] = {}
    for row in rows:
        if row.device_id is not None and row.counter is not None and row.outcome is not Outcome.EVENT:
            frames.setdefault((row.device_id, row.session), []).append(
                Frame(row.counter, row.sent_time, row.received_time)
            )
    for key in _go_on(conn, sorted((key, came[0]) for key, came in frames.items() if len(came) == 1)):
        del frames[key]
    if not frames:
        return
    keys = sorted(frames)
    runs = _newest_runs(conn, keys)
    late = [
        (*key, frame.counter)
        for key in keys
        for frame in frames[key]
        if runs[key] and (frame.counter <= runs[key][0].last or frame.sent < runs[key][0].first_sent)
    ]
    if late:
        _with_gaps(conn, runs, late)
    for key in keys:
        for frame in frames[key]:
            take(runs[key], frame)
    _write(conn, municipality_id, [(key, run) for key in keys for run in reversed(runs[key]) if run.changed])


def _go_on(conn: Connection, single: Sequence[tuple[tuple[int, str], Frame]]) -> list[tuple[int, str]]:
    """Counts those whose counter is one more than the last of their newest run, and says which they were."""
    if not single:
        return []
    cursor = conn.execute(
        """
        with newest as materialized (
            select r.*, said.counter, said.sent
            from unnest(%s::integer[], %s::text[], %s::bigint[], %s::timestamptz[])
                 as said (device_id, session, counter, sent)
            cross join lateral (
                select * from frame_run f where f.device_id = said.device_id and f.session = said.session
                order by f.frame_run_id desc limit 1 for update
            ) r
        )
        update frame_run r
        set (last_counter, received, last_sent) = (n.counter, n.received + 1, greatest(n.last_sent, n.sent))
        from newest n
        where r.frame_run_id = n.frame_run_id and n.counter = n.last_counter + 1 and n.sent >= n.first_sent
        returning r.device_id, r.session
        """,
        transposed([(*key, frame.counter, frame.sent) for key, frame in single], 4),
    )
    return cursor.fetchall()


def _run(run_id: int, first: int, last: int, received: int, first_sent: datetime, last_sent: datetime) -> Run:
    return Run(first, last, received, first_sent, last_sent, run_id=run_id)


def _newest_runs(conn: Connection, keys: Sequence[tuple[int, str]]) -> dict[tuple[int, str], list[Run]]:
    """The run that each device and session is in, locked; none where it is new."""
    runs: dict[tuple[int, str], list[Run]] = {key: [] for key in keys}
    for device_id, session, *columns in conn.execute(
        """
        select asked.device_id, asked.session,
               r.frame_run_id, r.first_counter, r.last_counter, r.received, r.first_sent, r.last_sent
        from unnest(%s::integer[], %s::text[]) as asked (device_id, session)
        cross join lateral (
            select * from frame_run f where f.device_id = asked.device_id and f.session = asked.session
            order by f.frame_run_id desc limit 1 for update
        ) r
        """,
        transposed(keys, 2),
    ):
        runs[device_id, session].append(_run(*columns))
    return runs


def _with_gaps(conn: Connection, runs: dict[tuple[int, str], list[Run]], late: Sequence[tuple[int, str, int]]) -> None:
    """Adds the gaps that late counters lie in, with their runs where those are earlier ones."""
    known = {run.run_id: run for found in runs.values() for run in found}
    for device_id, session, start, end, noticed, *columns in conn.execute(
        """
        select distinct r.device_id, r.session, g.from_counter, g.to_counter, g.noticed_at,
               r.frame_run_id, r.first_counter, r.last_counter, r.received, r.first_sent, r.last_sent
        from unnest(%s::integer[], %s::text[], %s::bigint[]) as asked (device_id, session, counter)
        join frame_run r on r.device_id = asked.device_id and r.session = asked.session
             and asked.counter between r.first_counter and r.last_counter
        join lateral (
            select * from frame_gap
            where frame_run_id = r.frame_run_id and from_counter <= asked.counter
            order by from_counter desc limit 1
        ) g on g.to_counter >= asked.counter
        order by r.frame_run_id desc
        """,
        transposed(late, 3),
    ):
        run = known.get(columns[0])
        if run is None:
            known[columns[0]] = run = _run(*columns)
            runs[device_id, session].append(run)
        run.gaps.append(Gap(start, end, noticed))
        run.stored_gaps = (*run.stored_gaps, Gap(start, end, noticed))


def _write(conn: Connection, municipality_id: int, runs: Sequence[tuple[tuple[int, str], Run]]) -> None:
    known = [run for _, run in runs if run.run_id is not None]
    if known:
        conn.execute(
            """
            update frame_run r
            set (first_counter, last_counter, received, first_sent, last_sent)
                = (said.first_counter, said.last_counter, said.received, said.first_sent, said.last_sent)
            from unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::timestamptz[], %s::timestamptz[])
                 as said (frame_run_id, first_counter, last_counter, received, first_sent, last_sent)
            where r.frame_run_id = said.frame_run_id
            """,
            transposed([(r.run_id, r.first, r.last, r.received, r.first_sent, r.last_sent) for r in known], 6),
        )
    new = [(key, run) for key, run in runs if run.run_id is None]
    if new:
        for (_, run), run_id in zip(new, new_ids(conn, "frame_run_frame_run_id_seq", len(new)), strict=True):
            run.run_id = run_id
        conn.execute(
            """
            insert into frame_run (frame_run_id, municipality_id, device_id, session, first_counter, last_counter,
                                   received, first_sent, last_sent)
            overriding system value
            select frame_run_id, %s, device_id, session, first_counter, last_counter, received, first_sent, last_sent
            from unnest(%s::bigint[], %s::integer[], %s::text[], %s::bigint[], %s::bigint[], %s::bigint[],
                        %s::timestamptz[], %s::timestamptz[])
                 as said (frame_run_id, device_id, session, first_counter, last_counter, received,
                          first_sent, last_sent)
            """,
            (
                municipality_id,
                *transposed(
                    [(r.run_id, *key, r.first, r.last, r.received, r.first_sent, r.last_sent) for key, r in new],
                    8,
                ),
            ),
        )
    gone = [(run.run_id, gap.start) for _, run in runs for gap in run.stored_gaps if gap not in run.gaps]
    if gone:
        conn.execute(
            """
            delete from frame_gap g using unnest(%s::bigint[], %s::bigint[]) as closed (frame_run_id, from_counter)
            where g.frame_run_id = closed.frame_run_id and g.from_counter = closed.from_counter
            """,
            transposed(gone, 2),
        )
    opened = [(run.run_id, key[0], *gap) for key, run in runs for gap in run.gaps if gap not in run.stored_gaps]
    if opened:
        conn.execute(
            """
            insert into frame_gap (frame_run_id, municipality_id, device_id, from_counter, to_counter, noticed_at)
            select frame_run_id, %s, device_id, from_counter, to_counter, noticed_at
            from unnest(%s::bigint[], %s::integer[], %s::bigint[], %s::bigint[], %s::timestamptz[])
                 as said (frame_run_id, device_id, from_counter, to_counter, noticed_at)
            """,
            (municipality_id, *transposed(opened, 5)),
        )
