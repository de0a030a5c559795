"""What holds for every estimator that learns what is usual (see quality/online.py)."""

from __future__ import annotations

import copy
import dataclasses
import doctest
import importlib
import inspect
import pkgutil
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import quality
from devices.model import Quality, Reason
from quality.estimator import Floats
from quality.online import Online


def _kinds() -> list[type[Online[Any]]]:
    """Every estimator of the room: nobody has to list a new one here."""
    found = []
    for module in pkgutil.iter_modules(quality.__path__):
        for _, kind in inspect.getmembers(importlib.import_module(f"quality.{module.name}"), inspect.isclass):
            if issubclass(kind, Online) and not inspect.isabstract(kind) and kind.__module__.endswith(module.name):
                found.append(kind)
    return found


KINDS = _kinds()
every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
STEP = 600.0


@st.composite
def rows(draw: st.DrawFn) -> tuple[Floats, Floats]:
    """Three series of 60 rows on irregular times; values on a coarse grid, so that all kinds of faults happen."""
    n = draw(st.integers(0, 60))
    steps = draw(hnp.arrays(np.float64, n, elements=st.sampled_from([1.0, 300.0, 600.0, 7200.0])))
    grid = st.sampled_from([-9999.0, 0.0, 1.0, 1.1, 1.2, 4.0, np.nan])
    values = draw(hnp.arrays(np.float64, (n, 3), elements=grid))
    return np.repeat(np.cumsum(steps)[:, None], 3, axis=1), values


def eager(kind: type[Online[Any]]) -> Online[Any]:
    """The estimator, judging from the first rows on."""
    warm = {"warm": 3} if "warm" in {field.name for field in dataclasses.fields(kind)} else {}
    return kind(**warm)


def scores(estimator: Online[Any], times: Floats, values: Floats) -> Floats:
    return estimator.score(estimator.begin(values.shape[1]), times, values)


def quiet(n: int, seed: int = 1, series: int = 2) -> tuple[Floats, Floats]:
    """Series with a daily cycle and noise, two decimals."""
    rng = np.random.default_rng(seed)
    times = np.arange(n) * STEP
    values = 2 + 0.3 * np.sin(2 * np.pi * times / 86400)[:, None] + 0.02 * rng.standard_normal((n, series))
    return np.repeat(times[:, None], series, axis=1), np.round(values, 2)


@every_kind
@settings(max_examples=40, deadline=None)
@given(points=rows())
def test_a_score_for_every_row_between_0_and_1_and_the_input_is_left_alone(
    kind: type[Online[Any]], points: tuple[Floats, Floats]
) -> None:
    times, values = points
    before = times.copy(), values.copy()
    found = scores(eager(kind), times, values)
    assert found.shape == values.shape
    assert np.isfinite(found).all() and (found >= 0).all() and (found <= 1).all()
    assert np.array_equal(times, before[0]) and np.array_equal(values, before[1], equal_nan=True)
    assert np.array_equal(found, scores(eager(kind), times, values))


@every_kind
@settings(max_examples=40, deadline=None)
@given(points=rows(), cut=st.integers(0, 60))
def test_what_comes_later_changes_nothing_and_pieces_are_the_whole(
    kind: type[Online[Any]], points: tuple[Floats, Floats], cut: int
) -> None:
    times, values = points
    estimator = eager(kind)
    whole = scores(estimator, times, values)
    assert np.array_equal(whole[:cut], scores(estimator, times[:cut], values[:cut]))
    learnt = estimator.fit(times[:cut], values[:cut])
    kept = copy.deepcopy(learnt)
    assert np.array_equal(whole[cut:], estimator.score(learnt, times[cut:], values[cut:]))
    assert np.array_equal(whole[cut:], estimator.score(kept, times[cut:], values[cut:])), (
        "score changed what was learnt"
    )


@every_kind
@settings(max_examples=40, deadline=None)
@given(points=rows())
def test_every_series_is_judged_for_itself(kind: type[Online[Any]], points: tuple[Floats, Floats]) -> None:
    times, values = points
    together = scores(eager(kind), times, values)
    for at in range(values.shape[1]):
        alone = scores(eager(kind), times[:, [at]], values[:, [at]])
        assert np.array_equal(together[:, [at]], alone)


@every_kind
@settings(max_examples=40, deadline=None)
@given(points=rows())
def test_a_row_without_a_value_is_as_if_it_were_not_there(
    kind: type[Online[Any]], points: tuple[Floats, Floats]
) -> None:
    times, values = points
    alone = values[:, :1]
    there = ~np.isnan(alone[:, 0])
    found = scores(eager(kind), times[:, :1], alone)
    if kind.reason is not Reason.GAP:
        assert not found[~there].any()
    assert np.array_equal(found[there], scores(eager(kind), times[there, :1], alone[there]))


@every_kind
def test_a_quiet_series_is_told_less_than_once_in_two_months(kind: type[Online[Any]]) -> None:
    times, values = quiet(4320, series=12)
    told = scores(kind(), times, values) >= 0.5
    begins = told[1:] & ~told[:-1]
    assert begins.sum() <= 12 / 2


@every_kind
def test_nothing_is_told_of_a_series_that_never_moves(kind: type[Online[Any]]) -> None:
    times, _ = quiet(3000)
    found = scores(kind(), times, np.full(times.shape, 3.0))
    if kind.reason is not Reason.STUCK:
        assert (found < 0.5).all()


@every_kind
def test_the_unit_is_of_no_consequence(kind: type[Online[Any]]) -> None:
    times, values = quiet(3000)
    values[2500:2600, 0] += 1.0
    metres, feet = scores(kind(), times, values), scores(kind(), times, values * 1024)
    assert np.allclose(metres, feet)


@every_kind
def test_it_is_an_immutable_value_whose_docstring_states_its_limits(kind: type[Online[Any]]) -> None:
    assert dataclasses.is_dataclass(kind) and kind() == kind()
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(kind(), dataclasses.fields(kind)[0].name, 1.0)
    text = inspect.getdoc(kind) or ""
    for part in ("Works badly", "Assumes", "Cost:", ">>> ", "Source:"):
        assert part in text, part
    assert kind.quality in (Quality.BAD, Quality.DOUBTFUL) and isinstance(kind.reason, Reason)
    assert "{" not in kind().words(2.5) and "2.5" in kind().words(2.5)


@pytest.mark.parametrize("name", sorted({kind.__module__ for kind in KINDS} | {"quality.online"}))
def test_the_examples_in_the_docstrings_are_true(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted > 0 and result.failed == 0


def test_the_room_has_all_of_them() -> None:
    assert {kind.reason.value for kind in KINDS} >= {"spike", "step", "drift", "noise", "stuck", "gap"}
