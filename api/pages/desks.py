"""The start page and the desks. Everyone of the town hall may read them all; who may act on an alert is decided per
alert, and only the digital section sees the messages that could not be read.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response

from alerts.rules.operation import NOBODY, concerned, kind_of
from api.access import READERS, Router, SignedIn, access
from api.pages.alert_list import (
    LATE_SHOWN,
    add_events,
    assignable,
    closed_alerts,
    late_excursions,
    open_alerts,
)
from api.pages.apart_now import apart_now, kinds_of
from api.pages.blocks_now import shades
from api.pages.daily_counts import calendar, month_range
from api.pages.daily_entry import COUNTING
from api.pages.demo import panel
from api.pages.digital import digital
from api.pages.disaster import disaster
from api.pages.field_desk import field_desk
from api.pages.formats import level_word, number
from api.pages.headquarters import EDITORS
from api.pages.headquarters_desk import headquarters_desk
from api.pages.jma import board
from api.pages.machine_room import machine_room
from api.pages.paging import PER_PAGE, page_number
from api.pages.people_now import untold_now
from api.pages.places import badge, headline, other_places
from api.pages.rain import RainGauge
from api.pages.readings import Now, StationNow
from api.pages.site import Moment, moment, page
from api.pages.start import start
from api.pages.tourism import by_hour, tourism
from api.pages.town_map import Place, draw
from api.pages.water import Block, water
from api.roles import PIPE_KEEPERS, Role
from store.cameras import cameras
from store.field_reports import attached_counts

router = Router()

# A mark on the map: station code, which mark, what it says in words, and when its station falls silent.
Mark = tuple[str, str, str, datetime | None]

# What an action says when it has led back to the page: keys of the catalogue, so a link can make no other text.
_DONE = frozenset({"acknowledge", "comment", "assign", "clear", "confirm", "dismiss"})


@router.get("/start")
@access(READERS, page=True)
def start_page(request: Request, visit: SignedIn) -> Response:
    at = moment(request, visit)
    with visit.transaction() as conn:
        alerts = open_alerts(conn, visit.user.role)
        model = start(conn, at.now, at.zone, visit.user.role, alerts)
        events = panel(visit, conn, at.now)
    return page(request, visit, at, "start", alerts, model=model, panel=events)


@router.get("/digital")
@access(READERS, page=True)
def digital_page(request: Request, visit: SignedIn) -> Response:
    at = moment(request, visit)
    config = visit.config
    with visit.transaction() as conn:
        model = digital(conn, at.now, raw=visit.user.role is Role.DIGITAL)
        trials = apart_now(conn, visit.tenant.municipality_id, at.now).trials
        room = machine_room(conn, at.clock, config.worker_silence, config.data_folder)
        alerts = open_alerts(conn, visit.user.role)
        events = panel(visit, conn, at.now)
        agency = board(conn, visit.tenant.municipality_id, at.clock)
    tiles, intake = visit.state.tiles.state(), visit.state.intake
    return page(
        request,
        visit,
        at,
        "digital",
        alerts,
        model=model,
        trials=trials,
        room=room,
        panel=events,
        jma=agency,
        tile_state=tiles,
        intake=None if intake is None else intake.state,
    )


@router.get("/disaster")
@access(READERS, page=True)
def disaster_page(request: Request, visit: SignedIn) -> Response:
    return disaster_response(request, visit, done=_done(request))


def disaster_response(
    request: Request, visit: SignedIn, *, done: str | None = None, problem: str | None = None, status: int = 200
) -> Response:
    """The disaster desk's page, also as the answer to an action that was refused there: then `problem` says why."""
    at = moment(request, visit)
    with visit.transaction() as conn:
        model = disaster(conn, at.now, at.zone, page_number(request))
        others = other_places(conn, "disaster", at.now)
        apart = apart_now(conn, visit.tenant.municipality_id, at.now)
        desk = headquarters_desk(conn, visit.tenant.municipality_id, at.now, at.zone)
        field = field_desk(conn, visit.tenant.municipality_id)
        stills = cameras(conn, visit.tenant.municipality_id)
        agency = board(conn, visit.tenant.municipality_id, at.clock)
        alerts = open_alerts(conn, visit.user.role)
        places = _places(at, (g.station for g in model.gauges)) + [_rain_place(at, g) for g in model.rain]
        places += _places(at, others)
        map_ = draw(conn, visit.tenant.municipality_id, at.words, places, reader=visit.user.role, also=("catchment",))
    marks = [
        (g.station.code, g.badge, level_word(g.badge, g.station.whose, at.words), _silent_at(g.now))
        for g in model.gauges
    ]
    marks += [_rain_mark(at, g) for g in model.rain]
    marks += [_other_mark(at, s) for s in others]
    return page(
        request,
        visit,
        at,
        "disaster",
        alerts,
        status=status,
        map=map_,
        model=model,
        others=others,
        marks=marks,
        desk=desk,
        field=field,
        cameras=stills,
        jma=agency,
        shadows=apart.levels(),
        drill_others=apart.others(kinds_of("disaster")),
        trials=apart.trials_of(kinds_of("disaster")),
        may_write=visit.user.role in EDITORS,
        done=done,
        problem=problem,
    )


