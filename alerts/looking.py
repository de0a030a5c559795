"""What is looked for again and again beside the evaluator: each in a loop with a connection of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable

import psycopg
import structlog

from store import Connection, connect

_RECONNECT_SECONDS = 2.0

log = structlog.get_logger(__name__)


def look_again(
    dsn: str, stop: threading.Event, *, name: str, look: Callable[[Connection], object], seconds: float
) -> None:
    """Calls `look` in a transaction of its own, commits and waits so many seconds, until `stop` is set; reconnects to
    the database for as long as that takes.
    """
    while not stop.is_set():
        try:
            with connect(dsn, name=name) as conn:
                while not stop.is_set():
                    look(conn)
                    conn.commit()
                    stop.wait(seconds)
        except psycopg.OperationalError as error:
            log.warning("database_lost", consumer=name, error=str(error).strip())
            stop.wait(_RECONNECT_SECONDS)
