"""A rule that is switched on and would reach nobody in the coming day is itself an alert."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.calling import About, Contact, Duty, Group, Person, Roster, Watch, ladder
from alerts.operation import Watch as OperationWatch
from alerts.reach import Reach, reach
from alerts.reach_words import DESKS, gap_line
from alerts.rules.condition import Body, Compare, Number, Reading, Series
from alerts.rules.reach import SPAN, Gap, Ruled, causes, unreached
from devices.clock import FixedClock
from devices.model import StationKind
from store import Connection, connect
from tests.alerts.gauge import Gauge
from tests.alerts.people import channels, group, person
from tests.alerts.test_written import write_rule
from tests.conftest import START, Registered

ZONE = ZoneInfo("Asia/Tokyo")
NOON = datetime(2026, 6, 1, 3, tzinfo=UTC)  # 12:00 local
DAY = date(2026, 6, 1)
BRIDGE = ("橋", "Bridge")
RIVER = Ruled("level", About("disaster", 7, 3), BRIDGE)
LAMP = Person(9, "回転灯", (Contact(90, "lamp", "x"),), equipment=True)
TANAKA = Person(1, "田中", (Contact(10, "line", "U"), Contact(11, "mail", "t@example.jp")))
NOBODY = Person(2, "鈴木")
PEOPLE = {each.person_id: each for each in (LAMP, TANAKA, NOBODY)}


EVERYTHING = Watch("disaster")


def roster(*members: int, watch: Watch = EVERYTHING, **fields: object) -> Roster:
    return Roster(ZONE, PEOPLE, (replace(Group(1, "当番", members, (watch,)), **fields),))  # type: ignore[arg-type]


def untold(found: Roster, *rules: Ruled, sections: tuple[str, ...] = (), ways: str = "mail") -> list[Gap]:
    return list(unreached(found, rules or (RIVER,), sections, {ways}, NOON))


# --- the rule ------------------------------------------------------------------------------------------------


def test_a_town_without_groups_is_well_where_its_sections_have_addresses_and_not_where_neither_exists() -> None:
    nothing = Roster(ZONE)
    assert untold(nothing, sections=("disaster",)) == []
    (gap,) = untold(nothing, sections=("water",))
    assert (gap.start, gap.end, gap.names, gap.levels) == (NOON, NOON + SPAN, (BRIDGE,), (3,))


def test_a_contact_of_a_channel_that_is_not_there_and_a_lamp_reach_nobody() -> None:
    assert untold(roster(1, 9)) == []
    assert len(untold(roster(1, 9), ways="lamp")) == 1
    assert len(untold(roster(2))) == 1
    assert len(untold(roster(9), ways="lamp")) == 1


def test_who_watches_another_station_or_only_higher_levels_is_not_told() -> None:
    assert untold(roster(1, watch=Watch("disaster", 7))) == []
    assert len(untold(roster(1, watch=Watch("disaster", 8)))) == 1
    assert untold(roster(1, watch=Watch("disaster", None, 3))) == []
    assert len(untold(roster(1, watch=Watch("disaster", None, 4)))) == 1
    # what has no level is for a group that names none
    silence = Ruled("silence", About("disaster", 7), BRIDGE)
    assert len(untold(roster(1, watch=Watch("disaster", None, 1)), silence)) == 1


@pytest.mark.parametrize(("severity", "least", "told"), [(3, 3, True), (2, 3, False), (1, None, True), (2, 2, True)])
def test_a_rule_of_the_staff_is_told_by_its_severity_and_not_by_levels(
    severity: int, least: int | None, told: bool
) -> None:
    rule = Ruled("written", About("disaster", 7, severity=severity), ("急な増水", "急な増水"))
    assert (untold(roster(1, watch=Watch("disaster", None, 5, least)), rule) == []) is told


def test_a_gap_in_a_shift_is_no_gap_as_long_as_somebody_of_the_group_can_be_told() -> None:
    """Whoever is named: a shift that nobody is named for, or a lamp, is the whole group's."""
    for duty in (Duty(2), Duty(9), Duty(77, 2)):
        assert untold(roster(1, 2, 9, duties={(DAY, "night"): duty})) == []


def test_who_is_on_duty_and_not_in_the_group_is_told_in_their_shift_only() -> None:
    (gap,) = untold(roster(2, duties={(DAY, "day"): Duty(1)}))
    assert (gap.start, gap.end) == (datetime(2026, 6, 1, 17, 15, tzinfo=ZONE), NOON + SPAN)
    first, second = untold(roster(2, duties={(DAY, "night"): Duty(1)}))
    assert (first.start, first.end) == (NOON, datetime(2026, 6, 1, 17, 15, tzinfo=ZONE))
    assert (second.start, second.end) == (datetime(2026, 6, 2, 8, 30, tzinfo=ZONE), NOON + SPAN)


