"""通知の試験: when a group gets its test message, who would get it now, and what became of the ones before.

The digital section says when; a test that a person asks for is written by the alerts process within seconds. The number
of people stands on the button, and is held against the group as it is then.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from alerts.errors import AskedAlready
from alerts.monthly import ask
from alerts.monthly_results import group_tests
from api.access import Router, SignedIn, Visit, access
from api.pages import typed
from api.pages.alert_list import open_alerts
from api.pages.people import GROUPS, KEEPERS, said_of
from api.pages.people_now import GroupNow, PersonNow, group_now, people_now
from api.pages.site import Moment, moment, page
from store.connection import Connection

router = Router()

ADDRESS = GROUPS + "/{group}/test"
_LAST_DAY = 28  # of every month


def told_of(group: GroupNow) -> list[PersonNow]:
    """Who of a group would get a test now: those whom a contact reaches, and equipment only where it is wanted."""
    return [each for each in group.members if each.reachable and (group.test_equipment or not each.equipment)]


@router.get(ADDRESS)
@access(KEEPERS, page=True)
def test_page(request: Request, visit: SignedIn, group: int) -> Response:
    at = moment(request, visit)
    with visit.transaction() as conn:
        found = group_now(conn, group, people_now(conn))
        tests = group_tests(conn, group)
        alerts = open_alerts(conn, visit.user.role)
    to = told_of(found)
    return page(
        request, visit, at, "digital_group_test", alerts,
        group=found, to=to, persons=sum(not each.equipment for each in to),
        unreachable=[each for each in found.members if not each.reachable and not each.equipment],
        tests=tests, said=said_of(request, at), last_day=_LAST_DAY,
    )  # fmt: skip


@router.post(ADDRESS)
@access(KEEPERS)
def change_test(request: Request, visit: SignedIn, group: int, given: typed.Form) -> Response:
    at = moment(request, visit)
    with visit.transaction() as conn:
        found = group_now(conn, group, people_now(conn))
        acts = {"keep": _keep, "send": _send}
        act = acts.get(given.get("do", ""))
        said = "nothing" if act is None else act(conn, visit, at, found, given)
    return RedirectResponse(f"{ADDRESS.format(group=group)}?{urlencode({'said': said})}#said", 303)


def _keep(conn: Connection, visit: Visit, at: Moment, group: GroupNow, given: Mapping[str, str]) -> str:
    day, hour = _whole(given.get("day", "")), _whole(given.get("hour", ""))
    wanted = given.get("on") is not None
    if hour is None or not 0 <= hour <= 23 or (wanted and (day is None or not 1 <= day <= _LAST_DAY)):
        return "no_test_day"
    conn.execute(
        "update call_group set test_day = %s, test_hour = %s, test_equipment = %s where group_id = %s",
        (day if wanted else None, hour, given.get("equipment") is not None, group.group_id),
    )
    return "keep_done"


def _send(conn: Connection, visit: Visit, at: Moment, group: GroupNow, given: Mapping[str, str]) -> str:
    to = told_of(group)
    if not to:
        return "test_nobody"
    if _whole(given.get("people", "")) != len(to):
        return "test_changed"
    try:
        ask(conn, visit.tenant.municipality_id, group.group_id, visit.user.user_id, at.now)
    except AskedAlready:
        return "test_already"
    return "test_asked"


def _whole(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 4 else None
