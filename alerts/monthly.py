"""The test message (試験): once a month, or when a person asks for it, everybody in a group gets one, and answers.

    Monthly(clock).look(conn)                     the alerts process: writes what is due
    ask(conn, municipality_id, group_id, ...)     a page: wants one now
    addressees(roster, group, channels)           who would get it, and by what: pure

It goes through the outbox like every message, behind all that are real, with the link by which its recipient answers.
Mode test: it is no alert, stands in no count, and no page for the public knows of it. Each person is told by their
first contact and by no other: a test that falls back to the next way hides that the first one is broken. Equipment gets
it only where the group says so, since a lamp that turns is seen by people who do not know why.

A group's month is written once, whoever looks and however often (the unique key of `call_test`). Where nobody looked
for six hours after it was due, that month has no test: a test at another time than announced is a fright. Who is in
several groups gets one message for all tests of one hour, and answers once.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from alerts import roster
from alerts.calling import Contact, Person, Roster
from alerts.errors import AskedAlready
from alerts.looking import look_again
from alerts.wording import marks
from devices.clock import Clock, real_now
from store import Connection

LATEST = timedelta(hours=6)
# Who has not answered by then is named (town time).
ANSWER_WITHIN = timedelta(days=1)
# Tests that come together: one message a person.
TOGETHER = timedelta(hours=1)
# Between two tests of a group that people ask for.
PAUSE = timedelta(minutes=1)
_LOOK_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Addressee:
    """Somebody who should get it, and the contact that it goes to; None where no way of theirs is there."""

    person: Person
    way: Contact | None


def addressees(
    people: Roster, members: Collection[int], channels: Collection[str], *, equipment: bool
) -> tuple[Addressee, ...]:
    """Everybody of these, equipment only where it is wanted."""
    return tuple(
        Addressee(person, next((way for way in person.contacts if way.channel in channels), None))
        for person in (people.persons[each] for each in members if each in people.persons)
        if equipment or not person.equipment
    )


def due_month(day: int | None, hour: int, zone: ZoneInfo, now: datetime) -> date | None:
    """The month (its first day) whose test is due now; None where none is.

    >>> from datetime import UTC
    >>> tokyo = ZoneInfo("Asia/Tokyo")
    >>> due_month(1, 10, tokyo, datetime(2026, 6, 1, 1, 5, tzinfo=UTC))
    datetime.date(2026, 6, 1)
    >>> due_month(1, 10, tokyo, datetime(2026, 6, 1, 0, 59, tzinfo=UTC)), due_month(None, 10, tokyo, datetime.now(UTC))
    (None, None)
    """
    if day is None:
        return None
    local = now.astimezone(zone)
    due = datetime(local.year, local.month, day, hour, tzinfo=zone)
    return date(local.year, local.month, 1) if due <= now < due + LATEST else None


def ask(conn: Connection, municipality_id: int, group_id: int, user_id: int, at: datetime) -> None:
    """Notes that a person wants a test of a group now. In the caller's transaction, for the API's role. Raises
    `AskedAlready` where one was asked for within the last minute: a second press is none.
    """
    conn.execute("select from call_group where group_id = %s for no key update", (group_id,))
    lately = conn.execute(
        "select from call_test where group_id = %s and user_id is not null and (begun_at is null or asked_at > %s)",
        (group_id, at - PAUSE),
    ).fetchone()
    if lately is not None:
        raise AskedAlready(group_id)
    conn.execute(
        "insert into call_test (municipality_id, group_id, user_id, asked_at) values (%s, %s, %s, %s)",
        (municipality_id, group_id, user_id, at),
    )


class Monthly:
    """Writes the messages of tests. `mail` says whether mail is a channel of this town."""

    def __init__(self, clock: Clock, *, mail: bool = False) -> None:
        self._clock = clock
        self._mail = mail

    def run(self, dsn: str, stop: threading.Event) -> None:
        """Looks until `stop` is set."""
        look_again(dsn, stop, name="monthly", look=self.look, seconds=_LOOK_SECONDS)

    def look(self, conn: Connection) -> int:
        """Notes the groups whose month is due, and writes the messages of every test that waits; how many tests began.
        The caller commits.
        """
        now = self._clock.now()
        for municipality_id, group_id, month in self._due(conn, now):
            conn.execute(
                "insert into call_test (municipality_id, group_id, month, asked_at) values (%s, %s, %s, %s) "
                "on conflict (group_id, month) do nothing",
                (municipality_id, group_id, month, now),
            )
        waiting = conn.execute(
            """
            select t.call_test_id, t.municipality_id, m.name, t.group_id, g.name, g.test_equipment
            from call_test t join municipality m using (municipality_id) join call_group g using (group_id)
            where t.begun_at is null order by t.call_test_id for update of t skip locked
            """
        ).fetchall()
        for call_test_id, municipality_id, town, group_id, group_name, equipment in waiting:
            people = roster.load_roster(conn, municipality_id, now.date())
            channels = roster.channels(conn) | ({"mail"} if self._mail else set())
            members = next((group.members for group in people.groups if group.group_id == group_id), ())
            to = addressees(people, members, channels, equipment=equipment)
            self._write(conn, call_test_id, municipality_id, town, group_name, to)
            conn.execute(
                "update call_test set begun_at = %s, person_ids = %s where call_test_id = %s",
                (now, [each.person.person_id for each in to], call_test_id),
            )
        return len(waiting)

    def _due(self, conn: Connection, now: datetime) -> Iterator[tuple[int, int, date]]:
        if self._clock.simulated:
            return  # such a town writes to nobody
        for municipality_id, timezone, group_id, day, hour in conn.execute(
            """
            select g.municipality_id, m.timezone, g.group_id, g.test_day, g.test_hour
            from call_group g join municipality m using (municipality_id)
            where g.ended_at is null and g.test_day is not null order by g.group_id
            """
        ).fetchall():
            month = due_month(day, hour, ZoneInfo(timezone), now)
            if month is not None:
                yield municipality_id, group_id, month

    def _write(
        self,
        conn: Connection,
        call_test_id: int,
        municipality_id: int,
        town: str,
        group_name: str,
        to: Sequence[Addressee],
    ) -> None:
        now, simulated = real_now(), self._clock.simulated
        for each in to:
            if each.way is None:
                continue
            conn.execute(
                _MESSAGE,
                (
                    municipality_id,
                    call_test_id,
                    each.way.channel,
                    each.way.address,
                    subject(town, simulated=simulated),
                    body(town, group_name, simulated=simulated),
                    brief(town, simulated=simulated),
                    spoken(town, simulated=simulated),
                    now,
                    now,
                    each.person.person_id,
                    each.way.contact_id,
                    TOGETHER,
                    call_test_id,
                    each.person.person_id,
                ),
            )


_MESSAGE = """
insert into outbox (municipality_id, call_test_id, channel, recipient, subject, body, brief, spoken,
                    next_attempt_at, written_at, person_id, contact_id)
