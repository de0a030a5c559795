"""Every route says at its birth who may use it; a route that does not cannot be made.

A router of ours is `Router()`; a route declares itself with `access`, directly above its function::

    router = Router()

    @router.get("/water")
    @access(READERS, page=True)          # roles; page: a person without a session is sent to the sign-in page
    def water(visit: SignedIn) -> Response:
        with visit.transaction() as conn: ...

    @router.post("/alerts/{alert_id}/acknowledge")
    @access(DESKS, narrowed="the alert's desk")   # the function itself refuses further, as docs/api.md says
    def acknowledge(visit: SignedIn, alert_id: int) -> Response: ...

    @router.get("/sign-in")
    @access(PUBLIC)                      # no session needed; `optional_visit(request)` when it matters
    def form(request: Request) -> Response: ...

    @router.post("/intake/{source}")
    @access(SOURCE)                      # no person: a source of messages, by its own secret (`api.intake`)
    async def take(request: Request) -> Response: ...

The declaration is enforced before the request's parameters or body are looked at: session, role, and for
methods that change something the CSRF token (header X-CSRF-Token or form field csrf_token) and the browser's
word that it is no other site's doing. `Visit.transaction()` sees the rows of the person's municipality only; what
belongs to another one does not exist (404). `undeclared(app)` finds routes made in some other way; `create_app`
refuses to start with any.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, Final, TypeVar
from urllib.parse import quote, urlsplit

from fastapi import APIRouter, Depends, FastAPI
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api.auth import COOKIE, Session, Tenant, User, find_session
from api.config import ApiConfig
from api.errors import CrossSite, NotSignedIn, Refused, Text
from api.roles import DESKS, READERS, Role
from api.source import known_source
from api.state import ApiState
from devices.clock import Clock
from store.connection import Connection

__all__ = [
    "DESKS",
    "PUBLIC",
    "READERS",
    "SOURCE",
    "Access",
    "Role",
    "Router",
    "SignedIn",
    "Visit",
    "access",
    "optional_visit",
    "undeclared",
]

SIGN_IN_PAGE = "/sign-in"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_MARK = "__mimamori_access__"
_Endpoint = TypeVar("_Endpoint", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Access:
    """Who may use a route. `roles` None: anyone, without a session (then there is no tenant either).

    `page` sends a person without a session to the sign-in page instead of answering 401. `narrowed` says in
    words what the route refuses beyond the role. `token` lets the bearer token of the configuration in as well.
    `source`: no person at all, but a source of messages with its own secret; then no role is let in.
    """

    roles: frozenset[Role] | None
    page: bool = False
    narrowed: str | None = None
    token: bool = False
    source: bool = False


PUBLIC = None


class _Source(Enum):
    SOURCE = "source"


SOURCE: Final = _Source.SOURCE


def access(
    roles: frozenset[Role] | _Source | None, *, page: bool = False, narrowed: str | None = None, token: bool = False
) -> Callable[[_Endpoint], _Endpoint]:
    """Declares a route function, or an ASGI application to mount, as usable by these roles (PUBLIC: anyone; SOURCE: a
    source of messages).
    """
    if roles is SOURCE:
        rule = Access(frozenset(), source=True)
    elif roles is not None and not roles:
        raise ValueError("a route that no role may use is no route")
    else:
        rule = Access(roles, page, narrowed, token)

    def mark(endpoint: _Endpoint) -> _Endpoint:
        setattr(endpoint, _MARK, rule)
        return endpoint

    return mark


def declared(thing: object) -> Access | None:
    """What `access` said of a route function or mounted application; None when nothing was said."""
    found = getattr(thing, _MARK, None)
    return found if isinstance(found, Access) else None


class UndeclaredRoute(RuntimeError):
    """A route without a declaration: a fault of whoever wrote it, found before the server starts."""


@dataclass(frozen=True, slots=True)
class Visit:
    """One request of a signed-in person: who, and the way to their municipality's rows."""

    session: Session
    state: ApiState

    @property
    def user(self) -> User:
        return self.session.user

    @property
    def tenant(self) -> Tenant:
        return self.session.user.tenant

    @property
    def csrf_token(self) -> str:
        """For `<input type="hidden" name="csrf_token">` and the header X-CSRF-Token of scripts."""
        return self.session.csrf_token

    @property
    def config(self) -> ApiConfig:
        return self.state.config

    @property
    def clock(self) -> Clock:
        """The town clock; `clock.simulated` makes every page say 【模擬】."""
        return self.state.database.clock()

    def transaction(self) -> AbstractContextManager[Connection]:
        """A transaction of the person's municipality; see `api.database`."""
        return self.state.database.transaction(self.tenant.municipality_id)