@router.get("/water")
@access(READERS, page=True)
def water_page(request: Request, visit: SignedIn) -> Response:
    at = moment(request, visit)
    with visit.transaction() as conn:
        model = water(conn, at.now, at.zone)
        others = other_places(conn, "water", at.now)
        apart = apart_now(conn, visit.tenant.municipality_id, at.now)
        alerts = open_alerts(conn, visit.user.role)
        watched = [*(tank.station for tank in model.tanks), *(block.station for block in model.blocks), *others]
        # Who may not see where pipes are, sees no figure a km of them either.
        shaded = shades(conn, at) if visit.user.role in PIPE_KEEPERS else []
        map_ = draw(
            conn,
            visit.tenant.municipality_id,
            at.words,
            _places(at, watched),
            reader=visit.user.role,
            also=("block", "pipe"),
            shades={each.code: each.shade for each in shaded},
        )
    marks = [_plain_mark(at, tank.station, tank.level) for tank in model.tanks]
    marks += [_block_mark(at, block) for block in model.blocks]
    marks += [_other_mark(at, s) for s in others]
    return page(
        request,
        visit,
        at,
        "water",
        alerts,
        map=map_,
        shaded=shaded,
        model=model,
        others=others,
        marks=marks,
        drill_others=apart.others(kinds_of("water")),
        trials=apart.trials_of(kinds_of("water")),
    )


@router.get("/tourism")
@access(READERS, page=True)
def tourism_page(request: Request, visit: SignedIn) -> Response:
    at = moment(request, visit)
    shown = month_range(request.query_params.get("month"), at.now.astimezone(at.zone).date())
    with visit.transaction() as conn:
        model = tourism(conn, at.now, at.zone)
        days = calendar(conn, [spot.station for spot in model], shown.first, shown.last, at.now, at.zone)
        others = other_places(conn, "tourism", at.now)
        apart = apart_now(conn, visit.tenant.municipality_id, at.now)
        alerts = open_alerts(conn, visit.user.role)
        watched = [*(s.station for s in model), *others]
        map_ = draw(conn, visit.tenant.municipality_id, at.words, _places(at, watched), reader=visit.user.role)
    marks = [_plain_mark(at, s.station, s.latest if s.counter else s.manual) for s in model]
    marks += [_other_mark(at, s) for s in others]
    return page(
        request,
        visit,
        at,
        "tourism",
        alerts,
        map=map_,
        model=model,
        others=others,
        marks=marks,
        drill_others=apart.others(kinds_of("tourism")),
        trials=apart.trials_of(kinds_of("tourism")),
        hours=by_hour([spot for spot in model if spot.counter]),
        shown=shown,
        days=days,
        may_enter=visit.user.role in COUNTING,
    )


