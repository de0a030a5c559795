"""What a form of an alert does (acknowledge, comment, assign, clear, confirm, dismiss): POST, then back to the page.

Who may act is decided in `api.alerting.act`, for the JSON API and for these forms alike. A refusal by the alert itself
(already done, a note is needed, the water is still above) is no error page: the page comes back and says why. The page
is the alerts page, or the disaster desk's where its one-click form says so (`back`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import Form
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from alerts import actions
from api.access import DESKS, Router, SignedIn, access
from api.alerting import act
from api.errors import BadRequest, Conflict
from api.language import page_language_of
from api.pages.desks import alerts_response, disaster_response
from store.connection import Connection

router = Router()
_NARROWED = "the alert's desk"
Note = Annotated[str, Form(max_length=actions.MAX_NOTE)]


@router.post("/alerts/{alert_id}/acknowledge")
@access(DESKS, narrowed=_NARROWED)
def acknowledge(
    request: Request, visit: SignedIn, alert_id: int, note: Note = "", back: Annotated[str, Form()] = ""
) -> Response:
    return _back(
        request,
        visit,
        alert_id,
        "acknowledge",
        lambda conn, town, user: actions.acknowledge(conn, town, alert_id, user, visit.clock.now(), note),
        page=disaster_response if back == "disaster" else alerts_response,
    )


@router.post("/alerts/{alert_id}/comment")
@access(DESKS, narrowed=_NARROWED)
def comment(request: Request, visit: SignedIn, alert_id: int, note: Note = "") -> Response:
    return _back(
        request,
        visit,
        alert_id,
        "comment",
        lambda conn, town, user: actions.comment(conn, town, alert_id, user, visit.clock.now(), note),
    )


@router.post("/alerts/{alert_id}/assign")
@access(DESKS, narrowed=_NARROWED)
def assign(
    request: Request, visit: SignedIn, alert_id: int, note: Note = "", person: Annotated[str, Form()] = ""
) -> Response:
    """`person`: a number of the list, empty: nobody any more."""
    who = int(person) if person.isascii() and person.isdigit() and len(person) < 10 else None
    return _back(
        request,
        visit,
        alert_id,
        "assign",
        lambda conn, town, user: actions.assign(conn, town, alert_id, user, visit.clock.now(), who, note),
    )


@router.post("/alerts/{alert_id}/clear")
@access(DESKS, narrowed=_NARROWED)
def clear(request: Request, visit: SignedIn, alert_id: int, note: Note = "") -> Response:
    return _back(
        request,
        visit,
        alert_id,
        "clear",
        lambda conn, town, user: actions.clear(conn, town, alert_id, user, visit.clock.now(), note),
    )


@router.post("/alerts/{alert_id}/confirm")
@access(DESKS, narrowed=_NARROWED)
def confirm(
    request: Request, visit: SignedIn, alert_id: int, note: Note = "", back: Annotated[str, Form()] = ""
) -> Response:
    return _back(
        request,
        visit,
        alert_id,
        "confirm",
        lambda conn, town, user: actions.confirm(conn, town, alert_id, user, visit.clock.now(), note),
        page=disaster_response if back == "disaster" else alerts_response,
    )


@router.post("/alerts/{alert_id}/dismiss")
@access(DESKS, narrowed=_NARROWED)
def dismiss(
    request: Request, visit: SignedIn, alert_id: int, note: Note = "", back: Annotated[str, Form()] = ""
) -> Response:
    return _back(
        request,
        visit,
        alert_id,
        "dismiss",
        lambda conn, town, user: actions.dismiss(conn, town, alert_id, user, visit.clock.now(), note),
        page=disaster_response if back == "disaster" else alerts_response,
    )


def _back(
    request: Request,
    visit: SignedIn,
    alert_id: int,
    name: str,
    do: Callable[[Connection, int, int], None],
    page: Callable[..., Response] = alerts_response,
) -> Response:
    try:
        act(visit, alert_id, do)
    except (Conflict, BadRequest) as refusal:
        problem = refusal.wrong.of(page_language_of(request))
        return page(request, visit, problem=problem, status=refusal.status)
    return RedirectResponse(f"/{'disaster' if page is disaster_response else 'alerts'}?done={name}", 303)
