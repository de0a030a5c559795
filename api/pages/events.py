"""行事の予定: the calendar of local events at the tourism desk, with files in and out.

Everybody of the town hall reads; the tourism and the digital section write. One event has a page of its own
(`api.pages.event`), and the day of an event another (`api.pages.event_day`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api.access import READERS, Role, Router, SignedIn, Visit, access
from api.errors import BadRequest, Text
from api.pages.alert_list import open_alerts
from api.pages.event_file import COLUMNS, FileProblems, calendar_of, read_day, read_events
from api.pages.headquarters import csv_file
from api.pages.site import Moment, moment, page
from api.pages.typed import Form
from devices.sheets import SheetError
from store import event_days, events
from store.connection import Connection
from store.errors import RecordError
from store.events import MOST, Entry, EventKind, LocalEvent
from store.feed import append_headquarters
from store.spots import Spot, spots

router = Router()

EVENTS = "/tourism/events"
WRITERS = frozenset({Role.TOURISM, Role.DIGITAL})
FIELDS = ("kind", "name", "first_day", "last_day", "note")
_DONE = frozenset({"added", "file", "withdrawn"})
_MOST_FILE = 900_000  # bytes
_APRIL = 4


@router.get(EVENTS)
@access(READERS, page=True)
def events_page(request: Request, visit: SignedIn) -> Response:
    return _page(request, visit)


@router.post(EVENTS)
@access(WRITERS)
def add_event(request: Request, visit: SignedIn, typed: Form) -> Response:
    """A new entry, or says on the page what is wrong with it."""
    at = moment(request, visit)
    town = visit.tenant.municipality_id
    try:
        with visit.transaction() as conn:
            entry = read_entry(typed, spots_now(conn, at))
            event_id = events.put(conn, town, entry, now=at.now, user_id=visit.user.user_id)
            append_headquarters(conn, town)
    except RecordError as error:
        return _page(request, visit, typed=typed, problem=error, status=400)
    return RedirectResponse(f"{EVENTS}/{event_id}?done=added", 303)


@router.get(EVENTS + "/list.csv")
@access(READERS, page=True)
def event_list(request: Request, visit: SignedIn) -> Response:
    """The fiscal year's entries, with the columns by which the page takes them back."""
    at = moment(request, visit)
    first, last = year_asked(request, at)
    with visit.transaction() as conn:
        found = events.events(conn, visit.tenant.municipality_id, first, last)
        names = names_of(spots_now(conn, at), at)
    rows = [
        (
            each.entry.name,
            at.words(f"events.kind.{each.entry.kind.value}"),
            each.entry.first_day,
            each.entry.last_day,
            "、".join(names.get(code, code) for code in each.entry.spots),
            each.entry.note,
        )
        for each in found
    ]
    return csv_file(f"events_{visit.tenant.code}_{first.year}", [tuple(COLUMNS.values()), *rows], at.words.code)


@router.get(EVENTS + "/calendar.ics")
@access(READERS, page=True)
def event_calendar(request: Request, visit: SignedIn) -> Response:
    """The fiscal year's entries for a calendar program."""
    at = moment(request, visit)
    first, last = year_asked(request, at)
    with visit.transaction() as conn:
        found = events.events(conn, visit.tenant.municipality_id, first, last)
        names = names_of(spots_now(conn, at), at)
    kinds = {kind: at.words(f"events.kind.{kind.value}") for kind in EventKind}
    return Response(
        calendar_of(found, names, kinds, visit.tenant.code),
        media_type="text/calendar; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="events_{visit.tenant.code}_{first.year}.ics"'},
    )


@router.post(EVENTS + "/file")
@access(WRITERS)
async def take_file(request: Request, visit: SignedIn) -> Response:
    """Entries from a spreadsheet or a calendar program: all of them, or nothing and why."""
    form = await request.form()
    file, kind = form.get("file"), form.get("kind")
    data = b"" if file is None or isinstance(file, str) else await file.read()
    await form.close()
    return await run_in_threadpool(_take, request, visit, data, str(kind))


def year_asked(request: Request, at: Moment) -> tuple[date, date]:
    """`?year=`: the first and last day of a fiscal year; without it the running one. Raises BadRequest."""
    today = at.now.astimezone(at.zone).date()
    asked = request.query_params.get("year")
    year = today.year - (today.month < _APRIL)
    if asked is not None:
        if not (asked.isascii() and asked.isdigit() and 1990 <= int(asked) <= 2200):
            raise BadRequest(Text("year は 2026 のような年度にしてください。", "year must be a year like 2026."))
        year = int(asked)
    return date(year, _APRIL, 1), date(year + 1, _APRIL - 1, 31)


