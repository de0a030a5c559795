"""Raw that is taken out leaves what was worked out from it, and nobody works that out again from what is left."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from analytics.maintenance import COMPRESSED_AFTER, Maintenance
from analytics.old_values import forget, kept
from analytics.service import NAME
from devices.clock import FixedClock
from store import connect
from store.feed import Touched
from tests.analytics.series import Analyst

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
BEGIN = datetime(2023, 5, 29, 15, tzinfo=UTC)  # midnight in Japan
KEPT_FROM = datetime(2023, 6, 30, 15, tzinfo=UTC)  # 1 July
NOW = datetime(2026, 7, 20, tzinfo=UTC)
KEEP = {"water_level": 3, "passages_in": 3, "flow": 3}
ROLLUPS = (
    "select * from rollup_hour order by datastream_id, hour",
    "select * from rollup_day order by datastream_id, day",
    "select * from night_flow order by datastream_id, day",
)


def series(analyst: Analyst) -> list[int]:
    directory = analyst.town.directory
    flow = next(i for i, d in sorted(directory.datastreams.items()) if d.observed_property == "flow")
    return [
        analyst.town.datastream("river-mimamoribashi", "water_level"),
        analyst.town.datastream("spot-asaichi", "passages_in"),
        flow,
    ]


def answers(analyst: Analyst) -> list[Any]:
    return [analyst.rows(query) for query in ROLLUPS]


def tidy(analyst: Analyst) -> int:
    """Steps of forgetting until there is nothing left to forget."""
    with connect(analyst.town.worker, name="test") as conn:
        for n in range(100):
            more = forget(conn, NOW, KEEP, NAME)
            conn.commit()
            if not more:
                return n
    raise AssertionError("it never ends")


@pytest.fixture
def old(analyst: Analyst) -> Analyst:
    """Sixty days three years ago, all answered, old chunks compressed."""
    for ds in series(analyst):
        analyst.send(ds, [(BEGIN + n * HOUR, n % 7 / 4) for n in range(60 * 24)])
    analyst.work()
    keeper = Maintenance(FixedClock(NOW))
    with connect(analyst.town.worker, name="test") as conn:
        for _ in range(10):
            keeper.tick(conn)
            conn.commit()
    if analyst.town.engine == "timescaledb":
        chunks = (
            "select bool_and(is_compressed) from timescaledb_information.chunks where hypertable_name = 'observation'"
        )
        assert analyst.rows(chunks) == [(True,)], "maintenance compresses on the town's clock"
    return analyst


def test_raw_goes_by_months_and_what_was_worked_out_stays(old: Analyst) -> None:
    before = answers(old)
    assert all(before)
    assert tidy(old) >= 2
    left = old.rows("select datastream_id, min(phenomenon_time), count(*) from observation group by 1 order by 1")
    whole = 60 * 24 - (KEPT_FROM - BEGIN) // HOUR
    level, count, flow = series(old)
    assert sorted(left) == sorted(
        [(level, KEPT_FROM, whole), (count, KEPT_FROM + HOUR, whole - 1), (flow, KEPT_FROM, whole)]
    ), "a total at midnight belongs to the day before"
    assert answers(old) == before
    assert old.rows("select distinct kept_from from observation_kept") == [(KEPT_FROM,)]
    assert old.rows("select distinct first_time from datastream_latest order by 1") == [
        (KEPT_FROM,),
        (KEPT_FROM + HOUR,),
    ]
    assert tidy(old) == 0


def test_working_everything_out_again_erases_nothing(old: Analyst) -> None:
    before = answers(old)
    tidy(old)
    old.execute("update feed_cursor set feed_id = 0")
    assert old.work() > 0
    assert answers(old) == before


def test_a_value_for_a_time_that_is_gone_is_not_counted_and_goes_again(old: Analyst) -> None:
    tidy(old)
    before = answers(old)
    level = series(old)[0]
    old.send(level, [(BEGIN + DAY, 99.0)])
    old.send(level, [(KEPT_FROM + 10 * timedelta(minutes=1), 98.0)])
    old.work()
    after = answers(old)
    assert old.rows("select max(maximum) from rollup_hour") == [(98.0,)]
    assert after[0] != before[0] and len(after[0]) == len(before[0])
    tidy(old)
    assert old.rows("select max(value) from observation") == [(98.0,)]


def test_nothing_goes_while_analytics_has_not_answered(old: Analyst) -> None:
    old.send(series(old)[0], [(BEGIN + DAY + HOUR / 2, 5.0)])
    assert tidy(old) == 0
    assert old.rows("select count(*) from observation_kept") == [(0,)]
    old.work()
    assert tidy(old) > 0
    assert old.rows("select max(maximum) from rollup_hour") == [(5.0,)]


def test_raw_is_kept_for_ever_unless_told_otherwise(old: Analyst) -> None:
    n = old.rows("select count(*) from observation")
    keeper = Maintenance(FixedClock(NOW + 3650 * DAY))
    with connect(old.town.worker, name="test") as conn:
        for _ in range(10):
            keeper.tick(conn)
    assert old.rows("select count(*) from observation") == n


def test_emptied_parts_are_dropped(old: Analyst) -> None:
    parts = "select count(*) from pg_inherits where inhparent = 'observation'::regclass"
    if old.town.engine == "timescaledb":
        parts = "select count(*) from show_chunks('observation')"
    with connect(old.town.worker, name="test") as conn:
        for month in (5, 6, 7):
            conn.execute("select observation_partition(%s)", (datetime(2023, month, 1, tzinfo=UTC),))
    before = old.rows(parts)[0][0]
    with connect(old.town.worker, name="test") as conn:
        while forget(conn, NOW + 400 * DAY, KEEP, NAME):
            conn.commit()
    assert old.rows("select count(*) from observation") == [(0,)]
    assert old.rows(parts)[0][0] < before


def test_ranges_are_cut_where_raw_begins(old: Analyst) -> None:
    tidy(old)
    level, count, _ = series(old)
    with connect(old.town.worker, name="test") as conn:
        found = kept(
            conn,
            [
                Touched(level, BEGIN, KEPT_FROM - HOUR),
                Touched(level, BEGIN, KEPT_FROM),
                Touched(count, BEGIN, KEPT_FROM),
                Touched(count, BEGIN, KEPT_FROM + HOUR),
            ],
        )
    microsecond = timedelta(microseconds=1)
    assert found == [
        Touched(level, KEPT_FROM, KEPT_FROM),
        Touched(count, KEPT_FROM + microsecond, KEPT_FROM + HOUR),
    ]


def test_chunks_wait_thirty_days() -> None:
    assert COMPRESSED_AFTER == 30 * DAY
