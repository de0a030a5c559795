"""The river: the flood comes in time, goes in time, and comes again; otherwise nothing happens."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from devices.model import Station, StationKind, Town
from simulators.config import Scenario
from simulators.rivers import Catchment, River
from simulators.weather import STORM, Rain

ORIGIN = datetime(2026, 6, 20, 8, tzinfo=UTC)
STEP = timedelta(minutes=10)
SEEDS = range(1, 13)


@pytest.fixture
def gauges(town: Town) -> list[Station]:
    """Those of the main river."""
    rivers = [station for station in town.stations if station.kind is StationKind.RIVER_GAUGE]
    return [station for station in rivers if station.river and station.river.river == "美守川"]


def levels(river: River, station: Station, start: datetime, hours: int) -> list[tuple[float, float]]:
    """(hours after start, level) every ten minutes."""
    times = [start + n * STEP for n in range(hours * 6)]
    return [((at - start) / timedelta(hours=1), river.level(station.code, at)) for at in times]


def threshold(station: Station, level: int) -> float:
    return next(t.value for t in station.thresholds[-1].levels if t.level == level)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_flood_passes_every_level_downtown_and_is_over_within_14_hours(seed: int, gauges: list[Station]) -> None:
    downtown = gauges[-1]
    series = levels(River(seed, Scenario.FLOOD, ORIGIN, gauges), downtown, ORIGIN, 24)
    reached = {n: next(hour for hour, level in series if level >= threshold(downtown, n)) for n in (1, 2, 3, 4)}
    assert reached[1] < reached[2] < reached[3] < reached[4] <= 6
    assert max(level for _, level in series) < threshold(downtown, 5)
    clear = threshold(downtown, 1) - downtown.thresholds[-1].clear_margin
    assert max(hour for hour, level in series if level >= clear) < 13


@pytest.mark.parametrize("seed", SEEDS)
def test_the_flood_comes_down_the_river(seed: int, gauges: list[Station]) -> None:
    river = River(seed, Scenario.FLOOD, ORIGIN, gauges)
    peaks = []
    for station in gauges:
        series = levels(river, station, ORIGIN, 14)
        peaks.append(max(series, key=lambda point: point[1])[0])
        if station is not gauges[-1]:
            highest = max(level for _, level in series)
            assert threshold(station, 3) < highest < threshold(station, 4)
    assert peaks == sorted(peaks) and peaks[-1] - peaks[0] >= 0.5


def test_the_flood_comes_again_on_the_third_day_and_the_river_is_calm_between(gauges: list[Station]) -> None:
    downtown = gauges[-1]
    river = River(3, Scenario.FLOOD, ORIGIN, gauges)
    for n in range(4):
        storm = ORIGIN + n * timedelta(hours=72)
        assert max(level for _, level in levels(river, downtown, storm, 14)) > threshold(downtown, 4)
        calm = levels(river, downtown, storm + timedelta(hours=16), 56)
        assert max(level for _, level in calm) < threshold(downtown, 1) - 0.1


@pytest.mark.parametrize("seed", SEEDS)
def test_in_the_normal_scenario_no_gauge_reaches_its_first_level_in_a_month(seed: int, gauges: list[Station]) -> None:
    river = River(seed, Scenario.NORMAL, ORIGIN, gauges)
    for station in gauges:
        highest = max(river.level(station.code, ORIGIN + n * timedelta(minutes=30)) for n in range(48 * 30))
        assert 0 < highest < threshold(station, 1)


def test_before_the_origin_there_is_no_storm(gauges: list[Station]) -> None:
    river = River(1, Scenario.FLOOD, ORIGIN, gauges)
    before = levels(river, gauges[-1], ORIGIN - timedelta(days=7), 7 * 24)
    assert max(level for _, level in before) < threshold(gauges[-1], 1)


def test_the_level_moves_no_faster_than_the_town_file_allows(gauges: list[Station]) -> None:
    for station in gauges:
        series = [level for _, level in levels(River(1, Scenario.FLOOD, ORIGIN, gauges), station, ORIGIN, 24)]
        fastest = max(abs(b - a) * 6 for a, b in pairwise(series))
        assert 0.5 < fastest < (station.datastreams[0].max_rate or 0)


def test_the_same_seed_and_origin_give_the_same_river_and_another_seed_another(gauges: list[Station]) -> None:
    at = ORIGIN + timedelta(hours=5)
    rivers = [River(seed, Scenario.FLOOD, ORIGIN, gauges) for seed in (1, 1, 2)]
    first, again, other = (river.level(gauges[-1].code, at) for river in rivers)
    assert first == again != other


def test_all_rain_runs_off_in_the_end() -> None:
    """Mass balance: the discharge over time adds up to the rain (mm)."""
    catchment = Catchment(lag=timedelta(minutes=30), k=1.3)
    storm = [Rain(ORIGIN + n * timedelta(hours=1), timedelta(hours=1), mm) for n, mm in enumerate(STORM)]
    minutes = timedelta(minutes=1)
    runoff = sum(catchment.discharge(storm, ORIGIN + n * minutes) / 60 for n in range(48 * 60))
    assert runoff == pytest.approx(sum(STORM), rel=0.001)
    assert catchment.discharge(storm, ORIGIN + timedelta(minutes=30)) == 0


def test_steady_rain_becomes_steady_discharge() -> None:
    catchment = Catchment(lag=timedelta(0), k=1.0)
    rain = [Rain(ORIGIN, timedelta(days=3), 7.5)]
    assert catchment.discharge(rain, ORIGIN + timedelta(days=2)) == pytest.approx(7.5)
