"""本部記録: what the disaster headquarters heard, saw and did, line by line. Corrections are kept.

    enter(conn, town, line, drill=, now=, user_id=) -> id
    correct(conn, town, id, seen=, line=, withdrawn=, now=, user_id=)
    lines(conn, town, since, until, drill=, revisions=) -> [Entry], oldest first
    revisions(conn, town, id) -> [Entry], the newest first

A line is never changed: a correction is its next revision, a withdrawal one that says so. Drills are another record.
All times are town time. Raises `RecordError`. Each writes in the caller's transaction; announcing it to the feed
(`store.feed.append_headquarters`, the last statement) is the caller's.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from store.connection import Connection
from store.errors import RecordError

MOST = {"who": 100, "place": 200, "text": 1000}  # characters
AHEAD = timedelta(minutes=1)  # a clock on the wall may be so much ahead of the town's


class Source(StrEnum):
    """Where a line comes from."""

    PHONE = "phone"
    FIELD = "field"
    HEADQUARTERS = "headquarters"


@dataclass(frozen=True, slots=True)
class Line:
    """What is written down: when it was (aware), by which way it came, who, where, what. `who` and `place` may be
    empty.
    """

    at: datetime
    source: Source
    who: str
    place: str
    text: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One revision of a line. `newest`: the line says this now; `of` is how many revisions it has."""

    entry_id: int
    revision: int
    of: int
    drill: bool
    at: datetime
    source: Source
    who: str
    place: str
    text: str
    withdrawn: bool
    entered_at: datetime
    entered_by: str

    @property
    def newest(self) -> bool:
        return self.revision == self.of


def enter(conn: Connection, municipality_id: int, line: Line, *, drill: bool, now: datetime, user_id: int) -> int:
    """Writes a new line, and returns its id."""
    line = checked(line, now)
    row = conn.execute(
        """
        insert into headquarters_log (municipality_id, drill, at, source, who, place, text, entered_at, entered_by)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s) returning headquarters_log_id
        """,
        (municipality_id, drill, line.at, line.source, line.who, line.place, line.text, now, user_id),
    ).fetchone()
    assert row is not None
    return int(row[0])


def correct(
    conn: Connection,
    municipality_id: int,
    entry_id: int,
    *,
    seen: int,
    line: Line,
    withdrawn: bool = False,
    now: datetime,
    user_id: int,
) -> None:
    """Writes what a line says from now on. `seen` is the revision that the person had before them: when somebody else
    has corrected it since, nothing is written (`changed`).
    """
    line = checked(line, now)
    row = conn.execute(
        """
        insert into headquarters_log (headquarters_log_id, revision, municipality_id, drill, at, source, who, place,
                                      text, withdrawn, entered_at, entered_by)
        select headquarters_log_id, revision + 1, municipality_id, drill, %s, %s, %s, %s, %s, %s, %s, %s
        from headquarters_log where headquarters_log_id = %s and municipality_id = %s and revision = %s
        on conflict do nothing returning revision
        """,
        (
            line.at,
            line.source,
            line.who,
            line.place,
            line.text,
            withdrawn,
            now,
            user_id,
            entry_id,
            municipality_id,
            seen,
        ),
    ).fetchone()
    if row is None:
        raise RecordError("text", "changed" if revisions(conn, municipality_id, entry_id) else "unknown")


def checked(line: Line, now: datetime) -> Line:
    """The line as it is stored: no spaces around its texts, no line breaks in them. Raises `RecordError`."""
    texts = {name: clean(name, getattr(line, name), MOST[name]) for name in MOST}
    if not texts["text"]:
        raise RecordError("text", "empty")
    if line.at > now + AHEAD:
        raise RecordError("time", "future")
    return Line(line.at, line.source, texts["who"], texts["place"], texts["text"])


def clean(field: str, text: str, most: int) -> str:
    """A text of one line, at most so many characters long. Raises `RecordError`."""
    text = " ".join(text.replace("\x00", "").split())
    if len(text) > most:
        raise RecordError(field, "long")
    return text


def lines(
    conn: Connection,
    municipality_id: int,
    since: datetime,
    until: datetime,
    *,
    drill: bool,
    revisions: bool = False,
    limit: int | None = None,
) -> list[Entry]:
    """The lines with since <= at < until as they are now, oldest first; with `revisions` what they said before as well,
    each line's revisions together at the time it has now. `limit`: only the newest so many lines.
    """
    rows = conn.execute(
        """
        with found as (
            select newest.headquarters_log_id, newest.at as at_now, newest.revision as n
            from headquarters_log newest
            where newest.municipality_id = %(town)s and newest.drill = %(drill)s
              and newest.at >= %(since)s and newest.at < %(until)s
              and not exists (select from headquarters_log later
                              where later.headquarters_log_id = newest.headquarters_log_id
                                and later.revision > newest.revision)
            order by newest.at desc, newest.headquarters_log_id desc limit %(limit)s
        )
        select l.headquarters_log_id, l.revision, found.n, l.drill, l.at, l.source, coalesce(l.who, ''),
               coalesce(l.place, ''), l.text, l.withdrawn, l.entered_at, u.display_name
        from found join headquarters_log l using (headquarters_log_id)
        join app_user u on u.user_id = l.entered_by
        where %(revisions)s or l.revision = found.n
        order by found.at_now, l.headquarters_log_id, l.revision
        """,
        {
            "town": municipality_id,
            "drill": drill,
            "since": since,
            "until": until,
            "revisions": revisions,
            "limit": limit,
        },
    )
    return [_entry(row) for row in rows]


def revisions(conn: Connection, municipality_id: int, entry_id: int) -> list[Entry]:
    """What a line says now and what it said before, the newest first; empty where there is no such line."""
    rows = conn.execute(
        """
        select l.headquarters_log_id, l.revision, max(l.revision) over (), l.drill, l.at, l.source, coalesce(l.who, ''),
               coalesce(l.place, ''), l.text, l.withdrawn, l.entered_at, u.display_name
        from headquarters_log l join app_user u on u.user_id = l.entered_by
        where l.municipality_id = %s and l.headquarters_log_id = %s order by l.revision desc
        """,
        (municipality_id, entry_id),
    )
    return [_entry(row) for row in rows]


def _entry(row: tuple[object, ...]) -> Entry:
    values = list(row)
    values[5] = Source(str(values[5]))
    return Entry(*values)  # type: ignore[arg-type]  # the columns in the order of the fields
