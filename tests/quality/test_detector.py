"""The checks together: which reason is told, and that one fault is one event."""

from __future__ import annotations

import doctest

import numpy as np
import pytest

import quality.detector
from devices.model import Reason
from quality.detector import Detector, Judged
from quality.estimator import Floats

STEP = 600.0
DAY = 144


def made(days: int, seed: int = 1) -> tuple[Floats, Floats]:
    """One series with its day and some noise, shapes (rows, 1)."""
    times = np.arange(days * DAY)[:, None] * STEP
    rng = np.random.default_rng(seed)
    values = 10 + np.sin(2 * np.pi * times / 86400) + 0.05 * rng.standard_normal(times.shape)
    return times, np.round(values, 2)


def events(judged: Judged) -> list[tuple[int, Reason]]:
    """First row and reason of each event."""
    told = np.flatnonzero(judged.verdict)
    begins = [int(row) for row in told if row == 0 or not judged.verdict[row - 1]]
    return list(zip(begins, judged.reasons(begins), strict=True))


def found(times: Floats, values: Floats, since: int) -> list[tuple[int, Reason]]:
    return [event for event in events(Detector().judge(times, values).of(0, len(times))) if event[0] >= since]


def test_the_example_in_the_docstring_is_true() -> None:
    result = doctest.testmod(quality.detector)
    assert result.attempted > 0 and result.failed == 0


def test_a_broken_sensor_is_one_event_for_as_long_as_it_lasts() -> None:
    times, values = made(20)
    values[2000:2003] = -9999.0
    judged = Detector().judge(times, values).of(0, len(times))
    assert np.flatnonzero(judged.verdict[1900:2100]).tolist() == [100, 101, 102]
    assert judged.reasons([2000]) == [Reason.SPIKE]


def test_a_row_without_a_value_does_not_cut_an_event_in_two() -> None:
    times, values = made(20)
    values[2000:2003] = 99.0
    values[2001] = np.nan
    assert [row for row, _ in found(times, values, 1900)][:1] == [2000]
    assert Detector().judge(times, values).verdict[2000:2003, 0].all()


def test_a_level_that_stays_is_told_once() -> None:
    times, values = made(30)
    values[3000:] += 3.0
    assert [row for row, _ in found(times, values, 2900)] == [3000]


def test_a_flood_that_rises_value_by_value_is_honest() -> None:
    times, values = made(30)
    values = np.round(0.4 + 0.02 * (values - 10), 3)
    rise = np.concatenate([np.linspace(0, 1, 30) ** 2, np.exp(-np.arange(300) / 100)])
    values[3000:3330, 0] += 3 * rise
    told = Detector().judge(times, values).verdict[2990:3330, 0]
    assert told.sum() <= 6


@pytest.mark.parametrize(
    ("reason", "begin"),
    [
        pytest.param(Reason.STUCK, 3000, id="a standstill"),
        pytest.param(Reason.GAP, 3000, id="a silence"),
    ],
)
def test_the_reason_is_that_of_the_fault(reason: Reason, begin: int) -> None:
    times, values = made(30)
    if reason is Reason.STUCK:
        values[begin : begin + DAY] = values[begin]
    else:
        values[begin : begin + DAY] = np.nan
    judged = Detector().judge(times, values).of(0, len(times))
    told = [row for row in np.flatnonzero(judged.verdict).tolist() if row >= begin - 10]
    assert begin <= told[0] < begin + DAY
    assert reason in judged.reasons(told)


def test_what_comes_later_changes_no_verdict() -> None:
    times, values = made(20)
    values[2000:2004] += 5.0
    whole, part = Detector().judge(times, values), Detector().judge(times[:2002], values[:2002])
    assert np.array_equal(whole.scores[:2002], part.scores)


def test_no_rows_are_no_verdicts() -> None:
    assert Detector().judge(np.empty((0, 2)), np.empty((0, 2))).scores.shape == (0, 2)


def test_what_begins_to_tremble_does_not_teach_that_it_may() -> None:
    times, values = made(60)
    rng = np.random.default_rng(2)
    for day in (30, 45):
        values[day * DAY : (day + 3) * DAY, 0] += 0.5 * rng.standard_normal(3 * DAY)
    told = found(times, np.round(values, 2), 30 * DAY)
    assert any(30 * DAY <= row < 33 * DAY for row, _ in told) and any(45 * DAY <= row < 48 * DAY for row, _ in told)
