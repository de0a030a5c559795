"""Old observations are compressed on TimescaleDB; what that asks of whoever writes into them stands here.

A compressed batch holds up to 1000 rows of one datastream, in the order of time. To change one of its rows the server
takes the whole batch apart, and by default it refuses to take apart more than 100,000 rows in one transaction. It takes
apart exactly the batch of a key for `insert ... on conflict (datastream_id, phenomenon_time) do update`, and none for
`do nothing`; but every batch of every compressed chunk for `update ... from`, and it locks no compressed row for
`select ... for update`. So rows that stand already are changed in one way only, on both engines: `hold`, look, then
insert over them.

    hold(conn, keys)                 nobody else changes these rows before our transaction ends
    steps(rows)                      a long write cut into transactions below the server's limit
    compress(conn, before)           the next chunk that ends by then: what maintenance calls
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from store.arrays import transposed
from store.connection import Connection

# As migration 0018 says them; docs/store.md has the measurements. Compressed chunks are merged up to the second.
CHUNK, MERGED = timedelta(days=41), timedelta(days=820)
BATCH_ROWS = 1000  # of one compressed batch at most: timescaledb.compression_batch_size_limit
# Rows that one transaction of a long write has taken apart at most; the server's own limit is 100,000.
STEP_ROWS = 50_000

Key = tuple[int, datetime]
_Row = TypeVar("_Row")
_MOST_KEYS = 20_000
_EPOCH = datetime(2000, 1, 3, tzinfo=UTC)


def hold(conn: Connection, keys: Sequence[Key]) -> None:
    """Locks the rows of these keys, those that there are, until the transaction ends; of compressed ones the batches.

    The server's limit is lifted for this transaction: its keys are the bound. A writer of many keys takes `steps`.
    """
    conn.execute("select observation_hold(%s::integer[], %s::timestamptz[])", transposed(sorted(keys), 2))


def steps(rows: Sequence[_Row], key: Callable[[_Row], Key], pace: Callable[[int], timedelta]) -> Iterator[list[_Row]]:
    """The rows in the order of their keys, cut so that each part touches batches of at most `STEP_ROWS` rows.

    `pace` is the usual time between observations of a datastream: a batch then reaches over `BATCH_ROWS` of it, or
    more. Rows of one key keep their order and stay together.
    """
    part: list[_Row] = []
    taken = 0
    before: tuple[int, int] | None = None
    last: Key | None = None
    for row in sorted(rows, key=key):
        datastream_id, time = last_key = key(row)
        window = (datastream_id, (time - _EPOCH) // (BATCH_ROWS * pace(datastream_id)))
        cost = 0 if window == before and part else BATCH_ROWS
        if part and last_key != last and (taken + cost > STEP_ROWS or len(part) >= _MOST_KEYS):
            yield part
            part, taken, cost = [], 0, BATCH_ROWS
        part.append(row)
        taken += cost
        before, last = window, last_key
    if part:
        yield part


def compress(conn: Connection, ended_before: datetime) -> str | None:
    """Compresses one chunk that ended by then, or compresses it again after late values; its name, None: nothing to do.

    It needs the chunk for itself: writers into that chunk wait, readers until its very end not.
    """
    row = conn.execute("select observation_compress(%s)", (ended_before,)).fetchone()
    assert row is not None
    return None if row[0] is None else str(row[0])
