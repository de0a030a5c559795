"""避難情報と配備体制: what is in force, the forms with which a person says so, and one order or stage to be corrected.

Nothing here follows from a gauge, and no field is filled in for anybody: who decided has to be named. What is refused
stays in its fields.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api.access import READERS, Router, SignedIn, Visit, access
from api.errors import NotFound, Text
from api.pages.alert_list import open_alerts
from api.pages.headquarters import EDITORS, csv_file, days_asked, file_name, local, wants_drill
from api.pages.site import Moment, moment, page
from api.pages.town_time import read_time
from api.pages.typed import Form
from store.connection import Connection
from store.errors import RecordError
from store.evacuation import (
    MOST,
    EvacuationKind,
    EvacuationOrder,
    Order,
    ResponseStage,
    Stage,
    amend,
    current_evacuation,
    current_stage,
    declare,
    issue,
    order_revisions,
    orders,
    redeclare,
    stage_revisions,
    stages,
)
from store.feed import append_headquarters

router = Router()

SHOWN: Final = timedelta(days=60)
ORDER_FIELDS = ("kind", "districts", "issued_at", "lifted_at", "decided_by", "note", "withdrawn")
STAGE_FIELDS = ("stage", "nobody", "since", "decided_by", "note", "withdrawn")
_PROBLEMS = frozenset({"empty", "long", "unreadable", "future", "order", "changed"})
_DONE = frozenset({"issued", "lifted", "declared", "corrected"})
_LONGEST_QUERY = 8000
_HERE = "/disaster/evacuation"


@router.get(_HERE)
@access(READERS, page=True)
def evacuation_page(request: Request, visit: SignedIn) -> Response:
    return _page(request, visit, drill=wants_drill(request))


def _page(
    request: Request,
    visit: Visit,
    *,
    drill: bool,
    form: str = "",
    typed: Mapping[str, str] | None = None,
    problem: RecordError | None = None,
    status: int = 200,
) -> Response:
    """`form`: which one `typed` and `problem` belong to, issue or declare; or lift and the order's id."""
    at = moment(request, visit)
    town = visit.tenant.municipality_id
    with visit.transaction() as conn:
        in_force = current_evacuation(conn, town, at.now, drill=drill)
        past = orders(conn, town, at.now - SHOWN, at.now, drill=drill)
        stage = current_stage(conn, town, at.now, drill=drill)
        past_stages = stages(conn, town, at.now - SHOWN, at.now, drill=drill)
        known = sorted({each.name for each in stages(conn, town, None, at.now, drill=drill) if each.name})
        alerts = open_alerts(conn, visit.user.role)
    done = request.query_params.get("done")
    empty = dict.fromkeys((*ORDER_FIELDS, *STAGE_FIELDS), "")
    return page(
        request,
        visit,
        at,
        "disaster_evacuation",
        alerts,
        status=status,
        drill=drill,
        in_force=in_force,
        past=past[::-1],
        stage=stage,
        past_stages=past_stages[::-1],
        known=known,
        form=form,
        typed=empty | {name: (typed or {}).get(name, "") for name in empty},
        problem=problem,
        most=MOST,
        kinds=tuple(EvacuationKind),
        may_write=visit.user.role in EDITORS,
        done=done if done in _DONE else None,
    )


@router.post(_HERE)
@access(EDITORS)
def write(request: Request, visit: SignedIn, typed: Form) -> Response:
    """Issues an order, lifts one or declares a stage (`do`), or says on the page what is wrong with it."""
    at = moment(request, visit)
    drill = typed.get("drill") == "1"
    form = typed.get("do", "")
    acts: dict[str, tuple[Callable[..., None], str]] = {
        "issue": (_issue, "issued"),
        "lift": (_lift, "lifted"),
        "declare": (_declare, "declared"),
    }
    if form not in acts:
        raise NotFound(Text("そのような操作はありません。", "There is no such action."))
    act, done = acts[form]
    try:
        with visit.transaction() as conn:
            act(conn, visit, at, typed, drill)
            append_headquarters(conn, visit.tenant.municipality_id)
    except RecordError as error:
        if error.code == "unknown":
            raise _no_such() from error
        if form == "lift":
            form = f"lift-{typed.get('order', '')}"
        return _page(request, visit, drill=drill, form=form, typed=typed, problem=error, status=400)
    return RedirectResponse(f"{_HERE}?{'drill=1&' if drill else ''}done={done}", 303)


def _issue(conn: Connection, visit: Visit, at: Moment, typed: Mapping[str, str], drill: bool) -> None:
    order = _order(typed, at)
    issue(conn, visit.tenant.municipality_id, order, drill=drill, now=at.now, user_id=visit.user.user_id)