@given(
    named=st.dictionaries(
        st.tuples(st.sampled_from([date(2026, 5, 31), DAY, date(2026, 6, 2)]), st.sampled_from(["day", "night"])),
        st.sampled_from([1, 2, 9, 77]),
    ),
    hours=st.integers(0, 47),
)
def test_it_says_what_the_calls_themselves_would_do_at_every_minute(
    named: dict[tuple[date, str], int], hours: int
) -> None:
    found = roster(2, 9, duties={shift: Duty(each) for shift, each in named.items()})
    now = NOON + timedelta(minutes=30 * hours)
    gaps = unreached(found, [RIVER], (), {"mail"}, now)
    for n in range(0, 24 * 60, 15):
        at = now + timedelta(minutes=n)
        steps = ladder(found, RIVER.about, at, {"mail"})
        told = bool(steps) and any(not call.person.equipment for call in steps[0])
        assert told is not any(gap.start <= at < gap.end for gap in gaps), at


def test_a_group_from_level_4_on_leaves_level_3_to_nobody_and_the_words_say_so() -> None:
    rules = [
        Ruled("level", About("disaster", station, level), (f"橋{station}", f"Bridge {station}"))
        for station in (7, 8)
        for level in (3, 4, 5)
    ]
    found = roster(1, watch=Watch("disaster", None, 4))
    (gap,) = untold(found, *rules)
    assert gap.levels == (3,) and len(gap.names) == 2
    assert causes(rules, [gap]) == ("rules_untold:disaster",)
    assert "レベル3相当、橋7、橋8" in gap_line(gap, ZONE, "ja") and "(level 3; Bridge 7" in gap_line(gap, ZONE, "en")
    both = Roster(ZONE, PEOPLE, (*found.groups, Group(2, "橋8", (1,), (Watch("disaster", 8),))))
    (gap,) = untold(both, *rules)
    assert gap.names == (("橋7", "Bridge 7"),)
    three, all_ = untold(roster(1, watch=Watch("disaster", 8, 4)), *rules)
    assert {(each.levels, each.names[0][0]) for each in (three, all_)} == {((3,), "橋8"), ((3, 4, 5), "橋7")}


def test_whole_desks_and_parts_of_them_are_told_apart() -> None:
    rules = [
        RIVER,
        Ruled("written", About("disaster", 7, severity=1), ("雨", "rain")),
        Ruled("finding", About("water", 1), BRIDGE),
    ]
    assert causes(rules, ()) == ()
    assert causes(rules, unreached(Roster(ZONE), rules, (), {"mail"}, NOON)) == ("nobody_told:all",)
    assert causes(rules, unreached(Roster(ZONE), rules, ("water",), {"mail"}, NOON)) == ("nobody_told:disaster",)
    part = roster(1, watch=Watch("disaster", None, None, 2))
    assert causes(rules, unreached(part, rules, ("water",), {"mail"}, NOON)) == ("rules_untold:disaster",)


