"""Messages into the table `uplink`: each distinct one once, repetitions only counted.

Who sent it (device key), in which session, with which frame counter and payload: the same four again within a day
are the same transmission, delivered once more by a gateway, a network server or the broker.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

from store.batch import UplinkRow
from store.connection import Connection, transposed

# A device that uses a counter again after this long has started anew: NbTrans, gateways and brokers repeat within it.
REPETITION_WINDOW = timedelta(hours=24)


def insert_uplinks(conn: Connection, municipality_id: int, rows: Sequence[UplinkRow]) -> list[tuple[int, UplinkRow]]:
    """Stores the messages that are not repetitions and returns them with their ids; counts the repetitions."""
    known = _known_uplinks(conn, municipality_id, rows)
    fresh: list[tuple[int, UplinkRow]] = []  # (epoch, row)
    repeated: list[int] = []  # ids of stored uplinks
    repeats_here: Counter[int] = Counter()  # positions in `fresh`
    in_batch: dict[tuple[str | None, str, int | None, bytes], list[tuple[datetime, int]]] = {}
    for row in rows:
        earlier = known.get(row.identity, [])
        twins = in_batch.setdefault(row.identity, [])
        stored = next((uid for uid, _, at in earlier if abs(row.sent_time - at) <= REPETITION_WINDOW), None)
        twin = next((pos for at, pos in twins if abs(row.sent_time - at) <= REPETITION_WINDOW), None)
        if stored is not None:
            repeated.append(stored)
        elif twin is not None:
            repeats_here[twin] += 1
        else:
            epoch = max((epoch for _, epoch, _ in earlier), default=-1) + 1 + len(twins)
            twins.append((row.sent_time, len(fresh)))
            fresh.append((epoch, row))
    if repeated:
        _count_repeats(conn, Counter(repeated))
    if not fresh:
        return []
    ids = [
        int(row[0])
        for row in conn.execute(
            "select nextval(pg_get_serial_sequence('uplink', 'uplink_id')) from generate_series(1, %s)",
            (len(fresh),),
        )
    ]
    inserted = _copy_uplinks(conn, municipality_id, fresh, ids, repeats_here)
    # What another worker stored in this moment is a repetition for us.
    return [(uplink_id, row) for uplink_id, (_, row) in zip(ids, fresh, strict=True) if uplink_id in inserted]


def _known_uplinks(
    conn: Connection, municipality_id: int, rows: Sequence[UplinkRow]
) -> dict[tuple[str | None, str, int | None, bytes], list[tuple[int, int, datetime]]]:
    """identity -> [(uplink_id, epoch, sent time)] of what is stored already."""
    known: dict[tuple[str | None, str, int | None, bytes], list[tuple[int, int, datetime]]] = {}
    cursor = conn.execute(
        """
        select u.device_key, u.session, u.counter, u.payload_hash,
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
    repeats: Counter[int],
) -> set[int]:
    conn.execute(
        "create temporary table if not exists incoming_uplink (like uplink including defaults) on commit delete rows"
    )
    copying = """
        copy incoming_uplink (uplink_id, municipality_id, device_id, device_key, session, counter, payload_hash, epoch,
            network, topic, raw, network_time, received_time, outcome, reason, detail, repeats) from stdin
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


def _count_repeats(conn: Connection, repeats: Counter[int]) -> None:
    conn.execute(
        """
        update uplink set repeats = repeats + seen.n
        from (select * from unnest(%s::bigint[], %s::integer[]) order by 1) as seen (uplink_id, n)
        where uplink.uplink_id = seen.uplink_id
        """,
        (list(repeats.keys()), list(repeats.values())),
    )