def _lift(conn: Connection, visit: Visit, at: Moment, typed: Mapping[str, str], drill: bool) -> None:
    """The order as it is, with its end; who decided that is written behind who decided its beginning."""
    found = order_revisions(conn, visit.tenant.municipality_id, _number(typed.get("order", "")))
    if not found or found[0].drill != drill:
        raise RecordError("order", "unknown")
    now = found[0]
    lifted_at = _time(typed, "lifted_at", at)
    decided_by = typed.get("decided_by", "").strip()
    if not decided_by:
        raise RecordError("decided_by", "empty")
    lifted_by = at.words("evacuation.lifted_by", who=decided_by)
    note = "／".join(text for text in (now.note, lifted_by) if text)
    amend(
        conn,
        visit.tenant.municipality_id,
        now.order_id,
        seen=_number(typed.get("seen", "")),
        order=Order(now.kind, now.districts, now.issued_at, lifted_at, now.decided_by, note),
        now=at.now,
        user_id=visit.user.user_id,
    )


def _declare(conn: Connection, visit: Visit, at: Moment, typed: Mapping[str, str], drill: bool) -> None:
    stage = _stage(typed, at)
    declare(conn, visit.tenant.municipality_id, stage, drill=drill, now=at.now, user_id=visit.user.user_id)


def _order(typed: Mapping[str, str], at: Moment) -> Order:
    kind = typed.get("kind", "")
    if kind not in set(EvacuationKind):
        raise RecordError("kind", "empty")
    return Order(
        EvacuationKind(kind),
        typed.get("districts", ""),
        _time(typed, "issued_at", at),
        _time(typed, "lifted_at", at) if typed.get("lifted_at", "").strip() else None,
        typed.get("decided_by", ""),
        typed.get("note", ""),
    )


def _stage(typed: Mapping[str, str], at: Moment) -> Stage:
    name = "" if typed.get("nobody") == "1" else typed.get("stage", "")
    if not name.strip() and typed.get("nobody") != "1":  # an empty field alone sends nobody home
        raise RecordError("stage", "empty")
    return Stage(name, _time(typed, "since", at), typed.get("decided_by", ""), typed.get("note", ""))


def _time(typed: Mapping[str, str], field: str, at: Moment) -> datetime:
    try:
        return read_time(typed.get(field, ""), at.now, at.zone)
    except RecordError as error:
        raise RecordError(field, error.code) from error


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def _no_such() -> NotFound:
    return NotFound(
        Text("その記録はありません。", "There is no such record."),
        Text("避難情報と配備体制の一覧から選んでください。", "Choose one from the page of orders and stages."),
    )


# --- one of them ------------------------------------------------------------------------------------------


@router.get(_HERE + "/orders/{order_id}")
@access(READERS, page=True)
def order_page(request: Request, visit: SignedIn, order_id: int) -> Response:
    """An order with all that it was before, and the form to correct it."""
    at = moment(request, visit)
    with visit.transaction() as conn:
        found = order_revisions(conn, visit.tenant.municipality_id, order_id)
        alerts = open_alerts(conn, visit.user.role)
    if not found:
        raise _no_such()
    now = found[0]
    typed = {
        "kind": now.kind.value,
        "districts": now.districts,
        "issued_at": _written(now.issued_at, at),
        "lifted_at": "" if now.lifted_at is None else _written(now.lifted_at, at),
        "decided_by": now.decided_by,
        "note": now.note,
        "withdrawn": "1" if now.withdrawn else "",
    }
    return _one(request, visit, at, alerts, "order", order_id, found, typed)


@router.get(_HERE + "/stages/{stage_id}")
@access(READERS, page=True)
def stage_page(request: Request, visit: SignedIn, stage_id: int) -> Response:
    """A stage with all that it was before, and the form to correct it."""
    at = moment(request, visit)
    with visit.transaction() as conn:
        found = stage_revisions(conn, visit.tenant.municipality_id, stage_id)
        alerts = open_alerts(conn, visit.user.role)
    if not found:
        raise _no_such()
    now = found[0]
    typed = {
        "stage": now.name,
        "nobody": "" if now.name else "1",
        "since": _written(now.since, at),
        "decided_by": now.decided_by,
        "note": now.note,
        "withdrawn": "1" if now.withdrawn else "",
    }
    return _one(request, visit, at, alerts, "stage", stage_id, found, typed)