async def current_visit(request: Request) -> Visit:
    """The visit that the route's declaration let in."""
    visit: Visit = request.state.visit
    return visit


SignedIn = Annotated[Visit, Depends(current_visit)]


def optional_visit(request: Request) -> Visit | None:
    """Who is signed in on a public route, if anyone. Looks into the database: call from a thread."""
    token = request.cookies.get(COOKIE)
    if not token:
        return None
    state: ApiState = request.app.state.api
    with state.database.transaction(None) as conn:
        session = find_session(conn, token, length=state.session_length)
    return None if session is None else Visit(session, state)


class GuardedRoute(APIRoute):
    """A route that lets in whom its declaration names; raises `UndeclaredRoute` when it has none."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()
        rule = declared(self.endpoint)
        if rule is None:
            raise UndeclaredRoute(
                f"{sorted(self.methods or ())} {self.path} ({self.endpoint.__qualname__}) does not say who may use it: "
                "put @access(...) directly above the function"
            )

        async def guarded(request: Request) -> Response:
            try:
                await _admit(request, rule)
                return await handler(request)
            except NotSignedIn:
                if rule.page and request.method in _SAFE:
                    return RedirectResponse(_sign_in_address(request), 303)
                raise
            finally:
                await request.close()  # the files of a form, whoever has read it and whatever came of it

        return guarded


class Router(APIRouter):
    """An APIRouter whose routes are all guarded."""

    def __init__(self, **options: Any) -> None:
        super().__init__(route_class=GuardedRoute, **options)


def undeclared(app: FastAPI) -> Iterator[str]:
    """Routes and mounts of the application that nobody declared, in words."""
    for context in iter_route_contexts(app.routes):
        route = context.original_route
        if isinstance(route, GuardedRoute):
            continue
        if isinstance(route, APIRoute) or declared(getattr(route, "app", None)) is None:
            yield f"{context.path or route!r} ({type(route).__name__})"


async def _admit(request: Request, rule: Access) -> None:
    """Raises unless the rule lets this request in; leaves the visit in `request.state.visit`, a source in `.source`."""
    if rule.source:
        # Nothing that a browser sends by itself: other sites' requests have no secret.
        request.state.source = known_source(request)
        return
    if request.method not in _SAFE:
        _refuse_other_sites(request)
    if rule.roles is None:
        return
    state: ApiState = request.app.state.api
    if rule.token and _bears(request, state.config.metrics_token):
        request.state.visit = None
        return
    visit = await run_in_threadpool(optional_visit, request)
    if visit is None:
        raise NotSignedIn()
    if request.method not in _SAFE:
        await _check_csrf(request, visit.csrf_token)
    if visit.user.role not in rule.roles:
        raise Refused(
            Text("このアカウントの役割では利用できません。", "The role of this account does not include this.")
        )
    request.state.visit = visit


def _refuse_other_sites(request: Request) -> None:
    """Sign-in has no session to hold a token yet; the browser itself says where a request comes from."""
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    foreign = site not in (None, "same-origin", "none")
    if site is None and origin is not None:
        foreign = urlsplit(origin).netloc != request.headers.get("host")
    if foreign:
        raise CrossSite(Text("別のサイトからの操作は受け付けません。", "Requests from other sites are refused."))


async def _check_csrf(request: Request, expected: str) -> None:
    given = request.headers.get("x-csrf-token")
    if given is None and request.headers.get("content-type", "").startswith(
        ("application/x-www-form-urlencoded", "multipart/form-data")
    ):
        field = (await request.form()).get("csrf_token")
        given = field if isinstance(field, str) else None
    if given is None or not secrets.compare_digest(given.encode(), expected.encode()):
        raise CrossSite(Text("操作の確認用トークンがないか、古くなっています。", "The CSRF token is missing or old."))


def _bears(request: Request, token: str | None) -> bool:
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if token is None or scheme.lower() != "bearer":
        return False
    return secrets.compare_digest(given.strip().encode(), token.encode())


def _sign_in_address(request: Request) -> str:
    # a path of this site: the Host header is the visitor's and decides nothing
    wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return f"{SIGN_IN_PAGE}?next={quote(wanted, safe='')}"
