"""Signing in and out: what the cookie is, what the database holds, and what guessing costs."""

from __future__ import annotations

import hashlib
from datetime import timedelta

import httpx
import psycopg
import pytest

from api.access import Role
from api.accounts import DEMO_ACCOUNTS, DEMO_PASSWORD, AccountError, create_demo_users, create_user
from api.auth import COOKIE, local_path
from api.config import ApiConfig
from api.passwords import hash_password, verify_password
from api.throttle import Throttle
from devices.clock import ClockSetting, real_now
from store import connect
from store.town_clock import write_clock
from tests.api.serving import PASSWORD, TownHall, assert_problem
from tests.conftest import Registered


def test_signing_in_gives_a_session_that_reads_and_a_token_that_writes(town_hall: TownHall) -> None:
    with town_hall.visitor(None) as client:
        assert_problem(client.get("/api/v1/session"), 401, "not_signed_in")
        response = client.post("/api/v1/session", json={"login": "Ｏｗｎ-Disaster ", "password": PASSWORD})
        assert response.status_code == 201
        told = response.json()
        assert (told["login"], told["role"], told["municipality_name"]) == ("own-disaster", "disaster", "美守町")
        assert client.get("/api/v1/session").json() == told
        assert_problem(client.delete("/api/v1/session"), 403, "cross_site")
        out = client.delete("/api/v1/session", headers={"X-CSRF-Token": told["csrf_token"]})
        assert out.status_code == 204
        assert COOKIE not in client.cookies
        assert_problem(client.get("/api/v1/session"), 401, "not_signed_in")


def test_a_session_that_was_ended_is_dead_on_the_server_too(town_hall: TownHall) -> None:
    with town_hall.visitor(Role.WATER) as client:
        stolen = dict(client.cookies)
        assert client.delete("/api/v1/session").status_code == 204
    with httpx.Client(base_url=town_hall.url, cookies=stolen, trust_env=False) as thief:
        assert_problem(thief.get("/api/v1/session"), 401, "not_signed_in")


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(town_hall: TownHall) -> None:
    with town_hall.visitor(None) as client:
        header = client.post("/api/v1/session", json={"login": "own-water", "password": PASSWORD}).headers["set-cookie"]
    attributes = {part.strip().lower() for part in header.split(";")[1:]}
    assert {"httponly", "samesite=lax", "path=/"} <= attributes
    assert not any(part.startswith("domain") for part in attributes)


def test_the_cookie_travels_encrypted_only_unless_told_otherwise() -> None:
    assert ApiConfig(dsn="").secure_cookies is True


def test_the_database_holds_no_token(town_hall: TownHall) -> None:
    with town_hall.visitor(None) as client:
        client.post("/api/v1/session", json={"login": "own-water", "password": PASSWORD})
        token = client.cookies[COOKIE]
    with psycopg.connect(town_hall.database.owner) as conn:
        rows = conn.execute("select token_hash, user_session::text from user_session").fetchall()
    assert [bytes(row[0]) for row in rows] == [hashlib.sha256(token.encode()).digest()]
    assert token not in rows[0][1]


def test_a_session_ends_when_it_is_not_used_and_lives_on_while_it_is(town_hall: TownHall) -> None:
    hours = town_hall.config.session_hours
    ended, _ = town_hall.session("own-viewer", lasts=timedelta(seconds=-1))
    ageing, _ = town_hall.session("own-viewer", lasts=timedelta(hours=hours / 3))
    fresh, _ = town_hall.session("own-viewer", lasts=timedelta(hours=hours * 0.9))
    with httpx.Client(base_url=town_hall.url, trust_env=False) as client:
        assert_problem(client.get("/api/v1/session", headers={"Cookie": f"{COOKIE}={ended}"}), 401, "not_signed_in")
        for token in (ageing, fresh):
            assert client.get("/api/v1/session", headers={"Cookie": f"{COOKIE}={token}"}).status_code == 200
    with psycopg.connect(town_hall.database.owner) as conn:
        left = {
            token: conn.execute(
                "select expires_at from user_session where token_hash = %s", (hashlib.sha256(token.encode()).digest(),)
            ).fetchone()
            for token in (ageing, fresh)
        }
    prolonged, kept = left[ageing], left[fresh]
    assert prolonged is not None and prolonged[0] > real_now() + timedelta(hours=hours * 0.95)
    assert kept is not None and kept[0] < real_now() + timedelta(hours=hours * 0.95)


def test_sessions_that_are_over_are_swept_away_by_the_next_sign_in(town_hall: TownHall) -> None:
    town_hall.session("own-viewer", lasts=timedelta(seconds=-1))
    with town_hall.visitor(None) as client:
        client.post("/api/v1/session", json={"login": "own-water", "password": PASSWORD})
    with psycopg.connect(town_hall.database.owner) as conn:
        assert conn.execute("select count(*) from user_session").fetchone() == (1,)


def test_guessing_is_slowed_down_and_others_are_not(town_hall: TownHall) -> None:
    with town_hall.visitor(None) as client:

        def attempt(login: str, password: str) -> httpx.Response:
            return client.post("/api/v1/session", json={"login": login, "password": password})

        for _ in range(4):
            assert_problem(attempt("own-water", "guess"), 401, "sign_in_refused")
        paused = attempt("own-water", PASSWORD)
        assert_problem(paused, 429, "too_many_attempts")
        assert int(paused.headers["retry-after"]) >= 1
        assert attempt("own-tourism", PASSWORD).status_code == 201


