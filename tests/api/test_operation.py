"""Health, metrics, starting and stopping."""

from __future__ import annotations

import secrets
import socket
from datetime import datetime, timedelta

import httpx
import pytest

from api.access import Role
from api.config import ApiConfig
from devices.clock import ClockSetting, real_now
from store import connect
from store.backup_runs import record
from store.town_clock import write_clock
from tests.api.serving import TownHall, assert_problem, minutes, populate, serving
from tests.conftest import START, Registered

LEVEL = "river-okusawa/water_level"


def health(town_hall: TownHall) -> tuple[int, dict[str, dict[str, str]]]:
    response = httpx.get(f"{town_hall.url}/healthz", trust_env=False)
    body = response.json()
    assert (response.status_code, body["state"]) in ((200, "ok"), (503, "failing"))
    return response.status_code, body["parts"]


def beat(town_hall: TownHall, *, ago: timedelta, listening: bool = True) -> None:
    """A sign of life of an ingest worker, so long ago in town time."""
    with connect(town_hall.database.owner, name="test") as conn:
        now = START + (real_now() - _real_start(town_hall)) * _speed(town_hall)
        conn.execute(
            "insert into ingest_worker values ('w1', %s, %s, %s) on conflict (worker_id) do update "
            "set heartbeat_at = excluded.heartbeat_at, listening_since = excluded.listening_since",
            (town_hall.database.municipality_id, now - ago, START if listening else None),
        )


def _real_start(town_hall: TownHall) -> datetime:
    with connect(town_hall.database.owner, name="test") as conn:
        row = conn.execute("select real_start from town_clock").fetchone()
    assert row is not None and isinstance(row[0], datetime)
    return row[0]


def _speed(town_hall: TownHall) -> float:
    with connect(town_hall.database.owner, name="test") as conn:
        row = conn.execute("select speed from town_clock").fetchone()
    assert row is not None
    return float(row[0])


def remove_the_other_town(database: Registered) -> None:
    with connect(database.owner, name="test") as conn:
        for table in ("user_session", "app_user", "datastream_latest", "datastream", "station", "municipality"):
            conn.execute(f"delete from {table} where municipality_id <> %s", (database.municipality_id,))


def test_health_is_open_and_says_which_part_is_how(town_hall: TownHall) -> None:
    status, parts = health(town_hall)
    assert status == 200
    assert parts["database"]["state"] == "ok" and parts["stream"]["state"] == "ok"
    assert parts["clock"] == {"state": "ok", "detail": "simulated"}
    assert parts["ingest"]["state"] == "waiting", "never started is not the same as lost"


def test_health_fails_when_ingest_or_the_broker_is_lost(registered: Registered) -> None:
    populate(registered)
    remove_the_other_town(registered)
    with serving(registered) as town_hall:
        beat(town_hall, ago=timedelta(0))
        assert health(town_hall)[1]["ingest"] == {"state": "ok", "detail": ""}
        beat(town_hall, ago=timedelta(0), listening=False)
        status, parts = health(town_hall)
        assert status == 503 and "broker" in parts["ingest"]["detail"]
        beat(town_hall, ago=timedelta(minutes=3))
        status, parts = health(town_hall)
        assert status == 503 and "sign of life" in parts["ingest"]["detail"]


def test_patience_with_a_worker_is_in_real_time_also_on_a_fast_clock(registered: Registered) -> None:
    populate(registered)
    remove_the_other_town(registered)
    with connect(registered.owner, name="test") as conn:
        write_clock(conn, ClockSetting(simulated=True, real_start=real_now(), town_start=START, speed=1200.0))
    with serving(registered) as town_hall:
        beat(town_hall, ago=timedelta(minutes=20))  # a second of real time
        assert health(town_hall)[1]["ingest"]["state"] == "ok"


def test_health_fails_when_a_consumer_is_far_behind(registered: Registered) -> None:
    populate(registered)
    (at,) = minutes(0)
    with serving(registered, feed_lag_limit=1) as town_hall:
        with connect(registered.owner, name="test") as conn:
            conn.execute("insert into feed_cursor values ('alerts', 0)")
        town_hall.observe(LEVEL, (at, 1.0))
        assert health(town_hall)[1]["consumers"]["state"] == "ok"
        town_hall.observe(LEVEL, (at + timedelta(minutes=10), 1.0))
        status, parts = health(town_hall)
    assert status == 503 and "alerts" in parts["consumers"]["detail"]


def test_health_says_nothing_about_the_town_or_the_server(town_hall: TownHall) -> None:
    text = httpx.get(f"{town_hall.url}/healthz", trust_env=False).text
    assert all(secret not in text for secret in ("postgresql", "127.0.0.1", "美守", "999999", "river"))


def sample(text: str, name: str, **labels: str) -> float:
    """The value of one sample of a Prometheus text."""
    for line in text.splitlines():
        if line.startswith((f"{name}{{", f"{name} ")):
            head, _, value = line.rpartition(" ")
            if all(f'{key}="{wanted}"' in head for key, wanted in labels.items()):
                return float(value)
    raise AssertionError(f"no sample {name} {labels} in:\n{text}")


