"""本部記録: the form of one line, the record with what it said before, one line to be corrected, and the file.

The form takes a time as it is said (`town_time`); left empty it is now. What is refused stays in its fields.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final
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
from store.feed import append_headquarters
from store.headquarters import MOST, Entry, Line, Source, correct, enter, lines, revisions

router = Router()

SHOWN: Final = 500  # lines on the page; the file has all
_FIELDS = ("time", "source", "who", "place", "text")
_LONGEST_QUERY = 8000
PROBLEMS = frozenset({"empty", "long", "unreadable", "future", "changed"})


@router.get("/disaster/log")
@access(READERS, page=True)
def log_page(request: Request, visit: SignedIn) -> Response:
    """The record, newest first; with `?order=time` as it goes on paper."""
    return _page(request, visit, drill=wants_drill(request))


@router.post("/disaster/log")
@access(EDITORS)
def write(request: Request, visit: SignedIn, typed: Form) -> Response:
    """Writes a line, or says on the page what is wrong with it."""
    at = moment(request, visit)
    drill = typed.get("drill") == "1"
    try:
        with visit.transaction() as conn:
            town = visit.tenant.municipality_id
            enter(conn, town, _line(typed, at), drill=drill, now=at.now, user_id=visit.user.user_id)
            append_headquarters(conn, town)
    except RecordError as error:
        return _page(request, visit, drill=drill, typed=typed, problem=error, status=400)
    query = urlencode({"drill": "1"} if drill else {}) + ("&" if drill else "")
    return RedirectResponse(f"/disaster/log?{query}done=entered", 303)


def _page(
    request: Request,
    visit: Visit,
    *,
    drill: bool,
    typed: Mapping[str, str] | None = None,
    problem: RecordError | None = None,
    status: int = 200,
) -> Response:
    at = moment(request, visit)
    days = days_asked(request, at)
    query = request.query_params
    on_paper = query.get("order") == "time"
    with visit.transaction() as conn:
        found = lines(
            conn,
            visit.tenant.municipality_id,
            days.since,
            days.until,
            drill=drill,
            limit=None if on_paper else SHOWN + 1,
        )
        alerts = open_alerts(conn, visit.user.role)
    return page(
        request,
        visit,
        at,
        "disaster_log",
        alerts,
        status=status,
        entries=found if on_paper else found[-SHOWN:][::-1],
        more=not on_paper and len(found) > SHOWN,
        drill=drill,
        days=days,
        on_paper=on_paper,
        may_write=visit.user.role in EDITORS,
        typed={name: (typed or {}).get(name, "") for name in _FIELDS},
        problem=problem,
        most=MOST,
        sources=tuple(Source),
        done=query.get("done") if query.get("done") in ("entered", "corrected") else None,
    )


@router.get("/disaster/log.csv")
@access(READERS, page=True)
def log_file(request: Request, visit: SignedIn) -> Response:
    """The record of the asked days in the order of time, with every revision."""
    at = moment(request, visit)
    days, drill = days_asked(request, at), wants_drill(request)
    with visit.transaction() as conn:
        found = lines(conn, visit.tenant.municipality_id, days.since, days.until, drill=drill, revisions=True)
    return csv_file(file_name("record", visit, days, drill), _rows(at, found), at.words.code)


_COLUMNS = ("number", "time", "source", "who", "place", "text", "state", "entered_at", "entered_by", "drill")


def _rows(at: Moment, entries: list[Entry]) -> Iterator[tuple[object, ...]]:
    t = at.words
    yield tuple(t(f"log_file.{name}") for name in _COLUMNS)
    for e in entries:
        state = "before" if not e.newest else "withdrawn" if e.withdrawn else "corrected" if e.of > 1 else "first"
        yield (
            e.entry_id,
            local(e.at, at.zone),
            t(f"log.source.{e.source.value}"),
            e.who,
            e.place,
            e.text,
            t(f"log_file.state.{state}"),
            local(e.entered_at, at.zone),
            e.entered_by,
            t("mode.exercise") if e.drill else "",
        )


# --- one line ---------------------------------------------------------------------------------------------


@router.get("/disaster/log/{entry_id}")
@access(READERS, page=True)
def entry_page(request: Request, visit: SignedIn, entry_id: int) -> Response:
    """A line with all that it said before, and the form to correct it."""
    at = moment(request, visit)
    query = request.query_params
    with visit.transaction() as conn:
        found = _revisions(conn, visit, entry_id)
        alerts = open_alerts(conn, visit.user.role)
    entry = found[0]
    typed = {
        "time": f"{entry.at.astimezone(at.zone):%Y-%m-%d %H:%M}",
        "source": entry.source.value,
        "who": entry.who,
        "place": entry.place,
        "text": entry.text,
        "withdrawn": "1" if entry.withdrawn else "",
    }
    problem = None
    if query.get("problem") in PROBLEMS:
        typed |= {name: query.get(name, "")[: max(MOST.values())] for name in (*_FIELDS, "withdrawn")}
        problem = RecordError(query.get("field", "text"), query["problem"])
    return page(
        request,
        visit,
        at,
        "disaster_log_entry",
        alerts,
        entry=entry,
        revisions=found,
        typed=typed,
        problem=problem,
        most=MOST,
        sources=tuple(Source),
        may_write=visit.user.role in EDITORS,
    )


@router.post("/disaster/log/{entry_id}")
@access(EDITORS)
def write_again(request: Request, visit: SignedIn, entry_id: int, typed: Form) -> Response:
    """Writes what the line says from now on, or leads back to the form with what was typed."""
    at = moment(request, visit)
    with visit.transaction() as conn:
        before = _revisions(conn, visit, entry_id)[0]
    seen = typed.get("seen", "")
    try:
        with visit.transaction() as conn:
            town = visit.tenant.municipality_id
            correct(
                conn,
                town,
                entry_id,
                seen=int(seen) if seen.isascii() and seen.isdigit() and len(seen) < 9 else before.revision,
                line=_line(typed, at),
                withdrawn=typed.get("withdrawn") == "1",
                now=at.now,
                user_id=visit.user.user_id,
            )
            append_headquarters(conn, town)
    except RecordError as error:
        kept = {name: typed.get(name, "") for name in (*_FIELDS, "withdrawn")}
        query = urlencode({**kept, "problem": error.code, "field": error.field})
        if len(query) > _LONGEST_QUERY:
            query = urlencode({"problem": error.code, "field": error.field})
        return RedirectResponse(f"/disaster/log/{entry_id}?{query}#correct", 303)
    return RedirectResponse(f"/disaster/log?{'drill=1&' if before.drill else ''}done=corrected", 303)


def _revisions(conn: Connection, visit: Visit, entry_id: int) -> list[Entry]:
    found = revisions(conn, visit.tenant.municipality_id, entry_id)
    if not found:
        raise NotFound(
            Text(f"本部記録 {entry_id} はありません。", f"There is no line {entry_id} in the record."),
            Text("本部記録の一覧から選んでください。", "Choose one from the record."),
        )
    return found


def _line(typed: Mapping[str, str], at: Moment) -> Line:
    source = typed.get("source", "")
    return Line(
        read_time(typed.get("time", ""), at.now, at.zone),
        Source(source) if source in set(Source) else Source.HEADQUARTERS,
        typed.get("who", ""),
        typed.get("place", ""),
        typed.get("text", ""),
    )
