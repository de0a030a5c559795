"""Connections: one way to open one, so that every session has the same time zone and says who it is."""

from __future__ import annotations

from typing import Any

import psycopg

Connection = psycopg.Connection[tuple[Any, ...]]


# A server whose machine or cable has gone says nothing: without these a waiting client would believe in it for hours.
# Idle, it is asked after 10 s, three times; what was sent and not confirmed counts for 25 s.
_VANISHED: dict[str, Any] = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
}


def connect(dsn: str, *, name: str, autocommit: bool = False) -> Connection:
    """Opens a connection in UTC whose `application_name` is `name`, as operators see it in pg_stat_activity.

    Raises `psycopg.OperationalError` when the server cannot be reached.
    """
    return psycopg.connect(
        dsn,
        autocommit=autocommit,
        application_name=f"mimamori {name}",
        options="-c timezone=UTC",
        connect_timeout=10,
        **_VANISHED,
    )
