"""事後の記録: the course of an event as page, paper and file; its highest levels; and what people say of its alerts.

The range is days (`?from=`, `?to=`), or an alert (`?alert=`): from three hours before it was raised to an hour after
its end.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api.access import READERS, Router, SignedIn, access
from api.errors import Conflict, NotFound, Text
from api.pages.alert_list import open_alerts
from api.pages.event_steps import Step, peaks, steps
from api.pages.headquarters import EDITORS, csv_file, days_asked, local, wants_drill
from api.pages.site import Moment, moment, page
from api.pages.town_time import read_time
from api.pages.typed import Form
from store.alert_reviews import (
    KINDS,
    MARKED,
    MOST_NOTE,
    RULES,
    Tally,
    mark,
    marks,
    miss,
    misses,
    take_back,
    tally,
    written_rules,
)
from store.connection import Connection
from store.errors import RecordError

router = Router()

BEFORE, AFTER = timedelta(hours=3), timedelta(hours=1)
YEAR: Final = timedelta(days=365)
_PROBLEMS = frozenset({"empty", "long", "unreadable", "future"})
_DONE = frozenset({"marked", "missed", "taken_back"})


@dataclass(frozen=True, slots=True)
class Range:
    """What is looked at: since <= time < until, and the query that leads back to it."""

    since: datetime
    until: datetime
    query: str
    first: str
    last: str


@dataclass(frozen=True, slots=True)
class Raised:
    """An alert of the range, as a row to be marked; `why` of one that was retracted, which is false as it is."""

    alert_id: int
    rule: str
    peak_level: int | None
    raised_at: datetime
    cleared_at: datetime | None
    name: str
    name_en: str
    retracted_at: datetime | None
    retracted_by: str | None
    why: str | None


@router.get("/disaster/review")
@access(READERS, page=True)
def review_page(request: Request, visit: SignedIn) -> Response:
    at = moment(request, visit)
    drill, query, town = wants_drill(request), request.query_params, visit.tenant.municipality_id
    with visit.transaction() as conn:
        chosen = _range(conn, request, at)
        course = steps(conn, town, chosen.since, chosen.until, at.zone, at.words, drill=drill)
        raised = [] if drill else _raised(conn, chosen)
        said = marks(conn, town, [each.alert_id for each in raised])
        missed = [] if drill else misses(conn, town, chosen.since, chosen.until)
        counts = _year(conn, town, at)
        written = written_rules(conn, town)
        highest = [] if drill else peaks(conn, chosen.since, chosen.until)
        stations = conn.execute(
            "select code, name, name_en from station where kind = any(%s) order by station_id", (list(KINDS),)
        ).fetchall()
        alerts = open_alerts(conn, visit.user.role)
    problem = query.get("problem")
    return page(
        request,
        visit,
        at,
        "disaster_review",
        alerts,
        drill=drill,
        range=chosen,
        kept=tuple(parse_qsl(chosen.query)),
        steps=course,
        raised=raised,
        said=said,
        missed=missed,
        counts=counts,
        peaks=highest,
        stations=stations,
        rules=(*RULES, *written),
        written=written,
        most_note=MOST_NOTE,
        may_write=visit.user.role in EDITORS,
        typed={name: query.get(name, "")[:MOST_NOTE] for name in ("station", "rule", "missed_at", "note")},
        problem=RecordError(query.get("field", ""), problem) if problem in _PROBLEMS else None,
        done=query.get("done") if query.get("done") in _DONE else None,
    )


@router.post("/disaster/review")
@access(EDITORS)
def say(request: Request, visit: SignedIn, typed: Form) -> Response:
    """Marks an alert, writes a miss down or takes one back (`do`), and leads back to the same range."""
    at = moment(request, visit)
    town, user, do = visit.tenant.municipality_id, visit.user.user_id, typed.get("do", "")
    back = {name: typed[name] for name in ("alert", "from", "to") if typed.get(name)}
    try:
        with visit.transaction() as conn:
            if do == "mark":
                alert_id, note = _number(typed.get("alert_id", "")), typed.get("note", "")
                mark(conn, town, alert_id, typed.get("verdict", ""), note=note, now=at.now, user_id=user)
                back["done"] = "marked"
            elif do == "miss":
                miss(
                    conn,
                    town,
                    station=typed.get("station", ""),
                    rule=typed.get("rule", ""),
                    at=_time(typed.get("missed_at", ""), at),
                    note=typed.get("note", ""),
                    now=at.now,
                    user_id=user,
                )
                back["done"] = "missed"
            elif do == "take_back":
                take_back(conn, town, _number(typed.get("missed", "")), now=at.now, user_id=user)
                back["done"] = "taken_back"
            else:
                raise NotFound(Text("そのような操作はありません。", "There is no such action."))
    except RecordError as error:
        if error.code == "retracted":
            raise Conflict(
                Text("訂正したアラートは、誤報として数えます。", "What was retracted counts as false.")
            ) from error
        if error.code == "unknown":
            raise NotFound(Text("そのアラートや記録はありません。", "There is no such alert or record.")) from error
        back |= {"problem": error.code, "field": error.field}
        back |= {name: typed.get(name, "")[:MOST_NOTE] for name in ("station", "rule", "missed_at", "note")}
        return RedirectResponse(f"/disaster/review?{urlencode(back)}#missed", 303)
    return RedirectResponse(f"/disaster/review?{urlencode(back)}#marks", 303)


def _time(text: str, at: Moment) -> datetime:
    try:
        return read_time(text, at.now, at.zone)
    except RecordError as error:
        raise RecordError("missed_at", error.code) from error


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else 0


def _range(conn: Connection, request: Request, at: Moment) -> Range:
    wanted = request.query_params.get("alert")
    if wanted is None:
        days = days_asked(request, at)
        query = urlencode({"from": days.first.isoformat(), "to": days.last.isoformat()})
        return Range(days.since, days.until, query, days.first.isoformat(), days.last.isoformat())
    row = conn.execute("select raised_at, cleared_at from alert where alert_id = %s", (_number(wanted),)).fetchone()
    if row is None:
        raise NotFound(Text("このアラートはありません。", "There is no such alert."))
    since, until = row[0] - BEFORE, (row[1] or at.now) + AFTER
    first, last = (f"{time.astimezone(at.zone):%Y-%m-%d}" for time in (since, until))
    return Range(since, until, urlencode({"alert": wanted}), first, last)


def _raised(conn: Connection, chosen: Range) -> list[Raised]:
    rows = conn.execute(
        """
        select a.alert_id, a.rule || coalesce(':' || a.alert_rule_id, ''), a.peak_level, a.raised_at, a.cleared_at,
               s.name, s.name_en, back.at, u.display_name, back.reason
        from alert a join station s using (station_id)
        left join alert_retraction back using (alert_id)
        left join app_user u on u.user_id = back.user_id
        where a.raised_at >= %s and a.raised_at < %s and a.mode = 'actual' and s.kind = any(%s) and a.rule = any(%s)
          and a.part_of is null
        order by a.raised_at, a.alert_id
        """,
        (chosen.since, chosen.until, list(KINDS), list(MARKED)),
    )
    return [Raised(*row) for row in rows]


def _year(conn: Connection, municipality_id: int, at: Moment) -> list[Tally]:
    return tally(conn, municipality_id, at.now - YEAR, at.now + timedelta(minutes=1))


# --- the files --------------------------------------------------------------------------------------------

_COLUMNS = ("time", "kind", "place", "what", "by", "drill")


@router.get("/disaster/review.csv")
@access(READERS, page=True)
def review_file(request: Request, visit: SignedIn) -> Response:
    """The course of the range in the order of time."""
    at = moment(request, visit)
    drill, town = wants_drill(request), visit.tenant.municipality_id
    with visit.transaction() as conn:
        chosen = _range(conn, request, at)
        course = steps(conn, town, chosen.since, chosen.until, at.zone, at.words, drill=drill)
    name = f"event_{visit.tenant.code}_{chosen.first}_{chosen.last}{'_drill' if drill else ''}"
    return csv_file(name, _rows(at, course, drill), at.words.code)


def _rows(at: Moment, course: list[Step], drill: bool) -> Iterator[tuple[object, ...]]:
    t = at.words
    yield tuple(t(f"review_file.{name}") for name in _COLUMNS)
    for step in course:
        by = step.by or t("event.by_rule")
        mark_ = t("mode.exercise") if drill else ""
        yield local(step.at, at.zone), t(f"review.kind.{step.kind}"), step.place, step.what, by, mark_


_COUNTS = ("rule", "alerts", "right", "false", "retracted", "unmarked", "untold", "missed")


@router.get("/disaster/review/counts.csv")
@access(READERS, page=True)
def counts_file(request: Request, visit: SignedIn) -> Response:
    """What the rules were worth in the year before, a rule a line."""
    at, town = moment(request, visit), visit.tenant.municipality_id
    with visit.transaction() as conn:
        counts, written = _year(conn, town, at), written_rules(conn, town)
    t = at.words
    lines: list[tuple[object, ...]] = [tuple(t(f"review.count.{name}") for name in _COUNTS)]
    for each in counts:
        name = written[each.rule] if each.rule in written else t(f"review.rule.{each.rule}")
        lines.append(
            (name, each.alerts, each.right, each.false, each.retracted, each.unmarked, each.untold, each.missed)
        )
    return csv_file(f"alert_counts_{visit.tenant.code}", iter(lines), t.code)
