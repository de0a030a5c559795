"""Counts by hand of less than a day, or of an event: hours of a spot, and gatherings with a name, from and to.

    put_parts(conn, town, station, kind, parts, ...) -> Outcome    all of them, or none where one has changed meanwhile
    arrived(conn, town, station, kind, parts, key)                 whether this very entry came before
    held_parts(conn, station, kind, start, end)                    what holds, by (name, from, to)
    part_history(conn, station, kind, start, end)                  who entered what, newest first
    gatherings_at(conn, town, codes, start, end)                   the events that were counted at some spots
    usual_hours(conn, station, before, zone)                       what an hour of the day usually has there

延べ in town time. They stand beside the day's total and are never added to it by themselves: a person who wants the sum
of the hours for the day says so.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from statistics import median
from uuid import UUID
from zoneinfo import ZoneInfo

from psycopg.rows import class_row

from store.connection import Connection

FEWEST_HOURS = 3  # fewer days say nothing of an hour
LOOK_BACK = timedelta(days=56)


class Kind(StrEnum):
    HOUR = "hour"
    EVENT = "event"


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch and what was counted in it, None takes it back. `seen`: the value that the person saw there."""

    name: str
    start: datetime
    end: datetime
    value: int | None
    seen: int | None = None


@dataclass(frozen=True, slots=True)
class HeldPart:
    """What holds of a stretch, and who entered it."""

    part_entry_id: int
    name: str
    start: datetime
    end: datetime
    value: int
    entered_at: datetime
    entered_by: str
    note: str


@dataclass(frozen=True, slots=True)
class PartEntry:
    """One line of the history; `value` None took the stretch back, `replaced` is what stood there before."""

    name: str
    start: datetime
    end: datetime
    value: int | None
    replaced: int | None
    entered_at: datetime
    entered_by: str
    note: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """How many stretches were new or changed. `meanwhile`: those where another value stands than was seen; then nothing
    was stored.
    """

    stored: int = 0
    corrected: int = 0
    meanwhile: tuple[Part, ...] = ()

    @property
    def word(self) -> str:
        """As `analytics.visitors.manual.Entered` says it."""
        if self.meanwhile:
            return "meanwhile"
        return "corrected" if self.corrected else "stored" if self.stored else "unchanged"


def put_parts(
    conn: Connection,
    municipality_id: int,
    station_id: int,
    kind: Kind,
    parts: Sequence[Part],
    *,
    at: datetime,
    user_id: int,
    note: str,
    key: UUID | None,
) -> Outcome:
    """Stores the stretches; what is there already stays as it is. `key` names what was sent together."""
    conn.execute("select pg_advisory_xact_lock(hashtext('parts'), %s)", (station_id,))
    if not parts:
        return Outcome()
    held = {
        (each.name, each.start, each.end): each.value
        for each in held_parts(conn, station_id, kind, min(p.start for p in parts), max(p.end for p in parts))
    }
    before = [held.get((part.name, part.start, part.end)) for part in parts]
    changes = [(part, old) for part, old in zip(parts, before, strict=True) if part.value != old]
    late = tuple(part for part, old in changes if part.seen != old)
    if late:
        return Outcome(meanwhile=late)
    for part, old in changes:
        conn.execute(
            """
            insert into part_entry (municipality_id, station_id, kind, name, from_time, to_time, value, replaced,
                                    entered_at, entered_by, note, client_key)
            values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
            """,
            (
                municipality_id,
                station_id,
                kind,
                part.name,
                part.start,
                part.end,
                part.value,
                old,
                at,
                user_id,
                note,
                key,
            ),
        )
    corrected = sum(old is not None for _, old in changes)
    return Outcome(len(changes) - corrected, corrected)


def arrived(
    conn: Connection, municipality_id: int, station_id: int, kind: Kind, parts: Sequence[Part], key: UUID | None
) -> bool:
    """Whether something came under this key, and nothing but what comes now: then there is nothing to be done."""
    if key is None:
        return False
    rows = conn.execute(
        """
        select station_id, kind, name, from_time, to_time, value from part_entry
        where municipality_id = %s and client_key = %s
        """,
        (municipality_id, key),
    ).fetchall()
    now = {(station_id, kind.value, part.name, part.start, part.end, part.value) for part in parts}
    return bool(rows) and set(rows) <= now


def held_parts(conn: Connection, station_id: int, kind: Kind, start: datetime, end: datetime) -> tuple[HeldPart, ...]:
    """What holds of the stretches that touch start..end, oldest first."""
    with conn.cursor(row_factory=class_row(HeldPart)) as cursor:
        return tuple(
            cursor.execute(
                """
                select * from (
                    select distinct on (e.name, e.from_time, e.to_time) e.part_entry_id, e.name, e.from_time as start,
                           e.to_time as end, e.value, e.entered_at, u.display_name as entered_by, e.note
                    from part_entry e join app_user u on u.user_id = e.entered_by
                    where e.station_id = %s and e.kind = %s and e.to_time > %s and e.from_time < %s
                    order by e.name, e.from_time, e.to_time, e.part_entry_id desc
                ) newest
                where value is not null order by start, name
                """,
                (station_id, kind, start, end),
            )
        )


@dataclass(frozen=True, slots=True)
class Gathering:
    """An event that somebody counted by hand, and at which spot."""

    code: str
    spot: str
    spot_en: str
    held: HeldPart


def gatherings_at(
    conn: Connection, municipality_id: int, codes: Sequence[str] | None, start: datetime, end: datetime
) -> list[Gathering]:
    """What holds of the events that touch start..end at the spots of these codes (None: of the whole town), oldest
    first.
    """
    spots = conn.execute(
        """
        select s.station_id, s.code, s.name, s.name_en from station s
        where s.municipality_id = %(town)s and (%(codes)s::text[] is null or s.code = any(%(codes)s))
          and exists (select from part_entry e where e.station_id = s.station_id and e.kind = 'event'
                      and e.to_time > %(start)s and e.from_time < %(end)s)
        """,
        {"town": municipality_id, "codes": None if codes is None else list(codes), "start": start, "end": end},
    ).fetchall()
    found = [
        Gathering(code, name, name_en, held)
        for station_id, code, name, name_en in spots
        for held in held_parts(conn, station_id, Kind.EVENT, start, end)
    ]
    return sorted(found, key=lambda each: (each.held.start, each.code, each.held.name))


def part_history(
    conn: Connection, station_id: int, kind: Kind, start: datetime, end: datetime, most: int = 50
) -> tuple[PartEntry, ...]:
    """What was entered for the stretches that touch start..end, newest first."""
    with conn.cursor(row_factory=class_row(PartEntry)) as cursor:
        return tuple(
            cursor.execute(
                """
                select e.name, e.from_time as start, e.to_time as end, e.value, e.replaced, e.entered_at,
                       u.display_name as entered_by, e.note
                from part_entry e join app_user u on u.user_id = e.entered_by
                where e.station_id = %s and e.kind = %s and e.to_time > %s and e.from_time < %s
                order by e.part_entry_id desc limit %s
                """,
                (station_id, kind, start, end, most),
            )
        )


def usual_hours(conn: Connection, station_id: int, before: datetime, zone: ZoneInfo) -> dict[int, float]:
    """The median of what was entered for each hour of the day in the eight weeks before; hours with fewer than three
    days are left out.
    """
    values = defaultdict(list)
    for each in held_parts(conn, station_id, Kind.HOUR, before - LOOK_BACK, before):
        values[each.start.astimezone(zone).hour].append(each.value)
    return {hour: median(known) for hour, known in values.items() if len(known) >= FEWEST_HOURS}
