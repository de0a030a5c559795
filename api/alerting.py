"""/api/v1/alerts: what was raised, what happened to it, and what a person does about it.

Everyone of the town reads all alerts. Acting on one is its desk's: see `api.roles.desks_of` and docs/api.md.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import Query
from psycopg.rows import dict_row

from alerts import actions, retraction
from alerts.errors import ActionError, AlertNotFound, NoSuchPerson, NoteRequired
from alerts.explaining import explain
from api.access import DESKS, READERS, Router, SignedIn, Visit, access
from api.errors import ApiError, BadRequest, Conflict, NotFound, Refused, Text
from api.models import AlertDetailOut, AlertEventOut, AlertOut, AlertPage, AssignIn, CommentIn, NoteIn
from api.roles import desks_of
from api.times import instant
from devices.model import StationKind
from store.connection import Connection

router = Router(prefix="/api/v1", tags=["alerts"])

_DESK_ONLY = "the alert's desk"
_ALERT = """
    select a.alert_id, s.code as station, s.name as station_name, s.kind as station_kind, a.rule,
           coalesce(a.cause, 'rule:' || a.alert_rule_id) as cause, a.severity,
           a.part_of, a.mode,
           case when taken_back.at is not null then 'retracted'
                when a.cleared_at is not null then 'cleared'
                when a.acknowledged_at is not null then 'acknowledged' else 'raised' end as state,
           s.code || '/' || d.observed_property as datastream, a.level, a.peak_level,
           a.confirmed_level, a.withheld, a.raised_at,
           a.phenomenon_time, a.value, d.unit, a.acknowledged_at,
           coalesce(seen.display_name, answered.name) as acknowledged_by,
           a.cleared_at, done.display_name as cleared_by,
           taken_back.at as retracted_at, retractor.display_name as retracted_by, sent.name as assigned_to
    from alert a
    left join station s using (station_id)
    left join datastream d using (datastream_id)
    left join app_user seen on seen.user_id = a.acknowledged_by
    left join person answered on answered.person_id = a.acknowledged_person
    left join app_user done on done.user_id = a.cleared_by
    left join alert_retraction taken_back using (alert_id)
    left join app_user retractor on retractor.user_id = taken_back.user_id
    left join lateral (
        select p.name from alert_history h left join person p on p.person_id = h.assigned_person
        where h.alert_id = a.alert_id and h.event = 'assigned' order by h.alert_history_id desc limit 1
    ) sent on true
"""


@router.get("/alerts")
@access(READERS)
def alerts(
    visit: SignedIn,
    open: Annotated[bool | None, Query(description="true: not cleared; false: cleared")] = None,
    since: Annotated[
        str | None, Query(json_schema_extra={"format": "date-time"}, description="raised at or after")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    before: Annotated[int | None, Query(ge=1, description="set by `next`")] = None,
    drill: Annotated[bool, Query(description="true: those of drills instead of the real ones")] = False,
    trial: Annotated[bool, Query(description="true: those of stations in trial instead of the real ones")] = False,
) -> AlertPage:
    """Alerts, newest first. Those of drills and of stations in trial are not among the real ones."""
    with visit.transaction() as conn, conn.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(
            _ALERT
            + """
            where (%(open)s::boolean is null or (a.cleared_at is null) = %(open)s)
              and (%(since)s::timestamptz is null or a.raised_at >= %(since)s)
              and (%(before)s::bigint is null or a.alert_id < %(before)s)
              and a.mode = %(mode)s
            order by a.alert_id desc limit %(limit)s
            """,
            {
                "open": open,
                "since": instant("since", since) if since is not None else None,
                "before": before,
                "mode": "exercise" if drill else "test" if trial else "actual",
                "limit": limit + 1,
            },
        ).fetchall()
    page = [_alert(visit, row) for row in rows[:limit]]
    following = None
    if len(rows) > limit:
        query: dict[str, Any] = {"limit": limit, "before": page[-1].alert_id}
        if open is not None:
            query["open"] = str(open).lower()
        if since is not None:
            query["since"] = since
        if drill:
            query["drill"] = "true"
        elif trial:
            query["trial"] = "true"
        following = f"/api/v1/alerts?{urlencode(query)}"
    return AlertPage(alerts=page, next=following)


@router.get("/alerts/{alert_id}")
@access(READERS)
def alert(visit: SignedIn, alert_id: int) -> AlertDetailOut:
    """One alert with its history."""
    with visit.transaction() as conn:
        return _detail(visit, conn, alert_id)


@router.post("/alerts/{alert_id}/acknowledge")
@access(DESKS, narrowed=_DESK_ONLY)
def acknowledge(visit: SignedIn, alert_id: int, given: NoteIn | None = None) -> AlertDetailOut:
    """Says that a person has seen it and takes it on. 409 when somebody already has."""
    return act(visit, alert_id, "acknowledge", _note(given))


@router.post("/alerts/{alert_id}/comment")
@access(DESKS, narrowed=_DESK_ONLY)
def comment(visit: SignedIn, alert_id: int, given: CommentIn) -> AlertDetailOut:
    """Adds a note to its history, also when it is over."""
    return act(visit, alert_id, "comment", given.note)


@router.post("/alerts/{alert_id}/assign")
@access(DESKS, narrowed=_DESK_ONLY)
def assign(visit: SignedIn, alert_id: int, given: AssignIn) -> AlertDetailOut:
    """Says who goes there. Who did before stays in its history."""
    return act(visit, alert_id, "assign", given.note, person_id=given.person_id)


@router.post("/alerts/{alert_id}/retract")
@access(DESKS, narrowed=_DESK_ONLY)
def retract(visit: SignedIn, alert_id: int, given: CommentIn) -> AlertDetailOut:
    """Takes it back as false, also when it is over: whom it reached gets a correction. 409 the second time."""
    return act(visit, alert_id, "retract", given.note)


@router.post("/alerts/{alert_id}/clear")
@access(DESKS, narrowed=_DESK_ONLY)
def clear(visit: SignedIn, alert_id: int, given: NoteIn | None = None) -> AlertDetailOut:
    """Ends it by a person's decision. 409 while its cause is still there, or when it is over already."""
    return act(visit, alert_id, "clear", _note(given))


