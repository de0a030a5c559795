"""A job that works beside the feed's consumers, one process at a time.

    follow(dsn, name, turn, stop, rest=...)

It has no cursor: what is due follows from what is stored, so that gaps, restarts and fast clocks need no care. Of two
processes one does the work (an advisory lock by `name`, held until its session ends).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import psycopg
import structlog

from store import Connection, connect
from store.feed import LOOK_SECONDS, notified

log = structlog.get_logger(__name__)

_BACKOFF_SECONDS = 2.0


def follow(dsn: str, name: str, turn: Callable[[Connection], bool], stop: threading.Event, *, rest: float) -> None:
    """Takes a turn whenever there is something new, though no more than one in `rest` seconds; and at once where the
    last one says that there is more. Connections are in autocommit. Reconnects until `stop` is set.
    """
    while not stop.is_set():
        try:
            with connect(dsn, name=name, autocommit=True) as conn:
                conn.execute("listen feed")
                while not stop.is_set():
                    if not (_alone(conn, name) and turn(conn)):
                        stop.wait(rest)
                        notified(conn, stop, until=time.monotonic() + LOOK_SECONDS)
        except psycopg.OperationalError as error:
            log.warning("database_lost", consumer=name, error=str(error).strip(), retry_in_seconds=_BACKOFF_SECONDS)
            stop.wait(_BACKOFF_SECONDS)


def _alone(conn: Connection, name: str) -> bool:
    """Whether this session does the work; it holds the lock until it ends."""
    row = conn.execute(
        """
        select exists (select from pg_locks where locktype = 'advisory' and pid = pg_backend_pid() and granted)
               or pg_try_advisory_lock(hashtext(%s))
        """,
        (name,),
    ).fetchone()
    return row is not None and bool(row[0])
