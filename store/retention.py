"""How long messages are kept: quarantined ones as a whole, of the others the raw bytes. What goes is counted.

    quarantined   the row goes: nobody has read it, and nobody asked to have it read again for so long
    accepted      the row stays, for a repetition must still be known; its raw bytes go
    event         the same

Each call is one small step in the caller's transaction. `uplink_pruned` says what is gone, by device and day, so that
every message that was ever counted is still accounted for; `delivery_count` is not touched.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from devices.model import Outcome
from store.connection import Connection
from store.quarantine import for_one

STEP = 500  # messages


@dataclass(frozen=True, slots=True)
class Retention:
    """For how long messages of each outcome are kept as they came, from their reception on; None: for ever."""

    quarantined: timedelta | None = None
    accepted: timedelta | None = None
    event: timedelta | None = None

    def __iter__(self) -> Iterator[tuple[Outcome, timedelta]]:
        """The outcomes that have a limit."""
        for outcome, kept in (
            (Outcome.QUARANTINED, self.quarantined),
            (Outcome.ACCEPTED, self.accepted),
            (Outcome.EVENT, self.event),
        ):
            if kept is not None:
                yield outcome, kept


def prune(conn: Connection, municipality_id: int, retention: Retention, now: datetime) -> bool:
    """One step of each outcome; whether there may be more to do."""
    more = False
    for outcome, kept in retention:
        if outcome is Outcome.QUARANTINED:
            more |= _drop(conn, municipality_id, now - kept)
        else:
            more |= _let_go(conn, municipality_id, outcome, now - kept)
    return more


def _drop(conn: Connection, municipality_id: int, before: datetime) -> bool:
    """Quarantined messages received before that time go, but none that is being read again."""
    if not for_one(conn, municipality_id):
        return True
    row = conn.execute(
        """
        with gone as (
            delete from uplink where uplink_id in (
                select uplink_id from uplink u
                where municipality_id = %(municipality)s and outcome = 'quarantined' and received_time < %(before)s
                  -- The first of an identity stays as long as there is a second: by it the next repetition is known.
                  and not exists (select from uplink later where later.municipality_id = u.municipality_id
                                  and coalesce(later.device_key, '') = coalesce(u.device_key, '')
                                  and later.session = u.session and later.payload_hash = u.payload_hash
                                  and coalesce(later.counter, -1) = coalesce(u.counter, -1) and later.epoch > u.epoch)
                  and not exists (select from quarantine_replay r where r.municipality_id = u.municipality_id
                                  and r.finished_at is null)
                order by received_time limit %(step)s)
            returning device_id, received_time, outcome, reason, repeats, length(raw) as size
        ), counted as (
            insert into uplink_pruned as held (municipality_id, device_id, day, outcome, reason,
                                               messages, repeats, bytes)
            select %(municipality)s, device_id, (received_time at time zone 'UTC')::date, outcome, reason,
                   count(*), sum(repeats), sum(size)
            from gone group by 2, 3, 4, 5 order by 2, 3, 4, 5
            on conflict (municipality_id, device_id, day, outcome, reason) do update
            set (messages, repeats, bytes) = (held.messages + excluded.messages, held.repeats + excluded.repeats,
                                              held.bytes + excluded.bytes)
        )
        select count(*) from gone
        """,
        {"municipality": municipality_id, "before": before, "step": STEP},
    ).fetchone()
    return row is not None and row[0] == STEP


def _let_go(conn: Connection, municipality_id: int, outcome: Outcome, before: datetime) -> bool:
    """The raw bytes of messages received before that time go, in the order of their reception."""
    row = conn.execute(
        """
        with reached as (
            select coalesce((select pruned_to from uplink_retention
                             where municipality_id = %(municipality)s and outcome = %(outcome)s), '-infinity') as at
        ), step as (
            select uplink_id, device_id, received_time, repeats, length(raw) as size, raw is not null as there
            from uplink
            where municipality_id = %(municipality)s and outcome = %(outcome)s
              and received_time >= (select at from reached) and received_time < %(before)s
            order by received_time limit %(step)s
        ), whole as (
            -- Several of one moment go together: the next step begins after them.
            select uplink_id, device_id, received_time, repeats, size, there from step
            union
            select uplink_id, device_id, received_time, repeats, length(raw), raw is not null from uplink
            where municipality_id = %(municipality)s and outcome = %(outcome)s
              and received_time = (select max(received_time) from step)
        ), emptied as (
            update uplink set raw = null where uplink_id in (select uplink_id from whole where there)
        ), counted as (
            insert into uplink_pruned as held (municipality_id, device_id, day, outcome, reason,
                                               messages, repeats, bytes)
            select %(municipality)s, device_id, (received_time at time zone 'UTC')::date, %(outcome)s, null,
                   count(*), sum(repeats), sum(size)
            from whole where there group by 2, 3 order by 2, 3
            on conflict (municipality_id, device_id, day, outcome, reason) do update
            set (messages, repeats, bytes) = (held.messages + excluded.messages, held.repeats + excluded.repeats,
                                              held.bytes + excluded.bytes)
        ), noted as (
            insert into uplink_retention (municipality_id, outcome, pruned_to)
            select %(municipality)s, %(outcome)s, max(received_time) + interval '1 microsecond' from step
            having count(*) > 0
            on conflict (municipality_id, outcome) do update set pruned_to = excluded.pruned_to
        )
        select count(*) from step
        """,
        {"municipality": municipality_id, "outcome": outcome.value, "before": before, "step": STEP},
    ).fetchone()
    return row is not None and row[0] == STEP
