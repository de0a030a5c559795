"""月ごとの表: a spot's months over three fiscal years, every method with its mark, against the year before.

The totals that the office kept before anybody counted by day (`monthly_history`) come in by `api.pages.paste`, or one
by one here. They stand beside what counters and days say, and a comparison of two methods is marked as one. As in the
other forms, what was typed stands in the address until it is stored; `key`, `seen` and `sure` are as in `daily_entry`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from urllib.parse import urlencode
from uuid import UUID, uuid4

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from analytics.visitors.manual import Entered, NotANumber, doubt, parse
from analytics.visitors.month_totals import (
    Held,
    SpotMonth,
    YearOnYear,
    held_months,
    month_arrived,
    month_end,
    month_entries,
    put_month,
    spot_months,
    usual_month,
    year_on_year,
)
from analytics.visitors.pasting.periods import PeriodError, month_of, read_period
from api.access import READERS, Router, SignedIn, access
from api.errors import BadRequest, NotFound, Text
from api.pages.alert_list import open_alerts
from api.pages.count_copies import MAX_NOTE, What, asked_for, staff_copy
from api.pages.daily_entry import COUNTING, key_of
from api.pages.paste_plan import OLDEST_MONTH
from api.pages.site import Moment, moment, page
from api.pages.typed import Form
from store.connection import Connection
from store.spots import Spot, spots

router = Router()

ADDRESS = "/tourism/months"
_YEARS = 3
_FIELDS = ("month", "value", "source")
_DONE = frozenset({"stored", "corrected", "unchanged", "again"})


@dataclass(frozen=True, slots=True)
class MonthRow:
    """A month of the year (4 ... 3), its cells one a fiscal year, and the newest two of them that are over compared."""

    month: int
    cells: tuple[SpotMonth | None, ...]
    compared: tuple[YearOnYear | None, ...]


@dataclass(frozen=True, slots=True)
class MonthForm:
    """One past month to enter: `typed` is what stands in the fields, `held` what the office has of that month, `usual`
    what its others are like. `problem`: month, number, there (`held` is another number, which has not been seen), or a
    doubt (much, little).
    """

    typed: Mapping[str, str]
    key: str
    month: date | None = None
    value: int | None = None
    held: Held | None = None
    usual: float | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class YearTable:
    """`years`: the fiscal years of the columns, oldest first; `running` the month that is not over."""

    years: tuple[int, ...]
    rows: tuple[MonthRow, ...]
    running: date


@router.get(ADDRESS)
@access(READERS, page=True)
def months_start(request: Request, visit: SignedIn) -> Response:
    """Leads to the first spot. With ?copy=1 the form that a browser keeps, for those who may use it."""
    at = moment(request, visit)
    with visit.transaction() as conn:
        known = spots(conn)
        kept = [spot for spot in known if _station(conn, spot) is not None] if asked_for(request) else []
        alerts = open_alerts(conn, visit.user.role)
    if kept and visit.user.role in COUNTING:
        return staff_copy(request, visit, at, What.MONTHS, ADDRESS, kept)
    if known:
        return RedirectResponse(f"{ADDRESS}/{known[0].code}", 303)
    return page(request, visit, at, "tourism_months", alerts, spot=None)


@router.get(ADDRESS + "/{spot}")
@access(READERS, page=True)
def months_page(request: Request, visit: SignedIn, spot: str) -> Response:
    at = moment(request, visit)
    today = at.now.astimezone(at.zone).date()
    query = request.query_params
    with visit.transaction() as conn:
        known, here = _spot(conn, spot)
        station_id = _station(conn, here)
        newest = _year(query.get("year"), today)
        table = _table(conn, here, station_id, newest, today)
        history = () if station_id is None else month_entries(conn, station_id)
        form = None
        if station_id is not None and visit.user.role in COUNTING:
            form = _form(conn, at, station_id, query, judge="asked" in query)
        alerts = open_alerts(conn, visit.user.role)
    done = query.get("saved")
    return page(
        request,
        visit,
        at,
        "tourism_months",
        alerts,
        spots=known,
        spot=here,
        table=table,
        history=history,
        may_enter=visit.user.role in COUNTING,
        form=form,
        earlier=newest - _YEARS,
        later=None if newest >= _fiscal(today) else min(newest + _YEARS, _fiscal(today)),
        most_note=MAX_NOTE,
        done=done if done in _DONE else None,
    )


@router.post(ADDRESS + "/{spot}")
@access(COUNTING)
def months_change(request: Request, visit: SignedIn, spot: str, typed: Form) -> Response:
    """One month's total as the office kept it, an empty number takes it back; or leads back to the form, which says
    what is wrong or asked about.
    """
    at = moment(request, visit)
    with visit.transaction() as conn:
        _, here = _spot(conn, spot)
        station_id = _station(conn, here)
        if station_id is None:
            raise BadRequest(
                Text("この地点には、月の記録を入れられません。", "Months cannot be entered for this spot.")
            )
        form, town, key = _form(conn, at, station_id, typed, judge=True), visit.tenant.municipality_id, typed.get("key")
        if form.month is None or form.problem == "number":
            return _asked(here, typed)
        if month_arrived(conn, town, station_id, form.month, form.value, key_of(key)):
            return _back(here, form.month, Entered.AGAIN, key_of(key))
        if form.problem is not None:
            return _asked(here, typed)
        done = put_month(
            conn,
            town,
            station_id,
            form.month,
            form.value,
            source=typed.get("source", "").strip()[:MAX_NOTE],
            at=at.now,
            user_id=visit.user.user_id,
            seen=None if form.held is None else form.held.value,
            key=key_of(key),
        )
    return _asked(here, typed) if done is Entered.MEANWHILE else _back(here, form.month, done, key_of(key))


def _back(spot: Spot, month: date, done: Entered, key: UUID | None) -> Response:
    query = {"saved": done.value, "year": str(_fiscal(month))} | ({} if key is None else {"key": str(key)})
    return RedirectResponse(f"{ADDRESS}/{spot.code}?{urlencode(query)}#main", 303)


def _asked(spot: Spot, typed: Mapping[str, str]) -> Response:
    """Back to the form with what was typed."""
    kept = {name: typed[name][:MAX_NOTE] for name in (*_FIELDS, "seen", "sure", "key") if typed.get(name)}
    return RedirectResponse(f"{ADDRESS}/{spot.code}?{urlencode({'asked': '1', **kept})}#which-number", 303)


def _form(conn: Connection, at: Moment, station_id: int, typed: Mapping[str, str], *, judge: bool) -> MonthForm:
    """The form with what was typed; judged where it was sent."""
    said = {name: typed.get(name, "").strip()[:MAX_NOTE] for name in _FIELDS}
    key = str((None if "saved" in typed else key_of(typed.get("key"))) or uuid4())
    empty = MonthForm(said, key)
    if not judge:
        return empty
    month = _month(said["month"], at)
    if month is None:
        return replace(empty, problem="month")
    try:
        value = parse(said["value"]) if said["value"] else None
    except NotANumber:
        return replace(empty, month=month, problem="number")
    held = held_months(conn, [station_id], month, month).get((station_id, month))
    usual = usual_month(conn, station_id, month)
    problem = None
    if held is not None and held.value != value and typed.get("seen") != str(held.value):
        problem = "there"
    elif value is not None and (held is None or held.value != value) and typed.get("sure") != str(value):
        asked = doubt(value, usual)
        problem = None if asked is None else asked.value
    return MonthForm(said, key, month, value, held, usual, problem)


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
