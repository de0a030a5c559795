"""The routes of a single gauge: its page, and its observations as a file."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import Response

from api.access import READERS, Router, SignedIn, access
from api.errors import NotFound, Text
from api.pages.alert_list import open_alerts
from api.pages.site import moment, page
from api.pages.station import RANGES, USUAL_RANGE, csv_file, station_page

router = Router()


@router.get("/disaster/stations/{code}")
@access(READERS, page=True)
def gauge_page(request: Request, visit: SignedIn, code: str) -> Response:
    at = moment(request, visit)
    with visit.transaction() as conn:
        model = station_page(conn, code, _range(request), at.now, at.zone)
        alerts = open_alerts(conn, visit.user.role)
    if model is None:
        raise _unknown(code)
    return page(request, visit, at, "disaster_station", alerts, model=model, ranges=tuple(RANGES))


@router.get("/disaster/stations/{code}/observations.csv")
@access(READERS, page=True)
def gauge_file(request: Request, visit: SignedIn, code: str) -> Response:
    now = visit.clock.now()
    zone = ZoneInfo(visit.tenant.timezone)
    range_ = _range(request)
    with visit.transaction() as conn:
        body = csv_file(conn, code, range_, now, zone)
    if body is None:
        raise _unknown(code)
    name = f"{code}_{now.astimezone(zone):%Y%m%d-%H%M}_{range_}.csv"
    return Response(
        body,
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def _range(request: Request) -> str:
    asked = request.query_params.get("range")
    return asked if asked in RANGES else USUAL_RANGE


def _unknown(code: str) -> NotFound:
    return NotFound(Text(f"観測所「{code}」はありません。", f"There is no gauge {code!r}."))
