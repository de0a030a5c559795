"""The outbox: notifications that were decided go out, one by one, until they are handed over.

A row is written in the transaction that decides it, so a decision without its notification cannot exist. A dispatcher
takes a row under an advisory lock of its session, notes that it begins, sends, and notes the end: any number may run,
none sends what another is sending, and a dispatcher that dies gives its row back at once.

At least once, and it is said when it may be twice: a row that was begun and not ended, or whose channel cannot tell
(`Unsure`: the line broke after the message was handed over), goes out once more, marked as a repetition
(`Notification.repeated`); after a second such attempt no third one is made. A channel that knows a repetition by its
key (`knows_repetitions`) needs no mark and may try on. An address that is gone for good (`Gone`) is no way to its
person any more, from the same moment. The unique key (history, channel, recipient) keeps everything
else from doubling, and the mail's Message-ID shows the repetition for what it is.

What is real goes before what is not - of a drill, of a trial, a test of the transmission - whenever either was written.

A failure is kept with its text and tried again after 5 s, 10 s, 20 s ... at most 15 min, in real time, for about a
day; then the row stays, unsent and visible. A refused address is not tried again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import psycopg
import structlog

from alerts.answers import ASKING, write_link
from alerts.channels import Attachment, Busy, Channel, Gone, Notification, Undeliverable, Unsure
from alerts.corrections import spare, waits
from alerts.fallback import fall_back, lock_ways, stand_in
from devices.clock import real_now
from store import Connection, connect
from store.feed import notified

log = structlog.get_logger(__name__)

MAX_ATTEMPTS = 100
# Of a message that may have arrived at most one repetition is sent.
MAX_UNSURE = 2
_FIRST_DELAY = timedelta(seconds=5)
_LONGEST_DELAY = timedelta(minutes=15)
_IDLE_SECONDS = 1.0
_EXCEL = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_RECONNECT_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class _Claimed:
    """A row that this session sends."""

    notification: Notification
    channel: Channel
    attempts: int
    unsure: int


class Dispatcher:
    """Sends what waits through the channels it has; rows of other channels are left alone."""

    def __init__(self, channels: Sequence[Channel], *, public_url: str | None = None) -> None:
        self._public_url = public_url
        self._channels: Mapping[str, Channel] = {channel.name: channel for channel in channels}

    def run(self, dsn: str, stop: threading.Event) -> None:
        """Sends until `stop` is set; reconnects to the database for as long as that takes."""
        while not stop.is_set():
            try:
                with connect(dsn, name="outbox") as conn:
                    conn.execute("listen outbox")
                    conn.commit()
                    while not stop.is_set():
                        if not self.send_next(conn):
                            self.fall_back(conn)
                            # A new row wakes it; what is due for another try is looked for all the same.
                            notified(conn, stop, until=time.monotonic() + _IDLE_SECONDS)
            except psycopg.OperationalError as error:
                log.warning("database_lost", consumer="outbox", error=str(error))
                stop.wait(_RECONNECT_SECONDS)

    def send_next(self, conn: Connection) -> bool:
        """Tries the oldest waiting row, commits, and tells whether there was one."""
        claimed = self._claim(conn)
        if claimed is None:
            return False
        # Should the connection break here, the lock goes with it, and the row stays begun.
        error = _sent(claimed)
        with conn.transaction():
            if error is None:
                _succeeded(conn, claimed)
            else:
                _failed(conn, claimed, error)
        with conn.transaction():
            conn.execute("select pg_advisory_unlock(hashtextextended('outbox', %s))", (claimed.notification.outbox_id,))
        return True

    def fall_back(self, conn: Connection) -> int:
        """Writes the messages of those who are to be told by their next contact; how many. Commits."""
        with conn.transaction():
            return fall_back(conn, self._channels, real_now(), MAX_ATTEMPTS)

    def _claim(self, conn: Connection) -> _Claimed | None:
        """The oldest row that is due and that nobody is sending, what is not real last, noted as begun. Commits."""
        taken: list[int] = []
        while True:
            with conn.transaction():
                due = {
                    "now": real_now(),
                    "most": MAX_ATTEMPTS,
                    "channels": list(self._channels),
                    "taken": taken,
                }
                found = (conn.execute(_DUE, {**due, "real": real}).fetchone() for real in (True, False))
                row = next((each for each in found if each is not None), None)
                if row is None:
                    return None
                (
                    outbox_id,
                    recipient,
                    subject,
                    body,
                    name,
                    attempts,
                    begun,
                    unsure,
                    brief,
                    spoken,
                    key,
                    letter,
                    *step,
                ) = row
                corrects = step[0] == "retracted"
                if (corrects and waits(conn, outbox_id)) or not _locked(conn, outbox_id):
                    taken.append(outbox_id)
                    continue
                unsure += begun
                conn.execute(
                    "update outbox set begun_at = %s, attempts = attempts + 1, unsure = %s where outbox_id = %s",
                    (real_now(), unsure, outbox_id),
                )
                url = self._link(conn, outbox_id)
                file = None if letter is None else _file(conn, letter)
            channel = self._channels[name]
            repeated = unsure > 0 and not channel.knows_repetitions
            notification = Notification(
                outbox_id, recipient, subject, body, repeated, brief or "", spoken or "", str(key), url, *step
            )
            return _Claimed(replace(notification, attachment=file), channel, attempts + 1, unsure)

    def _link(self, conn: Connection, outbox_id: int) -> str | None:
        """Where its recipient answers; None where nobody is asked, or the pages have no address."""
        if self._public_url is None:
            return None
        row = conn.execute(_ASKING, (outbox_id, list(ASKING))).fetchone()
        return None if row is None else f"{self._public_url}/answer/{write_link(conn, row[0], outbox_id)}"


def _file(conn: Connection, letter_id: int) -> Attachment:
    """The file of a report's letter."""
    row = conn.execute("select file_name, file from report_letter where report_letter_id = %s", (letter_id,)).fetchone()
    assert row is not None, "a message's letter is never deleted"
    return Attachment(row[0], _EXCEL, row[1])


