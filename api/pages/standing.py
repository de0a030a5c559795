"""事前承認: what the public may be told when a gauge reaches a level, written beforehand, signed by a second person.

Everybody of the town hall may look; the disaster desk writes, signs and revokes. Who signs reads on the same page what
it would have told in the stored past year, and the words of the last case. A refusal is no error page: the form comes
back and says at each field what is wrong, with what was typed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from alerts.public import standing, standing_words
from alerts.public.basis import SetInForce, sets_in_force
from alerts.public.cap import Publisher
from alerts.public.evacuation import Evacuation, current_evacuation
from alerts.public.making import Step
from alerts.public.standing import HOURS, Draft, StandingRefused
from alerts.public.standing_rehearsal import YEAR, rehearse
from alerts.public.words import MAX_BODY, MAX_HEADLINE, VARIANTS, Facts, Stage, Text, Texts, stage_name
from api.access import READERS, Role, Router, SignedIn, Visit, access
from api.errors import NotFound
from api.errors import Text as ErrorText
from api.pages.alert_list import open_alerts
from api.pages.public_text import PublicText, as_would_be_read
from api.pages.site import Moment, moment, page
from api.pages.typed import Form
from store.connection import Connection

router = Router()

_DISASTER = frozenset({Role.DISASTER})
_DONE = frozenset({"entered", "signed", "revoked"})
_NAMED = ("authority", "post", "document", "dated", "holds_to")
_USUAL_HOURS = 12


@dataclass(frozen=True, slots=True)
class Choice:
    """A level of a gauge for which an approval can be written, and how the public reads it."""

    held: SetInForce
    stage: Stage
    said: str
    said_en: str


@router.get("/disaster/standing")
@access(READERS, page=True)
def standing_page(request: Request, visit: SignedIn) -> Response:
    """What holds, what waits for its signature, what was; and the way to a new one."""
    at = moment(request, visit)
    with visit.transaction() as conn:
        found = standing.approvals(conn, at.now)
        choices = _choices(conn, visit, at)
        alerts = open_alerts(conn, visit.user.role)
    states = [(each, each.state(at.now, at.zone)) for each in found]
    return page(
        request,
        visit,
        at,
        "disaster_standing",
        alerts,
        now_in_force=[pair for pair in states if pair[1] in ("holds", "unsigned", "levels", "words")],
        earlier=[pair for pair in states if pair[1] in ("over", "revoked", "replaced")],
        choices=choices,
        levels=_said(choices),
        may_act=visit.user.role in _DISASTER,
    )


@router.get("/disaster/standing/new")
@access(_DISASTER, page=True)
def new_page(request: Request, visit: SignedIn) -> Response:
    """The form for one level of one gauge (`?of=CODE:LEVEL`), with the words that the wording module would say."""
    return _form(request, visit, request.query_params.get("of", ""))


def _form(
    request: Request,
    visit: Visit,
    of: str,
    *,
    typed: Mapping[str, str] | None = None,
    refused: StandingRefused | None = None,
) -> Response:
    at = moment(request, visit)
    with visit.transaction() as conn:
        choice = next((each for each in _choices(conn, visit, at) if _of(each) == of), None)
        alerts = open_alerts(conn, visit.user.role)
    if choice is None:
        return RedirectResponse("/disaster/standing#new", 303)  # where one chooses
    facts = _facts(visit, at, choice)
    drafted: dict[Step, Texts] = {
        "reached": standing_words.draft(facts),
        "ended": standing_words.draft_end(facts),
    }
    fields = {
        f"{prefix}{variant}_{part}": getattr(drafted[step][variant], part)
        for step, prefix in _STEPS
        for variant in VARIANTS
        for part in ("headline", "body")
    }
    fields |= dict.fromkeys(_NAMED, "") | {"hours": str(_USUAL_HOURS), "at_end": "stays", "renews": "renews"}
    if typed is not None:
        fields = {name: typed.get(name, value)[:MAX_BODY] for name, value in fields.items()}
    problems: dict[str, list[standing_words.Problem]] = {}
    for each in refused.problems if refused else ():
        problems.setdefault(each.field, []).append(each)
    return page(
        request,
        visit,
        at,
        "disaster_standing_new",
        alerts,
        status=200 if refused is None else 409,
        choice=choice,
        of=of,
        fields=fields,
        problems=problems,
        variants=VARIANTS,
        places={variant: (standing_words.TIME[variant], standing_words.VALUE[variant]) for variant in VARIANTS},
        limits={"headline": MAX_HEADLINE, "body": MAX_BODY, "name": standing.MOST_NAME},
        hours=HOURS,
        here=lambda **changes: f"/disaster/standing/new?of={of}&lang={changes.get('lang', at.words.code)}",
    )


@router.post("/disaster/standing")
@access(_DISASTER)
def enter(request: Request, visit: SignedIn, typed: Form) -> Response:
    """Writes it down; it waits for its signature."""
    at = moment(request, visit)
    code, _, level = typed.get("of", "").rpartition(":")
    draft = Draft(
        code,
        int(level) if level in ("1", "2", "3", "4", "5") else 0,
        _texts(typed, ""),
        _texts(typed, "end_") if typed.get("at_end") == "tells" else None,
        int(typed["hours"]) if typed.get("hours") in {str(each) for each in HOURS} else 0,
        typed.get("holds_to", ""),
        typed.get("authority", ""),
        typed.get("post", ""),
        typed.get("document", ""),
        typed.get("dated", ""),
        typed.get("renews") == "renews",
    )
    try:
        with visit.transaction() as conn:
            made = standing.enter(conn, visit.tenant.municipality_id, draft, visit.user.user_id, at.now, at.zone)
    except StandingRefused as error:
        return _form(request, visit, typed.get("of", ""), typed=typed, refused=error)
    return RedirectResponse(f"/disaster/standing/{made}?done=entered", 303)


@router.get("/disaster/standing/{approval_id}")
@access(READERS, page=True)
def one_page(request: Request, visit: SignedIn, approval_id: int) -> Response:
    """One approval as residents would read it; before its signature with the rehearsal over the past year."""
    return _one(request, visit, approval_id)


def _one(request: Request, visit: Visit, approval_id: int, *, refused: StandingRefused | None = None) -> Response:
    at = moment(request, visit)
    with visit.transaction() as conn:
        found = standing.approval(conn, approval_id, at.now)
        if found is None:
            raise NotFound(
                ErrorText(f"事前承認 {approval_id} はありません。", f"There is no standing approval {approval_id}.")
            )
        state = found.state(at.now, at.zone)
        # Over a year of observations: for who is to sign, and for who asks.
        asked = state == "unsigned" or "rehearse" in request.query_params
        played = rehearse(conn, found, at.now - YEAR, at.now, at.zone) if asked else None
        told = standing.told_by(conn, approval_id)
        evacuation = current_evacuation(conn, visit.tenant.municipality_id, at.now, at.zone)
        levels = _said(_choices(conn, visit, at))
        alerts = open_alerts(conn, visit.user.role)
    shown = found.texts if played is None or played.last is None else played.last
    problem = None
    if refused is not None:
        problem = " ".join(each.en if at.words.code == "en" else each.ja for each in refused.problems)
    return page(
        request,
        visit,
        at,
        "disaster_standing_one",
        alerts,
        status=200 if refused is None else 409,
        approval=found,
        state=state,
        played=played,
        told=told,
        level=levels.get((found.station, found.level)),
        previews=_previews(visit, at, shown, evacuation),
        variants=VARIANTS,
        may_act=visit.user.role in _DISASTER,
        may_sign=visit.user.role in _DISASTER and state == "unsigned" and visit.user.user_id != found.entered_by_id,
        own=visit.user.user_id == found.entered_by_id,
        problem=problem,
        done=request.query_params.get("done") if request.query_params.get("done") in _DONE else None,
        here=lambda **changes: f"/disaster/standing/{approval_id}?lang={changes.get('lang', at.words.code)}",
    )


@router.post("/disaster/standing/{approval_id}/sign")
@access(_DISASTER)
def sign(request: Request, visit: SignedIn, approval_id: int) -> Response:
    """The second signature: from now on it has effect."""
    at = moment(request, visit)
    try:
        with visit.transaction() as conn:
            standing.sign(conn, visit.tenant.municipality_id, approval_id, visit.user.user_id, at.now, at.zone)
    except StandingRefused as error:
        return _one(request, visit, approval_id, refused=error)
    return RedirectResponse(f"/disaster/standing/{approval_id}?done=signed", 303)


@router.post("/disaster/standing/{approval_id}/revoke")
@access(_DISASTER)
def revoke(request: Request, visit: SignedIn, approval_id: int) -> Response:
    """Takes it back at once; nothing more is told in its name."""
    at = moment(request, visit)
    try:
        with visit.transaction() as conn:
            standing.revoke(conn, visit.tenant.municipality_id, approval_id, visit.user.user_id, at.now)
    except StandingRefused as error:
        return _one(request, visit, approval_id, refused=error)
    return RedirectResponse(f"/disaster/standing/{approval_id}?done=revoked", 303)


_STEPS: tuple[tuple[Step, str], ...] = (("reached", ""), ("ended", "end_"))


def _of(choice: Choice) -> str:
    return f"{choice.held.station}:{choice.stage.level}"


def _choices(conn: Connection, visit: Visit, at: Moment) -> list[Choice]:
    town = visit.tenant.name
    return [
        Choice(held, stage, stage_name(stage, held.basis, town, "ja"), stage_name(stage, held.basis, town, "en"))
        for held in sets_in_force(conn, at.now)
        for stage in held.stages
    ]


def _said(choices: Sequence[Choice]) -> dict[tuple[str, int], Choice]:
    return {(each.held.station, each.stage.level): each for each in choices}


def _facts(visit: Visit, at: Moment, choice: Choice) -> Facts:
    held, now = choice.held, datetime(2001, 2, 3, tzinfo=at.zone)
    return Facts(
        visit.tenant.name,
        held.name,
        held.name_en or held.name,
        at.zone,
        now,
        choice.stage.value,
        choice.stage,
        held.basis,
    )


def _texts(typed: Mapping[str, str], prefix: str) -> Texts:
    return {
        variant: Text(typed.get(f"{prefix}{variant}_headline", ""), typed.get(f"{prefix}{variant}_body", ""))
        for variant in VARIANTS
    }


def _previews(
    visit: Visit, at: Moment, texts: Mapping[Step, Texts], evacuation: Evacuation
) -> dict[Step, list[PublicText]]:
    tenant = visit.tenant
    publisher = Publisher(tenant.code, tenant.name, tenant.name_en, at.zone, at.clock.simulated)
    return {
        step: [as_would_be_read(publisher, said[variant], variant, evacuation) for variant in VARIANTS]
        for step, said in texts.items()
    }
