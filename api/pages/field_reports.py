"""現地からの報告 at the desk: the list, one report with its photos, and what the desk does with it.

Everybody of the town hall reads; the disaster section says what became of a report. What was reported is not changed.
A photo is shown outside only when a named person of the disaster section releases that one photo.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api.access import READERS, Router, SignedIn, Visit, access
from api.errors import NotFound, Text
from api.pages import formats
from api.pages.alert_list import Alert, open_alerts
from api.pages.headquarters import EDITORS, wants_drill
from api.pages.site import Moment, moment, page, site
from api.pages.typed import Form
from store import field_photos, field_reports
from store.connection import Connection
from store.errors import RecordError
from store.feed import append_headquarters
from store.field_reports import FieldReport
from store.headquarters import MOST as LINE_MOST
from store.headquarters import Line, Source

router = Router()

REPORTS: Final = "/disaster/reports"
SHOWN = 100
STATES = ("new", "seen", "acted", "withdrawn")
JPEG = "image/jpeg"
# As a photo of a device: nothing that a browser could run, kept by this browser alone.
PHOTO_HEADERS = {
    "Cache-Control": "private, max-age=86400",
    "Content-Disposition": "inline",
    "Content-Security-Policy": "default-src 'none'; sandbox",
}
_DONE = frozenset({"seen", "acted", "withdrawn", "log", "attach", "detach", "release", "take_back", "forget"})


@router.get(REPORTS)
@access(READERS, page=True)
def reports_page(request: Request, visit: SignedIn) -> Response:
    """The newest reports; `?state=` and `?alert=` choose among them."""
    at = moment(request, visit)
    drill, query = wants_drill(request), request.query_params
    state = query.get("state") if query.get("state") in STATES else None
    asked = query.get("alert", "")
    alert_id = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 15 else None
    town = visit.tenant.municipality_id
    with visit.transaction() as conn:
        if alert_id is not None:
            row = conn.execute("select mode <> 'actual' from alert where alert_id = %s", (alert_id,)).fetchone()
            drill = drill if row is None else bool(row[0])
        found = field_reports.reports(conn, town, drill=drill, state=state, alert_id=alert_id, limit=SHOWN + 1)
        alerts = open_alerts(conn, visit.user.role)
    return page(
        request,
        visit,
        at,
        "disaster_reports",
        alerts,
        reports=found[:SHOWN],
        more=len(found) > SHOWN,
        drill=drill,
        state_asked=state,
        alert_asked=alert_id,
        states=STATES,
        may_write=visit.user.role in EDITORS,
    )


@router.get(REPORTS + "/{report_id}")
@access(READERS, page=True)
def report_page(request: Request, visit: SignedIn, report_id: int) -> Response:
    """One report: its photos, what was done with it, and the buttons to do more."""
    at = moment(request, visit)
    query = request.query_params
    with visit.transaction() as conn:
        found = _report(conn, visit, report_id)
        photos = field_photos.photos_of(conn, visit.tenant.municipality_id, report_id)
        done = field_reports.events(conn, report_id)
        alerts = open_alerts(conn, visit.user.role)
    problem = query.get("problem", "")
    return page(
        request,
        visit,
        at,
        "disaster_report",
        alerts,
        report=found,
        photos=[(photo, photo.received_at + field_photos.KEPT) for photo in photos],
        events=done,
        to_attach=[each for each in alerts if _attachable(each, found)],
        most=field_reports.MOST,
        most_caption=field_photos.MOST_CAPTION,
        kept_days=field_photos.KEPT // timedelta(days=1),
        may_write=visit.user.role in EDITORS,
        done=query.get("done") if query.get("done") in _DONE else None,
        problem=problem if f"record.problem.{problem}" in at.words.texts else None,
    )


@router.post(REPORTS + "/{report_id}")
@access(EDITORS)
def act(request: Request, visit: SignedIn, report_id: int, typed: Form) -> Response:
    """One of the page's buttons; `do` says which."""
    at = moment(request, visit)
    do = typed.get("do", "")
    address = f"{REPORTS}/{report_id}"
    try:
        with visit.transaction() as conn:
            found = _report(conn, visit, report_id)
            if do in field_reports.STATES:
                field_reports.mark(
                    conn,
                    visit.tenant.municipality_id,
                    report_id,
                    do,
                    note=typed.get("note", ""),
                    now=at.now,
                    user_id=visit.user.user_id,
                )
            elif do in _ACTS:
                _ACTS[do](conn, visit, at, found, typed)
            else:
                return RedirectResponse(address, 303)
            append_headquarters(conn, visit.tenant.municipality_id)
    except RecordError as error:
        return RedirectResponse(f"{address}?{urlencode({'problem': error.code})}", 303)
    if typed.get("back") == "list":
        return RedirectResponse(f"{REPORTS}{'?drill=1' if found.drill else ''}#report-{report_id}", 303)
    return RedirectResponse(f"{address}?done={do}", 303)


@router.get("/disaster/photos/{photo_id}")
@access(READERS)
def photo(visit: SignedIn, photo_id: int) -> Response:
    return _photo(visit, photo_id, small=False)


