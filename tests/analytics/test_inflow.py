"""Leaks of a block from its inflow alone, on made-up weeks of use."""

from __future__ import annotations

import numpy as np

from analytics.leaks.detection.inflow import Watched, new_rise, watch_inflow
from analytics.leaks.detection.inflow_days import MORNING, PARTS, parted, weighed

PER_DAY, DAYS, LEAK, REPAIRED = 24, 63, 40, 54  # the leak at noon of its day, repaired in the morning


def used() -> np.ndarray:
    """m3/h: a curve of the day that differs at weekends, grows with the season, and scatters most by day; an hour that
    did not come each day, two days that did not, a fire, and a leak of 7 m3/h that is repaired."""
    dice = np.random.default_rng(5)
    day = np.arange(DAYS * PER_DAY) / PER_DAY
    hour = day % 1
    curve = 1 + 0.6 * np.sin(2 * np.pi * (hour - 0.3)) + 0.15 * ((day // 1) % 7 >= 5) * np.sin(4 * np.pi * hour)
    flow = 80 * curve * (1 + 0.0015 * day) * dice.normal(1, 0.04, len(day)) + 15
    flow[(day >= LEAK + 0.5) & (day < REPAIRED + 0.4)] += 7
    flow[(day >= 34.3) & (day < 34.9)] += 40
    flow[:: PER_DAY + 1] = np.nan
    flow[(day >= 44) & (day < 46)] = np.nan
    return flow


def test_one_leak_is_told_once_in_time_and_by_its_size() -> None:
    told = watch_inflow(used(), PER_DAY, weekday=0)
    assert [each.start for each in told] in ([LEAK], [LEAK - 1]), "neither the fire nor the repair nor the season"
    rise = told[0]
    assert rise.day <= LEAK + 3 and rise.began[0] <= LEAK <= rise.began[1] + 1
    assert abs(rise.size - 7) < 0.3 * 7
    # Nothing is known from later.
    assert watch_inflow(used()[: rise.day * PER_DAY + MORNING], PER_DAY, weekday=0) == told
    assert watch_inflow(used()[: (rise.day - 1) * PER_DAY + MORNING], PER_DAY, weekday=0) == []


def test_every_morning_can_go_on_from_what_the_one_before_kept() -> None:
    days = parted(used(), PER_DAY)
    weekdays = np.arange(len(days)) % 7
    straight, memory, compared = Watched(days, weekdays), None, 0
    for day in range(33, LEAK + 7):
        resumed = Watched(days[:day], weekdays[:day], memory)
        one, other = straight.until(day), resumed.until(day)
        memory = resumed.memory
        assert (one is None) == (other is None) == (day in (44, 45, 46)), "nothing is said of the days that are missing"
        if one is not None and other is not None:
            assert new_rise(one, straight.first, day, []) == new_rise(other, resumed.first, day, [])
            compared += new_rise(one, straight.first, day, []) is not None
    assert compared


def test_a_leak_counts_in_full_and_the_season_in_the_second_number() -> None:
    days = parted(used()[: 40 * PER_DAY], PER_DAY)
    weekdays = np.arange(len(days)) % 7
    weights = weighed(days, weekdays, np.zeros(len(days)))
    assert weights is not None and days.shape == (39, PARTS)
    usual = weights.usual[0]
    assert np.allclose(weights.of(usual + 5, 0) - weights.of(usual, 0), [5, 0])
    curve = usual / usual.mean()
    assert abs((weights.of(usual + curve, 0) - weights.of(usual, 0))[1] - 1) < 0.1
    hole = np.where(np.arange(PARTS) < 1, np.nan, usual)
    assert np.allclose(weights.of(hole, 0), weights.of(usual, 0)), "one part that did not come is as usual"
    assert np.isnan(weights.of(np.where(np.arange(PARTS) < 2, np.nan, usual), 0)).all()
    assert weighed(days[:6], weekdays[:6], np.zeros(6)) is None
    assert weighed(np.tile(usual, (40, 1)), np.arange(40) % 7, np.zeros(40)) is None
