"""What a person does to an alert: acknowledge, comment, assign, clear, confirm or dismiss a reading (retract:
`alerts.retraction`). For the API.

Each runs in the caller's transaction, on a connection of the API's role with `mimamori.municipality_id` set, writes
history and a feed row (its last statement), and leaves the commit to the caller. `at` is town time. Raises an
`ActionError`, having changed nothing, where the action is refused.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from alerts import assigning, observed
from alerts.errors import (
    AlertNotFound,
    AlreadyAcknowledged,
    AlreadyCleared,
    NoSuchPerson,
    NoteRequired,
    NothingUnconfirmed,
    StillAbove,
    StillSilent,
    StillWrong,
)
from alerts.finding_words import FINDING_RULES
from alerts.heard import listened_stations
from alerts.rules.level import rule_at
from alerts.rules.transition import Event
from store import Connection
from store.feed import append_alerts
from store.reviews import MOST_NOTE, Said, review

MAX_NOTE = 2000  # characters
GOING = "行きます（I go）"  # what stands in the history when who was assigned says so


@dataclass(frozen=True, slots=True)
class _Alert:
    alert_id: int
    municipality_id: int
    station_id: int | None
    rule: str
    datastream_id: int | None
    cause: str | None
    level: int | None
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    cleared_at: datetime | None
    cleared_by: str | None
    confirmed_level: int | None
    withheld: str | None
    phenomenon_time: datetime
    mode: str

    @property
    def unconfirmed(self) -> bool:
        """Whether what it stands on is one doubtful reading alone."""
        return self.rule == "level" and self.level != self.confirmed_level


def acknowledge(
    conn: Connection,
    municipality_id: int,
    alert_id: int,
    user_id: int | None,
    at: datetime,
    note: str | None = None,
    *,
    person_id: int | None = None,
) -> None:
    """Notes that somebody has seen it and takes it on: an account, or a person who was told and answers by the link
    (`person_id`; they need no account). The first acknowledgement stands.

    An alert that cleared before anyone saw it can still be acknowledged. Raises `AlreadyAcknowledged` (by whom,
    when), `AlertNotFound`.
    """
    alert = _locked(conn, municipality_id, alert_id)
    text = checked(alert_id, note)
    if alert.acknowledged_at is not None:
        raise AlreadyAcknowledged(alert_id, alert.acknowledged_by or "", alert.acknowledged_at)
    conn.execute(
        "update alert set acknowledged_at = %s, acknowledged_by = %s, acknowledged_person = %s where alert_id = %s",
        (at, user_id, person_id, alert_id),
    )
    _write(conn, alert, Event.ACKNOWLEDGED, user_id, at, text, person_id)


def comment(conn: Connection, municipality_id: int, alert_id: int, user_id: int, at: datetime, note: str) -> None:
    """Adds a note, also to an alert that is over. Raises `NoteRequired`, `AlertNotFound`."""
    alert = _locked(conn, municipality_id, alert_id)
    text = checked(alert_id, note)
    if text is None:
        raise NoteRequired(alert_id)
    _write(conn, alert, Event.COMMENTED, user_id, at, text)


def assign(
    conn: Connection,
    municipality_id: int,
    alert_id: int,
    user_id: int,
    at: datetime,
    person_id: int | None,
    note: str | None = None,
) -> None:
    """Says which of the town's people goes there from now on (None: nobody any more), and writes to them and to who
    did before (`alerts.assigning`). Who that was stays in the history. Also of an alert that is over: somebody may have
    to look at the gauge. Raises `NoSuchPerson`, `AlertNotFound`.
    """
    alert = _locked(conn, municipality_id, alert_id)
    text = checked(alert_id, note)
    if person_id is not None:
        known = conn.execute(
            "select from person where person_id = %s and municipality_id = %s and kind = 'person' and ended_at is null",
            (person_id, municipality_id),
        ).fetchone()
        if known is None:
            raise NoSuchPerson(alert_id, person_id)
    row = conn.execute(
        "select assigned_person from alert_history where alert_id = %s and event = 'assigned' "
        "order by alert_history_id desc limit 1",
        (alert_id,),
    ).fetchone()
    before = None if row is None else row[0]
    history_id = _history(conn, alert, Event.ASSIGNED, user_id, at, text, assigned=person_id)
    assigning.tell(conn, municipality_id, alert_id, history_id, user_id, at, before, person_id, text)
    append_alerts(conn, municipality_id, [alert_id])


def going(conn: Connection, municipality_id: int, alert_id: int, at: datetime, person_id: int) -> None:
    """Notes that a person who was assigned says that they go; the feed row is the caller's. Raises `AlertNotFound`."""
    _history(conn, _locked(conn, municipality_id, alert_id), Event.COMMENTED, None, at, GOING, person_id)


