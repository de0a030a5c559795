"""The gate of the days: provisional -> checked -> confirmed. Nothing leaves before a day is confirmed.

    versions(conn, spot_ids, first, last)   what stands of days that somebody has looked at
    Looked.version_of(day)                  provisional again where the day's number is another one now
    check, confirm                          days as they were seen: one that has changed meanwhile is not taken
    send_back                               by a person, with a reason
    settle(conn, town, first, last, now)    writes down which days have gone back by themselves, and why (worker)
    history(conn, spot_id, day)             who, when, which number

A day is kept as it was when it was looked at (number, raw count, completeness, state, method). Late data, a correction,
a period, a calibration or another method change its number: then the day counts as provisional from this moment on,
whoever reads it, and `settle` writes both numbers and the reason into its history.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal, Protocol

from psycopg.rows import class_row

from store import Connection

Version = Literal["provisional", "checked", "confirmed"]
Why = Literal["late", "corrected", "period", "estimate", "factor", "method", "person"]
LONGEST_NOTE = 300


class Day(Protocol):
    """What the gate needs of a `SpotDay`."""

    @property
    def day(self) -> date: ...
    @property
    def visitors(self) -> int | None: ...
    @property
    def raw(self) -> int | None: ...
    @property
    def low(self) -> float | None: ...
    @property
    def high(self) -> float | None: ...
    @property
    def completeness(self) -> float: ...
    @property
    def state(self) -> str: ...
    @property
    def method(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Looked:
    """A day as it was when it was looked at."""

    spot_id: int
    day: date
    version: Version
    visitors: int | None
    raw: int | None
    completeness: float
    state: str
    method: str
    checked_at: datetime
    checked_by: str
    confirmed_at: datetime | None
    confirmed_by: str | None

    def version_of(self, now: Day) -> Version:
        return "provisional" if self.changed(now) else self.version

    def changed(self, now: Day) -> Why | None:
        """Why the day is another one now; None where it is the same."""
        if self.method != str(now.method):
            return "method"
        if (self.visitors, self.state) == (now.visitors, now.state):
            return None
        if self.raw != now.raw:
            return "corrected" if abs(self.completeness - now.completeness) < 1e-3 else "late"
        if "estimated" in (self.state, now.state):
            return "estimate"
        return "factor" if abs(self.completeness - now.completeness) < 1e-3 else "period"


@dataclass(frozen=True, slots=True)
class Said:
    """One line of a day's history. `by` None: it went back by itself."""

    event: Literal["checked", "confirmed", "sent_back"]
    visitors: int | None
    visitors_before: int | None
    why: Why | None
    note: str
    said_at: datetime
    by: str | None


@dataclass(frozen=True, slots=True)
class Person:
    """Who looks, and when (town time)."""

    municipality_id: int
    user_id: int
    at: datetime


def versions(conn: Connection, spot_ids: Iterable[int], first: date, last: date) -> dict[tuple[int, date], Looked]:
    """The days that somebody has looked at, by spot and day."""
    with conn.cursor(row_factory=class_row(Looked)) as cursor:
        return {
            (each.spot_id, each.day): each
            for each in cursor.execute(
                """
                select c.spot_id, c.day, c.version, c.visitors, c.raw, c.completeness, c.state, c.method, c.checked_at,
                       a.display_name as checked_by, c.confirmed_at, b.display_name as confirmed_by
                from day_check c join app_user a on a.user_id = c.checked_by
                left join app_user b on b.user_id = c.confirmed_by
                where c.spot_id = any(%s) and c.day >= %s and c.day <= %s
                """,
                (list(spot_ids), first, last),
            )
        }