def _locked(conn: Connection, outbox_id: int) -> bool:
    row = conn.execute("select pg_try_advisory_lock(hashtextextended('outbox', %s))", (outbox_id,)).fetchone()
    return row is not None and bool(row[0])


def _sent(claimed: _Claimed) -> Exception | None:
    """Hands it over; what went wrong, None where nothing did."""
    if claimed.unsure >= MAX_UNSURE and not claimed.channel.knows_repetitions:
        return Undeliverable("twice nobody knows whether it arrived: it is not sent a third time")
    try:
        claimed.channel.send(claimed.notification)
    except Exception as error:  # whatever one message meets, the next ones must go out
        return error
    return None


def _succeeded(conn: Connection, claimed: _Claimed) -> None:
    lock_ways(conn, claimed.notification.outbox_id)
    conn.execute(
        "update outbox set sent_at = %s, begun_at = null, last_error = null where outbox_id = %s",
        (real_now(), claimed.notification.outbox_id),
    )
    stand_in(conn, claimed.notification.outbox_id)


def _failed(conn: Connection, claimed: _Claimed, error: Exception) -> None:
    notification = claimed.notification
    text = f"{type(error).__name__}: {error}".replace("\x00", "")
    attempts = MAX_ATTEMPTS if isinstance(error, Undeliverable) else claimed.attempts
    log.warning(
        "notification_failed",
        outbox_id=notification.outbox_id,
        channel=claimed.channel.name,
        recipient=notification.recipient,
        attempts=attempts,
        given_up=attempts >= MAX_ATTEMPTS,
        error=text,
    )
    pause = delay_after(attempts)
    if isinstance(error, Busy) and error.pause is not None:
        pause = max(pause, error.pause)
    conn.execute(
        """
        update outbox set begun_at = null, attempts = %s, unsure = unsure + %s, last_error = %s, next_attempt_at = %s
        where outbox_id = %s
        """,
        (attempts, int(isinstance(error, Unsure)), text, real_now() + pause, notification.outbox_id),
    )
    if isinstance(error, Gone):
        conn.execute(_GONE, {"message": notification.outbox_id, "now": real_now()})
    if not isinstance(error, Unsure):
        spare(conn, notification.outbox_id)


def withhold(conn: Connection, reason: str) -> int:
    """Gives up on everything that waits, says why in each row, and returns how many that were. The caller commits."""
    return conn.execute(
        "update outbox set attempts = %s, last_error = %s where sent_at is null and attempts < %s",
        (MAX_ATTEMPTS, reason, MAX_ATTEMPTS),
    ).rowcount


def delay_after(attempts: int) -> timedelta:
    """How long to wait after so many failed attempts.

    >>> [delay_after(n).total_seconds() for n in (1, 2, 3, 9, 50)]
    [5.0, 10.0, 20.0, 900.0, 900.0]
    """
    doublings: int = min(attempts - 1, 20)
    return min(_FIRST_DELAY * (1 << doublings), _LONGEST_DELAY)


_ASKING = """
select o.municipality_id from outbox o
join person p on p.person_id = o.person_id and p.kind = 'person'
left join alert_history h using (alert_history_id)
where o.outbox_id = %s and (h.event = any(%s) or o.call_test_id is not null)
  and (h.event is distinct from 'assigned' or h.assigned_person = o.person_id)
"""
_DUE = """
with due as (
    select outbox_id, alert_history_id, call_test_id, recipient, subject, body, channel, attempts, begun_at, unsure,
           brief, spoken, key, contact_id, report_letter_id
    from outbox
    where sent_at is null and not stood_in and next_attempt_at <= %(now)s and attempts < %(most)s
      and channel = any(%(channels)s) and outbox_id <> all(%(taken)s) and (call_test_id is null and not exists (
          select from alert_history h join alert a using (alert_id)
          where h.alert_history_id = outbox.alert_history_id and a.mode <> 'actual')) = %(real)s
    order by outbox_id limit 1 for update skip locked
)
select due.outbox_id, recipient, subject, body, channel, attempts, begun_at is not null, unsure, brief, spoken, key,
       report_letter_id,
       coalesce(h.event, case when call_test_id is null then 'letter' else 'test' end), h.level,
       coalesce(a.mode, case when call_test_id is null then 'actual' else 'test' end),
       coalesce(case h.event when 'retracted' then a.peak_level else h.level end >= 4, false)
           or coalesce(a.severity = 3 and h.event not in ('lowered', 'cleared'), false),
       case when s.contact_id is null then '' else to_jsonb(s)::text end
from due
left join alert_history h using (alert_history_id)
left join alert a on a.alert_id = h.alert_id
left join push_subscription s on s.contact_id = due.contact_id
"""
# Town time is real time where anything is sent (`alerts.service`).
_GONE = """
update contact c set gone_at = %(now)s, gone_why = 'refused'
from outbox o where o.outbox_id = %(message)s and c.contact_id = o.contact_id and c.gone_at is null
"""
