"""Browsers as contacts (web push): what one gives when its owner allows it, and their own list. For the API's role.

    person_of(conn, user_id) -> Owner | None                  who of the contacts this account is
    browsers(conn, person_id) -> [Browser]                    theirs, in the order of contacts, also those that are gone
    allow(conn, town, owner, user_id, channel, subscription, at, name=, old=) -> contact_id
    remove(conn, person_id, contact_id, at)
    try_out(conn, town, person_id, contact_id, user_id, at) -> bool

The contact's address is a name for people with the contact's number, which no other one has: the outbox knows a message
by channel and address, and two people may well have the same telephone. A browser is one person's at a time: allowed
anew, by whomever, what it was before is gone. Each runs in the caller's transaction; `at` is town time.

    SubscriptionFault   what a browser gave is none, or not to be called
"""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import SplitResult, urlsplit

from alerts import monthly
from devices.clock import real_now
from store import Connection

MOST_ENDPOINT = 1000  # letters
MOST_NAME = 60
KIND = "webpush"


class SubscriptionFault(ValueError):
    """What a browser gave is no subscription, or one that is not to be called; the text says why."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """A browser, as it is written to. `public_key`: ours, for which it was allowed. Keys in base64url."""

    endpoint: str
    p256dh: str
    auth: str
    public_key: str


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose browsers they are. `contacts`: how many ways there are to them, browsers included."""

    person_id: int
    name: str
    groups: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Browser:
    """A browser of a person. `place`: which of their contacts it is, from 1 on; None: it is used no more (`gone_why`).
    `tested_at`: when the last test went out (real time), `test_error` why the last one did not.
    """

    contact_id: int
    name: str
    endpoint: str
    public_key: str
    made_at: datetime
    verified_at: datetime | None
    gone_at: datetime | None
    gone_why: str | None
    place: int | None
    test_waits: bool
    tested_at: datetime | None
    test_error: str | None


def endpoint_parts(endpoint: str) -> SplitResult:
    """The parts of an endpoint, as far as its form goes. Raises `SubscriptionFault`.

    >>> endpoint_parts("https://push.example.org/w/1").hostname
    'push.example.org'
    """
    try:
        parts = urlsplit(endpoint)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise SubscriptionFault(f"the endpoint is no address: {error}") from error
    if not endpoint.isascii() or not endpoint.isprintable() or " " in endpoint or len(endpoint) > MOST_ENDPOINT:
        raise SubscriptionFault("the endpoint is no address, or too long")
    if parts.scheme != "https" or not host or parts.username is not None:
        raise SubscriptionFault("the endpoint must begin with https:// and a host")
    return parts


def person_of(conn: Connection, user_id: int) -> Owner | None:
    """The person that the digital section has named this account for."""
    row = conn.execute(
        """
        select p.person_id, p.name, array(
            select g.name from group_member m join call_group g using (group_id)
            where m.person_id = p.person_id and g.ended_at is null order by g.name)
        from person p where p.user_id = %s and p.ended_at is null and p.kind = 'person'
        """,
        (user_id,),
    ).fetchone()
    return None if row is None else Owner(row[0], row[1], tuple(row[2]))


def channel_of_pushes(conn: Connection) -> tuple[str, str] | None:
    """Name and public key of the channel, as the alerts process announced it; None: this installation has none."""
    row = conn.execute(
        "select name, public_key from delivery_channel where kind = %s and public_key is not null", (KIND,)
    ).fetchone()
    return None if row is None else (row[0], row[1])


def browsers(conn: Connection, person_id: int) -> list[Browser]:
    """Everything that was allowed for a person and not taken away."""
    return [Browser(*row) for row in conn.execute(_BROWSERS, (person_id,))]


def allow(
    conn: Connection,
    municipality_id: int,
    owner: Owner,
    user_id: int,
    channel: str,
    given: Subscription,
    at: datetime,
    *,
    name: str,
    old: str = "",
) -> int:
    """A browser becomes a contact, behind the others, or in the place of what it was (`old`: its endpoint before).

    Raises `SubscriptionFault`. Who allows again what is allowed gets the same contact.
    """
    _check(given)
    known = conn.execute(
        """
        select c.contact_id, c.person_id, c.channel, c.gone_at is not null, c.position, s.endpoint, s.public_key
        from push_subscription s join contact c using (contact_id)
        where s.endpoint = any(%s) and c.ended_at is null order by c.contact_id for update of c
        """,
        ([given.endpoint, *([old] if old else [])],),
    ).fetchall()
    position = None
    for contact_id, person_id, on, gone, stands, endpoint, public_key in known:
        mine = person_id == owner.person_id
        if mine and not gone and (on, endpoint, public_key) == (channel, given.endpoint, given.public_key):
            return int(contact_id)
        position = stands if mine else position
        # in its owner's own list the new one takes its place; somebody else is told why theirs is no more
        conn.execute(
            "update contact set ended_at = %s where contact_id = %s"
            if mine
            else "update contact set gone_at = %s, gone_why = 'replaced' where contact_id = %s and gone_at is null",
            (at, contact_id),
        )
    row = conn.execute("select nextval(pg_get_serial_sequence('contact', 'contact_id'))").fetchone()
    assert row is not None
    contact_id = int(row[0])
    conn.execute(
        """
        insert into contact (contact_id, municipality_id, person_id, position, channel, address)
        overriding system value
        select %(contact)s, %(town)s, %(person)s, coalesce(%(position)s, max(position) + 1, 1), %(channel)s, %(address)s
        from contact where person_id = %(person)s
        """,
        {
            "contact": contact_id,
            "town": municipality_id,
            "person": owner.person_id,
            "position": position,
            "channel": channel,
            "address": f"{_name(name)} #{contact_id}",
        },
    )
    conn.execute(
        "insert into push_subscription (contact_id, municipality_id, endpoint, p256dh, auth, public_key, made_at, "
        "made_by) values (%s, %s, %s, %s, %s, %s, %s, %s)",
        (contact_id, municipality_id, given.endpoint, given.p256dh, given.auth, given.public_key, at, user_id),
    )
    return contact_id


