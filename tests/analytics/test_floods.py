"""Past floods: found in the hours, told by the observations, and by the hours where those are gone."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.rivers.floods import Least, PastFloods, courses, least_of, past_floods, rain_before, spells
from analytics.rollups import recompute
from api.database import enter_municipality
from store import connect
from store.feed import Touched
from tests.conftest import START, Registered

STEP, HOUR, DAY = timedelta(minutes=10), timedelta(hours=1), timedelta(days=1)
LEVELS = (2.0, 3.0, 4.0)


@given(st.lists(st.booleans(), min_size=1, max_size=200), st.sets(st.integers(0, 199)))
def test_every_hour_above_is_in_one_flood_and_floods_lie_apart(wet: list[bool], gone: set[int]) -> None:
    kept = [n for n in range(len(wet)) if n not in gone]
    hours = np.array([n * 3600.0 for n in kept])
    highs = np.array([2.0 + n / 1000 if wet[n] else 1.0 for n in kept])
    found = spells(hours, highs, 2.0)
    inside = [n * 3600.0 for n in kept if wet[n]]
    assert all(sum(each.begin <= hour < each.end for each in found) == 1 for hour in inside)
    assert all(b.begin - (a.end - 3600) > 12 * 3600 for a, b in pairwise(found))
    assert all(each.high == max(highs[(hours >= each.begin) & (hours < each.end)]) for each in found)


def test_without_levels_a_flood_is_the_highest_hundredth_of_a_long_record_and_clearly_above_the_usual() -> None:
    highs = np.full(100 * 24, 0.5)
    assert least_of(highs, LEVELS) == Least(2.0, True)
    assert least_of(highs, ()) == Least(0.8, False), "a river that never rises has no flood every week"
    highs[:240] = np.linspace(0.5, 3.0, 240)
    least = least_of(highs, ())
    assert least is not None and (highs >= least.value).mean() == pytest.approx(0.01, abs=0.001)
    assert least_of(highs[: 59 * 24], ()) is None


def store(
    registered: Registered, series: tuple[str, str], first_minute: int, values: list[float], step: int = 10
) -> int:
    """Observations from so many minutes before START on."""
    datastream_id = registered.datastream(*series)
    first = START + timedelta(minutes=first_minute)
    with connect(registered.owner, name="test") as conn:
        conn.execute(
            """
            insert into observation (datastream_id, phenomenon_time, value, quality)
            select %s, %s + (n - 1) * %s * interval '1 min', v, 'good'
            from unnest(%s::float8[]) with ordinality as u (v, n)
            """,
            (datastream_id, first, step, values),
        )
        recompute(conn, [Touched(datastream_id, first, START)])
    return datastream_id


def read(registered: Registered, datastream_id: int, levels: tuple[float, ...] = LEVELS) -> PastFloods:
    with connect(registered.api, name="test") as conn:
        enter_municipality(conn, registered.municipality_id)
        return past_floods(conn, datastream_id, levels, STEP, START)


def triangle(rise: int, fall: int, low: float, high: float) -> list[float]:
    return [*np.linspace(low, high, rise, endpoint=False).tolist(), *np.linspace(high, low, fall).tolist()]


def test_a_flood_is_told_as_it_was_observed(registered: Registered) -> None:
    """By hand: 1 m, then 0.1 m every ten minutes up to 4 m and down again in twice the time; a day later one to 2.5 m;
    and a second peak five hours after the first is no flood of its own.
    """
    first = triangle(30, 61, 1.0, 4.0)
    second = triangle(15, 16, 1.0, 2.5)
    values = [1.0] * 144 + first + [1.0] * 200 + second + [1.0] * 6 + triangle(6, 7, 1.0, 2.2) + [1.0] * 100
    series = store(registered, ("river-okusawa", "water_level"), -10 * len(values), values)
    past = read(registered, series)
    assert (past.n, past.least, past.hours) == (2, Least(2.0, True), len(values) // 6 + (len(values) % 6 > 0))
    later, flood = past.floods
    assert (later.peak, flood.peak) == (2.5, 4.0) and not later.running
    peak_at = START - len(values) * STEP + (144 + 30) * STEP
    assert flood.peak_at == peak_at
    assert flood.rate == pytest.approx(0.6, abs=0.06) and flood.risen == pytest.approx(3.0)
    assert [(each.value, each.complete) for each in flood.above] == [(2.0, True), (3.0, True), (4.0, True)]
    # from 2.0 m on the way up until 2.0 m on the way down, and what holds until the next observation
    assert [each.length / STEP for each in flood.above] == pytest.approx([61, 31, 1], abs=1)
    assert [each.value for each in later.above] == [2.0] and later.end - later.begin > 5 * HOUR
    with connect(registered.api, name="test") as conn:
        enter_municipality(conn, registered.municipality_id)
        (course,) = courses(conn, series, [peak_at], HOUR, HOUR)
    assert course.hours.tolist() == pytest.approx((np.arange(-6, 7) / 6).tolist()) and course.values[6] == 4.0


def test_a_gap_makes_its_time_at_least_and_what_is_gone_is_told_by_its_hours(registered: Registered) -> None:
    values = [1.0] * 300 + triangle(30, 61, 1.0, 4.0) + [1.0] * 300
    series = store(registered, ("river-okusawa", "water_level"), -10 * len(values), values)
    whole = read(registered, series).floods[0]
    with connect(registered.owner, name="test") as conn:
        conn.execute(
            "delete from observation where datastream_id = %s and phenomenon_time between %s and %s",
            (series, whole.peak_at + HOUR, whole.peak_at + 2 * HOUR),
        )
    cut = read(registered, series).floods[0]
    assert cut.peak == whole.peak and [each.complete for each in cut.above] == [False, False, True]
    assert cut.above[0].length == whole.above[0].length - HOUR - STEP
    with connect(registered.owner, name="test") as conn:
        conn.execute("update observation set quality = 'doubtful' where datastream_id = %s", (series,))
    assert read(registered, series).floods[0].doubtful
    with connect(registered.owner, name="test") as conn:
        conn.execute("delete from observation where datastream_id = %s", (series,))
    (gone,) = read(registered, series).floods
    assert gone.from_hours and gone.peak == 4.0 and abs(gone.peak_at - whole.peak_at) < HOUR
    assert gone.above[0].length == pytest.approx(whole.above[0].length, abs=2 * HOUR)


def test_one_that_reached_the_level_just_now_goes_on_and_a_short_record_says_nothing(registered: Registered) -> None:
    series = store(
        registered, ("river-okusawa", "water_level"), -10 * 200, [1.0] * 180 + np.linspace(1, 3, 20).tolist()
    )
    assert [each.running for each in read(registered, series).floods] == [True]
    assert read(registered, series, ()).least is None
    assert read(registered, registered.datastream("river-takehara", "water_level")).hours == 0


def test_the_rain_before_a_peak_is_that_of_whole_hours_and_says_what_is_missing(registered: Registered) -> None:
    series = store(registered, ("rain-okusawa", "precipitation"), -10 * 6 * 80, [0.5] * 6 * 80)
    other = registered.datastream("rain-shiomi", "precipitation")
    peaks = [START - 30 * timedelta(minutes=1), START - 40 * HOUR, START - 400 * DAY]
    with connect(registered.api, name="test") as conn:
        enter_municipality(conn, registered.municipality_id)
        now, earlier, never = rain_before(conn, {series: STEP, other: STEP}, peaks)
        assert rain_before(conn, {}, peaks) == [{}, {}, {}]
    assert now[series].amounts == pytest.approx((8.5, 71.5, 215.5)) and now[series].complete == (False, False, False)
    assert earlier[series].amounts[:2] == pytest.approx((9.0, 72.0)) and earlier[series].complete == (True, True, False)
    assert never[series].amounts == (None, None, None) and now[other].amounts == (None, None, None)
