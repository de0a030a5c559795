"""Two rivers under one storm: it moves, each catchment gets its own, and each river floods at its own time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from devices.model import StationKind, Town
from simulators.config import PERFECT, Scenario, SimulatorConfig
from simulators.weather import basins
from simulators.world import World

ORIGIN = datetime(2026, 6, 20, 8, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
DOWNTOWN, WEST = "river-mimamoribashi", "river-shiomibashi"


def world(town: Town, scenario: Scenario = Scenario.FLOOD, seed: int = 1) -> World:
    return World(SimulatorConfig("localhost", 1883, scenario=scenario, seed=seed, impairments=PERFECT), town, ORIGIN)


def test_the_catchments_of_the_basemap_are_known_and_the_western_one_is_earlier(town: Town) -> None:
    found = basins(town.shapes)
    assert list(found) == ["美守川", "汐見川"]
    assert found["美守川"].delay == timedelta(0) and timedelta(minutes=-40) < found["汐見川"].delay < timedelta(0)
    assert basins(()) == {}


@pytest.mark.parametrize("seed", range(1, 7))
def test_the_small_river_floods_more_than_an_hour_before_the_large_one(town: Town, seed: int) -> None:
    there = world(town, seed=seed)
    peaks = {
        code: max(range(14 * 60), key=lambda minute, code=code: there.river.level(code, ORIGIN + minute * MINUTE))
        for code in (DOWNTOWN, WEST)
    }
    assert peaks[WEST] + 60 < peaks[DOWNTOWN]
    levels = {s.code: {t.level: t.value for t in s.thresholds[-1].levels} for s in town.stations if s.thresholds}
    highest = there.river.level(WEST, ORIGIN + peaks[WEST] * MINUTE)
    assert levels[WEST][3] < highest < levels[WEST][4]


def test_gauges_of_two_catchments_see_different_storms_and_different_showers(town: Town) -> None:
    wet = world(town)
    hills, west = wet.buckets["rain-okusawa"], wet.buckets["rain-shiomi"]
    first = {b.code: next(m for m in range(600) if b.depth(ORIGIN, ORIGIN + m * MINUTE) > 1) for b in (hills, west)}
    assert first[west.code] + 10 < first[hills.code]
    dry = world(town, Scenario.NORMAL)
    days = [ORIGIN + timedelta(days=n) for n in range(60)]
    rain = [[dry.buckets[b.code].depth(day, day + timedelta(days=1)) / b.share for b in (hills, west)] for day in days]
    assert sum(a > 0 for a, _ in rain) > 10
    assert any(a > 0 and b == 0 for a, b in rain) and any(a > 0 and b > 0 and abs(a - b) > 0.5 for a, b in rain)


def test_the_rain_that_is_asked_for_piecewise_is_the_rain_asked_for_at_once(town: Town) -> None:
    for bucket in world(town).buckets.values():
        hours = [ORIGIN + timedelta(hours=n) for n in range(24 * 8)]
        pieces = sum(bucket.depth(hour, hour + timedelta(hours=1)) for hour in hours)
        assert pieces == pytest.approx(bucket.depth(hours[0], hours[-1] + timedelta(hours=1)))
        assert pieces > 100


def test_a_town_without_catchments_has_one_weather(town: Town) -> None:
    from dataclasses import replace

    plain = world(replace(town, shapes=()))
    assert {gauge.river and plain.river.basin(gauge).delay for gauge in town.stations if gauge.river} == {timedelta(0)}
    assert StationKind.RIVER_GAUGE in {station.kind for station in town.stations}
    assert plain.river.level(WEST, ORIGIN + timedelta(hours=3)) > 1.5
