"""地点: which places there are, what counts for each from when to when, by which method, and who changed that and why.

Everybody of the town hall reads it; the tourism desk and the digital section change it (`store.spot_changes`). What is
typed wrong is said in a sentence, and nothing is changed.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from analytics.visitors.spots.calibration import RECHECK_AFTER
from analytics.visitors.spots.plan import Factor, Plan, Source, plans
from analytics.visitors.spots.series import SpotDay, days_of
from analytics.visitors.spots.trends import trends
from api.access import READERS, Router, SignedIn, Visit, access
from api.errors import NotFound, Text
from api.pages.alert_list import open_alerts
from api.pages.daily_entry import COUNTING
from api.pages.site import Moment, moment, page
from api.pages.typed import Form
from store.connection import Connection
from store.errors import SpotError
from store.spot_changes import Editor, add_part, add_spot, attach, change_spot, end_part, end_source, switch
from store.spots import (
    CounterKind,
    Gauge,
    Measure,
    Spot,
    changes,
    gauges,
    methods_of,
    parts_of,
    sources_of,
    spot_of,
    spots,
)

router = Router()

ADDRESS = "/tourism/spots"
_DAYS, _TREND_DAYS = 14, 7
_CODE = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_DOING = frozenset({"change", "attach", "end_source", "add_part", "end_part", "switch"})


@dataclass(frozen=True, slots=True)
class Calibrated:
    """How a counter stands. `factor` None: none is applied today. `due`: when it should be checked again, by its age
    (`year`) or because its device was moved or exchanged (`moved`); `never` where there is none at all.
    """

    factor: Factor | None
    due: str | None


@dataclass(frozen=True, slots=True)
class Row:
    """A spot on the list. `yesterday` None of a spot without any method."""

    spot: Spot
    plan: Plan
    method: str
    yesterday: SpotDay
    counters: tuple[Source, ...]
    due: bool


@router.get(ADDRESS)
@access(READERS, page=True)
def spots_page(request: Request, visit: SignedIn) -> Response:
    """Every spot with yesterday's number, and the form of a new one."""
    return _list(request, visit)


@router.post(ADDRESS)
@access(COUNTING)
def make_spot(request: Request, visit: SignedIn, form: Form) -> Response:
    """A spot of several counters, or a virtual one; or what is wrong with it."""
    code = unicodedata.normalize("NFKC", form.get("code", "")).strip().lower()
    try:
        if not _CODE.fullmatch(code):
            raise SpotError("code")
        with visit.transaction() as conn:
            virtual = form.get("kind") == "virtual"
            add_spot(conn, editor(visit, form), code, form.get("name", ""), form.get("name_en", ""), virtual=virtual)
    except SpotError as error:
        return _list(request, visit, form, error.code)
    return RedirectResponse(f"{ADDRESS}/{code}?done=made", 303)


@router.get(ADDRESS + "/{place}")
@access(READERS, page=True)
def spot_page(request: Request, visit: SignedIn, place: str) -> Response:
    """One spot: its last days, what counts for it, and the forms to change that."""
    return _one(request, visit, place)


@router.post(ADDRESS + "/{place}")
@access(COUNTING)
def edit_spot(request: Request, visit: SignedIn, place: str, form: Form) -> Response:
    """Does what was asked for, or says what is wrong with it."""
    try:
        with visit.transaction() as conn:
            spot = known(conn, place)
            _do(conn, editor(visit, form), spot, form)
    except SpotError as error:
        return _one(request, visit, place, form, error.code)
    return RedirectResponse(f"{ADDRESS}/{place}?done={form['do']}", 303)


def editor(visit: Visit, form: Mapping[str, str]) -> Editor:
    """Who is changing something, with the reason that was typed."""
    return Editor(visit.tenant.municipality_id, visit.user.user_id, visit.clock.now(), form.get("reason", ""))


def known(conn: Connection, code: str) -> Spot:
    """The spot of this code. Raises NotFound."""
    found = spot_of(conn, code)
    if found is None:
        raise NotFound(Text(f"地点「{code[:40]}」はありません。", f"There is no spot {code[:40]!r}."))
    return found


def day_of(text: str, *, wrong: str) -> date | None:
    """A day as the browser sends it; None where none is given. SpotError `wrong` for anything else."""
    if not text.strip():
        return None
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        raise SpotError(wrong) from None


def calibrated(source: Source, measured: Mapping[int, datetime], today: date, now: datetime) -> Calibrated:
    """How a counter stands today; `measured`: by factor, when its last session ended."""
    factor = source.factor_on(today)
    if factor is None:
        return Calibrated(None, "moved" if any(each.since <= today for each in source.factors) else "never")
    return Calibrated(factor, "year" if now - measured[factor.factor_id] > RECHECK_AFTER else None)


def measured_until(conn: Connection) -> dict[int, datetime]:
    """By factor, when the last of its sessions ended."""
    rows: list[tuple[int, datetime]] = conn.execute(
        "select count_factor_id, measured_until from count_factor where withdrawn_at is null"
    ).fetchall()
    return dict(rows)


