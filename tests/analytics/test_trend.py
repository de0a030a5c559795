"""How fast the water rises: robust, and silent where there is too little to say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.rivers.trend import distance_to_next, trend
from devices.model import ThresholdLevel

START = datetime(2026, 6, 1, tzinfo=UTC)
LEVELS = [ThresholdLevel(n, f"第{n}", f"no. {n}", value) for n, value in ((2, 1.5), (3, 1.9), (4, 2.3))]


def times(*minutes: float) -> list[datetime]:
    return [START + timedelta(minutes=minute) for minute in minutes]


@given(st.floats(-3, 3), st.integers(3, 61), st.integers(0, 60))
def test_a_straight_line_has_its_own_slope(rate: float, n: int, offset: int) -> None:
    step = max(1.0, 60 / (n - 1))
    minutes = [offset + k * step for k in range(n)]
    found = trend(times(*minutes), np.array([1.0 + rate * minute / 60 for minute in minutes]))
    assert found is not None
    assert found.rate == pytest.approx(rate, abs=1e-6)


def test_one_wrong_reading_moves_nothing_much() -> None:
    clean = np.array([1.0, 1.05, 1.1, 1.15, 1.2, 1.25, 1.3])
    for position in range(7):
        wrong = clean.copy()
        wrong[position] = 9.9
        found = trend(times(*range(0, 70, 10)), wrong)
        assert found is not None and abs(found.rate - 0.3) <= 0.05, position


def test_only_the_last_hour_counts() -> None:
    values = np.concatenate((np.full(12, 5.0), 1.0 + np.arange(7) * 0.1))
    found = trend(times(*range(0, 190, 10)), values)
    assert found is not None
    assert (found.rate, found.n) == (pytest.approx(0.6), 7)


def test_gaps_are_left_out_and_the_last_usable_reading_is_the_end() -> None:
    values = np.array([1.0, np.nan, 1.1, np.nan, 1.2, np.nan, np.nan])
    found = trend(times(*range(0, 70, 10)), values)
    assert found is not None
    assert (found.rate, found.n, found.span) == (pytest.approx(0.3), 3, timedelta(minutes=40))


@pytest.mark.parametrize(
    "minutes", [(), (0,), (0, 30), (0, 5, 10), (0, 100, 130)], ids=["none", "one", "two", "too short", "too far apart"]
)
def test_too_little_is_unknown_not_steady(minutes: tuple[float, ...]) -> None:
    assert trend(times(*minutes), np.ones(len(minutes))) is None


def test_all_missing_is_unknown() -> None:
    assert trend(times(0, 10, 20, 30), np.full(4, np.nan)) is None


def test_the_next_level_is_the_lowest_not_reached() -> None:
    ahead = distance_to_next(1.5, LEVELS)
    assert ahead is not None
    assert (ahead.level.level, ahead.metres) == (3, pytest.approx(0.4))
    assert distance_to_next(2.4, LEVELS) is None
    assert distance_to_next(1.0, []) is None