@router.get("/alerts")
@access(READERS, page=True)
def alerts_page(request: Request, visit: SignedIn) -> Response:
    return alerts_response(request, visit, done=_done(request))


def alerts_response(
    request: Request, visit: SignedIn, *, done: str | None = None, problem: str | None = None, status: int = 200
) -> Response:
    """The alerts page, also as the answer to an action that was refused: then `problem` says why."""
    at = moment(request, visit)
    with visit.transaction() as conn:
        alerts = open_alerts(conn, visit.user.role)
        pages = max(1, -(-len(alerts) // PER_PAGE))
        number = min(page_number(request), pages)
        shown = alerts[(number - 1) * PER_PAGE : number * PER_PAGE]
        closed = closed_alerts(conn, visit.user.role)
        retracted = closed_alerts(conn, visit.user.role, retracted=True)
        add_events(conn, [*shown, *closed, *retracted])
        people = assignable(conn)
        late = late_excursions(conn, at.now - LATE_SHOWN)
        reports = attached_counts(conn, visit.tenant.municipality_id)
        untold = {
            alert.alert_id: untold_now(conn, visit.tenant.municipality_id, at, concerned(alert.cause))
            for alert in shown
            if alert.cause is not None and kind_of(alert.cause) in NOBODY
        }
    return page(
        request, visit, at, "alerts", alerts, status=status, shown=shown, number=number, pages=pages, closed=closed,
        retracted=retracted, people=people, late=late, reports=reports, done=done, problem=problem, untold=untold,
    )  # fmt: skip


def _done(request: Request) -> str | None:
    done = request.query_params.get("done")
    return done if done in _DONE else None


def _rain_place(at: Moment, gauge: RainGauge) -> Place:
    """A rain gauge is labelled with what fell in 60 minutes: a second name there would cover the rivers."""
    hour = gauge.sums.hour if gauge.current and gauge.sums else None
    if not gauge.heard:
        label = at.words("rain.map_never")
    elif hour is None or hour.amount is None:
        label = at.words("rain.map_unknown")
    elif hour.complete:
        label = at.words("rain.map", amount=number(hour.amount, "mm"))
    else:
        label = at.words("rain.map_at_least", amount=number(hour.amount, "mm"))
    return Place(gauge.station.code, label, gauge.station.latitude, gauge.station.longitude)


def _rain_mark(at: Moment, gauge: RainGauge) -> Mark:
    name = at.words.name(gauge.station.name, gauge.station.name_en)
    return gauge.station.code, gauge.badge, name, gauge.now.silent_at if gauge.current and gauge.now else None


def _places(at: Moment, stations: Iterable[StationNow]) -> list[Place]:
    return [Place(s.code, at.words.name(s.name, s.name_en), s.latitude, s.longitude) for s in stations]


def _block_mark(at: Moment, block: Block) -> Mark:
    """A block with a suspected leak says so first."""
    if not block.open:
        return _plain_mark(at, block.station, block.flow)
    return block.station.code, "finding", at.words(f"alert.{block.open[0].kind}"), None


def _plain_mark(at: Moment, station: StationNow, now: Now | None) -> Mark:
    """A mark without levels says only whether the place reports."""
    state = "never" if now is None else now.state.value
    name = "reporting" if now is not None and now.current else "unknown"
    return station.code, name, at.words(f"state.{state}"), _silent_at(now)


def _other_mark(at: Moment, station: StationNow) -> Mark:
    """A contact says its word; of everything else the mark says only whether the place reports."""
    now, name = headline(station), badge(station)
    if now is None or not now.current or now.contact is None:
        return _plain_mark(at, station, now)
    return station.code, name, at.words(f"contact.{now.contact}"), _silent_at(now)


def _silent_at(now: Now | None) -> datetime | None:
    """When a mark that speaks of the present stops doing so."""
    return now.silent_at if now is not None and now.current else None
