"""実効雨量 and 土壌雨量指数: against figures worked out by hand, and what is missing is never 0."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.rivers.amounts import CELL, Amounts, Cells, cells
from analytics.rivers.effective_rain import HALF_LIVES, effective, effective_by_hour, effective_now, memory
from analytics.rivers.soil_water import soil_water, soil_water_now
from api.database import enter_municipality
from store import connect
from store.columns import Floats
from tests.conftest import START, Registered

SHORT, LONG = HALF_LIVES
END = START.timestamp()


def whole(amounts: list[float]) -> Cells:
    return Cells(np.array(amounts), np.zeros(len(amounts), dtype=np.bool_))


def test_rain_counts_half_after_its_half_life() -> None:
    """By hand: 90 minutes are nine cells, 12 mm and then 4: 12 / 2 + 4, and a half-life later half of that."""
    found = effective(whole([12.0, *[0.0] * 8, 4.0, *[0.0] * 9]), SHORT).amounts
    assert found[[0, 9, 18]] == pytest.approx([12.0, 10.0, 5.0])
    steady = effective(whole([1.0] * 5000), SHORT).amounts[-1]
    assert steady == pytest.approx(1 / (1 - 2 ** (-1 / 9))), "what comes in goes out again"


@given(st.lists(st.floats(0, 50), min_size=1, max_size=300), st.integers(0, 9000))
def test_it_is_the_sum_of_what_fell_by_its_age_however_long_the_record(fallen: list[float], dry: int) -> None:
    amounts = np.array([*fallen, *[0.0] * dry])
    ages = np.arange(len(amounts))[::-1] * (CELL / SHORT)
    assert effective(whole(amounts.tolist()), SHORT).amounts[-1] == pytest.approx(
        float((amounts * 2.0**-ages).sum()), abs=1e-9
    )


def test_a_gap_counts_as_missing_until_less_than_a_hundredth_of_it_would_count() -> None:
    assert memory(SHORT) == timedelta(hours=10) and memory(LONG) > timedelta(days=19)
    fallen = whole([1.0] * 200)
    fallen.missing[70] = True
    complete = effective(fallen, SHORT).complete
    assert np.flatnonzero(complete).tolist() == [*range(59, 70), *range(130, 200)], "nor before ten hours are known"


def amounts(*known: tuple[float, float]) -> Amounts:
    """(minutes before END, mm)"""
    times, values = np.array(known).T
    return Amounts(END - times * 60.0, values, np.zeros(len(known), dtype=np.bool_))


def test_cells_hold_what_was_measured_in_them_and_say_what_was_not() -> None:
    """Whole cells, times that are a little off, five minutes, hours; and a value that is not known."""
    exact = cells(amounts((20, 1.0), (10, np.nan), (0, 3.0)), CELL, END, 4)
    assert exact.amounts.tolist() == [0.0, 1.0, 0.0, 3.0] and exact.missing.tolist() == [True, False, True, False]
    late = cells(amounts((19.7, 1.0), (10.2, 2.0), (0, 3.0)), CELL, END, 3)
    assert late.amounts.tolist() == [1.0, 2.0, 3.0] and not late.missing.any()
    five = cells(amounts((15, 1.0), (10, 2.0), (0, 3.0)), timedelta(minutes=5), END, 2)
    assert five.amounts.tolist() == [3.0, 3.0] and five.missing.tolist() == [False, True]
    hourly = cells(amounts((60, 6.0), (0, 12.0)), timedelta(hours=1), END, 13)
    assert hourly.amounts.tolist() == [0.0, *[1.0] * 6, *[2.0] * 6] and hourly.missing.tolist() == [True, *[False] * 12]


def test_the_tanks_drain_as_worked_out_by_hand() -> None:
    """100 mm at once, then nothing, in steps of an hour. First hour: aside 0.10 * 85 + 0.15 * 40 = 14.5, down 12, so
    73.5 + 12. Second: aside 0.10 * 58.5 + 0.15 * 13.5 = 7.875, down 8.82 of the first, 0.6 of the second tank.
    """
    hourly = soil_water(np.array([100.0, 0.0, 0.0]), timedelta(hours=1))
    assert hourly == pytest.approx([100.0, 73.5 + 12.0, (73.5 - 7.875 - 8.82) + (12.0 + 8.82 - 0.6) + 0.6])
    # below every outlet of its side, water only goes down: none of it is lost until the third tank gives it away
    low = soil_water(np.array([10.0, *[0.0] * 3]), timedelta(hours=1))
    assert low[:3] == pytest.approx([10.0, 10.0, 10.0]) and low[3] < 10.0


@given(st.lists(st.floats(0, 30), min_size=1, max_size=60), st.integers(0, 59))
def test_more_rain_never_makes_it_less_and_it_is_never_more_than_fell(fallen: list[float], gap: int) -> None:
    """So with a part of the rain missing the index is at least what it says."""
    known = np.array(fallen)
    less = known.copy()
    less[min(gap, len(known) - 1)] = 0.0
    index: Floats = soil_water(np.stack([known, less], axis=1))
    assert (index[:, 1] <= index[:, 0] + 1e-9).all() and (index[:, 0] <= np.cumsum(known) + 1e-9).all()


def test_what_is_not_measured_is_refused_as_an_amount() -> None:
    with pytest.raises(ValueError, match="not measured"):
        soil_water(np.array([1.0, np.nan]))
    with pytest.raises(ValueError, match="step"):
        soil_water(np.array([1.0]), timedelta(hours=3))


def test_of_a_stored_gauge_both_are_read_with_what_is_missing_from_them(registered: Registered) -> None:
    """31 days of 10 minutes: 1 mm in each cell of the last hour, one of them bad; an hour before, one never came."""
    series = registered.datastream("rain-okusawa", "precipitation")
    cells_of = 31 * 144
    with connect(registered.owner, name="test") as conn:
        conn.execute(
            """
            insert into observation (datastream_id, phenomenon_time, value, quality)
            select %(series)s, %(end)s - n * interval '10 min', case when n < 6 then 1.0 else 0.0 end,
                   case when n = 3 then 'bad' else 'good' end::quality
            from generate_series(0, %(n)s) n where n <> 12
            """,
            {"series": series, "end": START, "n": cells_of},
        )
    half = 2 ** (-CELL / SHORT)
    expected = sum(half**n for n in range(6) if n != 3)
    now = START + timedelta(minutes=7)
    with connect(registered.api, name="test") as conn:
        enter_municipality(conn, registered.municipality_id)
        row = conn.execute("select station_id from station where code = 'rain-okusawa'").fetchone()
        assert row is not None
        told = effective_now(conn, {series: CELL}, now)[series]
        hours = effective_by_hour(conn, series, CELL, START - timedelta(hours=24), now)
        soil = soil_water_now(conn, row[0], now)
        silent = soil_water_now(conn, row[0], START + timedelta(hours=2))
        long_ago = effective_now(conn, {series: CELL}, START + timedelta(days=40))[series]
    assert told is not None and told.time == START
    assert told.short.amount == pytest.approx(expected) and not told.short.complete
    assert told.long.amount == pytest.approx(5.0, rel=0.01) and not told.long.complete
    assert [datetime.fromtimestamp(each, UTC) for each in hours.times.tolist()] == [
        START - timedelta(hours=n) for n in range(24)
    ][::-1]
    assert hours.short.amounts[-1] == pytest.approx(told.short.amount) and hours.short.amounts[-2] == 0.0
    assert hours.short.complete.tolist() == [True] * 21 + [False] * 3
    assert soil is not None and soil.index == pytest.approx(5.0, rel=0.01) and soil.missing == 2 * CELL
    assert not soil.complete and silent is None and long_ago is None
