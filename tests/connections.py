"""Connections that stay open until the test ends, for who asks often: one a database, role and thread.

To open one costs ten milliseconds of processor and more, as each learns the catalogue anew; a test that waits for
something to be in a table asks a hundred times a second.
"""

from __future__ import annotations

import select
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg

from store import Connection, connect

_open: dict[tuple[str, int], Connection] = {}


@contextmanager
def kept(dsn: str) -> Iterator[Connection]:
    """A transaction, as `with connect(dsn, name="test")` is one. A connection that the server has ended meanwhile is
    made again. Statements are not prepared: a test may change what a table looks like.
    """
    key = dsn, threading.get_ident()
    conn = _open.get(key)
    if conn is None or _ended(conn):
        conn = _open[key] = connect(dsn, name="test")
        conn.prepare_threshold = None
    try:
        yield conn
        conn.commit()
    except BaseException:
        with suppress(psycopg.Error):
            conn.rollback()
        raise


def _ended(conn: Connection) -> bool:
    # Nobody speaks to an idle one but a server that takes its leave.
    if not conn.closed and select.select([conn], [], [], 0)[0]:
        conn.close()
    return conn.closed


def close_all() -> None:
    """At the end of a test."""
    while _open:
        _open.popitem()[1].close()
