"""The personal link by which somebody without an account reports from the field (`store.links`).

make(conn, town, person_id=, shelters=, days=, user_id=) -> token      told once; only its SHA-256 is kept
find(conn, town, token) -> Holder | None            None: unknown, over, revoked, or the person left
links(conn, town) -> [FieldLink], those in force first
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from psycopg.sql import SQL

from store.connection import Connection
from store.errors import RecordError
from store.links import ALIVE, Kind, Link, alive, listed, new_secret


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
    """A link as those who made it see it."""

    link: Link
    shelters: bool


def make(conn: Connection, municipality_id: int, *, person_id: int, shelters: bool, days: int, user_id: int) -> str:
    """A new link's token. Raises `RecordError` (`days`, `person`)."""
    made = new_secret(days)
    row = conn.execute(
        """
        insert into field_link (municipality_id, person_id, token_hash, shelters, made_at, made_by, expires_at)
        select municipality_id, person_id, %s, %s, %s, %s, %s from person
        where municipality_id = %s and person_id = %s and kind = 'person' and ended_at is null
        returning field_link_id
        """,
        (made.digest, shelters, made.made_at, user_id, made.expires_at, municipality_id, person_id),
    ).fetchone()
    if row is None:
        raise RecordError("person", "unknown")
    return made.token


def find(conn: Connection, municipality_id: int, token: str) -> Holder | None:
    """Who has this token of the municipality; None where it is of no use any more."""
    row = conn.execute(
        SQL(
            """
            select l.field_link_id, p.person_id, p.name, l.shelters, l.expires_at
            from field_link l join person p using (person_id) where {alive} and p.ended_at is null
            """
        ).format(alive=ALIVE),
        alive(municipality_id, token),
    ).fetchone()
    return None if row is None else Holder(*row)


def links(conn: Connection, municipality_id: int) -> list[FieldLink]:
    """The links of a town, those in force first, the newest first."""
    return [
        FieldLink(*row)
        for row in listed(
            *(conn, Kind.FIELD, municipality_id),
            holder=SQL("p.name"),
            left=SQL("p.ended_at is not null"),
            own=SQL("l.shelters"),
            joins=SQL("join person p using (person_id)"),
        )
    ]