def test_an_unknown_login_is_answered_like_a_wrong_password(town_hall: TownHall) -> None:
    with town_hall.visitor(None) as client:
        known = client.post("/api/v1/session", json={"login": "own-water", "password": "guess"})
        unknown = client.post("/api/v1/session", json={"login": "nobody", "password": "guess"})
    assert_problem(known, 401, "sign_in_refused")
    assert known.json() == unknown.json()


def test_an_unknown_login_costs_the_same_hashing() -> None:
    """Not measured by time: the same function must run, on a hash of the same cost."""
    from api import passwords

    assert passwords._nobody().split("$")[:4] == hash_password("x").split("$")[:4]
    assert not verify_password(None, "x")
    assert not verify_password("no hash at all", "x")
    assert verify_password(hash_password("x"), "x")


@pytest.mark.parametrize(
    ("headers", "refused"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, True),
        ({"Sec-Fetch-Site": "same-site"}, True),
        ({"Sec-Fetch-Site": "same-origin"}, False),
        ({"Sec-Fetch-Site": "none"}, False),
        ({"Origin": "https://evil.example"}, True),
        ({"Origin": "null"}, True),
        ({}, False),
    ],
)
def test_no_other_site_signs_a_person_in(town_hall: TownHall, headers: dict[str, str], refused: bool) -> None:
    with town_hall.visitor(None) as client:
        response = client.post("/api/v1/session", json={"login": "own-water", "password": PASSWORD}, headers=headers)
        own = client.post(
            "/api/v1/session", json={"login": "own-water", "password": PASSWORD}, headers={"Origin": town_hall.url}
        )
    assert own.status_code == 201
    if refused:
        assert_problem(response, 403, "cross_site")
    else:
        assert response.status_code == 201


def test_a_wrong_or_another_sessions_csrf_token_is_refused(town_hall: TownHall) -> None:
    _, other = town_hall.session("own-viewer")
    with town_hall.visitor(Role.VIEWER, csrf=False) as client:
        for token in (other, "", "x", "％"):
            headers = {"X-CSRF-Token": token.encode()}
            assert_problem(client.delete("/api/v1/session", headers=headers), 403, "cross_site")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "wanted", ["//evil.example", "https://evil.example", "/\\evil.example", "/\t/evil.example", "evil", "", None]
)
def test_after_signing_in_nobody_is_sent_to_another_site(wanted: str | None) -> None:
    assert local_path(wanted) == "/"
    assert local_path("/water?block=b1") == "/water?block=b1"


def test_a_person_without_a_session_is_led_to_the_sign_in_page_and_back(town_hall: TownHall) -> None:
    with town_hall.visitor(None) as client:
        response = client.get("/water?x=1", headers={"Host": "evil.example"})
    assert response.status_code == 303
    assert response.headers["location"] == "/sign-in?next=%2Fwater%3Fx%3D1"


def test_the_pause_doubles_ends_and_is_forgotten_after_success() -> None:
    now = 1000.0
    throttle = Throttle(free=2, longest=60.0, monotonic=lambda: now)
    pauses = []
    for _ in range(10):
        throttle.failed("a")
        pauses.append(throttle.pause("a"))
    assert pauses == [0, 0, 1, 2, 4, 8, 16, 32, 60, 60]
    assert throttle.pause("b") == 0
    now += 60
    assert throttle.pause("a") == 0
    throttle.failed("a")
    assert throttle.pause("a") == 60, "a pause that was sat out does not start anew"
    now += 60 + 3601
    throttle.failed("a")
    assert throttle.pause("a") == 0, "an hour later it does"
    throttle.failed("b")
    throttle.succeeded("b")
    assert len(throttle) == 1


def test_failures_are_remembered_in_bounded_memory() -> None:
    throttle = Throttle(free=0, capacity=100, monotonic=lambda: 0.0)
    for n in range(1000):
        throttle.failed(n)
    assert len(throttle) == 100
    assert throttle.pause(999) > 0 and throttle.pause(0) == 0


def test_accounts_are_refused_with_the_reason(registered: Registered) -> None:
    good = {
        "municipality_code": "999999",
        "login": "hanako",
        "display_name": "花子",
        "role": "water",
        "password": "nagai-aikotoba",
    }
    with connect(registered.owner, name="test") as conn:
        assert create_user(conn, **good) > 0
        for change, reason in (
            ({}, "exists already"),
            ({"login": "a b"}, "one word"),
            ({"login": "x", "role": "king"}, "no role 'king'"),
            ({"login": "x", "password": "short"}, "at least 12"),
            ({"login": "jiro", "password": "JIRO-JIRO-JIRO"}, "contains the login"),
            ({"login": "x", "municipality_code": "000000"}, "no municipality 000000"),
            ({"login": "x", "display_name": " "}, "a name to show"),
        ):
            with pytest.raises(AccountError, match=reason):
                create_user(conn, **{**good, **change})
        row = conn.execute("select password_hash from app_user where login = 'hanako'").fetchone()
    assert row is not None and row[0].startswith("$argon2id$") and verify_password(row[0], "nagai-aikotoba")


def test_known_passwords_exist_in_a_simulated_town_only(registered: Registered) -> None:
    with connect(registered.owner, name="test") as conn:
        assert create_demo_users(conn, "999999") == create_demo_users(conn, "999999") == DEMO_ACCOUNTS
        assert {account.role for account in DEMO_ACCOUNTS} == set(Role)
        row = conn.execute("select password_hash from app_user where login = 'water'").fetchone()
        assert row is not None and verify_password(row[0], DEMO_PASSWORD)
        conn.execute("delete from app_user")
        now = real_now()
        write_clock(conn, ClockSetting(simulated=False, real_start=now, town_start=now, speed=1.0))
        with pytest.raises(AccountError, match="simulated town only"):
            create_demo_users(conn, "999999")
