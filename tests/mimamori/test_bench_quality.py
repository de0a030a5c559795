"""`mimamori bench quality`: few places, few days. How good the checks are is for the command to say, not for here."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from devices import codecs
from devices.codecs import flow_pressure, people_counter, radar_level, rain_gauge
from devices.model import Datastream, ObservedProperty, StationKind, Uplink
from mimamori.bench import quality_told
from mimamori.bench.quality import QualityBench, find, outside_limits, rows
from mimamori.bench.quality_places import FIRST, STRETCH, Heard, lots, reads, simulate, stations
from mimamori.bench.quality_rivers import Rivers, found_in, gauges
from mimamori.bench.quality_speed import gate, learnt
from mimamori.bench.quality_told import Event, tally, tells
from simulators.faults import Fault, FaultKind
from tests.mimamori.test_cli import command

AT = datetime(2026, 5, 7, 12, tzinfo=UTC)
SAMPLES = [(12.34, 456.7), (-0.05, 0.0), (None, None)]
PAYLOADS = {
    "radar_level": [radar_level.encode(distance=each, battery=3.6) for each in (0.0, 4321.0, None)],
    "people_counter": [people_counter.encode(time=AT, passages_in=each, passages_out=3) for each in (0, 700, None)],
    "rain_gauge": [rain_gauge.encode(time=AT, restarts=2, count=9, tips=each) for each in (0, 7, None)],
    "flow_pressure": [flow_pressure.encode(time=AT, step=timedelta(minutes=5), samples=SAMPLES)],
}
FIELDS = {"people_counter": ["passages_in"], "flow_pressure": ["flow", "pressure"], "rain_gauge": ["tips"]}


@pytest.mark.parametrize("model", PAYLOADS)
def test_payloads_are_read_as_the_codecs_read_them(model: str) -> None:
    payloads = np.array([list(each) for each in PAYLOADS[model]], dtype=np.uint8)
    clock, fields = reads(model, payloads)
    for number, payload in enumerate(PAYLOADS[model]):
        readings = codecs.decode(model, Uplink("chirpstack_v4", "0" * 16, "", 1, None, payload=payload))
        for field in FIELDS.get(model, ["distance"]):
            expected = [each for each in readings if each.field == field]
            found = fields["count" if field == "tips" else field][number]
            assert [None if np.isnan(value) else value for value in found] == pytest.approx([r.value for r in expected])
            newest = expected[-1].time
            assert newest is None if clock is None else newest is not None and clock[number] == newest.timestamp()


@pytest.fixture(scope="module")
def tank() -> Heard:
    return simulate(stations(StationKind.SERVICE_TANK)[0], range(1), months=1, seed=1, learning=False)


def test_a_place_has_its_own_fault_and_no_other_and_is_whole_in_the_first_month(tank: Heard) -> None:
    assert tank.lots == lots("radar_level")
    for lot, faults in zip(tank.lots, tank.faults, strict=True):
        assert {each.kind for each in faults} == ({lot.kind} if lot.kind else set())
        assert all(tank.judged_from <= each.start.timestamp() for each in faults)
    missing = np.isnan(tank.heard).mean(axis=0)
    silent = [n for n, lot in enumerate(tank.lots) if lot.kind in (FaultKind.BATTERY, FaultKind.VANDALISM)]
    assert (missing[silent] > 0.02).all() and (np.delete(missing, silent) > 0.004).all()
    assert (np.delete(missing, silent) < 0.02).all()


def test_what_breaks_shows_in_its_own_series(tank: Heard) -> None:
    values = tank.values[ObservedProperty.TANK_LEVEL]
    stuck, out = (
        next(n for n, lot in enumerate(tank.lots) if lot.kind is kind) for kind in (FaultKind.STUCK, FaultKind.RANGE)
    )
    for column, expected in ((stuck, None), (out, 5.5 - 65.534)):
        (fault,) = tank.faults[column]
        during = [fault.covers(datetime.fromtimestamp(t, UTC)) if t == t else False for t in tank.times[:, column]]
        there = values[during, column]
        there = there[~np.isnan(there)]
        assert len(there) > 10 and np.ptp(there) == 0.0
        assert expected is None or there[0] == pytest.approx(expected)


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    return find(QualityBench(1, 1, 1, learning=False), (StationKind.RAIN_GAUGE,), lambda _done, _of: None)


def test_what_nobody_could_miss_is_found_and_what_is_not_told_has_no_figures(found: dict[str, Any]) -> None:
    kinds = found["faults"]["precipitation"]
    assert set(kinds) == {"stuck", "clock", "battery"}
    assert kinds["stuck"] == {"faults": 1, "not_told": True}
    assert kinds["battery"]["event_recall"] == kinds["clock"]["event_recall"] == 1.0
    assert kinds["battery"]["as"] == {"silence": 1} and kinds["battery"]["delay_hours"] < 2
    assert found["clean"]["precipitation"] == {"events": 0, "series_months": 1, "false_a_month": 0.0, "as": {}}


def test_the_product_says_what_is_told() -> None:
    def stream(**more: Any) -> Datastream:
        return Datastream(ObservedProperty.FLOW, timedelta(minutes=5), **more)

    assert not tells(FaultKind.STEP, ObservedProperty.FLOW, stream()), "a leak is a step"
    assert tells(FaultKind.STEP, ObservedProperty.WATER_LEVEL, stream()), "beside its neighbours"
    assert tells(FaultKind.NOISE, ObservedProperty.WATER_LEVEL, stream()), "beside its neighbours"
    assert tells(FaultKind.STEP, ObservedProperty.TANK_LEVEL, stream()), "water cannot jump"
    assert not tells(FaultKind.DRIFT, ObservedProperty.TANK_LEVEL, stream())
    assert tells(FaultKind.STEP, ObservedProperty.RESIDUAL_CHLORINE, stream())
    assert tells(FaultKind.STUCK, ObservedProperty.PASSAGES_IN, stream(stuck_after=timedelta(hours=6)))
    assert not tells(FaultKind.STUCK, ObservedProperty.PASSAGES_IN, stream())
    assert not tells(FaultKind.RANGE, ObservedProperty.PRECIPITATION, stream())
    assert tells(FaultKind.BATTERY, ObservedProperty.PRECIPITATION, stream())


@pytest.fixture(scope="module")
def rivers() -> Rivers:
    return found_in(range(1), months=1, seed=1, learning=False)


def test_in_a_town_of_gauges_one_breaks_and_what_is_told_of_the_others_is_counted(rivers: Rivers) -> None:
    kinds = [lot.kind for lot in lots("radar_level")]
    assert set(rivers.tallies) == set(kinds)
    assert rivers.tallies[None].months == len(gauges()) == 4, "where nothing breaks all four are counted"
    assert rivers.beside.months == 3 * (len(kinds) - 1)
    for kind in (FaultKind.RANGE, FaultKind.VANDALISM, FaultKind.BATTERY):
        assert rivers.tallies[kind].faults == rivers.tallies[kind].found == 1
    assert (rivers.floods.gauges, rivers.floods.storms) == (4, 40)
    assert rivers.floods.values > 4 * 4200 and not rivers.floods.doubted


def test_figures_of_several_towns_are_added_up(rivers: Rivers) -> None:
    both = Rivers()
    for each in (rivers, rivers):
        both.add(each)
    assert both.floods.storms == 80 and both.tallies[FaultKind.RANGE].faults == 2
    assert rivers.tallies[FaultKind.RANGE].faults == 1


def made_up(tank: Heard, value: np.ndarray[Any, Any], fault: Fault | None, kind: FaultKind | None) -> Heard:
    """The tank with made-up levels in the judged month."""
    times = (FIRST + 1) * STRETCH + 600.0 * np.arange(len(value))[:, None]
    return replace(
        tank,
        times=times,
        heard=times + 1.0,
        aside=np.zeros(times.shape, dtype=bool),
        values={ObservedProperty.TANK_LEVEL: value[:, None]},
        lots=(lot_of(kind),),
        faults=((fault,) if fault else (),),
    )


def lot_of(kind: FaultKind | None) -> Any:
    return next(lot for lot in lots("radar_level") if lot.kind is kind)


def at_row(row: int) -> datetime:
    return datetime.fromtimestamp((FIRST + 1) * STRETCH + 600.0 * row, UTC)


def test_an_event_is_right_false_or_soon_after_and_a_fault_found_or_excused(tank: Heard) -> None:
    levels = 2.0 + 0.1 * np.sin(np.arange(600) / 10)
    levels[[50, 210, 260, 500]] = 9.0  # before, within, soon after, long after
    fault = Fault(FaultKind.RANGE, at_row(200), at_row(250), device="a")
    found = tally(made_up(tank, levels, fault, FaultKind.RANGE), ObservedProperty.TANK_LEVEL)[FaultKind.RANGE]
    assert (found.faults, found.found, found.told, found.right) == (1, 1, 3, 1)
    assert found.waits == [(10, pytest.approx(10 / 6))] and dict(found.reasons) == {"range": 1}
    assert found.wrong["range"] == 2
    short = Fault(FaultKind.STUCK, at_row(200), at_row(230), device="a")
    found = tally(made_up(tank, levels, short, FaultKind.STUCK), ObservedProperty.TANK_LEVEL)[FaultKind.STUCK]
    assert (found.faults, found.excused) == (0, 1), "shorter than the town allows"
    clean = tally(made_up(tank, levels, None, None), ObservedProperty.TANK_LEVEL)[None]
    assert (clean.faults, clean.told, clean.right, clean.months) == (0, 4, 0, 1)


def test_values_told_side_by_side_are_one_event() -> None:
    times, why = 600.0 * np.arange(40), np.zeros(40, dtype=np.int8)
    why[[3, 4, 10, 17]] = 2
    found = list(quality_told._events(times, why, timedelta(hours=1)))
    assert [(each.first / 600, each.last / 600) for each in found] == [(3, 10), (17, 17)]
    assert isinstance(found[0], Event)


def test_the_speed_is_measured_and_its_limits_stand_beside_it() -> None:
    gated = gate(series=3)
    assert gated["observations"] == 3 * 7 * 144 and gated["limit_us"] == 20.0 and gated["kept"]
    judged = learnt(7, 2)
    assert (judged["series"], judged["rows"], judged["processes"]) == (7, 288, 2)
    assert judged["kept"] is None, "a few days say nothing of a year"
    assert (judged["limit_s"], judged["limit_rss_mb"]) == (60.0, 1536.0) and judged["rss_mb"] > 20


def test_it_is_within_its_limits_only_if_all_of_them_hold() -> None:
    good: dict[str, Any] = {
        "speed": {"gate": {"kept": True}, "learnt": {"kept": None}},
        "faults": {"flow": {
            "drift": {"not_told": True, "faults": 3},
            "spike": {"not_told": False, "event_recall": 0.9},
        }, "water_level": {"drift": {"not_told": False, "event_recall": 0.6}}},
        "clean": {"flow": {"false_a_month": 1.0}},
        "beside": {"water_level": {"false_a_month": 1.0}},
        "floods": {"water_level": {"doubted": 0, "values": 9}},
    }  # fmt: skip
    assert outside_limits(good) == []
    bad = json.loads(json.dumps(good))
    bad["speed"]["gate"]["kept"] = False
    bad["faults"]["flow"]["spike"]["event_recall"] = 0.89
    bad["faults"]["water_level"]["drift"]["event_recall"] = 0.59
    bad["clean"]["flow"]["false_a_month"] = 1.01
    bad["beside"]["water_level"]["false_a_month"] = 1.01
    bad["floods"]["water_level"]["doubted"] = 1
    assert len(outside_limits(bad)) == 6


def test_the_command_prints_one_object_or_a_table() -> None:
    words = ("bench", "quality", "--days", "1", "--months", "0")
    as_json, as_table = command(*words, "--json"), command(*words)
    assert as_json.returncode == as_table.returncode == 0, as_json.stderr + as_table.stderr
    found = json.loads(as_json.stdout)
    assert found["speed"]["learnt"]["days"] == 1 and found["speed"]["learnt"]["series"] == 1000
    assert found["speed"]["learnt"]["kept"] is found["within_limits"] is None
    assert "learnt checks" in as_table.stdout and "模擬" in as_table.stdout


def test_the_table_has_a_line_for_each_kind_of_fault_and_says_what_is_not_told(found: dict[str, Any]) -> None:
    speed = {"gate": gate(series=1), "learnt": learnt(2, 1)}
    lines = rows({"speed": speed, **found})
    assert [line[0] for line in lines[3:]] == [
        "precipitation, stuck", "precipitation, clock", "precipitation, battery",
        "precipitation, nothing breaks: false a month",
    ]  # fmt: skip
    assert lines[3][2] == "not told" and lines[5][2] == "1"
    assert [line[6] for line in lines] == ["yes", "-", "-", "", "yes", "yes", "yes"]
