"""並行期間の比較: what people entered beside what the counter counted, day by day, before a spot is switched.

?from=&to= (local days, inclusive) choose the days; without them the last 60. `.csv` gives the same days as a file.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

from starlette.requests import Request
from starlette.responses import Response

from analytics.visitors.spots.compare import ENOUGH_DAYS, Parallel, parallel
from api.access import READERS, Router, SignedIn, Visit, access
from api.errors import BadRequest, Text
from api.pages.alert_list import open_alerts
from api.pages.daily_entry import COUNTING
from api.pages.headquarters import csv_file
from api.pages.site import Moment, moment, page
from api.pages.spots import ADDRESS, known
from store.spots import Spot, methods_of

router = Router()

_ADDRESS = ADDRESS + "/{place}/compare"
_USUAL = timedelta(days=60)
_LONGEST = timedelta(days=800)


@router.get(_ADDRESS)
@access(READERS, page=True)
def compare_page(request: Request, visit: SignedIn, place: str) -> Response:
    """The figures in words, and the days."""
    at = moment(request, visit)
    first, last = _range(request, at)
    spot, found = _parallel(visit, place, first, last)
    with visit.transaction() as conn:
        methods = methods_of(conn, spot.spot_id)
        alerts = open_alerts(conn, visit.user.role)
    return page(
        request, visit, at, "tourism_spot_compare", alerts,
        spot=spot, found=found, first=first, last=last, methods=methods, enough=ENOUGH_DAYS,
        may_write=visit.user.role in COUNTING,
    )  # fmt: skip


@router.get(_ADDRESS + ".csv")
@access(READERS, page=True)
def compare_file(request: Request, visit: SignedIn, place: str) -> Response:
    """The days that both have, for a spreadsheet."""
    at = moment(request, visit)
    first, last = _range(request, at)
    spot, found = _parallel(visit, place, first, last)
    return csv_file(f"compare_{spot.code}_{first:%Y%m%d}-{last:%Y%m%d}", _lines(at, found), at.words.code)


def _lines(at: Moment, found: Parallel) -> Iterator[tuple[object, ...]]:
    yield tuple(at.words(f"compare.column.{name}") for name in ("day", "form", "counter", "ratio"))
    for pair in found.pairs:
        ratio = "" if pair.ratio is None else f"{pair.ratio:.3f}"
        yield pair.day.isoformat(), pair.form, pair.counter, ratio


def _parallel(visit: Visit, place: str, first: date, last: date) -> tuple[Spot, Parallel]:
    with visit.transaction() as conn:
        spot = known(conn, place)
        if spot.virtual:
            raise BadRequest(
                Text(
                    "仮想の地点には入力もカウンターもありません。", "A virtual spot has neither a form nor a counter."
                ),
                Text("もとの地点で比べてください。", "Compare at the spots that it is made of."),
            )
        return spot, parallel(conn, spot.spot_id, first, last, relation="tenant_observation")


def _range(request: Request, at: Moment) -> tuple[date, date]:
    query, yesterday = request.query_params, at.now.astimezone(at.zone).date() - timedelta(days=1)
    try:
        last = date.fromisoformat(query["to"]) if query.get("to") else yesterday
        first = date.fromisoformat(query["from"]) if query.get("from") else last - _USUAL + timedelta(days=1)
    except ValueError:
        first, last = date.max, date.min
    if not first <= last <= first + _LONGEST:
        raise BadRequest(
            Text("期間が読み取れないか、長すぎます。", "The range cannot be read, or is too long."),
            Text(
                f"from と to に 2026-04-01 のような日付を、{_LONGEST.days}日までで指定してください。",
                f"Give from and to as days like 2026-04-01, at most {_LONGEST.days} days.",
            ),
        )
    return first, min(last, yesterday)
