"""新しい機器の登録: from messages of an unknown sender to a station on the map, on one page.

What it sends, which model reads it, where it stands, what its fields mean: the page proposes an answer to each, and a
person checks it against what the messages then say. Everything said so far stands in the address, so the page can be
reloaded, translated and gone back from, and works without script. Pressing the button registers station and device,
attaches it from the oldest waiting message on, and leaves the wish to read the waiting ones: all of it or nothing.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api.access import Role, Router, SignedIn, Visit, access
from api.errors import BadRequest, NotFound, Text
from api.pages.alert_list import open_alerts
from api.pages.disaster import thresholds_at
from api.pages.formats import number
from api.pages.places import badge, headline
from api.pages.readings import StationNow, stations_now
from api.pages.register_form import SILENCES, free_code, station_of, templates_of, watched, wish_of
from api.pages.register_plan import Plan, plan_of
from api.pages.site import Moment, moment, page
from api.pages.town_map import Place as Marked
from api.pages.town_map import draw
from api.pages.typed import Form
from devices.model import StationKind
from devices.proposals import units_of
from devices.templates import TEMPLATES, Template
from store import registration
from store.connection import Connection
from store.duty import change_duty
from store.errors import RegistrationError
from store.quarantine import Replay, Selection, ask, replay

router = Router()

REGISTRARS = frozenset({Role.DIGITAL})
_ADDRESS = "/digital/register"
_UNKNOWN = "/digital/quarantine#unknown"
_LONGEST_ADDRESS = 6000


@router.get(_ADDRESS)
@access(REGISTRARS, page=True)
def register_page(request: Request, visit: SignedIn) -> Response:
    """The page for the sender `key`, with what was said so far."""
    wish = wish_of(request.query_params, posted=False)
    if not wish.key:
        return RedirectResponse(_UNKNOWN, 303)
    at = moment(request, visit)
    refused = None
    with visit.transaction() as conn:
        plan = plan_of(conn, visit, at, wish)
        if wish.tried and not plan.problems and plan.model is not None and plan.template is not None:
            # What only the store can say against it is found by trying, without a trace.
            with conn.transaction(force_rollback=True):
                refused = _refusal(conn, visit, plan)
        marks, places = _surroundings(conn, at, plan.template)
        map_ = draw(conn, visit.tenant.municipality_id, at.words, places, reader=visit.user.role)
        alerts = open_alerts(conn, visit.user.role)
    return page(
        request,
        visit,
        at,
        "digital_register",
        alerts,
        map=map_,
        marks=marks,
        refused=refused,
        **_shown(plan, at),
    )


@router.post(_ADDRESS)
@access(REGISTRARS)
def register(request: Request, visit: SignedIn, form: Form) -> Response:
    """Registers (`do=register`), or leads back to the page with what was typed, which then says what is wrong."""
    at = moment(request, visit)
    pressed = form.get("do") == "register"
    wish = replace(wish_of(form, posted=True), tried=pressed)
    if not wish.key:
        raise BadRequest(Text("どの機器かが示されていません。", "Which device is meant is not said."))
    with visit.transaction() as conn:
        plan = plan_of(conn, visit, at, wish)
        if pressed and plan.model is not None and plan.template is not None and not plan.problems:
            try:
                with conn.transaction():
                    code = _register(conn, visit, plan)
            except RegistrationError:
                pass
            else:
                asked = ask(
                    conn,
                    visit.tenant.municipality_id,
                    Selection(device_key=wish.key),
                    now=at.now,
                    user_id=visit.user.user_id,
                )
                done = {"key": wish.key, "station": code} | ({"replay": str(asked.replay_id)} if asked else {})
                return RedirectResponse(f"/digital/registered?{urlencode(done)}", 303)
    query = urlencode(wish.query(plan.rows if wish.fields is not None else None))
    if len(query) > _LONGEST_ADDRESS:
        raise BadRequest(
            Text("割り当てる項目が多すぎます。", "Too many fields are mapped at once."),
            Text(
                "機種の画面で項目の意味を先に決めてください。",
                "Say first what the fields mean, on the page of the device model.",
            ),
        )
    return RedirectResponse(f"{_ADDRESS}?{query}#{'problems' if pressed else 'tried'}", 303)


@router.get("/digital/registered")
@access(REGISTRARS, page=True)
def registered_page(request: Request, visit: SignedIn) -> Response:
    """The station of a newly registered device on the map, with what it says, and how far the waiting messages are."""
    query = request.query_params
    if "station" not in query:
        return RedirectResponse(_UNKNOWN, 303)
    at = moment(request, visit)
    with visit.transaction() as conn:
        stations = stations_now(conn, tuple(StationKind), at.now)
        station = next((each for each in stations if each.code == query.get("station")), None)
        if station is None:
            raise NotFound(Text("そのような観測所はありません。", "There is no such station."))
        progress = _progress(conn, query.get("replay", ""))
        device = conn.execute("select device_id from device where key = %s", (query.get("key", ""),)).fetchone()
        label = _label(at, station)
        marked = Marked(station.code, label, station.latitude, station.longitude)
        map_ = draw(conn, visit.tenant.municipality_id, at.words, [marked], reader=visit.user.role)
        alerts = open_alerts(conn, visit.user.role)
        judged = station.station_id in thresholds_at(conn, at.now)
    now = headline(station)
    silent_at = now.silent_at if now is not None and now.current else None
    mark = (station.code, badge(station), at.words(f"state.{'never' if now is None else now.state.value}"), silent_at)
    return page(
        request,
        visit,
        at,
        "digital_registered",
        alerts,
        map=map_,
        marks=[mark],
        station=station,
        judged=judged,
        progress=progress,
        key=query.get("key", ""),
        device_id=None if device is None else device[0],
    )


def _register(conn: Connection, visit: Visit, plan: Plan) -> str:
    """Registers station and device as planned and returns the station's code. RegistrationError."""
    municipality_id, wish = visit.tenant.municipality_id, plan.wish
    assert plan.model is not None and plan.template is not None and plan.since is not None and plan.silence is not None
    if plan.station is None:
        assert plan.place is not None, "a plan without problems has a place"
        code = free_code(plan.template.kind, [each.code for each in plan.stations])
        registration.add_station(conn, municipality_id, station_of(plan.template, code, wish, plan.place, plan.gap))
    else:
        code = plan.station.code
    registration.add_device(conn, municipality_id, key=wish.key, model=plan.model.name, silence_after=plan.silence)
    if plan.occupant is not None:
        registration.swap(conn, municipality_id, plan.occupant, wish.key, at=plan.since, mapping=plan.own)
    else:
        registration.attach(conn, municipality_id, wish.key, code, since=plan.since, mapping=plan.own)
    if plan.duty is not None:
        change_duty(conn, municipality_id, wish.key, plan.duty)
    return code


