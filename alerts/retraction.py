"""誤報の訂正: a person takes an alert back that was false, and exactly those whom it reached are told. For the API.

    look(conn, alert_id) -> Outlook                     who would be told, and what still waits; changes nothing
    retract(conn, town, alert_id, user, at, reason)     ends it as false and writes the corrections; how many
    count_again(conn, town, alert_id, user, at)         a person says that what stands there counts again

Reached is a channel and an address by which a message of this alert went out, or may have arrived: one whose sending
has begun and whose end is not noted, or of which nobody could tell. Each of them is written to once, by the same way:
not the next contact, not whoever is on duty now, also who has left meanwhile. What only waited is withdrawn.

The race with whoever sends (`alerts.outbox`): a row is begun under its row lock, and `retract` locks every row of the
alert before it decides, in the order of their numbers, until there is no new one. So a row is either begun before, and
its recipient is told, or withdrawn, and never begun. The correction of a message that is being sent right now waits for
its end (`alerts.corrections`). Two officers at once take turns on the alert; the second learns of the first.

What the public was told of it is taken back in the same act (`alerts.public.acts.cancel_false`), whoever had told it: a
false notice must not stand until somebody thinks of it.

What was false usually still stands at the gauge. Until it is over, or somebody says that it counts again, it raises
nothing: `alerts.still_false`.

Each runs in the caller's transaction, on a connection of the API's role with `mimamori.municipality_id` set, and leaves
the commit to the caller. `at` is town time.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from alerts import false_notice
from alerts.actions import checked
from alerts.errors import AlertNotFound, AlreadyRetracted, NoteRequired, NotRetracted, StillWrong
from alerts.finding_words import FINDING_RULES
from alerts.outbox import MAX_ATTEMPTS
from alerts.public.acts import cancel_false
from alerts.recording import Recorder
from alerts.rules.transition import Event
from alerts.wording import Correction
from store import Connection
from store.feed import append_alerts


@dataclass(frozen=True, slots=True)
class Reached:
    """A channel and an address that messages of the alert reached. `doubt`: nobody knows whether any of them arrived.
    `name` of the person, None: an address of a section. `last`: when a message went out last, in real time.
    """

    channel: str
    address: str
    person_id: int | None
    contact_id: int | None
    name: str | None
    doubt: bool
    last: datetime | None


@dataclass(frozen=True, slots=True)
class Outlook:
    """Whom the alert has reached, and how many messages still wait to be sent."""

    reached: tuple[Reached, ...]
    waiting: int


@dataclass(frozen=True, slots=True)
class _Message:
    outbox_id: int
    channel: str
    address: str
    person_id: int | None
    contact_id: int | None
    name: str | None
    sent_at: datetime | None
    doubt: bool
    waits: bool


@dataclass(frozen=True, slots=True)
class _Alert:
    rule: str
    cause: str | None
    level: int | None
    cleared_at: datetime | None
    cleared_by: int | None
    by: str | None
    at: datetime | None


def look(conn: Connection, alert_id: int) -> Outlook:
    """Who would be told if it was retracted now."""
    return _outlook(_messages(conn, alert_id))


def retract(
    conn: Connection,
    municipality_id: int,
    alert_id: int,
    user_id: int,
    at: datetime,
    reason: str,
    *,
    simulated: bool,
) -> int:
    """Ends an alert as false, also one that is over; how many corrections were written.

    What is wrong with the operation, and an outage, can be retracted once it is over: while it lasts the system itself
    says so anew. Raises `NoteRequired`, `AlreadyRetracted`, `StillWrong`, `AlertNotFound`, having changed nothing.
    """
    alert = _locked(conn, municipality_id, alert_id)
    text = checked(alert_id, reason)
    if alert.at is not None:
        raise AlreadyRetracted(alert_id, alert.by or "", alert.at)
    if text is None:
        raise NoteRequired(alert_id)
    if alert.cleared_at is None and alert.rule in ("operation", "outage"):
        raise StillWrong(alert_id, alert.cause or "", outage=alert.rule == "outage")
    messages = _locked_messages(conn, alert_id)
    outlook = _outlook(messages)
    (by,) = conn.execute("select display_name from app_user where user_id = %s", (user_id,)).fetchone() or ("",)
    notice = false_notice.of(conn, alert_id, Correction(text, by, at), simulated=simulated)
    history_id = _end(conn, municipality_id, alert_id, alert, user_id, at, text, outlook)
    conn.execute(
        "update outbox set withdrawn = true, stood_in = true where outbox_id = any(%s)",
        ([each.outbox_id for each in messages if each.waits],),
    )
    recorder = Recorder(conn, at, mail=False)
    recorder.write(municipality_id, history_id, [("log", "retraction", None, None)], notice)
    to = [(each.channel, each.address, each.person_id, each.contact_id) for each in outlook.reached]
    recorder.write(municipality_id, history_id, to, notice)
    cancel_false(conn, municipality_id, alert_id, user_id, at)
    append_alerts(conn, municipality_id, [alert_id])
    return len(to)


def count_again(conn: Connection, municipality_id: int, alert_id: int, user_id: int, at: datetime) -> None:
    """From now on what stands there raises again. Raises `NotRetracted` where nothing was held back."""
    _locked(conn, municipality_id, alert_id)
    held = conn.execute(
        "update alert_retraction set counts_again_at = %s, counts_again_by = %s "
        "where alert_id = %s and counts_again_at is null",
        (at, user_id, alert_id),
    ).rowcount
    if not held:
        raise NotRetracted(alert_id)
    append_alerts(conn, municipality_id, [alert_id])


def _locked(conn: Connection, municipality_id: int, alert_id: int) -> _Alert:
    # Two statements: who had to wait for the lock would read what was there before.
    conn.execute("select from alert where alert_id = %s for update", (alert_id,))
    row = conn.execute(
        """
        select a.rule, a.cause, a.level, a.cleared_at, a.cleared_by, u.display_name, r.at
        from alert a left join alert_retraction r using (alert_id) left join app_user u on u.user_id = r.user_id
        where a.alert_id = %s and a.municipality_id = %s
        """,
        (alert_id, municipality_id),
    ).fetchone()
    if row is None:
        raise AlertNotFound(alert_id)
    return _Alert(*row)


def _end(
    conn: Connection,
    municipality_id: int,
    alert_id: int,
    alert: _Alert,
    user_id: int,
    at: datetime,
    reason: str,
    outlook: Outlook,
) -> int:
    """Alert, history and the row that says who, when, why and to how many; the history's id."""
    was_open = alert.cleared_at is None
    if was_open:
        conn.execute("update alert set cleared_at = %s, cleared_by = %s where alert_id = %s", (at, user_id, alert_id))
    row = conn.execute(
        """
        insert into alert_history (municipality_id, alert_id, at, event, user_id, note)
        values (%s, %s, %s, %s, %s, %s) returning alert_history_id
        """,
        (municipality_id, alert_id, at, Event.RETRACTED.value, user_id, reason),
    ).fetchone()
    assert row is not None
    # Where its rule has seen it end nothing false stands there any more; and one finding raises once anyway.
    over = (not was_open and alert.cleared_by is None) or alert.rule in (*FINDING_RULES, "operation", "outage")
    conn.execute(
        """
        insert into alert_retraction (alert_id, municipality_id, alert_history_id, at, user_id, reason, was_open,
                                      reached, withdrawn, counts_again_at)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
        """,
        (
            alert_id,
            municipality_id,
            row[0],
            at,
            user_id,
            reason,
            was_open,
            len(outlook.reached),
            outlook.waiting,
            (alert.cleared_at or at) if over else None,
        ),
    )
    return int(row[0])


