"""毎月のメール: the report of the month before, by mail with its Excel file, to the people whom the office names.

Who can be chosen has an account with a mail address, or stands in the office's own list of addresses, which it keeps
here. Addresses are for the office (and the digital section) alone: whoever else reads this page sees none. A letter is
stopped, never changed; it can rest, and be tried out; what was sent stays, with what became of it and its file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from alerts.addresses import fits
from analytics.visitors.reports import kept, mails
from analytics.visitors.reports.cells import Kind
from analytics.visitors.reports.counting import Version
from analytics.visitors.reports.workbook import MEDIA_TYPE
from api.access import READERS, Router, SignedIn, Visit, access
from api.errors import NotFound, Text
from api.pages.alert_list import open_alerts
from api.pages.daily_entry import COUNTING
from api.pages.delivery import masked, state
from api.pages.site import moment, page
from api.pages.typed import Form
from store.connection import Connection

router = Router()

KINDS: Final = (Kind.MONTHLY, Kind.DAILY, Kind.PREFECTURE)
MOST_NAME: Final = 60
_SHOWN = 24
_DONE: Final = ("made", "ended", "off", "on", "trial", "address", "address_ended")


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody who can be chosen; `email` masked, empty where there is none."""

    user_id: int
    name: str
    email: str


@dataclass(frozen=True, slots=True)
class Sent:
    """A message to one address; `state` as in the record of delivery. `error`: what its server said."""

    address: str
    state: str
    sent_at: datetime | None
    error: str | None


@dataclass(frozen=True, slots=True)
class Letter:
    """A month's report as it was written, and what became of its messages; none: it went to nobody. `trial`: it was
    tried out.
    """

    letter_id: int
    name: str
    month: date
    written_at: datetime
    posted: bool
    trial: bool
    sent: tuple[Sent, ...]


@router.get("/tourism/reports/mail")
@access(READERS, page=True)
def mail_page(request: Request, visit: SignedIn) -> Response:
    """What is sent every month, what was sent, and the form."""
    return _page(request, visit)


@router.post("/tourism/reports/mail")
@access(COUNTING)
def say(request: Request, visit: SignedIn, typed: Form) -> Response:
    """`do` make, or end, off, on, trial of a `mail`; address, or address_ended of an `address`."""
    at = moment(request, visit)
    town, user = visit.tenant.municipality_id, visit.user.user_id
    do = typed.get("do", "")
    if do in _OF_ONE:
        number = typed.get("address" if do == "address_ended" else "mail", "")
        with visit.transaction() as conn:
            known = re.fullmatch(r"\d{1,9}", number) and _done(conn, do, town, int(number), user, at.now)
        if not known and do == "trial":
            return _page(request, visit, typed, "trial")
        if not known:
            raise NotFound(Text("それは、もう止まっています。", "That has been ended already."))
        return RedirectResponse(f"/tourism/reports/mail?done={_OF_ONE[do]}", 303)
    if do == "address":
        with visit.transaction() as conn:
            problem = _address(conn, town, typed, user, at.now)
        if problem:
            return _page(request, visit, typed, problem)
        return RedirectResponse("/tourism/reports/mail?done=address#addresses", 303)
    with visit.transaction() as conn:
        made = _mail(conn, town, typed, at.now)
        if isinstance(made, mails.Mail):
            mails.make_mail(conn, town, made, user)
    if not isinstance(made, mails.Mail):
        return _page(request, visit, typed, made)
    return RedirectResponse("/tourism/reports/mail?done=made", 303)


_OF_ONE: Final = {"end": "ended", "off": "off", "on": "on", "trial": "trial", "address_ended": "address_ended"}


def _done(conn: Connection, do: str, town: int, number: int, user: int, now: datetime) -> bool:
    if do == "end":
        return mails.end_mail(conn, town, number, user, now)
    if do == "trial":
        return mails.ask_trial(conn, town, number, user, now)
    if do == "address_ended":
        return mails.end_address(conn, town, number, user, now)
    return mails.rest_mail(conn, town, number, now, off=do == "off")


def _address(conn: Connection, town: int, typed: Mapping[str, str], user: int, now: datetime) -> str | None:
    """Keeps an address; what is wrong with it, None where nothing is."""
    name, email = " ".join(typed.get("name", "").split()), typed.get("email", "").strip()
    if not name or len(name) > MOST_NAME:
        return "address_name"
    if not fits("mail", email):
        return "email"
    return None if mails.add_address(conn, town, name, email, user, now) else "address_there"


