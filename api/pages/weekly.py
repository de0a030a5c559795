"""機器の週報: the weekly letter of the digital section as a page, to be read and printed; the running week as it is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from starlette.requests import Request
from starlette.responses import Response

from alerts.digest import monday_of, stored, week_facts
from alerts.digest_words import Section, sections, summary
from api.access import READERS, Router, SignedIn, access
from api.errors import BadRequest, Text
from api.pages.alert_list import open_alerts
from api.pages.site import moment, page

router = Router()

_WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Week:
    """A week as it is shown. `running`: it is not over, or its letter is not written; then it is told as of `until`.
    `earlier`: the Monday before where something was told of it, `later` the one after, up to the present.
    """

    first: date
    last: date
    running: bool
    until: datetime
    summary: str
    sections: tuple[Section, ...]
    earlier: date | None
    later: date | None


@router.get("/digital/weekly")
@access(READERS, page=True)
def weekly_page(request: Request, visit: SignedIn) -> Response:
    """The running week, or that of the day in `week`."""
    at = moment(request, visit)
    present = monday_of(at.now.astimezone(at.zone).date())
    wish = request.query_params.get("week")
    try:
        first = present if wish is None else monday_of(date.fromisoformat(wish))
    except (ValueError, OverflowError):
        raise BadRequest(
            Text("week は 2026-06-01 のような日付にしてください。", "week must be a date like 2026-06-01.")
        ) from None
    first = min(first, present)
    town = visit.tenant.municipality_id
    with visit.transaction() as conn:
        facts = stored(conn, town, first)
        running = facts is None
        if facts is None:
            facts = week_facts(conn, town, first, at.now)
        before = conn.execute("select max(week) from weekly_digest where week < %s", (first,)).fetchone()
        alerts = open_alerts(conn, visit.user.role)
    assert before is not None
    language = at.words.code
    model = Week(
        first,
        first + timedelta(days=6),
        running,
        datetime.fromisoformat(facts["until"]),
        summary(facts, language),
        tuple(sections(facts, at.zone, language)),
        before[0],
        first + _WEEK if first < present else None,
    )
    return page(request, visit, at, "digital_weekly", alerts, model=model)
