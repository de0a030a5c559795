"""The level in one to six hours, on made-up rivers: two gauges above, two rain gauges, showers of every size."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest

from analytics.rivers.forecast import forecaster as forecasters
from analytics.rivers.forecast.fan import Fan, passing
from analytics.rivers.forecast.forecaster import LEADS, Forecaster, train
from analytics.rivers.forecast.inputs import ahead, inputs
from analytics.rivers.forecast.record import Floats, Ints, Record, on_grid, summed
from analytics.rivers.forecast.running import Balance
from analytics.rivers.forecast.scores import coverage, crossings, errors, reliability
from mimamori.bench.rivers import made_river

_LEARNED = 120 * 24


@pytest.fixture(scope="module")
def river() -> Record:
    return made_river(200 * 24, 1, seed=5)


@pytest.fixture(scope="module")
def forecaster(river: Record) -> Forecaster:
    return train(river.before(_LEARNED))


@pytest.fixture(scope="module")
def rows(river: Record) -> Ints:
    return np.arange(_LEARNED, len(river.level))


@pytest.fixture(scope="module")
def fan(river: Record, forecaster: Forecaster, rows: Ints) -> Fan:
    return forecaster.forecast(river, rows)


def test_it_is_better_than_persistence_at_every_lead_and_its_intervals_hold(
    river: Record, fan: Fan, rows: Ints
) -> None:
    for at, lead in enumerate(LEADS):
        came = ahead(river.level, round(lead))[rows]
        pi = errors(fan.values[:, at], fan.persistence, came).pi
        held = coverage(fan.quantiles[:, at, 0], fan.quantiles[:, at, -1], came)
        assert pi is not None and pi > 0.3, (lead, pi)
        assert held is not None and 0.85 <= held <= 0.95, (lead, held)


def test_nothing_that_comes_after_the_issue_time_is_used(river: Record, forecaster: Forecaster, fan: Fan) -> None:
    chosen = np.array([_LEARNED, _LEARNED + 333, _LEARNED + 1000])
    for at, row in enumerate(chosen):
        known = river.before(row + 1)
        alone = forecaster.forecast(known, np.array([row]))
        np.testing.assert_allclose(alone.values[0], fan.values[chosen[at] - _LEARNED], atol=1e-9)
        np.testing.assert_allclose(alone.quantiles[0], fan.quantiles[chosen[at] - _LEARNED], atol=1e-9)


def test_where_nothing_moves_and_no_rain_falls_nothing_is_expected_whatever_the_datum(forecaster: Forecaster) -> None:
    n = 400
    for level in (0.5, -17.0, 1234.0):
        still = Record(1e9, 3600.0, np.full(n, level), np.full((n, 2), 7.0), np.zeros((n, 2)))
        found = forecaster.forecast(still, np.array([n - 1]))
        np.testing.assert_allclose(found.values[0], level, atol=1e-6)


def test_a_gauge_upstream_that_jumps_by_six_metres_is_left_out_and_costs_nearly_nothing(
    river: Record, forecaster: Forecaster, fan: Fan, rows: Ints
) -> None:
    shifted = river.neighbours.copy()
    middle = _LEARNED + 800
    shifted[middle:, 0] += 6.0
    found = forecaster.forecast(replace(river, neighbours=shifted), rows)
    assert found.left_out[800:812, 0].all() and not found.left_out[:800].any() and not found.left_out[812:].any()
    for at, lead in enumerate(LEADS):
        came = ahead(river.level, round(lead))[rows]
        before, after = (errors(each.values[:, at], each.persistence, came).pi for each in (fan, found))
        assert before is not None and after is not None and before - after < 0.05


def test_beyond_the_record_the_upper_end_takes_in_a_rise_that_goes_on(
    forecaster: Forecaster, river: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    quiet, hours = river.before(_LEARNED), 5
    step = 3.0 * float(np.nanmax(np.diff(quiet.level)))
    climb = step * np.arange(1, hours + 1)
    grown = Record(
        quiet.start,
        quiet.step,
        np.concatenate([quiet.level, quiet.level[-1] + climb]),
        np.vstack([quiet.neighbours, quiet.neighbours[-1] + climb[:, None]]),
        np.vstack([quiet.rain, np.zeros((hours, 2))]),
    )
    newest = np.array([len(grown.level) - 1])

    def upper() -> Floats:
        fan = forecaster.forecast(grown, newest)
        assert (np.diff(fan.quantiles[0], axis=1) >= 0).all(), "quantiles ascend"
        return fan.quantiles[0, :, -1] - fan.persistence[0]

    goes_on = step * np.array(LEADS)
    assert (upper() >= 0.999 * goes_on).all()
    monkeypatch.setattr(forecasters, "FURTHEST", 1.0)
    assert upper()[-1] < 0.9 * goes_on[-1], "what the record teaches alone falls short of it"


def test_what_came_true_decides_which_member_counts_apart_for_ripples_and_floods() -> None:
    draw = np.random.default_rng(3)
    flood = (draw.random(2000) < 0.05)[:, None]
    changes = np.where(flood, 2.0, 0.005) * draw.choice([-1.0, 1.0], (2000, 1))
    rule = np.zeros_like(changes)
    prior = np.array([[0.5, 0.5, 0.0]])
    alike = np.stack([changes, changes, rule], axis=-1)
    balance = Balance.of(alike + 0.3 * changes[..., None] * draw.normal(0.0, 1.0, alike.shape), prior, changes, 1)
    before = balance.at_first()[0]
    assert np.abs(before[:, 0] - before[:, 1]).max() < 0.2, "in the record both were as good"
    # Then the first is right of ripples, the second of floods, and each knows little of the other.
    vague = changes * draw.uniform(0.0, 3.0, (2000, 1))
    experts = np.stack([np.where(flood, vague, changes), np.where(flood, changes, vague), rule], axis=-1)
    ripples, _, floods = balance.after(experts, changes, 1.0)[-1, 0]
    assert ripples[0] > ripples[1] + 0.2 and floods[1] > floods[0] + 0.2


def test_what_is_kept_of_it_says_the_same_and_holds_no_pickle(
    river: Record, forecaster: Forecaster, fan: Fan, rows: Ints
) -> None:
    stored = forecaster.dump()
    with np.load(io.BytesIO(stored), allow_pickle=False) as arrays:
        assert all(arrays[name].dtype != object for name in arrays)
    again = Forecaster.load(stored)
    assert (again.method, again.leads) == ("learned", LEADS)
    np.testing.assert_array_equal(again.forecast(river, rows).quantiles, fan.quantiles)


def test_a_young_record_goes_on_as_it_rose_and_knows_how_sure_that_is_only_after_days(river: Record) -> None:
    young = river.before(50)
    found = train(young).forecast(young, np.array([10, 49]))
    assert train(young).method == "rise"
    rate = young.level[49] - young.level[48]
    assert found.values[1, 0] == pytest.approx(young.level[49] + (0.6 if rate > 0 else 0.5) * rate)
    assert np.isnan(found.quantiles[0]).all() and not np.isnan(found.quantiles[1, 0]).any()


def test_an_empty_record_says_nothing() -> None:
    empty = Record(0.0, 600.0, np.empty(0), np.empty((0, 1)), np.empty((0, 0)))
    silent = Record(0.0, 600.0, np.full(20, np.nan), np.empty((20, 0)), np.empty((20, 0)))
    found = train(empty).forecast(silent, np.array([19]))
    assert np.isnan(found.values).all() and np.isnan(found.quantiles).all() and np.isnan(found.persistence).all()


def test_a_gauge_that_misses_readings_is_gone_on_from_for_six_hours_and_then_unknown(
    river: Record, forecaster: Forecaster, fan: Fan
) -> None:
    row = _LEARNED + 500
    level = river.level.copy()
    level[row + 1 : row + 40] = np.nan
    found = forecaster.forecast(replace(river, level=level), np.array([row + 2, row + 6, row + 7]))
    # What was expected in three hours at the newest reading is what is expected in one, two hours later.
    assert found.values[0, 0] == pytest.approx(fan.values[500, 2])
    assert found.persistence[1] == level[row] and not np.isnan(found.values[1]).any()
    assert np.isnan(found.persistence[2]) and np.isnan(found.values[2]).all()


def test_each_column_of_the_inputs_knows_only_its_own_past() -> None:
    river = made_river(20 * 24, 6, seed=8)
    whole, half = inputs(river), inputs(river.before(1000))
    np.testing.assert_allclose(whole.columns[:1000], half.columns, atol=1e-9)
    lowest = [np.nanmin(river.level[max(0, at - 168 * 6 + 1) : at + 1]) for at in range(len(river.level))]
    np.testing.assert_allclose(whole.of("base")[:, 0], river.level - np.array(lowest))


def test_values_come_onto_the_grid_by_the_step_they_fall_in() -> None:
    times, values = np.array([0.0, 10.0, 600.0, 601.0, 1900.0]), np.array([1.0, 2.0, np.nan, 3.0, 4.0])
    np.testing.assert_array_equal(on_grid(times, values, 0.0, 600.0, 5), [1.0, 2.0, 3.0, np.nan, 4.0])
    np.testing.assert_array_equal(summed(times, values, 0.0, 600.0, 5), [1.0, 2.0, 3.0, np.nan, 4.0])


def test_a_level_that_stands_already_is_passed_for_certain_and_an_unknown_one_is_unknown() -> None:
    quantiles = np.array([[[0.9, 1.0, 1.1, 1.2, 1.3, 1.4, 1.5]], [[np.nan] * 7]])
    fan = Fan((1.0,), np.array([[1.2], [np.nan]]), quantiles, np.array([1.0, np.nan]), np.zeros((2, 0), dtype=bool))
    assert passing(fan, 1.0, 1.0)[0] == 1.0
    assert passing(fan, 1.2, 1.0)[0] == pytest.approx(0.5)
    assert passing(fan, 9.0, 1.0)[0] == 0.01 and np.isnan(passing(fan, 1.2, 1.0)[1])
    assert np.isnan(passing(fan, 1.2, 0.5)[0])


def test_a_target_without_a_forecast_is_scored_as_persistence() -> None:
    came = np.array([1.0, 2.0, 3.0, np.nan])
    scored = errors(np.array([1.0, np.nan, 2.5, 9.0]), np.array([0.0, 1.0, 2.0, 3.0]), came)
    assert (scored.n, scored.rmse_persistence) == (3, 1.0)
    assert scored.pi == pytest.approx(1 - (0 + 1 + 0.25) / 3)
    assert scored.nse == pytest.approx(1 - 1.25 / 2)
    assert errors(came[:0], came[:0], came[:0]).pi is None


def test_crossings_are_counted_once_and_told_in_time_or_not() -> None:
    above = np.full(60, -1.0)
    above[[20, 21, 23, 50]] = 0.5  # 23 is the flood of 20 again; 50 is another
    told = np.zeros(60, dtype=bool)
    told[[17, 18, 19, 35]] = True
    met = crossings(above, told, 6, 1)
    assert (met.events, met.found, met.told, met.false, met.lead_time) == (2, 1, 2, 1, 1.5)
    assert met.pod == 0.5 and met.far == 0.5
    assert crossings(above[:10], told[:10], 6, 1).pod is None


def test_reliability_leaves_out_what_was_not_said() -> None:
    bins = reliability(np.array([0.01, 0.02, 0.6, np.nan]), np.array([False, True, True, True]))
    assert [(each.n, each.came) for each in bins] == [(2, 0.5), (1, 1.0)]


@pytest.mark.parametrize("step", [7.0, 7200.0, 0.0])
def test_a_step_that_makes_no_hour_is_refused(step: float) -> None:
    with pytest.raises(ValueError, match="step"):
        Record(0.0, step, np.zeros(3), np.zeros((3, 0)), np.zeros((3, 0)))
