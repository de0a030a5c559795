"""夜間最小流量: the lowest hour of the night, or nothing where the night is too incomplete to say."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from analytics.leaks.night_flow import NightFlow, minimum_night_flow, night_of
from analytics.leaks.nights import nights_touched
from devices.model import Quality
from store.feed import Touched
from tests.analytics.series import Analyst, Value

MINUTE = timedelta(minutes=1)
STEP = 5 * MINUTE
NIGHT = datetime(2026, 5, 31, 16, tzinfo=UTC)  # 01:00 on 1 June in Japan
NIGHTS = "select day, minimum, minimum_from, completeness from night_flow order by day"


def night(values: list[float], *, step: timedelta = STEP, keep: Any = None) -> NightFlow:
    times = [NIGHT + n * step for n in range(len(values))]
    chosen = range(len(values)) if keep is None else keep
    return minimum_night_flow(
        [times[n] for n in chosen], np.array([values[n] for n in chosen]), NIGHT, NIGHT + timedelta(hours=4), step
    )


def test_it_is_the_lowest_hour_wherever_it_begins() -> None:
    values = [10.0] * 48
    values[17:29] = [4.0] * 12
    found = night(values)
    assert found.minimum == pytest.approx(4.0)
    assert found.minimum_from == NIGHT + 17 * STEP


def test_one_low_reading_is_not_a_low_hour() -> None:
    values = [10.0] * 48
    values[20] = 0.0
    assert night(values).minimum == pytest.approx(110 / 12)


def test_readings_outside_the_night_do_not_count() -> None:
    times = [NIGHT - timedelta(hours=2) + n * STEP for n in range(96)]
    values = np.where([NIGHT <= t < NIGHT + timedelta(hours=4) for t in times], 10.0, 1.0)
    found = minimum_night_flow(times, values, NIGHT, NIGHT + timedelta(hours=4), STEP)
    assert (found.minimum, found.completeness) == (pytest.approx(10.0), 1.0)


def test_an_incomplete_night_has_no_minimum_but_says_how_incomplete() -> None:
    found = night([10.0] * 48, keep=range(40))
    assert (found.minimum, found.minimum_from) == (None, None)
    assert found.completeness == pytest.approx(40 / 48)
    assert night([10.0] * 48, keep=range(41)).minimum == pytest.approx(10.0)


def test_an_incomplete_window_is_passed_over() -> None:
    values = [10.0] * 48
    values[0:12] = [1.0] * 12
    holes = [n for n in range(48) if n not in (2, 4, 6)]
    found = night(values, keep=holes)
    assert found.minimum is not None and found.minimum > 1.0, "9 of 12 are not enough for the lowest hour"
    assert night(values, keep=[n for n in range(48) if n != 6]).minimum == pytest.approx(1.0)


def test_an_hour_that_would_end_after_the_night_does_not_count() -> None:
    values = [10.0] * 37 + [1.0] * 11
    found = night(values)
    assert (found.minimum, found.minimum_from) == (pytest.approx(21 / 12), NIGHT + 36 * STEP)


def test_no_readings_are_no_flow_figure() -> None:
    assert night([]) == NightFlow(None, None, 0.0)


def test_a_coarse_series_has_no_hourly_mean() -> None:
    assert night([10.0, 10.0], step=timedelta(hours=2)) == NightFlow(None, None, 1.0)
    assert night([10.0, 8.0, 9.0, 10.0], step=timedelta(hours=1)).minimum == pytest.approx(8.0)


@pytest.mark.parametrize(("day", "hours"), [(date(2026, 3, 29), 3), (date(2026, 10, 25), 5), (date(2026, 6, 1), 4)])
def test_the_night_the_clocks_change_has_its_own_length(day: date, hours: int) -> None:
    start, end = night_of(day, "Europe/Berlin")
    assert end.timestamp() - start.timestamp() == hours * 3600
    n = hours * 12
    times = [datetime.fromtimestamp(start.timestamp() + 300 * k, UTC) for k in range(n)]
    values = np.full(n, 9.0)
    values[-12:] = 5.0
    found = minimum_night_flow(times, values, start, end, STEP)
    assert (found.minimum, found.completeness) == (pytest.approx(5.0), 1.0)
    assert found.minimum_from is not None and found.minimum_from.timestamp() == times[-12].timestamp()


def test_it_equals_the_plain_definition_on_a_noisy_night() -> None:
    rng = np.random.default_rng(5)
    values = list(8 + rng.normal(0, 1, 48))
    keep = sorted(rng.choice(48, 44, replace=False))
    best = min(
        (float(np.mean(inside)), n)
        for n in keep
        if n + 12 <= 48 and len(inside := [values[k] for k in keep if n <= k < n + 12]) >= 0.85 * 12
    )
    found = night(values, keep=keep)
    assert found.minimum == pytest.approx(best[0])
    assert found.minimum_from == NIGHT + best[1] * STEP


# --- the job ---------------------------------------------------------------------------------------------


def flow(analyst: Analyst) -> int:
    return analyst.town.datastream("block-hamamachi", "flow")


def a_night(low: float = 4.0) -> list[tuple[datetime, Value]]:
    return [(NIGHT + n * STEP, low if 12 <= n < 24 else 10.0) for n in range(48)]


def test_a_night_is_kept_up_with_its_observations(analyst: Analyst) -> None:
    analyst.send(flow(analyst), a_night()[:40])
    analyst.work()
    assert analyst.rows(NIGHTS) == [(date(2026, 6, 1), None, None, pytest.approx(40 / 48))]
    analyst.send(flow(analyst), a_night()[40:])
    analyst.work()
    assert analyst.rows(NIGHTS) == [(date(2026, 6, 1), pytest.approx(4.0), NIGHT + 12 * STEP, 1.0)]
    analyst.send(flow(analyst), a_night(low=3.0)[12:24])
    analyst.work()
    assert analyst.rows(NIGHTS)[0][1] == pytest.approx(3.0)


def test_bad_readings_are_holes(analyst: Analyst) -> None:
    readings = a_night()
    readings[30:40] = [(time, (0.0, Quality.BAD)) for time, _ in readings[30:40]]
    analyst.send(flow(analyst), readings)
    analyst.work()
    assert analyst.rows(NIGHTS) == [(date(2026, 6, 1), None, None, pytest.approx(38 / 48))]


def test_the_day_and_other_series_have_no_night_flow(analyst: Analyst) -> None:
    noon = NIGHT + timedelta(hours=11)
    analyst.send(flow(analyst), [(noon + n * STEP, 10.0) for n in range(12)])
    analyst.send(analyst.town.datastream("block-hamamachi", "pressure"), a_night())
    analyst.send(analyst.town.datastream("river-mimamoribashi", "water_level"), a_night())
    analyst.work()
    assert analyst.rows(NIGHTS) == []


def test_only_what_touches_the_night_is_work() -> None:
    def days(start: float, end: float) -> list[int]:
        touched = Touched(1, NIGHT + timedelta(hours=start), NIGHT + timedelta(hours=end))
        return [day.day for day in nights_touched(touched, "Asia/Tokyo")]

    assert days(4, 23.9) == [], "05:00 is day already"
    assert days(-1, 0) == days(3.9, 12) == [1]
    assert days(1, 48) == [1, 2, 3]


def test_a_night_whose_observations_vanished_is_gone(analyst: Analyst) -> None:
    analyst.send(flow(analyst), a_night())
    analyst.work()
    analyst.execute("delete from observation")
    analyst.execute("update feed_cursor set feed_id = 0")
    analyst.work()
    assert analyst.rows(NIGHTS) == []


def test_a_range_over_days_touches_each_night_once(analyst: Analyst) -> None:
    readings = [(time + timedelta(days=n), value) for n in range(3) for time, value in a_night()]
    analyst.send(flow(analyst), readings)
    analyst.work()
    assert [row[0].day for row in analyst.rows(NIGHTS)] == [1, 2, 3]