def remove(conn: Connection, person_id: int, contact_id: int, at: datetime) -> bool:
    """A person takes a browser of theirs away; whether it was there. Corrections of what it was told still come."""
    return (
        conn.execute(
            """
            update contact set ended_at = %s where contact_id = %s and person_id = %s and ended_at is null
              and exists (select from push_subscription s where s.contact_id = contact.contact_id)
            """,
            (at, contact_id, person_id),
        ).rowcount
        > 0
    )


def try_out(
    conn: Connection, municipality_id: int, person_id: int, contact_id: int, user_id: int, at: datetime, *, town: str
) -> bool:
    """Writes a test message (試験) to one browser of a person; False where one was asked for within the last minute, or
    it is no browser of theirs that is used. It goes out as every test does, behind all that is real.
    """
    now = real_now()
    row = conn.execute(
        """
        select c.channel, c.address from contact c join push_subscription using (contact_id)
        where c.contact_id = %s and c.person_id = %s and c.ended_at is null and c.gone_at is null
          and not exists (select from outbox o where o.contact_id = c.contact_id and o.call_test_id is not null
                          and o.written_at > %s)
        for no key update of c
        """,
        (contact_id, person_id, now - monthly.PAUSE),
    ).fetchone()
    if row is None:
        return False
    conn.execute(
        """
        with test as (
            insert into call_test (municipality_id, user_id, asked_at, begun_at, person_ids)
            values (%(town)s, %(user)s, %(at)s, %(at)s, array[%(person)s::integer]) returning call_test_id
        )
        insert into outbox (municipality_id, call_test_id, channel, recipient, subject, body, brief, spoken,
                            next_attempt_at, written_at, person_id, contact_id)
        select %(town)s, call_test_id, %(channel)s, %(address)s, %(subject)s, %(brief)s, %(brief)s, %(spoken)s,
               %(now)s, %(now)s, %(person)s, %(contact)s from test
        """,
        {
            "town": municipality_id,
            "user": user_id,
            "at": at,
            "person": person_id,
            "channel": row[0],
            "address": row[1],
            "subject": monthly.subject(town),
            "brief": monthly.brief(town),
            "spoken": monthly.spoken(town),
            "now": now,
            "contact": contact_id,
        },
    )
    return True


def _check(given: Subscription) -> None:
    endpoint_parts(given.endpoint)
    point, secret = _bytes(given.p256dh), _bytes(given.auth)
    if len(point) != 65 or point[0] != 4 or len(secret) != 16:
        raise SubscriptionFault("the browser's keys are none")


def _bytes(text: str) -> bytes:
    try:
        return urlsafe_b64decode(text.encode("ascii")[:200] + b"=" * (-len(text) % 4))
    except (UnicodeEncodeError, binascii.Error) as error:
        raise SubscriptionFault("the browser's keys are none") from error


def _name(text: str) -> str:
    name = "".join(letter if letter.isprintable() else " " for letter in text)
    return " ".join(name.split())[:MOST_NAME] or "?"


_BROWSERS = """
select c.contact_id, c.address, s.endpoint, s.public_key, s.made_at, c.verified_at, c.gone_at, c.gone_why,
       case when c.gone_at is null then (
           select count(*) from contact o where o.person_id = c.person_id and o.ended_at is null and o.gone_at is null
           and (o.position, o.contact_id) <= (c.position, c.contact_id)) end,
       coalesce(t.sent_at is null and t.last_error is null, false), t.sent_at, t.last_error
from contact c
join push_subscription s using (contact_id)
left join lateral (
    select o.sent_at, o.last_error from outbox o
    where o.contact_id = c.contact_id and o.call_test_id is not null order by o.outbox_id desc limit 1
) t on true
where c.person_id = %s and c.ended_at is null
order by c.gone_at is not null, c.position, c.contact_id
"""
