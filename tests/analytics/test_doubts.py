"""The learnt checks over the feed: what is doubted, that both verdicts are kept, and what a person says of it."""

from __future__ import annotations

import doctest
import threading
import time
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest

import analytics.beside
from analytics import AnalyticsConfig, doubts, run
from analytics.beside import MOST, Place, near
from analytics.judging import alone
from devices.clock import FixedClock
from devices.model import Quality
from quality.detector import Detector
from quality.memory import form, pack, unpack
from store import connect
from store.errors import RegistrationError
from store.feed import Consumer
from store.reviews import Said, confirm_month, confirmed_months, review, reviews, settle_reviews, withdraw_month
from tests.analytics.series import Analyst
from tests.conftest import START

STEP = timedelta(minutes=10)
DAYS = 8
N = DAYS * 144
NOW = START + timedelta(days=40)
STORED = "select phenomenon_time, value, quality::text, reason from observation where datastream_id = %s order by 1"
EVENTS_OF = "select datastream_id, reason, first_time, last_time, n, usual from quality_event order by 1, 3"
EVENTS = "select reason, first_time, last_time, n, usual from quality_event order by quality_event_id"
DOUBTED = """
    select phenomenon_time, value, was_quality::text, was_reason, quality::text, reason from quality_verdict order by 1
"""


def at(n: int) -> datetime:
    return START + n * STEP


def calm(rows: int = N) -> list[float]:
    """A river at rest: a daily swing and a last digit."""
    rng = np.random.default_rng(3)
    swing = 0.05 * np.sin(np.arange(rows) / 144 * 2 * np.pi)
    return [round(float(value), 3) for value in 1.0 + swing + 0.004 * rng.standard_normal(rows)]


def judge(analyst: Analyst) -> int:
    with connect(analyst.town.worker, name="test") as conn:
        return Consumer(analyst.town.worker, doubts.NAME).drain(conn, doubts.Doubts(clock()).handle)


def clock() -> FixedClock:
    return FixedClock(NOW)


def level(analyst: Analyst) -> int:
    return analyst.town.datastream("river-mimamoribashi", "water_level")


def doubted(analyst: Analyst, datastream_id: int) -> list[Any]:
    return [row for row in analyst.rows(STORED, datastream_id) if row[2] != "good"]


def test_a_value_that_jumps_farther_than_its_series_ever_did_is_doubted_and_both_verdicts_are_kept(
    analyst: Analyst,
) -> None:
    ds, values = level(analyst), calm()
    values[1000] = 2.4
    analyst.send(ds, [(at(n), value) for n, value in enumerate(values)])
    judge(analyst)
    assert doubted(analyst, ds) == [(at(1000), 2.4, "doubtful", "spike")]
    assert analyst.rows(DOUBTED) == [(at(1000), 2.4, "good", None, "doubtful", "spike")]
    assert analyst.rows(EVENTS) == [("spike", at(1000), at(1000), 1, values[999])]
    newest = analyst.rows("select judged_to from quality_memory where datastream_id = %s", ds)
    assert newest == [(at(N - 1),)]
    # Who follows the feed hears of it.
    analyst.work()
    hour = "select worst_quality::text from rollup_hour where hour <= %s and hour + interval '1 hour' > %s"
    assert analyst.rows(hour, at(1000), at(1000)) == [("doubtful",)]


@pytest.mark.parametrize("pieces", [(1000, 1001, 1002, 1100), (400, 1003), tuple(range(990, 1010))])
def test_how_the_feed_is_cut_changes_nothing(analyst: Analyst, pieces: tuple[int, ...]) -> None:
    ds, values = level(analyst), calm()
    values[1000], values[1001] = 2.4, -3.0
    start = 0
    for end in (*pieces, N):
        analyst.send(ds, [(at(n), values[n]) for n in range(start, end)])
        judge(analyst)
        start = end
    assert [(row[0], row[3]) for row in doubted(analyst, ds)] == [(at(1000), "spike"), (at(1001), "spike")]
    assert analyst.rows(EVENTS) == [("spike", at(1000), at(1001), 2, values[999])]


def test_a_flood_is_not_doubted_however_fast_it_comes(analyst: Analyst) -> None:
    ds, values = level(analyst), calm()
    wave = np.concatenate([np.linspace(0, 3, 18), np.linspace(3, 0.2, 60)])
    values[1000:1078] = [value + float(rise) for value, rise in zip(values[1000:1078], wave, strict=True)]
    values[900] += 1.0  # ... while what jumps and comes back is
    analyst.send(ds, [(at(n), value) for n, value in enumerate(values)])
    judge(analyst)
    assert [(row[0], row[3]) for row in doubted(analyst, ds)] == [(at(900), "spike")]


