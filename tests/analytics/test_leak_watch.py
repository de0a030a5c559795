"""The findings of a block on a real database: they follow its series, however these come in."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from alerts.evaluator import Evaluator
from alerts.shards import NAME as ALERTS
from analytics.service import NAME, handle
from devices.clock import FixedClock
from devices.model import Quality
from simulators.pipes import Block
from store import connect
from store.feed import Consumer
from tests.analytics.series import Analyst, Value

TOKYO = ZoneInfo("Asia/Tokyo")
STEP = timedelta(minutes=5)
FIRST = datetime(2026, 6, 1, tzinfo=TOKYO).astimezone(UTC)
INLET = "block-hamamachi"


@pytest.fixture
def flow(analyst: Analyst) -> int:
    return analyst.town.datastream(INLET, "flow")


@pytest.fixture
def pressure(analyst: Analyst) -> int:
    return analyst.town.datastream(INLET, "pressure")


def night(day: int, value: float | None) -> list[tuple[datetime, Value]]:
    """01:00 to 05:00 of the June day, and a reading at 05:00 that shows it over."""
    start = FIRST + timedelta(days=day - 1, hours=1)
    return [(start + n * STEP, value) for n in range(49)]


def findings(analyst: Analyst) -> list[tuple[object, ...]]:
    return analyst.rows("select kind, started_at, ended_at, value, usual from finding order by finding_id")


def told(analyst: Analyst) -> int:
    return int(analyst.rows("select count(*) from feed where kind = 'findings'")[0][0])


def test_the_second_night_above_makes_the_finding_and_a_night_back_ends_it(analyst: Analyst, flow: int) -> None:
    for day in range(1, 11):
        analyst.send(flow, night(day, 4.0))
    analyst.send(flow, night(11, 6.5))
    analyst.work()
    assert findings(analyst) == []
    second = night(12, 6.4)
    analyst.send(flow, second[:-1])
    analyst.work()
    assert len(findings(analyst)) == 1, "a night is over when its last reading is there"
    since = FIRST + timedelta(days=10, hours=1)
    assert findings(analyst) == [("night_flow", since, None, 6.4, 4.0)]
    assert analyst.rows("select detail->>'month_m3', detail->>'limit', detail->>'nights' from finding") == [
        ("1728", "4.5", "2")
    ]
    analyst.send(flow, night(13, 4.1))
    analyst.work()
    assert findings(analyst) == [("night_flow", since, FIRST + timedelta(days=12, hours=5), 6.4, 4.0)]


def test_a_night_that_is_not_over_is_not_judged(analyst: Analyst, flow: int) -> None:
    for day in range(1, 12):
        analyst.send(flow, night(day, 4.0 if day < 11 else 6.5))
    analyst.send(flow, night(12, 6.4)[:44])
    analyst.work()
    assert analyst.rows(
        "select completeness > 0.85, round(minimum::numeric, 3)::float from night_flow order by day desc limit 1"
    ) == [(True, 6.4)]
    assert findings(analyst) == []


def test_a_night_with_a_hole_is_missing_not_low(analyst: Analyst, flow: int) -> None:
    for day in range(1, 13):
        analyst.send(flow, night(day, 4.0 if day < 11 else 6.5))
    analyst.send(flow, night(13, 3.0)[:30] + night(13, None)[30:])
    analyst.work()
    (found,) = findings(analyst)
    assert found[2] is None, "it has not ended"


def test_the_order_and_number_of_batches_do_not_matter(analyst: Analyst, flow: int) -> None:
    series = [each for day in range(1, 15) for each in night(day, 4.0 if day < 11 else 6.5)]
    for part in (series[400:], series[:100], series[100:400], series[:200]):
        analyst.send(flow, part)
        analyst.work()
    before, messages = findings(analyst), told(analyst)
    assert before == [("night_flow", FIRST + timedelta(days=10, hours=1), None, 6.5, 4.0)]
    analyst.execute("update feed_cursor set feed_id = 0 where consumer = 'analytics'")
    analyst.work()
    assert (findings(analyst), told(analyst)) == (before, messages), "reading the feed again says nothing new"


def test_a_correction_takes_the_finding_back(analyst: Analyst, flow: int) -> None:
    for day in range(1, 13):
        analyst.send(flow, night(day, 4.0 if day < 11 else 6.5))
    analyst.work()
    analyst.send(flow, [(time, (4.0, Quality.MANUAL)) for time, _ in night(12, 6.5)])
    analyst.work()
    ((_, started, ended, *_),) = findings(analyst)
    assert ended == started


def test_a_rise_too_slow_for_any_night_is_found_stays_and_ends_with_the_level_before_it(
    analyst: Analyst, flow: int
) -> None:
    def nights(first: int, last: int, value: Callable[[int], float]) -> list[tuple[datetime, Value]]:
        return [each for day in range(first, last) for each in night(day, value(day))]

    analyst.send(flow, nights(1, 45, lambda day: 4.0 + (day % 3) * 0.1 + max(day - 20, 0) * 0.05))
    analyst.work()
    ((kind, started, ended, value, usual),) = findings(analyst)
    assert (kind, ended, usual) == ("night_flow", None, 4.1) and value == pytest.approx(5.2, abs=0.1)
    assert isinstance(started, datetime) and 15 <= (started - FIRST).days <= 25
    assert analyst.rows("select detail->>'growing', rule_version from finding") == [("true", "night_growth:1")]
    messages = told(analyst)
    analyst.execute("update feed_cursor set feed_id = 0 where consumer = 'analytics'")
    analyst.work()
    assert told(analyst) == messages, "the same nights say nothing new"
    analyst.send(flow, nights(45, 60, lambda day: 5.2))
    analyst.work()
    assert findings(analyst)[0][1:3] == (started, None), "it does not become usual by lasting"
    analyst.send(flow, nights(60, 63, lambda day: 4.1))
    analyst.work()
    ((_, _, ended, *_),) = findings(analyst)
    assert ended is not None and len(findings(analyst)) == 1


def readings(block: Block, first: datetime, last: datetime) -> tuple[list[tuple[datetime, Value]], ...]:
    times = [first + n * STEP for n in range((last - first) // STEP)]
    return [(at, block.flow(at)) for at in times], [(at, block.pressure(at)) for at in times]


def test_a_burst_is_found_within_20_minutes_and_ends_when_it_is_repaired(
    analyst: Analyst, flow: int, pressure: int
) -> None:
    begins = FIRST + timedelta(days=16, hours=10)
    block = Block(5, FIRST + timedelta(days=400), TOKYO, INLET, ((begins, begins + timedelta(hours=5)),))

    def send(first: datetime, last: datetime) -> None:
        for datastream_id, series in zip((flow, pressure), readings(block, first, last), strict=True):
            analyst.send(datastream_id, series)
        analyst.work()

    send(FIRST, begins)
    assert [row for row in findings(analyst) if row[0] == "burst"] == []
    send(begins, begins + timedelta(minutes=25))
    ((kind, started, ended, value, usual),) = findings(analyst)
    assert kind == "burst" and ended is None
    assert isinstance(started, datetime) and begins <= started <= begins + timedelta(minutes=20)
    assert isinstance(value, float) and isinstance(usual, float) and 12 < value - usual < 30
    assert analyst.rows("select detail->>'witness' from finding") == [("pressure",)]
    for hour in range(1, 8):
        send(begins + timedelta(minutes=25, hours=hour - 1), begins + timedelta(minutes=25, hours=hour))
    ((_, again, ended, *_),) = findings(analyst)
    assert again == started and isinstance(ended, datetime)
    assert begins + timedelta(hours=5) < ended <= begins + timedelta(hours=6, minutes=10)
    before, messages = findings(analyst), told(analyst)
    analyst.execute("update feed_cursor set feed_id = 0 where consumer = 'analytics'")
    analyst.work()
    assert (findings(analyst), told(analyst)) == (before, messages)


def test_a_burst_is_found_in_a_whole_backlog_too(analyst: Analyst, flow: int, pressure: int) -> None:
    begins = FIRST + timedelta(days=16, hours=10)
    block = Block(5, FIRST + timedelta(days=400), TOKYO, INLET, ((begins, begins + timedelta(hours=9)),))
    # the network was away from an hour before the burst until seven hours into it
    for first, last in (
        (FIRST, begins - timedelta(hours=1)),
        (begins - timedelta(hours=1), begins + timedelta(hours=7)),
    ):
        for datastream_id, series in zip((flow, pressure), readings(block, first, last), strict=True):
            analyst.send(datastream_id, series)
        if first != FIRST:
            # Its tank, 1.2 m above the low level, falls by 0.3 m an hour at the end.
            low, level = analyst.rows("""
                select t.low_m, d.datastream_id from block_inlet b
                join service_tank t on t.station_id = b.tank_station_id
                join station s on s.station_id = b.station_id
                join datastream d on d.station_id = t.station_id and d.observed_property = 'tank_level'
                where s.code = 'block-hamamachi'
            """)[0]
            falling = [(last - n * 2 * STEP, low + 1.2 + 0.3 * n / 6) for n in range(13)]
            analyst.send(level, falling[::-1])
        analyst.work()
    ((started, ended),) = [row[1:3] for row in findings(analyst) if row[0] == "burst"]
    assert isinstance(started, datetime) and begins <= started <= begins + timedelta(minutes=20) and ended is None
    told = "select (detail->>'tank_hours')::float, (detail->>'tank_at')::timestamptz from finding where kind = 'burst'"
    assert analyst.rows(told) == [(4.0, last - 2 * STEP)], "the newest level that the inflow's last reading knew"


@pytest.mark.parametrize(("burst", "seen"), [(0.0, 0), (20.0, 1)])
def test_a_pump_that_fills_a_tank_behind_the_inlet_is_no_burst(
    analyst: Analyst, flow: int, pressure: int, burst: float, seen: int
) -> None:
    """For a fortnight it runs in the evening; today it starts at nine, and the pressure falls."""
    tank, area, level = analyst.rows("""
        select t.station_id, t.area_m2, d.datastream_id from service_tank t
        join datastream d on d.station_id = t.station_id and d.observed_property = 'tank_level'
        order by t.station_id limit 1
    """)[0]
    analyst.execute(
        "insert into block_use (station_id, municipality_id, litres, known_m3h, fills, note, changed_at) "
        "select station_id, municipality_id, 1.7, 0, %s, '', now() from station where code = %s",
        tank,
        INLET,
    )
    analyst.execute("update datastream set step = '5 minutes' where datastream_id = %s", level)
    sent: dict[int, list[tuple[datetime, Value]]] = {flow: [], pressure: [], level: []}
    for day in range(1, 17):
        stored = 3.0 * area
        for n in range(70):
            at = FIRST + timedelta(days=day - 1, hours=5) + n * STEP
            today = day == 16 and n >= 48
            pumped = 60.0 if today else 0.0
            stored += (pumped - 20.0 - (burst if today else 0.0) - n % 3 * 0.2) / 12
            sent[flow].append((at, pumped))
            sent[pressure].append((at, 380.0 - 30.0 * today + n % 5 * 0.2))
            sent[level].append((at, round(stored / area, 2)))
    for datastream_id, readings_ in sent.items():
        analyst.send(datastream_id, readings_)
    analyst.work()
    found = [row for row in findings(analyst) if row[0] == "burst"]
    assert len(found) == seen and all(15 < row[3] - row[4] < 25 for row in found)


def test_two_consumers_of_one_name_make_one_finding(analyst: Analyst, flow: int) -> None:
    for day in range(1, 13):
        analyst.send(flow, night(day, 4.0 if day < 11 else 6.5))
    with connect(analyst.town.worker, name="one") as one, connect(analyst.town.worker, name="two") as two:
        Consumer(analyst.town.worker, NAME).drain(one, handle)
        Consumer(analyst.town.worker, NAME).drain(two, handle)
        # and one that starts anew under another name reads it all again
        Consumer(analyst.town.worker, "analytics again").drain(two, handle)
    assert len(findings(analyst)) == 1 and told(analyst) == 1


def test_what_analytics_finds_becomes_an_alert_and_its_end_clears_it(
    analyst: Analyst, flow: int, clock: FixedClock
) -> None:
    def evaluate() -> None:
        with connect(analyst.town.worker, name="alerts") as conn:
            Consumer(analyst.town.worker, ALERTS).drain(conn, Evaluator(clock).handle)

    for day in range(1, 13):
        analyst.send(flow, night(day, 4.0 if day < 11 else 6.5))
    analyst.work()
    evaluate()
    assert analyst.rows("select rule, value, cleared_at is null from alert") == [("night_flow", 6.5, True)]
    assert "漏水調査候補" in analyst.rows("select subject from outbox")[0][0]
    analyst.send(flow, night(13, 4.0))
    analyst.work()
    evaluate()
    assert analyst.rows("select event from alert_history order by alert_history_id") == [("raised",), ("cleared",)]
