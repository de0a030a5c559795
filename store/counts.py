"""The count from inside: what was delivered, what became of it, and what the writer did with its values.

One row of `delivery_count` a device and hour of receipt (town time), written in the transaction that writes the
messages. `delivered` is counted by whoever hands a batch in, before anything is written of it; outcomes and values are
counted by the writer, from what it did. They meet only in the table. So a fault of ours between the two leaves a row
that does not close, and `unclosed` finds it; it also holds the counts against the messages that are stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import LiteralString

from psycopg.sql import SQL, Identifier

from devices.model import Outcome
from store.arrays import array
from store.batch import UplinkRow
from store.connection import Connection

# A device (None: unknown) and an hour of receipt.
Slot = tuple[int | None, datetime]


def slot(device_id: int | None, received: datetime) -> Slot:
    """Where a message is counted."""
    return device_id, received.replace(minute=0, second=0, microsecond=0)


@dataclass(slots=True)
class Tally:
    """What became of the messages of one slot and of their values; `revised`: replaced another, or lost against it."""

    delivered: int = 0
    accepted: int = 0
    event: int = 0
    duplicate: int = 0
    quarantined: int = 0
    given: int = 0
    stored: int = 0
    unchanged: int = 0
    revised: int = 0
    rejected: int = 0

    def add(self, outcome: Outcome) -> None:
        """Counts one message by its outcome."""
        match outcome:
            case Outcome.ACCEPTED:
                self.accepted += 1
            case Outcome.EVENT:
                self.event += 1
            case Outcome.DUPLICATE:
                self.duplicate += 1
            case Outcome.QUARANTINED:
                self.quarantined += 1


COLUMNS = Tally.__slots__


class Tallies(dict[Slot, Tally]):
    """Tallies by slot; a slot that is asked for is there."""

    def __missing__(self, key: Slot) -> Tally:
        self[key] = Tally()
        return self[key]

    def deliver(self, slots: Iterable[Slot]) -> None:
        """Counts messages handed in."""
        for each in slots:
            self[each].delivered += 1

    def settle(self, outcomes: Iterable[tuple[UplinkRow, Outcome]]) -> None:
        """Counts what became of messages."""
        for row, outcome in outcomes:
            self[slot(row.device_id, row.received_time)].add(outcome)


def counted_as(conn: Connection, uplink_ids: Sequence[int]) -> Tallies:
    """Takes back how quarantined messages were counted, so that they can be counted as what they turned out to be."""
    tallies = Tallies()
    for device_id, received in conn.execute(
        "select device_id, received_time from uplink where uplink_id = any(%s) and outcome = 'quarantined'",
        (list(uplink_ids),),
    ):
        tally = tallies[slot(device_id, received)]
        tally.delivered -= 1
        tally.quarantined -= 1
    return tallies


def write_tallies(conn: Connection, municipality_id: int, tallies: Mapping[Slot, Tally]) -> None:
    """Adds to the table; one statement, rows in the order of their keys. The caller commits."""
    if not tallies:
        return
    ordered = sorted(tallies.items(), key=lambda item: (item[0][0] is None, item[0][0] or 0, item[0][1]))
    counts = {name: [getattr(tally, name) for _, tally in ordered] for name in COLUMNS}
    names = tuple(name for name in COLUMNS if any(counts[name]))
    if not names:
        return
    devices, hours = zip(*(key for key, _ in ordered), strict=True)
    conn.execute(
        _write(names), (municipality_id, array(devices), array(hours), *(array(counts[name]) for name in names))
    )


@lru_cache  # a batch seldom has all kinds, and it is often the same ones
def _write(names: tuple[LiteralString, ...]) -> bytes:
    """The statement that adds these columns."""
    columns = SQL(", ").join(map(Identifier, names))
    return (
        SQL(
            """
            insert into delivery_count as held (municipality_id, device_id, hour, {columns})
            select %s, said.* from unnest(%s::integer[], %s::timestamptz[], {arrays}) as said
            on conflict (municipality_id, device_id, hour) do update set {sums}
            """
        )
        .format(
            columns=columns,
            arrays=SQL(", ").join([SQL("%s::bigint[]")] * len(names)),
            sums=SQL(", ").join(SQL("{0} = held.{0} + excluded.{0}").format(Identifier(name)) for name in names),
        )
        .as_bytes()
    )


@dataclass(frozen=True, slots=True)
class Unclosed:
    """An hour whose counts do not add up. `messages` and `values` of a device: how many have no outcome (negative:
    too many have one); `kept` of all devices together: how many stored messages are not counted (negative: counted
    and not there).
    """

    device_key: str | None
    hour: datetime
    messages: int
    values: int
    kept: int


def unclosed(
    conn: Connection, municipality_id: int, since: datetime, *, kept_since: datetime | None = None, limit: int = 100
) -> list[Unclosed]:
    """The hours from `since` on that do not close, newest first; none is as it should be.

    Three sums, each of numbers that were counted apart: delivered = accepted + event + duplicate + quarantined,
    given = stored + unchanged + revised, and accepted + event + quarantined = rows of `uplink` of that hour. One
    snapshot, so a batch in flight is in all of them or in none. An hour in which nothing was counted at all is not
    held against `uplink`: what was stored before there were counts, or by an import, is none of theirs.

    Counting `uplink` reads what came since: `kept_since` bounds that alone, and must not reach back behind the
    retention of quarantined messages.
    """
    first = slot(None, since)[1]
    kept = max(first, first if kept_since is None else slot(None, kept_since)[1])
    return [
        Unclosed(*row)
        for row in conn.execute(
            """
            with counted as (
                select device_id, hour, delivered - accepted - event - duplicate - quarantined as messages,
                       given - stored - unchanged - revised as values_left,
                       accepted + event + quarantined as distinct_messages
                from delivery_count where municipality_id = %(municipality)s and hour >= %(first)s
            ), kept as (
                select date_trunc('hour', received_time, 'UTC') as hour, count(*) as n from uplink
                where municipality_id = %(municipality)s and received_time >= %(kept)s group by 1
            )
            select d.key, c.hour, c.messages, c.values_left, 0
            from counted c left join device d on d.device_id = c.device_id
            where c.messages <> 0 or c.values_left <> 0
            union all
            select null, c.hour, 0, 0, coalesce(k.n, 0) - c.n
            from (select hour, sum(distinct_messages)::bigint as n from counted where hour >= %(kept)s group by hour) c
            left join kept k using (hour)
            where coalesce(k.n, 0) <> c.n
            order by 2 desc, 1 limit %(limit)s
            """,
            {"municipality": municipality_id, "first": first, "kept": kept, "limit": limit},
        )
    ]
