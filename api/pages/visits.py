"""Two pages of the tourism office over the series of spots: the days of a year as a calendar of numbers and colours
(`api.pages.heat`), and two to four spots side by side (`api.pages.side_by_side`). Each has its CSV file with the same
numbers.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from analytics.visitors.day_types import day_type, holiday_name
from analytics.visitors.side_by_side import KINDS
from analytics.visitors.spots.series import SpotDay, days, days_of, hours
from api.access import READERS, Router, SignedIn, access
from api.errors import BadRequest, NotFound, Text
from api.pages.alert_list import open_alerts
from api.pages.heat import STEPS, fiscal_year, heat, is_partial, span
from api.pages.side_by_side import BYS, FEWEST, LONGEST, MOST, By, Comparison, OfSpot, compare
from api.pages.site import Moment, moment, page
from store.connection import Connection
from store.spots import Spot, spots

router = Router()

_DAY = timedelta(days=1)
_USUAL = 28  # days that are compared where nobody says which
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun", "holiday")


def _spots(conn: Connection, at: Moment) -> list[Spot]:
    """Those that are published today."""
    return [each for each in spots(conn) if each.retired_from is None or each.retired_from > _today(at)]


# --- the calendar --------------------------------------------------------------------------------------------


@router.get("/tourism/calendar")
@access(READERS, page=True)
def calendar_page(request: Request, visit: SignedIn) -> Response:
    """The days of ?year= (年度) of ?spot=; this year's of the first spot where nobody says."""
    at = moment(request, visit)
    today = _today(at)
    with visit.transaction() as conn:
        known = _spots(conn, at)
        chosen = _chosen(request, known)
        year = _year(request, today)
        model = None if chosen is None else heat(year, _days(conn, chosen, year), today)
        alerts = open_alerts(conn, visit.user.role)
    return page(
        request, visit, at, "tourism_calendar", alerts,
        spots=known, chosen=chosen, year=year, model=model, steps=range(1, STEPS + 1), running=fiscal_year(today),
        weekdays=_WEEKDAYS[:7],
    )  # fmt: skip


@router.get("/tourism/calendar.csv")
@access(READERS, page=True)
def calendar_file(request: Request, visit: SignedIn) -> Response:
    """A line a day that has come."""
    at = moment(request, visit)
    today = _today(at)
    year = _year(request, today)
    with visit.transaction() as conn:
        chosen = _chosen(request, _spots(conn, at))
        if chosen is None:
            raise NotFound(Text("地点は登録されていません。", "There are no spots."))
        said = [each for each in _days(conn, chosen, year) if each.day <= today]
    head = ("day", "spot", "kind", "holiday", "visitors", "low", "high", "state", "method", "version", "received")
    return _file(at, f"calendar_{chosen.code}_{year}", head, (_line(at, chosen, each, today) for each in said))


def _days(conn: Connection, spot: Spot, year: int) -> Sequence[SpotDay]:
    return days(conn, spot.spot_id, *span(year), relation="tenant_observation")


def _line(at: Moment, spot: Spot, said: SpotDay, today: date) -> tuple[object, ...]:
    t = at.words
    state = "running" if said.day == today else "partial" if is_partial(said) else said.state
    return (
        *(said.day.isoformat(), spot.code, t(f"day_type.{day_type(said.day).value}"), holiday_name(said.day) or ""),
        *("" if each is None else f"{each:.0f}" for each in (said.visitors, said.low, said.high)),
        *(t(f"visits.state.{state}"), t(f"visits.method.{said.method.value}"), t(f"visits.version.{said.version}")),
        f"{said.completeness:.3f}",
    )


def _year(request: Request, today: date) -> int:
    """The 年度 that is asked for; what has not begun, or is none, is the running one."""
    try:
        wanted = int(request.query_params.get("year", ""))
    except ValueError:
        return fiscal_year(today)
    return wanted if 2000 <= wanted <= fiscal_year(today) else fiscal_year(today)


def _chosen(request: Request, known: Sequence[Spot]) -> Spot | None:
    """The spot that is asked for, the first where none is; None where there are none. NotFound for one that is none."""
    wanted = request.query_params.get("spot")
    if not wanted:
        return known[0] if known else None
    return _named(known, wanted)


def _named(known: Sequence[Spot], code: str) -> Spot:
    for each in known:
        if each.code == code:
            return each
    raise NotFound(Text(f"地点「{code[:60]}」はありません。", f"There is no spot {code[:60]!r}."))


# --- side by side --------------------------------------------------------------------------------------------


