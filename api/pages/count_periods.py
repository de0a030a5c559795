"""地点の数え方: when the counters of a spot did not count who came, and how the spot is published.

What a rule found a person confirms or overrules; what people know (works on a fence) they add by hand; both with a
reason, kept for good. Below stand the hours in which nothing came at all. Whether lost hours are estimated or stay
missing, and whether confirmed days are public, is the office's choice for each spot.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import get_args

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from analytics.visitors.checks import periods
from analytics.visitors.checks.estimates import put
from analytics.visitors.checks.hours import lost
from analytics.visitors.checks.judged import Choice, choices
from analytics.visitors.checks.periods import LONGEST_REASON, Period, PeriodError, Saying
from analytics.visitors.checks.places import CounterAt, Place, counters_of, places
from analytics.visitors.usual import day_start, local_day
from api.access import READERS, Router, SignedIn, Visit, access
from api.errors import NotFound, Text
from api.language import page_language_of
from api.pages.alert_list import open_alerts
from api.pages.daily_entry import COUNTING
from api.pages.site import Moment, moment, page
from api.pages.typed import Form
from store.connection import Connection

router = Router()

_ADDRESS = "/tourism/checks/{spot}"
SHOWN = timedelta(days=120)
LEAST_GAP = 2  # hours in which nothing came that are worth a line
MOST_GAPS = 40
KINDS: tuple[str, ...] = get_args(periods.Kind)
_DAY, _HOUR = timedelta(days=1), timedelta(hours=1)
_WRONG = {
    "times": Text(
        "始まりと終わりの日時を確かめてください。終わりは始まりより後、始まりは今より前で800日以内です。",
        "Check the two times: the end after the beginning, the beginning before now and at most 800 days ago.",
    ),
    "reason": Text(
        f"理由を{LONGEST_REASON}字以内で書いてください。あとで見る人のためです。",
        f"Say why in up to {LONGEST_REASON} characters, for whoever asks later.",
    ),
    "overlap": Text(
        "この時間には、すでに人が記録した期間があります。そちらを先に直してください。",
        "Somebody has recorded a period in this time already: change that one first.",
    ),
    "gone": Text("この期間はもうありません。", "This period is no longer there."),
    "smallest": Text("1〜100の数を入れてください。", "Give a number from 1 to 100."),
}


@dataclass(frozen=True, slots=True)
class Gap:
    """Hours in which nothing usable came from a counter; `end` None: until now."""

    counter: CounterAt
    start: datetime
    end: datetime | None


@router.get(_ADDRESS)
@access(READERS, page=True)
def spot_page(request: Request, visit: SignedIn, spot: str) -> Response:
    """The periods of the last 120 days, and the choices."""
    return _page(request, visit, spot)


@router.post(_ADDRESS)
@access(COUNTING)
def spot_said(request: Request, visit: SignedIn, spot: str, form: Form) -> Response:
    """Keeps what was said, or says what is wrong with it."""
    at = moment(request, visit)
    try:
        with visit.transaction() as conn:
            place = _place(conn, visit, spot)
            if form.get("do") == "choice":
                _choose(conn, visit, at, place, form)
            else:
                _say(conn, visit, at, counters_of(conn, [place.spot_id]), form)
    except PeriodError as error:
        return _page(request, visit, spot, form, error.field)
    return RedirectResponse(f"/tourism/checks/{spot}?done=saved#done", 303)


def _say(conn: Connection, visit: Visit, at: Moment, counters: Sequence[CounterAt], form: Mapping[str, str]) -> None:
    """Raises PeriodError; then nothing is kept."""
    saying = Saying(visit.user.user_id, at.now, form.get("reason", "").strip())
    town, do = visit.tenant.municipality_id, form.get("do")
    ours = {each.station_id for each in counters}
    if do == "add":
        kind = next((each for each in get_args(periods.Kind) if each == form.get("kind")), None)
        station_id = next((each for each in ours if str(each) == form.get("counter")), None)
        if kind is None or station_id is None:
            raise PeriodError("gone")
        start = _time(form.get("start", ""), at)
        end = _time(form["end"], at) if form.get("end") else None
        if start is None or (form.get("end") and end is None):
            raise PeriodError("times")
        said = periods.add(conn, town, station_id, kind, start, end, saying)
    else:
        number = int(form.get("period", "")) if form.get("period", "").isdecimal() else 0
        there = [each for each in _periods(conn, at, ours) if each.count_period_id == number]
        if not there:
            raise PeriodError("gone")
        if do == "confirm":
            said = periods.confirm(conn, town, number, saying)
        elif do == "overrule":
            said = periods.overrule(conn, town, number, saying)
        elif do == "finish":
            end = _time(form.get("end", ""), at)
            if end is None:
                raise PeriodError("times")
            said = periods.finish(conn, town, number, end, saying)
        else:
            raise PeriodError("gone")
        put(
            conn,
            said.station_id,
            local_day(there[0].starts_at, at.zone),
            local_day(there[0].ends_at or at.now, at.zone),
        )
    put(conn, said.station_id, local_day(said.starts_at, at.zone), local_day(said.ends_at or at.now, at.zone))


def _choose(conn: Connection, visit: Visit, at: Moment, place: Place, form: Mapping[str, str]) -> None:
    smallest = unicodedata.normalize("NFKC", form.get("smallest", "")).strip()
    if not smallest.isdecimal() or not 1 <= int(smallest) <= 100:
        raise PeriodError("smallest")
    conn.execute(
        """
        insert into spot_choice (municipality_id, spot_id, outages, public, smallest, reason, said_at, user_id)
        values (%s, %s, %s, %s, %s, %s, %s, %s)
        """,
        (
            *(visit.tenant.municipality_id, place.spot_id),
            "estimate" if form.get("outages") == "estimate" else "missing",
            *(form.get("public") == "yes", int(smallest)),
            *(form.get("reason", "").strip()[:LONGEST_REASON], at.now, visit.user.user_id),
        ),
    )


def _page(
    request: Request, visit: Visit, spot: str, typed: Mapping[str, str] | None = None, wrong: str | None = None
) -> Response:
    at = moment(request, visit)
    with visit.transaction() as conn:
        place = _place(conn, visit, spot)
        counters = counters_of(conn, [place.spot_id])
        found = _periods(conn, at, [each.station_id for each in counters])
        gaps = [gap for each in counters for gap in _gaps(conn, each, found, at)]
        choice: Choice = choices(conn, [place.spot_id])[place.spot_id]
        alerts = open_alerts(conn, visit.user.role)
    return page(
        request,
        visit,
        at,
        "tourism_periods",
        alerts,
        status=200 if wrong is None else 422,
        here=lambda **changed: f"/tourism/checks/{spot}" + (f"?lang={changed['lang']}" if "lang" in changed else ""),
        place=place,
        counters=counters,
        by_id={each.station_id: each for each in counters},
        periods=found,
        gaps=sorted(gaps, key=lambda gap: gap.start, reverse=True)[:MOST_GAPS],
        choice=choice,
        kinds=KINDS,
        typed=typed or {},
        wrong=None if wrong is None else _WRONG[wrong].of(page_language_of(request)),
        may_press=visit.user.role in COUNTING,
        done=request.query_params.get("done") == "saved",
        public_address=f"/public/{visit.tenant.code}/visitors",
    )


def _place(conn: Connection, visit: Visit, code: str) -> Place:
    found = places(conn, visit.tenant.municipality_id, code.replace("\x00", ""))
    if not found:
        raise NotFound(Text(f"地点「{code[:60]}」はありません。", f"There is no spot {code[:60]!r}."))
    return found[0]


def _periods(conn: Connection, at: Moment, stations: Sequence[int] | set[int]) -> list[Period]:
    return periods.periods(conn, sorted(stations), at.now - periods.LONGEST, at.now + _HOUR)


def _gaps(conn: Connection, counter: CounterAt, found: Sequence[Period], at: Moment) -> list[Gap]:
    """Of the last 120 days, without the hours of periods: these are said already."""
    row = conn.execute(
        """
        select d.datastream_id, (select min(hour) from rollup_hour where datastream_id = d.datastream_id and n > 0)
        from datastream d where d.station_id = %s and d.observed_property = 'passages_in' and d.drill_run is null
        """,
        (counter.station_id,),
    ).fetchone()
    if row is None or row[1] is None:
        return []
    today = at.now.astimezone(at.zone).date()
    first = max(today - SHOWN, local_day(row[1] + _HOUR, at.zone))
    until = (at.now - _HOUR).replace(minute=0, second=0, microsecond=0)
    mine = [each for each in found if each.station_id == counter.station_id and each.counts]
    hours: list[datetime] = []
    for day, out in sorted(lost(conn, row[0], first, today, until, at.zone).items()):
        hours += [day_start(day, at.zone) + int(n) * _HOUR for n in range(24) if out[n]]
    hours = [
        hour
        for hour in hours
        if hour >= row[1]
        and not any(p.starts_at < hour + _HOUR and (p.ends_at is None or p.ends_at > hour) for p in mine)
    ]
    gaps: list[Gap] = []
    run: list[datetime] = []
    for hour in [*hours, None]:
        if run and hour != run[-1] + _HOUR:
            if len(run) >= LEAST_GAP:
                end = run[-1] + _HOUR
                gaps.append(Gap(counter, run[0], None if end >= until else end))
            run = []
        if hour is not None:
            run.append(hour)
    return gaps


def _time(text: str, at: Moment) -> datetime | None:
    """A local time as a browser's field gives it, or a day; None where it is neither."""
    plain = unicodedata.normalize("NFKC", text).strip().replace("/", "-")
    try:
        if len(plain) <= 10:
            return day_start(date.fromisoformat(plain), at.zone)
        found = datetime.fromisoformat(plain)
    except ValueError:
        return None
    return found.replace(tzinfo=at.zone) if found.tzinfo is None else found
