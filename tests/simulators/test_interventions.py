"""What somebody sets off: the town is a function of it too, and of nothing else that was not there before."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import takewhile

import pytest

from devices.model import StationKind, Town
from simulators import Happening, Intervention
from simulators.config import PERFECT, Scenario, SimulatorConfig
from simulators.devices import Fleet
from simulators.errors import SimulatorError
from simulators.frames import Frame
from simulators.world import World
from tests.simulators.test_devices import START

NORMAL = SimulatorConfig("localhost", 1883, scenario=Scenario.NORMAL, impairments=PERFECT)
PRESS = START + timedelta(days=2, hours=5)  # 22:03 in the town: no visitors, no storm
MINUTE = timedelta(minutes=1)


def pressed(happening: Happening, hours: float, target: str | None = None) -> Intervention:
    return Intervention(happening, PRESS, PRESS + timedelta(hours=hours), target)


def stations(town: Town, kind: StationKind) -> list[str]:
    return [station.code for station in town.stations if station.kind is kind]


def frames(town: Town, *interventions: Intervention, since: datetime = PRESS - timedelta(hours=1)) -> list[Frame]:
    fleet = Fleet(NORMAL, town, origin=START, first=since)
    fleet.intervene(interventions)
    return list(takewhile(lambda frame: frame.heard < since + timedelta(hours=8), fleet.uplinks()))


@pytest.mark.parametrize("scenario", Scenario)
def test_a_cloudburst_lifts_the_upper_gauge_within_ten_minutes_and_the_lowest_over_its_fourth_level(
    town: Town, scenario: Scenario
) -> None:
    config = SimulatorConfig("localhost", 1883, scenario=scenario, impairments=PERFECT)
    before, after = World(config, town, START), World(config, town, START, [pressed(Happening.RAIN, 4)])
    gauges = [station for station in town.stations if station.kind is StationKind.RIVER_GAUGE]
    upper, lowest = gauges[0], gauges[2]
    assert (
        after.river.level(upper.code, PRESS + 10 * MINUTE) > before.river.level(upper.code, PRESS + 10 * MINUTE) + 0.1
    )
    highest = max(after.river.level(lowest.code, PRESS + 10 * n * MINUTE) for n in range(48))
    fourth = next(level.value for level in lowest.thresholds[-1].levels if level.level == 4)
    assert highest > fourth
    for code in (gauge.code for gauge in gauges):
        assert after.river.level(code, PRESS) == before.river.level(code, PRESS)


def test_rain_on_top_of_the_storm_stays_within_what_the_sensors_can_say(town: Town) -> None:
    storm = START + timedelta(minutes=30)
    config = SimulatorConfig("localhost", 1883, scenario=Scenario.FLOOD, impairments=PERFECT)
    rain = [
        Intervention(Happening.RAIN, storm + n * timedelta(hours=4), storm + (n + 1) * timedelta(hours=4))
        for n in range(3)
    ]
    world = World(config, town, START, rain)
    for station in town.stations:
        if station.kind is not StationKind.RIVER_GAUGE:
            continue
        (stream,) = (each for each in station.datastreams if each.observed_property == "water_level")
        highest = max(world.river.level(station.code, storm + 10 * n * MINUTE) for n in range(100))
        assert stream.valid_range[1] is not None and highest < stream.valid_range[1], station.code


def test_a_burst_takes_water_and_pressure_from_its_own_block_only_and_ends(town: Town) -> None:
    (code,) = stations(town, StationKind.BLOCK_INLET)
    before = World(NORMAL, town, START).blocks[code]
    after = World(NORMAL, town, START, [pressed(Happening.BURST, 6, code)]).blocks[code]
    elsewhere = World(NORMAL, town, START, [pressed(Happening.BURST, 6, "block-of-another")]).blocks[code]
    soon, over = PRESS + 10 * MINUTE, PRESS + timedelta(hours=6)
    assert after.flow(soon) > before.flow(soon) + 15
    assert after.pressure(soon) < before.pressure(soon) - 30
    assert elsewhere.flow(soon) == before.flow(soon)
    assert (after.flow(over), after.pressure(over)) == (before.flow(over), before.pressure(over))


def test_a_festival_brings_people_even_at_night_to_every_spot(town: Town) -> None:
    ten = 10 * MINUTE
    before, after = World(NORMAL, town, START), World(NORMAL, town, START, [pressed(Happening.FESTIVAL, 6)])
    for code in stations(town, StationKind.VISITOR_SPOT):
        usual = sum(before.spots[code].passages(PRESS + n * ten, ten)[0] for n in range(1, 13))
        crowd = sum(after.spots[code].passages(PRESS + n * ten, ten)[0] for n in range(1, 13))
        assert crowd > usual + 40, code


def test_a_stopped_device_says_nothing_until_it_is_over_and_the_others_go_on(town: Town) -> None:
    key = next(device.key for station in town.stations for device in station.devices)
    stop = pressed(Happening.SILENCE, 3, key)
    usual, stopped = frames(town), frames(town, stop)
    assert {frame.heard for frame in usual if frame.device == key and stop.covers(frame.heard)}
    assert [f.heard for f in stopped] == [f.heard for f in usual if f.device != key or not stop.covers(f.heard)]
    # its counter goes on where it stopped: nothing that was never sent can look lost on the way
    assert [f.counter for f in stopped if f.device == key] == list(range(sum(f.device == key for f in stopped)))


def test_the_same_interventions_make_the_same_town_whenever_they_became_known(town: Town) -> None:
    rain = pressed(Happening.RAIN, 4)
    known_at_once = frames(town, rain)
    fleet = Fleet(NORMAL, town, origin=START, first=PRESS - timedelta(hours=1))
    told = []
    for frame in takewhile(lambda each: each.heard < PRESS + timedelta(hours=7), fleet.uplinks()):
        told.append(frame)
        if frame.heard > PRESS - MINUTE:
            fleet.intervene([rain])
    assert told == known_at_once[: len(told)] and len(told) == len(known_at_once)
    assert told != frames(town)


@pytest.mark.parametrize(
    ("happening", "hours", "target"),
    [
        (Happening.RAIN, 4, "block-a"),
        (Happening.BURST, 4, None),
        (Happening.SILENCE, 4, None),
        (Happening.RAIN, 0, None),
    ],
)
def test_an_intervention_that_makes_no_sense_is_refused(happening: Happening, hours: float, target: str | None) -> None:
    with pytest.raises(SimulatorError, match=happening):
        pressed(happening, hours, target)