def _do(conn: Connection, who: Editor, spot: Spot, form: Mapping[str, str]) -> None:
    """One change of a spot. SpotError where it cannot be meant."""
    doing = form.get("do", "")
    if doing not in _DOING:
        raise SpotError("unknown")
    if doing == "change":
        retired = day_of(form.get("retired_from", ""), wrong="day")
        names = {key: form.get(key, "") for key in ("name", "name_en", "note")}
        change_spot(conn, who, spot, **names, retired_from=retired)
    elif doing == "attach":
        gauge = next((each for each in gauges(conn) if each.code == form.get("counter")), None)
        if gauge is None:
            raise SpotError("measure")
        kind, measure, sign, weight = _formula(form)
        instead = form.get("instead_of", "")
        attach(
            conn,
            who,
            spot,
            gauge,
            kind=kind,
            measure=measure,
            sign=sign,
            weight=weight,
            entrance=form.get("entrance", ""),
            from_day=day_of(form.get("from_day", ""), wrong="day"),
            instead_of=int(instead) if instead.isdecimal() else None,
        )
    elif doing == "add_part":
        part = spot_of(conn, form.get("part", ""))
        if part is None:
            raise SpotError("part")
        sign = -1 if form.get("sign") == "-1" else 1
        add_part(conn, who, spot, part, sign=sign, from_day=day_of(form.get("from_day", ""), wrong="day"))
    else:
        day = day_of(form.get("day", ""), wrong="day")
        if day is None:
            raise SpotError("day")
        if doing == "switch":
            method = form.get("method", "")
            if method not in ("form", "counter"):
                raise SpotError("method")
            switch(conn, who, spot, method, day)
        else:
            row = form.get("row", "")
            end = end_source if doing == "end_source" else end_part
            end(conn, who, spot, int(row) if row.isdecimal() else 0, day)


def _formula(form: Mapping[str, str]) -> tuple[CounterKind, Measure, int, float]:
    try:
        kind, measure = CounterKind(form.get("kind", "")), Measure(form.get("measure", ""))
    except ValueError:
        raise SpotError("measure") from None
    try:
        weight = float(unicodedata.normalize("NFKC", form.get("weight", "")).strip() or 1)
    except ValueError:
        raise SpotError("weight") from None
    return kind, measure, -1 if form.get("sign") == "-1" else 1, weight


def _list(
    request: Request, visit: Visit, typed: Mapping[str, str] | None = None, problem: str | None = None
) -> Response:
    at = moment(request, visit)
    today = at.now.astimezone(at.zone).date()
    yesterday = today - timedelta(days=1)
    with visit.transaction() as conn:
        every = spots(conn)
        ids = [spot.spot_id for spot in every]
        of_ids = plans(conn, ids)
        said = days_of(conn, ids, yesterday, yesterday, relation="tenant_observation")
        measured = measured_until(conn)
        alerts = open_alerts(conn, visit.user.role)
    rows = []
    for spot in every:
        plan = of_ids[spot.spot_id]
        counters = plan.sources_on(today)
        due = any(calibrated(each, measured, today, at.now).due not in (None, "never") for each in counters)
        day = said[spot.spot_id][0]
        method = day.method.value if spot.virtual else plan.method_on(today).value
        rows.append(Row(spot, plan, method, day, counters, due))
    return page(
        request, visit, at, "tourism_spots", alerts,
        status=422 if problem else 200, rows=rows, yesterday=yesterday, typed=typed or {}, problem=problem,
        may_write=visit.user.role in COUNTING,
    )  # fmt: skip


def _one(
    request: Request, visit: Visit, code: str, typed: Mapping[str, str] | None = None, problem: str | None = None
) -> Response:
    at = moment(request, visit)
    today = at.now.astimezone(at.zone).date()
    with visit.transaction() as conn:
        spot = known(conn, code)
        model = _model(conn, spot, at, today)
        alerts = open_alerts(conn, visit.user.role)
    done = request.query_params.get("done")
    return page(
        request, visit, at, "tourism_spot", alerts,
        status=422 if problem else 200, here=lambda **_: f"{ADDRESS}/{code}", **model, today=today,
        typed=typed or {}, problem=problem, done=done if done in _DOING | {"made"} else None,
        may_write=visit.user.role in COUNTING,
    )  # fmt: skip


def _model(conn: Connection, spot: Spot, at: Moment, today: date) -> dict[str, Any]:
    plan = plans(conn, [spot.spot_id])[spot.spot_id]
    first = today - timedelta(days=_DAYS)
    measured = measured_until(conn)
    by_id = {each.source_id: each for each in plan.sources}
    sources = sources_of(conn, spot.spot_id)
    said = days_of(conn, [spot.spot_id], first, today - timedelta(days=1), relation="tenant_observation")
    busy = trends(conn, plan.sources, today - timedelta(days=_TREND_DAYS), today - timedelta(days=1))
    return {
        "spot": spot,
        "plan": plan,
        "method": plan.method_on(today).value,
        "days": list(reversed(said[spot.spot_id])),
        "sources": [(row, row.from_day, by_id[row.source_id].holds(today)) for row in sources],
        "standing": {
            each.source_id: calibrated(each, measured, today, at.now) for each in plan.sources if not each.measure.trend
        },
        "busy": busy,
        "methods": methods_of(conn, spot.spot_id),
        "parts": parts_of(conn, spot.spot_id),
        "others": [each for each in spots(conn) if each.spot_id != spot.spot_id],
        "gauges": gauges(conn),
        "kinds": [each.value for each in CounterKind],
        "measures": [each.value for each in Measure],
        "changes": changes(conn, spot_id=spot.spot_id),
    }


def gauge_of(conn: Connection, code: str) -> Gauge:
    """The counter of this code. Raises NotFound."""
    found = next((each for each in gauges(conn) if each.code == code), None)
    if found is None:
        raise NotFound(Text(f"カウンター「{code[:40]}」はありません。", f"There is no counter {code[:40]!r}."))
    return found
