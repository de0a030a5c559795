"""Mails the reports of the visitors that analytics has written (`report_letter`), each with its file, to the accounts
and addresses that the office named.

    Reports(clock).look(conn)   writes the messages of every letter that waits

A letter's messages are written once: its row says so, and the unique key of the outbox holds it besides. Whoever has no
mail address any more gets none; where nobody has one, or mail is no channel of this town, the log says that it was
written, and the file stands on the page (/tourism/reports/mail).
"""

from __future__ import annotations

import threading

from alerts.looking import look_again
from devices.clock import Clock, real_now
from store import Connection

_LOOK_SECONDS = 5.0


class Reports:
    """Writes the messages. `mail` says whether mail is a channel of this town."""

    def __init__(self, clock: Clock, *, mail: bool = False) -> None:
        self._clock = clock
        self._mail = mail

    def run(self, dsn: str, stop: threading.Event) -> None:
        """Looks until `stop` is set."""
        look_again(dsn, stop, name="reports", look=self.look, seconds=_LOOK_SECONDS)

    def look(self, conn: Connection) -> int:
        """How many letters went into the outbox. The caller commits."""
        waiting = conn.execute(
            """
            select l.report_letter_id, l.municipality_id, l.subject, l.body, m.user_ids, m.address_ids
            from report_letter l join report_mail m using (report_mail_id)
            where l.posted_at is null order by l.report_letter_id for update of l skip locked
            """
        ).fetchall()
        for letter_id, municipality_id, subject, body, user_ids, address_ids in waiting:
            to = self._recipients(conn, municipality_id, user_ids, address_ids) or [("log", "tourism")]
            for channel, recipient in to:
                conn.execute(
                    """
                    insert into outbox
                        (municipality_id, report_letter_id, channel, recipient, subject, body, next_attempt_at)
                    values (%s, %s, %s, %s, %s, %s, %s)
                    """,
                    (municipality_id, letter_id, channel, recipient, subject, body, real_now()),
                )
            conn.execute(
                "update report_letter set posted_at = %s where report_letter_id = %s", (self._clock.now(), letter_id)
            )
        return len(waiting)

    def _recipients(
        self, conn: Connection, municipality_id: int, user_ids: list[int], address_ids: list[int]
    ) -> list[tuple[str, str]]:
        if not self._mail:
            return []
        return [
            ("mail", address)
            for (address,) in conn.execute(
                """
                select distinct on (lower(email)) email from (
                    select email from app_user where municipality_id = %(town)s and user_id = any(%(users)s)
                    union all
                    select email from report_address
                    where municipality_id = %(town)s and report_address_id = any(%(addresses)s) and ended_at is null
                ) named where email <> '' order by lower(email), email
                """,
                {"town": municipality_id, "users": user_ids, "addresses": address_ids},
            )
        ]
