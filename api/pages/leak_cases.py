"""漏水調査: the cases of what may be a leak, by what was done about them; one case with its search area, the way to
walk and its steps; a new one from a finding or by hand. Of those who may see where pipes are.

Everything works without a script and on a phone in the street: the page of a case is what one takes along.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

import numpy as np
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from analytics.leaks.cases import stored
from analytics.leaks.cases.case import (
    CANDIDATE,
    CAUSES,
    ENDED,
    ENDINGS,
    FOUND,
    KINDS,
    NOTHING,
    PLANNED,
    REPAIRED,
    Case,
    loss,
)
from analytics.leaks.cases.stored import MOST_NAME, MOST_TEXT, NewCase, NewStep
from analytics.leaks.cases.walk import Walk, around, of_block, walk
from analytics.leaks.loggers import stored as loggers
from analytics.leaks.network import stored as networks
from analytics.leaks.network.pipes import Network
from api.access import Router, SignedIn, Visit, access
from api.errors import NotFound, Text
from api.pages.alert_list import open_alerts
from api.pages.days import day_start
from api.pages.field_form import number
from api.pages.pipe_drawing import Drawing, draw
from api.pages.pipes import KEEPERS
from api.pages.site import Moment, moment, page
from api.pages.suspects import Suspect, suspect_of, suspects
from api.pages.town_time import read_time
from api.pages.typed import Form
from store.connection import Connection
from store.errors import RecordError

router = Router()

LEAKS = "/water/leaks"
USUAL_METRES = 300  # around a pipe, where nobody says how far
_BY_HAND = ("finding", "name", "block", "pipe", "metres", "started", "size", "reason")
_STEP = ("time", "day", "what", "pipe", "size", "km", "text")
_COLUMNS = ((CANDIDATE,), (PLANNED,), (NOTHING, FOUND), (REPAIRED,))
_LIKELIEST = 10  # pipes with their chances
_SHOWN = 20  # repaired and ended ones on the board; the file has all
_DONE = frozenset({"opened", *(f"step_{kind}" for kind in KINDS)})


@dataclass(frozen=True, slots=True)
class Row:
    """A case with what it has lost so far, m3 and yen; None: not known."""

    case: Case
    lost: float | None
    yen: float | None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a case is searched: the way to walk, its picture, and the names of the pipes."""

    walk: Walk
    drawing: Drawing | None
    pipes: tuple[str, ...]
    suspect: str | None
    names: Mapping[int, str]


@router.get(LEAKS)
@access(KEEPERS, page=True)
def board(request: Request, visit: SignedIn) -> Response:
    return _board(request, visit)


@router.post(LEAKS)
@access(KEEPERS)
def open_one(request: Request, visit: SignedIn, typed: Form) -> Response:
    """Opens a case, or says on the page what is wrong with it."""
    at, town = moment(request, visit), visit.tenant.municipality_id
    try:
        with visit.transaction() as conn:
            new = _new(conn, town, typed, at)
            number_ = stored.open_case(conn, town, new, now=at.now, user_id=visit.user.user_id)
    except RecordError as error:
        return _board(request, visit, typed=typed, problem=error, status=400)
    return RedirectResponse(f"{LEAKS}/{number_}?done=opened", 303)


@router.get(LEAKS + "/{case_id}")
@access(KEEPERS, page=True)
def case_page(request: Request, visit: SignedIn, case_id: int) -> Response:
    return _case_page(request, visit, case_id)


@router.post(LEAKS + "/{case_id}")
@access(KEEPERS)
def take_step(request: Request, visit: SignedIn, case_id: int, typed: Form) -> Response:
    """Takes the step `do`, or says on the page why it cannot be taken."""
    at, town = moment(request, visit), visit.tenant.municipality_id
    try:
        with visit.transaction() as conn:
            case = one(conn, town, case_id)
            if typed.get("seen") != str(len(case.steps)):
                raise RecordError("kind", "changed")
            step = _step(conn, town, case, typed, at)
            stored.take(conn, town, case, step, now=at.now, user_id=visit.user.user_id)
    except RecordError as error:
        return _case_page(request, visit, case_id, typed=typed, problem=error, status=400)
    return RedirectResponse(f"{LEAKS}/{case_id}?done=step_{step.kind}", 303)


