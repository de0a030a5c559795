"""Findings about visitors: a crowd, a spot nobody comes to, a counter that is covered - and what is none of these."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta

import pytest

from analytics.visitors.unusual import Hour, blocked, far_from_usual
from tests.analytics.series import Analyst
from tests.analytics.test_usual import MONDAY, TEN, midnight

QUIET = [100, 104, 98, 101, 97, 103, 99, 102]
WILD = [40, 300, 90, 500, 120, 60, 210, 150]


@pytest.mark.parametrize(("visits", "direction"), [(290, 1), (30, -1), (250, 0), (45, 0), (100, 0)])
def test_a_quiet_spot_is_far_at_some_three_times_its_usual_or_a_third_of_it(visits: int, direction: int) -> None:
    found = far_from_usual(visits, QUIET)
    assert (0 if found is None else 1 if found.score >= 1 else -1 if found.score <= -1 else 9) == direction


def test_a_spot_with_wild_days_needs_more_but_never_more_than_ten_times() -> None:
    assert far_from_usual(700, WILD) is None and far_from_usual(1400, WILD) is not None


def test_small_spots_and_short_histories_do_not_shout() -> None:
    assert far_from_usual(50, [3, 2, 4, 3, 2, 3, 4, 2]) is None
    assert far_from_usual(9000, QUIET[:4]) is None


def test_what_was_far_stays_far_until_it_is_clearly_back() -> None:
    assert far_from_usual(240, QUIET) is None
    assert far_from_usual(240, QUIET, already=True) is not None
    assert far_from_usual(190, QUIET, already=True) is None


def hours(*visits: int | None, first: int = 8) -> list[Hour]:
    start = datetime(2026, 5, 31, 15 + first, tzinfo=UTC)
    return [Hour(start + timedelta(hours=n), time(first + n), each, True) for n, each in enumerate(visits)]


def often(**by_hour: list[int]) -> dict[time, list[int]]:
    return {time(int(name[1:])): counts for name, counts in by_hour.items()}


BUSY = often(h8=[20] * 5, h9=[30] * 5, h10=[40] * 5, h11=[25] * 5)


def test_hours_without_anybody_where_there_was_always_somebody_are_a_blocked_counter() -> None:
    found = blocked(hours(18, 31, 0, 0), BUSY)
    assert found is not None
    assert (found.started_at, found.hours, found.usual) == (datetime(2026, 6, 1, 1, tzinfo=UTC), 2, 65)


def test_hours_that_say_nothing_do_not_hide_a_blocked_counter() -> None:
    sometimes_empty = {**BUSY, time(9): [30, 0, 28, 31, 30]}
    for today, earlier in (
        (hours(0, 0, 0, 0), sometimes_empty),
        (hours(0, None, 0, 0), BUSY),
        (hours(0, 30, 0, 0, 0, 0), BUSY),
    ):
        found = blocked(today, earlier)
        assert found is not None and found.hours == (3 if today[1].visits != 30 else 2)


@pytest.mark.parametrize(
    ("today", "earlier"),
    [
        (hours(18, 31, 40, 0), BUSY),  # one hour is not enough
        (hours(18, 0, 0, 7), BUSY),  # it counts again
        (hours(18, 31, 0, None), BUSY),  # missing is not zero
        (hours(0, 0, 0, 0), {hour: [*counts, 0] for hour, counts in BUSY.items()}),  # it was empty once
        (hours(0, 0, 0, 0), often(h10=[9] * 5, h11=[8] * 5)),  # hardly anybody comes anyway
        (hours(0, 0, 0, 0), {hour: counts[:4] for hour, counts in BUSY.items()}),  # too few days
    ],
)
def test_zeros_that_may_well_be_true_are_no_finding(today: list[Hour], earlier: dict[time, list[int]]) -> None:
    assert blocked(today, earlier) is None


# --- the job ------------------------------------------------------------------------------------------------


def open_hours(day: date, each: Callable[[int], float], *, until: int = 144) -> list[tuple[datetime, float]]:
    """A spot that is open from 8 to 18 o'clock."""
    return [(midnight(day) + n * TEN, each(n) if 48 < n <= 108 else 0.0) for n in range(1, until + 1)]


