"""連絡先: who is told of alerts and how, and the groups. Whose turn it is stands in `api.pages.duty_roster`.

People, their addresses and what a group is told of are the digital section's to say. Nothing is deleted that something
was sent to: who leaves is told no more, and the record of what they were told stays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import time, timedelta
from urllib.parse import urlencode

import psycopg
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from alerts.addresses import MOST_LETTERS, fits
from alerts.browsers import KIND as BROWSER
from alerts.monthly_results import newest_tests
from api.access import Role, Router, SignedIn, Visit, access
from api.errors import NotFound, Text
from api.pages import typed
from api.pages.alert_list import open_alerts
from api.pages.people_now import accounts_now, channels_now, group_now, groups_now, people_now, untold_now
from api.pages.site import Moment, moment, page
from store.connection import Connection

router = Router()

KEEPERS = frozenset({Role.DIGITAL})
PEOPLE, GROUPS = "/digital/people", "/digital/groups"
MOST_NAME = 100
_DESKS = ("disaster", "water", "tourism", "digital")
_LONGEST_ANSWER = 240  # minutes


class _No(Exception):
    """What was typed will not do; the key of the catalogue that says why."""


@router.get(PEOPLE)
@access(KEEPERS, page=True)
def people_page(request: Request, visit: SignedIn) -> Response:
    at = moment(request, visit)
    with visit.transaction() as conn:
        people = people_now(conn)
        groups = groups_now(conn, people)
        channels = channels_now(conn)
        accounts = accounts_now(conn, visit.tenant.municipality_id)
        untold = untold_now(conn, visit.tenant.municipality_id, at)
        tests = newest_tests(conn, at.now)
        alerts = open_alerts(conn, visit.user.role)
    return page(
        request, visit, at, "digital_people", alerts,
        people=people, groups=groups, channels=channels, said=said_of(request, at),
        untold=untold, tests=tests, accounts=accounts,
    )  # fmt: skip


@router.post(PEOPLE)
@access(KEEPERS)
def change_people(request: Request, visit: SignedIn, given: typed.Form) -> Response:
    """One of the page's forms; `do` says which."""
    at = moment(request, visit)
    return _done(visit, given, _PEOPLE_ACTS, at, PEOPLE)


@router.get(GROUPS + "/{group}")
@access(KEEPERS, page=True)
def group_page(request: Request, visit: SignedIn, group: int) -> Response:
    at = moment(request, visit)
    with visit.transaction() as conn:
        people = people_now(conn)
        found = group_now(conn, group, people)
        stations = conn.execute("select station_id, name, name_en from station order by kind, name").fetchall()
        alerts = open_alerts(conn, visit.user.role)
    return page(
        request, visit, at, "digital_group", alerts,
        group=found, people=people, stations=stations, desks=_DESKS, said=said_of(request, at),
    )  # fmt: skip


@router.post(GROUPS + "/{group}")
@access(KEEPERS)
def change_group(request: Request, visit: SignedIn, group: int, given: typed.Form) -> Response:
    at = moment(request, visit)
    with visit.transaction() as conn:
        group_now(conn, group, ())
    back = PEOPLE if given.get("do") == "end" else f"{GROUPS}/{group}"
    return _done(visit, {**given, "group": str(group)}, _GROUP_ACTS, at, back)


# --- what the forms do: each takes the transaction, the visit, the moment and the fields, and says where to go back

_Act = Callable[[Connection, Visit, Moment, Mapping[str, str]], str]


def _add_person(conn: Connection, visit: Visit, at: Moment, given: Mapping[str, str]) -> str:
    name = _name(given)
    kind = "equipment" if given.get("kind") == "equipment" else "person"
    row = conn.execute(
        "insert into person (municipality_id, name, kind) values (%s, %s, %s) returning person_id",
        (visit.tenant.municipality_id, name, kind),
    ).fetchone()
    assert row is not None
    if given.get("address"):
        _add_contact(conn, visit, at, {**given, "person": str(row[0])})
    return f"person-{row[0]}"