@router.get("/disaster/photos/{photo_id}/small")
@access(READERS)
def small_photo(visit: SignedIn, photo_id: int) -> Response:
    return _photo(visit, photo_id, small=True)


def _photo(visit: Visit, photo_id: int, *, small: bool) -> Response:
    with visit.transaction() as conn:
        found = field_photos.picture(conn, visit.tenant.municipality_id, photo_id, small=small)
    if found is None:
        raise NotFound(
            Text(f"写真 {photo_id} はありません。", f"There is no photo {photo_id}."),
            Text("写真は30日で消えます。", "Photos are gone after 30 days."),
        )
    return Response(found, media_type=JPEG, headers=PHOTO_HEADERS)


# --- what the buttons do

_Act = Callable[[Connection, Visit, Moment, FieldReport, Mapping[str, str]], None]


def _log(conn: Connection, visit: Visit, at: Moment, found: FieldReport, typed: Mapping[str, str]) -> None:
    town = visit.tenant.municipality_id
    field_reports.log(conn, town, found, line_of(found), now=at.now, user_id=visit.user.user_id)
    if found.state == "new":
        field_reports.mark(conn, town, found.report_id, "seen", now=at.now, user_id=visit.user.user_id)


def _attach(conn: Connection, visit: Visit, at: Moment, found: FieldReport, typed: Mapping[str, str]) -> None:
    field_reports.attach(
        conn, visit.tenant.municipality_id, found, _number(typed, "alert"), now=at.now, user_id=visit.user.user_id
    )


def _detach(conn: Connection, visit: Visit, at: Moment, found: FieldReport, typed: Mapping[str, str]) -> None:
    field_reports.detach(
        conn, visit.tenant.municipality_id, found, _number(typed, "alert"), now=at.now, user_id=visit.user.user_id
    )


def _release(conn: Connection, visit: Visit, at: Moment, found: FieldReport, typed: Mapping[str, str]) -> None:
    field_photos.release(
        conn,
        visit.tenant.municipality_id,
        _own_photo(conn, visit, found, typed),
        caption=typed.get("caption", ""),
        now=at.now,
        user_id=visit.user.user_id,
    )


def _take_back(conn: Connection, visit: Visit, at: Moment, found: FieldReport, typed: Mapping[str, str]) -> None:
    photo_id = _own_photo(conn, visit, found, typed)
    field_photos.take_back(conn, visit.tenant.municipality_id, photo_id, now=at.now, user_id=visit.user.user_id)


def _forget(conn: Connection, visit: Visit, at: Moment, found: FieldReport, typed: Mapping[str, str]) -> None:
    photo_id = _own_photo(conn, visit, found, typed)
    field_photos.forget(conn, visit.tenant.municipality_id, photo_id, now=at.now, user_id=visit.user.user_id)


_ACTS: Mapping[str, _Act] = {
    "log": _log,
    "attach": _attach,
    "detach": _detach,
    "release": _release,
    "take_back": _take_back,
    "forget": _forget,
}


def line_of(found: FieldReport) -> Line:
    """A report as a line of 本部記録, in the record's language."""
    words = site().words["ja"]
    parts = [found.text] if found.text else []
    if found.gauge_reading is not None:
        value = formats.number(found.gauge_reading, "m")
        parts.append(words("report.line_reading", station=found.station, value=value))
    if found.photos:
        parts.append(words("report.line_photos", n=len(found.photos)))
    parts.append(words("report.line_number", n=found.report_id))
    places = [found.place, found.station or ""]
    if found.latitude is not None and found.longitude is not None:
        places.append(
            words("report.line_position", latitude=f"{found.latitude:.5f}", longitude=f"{found.longitude:.5f}")
        )
    return Line(
        found.seen_at,
        Source.FIELD,
        found.author[: LINE_MOST["who"]],
        "・".join(filter(None, places))[: LINE_MOST["place"]],
        "　".join(parts)[: LINE_MOST["text"]],
    )


def _attachable(alert: Alert, found: FieldReport) -> bool:
    return (alert.mode != "actual") == found.drill and alert.alert_id not in found.alerts


def _own_photo(conn: Connection, visit: Visit, found: FieldReport, typed: Mapping[str, str]) -> int:
    photo_id = _number(typed, "photo")
    own = field_photos.photos_of(conn, visit.tenant.municipality_id, found.report_id)
    if photo_id not in {each.photo_id for each in own}:
        raise RecordError("photo", "unknown")
    return photo_id


def _number(typed: Mapping[str, str], field: str) -> int:
    text = typed.get(field, "")
    if not (text.isascii() and text.isdigit() and len(text) < 15):
        raise RecordError(field, "unknown")
    return int(text)


def _report(conn: Connection, visit: Visit, report_id: int) -> FieldReport:
    found = field_reports.report(conn, visit.tenant.municipality_id, report_id)
    if found is None:
        raise NotFound(
            Text(f"現地からの報告 {report_id} はありません。", f"There is no report {report_id}."),
            Text("報告の一覧から選んでください。", "Choose one from the list of reports."),
        )
    return found