def clear(
    conn: Connection, municipality_id: int, alert_id: int, user_id: int, at: datetime, note: str | None = None
) -> None:
    """Ends an alert by a person's decision.

    Refused while its cause is there: `StillAbove` while the latest usable reading is not below the lowest clearing
    level, `StillSilent` while an attached device has not been heard. Where the station has fallen silent the last
    reading proves nothing any more; then the person who went to look clears it with a note (`NoteRequired` without).
    What analytics found is a comparison with the usual, and a person may know better: with a note it can be cleared
    at any time, and the same finding does not raise it again. So can what a rule of the staff raised; the next
    observation for which it is so raises it anew. What is wrong with the operation ends by itself:
    `StillWrong` while it lasts; so does an outage, with the first word that comes.
    Also raises `AlreadyCleared`, `AlertNotFound`.
    """
    alert = _locked(conn, municipality_id, alert_id)
    if alert.cleared_at is not None:
        raise AlreadyCleared(alert_id, alert.cleared_by, alert.cleared_at)
    text = checked(alert_id, note)
    if alert.rule == "silence":
        _refuse_while_silent(conn, alert, at)
    elif alert.rule in FINDING_RULES or alert.rule == "written":
        if text is None:
            raise NoteRequired(alert_id)
    elif alert.rule == "outage":
        raise StillWrong(alert_id, alert.cause or "", outage=True)
    elif alert.cause is not None:
        _refuse_while_wrong(conn, alert, alert.cause)
    else:
        _refuse_while_above(conn, alert, at, text)
    conn.execute("update alert set cleared_at = %s, cleared_by = %s where alert_id = %s", (at, user_id, alert_id))
    _write(conn, alert, Event.CLEARED, user_id, at, text)


def confirm(
    conn: Connection, municipality_id: int, alert_id: int, user_id: int, at: datetime, note: str | None = None
) -> None:
    """Says that the level is so, although one doubtful reading alone says it, or somebody works at the device: people
    are told at once where they were not. The value itself is reviewed as true (`store.reviews`).

    Raises `NothingUnconfirmed`, `AlreadyCleared`, `AlertNotFound`, `NoteRequired` where the note is too long.
    """
    alert, text = _unconfirmed(conn, municipality_id, alert_id, note)
    conn.execute(
        """
        update alert set confirmed_level = level,
            (withheld, withheld_at) = (case when withheld is not null then 'released' end, withheld_at)
        where alert_id = %s
        """,
        (alert_id,),
    )
    if alert.unconfirmed:
        _review(conn, alert, Said.TRUE, user_id, at, text)
    _write(conn, alert, Event.CONFIRMED, user_id, at, text)


def dismiss(
    conn: Connection, municipality_id: int, alert_id: int, user_id: int, at: datetime, note: str | None = None
) -> None:
    """Says that the reading is false on which alone it stands: the alert is over, or goes down to what is confirmed of
    it. The value itself is reviewed as false. Raises as `confirm`.
    """
    alert, text = _unconfirmed(conn, municipality_id, alert_id, note)
    if not alert.unconfirmed:
        raise NothingUnconfirmed(alert_id)
    _review(conn, alert, Said.FALSE, user_id, at, text)
    if alert.confirmed_level is None:
        conn.execute(
            "update alert set (withheld, withheld_at) = (null, null), cleared_at = %s, cleared_by = %s "
            "where alert_id = %s",
            (at, user_id, alert_id),
        )
        _write(conn, alert, Event.CLEARED, user_id, at, text, unconfirmed=True)
    else:  # the level is the rule's to write: it goes down at its next look, in a moment
        conn.execute("update alert set (withheld, withheld_at) = ('dismissed', %s) where alert_id = %s", (at, alert_id))
        lower = replace(alert, level=alert.confirmed_level)
        _write(conn, lower, Event.LOWERED, user_id, at, text, unconfirmed=True)


def _unconfirmed(conn: Connection, municipality_id: int, alert_id: int, note: str | None) -> tuple[_Alert, str | None]:
    alert = _locked(conn, municipality_id, alert_id)
    if alert.cleared_at is not None:
        raise AlreadyCleared(alert_id, alert.cleared_by, alert.cleared_at)
    if alert.rule != "level" or (not alert.unconfirmed and alert.withheld != "work"):
        raise NothingUnconfirmed(alert_id)
    return alert, checked(alert_id, note)


