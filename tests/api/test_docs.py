"""docs/api.md cannot drift: every route, event, error and metric of the API stands in it."""

from __future__ import annotations

import re
from pathlib import Path

from fastapi.routing import iter_route_contexts

from api import errors, live, stream
from api.access import READERS, Role
from api.app import create_app
from api.config import ApiConfig
from api.errors import ApiError
from api.roles import desks_of
from devices.model import StationKind
from ingest.intake import IntakeConfig

TEXT = (Path(__file__).parents[2] / "docs" / "api.md").read_text("utf-8")
APP = create_app(ApiConfig(dsn="postgresql://nowhere", intake=IntakeConfig("postgresql://nowhere")))


def test_every_route_of_the_api_is_documented() -> None:
    routes = {
        (method, context.path or "")
        for context in iter_route_contexts(APP.routes)
        if context.original_route.include_in_schema and getattr(context, "include_in_schema", True)  # type: ignore[attr-defined]
        for method in context.methods or ()
    }
    routes = {
        (method, path)
        for method, path in routes
        if path.startswith(("/api/", "/intake/")) or path in ("/healthz", "/metrics")
    }
    assert len(routes) >= 18
    rows = [line for line in TEXT.splitlines() if line.startswith("|")]
    missing = [
        f"{method} {path}"
        for method, path in routes
        if not any(re.search(rf"`(\w+ )?{re.escape(path)}`", row) and method in row for row in rows)
    ]
    assert missing == []


def test_no_route_is_documented_that_does_not_exist() -> None:
    known = {context.path for context in iter_route_contexts(APP.routes)}
    named = set(re.findall(r"`(?:[A-Z]+ )?(/(?:api/v1/[^`?]*|healthz|metrics))`", TEXT))
    assert named and named <= known


def test_every_error_is_documented() -> None:
    def descend(kind: type[ApiError]) -> set[type[ApiError]]:
        return {kind}.union(*(descend(child) for child in kind.__subclasses__()))

    kinds = {kind for kind in descend(ApiError) - {ApiError} if kind.__module__ == errors.__name__}
    assert len(kinds) >= 9
    wanted = {f"| {kind.status.value} | `{kind.code}` |" for kind in kinds} | {"| 422 | `invalid` |"}
    assert [row for row in wanted if row not in TEXT] == []


def test_the_table_of_who_acts_is_the_rule() -> None:
    rows = re.findall(r"^\| act on a `(\w+)` alert at an? `(\w+)` \|(.*)\|$", TEXT, re.M)
    assert len(rows) == 2 * len(StationKind)
    order = re.search(r"^\| \|(.*)\|$", TEXT, re.M)
    assert order is not None
    columns = [name.strip() for name in order[1].split("|")]
    assert set(columns) == {role.value for role in READERS}
    for rule, place, cells in rows:
        ticked = {Role(name) for name, cell in zip(columns, cells.split("|"), strict=True) if "✓" in cell}
        assert ticked == desks_of(rule, StationKind(place)), (rule, place)


def test_every_event_and_metric_is_documented() -> None:
    sources = Path(live.__file__).read_text() + Path(stream.__file__).read_text()
    assert 'Event(position, "reset"' in sources and "event: clock" in sources
    for event in ("clock", "observations", "alerts", "reset"):
        assert f"| `{event}` |" in TEXT
    folder = Path(live.__file__).parent
    metrics = {
        name
        for file in ("health.py", "instruments.py")
        for name in re.findall(r'"(mimamori_[a-z0-9_]+)"', (folder / file).read_text())
    }
    assert len(metrics) >= 11
    assert [name for name in metrics if f"`{name}`" not in TEXT] == []
