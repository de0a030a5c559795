"""One local event: what the calendar says of it, what it changed, and what it said before."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from analytics.visitors.events.measured import LOOK_BACK, Measured, measured
from api.access import READERS, Router, SignedIn, Visit, access
from api.errors import Conflict, NotFound, Text
from api.pages.alert_list import open_alerts
from api.pages.event_effect import bars_of, effect_rows, percent, sentence
from api.pages.events import EVENTS, FIELDS, WRITERS, fields_of, names_of, read_entry, spots_now
from api.pages.headquarters import csv_file
from api.pages.site import Moment, moment, page
from api.pages.typed import Form
from store import event_days, events
from store.connection import Connection
from store.errors import RecordError
from store.events import MOST, EventKind, LocalEvent
from store.feed import append_headquarters
from store.spots import Spot

router = Router()

_DONE = frozenset({"added", "changed", "withdrawn", "back"})


@router.get(EVENTS + "/{event_id}")
@access(READERS, page=True)
def event_page(request: Request, visit: SignedIn, event_id: int) -> Response:
    return _page(request, visit, event_id)


@router.post(EVENTS + "/{event_id}")
@access(WRITERS)
def change_event(request: Request, visit: SignedIn, event_id: int, typed: Form) -> Response:
    """Writes what it says from now on; `do` withdraw takes it off the calendar, back puts it there again."""
    at = moment(request, visit)
    town, do = visit.tenant.municipality_id, typed.get("do")
    seen = typed.get("seen", "")
    try:
        with visit.transaction() as conn:
            before = found_event(conn, visit, event_id)
            entry = before.entry
            if do not in ("withdraw", "back"):
                entry = read_entry(typed, spots_now(conn, at), entry.uid)
            events.change(
                conn, town, event_id,
                seen=int(seen) if seen.isascii() and seen.isdigit() and len(seen) < 9 else before.revision,
                entry=entry, withdrawn=do == "withdraw", now=at.now, user_id=visit.user.user_id,
            )  # fmt: skip
            append_headquarters(conn, town)
    except RecordError as error:
        return _page(request, visit, event_id, typed=typed, problem=error, status=400)
    done = {"withdraw": "withdrawn", "back": "back"}.get(do or "", "changed")
    return RedirectResponse(f"{EVENTS}/{event_id}?done={done}", 303)


@router.get(EVENTS + "/{event_id}/effect.csv")
@access(READERS, page=True)
def effect_file(request: Request, visit: SignedIn, event_id: int) -> Response:
    """What it changed, with each of its days."""
    at = moment(request, visit)
    with visit.transaction() as conn:
        event = found_event(conn, visit, event_id)
        spots = spots_now(conn, at)
        found = effect_of(conn, visit, event, spots, at)
    if found is None:
        raise Conflict(
            Text("この行事の効果はまだ計算できません。", "The effect of this event cannot be calculated yet."),
            Text(
                "比べる地点を選び、最初の日が終わるのを待ってください。",
                "Choose control spots, and wait for its first day.",
            ),
        )
    rows = effect_rows(found, at, names_of(spots, at))
    return csv_file(f"effect_{visit.tenant.code}_{event_id}", rows, at.words.code)


def found_event(conn: Connection, visit: Visit, event_id: int) -> LocalEvent:
    """The event of the visit's town. Raises NotFound."""
    found = events.event(conn, visit.tenant.municipality_id, event_id)
    if found is None:
        raise NotFound(
            Text(f"行事 {event_id} はありません。", f"There is no event {event_id}."),
            Text("行事の予定から選んでください。", "Choose one from the calendar of events."),
        )
    return found


def effect_of(conn: Connection, visit: Visit, event: LocalEvent, spots: list[Spot], at: Moment) -> Measured | None:
    """What it changed so far; None where there is nothing to compare yet."""
    if event.withdrawn:
        return None
    entry = event.entry
    others = events.events(
        conn, visit.tenant.municipality_id, entry.first_day - timedelta(days=LOOK_BACK), entry.last_day
    )
    known = {each.code: each.spot_id for each in spots}
    today = at.now.astimezone(at.zone).date()
    return measured(conn, event, others, known, today, "tenant_observation")


def _page(
    request: Request,
    visit: Visit,
    event_id: int,
    *,
    typed: Mapping[str, str] | None = None,
    problem: RecordError | None = None,
    status: int = 200,
) -> Response:
    at = moment(request, visit)
    town = visit.tenant.municipality_id
    with visit.transaction() as conn:
        event = found_event(conn, visit, event_id)
        spots = spots_now(conn, at)
        before = events.revisions(conn, town, event_id)
        watched = event_days.day(conn, town, event_id)
        effect = effect_of(conn, visit, event, spots, at)
        alerts = open_alerts(conn, visit.user.role)
    done = request.query_params.get("done")
    fields = fields_of(event.entry) if typed is None else {**dict.fromkeys(FIELDS, ""), **typed}
    return page(
        request, visit, at, "tourism_event", alerts, status=status,
        event=event, revisions=before, spots=spots, names=names_of(spots, at), watched=watched,
        effect=effect, says=None if effect is None else sentence(effect, at), percent=percent,
        bars=None if effect is None else bars_of(effect.effect.days),
        today=at.now.astimezone(at.zone).date(), kinds=tuple(EventKind), most=MOST, typed=fields, problem=problem,
        may_write=visit.user.role in WRITERS, done=done if done in _DONE else None,
    )  # fmt: skip
