"""The monthly letters of the office, and the addresses that it keeps for them.

    mails(conn, town) -> [Mail]             still set up; of them those that rest (`off_at`)
    make_mail, end_mail, rest_mail          a letter is stopped, never changed; it can rest
    ask_trial(conn, ...)                    wants one tried out now; analytics writes it (`monthly`)
    addresses(conn, town) -> [Address]      people without an account; add_address, end_address

On a connection of the API's role with its municipality, or of the worker. Times are town time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from analytics.visitors.reports.cells import Kind
from analytics.visitors.reports.counting import Version
from store import Connection

BETWEEN_TRIALS = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Mail:
    """A monthly letter. `spot_ids` None: all; `to`: the accounts' ids, `addresses` those of `report_address`. `since`:
    months whose hour was before are not sent. `off_at`: since when it rests; None: it is sent. `trial`: one was asked
    for and is not written yet.
    """

    mail_id: int
    name: str
    kind: Kind
    version: Version
    compared: bool
    day: int
    hour: int
    spot_ids: tuple[int, ...] | None
    to: tuple[int, ...]
    addresses: tuple[int, ...]
    since: datetime
    off_at: datetime | None = None
    trial: int | None = None


@dataclass(frozen=True, slots=True)
class Address:
    """Somebody without an account to whom reports are mailed."""

    address_id: int
    name: str
    email: str
    made_at: datetime
    made_by: str


def mails(conn: Connection, municipality_id: int) -> list[Mail]:
    """The letters that are set up, the oldest first."""
    return [
        Mail(
            i,
            name,
            Kind(kind),
            Version(version),
            compared,
            day,
            hour,
            spots and tuple(spots),
            tuple(to),
            tuple(named),
            since,
            off,
            trial,
        )
        for i, name, kind, version, compared, day, hour, spots, to, named, since, off, trial in conn.execute(
            _MAILS, (municipality_id,)
        )
    ]


def make_mail(conn: Connection, municipality_id: int, of: Mail, user_id: int) -> None:
    """`of.mail_id` is given by the database."""
    conn.execute(
        "insert into report_mail (municipality_id, name, kind, version, compared, day, hour, spot_ids, user_ids,"
        " address_ids, made_at, user_id) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            municipality_id,
            of.name,
            of.kind.value,
            of.version.value,
            of.compared,
            of.day,
            of.hour,
            None if of.spot_ids is None else list(of.spot_ids),
            list(of.to),
            list(of.addresses),
            of.since,
            user_id,
        ),
    )


def end_mail(conn: Connection, municipality_id: int, mail_id: int, user_id: int, at: datetime) -> bool:
    """Whether there was one to end."""
    done = conn.execute(
        "update report_mail set ended_at = %s, ended_by = %s where report_mail_id = %s and municipality_id = %s "
        "and ended_at is null",
        (at, user_id, mail_id, municipality_id),
    )
    return done.rowcount > 0


def rest_mail(conn: Connection, municipality_id: int, mail_id: int, at: datetime, *, off: bool) -> bool:
    """Lets a letter rest, or sends it again from now on; whether there is one."""
    done = conn.execute(
        "update report_mail set off_at = case when %(off)s then coalesce(off_at, %(at)s) end,"
        " on_at = case when %(off)s or off_at is null then on_at else %(at)s end"
        " where report_mail_id = %(mail)s and municipality_id = %(town)s and ended_at is null",
        {"off": off, "at": at, "mail": mail_id, "town": municipality_id},
    )
    return done.rowcount > 0


def ask_trial(conn: Connection, municipality_id: int, mail_id: int, user_id: int, at: datetime) -> bool:
    """Wants a letter tried out; False where there is none, or one was tried a moment ago."""
    done = conn.execute(
        """
        insert into report_mail_test (municipality_id, report_mail_id, asked_at, user_id)
        select municipality_id, report_mail_id, %(at)s, %(user)s from report_mail m
        where report_mail_id = %(mail)s and municipality_id = %(town)s and ended_at is null and not exists (
            select from report_mail_test t where t.report_mail_id = m.report_mail_id and t.asked_at > %(since)s)
        """,
        {"at": at, "since": at - BETWEEN_TRIALS, "user": user_id, "mail": mail_id, "town": municipality_id},
    )
    return done.rowcount > 0


def addresses(conn: Connection, municipality_id: int) -> list[Address]:
    """Those in use, by name."""
    return [
        Address(*row)
        for row in conn.execute(
            """
            select a.report_address_id, a.name, a.email, a.made_at, u.display_name
            from report_address a join app_user u on u.user_id = a.made_by
            where a.municipality_id = %s and a.ended_at is null order by a.name, a.report_address_id
            """,
            (municipality_id,),
        )
    ]


def add_address(conn: Connection, municipality_id: int, name: str, email: str, user_id: int, at: datetime) -> bool:
    """False where the address is there already."""
    done = conn.execute(
        "insert into report_address (municipality_id, name, email, made_at, made_by) values (%s, %s, %s, %s, %s) "
        "on conflict (municipality_id, lower(email)) where ended_at is null do nothing",
        (municipality_id, name, email, at, user_id),
    )
    return done.rowcount > 0


def end_address(conn: Connection, municipality_id: int, address_id: int, user_id: int, at: datetime) -> bool:
    """Nothing is mailed there any more; whether there was one to end."""
    done = conn.execute(
        "update report_address set ended_at = %s, ended_by = %s where report_address_id = %s and municipality_id = %s "
        "and ended_at is null",
        (at, user_id, address_id, municipality_id),
    )
    return done.rowcount > 0


_MAILS = """
select m.report_mail_id, m.name, m.kind, m.version, m.compared, m.day, m.hour, m.spot_ids, m.user_ids, m.address_ids,
       greatest(m.made_at, m.on_at), m.off_at,
       (select min(t.report_mail_test_id) from report_mail_test t
        left join report_letter l using (report_mail_test_id)
        where t.report_mail_id = m.report_mail_id and l.report_letter_id is null)
from report_mail m where m.municipality_id = %s and m.ended_at is null order by m.report_mail_id
"""
