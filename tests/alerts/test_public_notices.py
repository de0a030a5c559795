"""Nothing reaches the public but by a named person: drafts, what they may say, and what stands."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest

from alerts.public import acts, words
from alerts.public.basis import BasisRefused, sets_in_force, state_basis
from alerts.public.notices import REMEMBERED, Notice, chain_before, notice, notices, published
from alerts.public.refusals import (
    AlreadyDecided,
    DraftThere,
    NoSuchNotice,
    NothingToTell,
    ReadingChanged,
    TextChanged,
    WrongTime,
    WrongWords,
)
from alerts.public.words import VARIANTS, Text
from store import Connection, connect
from tests.alerts.gauge import STEP, Gauge
from tests.conftest import START

TOKYO = ZoneInfo("Asia/Tokyo")
HOUR = timedelta(hours=1)


@contextmanager
def as_api(gauge: Gauge) -> Iterator[Connection]:
    with connect(gauge.town.api, name="test api") as conn:
        conn.execute("select set_config('mimamori.municipality_id', %s, true)", (str(gauge.town.municipality_id),))
        yield conn


class Desk:
    """The disaster desk at work: each act in a transaction of its own, at the town's time."""

    def __init__(self, gauge: Gauge) -> None:
        self.gauge, self.town = gauge, gauge.town.municipality_id
        self.person = gauge.user("disaster", name="山田")

    def _do(self, act: Callable[..., Any], *arguments: Any) -> Any:
        with as_api(self.gauge) as conn:
            return act(conn, self.town, *arguments)

    def draft(self) -> Notice:
        alert_id = self.gauge.rows("select max(alert_id) from alert where rule = 'level'")[0][0]
        return self.read(self._do(acts.draft, alert_id, self.person, self.gauge.clock.now()))

    def withdraw(self, found: Notice, why: str = "below") -> Notice:
        return self.read(self._do(acts.draft_withdrawal, found.notice_id, why, self.person, self.gauge.clock.now()))

    def rewrite(self, found: Notice, **changes: str) -> Notice:
        texts = dict(found.texts)
        for name, text in changes.items():
            variant, part = name.split("_")
            texts[variant] = replace(texts[variant], **{part: text})  # type: ignore[index]
        now = self.gauge.clock.now()
        self._do(acts.rewrite, found.notice_id, found.text_id, texts, self.person, now, TOKYO)
        return self.read(found.notice_id)

    def approve(self, found: Notice, *, hours: float = 3) -> Notice:
        now = self.gauge.clock.now()
        until = now + hours * HOUR
        self._do(acts.approve, found.notice_id, found.text_id, until, self.person, now, TOKYO)
        return self.read(found.notice_id)

    def discard(self, found: Notice) -> Notice:
        self._do(acts.discard, found.notice_id, self.person, self.gauge.clock.now(), TOKYO)
        return self.read(found.notice_id)

    def read(self, notice_id: int) -> Notice:
        with as_api(self.gauge) as conn:
            found = notice(conn, notice_id)
        assert found is not None
        return found

    def public(self) -> list[Notice]:
        with as_api(self.gauge) as conn:
            return published(conn, self.gauge.clock.now() - REMEMBERED)

    def states(self) -> list[str]:
        with as_api(self.gauge) as conn:
            return [each.state(self.gauge.clock.now()) for each in reversed(notices(conn))]

    def stated(self) -> int:
        """How often somebody has said whose levels they are; the town file says it of other gauges."""
        return int(self.gauge.rows("select count(*) from threshold_source where user_id = %s", self.person)[0][0])

    def adopt(self, source: str = "adopted", **given: Any) -> None:
        with as_api(self.gauge) as conn:
            (held,) = sets_in_force(conn, START, self.gauge.station_id)
            state_basis(
                conn,
                self.town,
                held.threshold_set_id,
                source=source,
                levels=len(held.stages),
                user_id=self.person,
                at=START,
                **given,
            )


@pytest.fixture
def desk(gauge: Gauge) -> Desk:
    """An open alert at level 2 (2.60 m), and somebody at the desk."""
    gauge.send_series(2.1, 2.7)
    gauge.evaluate()
    gauge.clock.advance(2 * STEP)
    return Desk(gauge)


