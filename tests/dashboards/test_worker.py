"""The service worker: one small file, another one with every release, for its own pages and no others."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from api.pages.assets import ROOM
from api.roles import Role
from tests.api.serving import TownHall, populate, serving
from tests.conftest import Registered


@pytest.fixture
def hall(registered: Registered) -> Iterator[TownHall]:
    populate(registered)
    with serving(registered) as running:
        yield running


def test_the_worker_names_its_release_and_no_store_in_between_keeps_it(hall: TownHall) -> None:
    with hall.visitor(None) as anyone, hall.visitor(Role.DISASTER) as staff:
        worker = anyone.get("/worker.js")
        assert worker.headers["content-type"].startswith("text/javascript")
        assert worker.headers["cache-control"] == "no-cache"
        page = staff.get("/disaster/field", headers={"Accept": "text/html"}).text
        (queue,) = set(re.findall(r'"(/static/[0-9a-f]+/field_queue.js)"', page))
        release = queue.split("/")[2]
        assert worker.text.startswith(f'const RELEASE = "{release}";\nimportScripts("{queue}");\n')
        manifest = anyone.get("/app.webmanifest").json()
        for path in (queue, *(icon["src"] for icon in manifest["icons"])):
            assert anyone.get(path).status_code == 200
        copy = staff.get("/disaster/field?copy=1", headers={"Accept": "text/html"}).text
    assert "csrf" not in copy and 'name="key" value=""' in copy and "data-copy" in copy


def test_only_the_forms_and_the_devices_page_register_it() -> None:
    """A page of levels or alerts that came out of a store would be believed in a flood."""
    registering = {
        path.name for path in (ROOM / "static").glob("*.js") if "serviceWorker.register(" in path.read_text("utf-8")
    }
    assert registering == {"field_queue.js", "notifications.js"}
    users = {
        path.name
        for path in (ROOM / "templates").rglob("*.html")
        if re.search(r"asset\('(field_queue|notifications)\.js'\)", path.read_text("utf-8"))
    }
    assert users == {
        "field.html",
        "notifications.html",
        "sign_in.html",  # takes it away
        "tourism_entry.html",
        "tourism_hours.html",
        "tourism_gatherings.html",
        "tourism_months.html",
        "count.html",
        "count_copy.html",
        "water_leaks_case.html",
    }
