"""The people of the town, their contacts and groups, as the pages show them. SQL in the visit's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta

from alerts.reach import reach
from alerts.reach_words import gap_line
from api.errors import NotFound, Text
from api.pages.site import Moment
from store.connection import Connection


@dataclass(frozen=True, slots=True)
class ContactNow:
    """`usable`: this installation has that channel, and the other side still takes it; `gone`: it does not any more."""

    contact_id: int
    channel: str
    address: str
    verified_at: datetime | None
    usable: bool
    gone: bool


@dataclass(frozen=True, slots=True)
class PersonNow:
    """`groups`: the names of those that they are in. `user_id`: their account, for browsers of their own."""

    person_id: int
    name: str
    equipment: bool
    user_id: int | None = None
    contacts: list[ContactNow] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)

    @property
    def reachable(self) -> bool:
        return any(contact.usable for contact in self.contacts)


@dataclass(frozen=True, slots=True)
class WatchNow:
    """What a group is told of; `station` as (Japanese, English), None: every station of the desk. `least_severity` of
    the rules that staff wrote, None: all.
    """

    group_watch_id: int
    desk: str
    station: tuple[str, str] | None
    least_level: int | None
    least_severity: int | None


@dataclass(frozen=True, slots=True)
class GroupNow:
    """A group with its people, in the order of their names. `test_day`: of every month, at `test_hour`, a test message
    goes to everybody in it (`test_equipment`: and to its equipment); None: never.
    """

    group_id: int
    name: str
    day_starts: time
    day_ends: time
    answer_within: timedelta
    test_day: int | None
    test_hour: int
    test_equipment: bool
    members: list[PersonNow] = field(default_factory=list)
    watches: list[WatchNow] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Turn:
    """A shift, and who was named for it (ids)."""

    day: date
    part: str
    person_id: int | None
    substitute_id: int | None


def people_now(conn: Connection) -> list[PersonNow]:
    """Everybody who can be told."""
    people = {
        person_id: PersonNow(person_id, name, kind == "equipment", user_id)
        for person_id, name, kind, user_id in conn.execute(
            "select person_id, name, kind, user_id from person where ended_at is null "
            "order by kind desc, name, person_id"
        )
    }
    for person_id, *contact in conn.execute(
        """
        select person_id, contact_id, channel, address, verified_at, d.name is not null and gone_at is null,
               gone_at is not null
        from contact c left join delivery_channel d on d.name = c.channel
        where ended_at is null order by position, contact_id
        """
    ):
        if person_id in people:
            people[person_id].contacts.append(ContactNow(*contact))
    for person_id, name in conn.execute(
        "select person_id, g.name from group_member join call_group g using (group_id) "
        "where g.ended_at is null order by g.name"
    ):
        if person_id in people:
            people[person_id].groups.append(name)
    return list(people.values())


def groups_now(conn: Connection, people: Sequence[PersonNow]) -> list[GroupNow]:
    """The groups, with those of the people who are in them."""
    groups = {
        row[0]: GroupNow(*row)
        for row in conn.execute(
            "select group_id, name, day_starts, day_ends, answer_within, test_day, test_hour, test_equipment "
            "from call_group where ended_at is null order by name, group_id"
        )
    }
    within = set(conn.execute("select group_id, person_id from group_member").fetchall())
    for group in groups.values():
        group.members.extend(person for person in people if (group.group_id, person.person_id) in within)
    for group_id, watch_id, desk, least_level, least_severity, name, name_en in conn.execute(
        """
        select group_id, group_watch_id, desk, least_level, least_severity, s.name, s.name_en
        from group_watch left join station s using (station_id) order by group_watch_id
        """
    ):
        if group_id in groups:
            station = None if name is None else (name, name_en)
            groups[group_id].watches.append(WatchNow(watch_id, desk, station, least_level, least_severity))
    return list(groups.values())


def group_now(conn: Connection, group_id: int, people: Sequence[PersonNow]) -> GroupNow:
    """One group. NotFound where there is none."""
    for group in groups_now(conn, people):
        if group.group_id == group_id:
            return group
    raise NotFound(Text("そのような班はありません。", "There is no such group."))


def turns_now(conn: Connection, group_id: int, first: date, days: int) -> list[tuple[date, list[Turn]]]:
    """Each day with its day and its night, whether anybody is named or not."""
    named = {
        (day, part): (person_id, substitute_id)
        for day, part, person_id, substitute_id in conn.execute(
            "select day, part, person_id, substitute_id from duty where group_id = %s and day between %s and %s",
            (group_id, first, first + timedelta(days=days)),
        )
    }
    return [
        (day, [Turn(day, part, *named.get((day, part), (None, None))) for part in ("day", "night")])
        for day in (first + timedelta(days=n) for n in range(days))
    ]


def accounts_now(conn: Connection, municipality_id: int) -> list[tuple[int, str, str]]:
    """The accounts of the town: id, name, login."""
    return conn.execute(
        "select user_id, display_name, login from app_user where municipality_id = %s order by display_name, login",
        (municipality_id,),
    ).fetchall()


def channels_now(conn: Connection) -> dict[str, str]:
    """The ways out of this installation: name -> kind."""
    return dict(conn.execute("select name, kind from delivery_channel order by kind <> 'mail', name").fetchall())


def untold_now(conn: Connection, municipality_id: int, at: Moment, desk: str = "all") -> list[str] | None:
    """What would reach nobody in the coming day, a line each; None in a simulated town, which tells nobody anyway."""
    if at.clock.simulated:
        return None
    found = reach(conn, municipality_id, at.now, mail="mail" in channels_now(conn))
    return [gap_line(gap, found.zone, at.words.code) for gap in found.gaps if desk in ("all", gap.desk)]