def check(conn: Connection, person: Person, spot_id: int, days: Sequence[Day], note: str = "") -> None:
    """These days were looked at, with these numbers; what had been looked at with others has gone back first."""
    settle(conn, person.municipality_id, {spot_id: days}, person.at)
    for day in days:
        conn.execute(
            """
            insert into day_check (municipality_id, spot_id, day, version, visitors, raw, low, high, completeness,
                                   state, method, checked_at, checked_by)
            values (%s, %s, %s, 'checked', %s, %s, %s, %s, %s, %s, %s, %s, %s)
            on conflict (spot_id, day) do update set (version, visitors, raw, low, high, completeness, state, method,
                                                      checked_at, checked_by, confirmed_at, confirmed_by)
                = (excluded.version, excluded.visitors, excluded.raw, excluded.low, excluded.high,
                   excluded.completeness, excluded.state, excluded.method, excluded.checked_at, excluded.checked_by,
                   null, null)
            """,
            (
                *(person.municipality_id, spot_id, day.day, day.visitors, day.raw, day.low, day.high),
                *(day.completeness, day.state, str(day.method), person.at, person.user_id),
            ),
        )
        _write(conn, person, spot_id, day.day, "checked", day.visitors, note)


def confirm(conn: Connection, person: Person, spot_id: int, days: Sequence[Day], note: str = "") -> int:
    """These checked days are final; how many there were. A day whose number has changed since is not among them."""
    looked = versions(conn, [spot_id], min(d.day for d in days), max(d.day for d in days)) if days else {}
    n = 0
    for day in days:
        there = looked.get((spot_id, day.day))
        if there is None or there.version_of(day) != "checked":
            continue
        conn.execute(
            """
            update day_check set version = 'confirmed', confirmed_at = %s, confirmed_by = %s
            where spot_id = %s and day = %s and version = 'checked'
            """,
            (person.at, person.user_id, spot_id, day.day),
        )
        _write(conn, person, spot_id, day.day, "confirmed", day.visitors, note)
        n += 1
    return n


def send_back(conn: Connection, person: Person, spot_id: int, day: date, note: str) -> bool:
    """Somebody doubts a day that was looked at; whether there was one. `note`: why."""
    row = conn.execute(
        "delete from day_check where spot_id = %s and day = %s returning visitors", (spot_id, day)
    ).fetchone()
    if row is not None:
        _write(conn, person, spot_id, day, "sent_back", row[0], note, before=row[0], why="person")
    return row is not None


def settle(conn: Connection, municipality_id: int, now: Mapping[int, Sequence[Day]], at: datetime) -> int:
    """Sends back the days whose numbers are others now; how many. `now`: by spot, the days as they are."""
    n = 0
    for spot_id, days in now.items():
        looked = versions(conn, [spot_id], min(d.day for d in days), max(d.day for d in days)) if days else {}
        for day in days:
            there = looked.get((spot_id, day.day))
            why = None if there is None else there.changed(day)
            if there is None or why is None:
                continue
            conn.execute("delete from day_check where spot_id = %s and day = %s", (spot_id, day.day))
            conn.execute(
                """
                insert into day_check_said (municipality_id, spot_id, day, event, visitors, visitors_before, why,
                                            said_at)
                values (%s, %s, %s, 'sent_back', %s, %s, %s, %s)
                """,
                (municipality_id, spot_id, day.day, day.visitors, there.visitors, why, at),
            )
            n += 1
    return n


def history(conn: Connection, spot_id: int, first: date, last: date) -> dict[date, list[Said]]:
    """What was said of the days first..last, newest first."""
    found: dict[date, list[Said]] = {}
    for day, *said in conn.execute(
        """
        select s.day, s.event, s.visitors, s.visitors_before, s.why, s.note, s.said_at, u.display_name
        from day_check_said s left join app_user u using (user_id)
        where s.spot_id = %s and s.day >= %s and s.day <= %s order by s.day_check_said_id desc
        """,
        (spot_id, first, last),
    ):
        found.setdefault(day, []).append(Said(*said))
    return found


def _write(
    conn: Connection,
    person: Person,
    spot_id: int,
    day: date,
    event: str,
    visitors: int | None,
    note: str,
    before: int | None = None,
    why: Why | None = None,
) -> None:
    conn.execute(
        """
        insert into day_check_said (municipality_id, spot_id, day, event, visitors, visitors_before, why, note, said_at,
                                    user_id)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
        """,
        (person.municipality_id, spot_id, day, event, visitors, before, why, note, person.at, person.user_id),
    )
