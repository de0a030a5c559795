"""Messages into the table `uplink`: each distinct one once, repetitions only counted.

Who sent it (device key), in which session, with which frame counter and payload: the same four again within a day
are the same transmission, delivered once more by a gateway, a network server or the broker. Of our own JSON also after
a day: a broker keeps what a killed ingest had stored and not acknowledged for as long as nobody comes for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

from devices.envelopes import mimamori_v1
from store.arrays import array, transposed
from store.batch import UplinkRow
from store.connection import Connection

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
    waiting = list(range(len(rows)))
    while waiting:
        waiting = _settle(conn, municipality_id, rows, waiting, found, repeats)
    if repeats:
        count_repeats(conn, repeats)
    return [(found[n], rows[n]) for n in sorted(found)]


def _settle(
    conn: Connection,
    municipality_id: int,
    rows: Sequence[UplinkRow],
    waiting: Sequence[int],
    found: dict[int, int],
    repeats: Counter[int],
) -> list[int]:
    """Settles the waiting positions and returns those that are to be looked at once more: another worker has stored the
    same message in this moment, and committed.
    """
    known = known_uplinks(conn, municipality_id, [rows[n] for n in waiting])
    fresh: list[tuple[int, int]] = []  # (epoch, position)
    twins: dict[int, list[int]] = {}  # position of a fresh one -> the positions that repeat it
    in_batch: dict[tuple[str | None, str, int | None, bytes], list[int]] = {}
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
    ids = [
        int(row[0])
        for row in conn.execute(
            "select nextval(pg_get_serial_sequence('uplink', 'uplink_id')) from generate_series(1, %s)",
            (len(fresh),),
        )
    ]
    repeats_here = [len(twins.get(n, ())) for _, n in fresh]
    inserted = _copy_uplinks(conn, municipality_id, [(epoch, rows[n]) for epoch, n in fresh], ids, repeats_here)
    again: list[int] = []
    for uplink_id, (_, n) in zip(ids, fresh, strict=True):
        if uplink_id in inserted:
            found[n] = uplink_id
        else:
            again += [n, *twins.get(n, ())]
    return sorted(again)


def known_uplinks(
    conn: Connection, municipality_id: int, rows: Sequence[UplinkRow]
) -> dict[tuple[str | None, str, int | None, bytes], list[tuple[int, int, datetime]]]:
    """identity -> [(uplink_id, epoch, sent time)] of what is stored already."""
    known: dict[tuple[str | None, str, int | None, bytes], list[tuple[int, int, datetime]]] = {}
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


def _copy_uplinks(
    conn: Connection,
    municipality_id: int,
    fresh: Sequence[tuple[int, UplinkRow]],
    ids: Sequence[int],
    repeats: Sequence[int],
) -> set[int]:
    conn.execute(
        "create temporary table if not exists incoming_uplink (like uplink including defaults) on commit delete rows"
    )
    copying = """
        copy incoming_uplink (uplink_id, municipality_id, device_id, device_key, session, counter, payload_hash, epoch,
            network, topic, raw, network_time, received_time, outcome, reason, detail, repeats, quarantined_fields)
            from stdin
        """
    with conn.cursor() as cursor, cursor.copy(copying) as copy:
        for position, ((epoch, row), uplink_id) in enumerate(zip(fresh, ids, strict=True)):
            copy.write_row(
                (
                    uplink_id,
                    municipality_id,
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
                    repeats[position],
                    array(row.quarantined_fields),
                )
            )
    inserted = conn.execute(
        """
        insert into uplink overriding system value
        select * from incoming_uplink order by device_key, session, counter, payload_hash
        on conflict do nothing returning uplink_id
        """
    ).fetchall()
    conn.execute("delete from incoming_uplink")
    return {int(row[0]) for row in inserted}


def count_repeats(conn: Connection, repeats: Counter[int]) -> None:
    conn.execute(
        """
        update uplink set repeats = repeats + seen.n
        from (select * from unnest(%s::bigint[], %s::integer[]) order by 1) as seen (uplink_id, n)
        where uplink.uplink_id = seen.uplink_id
        """,
        (list(repeats.keys()), list(repeats.values())),
    )
