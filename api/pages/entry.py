"""The way in and out: sign-in page, signing out, and / which leads to the start page."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from fastapi import Form
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api.access import PUBLIC, READERS, Router, SignedIn, access
from api.accounts import DEMO_ACCOUNTS
from api.auth import local_path, set_cookie, sign_in, sign_out
from api.errors import SignInRefused, TooManyAttempts
from api.language import page_language_of
from api.pages.site import plain_page
from api.pages.start import DOORS
from api.roles import Role
from api.state import ApiState

router = Router()

# A door of the demo's sign-in page leads through, to the desk behind it.
_BEHIND = {role: f"/{role.value}" for role in DOORS} | {Role.VIEWER: "/start"}


@router.get("/")
@access(READERS, page=True)
def home(_: SignedIn) -> Response:
    return RedirectResponse("/start", 303)


@router.get("/sign-in")
@access(PUBLIC)
def sign_in_form(request: Request) -> Response:
    return _form(request)


@router.post("/sign-in")
@access(PUBLIC)
def sign_in_submit(request: Request, login: Annotated[str, Form()], password: Annotated[str, Form()]) -> Response:
    try:
        session = sign_in(request, login, password)
    except (SignInRefused, TooManyAttempts) as error:
        language = page_language_of(request)
        problem = f"{error.wrong.of(language)} {error.action.of(language)}"
        return _form(request, status=error.status, problem=problem, login=login)
    response = RedirectResponse(local_path(request.query_params.get("next")), 303)
    set_cookie(response, session, request)
    return response


@router.post("/sign-out")
@access(READERS)
def sign_out_submit(request: Request, visit: SignedIn) -> Response:
    # the page then takes out of the browser what the report form has kept there (signed_out.js)
    response = RedirectResponse("/sign-in?out=1", 303)
    sign_out(request, response)
    return response


def _form(request: Request, *, status: int = 200, problem: str = "", login: str = "") -> Response:
    state: ApiState = request.app.state.api
    wanted = local_path(request.query_params.get("next"))
    doors = [
        (account, _action(_BEHIND[account.role] if wanted == "/" else wanted))
        for account in (DEMO_ACCOUNTS if state.config.demo else ())
    ]
    return plain_page(
        request,
        "sign_in",
        demo=state.config.demo,
        out=request.query_params.get("out") == "1",
        status=status,
        problem=problem,
        login=login,
        next=wanted,
        action=_action(wanted),
        doors=doors,
    )


def _action(wanted: str) -> str:
    return f"/sign-in?next={quote(wanted, safe='')}"
