"""避難所: which there are, and what was last said of each. Nothing is open or closed until somebody says so.

    put(conn, town, shelter, shelter_id=None, now=, user_id=) -> id       add, or change
    end(conn, town, id, now=)                                             takes it off the list; its words stay
    say(conn, town, id, author, word, drill=, now=)                       one word: state, crowding, people, note
    shelters(conn, town, drill=) -> [Shelter], by their reading           with the newest word; None: unknown
    words(conn, town, id, drill=) -> [Word], the newest first
    as_public(shelter) -> Shelter | None                                  with nothing in it that is staff's alone

Words are only added. A drill's are apart. All times are town time. Raises `RecordError`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import psycopg
from psycopg import sql

from store.connection import Connection
from store.errors import RecordError
from store.field_reports import Author
from store.headquarters import AHEAD, clean

STATES = ("preparing", "open", "full", "closed")
CROWDING = ("free", "some", "crowded", "full")
FIELDS = ("address", "place", "capacity", "access", "state", "crowding", "people", "note")
USUALLY_PUBLIC = ("address", "place", "capacity", "access", "state", "crowding")
MOST = {"name": 100, "kana": 100, "address": 200, "access": 300, "note": 200}  # characters
MOST_PEOPLE = 100_000


@dataclass(frozen=True, slots=True)
class Entry:
    """A shelter as the town lists it. `public`: what everybody may read of it beside its names (FIELDS)."""

    name: str
    kana: str = ""
    address: str = ""
    latitude: float | None = None
    longitude: float | None = None
    capacity: int | None = None
    access: str = ""
    public: tuple[str, ...] = USUALLY_PUBLIC


@dataclass(frozen=True, slots=True)
class Word:
    """What somebody said of a shelter: it was so at `at`. What is None was not said."""

    state: str | None
    crowding: str | None
    people: int | None
    note: str
    at: datetime
    by: str = ""


@dataclass(frozen=True, slots=True)
class Shelter:
    """A shelter with its newest word; `word` None: nobody has said anything."""

    shelter_id: int
    entry: Entry
    word: Word | None


def put(
    conn: Connection,
    municipality_id: int,
    entry: Entry,
    *,
    shelter_id: int | None = None,
    now: datetime,
    user_id: int,
) -> int:
    """Adds a shelter, or writes anew what the list says of one. Raises `RecordError`."""
    entry = checked(entry)
    values = {
        **{name: getattr(entry, name) for name in ("name", "kana", "address", "latitude", "longitude", "capacity")},
        "access": entry.access,
        "public": list(entry.public),
        "now": now,
        "user": user_id,
        "town": municipality_id,
        "id": shelter_id,
    }
    statement = (
        """
        insert into shelter (municipality_id, name, kana, address, latitude, longitude, capacity, access, public,
                             entered_at, entered_by)
        values (%(town)s, %(name)s, %(kana)s, %(address)s, %(latitude)s, %(longitude)s, %(capacity)s, %(access)s,
                %(public)s, %(now)s, %(user)s) returning shelter_id
        """
        if shelter_id is None
        else """
        update shelter set (name, kana, address, latitude, longitude, capacity, access, public, entered_at, entered_by)
            = (%(name)s, %(kana)s, %(address)s, %(latitude)s, %(longitude)s, %(capacity)s, %(access)s, %(public)s,
               %(now)s, %(user)s)
        where municipality_id = %(town)s and shelter_id = %(id)s and ended_at is null returning shelter_id
        """
    )
    try:
        with conn.transaction():
            row = conn.execute(statement, values).fetchone()
    except psycopg.errors.UniqueViolation:
        raise RecordError("name", "twice") from None
    if row is None:
        raise RecordError("name", "unknown")
    return int(row[0])


def checked(entry: Entry) -> Entry:
    """The entry as it is stored. Raises `RecordError`."""
    texts = {name: clean(name, getattr(entry, name), MOST[name]) for name in ("name", "kana", "address", "access")}
    if not texts["name"]:
        raise RecordError("name", "empty")
    if (entry.latitude is None) != (entry.longitude is None):
        raise RecordError("place", "number")
    if not (-90 <= (entry.latitude or 0) <= 90 and -180 <= (entry.longitude or 0) <= 180):
        raise RecordError("place", "number")
    if entry.capacity is not None and not 0 <= entry.capacity <= MOST_PEOPLE:
        raise RecordError("capacity", "number")
    public = tuple(name for name in FIELDS if name in entry.public)
    return replace(
        entry, name=texts["name"], kana=texts["kana"], address=texts["address"], access=texts["access"], public=public
    )


def end(conn: Connection, municipality_id: int, shelter_id: int, *, now: datetime) -> None:
    """Takes a shelter off the list."""
    conn.execute(
        "update shelter set ended_at = %s where municipality_id = %s and shelter_id = %s and ended_at is null",
        (now, municipality_id, shelter_id),
    )


def say(
    conn: Connection, municipality_id: int, shelter_id: int, author: Author, word: Word, *, drill: bool, now: datetime
) -> None:
    """Writes down what somebody said of a shelter. 満員 is a state and a degree of crowding: either says both. Raises
    `RecordError`.
    """
    state, crowding = word.state, word.crowding
    if state == "open" and crowding == "full":
        state = "full"
    elif state == "full":
        crowding = "full"
    if state not in STATES:
        raise RecordError("state", "empty")
    if crowding is not None and (crowding not in CROWDING or state not in ("open", "full")):
        raise RecordError("crowding", "order")
    if word.people is not None and not 0 <= word.people <= MOST_PEOPLE:
        raise RecordError("people", "number")
    if word.at > now + AHEAD:
        raise RecordError("time", "future")
    row = conn.execute(
        """
        insert into shelter_word (municipality_id, shelter_id, drill, state, crowding, people, note, at, entered_at,
                                  user_id, field_link_id)
        select municipality_id, shelter_id, %s, %s, %s, %s, %s, %s, %s, %s, %s from shelter
        where municipality_id = %s and shelter_id = %s and ended_at is null returning 1
        """,
        (
            drill,
            state,
            crowding,
            word.people,
            clean("note", word.note, MOST["note"]),
            min(word.at, now),
            now,
            author.user_id,
            author.field_link_id,
            municipality_id,
            shelter_id,
        ),
    ).fetchone()
    if row is None:
        raise RecordError("shelter", "unknown")


_WORD = sql.SQL("""
select w.state, w.crowding, w.people, w.note, w.at, coalesce(u.display_name, p.name) as by, w.shelter_word_id
from shelter_word w
left join app_user u on u.user_id = w.user_id
left join field_link l on l.field_link_id = w.field_link_id
left join person p on p.person_id = l.person_id
""")


def shelters(conn: Connection, municipality_id: int, *, drill: bool) -> list[Shelter]:
    """The shelters of the list, each with its newest word."""
    rows = conn.execute(
        sql.SQL(
            """
        select s.shelter_id, s.name, s.kana, s.address, s.latitude, s.longitude, s.capacity, s.access, s.public,
               last.state, last.crowding, last.people, last.note, last.at, last.by
        from shelter s
        left join lateral ({} where w.shelter_id = s.shelter_id and w.drill = %s
                           order by w.at desc, w.shelter_word_id desc limit 1) last on true
        where s.municipality_id = %s and s.ended_at is null
        order by coalesce(nullif(s.kana, ''), s.name), s.shelter_id
        """
        ).format(_WORD),
        (drill, municipality_id),
    )
    return [_shelter(row) for row in rows]


def _shelter(row: tuple[Any, ...]) -> Shelter:
    # the columns in the order of the fields
    entry = replace(Entry(*row[1:8]), public=tuple(row[8]))
    return Shelter(row[0], entry, None if row[9] is None else Word(*row[9:15]))


def words(conn: Connection, municipality_id: int, shelter_id: int, *, drill: bool, limit: int = 50) -> list[Word]:
    """What was said of a shelter, the newest first."""
    rows = conn.execute(
        sql.SQL(
            """
        {} where w.municipality_id = %s and w.shelter_id = %s and w.drill = %s
        order by w.at desc, w.shelter_word_id desc limit %s
        """
        ).format(_WORD),
        (municipality_id, shelter_id, drill, limit),
    )
    return [Word(*row[:6]) for row in rows]


def any_public(conn: Connection, municipality_id: int) -> bool:
    """Whether everybody may read anything of the list."""
    row = conn.execute(
        "select exists (select from shelter where municipality_id = %s and ended_at is null and public <> '{}')",
        (municipality_id,),
    ).fetchone()
    return row is not None and bool(row[0])


def as_public(shelter: Shelter) -> Shelter | None:
    """The shelter without what is staff's alone; None where all of it is. Who said something is never in it."""
    entry, word = shelter.entry, shelter.word
    shown = frozenset(entry.public)
    if not shown:
        return None
    told = None
    if word is not None and shown & {"state", "crowding", "people", "note"}:
        told = Word(
            word.state if "state" in shown else None,
            word.crowding if "crowding" in shown else None,
            word.people if "people" in shown else None,
            word.note if "note" in shown else "",
            word.at,
        )
    return Shelter(
        shelter.shelter_id,
        Entry(
            entry.name,
            entry.kana,
            entry.address if "address" in shown else "",
            entry.latitude if "place" in shown else None,
            entry.longitude if "place" in shown else None,
            entry.capacity if "capacity" in shown else None,
            entry.access if "access" in shown else "",
            entry.public,
        ),
        told,
    )
