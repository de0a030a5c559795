"""Messages into the table `uplink`: each distinct one once, repetitions only counted.

Who sent it (device key), in which session, with which frame counter and payload: the same four again within a day
are the same transmission, delivered once more by a gateway, a network server or the broker. Of our own JSON also after
a day: a broker keeps what a killed ingest had stored and not acknowledged for as long as nobody comes for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import LiteralString

from devices.envelopes import mimamori_v1
from store.arrays import array, transposed
from store.batch import UplinkRow
from store.connection import Connection

Identity = tuple[str | None, str, int | None, bytes]
# [(uplink_id, epoch, sent time)] of the stored messages of an identity.
Known = dict[Identity, list[tuple[int, int, datetime]]]

# A device that uses a counter again after this long has started anew: NbTrans, gateways and brokers repeat within it.
REPETITION_WINDOW = timedelta(hours=24)


def repeats_one_of(row: UplinkRow, sent: datetime) -> bool:
    """Whether it is the same transmission as one of the same identity that was sent (or received) at that time.

    Nobody but us says when our own JSON was sent, and its sender changes the session when it counts anew: it always is.
    """
    return row.network == mimamori_v1.NETWORK or abs(row.sent_time - sent) <= REPETITION_WINDOW


def insert_uplinks(conn: Connection, municipality_id: int, rows: Sequence[UplinkRow]) -> list[tuple[int, UplinkRow]]:
    """Stores the messages that are not repetitions and returns them, in their order, with their ids; counts the
    repetitions. Every insertion comes before the first count: so two writers never wait for each other in a circle.
    """
    found: dict[int, int] = {}  # position in rows -> id of the uplink that it has become
    repeats: Counter[int] = Counter()  # ids of stored uplinks
    # Nearly every message is heard for the first time. So all are taken for such, and only what the table then refuses
    # is looked up.
    waiting = _settle(conn, municipality_id, rows, range(len(rows)), {}, found, repeats)
    while waiting:
        known = known_uplinks(conn, municipality_id, [rows[n] for n in waiting])
        waiting = _settle(conn, municipality_id, rows, waiting, known, found, repeats)
    if repeats:
        count_repeats(conn, repeats)
    return [(found[n], rows[n]) for n in sorted(found)]


def _settle(
    conn: Connection,
    municipality_id: int,
    rows: Sequence[UplinkRow],
    waiting: Sequence[int],
    known: Known,
    found: dict[int, int],
    repeats: Counter[int],
) -> list[int]:
    """Settles the waiting positions by what is known to be stored, and returns those that are to be looked at once
    more: they are stored already, and maybe another worker has committed them in this moment.
    """
    fresh: list[tuple[int, int]] = []  # (epoch, position)
    twins: dict[int, list[int]] = {}  # position of a fresh one -> the positions that repeat it
    in_batch: dict[Identity, list[int]] = {}
    for n in waiting:
        row = rows[n]
        earlier = known.get(row.identity, [])
        here = in_batch.setdefault(row.identity, [])
        stored = next((uid for uid, _, at in earlier if repeats_one_of(row, at)), None)
        twin = next((m for m in here if repeats_one_of(row, rows[m].sent_time)), None)
        if stored is not None:
            repeats[stored] += 1
        elif twin is not None:
            twins.setdefault(twin, []).append(n)
        else:
            epoch = max((epoch for _, epoch, _ in earlier), default=-1) + 1 + len(here)
            here.append(n)
            fresh.append((epoch, n))
    if not fresh:
        return []
    ids = new_ids(conn, "uplink_uplink_id_seq", len(fresh))
    repeats_here = [len(twins.get(n, ())) for _, n in fresh]
    inserted = _insert(conn, municipality_id, [(epoch, rows[n]) for epoch, n in fresh], ids, repeats_here)
    again: list[int] = []
    for uplink_id, (_, n) in zip(ids, fresh, strict=True):
        if uplink_id in inserted:
            found[n] = uplink_id
        else:
            again += [n, *twins.get(n, ())]
    return sorted(again)


def known_uplinks(conn: Connection, municipality_id: int, rows: Sequence[UplinkRow]) -> Known:
    """What is stored already of these."""
    known: Known = {}
    cursor = conn.execute(
        """
        select asked.device_key, asked.session, asked.counter, asked.payload_hash,
               u.uplink_id, u.epoch, coalesce(u.network_time, u.received_time)
        from (select distinct * from unnest(%s::text[], %s::text[], %s::bigint[], %s::bytea[]))
             as asked (device_key, session, counter, payload_hash)
        join uplink u on u.municipality_id = %s and coalesce(u.device_key, '') = coalesce(asked.device_key, '')
             and u.session = asked.session and coalesce(u.counter, -1) = coalesce(asked.counter, -1)
             and u.payload_hash = asked.payload_hash
        """,
        (*transposed([row.identity for row in rows], 4), municipality_id),
    )
    for key, session, counter, digest, uplink_id, epoch, sent in cursor:
        known.setdefault((key, session, counter, bytes(digest)), []).append((uplink_id, epoch, sent))
    return known


def _insert(
    conn: Connection,
    municipality_id: int,
    fresh: Sequence[tuple[int, UplinkRow]],
    ids: Sequence[int],
    repeats: Sequence[int],
) -> Collection[int]:
    """Those of the ids whose message was not there yet, and is now."""
    rows = [
        (
            uplink_id,
            row.device_id,
            row.device_key,
            row.session,
            row.counter,
            row.payload_hash,
            epoch,
            row.network,
            row.topic,
            row.raw,
            row.network_time,
            row.received_time,
            row.outcome.value,
            row.reason,
            row.detail,
            n,
            array(row.quarantined_fields) if row.quarantined_fields else "{}",
        )
        for (epoch, row), uplink_id, n in zip(fresh, ids, repeats, strict=True)
    ]
    inserted = conn.execute(_INSERT, (municipality_id, *transposed(rows, 17)))
    if inserted.rowcount == len(rows):
        return ids
    return {row[0] for row in conn.execute("select uplink_id from uplink where uplink_id = any(%s)", (list(ids),))}


_INSERT = """
    insert into uplink (municipality_id, uplink_id, device_id, device_key, session, counter, payload_hash, epoch,
                        network, topic, raw, network_time, received_time, outcome, reason, detail, repeats,
                        quarantined_fields)
    overriding system value
    select %s, uplink_id, device_id, device_key, session, counter, payload_hash, epoch,
           network, topic, raw, network_time, received_time, outcome, reason, detail, repeats, fields::text[]
    from unnest(%s::bigint[], %s::integer[], %s::text[], %s::text[], %s::bigint[], %s::bytea[], %s::integer[],
                %s::text[], %s::text[], %s::bytea[], %s::timestamptz[], %s::timestamptz[], %s::text[], %s::text[],
                %s::text[], %s::integer[], %s::text[])
         as said (uplink_id, device_id, device_key, session, counter, payload_hash, epoch, network, topic, raw,
                  network_time, received_time, outcome, reason, detail, repeats, fields)
    order by device_key, session, counter, payload_hash
    on conflict do nothing
"""


def new_ids(conn: Connection, sequence: LiteralString, n: int) -> list[int]:
    """So many numbers that nobody else gets, ascending."""
    row = conn.execute(
        "select array_agg(nextval(%s::regclass) order by i) from generate_series(1, %s) as i", (sequence, n)
    ).fetchone()
    assert row is not None
    return list(row[0])


def count_repeats(conn: Connection, repeats: Counter[int]) -> None:
    conn.execute(
        """
        update uplink set repeats = repeats + seen.n
        from (select * from unnest(%s::bigint[], %s::integer[]) order by 1) as seen (uplink_id, n)
        where uplink.uplink_id = seen.uplink_id
        """,
        (list(repeats.keys()), list(repeats.values())),
    )
