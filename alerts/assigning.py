"""Whoever is assigned to an alert is written to, and whoever is not any more. For the API's role, in its transaction.

    tell(conn, municipality_id, alert_id, history_id, user_id, at, before, goes, note)

One message each, at once, by the first of their contacts that this installation has a way for; the others stand behind
it as always (`alerts.fallback`). The message to who is assigned has a link by which they say that they go. Nobody is
written to who is the one that says it (by their account, or its mail address is among the person's contacts), who was
assigned already, or who takes no part in the drill or trial. What had not gone out yet to who is replaced does not go
out any more, and they are not told of the change either.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from alerts import false_notice
from alerts.calling import Person
from alerts.public_words import PUBLIC_RULES, opening
from alerts.recording import Recipient, Recorder
from alerts.wording import Notice, marks, subject
from store import Connection
from store.town_clock import read_clock


@dataclass(frozen=True, slots=True)
class Assignment:
    """What is told: who said it, with which note, and who goes there now (None: nobody any more)."""

    about: Notice
    by: str
    note: str | None
    goes: str | None


def tell(
    conn: Connection,
    municipality_id: int,
    alert_id: int,
    history_id: int,
    user_id: int,
    at: datetime,
    before: int | None,
    goes: int | None,
    note: str | None,
) -> None:
    """Writes the messages of one assignment, `history_id`; the caller commits. `before`: who was assigned until now."""
    if before == goes:
        return
    clock = read_clock(conn)
    about = false_notice.of(conn, alert_id, None, simulated=clock is not None and clock.simulated)
    recorder = Recorder(conn, at, mail=False)
    row = conn.execute(
        """
        select u.display_name, u.email, (select station_id from alert where alert_id = %s),
               (select person_id from person p where p.user_id = u.user_id and p.ended_at is null)
        from app_user u where u.user_id = %s
        """,
        (alert_id, user_id),
    ).fetchone()
    assert row is not None, f"account {user_id} exists"
    by, email, station_id, own_id = row
    people = recorder.roster_of(municipality_id, about.mode, station_id).persons
    here = recorder.channels()
    for person_id, texts in (
        (goes, _asks),
        (before if before is None or _reached(conn, alert_id, before) else None, _releases),
    ):
        person = None if person_id is None else people.get(person_id)
        if person is None or person.person_id == own_id or _has(person, email):
            continue
        ways = [each for each in person.contacts if each.channel in here][:1]
        to: list[Recipient] = [(each.channel, each.address, person.person_id, each.contact_id) for each in ways]
        name = None if goes is None else _name(conn, goes)
        said = texts(Assignment(about, by, note, name))
        recorder.write_texts(municipality_id, history_id, [("log", person.name, None, None), *to], said)


def _has(person: Person, email: str | None) -> bool:
    """Whether the mail address of the account that says so is one of the person's."""
    return bool(email) and any(
        each.channel == "mail" and each.address.casefold() == str(email).casefold() for each in person.contacts
    )


def _name(conn: Connection, person_id: int) -> str:
    row = conn.execute("select name from person where person_id = %s", (person_id,)).fetchone()
    assert row is not None, f"person {person_id} exists"
    return str(row[0])


def _reached(conn: Connection, alert_id: int, person_id: int) -> bool:
    """Whether who is replaced has been told that they go, or may have been; what only waits is withdrawn."""
    mine = {"alert": alert_id, "person": person_id}
    conn.execute(_WITHDRAW, mine)
    return conn.execute(_TOLD, mine).fetchone() is not None


def _asks(said: Assignment) -> tuple[str, str, str, str]:
    """Subject, body, what could be public, and that for ears, to who is to go.

    >>> from datetime import UTC
    >>> from alerts.rules.transition import Event
    >>> at = datetime(2026, 6, 1, tzinfo=UTC)
    >>> notice = Notice("silence", Event.RAISED, "美守町", "奥沢観測所", "Okusawa", "Asia/Tokyo", at, simulated=True)
    >>> texts = _asks(Assignment(notice, "山田", "長靴で", "田中"))
    >>> texts[0][:16], "山田さん" in texts[1], "長靴" in texts[1], "長靴" in texts[2]
    ('【模擬】対応をお願いします：奥沢', True, True, False)
    """
    lines = [
        f"{said.by}さんが、{said.goes}さんをこの件の対応者にしました。行けるときは、リンクから「行きます」と知らせてください。",
        f"{said.by} has assigned this to {said.goes}. Say by the link that you go.",
    ]
    return _texts(said, "対応をお願いします", lines)


def _releases(said: Assignment) -> tuple[str, str, str, str]:
    """The same to who is not to go any more."""
    now = f"対応者は{said.goes}さんに変わりました。" if said.goes else "対応者の割り当ては取り消されました。"
    now_en = f"It is {said.goes} who goes there now." if said.goes else "Nobody is assigned any more."
    return _texts(said, "対応者が変わりました", [now, now_en])


def _texts(said: Assignment, what: str, lines: list[str]) -> tuple[str, str, str, str]:
    about = said.about
    mark = marks(about.mode, about.simulated)
    plain = subject(replace(about, mode="actual", simulated=False))
    whole = [f"{mark}{what}：{plain}", "", *lines]
    if said.note:
        whole += ["", f"メモ・Note: {said.note}"]
    place = plain if about.rule in PUBLIC_RULES else "庁内の画面で確かめてください。"
    brief = f"{mark}【{about.municipality}・見守り】{what}。{place}"
    spoken = (
        f"{opening(about)}{what}。{'' if place == plain else place}\n以上、{about.municipality}からのお知らせでした。\n"
    )
    return whole[0], "\n".join(whole) + "\n", brief, spoken


_OF_PERSON = """
    h.alert_id = %(alert)s and h.event = 'assigned' and h.assigned_person = %(person)s and o.person_id = %(person)s
"""
_WITHDRAW = f"""
update outbox o set withdrawn = true, stood_in = true from alert_history h
where h.alert_history_id = o.alert_history_id and o.sent_at is null and o.begun_at is null and o.unsure = 0
  and {_OF_PERSON}
"""  # noqa: S608
_TOLD = f"""
select from outbox o join alert_history h using (alert_history_id)
where (o.sent_at is not null or o.begun_at is not null or o.unsure > 0) and {_OF_PERSON} limit 1
"""
