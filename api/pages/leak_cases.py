"""漏水調査: the cases of what may be a leak, by what was done about them; a new one from a finding or by hand. Of those
who may see where pipes are. One case is `api.pages.leak_case`. Everything works without a script.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from analytics.leaks.blocks import stored as blocks
from analytics.leaks.cases import stored
from analytics.leaks.cases.case import (
    CANDIDATE,
    ENDED,
    FOUND,
    NOTHING,
    PLANNED,
    REPAIRED,
    Case,
    loss,
)
from analytics.leaks.cases.stored import MOST_NAME, MOST_TEXT, NewCase
from analytics.leaks.cases.walk import around, of_block
from analytics.leaks.loggers import stored as loggers
from analytics.leaks.network import stored as networks
from analytics.leaks.network.pipes import Network
from api.access import Router, SignedIn, Visit, access
from api.errors import NotFound, Text
from api.pages.alert_list import open_alerts
from api.pages.days import day_start
from api.pages.field_form import number
from api.pages.site import Moment, moment, page
from api.pages.suspects import suspect_of, suspects
from api.pages.typed import Form
from api.roles import PIPE_KEEPERS
from store.connection import Connection
from store.errors import RecordError

router = Router()

LEAKS = "/water/leaks"
USUAL_METRES = 300  # around a pipe, where nobody says how far
_BY_HAND = ("finding", "name", "block", "pipe", "metres", "started", "size", "reason")
_COLUMNS = ((CANDIDATE,), (PLANNED,), (NOTHING, FOUND), (REPAIRED,))
_SHOWN = 20  # repaired and ended ones on the board; the file has all


@dataclass(frozen=True, slots=True)
class Row:
    """A case with what it has lost so far, m3 and yen; None: not known."""

    case: Case
    lost: float | None
    yen: float | None


@router.get(LEAKS)
@access(PIPE_KEEPERS, page=True)
def board(request: Request, visit: SignedIn) -> Response:
    return _board(request, visit)


@router.post(LEAKS)
@access(PIPE_KEEPERS)
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
        named = networks.block_names(conn, town)
        behind = {each.station_id: each.pipes for each in blocks.blocks(conn)}
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
        blocks=named,
        behind=behind,
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


def _new(conn: Connection, municipality_id: int, typed: Mapping[str, str], at: Moment) -> NewCase:
    """What a form says of a new case. A finding gives the beginning and the size, one of
    the loggers its area too. Raises `RecordError`.
    """
    area = _area(conn, municipality_id, typed)
    network_id, pipes, suspect = area.network_id, area.pipes, area.suspect
    reason = typed.get("reason", "")
    said = typed.get("finding", "")
    if said:
        finding = suspect_of(conn, int(said)) if said.isascii() and said.isdigit() and len(said) < 18 else None
        if finding is None:
            raise RecordError("finding", "unknown")
        known = loggers.suspects(conn, municipality_id).get(finding.finding_id)
        if known is not None and not pipes:  # it knows where itself
            network_id, pipes, suspect = known.network_id, known.pipes, known.pipe
        return NewCase(
            typed.get("name", ""), reason, finding.finding_id, network_id, pipes, suspect, finding.started_at,
            finding.size, finding.station_id,
        )  # fmt: skip
    size = number(typed.get("size", ""), "size")
    if size is not None and not size > 0:
        raise RecordError("size", "number")
    started = day_of(typed.get("started", ""), "started", at.zone)
    inlet = _inlet(conn, area.block)
    return NewCase(typed.get("name", ""), reason, None, network_id, pipes, suspect, started, size, inlet)


@dataclass(frozen=True, slots=True)
class _Area:
    """Where a case is searched, as a form says it: `pipes` of a version, the one to begin at, and their block."""

    network_id: int | None = None
    pipes: tuple[int, ...] = ()
    suspect: int | None = None
    block: str | None = None


def _area(conn: Connection, municipality_id: int, typed: Mapping[str, str]) -> _Area:
    """Around a pipe, else a block, else nothing. Raises `RecordError`."""
    name, block = typed.get("pipe", "").strip(), typed.get("block", "")
    if not name and not block:
        return _Area()
    network_id = networks.present(conn, municipality_id)
    if network_id is None:
        raise RecordError("pipe" if name else "block", "unknown")
    network = networks.network_of(conn, municipality_id, network_id)
    if not name:
        found = of_block(network, block)
        if not len(found):
            raise RecordError("block", "unknown")
        return _Area(network_id, tuple(found.tolist()), None, block)
    suspect = pipe_of(network, name)
    metres = number(typed.get("metres", ""), "metres")
    if metres is not None and not 0 <= metres <= 20_000:
        raise RecordError("metres", "number")
    found = around(network, suspect, USUAL_METRES if metres is None else metres)
    return _Area(network_id, tuple(found.tolist()), suspect, network.pipes.block[suspect])


def _inlet(conn: Connection, block: str | None) -> int | None:
    """The station that somebody has said feeds a block of the network."""
    return next((each.station_id for each in blocks.blocks(conn) if block is not None and each.pipes == block), None)


def pipe_of(network: Network, name: str) -> int:
    """The pipe of this name. Raises `RecordError`."""
    if name not in network.pipes.names:
        raise RecordError("pipe", "unknown")
    return network.pipes.names.index(name)


def day_of(text: str, field: str, zone: ZoneInfo) -> datetime | None:
    """The beginning of a day as a form says it; None for nothing. Raises `RecordError`."""
    if not text:
        return None
    try:
        return day_start(date.fromisoformat(text), zone)
    except ValueError:
        raise RecordError(field, "unreadable") from None
