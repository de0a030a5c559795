"""What the disaster page says of its headquarters: orders in force, the staffing, the newest lines of the record."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from api.pages.days import day_start
from store.checklists import done_now, event_since, items, worst_open
from store.connection import Connection
from store.evacuation import EvacuationOrder, ResponseStage, current_evacuation, current_stage
from store.headquarters import Entry, lines

SHOWN = 4


@dataclass(frozen=True, slots=True)
class Desk:
    """`orders`: the gravest first; `stage` None where none was ever written down. `lines`: of today and the night
    before, newest first; no drill and nothing withdrawn. `left`: how many items of the checklist are not ticked, of the
    levels that an alert has reached (of all where only a stage is in force); None while nothing goes on.
    """

    orders: tuple[EvacuationOrder, ...]
    stage: ResponseStage | None
    lines: tuple[Entry, ...]
    left: int | None


def headquarters_desk(conn: Connection, municipality_id: int, now: datetime, zone: ZoneInfo) -> Desk:
    since = day_start(now.astimezone(zone).date(), zone) - timedelta(hours=12)
    found = lines(conn, municipality_id, since, now + timedelta(minutes=5), drill=False, limit=4 * SHOWN)
    return Desk(
        current_evacuation(conn, municipality_id, now),
        current_stage(conn, municipality_id, now),
        tuple([entry for entry in found if not entry.withdrawn][-SHOWN:][::-1]),
        _left(conn, municipality_id, now),
    )


def _left(conn: Connection, municipality_id: int, now: datetime) -> int | None:
    if event_since(conn, municipality_id, now, drill=False) is None:
        return None
    worst = worst_open(conn, municipality_id, drill=False) or 5
    ticked = done_now(conn, municipality_id, now, drill=False)
    return sum(item.level <= worst and item.item_id not in ticked for item in items(conn, municipality_id))
