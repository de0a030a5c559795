"""The routes of a single gauge: its page, and its observations, or the table of a long range, as a file."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from api.access import READERS, Router, SignedIn, access
from api.errors import NotFound, Text
from api.pages import gauge_file
from api.pages.alert_list import open_alerts
from api.pages.apart_now import apart_now
from api.pages.cameras import strips
from api.pages.effective import effective_file, effective_here
from api.pages.outlooks import block
from api.pages.readings import Now
from api.pages.site import moment, page
from api.pages.station import PROPERTIES, RANGES, USUAL_RANGE, adds_up, find, station_page, table_of
from devices.model import ObservedProperty, StationKind
from store.connection import Connection
from store.official import Links, links_of

router = Router()

_CSV = "text/csv; charset=utf-8"


@router.get("/disaster/stations/{code}")
@access(READERS, page=True)
def gauge_page(request: Request, visit: SignedIn, code: str) -> Response:
    at = moment(request, visit)
    with visit.transaction() as conn:
        model = station_page(conn, code, _range(request), at.now, at.zone)
        apart = apart_now(conn, visit.tenant.municipality_id, at.now).at(code)
        official = Links() if model is None else links_of(conn, model.station.station_id)
        stills = strips(conn, visit.tenant.municipality_id, code, at.now)
        effective = None if model is None else effective_here(conn, model, at.now)
        alerts = open_alerts(conn, visit.user.role)
        ahead = {} if model is None else block(conn, visit, model.station, at.now, at.zone)
    if model is None:
        raise _unknown(code)
    return page(
        request,
        visit,
        at,
        "disaster_station",
        alerts,
        model=model,
        ranges=tuple(RANGES),
        apart=apart,
        cameras=stills,
        effective=effective,
        **ahead,
        official=official,
    )


@router.get("/disaster/stations/{code}/observations.csv")
@access(READERS, page=True)
def gauge_file_of_observations(request: Request, visit: SignedIn, code: str) -> Response:
    now, zone, range_ = visit.clock.now(), ZoneInfo(visit.tenant.timezone), _range(request)
    with visit.transaction() as conn:
        _, reading = _reading(conn, code, now, request)
    lines = gauge_file.observations(visit.transaction, reading, now - RANGES[range_], now, zone)
    return StreamingResponse(lines, media_type=_CSV, headers=_attached(f"{code}_{_stamp(now, zone)}_{range_}"))


@router.get("/disaster/stations/{code}/table.csv")
@access(READERS, page=True)
def gauge_file_of_table(request: Request, visit: SignedIn, code: str) -> Response:
    """The hours or days of a range, with what is missing from each."""
    now, zone, range_ = visit.clock.now(), ZoneInfo(visit.tenant.timezone), _range(request)
    with visit.transaction() as conn:
        _, reading = _reading(conn, code, now, request)
        told = () if reading is None else table_of(conn, reading, range_, now, zone)
    body = gauge_file.stretches(reading, told, zone, total=reading is not None and adds_up(reading))
    return Response(body, media_type=_CSV, headers=_attached(f"{code}_{_stamp(now, zone)}_{range_}_table"))


@router.get("/disaster/stations/{rain_gauge}/effective.csv")
@access(READERS, page=True)
def gauge_file_of_effective_rain(request: Request, visit: SignedIn, rain_gauge: str) -> Response:
    """Effective rain of a rain gauge, by the hour."""
    now, zone, range_ = visit.clock.now(), ZoneInfo(visit.tenant.timezone), _range(request)
    with visit.transaction() as conn:
        kind, reading = _reading(conn, rain_gauge, now, None)
        if kind is not StationKind.RAIN_GAUGE:
            raise NotFound(Text(f"「{rain_gauge}」は雨量観測所ではありません。", f"{rain_gauge!r} is no rain gauge."))
        body = effective_file(conn, reading, now - RANGES[range_], now, zone)
    return Response(body, media_type=_CSV, headers=_attached(f"{rain_gauge}_{_stamp(now, zone)}_{range_}_effective"))


def _reading(conn: Connection, code: str, now: datetime, request: Request | None) -> tuple[StationKind, Now | None]:
    """The series that the request asks for with ?property=, else the one that the station is there for."""
    found = find(conn, code, now)
    if found is None:
        raise _unknown(code)
    kind, station = found
    asked = None if request is None else request.query_params.get("property")
    if asked is None:
        return kind, station.readings.get(PROPERTIES[kind])
    if asked not in set(station.readings):
        raise NotFound(
            Text(f"観測所「{code}」は {asked[:60]} を観測していません。", f"{code!r} does not measure {asked[:60]!r}.")
        )
    return kind, station.readings[ObservedProperty(asked)]


def _stamp(now: datetime, zone: ZoneInfo) -> str:
    return f"{now.astimezone(zone):%Y%m%d-%H%M}"


def _attached(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{name}.csv"'}


def _range(request: Request) -> str:
    asked = request.query_params.get("range")
    return asked if asked in RANGES else USUAL_RANGE


def _unknown(code: str) -> NotFound:
    return NotFound(Text(f"観測所「{code}」はありません。", f"There is no gauge {code!r}."))
