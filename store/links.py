"""Links with a secret, for somebody without an account: what all of them have in common. Whose a link is, and what it
is for, is its kind's: `store.field_links` (reports from the field), `store.count_links` (the staff of a spot).

    new_secret(days) -> Secret             told once; only its SHA-256 is kept
    ALIVE, alive(town, token)              the condition of the link `l` that a token is of, while it is of use
    used(conn, kind, id)                   something came by it
    revoke(conn, kind, town, id, user_id=)
    listed(conn, kind, town, ...) -> [(Link, *own)], those in force first

All times are real time: a link ends by the clock on the wall also where the town's is simulated.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from psycopg.sql import SQL, Identifier

from devices.clock import real_now
from store.connection import Connection
from store.errors import RecordError

LONGEST = 400  # days
SHOWN = 200

ALIVE = SQL(
    "l.municipality_id = %(town)s and l.token_hash = %(hash)s and l.revoked_at is null and l.expires_at > %(real)s"
)


class Kind(StrEnum):
    """What a link is for: the begin of its address, and of the name of its table."""

    FIELD = "field"
    COUNT = "count"

    @property
    def table(self) -> Identifier:
        return Identifier(f"{self}_link")

    @property
    def key(self) -> Identifier:
        return Identifier(f"{self}_link_id")


@dataclass(frozen=True, slots=True)
class Secret:
    """A new link: `token` is told to its holder, `digest` is kept."""

    token: str
    digest: bytes
    made_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Link:
    """A link as those who made it see it. `holder`: who has it, in words; `left`: it was for somebody who is no contact
    any more; `used_at`: when something last came by it; `revoked_by` None: nobody has revoked it.
    """

    link_id: int
    holder: str
    made_at: datetime
    made_by: str
    expires_at: datetime
    revoked_at: datetime | None
    revoked_by: str | None
    used_at: datetime | None
    left: bool
    in_force: bool


def token_hash(token: str) -> bytes:
    """What the database knows of a token."""
    return hashlib.sha256(token.encode()).digest()


def new_token() -> str:
    """192 bits that nobody guesses, in 32 letters of an address."""
    return secrets.token_urlsafe(24)


def new_secret(days: int) -> Secret:
    """For so many days from now on. Raises `RecordError` (`days`)."""
    if not 1 <= days <= LONGEST:
        raise RecordError("days", "unreadable")
    token, now = new_token(), real_now()
    return Secret(token, token_hash(token), now, now + timedelta(days=days))


def alive(municipality_id: int, token: str) -> dict[str, Any]:
    """The values of `ALIVE`."""
    return {"town": municipality_id, "hash": token_hash(token), "real": real_now()}


def used(conn: Connection, kind: Kind, link_id: int) -> None:
    """Notes that something came by it."""
    conn.execute(
        SQL("update {table} set used_at = %s where {key} = %s").format(table=kind.table, key=kind.key),
        (real_now(), link_id),
    )


def revoke(conn: Connection, kind: Kind, municipality_id: int, link_id: int, *, user_id: int) -> None:
    """Ends a link; one that is over stays as it is. Raises `RecordError` (`link`, `unknown`)."""
    row = conn.execute(
        SQL(
            """
            update {table} set revoked_at = coalesce(revoked_at, %s), revoked_by = coalesce(revoked_by, %s)
            where municipality_id = %s and {key} = %s returning {key}
            """
        ).format(table=kind.table, key=kind.key),
        (real_now(), user_id, municipality_id, link_id),
    ).fetchone()
    if row is None:
        raise RecordError("link", "unknown")


def listed(
    conn: Connection, kind: Kind, municipality_id: int, *, holder: SQL, left: SQL, own: SQL, joins: SQL
) -> list[tuple[Any, ...]]:
    """The links of a town, those in force first, the newest first, each with the columns `own` of its kind. In
    `holder`, `left` and `own` the link is `l`, and `joins` says what else there is.
    """
    rows = conn.execute(
        SQL(
            """
            select l.{key}, {holder}, l.made_at, m.display_name, l.expires_at, l.revoked_at, r.display_name, l.used_at,
                   {left}, l.revoked_at is null and l.expires_at > %s and not {left} as in_force, {own}
            from {table} l {joins}
            join app_user m on m.user_id = l.made_by
            left join app_user r on r.user_id = l.revoked_by
            where l.municipality_id = %s
            order by in_force desc, l.{key} desc limit %s
            """
        ).format(table=kind.table, key=kind.key, holder=holder, left=left, own=own, joins=joins),
        (real_now(), municipality_id, SHOWN),
    )
    return [(Link(*row[:10]), *row[10:]) for row in rows]
