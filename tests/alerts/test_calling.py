"""Who is told: whose turn it is, who stands in, and that a gap in the roster never means nobody."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.calling import About, Contact, Duty, Group, Person, Roster, Watch, ladder, shift_of, watching

ZONE = ZoneInfo("Asia/Tokyo")
DAY = date(2026, 6, 1)
NOON = datetime(2026, 6, 1, 12, tzinfo=ZONE)
NIGHT = datetime(2026, 6, 2, 3, 10, tzinfo=ZONE)  # of the shift that began on 6/1
ALL = frozenset({"mail", "line", "lamp"})
RIVER = About("disaster", 7, 4)


def person(number: int, *channels: str, equipment: bool = False) -> Person:
    ways = tuple(Contact(number * 10 + n, channel, f"{channel}-{number}") for n, channel in enumerate(channels))
    return Person(number, f"p{number}", ways, equipment)


PEOPLE = {
    1: person(1, "line", "mail"),
    2: person(2, "mail"),
    3: person(3, "mail", "line"),
    4: person(4),  # nobody has said how to reach them
    9: person(9, "lamp", equipment=True),
}
GROUP = Group(
    1,
    "防災当番",
    (1, 2, 3, 4, 9),
    (Watch("disaster"),),
    {(DAY, "day"): Duty(1, 2), (DAY, "night"): Duty(2, 3)},
)


def roster(*groups: Group) -> Roster:
    return Roster(ZONE, PEOPLE, groups or (GROUP,))


def told(found: Roster, at: datetime, about: About = RIVER, channels: frozenset[str] = ALL) -> list[list[str]]:
    """Each step as addresses."""
    return [[way.address for call in step for way in call.contacts] for step in ladder(found, about, at, channels)]


def test_the_one_on_duty_is_told_first_then_the_substitute_then_everybody_by_everything() -> None:
    everybody = ["line-1", "mail-1", "lamp-9", "mail-2", "mail-3", "line-3"]
    assert told(roster(), NOON) == [["line-1", "lamp-9"], ["mail-2"], everybody]
    at_night = told(roster(), NIGHT)
    assert at_night[:2] == [["mail-2", "lamp-9"], ["mail-3"]] and sorted(at_night[2]) == sorted(everybody)


@pytest.mark.parametrize(
    ("local", "shift"),
    [
        ("2026-06-01 08:29", (date(2026, 5, 31), "night")),
        ("2026-06-01 08:30", (DAY, "day")),
        ("2026-06-01 17:14", (DAY, "day")),
        ("2026-06-01 17:15", (DAY, "night")),
        ("2026-06-02 00:00", (DAY, "night")),
    ],
)
def test_a_night_belongs_to_the_day_on_which_it_began(local: str, shift: tuple[date, str]) -> None:
    at = datetime.fromisoformat(local).replace(tzinfo=ZONE).astimezone(UTC)
    assert shift_of(GROUP, at, ZONE) == shift


def test_where_nobody_is_named_the_whole_group_is_told_at_once() -> None:
    found = told(roster(), NOON + timedelta(days=3))
    assert found[0] == ["line-1", "mail-2", "mail-3", "lamp-9"]
    assert len(found) == 2


def test_who_cannot_be_reached_on_duty_is_stood_in_for() -> None:
    without = Group(1, "g", GROUP.members, GROUP.watches, {(DAY, "day"): Duty(4, 2)})
    assert told(roster(without), NOON)[0] == ["mail-2", "lamp-9"]
    nobody = Group(1, "g", GROUP.members, GROUP.watches, {(DAY, "day"): Duty(4)})
    assert told(roster(nobody), NOON)[0] == ["line-1", "mail-2", "mail-3", "lamp-9"]
    gone = Group(1, "g", GROUP.members, GROUP.watches, {(DAY, "day"): Duty(77, 2)})
    assert told(roster(gone), NOON)[0] == ["mail-2", "lamp-9"]


def test_a_lamp_has_no_turn() -> None:
    named = Group(1, "g", GROUP.members, GROUP.watches, {(DAY, "day"): Duty(9)})
    assert told(roster(named), NOON)[0] == ["line-1", "mail-2", "mail-3", "lamp-9"]
    behind = Group(1, "g", GROUP.members, GROUP.watches, {(DAY, "day"): Duty(9, 2)})
    assert told(roster(behind), NOON)[0] == ["mail-2", "lamp-9"]


def test_a_channel_that_this_installation_has_not_is_no_way() -> None:
    assert told(roster(), NOON, channels=frozenset({"mail"}))[0] == ["mail-1"]
    assert told(roster(), NOON, channels=frozenset()) == []


@pytest.mark.parametrize(
    ("watch", "about", "expected"),
    [
        (Watch("disaster"), About("disaster", 7, None), True),
        (Watch("disaster"), About("water", 7, None), False),
        (Watch("disaster", 7), About("disaster", 8, 5), False),
        (Watch("disaster", 7), About("disaster", 7, 1), True),
        (Watch("disaster", None, 3), About("disaster", 7, 2), False),
        (Watch("disaster", None, 3), About("disaster", 7, 3), True),
        (Watch("disaster", None, 3), About("disaster", 7, None), False),
        (Watch("digital"), About("digital"), True),
        # a rule of the staff has a severity and no level
        (Watch("disaster"), About("disaster", 7, severity=1), True),
        (Watch("disaster", None, 5), About("disaster", 7, severity=1), True),
        (Watch("disaster", None, None, 3), About("disaster", 7, severity=2), False),
        (Watch("disaster", None, None, 3), About("disaster", 7, severity=3), True),
        (Watch("disaster", None, None, 3), About("disaster", 7, 1), True),
        (Watch("disaster", 8, None, 1), About("disaster", 7, severity=3), False),
    ],
)
def test_a_group_is_told_of_what_it_watches(watch: Watch, about: About, expected: bool) -> None:
    assert bool(watching(roster(Group(1, "g", (1,), (watch,))), about)) is expected


def test_who_is_in_two_groups_is_told_once_a_step() -> None:
    second = Group(2, "町長", (1, 3), (Watch("disaster", None, 4),))
    assert told(roster(GROUP, second), NOON)[0] == ["line-1", "lamp-9", "mail-3"]


@given(
    members=st.lists(st.sampled_from([1, 2, 3, 4, 9]), unique=True),
    turns=st.none() | st.tuples(st.sampled_from([1, 2, 3, 4, 9, 77]), st.none() | st.sampled_from([1, 2, 3, 4])),
    channels=st.frozensets(st.sampled_from(sorted(ALL))),
)
def test_whenever_anybody_can_be_reached_somebody_is_told_at_once(
    members: list[int], turns: tuple[int, int | None] | None, channels: frozenset[str]
) -> None:
    duties = {} if turns is None else {(DAY, "day"): Duty(*turns)}
    found = told(roster(Group(1, "g", tuple(members), (Watch("disaster"),), duties)), NOON, channels=channels)
    named = [] if turns is None else [each for each in turns if each is not None and each != 9]  # a lamp has no turn
    reachable = [
        way.address
        for each in {*members, *named}
        if each in PEOPLE
        for way in PEOPLE[each].contacts
        if way.channel in channels
    ]
    assert bool(found) is bool(reachable)
    assert all(found) and all(len(step) == len(set(step)) for step in found)
    if found:
        assert set(found[-1]) == set(reachable)
