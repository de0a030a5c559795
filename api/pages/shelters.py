"""避難所 at the desk: the list with what was last said of each, its entries, what is public, and lists as files.

Everybody of the town hall reads; the disaster section keeps the list. What a shelter is like is said on the form of the
field (`api.pages.field`), by staff or by whoever has a link for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api.access import DESKS, READERS, Router, SignedIn, Visit, access
from api.errors import NotFound, Text
from api.pages.alert_list import open_alerts
from api.pages.field_form import number
from api.pages.headquarters import EDITORS, csv_file, local, wants_drill
from api.pages.shelter_file import COLUMNS, FileProblem, read_shelters
from api.pages.site import Moment, moment, page
from api.pages.typed import Form
from devices.sheets import SheetError
from store import shelters
from store.connection import Connection
from store.errors import RecordError
from store.feed import append_headquarters
from store.shelters import FIELDS, MOST, USUALLY_PUBLIC, Entry, Shelter

router = Router()

SHELTERS = "/disaster/shelters"
_DONE = frozenset({"added", "kept", "ended", "file"})
_TYPED = ("name", "kana", "address", "latitude", "longitude", "capacity", "access")
_MOST_FILE = 900_000  # bytes
_LONGEST_QUERY = 6000


@router.get(SHELTERS)
@access(READERS, page=True)
def shelters_page(request: Request, visit: SignedIn) -> Response:
    return _page(request, visit)


@router.post(SHELTERS)
@access(EDITORS)
def add_shelter(request: Request, visit: SignedIn, typed: Form) -> Response:
    """A new shelter, or says on the page what is wrong with it."""
    at = moment(request, visit)
    try:
        with visit.transaction() as conn:
            _put(conn, visit, at, _entry(typed), None)
            append_headquarters(conn, visit.tenant.municipality_id)
    except RecordError as error:
        return _page(request, visit, typed=typed, problem=error, status=400)
    return RedirectResponse(f"{SHELTERS}?done=added", 303)


@router.get(SHELTERS + "/list.csv")
@access(READERS, page=True)
def shelter_list(request: Request, visit: SignedIn) -> Response:
    """The list with the newest words; with the columns by which `POST .../file` takes it back."""
    at = moment(request, visit)
    with visit.transaction() as conn:
        found = shelters.shelters(conn, visit.tenant.municipality_id, drill=False)
    head = [
        *COLUMNS.values(),
        *(at.words(f"shelter.file.{each}") for each in ("state", "crowding", "people", "note", "at")),
    ]
    rows = [_row(at, each) for each in found]
    return csv_file(f"shelters_{visit.tenant.code}", [head, *rows], at.words.code)


@router.post(SHELTERS + "/file")
@access(EDITORS)
async def take_file(request: Request, visit: SignedIn) -> Response:
    """A list from a spreadsheet: all of it, or nothing and why. A name that is known is written anew."""
    form = await request.form()
    file = form.get("file")
    data = b"" if file is None or isinstance(file, str) else await file.read()
    await form.close()
    return await run_in_threadpool(_take, request, visit, data)


@router.get(SHELTERS + "/{shelter_id}")
@access(READERS, page=True)
def shelter_page(request: Request, visit: SignedIn, shelter_id: int) -> Response:
    """One shelter: its entry, and all that was said of it."""
    at = moment(request, visit)
    query = request.query_params
    drill = wants_drill(request)
    with visit.transaction() as conn:
        found = _shelter(conn, visit, shelter_id, drill=drill)
        said = shelters.words(conn, visit.tenant.municipality_id, shelter_id, drill=drill)
        alerts = open_alerts(conn, visit.user.role)
    problem = query.get("problem", "")
    known = f"record.problem.{problem}" in at.words.texts
    typed = {name: query.get(name, "")[:400] for name in _TYPED} if known and "name" in query else _typed_of(found)
    return page(
        request,
        visit,
        at,
        "disaster_shelter",
        alerts,
        shelter=found,
        words=said,
        typed=typed,
        public=found.entry.public,
        fields=FIELDS,
        most=MOST,
        drill=drill,
        problem=RecordError(query.get("field", ""), problem) if known else None,
        may_write=visit.user.role in EDITORS,
        may_say=visit.user.role in DESKS,
    )


@router.post(SHELTERS + "/{shelter_id}")
@access(EDITORS)
def keep_shelter(request: Request, visit: SignedIn, shelter_id: int, typed: Form) -> Response:
    """Writes an entry anew, or takes the shelter off the list (`do=end`)."""
    at = moment(request, visit)
    address = f"{SHELTERS}/{shelter_id}"
    try:
        with visit.transaction() as conn:
            _shelter(conn, visit, shelter_id, drill=False)
            if typed.get("do") == "end":
                shelters.end(conn, visit.tenant.municipality_id, shelter_id, now=at.now)
                append_headquarters(conn, visit.tenant.municipality_id)
                return RedirectResponse(f"{SHELTERS}?done=ended", 303)
            _put(conn, visit, at, _entry(typed), shelter_id)
            append_headquarters(conn, visit.tenant.municipality_id)
    except RecordError as error:
        said = {"problem": error.code, "field": error.field}
        query = urlencode({**{name: typed.get(name, "")[:400] for name in _TYPED}, **said})
        return RedirectResponse(f"{address}?{query if len(query) < _LONGEST_QUERY else urlencode(said)}#entry", 303)
    return RedirectResponse(f"{SHELTERS}?done=kept#shelter-{shelter_id}", 303)


def _page(
    request: Request,
    visit: Visit,
    *,
    typed: Mapping[str, str] | None = None,
    problem: RecordError | None = None,
    file_problems: list[str] | None = None,
    status: int = 200,
) -> Response:
    at = moment(request, visit)
    drill = wants_drill(request)
    with visit.transaction() as conn:
        found = shelters.shelters(conn, visit.tenant.municipality_id, drill=drill)
        alerts = open_alerts(conn, visit.user.role)
    done = request.query_params.get("done")
    return page(
        request,
        visit,
        at,
        "disaster_shelters",
        alerts,
        status=status,
        shelters=found,
        drill=drill,
        typed={name: (typed or {}).get(name, "") for name in _TYPED},
        public=USUALLY_PUBLIC if typed is None else _public(typed),
        fields=FIELDS,
        most=MOST,
        columns=COLUMNS.values(),
        problem=problem,
        file_problems=file_problems or [],
        may_write=visit.user.role in EDITORS,
        may_say=visit.user.role in DESKS,
        done=done if done in _DONE else None,
    )


def _take(request: Request, visit: Visit, data: bytes) -> Response:
    at = moment(request, visit)
    words = at.words
    if not data or len(data) > _MOST_FILE:
        return _page(request, visit, file_problems=[words("shelter.file.none", most=_MOST_FILE // 1000)], status=400)
    try:
        entries = read_shelters(data)
        with visit.transaction() as conn:
            known = {
                each.entry.name: each for each in shelters.shelters(conn, visit.tenant.municipality_id, drill=False)
            }
            for line, entry, given in entries:
                before = known.get(entry.name)
                try:
                    shelter_id = None if before is None else before.shelter_id
                    _put(conn, visit, at, _merged(before, entry, given), shelter_id)
                except RecordError as error:
                    raise FileProblem(line, error.field, error.code) from None
            append_headquarters(conn, visit.tenant.municipality_id)
    except SheetError as error:
        return _page(request, visit, file_problems=[words(f"sheet.{error.code}", **error.values)], status=400)
    except FileProblem as error:
        column = COLUMNS["latitude" if error.column == "place" else error.column]
        why = words(f"record.problem.{error.code}")
        told = words("shelter.file.line", line=error.line, column=column, why=why)
        return _page(request, visit, file_problems=[told], status=400)
    return RedirectResponse(f"{SHELTERS}?done=file", 303)


def _merged(before: Shelter | None, entry: Entry, given: frozenset[str]) -> Entry:
    """What a file says; of a shelter that is known, what the file has no column for stays."""
    if before is None:
        return entry
    kept = {name: getattr(before.entry, name) for name in (*_TYPED, "public") if name not in given}
    return Entry(**{**{name: getattr(entry, name) for name in (*_TYPED, "public")}, **kept})


def _put(conn: Connection, visit: Visit, at: Moment, entry: Entry, shelter_id: int | None) -> None:
    town = visit.tenant.municipality_id
    shelters.put(conn, town, entry, shelter_id=shelter_id, now=at.now, user_id=visit.user.user_id)


def _entry(typed: Mapping[str, str]) -> Entry:
    capacity = number(typed.get("capacity", ""), "capacity")
    return Entry(
        typed.get("name", ""),
        typed.get("kana", ""),
        typed.get("address", ""),
        number(typed.get("latitude", ""), "place"),
        number(typed.get("longitude", ""), "place"),
        None if capacity is None else round(capacity),
        typed.get("access", ""),
        _public(typed),
    )


def _public(typed: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(name for name in FIELDS if typed.get(f"public.{name}") == "1")


def _typed_of(found: Shelter) -> dict[str, str]:
    return {name: _said(getattr(found.entry, name)) for name in _TYPED}


def _row(at: Moment, each: Shelter) -> list[str]:
    word = each.word
    typed = _typed_of(each)
    row = [typed[name] for name in COLUMNS]
    if word is None:
        return [*row, at.words("shelter.state.unknown"), "", "", "", ""]
    return [
        *row,
        at.words(f"shelter.state.{word.state}"),
        at.words(f"shelter.crowding.{word.crowding}") if word.crowding else "",
        _said(word.people),
        word.note,
        local(word.at, at.zone),
    ]


def _said(value: object) -> str:
    return "" if value is None else str(value)


def _shelter(conn: Connection, visit: Visit, shelter_id: int, *, drill: bool) -> Shelter:
    every = shelters.shelters(conn, visit.tenant.municipality_id, drill=drill)
    found = next((each for each in every if each.shelter_id == shelter_id), None)
    if found is None:
        raise NotFound(
            Text(f"避難所 {shelter_id} は一覧にありません。", f"There is no shelter {shelter_id} on the list."),
            Text("避難所の一覧から選んでください。", "Choose one from the list of shelters."),
        )
    return found
