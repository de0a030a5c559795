"""The counters of a batch -> the observations that follow from them and from the readings around them.

Each reading is kept in `counter_reading`, one for each interval (the last one read in it). The observations are
worked out from that table alone, for the intervals that a new reading closes and for those after it, which it cuts
shorter (`ingest.increments`). They are marked as derived, so that the store lets the newest working-out stand.

A message that comes again does not come here. Two workers with messages of one counter wait for each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from msgspec.structs import replace

from devices.model import Quality, Reason
from ingest.increments import LONGEST_GAP, Count, between, connected, slot_of
from store.arrays import transposed
from store.batch import CountRow, ObservationRow, UplinkRow
from store.connection import Connection
from store.registry import Directory

_Key = tuple[int, datetime]  # datastream and slot


def with_increments(conn: Connection, directory: Directory, rows: Sequence[UplinkRow]) -> list[UplinkRow]:
    """The same rows; those with counters also have the observations that changed with them. Runs in the caller's
    transaction and keeps the readings there: three statements, however many counters there are.
    """
    steps = {c.datastream_id: directory.datastreams[c.datastream_id].step for row in rows for c in row.counts}
    if not steps:
        return list(rows)
    conn.execute(
        "select pg_advisory_xact_lock(hashtext('counter_reading'), id) from unnest(%s::integer[]) as id",
        (sorted(steps),),
    )
    bearers = _keep(conn, directory.municipality_id, rows, steps)
    unread = {
        (c.datastream_id, slot_of(c.time, steps[c.datastream_id])): n
        for n, row in reversed(list(enumerate(rows)))
        for c in reversed(row.counts)
        if c.count is None
    }
    found: dict[int, list[ObservationRow]] = {}  # by position in rows
    brought, blank = _by_datastream(bearers), _by_datastream(unread)
    for of, readings in _readings(conn, [*bearers, *unread]).items():
        for n, observation in _worked_out(of, steps[of], readings, brought.get(of, {}), blank.get(of, {})):
            found.setdefault(n, []).append(observation)
    return [
        replace(row, observations=(*row.observations, *found[n])) if n in found else row for n, row in enumerate(rows)
    ]


def _keep(
    conn: Connection, municipality_id: int, rows: Sequence[UplinkRow], steps: Mapping[int, timedelta]
) -> dict[_Key, int]:
    """Stores the readings and says which slots changed, each with the row that brought the change."""
    newest: dict[_Key, tuple[int, CountRow]] = {}
    for n, row in enumerate(rows):
        for c in row.counts:
            if c.count is None:
                continue
            key = (c.datastream_id, slot_of(c.time, steps[c.datastream_id]))
            held = newest.get(key)
            if held is None or _order(rows[held[0]], held[1]) < _order(row, c):
                newest[key] = (n, c)
    if not newest:
        return {}
    values = [
        (*key, c.time, rows[n].device_id, c.count, c.restarts, c.latest, c.modulus, c.scale, c.doubtful)
        for key, (n, c) in sorted(newest.items())
    ]
    changed = conn.execute(
        """
        insert into counter_reading as held
               (municipality_id, datastream_id, slot, read_at, device_id, count, restarts, latest, modulus, scale,
                doubtful)
        select %s, * from unnest(%s::integer[], %s::timestamptz[], %s::timestamptz[], %s::integer[], %s::bigint[],
                                 %s::integer[], %s::integer[], %s::integer[], %s::double precision[], %s::boolean[])
        on conflict (datastream_id, slot) do update
            set (read_at, device_id, count, restarts, latest, modulus, scale, doubtful)
              = (excluded.read_at, excluded.device_id, excluded.count, excluded.restarts, excluded.latest,
                 excluded.modulus, excluded.scale, excluded.doubtful)
            where (held.read_at, held.count, coalesce(held.restarts, -1), coalesce(held.latest, -1), held.device_id)
                < (excluded.read_at, excluded.count, coalesce(excluded.restarts, -1), coalesce(excluded.latest, -1),
                   excluded.device_id)
        returning datastream_id, slot
        """,
        (municipality_id, *transposed(values, 10)),
    ).fetchall()
    return {key: newest[key][0] for key in changed}


def _by_datastream(rows: Mapping[_Key, int]) -> dict[int, dict[datetime, int]]:
    found: dict[int, dict[datetime, int]] = {}
    for (datastream_id, slot), n in rows.items():
        found.setdefault(datastream_id, {})[slot] = n
    return found


def _order(row: UplinkRow, c: CountRow) -> tuple[object, ...]:
    """Which reading of a slot stands: the last one read, and of two of one time always the same one (as in the
    statement of `_keep`). Nobody's restarts are -1.
    """
    told = [-1 if told is None else told for told in (c.count, c.restarts, c.latest, row.device_id)]
    return (c.time, *told)


def _worked_out(
    datastream_id: int,
    step: timedelta,
    readings: Sequence[Count],
    bearers: Mapping[datetime, int],
    unread: Mapping[datetime, int],
) -> list[tuple[int, ObservationRow]]:
    """(position of the row that carries it, observation) for every interval that changed."""
    found: dict[datetime, tuple[int, ObservationRow]] = {}
    for position, after in enumerate(readings):
        before = readings[position - 1] if position else None
        bearer = bearers.get(after.slot, None if before is None else bearers.get(before.slot))
        if bearer is None:
            continue
        for i in between(before, after, step):
            row = ObservationRow(datastream_id, i.time, i.value, i.quality, i.reason, derived=True)
            found[i.time] = (bearer, row)
    for slot, n in unread.items():
        if not _covered(readings, slot):
            missing = ObservationRow(datastream_id, slot, None, Quality.MISSING, Reason.SENSOR, derived=True)
            found[slot] = (n, missing)
    return [found[time] for time in sorted(found)]


def _covered(readings: Sequence[Count], slot: datetime) -> bool:
    """Whether the readings tell of this interval, although one message could not read the counter at its end."""
    after = next((n for n, reading in enumerate(readings) if reading.slot >= slot), None)
    if after is None:
        return False
    if after > 0 and connected(readings[after - 1], readings[after]):
        return True
    return readings[after].slot == slot and readings[after].latest is not None


def _readings(conn: Connection, touched: Iterable[_Key]) -> dict[int, list[Count]]:
    """Of each datastream the readings of what was touched, with one before and one after it, oldest first."""
    stretches: dict[int, tuple[datetime, datetime]] = {}
    for datastream_id, slot in touched:
        first, last = stretches.get(datastream_id, (slot, slot))
        stretches[datastream_id] = (min(first, slot), max(last, slot))
    found: dict[int, list[Count]] = {datastream_id: [] for datastream_id in sorted(stretches)}
    asked = [
        (datastream_id, first, last, first - LONGEST_GAP, last + LONGEST_GAP)
        for datastream_id, (first, last) in stretches.items()
    ]
    for datastream_id, *reading in conn.execute(
        """
        select asked.id, r.*
        from unnest(%s::integer[], %s::timestamptz[], %s::timestamptz[], %s::timestamptz[], %s::timestamptz[])
             as asked (id, first, last, oldest, newest)
        cross join lateral (
            select slot, device_id, count, restarts, latest, modulus, scale, doubtful from counter_reading
            where datastream_id = asked.id
              and slot >= coalesce((select max(slot) from counter_reading
                                    where datastream_id = asked.id and slot < first and slot >= oldest), first)
              and slot <= coalesce((select min(slot) from counter_reading
                                    where datastream_id = asked.id and slot > last and slot <= newest), last)
        ) r
        order by asked.id, slot
        """,
        transposed(asked, 5),
    ):
        found[datastream_id].append(Count(*reading))
    return found
