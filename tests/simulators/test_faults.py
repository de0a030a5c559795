"""What breaks is planned, is on the truth file, and shows in what the devices send: no more and no less."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from devices import codecs, envelopes
from devices.model import Device, Reading, Town
from simulators import Happening, Intervention
from simulators.chance import keys
from simulators.config import PERFECT, Scenario, SimulatorConfig
from simulators.devices import Fleet
from simulators.errors import SimulatorError
from simulators.faults import (
    NO_FAULTS,
    OF_MODEL,
    PLANNED,
    USUAL,
    Fault,
    FaultKind,
    FaultRates,
    Faults,
    plan,
    stretch_of,
    voltage,
)
from simulators.frames import Frame
from simulators.gateways import gateways
from simulators.impairments import arrivals
from simulators.truth import Happened, Truth

START = datetime(2026, 6, 20, 8, 3, tzinfo=UTC)
QUIET = SimulatorConfig("localhost", 1883, scenario=Scenario.NORMAL, impairments=PERFECT)
ALWAYS = dict.fromkeys(("stuck", "drift", "spike", "clock", "battery", "vandalism", "step", "noise", "range"), 0.0)


def fleet_of(town: Town, config: SimulatorConfig = QUIET, first: datetime = START) -> Fleet:
    return Fleet(config, town, origin=START, first=first)


def heard(fleet: Fleet, until: datetime) -> dict[str, list[Frame]]:
    found = defaultdict(list)
    for frame in takewhile(lambda frame: frame.heard < until, fleet.uplinks()):
        found[frame.device].append(frame)
    return found


def readings(frame: Frame) -> dict[str, Reading]:
    """The newest of each field."""
    return {each.field: each for each in codecs.decode(frame.model, envelopes.open_uplink(frame.topic, frame.body()))}


def device(town: Town, model: str) -> Device:
    return next(d for station in town.stations for d in station.devices if d.model == model)


def one(fleet: Fleet, kind: FaultKind, key: str) -> Fault:
    """The fault of a device in the stretch of `START`, when every device has one."""
    begin = datetime(1970, 1, 1, tzinfo=UTC) + stretch_of(START) * PLANNED
    (found,) = [
        each for each in fleet.faults.between(begin, begin + PLANNED) if (each.kind, each.device) == (kind, key)
    ]
    return found


def around(town: Town, kind: FaultKind, model: str) -> tuple[Fault, list[Frame], list[Frame]]:
    """A fault that every device has, and what the first of a model says from a day before: with it, and without."""
    rates = FaultRates(**{**ALWAYS, kind.value: 1.0})
    key = device(town, model).key
    fault = one(fleet_of(town, replace(QUIET, faults=rates)), kind, key)
    first = fault.start - timedelta(hours=6)
    assert fault.end is not None
    # the end of a battery is worth waiting for
    longest = timedelta(days=16 if kind is FaultKind.BATTERY else 4)
    until = min(fault.end + timedelta(hours=6), first + longest)
    small = replace(town, stations=tuple(s for s in town.stations if any(d.key == key for d in s.devices)))
    broken, whole = (
        heard(fleet_of(small, replace(QUIET, faults=each), first), until)[key] for each in (rates, NO_FAULTS)
    )
    return fault, broken, whole


def differing(broken: list[Frame], whole: list[Frame]) -> list[datetime]:
    there = {frame.heard: frame.payload for frame in broken}
    return [frame.heard for frame in whole if there.get(frame.heard) != frame.payload]


@pytest.mark.parametrize(("kind", "model"), [(kind, model) for model, kinds in OF_MODEL.items() for kind in kinds])
def test_a_fault_shows_in_the_messages_while_it_lasts_and_at_no_other_time(
    town: Town, kind: FaultKind, model: str
) -> None:
    fault, broken, whole = around(town, kind, model)
    wrong = differing(broken, whole)
    period = whole[1].heard - whole[0].heard
    if model == "rain_gauge" and kind is FaultKind.STUCK and not wrong:
        pytest.skip("it did not rain while it was blocked")
    assert wrong, "it shows"
    assert fault.start - timedelta(minutes=1) < wrong[0]
    assert fault.end is not None and wrong[-1] <= fault.end + 2 * period
    if kind in (FaultKind.BATTERY, FaultKind.VANDALISM):
        silent = [frame.heard for frame in whole if fault.silent_from <= frame.heard < fault.end]
        said = {frame.heard for frame in broken}
        assert silent and said.isdisjoint(silent)
        assert [frame.counter for frame in broken] == list(range(len(broken))), "it did not send and was not lost"


def test_a_stuck_sensor_repeats_itself_and_a_drifting_one_walks_away(town: Town) -> None:
    fault, broken, _ = around(town, FaultKind.STUCK, "radar_level")
    stuck = {readings(f)["distance"].value for f in broken if fault.covers(f.heard)}
    assert len(stuck) == 1
    fault, broken, whole = around(town, FaultKind.DRIFT, "flow_pressure")
    true = {frame.heard: readings(frame)["flow"].value for frame in whole}
    for frame in broken:
        off = (readings(frame)["flow"].value or 0) - (true[frame.heard] or 0)
        time = readings(frame)["flow"].time
        assert time is not None
        expected = fault.number("a_day") * fault.days(time) if fault.covers(time) else 0.0
        assert off == pytest.approx(expected, abs=0.011)


@pytest.mark.parametrize("kind", [FaultKind.STEP, FaultKind.NOISE, FaultKind.RANGE])
@pytest.mark.parametrize("model", ["radar_level", "flow_pressure"])
def test_what_is_wrong_with_the_values_is_as_large_as_the_truth_says(town: Town, kind: FaultKind, model: str) -> None:
    fault, broken, whole = around(town, kind, model)
    field = "distance" if model == "radar_level" else str(fault.parameters.get("of", "flow"))
    other = {"flow": "pressure", "pressure": "flow", "distance": "battery"}[field]
    true = {frame.heard: readings(frame) for frame in whole}
    offs = []
    for frame in broken:
        said, should = readings(frame), true[frame.heard]
        assert said[other].value == should[other].value, "it is the other that is wrong"
        time = said[field].time or frame.heard
        if not fault.covers(time):
            assert said[field].value == should[field].value
        elif kind is FaultKind.RANGE:
            assert said[field].value == {"distance": 65534.0, "flow": 80_000.0, "pressure": 6553.4}[field]
            offs.append(0.0)
        else:
            offs.append((said[field].value or 0.0) - (should[field].value or 0.0))
    assert offs
    if kind is FaultKind.STEP:
        by = -1000 * fault.number("by") if field == "distance" else fault.number("by")
        assert offs == pytest.approx([by] * len(offs), abs=1.01 if field == "distance" else 0.11)
    elif kind is FaultKind.NOISE:
        assert np.mean(offs) == pytest.approx(0.0, abs=4 * np.std(offs) / len(offs) ** 0.5)
        by = (1000 if field == "distance" else 1) * fault.number("by")
        assert np.std(offs) == pytest.approx(by, rel=0.3)


def test_a_logger_is_wrong_in_what_it_measures_first_or_in_the_other_and_a_gauge_has_no_other() -> None:
    models = {f"{model} {n}": model for model in ("radar_level", "flow_pressure") for n in range(200)}
    rates = FaultRates(step=1.0, noise=1.0, drift=1.0)
    found = Faults(1, rates, models, ()).between(START, START + timedelta(days=30))
    pressure = [each for each in found if each.parameters.get("of") == "pressure"]
    assert {models[each.device or ""] for each in pressure} == {"flow_pressure"}
    steps = [each for each in found if each.kind is FaultKind.STEP and models[each.device or ""] == "flow_pressure"]
    assert 0.35 < sum(each in pressure for each in steps) / len(steps) < 0.65
    assert not any(each.kind is FaultKind.DRIFT for each in pressure)
    assert all(30 <= abs(each.number("by")) <= 60 for each in steps if each in pressure)


def test_further_kinds_shift_no_others() -> None:
    models = {f"radar {n}": "radar_level" for n in range(50)}
    old = FaultRates(stuck=0.5, drift=0.5, spike=0.5, battery=0.5, vandalism=0.5)
    new = replace(old, step=1.0, noise=1.0, range=1.0)
    month = (START, START + timedelta(days=30))
    before = Faults(1, old, models, ()).between(*month)
    kinds = {each.kind for each in before}
    assert len(before) > 60
    assert [each for each in Faults(1, new, models, ()).between(*month) if each.kind in kinds] == before
    # as they have always been drawn: the first of them, by its device, time and size
    made = plan(FaultKind.DRIFT, 0.5, 1, keys(models), stretch_of(START))
    assert not made.beside.any()


def test_one_value_has_the_spike_and_it_is_as_high_as_the_truth_says(town: Town) -> None:
    fault, broken, whole = around(town, FaultKind.SPIKE, "people_counter")
    (wrong,) = differing(broken, whole)
    pair = [next(f for f in frames if f.heard == wrong) for frames in (broken, whole)]
    values = [readings(frame)["passages_in"].value or 0 for frame in pair]
    assert values[0] - values[1] == pytest.approx(fault.number("by"), abs=1)


def test_a_clock_gains_and_a_battery_sinks_before_it_dies(town: Town) -> None:
    fault, broken, whole = around(town, FaultKind.CLOCK, "people_counter")
    true = {frame.heard: readings(frame)["passages_in"].time for frame in whole}
    offs = []
    for frame in broken:
        said, really = readings(frame)["passages_in"].time, true[frame.heard]
        assert said is not None and really is not None
        offs.append((said - really).total_seconds())
        expected = fault.number("a_day") * fault.days(really) if fault.covers(really) else 0.0
        assert offs[-1] == pytest.approx(expected, abs=0.6)
    assert abs(offs[-1]) > 60 and offs[0] == 0
    volts = [voltage(share / 10) for share in range(11)]
    assert volts == sorted(volts, reverse=True) and volts[0] - volts[5] < volts[5] - volts[10]


def test_plans_keep_their_frequencies_and_their_stretch_and_do_not_change() -> None:
    about = keys(f"device {n}" for n in range(4000))
    made = plan(FaultKind.STUCK, 0.3, 1, about, 700)
    again = plan(FaultKind.STUCK, 0.3, 1, about[::-1], 700)
    assert (again.there[::-1] == made.there).all() and (again.start[::-1] == made.start).all()
    assert made.there.mean() == pytest.approx(0.3, abs=0.03)
    span = PLANNED.total_seconds()
    assert (made.start >= 700 * span).all() and (made.end <= 701 * span).all() and (made.start < made.end).all()
    assert (abs(made.size) >= 0.5).all() and (made.size < 0).mean() == pytest.approx(0.5, abs=0.05)
    assert (plan(FaultKind.STUCK, 0.3, 1, about, 701).there != made.there).any()
    assert np.mean(plan(FaultKind.DRIFT, 0.3, 1, about, 700).there & made.there) == pytest.approx(0.09, abs=0.02)


def test_a_gateway_out_of_order_silences_those_behind_it_and_nobody_else(town: Town) -> None:
    fleet = fleet_of(town, replace(QUIET, scenario=Scenario.GATEWAY))
    (fault,) = [f for f in fleet.faults.between(START, START + timedelta(days=1)) if f.kind is FaultKind.GATEWAY]
    assert fault.end is not None and fault.gateway == gateways()[0].key
    behind = set(fleet.behind(fault.gateway))
    assert 8 <= len(behind) < 14
    frames = [f for some in heard(fleet, fault.end + timedelta(hours=1)).values() for f in some]
    lost = [f for f in frames if f.lost]
    assert {f.device for f in lost} == behind
    for frame in frames:
        assert frame.lost == (frame.device in behind and fault.covers(frame.heard))
        assert bool(arrivals(QUIET, frame)) != frame.lost
        assert all(each.gateway != fault.gateway for each in frame.receptions if fault.covers(frame.heard))


def test_what_a_gateway_hears_while_it_is_cut_off_comes_in_one_batch_when_it_is_mended(town: Town) -> None:
    fleet = fleet_of(town)
    gateway = gateways()[1].key
    cut = Fault(FaultKind.OUTAGE, START + timedelta(hours=1), START + timedelta(hours=3), gateway=gateway)
    fleet.faults = Faults(1, NO_FAULTS, {}, [gateway], [cut])
    fleet._devices = [replace(each, faults=fleet.faults) for each in fleet._devices]
    held = [f for some in heard(fleet, START + timedelta(hours=5)).values() for f in some if f.held_until is not None]
    assert {f.device for f in held} == set(fleet.behind(gateway)) and len(held) > 20
    for frame in held:
        assert cut.covers(frame.heard) and arrivals(QUIET, frame) == (cut.end,)


def test_the_truth_file_has_every_fault_and_event_once_in_the_order_in_which_they_begin(
    town: Town, tmp_path: Path
) -> None:
    config = replace(QUIET, scenario=Scenario.WEAR)
    fleet = fleet_of(town, config)
    burst = Intervention(Happening.BURST, START + timedelta(hours=30), START + timedelta(hours=31), "block-hamamachi")
    silence = Intervention(
        Happening.SILENCE, START + timedelta(hours=30), START + timedelta(hours=40), device(town, "rain_gauge").key
    )
    with Truth(tmp_path / "truth.jsonl", fleet.happened, START) as truth:
        for hour in range(30 * 24):
            if hour == 30:
                fleet.intervene([burst, silence])
                truth.again(START + timedelta(hours=30))
            truth.until(START + timedelta(hours=hour))
    lines = [json.loads(line) for line in (tmp_path / "truth.jsonl").read_text("utf-8").splitlines()]
    begun = {
        (each.what, each.device, each.station, each.start.astimezone(UTC).isoformat())
        for each in fleet.happened(START, START + timedelta(hours=719))
        if each.start <= START + timedelta(hours=719)
    }
    written = [(line["kind"], line["device"], line["station"], line["from"]) for line in lines]
    assert set(written) == begun and len(written) == len(begun)
    kinds = {line["kind"] for line in lines}
    assert {"burst", "silence", "stuck", "battery", "drift", "clock", "gateway"} <= kinds
    stations = {d.key: s.code for s in town.stations for d in s.devices}
    assert all(line["station"] == stations[line["device"]] for line in lines if line["device"])
    assert all(line["parameters"]["only_there"] for line in lines if line["kind"] == "gateway")
    late = [line["from"] for line in lines if line["from"] > START.isoformat()]
    assert late == sorted(late)


@pytest.mark.parametrize(
    ("scenario", "kinds"),
    [
        (Scenario.FLOOD, {"storm", "burst", "covered", "sheltering"}),
        (Scenario.GATEWAY, {"storm", "gateway"}),
        (Scenario.CARRIER, {"carrier"}),
        (Scenario.BURST, {"burst"}),
        (Scenario.LEAK, {"leak"}),
        (Scenario.VALVE, {"valve"}),
        (Scenario.FESTIVAL, {"festival"}),
    ],
)
def test_every_scenario_says_what_it_brings(town: Town, scenario: Scenario, kinds: set[str]) -> None:
    fleet = fleet_of(town, replace(QUIET, scenario=scenario))
    found = {each.what: each for each in fleet.happened(START, START + timedelta(hours=12))}
    assert kinds <= set(found) <= kinds | {"blocked", "burst", "storm", "covered", "sheltering"}
    for kind in kinds:
        assert START <= found[kind].start < START + timedelta(hours=6)
    later = {each.what for each in fleet.happened(START + timedelta(hours=72), START + timedelta(hours=84))}
    assert kinds - {"festival"} <= later, "and again on the third day"


def test_a_truth_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    def nothing(_first: datetime, _last: datetime) -> list[Happened]:
        return []

    with pytest.raises(SimulatorError, match="truth file cannot be written"):
        Truth(tmp_path / "nowhere" / "truth.jsonl", nothing, START)
    with Truth(None, nothing, START) as truth:
        truth.until(START)


@pytest.mark.parametrize("wrong", [{"stuck": 1.5}, {"gateway": -0.1}])
def test_impossible_rates_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(SimulatorError, match=r"fault rates: .* between 0 and 1"):
        FaultRates(**wrong)
    with pytest.raises(SimulatorError, match="0 to 10000 times"):
        USUAL.times(-1)
    assert USUAL.times(1000).stuck == 1.0 and USUAL.times(0) == NO_FAULTS
    with pytest.raises(SimulatorError, match="before it starts"):
        Fault(FaultKind.STUCK, START, START)