def test_what_has_jumped_is_doubted_when_the_series_is_back(analyst: Analyst) -> None:
    ds, values = level(analyst), calm()
    values[1000], values[1001] = 2.4, 2.5
    for n in (1000, 1001, 1002):
        assert doubted(analyst, ds) == []
        start = 0 if n == 1000 else n
        analyst.send(ds, [(at(each), values[each]) for each in range(start, n + 1)])
        judge(analyst)
    assert [(row[0], row[3]) for row in doubted(analyst, ds)] == [(at(1000), "spike"), (at(1001), "spike")]


def test_what_comes_late_keeps_the_verdict_of_the_gate(analyst: Analyst) -> None:
    ds, values = level(analyst), calm()
    analyst.send(ds, [(at(n), value) for n, value in enumerate(values)])
    judge(analyst)
    analyst.send(ds, [(at(900) + timedelta(minutes=5), 2.4)])
    judge(analyst)
    assert doubted(analyst, ds) == []


def test_a_leak_is_no_fault_of_the_flow_meter(analyst: Analyst) -> None:
    flow = analyst.town.datastream("block-hamamachi", "flow")
    values = [40 + 400 * (value - 1) for value in calm()]
    values[1000:] = [value + 60 for value in values[1000:]]
    analyst.send(flow, [(at(n), value) for n, value in enumerate(values)])
    judge(analyst)
    assert not [row for row in doubted(analyst, flow) if row[3] in ("step", "drift")]
    # ... nor is a crowd one of the counter.
    spot = analyst.town.datastream("spot-asaichi", "passages_in")
    analyst.send(spot, [(at(n), 900.0 if n == 1000 else 3.0 + n % 4) for n in range(N)])
    judge(analyst)
    assert doubted(analyst, spot) == []


def test_what_somebody_wrote_down_or_the_gate_has_doubted_is_left_alone(analyst: Analyst) -> None:
    ds, values = level(analyst), calm()
    readings: list[Any] = [(at(n), value) for n, value in enumerate(values)]
    readings[1000] = (at(1000), (2.4, Quality.MANUAL))
    readings[1100] = (at(1100), (2.4, Quality.BAD))
    analyst.send(ds, readings)
    judge(analyst)
    assert [(row[0], row[2]) for row in doubted(analyst, ds)] == [(at(1000), "manual"), (at(1100), "bad")]
    assert analyst.rows(EVENTS) == []


def test_a_series_that_was_learnt_with_other_settings_is_learnt_anew(analyst: Analyst) -> None:
    ds, values = level(analyst), calm()
    analyst.send(ds, [(at(n), value) for n, value in enumerate(values[:1000])])
    judge(analyst)
    analyst.execute("update quality_memory set form = 'of another time', state = '\\x00'")
    values[1000] = 2.4
    analyst.send(ds, [(at(n), values[n]) for n in range(1000, N)])
    judge(analyst)
    assert [(row[0], row[3]) for row in doubted(analyst, ds)] == [(at(1000), "spike")]


def test_a_state_survives_being_kept() -> None:
    detector, rng = Detector(), np.random.default_rng(5)
    times = np.arange(1500.0)[:, None] * 600 + np.zeros((1, 3))
    values = 1 + 0.01 * rng.standard_normal(times.shape)
    whole, cut = detector.begin(3), detector.begin(3)
    for row in range(len(times)):
        expected = detector.step(whole, times[row], values[row])
        cut = unpack(detector.begin(3), pack(cut))
        found = detector.step(cut, times[row], values[row])
        assert np.array_equal(expected.excess, found.excess)
    with pytest.raises(ValueError, match="numbers"):
        unpack(detector.begin(1), [pack(cut)[0] + bytes(8)])
    assert form(detector) == form(Detector()) != form(Detector(rest=12.0))


# --- gauges beside each other ------------------------------------------------------------------------------

GAUGES = ("river-okusawa", "river-takehara", "river-mimamoribashi")
Sent = dict[int, list[tuple[datetime, Any]]]  # of each datastream its times and values


def river(analyst: Analyst, rows: int = N, step: timedelta = STEP) -> Sent:
    """Three gauges of a river at rest, each at its own minute."""
    found = {}
    for n, code in enumerate(GAUGES):
        rng, ds = np.random.default_rng(n), analyst.town.datastream(code, "water_level")
        values = 1.0 + 0.05 * np.sin(np.arange(rows) * (step / timedelta(days=1)) * 2 * np.pi)
        values += 0.008 * rng.standard_normal(rows)
        found[ds] = [(START + k * step + timedelta(minutes=3 * n), round(float(v), 3)) for k, v in enumerate(values)]
    return found


def flooded(sent: Sent, begin: int, *gauges: int) -> None:
    """A flood that comes down the river, from one gauge to the next in half an hour."""
    for n, series in enumerate(sent.values()):
        if n in gauges:
            for k in range(120):
                time, value = series[begin + 3 * n + k]
                series[begin + 3 * n + k] = (time, round(value + min(k + 1, 24) / 12 * 0.5 ** (max(0, k - 24) / 40), 3))


