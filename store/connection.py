"""Connections: one way to open one, so that every session has the same time zone and says who it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg

Connection = psycopg.Connection[tuple[Any, ...]]


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
    )


def transposed(rows: Sequence[tuple[object, ...]], width: int) -> tuple[list[object], ...]:
    """Rows to columns, as unnest takes them."""
    return tuple([row[i] for row in rows] for i in range(width))
