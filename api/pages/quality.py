"""値の品質: what is doubted, one series to say what is true of it, and a station's month to be confirmed.

Everybody of the town hall may look. What is true is said by the desk that watches the place, or the digital section.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Annotated
from urllib.parse import urlencode

from fastapi import Depends
from psycopg import Rollback
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api.access import DESKS, READERS, Router, SignedIn, Visit, access
from api.errors import BadRequest, NotFound, Refused, Text
from api.pages.alert_list import open_alerts
from api.pages.doubts import SHOWN, DoubtedSeries, Month, doubted_series, doubts, month_of, place
from api.pages.site import Moment, moment, page
from store.connection import Connection
from store.errors import RegistrationError
from store.reviews import Said, confirm_month, review, withdraw_month

router = Router()

_DESK_ONLY = "the station's desk, or the digital section"
_FIELDS = ("event", "verdict", "start", "end", "amount", "note")
_LONGEST = 600  # characters of a field that come back
# Times are typed to the minute: up to the end of the last one.
_MINUTE = timedelta(minutes=1) - timedelta(microseconds=1)


async def _typed(request: Request) -> Mapping[str, str]:
    return {name: value for name, value in (await request.form()).multi_items() if isinstance(value, str)}


Typed = Annotated[Mapping[str, str], Depends(_typed)]


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with what was typed: at which field, and the sentence of the store (in English)."""

    field: str
    sentence: str


@router.get("/digital/quality")
@access(READERS, page=True)
def quality_page(request: Request, visit: SignedIn) -> Response:
    """The doubts of the last two months."""
    at = moment(request, visit)
    with visit.transaction() as conn:
        found = doubts(conn, at.now - SHOWN)
        alerts = open_alerts(conn, visit.user.role)
        stations = conn.execute("select code, name, name_en from station order by code").fetchall()
    return page(
        request,
        visit,
        at,
        "digital_quality",
        alerts,
        waiting=[each for each in found if each.reviewed is None],
        reviewed=[each for each in found if each.reviewed is not None],
        stations=stations,
        month=at.now.astimezone(at.zone).date().replace(day=1),
    )


@router.get("/digital/quality/series/{datastream_id}")
@access(READERS, page=True)
def series_page(request: Request, visit: SignedIn, datastream_id: int) -> Response:
    """One series around a doubt (`event`). What could not be meant in the form stands in the address, and is tried
    again without a trace to say what is wrong with it.
    """
    at = moment(request, visit)
    typed = dict(request.query_params)
    event_id = _number(typed.get("event", ""))
    problem = None
    with visit.transaction() as conn:
        model = doubted_series(conn, visit.tenant.municipality_id, datastream_id, event_id, at.now, at.zone)
        if model is None or (model.doubt is None and event_id is not None):
            raise _no_series()
        may_review = model.place.may_review(visit.user.role)
        if may_review and typed.get("do") == "say":
            try:
                with conn.transaction() as trial:
                    _say(conn, visit, at, datastream_id, typed)
                    raise Rollback(trial)
            except RegistrationError as error:
                problem = Problem(error.field, str(error))
        alerts = open_alerts(conn, visit.user.role)
    return page(
        request,
        visit,
        at,
        "digital_quality_series",
        alerts,
        model=model,
        typed=_prefilled(model, at) | (typed if problem is not None else {}),
        problem=problem,
        done=typed.get("done") == "said",
        may_review=may_review,
    )


@router.post("/digital/quality/series/{datastream_id}")
@access(DESKS, narrowed=_DESK_ONLY)
def say(request: Request, visit: SignedIn, datastream_id: int, typed: Typed) -> Response:
    """What somebody says of a stretch of the series; what cannot be meant leads back to the form."""
    at = moment(request, visit)
    address = f"/digital/quality/series/{datastream_id}?"
    with visit.transaction() as conn:
        found = place(conn, datastream_id)
        if found is None:
            raise _no_series()
        if not found.may_review(visit.user.role):
            raise _another_desk()
        try:
            with conn.transaction():
                _say(conn, visit, at, datastream_id, typed)
        except RegistrationError as error:
            if error.field == "event":
                raise _no_series() from error
            kept = {name: typed.get(name, "")[:_LONGEST] for name in _FIELDS}
            return RedirectResponse(f"{address}{urlencode({'do': 'say', **kept})}#say", 303)
    event = {"event": typed["event"]} if typed.get("event") else {}
    return RedirectResponse(f"{address}{urlencode({**event, 'done': 'said'})}#done", 303)


def _say(conn: Connection, visit: Visit, at: Moment, datastream_id: int, typed: Mapping[str, str]) -> None:
    review(
        conn,
        visit.tenant.municipality_id,
        datastream_id,
        verdict=_verdict(typed),
        start=_time(typed, "start", at),
        end=_time(typed, "end", at) + _MINUTE,
        amount=_amount(typed),
        note=typed.get("note", "").replace("\x00", ""),
        now=at.now,
        user_id=visit.user.user_id,
        event_id=_number(typed.get("event", "")),
    )


