"""True zero or counter at fault, estimates, and how a spot's series takes them up."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from analytics.visitors.checks import gate, periods
from analytics.visitors.checks.estimate import estimate
from analytics.visitors.checks.estimates import put
from analytics.visitors.checks.judged import Choice
from analytics.visitors.checks.published import publish
from analytics.visitors.day_types import day_type
from analytics.visitors.spots.plan import Method, Part, Plan
from analytics.visitors.spots.series import SpotDay, days, hours
from store import connect
from tests.analytics.series import Analyst
from tests.analytics.test_usual import MONDAY, TEN, midnight

FIRST = date(2026, 1, 5)  # a Monday
TOKYO = ZoneInfo("Asia/Tokyo")
BY_DAY = np.array([0.0] * 8 + [10.0] * 10 + [0.0] * 6)


def test_an_estimate_follows_its_day_and_its_neighbours_and_nine_in_ten_intervals_hold() -> None:
    rng = np.random.default_rng(7)
    luck = np.exp(rng.normal(0, 0.4, size=300))
    ours, beside = (rng.poisson(np.outer(luck, BY_DAY * size)).astype(float) for size in (1.0, 3.0))
    out = np.zeros(24, dtype=bool)
    out[10:16] = True
    held, made_at_all, off, blind = 0, 0, 0.0, 0.0
    wide: dict[bool, list[float]] = {True: [], False: []}
    for day in range(150, 300):
        made = estimate(FIRST + timedelta(days=day), FIRST, ours, out, [beside])
        whole = estimate(FIRST + timedelta(days=day), FIRST, ours, np.ones(24, dtype=bool))
        assert made is not None and whole is not None
        kind = day_type(FIRST + timedelta(days=day)).value
        if kind in ("obon", "holiday"):
            wide[kind == "obon"].append(float(np.log(np.nansum(made.high) / np.nansum(made.value))))
        made_at_all += 1
        truth = ours[day, out].sum()
        held += np.nansum(made.low) <= truth <= np.nansum(made.high)
        off += abs(np.nansum(made.value) - truth)
        blind += abs(np.nansum(whole.value) - ours[day].sum()) * truth / ours[day].sum()
        assert np.isnan(made.value[~out]).all() and (made.low[out] <= made.value[out]).all()
    assert made_at_all > 130 and 0.85 <= held / made_at_all <= 0.97
    assert np.mean(wide[True]) > 1.5 * np.mean(wide[False]), "by Sundays alone nobody knows the Bon days as well"
    assert off < 0.6 * blind, "what the rest of the day and the neighbours say is worth something"
    assert estimate(FIRST + timedelta(days=6), FIRST, ours, out) is None, "too few days say nothing"


# --- stored ---------------------------------------------------------------------------------------------------

SPOT = "spot-taki"


def past(until: date, n: int = 70, but: date | None = None) -> list[tuple[datetime, float]]:
    """n days that end before `until`, counted every ten minutes while the spot is open; `but`: an afternoon is lost."""
    return [
        (midnight(day) + slot * TEN, 9.0 + (slot + back) % 3 if 48 < slot <= 108 else 0.0)
        for back in range(n, 0, -1)
        for day in [until - timedelta(days=back)]
        for slot in range(1, 145)
        if day != but or not 60 < slot <= 96
    ]


def whole_days(analyst: Analyst, spot: str, until: date, n: int = 70, *, but: date | None = None) -> None:
    """They are stored."""
    analyst.send(analyst.town.datastream(spot, "passages_in"), past(until, n, but))


@pytest.fixture
def office(analyst: Analyst) -> dict[str, int]:
    """Who says something, and the ids of the spot."""
    analyst.execute(
        """
        insert into app_user (municipality_id, login, display_name, password_hash, role)
        select municipality_id, 'kanko', '観光係', 'x', 'tourism' from municipality limit 1
        """
    )
    ((station_id, spot_id, town, user_id),) = analyst.rows(
        """
        select s.station_id, p.spot_id, s.municipality_id, u.user_id from station s join spot p using (station_id),
               app_user u where s.code = %s and u.login = 'kanko'
        """,
        SPOT,
    )
    return {"station": station_id, "spot": spot_id, "town": town, "user": user_id}


def read(analyst: Analyst, office: dict[str, int], first: date, last: date) -> list[SpotDay]:
    with connect(analyst.town.worker, name="test") as conn:
        return days(conn, office["spot"], first, last)


def choose(analyst: Analyst, office: dict[str, int], outages: str) -> None:
    analyst.execute(
        """
        insert into spot_choice (municipality_id, spot_id, outages, public, smallest, said_at, user_id)
        values (%s, %s, %s, false, 5, now(), %s)
        """,
        *(office["town"], office["spot"], outages, office["user"]),
    )


def test_hours_that_never_came_are_missing_or_estimated_as_the_office_chose(
    analyst: Analyst, office: dict[str, int]
) -> None:
    gap = MONDAY - timedelta(days=4)
    whole_days(analyst, SPOT, MONDAY, but=gap)  # 10 to 16 o'clock never came
    analyst.work()
    before, missing = read(analyst, office, gap - timedelta(days=1), gap)
    assert (before.state, before.completeness, before.visitors) == ("ok", 1.0, 600)
    assert missing.visitors == 240 and missing.low is None and missing.completeness == 0.75
    choose(analyst, office, "estimate")
    made = read(analyst, office, gap, gap)[0]
    assert made.state == "estimated" and made.low is not None and made.high is not None
    assert made.visitors == pytest.approx(600, abs=20) and made.low <= made.visitors <= made.high
    with connect(analyst.town.worker, name="test") as conn:
        by_hour = hours(conn, office["spot"], gap, gap)
    assert [each.state for each in by_hour] == ["ok"] * 10 + ["estimated"] * 6 + ["ok"] * 8
    assert sum(each.visitors or 0 for each in by_hour) == pytest.approx(made.visitors, abs=1)
    late = [(midnight(gap) + slot * TEN, 9.0 + (slot + 4) % 3) for slot in range(61, 97)]
    analyst.send(analyst.town.datastream(SPOT, "passages_in"), late)
    analyst.work()
    (whole,) = read(analyst, office, gap, gap)
    assert (whole.state, whole.visitors, whole.completeness) == ("ok", 600, 1.0), "what came late takes its place"
    assert analyst.rows("select count(*) from count_estimate") == [(0,)]


def test_what_people_say_of_a_fault_stands_and_is_kept(analyst: Analyst, office: dict[str, int]) -> None:
    spot = analyst.town.datastream(SPOT, "passages_in")
    whole_days(analyst, SPOT, MONDAY)
    covered = [(midnight(MONDAY) + slot * TEN, 10.0 if 48 < slot <= 60 else 0.0) for slot in range(1, 100)]
    analyst.send(spot, covered)
    analyst.work()
    ((number, kind, starts_at, standing),) = analyst.rows(
        "select count_period_id, kind, starts_at, standing from count_period where ends_at is null"
    )
    assert (kind, starts_at, standing) == ("blocked", midnight(MONDAY) + timedelta(hours=10), "found")
    now = midnight(MONDAY) + 99 * TEN
    no = periods.Saying(office["user"], now, "臨時休業")
    with connect(analyst.town.owner, name="test") as conn:
        periods.overrule(conn, office["town"], number, no)
    analyst.send(spot, [(now + n * TEN, 0.0) for n in range(1, 20)])
    analyst.work()
    assert analyst.rows("select standing from count_period") == [("overruled",)], "it is not found again"
    assert analyst.rows("select kind from finding where ended_at is null") == []
    works = (midnight(MONDAY) - timedelta(days=3), midnight(MONDAY) - timedelta(days=1))
    with connect(analyst.town.owner, name="test") as conn:
        yes = periods.Saying(office["user"], now, "柵の工事")
        added = periods.add(conn, office["town"], office["station"], "works", *works, yes)
        put(conn, office["station"], MONDAY - timedelta(days=3), MONDAY)
        with pytest.raises(periods.PeriodError, match="overlap"):
            periods.add(conn, office["town"], office["station"], "outage", works[0] - TEN, None, yes)
    friday, saturday, sunday = read(analyst, office, MONDAY - timedelta(days=3), MONDAY - timedelta(days=1))
    assert friday.visitors is None and friday.state == "outage" and sunday.state == "ok"
    choose(analyst, office, "estimate")
    friday, saturday, sunday = read(analyst, office, MONDAY - timedelta(days=3), MONDAY - timedelta(days=1))
    assert friday.state == saturday.state == "estimated" and friday.visitors == pytest.approx(600, abs=30)
    with connect(analyst.town.owner, name="test") as conn:
        periods.confirm(conn, office["town"], number, periods.Saying(office["user"], now, "やはり塞がれていた"))
        periods.overrule(conn, office["town"], added.count_period_id, periods.Saying(office["user"], now, "工事は中止"))
    assert analyst.rows("select standing, reason from count_period_said order by count_period_said_id") == [
        ("overruled", "臨時休業"),
        ("by_hand", "柵の工事"),
        ("confirmed", "やはり塞がれていた"),
        ("overruled", "工事は中止"),
    ]


def test_one_number_again_and_again_is_jammed_until_another_comes(analyst: Analyst, office: dict[str, int]) -> None:
    spot = analyst.town.datastream(SPOT, "passages_in")
    whole_days(analyst, SPOT, MONDAY, n=14)
    same = [(midnight(MONDAY) + slot * TEN, 7.0 if slot > 60 else 0.0) for slot in range(1, 72)]
    analyst.send(spot, same)
    analyst.work()
    assert analyst.rows("select kind, ends_at, detail ->> 'rule' from count_period") == [("jammed", None, "constant")]
    assert analyst.rows("select kind, value from finding where ended_at is null and kind = 'counter'") == [
        ("counter", 7.0)
    ]
    analyst.send(spot, [(midnight(MONDAY) + 72 * TEN, 8.0)])
    analyst.work()
    assert analyst.rows("select ends_at from count_period") == [(midnight(MONDAY) + 71 * TEN,)]


def test_a_day_goes_back_with_both_numbers_when_it_changes_after_it_was_looked_at(
    analyst: Analyst, office: dict[str, int]
) -> None:
    whole_days(analyst, SPOT, MONDAY, n=10, but=MONDAY - timedelta(days=2))
    analyst.work()
    saturday = MONDAY - timedelta(days=2)
    person = gate.Person(office["town"], office["user"], midnight(MONDAY))

    def version() -> str:
        return read(analyst, office, saturday, saturday)[0].version

    assert version() == "provisional"
    with connect(analyst.town.owner, name="test") as conn:
        (day,) = days(conn, office["spot"], saturday, saturday)
        assert gate.confirm(conn, person, office["spot"], [day]) == 0, "nobody has looked at it"
        gate.check(conn, person, office["spot"], [day])
    assert version() == "checked"
    with connect(analyst.town.owner, name="test") as conn:
        assert gate.confirm(conn, person, office["spot"], [day]) == 1
    assert version() == "confirmed"
    late = [(midnight(saturday) + slot * TEN, 9.0) for slot in range(61, 97)]
    analyst.send(analyst.town.datastream(SPOT, "passages_in"), late)
    analyst.work()
    assert version() == "provisional", "from this moment on, whoever reads"
    with connect(analyst.town.worker, name="test") as conn:
        now = {office["spot"]: days(conn, office["spot"], saturday, saturday)}
        assert gate.settle(conn, office["town"], now, midnight(MONDAY)) == 1
        assert gate.settle(conn, office["town"], now, midnight(MONDAY)) == 0
        said = gate.history(conn, office["spot"], saturday, saturday)[saturday]
    assert [(each.event, each.visitors_before, each.visitors, each.why) for each in said] == [
        ("sent_back", 240, 564, "late"),
        ("confirmed", None, 240, None),
        ("checked", None, 240, None),
    ]


def test_false_zeros_that_came_late_are_periods_that_have_ended(analyst: Analyst, office: dict[str, int]) -> None:
    covered = MONDAY - timedelta(days=5)
    rows = [
        (
            time,
            0.0 if midnight(covered) + timedelta(hours=11) < time <= midnight(covered) + timedelta(hours=17) else value,
        )
        for time, value in past(MONDAY)
    ]
    analyst.send(analyst.town.datastream(SPOT, "passages_in"), rows)
    analyst.work()
    assert analyst.rows("select kind, starts_at, ends_at, standing from count_period") == [
        ("blocked", midnight(covered) + timedelta(hours=11), midnight(covered) + timedelta(hours=17), "found")
    ]
    assert analyst.rows("select count(*) from finding where kind = 'counter'") == [(0,)], "nobody is woken for it"


def test_who_goes_home_after_closing_tells_nothing_and_a_fault_ends_with_the_last_visitors(
    analyst: Analyst, office: dict[str, int]
) -> None:
    inward, out = (analyst.town.datastream(SPOT, f"passages_{way}") for way in ("in", "out"))
    whole_days(analyst, SPOT, MONDAY)
    evening = [(midnight(MONDAY) + slot * TEN, 10.0 if 48 < slot <= 108 else 0.0) for slot in range(1, 139)]
    analyst.send(out, [(time + 3 * 6 * TEN, value) for time, value in evening[:-18]])
    analyst.send(inward, [(time, value + n % 2 if value else 0.0) for n, (time, value) in enumerate(evening)])
    analyst.work()
    assert analyst.rows("select * from count_period") == []
    tuesday = MONDAY + timedelta(days=1)
    covered = [(midnight(tuesday) + slot * TEN, 10.0 + slot % 2 if 48 < slot <= 78 else 0.0) for slot in range(1, 145)]
    analyst.send(inward, covered)
    analyst.work()
    assert analyst.rows("select ends_at from count_period") == [(None,)]
    analyst.send(
        inward, [(midnight(tuesday) + 24 * 6 * TEN + slot * TEN, 0.0 if slot < 52 else 9.0) for slot in range(1, 54)]
    )
    analyst.work()
    assert analyst.rows("select starts_at, ends_at from count_period") == [
        (midnight(tuesday) + timedelta(hours=13), midnight(tuesday) + timedelta(hours=18))
    ]


def test_a_sum_does_not_give_away_a_part_that_is_too_small_to_be_told() -> None:
    day = date(2026, 5, 18)

    def plan(spot_id: int, *parts: int) -> Plan:
        ways = tuple(Part(each, 1, None, None) for each in parts)
        return Plan(spot_id, bool(parts), TOKYO, None, ((None, Method.COUNTER),), (), ways, None)

    def counted(visitors: int) -> dict[date, SpotDay]:
        return {day: SpotDay(day, visitors, visitors, None, None, 1.0, "ok", Method.COUNTER)}

    known = {1: plan(1, 2, 3), 2: plan(2, 4), 3: plan(3), 4: plan(4)}
    by_day = {1: counted(64), 2: counted(60), 3: counted(4), 4: counted(60)}
    states = [publish(known, by_day, {}, spot_id, day).state for spot_id in known]
    assert states == ["withheld", "counted", "small", "counted"]
    assert publish(known, by_day, {3: Choice(smallest=4)}, 1, day).state == "counted"
    assert publish(known, by_day | {4: counted(0)}, {3: Choice(smallest=4)}, 1, day).state == "withheld", (
        "of a part's part"
    )
