"""誤報の訂正: an alert that was false is taken back. The page shows who will be told before anything is done, and
afterwards who was, what became of each correction, and what the public was told: that is taken back in the same act.

For the desks to read; retracting is the alert's desk's, as every other act.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Form
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from alerts import retraction
from alerts.actions import MAX_NOTE
from alerts.public.notices import Notice, draft_of, head_of, newest_approved
from api.access import DESKS, Router, SignedIn, access
from api.alerting import act
from api.errors import BadRequest, Conflict, NotFound, Text
from api.pages.alert_list import Alert, one_alert, open_alerts
from api.pages.delivery import masked, messages_of
from api.pages.site import moment, page
from store.connection import Connection

router = Router()

_NARROWED = "the alert's desk"
_DONE = frozenset({"retract", "again"})


@router.get("/alerts/{alert_id}/retract")
@access(DESKS, page=True)
def retract_page(request: Request, visit: SignedIn, alert_id: int) -> Response:
    at = moment(request, visit)
    query = request.query_params
    with visit.transaction() as conn:
        alert = one_alert(conn, visit.user.role, alert_id)
        if alert is None:
            raise NotFound(Text(f"アラート {alert_id} はありません。", f"There is no alert {alert_id}."))
        model = _before(conn, alert_id) if alert.retracted is None else _after(conn, alert_id)
        standing = standing_notices(conn, alert)
        cancelled = taken_back(conn, alert)
        alerts = open_alerts(conn, visit.user.role)
    return page(
        request, visit, at, "alerts_retract", alerts,
        alert=alert, notices=standing, cancelled=cancelled, most_note=MAX_NOTE, now=at.now,
        may_act=alert.on_desk_of(visit.user.role),
        done=query.get("done") if query.get("done") in _DONE else None,
        problem=query.get("problem") if query.get("problem") in ("note", "conflict") else None,
        **model,
    )  # fmt: skip


@router.post("/alerts/{alert_id}/retract")
@access(DESKS, narrowed=_NARROWED)
def retract(visit: SignedIn, alert_id: int, note: Annotated[str, Form(max_length=MAX_NOTE)] = "") -> Response:
    try:
        act(visit, alert_id, "retract", note)
    except BadRequest:
        return _to(alert_id, "problem=note#retract")
    except Conflict:  # somebody was first, and the page says who; or it lasts, and the page says so
        return _to(alert_id, "problem=conflict")
    return _to(alert_id, "done=retract")


@router.post("/alerts/{alert_id}/count-again")
@access(DESKS, narrowed=_NARROWED)
def count_again(visit: SignedIn, alert_id: int) -> Response:
    """What stands at the gauge raises again, as of now."""
    try:
        act(visit, alert_id, "count_again")
    except Conflict:
        return _to(alert_id, "problem=conflict")
    return _to(alert_id, "done=again")


def standing_notices(conn: Connection, alert: Alert) -> list[Notice]:
    """What the public reads, or is about to read, because of this alert: what it reads goes with the alert."""
    found = (head_of(conn, alert.alert_id), draft_of(conn, alert.alert_id)) if alert.rule == "level" else ()
    return [each for each in found if each is not None]


def taken_back(conn: Connection, alert: Alert) -> Notice | None:
    """The notice by which the public was told that what it had read was wrong, or of an end before."""
    found = newest_approved(conn, alert.alert_id) if alert.rule == "level" and alert.retracted else None
    return found if found is not None and found.kind == "cancel" else None


def _before(conn: Connection, alert_id: int) -> dict[str, Any]:
    outlook = retraction.look(conn, alert_id)
    kinds: dict[str, str] = dict(conn.execute("select name, kind from delivery_channel").fetchall())
    reached = [
        {"name": each.name, "kind": kinds.get(each.channel), "channel": each.channel, "address": masked(each.address),
         "doubt": each.doubt, "last": each.last}
        for each in outlook.reached
    ]  # fmt: skip
    return {"reached": reached, "waiting": outlook.waiting, "corrections": (), "withdrawn": 0}


def _after(conn: Connection, alert_id: int) -> dict[str, Any]:
    messages = messages_of(conn, alert_id)
    return {
        "reached": (),
        "waiting": 0,
        "corrections": [each for each in messages if each.event == "retracted"],
        "withdrawn": sum(each.state == "withdrawn" for each in messages if each.event != "retracted"),
    }


def _to(alert_id: int, query: str) -> Response:
    return RedirectResponse(f"/alerts/{alert_id}/retract?{query}", 303)
