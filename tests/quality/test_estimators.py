"""Each estimator's own judgement, its edges, and the examples in its docstring."""

from __future__ import annotations

import doctest
import importlib

import numpy as np
import pytest

from quality.clock import Clock
from quality.leap import Leap
from quality.limits import Limits
from quality.rate import Rate
from quality.stuck import Stuck

MINUTES = 60.0


@pytest.mark.parametrize("name", ["limits", "rate", "leap", "stuck", "clock", "gate"])
def test_the_examples_in_the_docstrings_are_true(name: str) -> None:
    result = doctest.testmod(importlib.import_module(f"quality.{name}"))
    assert result.attempted > 0 and result.failed == 0


def flags(estimator: Limits | Rate | Leap | Stuck | Clock, values: list[float], *, minutes: float = 10) -> list[int]:
    """The positions that are flagged, with points every so many minutes."""
    times = np.arange(len(values)) * minutes * MINUTES
    return np.flatnonzero(estimator.flags(times, np.array(values))).tolist()


def test_the_limits_themselves_are_possible() -> None:
    assert flags(Limits(0.0, 8.0), [0.0, 8.0, -0.001, 8.001]) == [2, 3]


def test_without_a_limit_on_a_side_everything_goes_there() -> None:
    assert flags(Limits(low=0.0), [1e12, -1e-9]) == [1]


def test_the_fastest_honest_rise_passes_and_a_little_more_does_not() -> None:
    # 6 m an hour is exactly 1 m in ten minutes
    assert flags(Rate(6.0), [0.0, 1.0, 2.0, 3.0]) == []
    assert flags(Rate(6.0), [0.0, 1.01]) == [1]


def test_a_fall_is_judged_as_a_rise() -> None:
    assert flags(Rate(6.0), [5.0, 2.0]) == [1]


def test_a_flood_that_outruns_the_rate_is_doubted_once_and_then_followed() -> None:
    assert flags(Rate(2.0), [1.0, 1.0, 3.0, 3.1, 3.2, 3.3]) == [2]


def test_two_different_spikes_in_a_row_are_both_doubted() -> None:
    assert flags(Rate(2.0), [1.0, 5.0, 9.0, 1.1]) == [1, 2]


def test_after_a_gap_a_great_difference_is_honest() -> None:
    rate = Rate(2.0)
    times = np.array([0.0, 600.0, 600.0 + 3 * 3600.0])
    assert not rate.flags(times, np.array([1.0, 1.0, 6.0])).any()


LEAP = Leap(step=10 * MINUTES, free=0.5)


def test_a_calm_place_may_move_freely_so_far_and_no_farther() -> None:
    assert flags(LEAP, [1.0, 1.5, 1.0]) == []
    assert flags(LEAP, [1.0, 1.0, 1.51, 1.0]) == [2]


def test_a_new_height_is_believed_when_it_is_said_again() -> None:
    assert flags(LEAP, [1.0, 1.0, 7.0, 7.1, 7.0]) == [2]


def test_what_has_been_moving_fast_may_go_on() -> None:
    assert flags(LEAP, [1.0, 1.3, 1.6, 1.9, 2.7]) == []
    assert flags(LEAP, [1.0, 1.3, 1.6, 1.9, 2.9]) == [4]  # more than three times as far


def test_one_spike_does_not_excuse_the_next() -> None:
    assert flags(LEAP, [1.0, 1.0, 4.0, 1.0, 1.0, 1.0, 4.0, 1.0]) == [2, 6]


def test_a_place_that_trembles_is_given_more() -> None:
    trembling = [1.0, 1.4] * 12
    assert flags(LEAP, [*trembling, 2.5]) == []
    assert flags(LEAP, [*trembling, 2.7]) == [24]


def test_over_a_gap_a_value_may_move_as_much_farther() -> None:
    times = np.array([0.0, 600.0, 600.0 + 3 * 3600.0])
    assert not LEAP.flags(times, np.array([1.0, 1.0, 9.9])).any()
    assert LEAP.flags(times, np.array([1.0, 1.0, 10.1])).tolist() == [False, False, True]


def test_a_standstill_is_one_only_from_its_time_on() -> None:
    assert flags(Stuck(after=30 * MINUTES), [5.0, 1.0, 1.0, 1.0, 1.0, 1.0, 2.0]) == [4, 5]


def test_two_equal_values_far_apart_are_no_standstill() -> None:
    assert flags(Stuck(after=30 * MINUTES), [1.0, 1.0, 1.0], minutes=1440) == []


def test_the_smallest_movement_ends_a_standstill() -> None:
    assert flags(Stuck(after=30 * MINUTES), [1.0, 1.0, 1.001, 1.0, 1.0, 1.0]) == []


def test_the_clocks_bounds() -> None:
    received = np.full(4, 1.78e9)
    claimed = received + np.array([300.0, 301.0, -365 * 86400.0, -365 * 86400.0 - 1])
    assert Clock().flags(received, claimed).tolist() == [False, True, False, True]


@pytest.mark.parametrize(
    "wrong", [lambda: Rate(0.0), lambda: Rate(float("nan")), lambda: Stuck(0.0), lambda: Stuck(1.0, 1)]
)
def test_parameters_that_would_flag_everything_are_refused(wrong: object) -> None:
    assert callable(wrong)
    with pytest.raises(ValueError, match=r"must be|must last|needs"):
        wrong()
