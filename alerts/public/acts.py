"""What a person does about a notice: draft, rewrite, approve, update, withdraw, discard. For the API.

Each runs in the caller's transaction, on a connection of the API's role in one municipality, adds rows with the
person's name and a feed row (its last statement), and leaves the commit to the caller. `at` is town time. Raises a
`NoticeRefused`, having changed nothing. Two persons at one alert take turns: each act begins by locking it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from alerts.public import words
from alerts.public.basis import sets_in_force
from alerts.public.evacuation import current_evacuation
from alerts.public.forbidden import check
from alerts.public.notices import Notice, draft_of, head_of, notice
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
from alerts.public.words import VARIANTS, Basis, Facts, Kind, Stage, Text, Texts, Why
from alerts.wording import short_time
from store import Connection
from store.feed import append_alerts

MAX_HEADLINE = 200  # characters
MAX_BODY = 1000
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
    facts = _facts(conn, municipality_id, alert_id, level, time, value, None if standing is None else standing.level)
    kind: Kind = "alert" if standing is None else "update"
    supersedes = None if standing is None else standing.notice_id
    return _insert(
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
    facts = _facts(conn, municipality_id, found.alert_id, found.level, found.time, found.value, found.level)
    return _insert(
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
    tidy: Texts = {v: Text(_tidy(texts[v].headline, " "), _tidy(texts[v].body, "\n")) for v in VARIANTS}
    _refuse_wrong_words(tidy, found)
    if tidy != found.texts:
        _write(conn, municipality_id, notice_id, tidy, user_id, at)
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
    (municipality,) = conn.execute(
        "select name from municipality where municipality_id = %s", (municipality_id,)
    ).fetchone() or ("",)
    evacuation = current_evacuation(conn, municipality_id, at, zone, mode=found.mode)
    _decide(
        conn,
        municipality_id,
        found,
        "approved",
        user_id,
        at,
        text_id=found.text_id,
        valid_until=valid_until,
        ends=found.supersedes,
        closing=[words.closing(municipality, evacuation, variant) for variant in ("ja", "en", "plain")],
    )


def discard(conn: Connection, municipality_id: int, notice_id: int, user_id: int, at: datetime, zone: ZoneInfo) -> None:
    """Lays a draft aside: it is told to nobody."""
    found = _undecided(conn, municipality_id, notice_id, zone)
    _decide(conn, municipality_id, found, "discarded", user_id, at)


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
        raise AlreadyDecided(found.decided_by or "", short_time(found.decided_at, zone.key), found.event)
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


def _facts(
    conn: Connection,
    municipality_id: int,
    alert_id: int,
    level: int,
    time: datetime,
    value: float,
    before: int | None,
) -> Facts:
    row = conn.execute(
        """
        select m.name, m.timezone, s.name, s.name_en, s.station_id, newest.phenomenon_time, newest.value
        from alert a join station s using (station_id)
        join municipality m on m.municipality_id = a.municipality_id
        left join lateral (
            select o.phenomenon_time, o.value from tenant_observation o
            where o.datastream_id = a.datastream_id and o.quality in ('good', 'manual', 'estimated')
            order by o.phenomenon_time desc limit 1
        ) newest on newest.phenomenon_time > %s
        where a.alert_id = %s and a.municipality_id = %s
        """,
        (time, alert_id, municipality_id),
    ).fetchone()
    if row is None:
        raise NoSuchNotice(alert_id)
    municipality, timezone, station, station_en, station_id, newest_time, newest_value = row
    held = next(iter(sets_in_force(conn, time, station_id)), None)
    stage: Stage | None = None if held is None else next((s for s in held.stages if s.level == level), None)
    return Facts(
        municipality,
        station,
        station_en or station,
        ZoneInfo(timezone),
        time,
        value,
        stage,
        Basis() if held is None else held.basis,
        before,
        None if newest_time is None else (newest_time, newest_value),
    )


def _insert(
    conn: Connection,
    municipality_id: int,
    alert_id: int,
    mode: str,
    kind: Kind,
    supersedes: int | None,
    level: int,
    facts: Facts,
    texts: Texts,
    user_id: int,
    at: datetime,
    *,
    equivalent: bool | None = None,
) -> int:
    row = conn.execute(
        """
        insert into public_notice (municipality_id, station_id, alert_id, mode, kind, supersedes, equivalent, level,
                                   threshold, phenomenon_time, value, made_at, made_by)
        select municipality_id, station_id, alert_id, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s
        from alert where alert_id = %s and municipality_id = %s
        returning public_notice_id
        """,
        (
            mode,
            kind,
            supersedes,
            facts.basis.equivalent if equivalent is None else equivalent,
            level,
            None if facts.stage is None else facts.stage.value,
            facts.time,
            facts.value,
            at,
            user_id,
            alert_id,
            municipality_id,
        ),
    ).fetchone()
    assert row is not None, "the alert is locked"
    _write(conn, municipality_id, row[0], texts, None, at)
    append_alerts(conn, municipality_id, [alert_id])
    return int(row[0])


def _write(
    conn: Connection, municipality_id: int, notice_id: int, texts: Texts, user_id: int | None, at: datetime
) -> None:
    conn.execute(
        """
        insert into public_notice_text (municipality_id, public_notice_id, ja_headline, ja_body, en_headline, en_body,
                                        plain_headline, plain_body, written_at, user_id)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
        """,
        (
            municipality_id,
            notice_id,
            texts["ja"].headline,
            texts["ja"].body,
            texts["en"].headline,
            texts["en"].body,
            texts["plain"].headline,
            texts["plain"].body,
            at,
            user_id,
        ),
    )


def _decide(
    conn: Connection,
    municipality_id: int,
    found: Notice,
    event: str,
    user_id: int,
    at: datetime,
    *,
    text_id: int | None = None,
    valid_until: datetime | None = None,
    ends: int | None = None,
    closing: list[str] | None = None,
) -> None:
    conn.execute(
        """
        insert into public_notice_event (public_notice_id, municipality_id, event, at, user_id, public_notice_text_id,
                                         valid_until, ends, ja_closing, en_closing, plain_closing)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
        """,
        (
            found.notice_id,
            municipality_id,
            event,
            at,
            user_id,
            text_id,
            valid_until,
            ends,
            *(closing or (None, None, None)),
        ),
    )
    append_alerts(conn, municipality_id, [found.alert_id])


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


def _tidy(text: str, between: str) -> str:
    """Lines without what cannot be printed, and without empty ones at the ends."""
    lines = ["".join(c for c in line if c.isprintable()).strip() for line in text.splitlines()]
    return between.join(lines).strip()
