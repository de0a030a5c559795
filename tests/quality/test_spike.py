"""When a value is said to have come back: what jumped away, and what went there and back where jumps are honest."""

from __future__ import annotations

import numpy as np

from quality.estimator import Floats
from quality.spike import Spike

N = 1500


def flow(seed: int = 1) -> tuple[Floats, Floats]:
    """An inflow every five minutes that jumps by 20 m3/h and back, each time for an hour; shapes (N, 1)."""
    rng = np.random.default_rng(seed)
    times = 300.0 * np.arange(N)[:, None]
    values = 40 + 1.5 * rng.standard_normal(N)
    for begin in range(30, N, 100):
        values[begin : begin + 12] += 20
    return times, np.round(values, 2)[:, None]


def back(times: Floats, values: Floats, spike: Spike | None = None) -> list[tuple[int, int]]:
    """The rows in which the series has come back, and from how many values."""
    spike = spike or Spike()
    state, found = spike.begin(1), []
    for row in range(len(values)):
        spike.step(state, times[row], values[row])
        if state.returned[0]:
            assert state.height[0] >= 1
            found.append((row, int(state.returned[0])))
    return found


def test_a_peak_of_one_value_is_told_with_the_next_where_steps_of_that_size_are_honest() -> None:
    times, values = flow()
    assert back(times, values) == []
    for off in (18.0, -18.0):
        broken = values.copy()
        broken[1280] += off
        assert back(times, broken) == [(1281, 1)]
        assert back(times, broken, Spike(peaks=False)) == []
        assert Spike().score(Spike().begin(1), times, broken)[1280:1283].max() < 0.5, "it has no excess of its own"


def test_what_stays_for_a_second_value_is_a_step_until_it_comes_back() -> None:
    times, values = flow()
    values[1280:1282] += 18
    assert back(times, values) == []


def test_turbulence_of_a_rise_is_no_peak() -> None:
    times, values = flow()
    rng = np.random.default_rng(2)
    values = 1 + 0.004 * (values - 40) / 1.5
    values[:, 0] = 1 + 0.004 * rng.standard_normal(N)
    rise = np.linspace(0, 3, 200)
    values[1200:1400, 0] += rise + 0.03 * rng.standard_normal(200) * np.minimum(1, 20 * rise)
    assert back(times, values) == []


def test_a_row_without_a_value_changes_nothing_and_a_value_that_is_far_is_told_with_its_return() -> None:
    times, values = flow()
    values[1280] += 18
    values[1285:1287] = 900.0
    with_gaps = np.insert(values, [100, 1281, 1281, 1286], np.nan, axis=0)
    times_then = np.insert(times, [100, 1281, 1281, 1286], 0.0, axis=0)
    gaps = np.isnan(with_gaps[:, 0])
    times_then[gaps] = times_then[np.flatnonzero(gaps) - 1] + 1.0
    assert back(times, values) == [(1281, 1), (1287, 2)]
    assert back(times_then, with_gaps) == [(1284, 1), (1291, 2)]