def history(analyst: Analyst, spot: int) -> None:
    for n in range(3, 15):
        day = MONDAY - timedelta(days=n)
        if day.weekday() < 5:
            analyst.send(spot, open_hours(day, lambda slot: 9.0 + slot % 3))


def findings(analyst: Analyst) -> list[tuple[object, ...]]:
    return analyst.rows("select kind, started_at, ended_at, value, usual from finding order by finding_id")


def test_a_festival_opens_a_finding_once_and_the_end_of_its_day_ends_it(analyst: Analyst) -> None:
    spot = analyst.town.datastream("spot-taki", "passages_in")
    history(analyst, spot)
    crowd = open_hours(MONDAY, lambda slot: 50.0)
    analyst.send(spot, crowd[:72])  # noon
    analyst.work()
    noon = midnight(MONDAY) + timedelta(hours=12)
    assert findings(analyst) == [("visits", noon, None, 1200.0, 240.0)]
    analyst.send(spot, crowd[72:])
    analyst.work()
    assert findings(analyst) == [("visits", noon, None, 3000.0, 600.0)]
    told = analyst.rows("select count(*) from feed where kind = 'findings'")
    analyst.send(spot, [(midnight(MONDAY) + timedelta(days=1) + TEN, 0.0)])
    analyst.work()
    tomorrow = midnight(MONDAY + timedelta(days=1))
    assert findings(analyst) == [("visits", noon, tomorrow, 3000.0, 600.0)]
    assert told == [(2,)] and analyst.rows("select count(*) from feed where kind = 'findings'") == [(3,)]


def test_a_blocked_counter_is_found_in_the_morning_stays_open_over_night_and_ends_with_the_first_visitor(
    analyst: Analyst,
) -> None:
    spot = analyst.town.datastream("spot-taki", "passages_in")
    history(analyst, spot)
    analyst.send(spot, open_hours(MONDAY, lambda slot: 0.0 if slot > 60 else 10.0))
    analyst.work()
    (found,) = findings(analyst)
    assert found[:3] == ("counter", midnight(MONDAY) + timedelta(hours=10), None)
    tuesday = MONDAY + timedelta(days=1)
    analyst.send(spot, open_hours(tuesday, lambda slot: 0.0, until=54))
    analyst.work()
    assert findings(analyst)[0][2] is None
    analyst.send(spot, [(midnight(tuesday) + 55 * TEN, 4.0)])
    analyst.work()
    assert [row[:3] for row in findings(analyst)] == [
        ("counter", midnight(MONDAY) + timedelta(hours=10), midnight(tuesday) + 55 * TEN)
    ], "and what such a day counted is not called far below usual"


def test_the_same_observations_give_the_same_findings_however_they_arrive(analyst: Analyst) -> None:
    spot = analyst.town.datastream("spot-taki", "passages_in")
    today = open_hours(MONDAY, lambda slot: 50.0, until=72)
    analyst.send(spot, today)
    analyst.work()
    assert findings(analyst) == [], "nothing to compare with"
    history(analyst, spot)  # late
    analyst.work()
    assert [row[0] for row in findings(analyst)] == ["visits"]
    told = analyst.rows("select count(*) from feed where kind = 'findings'")
    analyst.send(analyst.town.datastream("spot-taki", "passages_out"), today)
    analyst.send(spot, [(time, value) for time, value in today[:3]])
    analyst.work()
    assert analyst.rows("select count(*) from feed where kind = 'findings'") == told


def test_the_first_hours_of_a_day_are_nobodys_business() -> None:
    night = [8, 10, 9, 11, 10, 9, 12, 8]
    assert far_from_usual(100, night) is not None
    assert far_from_usual(100, night, 2000.0) is None
    assert far_from_usual(600, night, 2000.0) is not None
    assert far_from_usual(100, night, 2000.0, already=True) is not None, "what was found stays"
