"""What speaks for the place and the size of a leak case, as one list: findings of the pressures, the inflow and the
sound loggers, the block's nights, correlations, step tests; and the area that these two make of the case's own.

    evidence(conn, case, results, tests, network, areas, at, block) -> Evidence

A correlation is kept from the page of the correlator (`api.pages.correlate`), a step test from its form
(`api.pages.leak_step_test`); both are taken back here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

import numpy as np
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from analytics.leaks.cases import correlations as heard
from analytics.leaks.cases import kept
from analytics.leaks.cases import step_tests as stepped
from analytics.leaks.cases.case import Case
from analytics.leaks.location.evidence import Area, together
from analytics.leaks.loggers.stored import Area as Pipes
from analytics.leaks.network.pipes import Floats, Network
from analytics.leaks.sound.between import piece
from api.access import Router, SignedIn, Visit, access
from api.errors import BadRequest, Text
from api.pages.blocks_now import Now
from api.pages.leak_cases import LEAKS, one
from api.pages.site import Moment, moment
from api.pages.suspects import PRESSURES, SOUND, Suspect, suspect_of, suspects
from api.pages.typed import Form
from api.roles import PIPE_KEEPERS
from store.connection import Connection
from store.errors import RecordError

router = Router()

Kind = Literal["pressures", "sound", "inflow", "correlation", "step_test"]
_KINDS: Mapping[str, Kind] = {PRESSURES: "pressures", SOUND: "sound"}
_SAME_PLACE = 0.25  # of a finding's chances on the case's pipes: as sounds and pressures are put together


@dataclass(frozen=True, slots=True)
class Line:
    """One piece of evidence of a `day`; one of the four says what it is. `opened`: the case was opened from it."""

    kind: Kind
    day: date
    finding: Suspect | None = None
    block: Now | None = None
    correlation: heard.Placed | None = None
    step_test: stepped.Placed | None = None
    opened: bool = False


@dataclass(frozen=True, slots=True)
class Evidence:
    """`lines`, the newest first. `area`: of the network's pipes, None where no correlation or step test says
    anything of them. `spans`, and the lines of `sections`, for the picture."""

    lines: tuple[Line, ...]
    area: Area | None
    spans: tuple[tuple[Sequence[Floats], Sequence[Floats]], ...]
    sections: tuple[Floats, ...]


def network_id(case: Case, results: Sequence[heard.Correlation | stepped.StepTest]) -> int | None:
    """The version in which a case and what was kept with it are looked at; None: neither has one."""
    if case.network_id is not None:
        return case.network_id
    return next((each.network_id for each in results if each.network_id is not None), None)


def evidence(
    conn: Connection,
    case: Case,
    results: Sequence[heard.Correlation],
    tests: Sequence[stepped.StepTest],
    network: Network | None,
    areas: Mapping[int, Pipes],
    at: Moment,
    block: Now | None,
) -> Evidence:
    """`results`: the case's correlations, `tests` its step tests; `network`: the version of `network_id`; `areas`: by
    finding.
    """
    lines = [_found(each, at, case) for each in _findings(conn, case, areas, at)]
    if block is not None and (block.excess.excess is not None or block.change is not None):
        lines.append(Line("inflow", at.now.astimezone(at.zone).date() - timedelta(days=1), block=block))
    pipes = case.pipes if case.network_id is not None else ()
    placed = [heard.Placed(each) for each in results] if network is None else heard.placed(network, pipes, results)
    read = [stepped.Placed(each) for each in tests] if network is None else stepped.placed(network, pipes, tests)
    lines += [Line("correlation", each.kept.day, correlation=each) for each in placed]
    lines += [Line("step_test", each.kept.day, step_test=each) for each in read]
    area, spans = None, []
    if network is not None:
        found = [*(each.evidence for each in placed), *(each.evidence for each in read)]
        known = [each for each in found if each is not None]
        area = together(np.nan_to_num(network.pipes.length), pipes, _own(case, areas), known)
        for each in placed:
            if each.along is not None and (whole := piece(network, each.along)):
                said, length = each.kept, each.kept.length
                spans.append((whole, piece(network, each.along, said.low / length, said.high / length)))
    sections = [] if network is None else [line for each in read for line in stepped.suspected(network, each)]
    newest = sorted(lines, key=lambda each: each.day, reverse=True)
    return Evidence(tuple(newest), area, tuple(spans), tuple(sections))


def _findings(conn: Connection, case: Case, areas: Mapping[int, Pipes], at: Moment) -> list[Suspect]:
    """The case's own, and the open ones behind its inlet or of loggers that name the same pipes."""
    own = None if case.finding_id is None else suspect_of(conn, case.finding_id)
    found = [] if own is None else [own]
    for several in suspects(conn, at.now).values():
        for each in several:
            if each.ended_at is not None or each.finding_id == case.finding_id:
                continue
            area = areas.get(each.finding_id)
            if each.kind in _KINDS:
                near = area is not None and area.network_id == case.network_id and _shared(case, area) >= _SAME_PLACE
            else:
                near = each.station_id == case.station_id
            if near:
                found.append(each)
    return found