def test_an_alert_alone_tells_the_public_nothing(desk: Desk) -> None:
    assert desk.public() == [] and desk.states() == []


def test_a_draft_is_nothing_until_a_named_person_approves_it(desk: Desk) -> None:
    drafted = desk.draft()
    assert desk.states() == ["draft"] and desk.public() == []
    assert (drafted.kind, drafted.mode, drafted.level, drafted.value) == ("alert", "actual", 2, 2.7)
    assert "水位が、町基準２に達しました" in drafted.texts["ja"].headline
    assert (drafted.made_by, drafted.edited_by, drafted.decided_by) == ("山田", None, None)
    approved = desk.approve(drafted)
    (public,) = desk.public()
    assert public == approved and public.decided_by == "山田" and public.decided_at == desk.gauge.clock.now()
    assert public.closing is not None and public.closing["ja"].startswith("避難の情報は町が別に発令します。現在：")
    assert public.state(desk.gauge.clock.now()) == "standing"
    assert public.state(desk.gauge.clock.now() + 3 * HOUR) == "over"


def test_what_was_laid_aside_is_told_to_nobody(desk: Desk) -> None:
    desk.discard(desk.draft())
    assert desk.states() == ["discarded"] and desk.public() == []
    desk.draft()
    assert desk.states() == ["discarded", "draft"]


def test_an_update_takes_the_place_of_the_notice_and_a_withdrawal_of_both(desk: Desk) -> None:
    first = desk.approve(desk.draft())
    desk.gauge.send([(START + 2 * STEP, 3.3)])
    desk.gauge.evaluate()
    second = desk.draft()
    assert (second.kind, second.supersedes, second.level) == ("update", first.notice_id, 3)
    assert desk.states() == ["standing", "draft"]
    desk.approve(second)
    assert desk.states() == ["updated", "standing"]
    third = desk.approve(desk.withdraw(second, "mistake"))
    assert desk.states() == ["updated", "cancelled", "withdrawal"]
    assert "誤り" in third.texts["ja"].body
    with as_api(desk.gauge) as conn:
        assert [each.notice_id for each in chain_before(conn, third)] == [first.notice_id, second.notice_id]
    assert [each.notice_id for each in desk.public()] == [third.notice_id, second.notice_id, first.notice_id]
    fourth = desk.draft()
    assert (fourth.kind, fourth.supersedes) == ("alert", None), "after a withdrawal another notice begins"


def test_the_withdrawal_of_a_flood_that_is_over_says_where_the_water_is_now(desk: Desk) -> None:
    told = desk.approve(desk.draft())
    desk.gauge.send([(START + n * STEP, 1.5) for n in range(2, 8)])
    desk.gauge.evaluate()
    desk.gauge.clock.advance(6 * STEP)
    assert desk.read(told.notice_id).alert_cleared_at is not None
    with pytest.raises(NothingToTell, match="open"):
        desk.draft()
    withdrawal = desk.withdraw(told)
    assert "の観測値は 1.50 m で、お知らせの基準を下回りました。" in withdrawal.texts["ja"].body
    desk.approve(withdrawal)
    assert desk.states() == ["cancelled", "withdrawal"]


def test_what_is_over_is_remembered_for_a_week(desk: Desk) -> None:
    desk.approve(desk.draft())
    desk.gauge.clock.advance(3 * HOUR + REMEMBERED)
    assert len(desk.public()) == 1
    desk.gauge.clock.advance(HOUR)
    assert desk.public() == []


def test_words_that_are_not_the_towns_are_refused_by_name_with_the_reason(desk: Desk) -> None:
    drafted = desk.draft()
    with pytest.raises(WrongWords) as refused:
        desk.rewrite(drafted, ja_body="洪水警報です。\nあと30分であふれます。", en_headline="Flood warning")
    assert [(w.variant, w.part, w.found and w.found.word) for w in refused.value.wrong] == [
        ("ja", "body", "警報"),
        ("ja", "body", "あと30分"),
        ("en", "headline", "warning"),
    ]
    assert "「警報」は使えません。気象庁だけ" in refused.value.ja and "Art. 23" in refused.value.en
    with pytest.raises(WrongWords, match="neither empty"):
        desk.rewrite(drafted, plain_body=" \n ")
    with pytest.raises(WrongWords, match="longer"):
        desk.rewrite(drafted, ja_headline="水" * (words.MAX_HEADLINE + 1))
    assert desk.read(drafted.notice_id).texts == drafted.texts


