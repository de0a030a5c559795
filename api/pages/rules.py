"""アラートの条件: the rules that a desk writes for its stations, in words; tried on the stored year before saving.

Everybody of the town reads them. The desk that watches a kind of station writes the rules of its stations. A rule is
saved as it was rehearsed: what differs from what was shown is shown again first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from alerts import rule_words
from alerts.rehearsal import YEAR, Rehearsal, rehearse
from alerts.rule_book import MAX_NAME, MAX_REASON, OFFICIAL_WORDS, Rule, Version, add_rule, add_version, rules_of
from alerts.rule_series import Site, sites
from alerts.rules.condition import Body, encoded
from api.access import READERS, Role, Router, SignedIn, Visit, access
from api.errors import BadRequest, NotFound, Refused, Text
from api.language import page_language_of
from api.pages.alert_list import open_alerts
from api.pages.paging import paged
from api.pages.rule_form import CLEARING, MEASURES, ROWS, Problems, fields_of, read_form
from api.pages.site import Moment, moment, page
from api.pages.typed import Form
from api.pages.words import Words
from devices.model import StationKind
from store.connection import Connection
from store.errors import RegistrationError
from store.levels import level_names

router = Router()

WRITERS = frozenset({Role.DISASTER, Role.WATER, Role.TOURISM})
_ADDRESS = "/alerts/rules"
_NARROWED = "the station's desk"
_SEVERITIES = {"3": 3, "2": 2, "1": 1, "0": None}


@dataclass(frozen=True, slots=True)
class Place:
    """What a rule is about: a station, or every station of a kind."""

    site: Site | None
    kind: StationKind

    @property
    def key(self) -> str:
        return f"kind:{self.kind}" if self.site is None else f"station:{self.site.code}"


@router.get(_ADDRESS)
@access(READERS, page=True)
def rules_page(request: Request, visit: SignedIn) -> Response:
    """All rules in words, with who changed them last and why."""
    at = moment(request, visit)
    with visit.transaction() as conn:
        known = sites(conn, [visit.tenant.municipality_id])
        rules = [(rule, _place_of(rule, known)) for rule in rules_of(conn, visit.tenant.municipality_id)]
        names = _names(known)
        alerts = open_alerts(conn, visit.user.role)
    done = request.query_params.get("done")
    return page(
        request,
        visit,
        at,
        "alerts_rules",
        alerts,
        listed=paged(
            request,
            [(rule, place, _now(rule, at), _coming(rule, at)) for rule, place in rules],
            lambda row: _said(row, at.words),
        ),
        may_write=visit.user.role in WRITERS,
        done=done if done in ("saved", "off") else None,
        **_words(at, names),
    )


@router.get(_ADDRESS + "/new")
@access(WRITERS, page=True)
def new_rule(request: Request, visit: SignedIn) -> Response:
    return _rule_page(request, visit, None, {"hold": "30", "joined": "every", "order-1": "above", "severity": "2"})


@router.post(_ADDRESS + "/new")
@access(WRITERS, narrowed=_NARROWED)
def make_rule(request: Request, visit: SignedIn, form: Form) -> Response:
    """Rehearses what was typed, or saves it (`do=save`)."""
    return _taken(request, visit, None, form)


@router.get(_ADDRESS + "/{rule_id}")
@access(READERS, page=True)
def rule_page(request: Request, visit: SignedIn, rule_id: int) -> Response:
    """One rule: what it says, its form, and every version that it had."""
    with visit.transaction() as conn:
        rule = _rule(conn, visit, rule_id)
    newest = rule.versions[-1]
    fields = fields_of(newest.body)
    typed = None if fields is None else {**fields, "name": newest.name, "severity": str(newest.severity or 0)}
    return _rule_page(request, visit, rule, typed)


@router.post(_ADDRESS + "/{rule_id}")
@access(WRITERS, narrowed=_NARROWED)
def change_rule(request: Request, visit: SignedIn, rule_id: int, form: Form) -> Response:
    """Rehearses another version, saves it (`do=save`), or switches the rule off (`do=off`)."""
    with visit.transaction() as conn:
        rule = _rule(conn, visit, rule_id)
    return _taken(request, visit, rule, form)


def _taken(request: Request, visit: Visit, rule: Rule | None, form: Mapping[str, str]) -> Response:
    at = moment(request, visit)
    problems: Problems = {}
    with visit.transaction() as conn:
        known = sites(conn, [visit.tenant.municipality_id])
        place = _place_of(rule, known) if rule is not None else _chosen(form, known, problems)
        if place is not None and visit.user.role != Role(place.kind.desk):
            raise Refused(
                Text("この地点の条件は別の担当が決めます。", "Another desk writes the rules of these stations."),
                Text("担当課に連絡してください。", "Call the section in charge."),
            )
        if form.get("do") == "off":
            return _switch_off(request, visit, conn, rule, form, at)
        body, wrong = read_form(form)
        problems |= wrong
        valid_from = _said_of_saving(form, at, problems, saving=form.get("do") == "save")
        played = None
        if body is not None and place is not None:
            played = _rehearsed(conn, visit, body, place, at)
            seen = form.get("rehearsed") == _digest(body, place)
            if form.get("do") == "save" and not problems:
                if not seen:
                    problems["rehearsed"] = Text(
                        "試したあとで条件が変わっています。下の結果を確かめて、もう一度保存してください。",
                        "This differs from what was rehearsed. Look at the outcome below, then save again.",
                    )
                elif _saved(conn, visit, rule, place, body, form, valid_from or at.now, at, problems):
                    return RedirectResponse(f"{_ADDRESS}?done=saved", 303)
    return _rule_page(
        request,
        visit,
        rule,
        form,
        place=place,
        body=body,
        played=played,
        problems=problems,
        status=422 if problems else 200,
    )


def _saved(
    conn: Connection,
    visit: Visit,
    rule: Rule | None,
    place: Place,
    body: Body,
    form: Mapping[str, str],
    valid_from: datetime,
    at: Moment,
    problems: Problems,
) -> bool:
    town = visit.tenant.municipality_id
    try:
        with conn.transaction():
            if rule is None:
                station_id = None if place.site is None else place.site.place.station_id
                rule_id = add_rule(
                    conn, town, station_id=station_id, kind=None if place.site else place.kind, now=at.now
                )
            else:
                rule_id = rule.rule_id
            add_version(
                conn,
                town,
                rule_id,
                valid_from=valid_from,
                name=form.get("name", ""),
                severity=_SEVERITIES.get(form.get("severity", ""), 2),
                active=True,
                body=body,
                reason=form.get("reason", ""),
                now=at.now,
                user_id=visit.user.user_id,
            )
    except RegistrationError as error:
        problems[error.field] = _WRONG.get(error.field, Text("この値では保存できません。", str(error)))
        return False
    return True


_WRONG = {
    "valid_from": Text(
        "この時刻以後に始まる版がすでにあるか、過去の時刻です。",
        "A version begins then or later already, or this is in the past.",
    ),
    "body": Text("選んだ観測所が見つかりません。", "A chosen station does not exist."),
}


def _switch_off(
    request: Request, visit: Visit, conn: Connection, rule: Rule | None, form: Mapping[str, str], at: Moment
) -> Response:
    if rule is None:
        raise NotFound(Text("そのような条件はありません。", "There is no such rule."))
    newest = rule.versions[-1]
    reason = form.get("off_reason", "").strip()
    if not reason or len(reason) > MAX_REASON:
        problems = {"off_reason": Text("やめる理由を書いてください。", "Say why it is switched off.")}
        return _rule_page(request, visit, rule, None, problems=problems, status=422)
    try:
        add_version(
            conn,
            visit.tenant.municipality_id,
            rule.rule_id,
            valid_from=at.now,
            name=newest.name,
            severity=newest.severity,
            active=False,
            body=newest.body,
            reason=reason,
            now=at.now,
            user_id=visit.user.user_id,
        )
    except RegistrationError:
        problems = {"off_reason": Text("これから始まる版があります。", "A version is still to begin.")}
        return _rule_page(request, visit, rule, None, problems=problems, status=422)
    return RedirectResponse(f"{_ADDRESS}?done=off", 303)


def _said_of_saving(form: Mapping[str, str], at: Moment, problems: Problems, *, saving: bool) -> datetime | None:
    """The beginning that was typed; None: at once. Also looks at what only a rule that is saved needs."""
    name, reason = form.get("name", "").strip(), form.get("reason", "").strip()
    if OFFICIAL_WORDS.search(name):
        problems["name"] = Text(
            "この言葉は気象台などの公式な発表のものです（気象業務法）。別の名前にしてください。",
            "These words belong to official announcements by law. Choose another name.",
        )
    if saving and (not name or len(name) > MAX_NAME):
        problems["name"] = Text(f"名前を{MAX_NAME}字以内で入れてください。", f"A name of up to {MAX_NAME} characters.")
    if saving and (not reason or len(reason) > MAX_REASON):
        problems["reason"] = Text(
            f"決めた理由を{MAX_REASON}字以内で書いてください。あとで見る人のためです。",
            f"Say why in up to {MAX_REASON} characters, for whoever asks later.",
        )
    text = form.get("valid_from", "").strip()
    if not text:
        return None
    try:
        valid_from = datetime.fromisoformat(text).replace(tzinfo=at.zone)
    except ValueError:
        problems["valid_from"] = Text("日時を入れてください。", "This is not a date and time.")
        return None
    if valid_from < at.now:
        problems["valid_from"] = Text("過去の時刻からは始められません。", "It cannot begin in the past.")
    return valid_from


def _rehearsed(conn: Connection, visit: Visit, body: Body, place: Place, at: Moment) -> Rehearsal:
    return rehearse(
        conn,
        visit.tenant.municipality_id,
        body,
        station_id=None if place.site is None else place.site.place.station_id,
        kind=place.kind if place.site is None else None,
        start=at.now - YEAR,
        end=at.now,
        tenant=True,
    )


def _digest(body: Body, place: Place) -> str:
    return sha256(f"{place.key} {encoded(body)}".encode()).hexdigest()[:32]


def _chosen(form: Mapping[str, str], known: Mapping[int, Site], problems: Problems) -> Place | None:
    what, _, name = form.get("place", "").partition(":")
    if what == "station":
        site = next((each for each in known.values() if each.code == name), None)
        if site is not None:
            return Place(site, StationKind(site.place.kind))
    elif what == "kind" and name in set(StationKind):
        return Place(None, StationKind(name))
    elif what:
        raise BadRequest(Text("選択肢にない地点です。", "That is none of the stations."))
    problems["place"] = Text("観測所または種類を選んでください。", "Choose a station or a kind.")
    return None


def _place_of(rule: Rule, known: Mapping[int, Site]) -> Place:
    if rule.station_id is not None:
        site = known[rule.station_id]
        return Place(site, StationKind(site.place.kind))
    assert rule.kind is not None, "a rule has a station or a kind"
    return Place(None, rule.kind)


def _rule(conn: Connection, visit: Visit, rule_id: int) -> Rule:
    rules = rules_of(conn, visit.tenant.municipality_id, rule_id)
    if not rules:
        raise NotFound(Text("そのような条件はありません。", "There is no such rule."))
    return rules[0]


def _now(rule: Rule, at: Moment) -> Version | None:
    return rule.at(at.now)


def _coming(rule: Rule, at: Moment) -> Version | None:
    return next((each for each in rule.versions if each.valid_from > at.now), None)


def _said(row: tuple[Rule, Place, Version | None, Version | None], words: Words) -> str:
    """Where a reader's words are looked for."""
    _, place, current, coming = row
    version = current or coming
    where = words(f"kind.{place.kind}")
    if place.site is not None:
        where += f" {place.site.code} {place.site.place.name} {place.site.place.name_en}"
    return where if version is None else f"{where} {version.name} {version.reason}"


