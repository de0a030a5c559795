"""The simulated devices: real envelopes and codecs read them back, and they say what the town's file means."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise, takewhile

import pytest

from devices import codecs, envelopes
from devices.model import Device, ObservedProperty, StationKind, Town, Uplink
from simulators.config import PERFECT, Impairments, Scenario, SimulatorConfig
from simulators.devices import Fleet
from simulators.errors import SimulatorError
from simulators.frames import Frame
from simulators.impairments import fate, unmeasured
from simulators.world import World

START = datetime(2026, 6, 20, 8, 3, tzinfo=UTC)
CONFIG = SimulatorConfig("localhost", 1883, scenario=Scenario.FLOOD, impairments=PERFECT)


def frames(town: Town, hours: float, config: SimulatorConfig = CONFIG, first: datetime = START) -> list[Frame]:
    fleet = Fleet(config, town, origin=START, first=first)
    end = first + timedelta(hours=hours)
    return list(takewhile(lambda frame: frame.heard < end, fleet.uplinks()))


def opened(frame: Frame) -> Uplink:
    return envelopes.open_uplink(frame.topic, frame.body())


def devices(town: Town) -> dict[str, Device]:
    return {device.key: device for station in town.stations for device in station.devices}


def test_every_frame_is_opened_as_what_was_sent(town: Town) -> None:
    for frame in frames(town, 6):
        uplink = opened(frame)
        assert (uplink.device_key, uplink.session, uplink.counter) == (frame.device, frame.session, frame.counter)
        assert (uplink.network_time, uplink.payload, uplink.event) == (frame.heard, frame.payload, None)


def test_every_join_is_opened_as_an_event_of_the_session(town: Town) -> None:
    fleet = Fleet(CONFIG, town, origin=START, first=START)
    joins = [opened(frame) for frame in fleet.joins()]
    assert {join.device_key for join in joins} == set(devices(town))
    assert {join.event for join in joins} == {"join"}
    sessions = {join.device_key: join.session for join in joins}
    assert all(sessions[frame.device] == frame.session for frame in frames(town, 1))


def test_levels_come_back_through_codec_and_mapping(town: Town) -> None:
    world = World(CONFIG, town, START)
    stations = {device.key: station for station in town.stations for device in station.devices}
    seen = 0
    for frame in frames(town, 8):
        device = devices(town)[frame.device]
        if device.model != "radar_level":
            continue
        reading = codecs.decode(device.model, opened(frame))[0]
        (line,) = device.mapping
        assert reading.field == line.field and reading.value is not None
        level = reading.value * line.scale + line.offset
        station = stations[frame.device]
        place = world.tanks[station.code] if station.kind is StationKind.SERVICE_TANK else None
        there = world.river.level(station.code, frame.heard) if place is None else place.level(frame.heard)
        assert level == pytest.approx(there, abs=0.001)
        seen += 1
    assert seen == 5 * 48


def test_logger_samples_are_complete_and_without_repetition(town: Town) -> None:
    (key,) = [device.key for device in devices(town).values() if device.model == "flow_pressure"]
    times = []
    for frame in frames(town, 6):
        if frame.device == key:
            readings = codecs.decode("flow_pressure", opened(frame))
            times += [reading.time for reading in readings if reading.field == "flow"]
            assert max(time for time in times if time) <= frame.heard
    steps = {b - a for a, b in pairwise(times) if a and b}
    assert len(times) == 6 * 12 and steps == {timedelta(minutes=5)}


def test_counters_count_whole_periods(town: Town) -> None:
    world = World(CONFIG, town, START)
    spot = next(station for station in town.stations if station.kind is StationKind.VISITOR_SPOT)
    for frame in frames(town, 3):
        if frame.device == spot.devices[0].key:
            inwards, outwards, *_ = codecs.decode("people_counter", opened(frame))
            assert inwards.time is not None and inwards.time.minute % 10 == 0
            assert timedelta(0) < frame.heard - inwards.time < timedelta(minutes=1)
            counted = world.spots[spot.code].passages(inwards.time, timedelta(minutes=10))
            assert (inwards.value, outwards.value) == counted


def test_frames_come_in_the_order_in_which_they_are_heard_and_each_counter_from_zero(town: Town) -> None:
    sent = frames(town, 6)
    assert [frame.heard for frame in sent] == sorted(frame.heard for frame in sent)
    assert all(frame.heard > START for frame in sent)
    counters = defaultdict(list)
    for frame in sent:
        counters[frame.device].append(frame.counter)
    assert set(counters) == set(devices(town))
    assert all(seen == list(range(len(seen))) for seen in counters.values())


@pytest.mark.parametrize("scenario", Scenario)
def test_the_same_run_twice_is_the_same_byte_by_byte(town: Town, scenario: Scenario) -> None:
    first, again = (frames(town, 3, replace(CONFIG, scenario=scenario)) for _ in range(2))
    assert first and [(f.topic, f.body()) for f in first] == [(f.topic, f.body()) for f in again]


def test_after_a_restart_the_same_world_goes_on_in_a_new_session(town: Town) -> None:
    later = START + timedelta(hours=1, seconds=7)
    first = {(frame.device, frame.heard): frame for frame in frames(town, 2)}
    again = frames(town, 0.9, first=later)
    assert again
    for frame in again:
        before = first[frame.device, frame.heard]
        assert frame.payload == before.payload
        assert frame.session != before.session
    assert min(frame.counter or 0 for frame in again) == 0


def test_another_seed_is_another_town(town: Town) -> None:
    payloads = [[frame.payload for frame in frames(town, 2, replace(CONFIG, seed=seed))] for seed in (1, 2)]
    assert payloads[0] != payloads[1]


def test_payloads_fit_the_slowest_data_rate_they_claim(town: Town) -> None:
    assert {len(frame.payload) <= (53 if len(frame.payload) > 11 else 11) for frame in frames(town, 2)} == {True}


def test_what_could_not_be_measured_is_said_and_not_invented(town: Town) -> None:
    config = replace(CONFIG, impairments=replace(PERFECT, unmeasured=1.0))
    for frame in frames(town, 1, config):
        readings = codecs.decode(devices(town)[frame.device].model, opened(frame))
        mapped = {line.field for line in devices(town)[frame.device].mapping}
        assert {reading.value for reading in readings if reading.field in mapped} == {None}


def test_a_device_that_nobody_simulates_is_named(town: Town) -> None:
    spot = next(station for station in town.stations if station.kind is StationKind.VISITOR_SPOT)
    wrong = replace(spot, devices=(replace(spot.devices[0], model="radar_level"),))
    with pytest.raises(SimulatorError, match=f"{spot.devices[0].key} at {spot.code}: nobody simulates a radar_level"):
        Fleet(CONFIG, replace(town, stations=(wrong,)), origin=START, first=START)


def test_a_mapping_that_cannot_be_sent_is_named(town: Town) -> None:
    gauge = town.stations[0]
    line = replace(gauge.devices[0].mapping[0], offset=-5.0)
    wrong = replace(gauge, devices=(replace(gauge.devices[0], mapping=(line,)),))
    with pytest.raises(SimulatorError, match=r"distance .* does not fit.*; check scale and offset"):
        frames(replace(town, stations=(wrong,)), 1)


def test_devices_that_are_not_on_lorawan_keep_silent(town: Town) -> None:
    gauge = town.stations[0]
    other = replace(gauge, devices=(replace(gauge.devices[0], key="plc-1"),))
    assert frames(replace(town, stations=(other,)), 1) == []


# --- impairments ------------------------------------------------------------------------------------------


def test_fates_have_their_frequencies_and_do_not_change() -> None:
    impairments = Impairments(loss=0.1, duplicate=0.2, disorder=0.1, late=0.05, unmeasured=0.02)
    times = [START + n * timedelta(minutes=10) for n in range(5000)]
    fates = [fate(impairments, 1, "a", at) for at in times]
    assert fates == [fate(impairments, 1, "a", at) for at in times]
    assert fates != [fate(impairments, 1, "b", at) for at in times]
    share = {n: sum(len(delays) == n for delays in fates) / len(fates) for n in (0, 1, 2)}
    assert share[0] == pytest.approx(0.1, abs=0.02) and share[2] == pytest.approx(0.2, abs=0.02)
    waits = [delays[0] for delays in fates if len(delays) == 1 and delays[0]]
    assert len(waits) / len(fates) == pytest.approx(0.15, abs=0.02)
    assert timedelta(minutes=10) <= min(waits) and timedelta(hours=2) < max(waits) <= timedelta(hours=3)
    silent = sum(unmeasured(impairments, 1, "a", at) for at in times) / len(times)
    assert silent == pytest.approx(0.02, abs=0.01)


def test_without_impairments_everything_arrives_once_and_at_once() -> None:
    times = [START + n * timedelta(minutes=10) for n in range(1000)]
    assert {fate(PERFECT, 1, "a", at) for at in times} == {(timedelta(0),)}


@pytest.mark.parametrize("wrong", [{"loss": 1.1}, {"late": -0.1}, {"loss": 0.6, "duplicate": 0.6}])
def test_impossible_impairments_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(SimulatorError, match="impairments"):
        Impairments(**wrong)


def test_the_mapping_is_inverted_for_every_property_that_a_device_of_the_town_measures(town: Town) -> None:
    mapped = {line.observed_property for device in devices(town).values() for line in device.mapping}
    named = {stream.observed_property for station in town.stations for stream in station.datastreams}
    assert mapped == named - {ObservedProperty.PASSAGES_DAY}, "a day's total is entered by hand"
