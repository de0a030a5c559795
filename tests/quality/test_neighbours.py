"""What is told of gauges beside each other, and that nothing else matters."""

from __future__ import annotations

import dataclasses
import doctest
import inspect
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import quality.neighbours
from analytics.doubts import COMPARED, TOLD
from analytics.judging import beside
from devices.model import Reason
from quality.estimator import Floats
from quality.memory import pack, unpack
from quality.motion import Motion
from quality.neighbours import Near, Neighbours
from quality.proposal import propose
from tests.quality.neighbours_measured import JUDGING, floods, judge, rivers

HOUR, DAY = 3600.0, 24
ALL: Near = np.array([[1, 2, -1], [0, 2, -1], [0, 1, -1]])
EAGER = Neighbours(motion=Motion(warm=3, least_days=0.0), least_days=0.0)


@st.composite
def rows(draw: st.DrawFn) -> tuple[Floats, Floats]:
    """Three series, each at its own times and of its own length; values on a coarse grid, so that faults happen."""
    times, values = np.full((2, 20, 3), np.nan)
    grid = st.sampled_from([-9999.0, 0.0, 1.0, 1.1, 1.2, 4.0, np.nan])
    for n in range(3):
        length = draw(st.integers(0, 20))
        steps = draw(hnp.arrays(np.float64, length, elements=st.sampled_from([1.0, 300.0, 600.0, 7200.0, 90000.0])))
        times[:length, n] = np.cumsum(steps)
        values[:length, n] = draw(hnp.arrays(np.float64, length, elements=grid))
    return times, values


def compared(times: Floats, values: Floats, near: Near = ALL, *cuts: float) -> list[Floats]:
    """Agreement, walk and excess of every value, in one piece or cut at times; by series, without what is not there."""
    state = EAGER.begin(values.shape[1])
    found: list[list[Floats]] = [[] for _ in range(values.shape[1])]
    for begin, end in zip((-np.inf, *cuts), (*cuts, np.inf), strict=True):
        part = (times > begin) & (times <= end)
        cut_times, cut_values = np.full((2, *times.shape), np.nan)
        for n in range(values.shape[1]):
            length = int(part[:, n].sum())
            cut_times[:length, n], cut_values[:length, n] = times[part[:, n], n], values[part[:, n], n]
        now = EAGER.step(state, cut_times, cut_values, near)
        for n in range(values.shape[1]):
            columns = (now.up, now.down, now.known, now.walk, now.excess)
            found[n].append(np.stack([column[: int(part[:, n].sum()), n] for column in columns]))
    return [np.concatenate(each, axis=1) for each in found]


