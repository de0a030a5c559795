"""What the pages say follows from what is stored: hours and days, states, curves, the map."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from api.database import enter_municipality
from api.pages.assets import ROOM
from api.pages.chart import line_chart
from api.pages.days import day_start, hours_of
from api.pages.formats import age, clock_time, number, signed
from api.pages.readings import Point, State, stations_now
from api.pages.town_map import WIDTH, Place, draw
from api.pages.words import load_words
from api.roles import Role
from devices.basemap import KINDS
from devices.model import Quality, StationKind, Town
from store import connect, latest
from tests.conftest import Registered

ZONE = ZoneInfo("Asia/Tokyo")
NOW = datetime(2026, 6, 1, 0, 32, tzinfo=UTC)  # 09:32 in the town
STEP = timedelta(minutes=10)


def point(time: datetime, value: float | None, quality: Quality = Quality.GOOD) -> Point:
    return Point(time, value, Quality.MISSING if value is None else quality)


def at(hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 6, 1, hour, minute, tzinfo=ZONE).astimezone(UTC)


def test_a_count_that_ends_at_ten_sharp_is_of_nine_oclock_and_a_flow_at_ten_is_of_ten() -> None:
    now, day = at(10, 30), date(2026, 6, 1)
    counted = hours_of([point(at(10), 7.0)], STEP, day, now, ZONE, total=True, first=at(0))
    assert [(hour.start.astimezone(ZONE).hour, hour.total) for hour in counted[:2]] == [(10, None), (9, 7.0)]
    flows = hours_of([point(at(10), 7.0)], STEP, day, now, ZONE, total=False, first=at(0))
    assert [(hour.start.astimezone(ZONE).hour, hour.mean) for hour in flows[:2]] == [(10, 7.0), (9, None)]


def test_an_hour_without_counts_has_no_total_and_an_hour_of_zeros_has_the_total_zero() -> None:
    zeros = [point(at(8, 10 * n), 0.0) for n in range(1, 6)] + [point(at(9), 0.0)]
    broken = [point(at(9, 10), None), point(at(9, 20), 99.0, Quality.BAD)]
    hours = hours_of([*zeros, *broken], STEP, date(2026, 6, 1), at(9, 32), ZONE, total=True, first=at(0))
    assert (hours[0].n, hours[0].total, hours[0].running, hours[0].expected) == (0, None, True, 3)
    assert (hours[1].n, hours[1].total, hours[1].partial) == (6, 0.0, False)
    assert len(hours) == 10


def test_hours_before_the_first_observation_are_not_missing() -> None:
    day = date(2026, 6, 1)
    hours = hours_of([point(at(7), 1.0)], STEP, day, at(9, 32), ZONE, total=True, first=at(7))
    assert [hour.start.astimezone(ZONE).hour for hour in hours] == [9, 8, 7, 6]
    hours = hours_of([point(at(7), 1.0)], STEP, day, at(9, 32), ZONE, total=False, first=at(7))
    assert [hour.start.astimezone(ZONE).hour for hour in hours] == [9, 8, 7]
    assert hours_of([], STEP, day, at(9, 32), ZONE, total=True, first=None) == ()


def test_a_day_on_which_the_clocks_change_has_its_real_hours() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    spring, next_day = date(2026, 3, 29), day_start(date(2026, 3, 30), berlin)
    assert next_day - day_start(spring, berlin) == timedelta(hours=23)
    assert len(hours_of([], STEP, spring, next_day, berlin, total=True, first=day_start(spring, berlin))) == 23


def test_a_curve_breaks_where_data_are_missing_and_its_scale_holds_every_threshold() -> None:
    start = at(0)
    points = [point(start + STEP * n, 1.0 + 0.01 * n) for n in range(20) if not 8 <= n < 12]
    points.insert(3, point(start + STEP * 2.5, None))
    chart = line_chart(points, start, at(6), STEP, ZONE, [(2, 2.6), (5, 4.4)])
    assert len(chart.paths) == 3 and not chart.dots
    assert all(chart.top <= line.y <= chart.bottom for line in chart.lines)
    assert [tick.label for tick in chart.x_ticks] == [f"{hour:02}:00" for hour in range(1, 7)]
    empty = line_chart([], start, at(6), STEP, ZONE)
    assert empty.paths == () and empty.end is None


def test_the_numbers_behind_a_curve_are_the_tables_and_gaps_are_marked() -> None:
    start = at(0)
    points = [point(start + STEP * n, 1.0 + 0.0625 * n) for n in range(10) if n not in (4, 5, 6)]
    data = line_chart(points, start, at(6), STEP, ZONE, [(2, 2.6)]).data(2)
    values = [value for _, value in data["points"]]
    assert values == [1.0, 1.06, 1.12, 1.19, None, 1.44, 1.5, 1.56]
    assert [f"{value:.2f}" for value in values if value is not None] == [number(p.value or 0, "m") for p in points]
    times = [time for time, _ in data["points"]]
    assert times == sorted(times) and data["start"] == start.timestamp() and data["levels"] == [(2, 2.6)]
    assert (data["start"], data["end"]) == (start.timestamp(), at(6).timestamp())


def test_readings_by_people_are_marks_beside_the_curve_and_do_not_stretch_its_scale() -> None:
    start = at(0)
    points = [point(start + STEP * n, 1.0 + 0.0625 * n) for n in range(10)]
    plain = line_chart(points, start, at(6), STEP, ZONE, [(2, 2.6)])
    read = [(at(1), 2.0), (at(2), 99.0), (at(7), 1.5)]
    chart = line_chart(points, start, at(6), STEP, ZONE, [(2, 2.6)], reported=read)
    assert (chart.paths, chart.dots, chart.y_values) == (plain.paths, plain.dots, plain.y_values)
    ((x, y),) = chart.reported
    assert chart.left < x < chart.right and chart.top < y < chart.bottom
    assert chart.data(2)["reported"] == [(at(1).timestamp(), 2.0)] and plain.data(2)["reported"] == []
    assert chart.data(2)["points"] == plain.data(2)["points"]


def test_the_lines_of_a_scale_say_what_they_are() -> None:
    start = at(0)
    chart = line_chart([point(start, 13.0), point(start + STEP, 22.0)], start, at(6), STEP, ZONE)
    assert [tick.label for tick in chart.y_ticks] == ["12.5", "15.0", "17.5", "20.0", "22.5"]
    assert [label for _, label in chart.data(1)["ticks"]] == [tick.label for tick in chart.y_ticks]


def test_numbers_keep_zero_apart_and_carry_their_sign() -> None:
    assert number(0.0, "m") == "0.00" and number(-0.001, "m") == "0.00" and number(-0.25, "m") == "-0.25"
    assert number(1234.0, "{passage}") == "1,234" and number(12.34, "m3/h") == "12.3"
    assert signed(0.2, "m") == "+0.20" and signed(-0.2, "m") == "−0.20" and signed(0.001, "m") == "±0.00"


def test_times_carry_the_date_where_it_is_not_today_and_ages_their_largest_unit() -> None:
    words = load_words(ROOM / "locales")["ja"]
    assert clock_time(at(9, 30), NOW, ZONE) == "09:30"
    assert clock_time(at(9, 30) - timedelta(days=1), NOW, ZONE) == "5/31 09:30"
    ages = [age(NOW - timedelta(seconds=s), NOW, words) for s in (0, 59, 60, 3599, 3600, 86399, 86400)]
    assert ages == ["1分以内", "1分以内", "1分前", "59分前", "1時間前", "23時間前", "1日前"]


@pytest.mark.parametrize(
    ("silence", "minutes", "value", "state"),
    [
        ("40 min", 10, 1.5, State.FRESH),
        ("40 min", 10, 0.0, State.FRESH),
        ("40 min", 30, 1.5, State.LATE),
        ("40 min", 41, 1.5, State.SILENT),
        ("40 min", 10, None, State.MISSING),
        ("40 min", 41, None, State.SILENT),
        ("25 hours", 300, 1.5, State.STANDBY),
        ("25 hours", 26 * 60, 1.5, State.SILENT),
        ("40 min", None, None, State.NEVER),
    ],
)
def test_what_a_station_says_is_one_of_six_things(
    registered: Registered, silence: str, minutes: int | None, value: float | None, state: State
) -> None:
    datastream_id = registered.datastream("river-okusawa", "water_level")
    with connect(registered.owner, name="test") as conn:
        conn.execute("update device set silence_after = %s::interval", (silence,))
        if minutes is not None:
            conn.execute(
                """
                insert into observation (datastream_id, phenomenon_time, value, quality)
                values (%s, %s, 0.9, 'good'), (%s, %s, %s, %s)
                """,
                (
                    datastream_id,
                    NOW - timedelta(days=3),
                    datastream_id,
                    NOW - timedelta(minutes=minutes),
                    value,
                    "missing" if value is None else "good",
                ),
            )
        latest.recompute(conn)
    with connect(registered.api, name="test") as conn:
        enter_municipality(conn, registered.municipality_id)
        gauge = next(s for s in stations_now(conn, StationKind.RIVER_GAUGE, NOW) if s.code == "river-okusawa")
    now = gauge.readings["water_level"]
    assert now.state is state
    assert now.current is (state in (State.FRESH, State.LATE, State.STANDBY))
    if minutes is not None and value is None:
        # the last measured value is kept, with its own time
        assert (now.value, now.time) == (0.9, NOW - timedelta(days=3))
        assert now.missing_at == NOW - timedelta(minutes=minutes)


def test_the_map_holds_every_station_with_north_up(registered: Registered, town: Town) -> None:
    words = load_words(ROOM / "locales")["ja"]
    with connect(registered.api, name="test") as conn:
        enter_municipality(conn, registered.municipality_id)
        places = [
            Place(s.code, s.name, s.latitude, s.longitude)
            for kind in StationKind
            for s in stations_now(conn, kind, NOW)
        ]
        drawn = draw(conn, registered.municipality_id, words, places, reader=Role.WATER)
    assert len(drawn.markers) == len(places) == len(town.stations)
    for marker in drawn.markers.values():
        assert 0 < marker.x < WIDTH and 0 < marker.y < drawn.height
    assert {layer.kind for layer in drawn.layers} == set(KINDS) - {"catchment", "block", "pipe", "node"}
    north = max(places, key=lambda place: place.latitude)
    assert drawn.markers[north.code].y == min(marker.y for marker in drawn.markers.values())
