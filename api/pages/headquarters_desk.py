"""What the disaster page says of its headquarters: the newest lines of today's record."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from api.pages.days import day_start
from store.connection import Connection
from store.headquarters import Entry, lines

SHOWN = 4


@dataclass(frozen=True, slots=True)
class Desk:
    """`lines`: of today and the night before, newest first; no drill and nothing withdrawn."""

    lines: tuple[Entry, ...]


def headquarters_desk(conn: Connection, municipality_id: int, now: datetime, zone: ZoneInfo) -> Desk:
    since = day_start(now.astimezone(zone).date(), zone) - timedelta(hours=12)
    found = lines(conn, municipality_id, since, now + timedelta(minutes=5), drill=False, limit=4 * SHOWN)
    return Desk(tuple([entry for entry in found if not entry.withdrawn][-SHOWN:][::-1]))