select %s, %s::bigint, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s
where not exists (
    select from call_test this
    join call_test other on other.month is not null and other.asked_at > this.asked_at - %s
    join outbox o on o.call_test_id = other.call_test_id
    where this.call_test_id = %s and this.month is not null and o.person_id = %s)
on conflict (call_test_id, person_id) do nothing
"""


# --- words: nothing of them is about a place, so all of them could be public -----------------------------------


def subject(town: str, *, simulated: bool = False) -> str:
    """One line.

    >>> subject("美守町")
    '【試験】美守町・見守り：通知の試験です'
    """
    return f"{marks('test', simulated)}{town}・見守り：通知の試験です"


def body(town: str, group_name: str, *, simulated: bool = False) -> str:
    """The whole message of a mail."""
    return "\n".join(
        [
            subject(town, simulated=simulated),
            "",
            f"これは、班「{group_name}」の人にアラートが届くかを確かめる試験です。実際のお知らせではありません。",
            "下に確認のリンクがあるときは、開いて「確認しました」を押してください。1日のうちに応答がない人は、連絡先を確かめます。",
            "",
            "TEST of the transmission: nothing has happened. Where a link stands below, open it and press its button.",
            "",
        ]
    )


def brief(town: str, *, simulated: bool = False) -> str:
    """What goes through other people's machines."""
    return f"{subject(town, simulated=simulated)}。実際のお知らせではありません。届いたら確認してください。"


def spoken(town: str, *, simulated: bool = False) -> str:
    """The same for ears."""
    said = "これは、通知の試験です。実際のお知らせではありません。"
    opening = "これは模擬です。" if simulated else ""
    return "\n".join([f"{opening}こちらは、{town}です。", said, "繰り返します。", said, ""])
