"""Whether a town works out and shows its disaster desk what its rivers may do (internal_forecast): who said so, when,
and what the 地方気象台 had replied. Append-only; the newest entry holds, and without one it is off.

    switch_now(conn, town) -> Switch | None        entries(conn, town) -> newest first
    switch_on(conn, town, asked, on_wall=, now=, user_id=)       switch_off(conn, town, now=, user_id=)

気象業務法 第17条 wants a permission of whoever tells others what a flood will do, and it is not settled whether a page
inside a town hall does that. So nobody switches it on without having asked. For the worker, and within one municipality
for the API's role.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from store.connection import Connection
from store.errors import RegistrationError

MOST = {"office": 60, "person": 60, "reply": 1000}  # characters


@dataclass(frozen=True, slots=True)
class Asked:
    """Who of which office replied what, and on which day."""

    office: str
    person: str
    asked_on: date
    reply: str


@dataclass(frozen=True, slots=True)
class Switch:
    """One entry. `asked` None: it was switched off. `by` None: somebody with the command line."""

    shown: bool
    on_wall: bool
    asked: Asked | None
    at: datetime
    by: str | None


def entries(conn: Connection, municipality_id: int, most: int | None = None) -> list[Switch]:
    """What was said of it, the newest first."""
    rows = conn.execute(
        """
        select w.shown, w.on_wall, w.office, w.person, w.asked_on, w.reply, w.at, u.display_name
        from internal_forecast_switch w left join app_user u using (user_id)
        where w.municipality_id = %s order by w.internal_forecast_switch_id desc limit %s
        """,
        (municipality_id, most),
    )
    return [
        Switch(shown, wall, Asked(office, person, day, reply) if shown else None, at, by)
        for shown, wall, office, person, day, reply, at, by in rows
    ]


def switch_now(conn: Connection, municipality_id: int) -> Switch | None:
    """The entry that holds; None where nobody has ever switched it."""
    return next(iter(entries(conn, municipality_id, 1)), None)


def switch_on(
    conn: Connection,
    municipality_id: int,
    asked: Asked,
    *,
    on_wall: bool,
    now: datetime,
    today: date,
    user_id: int | None,
) -> None:
    """From now on. Raises RegistrationError naming the field: office, person, asked_on, reply."""
    said: dict[str, Any] = {}
    for name, most in MOST.items():
        text = str(getattr(asked, name)).replace("\x00", "").strip()
        if not text or len(text) > most:
            raise RegistrationError(name, f"{name}: 1 to {most} characters")
        said[name] = text
    if asked.asked_on > today:
        raise RegistrationError("asked_on", "asked_on: a day that has been")
    conn.execute(
        """
        insert into internal_forecast_switch
            (municipality_id, shown, on_wall, office, person, asked_on, reply, at, user_id)
        values (%(town)s, true, %(wall)s, %(office)s, %(person)s, %(day)s, %(reply)s, %(at)s, %(user)s)
        """,
        said | {"town": municipality_id, "wall": on_wall, "day": asked.asked_on, "at": now, "user": user_id},
    )


def switch_off(conn: Connection, municipality_id: int, *, now: datetime, user_id: int | None) -> None:
    """At once: the next page that is opened has nothing of it."""
    conn.execute(
        "insert into internal_forecast_switch (municipality_id, shown, at, user_id) values (%s, false, %s, %s)",
        (municipality_id, now, user_id),
    )