def _review(conn: Connection, alert: _Alert, said: Said, user_id: int, at: datetime, note: str | None) -> None:
    """What a person says of the reading; a drill's is no value of the town, and a clock that goes ahead is no reason to
    refuse an answer.
    """
    if alert.mode != "actual" or alert.datastream_id is None or alert.phenomenon_time > at:
        return
    time = alert.phenomenon_time
    why = (note or f"alert {alert.alert_id}")[:MOST_NOTE]
    review(
        conn,
        alert.municipality_id,
        alert.datastream_id,
        start=time,
        end=time,
        verdict=said,
        amount=None,
        note=why,
        now=at,
        user_id=user_id,
    )


def _locked(conn: Connection, municipality_id: int, alert_id: int) -> _Alert:
    # Two statements: who had to wait for the lock would read the names as they were before.
    conn.execute("select from alert where alert_id = %s for update", (alert_id,))
    row = conn.execute(
        """
        select a.alert_id, a.municipality_id, a.station_id, a.rule, a.datastream_id, a.cause, a.level,
               a.acknowledged_at, coalesce(seen.display_name, answered.name), a.cleared_at, done.display_name,
               a.confirmed_level, a.withheld, a.phenomenon_time, a.mode
        from alert a
        left join app_user seen on seen.user_id = a.acknowledged_by
        left join person answered on answered.person_id = a.acknowledged_person
        left join app_user done on done.user_id = a.cleared_by
        where a.alert_id = %s and a.municipality_id = %s
        """,
        (alert_id, municipality_id),
    ).fetchone()
    if row is None:
        raise AlertNotFound(alert_id)
    return _Alert(*row)


def _refuse_while_silent(conn: Connection, alert: _Alert, at: datetime) -> None:
    for station in listened_stations(conn, at, alert.station_id, tenant=True):
        for device in station.devices:
            if not device.excused and (device.last_heard is None or device.last_heard + device.silence_after < at):
                raise StillSilent(alert.alert_id, device.key, device.last_heard)


def _refuse_while_wrong(conn: Connection, alert: _Alert, cause: str) -> None:
    lasting = conn.execute(
        "select from operation_condition where municipality_id = %s and cause = %s", (alert.municipality_id, cause)
    ).fetchone()
    if lasting is not None:
        raise StillWrong(alert.alert_id, cause)


def _refuse_while_above(conn: Connection, alert: _Alert, at: datetime, note: str | None) -> None:
    reading = conn.execute(
        """
        select phenomenon_time, value from tenant_observation
        where datastream_id = %s and quality not in ('bad', 'missing') order by phenomenon_time desc limit 1
        """,
        (alert.datastream_id,),
    ).fetchone()
    if reading is None:
        return
    time, value = reading
    assert alert.station_id is not None, "only an alert about the operation has no station"
    rule = rule_at(observed.level_rules(conn, [alert.station_id]).get(alert.station_id, ()), time)
    if rule is None or rule.kept(value) is None:
        return
    patience = [
        device.silence_after
        for station in listened_stations(conn, at, alert.station_id, tenant=True)
        for device in station.devices
    ]
    if patience and at <= time + max(patience):
        raise StillAbove(alert.alert_id, value, time, min(rule.clearing(each) for each in rule.levels))
    if note is None:
        raise NoteRequired(alert.alert_id)


def checked(alert_id: int, note: str | None) -> str | None:
    """The note without spaces at its ends, None where nothing is left. Raises `NoteRequired` where it is too long."""
    text = (note or "").strip()
    if len(text) > MAX_NOTE:
        raise NoteRequired(alert_id, overlong=True)
    return text or None


def _write(
    conn: Connection,
    alert: _Alert,
    event: Event,
    user_id: int | None,
    at: datetime,
    note: str | None,
    person_id: int | None = None,
    *,
    unconfirmed: bool = False,
) -> None:
    _history(conn, alert, event, user_id, at, note, person_id, unconfirmed=unconfirmed)
    append_alerts(conn, alert.municipality_id, [alert.alert_id])


def _history(
    conn: Connection,
    alert: _Alert,
    event: Event,
    user_id: int | None,
    at: datetime,
    note: str | None,
    person_id: int | None = None,
    *,
    assigned: int | None = None,
    unconfirmed: bool = False,
) -> int:
    row = conn.execute(
        """
        insert into alert_history (municipality_id, alert_id, at, event, level, user_id, note, person_id,
                                   assigned_person, unconfirmed)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) returning alert_history_id
        """,
        (
            alert.municipality_id,
            alert.alert_id,
            at,
            event.value,
            None if event is Event.CLEARED else alert.level,
            user_id,
            note,
            person_id,
            assigned,
            unconfirmed,
        ),
    ).fetchone()
    assert row is not None
    return int(row[0])
