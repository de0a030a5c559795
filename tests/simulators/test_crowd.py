"""Many devices: the same as the larger town has, in order, decoded to what makes sense, broken as the truth says."""

from __future__ import annotations

import resource
import sys
from collections import Counter, defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise, takewhile

import numpy as np
import pytest

from devices.codecs import decode
from devices.envelopes import open_uplink
from devices.model import ObservedProperty, Station, Town
from simulators import Happening, Intervention
from simulators.config import PERFECT, Impairments, Scenario, SimulatorConfig
from simulators.crowd import LEAST_WITH_SIM_CARDS, Crowd, everybody
from simulators.devices import Fleet
from simulators.errors import SimulatorError
from simulators.faults import FaultRates
from simulators.frames import CHIRPSTACK_V4, MIMAMORI_V1, SIGFOX, THE_THINGS_STACK_V3, Frame
from simulators.gateways import GATEWAY_BREAKS, GATEWAY_LASTS, gateways
from simulators.impairments import arrivals
from simulators.mass import at
from simulators.towns.larger import MIXED, larger, network_of

START = datetime(2026, 6, 20, 8, 3, tzinfo=UTC)
# The town itself and ten copies: each network of `MIXED` has what there is. Two valleys: beyond the fourteenth copy.
CONFIG = SimulatorConfig("localhost", 1883, impairments=PERFECT, networks=MIXED, devices=14 * 11)
TWO_VALLEYS = 14 * 21
SUDDEN = {"vandalism", "drift", "spike", "step", "noise", "range"}
BY_MQTT = (CHIRPSTACK_V4, THE_THINGS_STACK_V3, MIMAMORI_V1)


@pytest.fixture(scope="module")
def said(town: Town) -> list[Frame]:
    """What is said in two hours, when nothing goes wrong."""
    return frames(town, 2)


def frames(town: Town, hours: float, config: SimulatorConfig = CONFIG, first: datetime = START) -> list[Frame]:
    speaking = everybody(config, town, origin=START, first=first)
    end = first + timedelta(hours=hours)
    return list(takewhile(lambda frame: frame.heard < end, speaking.uplinks()))


def crowd(town: Town, config: SimulatorConfig) -> Crowd:
    """The copies alone."""
    assert config.devices is not None
    fleet = Fleet(config, town, origin=START, first=START)
    return Crowd(config, town, fleet, config.devices - 14, origin=START, first=START)


def at_stations(town: Town, config: SimulatorConfig = CONFIG) -> dict[str, Station]:
    assert config.devices is not None
    found = larger(town, config.devices, config.networks)
    return {device.key: station for station in found.stations for device in station.devices}


def values(frame: Frame, station: Station) -> dict[ObservedProperty, list[tuple[datetime | None, float]]]:
    """What the town's mapping makes of a frame."""
    (device,) = station.devices
    found: dict[ObservedProperty, list[tuple[datetime | None, float]]] = defaultdict(list)
    for each in decode(device.model, open_uplink(frame.topic, frame.body())):
        for line in device.mapping:
            if line.field == each.field and each.value is not None:
                found[line.observed_property].append((each.time, each.value * line.scale + line.offset))
    return found


@pytest.mark.parametrize("devices", [15, 28, 29, CONFIG.devices])
def test_they_are_the_devices_of_the_larger_town_over_its_networks_at_its_pace(town: Town, devices: int) -> None:
    config = replace(CONFIG, devices=devices)
    stations = at_stations(town, config)
    found = frames(town, 3, config)
    assert {frame.device for frame in found} == set(stations) and len(stations) == devices
    for key, some in groups(found).items():
        assert {frame.network for frame in some} == {network_of(key)}
        assert {frame.model for frame in some} == {stations[key].devices[0].model}
        assert {frame.name for frame in some} == {stations[key].name}
        fed = {line.observed_property for line in stations[key].devices[0].mapping}
        interval = min(d.interval for d in stations[key].datastreams if d.observed_property in fed)
        period = 3 * interval if some[0].model == "flow_pressure" else interval
        assert len(some) == pytest.approx(timedelta(hours=3) / period, abs=1)
        assert [frame.counter for frame in some] == list(range(len(some)))


