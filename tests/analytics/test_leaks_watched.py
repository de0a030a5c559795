"""A made-up network that leaks: suspects near the leaks, none for a fault, a repair or nothing at all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analytics.leaks.detection.record import Record, parts
from analytics.leaks.detection.report import Report
from analytics.leaks.detection.sudden import bursts
from analytics.leaks.detection.year import AREA_WRONG, watch
from analytics.leaks.detection.zones import zones
from analytics.leaks.location.free import felt
from analytics.leaks.location.placing import best
from analytics.leaks.location.suspects import HOLDS
from analytics.leaks.location.suspects import suspects as located
from analytics.leaks.network.inp import parse
from tests.analytics.leaking import DAYS, DISTANCES, FELT, NEAR, NETWORK, NODES, PER_DAY, PIPES, record


def suspects(given: Record, keep: int | None = None) -> list[Report]:
    kept = np.arange(len(NODES)) if keep is None else best(FELT.heads, NETWORK.pipes.length, keep)
    return watch(NETWORK, given, NEAR, FELT.heads, FELT.flows, kept, lambda done, of: None)


def far(report: Report, pipe: str) -> float:
    return float(DISTANCES[report.pipe, PIPES.index(pipe)])


_DAY = np.arange(DAYS)
_SUDDEN = np.where((_DAY >= 28) & (_DAY < 38), 6.0, 0.0)
_SLOW = 5.0 * np.clip((_DAY - 40) / 14, 0, 1) ** 2
_BOTH = record({"e11": _SUDDEN, "u63": _SLOW})


@pytest.fixture(scope="module")
def found() -> list[Report]:
    return suspects(_BOTH)


def test_a_sudden_and_a_slow_leak_are_told_apart_and_the_repair_is_none(found: list[Report]) -> None:
    assert len(found) == 2
    sudden, slow = found
    assert far(sudden, "e11") <= 300 and sudden.at <= 31 * 86400
    assert sudden.began[0] <= 28 * 86400 <= sudden.began[1] + 86400
    assert sudden.size == pytest.approx(6.0, rel=0.5)
    assert far(slow, "u63") <= 300 and slow.at <= 53 * 86400
    for report in found:
        assert report.pipe in report.area and 0 < report.search_km < 0.3 * NETWORK.pipes.length.sum() / 1000


def test_what_is_said_of_a_day_knows_nothing_from_later(found: list[Report]) -> None:
    cut = 42 * PER_DAY
    early = replace(
        _BOTH,
        pressures=_BOTH.pressures[:cut],
        flows=_BOTH.flows[:cut],
        levels=_BOTH.levels[:cut],
        customers=_BOTH.customers[: cut // 2],
    )
    assert [(each.at, each.pipe) for each in suspects(early)] == [
        (each.at, each.pipe) for each in found if each.at <= 42 * 86400
    ]


def test_gaps_a_drifting_and_a_stuck_logger_are_no_leak_and_hide_none(found: list[Report]) -> None:
    dice, pressures, flows = np.random.default_rng(3), _BOTH.pressures.copy(), _BOTH.flows.copy()
    pressures[dice.random(pressures.shape) < 0.05] = np.nan
    flows[dice.random(flows.shape) < 0.02] = np.nan
    pressures[:, 11] += 0.02 * np.clip(np.arange(len(pressures)) / PER_DAY - 25, 0, None)
    pressures[30 * PER_DAY :, 4] = pressures[30 * PER_DAY - 1, 4]
    faulty = suspects(replace(_BOTH, pressures=pressures, flows=flows))
    assert [min(("e11", "u63"), key=lambda pipe: far(each, pipe)) for each in faulty] == ["e11", "u63"]
    assert all(min(far(each, "e11"), far(each, "u63")) <= 300 for each in faulty)


def test_what_customers_meters_leave_open_is_what_leaks() -> None:
    leak = np.where(_DAY >= 30, 2.0, 0.0)
    (part,) = parts(NETWORK, record({"e11": leak}, metered=True), np.arange(3))
    # What is drawn from the metered mains themselves is in no zone: a tenth of a cubic metre here, always.
    assert part.unaccounted - part.unaccounted[:30].mean() == pytest.approx(leak, abs=0.02) and not part.use


def test_a_zone_uses_what_its_meters_let_in_less_what_its_tank_stores() -> None:
    pumped = "[JUNCTIONS]\na 0\nb 0\n[RESERVOIRS]\nr 60\n[TANKS]\nt 50 2 0 4 10\n[PIPES]\nin r a 20 300 120\n"
    pumped += "ab a b 100 100 120\ntc t c 100 100 120\n[PUMPS]\nup b t HEAD 1\n[OPTIONS]\nUnits CMH"
    network = parse(pumped.replace("b 0\n", "b 0\nc 0\n", 1), "pumped.inp")
    found = zones(network, ("in", "up"), ("t",))
    assert [(found.pipe == zone).nonzero()[0].tolist() for zone in range(2)] == [[1], [2]]
    assert found.pipe[0] == -1
    used = found.used(np.array([[50.0, 0.0], [50.0, 20.0]]), np.array([[2.0], [2.1]]), 1.0)
    assert used[:, 0].tolist() == [50.0, 30.0]
    assert np.isnan(used[0, 1]) and used[1, 1] == pytest.approx(20 - 0.1 * np.pi * 25)


def test_nothing_leaks_and_nothing_is_said() -> None:
    assert suspects(record({})) == []


@pytest.mark.parametrize("size", [0.0, 25.0])
def test_a_sudden_leak_is_felt_at_once_and_nothing_where_there_is_none(size: float) -> None:
    given = record({"e11": np.where(_DAY >= 40, size, 0.0)})
    ((_, found),) = bursts(NETWORK, given, NEAR, FELT.heads, FELT.flows, np.arange(len(NODES)), lambda done, of: None)
    assert [40 <= each.at / 86400 <= 40 + 1 / 24 and far(each, "e11") <= 300 for each in found] == [True] * (size > 0)


def test_the_best_three_loggers_stand_apart() -> None:
    three = best(FELT.heads, NETWORK.pipes.length, 3)
    assert len(set(three.tolist())) == 3
    columns = FELT.heads[:, three] / np.linalg.norm(FELT.heads[:, three], axis=0)
    every = FELT.heads / np.linalg.norm(FELT.heads, axis=0)
    alike = np.sort((every.T @ every)[np.triu_indices(len(NODES), 1)])
    assert (columns.T @ columns)[np.triu_indices(3, 1)].mean() < np.median(alike)


@pytest.mark.parametrize("loggers", [12, 5, 3])
def test_an_area_holds_as_many_leaks_as_it_says_where_the_pipes_are_not_as_drawn(loggers: int) -> None:
    dice, lengths = np.random.default_rng(3), NETWORK.pipes.length
    keep = best(FELT.heads, lengths, loggers)
    known, nodes = FELT.heads[:, keep], np.array([NETWORK.nodes.names.index(NODES[at]) for at in keep])
    held, km = [], []
    for _ in range(6):
        # Old pipes have grown narrower, each in its own way.
        diameter = NETWORK.pipes.diameter * dice.uniform(0.8, 1.0, len(PIPES))
        true = felt(replace(NETWORK, pipes=replace(NETWORK.pipes, diameter=diameter)), nodes, np.array([], int), 60.0)
        for pipe in range(len(PIPES)):
            change = 6 * true.heads[pipe] + dice.normal(0, 0.003, loggers)  # m
            found = located(change, 0.003**2, known, lengths, NEAR, AREA_WRONG)
            held.append(pipe in found.area)
            km.append(lengths[found.area].sum() / lengths.sum())
    assert np.mean(held) >= HOLDS and np.mean(km) < 0.4