def row_of(case: Case, price: stored.Price | None, now: datetime) -> Row:
    """A case with its loss at this moment."""
    lost = loss(case, now)
    return Row(case, lost, None if lost is None or price is None else lost * price.yen_m3)


def one(conn: Connection, municipality_id: int, case_id: int) -> Case:
    """That case. Raises NotFound."""
    found = stored.cases(conn, municipality_id, case_id)
    if not found:
        raise NotFound(
            Text(
                f"漏水調査 {case_id} はありません。一覧から選び直してください。",
                f"There is no leak case {case_id}. Choose one from the list.",
            )
        )
    return found[0]


# --- the board


def _board(
    request: Request,
    visit: Visit,
    *,
    typed: Mapping[str, str] | None = None,
    problem: RecordError | None = None,
    status: int = 200,
) -> Response:
    at, town = moment(request, visit), visit.tenant.municipality_id
    with visit.transaction() as conn:
        found = stored.cases(conn, town)
        price = stored.price(conn, town)
        stations = {
            row[0]: row[1:]
            for row in conn.execute(
                "select station_id, code, name, name_en from station where municipality_id = %s", (town,)
            )
        }
        known = {case.finding_id for case in found}
        waiting = [
            (stations[station_id], each)
            for station_id, several in suspects(conn, at.now).items()
            for each in several
            if each.ended_at is None and each.finding_id not in known and station_id in stations
        ]
        blocks = _blocks(conn, town)
        areas = loggers.suspects(conn, town)
        alerts = open_alerts(conn, visit.user.role)
    rows = [row_of(case, price, at.now) for case in found]
    columns = [(states[-1], _sorted([row for row in rows if row.case.state in states])) for states in _COLUMNS]
    return page(
        request,
        visit,
        at,
        "water_leaks",
        alerts,
        status=status,
        columns=columns,
        ended=[row for row in rows if row.case.state == ENDED][:_SHOWN],
        shown=_SHOWN,
        waiting=waiting,
        areas=areas,
        blocks=blocks,
        metres=USUAL_METRES,
        price=price,
        typed={name: (typed or {}).get(name, "") for name in _BY_HAND},
        blank=dict.fromkeys(_BY_HAND, ""),
        problem=problem,
        most_name=MOST_NAME,
        most_text=MOST_TEXT,
    )


def _sorted(rows: list[Row]) -> list[Row]:
    """What may bring most for a km of walking first; what nobody knows the size or the area of last."""
    return sorted(rows, key=lambda row: (row.case.priority is None, -(row.case.priority or 0.0), -row.case.case_id))


def _present(conn: Connection, municipality_id: int) -> int | None:
    return next((each.pipe_network_id for each in networks.versions(conn, municipality_id) if each.present), None)


def _blocks(conn: Connection, municipality_id: int) -> list[str] | None:
    """The blocks that pipes are in; None where there is no network at all."""
    network_id = _present(conn, municipality_id)
    if network_id is None:
        return None
    return sorted({each.block for each in networks.lengths(conn, municipality_id, network_id) if each.block})


def _new(conn: Connection, municipality_id: int, typed: Mapping[str, str], at: Moment) -> NewCase:
    """What a form says of a new case. A finding gives the beginning and the size, one of
    the loggers its area too. Raises `RecordError`.
    """
    network_id, pipes, suspect = _area(conn, municipality_id, typed)
    reason = typed.get("reason", "")
    said = typed.get("finding", "")
    if said:
        finding = suspect_of(conn, int(said)) if said.isascii() and said.isdigit() and len(said) < 18 else None
        if finding is None:
            raise RecordError("finding", "unknown")
        size = finding.excess if finding.excess > 0 else None
        area = loggers.suspects(conn, municipality_id).get(finding.finding_id)
        if area is not None and not pipes:  # it knows where itself
            network_id, pipes, suspect = area.network_id, area.pipes, area.pipe
        return NewCase(
            typed.get("name", ""), reason, finding.finding_id, network_id, pipes, suspect, finding.started_at, size
        )
    size = number(typed.get("size", ""), "size")
    if size is not None and not size > 0:
        raise RecordError("size", "number")
    started = _day(typed.get("started", ""), "started", at.zone)
    return NewCase(typed.get("name", ""), reason, None, network_id, pipes, suspect, started, size)


