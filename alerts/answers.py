"""Answering by the link in a message: no sign-in, bound to one recipient and one alert, for 12 hours of real time.

    token = write_link(conn, municipality_id, outbox_id)     the alerts process, before it sends
    found = find(conn, municipality_id, token)               the page that the link opens: changes nothing
    answer(conn, found, at)                                  its button: acknowledges, and verifies the contact

Mail gateways and chat programs open links by themselves, to look behind them: so opening one only shows a page. The
database keeps the SHA-256 of a token, so that nobody who reads it can answer for somebody. Each attempt to send has a
token of its own; all of a message answer for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from alerts import actions
from alerts.errors import AlreadyAcknowledged
from devices.clock import real_now
from store import Connection
from store.feed import append_alerts
from store.links import new_token, token_hash

LASTS = timedelta(hours=12)
# Steps of an alert that ask for an answer; what goes down or is over asks for none.
ASKING = ("raised", "escalated", "confirmed", "told", "called", "assigned")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a link asks about: a message to a person about an alert. `by` and `at` are of the acknowledgement, whoever
    made it; `mine`: this person did, or has answered too. `alert_id` None: a test message. `retracted_at`: false.
    `goes`: it asks this person to go there.
    """

    municipality_id: int
    outbox_id: int
    person_id: int
    person: str
    contact_id: int | None
    alert_id: int | None
    subject: str
    body: str
    by: str | None
    at: datetime | None
    cleared_at: datetime | None
    mine: bool
    retracted_at: datetime | None
    goes: bool


def write_link(conn: Connection, municipality_id: int, outbox_id: int) -> str:
    """A new token for a message. The caller commits before it is sent."""
    token = new_token()
    conn.execute(
        "insert into answer_link (token_hash, municipality_id, outbox_id, expires_at) values (%s, %s, %s, %s)",
        (token_hash(token), municipality_id, outbox_id, real_now() + LASTS),
    )
    return token


def find(conn: Connection, municipality_id: int, token: str) -> Asked | None:
    """What a token of this municipality asks about; None where it is unknown or over."""
    row = conn.execute(_ASKED, {"hash": token_hash(token), "now": real_now(), "town": municipality_id}).fetchone()
    return None if row is None else Asked(*row)


def answer(conn: Connection, asked: Asked, token: str, at: datetime) -> None:
    """Notes that this person has seen it: the first one acknowledges, of the others it is noted too. In the caller's
    transaction, on a connection of the API's role; `at` is town time.
    """
    conn.execute(
        "update answer_link set answered_at = %s where token_hash = %s and answered_at is null",
        (at, token_hash(token)),
    )
    if asked.contact_id is not None:
        conn.execute("update contact set verified_at = %s where contact_id = %s", (at, asked.contact_id))
    if asked.alert_id is not None:
        goes = asked.goes and not asked.mine
        if goes:
            actions.going(conn, asked.municipality_id, asked.alert_id, at, asked.person_id)
        try:
            actions.acknowledge(conn, asked.municipality_id, asked.alert_id, None, at, person_id=asked.person_id)
        except AlreadyAcknowledged:
            # The first one stands; that this person has seen it too is noted above.
            if goes:
                append_alerts(conn, asked.municipality_id, [asked.alert_id])


_ASKED = """
select o.municipality_id, o.outbox_id, p.person_id, p.name, o.contact_id, a.alert_id, o.subject, o.body,
       coalesce(u.display_name, seen.name), a.acknowledged_at, a.cleared_at,
       exists (select from answer_link m where m.outbox_id = o.outbox_id and m.answered_at is not null),
       (select r.at from alert_retraction r where r.alert_id = a.alert_id),
       coalesce(h.event = 'assigned', false)
from answer_link l
join outbox o using (outbox_id)
join person p on p.person_id = o.person_id and p.ended_at is null
left join alert_history h using (alert_history_id)
left join alert a on a.alert_id = h.alert_id
left join app_user u on u.user_id = a.acknowledged_by
left join person seen on seen.person_id = a.acknowledged_person
where l.token_hash = %(hash)s and l.expires_at > %(now)s and l.municipality_id = %(town)s
"""
