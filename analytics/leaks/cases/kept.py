"""What results that somebody keeps with a leak case have in common: they can be taken back, and stay.

    take_back(conn, table, town, case_id, id, text, now=, user_id=)     RecordError: empty, long, changed

Nothing else of them changes, by the database's own rights.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from psycopg.sql import SQL, Identifier

from store.connection import Connection
from store.errors import RecordError
from store.headquarters import clean

MOST_TEXT = 300
AGAINST = 0.2  # a smaller share of a result on the case's pipes contradicts it

Table = Literal["leak_correlation", "leak_step_test"]


def take_back(
    conn: Connection,
    table: Table,
    municipality_id: int,
    case_id: int,
    number: int,
    text: str,
    *,
    now: datetime,
    user_id: int,
) -> None:
    """Raises `RecordError`: `empty` without a reason, `changed` where it does not stand."""
    reason = clean("text", text, MOST_TEXT)
    if not reason:
        raise RecordError("text", "empty")
    if not conn.execute(
        SQL(
            """
            update {} set withdrawn_at = %s, withdrawn_by = %s, withdrawn_text = %s
            where municipality_id = %s and leak_case_id = %s and {} = %s and withdrawn_at is null
            """
        ).format(Identifier(table), Identifier(f"{table}_id")),
        (now, user_id, reason, municipality_id, case_id, number),
    ).rowcount:
        raise RecordError("kind", "changed")