def _locked_messages(conn: Connection, alert_id: int) -> list[_Message]:
    """All messages of the alert, locked. Whoever writes one more holds the row that it stands in for (`fallback`), or
    the alert: so there is an end.
    """
    known = -1
    while True:
        messages = _messages(conn, alert_id, lock=True)
        if len(messages) == known:
            return messages
        known = len(messages)


def _messages(conn: Connection, alert_id: int, *, lock: bool = False) -> list[_Message]:
    query = _MESSAGES + ("for update of o" if lock else "")
    rows: Iterable[tuple[Any, ...]] = conn.execute(query, {"alert": alert_id, "most": MAX_ATTEMPTS})
    return [_Message(*row) for row in rows]


def _outlook(messages: Iterable[_Message]) -> Outlook:
    found: dict[tuple[str, str], Reached] = {}
    waiting = 0
    for each in messages:
        if each.channel == "log":  # it reaches nobody
            continue
        waiting += each.waits and not each.doubt
        if each.sent_at is None and not each.doubt:
            continue
        known = found.get((each.channel, each.address))
        sure = each.sent_at is not None or (known is not None and not known.doubt)
        last = max((t for t in (each.sent_at, None if known is None else known.last) if t is not None), default=None)
        found[each.channel, each.address] = Reached(
            each.channel, each.address, each.person_id, each.contact_id, each.name, not sure, last
        )
    return Outlook(tuple(found.values()), waiting)


_MESSAGES = """
select o.outbox_id, o.channel, o.recipient, o.person_id, o.contact_id, p.name, o.sent_at,
       o.sent_at is null and (o.begun_at is not null or o.unsure > 0),
       o.sent_at is null and not o.stood_in and o.attempts < %(most)s
from outbox o
join alert_history h using (alert_history_id)
left join person p on p.person_id = o.person_id
where h.alert_id = %(alert)s and h.event <> 'retracted'
order by o.outbox_id
"""
