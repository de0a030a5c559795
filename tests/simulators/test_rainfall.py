"""The rain gauges: they count the rain that makes the river rise, through restarts, and say it in their codec."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise, takewhile

import pytest

from devices import codecs, envelopes
from devices.model import StationKind, Town
from simulators.config import PERFECT, Scenario, SimulatorConfig
from simulators.devices import Fleet
from simulators.weather import STORM
from simulators.world import World

ORIGIN = datetime(2026, 6, 20, 8, tzinfo=UTC)
CONFIG = SimulatorConfig("localhost", 1883, scenario=Scenario.FLOOD, impairments=PERFECT)
STEP = timedelta(minutes=10)
HILLS, TOWN_HALL = "rain-okusawa", "rain-yakuba"


@pytest.fixture
def world(town: Town) -> World:
    return World(CONFIG, town, ORIGIN)


def test_the_storm_that_raises_the_river_falls_into_the_gauges_more_in_the_hills(world: World) -> None:
    end = ORIGIN + timedelta(hours=6)
    hills, town = (world.buckets[code].depth(ORIGIN, end) for code in (HILLS, TOWN_HALL))
    assert town < sum(STORM) < hills < 1.3 * sum(STORM)
    # the rain comes before the river
    wet = world.buckets[HILLS].depth(ORIGIN, ORIGIN + timedelta(hours=2))
    calm = world.river.level("river-mimamoribashi", ORIGIN)
    assert wet > 60 and world.river.level("river-mimamoribashi", ORIGIN + timedelta(hours=5)) > calm + 2


def test_the_counter_counts_all_the_rain_and_now_and_then_begins_anew(world: World) -> None:
    bucket = world.buckets[HILLS]
    times = [ORIGIN + n * STEP for n in range(144 * 60)]
    counts = [bucket.counter(at) for at in times]
    restarts = {number for number, _ in counts}
    assert 4 <= len(restarts) <= 7
    for (before, low), (after, high) in pairwise(counts):
        assert (before == after and high >= low) or (after == before + 1 and high <= 3)
    for start in (ORIGIN, ORIGIN + timedelta(hours=72)):
        end = start + timedelta(hours=6)
        tips = sum(bucket.tips(at, at + STEP) for at in times if start <= at < end)
        assert tips * bucket.tip == pytest.approx(bucket.depth(start, end), abs=2 * bucket.tip)


def test_what_the_gauges_send_is_what_their_counters_say(town: Town, world: World) -> None:
    keys = {s.devices[0].key: s.code for s in town.stations if s.kind is StationKind.RAIN_GAUGE}
    fleet = Fleet(CONFIG, town, origin=ORIGIN, first=ORIGIN)
    frames = takewhile(lambda frame: frame.heard < ORIGIN + timedelta(hours=5), fleet.uplinks())
    heard = [frame for frame in frames if frame.device in keys]
    assert len(heard) == 3 * 29
    most = 0.0
    for frame in heard:
        said = {r.field: r for r in codecs.decode("rain_gauge", envelopes.open_uplink(frame.topic, frame.body()))}
        at = said["count"].time
        assert at is not None and at.minute % 10 == 0 and timedelta(0) < frame.heard - at < timedelta(minutes=1)
        bucket = world.buckets[keys[frame.device]]
        restarts, count = bucket.counter(at)
        assert (said["restarts"].value, said["count"].value) == (restarts % 256, count)
        assert said["tips"].value == bucket.tips(at - STEP, at)
        most = max(most, said["tips"].value or 0.0)
    assert most > 10


def test_in_the_normal_scenario_there_are_showers_and_dry_days(town: Town) -> None:
    bucket = World(SimulatorConfig("localhost", 1883, impairments=PERFECT), town, ORIGIN).buckets[HILLS]
    days = [bucket.depth(ORIGIN + timedelta(days=n), ORIGIN + timedelta(days=n + 1)) for n in range(60)]
    assert sum(mm == 0 for mm in days) > 20 and 0 < max(days) < 20