def _add_contact(conn: Connection, visit: Visit, at: Moment, given: Mapping[str, str]) -> str:
    person = _person(conn, given)
    channel, address = given.get("channel", ""), given.get("address", "").strip()[: MOST_LETTERS + 1]
    kinds = channels_now(conn)
    if channel not in kinds:
        raise _No("no_channel")
    if kinds[channel] == BROWSER:
        raise _No("own_browser")
    if not fits(kinds[channel], address):
        raise _No("no_address")
    try:
        with conn.transaction():
            conn.execute(
                """
                insert into contact (municipality_id, person_id, position, channel, address)
                select %(town)s, %(person)s, coalesce(max(position), 0) + 1, %(channel)s, %(address)s
                from contact where person_id = %(person)s
                """,
                {
                    "town": visit.tenant.municipality_id,
                    "person": person,
                    "channel": channel,
                    "address": address,
                },
            )
    except psycopg.errors.UniqueViolation as error:
        raise _No("address_known") from error
    return f"person-{person}"


def _contact_first(conn: Connection, visit: Visit, at: Moment, given: Mapping[str, str]) -> str:
    """Puts a contact before the others of its person."""
    contact = number(given.get("contact", ""))
    conn.execute(
        """
        update contact set position = (select min(position) - 1 from contact o where o.person_id = contact.person_id)
        where contact_id = %s
        """,
        (contact,),
    )
    return f"person-{number(given.get('person', ''))}"


def _end_contact(conn: Connection, visit: Visit, at: Moment, given: Mapping[str, str]) -> str:
    conn.execute(
        "update contact set ended_at = %s where contact_id = %s and ended_at is null",
        (at.now, number(given.get("contact", ""))),
    )
    return f"person-{number(given.get('person', ''))}"


def _keep_account(conn: Connection, visit: Visit, at: Moment, given: Mapping[str, str]) -> str:
    """Whose account it is, with which they let browsers of their own be written to; another account's browsers are
    nobody's then, and go.
    """
    person = _person(conn, given)
    user = number(given["user"]) if given.get("user") else None
    known = conn.execute(
        "select from app_user where user_id = %s and municipality_id = %s", (user, visit.tenant.municipality_id)
    ).fetchone()
    if user is not None and known is None:
        raise _No("no_account")
    try:
        with conn.transaction():
            conn.execute("update person set user_id = %s where person_id = %s and kind = 'person'", (user, person))
    except psycopg.errors.UniqueViolation as error:
        raise _No("no_account") from error
    conn.execute(
        """
        update contact c set ended_at = %s from push_subscription s
        where s.contact_id = c.contact_id and c.person_id = %s and c.ended_at is null
          and s.made_by is distinct from %s
        """,
        (at.now, person, user),
    )
    return f"person-{person}"


def _end_person(conn: Connection, visit: Visit, at: Moment, given: Mapping[str, str]) -> str:
    """Is told no more, and has no turn any more; their substitutes step up."""
    person = _person(conn, given)
    conn.execute("update person set ended_at = %s where person_id = %s", (at.now, person))
    conn.execute("update contact set ended_at = %s where person_id = %s and ended_at is null", (at.now, person))
    conn.execute("delete from group_member where person_id = %s", (person,))
    today = at.now.astimezone(at.zone).date()
    conn.execute(
        "update duty set person_id = substitute_id, substitute_id = null "
        "where person_id = %s and substitute_id is not null and day >= %s",
        (person, today),
    )
    conn.execute("update duty set substitute_id = null where substitute_id = %s and day >= %s", (person, today))
    conn.execute("delete from duty where person_id = %s and day >= %s", (person, today))
    return "people"


def _add_group(conn: Connection, visit: Visit, at: Moment, given: Mapping[str, str]) -> str:
    row = conn.execute(
        "insert into call_group (municipality_id, name) values (%s, %s) returning group_id",
        (visit.tenant.municipality_id, _name(given)),
    ).fetchone()
    assert row is not None
    return f"group-{row[0]}"


def _keep_group(conn: Connection, visit: Visit, at: Moment, given: Mapping[str, str]) -> str:
    try:
        starts, ends = (time.fromisoformat(given.get(key, "")) for key in ("day_starts", "day_ends"))
    except ValueError as error:
        raise _No("no_times") from error
    minutes = number(given.get("answer_within", ""))
    if starts.tzinfo or ends.tzinfo or not starts < ends:
        raise _No("no_times")
    if not 1 <= minutes <= _LONGEST_ANSWER:
        raise _No("no_minutes")
    conn.execute(
        "update call_group set name = %s, day_starts = %s, day_ends = %s, answer_within = %s where group_id = %s",
        (_name(given), starts, ends, timedelta(minutes=minutes), number(given["group"])),
    )
    return "group"


