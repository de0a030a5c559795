"""/api/v1/session: sign in, who am I, sign out; and the API's own description for whoever is signed in."""

from __future__ import annotations

from typing import Any

from fastapi import Request, Response

from api import auth
from api.access import PUBLIC, READERS, Router, SignedIn, access
from api.models import SessionOut, SignInIn

router = Router(prefix="/api/v1", tags=["session"])


@router.post("/session", status_code=201)
@access(PUBLIC)
def sign_in(request: Request, response: Response, given: SignInIn) -> SessionOut:
    """Opens a session and sets its cookie. 401 for a wrong login or password, 429 while throttled."""
    session = auth.sign_in(request, given.login, given.password)
    auth.set_cookie(response, session, request)
    return _described(session, demo=request.app.state.api.config.demo)


@router.get("/session")
@access(READERS)
def who_am_i(visit: SignedIn) -> SessionOut:
    """The present session and its CSRF token."""
    return _described(visit.session, demo=visit.config.demo)


@router.delete("/session", status_code=204)
@access(READERS)
def sign_out(request: Request, visit: SignedIn) -> Response:
    """Ends the session."""
    response = Response(status_code=204)
    auth.sign_out(request, response)
    return response


@router.get("/openapi.json")
@access(READERS)
def description(request: Request, visit: SignedIn) -> dict[str, Any]:
    """This API in OpenAPI 3.1."""
    schema: dict[str, Any] = request.app.openapi()
    return schema


def _described(session: auth.Session, *, demo: bool) -> SessionOut:
    user = session.user
    return SessionOut(
        login=user.login,
        display_name=user.display_name,
        role=user.role.value,
        municipality=user.tenant.code,
        municipality_name=user.tenant.name,
        csrf_token=session.csrf_token,
        expires_at=session.expires_at,
        demo=demo,
    )