def test_ten_thousand_rules_are_a_few_cases(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = [
        Ruled("written", About("disaster", n % 2000, severity=n % 3 + 1), (f"条件{n}", f"rule {n}"))
        for n in range(10_000)
    ]
    groups = tuple(Group(n, f"班{n}", (1, 2), (Watch("disaster", None, None, 3),)) for n in range(1, 21))
    asked: list[datetime] = []

    def counted(found: Roster, about: About, at: datetime, ways: Collection[str]) -> object:
        asked.append(at)
        return ladder(found, about, at, ways)

    monkeypatch.setattr("alerts.rules.reach.ladder", counted)
    gaps = unreached(Roster(ZONE, PEOPLE, groups), rules, (), {"mail"}, NOON)
    assert len(asked) <= 2 * 3, "once for who watches them and once for who does not, a shift each"
    assert sum(len(gap.names) for gap in gaps) == 6_667


@pytest.mark.parametrize("desk", sorted(DESKS.keys() - {"all"}))
def test_a_line_says_whose_what_and_from_when_to_when(desk: str) -> None:
    names = tuple((f"条件{n}", f"rule {n}") for n in range(5))
    gap = Gap("written", desk, names, NOON, NOON + timedelta(hours=5), severities=(3,))
    ja, en = gap_line(gap, ZONE, "ja"), gap_line(gap, ZONE, "en")
    assert ja.endswith(
        "町の条件（至急対応、条件0、条件1、条件2 ほか2件）は、6/1 12:00 から 6/1 17:00 まで、知らせる相手がいません"
    )
    assert en.endswith(
        "of rules of the town (act at once; rule 0, rule 1, rule 2 and 2 more) "
        "nobody is told from 6/1 12:00 to 6/1 17:00"
    )
    assert "これから24時間" in gap_line(replace(gap, end=NOON + SPAN), ZONE, "ja")


# --- a town --------------------------------------------------------------------------------------------------


class RealClock(FixedClock):
    """A town that is no simulation; else it tells nobody, and need not."""

    simulated = False


@pytest.fixture
def conn(registered: Registered) -> Iterator[Connection]:
    with connect(registered.worker, name="test") as opened:
        yield opened


def found(conn: Connection, town: Registered, *, mail: bool = True) -> Reach:
    return reach(conn, town.municipality_id, START, mail=mail)


def account(town: Registered, role: str) -> None:
    with connect(town.owner, name="test") as conn:
        conn.execute(
            "insert into app_user (municipality_id, login, display_name, role, email, password_hash) "
            "values (%s, %s, 'x', %s, %s, '-')",
            (town.municipality_id, role, role, f"{role}@example.jp"),
        )


def test_a_fresh_town_with_addresses_is_quiet_and_without_a_mail_server_it_is_not(
    conn: Connection, registered: Registered
) -> None:
    assert found(conn, registered).causes == ("nobody_told:all",)
    for role in ("disaster", "water", "tourism", "digital"):
        account(registered, role)
    assert found(conn, registered) == Reach((), (), ZONE)
    assert found(conn, registered, mail=False).causes == ("nobody_told:all",)
    assert {gap.what for gap in found(conn, registered, mail=False).gaps} == {
        "level",
        "finding",
        "silence",
        "operation",
    }


def test_a_written_rule_counts_while_it_is_switched_on_and_more_than_information(
    conn: Connection, registered: Registered, clock: FixedClock
) -> None:
    for role in ("water", "tourism", "digital"):
        account(registered, role)
    channels(registered, "mail")
    group(registered, "水位だけ", [person(registered, "田中", ("mail", "t@example.jp"))])
    with connect(registered.owner, name="test") as owner:
        owner.execute("update group_watch set least_severity = 3")
    assert found(conn, registered).causes == ()
    gauge = Gauge(registered, clock)
    body = Body(Compare(Reading(Series("water_level")), "above", Number(1.5)))
    write_rule(gauge, body, severity=None, name="情報だけ")
    write_rule(gauge, body, severity=3, name="至急")
    assert found(conn, registered).causes == ()
    write_rule(gauge, body, severity=2, name="橋だけ")
    write_rule(gauge, body, severity=1, name="どの観測所も", kind=StationKind.RIVER_GAUGE)
    told = found(conn, registered)
    assert told.causes == ("rules_untold:disaster",)
    (gap,) = told.gaps
    assert {name for name, _ in gap.names} == {"橋だけ", "どの観測所も"} and gap.severities == (1, 2)
    with connect(registered.owner, name="test") as owner:
        owner.execute("update alert_rule_version set active = false where severity < 3")
    assert found(conn, registered).causes == ()


def test_a_rule_of_a_kind_is_told_where_one_station_of_it_is_watched_and_not_elsewhere(
    conn: Connection, registered: Registered, clock: FixedClock
) -> None:
    for role in ("water", "tourism", "digital"):
        account(registered, role)
    channels(registered, "mail")
    gauge = Gauge(registered, clock)
    number = person(registered, "田中", ("mail", "t@example.jp"))
    group(registered, "橋だけ", [number], station_id=gauge.station_id)
    body = Body(Compare(Reading(Series("water_level")), "above", Number(1.5)))
    write_rule(gauge, body, severity=3, name="どの観測所も", kind=StationKind.RIVER_GAUGE)
    told = found(conn, registered)
    assert told.causes == ("nobody_told:disaster",) or told.causes == ("rules_untold:disaster",)
    written = [gap for gap in told.gaps if gap.what == "written"]
    assert [name for gap in written for name, _ in gap.names] == ["どの観測所も"]
    bridge = conn.execute("select name from station where station_id = %s", (gauge.station_id,)).fetchone()
    assert bridge is not None
    assert all(bridge[0] not in (name for name, _ in gap.names) for gap in told.gaps), "the bridge is watched"


def test_it_is_an_alert_once_it_lasts_and_over_once_somebody_can_be_told(
    conn: Connection, registered: Registered
) -> None:
    clock = RealClock(START)
    for role in ("water", "tourism", "digital"):
        account(registered, role)

    def look() -> list[tuple[str, bool]]:
        OperationWatch(clock, mail=True).look(conn, people=True)
        conn.commit()
        return conn.execute("select cause, cleared_at is null from alert order by alert_id").fetchall()  # type: ignore[return-value]

    assert look() == [], "somebody may be changing the people just now"
    with connect(registered.owner, name="test") as owner:
        owner.execute("update operation_condition set since = since - interval '11 minutes'")
    assert look() == [("nobody_told:disaster", True)] == look()
    mail = conn.execute("select recipient, subject, body from outbox where channel = 'mail'").fetchall()
    assert [row[0] for row in mail] == ["digital@example.jp"]
    assert "防災：アラートを知らせる相手がいません" in mail[0][1]
    assert "防災：水位の段階（レベル3・4・5相当、" in mail[0][2] and "これから24時間" in mail[0][2]
    account(registered, "disaster")
    assert look() == [("nobody_told:disaster", False)]


def test_a_simulated_town_tells_nobody_and_need_not(conn: Connection, registered: Registered) -> None:
    OperationWatch(FixedClock(START)).look(conn, people=True)
    assert conn.execute("select count(*) from operation_condition").fetchone() == (0,)
