"""知らせた記録: of one alert, who was told when and by what, what became of it, and who answered.

For the desks. Names are shown, addresses only as far as one needs to tell two of a person's apart. What a person was
not told by, because another way was faster, is shown as such: it is no failure. So is what was withdrawn because the
alert was retracted; the correction is a message like the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from starlette.requests import Request
from starlette.responses import Response

from alerts.outbox import MAX_ATTEMPTS
from api.access import DESKS, Router, SignedIn, access
from api.errors import NotFound, Text
from api.pages.alert_list import open_alerts
from api.pages.site import moment, page
from api.roles import Role
from store.connection import Connection

router = Router()

State = Literal["sent", "waiting", "stood_in", "given_up", "withdrawn", "in_doubt"]


@dataclass(frozen=True, slots=True)
class Message:
    """One message to one recipient about one step of the alert; times of sending are real time. `name` None: an
    address of a section. `instead`: it stands in for one that did not go out. `unsure`: it may have arrived twice.
    """

    event: str
    decided_at: datetime
    channel: str
    kind: str | None
    name: str | None
    address: str
    state: State
    sent_at: datetime | None
    attempts: int
    error: str | None
    instead: bool
    unsure: bool
    answered_at: datetime | None


@router.get("/alerts/{alert_id}/delivery")
@access(DESKS, page=True)
def delivery_page(request: Request, visit: SignedIn, alert_id: int) -> Response:
    at = moment(request, visit)
    with visit.transaction() as conn:
        row = conn.execute(
            "select s.name, s.name_en, a.rule from alert a left join station s using (station_id) where alert_id = %s",
            (alert_id,),
        ).fetchone()
        if row is None or (row[2] == "operation" and visit.user.role is not Role.DIGITAL):
            raise NotFound(Text(f"アラート {alert_id} はありません。", f"There is no alert {alert_id}."))
        messages = messages_of(conn, alert_id)
        alerts = open_alerts(conn, visit.user.role)
    return page(request, visit, at, "alerts_delivery", alerts, alert_id=alert_id, place=row[:2], messages=messages)


def messages_of(conn: Connection, alert_id: int) -> list[Message]:
    """Everything that was written about an alert, but for the log, in the order of writing."""
    rows = conn.execute(
        """
        select h.event, h.at, o.channel, d.kind, p.name, o.recipient, o.sent_at, o.attempts, o.last_error,
               o.instead_of is not null, o.unsure > 0 or (o.withdrawn and o.begun_at is not null),
               (select min(l.answered_at) from answer_link l where l.outbox_id = o.outbox_id), o.stood_in, o.withdrawn
        from outbox o
        join alert_history h using (alert_history_id)
        left join person p on p.person_id = o.person_id
        left join delivery_channel d on d.name = o.channel
        where h.alert_id = %s and o.channel <> 'log' order by o.outbox_id
        """,
        (alert_id,),
    )
    return [_message(row) for row in rows]


def _message(row: tuple[Any, ...]) -> Message:
    event, at, channel, kind, name, address, sent, tries, error, instead, unsure, when, stood_in, withdrawn = row
    became = state(sent, tries, stood_in, withdrawn, unsure)
    shown = masked(address)
    return Message(event, at, channel, kind, name, shown, became, sent, tries, error, instead, unsure, when)


def state(sent_at: datetime | None, attempts: int, stood_in: bool, withdrawn: bool, unsure: bool) -> State:
    """What became of a message."""
    if sent_at is not None:
        return "sent"
    if withdrawn:
        return "in_doubt" if unsure else "withdrawn"
    if stood_in:
        return "stood_in"
    return "given_up" if attempts >= MAX_ATTEMPTS else "waiting"


def masked(address: str) -> str:
    """Enough to tell two addresses of a person apart, and no more.

    >>> masked("tanaka@town.example.jp"), masked("+819012345678"), masked("a@b.jp")
    ('tan…@town.example.jp', '+81…678', 'a@b.jp')
    """
    local, at, domain = address.partition("@")
    if at:
        return f"{local[:3]}…@{domain}" if len(local) > 3 else address
    return f"{address[:3]}…{address[-3:]}" if len(address) > 8 else address
