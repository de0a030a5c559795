"""Who is told: from what an alert is about, the roster and the time to people and the ways to them. No I/O.

    ladder(roster, about, at, channels) -> steps; step 0 is told at once, each further one when nobody has answered

A group is told of what it watches: a desk's alerts, of one station only where it says so, from a level on where it
says so. A rule that staff wrote has no level but a severity, and the group says from which one on it is told; what has
neither (a finding, silence) is told to a group that names no level. Of a group the person on duty is told at once, with
the group's equipment; then the substitute; last everybody of all groups that watch this, by every way there is. Where
nobody is named for a shift, or the one who is cannot be reached, the whole group is told at once: a gap in the roster
must never mean that nobody is told. Equipment has no turn: a lamp answers nobody.

A person is told by the first of their contacts that this installation has a channel for; the others stand behind it
(`alerts.fallback`), except in the last step, which uses all at once. An empty ladder means that nobody is configured.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

Part = Literal["day", "night"]

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Contact:
    """One way to a person: a channel's name and an address as that channel wants it."""

    contact_id: int
    channel: str
    address: str


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody, with their contacts in the order of preference. `equipment` is told and never answers."""

    person_id: int
    name: str
    contacts: tuple[Contact, ...] = ()
    equipment: bool = False


@dataclass(frozen=True, slots=True)
class Watch:
    """What a group is told of; None: of every station, of every level (and what has none), of every severity."""

    desk: str
    station_id: int | None = None
    least_level: int | None = None
    least_severity: int | None = None


@dataclass(frozen=True, slots=True)
class Duty:
    """Whose turn a shift is."""

    person_id: int
    substitute_id: int | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """People who take turns. Day is from `day_starts` to `day_ends`, local; the night of a date ends on the next
    morning. `members` are persons' ids.
    """

    group_id: int
    name: str
    members: tuple[int, ...] = ()
    watches: tuple[Watch, ...] = ()
    duties: Mapping[tuple[date, Part], Duty] = field(default_factory=dict)
    day_starts: time = time(8, 30)
    day_ends: time = time(17, 15)
    answer_within: timedelta = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Roster:
    """Everybody of a municipality."""

    zone: ZoneInfo
    persons: Mapping[int, Person] = field(default_factory=dict)
    groups: tuple[Group, ...] = ()


@dataclass(frozen=True, slots=True)
class About:
    """What is to be told: the desk whose alert it is, its station (None: it has none), its highest level so far, and of
    a rule that staff wrote the severity (3 act at once, 2 act, 1 look at it). `group_id`: the one group that is told
    instead of those that watch, as the list of an event; where it is gone or empty those that watch are.
    """

    desk: str
    station_id: int | None = None
    level: int | None = None
    severity: int | None = None
    group_id: int | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """One person and the contacts that are used at once."""

    person: Person
    contacts: tuple[Contact, ...]


def shift_of(group: Group, at: datetime, zone: ZoneInfo) -> tuple[date, Part]:
    """The shift of a group at a time.

    >>> from datetime import UTC
    >>> shift_of(Group(1, "防災"), datetime(2026, 6, 1, 20, tzinfo=UTC), ZoneInfo("Asia/Tokyo"))
    (datetime.date(2026, 6, 1), 'night')
    """
    local = at.astimezone(zone)
    if local.time() < group.day_starts:
        return local.date() - _DAY, "night"
    return local.date(), "day" if local.time() < group.day_ends else "night"


def watching(roster: Roster, about: About) -> tuple[Group, ...]:
    """The groups that are told of this."""
    own = tuple(group for group in roster.groups if group.group_id == about.group_id and group.members)
    if own:
        return own
    return tuple(group for group in roster.groups if any(_told(watch, about) for watch in group.watches))


def ladder(roster: Roster, about: About, at: datetime, channels: Collection[str]) -> tuple[tuple[Call, ...], ...]:
    """The steps, none of them empty; a person who is on an earlier step is not on the next one, but on the last."""
    groups = watching(roster, about)
    first: list[int] = []
    second: list[int] = []
    for group in groups:
        duty = group.duties.get(shift_of(group, at, roster.zone))
        named = [] if duty is None else [duty.person_id, duty.substitute_id]
        turns = [each for each in named if each is not None and _answers(roster, each, channels)]
        if turns:
            first += [turns[0], *_equipment(roster, group)]
            second += turns[1:]
        else:
            first += group.members
    everybody = [*first, *second, *(member for group in groups for member in group.members)]
    steps = [
        _calls(roster, first, channels),
        _calls(roster, [each for each in second if each not in first], channels),
        _calls(roster, everybody, channels, together=True) if first or second else (),
    ]
    return tuple(step for step in steps if step)


def merged(calls: Sequence[Call], roster: Roster, also: Sequence[int], channels: Collection[str]) -> tuple[Call, ...]:
    """The calls, and behind them one to each of these persons who is not among them."""
    there = {call.person.person_id for call in calls}
    return (*calls, *_calls(roster, [each for each in also if each not in there], channels))


def answer_within(groups: Sequence[Group]) -> timedelta:
    """How long those who were called have to answer: the shortest of what their groups say."""
    return min((group.answer_within for group in groups), default=timedelta(minutes=5))


def _told(watch: Watch, about: About) -> bool:
    if watch.desk != about.desk or watch.station_id not in (None, about.station_id):
        return False
    if about.severity is not None:
        return watch.least_severity is None or about.severity >= watch.least_severity
    return watch.least_level is None or (about.level is not None and about.level >= watch.least_level)


def _answers(roster: Roster, person_id: int, channels: Collection[str]) -> bool:
    """Whether this is a person, and can be reached."""
    return bool(_ways(roster, person_id, channels)) and not roster.persons[person_id].equipment


def _ways(roster: Roster, person_id: int, channels: Collection[str]) -> tuple[Contact, ...]:
    person = roster.persons.get(person_id)
    return () if person is None else tuple(each for each in person.contacts if each.channel in channels)


def _equipment(roster: Roster, group: Group) -> list[int]:
    return [each for each in group.members if each in roster.persons and roster.persons[each].equipment]


def _calls(
    roster: Roster, person_ids: Sequence[int], channels: Collection[str], *, together: bool = False
) -> tuple[Call, ...]:
    calls = []
    for person_id in dict.fromkeys(person_ids):
        ways = _ways(roster, person_id, channels)
        if ways:
            person = roster.persons[person_id]
            calls.append(Call(person, ways if together or person.equipment else ways[:1]))
    return tuple(calls)