def test_what_staff_write_is_kept_beside_what_was_there_before(desk: Desk) -> None:
    drafted = desk.draft()
    written = desk.rewrite(drafted, ja_body="  川の様子を見に行かないでください。 \r\n\x00町役場 \r\n")
    assert written.texts["ja"].body == "川の様子を見に行かないでください。\n町役場"
    assert (written.edited_by, written.edited_at) == ("山田", desk.gauge.clock.now())
    assert desk.gauge.rows("select count(*) from public_notice_text") == [(2,)]
    with pytest.raises(TextChanged):
        desk.rewrite(drafted, ja_body="別の文")
    with pytest.raises(TextChanged):
        desk.approve(drafted)
    assert desk.approve(written).texts["ja"].body.endswith("町役場")


def test_a_reading_that_was_corrected_meanwhile_is_not_told(desk: Desk) -> None:
    drafted = desk.draft()
    with connect(desk.gauge.town.owner, name="test") as conn:
        conn.execute("update observation set quality = 'bad' where value = 2.7")
    with pytest.raises(ReadingChanged):
        desk.approve(drafted)
    assert desk.states() == ["draft"]


def test_an_alert_that_is_over_is_not_told(desk: Desk) -> None:
    drafted = desk.draft()
    desk.gauge.send([(START + n * STEP, 1.5) for n in range(2, 8)])
    desk.gauge.evaluate()
    with pytest.raises(NothingToTell, match="over"):
        desk.approve(drafted)


def test_one_draft_at_a_time_and_each_is_decided_once(desk: Desk) -> None:
    drafted = desk.draft()
    with pytest.raises(DraftThere) as there:
        desk.draft()
    assert there.value.notice_id == drafted.notice_id
    for hours in (0, -1, 25):
        with pytest.raises(WrongTime):
            desk.approve(drafted, hours=hours)
    desk.approve(drafted)
    for again in (desk.approve, desk.discard):
        with pytest.raises(AlreadyDecided, match="山田 approved it at"):
            again(drafted)
    with pytest.raises(AlreadyDecided):
        desk.rewrite(drafted, ja_body="後から")
    with pytest.raises(NothingToTell):
        desk.withdraw(desk.discard(desk.draft()))
    with pytest.raises(NoSuchNotice):
        desk._do(acts.draft, 4711, desk.person, START)


def test_of_two_who_approve_at_once_the_second_learns_of_the_first(desk: Desk) -> None:
    drafted = desk.draft()
    other = desk.gauge.user("disaster", name="佐藤")
    refused: list[Exception] = []
    until, now = START + HOUR, desk.gauge.clock.now()

    def second() -> None:
        try:
            desk._do(acts.approve, drafted.notice_id, drafted.text_id, until, other, now, TOKYO)
        except Exception as error:
            refused.append(error)

    with as_api(desk.gauge) as conn:
        acts.approve(conn, desk.town, drafted.notice_id, drafted.text_id, until, desk.person, now, TOKYO)
        thread = threading.Thread(target=second)
        thread.start()
        desk.gauge.wait_until_blocked()
    thread.join()
    (error,) = refused
    assert isinstance(error, AlreadyDecided) and "山田" in str(error)


def test_a_drill_is_approved_like_the_real_thing_and_reaches_nobody(desk: Desk) -> None:
    with connect(desk.gauge.town.owner, name="test") as conn:
        conn.execute("update alert set mode = 'exercise'")
    drill = desk.approve(desk.draft())
    assert drill.mode == "exercise" and drill.state(desk.gauge.clock.now()) == "standing"
    assert desk.public() == []


def test_a_silent_station_calls_for_no_notice(desk: Desk) -> None:
    with connect(desk.gauge.town.owner, name="test") as conn:
        conn.execute("update alert set rule = 'silence', level = null, peak_level = null")
    ((alert_id,),) = desk.gauge.rows("select alert_id from alert")
    with pytest.raises(NothingToTell, match="river level"):
        desk._do(acts.draft, alert_id, desk.person, START)


