"""Completeness of a device whose pace depends on the level: what was due counts, not the step."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from devices.duty import crisis_gauge
from store import connect
from store.duty import modes_now, put_duty
from tests.analytics.series import Analyst
from tests.conftest import START

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
BRIDGE = "river-mimamoribashi"
HOURS = "select hour, n, expected, reliability from rollup_hour order by hour"
DAYS = "select day, n, expected, reliability from rollup_day order by day"


@pytest.fixture
def gauge(analyst: Analyst) -> int:
    """The bridge's gauge as a 危機管理型水位計; its datastream."""
    device = next(
        each
        for each in analyst.town.directory.devices.values()
        if any(attachment.station_code == BRIDGE for attachment in each.attachments)
    )
    with connect(analyst.town.owner, name="test") as conn:
        put_duty(conn, analyst.town.municipality_id, device.device_id, crisis_gauge(1.2, 1.0))
    return analyst.town.datastream(BRIDGE, "water_level")


def test_a_day_in_standby_is_complete_with_one_value(analyst: Analyst, gauge: int) -> None:
    analyst.send(gauge, [(START + n * 24 * HOUR, 0.4) for n in range(3)])
    analyst.work()
    assert analyst.rows(HOURS) == [(START + n * 24 * HOUR, 1, 1.0, "reliable") for n in range(3)]
    assert analyst.rows(DAYS) == [(date(2026, 6, n), 1, 1.0, "reliable") for n in (1, 2, 3)]


def test_a_flood_is_counted_by_its_pace_and_what_is_lost_of_it_is_missing(analyst: Analyst, gauge: int) -> None:
    rising = [(START + n * 10 * MINUTE, 1.3) for n in range(12) if n not in (7, 8)]
    analyst.send(gauge, [*rising, (START + 120 * MINUTE, 0.9)])
    analyst.work()
    assert analyst.rows(HOURS) == [
        (START, 6, 6.0, "reliable"),
        (START + HOUR, 4, 6.0, "doubtful"),
        (START + 2 * HOUR, 1, 1.0, "reliable"),
    ]
    assert analyst.rows(DAYS) == [(date(2026, 6, 1), 11, 13.0, "doubtful")]


def test_late_values_put_it_right_in_any_order(analyst: Analyst, gauge: int) -> None:
    flood = [(START + n * 10 * MINUTE, 1.3) for n in range(12)]
    for reading in [*flood[::2], (START + 120 * MINUTE, 0.9), *flood[1::2]]:
        analyst.send(gauge, [reading])
        analyst.work()
    assert [row[1:3] for row in analyst.rows(HOURS)] == [(6, 6.0), (6, 6.0), (1, 1.0)]


def test_a_heartbeat_that_never_came_is_missing_from_the_day_of_the_next(analyst: Analyst, gauge: int) -> None:
    analyst.send(gauge, [(START, 0.4), (START + 72 * HOUR, 0.4)])
    analyst.work()
    assert [row[1:3] for row in analyst.rows(DAYS)] == [(1, 1.0), (1, 1.0)]
    with connect(analyst.town.worker, name="test") as conn:
        (now,) = modes_now(conn, START + 73 * HOUR, tenant=False).values()
    assert now.mode.standby and now.datastream_id == gauge


def test_a_steady_series_is_counted_by_its_step_as_ever(analyst: Analyst, gauge: int) -> None:
    other = analyst.town.datastream("river-okusawa", "water_level")
    analyst.send(other, [(START, 1.0)])
    analyst.work()
    assert [row[1:3] for row in analyst.rows(HOURS)] == [(1, 6.0)]
