"""The published rule by which reports of leaks are judged."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.leaks.judged import FALSE, REPEAT, Leaks, Rule, blanket, chance, judge, perfect

_STEP, _STEPS, _PIPES = 300.0, 400, 12
_TIMES = np.arange(_STEPS) * _STEP
# A street: pipe i lies 120 m behind pipe i - 1; a pump breaks the way between 7 and 8.
_AT = np.arange(_PIPES) * 120.0
_FAR = np.abs(_AT[:, None] - _AT)
_FAR[:8, 8:] = _FAR[8:, :8] = np.inf


def leaks_of(rows: list[tuple[int, int, int, float]]) -> Leaks:
    pipe, start, end, size = (np.array(each) for each in zip(*rows, strict=True))
    running = (np.arange(_STEPS)[:, None] >= start) & (np.arange(_STEPS)[:, None] <= end)
    return Leaks(pipe, start * _STEP, end * _STEP, _TIMES, running * size.astype(float))


one = st.tuples(st.integers(0, _PIPES - 1), st.integers(0, 200), st.integers(201, _STEPS - 1), st.floats(0.1, 50.0))


@settings(max_examples=60, deadline=None)
@given(st.lists(one, min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_the_perfect_list_earns_everything_in_whatever_order_it_is_written(rows, dice) -> None:
    leaks = leaks_of(rows)
    order = list(range(len(rows)))
    dice.shuffle(order)
    done = judge(leaks.start[order], leaks.pipe[order], leaks, _FAR, Rule())
    assert done.found() == len(rows) and done.false == 0
    assert done.euros.sum() == pytest.approx(perfect(leaks, Rule()).sum())
    assert perfect(leaks, Rule()) == pytest.approx(0.8 * leaks.flow.sum(axis=0) * _STEP / 3600)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(one, min_size=1, max_size=6),
    st.lists(st.tuples(st.integers(0, _STEPS - 1), st.integers(0, _PIPES - 1)), max_size=20),
)
def test_no_list_earns_more_and_every_report_is_one_of_three(rows, reports) -> None:
    leaks = leaks_of(rows)
    times = np.array([at for at, _ in reports], dtype=float) * _STEP
    pipes = np.array([pipe for _, pipe in reports], dtype=np.int64)
    done = judge(times, pipes, leaks, _FAR, Rule())
    assert done.euros.sum() <= perfect(leaks, Rule()).sum() + 1e-6
    assert len(set(done.leak[done.leak >= 0])) == done.found()
    for at, leak in enumerate(done.leak):
        running = (leaks.start <= times[at]) & (times[at] <= leaks.end) & (_FAR[pipes[at], leaks.pipe] <= 300)
        assert (leak == FALSE) == (not running.any())
        assert leak < 0 or (running[leak] and done.metres[at] == _FAR[pipes[at], leaks.pipe[leak]])
        assert done.euros[at] == {FALSE: -500.0, REPEAT: 0.0}.get(leak, done.euros[at])


def test_the_nearest_not_found_takes_it_distance_and_lateness_cost_and_a_pump_breaks_the_way() -> None:
    leaks = leaks_of([(2, 0, 399, 12.0), (4, 100, 299, 6.0)])
    # Pipe 3 is as near to both; 8 lies behind the pump; before step 100 only the first leak runs.
    done = judge(np.array([50, 150, 150, 160, 350]) * _STEP, np.array([4, 4, 8, 3, 4]), leaks, _FAR, Rule())
    assert done.leak.tolist() == [0, 1, FALSE, REPEAT, REPEAT]
    assert done.metres[:2].tolist() == [240.0, 0.0]
    # 350 steps of 1 m3 at 0.80, less 500 * 240 / 300; 150 steps of 0.5 m3.
    assert done.euros.tolist() == pytest.approx([350 * 0.8 - 400, 150 * 0.5 * 0.8, -500, 0, 0])
    assert leaks.new.tolist() == [False, True]


def test_luck_and_the_blanket_stand_beside() -> None:
    leaks = leaks_of([(2, 0, 399, 3000.0), (10, 0, 399, 3000.0)])
    assert chance(0, leaks, _FAR, Rule()) == 0
    assert 0 < chance(1, leaks, _FAR, Rule()) < chance(6, leaks, _FAR, Rule()) <= 2
    # Both run all the time and lose much: three reports at the first minute find both.
    assert blanket(leaks, _FAR, Rule()) > 0.9 * perfect(leaks, Rule()).sum()
