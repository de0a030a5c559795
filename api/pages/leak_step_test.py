"""The form for what a night's step test showed: the valves of the plan in their order, the inflow read after each.

It is kept with a leak case (`analytics.leaks.cases.step_tests`), shown with the others that speak for its place, and
taken back there (`api.pages.leak_evidence`). A step that was left out stays empty. Where something cannot be taken
everything that was typed comes back, with the reason at its field. It works without a script.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal

import numpy as np
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from analytics.leaks.blocks import stored as blocks
from analytics.leaks.blocks.stored import Block
from analytics.leaks.cases import step_tests
from analytics.leaks.cases.case import ENDED, REPAIRED, Case
from analytics.leaks.cases.kept import MOST_TEXT
from analytics.leaks.cases.step_test import Steps, steps
from analytics.leaks.cases.step_tests import MOST_INFLOW, Closed, NewStepTest
from analytics.leaks.cases.walk import of_block
from analytics.leaks.network import stored as networks
from analytics.leaks.network.pipes import Network
from api.access import Router, SignedIn, Visit, access
from api.pages.alert_list import open_alerts
from api.pages.block_pipes import fed_at, positions
from api.pages.field_form import number
from api.pages.leak_cases import LEAKS, one
from api.pages.site import Moment, moment, page
from api.pages.typed import Form
from api.roles import PIPE_KEEPERS
from store.connection import Connection
from store.errors import RecordError

router = Router()

_SHUT, _OPEN = "shut", "open"
_ANSWERS = (_SHUT, _OPEN)


@dataclass(frozen=True, slots=True)
class Planned:
    """The plan of a case's block in the version `network_id`; `inlet`: the node at which it is fed."""

    block: Block
    network_id: int
    inlet: str
    steps: Steps


Missing = Literal["block", "inlet", "valves"]


@router.get(LEAKS + "/{case_id}/step-test")
@access(PIPE_KEEPERS, page=True)
def step_test_page(request: Request, visit: SignedIn, case_id: int) -> Response:
    return _page(request, visit, case_id)


@router.post(LEAKS + "/{case_id}/step-test")
@access(PIPE_KEEPERS)
def keep(request: Request, visit: SignedIn, case_id: int, typed: Form) -> Response:
    """Keeps a result with its case, or says on the page why it cannot be kept."""
    at, town = moment(request, visit), visit.tenant.municipality_id
    try:
        with visit.transaction() as conn:
            case = one(conn, town, case_id)
            planned = _planned(conn, town, case)
            if isinstance(planned, str):
                raise RecordError("steps", "plan")
            new = _new(planned, typed, at)
            step_tests.keep(conn, town, case, new, now=at.now, user_id=visit.user.user_id)
    except RecordError as error:
        return _page(request, visit, case_id, typed=typed, problem=error, status=400)
    return RedirectResponse(f"{LEAKS}/{case_id}?done=stepped#evidence", 303)


def _page(
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
        planned = _planned(conn, town, case)
        alerts = open_alerts(conn, visit.user.role)
    plan = None if isinstance(planned, str) else planned
    said = typed or {}
    after = _by_valve(said, "after")
    known = set() if plan is None else {each.valve for each in plan.steps.steps}
    return page(
        request,
        visit,
        at,
        "water_leaks_step_test",
        alerts,
        status=status,
        case=case,
        over=case.state in (ENDED, REPAIRED),
        planned=plan,
        missing=planned if isinstance(planned, str) else None,
        day=said.get("day", at.now.astimezone(at.zone).date().isoformat()),
        said={name: said.get(name, "") for name in ("before", "rings", "others", "text")},
        after=after,
        left_open=[valve for valve, text in _by_valve(said, "open").items() if text],
        gone={valve: text for valve, text in after.items() if text.strip() and valve not in known},
        answers=_ANSWERS,
        problem=problem,
        most_text=MOST_TEXT,
        here=lambda **changed: f"{LEAKS}/{case_id}/step-test?lang={changed.get('lang', at.words.code)}",
    )


def _planned(conn: Connection, municipality_id: int, case: Case) -> Planned | Missing:
    """In the case's own version of the network, else in the present one; what is missing where there is no plan."""
    version = networks.present(conn, municipality_id) if case.network_id is None else case.network_id
    if version is None:
        return "block"
    network = networks.network_of(conn, municipality_id, version)
    here = _block_of(conn, case, network)
    pipes = of_block(network, here.pipes or "") if here is not None else np.zeros(0, np.int64)
    if here is None or not len(pipes):
        return "block"
    inlet, _ = fed_at(network, pipes, positions(conn, here)[0])
    if inlet is None:
        return "inlet"
    found = steps(network, pipes, inlet)
    return Planned(here, version, network.nodes.names[inlet], found) if found.steps else "valves"


def _block_of(conn: Connection, case: Case, network: Network) -> Block | None:
    """The block behind the case's inlet, else that of most of its pipes, where somebody has chosen its pipes."""
    chosen = [each for each in blocks.blocks(conn) if each.pipes is not None]
    own = [each for each in chosen if each.station_id == case.station_id]
    if own or case.network_id is None:
        return next(iter(own), None)
    names = Counter(network.pipes.block[pipe] for pipe in case.pipes).most_common(1)
    return next((each for each in chosen if names and each.pipes == names[0][0]), None)


def _by_valve(typed: Mapping[str, str], field: str) -> dict[str, str]:
    """What was typed for each valve of the plan that the form was made from."""
    named = f"{field}_valve_"
    return {
        valve: typed.get(f"{field}_{key.removeprefix(named)}", "")
        for key, valve in typed.items()
        if key.startswith(named)
    }


def _new(planned: Planned, typed: Mapping[str, str], at: Moment) -> NewStepTest:
    """What the form says. Raises `RecordError`."""
    try:
        day = date.fromisoformat(typed.get("day", ""))
    except ValueError:
        raise RecordError("day", "unreadable") from None
    if day > at.now.astimezone(at.zone).date():
        raise RecordError("day", "future")
    rings, others = typed.get("rings"), typed.get("others")
    left_open = {valve for valve, said in _by_valve(typed, "open").items() if said}
    first = tuple(each.key for each in planned.steps.first if each.valve not in left_open)
    if planned.steps.first and rings not in _ANSWERS:
        raise RecordError("rings", "empty")
    if rings == _OPEN and not left_open:
        raise RecordError("rings", "which")
    if rings == _SHUT and left_open:
        raise RecordError("rings", "both")
    if planned.steps.others and others not in _ANSWERS:
        raise RecordError("others", "empty")
    before = _inflow(typed.get("before", ""), "before")
    if before is None:
        raise RecordError("before", "empty")
    after = _by_valve(typed, "after")
    closed = []
    for n, each in enumerate(planned.steps.steps, start=1):
        read = _inflow(after.pop(each.valve, ""), f"after_{n}")
        if read is not None:
            closed.append(Closed(each.valve, each.pipe, read))
    if any(text.strip() for text in after.values()) or left_open - {each.valve for each in planned.steps.first}:
        raise RecordError("steps", "plan")
    return NewStepTest(
        planned.network_id, planned.block.station_id, planned.block.pipes or "", planned.inlet, first, before,
        tuple(closed), others == _SHUT if planned.steps.others else None, day, typed.get("text", ""),
    )  # fmt: skip


def _inflow(text: str, field: str) -> float | None:
    """m3/h; None for nothing: that step was left out. Raises `RecordError`."""
    value = number(text, field)
    if value is not None and not 0 <= value <= MOST_INFLOW:
        raise RecordError(field, "number")
    return value
