"""当番表: whose turn a day or a night is. Every desk says so for itself; the page shows names and no addresses."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from api.access import DESKS, Router, SignedIn, Visit, access
from api.pages import typed
from api.pages.alert_list import open_alerts
from api.pages.people import back_to, number, said_of
from api.pages.people_now import groups_now, people_now, turns_now, untold_now
from api.pages.site import moment, page
from store.connection import Connection

router = Router()

DUTY = "/alerts/duty"
_DAYS = 14


@router.get(DUTY)
@access(DESKS, page=True)
def duty_page(
    request: Request,
    visit: SignedIn,
    group: Annotated[int | None, Query(ge=1)] = None,
    first: Annotated[str, Query(alias="from")] = "",
) -> Response:
    at = moment(request, visit)
    today = at.now.astimezone(at.zone).date()
    begin = _day(first) or today
    with visit.transaction() as conn:
        people = people_now(conn)
        groups = groups_now(conn, people)
        chosen = next((each for each in groups if group is None or each.group_id == group), None)
        turns = [] if chosen is None else turns_now(conn, chosen.group_id, begin, _DAYS)
        untold = untold_now(conn, visit.tenant.municipality_id, at)
        alerts = open_alerts(conn, visit.user.role)
    return page(
        request, visit, at, "alerts_duty", alerts,
        groups=groups, chosen=chosen, turns=turns, today=today, first=begin,
        before=begin - timedelta(days=_DAYS), after=begin + timedelta(days=_DAYS), said=said_of(request, at),
        untold=untold,
    )  # fmt: skip


@router.post(DUTY)
@access(DESKS)
def keep_duty(visit: SignedIn, given: typed.Form) -> Response:
    """The turns of the days shown: fields `person.DAY.PART` and `substitute.DAY.PART`; an empty person: nobody."""
    group = number(given.get("group", ""))
    query = {"group": str(group), "from": given.get("from", "")[:10]}
    with visit.transaction() as conn:
        found = [each for each in groups_now(conn, people_now(conn)) if each.group_id == group]
        members = {person.person_id for each in found for person in each.members}
        problem = None if found else "nothing"
        for field, value in given.items():
            what, _, shift = field.partition(".")
            if what == "person" and found:
                problem = _keep_turn(conn, visit, group, members, shift, value, given.get(f"substitute.{shift}", ""))
                if problem is not None:
                    break
        if problem is not None:
            conn.rollback()
    return back_to(DUTY, "turns", **query, said=problem or "turns_kept")


def _keep_turn(
    conn: Connection, visit: Visit, group: int, members: set[int], shift: str, person: str, substitute: str
) -> str | None:
    """What is wrong with it, as a key; None where it was kept."""
    day, _, part = shift.partition(".")
    on = _day(day)
    if on is None or part not in ("day", "night"):
        return "no_day"
    if not person:
        conn.execute("delete from duty where group_id = %s and day = %s and part = %s", (group, on, part))
        return "substitute_alone" if substitute else None
    first, second = number(person), number(substitute) if substitute else None
    if first not in members or (second is not None and second not in members):
        return "not_in_group"
    if first == second:
        return "same_person"
    conn.execute(
        """
        insert into duty (group_id, day, part, municipality_id, person_id, substitute_id)
        values (%s, %s, %s, %s, %s, %s)
        on conflict (group_id, day, part) do update
            set person_id = excluded.person_id, substitute_id = excluded.substitute_id
        """,
        (group, on, part, visit.tenant.municipality_id, first, second),
    )
    return None


def _day(text: str) -> date | None:
    """A day as the links write it; None for everything else, and for what no roster reaches."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if date(2000, 1, 1) < day < date(2200, 1, 1) else None
