"""The outbox: notifications that were decided go out, one by one, until they are handed over.

A row is written in the transaction that decides it, so a decision without its notification cannot exist. Dispatchers
claim rows with FOR UPDATE SKIP LOCKED and hold that transaction while they send: any number may run, none sends
what another is sending, and a dispatcher that dies gives its row back at once.

At least once: a crash between the hand-over and the commit sends again. The unique key (history, channel,
recipient) keeps everything else from doubling, and the mail's Message-ID shows the repetition for what it is.

A failure is kept with its text and tried again after 5 s, 10 s, 20 s ... at most 15 min, in real time, for about a
day; then the row stays, unsent and visible. A refused address is not tried again.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from datetime import timedelta

import psycopg
import structlog

from alerts.channels import Channel, Notification, Undeliverable
from devices.clock import real_now
from store import Connection, connect

log = structlog.get_logger(__name__)

MAX_ATTEMPTS = 100
_FIRST_DELAY = timedelta(seconds=5)
_LONGEST_DELAY = timedelta(minutes=15)
_IDLE_SECONDS = 1.0
_RECONNECT_SECONDS = 2.0


class Dispatcher:
    """Sends what waits through the channels it has; rows of other channels are left alone."""

    def __init__(self, channels: Sequence[Channel]) -> None:
        self._channels: Mapping[str, Channel] = {channel.name: channel for channel in channels}

    def run(self, dsn: str, stop: threading.Event) -> None:
        """Sends until `stop` is set; reconnects to the database for as long as that takes."""
        while not stop.is_set():
            try:
                with connect(dsn, name="outbox") as conn:
                    while not stop.is_set():
                        if not self.send_next(conn):
                            stop.wait(_IDLE_SECONDS)
            except psycopg.OperationalError as error:
                log.warning("database_lost", consumer="outbox", error=str(error))
                stop.wait(_RECONNECT_SECONDS)

    def send_next(self, conn: Connection) -> bool:
        """Tries the oldest waiting row, commits, and tells whether there was one."""
        with conn.transaction():
            row = conn.execute(
                """
                select outbox_id, recipient, subject, body, channel, attempts from outbox
                where sent_at is null and next_attempt_at <= %s and attempts < %s and channel = any(%s)
                order by outbox_id limit 1 for update skip locked
                """,
                (real_now(), MAX_ATTEMPTS, list(self._channels)),
            ).fetchone()
            if row is None:
                return False
            notification, channel, attempts = Notification(*row[:4]), self._channels[row[4]], row[5] + 1
            try:
                channel.send(notification)
            except Undeliverable as error:
                self._failed(conn, notification, channel, MAX_ATTEMPTS, error)
            except Exception as error:  # whatever one message meets, the next ones must go out
                self._failed(conn, notification, channel, attempts, error)
            else:
                conn.execute(
                    "update outbox set sent_at = %s, attempts = %s, last_error = null where outbox_id = %s",
                    (real_now(), attempts, notification.outbox_id),
                )
            return True

    @staticmethod
    def _failed(
        conn: Connection, notification: Notification, channel: Channel, attempts: int, error: Exception
    ) -> None:
        text = f"{type(error).__name__}: {error}".replace("\x00", "")
        final = attempts >= MAX_ATTEMPTS
        log.warning(
            "notification_failed",
            outbox_id=notification.outbox_id,
            channel=channel.name,
            recipient=notification.recipient,
            attempts=attempts,
            given_up=final,
            error=text,
        )
        conn.execute(
            "update outbox set attempts = %s, last_error = %s, next_attempt_at = %s where outbox_id = %s",
            (attempts, text, real_now() + delay_after(attempts), notification.outbox_id),
        )


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