def _one(
    request: Request,
    visit: Visit,
    at: Moment,
    alerts: Any,
    what: str,
    record_id: int,
    found: list[EvacuationOrder] | list[ResponseStage],
    typed: dict[str, str],
) -> Response:
    query = request.query_params
    problem = None
    if query.get("problem") in _PROBLEMS:
        problem = RecordError(query.get("field", ""), query["problem"])
        typed = {name: query.get(name, "")[: max(MOST.values())] for name in typed}
    return page(
        request,
        visit,
        at,
        "disaster_evacuation_record",
        alerts,
        what=what,
        record_id=record_id,
        record=found[0],
        revisions=found,
        typed=typed,
        problem=problem,
        most=MOST,
        kinds=tuple(EvacuationKind),
        known=(),
        may_write=visit.user.role in EDITORS,
    )


def _written(time: datetime, at: Moment) -> str:
    return f"{time.astimezone(at.zone):%Y-%m-%d %H:%M}"


@router.post(_HERE + "/orders/{order_id}")
@access(EDITORS)
def correct_order(request: Request, visit: SignedIn, order_id: int, typed: Form) -> Response:
    """Writes what an order is from now on, or leads back to the form with what was typed."""
    at = moment(request, visit)

    def do(conn: Connection) -> None:
        amend(conn, order=_order(typed, at), **_common(visit, at, typed), order_id=order_id)

    return _corrected(visit, f"{_HERE}/orders/{order_id}", ORDER_FIELDS, typed, do)


@router.post(_HERE + "/stages/{stage_id}")
@access(EDITORS)
def correct_stage(request: Request, visit: SignedIn, stage_id: int, typed: Form) -> Response:
    """Writes what a stage is from now on, or leads back to the form with what was typed."""
    at = moment(request, visit)

    def do(conn: Connection) -> None:
        redeclare(conn, stage=_stage(typed, at), **_common(visit, at, typed), stage_id=stage_id)

    return _corrected(visit, f"{_HERE}/stages/{stage_id}", STAGE_FIELDS, typed, do)


def _common(visit: Visit, at: Moment, typed: Mapping[str, str]) -> dict[str, Any]:
    return {
        "municipality_id": visit.tenant.municipality_id,
        "seen": _number(typed.get("seen", "")),
        "withdrawn": typed.get("withdrawn") == "1",
        "now": at.now,
        "user_id": visit.user.user_id,
    }


def _corrected(
    visit: Visit, address: str, fields: tuple[str, ...], typed: Mapping[str, str], do: Callable[[Connection], None]
) -> Response:
    try:
        with visit.transaction() as conn:
            do(conn)
            append_headquarters(conn, visit.tenant.municipality_id)
    except RecordError as error:
        if error.code == "unknown":
            raise _no_such() from error
        said = {"problem": error.code, "field": error.field}
        query = urlencode({name: typed.get(name, "") for name in fields} | said)
        return RedirectResponse(f"{address}?{query if len(query) < _LONGEST_QUERY else urlencode(said)}#correct", 303)
    return RedirectResponse(f"{_HERE}?{'drill=1&' if typed.get('drill') == '1' else ''}done=corrected", 303)


# --- the file ---------------------------------------------------------------------------------------------

_COLUMNS = ("what", "start", "end", "districts", "decided_by", "note", "state", "entered_at", "entered_by", "drill")


@router.get(_HERE + ".csv")
@access(READERS, page=True)
def evacuation_file(request: Request, visit: SignedIn) -> Response:
    """Orders and stages of the asked days as they are now, each with when it began and ended, in the order of time."""
    at = moment(request, visit)
    days, drill = days_asked(request, at), wants_drill(request)
    town = visit.tenant.municipality_id
    with visit.transaction() as conn:
        told: list[EvacuationOrder | ResponseStage] = [*orders(conn, town, days.since, days.until, drill=drill)]
        told += stages(conn, town, days.since, days.until, drill=drill)
    told.sort(key=lambda each: each.issued_at if isinstance(each, EvacuationOrder) else each.since)
    return csv_file(file_name("evacuation", visit, days, drill), _rows(at, told), at.words.code)


def _rows(at: Moment, told: list[EvacuationOrder | ResponseStage]) -> Iterator[tuple[object, ...]]:
    t = at.words
    yield tuple(t(f"evacuation_file.{name}") for name in _COLUMNS)
    for each in told:
        if isinstance(each, EvacuationOrder):
            lifted = "" if each.lifted_at is None else local(each.lifted_at, at.zone)
            begun = (t(f"evacuation.kind.{each.kind.value}"), local(each.issued_at, at.zone), lifted, each.districts)
        else:
            begun = (each.name or t("stage.none"), local(each.since, at.zone), "", "")
        state = "withdrawn" if each.withdrawn else "corrected" if each.revision > 1 else "first"
        yield (
            *begun,
            each.decided_by,
            each.note,
            t(f"log_file.state.{state}"),
            local(each.entered_at, at.zone),
            each.entered_by,
            t("mode.exercise") if each.drill else "",
        )
