"""公表前の確認: the queue of days before they are published, a month at a time.

What is unusual about a day stands beside it in words; the ordinary ones are checked with one press, a month is
confirmed with another. Every press names what the person has seen: a day whose number has changed meanwhile is left as
it was, and the page says so. Everybody of the town reads it; the tourism office and the digital section press.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from hashlib import sha256
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from analytics.visitors.checks import gate
from analytics.visitors.checks.places import Place, places
from analytics.visitors.checks.queue import Waiting, queue
from analytics.visitors.day_types import day_type, holiday_name
from api.access import READERS, Router, SignedIn, Visit, access
from api.pages.alert_list import open_alerts
from api.pages.daily_counts import Range, month_range
from api.pages.daily_entry import COUNTING
from api.pages.site import Moment, moment, page
from api.pages.typed import Form
from store.connection import Connection

router = Router()

_ADDRESS = "/tourism/checks"
_DONE = frozenset({"checked", "confirmed", "back", "changed", "nothing", "note"})
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Tally:
    """How far the days of a spot in the shown month have come."""

    place: Place
    ordinary: int
    odd: int
    checked: int
    confirmed: int


@router.get(_ADDRESS)
@access(READERS, page=True)
def checks_page(request: Request, visit: SignedIn) -> Response:
    """The days of a month."""
    at = moment(request, visit)
    query = request.query_params
    with visit.transaction() as conn:
        every = _places(conn, visit)
        chosen = [each for each in every if each.code == query.get("spot")] or every
        shown = _range(query.get("month"), at)
        waiting = _waiting(conn, chosen, shown, at)
        alerts = open_alerts(conn, visit.user.role)
    provisional = [each for each in waiting if each.day.version == "provisional"]
    ordinary = [each for each in provisional if each.ordinary]
    done = query.get("done")
    cells = {(each.day.day, each.spot_id): each for each in waiting}
    days = [shown.first + n * _DAY for n in range((shown.last - shown.first).days + 1)]
    return page(
        request,
        visit,
        at,
        "tourism_checks",
        alerts,
        shown=shown,
        month=f"{shown.first:%Y-%m}",
        places=chosen,
        one=chosen[0] if len(chosen) == 1 else None,
        by_id={each.spot_id: each for each in every},
        tallies=[_tally(each, waiting) for each in chosen],
        ordinary=ordinary,
        ordinary_seen=_digest(ordinary),
        odd=[each for each in provisional if not each.ordinary],
        checked=[each for each in waiting if each.day.version == "checked"],
        checked_seen=_digest(each for each in waiting if each.day.version == "checked"),
        days=[
            (day, day_type(day).value, holiday_name(day), [cells.get((day, p.spot_id)) for p in chosen]) for day in days
        ],
        may_press=visit.user.role in COUNTING,
        done=done if done in _DONE else None,
        done_n=query.get("n", "")[:5] if query.get("n", "").isdecimal() else "0",
    )


@router.post(_ADDRESS)
@access(COUNTING)
def press(request: Request, visit: SignedIn, form: Form) -> Response:
    """Checks, confirms or sends back the days that were seen."""
    at = moment(request, visit)
    person = gate.Person(visit.tenant.municipality_id, visit.user.user_id, at.now)
    do, note = form.get("do", ""), form.get("note", "").strip()[: gate.LONGEST_NOTE]
    with visit.transaction() as conn:
        every = _places(conn, visit)
        chosen = [each for each in every if each.code == form.get("spot")] or every
        shown = _range(form.get("month"), at)
        waiting = _waiting(conn, chosen, shown, at)
        said, n = _pressed(conn, person, do, note, waiting, form)
    query = {"month": f"{shown.first:%Y-%m}", "done": said, "n": str(n)}
    if len(chosen) == 1:
        query["spot"] = chosen[0].code
    return RedirectResponse(f"{_ADDRESS}?{urlencode(query)}#done", 303)


def _pressed(
    conn: Connection, person: gate.Person, do: str, note: str, waiting: Sequence[Waiting], form: Mapping[str, str]
) -> tuple[str, int]:
    """What became of it, and of how many days."""
    provisional = [each for each in waiting if each.day.version == "provisional"]
    if do == "ordinary":
        meant = [each for each in provisional if each.ordinary]
        if form.get("seen") != _digest(meant):
            return "changed", 0
    elif do == "chosen":
        named = [each for each in provisional if each.name in form]
        meant = [each for each in named if form[each.name] == each.seen]
        if len(meant) < len(named):
            return "changed", 0
    elif do == "confirm":
        meant = [each for each in waiting if each.day.version == "checked"]
        if form.get("seen") != _digest(meant):
            return "changed", 0
        return ("confirmed", _confirm(conn, person, meant, note)) if meant else ("nothing", 0)
    elif do == "back":
        if not note:
            return "note", 0
        n = sum(
            gate.send_back(conn, person, each.spot_id, each.day.day, note)
            for each in waiting
            if each.day.version != "provisional" and each.day.day.isoformat() == form.get("day")
            and str(each.spot_id) == form.get("of")
        )  # fmt: skip
        return ("back", n) if n else ("nothing", 0)
    else:
        return "nothing", 0
    for spot_id in dict.fromkeys(each.spot_id for each in meant):
        gate.check(conn, person, spot_id, [each.day for each in meant if each.spot_id == spot_id], note)
    return ("checked", len(meant)) if meant else ("nothing", 0)


def _confirm(conn: Connection, person: gate.Person, meant: Sequence[Waiting], note: str) -> int:
    return sum(
        gate.confirm(conn, person, spot_id, [each.day for each in meant if each.spot_id == spot_id], note)
        for spot_id in dict.fromkeys(each.spot_id for each in meant)
    )


def _places(conn: Connection, visit: Visit) -> list[Place]:
    return places(conn, visit.tenant.municipality_id)


def _range(month: str | None, at: Moment) -> Range:
    """The month of yesterday where none is named: today is not over, and nothing to be checked."""
    yesterday = at.now.astimezone(at.zone).date() - _DAY
    found = month_range(month or f"{yesterday:%Y-%m}", yesterday)
    return replace(found, first=found.last.replace(day=1))


def _waiting(conn: Connection, chosen: Sequence[Place], shown: Range, at: Moment) -> list[Waiting]:
    ids = [each.spot_id for each in chosen]
    return queue(conn, ids, shown.first, shown.last, at.zone, relation="tenant_observation")


def _tally(place: Place, waiting: Sequence[Waiting]) -> Tally:
    mine = [each for each in waiting if each.spot_id == place.spot_id]
    provisional = [each for each in mine if each.day.version == "provisional"]
    ordinary = sum(each.ordinary for each in provisional)
    return Tally(
        place,
        ordinary,
        len(provisional) - ordinary,
        sum(each.day.version == "checked" for each in mine),
        sum(each.day.version == "confirmed" for each in mine),
    )


def _digest(seen: Iterable[Waiting]) -> str:
    """Names days with their numbers, so that a press on other ones is told from one on these."""
    return sha256("\n".join(f"{each.name} {each.seen}" for each in seen).encode()).hexdigest()[:16]