def _prefilled(model: DoubtedSeries, at: Moment) -> dict[str, str]:
    return {
        "start": f"{model.start.astimezone(at.zone):%Y-%m-%dT%H:%M}",
        "end": f"{model.end.astimezone(at.zone):%Y-%m-%dT%H:%M}",
        "amount": "" if model.amount is None else f"{model.amount:.3f}",
        "verdict": "",
        "note": "",
    }


@router.get("/digital/quality/stations/{code}")
@access(READERS, page=True)
def month_page(request: Request, visit: SignedIn, code: str) -> Response:
    """A station's month (`month`, like 2026-06; else the running one)."""
    at = moment(request, visit)
    first = _first(request.query_params.get("month"), at)
    with visit.transaction() as conn:
        model = _model(visit, conn, code, first, at)
        alerts = open_alerts(conn, visit.user.role)
    running = at.now.astimezone(at.zone).date().replace(day=1)
    done, problem = request.query_params.get("done"), request.query_params.get("problem")
    return page(
        request,
        visit,
        at,
        "digital_quality_month",
        alerts,
        model=model,
        problem=problem if problem in ("month", "doubts") else None,
        done=done if done in ("confirmed", "withdrawn") else None,
        earlier=(first - timedelta(days=1)).replace(day=1),
        later=(first + timedelta(days=32)).replace(day=1) if first < running else None,
        may_confirm=model.may_confirm(visit.user.role),
    )


@router.post("/digital/quality/stations/{code}")
@access(DESKS, narrowed=_DESK_ONLY)
def confirm(request: Request, visit: SignedIn, code: str, typed: Typed) -> Response:
    """Confirms the values of a month, or takes that back (`do`)."""
    at = moment(request, visit)
    first = _first(typed.get("month"), at)
    done = "withdrawn" if typed.get("do") == "withdraw" else "confirmed"
    try:
        with visit.transaction() as conn:
            model = _model(visit, conn, code, first, at)
            if not model.may_confirm(visit.user.role):
                raise _another_desk()
            ids = [each.place.datastream_id for each in model.series]
            town = visit.tenant.municipality_id
            if done == "withdrawn":
                withdraw_month(conn, town, ids, first, now=at.now)
            else:
                confirm_month(conn, town, ids, first, now=at.now, user_id=visit.user.user_id)
    except RegistrationError as error:
        return RedirectResponse(f"/digital/quality/stations/{code}?month={first:%Y-%m}&problem={error.field}", 303)
    return RedirectResponse(f"/digital/quality/stations/{code}?month={first:%Y-%m}&done={done}#done", 303)


def _model(visit: Visit, conn: Connection, code: str, first: date, at: Moment) -> Month:
    model = month_of(conn, visit.tenant.municipality_id, code, first, at.now, at.zone)
    if model is None:
        raise NotFound(
            Text(f"観測所 {code} は登録されていません。", f"There is no station {code}."),
            Text("値の品質の一覧から選んでください。", "Choose one from the page on data quality."),
        )
    return model


def _first(asked: str | None, at: Moment) -> date:
    running = at.now.astimezone(at.zone).date().replace(day=1)
    if asked is None:
        return running
    try:
        return min(date.fromisoformat(f"{asked}-01"), running)
    except ValueError:
        raise BadRequest(
            Text("month は 2026-06 のような年月にしてください。", "month must be a month like 2026-06.")
        ) from None


def _time(typed: Mapping[str, str], field: str, at: Moment) -> datetime:
    try:
        given = datetime.fromisoformat(typed.get(field, "").strip())
        return (given.replace(tzinfo=at.zone) if given.tzinfo is None else given).astimezone(UTC)
    except (ValueError, OverflowError):
        raise RegistrationError(field, "this is no date and time: write it as 2026-06-01T09:00") from None


def _verdict(typed: Mapping[str, str]) -> Said:
    try:
        return Said(typed.get("verdict", ""))
    except ValueError:
        raise RegistrationError("verdict", "say what is true of these values: choose one") from None


def _amount(typed: Mapping[str, str]) -> float | None:
    text = typed.get("amount", "").strip().replace("−", "-")
    if not text or typed.get("verdict") != Said.SHIFTED:
        return None
    try:
        return float(text)
    except ValueError:
        raise RegistrationError("amount", f"{text[:40]!r} is no number") from None


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def _another_desk() -> Refused:
    return Refused(
        Text("この観測所は別の担当のものです。", "This station is another desk's."),
        Text("担当課に連絡してください。", "Call the section in charge."),
    )


def _no_series() -> NotFound:
    return NotFound(
        Text("この系列または判定はありません。", "There is no such series, or no such doubt of it."),
        Text("値の品質の一覧から選んでください。", "Choose one from the page on data quality."),
    )