def spots_now(conn: Connection, at: Moment) -> list[Spot]:
    """The spots that are published now."""
    today = at.now.astimezone(at.zone).date()
    return [each for each in spots(conn) if each.retired_from is None or each.retired_from > today]


def names_of(listed: Sequence[Spot], at: Moment) -> dict[str, str]:
    """What spots are called, by their code."""
    return {each.code: at.words.name(each.name, each.name_en) for each in listed}


def read_entry(typed: Mapping[str, str], listed: Sequence[Spot], uid: str | None = None) -> Entry:
    """What the form says. Raises RecordError."""
    kind = typed.get("kind", "")
    if kind not in set(EventKind):
        raise RecordError("kind", "kind")
    first = read_day(typed.get("first_day", ""), "first_day")
    last = read_day(typed["last_day"], "last_day") if typed.get("last_day", "").strip() else first
    chosen = {
        what: tuple(s.code for s in listed if typed.get(f"{what}.{s.code}") == "1") for what in ("spot", "control")
    }
    return Entry(
        EventKind(kind),
        typed.get("name", ""),
        first,
        last,
        chosen["spot"],
        chosen["control"],
        typed.get("note", ""),
        uid,
    )


def fields_of(entry: Entry) -> dict[str, str]:
    """What the form shows of an entry."""
    return {
        "kind": entry.kind.value,
        "name": entry.name,
        "first_day": entry.first_day.isoformat(),
        "last_day": entry.last_day.isoformat(),
        "note": entry.note,
        **{f"spot.{code}": "1" for code in entry.spots},
        **{f"control.{code}": "1" for code in entry.controls},
    }


def _page(
    request: Request,
    visit: Visit,
    *,
    typed: Mapping[str, str] | None = None,
    problem: RecordError | None = None,
    file_problems: Sequence[str] = (),
    status: int = 200,
) -> Response:
    at = moment(request, visit)
    town = visit.tenant.municipality_id
    first, last = year_asked(request, at)
    today = at.now.astimezone(at.zone).date()
    with visit.transaction() as conn:
        found = events.events(conn, town, first, last)
        here = spots_now(conn, at)
        watched = {each.event_id for each in event_days.days(conn, town)}
        alerts = open_alerts(conn, visit.user.role)
    done, count = request.query_params.get("done"), request.query_params.get("n", "")[:6]
    return page(
        request, visit, at, "tourism_events", alerts, status=status,
        groups=_grouped(found, today), first=first, last=last, spots=here, names=names_of(here, at), watched=watched,
        kinds=tuple(EventKind), most=MOST, columns=COLUMNS.values(),
        typed={**dict.fromkeys(FIELDS, ""), **(typed or {})},
        problem=problem, file_problems=file_problems, may_write=visit.user.role in WRITERS,
        done=done if done in _DONE else None, count=count if count.isdigit() else "0",
    )  # fmt: skip


def _grouped(found: Sequence[LocalEvent], today: date) -> list[tuple[str, list[LocalEvent]]]:
    """Now, to come, over: those that are over the newest first."""
    groups: dict[str, list[LocalEvent]] = {"now": [], "coming": [], "over": []}
    for each in found:
        over, coming = each.entry.last_day < today, each.entry.first_day > today
        groups["over" if over else "coming" if coming else "now"].append(each)
    groups["over"].reverse()
    return [(name, listed) for name, listed in groups.items() if listed]


def _take(request: Request, visit: Visit, data: bytes, kind: str) -> Response:
    at = moment(request, visit)
    words, town = at.words, visit.tenant.municipality_id
    if not data or len(data) > _MOST_FILE:
        return _page(request, visit, file_problems=[words("events.file.none", most=_MOST_FILE // 1000)], status=400)
    said = EventKind(kind) if kind in set(EventKind) else EventKind.EVENT
    try:
        with visit.transaction() as conn:
            entries = read_events(data, said, spots_now(conn, at), at.zone)
            changed = _put_all(conn, visit, at, entries)
            append_headquarters(conn, town)
    except SheetError as error:
        return _page(request, visit, file_problems=[words(f"sheet.{error.code}", **error.values)], status=400)
    except FileProblems as error:
        told = [
            words("events.file.line", line=line, column=column, why=words(f"events.problem.{code}"))
            for line, column, code in error.problems
        ]
        return _page(request, visit, file_problems=told, status=400)
    return RedirectResponse(f"{EVENTS}?done=file&n={changed}", 303)


def _put_all(conn: Connection, visit: Visit, at: Moment, entries: Sequence[Entry]) -> int:
    """Writes what is new or different; how many."""
    took = [
        events.take(conn, visit.tenant.municipality_id, each, now=at.now, user_id=visit.user.user_id)
        for each in entries
    ]
    return sum(each != "same" for each in took)
