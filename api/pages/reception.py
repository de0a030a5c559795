"""機器ごとの受信: what came of each device and what never did, as a page and as a file."""

from __future__ import annotations

import csv
import io

from starlette.requests import Request
from starlette.responses import Response

from api.access import READERS, Router, SignedIn, access
from api.pages.alert_list import open_alerts
from api.pages.site import moment, page
from api.reception import Count, missing_frames, reception

router = Router()

# The columns of the file, in both windows: keys of the catalogue behind "reception_file.".
COUNTED = (
    "delivered",
    "accepted",
    "event",
    "duplicate",
    "quarantined",
    "expected",
    "missing",
    "stored",
    "unchanged",
    "revised",
    "rejected",
    "open",
)


@router.get("/digital/reception")
@access(READERS, page=True)
def reception_page(request: Request, visit: SignedIn) -> Response:
    at = moment(request, visit)
    with visit.transaction() as conn:
        devices = reception(conn, at.now)
        gaps = missing_frames(conn, at.now)
        alerts = open_alerts(conn, visit.user.role)
    return page(request, visit, at, "digital_reception", alerts, devices=devices, gaps=gaps)


@router.get("/digital/reception.csv")
@access(READERS, page=True)
def reception_file(request: Request, visit: SignedIn) -> Response:
    """One line a device and window. An empty number is not known: the device does not number its messages."""
    at = moment(request, visit)
    with visit.transaction() as conn:
        devices = reception(conn, at.now)
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([at.words(f"reception_file.{name}") for name in ("device", "station", "window", *COUNTED)])
    for each in devices:
        station = "" if each.name is None else at.words.name(each.name, each.name_en or "")
        for window, count in (("day", each.day), ("month", each.month)):
            key = each.key or (at.words("reception.folders") if each.files else at.words("reception.unknown"))
            writer.writerow([key, station, at.words(f"reception.{window}"), *_numbers(count)])
    name = f"reception_{visit.tenant.code}_{at.now.astimezone(at.zone):%Y%m%d-%H%M}.csv"
    # with a byte order mark: without one Excel takes UTF-8 for the code page of the machine
    return Response(
        out.getvalue().encode("utf-8-sig"),
        media_type="text/csv; charset=utf-8",
        headers={
            "Content-Disposition": f'attachment; filename="{name}"',
            "Content-Language": at.words.code,
        },
    )


def _numbers(count: Count) -> list[int | None]:
    return [getattr(count, name) for name in COUNTED]
