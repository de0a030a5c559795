"""What holds for every estimator, whatever it judges (see quality/estimator.py)."""

from __future__ import annotations

import dataclasses
import inspect

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import quality.clock
import quality.leap
import quality.limits
import quality.rate
import quality.stuck
from devices.model import Quality, Reason
from quality.estimator import Estimator, Floats

ESTIMATORS: list[Estimator] = [
    quality.limits.Limits(low=-1.0, high=3.0),
    quality.limits.Limits(high=3.0),
    quality.rate.Rate(per_hour=2.0),
    quality.leap.Leap(step=600.0, free=0.5),
    quality.stuck.Stuck(after=1800.0),
    quality.stuck.Stuck(after=1.0, at_least=2),
    quality.clock.Clock(ahead=1.0, behind=2.0),
]
every_estimator = pytest.mark.parametrize("estimator", ESTIMATORS, ids=repr)

_n = st.integers(0, 40)


@st.composite
def series(draw: st.DrawFn) -> tuple[Floats, Floats]:
    """Irregular times; values on a coarse grid, so that jumps, standstills and gaps all happen."""
    n = draw(_n)
    steps = draw(hnp.arrays(np.float64, n, elements=st.sampled_from([1.0, 300.0, 600.0, 7200.0])))
    values = draw(hnp.arrays(np.float64, n, elements=st.sampled_from([-2.0, 0.0, 1.0, 1.1, 4.0, 9.0, np.nan])))
    return np.cumsum(steps), values


@every_estimator
@given(points=series())
def test_it_gives_one_flag_a_point_and_leaves_its_input_alone(
    estimator: Estimator, points: tuple[Floats, Floats]
) -> None:
    times, values = points
    before = times.copy(), values.copy()
    flags = estimator.flags(times, values)
    assert flags.shape == values.shape and flags.dtype == np.bool_
    assert np.array_equal(times, before[0]) and np.array_equal(values, before[1], equal_nan=True)
    assert np.array_equal(flags, estimator.flags(times, values))


@every_estimator
@given(points=series(), cut=st.integers(0, 40))
def test_what_comes_later_changes_no_flag(estimator: Estimator, points: tuple[Floats, Floats], cut: int) -> None:
    times, values = points
    assert np.array_equal(estimator.flags(times, values)[:cut], estimator.flags(times[:cut], values[:cut]))


@every_estimator
@given(points=series())
def test_a_point_without_a_value_is_never_flagged_and_moves_no_other_flag(
    estimator: Estimator, points: tuple[Floats, Floats]
) -> None:
    times, values = points
    known = ~np.isnan(values)
    flags = estimator.flags(times, values)
    assert not flags[~known].any()
    assert np.array_equal(flags[known], estimator.flags(times[known], values[known]))


@every_estimator
def test_it_flags_something_and_says_what_that_means(estimator: Estimator) -> None:
    times = np.arange(20) * 600.0
    values = np.concatenate([np.full(8, 1.0), [99.0], np.full(11, 1.0)])
    assert estimator.flags(times, values).any()
    assert estimator.quality in (Quality.BAD, Quality.DOUBTFUL)
    assert isinstance(estimator.reason, Reason)


@every_estimator
def test_its_context_is_enough_for_the_same_verdict_on_a_new_point(estimator: Estimator) -> None:
    rng = np.random.default_rng(20260601)
    step = 600.0
    times = np.arange(400) * step
    values = rng.choice([1.0, 1.0, 1.0, 1.1, 9.0], 400)
    whole = estimator.flags(times, values)
    depth = estimator.context(step)
    for i in range(depth, 400):
        part = slice(i - depth, i + 1)
        assert estimator.flags(times[part], values[part])[-1] == whole[i], i


@every_estimator
def test_it_is_an_immutable_value_whose_docstring_states_its_limits(estimator: Estimator) -> None:
    kind = type(estimator)
    assert dataclasses.is_dataclass(kind)
    assert dataclasses.replace(estimator) == estimator  # type: ignore[type-var]
    name = next(iter(f.name for f in dataclasses.fields(kind)))
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(estimator, name, 1.0)
    text = inspect.getdoc(kind) or ""
    for part in ("Works badly", "Assumes", "Cost:", ">>> ", "Source:"):
        assert part in text, part


def test_every_estimator_of_the_room_is_held_to_the_contract() -> None:
    modules = (quality.limits, quality.rate, quality.leap, quality.stuck, quality.clock)
    there = {
        kind
        for module in modules
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if hasattr(kind, "flags") and kind.__module__ == module.__name__
    }
    assert there == {type(e) for e in ESTIMATORS}
