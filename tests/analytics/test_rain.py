"""Rain sums: missing is not zero, and six dry hours end an event."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from analytics.rivers.rain import Sum, Sums, sums

START = datetime(2026, 6, 1, tzinfo=UTC)
STEP = timedelta(minutes=10)
DRY = [0.0] * 36  # six hours
MISSING = float("nan")


def of(amounts: list[float], *, without: tuple[int, ...] = (), step: timedelta = STEP) -> Sums:
    """The sums over intervals from START on; `without` are positions that were never received."""
    kept = [(START + step * (n + 1), amount) for n, amount in enumerate(amounts) if n not in without]
    found = sums(np.array([time.timestamp() for time, _ in kept]), np.array([amount for _, amount in kept]), step)
    assert found is not None
    return found


def test_the_sums_end_at_the_newest_observation() -> None:
    found = of([*[0.0] * 140, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0])
    assert found.time == START + 147 * STEP
    assert (found.ten_minutes, found.hour) == (Sum(7.0, True, False), Sum(27.0, True, False))
    assert (found.day, found.event) == (Sum(28.0, True, False), Sum(28.0, True, False))
    assert found.since == START + 140 * STEP


def test_what_is_missing_makes_a_sum_at_least_and_nothing_known_makes_none() -> None:
    amounts = [*[0.5] * 150, MISSING, 0.5, 0.5, MISSING]
    found = of(amounts)
    assert found.ten_minutes == Sum(None, False, False)
    assert found.hour == Sum(2.0, False, False)
    assert found.day == Sum(71.0, False, False)
    never_received = of([*[0.5] * 151, 0.5, 0.5], without=(151,))
    assert (never_received.ten_minutes, never_received.hour) == (Sum(0.5, True, False), Sum(2.5, False, False))
    assert of([0.0] * 30).day == Sum(0.0, False, False)  # received for five hours only: not a dry day


def test_six_dry_hours_end_an_event_and_less_do_not() -> None:
    assert of([9.0, *DRY, 1.0, 0.0]).event == Sum(1.0, True, False)
    assert of([*DRY, 9.0, *DRY[1:], 1.0, 0.0]).event == Sum(10.0, True, False)
    over = of([9.0, *DRY])
    assert (over.event, over.since) == (Sum(0.0, True, False), None)
    assert of([*DRY, 9.0, *DRY[1:]]).event == Sum(9.0, True, False)


def test_an_event_that_began_before_the_first_observation_is_at_least() -> None:
    assert of([2.0, 3.0]).event == Sum(5.0, False, False)
    assert of([0.0, 3.0]).event == Sum(3.0, False, False)
    assert of(DRY[1:]).event == Sum(0.0, False, False)


def test_hours_of_which_nothing_is_known_neither_end_an_event_nor_are_part_of_a_dry_spell() -> None:
    unknown = [MISSING] * 36
    assert of([*DRY, 4.0, *unknown, 1.0]).event == Sum(5.0, False, False)
    # three dry hours on either side of the gap are six
    assert of([*DRY, 4.0, *DRY[:18], *unknown, *DRY[:18], 1.0]).event == Sum(1.0, False, False)
    assert of([*DRY, 4.0, *DRY[:18], *unknown, *DRY[:17], 1.0]).event == Sum(5.0, False, False)
    # the same where the hours were never received at all
    gap = tuple(range(55, 91))
    assert of([*DRY, 4.0, *DRY[:18], *unknown, *DRY[:18], 1.0], without=gap).event == Sum(1.0, False, False)


def test_estimates_are_said_to_be_in_it() -> None:
    times = [START + STEP * (n + 1) for n in range(145)]
    amounts, guessed = np.full(145, 0.5), np.zeros(145, dtype=np.bool_)
    guessed[140] = True
    found = sums(np.array([time.timestamp() for time in times]), amounts, STEP, guessed)
    assert found is not None
    flags = [each and each.estimated for each in (found.ten_minutes, found.hour, found.day, found.event)]
    assert flags == [False, True, True, True]


@pytest.mark.parametrize(("step", "has_ten"), [(timedelta(minutes=5), True), (timedelta(hours=1), False)])
def test_other_intervals_have_the_sums_they_can_have(step: timedelta, has_ten: bool) -> None:
    found = of([1.0] * 300, step=step)
    assert (found.ten_minutes is not None) is has_ten
    assert found.hour == Sum(timedelta(hours=1) / step, True, False)


def test_without_observations_there_are_no_sums() -> None:
    assert sums(np.empty(0), np.empty(0), STEP) is None
