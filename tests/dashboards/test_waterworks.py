"""What the water page says: how long a tank would last, what is usual at night, what is suspected and how sure."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from analytics.findings import Finding, announce, end, open_or_update
from api.access import Role
from api.database import enter_municipality
from api.pages.readings import Point
from api.pages.tanks import Direction, outlook
from api.pages.water import Water, water
from devices.model import Quality, ServiceTank
from store import connect, latest
from tests.api.serving import populate, serving
from tests.conftest import START, Registered

ZONE = ZoneInfo("Asia/Tokyo")
NOW = datetime(2026, 6, 20, 0, 32, tzinfo=UTC)  # 09:32 in the town
SIZE = ServiceTank(area_m2=90, full_m=4.0, low_m=1.0)


def levels(per_hour: float, newest: float = 3.0) -> list[Point]:
    times = [NOW - timedelta(minutes=10 * n) for n in range(7)][::-1]
    return [Point(at, newest + per_hour * (at - NOW) / timedelta(hours=1), Quality.GOOD) for at in times]


def test_a_falling_tank_lasts_for_what_is_above_its_low_level() -> None:
    falling = outlook(3.0, levels(-0.25), SIZE, outflow=40.0)
    assert falling.direction is Direction.FALLING
    assert falling.hours == pytest.approx(8.0) and falling.inflow == pytest.approx(40.0 - 0.25 * 90)
    assert outlook(0.9, levels(-0.25, 0.9), SIZE, 40.0).hours == 0.0


def test_a_tank_that_fills_or_stands_has_no_hours_left() -> None:
    filling = outlook(3.0, levels(0.2), SIZE, 20.0)
    assert (filling.direction, filling.hours) == (Direction.FILLING, None)
    assert filling.inflow == pytest.approx(20.0 + 18.0)
    assert (outlook(3.0, levels(0.0), SIZE, 20.0).direction) is Direction.STEADY


def test_what_is_not_known_stays_unknown() -> None:
    assert outlook(3.0, levels(-0.2)[-2:], SIZE, 20.0).direction is Direction.UNKNOWN
    assert outlook(3.0, levels(-0.2), SIZE, None).inflow is None
    without = outlook(3.0, levels(-0.2), None, 20.0)
    assert (without.direction, without.hours, without.inflow) == (Direction.FALLING, None, None)


def observe(registered: Registered, station: str, observed_property: str, points: list[tuple[datetime, float]]) -> None:
    datastream_id = registered.datastream(station, observed_property)
    with connect(registered.owner, name="test") as conn:
        conn.cursor().executemany(
            "insert into observation (datastream_id, phenomenon_time, value, quality) values (%s, %s, %s, 'good')",
            [(datastream_id, at, value) for at, value in points],
        )
        latest.recompute(conn)


def nights(registered: Registered, *minima: float | None) -> None:
    """The last ones, the newest of them this morning's."""
    with connect(registered.owner, name="test") as conn:
        for back, minimum in enumerate(reversed(minima)):
            conn.execute(
                "insert into night_flow (municipality_id, datastream_id, day, minimum, minimum_from, completeness) "
                "values (%s, %s, %s, %s, %s, %s)",
                (
                    registered.municipality_id,
                    registered.datastream("block-hamamachi", "flow"),
                    (NOW - timedelta(days=back)).date(),
                    minimum,
                    None if minimum is None else NOW - timedelta(days=back, hours=6),
                    0.4 if minimum is None else 1.0,
                ),
            )


def model(registered: Registered) -> Water:
    with connect(registered.api, name="test") as conn:
        enter_municipality(conn, registered.municipality_id)
        return water(conn, NOW, ZONE)


def test_the_tank_knows_the_blocks_it_feeds(registered: Registered) -> None:
    observe(registered, "tank-takadai", "tank_level", [(p.time, p.value or 0) for p in levels(-0.3)])
    observe(registered, "block-hamamachi", "flow", [(NOW, 36.0)])
    (tank,) = model(registered).tanks
    assert tank.size == SIZE and tank.volume == pytest.approx(180.0)
    assert tank.outlook.outflow == 36.0 and tank.outlook.inflow == pytest.approx(9.0)
    assert tank.outlook.hours == pytest.approx(2.0 / 0.3)


def test_a_silent_tank_has_no_volume_and_no_hours(registered: Registered) -> None:
    old = [(p.time - timedelta(hours=3), p.value or 0) for p in levels(-0.3)]
    observe(registered, "tank-takadai", "tank_level", old)
    (tank,) = model(registered).tanks
    assert (tank.volume, tank.outlook.direction, tank.outlook.hours) == (None, Direction.UNKNOWN, None)


def test_the_last_night_stands_beside_the_usual_one(registered: Registered) -> None:
    observe(registered, "block-hamamachi", "flow", [(NOW - timedelta(days=30), 20.0), (NOW, 20.0)])
    nights(registered, *[4.0] * 10, None, 6.5)
    (block,) = model(registered).blocks
    assert block.usual is not None and (block.usual.median, block.usual.limit, block.usual.nights) == (4.0, 4.5, 10)
    assert block.excess == pytest.approx(2.5) and block.month == pytest.approx(1800.0)
    assert block.suspects == (), "one night is no suspect"


def test_too_few_nights_are_no_comparison(registered: Registered) -> None:
    observe(registered, "block-hamamachi", "flow", [(NOW - timedelta(days=30), 20.0), (NOW, 20.0)])
    nights(registered, *[4.0] * 5)
    (block,) = model(registered).blocks
    assert block.usual is None and block.excess is None and block.month is None


def test_a_suspect_has_its_size_its_reason_and_the_pipes_to_search(registered: Registered) -> None:
    flow = registered.datastream("block-hamamachi", "flow")
    station = registered.directory.datastreams[flow].station_id
    burst = Finding(
        registered.municipality_id,
        station,
        flow,
        "burst",
        NOW - timedelta(hours=1),
        42.0,
        25.0,
        2.1,
        "burst:1",
        {"witness": "pressure", "fall": 31.0, "month_m3": 12240},
    )
    with connect(registered.worker, name="test") as conn:
        announce(conn, open_or_update(conn, burst))
    (block,) = model(registered).blocks
    (suspect,) = block.open
    assert (suspect.kind, suspect.excess, suspect.pipe_km) == ("burst", 17.0, 12.407)
    with connect(registered.worker, name="test") as conn:
        announce(conn, end(conn, station, "burst", NOW - timedelta(minutes=5)))
    (block,) = model(registered).blocks
    assert block.open == () and len(block.suspects) == 1


def test_an_hour_with_gaps_says_how_far_it_can_be_trusted(registered: Registered) -> None:
    populate(registered)
    # the town's midnight to its present, 09:00; of 00–01 one of twelve is missing, of 01–02 two, of 02–03 five
    gone = {-535, -475, -470, *range(-415, -390, 5)}
    kept = [START + timedelta(minutes=m) for m in range(-540, 0, 5) if m not in gone]
    with serving(registered) as hall, hall.visitor(Role.WATER) as client:
        hall.observe("block-hamamachi/flow", *[(at, 20.0) for at in kept])
        text = " ".join(re.sub(r"<[^>]*>", "", client.get("/water").text).split())
    said = re.findall("一部欠測 (\\S+ \\S [^0-9]*)", text)
    assert said == ["7/12 ○ 欠測扱い", "10/12 ◐ 参考", "11/12 ● 信頼できる"], said
    assert text.count("● 信頼できる：欠測が15%未満") == 1, "the legend stands at the block that needs it"
