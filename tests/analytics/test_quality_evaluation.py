"""Events, the benchmark's rule, and what they say at the edges."""

from __future__ import annotations

import doctest

import numpy as np
import pytest

import analytics.quality_evaluation
from analytics.quality_evaluation import Counts, compare, delay, events, nab_points, nab_score
from quality.estimator import Flags


def rows(text: str) -> Flags:
    """ "..##." as flags."""
    return np.array([mark == "#" for mark in text], dtype=np.bool_)


def flagged(n: int, *at: int) -> Flags:
    flags = np.zeros(n, dtype=np.bool_)
    flags[list(at)] = True
    return flags


def window(n: int, *spans: tuple[int, int]) -> Flags:
    truth = np.zeros(n, dtype=np.bool_)
    for start, stop in spans:
        truth[start:stop] = True
    return truth


def test_the_examples_in_the_docstrings_are_true() -> None:
    result = doctest.testmod(analytics.quality_evaluation)
    assert result.attempted > 0 and result.failed == 0


@pytest.mark.parametrize(
    ("text", "found"),
    [("", []), ("...", []), ("###", [(0, 3)]), ("#.#", [(0, 1), (2, 3)]), (".##", [(1, 3)])],
)
def test_events_are_runs(text: str, found: list[tuple[int, int]]) -> None:
    assert events(rows(text)) == found


def test_one_long_flag_over_two_faults_is_right_once_and_finds_both() -> None:
    counts = compare(rows(".#####."), rows(".#...#."))
    assert (counts.told, counts.right, counts.true, counts.found) == (1, 1, 2, 2)
    assert counts.f1 == 1.0 and counts.point_f1 == pytest.approx(4 / 7)


def test_two_flags_in_one_fault_are_both_right_and_find_it_once() -> None:
    counts = compare(rows(".#.#..#"), rows(".####.."))
    assert (counts.told, counts.right, counts.true, counts.found) == (3, 2, 1, 1)


def test_flags_that_only_touch_a_fault_do_not_find_it() -> None:
    assert compare(rows("#..#"), rows(".##.")).right == 0


def test_nothing_told_and_nothing_true_has_no_figure() -> None:
    nothing = compare(rows("..."), rows("..."))
    assert (nothing.precision, nothing.recall, nothing.f1, nothing.point_f1) == (None, None, None, None)
    assert compare(rows("#.."), rows("...")).f1 == 0.0
    assert compare(rows("..."), rows("#..")).f1 == 0.0


def test_counts_of_several_series_are_added_up() -> None:
    both = compare(rows("#..#"), rows("#...")) + compare(rows(".#"), rows("##")) + Counts()
    assert (both.told, both.right, both.true, both.found, both.rows_both) == (3, 2, 2, 2, 2)
    assert both.precision == pytest.approx(2 / 3) and both.recall == 1.0 and both.f1 == pytest.approx(0.8)


def test_the_delay_runs_from_the_beginning_of_the_fault() -> None:
    times = np.arange(8) * 600.0
    assert delay(times, rows("..#.#..."), rows(".###..##")) == [600.0]


def test_a_flag_at_the_windows_beginning_counts_all_and_at_its_end_next_to_nothing() -> None:
    truth = window(2000, (1000, 1100))
    assert nab_points(flagged(2000, 1000), truth).points == pytest.approx(1.0)
    # scaled sigmoid in the middle and one row before the end, from the paper's formula
    assert nab_points(flagged(2000, 1050), truth).points == pytest.approx(0.848284 / 0.986614, abs=1e-5)
    assert nab_points(flagged(2000, 1099), truth).points == pytest.approx(0.024995 / 0.986614, abs=1e-5)


def test_only_the_first_flag_in_a_window_counts() -> None:
    truth = window(2000, (1000, 1100))
    once, often = nab_points(flagged(2000, 1050), truth), nab_points(flagged(2000, *range(1050, 1100)), truth)
    assert once == often


def test_a_flag_outside_costs_less_close_behind_a_window() -> None:
    truth = window(2000, (1000, 1101))
    missed = nab_points(flagged(2000), truth).points
    assert missed == -1.0
    assert nab_points(flagged(2000, 999), truth).points == pytest.approx(-1.11)
    assert nab_points(flagged(2000, 1110), truth).points == pytest.approx(-1 - 0.11 * 0.244919, abs=1e-5)
    assert nab_points(flagged(2000, 1900), truth).points == pytest.approx(-1.11)
    assert nab_points(flagged(2000, 1900, 1901), truth).rows_outside == 2


def test_probation_counts_nothing() -> None:
    truth = window(2000, (1000, 1100))
    assert nab_points(flagged(2000, *range(300)), truth).rows_outside == 0
    assert nab_points(flagged(2000, 300), truth).rows_outside == 1
    long = window(10_000, (1000, 1100))
    assert nab_points(flagged(10_000, 749, 750), long).rows_outside == 1


def test_the_score_of_a_corpus_stands_between_silence_and_perfection() -> None:
    truth = window(2000, (1000, 1100), (1500, 1600))
    silent = nab_points(flagged(2000), truth)
    perfect = nab_points(flagged(2000, 1000, 1500), truth)
    assert nab_score([silent]) == 0.0 and nab_score([perfect]) == pytest.approx(100.0)
    assert nab_score([silent, perfect]) == pytest.approx(50.0)
    assert nab_score([nab_points(flagged(2000, 1200), window(2000))]) is None