@router.get("/tourism/reports/mail/{letter_id}.xlsx")
@access(READERS, page=True)
def letter_file(request: Request, visit: SignedIn, letter_id: int) -> Response:
    """The file as it was sent."""
    with visit.transaction() as conn:
        row = conn.execute(
            "select file_name, file from report_letter where report_letter_id = %s and municipality_id = %s",
            (letter_id, visit.tenant.municipality_id),
        ).fetchone()
    if row is None:
        raise NotFound(Text(f"報告書 {letter_id} はありません。", f"There is no letter {letter_id}."))
    headers = {"Content-Disposition": f'attachment; filename="{row[0]}"'}
    return Response(bytes(row[1]), media_type=MEDIA_TYPE, headers=headers)


def _page(
    request: Request, visit: Visit, typed: Mapping[str, str] | None = None, problem: str | None = None
) -> Response:
    at = moment(request, visit)
    town = visit.tenant.municipality_id
    with visit.transaction() as conn:
        set_up = mails.mails(conn, town)
        listed = mails.addresses(conn, town)
        places = kept.places(conn, town, at.now.astimezone(at.zone).date())
        accounts = _accounts(conn, town)
        letters = _letters(conn, town)
        mail_is_there = conn.execute("select from delivery_channel where kind = 'mail'").fetchone() is not None
        alerts = open_alerts(conn, visit.user.role)
    done = request.query_params.get("done")
    return page(
        request,
        visit,
        at,
        "tourism_reports_mail",
        alerts,
        status=400 if problem else 200,
        mails=set_up,
        addresses=listed,
        listed={each.address_id: each.name for each in listed},
        accounts=accounts,
        names={each.user_id: each.name for each in accounts},
        places=places,
        place_names={each.spot_id: each.called(at.words.code) for each in places},
        letters=letters,
        mail_is_there=mail_is_there,
        kinds=KINDS,
        typed=typed or {},
        problem=problem,
        done=done if done in _DONE else None,
        most_name=MOST_NAME,
        may_write=visit.user.role in COUNTING,
    )


def _accounts(conn: Connection, municipality_id: int) -> list[Account]:
    return [
        Account(user_id, name, masked(email) if email else "")
        for user_id, name, email in conn.execute(
            "select user_id, display_name, coalesce(email, '') from app_user where municipality_id = %s "
            "order by role <> 'tourism', display_name, user_id",
            (municipality_id,),
        )
    ]


def _letters(conn: Connection, municipality_id: int) -> list[Letter]:
    sent: dict[int, list[Sent]] = {}
    for letter_id, address, sent_at, attempts, error, unsure in conn.execute(_SENT, (municipality_id,)):
        how = state(sent_at, attempts, False, False, unsure)
        sent.setdefault(letter_id, []).append(Sent(masked(address), how, sent_at, error))
    return [
        Letter(letter_id, name, month, written, posted is not None, trial, tuple(sent.get(letter_id, ())))
        for letter_id, name, month, written, posted, trial in conn.execute(
            """
            select l.report_letter_id, m.name, l.month, l.written_at, l.posted_at,
                   l.report_mail_test_id is not null
            from report_letter l join report_mail m using (report_mail_id)
            where l.municipality_id = %s order by l.report_letter_id desc limit %s
            """,
            (municipality_id, _SHOWN),
        )
    ]


def _mail(conn: Connection, municipality_id: int, typed: Mapping[str, str], now: datetime) -> mails.Mail | str:
    """The letter as typed, or what is wrong with it."""
    name = " ".join(typed.get("name", "").split())
    if not name or len(name) > MOST_NAME:
        return "name"
    if typed.get("kind") not in {each.value for each in KINDS}:
        return "kind"
    if typed.get("version") not in set(Version):
        return "version"
    for field, low, high in (("day", 1, 28), ("hour", 0, 23)):
        text = typed.get(field, "")
        if not re.fullmatch(r"\d{1,2}", text) or not low <= int(text) <= high:
            return field
    known = {each.user_id: each for each in _accounts(conn, municipality_id)}
    to = tuple(user_id for user_id, each in known.items() if typed.get(f"to-{user_id}") and each.email)
    named = tuple(
        each.address_id for each in mails.addresses(conn, municipality_id) if typed.get(f"at-{each.address_id}")
    )
    if not to and not named:
        return "to"
    places = kept.places(conn, municipality_id, now.date())
    chosen = tuple(each.spot_id for each in places if typed.get(f"spot-{each.code}"))
    kind = Kind(typed["kind"])
    return mails.Mail(
        0,
        name,
        kind,
        Version(typed["version"]),
        typed.get("compared") == "1" and kind is not Kind.PREFECTURE,
        int(typed["day"]),
        int(typed["hour"]),
        chosen or None,
        to,
        named,
        now,
    )


_SENT = """
select report_letter_id, recipient, sent_at, attempts, last_error, unsure > 0
from outbox where municipality_id = %s and report_letter_id is not null and channel <> 'log' order by outbox_id
"""
