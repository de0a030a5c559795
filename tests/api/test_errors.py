"""Every error has one body, whoever makes it and wherever."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx
import pytest

import api.app
from api import errors
from api.access import PUBLIC, READERS, Role, Router, SignedIn, access
from api.errors import ApiError
from tests.api.serving import PASSWORD, TownHall, assert_problem, populate, serving
from tests.conftest import Registered


def test_each_family_of_errors_has_the_same_body(town_hall: TownHall) -> None:
    with town_hall.visitor(Role.DISASTER) as client, town_hall.visitor(None) as stranger:
        assert_problem(client.get("/nowhere"), 404, "not_found")
        assert_problem(client.get("/api/v1/nowhere"), 404, "not_found")
        assert_problem(client.put("/api/v1/stations"), 405, "method_not_allowed")
        assert_problem(stranger.get("/api/v1/stations"), 401, "not_signed_in")
        assert_problem(client.get("/metrics"), 403, "refused")
        assert_problem(client.get("/api/v1/stations/none"), 404, "not_found")
        assert_problem(client.get("/api/v1/datastreams/none/water_level"), 404, "not_found")
        assert_problem(client.get("/api/v1/datastreams/none/water_level/observations"), 404, "not_found")
        assert_problem(client.get("/api/v1/alerts/77"), 404, "not_found")
        assert_problem(client.post("/api/v1/alerts/77/acknowledge"), 404, "not_found")
        assert_problem(client.get("/static/none/none.js"), 404, "not_found")
        assert_problem(client.get("/api/v1/alerts?since=2026-06-01"), 400, "bad_request")
        assert_problem(client.get("/api/v1/stream?last_event_id=x"), 400, "bad_request")
        wrong = {"login": "own-disaster", "password": "wrong"}
        assert_problem(stranger.post("/api/v1/session", json=wrong), 401, "sign_in_refused")
        assert_problem(stranger.post("/api/v1/session", content=b"x" * 1_000_001), 413, "too_large")


def test_an_invalid_input_names_each_field_and_never_repeats_its_value(town_hall: TownHall) -> None:
    with town_hall.visitor(None) as client:
        given = {"password": "geheim-" * 200, "colour": "red"}
        body = assert_problem(client.post("/api/v1/session", json=given), 422, "invalid")
        english = client.post("/api/v1/session", json=given, headers={"Accept-Language": "en"}).json()
        broken = assert_problem(
            client.post("/api/v1/session", content=b"{", headers={"Content-Type": "application/json"}), 422, "invalid"
        )
    problems = {fault["where"]: fault["problem"] for fault in english["errors"]}
    assert problems == {
        "body.login": "is required.",
        "body.password": "must have at most 1000 characters.",
        "body.colour": "is not a known field.",
    }
    assert {fault["where"] for fault in body["errors"]} == problems.keys()
    assert "geheim" not in str(body)
    assert broken["errors"] == [{"where": "body.1", "problem": "JSON として読めません。"}]


@pytest.mark.parametrize(
    ("accepts", "language", "title"),
    [
        ("", "ja", "見つかりません"),
        ("ja,en;q=0.8", "ja", "見つかりません"),
        ("en-GB,en;q=0.9,ja;q=0.5", "en", "Not Found"),
        ("fr", "ja", "見つかりません"),
        ("en;q=nonsense", "ja", "見つかりません"),
    ],
)
def test_texts_are_in_the_readers_language(town_hall: TownHall, accepts: str, language: str, title: str) -> None:
    with town_hall.visitor(Role.VIEWER) as client:
        response = client.get("/api/v1/stations/none", headers={"Accept-Language": accepts})
    body = assert_problem(response, 404, "not_found")
    assert response.headers["content-language"] == language
    assert body["title"] == title


def test_a_person_gets_a_page_and_a_program_gets_json(town_hall: TownHall) -> None:
    browser = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    with town_hall.visitor(Role.VIEWER) as client:
        page = client.get("/nowhere", headers=browser)
        data = client.get("/api/v1/nowhere", headers=browser)
    assert page.status_code == 404 and page.headers["content-type"].startswith("text/html")
    assert "見つかりません" in page.text and "application/problem+json" not in page.headers["content-type"]
    assert_problem(data, 404, "not_found")


@pytest.mark.parametrize(
    ("accepts", "wish", "language"),
    [("en-US,en;q=0.9", "", "ja"), ("", "", "ja"), ("ja", "?lang=en", "en"), ("en", "?lang=ja", "ja")],
)
def test_an_error_page_has_the_language_of_the_pages(
    town_hall: TownHall, accepts: str, wish: str, language: str
) -> None:
    browser = {"Accept": "text/html", "Accept-Language": accepts}
    with town_hall.visitor(Role.VIEWER) as client:
        for path, status in (("/metrics", 403), ("/nowhere", 404), ("/disaster/stations/none", 404)):
            wanted = client.get(f"/start{wish}", headers=browser)
            refused = client.get(f"{path}{wish}", headers=browser)
            assert (refused.status_code, refused.headers["content-language"]) == (status, language)
            assert wanted.headers["content-language"] == language
            assert f'<html lang="{language}"' in refused.text
            assert ("権限がありません" if language == "ja" else "Forbidden") in refused.text or status != 403
        # what a person chose is remembered
        remembered = client.get("/metrics", headers=browser)
    assert remembered.headers["content-language"] == language


def test_an_unexpected_fault_gives_a_number_and_no_inside(
    registered: Registered, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    router = Router()

    @router.get("/api/v1/boom")
    @access(READERS)
    def boom(visit: SignedIn) -> None:
        raise RuntimeError("the inside of the server")

    monkeypatch.setattr(api.app, "_ROUTERS", (*api.app._ROUTERS, router))
    populate(registered)
    with serving(registered) as town_hall, town_hall.visitor(Role.VIEWER) as client:
        body = assert_problem(client.get("/api/v1/boom"), 500, "internal")
        assert client.get("/api/v1/session").status_code == 200, "the server goes on"
    assert "inside of the server" not in str(body)
    assert body["incident"] in body["action"]
    assert body["incident"] in caplog.text and "the inside of the server" in caplog.text


def test_a_database_out_of_reach_is_said_so_and_does_not_hang(registered: Registered) -> None:
    populate(registered)
    unreachable = Registered(**{**vars(registered), "api": "postgresql://mimamori_api@127.0.0.1:1/none"})
    with serving(unreachable) as town_hall, httpx.Client(base_url=town_hall.url, timeout=30, trust_env=False) as client:
        began = time.monotonic()
        response = client.post("/api/v1/session", json={"login": "own-disaster", "password": PASSWORD})
        assert_problem(response, 503, "unavailable")
        assert response.headers["retry-after"] == "10"
        assert time.monotonic() - began < 15
        health = client.get("/healthz")
    assert health.status_code == 503
    assert health.json()["parts"]["database"] == {"state": "failing", "detail": "out of reach"}


def test_a_chunked_body_above_the_limit_is_refused_where_it_passes_it(
    registered: Registered, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = 0
    router = Router()

    @router.post("/api/v1/swallow")
    @access(PUBLIC)
    def swallow(given: dict[str, str]) -> None: ...

    def chunks() -> Iterator[bytes]:
        nonlocal taken
        for _ in range(50):
            taken += 1000
            yield b"x" * 1000

    monkeypatch.setattr(api.app, "_ROUTERS", (*api.app._ROUTERS, router))
    with (
        serving(registered, max_body_bytes=5000) as town_hall,
        httpx.Client(base_url=town_hall.url, trust_env=False) as client,
    ):
        response = client.post("/api/v1/swallow", content=chunks(), headers={"Content-Type": "application/json"})
    assert_problem(response, 413, "too_large")
    assert taken > 5000, "it was the body that was counted, not a header"


def test_every_error_of_the_room_has_a_status_a_code_and_something_to_do() -> None:
    def descend(kind: type[ApiError]) -> set[type[ApiError]]:
        return {kind}.union(*(descend(child) for child in kind.__subclasses__()))

    kinds = descend(ApiError) - {ApiError}
    documented = errors.__doc__ or ""
    assert {kind.__name__ for kind in kinds if kind.__module__ == "api.errors"} <= set(documented.split())
    assert all(400 <= kind.status < 600 and kind.code for kind in kinds)
    assert len({kind.code for kind in kinds}) == len(kinds), "a code tells one error from every other"
