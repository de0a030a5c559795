"""The page behind the link in a message. Opening it changes nothing; its button acknowledges.

Whoever has the link is the recipient: no sign-in, 12 hours (`alerts.answers`). A link that is unknown and one that is
over look the same, and who tries many is slowed down. A telephone service that was given the address posts to it when
a key is pressed; without a browser's Accept it is answered in JSON.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from alerts.answers import Asked, answer, find
from api.access import PUBLIC, Router, access
from api.errors import NotFound, Text, TooManyLinks
from api.language import page_language_of
from api.pages import formats
from api.pages.site import plain_page, site
from api.state import ApiState
from store.connection import Connection
from store.links import token_hash

router = Router()

ADDRESS = "/answer/{token}"
MOST_TOKEN = 100


@router.get(ADDRESS)
@access(PUBLIC)
def answer_page(request: Request, token: str) -> Response:
    state: ApiState = request.app.state.api
    clock = state.database.clock()
    with _asked(request, token) as (conn, asked):
        zone = ZoneInfo(_timezone(conn, asked.municipality_id))
    words = site().words[page_language_of(request)]

    def at(time: object) -> str:
        return formats.clock_time(time, clock.now(), zone)  # type: ignore[arg-type]  # the template has datetimes only

    return plain_page(request, "answer", asked=asked, at=at, simulated=clock.simulated, token=token, code=words.code)


@router.post(ADDRESS)
@access(PUBLIC)
def answer_asked(request: Request, token: str) -> Response:
    state: ApiState = request.app.state.api
    now = state.database.clock().now()
    with _asked(request, token) as (conn, asked):
        answer(conn, asked, token, now)
    if "text/html" in request.headers.get("accept", ""):
        return RedirectResponse(f"/answer/{token}", 303)
    return JSONResponse({"acknowledged": True})


@contextmanager
def _asked(request: Request, token: str) -> Iterator[tuple[Connection, Asked]]:
    """The transaction of the link's municipality, and what the link asks about."""
    state: ApiState = request.app.state.api
    address = request.client.host if request.client else ""
    if (pause := state.throttle_answer.pause(address)) > 0:
        raise TooManyLinks(int(pause) + 1)
    municipality_id = None
    if len(token) <= MOST_TOKEN:
        with state.database.transaction(None) as conn:
            row = conn.execute("select municipality_of_answer(%s)", (token_hash(token),)).fetchone()
        municipality_id = None if row is None else row[0]
    if municipality_id is not None:
        with state.database.transaction(municipality_id) as conn:
            asked = find(conn, municipality_id, token)
            if asked is not None:
                yield conn, asked
                return
    state.throttle_answer.failed(address)
    raise NotFound(
        Text(
            "このリンクは使えません。期限（12時間）が過ぎたか、途中で切れています。",
            "This link is of no use: its 12 hours are over, or a part of it is missing.",
        ),
        Text(
            "サインインして、アラートの画面で確認してください。", "Sign in, and acknowledge on the page of the alerts."
        ),
    )


def _timezone(conn: Connection, municipality_id: int) -> str:
    row = conn.execute("select timezone from municipality where municipality_id = %s", (municipality_id,)).fetchone()
    assert row is not None, f"municipality {municipality_id} is not registered"
    return str(row[0])