def groups(found: list[Frame]) -> dict[str, list[Frame]]:
    by_device = defaultdict(list)
    for frame in found:
        by_device[frame.device].append(frame)
    return by_device


def test_all_four_networks_are_there_and_their_envelopes_are_opened(said: list[Frame]) -> None:
    assert set(Counter(frame.network for frame in said)) == {
        CHIRPSTACK_V4, THE_THINGS_STACK_V3, SIGFOX, MIMAMORI_V1
    }  # fmt: skip
    for frame in said:
        opened = open_uplink(frame.topic, frame.body())
        assert (opened.device_key, opened.network, opened.counter) == (frame.device, frame.network, frame.counter)
        assert len(frame.payload) <= 12 or frame.network != SIGFOX
        assert frame.receptions or frame.network == MIMAMORI_V1


def test_what_they_measure_is_possible_at_their_stations_and_no_two_are_the_same(town: Town) -> None:
    config = replace(CONFIG, scenario=Scenario.FLOOD, networks=(CHIRPSTACK_V4, MIMAMORI_V1), devices=14 * 7)
    stations = at_stations(town, config)
    seen: dict[ObservedProperty, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for frame in frames(town, 5.5, config):
        station = stations[frame.device]
        ranges = {d.observed_property: d.valid_range for d in station.datastreams}
        for observed, some in values(frame, station).items():
            for time, value in some:
                assert time is None or frame.heard - timedelta(minutes=26) < time <= frame.heard
                seen[observed][frame.device].append(value)
                if observed is not ObservedProperty.PRECIPITATION:  # that is a counter here
                    low, high = ranges[observed]
                    assert low is not None and high is not None and low <= value <= high, frame.device
    assert set(seen) == {
        ObservedProperty.WATER_LEVEL, ObservedProperty.TANK_LEVEL, ObservedProperty.PRECIPITATION,
        ObservedProperty.FLOW, ObservedProperty.PRESSURE, ObservedProperty.PASSAGES_IN, ObservedProperty.PASSAGES_OUT,
    }  # fmt: skip
    for observed, series in seen.items():
        if observed in (ObservedProperty.WATER_LEVEL, ObservedProperty.FLOW):
            assert len({tuple(some) for some in series.values()}) > 0.9 * len(series), observed
    rising = [some for some in seen[ObservedProperty.WATER_LEVEL].values() if max(some) - some[0] > 0.8]
    assert len(rising) > 0.9 * len(seen[ObservedProperty.WATER_LEVEL]), "the storm is over all of them"
    for some in seen[ObservedProperty.PRECIPITATION].values():
        assert all(b >= a for a, b in pairwise(some)) and some[-1] > some[0] + 40


def test_frames_come_in_the_order_in_which_they_are_heard_and_the_same_again(town: Town) -> None:
    config = replace(CONFIG, impairments=Impairments(), faults=FaultRates(stuck=0.5, clock=0.5, gateway=1.0))
    found = frames(town, 1, config)
    assert [frame.heard for frame in found] == sorted(frame.heard for frame in found)
    assert [(f.topic, f.body()) for f in found] == [(f.topic, f.body()) for f in frames(town, 1, config)]
    other = frames(town, 0.3, replace(config, seed=2))
    assert [f.payload for f in other] != [f.payload for f in found[: len(other)]]


def test_after_a_restart_the_same_devices_go_on_in_new_sessions(town: Town, said: list[Frame]) -> None:
    first = {(f.device, f.heard): f for f in said}
    later = START + timedelta(hours=1, seconds=7)
    again = frames(town, 0.9, first=later)
    assert again
    for frame in again:
        before = first[frame.device, frame.heard]
        assert (frame.payload, frame.samples) == (before.payload, before.samples)
        assert frame.session != before.session or frame.network == SIGFOX


def test_what_is_lost_is_lost_by_the_radio(town: Town, said: list[Frame]) -> None:
    config = replace(CONFIG, impairments=replace(PERFECT, fading=8.0))
    found = frames(town, 2, config)
    lost = [frame for frame in found if not arrivals(config, frame)]
    assert 0.005 < len(lost) / len(found) < 0.25
    assert all(frame.lost and not frame.receptions for frame in lost)
    assert not any(frame.lost for frame in said)


def test_every_fault_of_the_truth_shows_in_the_messages_and_nothing_else_does(town: Town) -> None:
    """Payload by payload against the same town in which nothing breaks, before it becomes frames."""
    rates = FaultRates(
        stuck=1.0, spike=1.0, battery=0.6, vandalism=1.0, clock=0.6, drift=1.0, step=1.0, noise=1.0, range=1.0
    )
    broken = crowd(town, replace(CONFIG, networks=(CHIRPSTACK_V4,), faults=rates, devices=700))
    whole = crowd(town, replace(CONFIG, networks=(CHIRPSTACK_V4,), devices=700))
    begin, end = START + timedelta(hours=14), START + timedelta(hours=19)
    truth = [each for each in broken.happened(begin, end) if each.device is not None]
    lasting = defaultdict(list)
    for each in truth:
        lasting[each.device].append(each)
    wrong = defaultdict(list)
    slack = timedelta(minutes=40)
    for group, other in zip(broken.groups, whole.groups, strict=True):
        slot = (begin.timestamp() // group.period + 1) * group.period
        while slot < end.timestamp():
            said, should = group.batch(slot, [], []), other.batch(slot, [], [])
            assert len(should.which) == len(other.copies), "nobody is silent where nothing breaks"
            as_it_should = dict(zip(should.which.tolist(), map(bytes, should.payloads), strict=True))
            as_it_is = dict(zip(said.which.tolist(), map(bytes, said.payloads), strict=True))
            for index, heard in zip(should.which.tolist(), should.heard, strict=True):
                if as_it_is.get(index) == as_it_should[index]:
                    continue
                key, when = group.key(index), at(heard)
                wrong[key].append(when)
                assert any(
                    each.start - slack <= when and (each.end is None or when < each.end + slack)
                    for each in lasting[key]
                ), f"{key} at {when}: nothing is wrong there by the truth"
            slot += group.period
    begun = [each for each in truth if each.what in SUDDEN and begin < each.start < end - timedelta(hours=1)]
    assert {each.what for each in begun} >= {"vandalism", "drift", "spike"}
    for each in begun:
        assert any(each.start <= when for when in wrong[each.device]), f"{each} does not show"


@pytest.mark.parametrize("kind", ["step", "noise", "range"])
def test_what_is_wrong_with_the_values_of_many_is_as_large_as_the_truth_says(town: Town, kind: str) -> None:
    rates = FaultRates(**{kind: 1.0})
    broken = crowd(town, replace(CONFIG, networks=(CHIRPSTACK_V4,), faults=rates))
    whole = crowd(town, replace(CONFIG, networks=(CHIRPSTACK_V4,)))
    for model, field in (("radar_level", slice(1, 3)), ("flow_pressure", slice(8, None))):
        group, other = (next(g for g in each.groups if g.device.model == model) for each in (broken, whole))
        index, fault = next(iter(group.faults(START, START + timedelta(days=30))))
        assert fault.end is not None
        slot = (fault.start.timestamp() // group.period + 2) * group.period
        offs = []
        while slot < fault.end.timestamp() - group.period:
            pair = [
                dict(zip(b.which, b.payloads, strict=True)) for b in (g.batch(slot, [], []) for g in (group, other))
            ]
            said, should = (each[index][field].astype(float) for each in pair)
            if model == "radar_level":
                offs.append(float((said - should) @ [256.0, 1.0]))
            elif fault.parameters.get("of") == "pressure":
                offs += [float(off @ [256.0, 1.0]) for off in (said - should).reshape(-1, 5)[:, 3:]]
            else:
                offs += [float(off @ [65536.0, 256.0, 1.0]) for off in (said - should).reshape(-1, 5)[:, :3]]
            slot += group.period
        unit = 1000 if model == "radar_level" else 10 if fault.parameters.get("of") == "pressure" else 100
        if kind == "step":
            assert np.abs(offs) == pytest.approx([unit * abs(fault.number("by"))] * len(offs), abs=1.01)
        elif kind == "noise":
            assert np.std(offs) == pytest.approx(unit * fault.number("by"), rel=0.3)
        else:
            assert min(offs) > 50_000, "the end of the scale"


def test_a_stuck_logger_of_many_repeats_one_value(town: Town) -> None:
    broken = crowd(town, replace(CONFIG, networks=(CHIRPSTACK_V4,), faults=FaultRates(stuck=1.0)))
    group = next(each for each in broken.groups if each.device.model == "flow_pressure")
    index, fault = next(iter(group.faults(START, START + timedelta(days=30))))
    slot = (fault.start.timestamp() // group.period + 2) * group.period
    samples = set()
    for number in range(4):
        batch = group.batch(slot + number * group.period, [], [])
        said = dict(zip(batch.which, batch.payloads, strict=True))[index]
        samples |= {bytes(each) for each in said[8:].reshape(-1, 5)}
    assert len(samples) == 1


def around(town: Town, config: SimulatorConfig, *times: datetime | None) -> list[Frame]:
    """What is said up to 35 minutes before and after some times: as long as the slowest device takes."""
    found = []
    for time in times:
        assert time is not None
        found += frames(town, 70 / 60, config, time - timedelta(minutes=35))
    return found


def test_a_gateway_that_breaks_takes_its_valley_with_it(town: Town) -> None:
    config = replace(CONFIG, networks=BY_MQTT, scenario=Scenario.GATEWAY, devices=TWO_VALLEYS)
    speaking = everybody(config, town, origin=START, first=START)
    first, last = START + GATEWAY_BREAKS, START + GATEWAY_BREAKS + GATEWAY_LASTS
    broken = [each for each in speaking.happened(first, last) if each.what == "gateway"]
    behind = {key for each in broken for key in each.parameters["only_there"]}
    assert len({each.parameters["gateway"] for each in broken}) == 1 and 60 <= len(behind) < TWO_VALLEYS / 2
    found = around(town, config, first, last)
    assert {frame.device for frame in found if frame.lost} == behind
    for frame in found:
        assert frame.lost == (frame.device in behind and first <= frame.heard < last), frame.device


@pytest.mark.parametrize("valley", [0, 1])
def test_what_a_gateway_of_a_valley_hears_while_it_is_cut_off_comes_when_it_is_mended(town: Town, valley: int) -> None:
    config = replace(CONFIG, networks=BY_MQTT, faults=FaultRates(outage=1.0), devices=TWO_VALLEYS)
    speaking = everybody(config, town, origin=START, first=START)
    of_valley = [gateway.key for gateway in gateways(valley)]
    cuts = [
        each
        for each in speaking.happened(START, START + timedelta(days=30))
        if each.what == "outage" and each.parameters["gateway"] in of_valley and each.parameters["only_there"]
    ]
    cut = cuts[0]
    gateway, behind = cut.parameters["gateway"], set(cut.parameters["only_there"])
    others = [each for each in speaking.happened(cut.start, cut.end or cut.start) if each.what == "outage"]
    assert cut.end is not None and [each for each in others if each.parameters["gateway"] in of_valley] == [cut]
    held = set()
    for frame in around(town, config, cut.start, cut.end):
        lasts = cut.start <= frame.heard < cut.end
        by = {each.gateway for each in frame.receptions}
        if frame.device in behind:
            assert by == {gateway} and frame.held_until == (cut.end if lasts else None)
            assert arrivals(config, frame) == (cut.end if lasts else frame.heard,)
            held |= {frame.device} if lasts else set()
        else:
            assert frame.held_until is None and not (lasts and gateway in by), "another gateway brings it"
    assert held == behind and len(held) > 10


def test_in_the_scenario_carrier_whoever_has_a_sim_card_is_silent_and_tells_it_afterwards(town: Town) -> None:
    config = replace(CONFIG, scenario=Scenario.CARRIER)
    speaking = everybody(config, town, origin=START, first=START)
    (out,) = [each for each in speaking.happened(START, START + timedelta(days=1)) if each.what == "carrier"]
    assert (out.device, out.station, out.parameters["network"]) == (None, None, MIMAMORI_V1)
    assert out.end is not None and out.start > START
    with_sim_cards = {key for key in at_stations(town) if network_of(key) == MIMAMORI_V1}
    assert set(out.parameters["only_there"]) == with_sim_cards and len(with_sim_cards) > 10
    found = around(town, config, out.start, out.end)
    assert {frame.device for frame in found if frame.held_until} == with_sim_cards
    for frame in found:
        silent = frame.device in with_sim_cards and out.start <= frame.heard < out.end
        assert frame.held_until == (out.end if silent else None), frame.device
        assert arrivals(config, frame) == (out.end if silent else frame.heard,)


def test_the_scenario_carrier_needs_somebody_with_a_sim_card(town: Town) -> None:
    config = replace(CONFIG, scenario=Scenario.CARRIER)
    for wrong in (
        replace(config, devices=None),
        replace(config, devices=100),
        replace(config, networks=(CHIRPSTACK_V4,)),
    ):
        with pytest.raises(SimulatorError, match=f"SIM card.*--mixed .*--devices {LEAST_WITH_SIM_CARDS}"):
            everybody(wrong, town, origin=START, first=START)
    enough = replace(config, devices=LEAST_WITH_SIM_CARDS)
    assert everybody(enough, town, origin=START, first=START).with_sim_cards()


def test_what_was_set_off_shows_in_the_copies_too(town: Town) -> None:
    speaking = everybody(CONFIG, town, origin=START, first=START)
    key = next(
        key for key, station in at_stations(town).items() if station.code.startswith("spot-") and "-5" in station.code
    )
    now = START + timedelta(minutes=35)
    over = now + timedelta(minutes=45)
    uplinks = speaking.uplinks()
    before = list(takewhile(lambda f: f.heard < now, uplinks))
    speaking.intervene([Intervention(Happening.SILENCE, now, over, key)])
    during = [f for f in takewhile(lambda f: f.heard < over, uplinks) if f.heard > now + timedelta(minutes=10)]
    after = list(takewhile(lambda f: f.heard < over + timedelta(minutes=35), uplinks))
    assert any(f.device == key for f in before) and during and all(f.device != key for f in during)
    assert any(f.device == key for f in after)


@pytest.mark.skipif(sys.platform == "win32", reason="memory is read as Unix tells it")
def test_a_hundred_thousand_devices_are_ready_in_little_memory(town: Town) -> None:
    config = replace(CONFIG, devices=100_000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    fleet = Fleet(config, town, origin=START, first=START)
    crowd = Crowd(config, town, fleet, 100_000 - 14, origin=START, first=START)
    assert crowd.devices == 100_000 - 14
    first = next(crowd.uplinks())
    assert open_uplink(first.topic, first.body()).device_key == first.device
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown < 120, f"{grown:.0f} MB"
    keys = {group.key(index) for group in crowd.groups for index in range(len(group.copies))}
    assert len(keys) == 100_000 - 14, "no two have the same name"


@pytest.mark.parametrize("devices", [0, 100_001])
def test_impossible_numbers_of_devices_are_refused(town: Town, devices: int) -> None:
    with pytest.raises(SimulatorError, match="100000"):
        everybody(replace(CONFIG, devices=devices), town, origin=START, first=START)


def test_a_smaller_town_is_a_part_of_its_own(town: Town) -> None:
    found = frames(town, 1, replace(CONFIG, devices=5))
    assert len({frame.device for frame in found}) == 5


def test_counts_are_those_of_groups_that_arrive(town: Town) -> None:
    """The mean number of passages at all copies of a spot follows the spot's own expectation."""
    config = replace(CONFIG, devices=14 * 200, networks=(CHIRPSTACK_V4,))
    noon = datetime(2026, 6, 20, 2, 55, tzinfo=UTC)
    stations = at_stations(town, config)
    speaking = everybody(config, town, origin=noon, first=noon)
    fleet = Fleet(config, town, origin=noon, first=noon)
    spot = fleet.world.spots["spot-michinoeki"]
    ends = noon + timedelta(minutes=5)
    expected = spot.expected(ends, timedelta(minutes=10))
    counts = []
    for frame in takewhile(lambda f: f.heard < ends + timedelta(minutes=9), speaking.uplinks()):
        station = stations[frame.device]
        if station.code.startswith("spot-michinoeki-"):
            period = next(
                d.interval for d in station.datastreams if d.observed_property is ObservedProperty.PASSAGES_IN
            )
            if period == timedelta(minutes=10):
                counts.append(values(frame, station)[ObservedProperty.PASSAGES_IN][0][1])
    assert len(counts) > 100
    assert np.mean(counts) == pytest.approx(0.9 * expected, rel=0.15)
