"""Reads the people of a municipality: contacts, groups, what they watch, and whose turn it is. SQL for everybody.

`mimamori_worker` reads all municipalities, `mimamori_api` its own; both get what is in use, and of the duty roster the
days round a given one.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from alerts.calling import Contact, Duty, Group, Part, Person, Roster, Watch
from alerts.channels import Channel, LogChannel
from store import Connection

_DAYS = timedelta(days=2)


def channels(conn: Connection) -> frozenset[str]:
    """The names of the ways out that this installation has."""
    return frozenset(row[0] for row in conn.execute("select name from delivery_channel"))


def announce(conn: Connection, ways: Iterable[Channel]) -> None:
    """Says which ways out there are, in place of what was said before: the pages offer them, and only they are used.
    The log is none: it reaches nobody. The caller commits.
    """
    conn.execute("delete from delivery_channel")
    for way in ways:
        if not isinstance(way, LogChannel):
            conn.execute(
                "insert into delivery_channel (name, kind, public_key) values (%s, %s, %s)",
                (way.name, way.kind, getattr(way, "public_key", None)),
            )


def load_roster(conn: Connection, municipality_id: int, day: date, days: timedelta = _DAYS) -> Roster:
    """Everybody, and the turns of the days from `day` - `days` to `day` + `days`."""
    town = {"town": municipality_id, "from": day - days, "to": day + days}
    row = conn.execute("select timezone from municipality where municipality_id = %(town)s", town).fetchone()
    assert row is not None, f"municipality {municipality_id} is not registered"
    contacts: dict[int, list[Contact]] = {}
    for person_id, *contact in conn.execute(
        "select person_id, contact_id, channel, address from contact "
        "where municipality_id = %(town)s and ended_at is null and gone_at is null "
        "order by person_id, position, contact_id",
        town,
    ):
        contacts.setdefault(person_id, []).append(Contact(*contact))
    persons = {
        person_id: Person(person_id, name, tuple(contacts.get(person_id, ())), kind == "equipment")
        for person_id, name, kind in conn.execute(
            "select person_id, name, kind from person where municipality_id = %(town)s and ended_at is null "
            "order by person_id",
            town,
        )
    }
    members: dict[int, list[int]] = {}
    for group_id, person_id in conn.execute(
        "select group_id, person_id from group_member where municipality_id = %(town)s order by group_id, person_id",
        town,
    ):
        members.setdefault(group_id, []).append(person_id)
    watches: dict[int, list[Watch]] = {}
    for group_id, *watch in conn.execute(
        "select group_id, desk, station_id, least_level, least_severity from group_watch "
        "where municipality_id = %(town)s order by group_watch_id",
        town,
    ):
        watches.setdefault(group_id, []).append(Watch(*watch))
    duties: dict[int, dict[tuple[date, Part], Duty]] = {}
    for group_id, on, part, person_id, substitute_id in conn.execute(
        "select group_id, day, part, person_id, substitute_id from duty "
        "where municipality_id = %(town)s and day between %(from)s and %(to)s",
        town,
    ):
        duties.setdefault(group_id, {})[on, part] = Duty(person_id, substitute_id)
    groups = tuple(
        Group(
            group_id,
            name,
            tuple(each for each in members.get(group_id, ()) if each in persons),
            tuple(watches.get(group_id, ())),
            duties.get(group_id, {}),
            *times,
        )
        for group_id, name, *times in conn.execute(
            "select group_id, name, day_starts, day_ends, answer_within from call_group "
            "where municipality_id = %(town)s and ended_at is null order by group_id",
            town,
        )
    )
    return Roster(ZoneInfo(row[0]), persons, groups)