@router.get("/tourism/compare")
@access(READERS, page=True)
def compare_page(request: Request, visit: SignedIn) -> Response:
    """Two to four of ?spot= over ?from= to ?to=, ?by= day, weekday or hour; ?index=1: in per cent of its mean."""
    at = moment(request, visit)
    with visit.transaction() as conn:
        known = _spots(conn, at)
        asked = _Asked(request, at, known)
        model = None if asked.problem else _compared(conn, at, asked)
        alerts = open_alerts(conn, visit.user.role)

    def here(**changed: str) -> str:
        return f"/tourism/compare?{asked.query}&{urlencode(changed)}" if changed else f"/tourism/compare?{asked.query}"

    return page(
        request, visit, at, "tourism_compare", alerts, status=422 if asked.problem and len(known) >= FEWEST else 200,
        spots=known, asked=asked, model=model, here=here, bys=BYS, fewest=FEWEST, most=MOST, longest=LONGEST,
        weekdays=_WEEKDAYS,
    )  # fmt: skip


@router.get("/tourism/compare.csv")
@access(READERS, page=True)
def compare_file(request: Request, visit: SignedIn) -> Response:
    """The same lines as the page's table."""
    at = moment(request, visit)
    with visit.transaction() as conn:
        asked = _Asked(request, at, _spots(conn, at))
        if asked.problem:
            raise BadRequest(
                Text("比べられません。", "This cannot be compared."),
                Text(
                    f"地点を{FEWEST}〜{MOST}つ、期間を{LONGEST}日まで選んでください。",
                    f"Choose {FEWEST} to {MOST} spots and at most {LONGEST} days.",
                ),
            )
        model = _compared(conn, at, asked)
    head = ("day", "spot", "name", "value", "days", "state")
    name = f"compare_{asked.first:%Y%m%d}-{asked.last:%Y%m%d}_{asked.by}"
    return _file(at, name, head, _compared_lines(at, model))


class _Asked:
    """What is to be compared, the first two spots where nobody says. `problem`: why that cannot be, a key of the
    catalogue.
    """

    def __init__(self, request: Request, at: Moment, known: Sequence[Spot]) -> None:
        query = request.query_params
        today = _today(at)
        codes = list(dict.fromkeys(query.getlist("spot")))
        self.spots = [_named(known, code) for code in codes] or list(known[:FEWEST])
        self.first = _date(query.get("from")) or today - _USUAL * _DAY
        self.last = min(_date(query.get("to")) or today - _DAY, today)
        by = query.get("by")
        self.by: By = "weekday" if by == "weekday" else "hour" if by == "hour" else "day"
        self.as_index = query.get("index") == "1"
        self.problem = self._problem()

    def _problem(self) -> str | None:
        if not FEWEST <= len(self.spots) <= MOST:
            return "spots"
        if not self.first <= self.last < self.first + LONGEST * _DAY:
            return "days"
        return None

    @property
    def codes(self) -> list[str]:
        return [each.code for each in self.spots]

    @property
    def query(self) -> str:
        asked = [("spot", each) for each in self.codes]
        asked += [("from", self.first.isoformat()), ("to", self.last.isoformat()), ("by", self.by)]
        return urlencode([*asked, *([("index", "1")] if self.as_index else [])])


def _date(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text or "")
    except ValueError:
        return None


def _compared(conn: Connection, at: Moment, asked: _Asked) -> Comparison:
    ids = [each.spot_id for each in asked.spots]
    said = days_of(conn, ids, asked.first, asked.last, relation="tenant_observation")
    by_hour = asked.by == "hour"
    sides = [
        OfSpot(
            *(each.code, each.name, each.name_en, said[each.spot_id]),
            hours(conn, each.spot_id, asked.first, asked.last) if by_hour else (),
        )
        for each in asked.spots
    ]
    labels: dict[By, Sequence[str]] = {
        "weekday": [at.words(f"weekday.{_WEEKDAYS[kind]}") for kind in KINDS],
        "hour": [str(hour) for hour in range(24)],
    }
    return compare(sides, asked.by, as_index=asked.as_index, labels=labels)


def _compared_lines(at: Moment, model: Comparison) -> Iterable[tuple[object, ...]]:
    t = at.words
    for line in model.lines:
        if line.day is not None:
            key = line.day.isoformat()
        else:
            key = t(f"weekday.{_WEEKDAYS[line.key]}") if model.by == "weekday" else f"{line.key}:00"
        for n, spot in enumerate(model.spots):
            value = line.values[n]
            state = t(f"visits.state.{line.states[n]}") if line.states else ""
            told = "" if value is None else f"{value:.1f}".removesuffix(".0")
            yield (key, spot.code, t.name(spot.name, spot.name_en), told, line.n[n], state)


def _today(at: Moment) -> date:
    return at.now.astimezone(at.zone).date()


# --- files ---------------------------------------------------------------------------------------------------


def _file(at: Moment, name: str, head: Sequence[str], lines: Iterable[Sequence[object]]) -> Response:
    """With a byte order mark: without one Excel takes UTF-8 for the code page of the machine."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([at.words(f"visits.file.{each}") for each in head])
    writer.writerows(lines)
    return Response(
        out.getvalue().encode("utf-8-sig"),
        media_type="text/csv; charset=utf-8",
        headers={
            "Content-Disposition": f'attachment; filename="{name}.csv"',
            "Content-Language": at.words.code,
        },
    )
