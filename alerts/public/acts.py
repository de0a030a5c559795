"""What a person does about a notice: draft, rewrite, approve, update, renew, withdraw, discard. For the API.

Each runs in the caller's transaction, on a connection of the API's role in one municipality, adds rows with the
person's name and a feed row (its last statement), and leaves the commit to the caller. `at` is town time. Raises a
`NoticeRefused`, having changed nothing. Two persons at one alert take turns: each act begins by locking it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from alerts.public import words
from alerts.public.forbidden import check
from alerts.public.making import closing_lines, decide, facts_of, insert, write
from alerts.public.notices import REMEMBERED, Notice, draft_of, head_of, notice
from alerts.public.refusals import (
    AlreadyDecided,
    DraftThere,
    NoSuchNotice,
    NothingToTell,
    ReadingChanged,
    TextChanged,
    Wrong,
    WrongTime,
    WrongWords,
)
from alerts.public.words import MAX_BODY, MAX_HEADLINE, VARIANTS, Kind, Text, Texts, Why, tidy
from alerts.wording import short_time
from store import Connection
from store.feed import append_alerts

LONGEST = timedelta(hours=24)  # that a notice may hold without somebody's renewing it


def draft(conn: Connection, municipality_id: int, alert_id: int, user_id: int, at: datetime) -> int:
    """Drafts a notice from an open level alert; an update where one stands already. Returns its number."""
    rule, mode, cleared_at, level, time, value = _alert(conn, municipality_id, alert_id)
    if rule != "level" or level is None or value is None or cleared_at is not None:
        raise NothingToTell(
            "続いている水位のアラートからだけ、お知らせを作れます。",
            "A notice can only be made from a river level alert that is open.",
        )
    _refuse_second_draft(conn, alert_id)
    standing = head_of(conn, alert_id)
    facts = facts_of(conn, municipality_id, alert_id, level, time, value, None if standing is None else standing.level)
    kind: Kind = "alert" if standing is None else "update"
    supersedes = None if standing is None else standing.notice_id
    return insert(
        conn, municipality_id, alert_id, mode, kind, supersedes, level, facts, words.draft(facts), user_id, at
    )


def draft_withdrawal(
    conn: Connection, municipality_id: int, notice_id: int, why: Why, user_id: int, at: datetime
) -> int:
    """Drafts the cancellation of an approved notice, also of one whose time is over. Returns its number."""
    found = _locked(conn, municipality_id, notice_id)
    if found.event != "approved" or found.kind == "cancel" or found.ended_by is not None:
        raise NothingToTell(
            "取り消せるのは、今のお知らせだけです。一覧を開き直してください。",
            "Only the present notice can be withdrawn. Open the list again.",
        )
    _refuse_second_draft(conn, found.alert_id)
    facts = facts_of(conn, municipality_id, found.alert_id, found.level, found.time, found.value, found.level)
    return insert(
        conn,
        municipality_id,
        found.alert_id,
        found.mode,
        "cancel",
        found.notice_id,
        found.level,
        facts,
        words.cancelled(facts, why),
        user_id,
        at,
        equivalent=found.equivalent,
    )


def rewrite(
    conn: Connection,
    municipality_id: int,
    notice_id: int,
    text_id: int,
    texts: Texts,
    user_id: int,
    at: datetime,
    zone: ZoneInfo,
) -> None:
    """Gives a draft other words; those before stay stored. `text_id`: the words that the person began with.

    Raises `WrongWords` (all of them at once), `TextChanged`, `AlreadyDecided`.
    """
    found = _undecided(conn, municipality_id, notice_id, zone)
    if found.text_id != text_id:
        raise TextChanged()
    said: Texts = {v: Text(tidy(texts[v].headline, " "), tidy(texts[v].body, "\n")) for v in VARIANTS}
    _refuse_wrong_words(said, found)
    if said != found.texts:
        write(conn, municipality_id, notice_id, said, user_id, at)
        append_alerts(conn, municipality_id, [found.alert_id])


def approve(
    conn: Connection,
    municipality_id: int,
    notice_id: int,
    text_id: int,
    valid_until: datetime,
    user_id: int,
    at: datetime,
    zone: ZoneInfo,
) -> None:
    """Tells the public (a drill: nobody): from now on, in the words of `text_id`, which the person has read.

    Refused where the words, the reading, the alert or the notice before are no longer what the draft was made from.
    """
    found = _undecided(conn, municipality_id, notice_id, zone)
    if found.text_id != text_id:
        raise TextChanged()
    _refuse_wrong_words(found.texts, found)
    if found.kind != "cancel":
        if found.alert_cleared_at is not None:
            raise NothingToTell(
                "アラートが解除されました。下書きを破棄してください。", "The alert is over. Discard the draft."
            )
        _refuse_changed_reading(conn, found)
    if not at < valid_until <= at + LONGEST:
        raise WrongTime()
    standing = head_of(conn, found.alert_id)
    if (None if standing is None else standing.notice_id) != found.supersedes:
        raise NothingToTell(
            "先のお知らせがもう変わっています。下書きを破棄して、作り直してください。",
            "The notice before it is another one by now. Discard this draft and make a new one.",
        )
    decide(
        conn,
        municipality_id,
        found,
        "approved",
        user_id,
        at,
        text_id=found.text_id,
        valid_until=valid_until,
        ends=found.supersedes,
        closing=closing_lines(conn, municipality_id, found.mode, at, zone),
    )


def renew(
    conn: Connection,
    municipality_id: int,
    notice_id: int,
    valid_until: datetime,
    user_id: int,
    at: datetime,
    zone: ZoneInfo,
) -> int:
    """The public reads the same words for longer: an update with them, approved in the same act; its number. Also of
    one whose time is over already.

    Refused where a new draft is what is needed: the alert is over or at another level, the reading was corrected since,
    somebody is writing already, or the words may not be said of the reference levels any more.
    """
    found = _locked(conn, municipality_id, notice_id)
    _, _, cleared_at, level, _, _ = _alert(conn, municipality_id, found.alert_id)
    if found.event != "approved" or found.kind == "cancel" or found.ended_by is not None or cleared_at is not None:
        raise NothingToTell(
            "延長できるのは、続いているアラートの今のお知らせだけです。一覧を開き直してください。",
            "Only the present notice of an alert that lasts can be renewed. Open the list again.",
        )
    if level != found.level:
        raise NothingToTell(
            "アラートの段階が変わっています。更新の下書きを作ってください。",
            "The alert is at another level by now: draft an update.",
        )
    if not at < valid_until <= at + LONGEST:
        raise WrongTime()
    _refuse_second_draft(conn, found.alert_id)
    _refuse_changed_reading(conn, found)
    facts = facts_of(conn, municipality_id, found.alert_id, found.level, found.time, found.value, found.level)
    made = insert(
        conn,
        municipality_id,
        found.alert_id,
        found.mode,
        "update",
        found.notice_id,
        found.level,
        facts,
        found.texts,
        user_id,
        at,
    )
    drafted = notice(conn, made)
    assert drafted is not None, "it was just made"
    _refuse_wrong_words(drafted.texts, drafted)
    decide(
        conn,
        municipality_id,
        drafted,
        "approved",
        user_id,
        at,
        text_id=drafted.text_id,
        valid_until=valid_until,
        ends=found.notice_id,
        closing=closing_lines(conn, municipality_id, found.mode, at, zone),
    )
    return made


def cancel_false(conn: Connection, municipality_id: int, alert_id: int, user_id: int, at: datetime) -> int | None:
    """Takes back what the public was told of an alert that a person calls false, at once and in the words for that; its
    number, None where nothing is before the public. The caller is the act that retracts: one word of one person.

    What was over for longer than notices are remembered is let be: nobody reads it any more.
    """
    _alert(conn, municipality_id, alert_id)
    head = head_of(conn, alert_id)
    if head is None or head.valid_until is None or at > head.valid_until + REMEMBERED:
        return None
    facts = facts_of(conn, municipality_id, alert_id, head.level, head.time, head.value, head.level)
    made = insert(
        conn,
        municipality_id,
        alert_id,
        head.mode,
        "cancel",
        head.notice_id,
        head.level,
        facts,
        words.cancelled(facts, "mistake"),
        user_id,
        at,
        equivalent=head.equivalent,
    )
    drafted = notice(conn, made)
    assert drafted is not None, "it was just made"
    decide(
        conn,
        municipality_id,
        drafted,
        "approved",
        user_id,
        at,
        text_id=drafted.text_id,
        valid_until=at + LONGEST,
        ends=head.notice_id,
        closing=closing_lines(conn, municipality_id, head.mode, at, facts.zone),
    )
    return made


def discard(conn: Connection, municipality_id: int, notice_id: int, user_id: int, at: datetime, zone: ZoneInfo) -> None:
    """Lays a draft aside: it is told to nobody."""
    found = _undecided(conn, municipality_id, notice_id, zone)
    decide(conn, municipality_id, found, "discarded", user_id, at)


def _alert(
    conn: Connection, municipality_id: int, alert_id: int
) -> tuple[str, str, datetime | None, int | None, datetime, float | None]:
    # Two statements: who had to wait for the lock would read what was there before.
    conn.execute("select from alert where alert_id = %s for update", (alert_id,))
    row = conn.execute(
        """
        select rule, mode, cleared_at, level, phenomenon_time, value from alert
        where alert_id = %s and municipality_id = %s
        """,
        (alert_id, municipality_id),
    ).fetchone()
    if row is None:
        raise NoSuchNotice(alert_id)
    rule, mode, cleared_at, level, time, value = row
    return rule, mode, cleared_at, level, time, value


def _locked(conn: Connection, municipality_id: int, notice_id: int) -> Notice:
    found = notice(conn, notice_id)
    if found is None:
        raise NoSuchNotice(notice_id)
    _alert(conn, municipality_id, found.alert_id)
    return notice(conn, notice_id) or found


def _undecided(conn: Connection, municipality_id: int, notice_id: int, zone: ZoneInfo) -> Notice:
    found = _locked(conn, municipality_id, notice_id)
    if found.event is not None:
        assert found.decided_at is not None, "what is decided has a time"
        raise AlreadyDecided(found.decided_by or "事前承認", short_time(found.decided_at, zone.key), found.event)
    return found


def _refuse_second_draft(conn: Connection, alert_id: int) -> None:
    open_draft = draft_of(conn, alert_id)
    if open_draft is not None:
        raise DraftThere(open_draft.notice_id)


def _refuse_changed_reading(conn: Connection, found: Notice) -> None:
    """A false reading must not be told because it was true when the draft was made."""
    kept = conn.execute(
        """
        select o.value from tenant_observation o join alert a using (datastream_id)
        where a.alert_id = %s and o.phenomenon_time = %s
          and (o.quality in ('good', 'manual', 'estimated') or o.quality = 'doubtful' and o.reason = 'clock')
        """,
        (found.alert_id, found.time),
    ).fetchone()
    if kept is None or kept[0] != found.value:
        raise ReadingChanged()


def _refuse_wrong_words(texts: Texts, found: Notice) -> None:
    wrong: list[Wrong] = []
    for variant in VARIANTS:
        text = texts[variant]
        if not 0 < len(text.headline) <= MAX_HEADLINE:
            wrong.append(Wrong(variant, "headline", None))
        if not 0 < len(text.body) <= MAX_BODY:
            wrong.append(Wrong(variant, "body", None))
        for part, said in (("headline", text.headline), ("body", text.body)):
            for each in check(said, equivalent=found.equivalent, highest=found.highest):
                wrong.append(Wrong(variant, "headline" if part == "headline" else "body", each))
    if wrong:
        raise WrongWords(wrong)
