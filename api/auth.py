"""Signing in and out, and whose session a request carries.

A session is a random 256-bit token in a cookie (HttpOnly, SameSite=Lax, Secure by configuration); the database
holds only its SHA-256, so that a copy of the database signs nobody in. It ends `session_hours` after its last
use, in real time.

The sign-in page's form post uses the same functions as POST /api/v1/session::

    @router.post("/sign-in")
    @access(PUBLIC)
    def submit(request: Request, login: Annotated[str, Form()], password: Annotated[str, Form()]) -> Response:
        try:
            session = sign_in(request, login, password)
        except (SignInRefused, TooManyAttempts) as error:
            return render("sign_in.html", problem=error.wrong.of(language_of(request)), status_code=error.status)
        response = RedirectResponse(local_path(request.query_params.get("next")), 303)
        set_cookie(response, session, request)
        return response

    @router.post("/sign-out")
    @access(READERS)                      # the form carries <input type="hidden" name="csrf_token" value="…">
    def leave(request: Request, visit: SignedIn) -> Response:
        response = RedirectResponse("/sign-in", 303)
        sign_out(request, response)
        return response
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

from api.errors import SignInRefused, TooManyAttempts
from api.logins import normal_login
from api.passwords import verify_password
from api.roles import Role
from devices.clock import real_now
from store.connection import Connection

if TYPE_CHECKING:
    from api.state import ApiState

COOKIE = "mimamori_session"


@dataclass(frozen=True, slots=True)
class Tenant:
    """The municipality of a signed-in person."""

    municipality_id: int
    code: str
    name: str
    name_en: str
    timezone: str


@dataclass(frozen=True, slots=True)
class User:
    """Who is signed in."""

    user_id: int
    login: str
    display_name: str
    role: Role
    tenant: Tenant


@dataclass(frozen=True, slots=True)
class Session:
    """A valid session. `token` is the cookie's secret: never logged, never in a page."""

    token: str
    csrf_token: str
    expires_at: datetime
    user: User


def sign_in(request: Request, login: str, password: str) -> Session:
    """Opens a session; call from a thread (plain `def`), it takes some 50 ms of work on purpose.

    Raises `SignInRefused`, or `TooManyAttempts` while this login at this address, or this address, is paused.
    """
    state: ApiState = request.app.state.api
    login = normal_login(login)
    address = request.client.host if request.client else ""
    keys = ((state.throttle_login, (login, address)), (state.throttle_address, address))
    pause = max(throttle.pause(key) for throttle, key in keys)
    if pause > 0:
        raise TooManyAttempts(int(pause) + 1)
    with state.database.transaction(None) as conn:
        row = conn.execute("select password_hash from app_user where login = %s", (login,)).fetchone()
    if not verify_password(row[0] if row else None, password):
        for throttle, key in keys:
            throttle.failed(key)
        raise SignInRefused()
    state.throttle_login.succeeded((login, address))
    token = secrets.token_urlsafe(32)
    now = real_now()
    with state.database.transaction(None) as conn:
        conn.execute("delete from user_session where expires_at <= %s", (now,))
        conn.execute(
            """
            insert into user_session (token_hash, municipality_id, user_id, csrf_token, expires_at)
            select %s, municipality_id, user_id, %s, %s from app_user where login = %s
            """,
            (_digest(token), secrets.token_urlsafe(24), now + state.session_length, login),
        )
        session = find_session(conn, token, length=state.session_length)
    if session is None:  # the account was deleted between the two transactions
        raise SignInRefused()
    return session


def sign_out(request: Request, response: Response) -> None:
    """Ends the request's session in the database and takes the cookie back."""
    token = request.cookies.get(COOKIE)
    state: ApiState = request.app.state.api
    if token:
        with state.database.transaction(None) as conn:
            conn.execute("delete from user_session where token_hash = %s", (_digest(token),))
    response.delete_cookie(COOKIE, httponly=True, samesite="lax", secure=state.config.secure_cookies)


def set_cookie(response: Response, session: Session, request: Request) -> None:
    """Gives the browser its session, until the browser closes or the session ends on the server."""
    state: ApiState = request.app.state.api
    response.set_cookie(
        COOKIE, session.token, httponly=True, samesite="lax", secure=state.config.secure_cookies, path="/"
    )


def find_session(conn: Connection, token: str, *, length: timedelta) -> Session | None:
    """The session of a token, prolonged when less than half of its length is left; None when there is none."""
    now = real_now()
    row = conn.execute(
        """
        select s.csrf_token, s.expires_at, u.user_id, u.login, u.display_name, u.role,
               m.municipality_id, m.code, m.name, m.name_en, m.timezone
        from user_session s join app_user u using (user_id)
        join municipality m on m.municipality_id = u.municipality_id
        where s.token_hash = %s and s.expires_at > %s
        """,
        (_digest(token), now),
    ).fetchone()
    if row is None:
        return None
    csrf_token, expires_at, user_id, login, display_name, role, *town = row
    if expires_at - now < length / 2:
        expires_at = now + length
        conn.execute("update user_session set expires_at = %s where token_hash = %s", (expires_at, _digest(token)))
    user = User(user_id, login, display_name, Role(role), Tenant(*town))
    return Session(token, csrf_token, expires_at, user)


def local_path(wanted: str | None, *, otherwise: str = "/") -> str:
    """Where to go after signing in: only a path of this site, whatever the link said.

    >>> local_path("/water?block=b1"), local_path("//evil.example"), local_path("https://evil.example")
    ('/water?block=b1', '/', '/')
    """
    # browsers take a backslash for a slash, and drop tabs and newlines
    if not wanted or not wanted.startswith("/") or wanted.startswith("//"):
        return otherwise
    if "\\" in wanted or any(ord(letter) < 32 for letter in wanted):
        return otherwise
    return wanted


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
