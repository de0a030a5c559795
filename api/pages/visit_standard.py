"""共通基準: whether a spot is a 観光地点 of the common standard, and what surveys found there.

Criteria (1) and (2) people say, with where it is written; (3) is computed from the counts of the last calendar year
that is over. Shares of visitors come from interview surveys, with their source and days. Both are append-only; a wrong
survey is withdrawn.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from datetime import date
from typing import Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from analytics.visitors.reports import kept
from analytics.visitors.reports.building import sizes
from analytics.visitors.reports.cells import Place
from analytics.visitors.reports.standard import IN_A_MONTH, IN_A_YEAR, SHARES, Survey, unbalanced
from api.access import READERS, Router, SignedIn, Visit, access
from api.errors import NotFound, Text
from api.pages.alert_list import open_alerts
from api.pages.daily_entry import COUNTING
from api.pages.site import moment, page
from api.pages.typed import Form
from store.connection import Connection

router = Router()

MOST: Final = {"category": 40, "number": 40, "source": 200}
_ANSWERS: Final = {"yes": True, "no": False, "": None}
_DONE: Final = ("standard", "survey", "withdrawn")


class _Refused(Exception):
    """Which field of which form, and which sentence."""

    def __init__(self, form: str, field: str, code: str) -> None:
        super().__init__(code)
        self.form, self.field, self.code = form, field, code


@router.get("/tourism/reports/standard")
@access(READERS, page=True)
def standard_page(request: Request, visit: SignedIn) -> Response:
    """Every spot with its criteria."""
    at = moment(request, visit)
    town = visit.tenant.municipality_id
    today = at.now.astimezone(at.zone).date()
    with visit.transaction() as conn:
        places = kept.places(conn, town, today)
        settings = kept.settings(conn, town)
        found = (
            sizes(conn, places, today.year - 1, today, settings.most_missing, relation="tenant_observation")
            if places
            else {}
        )
        said, surveyed = kept.standards(conn, town), kept.surveys(conn, town)
        alerts = open_alerts(conn, visit.user.role)
    return page(
        request,
        visit,
        at,
        "tourism_reports_standard",
        alerts,
        rows=[
            (
                place,
                said.get(place.spot_id, kept.Standard()),
                found[place.spot_id],
                next(iter(surveyed.get(place.spot_id, ())), None),
            )
            for place in places
        ],
        year=today.year - 1,
        in_a_year=IN_A_YEAR,
        in_a_month=IN_A_MONTH,
        may_write=visit.user.role in COUNTING,
    )


@router.get("/tourism/reports/standard/{spot}")
@access(READERS, page=True)
def spot_page(request: Request, visit: SignedIn, spot: str) -> Response:
    """What is said of one spot, and the forms."""
    return _spot_page(request, visit, spot)


@router.post("/tourism/reports/standard/{spot}")
@access(COUNTING)
def say(request: Request, visit: SignedIn, spot: str, typed: Form) -> Response:
    """`do` standard, survey or withdraw."""
    at = moment(request, visit)
    town, user = visit.tenant.municipality_id, visit.user.user_id
    today = at.now.astimezone(at.zone).date()
    do = typed.get("do", "standard")
    try:
        with visit.transaction() as conn:
            place = _place(conn, town, today, spot)
            if do == "survey":
                kept.enter_survey(conn, town, place.spot_id, _survey(typed, today), user, at.now)
                done = "survey"
            elif do == "withdraw":
                number = typed.get("survey", "")
                survey_id = int(number) if re.fullmatch(r"\d{1,9}", number) else 0
                if not kept.withdraw_survey(conn, town, place.spot_id, survey_id, user, at.now):
                    raise NotFound(Text("その調査は、もうありません。", "That survey is not there any more."))
                done = "withdrawn"
            else:
                kept.say_standard(conn, town, place.spot_id, _standard(typed), user, at.now)
                done = "standard"
    except _Refused as refused:
        return _spot_page(request, visit, spot, typed, refused)
    return RedirectResponse(f"/tourism/reports/standard/{place.code}?done={done}", 303)


def _spot_page(
    request: Request,
    visit: Visit,
    spot: str,
    typed: Mapping[str, str] | None = None,
    refused: _Refused | None = None,
) -> Response:
    at = moment(request, visit)
    town = visit.tenant.municipality_id
    today = at.now.astimezone(at.zone).date()
    with visit.transaction() as conn:
        place = _place(conn, town, today, spot)
        settings = kept.settings(conn, town)
        found = sizes(conn, [place], today.year - 1, today, settings.most_missing, relation="tenant_observation")
        said = kept.standards(conn, town).get(place.spot_id, kept.Standard())
        surveyed = kept.surveys(conn, town).get(place.spot_id, [])
        alerts = open_alerts(conn, visit.user.role)
    words = {True: "yes", False: "no", None: ""}
    fields = {
        "non_daily": words[said.non_daily],
        "measurable": words[said.measurable],
        "category": said.category,
        "number": said.number,
        "source": said.source,
    }
    if refused is not None and refused.form == "standard":
        fields |= {name: (typed or {}).get(name, "") for name in fields}
    done = request.query_params.get("done")
    return page(
        request,
        visit,
        at,
        "tourism_reports_spot",
        alerts,
        status=200 if refused is None else 400,
        place=place,
        said=said,
        size=found[place.spot_id],
        surveyed=surveyed,
        fields=fields,
        typed=(typed or {}) if refused is not None and refused.form == "survey" else {},
        refused=refused,
        done=done if done in _DONE else None,
        shares=SHARES,
        most=MOST,
        in_a_year=IN_A_YEAR,
        in_a_month=IN_A_MONTH,
        today=today,
        may_write=visit.user.role in COUNTING,
    )


def _place(conn: Connection, municipality_id: int, day: date, code: str) -> Place:
    place = next((each for each in kept.places(conn, municipality_id, day) if each.code == code), None)
    if place is None:
        raise NotFound(
            Text(f"地点 {code[:40]} はありません。", f"There is no spot {code[:40]}."),
            Text("共通基準の一覧から選んでください。", "Choose one from the list."),
        )
    return place


def _text(typed: Mapping[str, str], form: str, name: str, *, needed: bool = False) -> str:
    text = " ".join(typed.get(name, "").split())
    if len(text) > MOST[name]:
        raise _Refused(form, name, "long")
    if needed and not text:
        raise _Refused(form, name, "source")
    return text


def _standard(typed: Mapping[str, str]) -> kept.Standard:
    answers = [typed.get(name, "") for name in ("non_daily", "measurable")]
    for name, answer in zip(("non_daily", "measurable"), answers, strict=True):
        if answer not in _ANSWERS:
            raise _Refused("standard", name, "answer")
    return kept.Standard(
        _ANSWERS[answers[0]],
        _ANSWERS[answers[1]],
        _text(typed, "standard", "category"),
        _text(typed, "standard", "number"),
        _text(typed, "standard", "source", needed=True),
    )


def _survey(typed: Mapping[str, str], today: date) -> Survey:
    days = []
    for name in ("first", "last"):
        try:
            days.append(date.fromisoformat(typed.get(name, "")))
        except ValueError:
            raise _Refused("survey", name, "day") from None
    if not date(2000, 1, 1) <= days[0] <= days[1] <= today:
        raise _Refused("survey", "last", "order")
    asked = unicodedata.normalize("NFKC", typed.get("asked", "")).replace(",", "").strip()
    if asked and not (re.fullmatch(r"\d{1,7}", asked) and int(asked) > 0):
        raise _Refused("survey", "asked", "number")
    shares = {name: _share(typed.get(name, ""), name) for name in SHARES}
    survey = Survey(
        days[0], days[1], int(asked) if asked else None, _text(typed, "survey", "source", needed=True), **shares
    )
    if all(value is None for value in shares.values()):
        raise _Refused("survey", SHARES[0], "shares")
    wrong = unbalanced(survey)
    if wrong:
        raise _Refused("survey", SHARES[0] if wrong[0] == "stay" else SHARES[2], wrong[0])
    return survey


def _share(text: str, name: str) -> float | None:
    plain = unicodedata.normalize("NFKC", text).replace("%", "").strip()
    if not plain:
        return None
    if not re.fullmatch(r"\d{1,3}(\.\d{1,2})?", plain) or float(plain) > 100:
        raise _Refused("survey", name, "share")
    return float(plain)