def same(one: list[Floats], other: list[Floats]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@settings(max_examples=25, deadline=None)
@given(points=rows(), cuts=st.lists(st.sampled_from([600.0, 5000.0, 20000.0, 300000.0]), unique=True))
def test_pieces_are_the_whole(points: tuple[Floats, Floats], cuts: list[float]) -> None:
    before = points[0].copy(), points[1].copy()
    whole = compared(*points)
    assert all((each >= 0).all() for each in whole)
    assert same(whole, compared(*points, ALL, *sorted(cuts)))
    assert np.array_equal(points[0], before[0], equal_nan=True)
    assert np.array_equal(points[1], before[1], equal_nan=True)


@settings(max_examples=25, deadline=None)
@given(points=rows(), end=st.sampled_from([600.0, 5000.0, 20000.0, 300000.0]))
def test_what_any_of_them_measures_later_changes_nothing(points: tuple[Floats, Floats], end: float) -> None:
    times, values = points
    early = times <= end
    until = compared(np.where(early, times, np.nan), np.where(early, values, np.nan))
    for n, (whole, part) in enumerate(zip(compared(times, values), until, strict=True)):
        assert np.array_equal(whole[:, : int(early[:, n].sum())], part)


@settings(max_examples=25, deadline=None)
@given(points=rows())
def test_a_series_that_is_no_neighbour_changes_nothing(points: tuple[Floats, Floats]) -> None:
    times, values = points
    near = np.array([[1, -1], [0, -1], [0, 1]])
    other = values.copy()
    other[:, 2] = 3 * other[:, 2] + 1
    assert same(compared(times, values, near)[:2], compared(times, other, near)[:2])


@settings(max_examples=25, deadline=None)
@given(points=rows())
def test_a_row_without_a_value_is_as_if_it_were_not_there(points: tuple[Floats, Floats]) -> None:
    times, values = points
    whole = compared(times, values)
    without = compared(np.where(np.isnan(values), np.nan, times), values)
    for n, (one, other) in enumerate(zip(whole, without, strict=True)):
        there = ~np.isnan(values[: one.shape[1], n])
        assert np.array_equal(one[:, there], other)
        assert not one[-1, ~there].any()


def water(days: int, seed: int = 2) -> tuple[Floats, Floats]:
    """Hourly levels of three gauges of one river: the day, some noise, a small rise each week; the lowest follows."""
    rng = np.random.default_rng(seed)
    times = np.arange(days * DAY) * HOUR
    rises = np.zeros(len(times))
    for begin in range(100, len(times), 7 * DAY):
        rises += np.where(times >= times[begin], 0.1 * rng.random() * np.exp(-(times - times[begin]) / (12 * HOUR)), 0)
    day = 0.02 * np.sin(2 * np.pi * times / 86400)
    values = np.stack([1 + day + rises, 2 + day + 0.6 * np.roll(rises, 1), 5 + day + 1.5 * np.roll(rises, 2)], axis=1)
    return np.repeat(times[:, None], 3, axis=1), np.round(values + 0.005 * rng.standard_normal(values.shape), 3)


def told(times: Floats, values: Floats, near: Near = ALL) -> dict[Reason, list[int]]:
    """The rows that the product tells of the second gauge, by the reason."""
    judging = beside()
    rows: dict[Reason, list[int]] = {}
    for each in judging.step(judging.begin(3), times, values, near).of(1, TOLD[COMPARED]):
        rows.setdefault(each.reason, []).append(each.row)
    return rows


def flood(values: Floats, begin: int, *gauges: int) -> None:
    """A rise of two metres in three hours, and its end."""
    rise = 2.0 * np.concatenate([np.linspace(0.1, 1, 4), np.exp(-np.arange(1, 72) / 20)])
    for gauge in gauges:
        values[begin + gauge : begin + gauge + len(rise), gauge] += rise


def test_a_flood_is_believed_of_all_gauges_and_of_the_only_one_that_it_reaches() -> None:
    times, values = water(60)
    alone = values.copy()
    flood(values, 1200, 0, 1, 2)
    flood(alone, 1200, 1)
    assert told(times, values) == {}
    assert told(times, alone).keys() == {Reason.NEIGHBOURS}, "no jump: it goes on behind its first movement"


@pytest.mark.parametrize("by", [0.4, -0.4])
def test_a_jump_is_told_once_its_neighbours_have_not_shared_it_for_hours_and_ends_when_it_comes_back(by: float) -> None:
    times, values = water(60)
    values[1000:1030, 1] += by
    assert told(times, values)[Reason.STEP] == list(range(1006, 1030))


def test_a_jump_that_a_neighbour_shares_is_not_told_and_what_is_told_ends_in_a_flood() -> None:
    times, values = water(60)
    shared = values.copy()
    shared[1000:, 1] += 0.4
    shared[1002:, [0, 2]] += 0.4
    assert Reason.STEP not in told(times, shared)
    values[1000:, 1] += 0.4
    flood(values, 1020, 0, 1, 2)
    assert max(told(times, values)[Reason.STEP]) < 1024


def test_a_gauge_that_trembles_while_its_neighbours_stand_still_is_told_for_it() -> None:
    times, values = water(60)
    values[1000:1072, 1] += 0.3 * np.random.default_rng(3).standard_normal(72)
    rows = told(times, values)[Reason.NOISE]
    assert 1003 <= rows[0] < 1050 and rows[-1] < 1130


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_slow_drift_is_told_of_the_gauge_that_drifts(sign: float) -> None:
    times, values = water(120)
    values[1680:, 1] += sign * 0.02 * (times[1680:, 1] - times[1680, 1]) / 86400
    company = Neighbours().begin(3)
    excess = Neighbours().step(company, times, values, ALL).excess
    assert (excess[1680:, 1] >= 1).any()
    assert not (excess[: 1680 + 40 * DAY, [0, 2]] >= 1).any() and not (excess[:1680] >= 1).any()


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_after_a_month_a_step_is_told_of_the_gauge_that_is_off_and_not_of_those_beside_it(sign: float) -> None:
    times, values = water(60)
    values[1000 : 1000 + 10 * DAY, 1] += sign * 0.4
    excess = Neighbours().step(Neighbours().begin(3), times, values, ALL).excess
    told = np.flatnonzero(excess[:, 1] >= 1)
    assert 1006 <= told[0] <= 1024, "six hours at least, a day at most"
    assert not (excess[: 1000 + 10 * DAY, [0, 2]] >= 1).any(), "each of them agrees with the other"


def test_what_a_series_is_expected_at_lies_between_the_medians_of_all_neighbours_but_one() -> None:
    off = np.array([[2.0, 9.0, np.nan, np.nan], [1.0, 2.0, 3.0, 9.0], [5.0, np.nan, np.nan, np.nan]])
    usual, low, high, voices = quality.neighbours._usual(off)
    assert voices.tolist() == [2, 4, 1]
    assert usual[:2].tolist() == [2.0, 2.0], "nothing happens has a voice in the median"
    assert (low[:2].tolist(), high[:2].tolist()) == ([2.0, 2.0], [9.0, 3.0])


def test_all_that_rises_together_for_weeks_is_no_drift() -> None:
    times, values = water(120)
    values[1680:] += 0.02 * (times[1680:] - times[1680]) / 86400
    assert not (Neighbours().step(Neighbours().begin(3), times, values, ALL).excess >= 1).any()


def test_with_one_neighbour_nobody_can_say_who_is_wrong() -> None:
    times, values = water(120)
    values[1680:, 1] += 3.0
    alone: Near = np.array([[1], [0], [1]])
    assert not (Neighbours().step(Neighbours().begin(3), times, values, alone).excess >= 1).any()


def test_who_comes_late_sees_the_others_as_they_were_at_its_time() -> None:
    times, values = water(50)
    flood(values, 1000, 0, 1, 2)
    neighbours = Neighbours()
    whole, late = neighbours.begin(3), neighbours.begin(3)
    at_once, behind = neighbours.step(whole, times, values, ALL), []
    last = np.array([False, False, True])
    for row in range(0, len(times), 6):
        part = slice(row, row + 6)
        for shown in (~last, last):
            now = neighbours.step(
                late, np.where(shown, times[part], np.nan), np.where(shown, values[part], np.nan), ALL
            )
        behind.append(now.up[:, 2])
    assert at_once.up[:, 2].max() > 1
    assert np.array_equal(np.concatenate(behind), at_once.up[:, 2])


def test_units_and_gauge_zeros_are_of_no_consequence() -> None:
    times, values = water(60)
    flood(values, 1200, 0, 1, 2)
    values[1300:, 1] += 1.0
    near = Neighbours().step(Neighbours().begin(3), times, values, ALL)
    units = np.array([1.0, 1024.0, 0.25])
    far = Neighbours().step(Neighbours().begin(3), times, values * units, ALL)
    assert all(np.allclose(getattr(near, name), getattr(far, name)) for name in ("up", "down", "known", "excess"))
    assert np.allclose(near.walk * units, far.walk)


def test_a_state_survives_being_kept() -> None:
    times, values = water(40)
    values[700:, 1] += 1.0
    whole, cut, neighbours = Neighbours().begin(3), Neighbours().begin(3), Neighbours()
    for row in range(0, len(times), 7):
        part = slice(row, row + 7)
        expected = neighbours.step(whole, times[part], values[part], ALL)
        cut = unpack(neighbours.begin(3), pack(cut))
        assert np.array_equal(neighbours.step(cut, times[part], values[part], ALL).excess, expected.excess)


def test_the_state_is_left_by_a_score_and_no_rows_are_no_verdicts() -> None:
    times, values = water(60)
    neighbours = Neighbours()
    learnt = neighbours.fit(times[:1000], values[:1000], ALL)
    kept = pack(learnt)
    found = neighbours.score(learnt, times[1000:], values[1000:], ALL)
    assert pack(learnt) == kept
    assert (found >= 0).all() and (found <= 1).all()
    assert neighbours.score(learnt, times[:0], values[:0], ALL).shape == (0, 3)


def test_what_is_proposed_is_what_a_drift_would_be_without() -> None:
    times, values = np.arange(100.0), np.concatenate([np.zeros(50), np.arange(50.0)])
    proposed = propose(Reason.NEIGHBOURS, times, values, 60.0, 99.0)
    assert np.array_equal(proposed.values, propose(Reason.DRIFT, times, values, 60.0, 99.0).values)
    assert abs(proposed.values[99]) < abs(values[99])


def test_it_is_an_immutable_value_whose_docstring_states_its_limits() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(Neighbours(), "lag", 1.0)  # noqa: B010
    text = inspect.getdoc(Neighbours) or ""
    for part in ("Works badly", "Assumes", "Cost:", ">>> ", "Source:"):
        assert part in text, part
    assert "2.5" in Neighbours().words(2.5)
    result = doctest.testmod(quality.neighbours)
    assert result.attempted > 0 and result.failed == 0


def test_recorded_floods_are_believed(shared_data: Path) -> None:
    """The rivers of one group in a storm; all figures: `python -m tests.quality.neighbours_measured`."""
    (river,) = (each for each in rivers(shared_data, ["gloria"]) if each.name == "gloria Y1")
    n = river.values.shape[1]
    judged = judge(JUDGING.begin(n), river.times, river.values, river.near)
    flood = floods(river)
    assert flood.sum() > 5000
    assert sum(int((column & flood).sum()) for column in judged.values()) == 0
