"""The calendar of the days as a file, for the office: each spot and day by each method, as it stands in the pages.

Not for publication: it has every number, also small ones and those that nobody has confirmed. What may leave the town
hall is `api.pages.public_visitors`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import date, timedelta

from starlette.requests import Request
from starlette.responses import Response

from api.access import READERS, Router, SignedIn, access
from api.errors import BadRequest, Text
from api.pages.daily_counts import Row, calendar, month_range
from api.pages.readings import StationNow, stations_now
from api.pages.site import Moment, moment
from devices.model import StationKind

router = Router()

LONGEST_FILE = timedelta(days=800)


@router.get("/tourism/days.csv")
@access(READERS, page=True)
def days_file(request: Request, visit: SignedIn) -> Response:
    """The daily totals of ?month=YYYY-MM or of ?from=&to= (days, inclusive), one line a spot, day and method."""
    at = moment(request, visit)
    first, last = _file_range(request, at)
    with visit.transaction() as conn:
        spots = stations_now(conn, StationKind.VISITOR_SPOT, at.now)
        rows = calendar(conn, spots, first, last, at.now, at.zone)
    name = f"visits_{visit.tenant.code}_{first:%Y%m%d}-{last:%Y%m%d}.csv"
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([at.words(f"days_file.{name}") for name in _COLUMNS])
    writer.writerows(_lines(at, spots, rows))
    # with a byte order mark: without one Excel takes UTF-8 for the code page of the machine
    return Response(
        out.getvalue().encode("utf-8-sig"),
        media_type="text/csv; charset=utf-8",
        headers={
            "Content-Disposition": f'attachment; filename="{name}"',
            "Content-Language": at.words.code,
        },
    )


_COLUMNS = ("day", "spot", "name", "kind", "holiday", "method", "visits", "received", "state")


def _lines(at: Moment, spots: list[StationNow], rows: tuple[Row, ...]) -> Iterator[tuple[object, ...]]:
    """Oldest day first. What has no number has an empty field and says why in the last column."""
    t = at.words
    for row in reversed(rows):
        for spot, cell in zip(spots, row.cells, strict=True):
            place = (
                row.day.isoformat(),
                spot.code,
                t.name(spot.name, spot.name_en),
                t(f"day_type.{row.kind.value}"),
                row.holiday or "",
            )
            counted = cell.counter
            if counted is not None:
                state = "missing" if counted.visits is None else "partial" if counted.partial else "whole"
                visits = "" if counted.visits is None else f"{counted.visits:.0f}"
                share = f"{counted.n / counted.expected:.3f}" if counted.expected else ""
                state = "running" if row.today and counted.visits is not None else state
                yield *place, t("method.counter"), visits, share, t(f"days_file.{state}")
            if cell.manual is not None:
                yield *place, t("method.manual"), f"{cell.manual:.0f}", "", t("days_file.whole")


def _file_range(request: Request, at: Moment) -> tuple[date, date]:
    query, today = request.query_params, at.now.astimezone(at.zone).date()
    if "from" not in query and "to" not in query:
        shown = month_range(query.get("month"), today)
        return shown.first, shown.last
    try:
        first, last = date.fromisoformat(query["from"]), date.fromisoformat(query["to"])
    except (KeyError, ValueError):
        raise BadRequest(
            Text("期間が読み取れません。", "The range cannot be read."),
            Text(
                "from と to に 2026-04-01 のような日付を指定してください。", "Give from and to as days like 2026-04-01."
            ),
        ) from None
    if not first <= last <= first + LONGEST_FILE:
        raise BadRequest(
            Text("期間が逆か、長すぎます。", "The range is reversed or too long."),
            Text(f"{LONGEST_FILE.days}日までの期間を指定してください。", f"Ask for at most {LONGEST_FILE.days} days."),
        )
    return first, min(last, today)
