"""The link by which the staff of a spot enter its daily totals: no account, one spot, an end.

    make(conn, town, station_id=, name=, days=, user_id=) -> token     told once; only its SHA-256 is kept
    find(conn, town, token, now) -> Holder | None                      None: unknown, over, revoked
    revoke(conn, town, count_link_id, user_id=)
    links(conn, town) -> [CountLink], those in force first

All times are real time, as those of every link (`store.field_links`); `now` alone is the town's.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from devices.clock import real_now
from store.connection import Connection
from store.errors import RecordError
from store.field_links import LONGEST, SHOWN, token_hash
from store.headquarters import clean

MOST_NAME = 100
MOST_AN_HOUR = 60  # entries by one link: a month of days, twice


@dataclass(frozen=True, slots=True)
class Holder:
    """What a link is for: the spot's code, and `name` for who has it. `tired`: too much came by it this hour."""

    count_link_id: int
    name: str
    spot: str
    expires_at: datetime
    tired: bool


@dataclass(frozen=True, slots=True)
class CountLink:
    """A link as the office sees it. `used_at`: when something last came by it; `entries`: how many days in all."""

    count_link_id: int
    name: str
    spot: str
    spot_en: str
    made_at: datetime
    made_by: str
    expires_at: datetime
    revoked_at: datetime | None
    revoked_by: str | None
    used_at: datetime | None
    entries: int
    in_force: bool


def make(conn: Connection, municipality_id: int, *, station_id: int, name: str, days: int, user_id: int) -> str:
    """A new link's token. Raises `RecordError` (`days`, `name`, `spot`)."""
    name = clean("name", name, MOST_NAME)
    if not name:
        raise RecordError("name", "empty")
    if not 1 <= days <= LONGEST:
        raise RecordError("days", "unreadable")
    token, now = secrets.token_urlsafe(24), real_now()
    row = conn.execute(
        """
        insert into count_link (municipality_id, station_id, name, token_hash, made_at, made_by, expires_at)
        select municipality_id, station_id, %s, %s, %s, %s, %s from station
        where municipality_id = %s and station_id = %s and kind = 'visitor_spot'
        returning count_link_id
        """,
        (name, token_hash(token), now, user_id, now + timedelta(days=days), municipality_id, station_id),
    ).fetchone()
    if row is None:
        raise RecordError("spot", "unknown")
    return token


def find(conn: Connection, municipality_id: int, token: str, now: datetime) -> Holder | None:
    """What this token of the municipality is for; None where it is of no use any more."""
    row = conn.execute(
        """
        select l.count_link_id, l.name, s.code, l.expires_at,
               (select count(*) from manual_entry m where m.count_link_id = l.count_link_id
                and m.entered_at > %(now)s - interval '1 h') >= %(most)s
        from count_link l join station s using (station_id)
        where l.municipality_id = %(town)s and l.token_hash = %(hash)s and l.revoked_at is null
          and l.expires_at > %(real)s
        """,
        {"now": now, "real": real_now(), "most": MOST_AN_HOUR, "town": municipality_id, "hash": token_hash(token)},
    ).fetchone()
    return None if row is None else Holder(*row)


def used(conn: Connection, count_link_id: int) -> None:
    """Notes that something came by it."""
    conn.execute("update count_link set used_at = %s where count_link_id = %s", (real_now(), count_link_id))


def revoke(conn: Connection, municipality_id: int, count_link_id: int, *, user_id: int) -> None:
    """Ends a link; one that is over stays as it is. Raises `RecordError` (`link`, `unknown`)."""
    row = conn.execute(
        """
        update count_link set revoked_at = coalesce(revoked_at, %s), revoked_by = coalesce(revoked_by, %s)
        where municipality_id = %s and count_link_id = %s returning count_link_id
        """,
        (real_now(), user_id, municipality_id, count_link_id),
    ).fetchone()
    if row is None:
        raise RecordError("link", "unknown")


def links(conn: Connection, municipality_id: int) -> list[CountLink]:
    """The links of a town, those in force first, the newest first."""
    rows = conn.execute(
        """
        select l.count_link_id, l.name, s.name, s.name_en, l.made_at, m.display_name, l.expires_at, l.revoked_at,
               r.display_name, l.used_at,
               (select count(*) from manual_entry e where e.count_link_id = l.count_link_id),
               l.revoked_at is null and l.expires_at > %s as in_force
        from count_link l
        join station s using (station_id)
        join app_user m on m.user_id = l.made_by
        left join app_user r on r.user_id = l.revoked_by
        where l.municipality_id = %s
        order by in_force desc, l.count_link_id desc limit %s
        """,
        (real_now(), municipality_id, SHOWN),
    )
    return [CountLink(*row) for row in rows]
