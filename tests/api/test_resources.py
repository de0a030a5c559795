"""Stations, datastreams, latest and history as a program reads them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from api.access import Role
from api.database import enter_municipality
from api.pages.readings import stations_now
from api.readings import latest_of
from api.roles import PIPE_KEEPERS
from devices.model import Town
from store import connect, latest
from tests.api.serving import TownHall, assert_problem, minutes
from tests.conftest import START

LEVEL = "river-okusawa/water_level"
HISTORY = f"/api/v1/datastreams/{LEVEL}/observations"


def test_a_station_tells_its_place_its_series_and_the_thresholds_in_force(town_hall: TownHall, town: Town) -> None:
    (at,) = minutes(0)
    town_hall.observe(LEVEL, (at, 0.0))
    with connect(town_hall.database.owner, name="test") as conn:
        conn.execute(
            """
            insert into threshold_set (municipality_id, station_id, valid_from, reason, clear_margin, hold)
            select municipality_id, station_id, %s, 'not yet', 0, '1 min' from station where code = 'river-okusawa'
            """,
            (START + timedelta(days=1),),
        )
    with town_hall.visitor(Role.VIEWER) as client:
        station = client.get("/api/v1/stations/river-okusawa").json()
        everything = client.get("/api/v1/stations").json()
    assert station in everything
    assert {each["kind"] for each in everything} == {station.kind for station in town.stations}
    assert station["thresholds"]["reason"] != "not yet", "a set that is not in force yet is not told"
    levels = [level["level"] for level in station["thresholds"]["levels"]]
    assert levels == sorted(levels) and levels
    (series,) = station["datastreams"]
    assert (series["datastream"], series["unit"], series["statistic"]) == (LEVEL, "m", "instant")
    assert series["latest"] == {
        "phenomenon_time": "2026-06-01T00:00:00Z",
        "value": 0.0,
        "unit": "m",
        "quality": "good",
        "reason": None,
    }
    spots = [each for each in everything if each["kind"] == "visitor_spot"]
    assert all(spot["thresholds"] is None for spot in spots)


def test_the_map_is_the_towns_own_shapes_as_geojson(town_hall: TownHall) -> None:
    with town_hall.visitor(Role.WATER) as client:
        answer = client.get("/api/v1/map").json()
    assert answer["type"] == "FeatureCollection"
    layers: dict[str, list[Any]] = {}
    for shape in answer["features"]:
        layers.setdefault(shape["properties"]["layer"], []).append(shape)
    assert layers.keys() >= {"sea", "town", "coast", "block", "terrain-1", "terrain-5", "road-national", "pipe-main"}
    rivers = layers["river-river"]
    assert [river["properties"]["name"] for river in rivers] == ["美守川", "汐見川"]
    assert rivers[0]["geometry"]["type"] == "LineString"
    for layer in ("town", "block", "terrain-1"):
        for ring in layers[layer][0]["geometry"]["coordinates"]:
            assert ring[0] == ring[-1], "a ring is closed (RFC 7946)"
    # longitude first
    assert all(134 < x < 136 and 32 < y < 33 for x, y in layers["coast"][0]["geometry"]["coordinates"])
    assert {pipe["properties"]["detail"]["diameter_mm"] for pipe in layers["pipe-main"]} == {150}
    (inlet,) = [node for node in layers["node"] if node["properties"]["detail"]["code"] == "inlet"]
    assert inlet["geometry"]["type"] == "Point"


def test_where_pipes_lie_the_waterworks_and_the_digital_section_see_and_nobody_else(town_hall: TownHall) -> None:
    for role in Role:
        with town_hall.visitor(role) as client:
            kinds = {each["properties"]["kind"] for each in client.get("/api/v1/map").json()["features"]}
            page = client.get("/water", headers={"Accept": "text/html"}).text
        of_pipes = {"pipe", "node"} if role in PIPE_KEEPERS else set()
        assert kinds & {"pipe", "node"} == of_pipes and {"block", "coast"} <= kinds, role
        assert ("map-pipe" in page) is bool(of_pipes) and "map-block" in page, role


def test_missing_zero_and_never_are_three_different_answers(town_hall: TownHall) -> None:
    (at,) = minutes(0)
    town_hall.observe(LEVEL, (at, 0.0))
    town_hall.observe("river-takehara/water_level", (at, None))
    with town_hall.visitor(Role.VIEWER) as client:
        latest = {each["datastream"]: each["observation"] for each in client.get("/api/v1/latest").json()}
        listed = {each["datastream"]: each["latest"] for each in client.get("/api/v1/datastreams").json()}
        one = client.get(f"/api/v1/datastreams/{LEVEL}").json()
    assert latest == listed and one["latest"] == latest[LEVEL]
    assert latest[LEVEL]["value"] == 0.0 and latest[LEVEL]["quality"] == "good"
    missing = latest["river-takehara/water_level"]
    assert (missing["value"], missing["quality"], missing["reason"]) == (None, "missing", "sensor")
    assert latest["block-hamamachi/flow"] is None


def test_the_clock_is_the_towns(town_hall: TownHall) -> None:
    with town_hall.visitor(Role.VIEWER) as client:
        clock = client.get("/api/v1/clock").json()
    assert (clock["simulated"], clock["speed"], clock["timezone"]) == (True, 1.0, "Asia/Tokyo")
    assert START <= datetime.fromisoformat(clock["now"]) < START + timedelta(minutes=30)


def test_history_comes_in_order_with_both_ends_and_in_pages_that_lose_nothing(town_hall: TownHall) -> None:
    times = minutes(*range(0, 70, 10))
    town_hall.observe(LEVEL, *[(at, float(n)) for n, at in enumerate(times)])
    values: list[float] = []
    pages = 0
    with town_hall.visitor(Role.VIEWER) as client:
        address = f"{HISTORY}?from=2026-06-01T00:10:00Z&to=2026-06-01T10:00:00%2B09:00&limit=2"
        while address:
            page = client.get(address).json()
            values += [each["value"] for each in page["observations"]]
            pages += 1
            address = page["next"]
    assert values == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    assert pages == 3
    assert (page["from"], page["to"], page["step"]) == ("2026-06-01T00:10:00Z", "2026-06-01T01:00:00Z", "raw")


def test_history_without_a_range_is_the_last_day_of_town_time(town_hall: TownHall) -> None:
    town_hall.observe(LEVEL, *[(START - timedelta(hours=hours), float(hours)) for hours in (1, 23, 25)])
    with town_hall.visitor(Role.VIEWER) as client:
        page = client.get(HISTORY).json()
    assert [each["value"] for each in page["observations"]] == [23.0, 1.0]
    assert page["next"] is None


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("from=2026-06-01T09:00:00", "タイムゾーンがありません"),
        ("from=2026-06-01", "タイムゾーンがありません"),
        ("to=2026-06-01T09:00:00+09:00", "%2B"),
        ("from=yesterday", "読めません"),
        ("from=2026-06-31T00:00:00Z", "読めません"),
        ("from=0001-01-01T00:00:00%2B09:00", "読めません"),
        ("from=2026-06-02T00:00:00Z&to=2026-06-01T00:00:00Z", "より後"),
        ("from=2026-01-01T00:00:00Z&to=2026-06-01T00:00:00Z", "31 日まで"),
        ("step=hour&from=2020-01-01T00:00:00Z&to=2026-06-01T00:00:00Z", "366 日まで"),
        ("after=noon", "after"),
    ],
)
def test_a_range_that_cannot_be_meant_is_refused_with_what_to_write(town_hall: TownHall, query: str, says: str) -> None:
    with town_hall.visitor(Role.VIEWER) as client:
        body = assert_problem(client.get(f"{HISTORY}?{query}"), 400, "bad_request")
    assert says in body["detail"] and body["action"]


@pytest.mark.parametrize("query", ["step=minute", "limit=0", "limit=10001", "limit=many"])
def test_a_step_or_limit_that_does_not_exist_is_refused(town_hall: TownHall, query: str) -> None:
    with town_hall.visitor(Role.VIEWER) as client:
        body = assert_problem(client.get(f"{HISTORY}?{query}"), 422, "invalid")
    assert body["errors"][0]["where"] == f"query.{query.split('=')[0]}"


def test_hours_and_local_days_carry_how_complete_they_are(town_hall: TownHall) -> None:
    datastream_id = town_hall.database.datastream(*LEVEL.split("/"))
    with connect(town_hall.database.owner, name="test") as conn:
        for hour in range(3):
            conn.execute(
                "insert into rollup_hour values (%s, %s, %s, 5, 6, 1, 2, 1.5, null, 'doubtful')",
                (town_hall.database.municipality_id, datastream_id, START + timedelta(hours=hour)),
            )
        for day in ("2026-05-31", "2026-06-01", "2026-06-02"):
            conn.execute(
                "insert into rollup_day values (%s, %s, %s, 0, 144, null, null, null, null, 'missing')",
                (town_hall.database.municipality_id, datastream_id, day),
            )
    # local days of Asia/Tokyo begin at 15:00 UTC of the day before
    span = "from=2026-05-31T15:00:00Z&to=2026-06-01T15:00:00Z"
    with town_hall.visitor(Role.VIEWER) as client:
        hours = client.get(f"{HISTORY}?step=hour&limit=2&{span[:-20]}2026-06-01T02:00:00Z").json()
        rest = client.get(hours["next"]).json()
        days = client.get(f"{HISTORY}?step=day&{span}").json()
        first = client.get(f"{HISTORY}?step=day&limit=1&{span}").json()
        second = client.get(first["next"]).json()
    assert hours["buckets"][0] == {
        "start": "2026-06-01T00:00:00Z",
        "day": None,
        "n": 5,
        "expected": 6.0,
        "minimum": 1.0,
        "maximum": 2.0,
        "mean": 1.5,
        "total": None,
        "worst_quality": "doubtful",
        "reliability": "doubtful",  # one of six is missing
    }
    assert [each["start"] for each in hours["buckets"] + rest["buckets"]] == [
        f"2026-06-01T0{hour}:00:00Z" for hour in range(3)
    ]
    assert rest["next"] is None
    assert [(each["day"], each["start"]) for each in days["buckets"]] == [
        ("2026-06-01", "2026-05-31T15:00:00Z"),
        ("2026-06-02", "2026-06-01T15:00:00Z"),
    ]
    assert days["buckets"] == first["buckets"] + second["buckets"] and second["next"] is None
    assert days["buckets"][0]["maximum"] is None and days["buckets"][0]["n"] == 0


def test_series_of_drills_are_not_among_the_real_ones(town_hall: TownHall) -> None:
    with connect(town_hall.database.owner, name="test") as conn:
        conn.execute(
            """
            insert into datastream (municipality_id, station_id, observed_property, unit, statistic, step, drill_run)
            select municipality_id, station_id, 'water_level', 'm', 'instant', '10 min', 'drill-1'
            from station where code = 'river-okusawa'
            """
        )
    with town_hall.visitor(Role.VIEWER) as client:
        names = [each["datastream"] for each in client.get("/api/v1/latest").json()]
        assert client.get(f"/api/v1/datastreams/{LEVEL}").status_code == 200
    assert len(names) == len(set(names))


def test_the_description_of_the_api_names_every_route_of_it(town_hall: TownHall) -> None:
    with town_hall.visitor(Role.VIEWER) as client:
        description = client.get("/api/v1/openapi.json").json()
    assert {"/api/v1/latest", "/api/v1/alerts/{alert_id}/clear", "/healthz"} <= description["paths"].keys()
    assert not any(path.startswith(("/static", "/water")) for path in description["paths"])


def test_every_answer_carries_the_headers_that_keep_it_where_it_belongs(town_hall: TownHall) -> None:
    with town_hall.visitor(Role.VIEWER) as client:
        for path in ("/api/v1/latest", "/healthz", "/sign-in", "/nowhere", "/water"):
            headers = client.get(path).headers
            policy = headers["content-security-policy"]
            assert "default-src 'self'" in policy and "frame-ancestors 'none'" in policy
            assert "script-src 'self';" in policy, "no inline script"
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["referrer-policy"] == "same-origin"
            assert headers["cache-control"] == "no-store"
            assert "server" not in headers


def test_no_redirect_repeats_the_host_a_visitor_claims(town_hall: TownHall) -> None:
    with town_hall.visitor(Role.VIEWER) as client:
        for path in ("/water/", "/api/v1/stations/", "/"):
            response = client.get(path, headers={"Host": "evil.example"})
            assert "evil.example" not in str(response.headers)


def test_what_everything_says_now_is_told_without_a_look_at_the_history(town_hall: TownHall, town: Town) -> None:
    with connect(town_hall.database.owner, name="test", autocommit=True) as conn:
        conn.execute(
            """
            insert into observation (datastream_id, phenomenon_time, value, quality)
            select datastream_id, t, 1, 'good' from datastream,
                   generate_series(%s - interval '60 days', %s, interval '10 minutes') as t
            where municipality_id = %s
            """,
            (START, START, town_hall.database.municipality_id),
        )
        latest.recompute(conn)
        conn.execute("vacuum analyze observation")
        rows = conn.execute("select count(*) from observation").fetchone()
        assert rows is not None and rows[0] > 100_000
        # Nothing of what is asked now may look into it: whoever does is refused.
        conn.execute("revoke select on tenant_observation from mimamori_api")
    with connect(town_hall.database.api, name="test") as conn:
        enter_municipality(conn, town_hall.database.municipality_id)
        assert {each.phenomenon_time for each in latest_of(conn)} == {START}
        for kind in {station.kind for station in town.stations}:
            found = [now for each in stations_now(conn, kind, START) for now in each.readings.values()]
            assert {(now.time, now.first) for now in found} == {(START, START - timedelta(days=60))}
    with town_hall.visitor(Role.VIEWER) as client:
        times = {each["observation"]["phenomenon_time"] for each in client.get("/api/v1/latest").json()}
    assert times == {"2026-06-01T00:00:00Z"}