def _refusal(conn: Connection, visit: Visit, plan: Plan) -> str | None:
    """What the store has against the plan, None where it could be carried out."""
    try:
        _register(conn, visit, plan)
    except RegistrationError as error:
        return str(error)
    return None


def _shown(plan: Plan, at: Moment) -> dict[str, Any]:
    """The plan as the template wants it."""
    wish = plan.wish

    def link(**changes: str) -> str:
        """The same page with another choice; what was typed into the mapping belonged to the old one."""
        return f"{_ADDRESS}?{urlencode(replace(wish, tried=False).query(None, **changes))}"

    properties = watched(plan.template.kind) if plan.template else ()
    since = None if plan.since is None else plan.since.astimezone(at.zone).strftime("%Y-%m-%dT%H:%M")
    return {
        "wish": wish,
        "link": link,
        "registered": plan.registered,
        "group": plan.group,
        "sent": plan.sent,
        "gap": plan.gap,
        "candidates": plan.candidates,
        "model": plan.model,
        "likely": plan.likely,
        "unlikely": [each for each in TEMPLATES.values() if each not in plan.likely],
        "template": plan.template,
        "stations": plan.stations,
        "station": plan.station,
        "occupant": plan.occupant,
        "alike": templates_of(plan.station.kind) if plan.station else [],
        "inherits": plan.inherits,
        "pace": plan.pace,
        "proposed": plan.proposed,
        "problems": plan.problems if wish.tried else (),
        "rows": plan.rows,
        "properties": properties,
        "units": list(dict.fromkeys(unit for each in properties for unit in units_of(each))),
        "tried": plan.tried,
        "since": since,
        "silence": plan.silence,
        "silences": SILENCES,
    }


def _surroundings(conn: Connection, at: Moment, template: Template | None) -> tuple[list[Any], list[Marked]]:
    """The stations of the same desk that are there already, to find one's way on the map."""
    kinds = [kind for kind in StationKind if template is not None and kind.desk == template.desk]
    stations = stations_now(conn, kinds, at.now)
    places = [Marked(s.code, at.words.name(s.name, s.name_en), s.latitude, s.longitude) for s in stations]
    return [(s.code, "reporting", at.words(f"kind.{s.kind.value}"), None) for s in stations], places


def _label(at: Moment, station: StationNow) -> str:
    """The station's name with what it says now: what stands on the map."""
    name, now = at.words.name(station.name, station.name_en), headline(station)
    if now is None or now.value is None:
        return name
    if now.contact is not None:
        return f"{name} {at.words(f'contact.{now.contact}')}"
    return f"{name} {number(now.value, now.unit)} {at.words(f'unit.{now.unit}')}"


def _progress(conn: Connection, text: str) -> Replay | None:
    """How far the waiting messages are read; None where nobody asked for it, or not here."""
    if not text.isdecimal() or len(text) > 18:
        return None
    found = conn.execute("select 1 from quarantine_replay where replay_id = %s", (int(text),)).fetchone()
    return replay(conn, int(text)) if found else None
