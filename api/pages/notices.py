"""住民へのお知らせ: what the town tells the public, drafted from an alert, approved by a person of the disaster desk.

Everybody of the town hall may look. A refusal is no error page: the page comes back and says why, with what was typed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from alerts.public import acts, cap, words
from alerts.public.basis import BasisRefused, SetInForce, sets_in_force, state_basis
from alerts.public.cap import Publisher
from alerts.public.evacuation import current_evacuation
from alerts.public.expiring import soon
from alerts.public.notices import Notice, chain_before, notice, notices
from alerts.public.refusals import NoSuchNotice, NoticeRefused, WrongWords
from alerts.public.sheet import sheet
from alerts.public.standing_publish import outlook
from alerts.public.words import VARIANTS, Text, Texts, Variant
from alerts.rules.standing import Why
from api.access import READERS, Role, Router, SignedIn, Visit, access
from api.errors import NotFound
from api.errors import Text as ErrorText
from api.pages.alert_list import Alert, open_alerts
from api.pages.public_text import as_read
from api.pages.site import Moment, moment, page
from api.pages.typed import Form
from store.connection import Connection

router = Router()

_DISASTER = frozenset({Role.DISASTER})
HOURS = (1, 3, 6, 12, 24)
_USUAL_HOURS = 3
_DONE = frozenset({"saved", "approved", "discarded", "drafted", "stated", "renewed"})


@dataclass(frozen=True, slots=True)
class Call:
    """An open level alert of which a notice can be made: its draft, or its present notice, if any, and whether the time
    of that ends soon or is over; `standing`: why no approval given beforehand tells of it (anew), None where there is
    none, or one does.
    """

    alert: Alert
    draft: int | None
    head: Notice | None
    soon: bool
    standing: Why | None


@router.get("/disaster/notices")
@access(READERS, page=True)
def notices_page(request: Request, visit: SignedIn) -> Response:
    """Drafts, what stands, what was; and whose reference levels they are."""
    return _list(request, visit)


def _list(
    request: Request,
    visit: Visit,
    *,
    problem: str | None = None,
    refused: BasisRefused | None = None,
    typed: Mapping[str, str] | None = None,
    status: int = 200,
) -> Response:
    at = moment(request, visit)
    with visit.transaction() as conn:
        found = notices(conn)
        sets = sets_in_force(conn, at.now)
        alerts = open_alerts(conn, visit.user.role)
        levels = [each for each in alerts if each.rule == "level"]
        why = {each.alert_id: outlook(conn, each.alert_id, at.now, at.zone) for each in levels}
    drafts = [each for each in found if each.event is None]
    heads = {
        each.alert_id: each
        for each in reversed(found)
        if each.event == "approved" and each.ended_by is None and each.kind != "cancel"
    }
    by_alert = {each.alert_id: each.notice_id for each in drafts}
    return page(
        request,
        visit,
        at,
        "disaster_notices",
        alerts,
        status=status,
        calls=[
            Call(
                alert,
                by_alert.get(alert.alert_id),
                head := heads.get(alert.alert_id),
                head is not None and soon(head, at.now),
                why[alert.alert_id],
            )
            for alert in levels
        ],
        drafts=drafts,
        standing=[each for each in found if each.state(at.now) == "standing"],
        earlier=[each for each in found if each.event is not None and each.state(at.now) != "standing"],
        hours=HOURS,
        usual_hours=_USUAL_HOURS,
        sets=sets,
        refused=refused,
        typed=typed or {"code": ""},
        may_act=visit.user.role in _DISASTER,
        problem=problem,
        done=_done(request),
    )


@router.post("/disaster/gauges/{code}/basis")
@access(_DISASTER)
def basis(request: Request, visit: SignedIn, code: str, typed: Form) -> Response:
    """States whose reference levels those of a gauge are."""
    at = moment(request, visit)
    try:
        with visit.transaction() as conn:
            held = _set_of(conn, code, at)
            state_basis(
                conn,
                visit.tenant.municipality_id,
                held.threshold_set_id,
                source=typed.get("source", ""),
                authority=typed.get("authority", ""),
                document=typed.get("document", ""),
                dated=typed.get("dated", ""),
                words=typed.get("words", ""),
                words_en=typed.get("words_en", ""),
                levels=len(held.stages),
                user_id=visit.user.user_id,
                at=at.now,
            )
    except BasisRefused as error:
        return _list(request, visit, refused=error, typed={**typed, "code": code}, status=409)
    return RedirectResponse("/disaster/notices?done=stated#basis", 303)


@router.post("/alerts/{alert_id}/notice")
@access(_DISASTER)
def draft(request: Request, visit: SignedIn, alert_id: int) -> Response:
    """Drafts a notice from an alert."""
    at = moment(request, visit)
    try:
        with visit.transaction() as conn:
            made = acts.draft(conn, visit.tenant.municipality_id, alert_id, visit.user.user_id, at.now)
    except NoticeRefused as error:
        return _list(request, visit, problem=_problem(at, error), status=409)
    return RedirectResponse(f"/disaster/notices/{made}?done=drafted", 303)


@router.get("/disaster/notices/{notice_id}")
@access(READERS, page=True)
def notice_page(request: Request, visit: SignedIn, notice_id: int) -> Response:
    """One notice as residents read it in each variant; a draft with its forms."""
    return _one(request, visit, notice_id)


def _one(
    request: Request,
    visit: Visit,
    notice_id: int,
    *,
    problem: str | None = None,
    wrong: WrongWords | None = None,
    typed: Mapping[str, str] | None = None,
    status: int = 200,
) -> Response:
    at = moment(request, visit)
    publisher = _publisher(visit, at)
    with visit.transaction() as conn:
        found = _found(conn, notice_id)
        before = chain_before(conn, found)
        evacuation = current_evacuation(conn, visit.tenant.municipality_id, at.now, at.zone, mode=found.mode)
        latest = conn.execute(
            """
            select l.phenomenon_time, l.value, l.quality::text
            from alert a join datastream_latest l using (datastream_id) where a.alert_id = %s
            """,
            (found.alert_id,),
        ).fetchone()
        alerts = open_alerts(conn, visit.user.role)
    return page(
        request,
        visit,
        at,
        "disaster_notice",
        alerts,
        status=status,
        notice=found,
        state=found.state(at.now),
        variants=VARIANTS,
        texts={variant: as_read(publisher, found, variant, evacuation, at.now) for variant in VARIANTS},
        fields=_fields(found, typed),
        latest=latest,
        before=before,
        sheet=sheet(publisher, found) if found.event == "approved" else None,
        hours=HOURS,
        usual_hours=_USUAL_HOURS,
        soon=found.ended_by is None and found.kind != "cancel" and soon(found, at.now),
        limits={"headline": words.MAX_HEADLINE, "body": words.MAX_BODY},
        may_act=visit.user.role in _DISASTER,
        problem=problem,
        wrong=[] if wrong is None else wrong.wrong,
        done=_done(request),
        here=lambda **changes: f"/disaster/notices/{notice_id}?lang={changes.get('lang', at.words.code)}",
    )


@router.post("/disaster/notices/{notice_id}")
@access(_DISASTER)
def save(request: Request, visit: SignedIn, notice_id: int, typed: Form) -> Response:
    """Gives a draft other words."""
    at = moment(request, visit)
    texts: Texts = {
        variant: Text(typed.get(f"{variant}_headline", ""), typed.get(f"{variant}_body", "")) for variant in VARIANTS
    }

    def rewrite(conn: Connection) -> None:
        text_id, user_id = _number(typed.get("text")), visit.user.user_id
        acts.rewrite(conn, visit.tenant.municipality_id, notice_id, text_id, texts, user_id, at.now, at.zone)

    return _act(request, visit, at, notice_id, rewrite, "saved", typed=typed)


@router.post("/disaster/notices/{notice_id}/approve")
@access(_DISASTER)
def approve(request: Request, visit: SignedIn, notice_id: int, typed: Form) -> Response:
    """Tells the public, in the words that stood on the page."""
    at = moment(request, visit)
    until = _until(at, typed)

    def tell(conn: Connection) -> None:
        text_id, user_id = _number(typed.get("text")), visit.user.user_id
        acts.approve(conn, visit.tenant.municipality_id, notice_id, text_id, until, user_id, at.now, at.zone)

    return _act(request, visit, at, notice_id, tell, "approved")


@router.post("/disaster/notices/{notice_id}/discard")
@access(_DISASTER)
def discard(request: Request, visit: SignedIn, notice_id: int) -> Response:
    """Lays a draft aside."""
    at = moment(request, visit)

    def lay_aside(conn: Connection) -> None:
        acts.discard(conn, visit.tenant.municipality_id, notice_id, visit.user.user_id, at.now, at.zone)

    return _act(request, visit, at, notice_id, lay_aside, "discarded")


@router.post("/disaster/notices/{notice_id}/renew")
@access(_DISASTER)
def renew(request: Request, visit: SignedIn, notice_id: int, typed: Form) -> Response:
    """The public reads the words of a notice for longer."""
    at = moment(request, visit)
    try:
        with visit.transaction() as conn:
            town, user_id = visit.tenant.municipality_id, visit.user.user_id
            made = acts.renew(conn, town, notice_id, _until(at, typed), user_id, at.now, at.zone)
    except WrongWords as error:
        return _one(request, visit, notice_id, wrong=error, status=409)
    except NoticeRefused as error:
        return _one(request, visit, notice_id, problem=_problem(at, error), status=409)
    return RedirectResponse(f"/disaster/notices/{made}?done=renewed", 303)


@router.post("/disaster/notices/{notice_id}/withdraw")
@access(_DISASTER)
def withdraw(request: Request, visit: SignedIn, notice_id: int, typed: Form) -> Response:
    """Drafts the cancellation of a notice."""
    at = moment(request, visit)
    try:
        with visit.transaction() as conn:
            why = "mistake" if typed.get("why") == "mistake" else "below"
            town, user_id = visit.tenant.municipality_id, visit.user.user_id
            made = acts.draft_withdrawal(conn, town, notice_id, cast(Any, why), user_id, at.now)
    except NoticeRefused as error:
        return _one(request, visit, notice_id, problem=_problem(at, error), status=409)
    return RedirectResponse(f"/disaster/notices/{made}?done=drafted", 303)


@router.get("/disaster/notices/{notice_id}/cap.xml")
@access(READERS, page=True)
def cap_file(request: Request, visit: SignedIn, notice_id: int) -> Response:
    """The message of an approved notice, of a drill too: that one is to be had here alone."""
    at = moment(request, visit)
    with visit.transaction() as conn:
        found = _approved(conn, notice_id)
        document = cap.message(_publisher(visit, at), found, chain_before(conn, found))
    return _file(document, cap.MEDIA_TYPE, f"notice-{notice_id}.xml")


@router.get("/disaster/notices/{notice_id}/sheet.txt")
@access(READERS, page=True)
def sheet_file(request: Request, visit: SignedIn, notice_id: int) -> Response:
    """The sheet to copy from, as a file."""
    at = moment(request, visit)
    with visit.transaction() as conn:
        found = _approved(conn, notice_id)
    # With a byte order mark: what an office computer opens it with would else guess another encoding.
    return _file(sheet(_publisher(visit, at), found).encode("utf-8-sig"), "text/plain", f"notice-{notice_id}.txt")


def _act(
    request: Request,
    visit: Visit,
    at: Moment,
    notice_id: int,
    do: Any,
    done: str,
    *,
    typed: Mapping[str, str] | None = None,
) -> Response:
    try:
        with visit.transaction() as conn:
            do(conn)
    except WrongWords as error:
        return _one(request, visit, notice_id, wrong=error, typed=typed, status=409)
    except NoticeRefused as error:
        return _one(request, visit, notice_id, problem=_problem(at, error), typed=typed, status=409)
    return RedirectResponse(f"/disaster/notices/{notice_id}?done={done}", 303)


def _problem(at: Moment, error: NoticeRefused) -> str:
    if isinstance(error, NoSuchNotice):
        raise NotFound(ErrorText(error.ja, error.en)) from error
    return error.said("en" if at.words.code == "en" else "ja")


def _fields(found: Notice, typed: Mapping[str, str] | None) -> dict[tuple[Variant, str], str]:
    """What stands in the form: what was typed, else the words as they are."""
    kept = {}
    for variant in VARIANTS:
        for part in ("headline", "body"):
            own = getattr(found.texts[variant], part)
            kept[variant, part] = own if typed is None else typed.get(f"{variant}_{part}", own)[: words.MAX_BODY]
    return kept


def _found(conn: Connection, notice_id: int) -> Notice:
    found = notice(conn, notice_id)
    if found is None:
        raise _no_notice(notice_id)
    return found


def _approved(conn: Connection, notice_id: int) -> Notice:
    found = _found(conn, notice_id)
    if found.event != "approved":
        raise _no_notice(notice_id)
    return found


def _no_notice(notice_id: int) -> NotFound:
    return NotFound(
        ErrorText(f"お知らせ {notice_id} はありません。", f"There is no notice {notice_id}."),
        ErrorText("お知らせの一覧から選んでください。", "Choose one from the list of notices."),
    )


def _set_of(conn: Connection, code: str, at: Moment) -> SetInForce:
    for held in sets_in_force(conn, at.now):
        if held.station == code:
            return held
    raise NotFound(
        ErrorText(f"観測所 {code} に基準水位はありません。", f"There are no reference levels of a station {code}."),
    )


def _publisher(visit: Visit, at: Moment) -> Publisher:
    tenant = visit.tenant
    return Publisher(tenant.code, tenant.name, tenant.name_en, at.zone, at.clock.simulated)


def _file(content: bytes, media_type: str, name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(content, media_type=f"{media_type}; charset=utf-8", headers=headers)


def _until(at: Moment, typed: Mapping[str, str]) -> datetime:
    hours = _number(typed.get("hours"))
    return at.now + timedelta(hours=hours if hours in HOURS else 0)


def _number(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 19 else 0


def _done(request: Request) -> str | None:
    done = request.query_params.get("done")
    return done if done in _DONE else None
