"""A notice never lapses without a word while its alert lasts: told before, renewed by a person or as was approved."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from alerts.public import acts
from alerts.public.expiring import BEFORE
from alerts.public.notices import Notice, chain_before, head_of
from alerts.public.refusals import DraftThere, NothingToTell, ReadingChanged, WrongTime, WrongWords
from alerts.public.standing_publish import Standing
from alerts.rules.standing import FRESH, Why
from devices.model import Quality, Reason
from store import connect
from tests.alerts.gauge import STEP, Gauge
from tests.alerts.test_public_notices import HOUR, TOKYO, Desk, as_api, desk
from tests.alerts.test_standing import Town, town

__all__ = ["desk", "town"]


def said(gauge: Gauge) -> list[tuple[str, str]]:
    """(event, the notice it is about) of every word about a notice's time, in the order of their coming."""
    return gauge.rows(  # type: ignore[return-value]
        "select event, rule_version from alert_history where event in ('expiring', 'lapsed') order by alert_history_id"
    )


def look(gauge: Gauge) -> int:
    looker, told = Standing(gauge.clock, mail=True, public_url="https://town.example"), 0
    with connect(gauge.town.worker, name="test") as conn:
        while looker.look(conn):
            conn.commit()
            told += 1
    return told


def renew(desk: Desk, found: Notice, hours: float = 3) -> Notice:
    now = desk.gauge.clock.now()
    with as_api(desk.gauge) as conn:
        made = acts.renew(conn, desk.town, found.notice_id, now + hours * HOUR, desk.person, now, TOKYO)
    return desk.read(made)


def test_the_desk_is_told_before_and_once_more_when_it_has_lapsed(desk: Desk) -> None:
    gauge = desk.gauge
    approved = desk.approve(desk.draft(), hours=3)
    gauge.clock.advance(3 * HOUR - BEFORE - timedelta(seconds=1))
    assert look(gauge) == 0, "it is in time"
    gauge.clock.advance(timedelta(seconds=1))
    assert (look(gauge), look(gauge)) == (1, 0), "once, however often one looks"
    gauge.clock.advance(BEFORE)
    assert (look(gauge), look(gauge)) == (1, 0)
    about = f"public_notice:{approved.notice_id}"
    assert said(gauge) == [("expiring", about), ("lapsed", about)]
    messages = gauge.rows(
        "select h.event, o.subject, o.body, o.brief from outbox o join alert_history h using (alert_history_id) "
        "where h.event in ('expiring', 'lapsed') and o.channel = 'log' order by outbox_id"
    )
    for (event, subject, body, brief), word in zip(
        messages, ("期限がまもなく切れます", "期限が切れました"), strict=True
    ):
        assert subject.startswith("【模擬】") and word in subject and "12:20" in subject, event
        assert f"https://town.example/disaster/notices/{approved.notice_id}" in body
        assert "アラートは続いています" in body and "2.70" not in brief
    # it can still be renewed then, and that one's time is told anew
    again = renew(desk, approved)
    assert again.state(gauge.clock.now()) == "standing" and again.texts == approved.texts
    gauge.clock.advance(3 * HOUR - BEFORE)
    assert look(gauge) == 1
    assert said(gauge)[-1] == ("expiring", f"public_notice:{again.notice_id}")


def test_of_what_is_over_or_taken_back_or_renewed_nobody_is_told(desk: Desk) -> None:
    approved = desk.approve(desk.draft(), hours=3)
    renewed = renew(desk, approved, 24)
    desk.gauge.clock.advance(3 * HOUR)
    assert look(desk.gauge) == 0
    desk.approve(desk.withdraw(renewed))
    desk.gauge.clock.advance(24 * HOUR)
    assert look(desk.gauge) == 0
    desk.gauge.rows("update alert set cleared_at = %s returning 1", desk.gauge.clock.now())
    assert (look(desk.gauge), said(desk.gauge)) == (0, [])


def test_one_press_renews_the_same_words_by_name(desk: Desk) -> None:
    approved = desk.approve(desk.rewrite(desk.draft(), ja_headline="町の橋で水位が上がっています"), hours=1)
    desk.gauge.clock.advance(HOUR / 2)
    again = renew(desk, approved, 6)
    assert (again.kind, again.supersedes, again.texts) == ("update", approved.notice_id, approved.texts)
    assert (again.decided_by, again.valid_until) == ("山田", desk.gauge.clock.now() + 6 * HOUR)
    assert desk.states() == ["updated", "standing"]
    with as_api(desk.gauge) as conn:
        assert [each.notice_id for each in chain_before(conn, again)] == [approved.notice_id]