def _keep_members(conn: Connection, visit: Visit, at: Moment, given: Mapping[str, str]) -> str:
    group = number(given["group"])
    wanted = {number(key.removeprefix("member.")) for key in given if key.startswith("member.")}
    known = {person.person_id for person in people_now(conn)}
    conn.execute("delete from group_member where group_id = %s", (group,))
    for person in sorted(wanted & known):
        conn.execute(
            "insert into group_member (group_id, person_id, municipality_id) values (%s, %s, %s)",
            (group, person, visit.tenant.municipality_id),
        )
    return "members"


def _add_watch(conn: Connection, visit: Visit, at: Moment, given: Mapping[str, str]) -> str:
    if given.get("desk") not in _DESKS:
        raise _No("no_desk")
    station = number(given["station"]) if given.get("station") else None
    level = number(given["least_level"]) if given.get("least_level") else None
    severity = number(given["least_severity"]) if given.get("least_severity") else None
    if (level is not None and not 1 <= level <= 5) or (severity is not None and not 1 <= severity <= 3):
        raise _No("no_desk")
    known = conn.execute("select from station where station_id = %s", (station,)).fetchone()
    if station is not None and known is None:
        raise _No("no_desk")
    # entered again, it says from now on what was said last
    conn.execute(
        "delete from group_watch where group_id = %s and desk = %s and station_id is not distinct from %s",
        (number(given["group"]), given["desk"], station),
    )
    conn.execute(
        """
        insert into group_watch (municipality_id, group_id, desk, station_id, least_level, least_severity)
        values (%s, %s, %s, %s, %s, %s)
        """,
        (visit.tenant.municipality_id, number(given["group"]), given["desk"], station, level, severity),
    )
    return "watches"


def _end_watch(conn: Connection, visit: Visit, at: Moment, given: Mapping[str, str]) -> str:
    conn.execute(
        "delete from group_watch where group_id = %s and group_watch_id = %s",
        (number(given["group"]), number(given.get("watch", ""))),
    )
    return "watches"


def _end_group(conn: Connection, visit: Visit, at: Moment, given: Mapping[str, str]) -> str:
    conn.execute("update call_group set ended_at = %s where group_id = %s", (at.now, number(given["group"])))
    return "groups"


_PEOPLE_ACTS: Mapping[str, _Act] = {
    "add_person": _add_person,
    "add_contact": _add_contact,
    "contact_first": _contact_first,
    "end_contact": _end_contact,
    "keep_account": _keep_account,
    "end_person": _end_person,
    "add_group": _add_group,
}
_GROUP_ACTS: Mapping[str, _Act] = {
    "keep": _keep_group,
    "members": _keep_members,
    "add_watch": _add_watch,
    "end_watch": _end_watch,
    "end": _end_group,
}


def _done(visit: Visit, given: Mapping[str, str], acts: Mapping[str, _Act], at: Moment, back: str) -> Response:
    act = acts.get(given.get("do", ""))
    if act is None:
        return back_to(back, "said", said="nothing")
    with visit.transaction() as conn:
        try:
            place = act(conn, visit, at, given)
        except _No as no:
            conn.rollback()
            return back_to(back, "said", said=str(no))
    return back_to(back, place, said=f"{given['do']}_done")


def said_of(request: Request, at: Moment) -> str | None:
    """What a form has led to: a key of the catalogue behind "people.said.", so that a link can make no other text."""
    said = request.query_params.get("said")
    return said if f"people.said.{said}" in at.words.texts else None


def _name(given: Mapping[str, str]) -> str:
    name = " ".join(given.get("name", "").split())
    if not 0 < len(name) <= MOST_NAME or not name.isprintable():
        raise _No("no_name")
    return name


def _person(conn: Connection, given: Mapping[str, str]) -> int:
    person = number(given.get("person", ""))
    known = conn.execute("select from person where person_id = %s and ended_at is null", (person,)).fetchone()
    if known is None:
        raise NotFound(Text("その人は登録されていません。", "There is no such person."))
    return person


def number(text: str) -> int:
    """A whole number that fits the database; 0, which is nobody's, for everything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def back_to(address: str, place: str, **query: str) -> Response:
    return RedirectResponse(f"{address}?{urlencode(query)}#{place}", 303)