def _names(known: Mapping[int, Site]) -> dict[str, tuple[str, str]]:
    return {site.code: (site.place.name, site.place.name_en) for site in known.values()}


def _words(at: Moment, names: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    language: rule_words.Language = "en" if at.words.code == "en" else "ja"
    return {
        "condition": lambda body: rule_words.condition(body, language, names),
        "clearing": lambda body: rule_words.clearing(body, language, names),
        "limits": lambda body: rule_words.limits(body, language),
    }


def _rule_page(
    request: Request,
    visit: Visit,
    rule: Rule | None,
    typed: Mapping[str, str] | None,
    *,
    place: Place | None = None,
    body: Body | None = None,
    played: Rehearsal | None = None,
    problems: Problems | None = None,
    status: int = 200,
) -> Response:
    at = moment(request, visit)
    role = visit.user.role
    with visit.transaction() as conn:
        known = sites(conn, [visit.tenant.municipality_id])
        properties = [
            row[0]
            for row in conn.execute(
                "select distinct observed_property from datastream where drill_run is null order by 1"
            )
        ]
        names = level_names(conn)
        alerts = open_alerts(conn, role)
    if rule is not None:
        place = _place_of(rule, known)
    mine = [each for each in known.values() if Role(StationKind(each.place.kind).desk) == role]
    address = f"{_ADDRESS}/{'new' if rule is None else rule.rule_id}"

    def here(**changes: str) -> str:
        # Also where it answers a form: that stands at the same address.
        return f"{address}?{urlencode(changes)}" if changes else address

    return page(
        request,
        visit,
        at,
        "alerts_rule",
        alerts,
        status=status,
        here=here,
        address=address,
        rule=rule,
        newest=None if rule is None else rule.versions[-1],
        place=place,
        body=body,
        digest=_digest(body, place) if body is not None and place is not None else "",
        typed=typed,
        played=played,
        problems={field: wrong.of(page_language_of(request)) for field, wrong in (problems or {}).items()},
        may_write=role in WRITERS and (place is None or Role(place.kind.desk) == role),
        stations=mine,
        kinds=sorted({StationKind(each.place.kind) for each in mine}),
        everywhere=list(known.values()),
        properties=properties,
        level_names=names,
        measures=MEASURES,
        rows=ROWS,
        clearing_row=CLEARING,
        in_force=None if rule is None else rule.at(at.now),
        **_words(at, _names(known)),
    )