def test_metrics_count_messages_alerts_lag_and_requests(town_hall: TownHall) -> None:
    first, second = minutes(0, 10)
    town_hall.observe(LEVEL, (first, 1.0), (second, 1.1))
    town_hall.raise_alert(LEVEL)
    with connect(town_hall.database.owner, name="test") as conn:
        conn.execute("update delivery_count set delivered = delivered + 5, duplicate = 3")
        conn.execute(
            """
            with run as (
                insert into frame_run (municipality_id, device_id, session, first_counter, last_counter, received,
                                       first_sent, last_sent)
                select municipality_id, device_id, 'a', 1, 9, 2, hour, hour from delivery_count returning *
            )
            insert into frame_gap (frame_run_id, municipality_id, device_id, from_counter, to_counter, noticed_at)
            select frame_run_id, municipality_id, device_id, 2, 8, last_sent from run
            """
        )
        conn.execute("insert into feed_cursor values ('analytics', 0)")
        record(conn, "backup", real_now() - timedelta(hours=1), real_now() - timedelta(hours=1))
        record(conn, "backup", real_now(), real_now(), problem="the disk is full")
        conn.execute(
            """
            insert into outbox (municipality_id, alert_history_id, channel, recipient, subject, body, next_attempt_at)
            select municipality_id, alert_history_id, 'mail', 'x', 'x', 'x', %s from alert_history
            """,
            (real_now() - timedelta(minutes=5),),
        )
    with town_hall.visitor(Role.DIGITAL) as client:
        client.get("/api/v1/stations/none")
        response = client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain")
    text = response.text
    town = "999999"
    assert sample(text, "mimamori_uplinks_24h", municipality=town, outcome="accepted") == 1
    assert sample(text, "mimamori_uplinks_24h", municipality=town, outcome="duplicate") == 3
    assert sample(text, "mimamori_uplinks_24h", municipality=town, outcome="quarantined") == 0
    assert sample(text, "mimamori_values_24h", municipality=town, fate="stored") == 2
    assert sample(text, "mimamori_frames_missing_24h", municipality=town) == 7
    device = next(iter(town_hall.database.directory.devices))
    assert sample(text, "mimamori_device_frames_missing_24h", municipality=town, device=device) == 7
    assert sample(text, "mimamori_counts_open_24h", municipality=town) == 2, (
        "delivered, and nobody says what became of it"
    )
    assert sample(text, "mimamori_observations_24h", municipality=town) == 2
    assert sample(text, "mimamori_alerts_open", municipality=town, rule="level", acknowledged="false") == 1
    assert sample(text, "mimamori_outbox_waiting", municipality=town) == 1
    assert 300 <= sample(text, "mimamori_outbox_oldest_seconds", municipality=town) < 600
    assert sample(text, "mimamori_feed_lag", consumer="analytics") == 2
    assert sample(text, "mimamori_backup_failed", kind="backup") == 1
    assert 3600 <= sample(text, "mimamori_backup_age_seconds", kind="backup") < 3900
    assert sample(text, "mimamori_backup_failed", kind="drill") == 0
    assert 'mimamori_backup_age_seconds{kind="drill"}' not in text, "never is not the same as long ago"
    route = "/api/v1/stations/{code}"
    assert sample(text, "mimamori_http_requests_total", method="GET", route=route, status="404") == 1
    assert sample(text, "mimamori_http_request_seconds_count", route=route) == 1
    assert "river-okusawa" not in text and "stations/none" not in text


def test_metrics_open_to_the_token_and_to_the_own_town_only(registered: Registered) -> None:
    populate(registered)
    token = secrets.token_urlsafe(24)
    with serving(registered, metrics_token=token) as town_hall:
        with town_hall.visitor(None) as client:
            collected = client.get("/metrics", headers={"Authorization": f"Bearer {token}"})
            wrong = client.get("/metrics", headers={"Authorization": f"Bearer {token}x"})
            elsewhere = client.get("/api/v1/stations", headers={"Authorization": f"Bearer {token}"})
        with town_hall.visitor(Role.DIGITAL) as client:
            own = client.get("/metrics").text
    assert 'municipality="888888"' in collected.text and 'municipality="999999"' in collected.text
    assert_problem(wrong, 401, "not_signed_in")
    assert_problem(elsewhere, 401, "not_signed_in")
    assert 'municipality="888888"' not in own and 'municipality="999999"' in own


def test_without_a_configured_token_none_opens_metrics(town_hall: TownHall) -> None:
    for header in ("Bearer None", "Bearer", "Bearer x"):
        response = httpx.get(f"{town_hall.url}/metrics", headers={"Authorization": header}, trust_env=False)
        assert_problem(response, 401, "not_signed_in")


@pytest.mark.parametrize("wrong", [{"session_hours": 0}, {"pool_size": 0}, {"metrics_token": "short"}])
def test_a_configuration_that_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ApiConfig(dsn="", **wrong)  # type: ignore[arg-type]


def test_the_server_takes_a_socket_that_somebody_else_bound(registered: Registered) -> None:
    populate(registered)
    with socket.create_server(("127.0.0.1", 0)) as bound, serving(registered, sockets=[bound]) as town_hall:
        assert town_hall.url.endswith(f":{bound.getsockname()[1]}")
        assert httpx.get(f"{town_hall.url}/sign-in", trust_env=False).status_code == 200
