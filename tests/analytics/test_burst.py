"""A burst is found within 20 minutes of data on the simulated block, and what is no burst is not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.leaks.burst import Burst, Grid, Values, Verdict, Witness, judge_burst, on_grid
from simulators.pipes import Block

TOKYO = ZoneInfo("Asia/Tokyo")
START = datetime(2026, 6, 1, tzinfo=UTC)
STEP = timedelta(minutes=5)
DAY = 288
DAYS = 19  # 15 to know the usual, 4 to try on


@cache
def quiet(seed: int) -> tuple[Values, Values]:
    """Flow and pressure of a block in which nothing bursts, from START on; not to be written to."""
    block = Block(seed, START + timedelta(days=400), TOKYO, "block")
    times = [START + n * STEP for n in range(DAYS * DAY)]
    series = tuple(np.array([value(at) for at in times]) for value in (block.flow, block.pressure))
    for each in series:
        each.flags.writeable = False
    return series[0], series[1]


def broken(seed: int, begins: int, size: float, lasts: int = DAYS * DAY) -> tuple[Values, Values]:
    """The same with a burst of `size` m3/h from one index on: the pressure falls by what the block's law says."""
    flow, pressure = (series.copy() for series in quiet(seed))
    during = slice(begins, begins + lasts)
    pressure[during] -= 0.042 * ((flow[during] + size) ** 1.852 - flow[during] ** 1.852) + 2.2 * size
    flow[during] += size
    return flow, pressure


def judge(flow: Values, pressure: Values, newest: int, open: Burst | None = None, **more: datetime) -> Verdict:
    """What is known at index `newest`."""
    seen = slice(0, newest + 1)
    grid = Grid(START, STEP, newest + 1)
    return judge_burst(grid, flow[seen], [Witness("pressure", pressure[seen], 5.0)], open, **more)


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("hour", range(0, 24, 2))
def test_a_sudden_burst_is_found_within_20_minutes_at_any_hour(seed: int, hour: int) -> None:
    begins = 15 * DAY + hour * 12 + 5
    flow, pressure = broken(seed, begins, 12.0)
    assert judge(flow, pressure, begins - 1).burst is None
    found = judge(flow, pressure, begins + 4).burst
    assert found is not None
    assert timedelta(0) <= found.started_at - (START + begins * STEP) <= timedelta(minutes=20)
    assert 6 < found.excess < 18 and found.witness == "pressure" and found.fall > 5


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_four_quiet_days_with_their_morning_peaks_are_no_burst(seed: int) -> None:
    flow, pressure = quiet(seed)
    # every judging looks two hours back: each time is looked at
    assert [n for n in range(15 * DAY, DAYS * DAY, 24) if judge(flow, pressure, n).burst is not None] == []


def test_more_flow_without_a_fall_of_pressure_is_no_burst() -> None:
    flow, _ = broken(1, 15 * DAY + 40, 12.0)
    assert judge(flow, quiet(1)[1], 15 * DAY + 60).burst is None


def test_a_fall_of_pressure_without_more_flow_is_no_burst() -> None:
    _, pressure = broken(1, 15 * DAY + 40, 12.0)
    assert judge(quiet(1)[0], pressure, 15 * DAY + 60).burst is None


@settings(max_examples=40, deadline=None)
@given(at=st.integers(15 * DAY + 10, DAYS * DAY - 30), flow_spike=st.floats(20, 2000), fall=st.floats(10, 400))
def test_one_spike_is_no_burst(at: int, flow_spike: float, fall: float) -> None:
    flow, pressure = (series.copy() for series in quiet(2))
    flow[at] += flow_spike
    pressure[at] -= fall
    assert judge(flow, pressure, at + 10).burst is None


@settings(max_examples=40, deadline=None)
@given(at=st.integers(15 * DAY, DAYS * DAY - 100), length=st.integers(1, 80), after=st.integers(1, 18))
def test_missing_data_begin_nothing(at: int, length: int, after: int) -> None:
    flow, pressure = (series.copy() for series in quiet(3))
    flow[at : at + length] = np.nan
    pressure[at : at + length] = np.nan
    assert judge(flow, pressure, at + length + after).burst is None


