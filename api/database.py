"""The API's database: a small pool, and one transaction for one municipality at a time.

The role mimamori_api owns nothing. What it may see follows from the setting `mimamori.municipality_id`, which
`transaction` makes for exactly one transaction; without it every tenant's table is empty. Requests run in
threads (plain `def` endpoints); nothing here may be called from the event loop.

A page route reads like this::

    @router.get("/disaster")
    @access(READERS, page=True)
    def disaster(visit: SignedIn) -> Response:
        with visit.transaction() as conn:
            rows = conn.execute("select code, name from station").fetchall()
        ...

`conn` is a `store.connection.Connection`: psycopg 3, tuples, UTC; for other rows open a cursor,
`conn.cursor(row_factory=class_row(Station))`. The transaction commits when the block ends and rolls back
when it raises; close the block before rendering.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg_pool import ConnectionPool

from devices.clock import Clock
from store.connection import Connection
from store.town_clock import load_clock

# Half of the time of a page is planning, as long as its statements are not prepared; a pool is asked the same again.
PREPARE_AFTER = 1
_CLOCK_SECONDS = 5.0
# A request waits this long for a connection: then 503, not a hanging page.
_PATIENCE_SECONDS = 5.0


class Database:
    """The pool of one API process. `open` before use, `close` at the end; both idempotent."""

    def __init__(self, dsn: str, *, size: int) -> None:
        self.dsn = dsn
        self._pool: ConnectionPool[psycopg.Connection[tuple[Any, ...]]] = ConnectionPool(
            dsn,
            min_size=1,
            max_size=size,
            open=False,
            check=ConnectionPool.check_connection,
            kwargs={
                "application_name": "mimamori api",
                "options": "-c timezone=UTC -c statement_timeout=15s",
                "connect_timeout": 10,
                "prepare_threshold": PREPARE_AFTER,
            },
        )
        self._clock: tuple[float, Clock] | None = None

    def open(self) -> None:
        """Starts connecting in the background: the server starts also while the database does not."""
        self._pool.open(wait=False)

    def close(self) -> None:
        self._pool.close(timeout=2.0)

    @contextmanager
    def transaction(self, municipality_id: int | None, *, patience: float = _PATIENCE_SECONDS) -> Iterator[Connection]:
        """One transaction in which exactly this municipality's rows exist; None sees no tenant's rows.

        `patience` is how many seconds to wait for a connection. Raises `psycopg_pool.PoolTimeout` or
        `psycopg.OperationalError` when the database is out of reach.
        """
        with self._pool.connection(timeout=patience) as conn:
            if municipality_id is not None:
                enter_municipality(conn, municipality_id)
            yield conn

    def clock(self) -> Clock:
        """The town clock, read anew every few seconds. Raises `store.errors.ClockNotSet`."""
        held = self._clock
        if held is None or time.monotonic() - held[0] > _CLOCK_SECONDS:
            with self.transaction(None) as conn:
                held = (time.monotonic(), load_clock(conn))
            self._clock = held
        return held[1]


def enter_municipality(conn: Connection, municipality_id: int) -> None:
    """Makes the running transaction one of this municipality; ends with the transaction."""
    conn.execute("select set_config('mimamori.municipality_id', %s, true)", (str(municipality_id),))
