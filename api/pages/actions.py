"""What a form of an alert does (acknowledge, comment, assign, clear, confirm, dismiss): POST, then back to the page.

Who may act and what an act is stands in `api.alerting.act`, for the JSON API and for these forms alike. A refusal by
the alert itself (already done, a note is needed, the water is still above) is no error page: the page comes back and
says why. The page is the alerts page, or the disaster desk's where its one-click form says so (`back`).
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Form
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from alerts import actions
from api.access import DESKS, Router, SignedIn, access
from api.alerting import Act, act
from api.errors import BadRequest, Conflict
from api.language import page_language_of
from api.pages.desks import alerts_response, disaster_response

router = Router()
_NARROWED = "the alert's desk"
Note = Annotated[str, Form(max_length=actions.MAX_NOTE)]
Back = Annotated[str, Form()]


@router.post("/alerts/{alert_id}/acknowledge")
@access(DESKS, narrowed=_NARROWED)
def acknowledge(request: Request, visit: SignedIn, alert_id: int, note: Note = "", back: Back = "") -> Response:
    return _act(request, visit, alert_id, "acknowledge", note, back=back)


@router.post("/alerts/{alert_id}/comment")
@access(DESKS, narrowed=_NARROWED)
def comment(request: Request, visit: SignedIn, alert_id: int, note: Note = "") -> Response:
    return _act(request, visit, alert_id, "comment", note)


@router.post("/alerts/{alert_id}/assign")
@access(DESKS, narrowed=_NARROWED)
def assign(
    request: Request, visit: SignedIn, alert_id: int, note: Note = "", person: Annotated[str, Form()] = ""
) -> Response:
    """`person`: a number of the list, empty: nobody any more."""
    who = int(person) if person.isascii() and person.isdigit() and len(person) < 10 else None
    return _act(request, visit, alert_id, "assign", note, person_id=who)


@router.post("/alerts/{alert_id}/clear")
@access(DESKS, narrowed=_NARROWED)
def clear(request: Request, visit: SignedIn, alert_id: int, note: Note = "") -> Response:
    return _act(request, visit, alert_id, "clear", note)


@router.post("/alerts/{alert_id}/confirm")
@access(DESKS, narrowed=_NARROWED)
def confirm(request: Request, visit: SignedIn, alert_id: int, note: Note = "", back: Back = "") -> Response:
    return _act(request, visit, alert_id, "confirm", note, back=back)


@router.post("/alerts/{alert_id}/dismiss")
@access(DESKS, narrowed=_NARROWED)
def dismiss(request: Request, visit: SignedIn, alert_id: int, note: Note = "", back: Back = "") -> Response:
    return _act(request, visit, alert_id, "dismiss", note, back=back)


def _act(
    request: Request,
    visit: SignedIn,
    alert_id: int,
    name: Act,
    note: str,
    *,
    back: str = "",
    person_id: int | None = None,
) -> Response:
    page = disaster_response if back == "disaster" else alerts_response
    try:
        act(visit, alert_id, name, note, person_id=person_id)
    except (Conflict, BadRequest) as refusal:
        problem = refusal.wrong.of(page_language_of(request))
        return page(request, visit, problem=problem, status=refusal.status)
    return RedirectResponse(f"/{'disaster' if page is disaster_response else 'alerts'}?done={name}", 303)