@router.post("/alerts/{alert_id}/confirm")
@access(DESKS, narrowed=_DESK_ONLY)
def confirm(visit: SignedIn, alert_id: int, given: NoteIn | None = None) -> AlertDetailOut:
    """Says that the reading is right on which alone it stands: who was not told yet is told. 409 when none waits."""
    return act(visit, alert_id, "confirm", _note(given))


@router.post("/alerts/{alert_id}/dismiss")
@access(DESKS, narrowed=_DESK_ONLY)
def dismiss(visit: SignedIn, alert_id: int, given: NoteIn | None = None) -> AlertDetailOut:
    """Says that the reading is wrong on which alone it stands: it ends, or goes down to what is confirmed of it. 409
    when there is no such reading.
    """
    return act(visit, alert_id, "dismiss", _note(given))


def _note(given: NoteIn | None) -> str:
    return "" if given is None else given.note or ""


Act = Literal["acknowledge", "comment", "assign", "retract", "clear", "confirm", "dismiss", "count_again"]


def act(visit: Visit, alert_id: int, name: Act, note: str = "", *, person_id: int | None = None) -> AlertDetailOut:
    """Does this to an alert for whoever may, and returns what the alert then is: what every form and every request of
    programs comes to. `person_id`: who goes there (assign; None: nobody any more).

    Raises `NotFound`, `Refused` (another desk's alert), `Conflict` or `BadRequest` with the reason in words.
    """
    clock = visit.clock
    with visit.transaction() as conn:
        row = conn.execute(
            "select a.rule, s.kind from alert a left join station s using (station_id) where a.alert_id = %s",
            (alert_id,),
        ).fetchone()
        if row is None:
            raise _no_alert(alert_id)
        rule, kind = row
        if visit.user.role not in desks_of(rule, _kind(kind)):
            raise Refused(
                Text("このアラートは別の担当のものです。", "This alert is another desk's."),
                Text("担当課に連絡してください。", "Call the section in charge."),
            )
        who = conn, visit.tenant.municipality_id, alert_id, visit.user.user_id, clock.now()
        try:
            match name:
                case "acknowledge":
                    actions.acknowledge(*who, note)
                case "comment":
                    actions.comment(*who, note)
                case "assign":
                    actions.assign(*who, person_id, note)
                case "retract":
                    retraction.retract(*who, note, simulated=clock.simulated)
                case "clear":
                    actions.clear(*who, note)
                case "confirm":
                    actions.confirm(*who, note)
                case "dismiss":
                    actions.dismiss(*who, note)
                case "count_again":
                    retraction.count_again(*who)
        except ActionError as error:
            raise _refusal(visit, error, alert_id) from error
    with visit.transaction() as conn:
        return _detail(visit, conn, alert_id)


def _refusal(visit: Visit, error: ActionError, alert_id: int) -> ApiError:
    zone = visit.tenant.timezone
    words = Text(explain(error, "ja", timezone=zone), explain(error, "en", timezone=zone))
    if isinstance(error, AlertNotFound):
        return _no_alert(alert_id)
    return BadRequest(words) if isinstance(error, NoteRequired | NoSuchPerson) else Conflict(words)


def _no_alert(alert_id: int) -> NotFound:
    return NotFound(Text(f"アラート {alert_id} はありません。", f"There is no alert {alert_id}."))


def _alert(visit: Visit, row: dict[str, Any]) -> AlertOut:
    return AlertOut(**row, may_act=visit.user.role in desks_of(row["rule"], _kind(row["station_kind"])))


def _kind(stored: str | None) -> StationKind | None:
    return None if stored is None else StationKind(stored)


def _detail(visit: Visit, conn: Connection, alert_id: int) -> AlertDetailOut:
    with conn.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(_ALERT + "where a.alert_id = %s", (alert_id,)).fetchone()
        if row is None:
            raise _no_alert(alert_id)
        history = cursor.execute(
            """
            select h.at, h.event, h.level, h.phenomenon_time, h.value, coalesce(u.display_name, p.name) as by, h.note,
                   h.unconfirmed, h.reason, goes.name as assigned_to
            from alert_history h left join app_user u using (user_id) left join person p using (person_id)
            left join person goes on goes.person_id = h.assigned_person
            where h.alert_id = %s order by h.alert_history_id
            """,
            (alert_id,),
        ).fetchall()
    return AlertDetailOut(**_alert(visit, row).model_dump(), history=[AlertEventOut(**entry) for entry in history])
