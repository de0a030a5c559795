"""The same, and what people say of it: values follow, and nothing that comes stands above it."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from typing import Any

import pytest

from analytics import AnalyticsConfig, doubts, run
from analytics.judging import alone
from store import connect
from store.errors import RegistrationError
from store.reviews import Said, confirm_month, confirmed_months, review, reviews, settle_reviews, withdraw_month
from tests.analytics.doubting import (
    NOW,
    STORED,
    N,
    at,
    calm,
    doubted,
    judge,
    level,
)
from tests.analytics.series import Analyst
from tests.conftest import START


def person(analyst: Analyst) -> int:
    analyst.execute(
        "insert into app_user (municipality_id, login, display_name, role, password_hash) "
        "values (%s, 'hana', '花', 'disaster', 'x')",
        analyst.town.municipality_id,
    )
    return int(analyst.rows("select user_id from app_user where login = 'hana'")[0][0])


def say(analyst: Analyst, verdict: Said, first: int, last: int, user: int, **more: Any) -> None:
    with connect(analyst.town.owner, name="test") as conn:
        review(
            conn,
            analyst.town.municipality_id,
            level(analyst),
            start=at(first),
            end=at(last),
            verdict=verdict,
            amount=more.pop("amount", None),
            note=more.pop("note", "現地で確認"),
            now=NOW,
            user_id=user,
            **more,
        )
        conn.commit()


def settle(analyst: Analyst) -> None:
    with connect(analyst.town.worker, name="test") as conn:
        while settle_reviews(conn, now=NOW):
            pass


def spiked(analyst: Analyst) -> list[float]:
    ds, values = level(analyst), calm()
    values[1000] = 2.4
    analyst.send(ds, [(at(n), value) for n, value in enumerate(values)])
    judge(analyst)
    return values


@pytest.mark.parametrize(
    ("verdict", "amount", "stands"),
    [
        (Said.TRUE, None, (2.4, "good", "confirmed")),
        (Said.FALSE, None, (2.4, "bad", "rejected")),
        (Said.SHIFTED, -1.4, (pytest.approx(1.0), "good", "corrected")),
    ],
)
def test_the_values_follow_what_a_person_says_and_nothing_that_comes_stands_above_it(
    analyst: Analyst, verdict: Said, amount: float | None, stands: tuple[Any, ...]
) -> None:
    ds = level(analyst)
    spiked(analyst)
    user = person(analyst)
    event = analyst.rows("select quality_event_id from quality_event")[0][0]
    say(analyst, verdict, 1000, 1000, user, amount=amount, event_id=event)
    settle(analyst)
    settle(analyst)  # once is enough
    now = {row[0]: row[1:] for row in analyst.rows(STORED, ds)}
    assert now[at(1000)] == stands
    assert all(row[1:] == ("good", None) for time, row in now.items() if time != at(1000))
    assert analyst.rows("select value, quality::text, reason from observation_revision") == [(2.4, "doubtful", "spike")]
    judge(analyst)
    analyst.send(ds, [(at(1000), 2.4)])
    judge(analyst)
    assert {row[0]: row[1:] for row in analyst.rows(STORED, ds)}[at(1000)] == stands
    with connect(analyst.town.worker, name="test") as conn:
        (said,) = reviews(conn, analyst.town.municipality_id, ds)
    assert (said.verdict, said.by, said.settled_at, said.event_id) == (verdict, "花", NOW, event)


def test_the_same_review_twice_moves_values_twice_and_none_is_half_done(analyst: Analyst) -> None:
    values = spiked(analyst)
    user = person(analyst)
    for _ in range(2):
        say(analyst, Said.SHIFTED, 10, 20, user, amount=0.5)
    settle(analyst)
    stored = {row[0]: row[1] for row in analyst.rows(STORED, level(analyst))}
    assert stored[at(15)] == pytest.approx(values[15] + 1.0)
    assert stored[at(21)] == values[21]


def test_what_was_found_true_is_not_doubted_again_while_it_lasts(
    analyst: Analyst, monkeypatch: pytest.MonkeyPatch
) -> None:
    # as it is for what no flood moves
    monkeypatch.setitem(doubts.TOLD, "water_level", doubts.TOLD["residual_chlorine"])
    monkeypatch.setattr(doubts, "judging_of", lambda _: alone)
    ds, values = level(analyst), calm()
    values[1000:] = [value + 1.5 for value in values[1000:]]
    analyst.send(ds, [(at(n), value) for n, value in enumerate(values[:1010])])
    judge(analyst)
    before = len(doubted(analyst, ds))
    assert before > 0
    event = analyst.rows("select quality_event_id from quality_event")[0][0]
    say(analyst, Said.TRUE, 1000, 1009, person(analyst), event_id=event)
    settle(analyst)
    analyst.send(ds, [(at(n), values[n]) for n in range(1010, N)])
    judge(analyst)
    assert doubted(analyst, ds) == []


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"note": " "}, "note"),
        ({"note": "x" * 501}, "note"),
        ({"verdict": Said.SHIFTED}, "amount"),
        ({"verdict": Said.SHIFTED, "amount": 0.0}, "amount"),
        ({"verdict": Said.SHIFTED, "amount": float("nan")}, "amount"),
        ({"first": 20, "last": 10}, "end"),
        ({"last": 144 * 401}, "end"),
        ({"first": 144 * 50, "last": 144 * 51}, "start"),
        ({"event_id": 4711}, "event"),
    ],
)
def test_a_review_that_cannot_be_meant_names_the_field(analyst: Analyst, change: dict[str, Any], field: str) -> None:
    asked: dict[str, Any] = {"verdict": Said.TRUE, "first": 10, "last": 20} | change
    with pytest.raises(RegistrationError) as refused:
        say(analyst, asked.pop("verdict"), asked.pop("first"), asked.pop("last"), person(analyst), **asked)
    assert refused.value.field == field


def test_a_month_is_confirmed_when_it_is_over_and_nothing_is_open_in_it(analyst: Analyst) -> None:
    spiked(analyst)
    town, ds, user = analyst.town.municipality_id, level(analyst), person(analyst)
    june = START.date().replace(day=1)
    with connect(analyst.town.owner, name="test") as conn:
        with pytest.raises(RegistrationError, match="not over"):
            confirm_month(conn, town, [ds], june, now=START + timedelta(days=9), user_id=user)
        with pytest.raises(RegistrationError, match="nobody has looked at"):
            confirm_month(conn, town, [ds], june, now=NOW, user_id=user)
    event = analyst.rows("select quality_event_id from quality_event")[0][0]
    say(analyst, Said.FALSE, 1000, 1000, user, event_id=event)
    settle(analyst)
    with connect(analyst.town.owner, name="test") as conn:
        later = NOW + timedelta(minutes=1)
        assert confirm_month(conn, town, [ds], june, now=later, user_id=user) == 1
        assert confirm_month(conn, town, [ds], june, now=later, user_id=user) == 0
        confirmed = confirmed_months(conn, town, [ds], june, june)
        assert confirmed[ds, june].by == "花"
        assert not confirmed[ds, june].touched
        conn.commit()
    with connect(analyst.town.owner, name="test") as conn:
        assert withdraw_month(conn, town, [ds], june, now=later) == 1
        assert confirmed_months(conn, town, [ds], june, june) == {}


def test_the_process_doubts_and_settles(analyst: Analyst) -> None:
    ds, stop = level(analyst), threading.Event()
    process = threading.Thread(target=run, args=(AnalyticsConfig(analyst.town.worker), stop))
    process.start()
    try:
        spiked_values = calm()
        spiked_values[1000] = 2.4
        analyst.send(ds, [(at(n), value) for n, value in enumerate(spiked_values)])
        wait_for(lambda: bool(doubted(analyst, ds)))
        say(analyst, Said.FALSE, 1000, 1000, person(analyst))
        wait_for(lambda: doubted(analyst, ds) == [(at(1000), 2.4, "bad", "rejected")])
    finally:
        stop.set()
        process.join(10)
    assert not process.is_alive()


def wait_for(seen: Any) -> None:
    deadline = time.monotonic() + 60
    while not seen():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.05)
