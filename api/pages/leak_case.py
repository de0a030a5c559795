"""One case of 漏水調査: what is known of it, the way to walk, its steps, and the next one with its photos.

It is what one takes along into the street: it works without a script, and with ?copy=1 it is the page as a browser
keeps it, to be opened without a network (field_queue.js, case_keep.js): no token, no photo, and of the steps those that
are taken in the street. What was entered there comes with a key, later, and once; where Accept is JSON the answer is
JSON as of reports from the field: {"report": the step's number, "again", "unread"}, or a problem with `field`, `code`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from uuid import UUID, uuid4

import numpy as np
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from analytics.leaks.blocks import stored as blocks
from analytics.leaks.cases import correlations, step_tests, stored
from analytics.leaks.cases.case import CAUSES, ENDINGS, FOUND, KINDS, NOTE, NOTHING, PLANNED, REPAIRED, Case
from analytics.leaks.cases.kept import MOST_TEXT as MOST_REASON
from analytics.leaks.cases.photos import photos_of, put_photos
from analytics.leaks.cases.stored import MOST_TEXT, NewStep
from analytics.leaks.cases.walk import Walk, walk
from analytics.leaks.loggers import stored as loggers
from analytics.leaks.network import stored as networks
from analytics.leaks.network.pipes import Network
from api.access import Router, SignedIn, Visit, access
from api.pages.alert_list import open_alerts
from api.pages.blocks_now import Now, Repair, blocks_now, repairs
from api.pages.count_copies import asked_for
from api.pages.field_form import Unread, key_of, number, read_form, read_photos, taken_json, wants_json, when
from api.pages.leak_cases import LEAKS, day_of, one, pipe_of, row_of
from api.pages.leak_evidence import Evidence, evidence, network_id
from api.pages.pipe_drawing import Drawing, draw
from api.pages.site import Moment, formats_at, moment, page, plain_page
from api.roles import PIPE_KEEPERS
from devices.photos import Photo
from store.connection import Connection
from store.errors import RecordError
from store.field_reports import MOST_PHOTOS

router = Router()

_STEP = ("time", "day", "what", "pipe", "size", "km", "text")
_IN_THE_STREET = frozenset({FOUND, NOTHING, REPAIRED, NOTE})
_LIKELIEST = 10  # pipes with their chances
_KEPT = ("correlated", "correlation_gone", "stepped", "stepped_gone")
_DONE = frozenset({"opened", "photo_gone", *_KEPT, *(f"step_{kind}" for kind in KINDS)})


@dataclass(frozen=True, slots=True)
class Place:
    """Where a case is searched: the way to walk, its picture, and the names of the pipes; `holds`: how probably the
    leak is there, where what was kept with it has moved the area that the case was opened with.
    """

    walk: Walk
    drawing: Drawing | None
    pipes: tuple[str, ...]
    suspect: str | None
    names: Mapping[int, str]
    holds: float | None = None


@router.get(LEAKS + "/{case_id}")
@access(PIPE_KEEPERS, page=True)
def case_page(request: Request, visit: SignedIn, case_id: int) -> Response:
    return _case_page(request, visit, case_id, copy=asked_for(request))


@router.post(LEAKS + "/{case_id}")
@access(PIPE_KEEPERS)
async def take_step(request: Request, visit: SignedIn, case_id: int) -> Response:
    """Takes the step `do` with its photos, or says on the page why it cannot be taken."""
    sent = await read_form(request)
    try:
        photos, unread = await read_photos(sent.files)
    except RecordError as error:
        return await run_in_threadpool(_refused, request, visit, case_id, sent.typed, error)
    return await run_in_threadpool(_taken, request, visit, case_id, sent.typed, photos, unread)


def _taken(
    request: Request,
    visit: Visit,
    case_id: int,
    typed: Mapping[str, str],
    photos: Sequence[Photo],
    unread: Sequence[Unread],
) -> Response:
    at, key = moment(request, visit), key_of(typed.get("key", ""))
    before = _before(visit, case_id, key)
    try:
        number_ = _take(visit, case_id, typed, photos, key, at) if before is None else before
    except RecordError as error:
        before = _before(visit, case_id, key)  # sent twice at this very moment
        if before is None:
            return _refused(request, visit, case_id, typed, error)
        number_ = before
    if wants_json(request):
        return taken_json(number_, before is not None, unread, at.words)
    # A photo that cannot be read is no reason to lose the step.
    left = f"&unread={unread[0].code}" if unread else ""
    return RedirectResponse(f"{LEAKS}/{case_id}?done=step_{typed.get('do')}{left}", 303)


def _before(visit: Visit, case_id: int, key: UUID | None) -> int | None:
    """The number of the step that came with this key."""
    if key is None:
        return None
    with visit.transaction() as conn:
        return stored.entered(conn, visit.tenant.municipality_id, case_id, key)


def _take(
    visit: Visit, case_id: int, typed: Mapping[str, str], photos: Sequence[Photo], key: UUID | None, at: Moment
) -> int:
    """The number of the new step. Raises `RecordError`."""
    town, seen = visit.tenant.municipality_id, typed.get("seen", "")
    if not (seen.isascii() and seen.isdigit() and len(seen) < 6):
        raise RecordError("kind", "changed")
    with visit.transaction() as conn:
        case = one(conn, town, case_id)
        step = _step(conn, town, case, typed, at)
        user = visit.user.user_id
        taken = stored.take(conn, town, case, step, now=at.now, user_id=user, seen=int(seen), key=key)
        put_photos(conn, town, case_id, taken, photos, now=at.now)
    return taken


def _refused(request: Request, visit: Visit, case_id: int, typed: Mapping[str, str], error: RecordError) -> Response:
    if not wants_json(request):
        return _case_page(request, visit, case_id, typed=typed, problem=error, status=400)
    said = moment(request, visit).words(f"leaks.problem.{error.code}")
    return JSONResponse({"detail": said, "field": error.field, "code": error.code}, HTTPStatus.BAD_REQUEST)


def _case_page(
    request: Request,
    visit: Visit,
    case_id: int,
    *,
    typed: Mapping[str, str] | None = None,
    problem: RecordError | None = None,
    status: int = 200,
    copy: bool = False,
) -> Response:
    at, town = moment(request, visit), visit.tenant.municipality_id
    with visit.transaction() as conn:
        case = one(conn, town, case_id)
        price = stored.price(conn, town)
        results = correlations.correlations(conn, town, case_id)
        tests = step_tests.step_tests(conn, town, case_id)
        version = network_id(case, [*results, *tests])
        network = None if version is None else networks.network_of(conn, town, version)
        here = _block(conn, case, at)
        areas = loggers.suspects(conn, town)
        area = None if case.finding_id is None else areas.get(case.finding_id)
        known = evidence(conn, case, results, tests, network, areas, at, None if here is None else here[0])
        place = None if network is None else _place(network, case, known)
        photos = photos_of(conn, town, case_id)
        alerts = open_alerts(conn, visit.user.role)
    done, unread = request.query_params.get("done"), request.query_params.get("unread", "")
    model: dict[str, Any] = {
        "row": row_of(case, price, at.now),
        "case": case,
        "may": case.may & _IN_THE_STREET if copy else case.may,
        "price": price,
        "evidence_lines": known.lines,
        "most_reason": MOST_REASON,
        "place": place,
        "here_block": here,
        "photos": photos,
        "most_photos": MOST_PHOTOS,
        "unread": unread if f"record.problem.photo_{unread}" in at.words.texts else None,
        "chances": () if area is None or place is None else _chances(place, area),
        "causes": CAUSES,
        "endings": ENDINGS,
        "tried": (typed or {}).get("do", ""),
        "typed": {name: (typed or {}).get(name, "") for name in _STEP},
        "problem": problem,
        "most_text": MOST_TEXT,
        "done": done if done in _DONE else None,
        "copy": copy,
        "new_key": lambda: str(uuid4()),
        "user": visit.user,
        "tenant": visit.tenant,
        "clock": at.clock,
    }
    if copy:
        return plain_page(request, "water_leaks_case", layout="kept.html", csrf_token=None, **formats_at(at), **model)
    model["here"] = lambda **changed: f"{LEAKS}/{case_id}?lang={changed.get('lang', at.words.code)}"
    return page(request, visit, at, "water_leaks_case", alerts, status=status, **model)


def _block(conn: Connection, case: Case, at: Moment) -> tuple[Now, Repair | None] | None:
    """How the block is behind whose inlet it is searched, and what the repair brought; None where that is not known."""
    found = [each for each in blocks.blocks(conn) if each.station_id == case.station_id]
    if not found:
        return None
    (now,) = blocks_now(conn, found, at)
    return now, next(iter(repairs(conn, found[0], [case], at)), None)


def _place(network: Network, case: Case, known: Evidence) -> Place | None:
    """None where nobody said where to search, and nothing that was kept does."""
    pipes: Sequence[int] = case.pipes if case.network_id is not None else ()
    suspect = case.suspect
    if known.area is not None:
        pipes = known.area.pipes.tolist()
        suspect = pipes[0]
    if not pipes:
        return None
    way = walk(network, np.array(pipes), suspect)
    names = network.pipes.names
    return Place(
        way,
        draw(
            network,
            area=pipes,
            stops=[(stop.x, stop.y) for stop in way.stops],
            spans=known.spans,
            sections=known.sections,
        ),
        tuple(names[each] for each in pipes),
        None if suspect is None else names[suspect],
        {each: names[each] for each in (*pipes, *case.pipes)},
        None if known.area is None else known.area.holds,
    )


def _chances(place: Place, area: loggers.Area) -> tuple[tuple[str, float], ...]:
    """The likeliest pipes of a suspect with the chance of each."""
    names = dict(zip(area.pipes, area.chances, strict=True))
    return tuple(
        (place.names[pipe], chance) for pipe, chance in list(names.items())[:_LIKELIEST] if pipe in place.names
    )


def _step(conn: Connection, municipality_id: int, case: Case, typed: Mapping[str, str], at: Moment) -> NewStep:
    """What a form says of a step. Raises `RecordError`."""
    kind = typed.get("do", "")
    if kind == PLANNED:
        moment_ = day_of(typed.get("day", ""), "day", at.zone)
        if moment_ is None:
            raise RecordError("day", "empty")
    else:
        moment_ = when(typed, at.now, at.zone)
    size, km = number(typed.get("size", ""), "size"), number(typed.get("km", ""), "km")
    if size is not None and not size > 0:
        raise RecordError("size", "number")
    if km is not None and not 0 <= km <= 1000:
        raise RecordError("km", "number")
    pipe = typed.get("pipe", "").strip() or None
    if pipe is not None and case.network_id is not None:
        pipe_of(networks.network_of(conn, municipality_id, case.network_id), pipe)
    return NewStep(kind, moment_, typed.get("text", ""), typed.get("what") or None, pipe, size, km)
