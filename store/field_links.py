"""The personal link by which somebody without an account reports from the field.

    make(conn, town, person_id=, shelters=, days=, user_id=) -> token      told once; only its SHA-256 is kept
    find(conn, town, token) -> Holder | None            None: unknown, over, revoked, or the person left
    revoke(conn, town, field_link_id, user_id=)
    links(conn, town) -> [FieldLink], those in force first

All times are real time, as those of the answer links: a link ends by the clock on the wall also where the town's is
simulated.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from devices.clock import real_now
from store.connection import Connection
from store.errors import RecordError

LONGEST = 400  # days
SHOWN = 200


@dataclass(frozen=True, slots=True)
class Holder:
    """Whose link it is. `shelters`: may say how the shelters are."""

    field_link_id: int
    person_id: int
    person: str
    shelters: bool
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class FieldLink:
    """A link as those who made it see it. `used_at`: when something last came by it."""

    field_link_id: int
    person: str
    shelters: bool
    made_at: datetime
    made_by: str
    expires_at: datetime
    revoked_at: datetime | None
    revoked_by: str | None
    used_at: datetime | None
    person_left: bool
    in_force: bool


def token_hash(token: str) -> bytes:
    """What the database knows of a token."""
    return hashlib.sha256(token.encode()).digest()


def make(conn: Connection, municipality_id: int, *, person_id: int, shelters: bool, days: int, user_id: int) -> str:
    """A new link's token. Raises `RecordError` (`days`, `person`)."""
    if not 1 <= days <= LONGEST:
        raise RecordError("days", "unreadable")
    token, now = secrets.token_urlsafe(24), real_now()
    row = conn.execute(
        """
        insert into field_link (municipality_id, person_id, token_hash, shelters, made_at, made_by, expires_at)
        select municipality_id, person_id, %s, %s, %s, %s, %s from person
        where municipality_id = %s and person_id = %s and kind = 'person' and ended_at is null
        returning field_link_id
        """,
        (token_hash(token), shelters, now, user_id, now + timedelta(days=days), municipality_id, person_id),
    ).fetchone()
    if row is None:
        raise RecordError("person", "unknown")
    return token


def find(conn: Connection, municipality_id: int, token: str) -> Holder | None:
    """Who has this token of the municipality; None where it is of no use any more."""
    row = conn.execute(
        """
        select l.field_link_id, p.person_id, p.name, l.shelters, l.expires_at
        from field_link l join person p using (person_id)
        where l.municipality_id = %s and l.token_hash = %s and l.revoked_at is null and l.expires_at > %s
          and p.ended_at is null
        """,
        (municipality_id, token_hash(token), real_now()),
    ).fetchone()
    return None if row is None else Holder(*row)


def used(conn: Connection, field_link_id: int) -> None:
    """Notes that something came by it."""
    conn.execute("update field_link set used_at = %s where field_link_id = %s", (real_now(), field_link_id))


def revoke(conn: Connection, municipality_id: int, field_link_id: int, *, user_id: int) -> None:
    """Ends a link; one that is over stays as it is. Raises `RecordError` (`link`, `unknown`)."""
    row = conn.execute(
        """
        update field_link set revoked_at = coalesce(revoked_at, %s), revoked_by = coalesce(revoked_by, %s)
        where municipality_id = %s and field_link_id = %s returning field_link_id
        """,
        (real_now(), user_id, municipality_id, field_link_id),
    ).fetchone()
    if row is None:
        raise RecordError("link", "unknown")


def links(conn: Connection, municipality_id: int) -> list[FieldLink]:
    """The links of a town, those in force first, the newest first."""
    rows = conn.execute(
        """
        select l.field_link_id, p.name, l.shelters, l.made_at, m.display_name, l.expires_at, l.revoked_at,
               r.display_name, l.used_at, p.ended_at is not null,
               l.revoked_at is null and l.expires_at > %s and p.ended_at is null as in_force
        from field_link l
        join person p using (person_id)
        join app_user m on m.user_id = l.made_by
        left join app_user r on r.user_id = l.revoked_by
        where l.municipality_id = %s
        order by in_force desc, l.field_link_id desc limit %s
        """,
        (real_now(), municipality_id, SHOWN),
    )
    return [FieldLink(*row) for row in rows]
