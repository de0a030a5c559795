"""事前承認: what the public may be told when a gauge reaches a level, decided beforehand by a named authority.

    approvals(conn) -> [StandingApproval]                 of the municipality, newest first
    approval(conn, id)                                    one of them
    enter(conn, town, draft, user, at, zone) -> id        somebody of the desk writes it down: it is nothing yet
    sign(conn, town, id, user, at, zone)                  another one signs it: now it has effect
    revoke(conn, town, id, user, at)                      any one, at once
    told_by(conn, id) -> [Told]                           which notices it has told

Each act runs in the caller's transaction, on a connection of the API's role in one municipality, only adds rows, and
leaves the commit to the caller. `at` is town time. Raises a `StandingRefused`, having changed nothing. One at a time of
a gauge: each act, and whoever publishes (`alerts.public.standing_publish`), takes that gauge's turn first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Literal, LiteralString
from zoneinfo import ZoneInfo

from alerts.errors import AlertsError
from alerts.public.basis import SetInForce, sets_in_force
from alerts.public.making import Step
from alerts.public.standing_words import Problem, clean, problems
from alerts.public.words import VARIANTS, Text, Texts, tidy
from alerts.rules import standing
from alerts.wording import short_time
from store import Connection

LONGEST = timedelta(days=366)
MOST_NAME = 100  # characters
HOURS = (3, 6, 12, 24)

State = Literal["unsigned", "holds", "over", "levels", "words", "revoked", "replaced"]


class StandingRefused(AlertsError):
    """It cannot be entered, signed or revoked: `problems` by field, or one sentence (field "")."""

    def __init__(self, found: Sequence[Problem]) -> None:
        super().__init__(" ".join(f"{each.field}: {each.en}" for each in found))
        self.problems = tuple(found)


@dataclass(frozen=True, slots=True)
class Draft:
    """What somebody has typed. `ended` None: the end of the alert takes nothing back. `holds_to` the last day.
    `renews`: before the time of a notice is over it is told anew, while the level stands.
    """

    station: str
    level: int
    reached: Texts
    ended: Texts | None
    hours: int
    holds_to: str
    authority: str
    post: str
    document: str
    dated: str
    renews: bool = False


@dataclass(frozen=True, slots=True)
class StandingApproval:
    """An approval with its words. `threshold` of its level in its set, in m. `set_in_force` and `statement`: those that
    the gauge has now; the approval tells only while they are its own.
    """

    approval_id: int
    station_id: int
    station: str
    name: str
    name_en: str
    level: int
    threshold: float
    threshold_set_id: int
    threshold_source_id: int | None
    hours: int
    holds_until: datetime
    authority: str
    post: str
    document: str
    dated: date
    entered_at: datetime
    entered_by_id: int
    entered_by: str
    signed_at: datetime | None
    signed_by: str | None
    ended: Literal["revoked", "replaced"] | None
    ended_at: datetime | None
    ended_by: str | None
    told: int
    renews: bool
    texts: dict[Step, Texts]
    held: SetInForce | None = None

    @property
    def last_moment(self) -> datetime:
        """Within the last day on which it holds."""
        return self.holds_until - timedelta(minutes=1)

    @property
    def same_levels(self) -> bool:
        """Whether the levels, and whose they are, are those for which the words were written."""
        return self.held is not None and (self.held.threshold_set_id, self.held.statement_id) == (
            self.threshold_set_id,
            self.threshold_source_id,
        )

    def clean(self, zone: ZoneInfo) -> bool:
        """Whether its words may be said of the levels in force."""
        equivalent = self.held is not None and self.held.basis.equivalent
        return all(clean(texts, zone, equivalent=equivalent, level=self.level) for texts in self.texts.values())

    def state(self, now: datetime, zone: ZoneInfo) -> State:
        if self.ended is not None:
            return self.ended
        if now >= self.holds_until:
            return "over"
        if not self.same_levels:
            return "levels"
        if not self.clean(zone):
            return "words"
        return "unsigned" if self.signed_at is None else "holds"

    def rule(self, zone: ZoneInfo) -> standing.Approval:
        """As the rule looks at it."""
        return standing.Approval(
            self.approval_id,
            self.level,
            self.threshold,
            self.signed_at,
            self.ended is not None,
            self.holds_until,
            self.same_levels,
            self.clean(zone),
            "ended" in self.texts,
            self.renews,
        )


@dataclass(frozen=True, slots=True)
class Told:
    """A notice that was told in the name of an approval."""

    notice_id: int
    alert_id: int
    step: Step
    at: datetime
    headline: str
    headline_en: str


def approvals(conn: Connection, now: datetime, *, station_id: int | None = None) -> list[StandingApproval]:
    """All of the municipality, or of one gauge, newest first."""
    if station_id is None:
        return _read(conn, now, "order by p.standing_approval_id desc", ())
    return _read(conn, now, "where p.station_id = %s order by p.standing_approval_id desc", (station_id,))


def approval(conn: Connection, approval_id: int, now: datetime) -> StandingApproval | None:
    """One of the municipality."""
    found = _read(conn, now, "where p.standing_approval_id = %s", (approval_id,))
    return found[0] if found else None


def told_by(conn: Connection, approval_id: int) -> list[Told]:
    """The notices that it has told, newest first."""
    return [
        Told(*row)
        for row in conn.execute(
            """
            select n.public_notice_id, n.alert_id, n.standing_step, n.made_at, t.ja_headline, t.en_headline
            from public_notice n join public_notice_text t using (public_notice_id)
            where n.standing_approval_id = %s and n.mode = 'actual' order by 1 desc
            """,
            (approval_id,),
        )
    ]


def enter(conn: Connection, municipality_id: int, draft: Draft, user_id: int, at: datetime, zone: ZoneInfo) -> int:
    """Writes an approval down and returns its number; nothing is told in its name before somebody else has signed."""
    held = next((each for each in sets_in_force(conn, at) if each.station == draft.station), None)
    if held is None or draft.level not in {stage.level for stage in held.stages}:
        raise StandingRefused(
            [
                Problem(
                    "level",
                    "この観測所には、その段階の基準水位がありません。",
                    "The gauge has no reference level of that number.",
                )
            ]
        )
    texts: dict[Step, Texts] = {"reached": _tidy(draft.reached)}
    if draft.ended is not None:
        texts["ended"] = _tidy(draft.ended)
    found = []
    for step, said in texts.items():
        prefix = "" if step == "reached" else "end_"
        found += problems(said, zone, equivalent=held.basis.equivalent, level=draft.level, prefix=prefix)
    named = {"authority": draft.authority, "post": draft.post, "document": draft.document}
    named = {field: tidy(text, " ") for field, text in named.items()}
    for field, text in named.items():
        if not 0 < len(text) <= MOST_NAME:
            found.append(
                Problem(field, f"1 字以上、{MOST_NAME} 字以内で書いてください。", f"From 1 to {MOST_NAME} letters.")
            )
    dated, until = _day(draft.dated), _day(draft.holds_to)
    if dated is None or datetime(dated.year, dated.month, dated.day, tzinfo=zone) > at:
        found.append(
            Problem("dated", "文書の日付を、今日までの日で書いてください。", "The document's date, not after today.")
        )
    holds = None if until is None else datetime(until.year, until.month, until.day, tzinfo=zone) + timedelta(days=1)
    if holds is None or not at < holds <= at + LONGEST:
        found.append(
            Problem(
                "holds_to",
                "いつまで有効かを、今日から 1 年以内の日で書いてください（出水期の終わりなど）。",
                "Until when it holds: a day within a year from today, such as the end of the flood season.",
            )
        )
    if draft.hours not in HOURS:
        found.append(Problem("hours", "掲載の時間を選んでください。", "Choose how long a notice stands."))
    if found:
        raise StandingRefused(found)
    row = conn.execute(
        """
        insert into standing_approval (municipality_id, station_id, level, threshold_set_id, threshold_source_id, hours,
                                       holds_until, authority, post, document, dated, entered_at, entered_by,
                                       renews)
        select %s, station_id, %s, threshold_set_id, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s
        from threshold_set where threshold_set_id = %s returning standing_approval_id
        """,
        (
            municipality_id,
            draft.level,
            held.statement_id,
            draft.hours,
            holds,
            named["authority"],
            named["post"],
            named["document"],
            dated,
            at,
            user_id,
            draft.renews,
            held.threshold_set_id,
        ),
    ).fetchone()
    assert row is not None, "the set is in force"
    for step, said in texts.items():
        conn.execute(
            """
            insert into standing_approval_text (standing_approval_id, municipality_id, step, ja_headline, ja_body,
                                                en_headline, en_body, plain_headline, plain_body)
            values (%s, %s, %s, %s, %s, %s, %s, %s, %s)
            """,
            (
                row[0],
                municipality_id,
                step,
                *(part for v in ("ja", "en", "plain") for part in (said[v].headline, said[v].body)),
            ),
        )
    return int(row[0])


def sign(conn: Connection, municipality_id: int, approval_id: int, user_id: int, at: datetime, zone: ZoneInfo) -> None:
    """Gives it effect; what was in force for the same gauge and level is replaced by it."""
    found = _turn(conn, approval_id, at)
    if found.entered_by_id == user_id:
        raise _no(
            "入力した人は署名できません。別の人が署名してください。",
            "Who entered it cannot sign it: somebody else has to.",
        )
    if found.signed_at is not None:
        when = short_time(found.signed_at, zone.key)
        raise _no(f"{found.signed_by}が {when} に署名しています。", f"{found.signed_by} signed it at {when}.")
    state = found.state(at, zone)
    if state != "unsigned":
        raise _no(*_STATES[state])
    for other in approvals(conn, at, station_id=found.station_id):
        if other.level == found.level and other.signed_at is not None and other.ended is None:
            _event(conn, municipality_id, other, "replaced", user_id, at)
    _event(conn, municipality_id, found, "signed", user_id, at)


def revoke(conn: Connection, municipality_id: int, approval_id: int, user_id: int, at: datetime) -> None:
    """Takes it back; what it has told stays until a person withdraws that, or its time is over."""
    found = _turn(conn, approval_id, at)
    if found.ended is not None:
        raise _no(*_STATES[found.ended])
    _event(conn, municipality_id, found, "revoked", user_id, at)


def take_turn(conn: Connection, station_id: int) -> None:
    """Whoever signs, revokes or publishes for a gauge waits here for the others, until the transaction ends."""
    conn.execute("select pg_advisory_xact_lock(hashtextextended('standing approval', %s))", (station_id,))


_STATES: dict[State, tuple[str, str]] = {
    "revoked": ("取り下げられています。", "It was revoked."),
    "replaced": ("別の事前承認に置き換わっています。", "Another approval has taken its place."),
    "over": ("有効期限が過ぎています。新しく入力してください。", "Its time is over. Enter a new one."),
    "levels": (
        "入力の後で、基準水位か基準の根拠が変わりました。取り下げて、新しく入力してください。",
        "The reference levels, or whose they are, have changed since. Revoke it and enter a new one.",
    ),
    "words": (
        "使えない言葉があります。取り下げて、新しく入力してください。",
        "It has words that may not be said. Revoke it and enter a new one.",
    ),
}


def _no(ja: str, en: str) -> StandingRefused:
    return StandingRefused([Problem("", ja, en)])


def _turn(conn: Connection, approval_id: int, at: datetime) -> StandingApproval:
    # Two statements: who had to wait for the turn would read what was there before.
    found = approval(conn, approval_id, at)
    if found is not None:
        take_turn(conn, found.station_id)
        found = approval(conn, approval_id, at)
    if found is None:
        raise _no(f"事前承認 {approval_id} はありません。", f"There is no standing approval {approval_id}.")
    return found


def _event(
    conn: Connection, municipality_id: int, found: StandingApproval, event: str, user_id: int, at: datetime
) -> None:
    conn.execute(
        """
        insert into standing_approval_event (standing_approval_id, municipality_id, event, at, user_id, entered_by)
        values (%s, %s, %s, %s, %s, %s)
        """,
        (found.approval_id, municipality_id, event, at, user_id, found.entered_by_id),
    )


def _tidy(texts: Texts) -> Texts:
    return {v: Text(tidy(texts[v].headline, " "), tidy(texts[v].body, "\n")) for v in VARIANTS}


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        return None


def _read(conn: Connection, now: datetime, which: LiteralString, values: tuple[object, ...]) -> list[StandingApproval]:
    rows = conn.execute(_APPROVALS + which, values).fetchall()
    held = {}
    for station_id in {row[1] for row in rows}:
        held[station_id] = next(iter(sets_in_force(conn, now, station_id)), None)
    found = []
    for row in rows:
        fields: tuple[Any, ...] = (*row[:25], _texts(row[25]), held[row[1]])
        found.append(StandingApproval(*fields))
    return found


def _texts(stored: dict[str, list[str]]) -> dict[Step, Texts]:
    steps: tuple[Step, ...] = ("reached", "ended")
    return {
        step: {"ja": Text(*said[:2]), "en": Text(*said[2:4]), "plain": Text(*said[4:])}
        for step in steps
        if (said := stored.get(step)) is not None
    }


_APPROVALS: LiteralString = """
select p.standing_approval_id, p.station_id, s.code, s.name, s.name_en, p.level,
       (select l.value from threshold_level l where l.threshold_set_id = p.threshold_set_id and l.level = p.level),
       p.threshold_set_id, p.threshold_source_id, p.hours, p.holds_until, p.authority, p.post, p.document, p.dated,
       p.entered_at, p.entered_by, entered.display_name, signed.at, signer.display_name,
       over.event, over.at, ender.display_name,
       (select count(*) from public_notice n
        where n.standing_approval_id = p.standing_approval_id and n.standing_step = 'reached' and n.mode = 'actual'),
       p.renews,
       (select json_object_agg(t.step, json_build_array(t.ja_headline, t.ja_body, t.en_headline, t.en_body,
                                                        t.plain_headline, t.plain_body))
        from standing_approval_text t where t.standing_approval_id = p.standing_approval_id)
from standing_approval p
join station s using (station_id)
join app_user entered on entered.user_id = p.entered_by
left join standing_approval_event signed on signed.standing_approval_id = p.standing_approval_id
     and signed.event = 'signed'
left join app_user signer on signer.user_id = signed.user_id
left join standing_approval_event over on over.standing_approval_id = p.standing_approval_id and over.event <> 'signed'
left join app_user ender on ender.user_id = over.user_id
"""