@settings(max_examples=25, deadline=None)
@given(hole=st.integers(20, 300))
def test_missing_data_end_nothing(hole: int) -> None:
    begins = 15 * DAY + 40
    flow, pressure = broken(1, begins, 12.0)
    found = judge(flow, pressure, begins + 6).burst
    flow[begins + 7 : begins + 7 + hole] = np.nan
    assert judge(flow, pressure, begins + 7 + hole, found).burst is not None


def test_it_ends_when_the_inflow_is_back_and_not_before() -> None:
    begins, lasts = 15 * DAY + 40, 30 * 12
    flow, pressure = broken(2, begins, 12.0, lasts)
    found = judge(flow, pressure, begins + 6).burst
    assert found is not None
    for newest in range(begins + 7, begins + lasts, 6):
        assert judge(flow, pressure, newest, found).burst is not None, newest
    repaired = judge(flow, pressure, begins + lasts + 24, found)
    assert repaired.burst is None and repaired.ended_at is not None
    assert timedelta(0) < repaired.ended_at - (START + (begins + lasts) * STEP) <= timedelta(hours=1)
    assert judge(flow, pressure, begins + lasts + 24, not_before=repaired.ended_at) == Verdict(None)


def test_a_burst_of_three_days_does_not_become_usual() -> None:
    begins = 15 * DAY + 40
    flow, pressure = broken(1, begins, 12.0)
    found = judge(flow, pressure, begins + 6).burst
    later = judge(flow, pressure, DAYS * DAY - 1, found).burst
    assert found is not None and later is not None and later.started_at == found.started_at
    assert 8 < later.excess < 16


def test_reading_by_reading_and_all_at_once_begin_at_the_same_time() -> None:
    begins = 15 * DAY + 40
    flow, pressure = broken(3, begins, 14.0)
    whole = judge(flow, pressure, begins + 18).burst
    first = next(v.burst for n in range(begins, begins + 19) if (v := judge(flow, pressure, n)).burst is not None)
    assert whole is not None and first is not None and whole.started_at == first.started_at


def test_fewer_than_five_days_say_nothing() -> None:
    begins = 15 * DAY + 40
    flow, pressure = (series.copy() for series in broken(1, begins, 14.0))
    flow[: 11 * DAY] = np.nan
    assert judge(flow, pressure, begins + 6).burst is None
    flow[10 * DAY : 11 * DAY] = quiet(1)[0][10 * DAY : 11 * DAY]
    assert judge(flow, pressure, begins + 6).burst is not None


def test_the_level_of_the_tank_is_a_witness_too() -> None:
    begins = 15 * DAY + 40
    flow, _ = broken(1, begins, 14.0)
    level = 3.0 + 0.3 * np.sin(np.arange(DAYS * DAY) * 2 * np.pi / DAY)
    falling = level.copy()
    falling[begins:] -= 0.02 * np.arange(1, DAYS * DAY - begins + 1)
    grid = Grid(START, STEP, begins + 5)
    seen = slice(0, begins + 5)
    assert judge_burst(grid, flow[seen], [Witness("tank_level", level[seen], 0.03)]).burst is None
    found = judge_burst(grid, flow[seen], [Witness("tank_level", falling[seen], 0.03)]).burst
    assert found is not None and found.witness == "tank_level"


def test_values_go_to_the_nearest_time_and_stand_for_their_own_step_only() -> None:
    grid = Grid(START, STEP, 8)
    times = [START + timedelta(minutes=m, seconds=20) for m in (0, 10, 31)]
    held = on_grid(grid, times, np.array([1.0, 2.0, 3.0]), hold=1)
    assert [None if np.isnan(v) else v for v in held] == [1.0, 1.0, 2.0, 2.0, None, None, 3.0, 3.0]
