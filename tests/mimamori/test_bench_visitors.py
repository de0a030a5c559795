"""`mimamori bench visitors`: the judging of hourly counts, and figures that can be wrong."""

from __future__ import annotations

import json
from datetime import date

import numpy as np
import pytest

from analytics.visitors.expected import forecaster
from mimamori.bench.visitors import AT_MOST, LIMITS, Judged, VisitorsBench, judge, measure, within_limits
from tests.mimamori.test_cli import command

FIRST = date(2026, 1, 5)  # a Monday
FLAT = np.tile(np.array([0.0] * 8 + [40.0] * 10 + [0.0] * 6), (120, 1))


def judged(day: int, hours: slice, value: float) -> Judged:
    counts = FLAT.copy()
    counts[day, hours] = value
    return judge(FIRST, counts, history_days=100)


def test_a_quiet_spot_has_no_finding() -> None:
    assert judge(FIRST, FLAT, history_days=100) == Judged(20, frozenset(), ())


def test_a_crowd_is_found_on_its_day() -> None:
    assert judged(107, slice(10, 18), 160.0).visits == {date(2026, 4, 22)}


def test_a_few_people_after_midnight_are_nobodys_business() -> None:
    assert judged(107, slice(0, 1), 70.0) == Judged(20, frozenset(), ())


def test_a_blocked_counter_is_found_and_a_missing_one_is_not() -> None:
    (run,) = judged(107, slice(10, 13), 0.0).runs
    assert (run.start, run.found, run.end) == (107 * 24 + 10, 107 * 24 + 11, 107 * 24 + 13)
    assert judged(107, slice(10, 13), np.nan) == Judged(20, frozenset(), ())


@pytest.fixture(scope="module")
def figures() -> dict[str, object]:
    with pytest.MonkeyPatch.context() as patch:
        for few in ("_AT_LEAST", "_OF_A_COUNTER"):
            patch.setattr(forecaster, few, 500)  # how well it foresees is not asked here
        return measure(VisitorsBench(spots=1, days=60, seed=3, ahead_spots=1), lambda _done, _all: None)


def test_the_figures_are_shares_of_what_was_set_off(figures: dict[str, object]) -> None:
    assert figures["spots"] == 5 and figures["spot_months"] == 10.0
    assert isinstance(figures["festivals"], int) and figures["festivals"] >= 5
    assert set(LIMITS) <= set(figures)
    assert figures["within_limits"] is within_limits(figures)


@pytest.mark.parametrize("name", LIMITS)
def test_each_limit_counts(figures: dict[str, object], name: str) -> None:
    good = dict(LIMITS)
    assert within_limits(good)
    assert not within_limits(good | {name: LIMITS[name] + (0.01 if name.endswith(AT_MOST) else -0.01)})
    assert within_limits(good | {name: None})


def test_the_command_prints_one_json_object() -> None:
    done = command("bench", "visitors", "--spots", "1", "--days", "2", "--ahead", "0", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["spots"] == 5
