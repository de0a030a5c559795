"""スマートメーター: what customers' meters show, for the waterworks alone. A meter has a running number of ours and
nothing else; whoever has its real number can ask for it, and what was asked for is not kept. Each view is noted in the
transaction that reads, and the digital section sees who looked, without seeing at what was used.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, timedelta

import numpy as np
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from analytics.leaks.meters import stored
from analytics.leaks.meters.intake import NothingError, OtherKeyError, take_in, understood
from analytics.leaks.meters.keyed import keyed, normal
from analytics.leaks.meters.reading import MeterFileError
from analytics.leaks.meters.signs import KNOWN
from analytics.leaks.meters.stored import CountsError
from analytics.leaks.meters.town import LEAST, Meter, first_day, look, meters
from api.access import Router, SignedIn, Visit, access
from api.errors import NotFound, Text
from api.pages.alert_list import open_alerts
from api.pages.days import day_start
from api.pages.site import Moment, moment, page
from api.pages.words import Words
from api.roles import Role
from devices.sheets import SheetError

router = Router()

METERS = "/water/meters"
KEEPERS = frozenset({Role.WATER})
AUDITORS = frozenset({Role.WATER, Role.DIGITAL})
MOST_BYTES = 20_000_000
MOST_NUMBERS = 5_000
_SHOWN_DAYS = 21
# What `understood` and `take_in` raise.
REFUSALS = (SheetError, MeterFileError, CountsError, NothingError, OtherKeyError)
_DONE = frozenset({"file"})


@dataclass(frozen=True, slots=True)
class Day:
    """A local day of one meter. `litres` and `lowest` (of an hour) are of the hours that are `known`, None of none;
    `still` of them without flow. `partial`: some of its hours are missing.
    """

    day: date
    known: int
    litres: float | None
    lowest: float | None
    still: int
    partial: bool


@dataclass(frozen=True, slots=True)
class Asked:
    """What is known of the numbers that somebody asked for: each that is known, as typed, and how many are not."""

    found: tuple[tuple[str, Meter], ...]
    unknown: tuple[str, ...]


@router.get(METERS)
@access(KEEPERS, page=True)
def meters_page(request: Request, visit: SignedIn) -> Response:
    return _page(request, visit)


@router.post(METERS)
@access(KEEPERS)
async def take(request: Request, visit: SignedIn) -> Response:
    """Keeps the hours of a file, or says on the page why it cannot be read; with `numbers` it says what their meters
    show.
    """
    form = await request.form()
    file, typed = form.get("file"), form.get("numbers")
    name, data = (file.filename or "", await file.read()) if isinstance(file, UploadFile) else ("", b"")
    await form.close()
    if isinstance(typed, str):
        return await run_in_threadpool(_ask, request, visit, typed)
    return await run_in_threadpool(_read, request, visit, name, data)


def _ask(request: Request, visit: Visit, typed: str) -> Response:
    """What the meters of these numbers show. The numbers come and go with this request."""
    at = moment(request, visit)
    numbers = list(dict.fromkeys(filter(None, re.split(r"[\s,、，;]+", typed))))
    key = visit.config.meter_key
    if key is None or not numbers or len(numbers) > MOST_NUMBERS:
        why = "no_key" if key is None else "many" if numbers else "empty"
        return _page(request, visit, problem=at.words(f"meters.ask.{why}", most=MOST_NUMBERS), status=400)
    town, first = visit.tenant.municipality_id, first_day(at.now)
    keys = {number: keyed(key, visit.tenant.code, normal(number)) for number in numbers}
    with visit.transaction() as conn:
        known = stored.meters_of(conn, town, list(keys.values()))
        stored.seen(conn, town, "numbers", now=at.now, user_id=visit.user.user_id, n=len(known))
        series = stored.series(conn, town, first, at.now.astimezone(UTC).date(), list(known.values()))
    by_id = {each.meter_id: each for each in meters(series, first, now=at.now)}
    found = [(number, by_id[known[key]]) for number, key in keys.items() if key in known]
    found.sort(key=lambda each: not each[1].judged.signs)  # those that show something first
    asked = Asked(tuple(found), tuple(number for number, key in keys.items() if key not in known))
    return _page(request, visit, asked=asked)


@router.get(METERS + "/views")
@access(AUDITORS, page=True)
def views_page(request: Request, visit: SignedIn) -> Response:
    """Who looked at what, without any reading: for whoever has to answer for it."""
    at = moment(request, visit)
    with visit.transaction() as conn:
        views = stored.views(conn, visit.tenant.municipality_id, visit.tenant.timezone)
        alerts = open_alerts(conn, visit.user.role)
    return page(request, visit, at, "water_meters_views", alerts, views=views, months=stored.KEPT_MONTHS)


@router.get(METERS + "/{meter_id}")
@access(KEEPERS, page=True)
def meter_page(request: Request, visit: SignedIn, meter_id: int) -> Response:
    """One meter of a block that is shown: what it shows, and its days."""
    at = moment(request, visit)
    town, first = visit.tenant.municipality_id, first_day(at.now)
    with visit.transaction() as conn:
        if stored.beside(conn, town, meter_id) < LEAST:  # of a small block: whose days they are could be guessed
            raise NotFound(
                Text(
                    f"メーター {meter_id} は表示できません。一覧から選び直すか、番号で調べてください。",
                    f"Meter {meter_id} cannot be shown. Choose one from the list, or look it up by its number.",
                )
            )
        series = stored.series(conn, town, first, at.now.astimezone(UTC).date(), [meter_id])
        stored.seen(conn, town, "meter", now=at.now, user_id=visit.user.user_id, n=1, meter_id=meter_id)
        alerts = open_alerts(conn, visit.user.role)
    (meter,) = meters(series, first, now=at.now)
    return page(request, visit, at, "water_meters_meter", alerts, meter=meter, days=days_of(meter, at))


def days_of(meter: Meter, at: Moment) -> tuple[Day, ...]:
    """The local days of the last weeks, newest first; the present one as far as it has come."""
    today = at.now.astimezone(at.zone).date()
    found = []
    for day in (today - timedelta(days=back) for back in range(_SHOWN_DAYS)):
        begins, ends = (day_start(each, at.zone) - meter.start for each in (day, day + timedelta(days=1)))
        hour = timedelta(hours=1)
        hours = meter.hours[max(begins // hour, 0) : ends // hour]
        known = hours[np.isfinite(hours)]
        found.append(
            Day(
                day,
                known.size,
                float(known.sum()) if known.size else None,
                float(known.min()) if known.size else None,
                int((known <= 0).sum()),
                known.size < hours.size,
            )
        )
    return tuple(found)


def _page(
    request: Request,
    visit: Visit,
    *,
    asked: Asked | None = None,
    problem: str = "",
    status: int = 200,
) -> Response:
    at = moment(request, visit)
    town, first = visit.tenant.municipality_id, first_day(at.now)
    with visit.transaction() as conn:
        series = stored.series(conn, town, first, at.now.astimezone(UTC).date())
        stored.seen(conn, town, "list", now=at.now, user_id=visit.user.user_id, n=len(series))
        files = stored.files(conn, town)
        alerts = open_alerts(conn, visit.user.role)
    done = request.query_params.get("done")
    return page(
        request,
        visit,
        at,
        "water_meters",
        alerts,
        status=status,
        town=look(series, first, now=at.now, zone=at.zone),
        files=files,
        asked=asked,
        problem=problem,
        keyed=visit.config.meter_key is not None,
        least=LEAST,
        months=stored.KEPT_MONTHS,
        share=round(KNOWN * 100),
        most=MOST_BYTES // 1_000_000,
        done=done if done in _DONE else None,
    )


def refused(words: Words, error: Exception) -> str:
    """Why a file of meters was not taken in: of each error of `take_in`."""
    match error:
        case SheetError():
            return words(f"sheet.{error.code}", **error.values)
        case MeterFileError():
            return words(f"meters.refused.{error.code}", about=error.about)
        case CountsError():
            return words("meters.refused.counts", n=error.n)
        case NothingError():
            why = words("meters.refused.nothing", n=error.found.refused)
            return " ".join([why, *(line_in_words(words, each) for each in error.found.problems[:1])])
        case _:
            return words("meters.refused.key")


def line_in_words(words: Words, problem: tuple[int, str, str]) -> str:
    """A line, or a value of it, that was left out."""
    line, code, column = problem
    return words(f"meters.line.{code}", line=line, column=column)


def _read(request: Request, visit: Visit, name: str, data: bytes) -> Response:
    at = moment(request, visit)
    key = visit.config.meter_key
    if key is None or not data:
        why = "no_key" if key is None else "none"
        return _page(request, visit, problem=at.words(f"meters.refused.{why}"), status=400)
    town = visit.tenant.municipality_id, visit.tenant.code
    try:
        found = understood(data, zone=at.zone, now=at.now)
        with visit.transaction() as conn:
            take_in(conn, town, key, found, name, now=at.now, user_id=visit.user.user_id)
    except REFUSALS as error:
        known_otherwise = isinstance(error, CountsError | OtherKeyError)
        return _page(request, visit, problem=refused(at.words, error), status=409 if known_otherwise else 400)
    return RedirectResponse(f"{METERS}?done=file", 303)
