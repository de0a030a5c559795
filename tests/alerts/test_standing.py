"""What the public is told in the name of an approval given beforehand: once, and only of what is sure."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts import retraction
from alerts.public import standing
from alerts.public.notices import chain_before
from alerts.public.standing import Draft, StandingApproval, StandingRefused
from alerts.public.standing_publish import Standing, outlook
from alerts.public.standing_rehearsal import YEAR, rehearse
from alerts.public.standing_words import draft, draft_end
from alerts.public.words import Basis, Facts, Stage, Text
from alerts.rules.standing import FRESH, Approval, Seen, Situation, Why, choose, ended, refused
from devices.model import Quality, Reason
from store import connect
from tests.alerts.gauge import BRIDGE, STEP, Gauge
from tests.alerts.test_public_notices import HOUR, TOKYO, Desk, as_api
from tests.conftest import START

DOUBTFUL = (2.7, Quality.DOUBTFUL, Reason.RATE)
NAMED = {
    "authority": "美守 太郎",
    "post": "町長",
    "document": "危第12号",
    "dated": "2026-04-01",
    "holds_to": "2026-10-31",
}


class Town(Desk):
    """The desk, with two who write approvals and sign them, and what publishes in their name."""

    def __init__(self, gauge: Gauge) -> None:
        super().__init__(gauge)
        self.other = gauge.user("disaster", email="sato@example.jp", name="佐藤")

    def typed(self, level: int = 2, *, ends: bool = False, **changes: Any) -> Draft:
        stage = Stage(level, level, "", "", {2: 2.6, 3: 3.2, 4: 3.6}[level])
        facts = Facts("美守町", "美守橋", "Mimamori Bridge", TOKYO, START, 9.0, stage, Basis())
        return Draft(
            **{  # type: ignore[arg-type]
                "station": BRIDGE,
                "level": level,
                "reached": draft(facts),
                "ended": draft_end(facts) if ends else None,
                "hours": 12,
                **NAMED,
                **changes,
            }
        )

    def enter(self, level: int = 2, **changes: Any) -> int:
        return self._do(standing.enter, self.typed(level, **changes), self.person, self.gauge.clock.now(), TOKYO)  # type: ignore[no-any-return]

    def sign(self, approval_id: int, by: int | None = None) -> int:
        self._do(standing.sign, approval_id, by or self.other, self.gauge.clock.now(), TOKYO)
        return approval_id

    def signed(self, level: int = 2, **changes: Any) -> int:
        return self.sign(self.enter(level, **changes))

    def revoke(self, approval_id: int) -> None:
        self._do(standing.revoke, approval_id, self.person, self.gauge.clock.now())

    def approval(self, approval_id: int) -> StandingApproval:
        with as_api(self.gauge) as conn:
            found = standing.approval(conn, approval_id, self.gauge.clock.now())
        assert found is not None
        return found

    def state(self, approval_id: int) -> str:
        return self.approval(approval_id).state(self.gauge.clock.now(), TOKYO)

    def river(self, *values: Any) -> None:
        """One reading every ten minutes from now on, judged as it comes, and looked at by who publishes."""
        for value in values:
            self.gauge.clock.advance(STEP)
            self.gauge.send([(self.gauge.clock.now(), value)])
            self.gauge.evaluate()
            self.look()

    def look(self) -> int:
        looker, told = Standing(self.gauge.clock, mail=True, public_url="https://town.example"), 0
        with connect(self.gauge.town.worker, name="test") as conn:
            while looker.look(conn):
                conn.commit()
                told += 1
        return told

    def why(self) -> Why | None:
        ((alert_id,),) = self.gauge.rows("select max(alert_id) from alert where rule = 'level'")
        with as_api(self.gauge) as conn:
            return outlook(conn, alert_id, self.gauge.clock.now(), TOKYO)

    def retract(self) -> None:
        ((alert_id,),) = self.gauge.rows("select max(alert_id) from alert where rule = 'level'")
        self._do(
            retraction.retract, alert_id, self.person, self.gauge.clock.now(), "流木が当たっていた", simulated=False
        )

    def _do(self, act: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        with as_api(self.gauge) as conn:
            return act(conn, self.town, *arguments, **named)


@pytest.fixture
def town(gauge: Gauge) -> Town:
    """A river far below its levels."""
    gauge.send_series(1.2, 1.2)
    gauge.evaluate()
    gauge.clock.advance(STEP)
    return Town(gauge)


def test_it_is_told_at_once_and_the_desk_with_it(town: Town) -> None:
    approval_id = town.signed()
    town.river(2.5)
    assert town.public() == []
    town.river(2.7)
    (told,) = town.public()
    assert "9時30分の観測値は 2.70 m です" in told.texts["ja"].body and "2.70 m at 09:30" in told.texts["en"].body
    assert told.standing is not None and (told.made_by, told.decided_by) == (None, None)
    assert (told.standing.approval_id, told.standing.entered_by, told.standing.signed_by) == (
        approval_id,
        "山田",
        "佐藤",
    )
    assert (told.mode, told.kind, told.level, told.state(town.gauge.clock.now())) == ("actual", "alert", 2, "standing")
    assert (
        told.valid_until == town.gauge.clock.now() + 12 * HOUR and "避難の情報は町が別に" in (told.closing or {})["ja"]
    )
    ((subject, body, brief),) = town.gauge.rows(
        "select subject, body, brief from outbox join alert_history using (alert_history_id) "
        "where event = 'published' and channel = 'mail'"
    )
    assert subject.startswith("【模擬】【事前承認により公開】") and "決定：町長 美守 太郎（危第12号）" in body
    assert f"https://town.example/disaster/notices/{told.notice_id}" in body and "2.70" not in brief
    assert town.gauge.rows("select channel from outbox where channel <> 'log' and sent_at is not null") == []
    assert town.approval(approval_id).told == 1


def test_it_is_told_once_and_again_at_each_higher_level_that_has_its_own(town: Town) -> None:
    town.signed(2)
    town.signed(4)
    town.river(2.7, 2.9, 3.3, 2.7, 2.8)
    assert [each.level for each in town.public()] == [2], "level 3 has no approval of its own"
    town.river(3.7, 3.8)
    newest, first = town.public()
    assert (newest.kind, newest.level, newest.supersedes) == ("update", 4, first.notice_id)
    with as_api(town.gauge) as conn:
        assert [each.notice_id for each in chain_before(conn, newest)] == [first.notice_id]
    assert town.states() == ["updated", "standing"]


def test_a_jump_over_it_is_told_in_its_words(town: Town) -> None:
    town.signed(2)
    town.river(3.8)
    (told,) = town.public()
    assert told.level == 2 and "3.80 m" in told.texts["ja"].body


@pytest.mark.parametrize(
    ("why", "spoil"),
    [
        (Why.NO_READING, lambda t: t.gauge.rows("update observation set quality = 'bad' returning 1")),
        (Why.DOUBTFUL, lambda t: t.gauge.rows(
            "update observation set quality = 'doubtful', reason = 'clock' where value = 2.7 returning 1")),
        (Why.WORK, lambda t: t.gauge.rows(
            "insert into planned_work (municipality_id, device_id, starts_at, ends_at, work, entered_at) "
            "select a.municipality_id, a.device_id, %s, %s, '点検', %s from attachment a "
            "where a.station_id = %s and a.attached_to is null returning 1",
            START, START + timedelta(days=1), START, t.gauge.station_id)),
        (Why.OLD, lambda t: t.gauge.clock.advance(FRESH + timedelta(seconds=1))),
        (Why.LEVELS, lambda t: t.adopt("own", words="一\n二\n三\n四\n五", words_en="a\nb\nc\nd\ne")),
        (Why.UNCONFIRMED, lambda t: t.gauge.rows("update alert set confirmed_level = 1 returning 1")),
        (Why.DRILL, lambda t: t.gauge.rows("update alert set mode = 'exercise' returning 1")),
        (Why.CLEARED, lambda t: t.gauge.rows("update alert set cleared_at = now() returning 1")),
        (Why.RETRACTED, lambda t: t.retract()),
        (Why.PASSED, lambda t: t.gauge.send([(t.gauge.clock.now() + STEP, 2.55)])),
        (None, lambda t: t.revoke(1)),
    ],
)  # fmt: skip
def test_what_is_not_sure_is_left_to_a_person(town: Town, why: Why | None, spoil: Callable[[Town], Any]) -> None:
    town.signed()
    town.gauge.clock.advance(STEP)
    town.gauge.send([(town.gauge.clock.now(), 2.7)])
    town.gauge.evaluate()
    spoil(town)
    assert town.why() is why
    assert town.look() == 0 and town.public() == []


def test_a_doubtful_reading_alone_tells_nothing_and_the_next_one_does(town: Town) -> None:
    town.signed()
    town.river(DOUBTFUL)
    assert town.public() == []
    town.river(2.7)
    assert len(town.public()) == 1


def test_what_stood_before_the_signature_is_for_the_person_who_signs(town: Town) -> None:
    unsigned = town.enter()
    town.river(2.7)
    town.sign(unsigned)
    town.river(2.8)
    assert town.public() == [] and town.why() is Why.BEFORE


def test_what_a_person_took_back_is_not_told_again_not_even_higher(town: Town) -> None:
    town.signed(2)
    town.signed(4)
    town.river(2.7)
    (told,) = town.public()
    town.approve(town.withdraw(told))
    town.river(2.8, 3.8)
    assert town.states() == ["cancelled", "withdrawal"] and town.why() is Why.WITHDRAWN


def test_what_a_person_has_told_already_is_not_told_again(town: Town) -> None:
    town.river(2.7)
    town.approve(town.draft())
    town.signed(4)
    town.river(2.8)
    assert town.states() == ["standing"]
    town.river(3.7)
    assert town.states() == ["updated", "standing"] and town.public()[0].standing is not None


def test_a_false_alarm_takes_the_notice_back_in_the_same_act(town: Town) -> None:
    town.signed()
    town.river(2.7)
    town.retract()
    withdrawal, first = town.public()
    assert (withdrawal.kind, withdrawal.supersedes, withdrawal.decided_by) == ("cancel", first.notice_id, "山田")
    assert "観測値に誤りがあったため取り消します" in withdrawal.texts["ja"].body
    town.river(2.8, 2.9)
    assert town.states() == ["cancelled", "withdrawal"]


def test_the_end_takes_back_only_what_was_approved_to_be_taken_back(town: Town) -> None:
    town.signed(2, ends=True)
    town.river(2.7, 1.5, 1.5, 1.5, 1.5, 1.5)
    withdrawal, _ = town.public()
    assert (withdrawal.kind, withdrawal.standing is not None) == ("cancel", True)
    assert "の観測値は 1.50 m で、お知らせの基準を下回りました" in withdrawal.texts["ja"].body
    assert town.look() == 0
    town.signed(2)
    town.river(2.7, 1.5, 1.5, 1.5, 1.5, 1.5)
    assert town.states() == ["cancelled", "withdrawal", "standing"], "then it stands until its time is over"


def test_two_who_look_and_one_who_dies_tell_it_once(town: Town) -> None:
    town.signed()
    town.gauge.clock.advance(STEP)
    town.gauge.send([(town.gauge.clock.now(), 2.7)])
    town.gauge.evaluate()
    looker = Standing(town.gauge.clock, mail=True)
    dying = psycopg.connect(town.gauge.town.worker)
    assert looker.look(dying)
    ((pid,),) = dying.execute("select pg_backend_pid()").fetchall()
    counts: list[int] = []
    second = threading.Thread(target=lambda: counts.append(town.look()))
    second.start()
    town.gauge.wait_until_blocked()
    town.gauge.rows("select pg_terminate_backend(%s)", pid)
    second.join()
    dying.close()
    assert counts == [1] and town.look() == 0
    assert len(town.public()) == 1
    assert town.gauge.rows("select count(*) from alert_history where event = 'published'") == [(1,)]
    with connect(town.gauge.town.owner, name="test") as conn, pytest.raises(psycopg.errors.UniqueViolation):
        conn.execute(
            "insert into public_notice (municipality_id, station_id, alert_id, mode, kind, supersedes, equivalent, "
            "level, threshold, phenomenon_time, value, made_at, standing_approval_id, standing_step) "
            "select municipality_id, station_id, alert_id, mode, kind, supersedes, equivalent, level, threshold, "
            "phenomenon_time, value, made_at, standing_approval_id, standing_step from public_notice"
        )


def test_two_persons_sign_it_and_one_is_enough_to_stop_it(town: Town) -> None:
    first = town.enter()
    assert town.state(first) == "unsigned"
    with pytest.raises(StandingRefused, match="entered it cannot sign"):
        town.sign(first, town.person)
    with connect(town.gauge.town.owner, name="test") as conn, pytest.raises(psycopg.errors.CheckViolation):
        conn.execute(
            "insert into standing_approval_event select standing_approval_id, municipality_id, 'signed', entered_at, "
            "entered_by, entered_by from standing_approval"
        )
    town.sign(first)
    with pytest.raises(StandingRefused, match="佐藤 signed it"):
        town.sign(first)
    second = town.signed()
    assert (town.state(first), town.state(second)) == ("replaced", "holds")
    town.revoke(second)
    assert town.state(second) == "revoked"
    for again in (town.revoke, town.sign):
        with pytest.raises(StandingRefused):
            again(second)
    town.gauge.clock.advance(timedelta(days=200))
    third = town.enter(holds_to="2027-01-31")
    town.gauge.clock.advance(timedelta(days=60))
    assert town.state(third) == "over"
    with pytest.raises(StandingRefused, match="time is over"):
        town.sign(third)


@pytest.mark.parametrize("table", ["standing_approval", "standing_approval_text", "standing_approval_event"])
def test_nothing_of_an_approval_can_be_changed_or_removed(town: Town, table: str) -> None:
    for statement in (f"delete from {table}", f"update {table} set municipality_id = municipality_id"):
        for address in (town.gauge.town.api, town.gauge.town.worker):
            with connect(address, name="test") as conn, pytest.raises(psycopg.errors.InsufficientPrivilege):
                conn.execute(statement.encode())


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("level", {"station": "nowhere"}),
        ("authority", {"authority": " "}),
        ("post", {"post": "長" * 101}),
        ("document", {"document": ""}),
        ("dated", {"dated": "2026-06-02"}),
        ("holds_to", {"holds_to": "2026-05-31"}),
        ("holds_to", {"holds_to": "2027-06-03"}),
        ("hours", {"hours": 48}),
        ("ja_body", {"ja": Text("水位のお知らせ", "洪水警報です。［時刻］に ［値］ m です。")}),
        ("ja_body", {"ja": Text("水位のお知らせ", "水位が上がりました。")}),
        ("ja_headline", {"ja": Text("［名前］の水位", "［時刻］に ［値］ m です。")}),
        ("en_body", {"en": Text("River level", "At [time] 2.6 m.")}),
        ("plain_headline", {"plain": Text("", "［時刻］に ［値］ m です。")}),
        ("ja_headline", {"ja": Text("警戒レベル２相当です", "［時刻］に ［値］ m です。")}),
    ],
)  # fmt: skip
def test_what_may_not_be_told_is_refused_at_its_field(town: Town, field: str, changes: dict[str, Any]) -> None:
    typed = town.typed()
    texts = {**typed.reached, **{v: changes.pop(v) for v in ("ja", "en", "plain") if v in changes}}
    with pytest.raises(StandingRefused) as found:
        town._do(standing.enter, replace(typed, reached=texts, **changes), town.person, START, TOKYO)
    assert [each.field for each in found.value.problems][:1] == [field]
    assert town.gauge.rows("select count(*) from standing_approval") == [(0,)]


def test_the_past_year_shows_what_it_would_have_told(town: Town) -> None:
    then = START - timedelta(days=30)
    floods: tuple[Any, ...] = (1.0, 2.7, 2.8, *[1.0] * 6, DOUBTFUL, *[1.0] * 6, 3.4, *[1.0] * 6)
    town.gauge.send([(then + n * STEP, value) for n, value in enumerate(floods)])
    found = town.approval(town.enter(ends=True))
    with as_api(town.gauge) as conn:
        played = rehearse(conn, found, START - YEAR, START, TOKYO)
    assert [(each.time - then, each.value) for each in played.cases] == [(STEP, 2.7), (16 * STEP, 3.4)]
    assert played.alerts == 3 and played.observations == len(floods), "one stood on a doubtful reading alone"
    assert all(each.end is not None for each in played.cases)
    assert played.last is not None and "3.40 m" in played.last["reached"]["ja"].body


# --- the rule itself --------------------------------------------------------------------------------------------------

AT = datetime(2026, 6, 1, tzinfo=UTC)
SURE = Approval(1, 3, 3.2, AT - HOUR, False, AT + HOUR, tells_end=True)
FLOOD = Situation(AT, "actual", 4, 4, Seen(AT, 3.7), {3: AT, 4: AT})
# Each alone is reason enough, whatever else is so.
SPOILS: dict[Why, Callable[[Approval, Situation], tuple[Approval, Situation]]] = {
    Why.NOT_SIGNED: lambda a, s: (replace(a, signed_at=None), s),
    Why.REVOKED: lambda a, s: (replace(a, revoked=True), s),
    Why.OVER: lambda a, s: (replace(a, holds_until=s.now), s),
    Why.LEVELS: lambda a, s: (replace(a, same_levels=False), s),
    Why.WORDS: lambda a, s: (replace(a, clean=False), s),
    Why.DRILL: lambda a, s: (a, replace(s, mode="test")),
    Why.RETRACTED: lambda a, s: (a, replace(s, retracted=True)),
    Why.CLEARED: lambda a, s: (a, replace(s, cleared=True)),
    Why.BELOW: lambda a, s: (a, replace(s, level=a.level - 1, confirmed=a.level - 1)),
    Why.UNCONFIRMED: lambda a, s: (a, replace(s, confirmed=a.level - 1)),
    Why.BEFORE: lambda a, s: (a, replace(s, reached={a.level: (a.signed_at or s.now) - timedelta(seconds=1)})),
    Why.WITHDRAWN: lambda a, s: (a, replace(s, withdrawn=True)),
    Why.TOLD: lambda a, s: (a, replace(s, told=a.level)),
    Why.WORK: lambda a, s: (a, replace(s, working=True)),
    Why.NO_READING: lambda a, s: (a, replace(s, newest=None)),
    Why.DOUBTFUL: lambda a, s: (a, replace(s, newest=Seen(s.now, 9.0, Quality.DOUBTFUL, "clock"))),
    Why.PASSED: lambda a, s: (a, replace(s, newest=Seen(s.now, (a.threshold or 0) - 0.001))),
    Why.OLD: lambda a, s: (a, replace(s, newest=Seen(s.now - FRESH - timedelta(microseconds=1), 9.0))),
}


@given(
    st.sets(st.sampled_from(sorted(SPOILS)), min_size=1),
    st.integers(1, 5),
    st.integers(0, 4),
    st.none() | st.integers(1, 5),
    st.floats(0, 3),
    st.sampled_from([Quality.GOOD, Quality.MANUAL]),
)
def test_only_what_has_nothing_against_it_is_told(
    spoils: set[Why], level: int, above: int, told: int | None, over: float, quality: Quality
) -> None:
    reached = min(5, level + above)
    approval = replace(SURE, level=level)
    situation = replace(
        FLOOD,
        level=reached,
        confirmed=reached,
        reached=dict.fromkeys(range(1, reached + 1), AT),
        newest=Seen(AT - FRESH, 3.2 + over, quality),
        told=told if told is None or told < level else None,
    )
    assert refused(approval, situation) is None
    assert choose([replace(approval, level=level, revoked=True), approval], situation) == (approval, None)
    for each in sorted(spoils):
        approval, situation = SPOILS[each](approval, situation)
    assert refused(approval, situation) is not None
    assert choose([approval], situation)[0] is None


@pytest.mark.parametrize("why", sorted(SPOILS))
def test_each_reason_is_said_by_its_name(why: Why) -> None:
    assert refused(*SPOILS[why](SURE, FLOOD)) is why


@pytest.mark.parametrize(
    ("why", "approval", "situation"),
    [
        (None, {}, {}),
        (Why.NO_WORDS, {"tells_end": False}, {}),
        (Why.REVOKED, {"revoked": True}, {}),
        (Why.LEVELS, {"same_levels": False}, {}),
        (Why.WORDS, {"clean": False}, {}),
        (Why.DRILL, {}, {"mode": "exercise"}),
        (Why.RETRACTED, {}, {"retracted": True}),
        (Why.WITHDRAWN, {}, {"told": None}),
        (Why.STILL_UP, {}, {"cleared": False}),
        (Why.BY_HAND, {}, {"cleared_by_hand": True}),
        (Why.BY_HAND, {}, {"told_by_hand": True}),
        (Why.WORK, {}, {"working": True}),
        (Why.STILL_UP, {}, {"newest": Seen(AT, 1.9)}),
        (Why.OLD, {}, {"newest": Seen(AT - 2 * FRESH, 1.0)}),
    ],
)
def test_an_end_is_told_only_where_it_is_one(why: Why | None, approval: Any, situation: Any) -> None:
    over = replace(FLOOD, cleared=True, told=3, lowest=1.9, newest=Seen(AT, 1.0))
    assert ended(replace(SURE, **approval), replace(over, **situation)) is why