def _found(each: Suspect, at: Moment, case: Case) -> Line:
    newest = each.detail.get("newest")
    day = date.fromisoformat(newest) if isinstance(newest, str) else _day(each.ended_at or each.started_at, at)
    return Line(_KINDS.get(each.kind, "inflow"), day, finding=each, opened=each.finding_id == case.finding_id)


def _day(time: datetime, at: Moment) -> date:
    return time.astimezone(at.zone).date()


def _shared(case: Case, area: Pipes) -> float:
    wanted = set(case.pipes)
    return sum(chance for pipe, chance in zip(area.pipes, area.chances, strict=True) if pipe in wanted)


def _own(case: Case, areas: Mapping[int, Pipes]) -> list[float] | None:
    """The chances of the case's pipes as the finding gave them; None where it gave none."""
    area = None if case.finding_id is None else areas.get(case.finding_id)
    if area is None or area.network_id != case.network_id:
        return None
    known = dict(zip(area.pipes, area.chances, strict=True))
    found = [known.get(pipe, 0.0) for pipe in case.pipes]
    return found if sum(found) > 0 else None


@router.post(LEAKS + "/{case_id}/correlations/{correlation_id}")
@access(PIPE_KEEPERS)
def take_correlation_back(
    request: Request, visit: SignedIn, case_id: int, correlation_id: int, typed: Form
) -> Response:
    """Takes a correlation back, with a reason; that it was there stays."""
    _take_back(request, visit, "leak_correlation", case_id, correlation_id, typed)
    return RedirectResponse(f"{LEAKS}/{case_id}?done=correlation_gone#evidence", 303)


@router.post(LEAKS + "/{case_id}/step-tests/{step_test_id}")
@access(PIPE_KEEPERS)
def take_step_test_back(request: Request, visit: SignedIn, case_id: int, step_test_id: int, typed: Form) -> Response:
    """Takes a step test back, with a reason; that it was there stays."""
    _take_back(request, visit, "leak_step_test", case_id, step_test_id, typed)
    return RedirectResponse(f"{LEAKS}/{case_id}?done=stepped_gone#evidence", 303)


def _take_back(
    request: Request, visit: Visit, table: kept.Table, case_id: int, number: int, typed: Mapping[str, str]
) -> None:
    at, town = moment(request, visit), visit.tenant.municipality_id
    try:
        with visit.transaction() as conn:
            one(conn, town, case_id)
            said = typed.get("text", "")
            kept.take_back(conn, table, town, case_id, number, said, now=at.now, user_id=visit.user.user_id)
    except RecordError as error:
        ja, en = {
            "empty": ("理由を書いてください。", "Write the reason."),
            "long": (f"理由は{kept.MOST_TEXT}字までです。", f"The reason is longer than {kept.MOST_TEXT} letters."),
        }.get(
            error.code,
            ("これはもう取り消されているか、ありません。", "It has been taken back already, or is not there."),
        )
        raise BadRequest(Text(ja, en)) from None