def test_whose_levels_they_are_decides_how_the_public_reads_of_them(desk: Desk) -> None:
    desk.adopt(document="危第12号", dated="2026-04-01")
    drafted = desk.draft()
    assert drafted.equivalent and "氾濫注意水位（警戒レベル２相当）" in drafted.texts["ja"].headline
    assert "（危第12号、2026年4月1日）" in drafted.texts["ja"].body
    with pytest.raises(WrongWords, match="not reached"):
        desk.rewrite(drafted, ja_headline="警戒レベル３相当です")
    desk.discard(drafted)
    desk.adopt("administrator", authority="美守県")
    assert "河川管理者（美守県）" in desk.draft().texts["ja"].body
    desk.adopt("own", words="一\n二\n三\n四\n五", words_en="a\nb\nc\nd\ne")
    with as_api(desk.gauge) as conn:
        (held,) = sets_in_force(conn, START, desk.gauge.station_id)
    assert not held.basis.equivalent and held.basis.words[1] == "二" and held.stated_by == "山田"
    assert desk.stated() == 3, "statements are only added"


@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("source", {"source": "official"}),
        ("authority", {"source": "administrator"}),
        ("document", {"dated": "2026-04-01"}),
        ("dated", {"document": "危第12号", "dated": "4月1日"}),
        ("document", {"document": "号" * 101, "dated": "2026-04-01"}),
        ("words", {"source": "own", "words": "一\n二"}),
        ("words_en", {"source": "own", "words": "一\n二\n三\n四\n五", "words_en": "a"}),
        ("words", {"source": "own", "words": "一\n二\n三\n四\n氾濫警報", "words_en": "a\nb\nc\nd\ne"}),
        ("words", {"source": "own", "words": "一\n二\n三\n四\n警戒レベル５相当", "words_en": "a\nb\nc\nd\ne"}),
    ],
)
def test_a_statement_that_cannot_be_meant_is_refused_at_its_field(
    desk: Desk, field: str, given: dict[str, str]
) -> None:
    with pytest.raises(BasisRefused) as refused:
        desk.adopt(**given)
    assert refused.value.field == field and refused.value.ja != refused.value.en
    assert desk.stated() == 0


@pytest.mark.parametrize("table", ["threshold_source", "public_notice", "public_notice_text", "public_notice_event"])
def test_nothing_of_it_can_be_changed_or_removed(desk: Desk, table: str) -> None:
    desk.adopt(document="危第12号", dated="2026-04-01")
    desk.approve(desk.draft())
    for statement in (f"delete from {table}", f"update {table} set municipality_id = municipality_id"):
        for address in (desk.gauge.town.api, desk.gauge.town.worker):
            with connect(address, name="test") as conn, pytest.raises(psycopg.errors.InsufficientPrivilege):
                conn.execute(statement.encode())


def test_no_notice_ends_twice_whatever_somebody_writes(desk: Desk) -> None:
    first = desk.approve(desk.draft())
    desk.approve(desk.draft())
    drafted = desk.draft()
    with connect(desk.gauge.town.owner, name="test") as conn, pytest.raises(psycopg.errors.UniqueViolation):
        conn.execute(
            """
            insert into public_notice_event (public_notice_id, municipality_id, event, at, user_id, valid_until, ends,
                                             public_notice_text_id, ja_closing, en_closing, plain_closing)
            values (%s, %s, 'approved', %s, %s, %s, %s, %s, '', '', '')
            """,
            (drafted.notice_id, desk.town, START, desk.person, START + HOUR, first.notice_id, drafted.text_id),
        )


def test_every_variant_of_a_draft_has_words(desk: Desk) -> None:
    texts = desk.draft().texts
    assert all(isinstance(texts[v], Text) and texts[v].headline and texts[v].body for v in VARIANTS)


def test_what_staff_read_says_whose_the_levels_are_as_it_is_stated(desk: Desk) -> None:
    def subjects() -> list[str]:
        return [
            row[0] for row in desk.gauge.rows("select subject from outbox where channel = 'log' order by outbox_id")
        ]

    assert "町独自基準" in subjects()[-1]
    desk.adopt("administrator", authority="美守県")
    desk.gauge.send([(desk.gauge.clock.now(), 3.3)])
    desk.gauge.evaluate()
    assert "警戒レベル３相当・河川管理者の基準" in subjects()[-1] and "独自" not in subjects()[-1]
