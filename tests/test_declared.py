"""Nothing is reachable that does not say who may use it; what is public is listed."""

from __future__ import annotations

import pytest
from fastapi import APIRouter, FastAPI

import api.app
from api.access import READERS, Router, UndeclaredRoute, access, undeclared
from api.app import create_app
from api.config import ApiConfig
from tests.authorising.routes import CALLS


def test_there_are_routes_of_every_kind() -> None:
    assert {route.method for route in CALLS} >= {"GET", "POST", "DELETE"}
    assert any(route.rule.roles is None for route in CALLS) and any(route.rule.page for route in CALLS)
    assert any(route.rule.narrowed for route in CALLS) and any(route.of_a_thing for route in CALLS)


def test_public_is_health_signing_in_the_pages_files_and_what_was_published() -> None:
    assert {str(route) for route in CALLS if route.rule.roles is None} == {
        "GET /healthz",
        "POST /api/v1/session",
        "GET /sign-in",
        "POST /sign-in",
        "GET /static/{release}/{name:path}",
        "GET /worker.js",
        "GET /app.webmanifest",
        # what a person has published (tests/api/test_notices.py)
        "GET /public/{municipality}/notices",
        "GET /public/{municipality}/widget",
        "GET /public/{municipality}/notices.atom",
        "GET /public/{municipality}/notices.rss",
        "GET /public/{municipality}/cap.atom",
        "GET /public/{municipality}/cap/{notice_id}.xml",
        "GET /answer/{token}",
        "POST /answer/{token}",
        # whoever was given a link (tests/api/test_field.py)
        "GET /field/{token}",
        "POST /field/{token}",
        "GET /field/{token}/shelters",
        "POST /field/{token}/shelters",
        # whoever was given the link of a spot (tests/dashboards/test_count_links.py)
        "GET /count/{token}",
        "POST /count/{token}",
        # what is public of shelters, and the photos that a person released (tests/dashboards/test_shelters.py)
        "GET /public/{municipality}/shelters",
        "GET /public/{municipality}/shelters.json",
        "GET /public/{municipality}/photos",
        "GET /public/{municipality}/photos/{photo_id}.jpg",
        # the days of visitors that were confirmed (tests/dashboards/test_day_checks.py)
        "GET /public/{municipality}/visitors",
        "GET /public/{municipality}/visitors.csv",
        "GET /public/{municipality}/visitors.json",
    }


def test_a_route_without_a_declaration_cannot_be_made() -> None:
    router = Router()
    with pytest.raises(UndeclaredRoute, match=r"GET.*/hole.*does not say who may use it"):

        @router.get("/hole")
        def hole() -> None: ...


def test_the_application_does_not_start_with_a_route_made_in_another_way(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = APIRouter()

    @plain.get("/hole")
    def hole() -> None: ...

    monkeypatch.setattr(api.app, "_ROUTERS", (*api.app._ROUTERS, plain))
    with pytest.raises(UndeclaredRoute, match="/hole"):
        create_app(ApiConfig(dsn="postgresql://nowhere"))


def test_undeclared_routes_and_mounts_are_found_wherever_they_hang() -> None:
    app = create_app(ApiConfig(dsn="postgresql://nowhere"))
    assert list(undeclared(app)) == []

    @access(READERS)
    def declared_but_not_guarded() -> None: ...

    app.get("/plain")(declared_but_not_guarded)
    app.mount("/mounted", FastAPI())
    outer, inner = APIRouter(), APIRouter()
    inner.get("/deep")(declared_but_not_guarded)
    outer.include_router(inner, prefix="/inner")
    app.include_router(outer, prefix="/outer")
    found = " ".join(undeclared(app))
    assert "/plain" in found and "/mounted" in found and "/outer/inner/deep" in found