def _area(
    conn: Connection, municipality_id: int, typed: Mapping[str, str]
) -> tuple[int | None, tuple[int, ...], int | None]:
    """Version, pipes and the pipe to begin at: around a pipe, else a block, else nothing. Raises `RecordError`."""
    name, block = typed.get("pipe", "").strip(), typed.get("block", "")
    if not name and not block:
        return None, (), None
    network_id = _present(conn, municipality_id)
    if network_id is None:
        raise RecordError("pipe" if name else "block", "unknown")
    network = networks.network_of(conn, municipality_id, network_id)
    if not name:
        found, suspect = of_block(network, block), None
        if not len(found):
            raise RecordError("block", "unknown")
    else:
        suspect = _pipe(network, name)
        metres = number(typed.get("metres", ""), "metres")
        if metres is not None and not 0 <= metres <= 20_000:
            raise RecordError("metres", "number")
        found = around(network, suspect, USUAL_METRES if metres is None else metres)
    return network_id, tuple(found.tolist()), suspect


def _pipe(network: Network, name: str) -> int:
    if name not in network.pipes.names:
        raise RecordError("pipe", "unknown")
    return network.pipes.names.index(name)


def _day(text: str, field: str, zone: ZoneInfo) -> datetime | None:
    """The beginning of a day; None for nothing."""
    if not text:
        return None
    try:
        return day_start(date.fromisoformat(text), zone)
    except ValueError:
        raise RecordError(field, "unreadable") from None


# --- one case


def _case_page(
    request: Request,
    visit: Visit,
    case_id: int,
    *,
    typed: Mapping[str, str] | None = None,
    problem: RecordError | None = None,
    status: int = 200,
) -> Response:
    at, town = moment(request, visit), visit.tenant.municipality_id
    with visit.transaction() as conn:
        case = one(conn, town, case_id)
        price = stored.price(conn, town)
        finding: Suspect | None = None if case.finding_id is None else suspect_of(conn, case.finding_id)
        place = _place(conn, town, case)
        area = None if case.finding_id is None else loggers.suspects(conn, town).get(case.finding_id)
        alerts = open_alerts(conn, visit.user.role)
    done = request.query_params.get("done")
    return page(
        request,
        visit,
        at,
        "water_leaks_case",
        alerts,
        status=status,
        row=row_of(case, price, at.now),
        case=case,
        price=price,
        finding=finding,
        place=place,
        chances=() if area is None or place is None else _chances(place, area),
        causes=CAUSES,
        endings=ENDINGS,
        tried=(typed or {}).get("do", ""),
        typed={name: (typed or {}).get(name, "") for name in _STEP},
        problem=problem,
        most_text=MOST_TEXT,
        done=done if done in _DONE else None,
        here=lambda **changed: f"{LEAKS}/{case_id}?lang={changed.get('lang', at.words.code)}",
    )


def _place(conn: Connection, municipality_id: int, case: Case) -> Place | None:
    """None where nobody said where to search."""
    if case.network_id is None:
        return None
    network = networks.network_of(conn, municipality_id, case.network_id)
    way = walk(network, np.array(case.pipes), case.suspect)
    names = network.pipes.names
    return Place(
        way,
        draw(network, area=case.pipes, stops=[(stop.x, stop.y) for stop in way.stops]),
        tuple(names[each] for each in case.pipes),
        None if case.suspect is None else names[case.suspect],
        {each: names[each] for each in case.pipes},
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
        when = _day(typed.get("day", ""), "day", at.zone)
        if when is None:
            raise RecordError("day", "empty")
    else:
        when = read_time(typed.get("time", ""), at.now, at.zone)
    size, km = number(typed.get("size", ""), "size"), number(typed.get("km", ""), "km")
    if size is not None and not size > 0:
        raise RecordError("size", "number")
    if km is not None and not 0 <= km <= 1000:
        raise RecordError("km", "number")
    pipe = typed.get("pipe", "").strip() or None
    if pipe is not None and case.network_id is not None:
        _pipe(networks.network_of(conn, municipality_id, case.network_id), pipe)
    return NewStep(kind, when, typed.get("text", ""), typed.get("what") or None, pipe, size, km)
