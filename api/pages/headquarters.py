"""What the pages of the disaster headquarters have in common: who writes, which record and days are asked for, files.

Everybody of the town hall reads; the disaster section writes. A drill's record (`?drill=1`) is a page of its own.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import Response

from api.access import Role, Visit
from api.errors import BadRequest, Text
from api.pages.days import day_start
from api.pages.site import Moment

EDITORS = frozenset({Role.DISASTER})
USUAL = timedelta(days=6)  # before today
LONGEST = timedelta(days=400)


@dataclass(frozen=True, slots=True)
class Days:
    """The local days that are shown, both inclusive, and their moments: since <= time < until."""

    first: date
    last: date
    since: datetime
    until: datetime


def wants_drill(request: Request) -> bool:
    return request.query_params.get("drill") == "1"


def days_asked(request: Request, at: Moment) -> Days:
    """`?from=` and `?to=`; without them the last seven days. Raises BadRequest."""
    today = at.now.astimezone(at.zone).date()
    query = request.query_params
    try:
        last = date.fromisoformat(query["to"]) if query.get("to") else today
        first = date.fromisoformat(query["from"]) if query.get("from") else last - USUAL
    except ValueError:
        raise BadRequest(
            Text("from と to は 2026-06-01 のような日付にしてください。", "from and to must be dates like 2026-06-01.")
        ) from None
    if not timedelta(0) <= last - first <= LONGEST:
        raise BadRequest(
            Text(
                f"期間は最初の日から最後の日まで、{LONGEST.days}日以内にしてください。",
                f"The range must run from its first day to its last, and be at most {LONGEST.days} days long.",
            )
        )
    return days_between(first, last, at.zone)


def days_between(first: date, last: date, zone: ZoneInfo) -> Days:
    return Days(first, last, day_start(first, zone), day_start(last + timedelta(days=1), zone))


def file_name(what: str, visit: Visit, days: Days, drill: bool) -> str:
    return f"{what}_{visit.tenant.code}_{days.first:%Y%m%d}-{days.last:%Y%m%d}{'_drill' if drill else ''}"


def csv_file(name: str, rows: Iterable[Iterable[object]], language: str) -> Response:
    """A file for a spreadsheet: with a byte order mark, and no text of it taken for a formula."""
    out = io.StringIO()
    csv.writer(out).writerows([_safe(str(cell)) for cell in row] for row in rows)
    return Response(
        out.getvalue().encode("utf-8-sig"),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}.csv"', "Content-Language": language},
    )


def _safe(text: str) -> str:
    """Somebody typed it, somebody else opens it: what would be a formula gets an apostrophe before it."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def local(time: datetime, zone: ZoneInfo) -> str:
    """A time in a file: local, with its offset, to the minute."""
    return time.astimezone(zone).isoformat(timespec="minutes")