def deliver(analyst: Analyst, sent: Sent, *cuts: datetime) -> None:
    """All of it in the order of time, judged after each cut."""
    far = datetime.max.replace(tzinfo=START.tzinfo)
    for begin, end in zip((datetime.min.replace(tzinfo=START.tzinfo), *cuts), (*cuts, far), strict=True):
        for ds, series in sent.items():
            part = [each for each in series if begin < each[0] <= end]
            if part:
                analyst.send(ds, part)
        judge(analyst)


def said(analyst: Analyst) -> list[Any]:
    return analyst.rows(
        "select datastream_id, phenomenon_time, quality::text, reason from observation "
        "where quality <> 'good' order by 1, 2"
    )


def test_a_flood_that_the_gauges_above_saw_too_is_believed(analyst: Analyst) -> None:
    sent = river(analyst)
    flooded(sent, 1000, 0, 1, 2)
    deliver(analyst, sent)
    lowest = analyst.town.datastream(GAUGES[2], "water_level")
    assert doubted(analyst, lowest) == []


def test_nor_is_one_doubted_that_a_gauge_alone_saw(analyst: Analyst) -> None:
    """A cloudburst over one valley is no fault of its gauge."""
    sent = river(analyst)
    flooded(sent, 1000, 2)
    deliver(analyst, sent)
    assert said(analyst) == []


@pytest.mark.parametrize(
    "cuts",
    [
        pytest.param([1000, 1003, 1010], id="in the flood"),
        pytest.param([400], id="before it"),
        pytest.param(list(range(1000, 1020)), id="step by step"),
    ],
)
def test_how_the_feed_is_cut_changes_nothing_for_neighbours(analyst: Analyst, cuts: list[int]) -> None:
    sent = river(analyst)
    flooded(sent, 1000, 0, 1, 2)
    for n, series in enumerate(sent.values()):
        series[600 + 100 * n] = (series[600 + 100 * n][0], 3.0)
    begin = timedelta(minutes=4)  # between the minutes of two gauges
    deliver(analyst, sent, *(at(n) + begin for n in cuts))
    in_pieces, events = said(analyst), analyst.rows(EVENTS_OF)
    assert len(in_pieces) >= 3
    analyst.execute("delete from quality_verdict")
    analyst.execute("delete from quality_event")
    analyst.execute("delete from quality_memory")
    analyst.execute("update observation set quality = 'good', reason = null")
    first = next(iter(sent))
    analyst.send(first, [(at(N), 1.0)])
    judge(analyst)
    assert said(analyst) == in_pieces
    assert analyst.rows(EVENTS_OF) == events


def test_nor_does_how_many_rows_are_read_at_a_time(analyst: Analyst, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = river(analyst)
    flooded(sent, 1000, 0, 1, 2)
    for n, series in enumerate(sent.values()):
        series[600 + 100 * n] = (series[600 + 100 * n][0], 3.0)
    deliver(analyst, sent)
    at_once = said(analyst)
    assert len(at_once) >= 3
    analyst.execute("delete from quality_verdict")
    analyst.execute("delete from quality_event")
    analyst.execute("delete from quality_memory")
    analyst.execute("update observation set quality = 'good', reason = null")
    monkeypatch.setattr(doubts, "_ROWS", 337)
    analyst.send(next(iter(sent)), [(at(N), 1.0)])
    judge(analyst)
    assert said(analyst) == at_once


def test_a_gauge_that_walks_away_from_its_neighbours_is_doubted_with_that_reason(analyst: Analyst) -> None:
    rows = 24 * 44
    sent = river(analyst, rows, timedelta(hours=1))
    lowest = analyst.town.datastream(GAUGES[2], "water_level")
    begin = 24 * 33
    drifting = [(time, round(value + max(0, k - begin) * 0.004, 3)) for k, (time, value) in enumerate(sent[lowest])]
    deliver(analyst, sent | {lowest: drifting}, START + timedelta(days=34))
    reasons = {(row[0], row[3]) for row in said(analyst)}
    assert (lowest, "neighbours") in reasons
    assert {ds for ds, _ in reasons} == {lowest}
    ((excess, first),) = analyst.rows(
        "select excess, first_time from quality_event where reason = 'neighbours' order by first_time limit 1"
    )
    assert excess >= 1
    assert START + timedelta(hours=begin) < first < START + timedelta(hours=begin) + timedelta(days=5)


def test_gauges_are_neighbours_along_their_river_or_else_in_their_town() -> None:
    river = [Place(35.0, 139.0, "美守川", km) for km in (7.9, 4.7, 1.9)]
    town = near([*river, Place(35.01, 139.0, "汐見川", 2.5)])
    assert town[:, :3].tolist() == [[1, 2, -1], [2, 0, -1], [1, 0, -1], [0, 1, 2]]
    assert near([]).shape == (0, MOST)
    many = near([Place(35.0, 139.0 + n / 100) for n in range(20)])
    assert many.shape == (20, MOST)
    assert sorted(many[10].tolist()) == [6, 7, 8, 9, 11, 12, 13, 14]
    assert doctest.testmod(analytics.beside).failed == 0


# --- what people say ---------------------------------------------------------------------------------------


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
