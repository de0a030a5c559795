"""行事: the town's calendar of what moves visitors - events, campaigns, closed roads, works, school holidays.

    put(conn, town, entry, now=, user_id=) -> id               a new one
    change(conn, town, id, seen=, entry=, withdrawn=, ...)     the next revision: what it says from now on
    events(conn, town, first, last) -> [LocalEvent]            what lies in these days, as it is now, by its first day
    event(conn, town, id), revisions(conn, town, id)

An entry is never changed: a change is its next revision, a withdrawal one that says so. Spots are named by their code.
All times are town time. Raises `RecordError`: `before`, `long_time`, `both` (a spot as its own control), beside the
codes of `store.errors`. Each writes in the caller's transaction; announcing it to the feed is the caller's
(`store.feed.append_headquarters`, the last statement).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any

from store.connection import Connection
from store.errors import RecordError
from store.headquarters import clean

MOST = {"name": 100, "note": 500}  # characters
LONGEST = timedelta(days=400)


class EventKind(StrEnum):
    """What it is."""

    EVENT = "event"
    CAMPAIGN = "campaign"
    CLOSURE = "closure"  # of a road
    WORKS = "works"
    SCHOOL_HOLIDAY = "school_holiday"


@dataclass(frozen=True, slots=True)
class Entry:
    """What is written down: from `first_day` to `last_day`, both included. `spots` (codes) are concerned, none: the
    whole town; `controls` are not. `uid`: of the calendar file that it came from.
    """

    kind: EventKind
    name: str
    first_day: date
    last_day: date
    spots: tuple[str, ...] = ()
    controls: tuple[str, ...] = ()
    note: str = ""
    uid: str | None = None


@dataclass(frozen=True, slots=True)
class LocalEvent:
    """One revision of an entry; `of` is how many there are."""

    event_id: int
    revision: int
    of: int
    entry: Entry
    withdrawn: bool
    entered_at: datetime
    entered_by: str


def checked(entry: Entry) -> Entry:
    """The entry as it is stored. Raises `RecordError`."""
    name, note = clean("name", entry.name, MOST["name"]), clean("note", entry.note, MOST["note"])
    if not name:
        raise RecordError("name", "empty")
    if entry.last_day < entry.first_day:
        raise RecordError("last_day", "before")
    if entry.last_day - entry.first_day > LONGEST:
        raise RecordError("last_day", "long_time")
    spots, controls = tuple(dict.fromkeys(entry.spots)), tuple(dict.fromkeys(entry.controls))
    if set(spots) & set(controls):
        raise RecordError("controls", "both")
    return Entry(entry.kind, name, entry.first_day, entry.last_day, spots, controls, note, entry.uid)


def put(conn: Connection, municipality_id: int, entry: Entry, *, now: datetime, user_id: int) -> int:
    """Writes a new entry, and returns its id."""
    entry = checked(entry)
    row = conn.execute(
        """
        insert into local_event (municipality_id, kind, name, first_day, last_day, spots, controls, note, uid,
                                 entered_at, entered_by)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) returning local_event_id
        """,
        (municipality_id, *_values(entry), now, user_id),
    ).fetchone()
    assert row is not None
    return int(row[0])


def change(
    conn: Connection,
    municipality_id: int,
    event_id: int,
    *,
    seen: int,
    entry: Entry,
    withdrawn: bool = False,
    now: datetime,
    user_id: int,
) -> None:
    """Writes what it says from now on. `seen` is the revision that the person had before them: when somebody else has
    changed it since, nothing is written (`changed`).
    """
    entry = checked(entry)
    row = conn.execute(
        """
        insert into local_event (local_event_id, revision, municipality_id, kind, name, first_day, last_day, spots,
                                 controls, note, uid, withdrawn, entered_at, entered_by)
        select local_event_id, revision + 1, municipality_id, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s
        from local_event where local_event_id = %s and municipality_id = %s and revision = %s
        on conflict do nothing returning revision
        """,
        (*_values(entry), withdrawn, now, user_id, event_id, municipality_id, seen),
    ).fetchone()
    if row is None:
        raise RecordError("name", "changed" if revisions(conn, municipality_id, event_id) else "unknown")


def take(conn: Connection, municipality_id: int, entry: Entry, *, now: datetime, user_id: int) -> str:
    """An entry out of a file: new, or the next revision of the one with its uid, else of the one of its kind with its
    name and first day. Returns added, changed or same.
    """
    entry = checked(entry)
    row = conn.execute(
        """
        select e.local_event_id from local_event e
        where e.municipality_id = %(town)s and not e.withdrawn and not exists (
            select from local_event n where n.local_event_id = e.local_event_id and n.revision > e.revision)
          and (e.uid = %(uid)s or e.kind = %(kind)s and e.name = %(name)s and e.first_day = %(first)s)
        order by e.uid is distinct from %(uid)s, e.local_event_id limit 1
        """,
        {
            "town": municipality_id,
            "uid": entry.uid,
            "kind": entry.kind,
            "name": entry.name,
            "first": entry.first_day,
        },
    ).fetchone()
    if row is None:
        put(conn, municipality_id, entry, now=now, user_id=user_id)
        return "added"
    before = revisions(conn, municipality_id, row[0])[0]
    # a file knows no control spots, and a calendar no spots: what people have chosen stays
    kept = Entry(
        before.entry.kind if entry.uid is not None else entry.kind,
        entry.name,
        entry.first_day,
        entry.last_day,
        entry.spots or before.entry.spots,
        tuple(each for each in before.entry.controls if each not in entry.spots),
        entry.note,
        before.entry.uid or entry.uid,
    )
    if kept == before.entry:
        return "same"
    change(conn, municipality_id, row[0], seen=before.revision, entry=kept, now=now, user_id=user_id)
    return "changed"


def events(conn: Connection, municipality_id: int, first: date, last: date) -> list[LocalEvent]:
    """What lies in these days, wholly or in part, as it is now; the earliest first."""
    rows = conn.execute(
        _EVENTS
        + """
        where e.municipality_id = %s and not e.withdrawn and e.first_day <= %s and e.last_day >= %s
          and not exists (select from local_event n
                          where n.local_event_id = e.local_event_id and n.revision > e.revision)
        order by e.first_day, e.last_day, e.local_event_id
        """,
        (municipality_id, last, first),
    )
    return [_event(row) for row in rows]


def event(conn: Connection, municipality_id: int, event_id: int) -> LocalEvent | None:
    """As it is now, withdrawn or not; None where there is none."""
    found = revisions(conn, municipality_id, event_id)
    return found[0] if found else None


def revisions(conn: Connection, municipality_id: int, event_id: int) -> list[LocalEvent]:
    """What it says now and what it said before, the newest first; empty where there is none."""
    rows = conn.execute(
        _EVENTS + "where e.municipality_id = %s and e.local_event_id = %s order by e.revision desc",
        (municipality_id, event_id),
    )
    return [_event(row) for row in rows]


def _values(entry: Entry) -> tuple[object, ...]:
    return (
        entry.kind,
        entry.name,
        entry.first_day,
        entry.last_day,
        list(entry.spots),
        list(entry.controls),
        entry.note,
        entry.uid,
    )


def _event(row: tuple[object, ...]) -> LocalEvent:
    event_id, revision, of, kind, name, first, last, own, beside, note, uid, *rest = row
    values: Any = (first, last, tuple(own), tuple(beside), note, uid)  # type: ignore[arg-type]  # arrays
    entry = Entry(EventKind(str(kind)), str(name), *values)
    return LocalEvent(event_id, revision, of, entry, *rest)  # type: ignore[arg-type]  # the columns of _EVENTS


_EVENTS = """
select e.local_event_id, e.revision,
       (select max(n.revision) from local_event n where n.local_event_id = e.local_event_id),
       e.kind, e.name, e.first_day, e.last_day, e.spots, e.controls, e.note, e.uid, e.withdrawn, e.entered_at,
       u.display_name
from local_event e join app_user u on u.user_id = e.entered_by
"""
