"""The sources of the HTTP intake: who may bring messages for which municipality, in which network's JSON.

A source is made by the database's owner from the command line. Its secret is shown once and kept as a hash; whoever
lost it makes a new source. Revoking is for ever, but the name may be given again.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import datetime

from devices.clock import real_now
from devices.envelopes import POSTED_KINDS
from ingest.errors import SourceError
from store.connection import Connection
from store.registry import municipality_id_of

DEFAULT_PER_MINUTE = 6000
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
# Compared with where there is no such source, so that an unknown name takes as long as a wrong secret.
_NOBODYS = bytes(32)


@dataclass(frozen=True, slots=True)
class Source:
    """One source in use. `per_minute`: so many messages a minute, at once if need be, and no more."""

    source_id: int
    municipality_id: int
    name: str
    kind: str
    secret_hash: bytes
    per_minute: int


@dataclass(frozen=True, slots=True)
class SourceEntry:
    """One source as an operator sees it; `created_at` and `revoked_at` are real time, `last_message_at` town time."""

    name: str
    municipality: str
    kind: str
    per_minute: int
    created_at: datetime
    revoked_at: datetime | None
    last_message_at: datetime | None


def add_source(
    conn: Connection, *, name: str, kind: str, municipality: str, per_minute: int = DEFAULT_PER_MINUTE
) -> str:
    """Makes a source and returns its secret, which nobody can read again; the caller commits. `conn` is the owner's.

    Raises SourceError for a name that is taken or will not do, an unknown kind or municipality, or no messages at all.
    """
    if not _NAME.fullmatch(name):
        raise SourceError(f"the name {name!r} must be 1 to 40 characters out of a-z 0-9 -, as it is part of an address")
    if kind not in POSTED_KINDS:
        raise SourceError(f"there is no kind {kind!r}; use one of {', '.join(POSTED_KINDS)}")
    if not 1 <= per_minute <= 1_000_000:
        raise SourceError(f"{per_minute} messages a minute will not do: 1 to 1000000")
    municipality_id = municipality_id_of(conn, municipality)
    if municipality_id is None:
        raise SourceError(f"there is no municipality {municipality}; register the town first")
    secret = secrets.token_urlsafe(32)
    made = conn.execute(
        """
        insert into intake_source (municipality_id, name, kind, secret_hash, per_minute, created_at)
        values (%s, %s, %s, %s, %s, %s)
        on conflict (name) where revoked_at is null do nothing returning intake_source_id
        """,
        (municipality_id, name, kind, digest(secret), per_minute, real_now()),
    ).fetchone()
    if made is None:
        raise SourceError(f"there is a source {name} already; choose another name, or revoke that one first")
    return secret


def revoke_source(conn: Connection, name: str) -> None:
    """Ends a source; the caller commits. Raises SourceError where there is none of that name in use."""
    ended = conn.execute(
        "update intake_source set revoked_at = %s where name = %s and revoked_at is null returning 1",
        (real_now(), name),
    ).fetchone()
    if ended is None:
        raise SourceError(f"there is no source {name} in use; `mimamori intake list` shows those there are")


def list_sources(conn: Connection) -> list[SourceEntry]:
    """All sources there ever were, those in use first. `conn` is the owner's."""
    cursor = conn.execute(
        """
        select s.name, m.code, s.kind, s.per_minute, s.created_at, s.revoked_at, s.last_message_at
        from intake_source s join municipality m using (municipality_id)
        order by s.revoked_at is not null, m.code, s.name, s.created_at
        """
    )
    return [SourceEntry(*row) for row in cursor]


def load_sources(conn: Connection) -> dict[str, Source]:
    """The sources in use, by name."""
    cursor = conn.execute(
        "select intake_source_id, municipality_id, name, kind, secret_hash, per_minute from intake_source "
        "where revoked_at is null"
    )
    return {row[2]: Source(row[0], row[1], row[2], row[3], bytes(row[4]), row[5]) for row in cursor}


def has_secret(source: Source | None, given: str) -> bool:
    """Whether this is the source's secret, in a time that does not depend on it; never where there is no source."""
    same = hmac.compare_digest(digest(given), _NOBODYS if source is None else source.secret_hash)
    return same and source is not None


def digest(secret: str) -> bytes:
    """What is kept of a secret."""
    return hashlib.sha256(secret.encode(errors="replace")).digest()
