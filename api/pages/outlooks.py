"""この先の水位（内部資料）: switching it on and off, one gauge's figures with how they have done, and looking back at a
flood. All of it for the disaster desk alone, through the door of `api.internal_forecast`; where it is switched off
these pages lead to the page that says so.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from analytics.rivers import forecast_store as stored
from analytics.rivers.forecast.fan import QUANTILES
from analytics.rivers.forecast_store import Said
from api.access import Router, SignedIn, Visit, access
from api.errors import NotFound, Text
from api.internal_forecast import WHO, opened
from api.language import page_language_of
from api.pages.alert_list import open_alerts
from api.pages.outlook import (
    SPANS,
    Record,
    every_gauge,
    floods,
    hour_by_hour,
    level_of,
    outlook,
    soil_here,
    track_record,
)
from api.pages.readings import StationNow, stations_now
from api.pages.site import moment, page
from api.pages.typed import Form
from devices.model import StationKind
from store.connection import Connection
from store.errors import RegistrationError
from store.forecast_switch import Asked, Switch, entries, switch_off, switch_on

router = Router()

SWITCH = "/disaster/outlook"
_STATION = "/disaster/stations/{code}"
_BEFORE, _AFTER = timedelta(hours=12), timedelta(hours=24)  # of a look back
_HOUR = timedelta(hours=1)
_WRONG = {
    "office": Text("60字以内で書いてください（例：○○地方気象台）。", "Up to 60 characters: which office."),
    "person": Text("相手の担当者を60字以内で書いてください。", "Up to 60 characters: whom you asked."),
    "asked_on": Text("確かめた日を選んでください。明日以降は選べません。", "The day you asked: today or earlier."),
    "reply": Text("回答の内容を1000字以内で書いてください。", "Up to 1000 characters: what they replied."),
    "read": Text("説明を読んで、印を付けてください。", "Read the explanation, then tick this."),
}


# --- the switch ----------------------------------------------------------------------------------------------


@router.get(SWITCH)
@access(WHO, page=True)
def switch_page(request: Request, visit: SignedIn) -> Response:
    """Whether it is on, what the law says, what was said of it; and all gauges where it is."""
    return _switch_page(request, visit)


@router.post(SWITCH)
@access(WHO)
def change_switch(request: Request, visit: SignedIn, form: Form) -> Response:
    """Switches it on with what the 地方気象台 replied, or off at once."""
    now, town, user = visit.clock.now(), visit.tenant.municipality_id, visit.user.user_id
    if form.get("do") == "off":
        with visit.transaction() as conn:
            switch_off(conn, town, now=now, user_id=user)
        return RedirectResponse(f"{SWITCH}?done=off", 303)
    wrong = [] if form.get("read") else ["read"]
    day = _day(form.get("asked_on", ""))
    wrong += [] if day else ["asked_on"]
    if not wrong and day:
        asked = Asked(form.get("office", ""), form.get("person", ""), day, form.get("reply", ""))
        today = now.astimezone(ZoneInfo(visit.tenant.timezone)).date()
        try:
            with visit.transaction() as conn:
                wall = bool(form.get("on_wall"))
                switch_on(conn, town, asked, on_wall=wall, now=now, today=today, user_id=user)
            return RedirectResponse(f"{SWITCH}?done=on", 303)
        except RegistrationError as error:
            wrong = [error.field]
    return _switch_page(request, visit, form, wrong, 422)


def _switch_page(
    request: Request,
    visit: Visit,
    typed: Mapping[str, str] | None = None,
    wrong: Iterable[str] = (),
    status: int = 200,
) -> Response:
    at = moment(request, visit)
    with visit.transaction() as conn:
        switch = opened(conn, visit)
        said = entries(conn, visit.tenant.municipality_id)
        gauges = every_gauge(conn, stations_now(conn, StationKind.RIVER_GAUGE, at.now), at.now) if switch else ()
        alerts = open_alerts(conn, visit.user.role)
    done = request.query_params.get("done")
    return page(
        request,
        visit,
        at,
        "disaster_outlook",
        alerts,
        status=status,
        switch=switch,
        said=said,
        gauges=gauges,
        typed=typed or {},
        problems={name: _WRONG[name].of(page_language_of(request)) for name in wrong},
        done=done if done in ("on", "off") else None,
        today=at.now.astimezone(at.zone).date(),
    )


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


# --- one gauge -----------------------------------------------------------------------------------------------


@router.get(_STATION + "/outlook")
@access(WHO, page=True)
def outlook_page(request: Request, visit: SignedIn, code: str) -> Response:
    """One gauge: what may come, how that has done so far, and the versions it came from."""
    at = moment(request, visit)
    with visit.transaction() as conn:
        switch, station = opened(conn, visit), _gauge(conn, code, at.now)
        if switch is None:
            return RedirectResponse(SWITCH, 303)
        reading = level_of(station)
        said = outlook(conn, station, at.now, at.zone)
        versions = () if reading is None else stored.models(conn, reading.datastream_id)
        past = track_record(conn, station, at.now)
        soil = soil_here(conn, station, at.now)
        alerts = open_alerts(conn, visit.user.role)
        stations = _names(conn)
    return page(
        request, visit, at, "disaster_station_outlook", alerts,
        station=station, switch=switch, outlook=said, versions=versions, past=past, soil=soil, spans=SPANS,
        stations=stations,
    )  # fmt: skip


@router.get(_STATION + "/outlook.csv")
@access(WHO, page=True)
def outlook_file(request: Request, visit: SignedIn, code: str) -> Response:
    """The newest figures of a gauge, a line a lead."""
    now, zone = visit.clock.now(), ZoneInfo(visit.tenant.timezone)
    with visit.transaction() as conn:
        switch, station = opened(conn, visit), _gauge(conn, code, now)
        if switch is None:
            return RedirectResponse(SWITCH, 303)
        said = outlook(conn, station, now, zone)
    return _file(code, [] if said is None else _lines(code, said.said, zone), zone, now, "outlook")


@router.get(_STATION + "/record.csv")
@access(WHO, page=True)
def record_file(request: Request, visit: SignedIn, code: str) -> Response:
    """How it has done: a line a lead, then a line a bin of each reliability diagram."""
    now, zone = visit.clock.now(), ZoneInfo(visit.tenant.timezone)
    with visit.transaction() as conn:
        switch, station = opened(conn, visit), _gauge(conn, code, now)
        if switch is None:
            return RedirectResponse(SWITCH, 303)
        past = track_record(conn, station, now)
    return _file(code, [] if past is None else _record_lines(code, past), zone, now, "record", _RECORD_HEAD)


@router.get(_STATION + "/hindcast")
@access(WHO, page=True)
def hindcast_page(request: Request, visit: SignedIn, code: str) -> Response:
    """A past flood, or any time: what was said then, beside what came."""
    at = moment(request, visit)
    with visit.transaction() as conn:
        switch, station = opened(conn, visit), _gauge(conn, code, at.now)
        if switch is None:
            return RedirectResponse(SWITCH, 303)
        past = floods(conn, station, at.now)
        chosen = _time(request, at.zone) or next((f.peak_at - 3 * _HOUR for f in past if f.said), at.now - 6 * _HOUR)
        chosen = min(chosen, at.now)
        then = outlook(conn, station, at.now, at.zone, chosen)
        told = hour_by_hour(conn, station, chosen - _BEFORE, chosen + _AFTER, at.now)
        alerts = open_alerts(conn, visit.user.role)
    return page(
        request, visit, at, "disaster_hindcast", alerts,
        station=station, switch=switch, floods=past, chosen=chosen, outlook=then, told=told, spans=SPANS,
        after3=3 * _HOUR,
        field=lambda time: time.astimezone(at.zone).strftime("%Y-%m-%dT%H:%M"),
        moves=[(hours, chosen + hours * _HOUR) for hours in (-3, -1, 1, 3)],
    )  # fmt: skip


@router.get(_STATION + "/hindcast.csv")
@access(WHO, page=True)
def hindcast_file(request: Request, visit: SignedIn, code: str) -> Response:
    """The same hours as the page, a line a lead, with what came."""
    now, zone = visit.clock.now(), ZoneInfo(visit.tenant.timezone)
    with visit.transaction() as conn:
        switch, station = opened(conn, visit), _gauge(conn, code, now)
        if switch is None:
            return RedirectResponse(SWITCH, 303)
        chosen = min(_time(request, zone) or now, now)
        told = hour_by_hour(conn, station, chosen - _BEFORE, chosen + _AFTER, now)
    lines = [line for said, steps in told for line in _lines(code, said, zone, {s.hours: s.came for s in steps})]
    return _file(code, lines, zone, chosen, "hindcast")


def _gauge(conn: Connection, code: str, now: datetime) -> StationNow:
    found = next((s for s in stations_now(conn, StationKind.RIVER_GAUGE, now) if s.code == code), None)
    if found is None:
        raise NotFound(Text(f"河川の観測所「{code}」はありません。", f"There is no river gauge {code!r}."))
    return found


def _names(conn: Connection) -> dict[int, tuple[str, str]]:
    """Names of stations by their datastreams."""
    rows = conn.execute(
        "select datastream_id, name, name_en from datastream join station using (station_id) where drill_run is null"
    )
    return {datastream_id: (name, name_en) for datastream_id, name, name_en in rows}


def _time(request: Request, zone: ZoneInfo) -> datetime | None:
    """The local time that is asked for; None where it is none."""
    try:
        return datetime.fromisoformat(request.query_params.get("at", "")).replace(tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


# --- files ---------------------------------------------------------------------------------------------------

_HEAD = ("station", "class", "rehearsed", "observed_at", "level", "lead_h", "time",
         *(f"q{round(each * 100):02}" for each in QUANTILES), "observed", "unit")  # fmt: skip


def _lines(
    code: str, said: Said, zone: ZoneInfo, later: Mapping[float, float | None] | None = None
) -> Iterable[tuple[object, ...]]:
    for lead, row in zip(said.leads, said.quantiles.tolist(), strict=True):
        came = (later or {}).get(lead)
        yield (
            *(code, "internal_forecast", str(said.rehearsed).lower(), _written(said.time, zone), f"{said.level:.3f}"),
            *(f"{lead:g}", _written(said.time + timedelta(hours=lead), zone)),
            *("" if each != each else f"{each:.3f}" for each in row),
            *("" if came is None else f"{came:.3f}", "m"),
        )


_RECORD_HEAD = ("station", "class", "of", "hours", "n", "coverage_90", "rmse", "rmse_persistence", "pi",
                "chance_said", "share_that_came")  # fmt: skip


def _record_lines(code: str, past: Record) -> Iterable[tuple[object, ...]]:
    for score in past.scores:
        four = (score.coverage, score.rmse, score.rmse_persistence, score.pi)
        told = ("" if each is None else f"{each:.4f}" for each in four)
        yield (code, "internal_forecast", "lead", f"{score.lead:g}", score.n, *told, "", "")
    for hours, bins, _ in past.bins:
        for each in bins:
            told = (f"{share:.4f}" for share in (each.said, each.came))
            yield (code, "internal_forecast", "chance", f"{hours:g}", each.n, "", "", "", "", *told)


def _file(
    code: str,
    lines: Iterable[tuple[object, ...]],
    zone: ZoneInfo,
    at: datetime,
    name: str,
    head: tuple[str, ...] = _HEAD,
) -> Response:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows([head, *lines])
    stamp = at.astimezone(zone).strftime("%Y%m%d-%H%M")
    return Response(
        "\ufeff" + text.getvalue(),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{code}_{stamp}_{name}_internal.csv"'},
    )


def _written(time: datetime, zone: ZoneInfo) -> str:
    return time.astimezone(zone).isoformat(timespec="seconds")


def block(conn: Connection, visit: Visit, station: StationNow, now: datetime, zone: ZoneInfo) -> dict[str, Any]:
    """What the page of a station shows of it, and to whom: nothing where the door stays shut."""
    switch: Switch | None = opened(conn, visit) if station.kind is StationKind.RIVER_GAUGE else None
    return {"switch": switch, "outlook": None if switch is None else outlook(conn, station, now, zone), "spans": SPANS}
