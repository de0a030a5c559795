"""Rollups always equal what the observations say, whatever came late, twice, corrected or vanished."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analytics.service import NAME, handle
from devices.model import Quality
from store import Connection, connect
from store.feed import Consumer, FeedRow
from tests.analytics.series import Analyst, Value
from tests.conftest import START

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
HOURS = "select hour, n, expected, minimum, maximum, mean, total, worst_quality::text from rollup_hour order by hour"
DAYS = "select day, n, expected, minimum, maximum, mean, total, worst_quality::text from rollup_day order by day"


def level(analyst: Analyst) -> int:
    return analyst.town.datastream("river-mimamoribashi", "water_level")


def passages(analyst: Analyst) -> int:
    return analyst.town.datastream("spot-asaichi", "passages_in")


def test_an_hour_of_levels(analyst: Analyst) -> None:
    analyst.send(level(analyst), [(START + n * 10 * MINUTE, 1.0 + n / 4) for n in range(7)])
    analyst.work()
    assert analyst.rows(HOURS) == [
        (START, 6, 6.0, 1.0, 2.25, 1.625, None, "good"),
        (START + HOUR, 1, 6.0, 2.5, 2.5, 2.5, None, "good"),
    ]
    # 00:00 UTC is 09:00 in Japan
    assert analyst.rows(DAYS) == [(date(2026, 6, 1), 7, 144.0, 1.0, 2.5, 1.75, None, "good")]


def test_a_total_belongs_to_the_interval_that_it_ends(analyst: Analyst) -> None:
    analyst.send(passages(analyst), [(START + HOUR, 7.0), (START + HOUR + 10 * MINUTE, 5.0)])
    analyst.work()
    assert [(row[0], row[1], row[6]) for row in analyst.rows(HOURS)] == [(START, 1, 7.0), (START + HOUR, 1, 5.0)]


def test_a_total_of_midnight_belongs_to_the_day_before(analyst: Analyst) -> None:
    midnight = datetime(2026, 6, 1, 15, tzinfo=UTC)  # in Japan
    analyst.send(passages(analyst), [(midnight, 3.0), (midnight + 10 * MINUTE, 4.0)])
    analyst.work()
    assert [(row[0], row[6]) for row in analyst.rows(DAYS)] == [(date(2026, 6, 1), 3.0), (date(2026, 6, 2), 4.0)]


def test_bad_and_missing_do_not_count_but_show(analyst: Analyst) -> None:
    readings: list[tuple[datetime, Value]] = [
        (START, 1.0),
        (START + 10 * MINUTE, (9.0, Quality.BAD)),
        (START + 20 * MINUTE, (2.0, Quality.DOUBTFUL)),
        (START + HOUR, None),
    ]
    analyst.send(level(analyst), readings)
    analyst.work()
    assert analyst.rows(HOURS) == [
        (START, 2, 6.0, 1.0, 2.0, 1.5, None, "bad"),
        (START + HOUR, 0, 6.0, None, None, None, None, "missing"),
    ]


def test_no_count_is_not_a_count_of_zero(analyst: Analyst) -> None:
    analyst.send(passages(analyst), [(START + 10 * MINUTE, 0.0), (START + HOUR + 10 * MINUTE, None)])
    analyst.work()
    assert [(row[1], row[6]) for row in analyst.rows(HOURS)] == [(1, 0.0), (0, None)]


def test_a_late_value_and_a_correction_repair_their_bucket(analyst: Analyst) -> None:
    ds = level(analyst)
    analyst.send(ds, [(START, 1.0), (START + 2 * HOUR, 1.0)])
    analyst.work()
    analyst.send(ds, [(START + 10 * MINUTE, 3.0)])
    analyst.send(ds, [(START + 2 * HOUR, 5.0)])
    analyst.work()
    assert [(row[1], row[4]) for row in analyst.rows(HOURS)] == [(2, 3.0), (1, 5.0)]
    assert analyst.rows("select n, maximum, mean from rollup_day") == [(3, 5.0, 3.0)]


def test_a_bucket_whose_observations_vanished_is_gone(analyst: Analyst) -> None:
    analyst.send(level(analyst), [(START, 1.0), (START + HOUR, 2.0)])
    analyst.work()
    analyst.execute("delete from observation where phenomenon_time = %s", START + HOUR)
    analyst.execute("update feed_cursor set feed_id = 0")
    analyst.work()
    assert [row[0] for row in analyst.rows(HOURS)] == [START]
    analyst.execute("delete from observation")
    analyst.execute("update feed_cursor set feed_id = 0")
    analyst.work()
    assert analyst.rows(HOURS) == [] and analyst.rows(DAYS) == []


def test_replaying_the_feed_writes_nothing(analyst: Analyst) -> None:
    analyst.send(level(analyst), [(START + n * 10 * MINUTE, n / 7) for n in range(40)])
    analyst.work()
    state = "select *, xmin::text from rollup_hour union all select *, xmin::text from rollup_hour order by 2, 3"
    before = analyst.rows(state), analyst.rows("select *, xmin::text from rollup_day order by 2, 3")
    analyst.execute("update feed_cursor set feed_id = 0")
    assert analyst.work() == 1
    assert (analyst.rows(state), analyst.rows("select *, xmin::text from rollup_day order by 2, 3")) == before


def test_a_kill_before_the_commit_leaves_nothing_and_loses_nothing(analyst: Analyst) -> None:
    analyst.send(level(analyst), [(START, 1.0)])

    def killed(conn: Connection, rows: list[FeedRow]) -> None:
        handle(conn, rows)
        raise KeyboardInterrupt

    with connect(analyst.town.worker, name="test") as conn, pytest.raises(KeyboardInterrupt):
        Consumer(analyst.town.worker, NAME).drain(conn, killed)
    assert analyst.rows(HOURS) == []
    assert analyst.work() == 1
    assert len(analyst.rows(HOURS)) == 1


def test_days_are_23_and_25_hours_long_where_the_clocks_change(analyst: Analyst) -> None:
    analyst.execute("update municipality set timezone = 'Europe/Berlin'")
    ds = level(analyst)
    for month, day in ((3, 29), (10, 25)):
        first = datetime(2026, month, day - 1, 12, tzinfo=UTC)
        analyst.send(ds, [(first + n * 10 * MINUTE, 1.0) for n in range(6 * 48)])
    analyst.work()
    full = [(row[0], row[1], row[2]) for row in analyst.rows(DAYS) if row[0].day in (29, 25)]
    assert full == [(date(2026, 3, 29), 138, 138.0), (date(2026, 10, 25), 150, 150.0)]
    assert {row[2] for row in analyst.rows(HOURS)} == {6.0}


# What each bucket must say, asked of the observations with other means: python's own calendar.
def expected_hours(analyst: Analyst) -> list[tuple[int, datetime, int, float | None]]:
    found: dict[tuple[int, datetime], list[float]] = {}
    for ds, time, value, quality, total in analyst.rows(
        "select datastream_id, phenomenon_time, value, quality::text, statistic = 'total' "
        "from observation join datastream using (datastream_id)"
    ):
        moment = time - timedelta(microseconds=1) if total else time
        values = found.setdefault((ds, moment.replace(minute=0, second=0, microsecond=0)), [])
        if quality not in ("bad", "missing"):
            values.append(value)
    return sorted((ds, hour, len(values), max(values, default=None)) for (ds, hour), values in found.items())


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 40), st.sampled_from([0, 1, 5, 9]), st.booleans()), max_size=30)
)
def test_whatever_arrives_in_whatever_order_the_rollups_equal_the_observations(
    analyst: Analyst, arrivals: list[tuple[bool, int, int, bool]]
) -> None:
    analyst.execute("truncate observation, observation_revision, rollup_hour, rollup_day, uplink")
    for total, slot, value, work_now in arrivals:
        ds = passages(analyst) if total else level(analyst)
        analyst.send(ds, [(START + slot * 10 * MINUTE, (float(value), Quality.BAD if value == 9 else Quality.GOOD))])
        if work_now:
            analyst.work()
    analyst.work()
    stored = analyst.rows("select datastream_id, hour, n, maximum from rollup_hour order by 1, 2")
    assert stored == expected_hours(analyst)


def test_order_of_delivery_does_not_matter(analyst: Analyst) -> None:
    readings: list[tuple[datetime, Value]] = [(START + n * 10 * MINUTE, n / 3) for n in range(60)]
    random.Random(3).shuffle(readings)
    for chunk in range(0, 60, 7):
        analyst.send(level(analyst), readings[chunk : chunk + 7])
        analyst.work()
    assert [(row[1], row[3], row[4]) for row in analyst.rows(HOURS)] == [
        (6, 6 * h / 3, (6 * h + 5) / 3) for h in range(10)
    ]