@pytest.mark.parametrize(
    ("spoil", "refusal"),
    [
        (lambda d: d.draft(), DraftThere),
        (lambda d: d.gauge.rows("update observation set value = 2.65 where value = 2.7 returning 1"), ReadingChanged),
        (lambda d: d.gauge.rows("update alert set level = 3 returning 1"), NothingToTell),
        (lambda d: d.gauge.rows("update alert set cleared_at = now() returning 1"), NothingToTell),
        (lambda d: d.approve(d.withdraw(d.read(1))), NothingToTell),
    ],
)
def test_what_needs_new_words_is_not_renewed(
    desk: Desk, spoil: Callable[[Desk], Any], refusal: type[Exception]
) -> None:
    approved = desk.approve(desk.draft())
    spoil(desk)
    before = desk.states()
    with pytest.raises(refusal):
        renew(desk, approved)
    assert desk.states() == before


def test_nobody_renews_for_more_than_a_day(desk: Desk) -> None:
    approved = desk.approve(desk.draft())
    for hours in (0, 24.1):
        with pytest.raises(WrongTime):
            renew(desk, approved, hours)


def test_words_that_may_not_be_said_of_the_levels_any_more_are_not_renewed(desk: Desk) -> None:
    desk.adopt(document="危第12号", dated="2026-04-01")
    approved = desk.approve(desk.draft())
    assert "警戒レベル２相当" in approved.texts["ja"].headline
    desk.adopt("own")
    with pytest.raises(WrongWords):
        renew(desk, approved)
    assert desk.states() == ["standing"]


def flood(town: Town, hours: float, value: Any = 2.7) -> None:
    """A reading every ten minutes for so long."""
    town.river(*[value] * round(hours * HOUR / STEP))


def test_what_was_approved_so_is_told_anew_for_as_long_as_the_level_stands(town: Town) -> None:
    town.signed(hours=3, renews=True)
    town.river(2.7)
    (first,) = town.public()
    flood(town, 2.4)
    assert len(town.public()) == 1
    flood(town, 3, 2.8)
    newest, *before = town.public()
    assert [each.notice_id for each in before] == [2, 1], "every two and a half hours"
    assert (newest.kind, newest.level, newest.value) == ("update", 2, 2.8) and newest.standing is not None
    assert "2.80 m" in newest.texts["ja"].body and newest.texts["ja"].headline == first.texts["ja"].headline
    assert town.states() == ["updated", "updated", "standing"] and said(town.gauge) == []
    subjects = town.gauge.rows(
        "select subject from outbox join alert_history using (alert_history_id) "
        "where event = 'published' and channel = 'mail' order by outbox_id"
    )
    assert ["公開し直しました" in subject for (subject,) in subjects] == [False, True, True]
    # the river falls below the level, the alert lasts: that is no longer what was approved
    flood(town, 3, 2.58)
    assert [event for event, _ in said(town.gauge)] == ["expiring", "lapsed"] and len(town.public()) == 3
    assert town.why() is Why.PASSED


@pytest.mark.parametrize(
    ("why", "renews", "spoil"),
    [
        (Why.NO_RENEWAL, False, lambda t: None),
        (Why.REVOKED, True, lambda t: t.revoke(1)),
        (Why.DOUBTFUL, True, lambda t: t.gauge.send(
            [(t.gauge.clock.now(), (2.7, Quality.DOUBTFUL, Reason.CLOCK))])),
        (Why.OLD, True, lambda t: t.gauge.clock.advance(FRESH - STEP + timedelta(seconds=1))),
        (Why.UNCONFIRMED, True, lambda t: t.gauge.rows("update alert set confirmed_level = 1 returning 1")),
    ],
)  # fmt: skip
def test_what_is_not_sure_is_left_to_the_desk_which_is_told(
    town: Town, why: Why, renews: bool, spoil: Callable[[Town], Any]
) -> None:
    town.signed(hours=3, renews=renews)
    flood(town, 2.5)
    town.gauge.clock.advance(STEP)
    spoil(town)
    assert look(town.gauge) == 1
    assert [event for event, _ in said(town.gauge)] == ["expiring"] and town.states() == ["standing"]
    assert town.why() in (why, None if why is Why.REVOKED else why)


def test_whoever_looks_meanwhile_it_is_told_once(town: Town) -> None:
    town.signed(hours=3)
    flood(town, 2.5)
    town.gauge.clock.advance(STEP)
    threads = [threading.Thread(target=look, args=(town.gauge,)) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert [event for event, _ in said(town.gauge)] == ["expiring"]
    with pytest.raises(psycopg.errors.UniqueViolation):
        town.gauge.rows(
            "insert into alert_history (municipality_id, alert_id, at, event, rule_version) select municipality_id, "
            "alert_id, at, event, rule_version from alert_history where event = 'expiring' returning 1"
        )


def test_in_a_drill_those_who_take_part_would_be_told(desk: Desk) -> None:
    desk.gauge.rows("update alert set mode = 'exercise' returning 1")
    desk.approve(desk.draft(), hours=1)
    desk.gauge.clock.advance(HOUR / 2)
    assert look(desk.gauge) == 1
    ((channel, subject),) = desk.gauge.rows(
        "select channel, subject from outbox join alert_history using (alert_history_id) where event = 'expiring'"
    )
    assert channel == "log" and subject.startswith("【模擬】【訓練】"), "nobody takes part"
    with as_api(desk.gauge) as conn:
        assert head_of(conn, 1) is not None
