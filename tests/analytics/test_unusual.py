"""Findings about visitors: a crowd, a spot nobody comes to, a counter that is covered (more: test_checks.py)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta

import pytest

from analytics.visitors.unusual import far_from_usual
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
    crowd = open_hours(MONDAY, lambda slot: 49.0 + 2 * (slot % 2))
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
    today = open_hours(MONDAY, lambda slot: 49.0 + 2 * (slot % 2), until=72)
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
