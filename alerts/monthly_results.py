"""What became of the test messages: who answered, who did not, which way failed. SQL for the API's role.

group_tests(conn, group_id)      the newest tests of a group, with everybody who should have got it
newest_tests(conn, now)       by group the newest one that there was a day to answer
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal

from alerts.monthly import ANSWER_WITHIN, TOGETHER
from alerts.outbox import MAX_ATTEMPTS
from store import Connection

SHOWN = 6

Outcome = Literal["answered", "sent", "no_link", "waiting", "given_up", "no_way"]


@dataclass(frozen=True, slots=True)
class Result:
    """Of one person or piece of equipment. `channel` None: there was no way to them. `verified`: they have answered
    something, by whatever contact, since the test. `ended`: they are not told any more.
    """

    person_id: int
    name: str
    equipment: bool
    ended: bool
    channel: str | None
    kind: str | None
    address: str | None
    sent_at: datetime | None
    attempts: int
    error: str | None
    link: bool
    answered_at: datetime | None
    verified: bool

    @property
    def outcome(self) -> Outcome:
        """`no_link`: it went out without a link, as the pages have no public address: nobody could answer."""
        if self.channel is None:
            return "no_way"
        if self.answered_at is not None:
            return "answered"
        if self.sent_at is not None:
            return "sent" if self.link or self.equipment else "no_link"
        return "given_up" if self.attempts >= MAX_ATTEMPTS else "waiting"

    @property
    def missing(self) -> bool:
        """Whether a person has to be asked why: no answer where one could have been given, and none since."""
        if self.equipment or self.ended or self.verified:
            return False
        return self.outcome in ("sent", "waiting", "given_up", "no_way")


@dataclass(frozen=True, slots=True)
class CallTest:
    """A test of a group. `month` None: a person (`by`) asked for it. `begun_at` None: it is not written yet."""

    call_test_id: int
    group_id: int
    month: date | None
    by: str | None
    asked_at: datetime
    begun_at: datetime | None
    results: list[Result] = field(default_factory=list)

    @property
    def answered(self) -> int:
        return sum(each.outcome == "answered" for each in self.results)

    @property
    def asked(self) -> int:
        """How many persons could have answered."""
        return sum(not each.equipment for each in self.results)

    def over(self, now: datetime) -> bool:
        """Whether the day to answer has passed."""
        return self.begun_at is not None and now >= self.begun_at + ANSWER_WITHIN


def group_tests(conn: Connection, group_id: int) -> list[CallTest]:
    """The newest tests of a group, the newest first."""
    return _with_results(
        conn,
        conn.execute(
            _TESTS + "where t.group_id = %s order by t.call_test_id desc limit %s", (group_id, SHOWN)
        ).fetchall(),
    )


def newest_tests(conn: Connection, now: datetime) -> dict[int, CallTest]:
    """By group its newest test of which the day to answer has passed; of groups that there are."""
    newest = [
        row[0]
        for row in conn.execute(
            "select max(call_test_id) from call_test join call_group g using (group_id) "
            "where begun_at <= %s and g.ended_at is null group by group_id",
            (now - ANSWER_WITHIN,),
        )
    ]
    rows = conn.execute(_TESTS + "where t.call_test_id = any(%s) order by t.call_test_id", (newest,)).fetchall()
    return {test.group_id: test for test in _with_results(conn, rows)}


def _with_results(conn: Connection, rows: Iterable[tuple[object, ...]]) -> list[CallTest]:
    tests = {test.call_test_id: test for test in (CallTest(*row) for row in rows)}  # type: ignore[arg-type]
    for call_test_id, *result in conn.execute(_RESULTS, (TOGETHER, list(tests))):
        tests[call_test_id].results.append(Result(*result))
    return list(tests.values())


_TESTS = """
select t.call_test_id, t.group_id, t.month, u.display_name, t.asked_at, t.begun_at
from call_test t left join app_user u using (user_id)
"""
# Who is in several groups got one message for the tests that came together: it may belong to another one of them.
_RESULTS = """
select t.call_test_id, p.person_id, p.name, p.kind = 'equipment', p.ended_at is not null,
       o.channel, d.kind, o.recipient, o.sent_at, coalesce(o.attempts, 0), o.last_error, coalesce(l.link, false),
       l.answered_at,
       exists (select from contact c where c.person_id = p.person_id and c.verified_at >= t.begun_at)
from call_test t
join person p on p.person_id = any(t.person_ids)
left join lateral (
    select o.* from outbox o join call_test s on s.call_test_id = o.call_test_id
    where o.person_id = p.person_id
      and (s.call_test_id = t.call_test_id
           or (s.month is not null and t.month is not null and s.asked_at between t.asked_at - %s and t.asked_at))
    order by o.call_test_id = t.call_test_id desc, o.outbox_id desc limit 1
) o on true
left join lateral (
    select count(*) > 0 as link, min(answered_at) as answered_at from answer_link where outbox_id = o.outbox_id
) l on true
left join delivery_channel d on d.name = o.channel
where t.call_test_id = any(%s)
order by t.call_test_id, p.kind desc, p.name, p.person_id
"""
