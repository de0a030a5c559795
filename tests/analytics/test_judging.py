"""What of the checks' findings may be told."""

from __future__ import annotations

import numpy as np

from analytics.doubts import CONTAINED, TOLD
from analytics.judging import Doubt, Found, alone, beside, contained
from devices.model import Reason
from quality.memory import pack

REASONS = (Reason.SPIKE, Reason.STEP, Reason.NEIGHBOURS)


def found(excess: list[float], check: list[int], returned: list[int]) -> Found:
    column = [np.array(each)[:, None] for each in (excess, check, returned)]
    return Found(column[0], column[1].astype(np.int8), column[2], np.full((len(excess), 1), 3.0), REASONS)


def test_a_jump_is_told_of_the_values_before_once_they_are_over_and_other_things_at_once() -> None:
    rows = found([0.0, 5.0, 5.0, 0.2, 1.5, 2.0], [0, 0, 0, 0, 1, 2], [0, 0, 0, 2, 0, 0])
    everything = list(rows.of(0, frozenset(REASONS)))
    assert everything == [
        Doubt(3, 2, Reason.SPIKE, 3.0), Doubt(4, 0, Reason.STEP, 1.5), Doubt(5, 0, Reason.NEIGHBOURS, 2.0),
    ]  # fmt: skip
    assert [doubt.reason for doubt in rows.of(0, frozenset({Reason.NEIGHBOURS}))] == [Reason.NEIGHBOURS]
    assert list(rows.of(0, frozenset())) == []


def test_series_tanks_and_gauges_beside_each_other_are_learnt_as_different_things() -> None:
    assert beside().compares and not alone().compares and not contained().compares
    assert len({judging().form for judging in (alone, contained, beside)}) == 3
    assert all(len(pack(judging().begin(2))) == 2 for judging in (alone, contained, beside))


def test_a_tank_that_jumps_is_told_and_one_that_is_emptied_by_a_burst_is_not() -> None:
    times = np.repeat(600.0 * np.arange(1500)[:, None], 2, axis=1)
    values = 3 + np.sin(2 * np.pi * times / 86400) + 0.005 * np.random.default_rng(1).standard_normal(times.shape)
    values[1200:, 0] -= 0.4
    values[1200:, 1] -= np.minimum(0.25 * np.arange(1, 301), 1.5)
    judging = contained()
    rows = judging.step(judging.begin(2), times, values, np.empty((2, 0), dtype=np.intp))
    told = [[(each.row, each.reason) for each in rows.of(n, TOLD[CONTAINED])] for n in range(2)]
    assert told == [[(1203, Reason.STEP)], []]


def test_peaks_of_one_value_are_told_of_a_flow_and_not_of_gauges_in_a_river() -> None:
    rng = np.random.default_rng(1)
    times = np.repeat(300.0 * np.arange(1500)[:, None], 3, axis=1)
    values = 40 + 1.5 * rng.standard_normal(times.shape)
    for begin in range(30, 1500, 100):
        values[begin : begin + 12] += 20
    values[1280, 0] += 18
    told = []
    for judging, near in ((alone(), np.empty((3, 0), dtype=np.intp)), (beside(), np.array([[1, 2], [0, 2], [0, 1]]))):
        rows = judging.step(judging.begin(3), times, values, near)
        told.append([(each.row, each.back) for each in rows.of(0, frozenset({Reason.SPIKE}))])
    assert told == [[(1281, 1)], []]
