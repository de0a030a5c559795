"""水位の基準と横断図: the dated threshold sets of a river gauge, changed by its desk, and its surveyed cross-sections.

Everybody of the town reads them; the disaster desk and the digital section write. A set is saved as it was previewed:
what differs from what was shown is shown again first. Nothing that was written is changed or removed: an error is
corrected by a set of the same date, and the log has both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from hashlib import sha256

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from alerts.public.basis import carry_basis
from alerts.rule_book import MAX_REASON
from api.access import READERS, Role, Router, SignedIn, Visit, access
from api.errors import NotFound, Text
from api.language import page_language_of
from api.pages.alert_list import open_alerts
from api.pages.levels_change import Effect, effect_of, log_file, log_of
from api.pages.levels_form import BASES, ROWS, Fields, Problems, fields_of, read_form
from api.pages.readings import StationNow, stations_now
from api.pages.section import section_file, section_view
from api.pages.site import Moment, moment, page
from api.pages.typed import Form
from devices.cross_section import read_section
from devices.levels import CrossSection, Datum, LevelKind
from devices.model import ObservedProperty, StationKind, ThresholdSet
from devices.sheets import SheetError, read_sheet
from store.connection import Connection
from store.errors import RegistrationError
from store.levels import DatedSet, in_force, put_section, put_set, sections, station_sets

router = Router()

WRITERS = frozenset({Role.DISASTER, Role.DIGITAL})
MOST_FILE = 1_000_000  # bytes of a survey
_ADDRESS = "/disaster/stations/{code}/levels"
_CSV = "text/csv; charset=utf-8"
_NO_PART = frozenset({"csrf_token", "do", "seen", "reason"})


@dataclass(frozen=True, slots=True)
class _Gauge:
    station: StationNow
    sets: list[DatedSet]
    valid_range: tuple[float | None, float | None]

    @property
    def value(self) -> float | None:
        """The present level, None where there is none."""
        now = self.station.readings.get(ObservedProperty.WATER_LEVEL)
        return now.value if now is not None and now.current else None


@router.get(_ADDRESS)
@access(READERS, page=True)
def levels_page(request: Request, visit: SignedIn, code: str) -> Response:
    """What is in force, was and is to come; the form for a new set; the log; the cross-sections."""
    return _page(request, visit, code)


@router.post(_ADDRESS)
@access(WRITERS)
def change_levels(request: Request, visit: SignedIn, code: str, form: Form) -> Response:
    """Shows what a typed set would change, or saves it (`do=save`)."""
    at = moment(request, visit)
    saving = form.get("do") == "save"
    effect: Effect | None = None
    with visit.transaction() as conn:
        gauge = _gauge(conn, code, at)
        # Who changes the same gauge waits here.
        conn.execute("select pg_advisory_xact_lock(hashtext('threshold_set'), %s)", (gauge.station.station_id,))
        gauge = replace(gauge, sets=station_sets(conn, gauge.station.station_id))
        typed, problems = read_form(
            form, gauge.sets, now=at.now, zone=at.zone, valid_range=gauge.valid_range, saving=saving
        )
        if typed is not None:
            new = _unsaved(gauge, typed.wanted, None if typed.corrects is None else typed.corrects.set_id)
            effect = effect_of(
                conn,
                visit.tenant.municipality_id,
                station_id=gauge.station.station_id,
                kind=StationKind.RIVER_GAUGE.value,
                sets=gauge.sets,
                new=new,
                value=gauge.value,
                now=at.now,
                zone=at.zone,
            )
            if effect.nothing:
                problems["levels"] = _NOTHING
            elif saving and form.get("seen") != _digest(form, gauge):
                problems["levels"] = _UNSEEN
            elif saving:
                try:
                    set_id = put_set(
                        conn,
                        visit.tenant.municipality_id,
                        gauge.station.station_id,
                        typed.wanted,
                        corrects=new.corrects,
                        now=at.now,
                        user_id=visit.user.user_id,
                    )
                    if form.get("same_source") == "1" and effect.before is not None:
                        carry_basis(
                            conn,
                            visit.tenant.municipality_id,
                            effect.before.set_id,
                            set_id,
                            user_id=visit.user.user_id,
                            at=at.now,
                        )
                    return RedirectResponse(f"{_ADDRESS.format(code=code)}?done=saved", 303)
                except RegistrationError as error:
                    problems[error.field] = _UNSEEN
    return _page(request, visit, code, form, effect, problems, status=422 if problems else 200)


@router.get(_ADDRESS + ".csv")
@access(READERS, page=True)
def levels_log(request: Request, visit: SignedIn, code: str) -> Response:
    """The change log for a spreadsheet: every level that was ever set, from what to what."""
    at = moment(request, visit)
    with visit.transaction() as conn:
        log = log_of(_gauge(conn, code, at).sets)
    return Response(log_file(code, log, at.zone), media_type=_CSV, headers=_attached(f"{code}_levels"))


@router.post("/disaster/stations/{code}/sections")
@access(WRITERS)
async def add_section(request: Request, visit: SignedIn, code: str) -> Response:
    """A surveyed profile as CSV or Excel; or every line of it that is wrong."""
    form = await request.form()
    file = form.get("file")
    try:
        texts = {name: value for name, value in form.items() if isinstance(value, str)}
        content = await file.read() if isinstance(file, UploadFile) and file.filename else b""
        return await run_in_threadpool(_section, request, visit, code, texts, content)
    finally:
        await form.close()


@router.get("/disaster/stations/{code}/section.csv")
@access(READERS, page=True)
def section_csv(request: Request, visit: SignedIn, code: str) -> Response:
    """A survey (`survey`, else the newest) for a spreadsheet, as the page draws it."""
    at = moment(request, visit)
    asked = request.query_params.get("survey")
    with visit.transaction() as conn:
        gauge = _gauge(conn, code, at)
        known = sections(conn, gauge.station.station_id)
    survey = next((each for each in known if asked in (None, str(each.section_id))), None)
    if survey is None and asked is not None:
        raise NotFound(Text("そのような測量はありません。", "There is no such survey."))
    levels = in_force(gauge.sets, at.now)
    zero = None if levels is None else levels.gauge_zero_tp
    view = None if survey is None else section_view(survey, gauge.value, zero, ())
    return Response(section_file(code, view), media_type=_CSV, headers=_attached(f"{code}_section"))


def _section(request: Request, visit: Visit, code: str, texts: Mapping[str, str], content: bytes) -> Response:
    at = moment(request, visit)
    problems: Problems = {}
    language = page_language_of(request)
    lines: list[str] = []
    surveyed, reason = _day(texts.get("surveyed_on", ""), problems), texts.get("section_reason", "").strip()
    datum: Datum = "zero" if texts.get("datum") == "zero" else "tp"
    if not reason or len(reason) > MAX_REASON:
        problems["section_reason"] = Text(
            f"だれが測ったか、何の測量かを{MAX_REASON}字以内で書いてください。",
            f"Say in up to {MAX_REASON} characters who surveyed it and why.",
        )
    points = None
    if not content or len(content) > MOST_FILE:
        problems["file"] = Text("1 MBまでの測量の表を選んでください。", "Choose the table of the survey, up to 1 MB.")
    else:
        try:
            points, wrong = read_section(read_sheet(content), datum)
        except SheetError as error:
            told = at.words(f"sheet.{error.code}", **error.values)
            problems["file"] = Text(told, told)
        else:
            ja = language == "ja"
            lines = [
                ("" if each.line is None else f"{each.line}行目: " if ja else f"line {each.line}: ")
                + (each.ja if ja else each.en)
                for each in wrong
            ]
            if lines:
                problems["file"] = Text(
                    f"表に{len(lines)}か所の誤りがあります。何も登録していません。",
                    f"The table has {len(lines)} mistakes. Nothing was taken.",
                )
    if points is not None and surveyed is not None and not problems:
        try:
            with visit.transaction() as conn:
                gauge = _gauge(conn, code, at)
                put_section(
                    conn,
                    visit.tenant.municipality_id,
                    gauge.station.station_id,
                    CrossSection(surveyed, reason, datum, *points),
                    now=at.now,
                    today=at.now.astimezone(at.zone).date(),
                    user_id=visit.user.user_id,
                )
            return RedirectResponse(f"{_ADDRESS.format(code=code)}?done=section#sections", 303)
        except RegistrationError:
            problems["surveyed_on"] = Text("測量した日がこれからの日です。", "The day of the survey is still to come.")
    return _page(request, visit, code, None, None, problems, surveyed=texts, lines=lines, status=422)


def _page(
    request: Request,
    visit: Visit,
    code: str,
    typed: Mapping[str, str] | None = None,
    effect: Effect | None = None,
    problems: Problems | None = None,
    *,
    surveyed: Mapping[str, str] | None = None,
    lines: list[str] | None = None,
    status: int = 200,
) -> Response:
    at = moment(request, visit)
    with visit.transaction() as conn:
        gauge = _gauge(conn, code, at)
        surveys = sections(conn, gauge.station.station_id)
        alerts = open_alerts(conn, visit.user.role)
    language, address = page_language_of(request), _ADDRESS.format(code=code)
    current = in_force(gauge.sets, at.now)
    form: Mapping[str, str] = typed if typed is not None else _begun(request, gauge, current)
    return page(
        request,
        visit,
        at,
        "disaster_levels",
        alerts,
        status=status,
        here=lambda **changed: address,
        address=address,
        station=gauge.station,
        current=current,
        coming=[each for each in gauge.sets if each.valid_from > at.now and each.corrected_by is None],
        past=[
            each
            for each in gauge.sets
            if each.valid_from <= at.now and each.corrected_by is None and each is not current
        ],
        correctable=[each for each in gauge.sets if each.corrected_by is None],
        log=log_of(gauge.sets),
        typed=form,
        effect=effect,
        digest="" if effect is None else _digest(form, gauge),
        rows=ROWS,
        used=1 + max((int(row) for row in ROWS if form.get(f"value-{row}") or form.get(f"name-{row}")), default=0),
        kinds=tuple(LevelKind),
        bases=BASES,
        surveys=surveys,
        surveyed=surveyed or {},
        lines=lines or [],
        problems={field: wrong.of(language) for field, wrong in (problems or {}).items()},
        may_write=visit.user.role in WRITERS,
        done=request.query_params.get("done"),
    )


def _begun(request: Request, gauge: _Gauge, current: DatedSet | None) -> Fields:
    """The form begins with the set in force, or with the one that was asked for (`from`); `correct` with that too."""
    asked = request.query_params.get("correct") or request.query_params.get("from")
    base = next((each for each in gauge.sets if str(each.set_id) == asked), current)
    fields = fields_of(base)
    if request.query_params.get("correct") and base is not None and base.corrected_by is None:
        fields["corrects"] = str(base.set_id)
    return fields


def _gauge(conn: Connection, code: str, at: Moment) -> _Gauge:
    station = next((s for s in stations_now(conn, StationKind.RIVER_GAUGE, at.now) if s.code == code), None)
    if station is None:
        raise NotFound(Text(f"水位観測所「{code[:60]}」はありません。", f"There is no river gauge {code[:60]!r}."))
    row = conn.execute(
        """
        select range_low, range_high from datastream
        where station_id = %s and observed_property = 'water_level' and drill_run is null
        """,
        (station.station_id,),
    ).fetchone()
    return _Gauge(station, station_sets(conn, station.station_id), (None, None) if row is None else (row[0], row[1]))


def _unsaved(gauge: _Gauge, wanted: ThresholdSet, corrects: int | None) -> DatedSet:
    """A typed set as it would be stored: written after all others."""
    return DatedSet(
        1 + max((each.set_id for each in gauge.sets), default=0),
        wanted.valid_from,
        wanted.reason,
        wanted.clear_margin,
        wanted.hold,
        wanted.gauge_zero_tp,
        tuple(sorted(wanted.levels, key=lambda each: each.value)),
        wanted.marks,
        corrects,
    )


def _digest(form: Mapping[str, str], gauge: _Gauge) -> str:
    """What was shown: the fields, and the newest set that they were held against."""
    said = sorted((key, value) for key, value in form.items() if key not in _NO_PART)
    newest = max((each.set_id for each in gauge.sets), default=0)
    return sha256(f"{newest} {said}".encode()).hexdigest()[:32]


def _day(text: str, problems: Problems) -> date | None:
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        problems["surveyed_on"] = Text("測量した日を入れてください。", "Give the day of the survey.")
        return None


def _attached(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{name}.csv"'}


_NOTHING = Text("前の組とどこも違いません。", "Nothing is different from the set before.")
_UNSEEN = Text(
    "確かめたあとで内容か登録済みの組が変わっています。下の結果を確かめて、もう一度保存してください。",
    "This differs from what was shown, or another set was saved meanwhile. Look at the outcome below, then save again.",
)
