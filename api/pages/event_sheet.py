"""行事の報告: one sheet of paper after an event, what was counted beside what the organiser said.

延べ of the counters, what somebody counted by hand for the event (`gatherings`), the greatest 滞在推定, and 主催者発表:
each stands by itself with its source, and they are never added up, averaged or put in one another's place. Where a
counter at a gate is calibrated, what its factor makes of its number stands beside it with the factor's interval.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import Response

from analytics.visitors.events.present import Flow
from analytics.visitors.part_counts import gatherings_at
from analytics.visitors.spots.plan import Factor, factors
from api.access import READERS, Router, SignedIn, access
from api.pages.alert_list import open_alerts
from api.pages.event import effect_of, found_event
from api.pages.event_day import DONE, Watched, watched
from api.pages.event_effect import sentence
from api.pages.events import EVENTS, WRITERS, names_of, spots_now
from api.pages.site import moment, page
from store import event_days
from store.connection import Connection
from store.event_days import MOST
from store.spots import Measure

router = Router()

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Calibrated:
    """What a factor (manual / counter, with its 95 % interval) makes of what a gate counted inwards."""

    factor: Factor
    inwards: float
    low: float
    high: float


@router.get(EVENTS + "/{event_id}/report")
@access(READERS, page=True)
def report_page(request: Request, visit: SignedIn, event_id: int) -> Response:
    """The sheet of paper: what was counted, beside what the organiser said."""
    at = moment(request, visit)
    town = visit.tenant.municipality_id
    with visit.transaction() as conn:
        event = found_event(conn, visit, event_id)
        spots = spots_now(conn, at)
        day = event_days.day(conn, town, event_id)
        found = None if day is None else watched(conn, day, at)
        effect = effect_of(conn, visit, event, spots, at)
        said = event_days.statements(conn, town, event_id)
        calibrated = {} if found is None else _calibrated(conn, found, at.zone)
        first, last = event.entry.first_day, event.entry.last_day
        begins, ends = (datetime.combine(day, time(), at.zone) for day in (first, last + _DAY))
        codes = sorted({*event.entry.spots, *(each.code for each in ([] if found is None else found.gates))})
        by_hand = gatherings_at(conn, town, codes if event.entry.spots else None, begins, ends)
        alerts = open_alerts(conn, visit.user.role)
    done = request.query_params.get("done")
    return page(
        request, visit, at, "tourism_event_report", alerts,
        event=event, names=names_of(spots, at), found=found, said=said, effect=effect,
        calibrated=calibrated, by_hand=by_hand,
        says=None if effect is None else sentence(effect, at), problem=None, typed=_typed_statement(said), most=MOST,
        may_write=visit.user.role in WRITERS, done=done if done in DONE else None,
    )  # fmt: skip


def _calibrated(conn: Connection, found: Watched, zone: ZoneInfo) -> dict[int, Calibrated]:
    """By station, of the gates whose counter had a factor for the way that leads in on the first day."""
    plan = found.day.plan
    known = factors(conn, plan.gates)
    day = plan.starts_at.astimezone(zone).date()
    made = {}
    for flow in found.present.flows:
        station = flow.gate.station_id
        measure = Measure.OUT if station in plan.turned else Measure.IN
        factor = _in_force(known.get((station, measure), ()), day)
        if factor is not None and flow.newest is not None:
            made[station] = _applied(factor, flow)
    return made


def _in_force(known: Sequence[Factor], day: date) -> Factor | None:
    return next((each for each in known if each.holds(day)), None)


def _applied(factor: Factor, flow: Flow) -> Calibrated:
    return Calibrated(factor, *(flow.inwards * each for each in (factor.value, factor.low, factor.high)))


def _typed_statement(said: Sequence[event_days.Statement]) -> dict[str, str]:
    if not said:
        return {"people": "", "said_by": "", "basis": ""}
    newest = said[0]
    people = "" if newest.people is None else str(newest.people)
    return {"people": people, "said_by": newest.said_by, "basis": newest.basis}
