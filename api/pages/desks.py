"""The four pages. Everyone of the town hall may read them all; who may act on an alert is decided per alert."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response

from api.access import READERS, Router, SignedIn, access
from api.pages.alert_list import add_events, closed_alerts, open_alerts
from api.pages.disaster import disaster
from api.pages.readings import Now, StationNow
from api.pages.site import Moment, moment, page
from api.pages.tourism import by_day, by_hour, tourism
from api.pages.town_map import Place, draw
from api.pages.water import water

router = Router()

# A mark on the map: station code, which mark, what it says in words, and when its station falls silent.
Mark = tuple[str, str, str, datetime | None]

# What an action says when it has led back to the page: keys of the catalogue, so a link can make no other text.
_DONE = frozenset({"acknowledge", "comment", "clear"})


@router.get("/disaster")
@access(READERS, page=True)
def disaster_page(request: Request, visit: SignedIn) -> Response:
    at = moment(request, visit)
    with visit.transaction() as conn:
        model = disaster(conn, at.now, at.zone)
        alerts = open_alerts(conn)
        map_ = draw(conn, visit.tenant.municipality_id, at.words, _places(at, (g.station for g in model.gauges)))
    marks = [(g.station.code, g.badge, at.words(f"level.{g.badge}"), _silent_at(g.now)) for g in model.gauges]
    return page(request, visit, at, "disaster", alerts, map=map_, model=model, marks=marks)


@router.get("/water")
@access(READERS, page=True)
def water_page(request: Request, visit: SignedIn) -> Response:
    at = moment(request, visit)
    with visit.transaction() as conn:
        model = water(conn, at.now, at.zone)
        alerts = open_alerts(conn)
        map_ = draw(conn, visit.tenant.municipality_id, at.words, _places(at, (b.station for b in model)))
    marks = [_plain_mark(at, b.station, b.flow) for b in model]
    return page(request, visit, at, "water", alerts, map=map_, model=model, marks=marks)


@router.get("/tourism")
@access(READERS, page=True)
def tourism_page(request: Request, visit: SignedIn) -> Response:
    at = moment(request, visit)
    with visit.transaction() as conn:
        model = tourism(conn, at.now, at.zone)
        alerts = open_alerts(conn)
        map_ = draw(conn, visit.tenant.municipality_id, at.words, _places(at, (s.station for s in model)))
    marks = [_plain_mark(at, s.station, s.latest) for s in model]
    return page(
        request,
        visit,
        at,
        "tourism",
        alerts,
        map=map_,
        model=model,
        marks=marks,
        hours=by_hour(model),
        days=by_day(model),
    )


@router.get("/alerts")
@access(READERS, page=True)
def alerts_page(request: Request, visit: SignedIn) -> Response:
    done = request.query_params.get("done")
    return alerts_response(request, visit, done=done if done in _DONE else None)


def alerts_response(
    request: Request, visit: SignedIn, *, done: str | None = None, problem: str | None = None, status: int = 200
) -> Response:
    """The alerts page, also as the answer to an action that was refused: then `problem` says why."""
    at = moment(request, visit)
    with visit.transaction() as conn:
        alerts = open_alerts(conn)
        closed = closed_alerts(conn)
        add_events(conn, [*alerts, *closed])
    return page(request, visit, at, "alerts", alerts, status=status, closed=closed, done=done, problem=problem)


def _places(at: Moment, stations: Iterable[StationNow]) -> list[Place]:
    return [Place(s.code, at.words.name(s.name, s.name_en), s.latitude, s.longitude) for s in stations]


def _plain_mark(at: Moment, station: StationNow, now: Now | None) -> Mark:
    """A mark without levels says only whether the place reports."""
    state = "never" if now is None else now.state.value
    name = "reporting" if now is not None and now.current else "unknown"
    return station.code, name, at.words(f"state.{state}"), _silent_at(now)


def _silent_at(now: Now | None) -> datetime | None:
    """When a mark that speaks of the present stops doing so."""
    return now.silent_at if now is not None and now.current else None
