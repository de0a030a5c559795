"""The phone's pages: a report from the field, and how a shelter is; by staff with an account, or by a personal link.

`/disaster/field` is for every desk; `/field/TOKEN` for whoever was given the link (`store.field_links`), without a
sign-in (`api.pages.link_holder`). Both send the same form and work without JavaScript; a script keeps the draft.
Where JSON is accepted the answer is JSON: {"report", "again", "unread"}, or a problem with `field`.

With `?copy=1` the form is one to be kept by the browser and opened without a network: it holds no token of a session,
no key of a report, and of the town its name and the names of its stations alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4
from zoneinfo import ZoneInfo

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from api.access import DESKS, PUBLIC, Router, SignedIn, Visit, access
from api.errors import Text
from api.language import page_language_of
from api.pages import formats
from api.pages.field_form import (
    FIELDS,
    SHELTER_FIELDS,
    Sent,
    Taken,
    Unread,
    read_form,
    read_photos,
    say_shelter,
    take_report,
    taken_json,
    wants_json,
)
from api.pages.link_holder import held
from api.pages.site import plain_page, site
from api.pages.words import Words
from api.state import ApiState
from devices.clock import Clock
from devices.photos import Photo
from store import field_links, shelters
from store.connection import Connection
from store.errors import RecordError
from store.field_reports import MOST, MOST_PHOTOS, Author
from store.links import Kind, used

router = Router()

STAFF, STAFF_SHELTERS = "/disaster/field", "/disaster/field/shelters"
BY_LINK = "/field/{token}"
# As for every page, but that the page itself may ask where the telephone is.
_HEADERS = {"Permissions-Policy": "geolocation=(self), camera=(), microphone=()"}


@dataclass(frozen=True, slots=True)
class _Sender:
    """Who sends, whose town it is, and the addresses of their pages. `csrf_token` None: there is no session."""

    municipality_id: int
    town: str
    town_en: str
    zone: ZoneInfo
    clock: Clock
    now: datetime
    author: Author
    name: str
    csrf_token: str | None
    report: str
    shelters: str | None  # None: this link is not for shelters
    login: str | None  # None: somebody without an account
    expires_at: datetime | None = None


@router.get(STAFF)
@access(DESKS, page=True)
def staff_form(request: Request, visit: SignedIn) -> Response:
    return _form_page(request, _of_staff(request, visit))


@router.post(STAFF)
@access(DESKS)
async def staff_report(request: Request, visit: SignedIn) -> Response:
    sender = await run_in_threadpool(_of_staff, request, visit)
    return await _report(request, sender)


@router.get(STAFF_SHELTERS)
@access(DESKS, page=True)
def staff_shelter_form(request: Request, visit: SignedIn) -> Response:
    return _shelter_page(request, _of_staff(request, visit))


@router.post(STAFF_SHELTERS)
@access(DESKS)
async def staff_shelter_word(request: Request, visit: SignedIn) -> Response:
    sent = await read_form(request)
    return await run_in_threadpool(lambda: _said(request, _of_staff(request, visit), sent))


@router.get(BY_LINK)
@access(PUBLIC)
def link_form(request: Request, token: str) -> Response:
    return _form_page(request, _of_link(request, token))


@router.post(BY_LINK)
@access(PUBLIC)
async def link_report(request: Request, token: str) -> Response:
    return await _report(request, await run_in_threadpool(_of_link, request, token))


@router.get(BY_LINK + "/shelters")
@access(PUBLIC)
def link_shelter_form(request: Request, token: str) -> Response:
    return _shelter_page(request, _of_link(request, token, shelters_too=True))


@router.post(BY_LINK + "/shelters")
@access(PUBLIC)
async def link_shelter_word(request: Request, token: str) -> Response:
    sender = await run_in_threadpool(lambda: _of_link(request, token, shelters_too=True))
    sent = await read_form(request)
    return await run_in_threadpool(_said, request, sender, sent)


# --- who sends


def _of_staff(request: Request, visit: Visit) -> _Sender:
    clock = visit.clock
    return _Sender(
        visit.tenant.municipality_id,
        visit.tenant.name,
        visit.tenant.name_en,
        ZoneInfo(visit.tenant.timezone),
        clock,
        clock.now(),
        Author(user_id=visit.user.user_id),
        visit.user.display_name,
        visit.csrf_token,
        STAFF,
        STAFF_SHELTERS,
        visit.user.login,
    )


def _of_link(request: Request, token: str, *, shelters_too: bool = False) -> _Sender:
    town, holder = held(
        request,
        token,
        Kind.FIELD,
        lambda conn, town: _holder(conn, town.municipality_id, token, shelters_too=shelters_too),
        Text(
            "急ぐときは電話で役場に知らせてください。新しいリンクは防災担当かデジタル担当が作ります。",
            "In a hurry, telephone the town hall. The disaster desk or the digital section makes a new link.",
        ),
    )
    base = f"/field/{token}"
    return _Sender(
        town.municipality_id,
        town.name,
        town.name_en,
        town.zone,
        town.clock,
        town.now,
        Author(field_link_id=holder.field_link_id),
        holder.person,
        None,
        base,
        f"{base}/shelters" if holder.shelters else None,
        None,
        holder.expires_at,
    )


def _holder(conn: Connection, municipality_id: int, token: str, *, shelters_too: bool) -> field_links.Holder | None:
    holder = field_links.find(conn, municipality_id, token)
    return None if holder is not None and shelters_too and not holder.shelters else holder


# --- reports


async def _report(request: Request, sender: _Sender) -> Response:
    sent = await read_form(request)
    try:
        photos, unread = await read_photos(sent.files)
    except RecordError as error:
        return await run_in_threadpool(_refused, request, sender, sent, error)
    return await run_in_threadpool(_taken, request, sender, sent, photos, unread)


def _refused(request: Request, sender: _Sender, sent: Sent, error: RecordError) -> Response:
    if wants_json(request):
        status = HTTPStatus.TOO_MANY_REQUESTS if error.code == "often" else HTTPStatus.BAD_REQUEST
        said = _words(request)(f"record.problem.{error.code}")
        return JSONResponse({"detail": said, "field": error.field, "code": error.code}, status)
    return _form_page(request, sender, typed=sent.typed, problem=error, status=400)


def _taken(
    request: Request, sender: _Sender, sent: Sent, photos: Sequence[Photo], unread: tuple[Unread, ...]
) -> Response:
    words, town = _words(request), sender.municipality_id
    try:
        with _state(request).database.transaction(town) as conn:
            _note_use(conn, sender)
            taken = take_report(conn, town, sender.author, sent, photos, unread, now=sender.now, zone=sender.zone)
    except RecordError as error:
        return _refused(request, sender, sent, error)
    if wants_json(request):
        return taken_json(taken.report_id, taken.again, taken.unread, words)
    return RedirectResponse(f"{sender.report}?{urlencode(_sent_query(sent, taken))}", 303)


def _sent_query(sent: Sent, taken: Taken) -> dict[str, str]:
    query = {"sent": str(taken.report_id)}
    if taken.unread:
        query["unread"] = taken.unread[0].code
    if sent.typed.get("drill") == "1":
        query["drill"] = "1"
    return query


def _form_page(
    request: Request,
    sender: _Sender,
    *,
    typed: Mapping[str, str] | None = None,
    problem: RecordError | None = None,
    status: int = 200,
) -> Response:
    query = request.query_params
    with _state(request).database.transaction(sender.municipality_id) as conn:
        stations = conn.execute(
            "select code, name, name_en, kind from station where municipality_id = %s order by kind, name",
            (sender.municipality_id,),
        ).fetchall()
    said = query.get("sent", "")
    unread = query.get("unread", "")
    drill = (typed or query).get("drill") == "1"
    return _page(
        request,
        sender,
        "field",
        copy=typed is None and query.get("copy") == "1",
        status=status,
        stations=stations,
        typed={name: (typed or {}).get(name, "") for name in FIELDS},
        key=(typed or {}).get("key") or str(uuid4()),
        problem=problem,
        sent=said if said.isascii() and said.isdigit() and len(said) < 15 else None,
        unread=unread if f"record.problem.photo_{unread}" in _words(request).texts else None,
        drill=drill,
        here=sender.report,
        most=MOST,
        most_photos=MOST_PHOTOS,
    )


# --- shelters


def _said(request: Request, sender: _Sender, sent: Sent) -> Response:
    try:
        with _state(request).database.transaction(sender.municipality_id) as conn:
            _note_use(conn, sender)
            say_shelter(conn, sender.municipality_id, sender.author, sent.typed, now=sender.now, zone=sender.zone)
    except RecordError as error:
        if error.code == "unknown":  # the list has changed under the form: another one is needed
            return RedirectResponse(f"{sender.shelters}?problem=unknown", 303)
        return _shelter_page(request, sender, typed=sent.typed, problem=error, status=400)
    query = {"sent": "1"} | ({"drill": "1"} if sent.typed.get("drill") == "1" else {})
    return RedirectResponse(f"{sender.shelters}?{urlencode(query)}", 303)


def _shelter_page(
    request: Request,
    sender: _Sender,
    *,
    typed: Mapping[str, str] | None = None,
    problem: RecordError | None = None,
    status: int = 200,
) -> Response:
    query = request.query_params
    drill = (typed or query).get("drill") == "1"
    with _state(request).database.transaction(sender.municipality_id) as conn:
        listed = shelters.shelters(conn, sender.municipality_id, drill=drill)
    if query.get("problem") == "unknown":
        problem = problem or RecordError("shelter", "unknown")
    held = {name: (typed or {}).get(name, "") for name in SHELTER_FIELDS}
    held["shelter"] = held["shelter"] or query.get("shelter", "")
    return _page(
        request,
        sender,
        "field_shelters",
        status=status,
        shelters=listed,
        typed=held,
        problem=problem,
        sent=query.get("sent") == "1",
        drill=drill,
        here=sender.shelters,
        states=shelters.STATES,
        crowding=shelters.CROWDING,
        most=shelters.MOST,
    )


# --- both


def _note_use(conn: Connection, sender: _Sender) -> None:
    if sender.author.field_link_id is not None:
        used(conn, Kind.FIELD, sender.author.field_link_id)


def _page(request: Request, sender: _Sender, name: str, *, status: int, **model: Any) -> Response:
    words = _words(request)

    def at(time: datetime) -> str:
        return formats.clock_time(time, sender.now, sender.zone)

    response = plain_page(
        request,
        name,
        status=status,
        sender=sender,
        simulated=sender.clock.simulated,
        at=at,
        until=None if sender.expires_at is None else f"{sender.expires_at.astimezone(sender.zone):%Y-%m-%d}",
        ago=lambda time: formats.age(time, sender.now, words),
        **model,
    )
    response.headers.update(_HEADERS)
    return response


def _words(request: Request) -> Words:
    return site().words[page_language_of(request)]


def _state(request: Request) -> ApiState:
    state: ApiState = request.app.state.api
    return state
