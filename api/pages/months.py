"""月ごとの表: a spot's months over three fiscal years, every method with its mark, against the year before.

The totals that the office kept before anybody counted by day (`monthly_history`) come in by `api.pages.paste`, or one
by one here. They stand beside what counters and days say, and a comparison of two methods is marked as one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from analytics.visitors.manual import NotANumber, parse
from analytics.visitors.month_totals import (
    SpotMonth,
    YearOnYear,
    month_end,
    month_entries,
    put_months,
    spot_months,
    year_on_year,
)
from analytics.visitors.pasting.periods import PeriodError, month_of, read_period
from api.access import READERS, Router, SignedIn, Visit, access
from api.errors import BadRequest, NotFound, Text
from api.pages.alert_list import open_alerts
from api.pages.daily_entry import COUNTING, MAX_NOTE
from api.pages.paste_plan import OLDEST_MONTH
from api.pages.site import Moment, moment, page
from api.pages.typed import Form
from store.connection import Connection
from store.spots import Spot, spots

router = Router()

ADDRESS = "/tourism/months"
_YEARS = 3
_DONE = frozenset({"stored", "corrected", "unchanged"})


@dataclass(frozen=True, slots=True)
class MonthRow:
    """A month of the year (4 ... 3), its cells one a fiscal year, and the newest two of them that are over compared."""

    month: int
    cells: tuple[SpotMonth | None, ...]
    compared: tuple[YearOnYear | None, ...]


@dataclass(frozen=True, slots=True)
class YearTable:
    """`years`: the fiscal years of the columns, oldest first; `running` the month that is not over."""

    years: tuple[int, ...]
    rows: tuple[MonthRow, ...]
    running: date


@router.get(ADDRESS)
@access(READERS, page=True)
def months_start(request: Request, visit: SignedIn) -> Response:
    """The first spot."""
    at = moment(request, visit)
    with visit.transaction() as conn:
        known = spots(conn)
        alerts = open_alerts(conn, visit.user.role)
    if known:
        return RedirectResponse(f"{ADDRESS}/{known[0].code}", 303)
    return page(request, visit, at, "tourism_months", alerts, spot=None)


@router.get(ADDRESS + "/{spot}")
@access(READERS, page=True)
def months_page(request: Request, visit: SignedIn, spot: str) -> Response:
    return _page(request, visit, spot)


@router.post(ADDRESS + "/{spot}")
@access(COUNTING)
def months_change(request: Request, visit: SignedIn, spot: str, typed: Form) -> Response:
    """One month's total as the office kept it; an empty number takes it back."""
    at = moment(request, visit)
    month = _month(typed.get("month", ""), at)
    if month is None:
        return _page(request, visit, spot, typed=typed, problem="month")
    number = typed.get("value", "").strip()
    try:
        value = parse(number) if number else None
    except NotANumber:
        return _page(request, visit, spot, typed=typed, problem="number")
    with visit.transaction() as conn:
        _, here = _spot(conn, spot)
        station_id = _station(conn, here)
        if station_id is None:
            raise BadRequest(
                Text("この地点には、月の記録を入れられません。", "Months cannot be entered for this spot.")
            )
        put = put_months(
            conn,
            visit.tenant.municipality_id,
            {(station_id, month): value},
            source=typed.get("source", "").strip()[:MAX_NOTE],
            at=at.now,
            user_id=visit.user.user_id,
        )
    done = "stored" if put.stored else "corrected" if put.corrected else "unchanged"
    return RedirectResponse(f"{ADDRESS}/{here.code}?done={done}&year={_fiscal(month)}#main", 303)


def _page(
    request: Request,
    visit: Visit,
    code: str,
    *,
    typed: Mapping[str, str] | None = None,
    problem: str | None = None,
) -> Response:
    at = moment(request, visit)
    today = at.now.astimezone(at.zone).date()
    query = request.query_params
    with visit.transaction() as conn:
        known, spot = _spot(conn, code)
        station_id = _station(conn, spot)
        newest = _year(query.get("year"), today)
        table = _table(conn, spot, station_id, newest, today)
        history = () if station_id is None else month_entries(conn, station_id)
        alerts = open_alerts(conn, visit.user.role)
    done = query.get("done")
    return page(
        request,
        visit,
        at,
        "tourism_months",
        alerts,
        status=400 if problem else 200,
        spots=known,
        spot=spot,
        table=table,
        history=history,
        may_enter=visit.user.role in COUNTING,
        keeps_months=station_id is not None,
        earlier=newest - _YEARS,
        later=None if newest >= _fiscal(today) else min(newest + _YEARS, _fiscal(today)),
        typed=typed or {},
        problem=problem,
        most_note=MAX_NOTE,
        done=done if done in _DONE else None,
    )


def _spot(conn: Connection, code: str) -> tuple[list[Spot], Spot]:
    known = spots(conn)
    found = next((spot for spot in known if spot.code == code), None)
    if found is None:
        raise NotFound(Text(f"地点 {code[:40]} はありません。", f"There is no spot {code[:40]}."))
    return known, found


def _station(conn: Connection, spot: Spot) -> int | None:
    """Where the office's own months of a spot are entered; None at one that is made of others or has only counters."""
    row = conn.execute("select station_id from spot where spot_id = %s", (spot.spot_id,)).fetchone()
    return None if row is None else row[0]


def _table(conn: Connection, spot: Spot, station_id: int | None, newest: int, today: date) -> YearTable:
    years = tuple(range(newest - _YEARS + 1, newest + 1))
    first, last = date(years[0] - 1, 4, 1), date(newest + 1, 3, 1)  # a year more: the oldest one is compared too
    found = spot_months(conn, spot.spot_id, station_id, first, last, today, relation="tenant_observation")

    def month_in(year: int, month: int) -> date:
        return date(year if month >= 4 else year + 1, month, 1)

    rows = []
    for month in (*range(4, 13), *range(1, 4)):
        cells = tuple(found.get(month_in(year, month)) for year in years)
        compared = tuple(
            None
            if month_end(month_in(year, month)) >= today  # a month that is not over is less than one
            else year_on_year(cell, found.get(month_in(year - 1, month)))
            for year, cell in zip(years, cells, strict=True)
        )
        rows.append(MonthRow(month, cells, compared))
    return YearTable(years, tuple(rows), today.replace(day=1))


def _fiscal(day: date) -> int:
    return day.year if day.month >= 4 else day.year - 1


def _year(text: str | None, today: date) -> int:
    """The newest fiscal year to show; what is none, or has not begun, is the running one."""
    if text and text.isascii() and text.isdigit() and OLDEST_MONTH.year + _YEARS <= int(text[:4]) <= _fiscal(today):
        return int(text[:4])
    return _fiscal(today)


def _month(text: str, at: Moment) -> date | None:
    """The month that was typed, in any spelling; None where it is none, or is not over."""
    part = read_period(text)
    try:
        month = None if part is None else month_of(part)
    except PeriodError:
        return None
    this = at.now.astimezone(at.zone).date().replace(day=1)
    return month if month is not None and OLDEST_MONTH <= month < this else None
