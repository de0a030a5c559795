"""The link by which the staff of a spot enter its daily totals: no account, one spot, an end (`store.links`).

    make(conn, town, station_id=, name=, days=, user_id=) -> token     told once; only its SHA-256 is kept
    find(conn, town, token, now) -> Holder | None                      None: unknown, over, revoked
    links(conn, town) -> [CountLink], those in force first

All times are real time, as those of every link; `now` alone is the town's.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from psycopg.sql import SQL

from store.connection import Connection
from store.errors import RecordError
from store.headquarters import clean
from store.links import ALIVE, Kind, Link, alive, listed, new_secret

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
    """A link as the office sees it. `entries`: how many days came by it in all."""

    link: Link
    spot: str
    spot_en: str
    entries: int


def make(conn: Connection, municipality_id: int, *, station_id: int, name: str, days: int, user_id: int) -> str:
    """A new link's token. Raises `RecordError` (`days`, `name`, `spot`)."""
    name = clean("name", name, MOST_NAME)
    if not name:
        raise RecordError("name", "empty")
    made = new_secret(days)
    row = conn.execute(
        """
        insert into count_link (municipality_id, station_id, name, token_hash, made_at, made_by, expires_at)
        select municipality_id, station_id, %s, %s, %s, %s, %s from station
        where municipality_id = %s and station_id = %s and kind = 'visitor_spot'
        returning count_link_id
        """,
        (name, made.digest, made.made_at, user_id, made.expires_at, municipality_id, station_id),
    ).fetchone()
    if row is None:
        raise RecordError("spot", "unknown")
    return made.token


def find(conn: Connection, municipality_id: int, token: str, now: datetime) -> Holder | None:
    """What this token of the municipality is for; None where it is of no use any more."""
    row = conn.execute(
        SQL(
            """
            select l.count_link_id, l.name, s.code, l.expires_at,
                   (select count(*) from manual_entry m where m.count_link_id = l.count_link_id
                    and m.entered_at > %(now)s - interval '1 h') >= %(most)s
            from count_link l join station s using (station_id) where {alive}
            """
        ).format(alive=ALIVE),
        {"now": now, "most": MOST_AN_HOUR, **alive(municipality_id, token)},
    ).fetchone()
    return None if row is None else Holder(*row)


def links(conn: Connection, municipality_id: int) -> list[CountLink]:
    """The links of a town, those in force first, the newest first."""
    return [
        CountLink(*row)
        for row in listed(
            *(conn, Kind.COUNT, municipality_id),
            holder=SQL("l.name"),
            left=SQL("false"),
            own=SQL(
                """
                s.name, s.name_en, (select count(*) from manual_entry e where e.count_link_id = l.count_link_id)
                """
            ),
            joins=SQL("join station s using (station_id)"),
        )
    ]
