"""Chance that can be asked again."""

from __future__ import annotations

from statistics import mean, pstdev

import pytest

from simulators.chance import integer, normal, poisson, uniform


def test_the_same_question_has_the_same_answer_and_another_has_another() -> None:
    assert uniform(1, "rain", 5) == uniform(1, "rain", 5)
    assert len({uniform(1, "rain", n) for n in range(1000)}) == 1000
    assert uniform("ab", "c") != uniform("a", "bc")


def test_the_answers_do_not_change_between_releases() -> None:
    # a town that was running goes on as the same town after an update
    assert integer(1, "x") == 2728411335144000
    assert poisson(3.0, 1, "x") == 2


def test_uniform_is_even() -> None:
    numbers = [uniform("even", n) for n in range(20_000)]
    assert 0 < min(numbers) < 0.001 and 0.999 < max(numbers) < 1
    assert mean(numbers) == pytest.approx(0.5, abs=0.01)


def test_normal_has_mean_0_and_deviation_1() -> None:
    numbers = [normal("bell", n) for n in range(20_000)]
    assert mean(numbers) == pytest.approx(0, abs=0.03)
    assert pstdev(numbers) == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("rate", [0.02, 0.9, 7.0, 90.0, 480.0, 2000.0])
def test_poisson_has_its_rate_as_mean_and_variance(rate: float) -> None:
    counts = [poisson(rate, "count", n) for n in range(4000)]
    assert mean(counts) == pytest.approx(rate, rel=0.05, abs=0.02)
    assert pstdev(counts) ** 2 == pytest.approx(rate, rel=0.15, abs=0.02)


def test_poisson_of_nothing_is_nothing() -> None:
    assert {poisson(0.0, n) for n in range(100)} == {0}
