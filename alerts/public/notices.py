"""Notices as they are stored: read for the desk, the public page and the feeds. SQL for the API's role.

A notice is a draft until a person approves or discards it; one that is told in the name of an approval given beforehand
(`alerts.public.standing`) is approved from its beginning. An approved one stands until its time is over, or until an
approved update or cancellation takes its place; the chain of notices of one alert is read along `supersedes`. Nothing
is ever changed: what a notice is at a moment follows from its rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, LiteralString

from alerts.public.words import Kind, Mode, Text, Texts, Variant
from store import Connection

State = Literal["draft", "discarded", "standing", "over", "updated", "cancelled", "withdrawal"]

# How long what is over stays to be read: on the public page and in the feeds.
REMEMBERED = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Standing:
    """事前承認 in whose name a notice was told: who decided it in which post, who entered it, who signed it."""

    approval_id: int
    authority: str
    post: str
    document: str
    entered_by: str
    signed_by: str


@dataclass(frozen=True, slots=True)
class Notice:
    """A notice with its words as they are now (of a decided one: as they were decided on). `highest` is the highest
    level its alert reached; `alert_cleared_at` when that was over. `decided_*`: who approved or discarded it;
    `closing` its last line as approved. `ended_*`: the approved notice that took its place. `standing`: the approval
    given beforehand in whose name it was told; then no person made or decided it.
    """

    notice_id: int
    alert_id: int
    station: str
    name: str
    name_en: str
    latitude: float
    longitude: float
    river: str | None
    mode: Mode
    kind: Kind
    supersedes: int | None
    equivalent: bool
    level: int
    highest: int
    threshold: float | None
    time: datetime
    value: float
    alert_cleared_at: datetime | None
    made_at: datetime
    made_by: str | None
    text_id: int
    texts: Texts
    edited_at: datetime | None
    edited_by: str | None
    event: Literal["approved", "discarded"] | None
    decided_at: datetime | None
    decided_by: str | None
    valid_until: datetime | None
    closing: dict[Variant, str] | None
    ended_by: int | None
    ended_kind: Kind | None
    ended_at: datetime | None
    standing: Standing | None = None

    def state(self, now: datetime) -> State:
        """What it is at a moment; a `withdrawal` is an approved cancellation."""
        if self.event is None:
            return "draft"
        if self.event == "discarded":
            return "discarded"
        if self.kind == "cancel":
            return "withdrawal"
        if self.ended_by is not None:
            return "cancelled" if self.ended_kind == "cancel" else "updated"
        assert self.valid_until is not None, "what is approved has a time until which it holds"
        return "standing" if now < self.valid_until else "over"


def notice(conn: Connection, notice_id: int) -> Notice | None:
    """One notice of the municipality."""
    return _first(_read(conn, "where n.public_notice_id = %s", (notice_id,)))


def notices(conn: Connection, limit: int = 50) -> list[Notice]:
    """The newest of the municipality, drafts and drills too: for the desk."""
    return _read(conn, "order by n.public_notice_id desc limit %s", (limit,))


def published(conn: Connection, since: datetime) -> list[Notice]:
    """What the public may read: approved, real, and not over before `since`; newest first. Never a draft, never a
    drill or a test.
    """
    return _read(
        conn,
        """
        where e.event = 'approved' and n.mode = 'actual'
          and case when n.kind = 'cancel' then e.at else least(x.at, e.valid_until) end >= %s
        order by e.at desc, n.public_notice_id desc
        """,
        (since,),
    )


def chain_before(conn: Connection, found: Notice) -> list[Notice]:
    """The notices whose place it took, one after the other, the oldest first."""
    return _read(
        conn,
        """
        where n.public_notice_id in (
            with recursive before (id) as (
                select supersedes from public_notice where public_notice_id = %s
                union all
                select p.supersedes from public_notice p join before on p.public_notice_id = before.id
            )
            select id from before where id is not null)
        order by n.public_notice_id
        """,
        (found.notice_id,),
    )


def head_of(conn: Connection, alert_id: int) -> Notice | None:
    """The approved notice of an alert whose place none has taken yet; None where there is none, or it was withdrawn."""
    found = newest_approved(conn, alert_id)
    return None if found is None or found.kind == "cancel" else found


def newest_approved(conn: Connection, alert_id: int) -> Notice | None:
    """The same, also where that is the withdrawal."""
    return _first(
        _read(
            conn,
            """
            where n.alert_id = %s and e.event = 'approved' and x.public_notice_id is null
            order by n.public_notice_id desc limit 1
            """,
            (alert_id,),
        )
    )


def draft_of(conn: Connection, alert_id: int) -> Notice | None:
    """The draft of an alert on which nobody has decided yet."""
    return _first(
        _read(
            conn,
            "where n.alert_id = %s and e.event is null order by n.public_notice_id desc limit 1",
            (alert_id,),
        )
    )


def _first(found: list[Notice]) -> Notice | None:
    return found[0] if found else None


def _read(conn: Connection, which: LiteralString, values: tuple[object, ...]) -> list[Notice]:
    return [_notice(row) for row in conn.execute(_NOTICES + which, values)]


def _notice(row: tuple[Any, ...]) -> Notice:
    texts: Texts = {"ja": Text(*row[21:23]), "en": Text(*row[23:25]), "plain": Text(*row[25:27])}
    closing = None if row[33] is None else dict(zip(("ja", "en", "plain"), row[33:36], strict=True))
    standing = None if row[39] is None else Standing(*row[39:])
    fields: tuple[Any, ...] = (*row[:21], texts, *row[27:33], closing, *row[36:39], standing)
    return Notice(*fields)


_NOTICES = """
select n.public_notice_id, n.alert_id, s.code, s.name, s.name_en, s.latitude, s.longitude, r.river, n.mode, n.kind,
       n.supersedes, n.equivalent, n.level, a.peak_level, n.threshold, n.phenomenon_time, n.value, a.cleared_at,
       n.made_at, maker.display_name,
       t.public_notice_text_id, t.ja_headline, t.ja_body, t.en_headline, t.en_body, t.plain_headline, t.plain_body,
       case when t.user_id is not null then t.written_at end, editor.display_name,
       e.event, e.at, decider.display_name, e.valid_until, e.ja_closing, e.en_closing, e.plain_closing,
       x.public_notice_id, xn.kind, x.at,
       p.standing_approval_id, p.authority, p.post, p.document, entered.display_name, signer.display_name
from public_notice n
join station s using (station_id)
left join station_river r using (station_id)
join alert a using (alert_id)
left join app_user maker on maker.user_id = n.made_by
left join standing_approval p on p.standing_approval_id = n.standing_approval_id
left join app_user entered on entered.user_id = p.entered_by
left join standing_approval_event signed on signed.standing_approval_id = p.standing_approval_id
     and signed.event = 'signed'
left join app_user signer on signer.user_id = signed.user_id
left join public_notice_event e on e.public_notice_id = n.public_notice_id
join lateral (
    select * from public_notice_text w
    where w.public_notice_id = n.public_notice_id
      and (e.public_notice_text_id is null or w.public_notice_text_id = e.public_notice_text_id)
    order by w.public_notice_text_id desc limit 1
) t on true
left join app_user editor on editor.user_id = t.user_id
left join app_user decider on decider.user_id = e.user_id
left join public_notice_event x on x.ends = n.public_notice_id
left join public_notice xn on xn.public_notice_id = x.public_notice_id
"""
