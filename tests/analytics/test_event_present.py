"""How many are in an event's area: the truth where counters are right, honest bounds where not, and no word at all
where a gate says nothing. Then in the database: steps of capacity as findings, and who is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np
import pytest

from alerts.evaluator import Evaluator
from analytics.visitors.events import watch
from analytics.visitors.events.gates import counted
from analytics.visitors.events.present import Counted, Gate, Passage, State, steps_reached
from devices.clock import FixedClock
from store import connect, event_days, events
from store.errors import RecordError
from store.event_days import Count, Plan
from store.events import Entry, EventKind
from store.feed import Consumer, append_headquarters
from tests.alerts.people import channels, group, person
from tests.analytics.series import Analyst
from tests.api.serving import populate
from tests.conftest import START
from tests.connections import kept

FIVE = timedelta(minutes=5)
NOON = START + timedelta(hours=3)
PLAN = Plan(NOON, NOON + timedelta(hours=8), (1, 2), levels=(100, 200))
GATES = (Gate(1, "north", "北", "North", FIVE, (11, 12)), Gate(2, "south", "南", "South", 2 * FIVE, (21, 22)))


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def said(minutes: float, present: int) -> Count:
    return Count(1, at(minutes), present, "", at(minutes), "x")


def north(*pairs: tuple[int, int], step: int = 5) -> list[Passage]:
    """In and out of a gate, one count after the other from the beginning."""
    return [
        Passage(series, at(step * n), float(value))
        for n, pair in enumerate(pairs, 1)
        for series, value in zip((11, 12), pair, strict=True)
    ]


def one(passages: Sequence[Passage], *counts: Count, error: float = 0.05) -> Counted:
    return Counted(passages, GATES[:1], Plan(NOON, at(480), (1,), levels=(100, 200), error=error), counts)


def test_where_counters_are_right_it_is_how_many_are_there_at_every_moment() -> None:
    rng = np.random.default_rng(5)
    there = 0
    passages, truth = [], {}
    for n in range(1, 97):
        came, went = int(rng.poisson(30)), int(min(there, rng.poisson(0.25 * there + 1)))
        there += came - went
        truth[at(5 * n)] = there
        passages += [Passage(11, at(5 * n), float(came)), Passage(12, at(5 * n), float(went))]
    whole = one(passages)
    for row in whole.course(at(480)):
        assert row.estimate == truth[row.end]
        assert row.low is not None and row.high is not None and row.low <= row.estimate <= row.high
    widths = [row.high - row.low for row in whole.course(at(480)) if row.high is not None and row.low is not None]
    assert widths[-1] > 3 * widths[2], "it is known ever less well"


def test_the_bounds_hold_where_each_counter_is_wrong_by_what_was_said() -> None:
    """Four gates over a day, wrong by a share of their own in each direction that nine in ten of them stay below."""
    rng, held, rounds = np.random.default_rng(11), 0, 200
    gates = [Gate(g, f"g{g}", "", "", FIVE, (2 * g, 2 * g + 1)) for g in range(4)]
    plan = Plan(NOON, at(480), tuple(range(4)), error=0.05)
    for _ in range(rounds):
        flows = rng.poisson(25, (4, 2, 60)).astype(float)
        flows[:, 1] *= 0.8
        wrong = 1 + rng.normal(0, 0.05 / 1.645, (4, 2))
        true = 500 + (flows[:, 0] - flows[:, 1]).sum()
        passages = [
            Passage(2 * g + way, at(5 * n + 5), float(flows[g, way, n] * wrong[g, way]))
            for g in range(4) for way in (0, 1) for n in range(60)
        ]  # fmt: skip
        now = Counted(sorted(passages, key=lambda p: p.end), gates, plan, [said(0, 500)]).present(at(300))
        assert now.low is not None and now.high is not None
        held += now.low <= true <= now.high
    assert 0.84 <= held / rounds <= 0.96


def test_a_manual_count_takes_the_drift_out_and_shows_it() -> None:
    passages = north(*[(40, 10)] * 12)
    before, after = one(passages).present(at(60)), one(passages, said(60, 300)).present(at(60))
    assert (before.estimate, after.estimate, after.low, after.high) == (360, 300, 300, 300)
    (check,) = after.checks
    assert (check.estimated, check.apart) == (360.0, 60.0)
    assert after.base is not None and after.inwards == 480, "what was counted stays what it is"
    late = one(passages, said(57.5, 300)).present(at(60))
    assert late.estimate == 315 and late.low is not None and late.low < 315, "half of the count came before it"


def test_nobody_is_ever_less_than_nobody() -> None:
    now = one(north((10, 0), (0, 50), (30, 5))).present(at(15))
    assert (now.estimate, now.lifted, now.imbalance) == (25, 40.0, -15.0)


@pytest.mark.parametrize(
    ("missing", "state"),
    [((), State.OK), ((6,), State.PARTIAL), ((3, 4, 5, 6), State.UNKNOWN), ((10, 11, 12), State.OK)],
)
def test_what_does_not_come_is_unknown_and_not_zero(missing: tuple[int, ...], state: State) -> None:
    passages = [each for each in north(*[(10, 0)] * 12) if (each.end - NOON) / FIVE not in missing]
    now = one(passages).present(at(60))
    assert now.state is state
    assert (now.estimate is None) == (state is State.UNKNOWN)
    if state is State.PARTIAL:
        assert [flow.gate.code for flow in now.troubled] == ["north"]
    assert one(passages).present(at(80)).state is State.UNKNOWN, "nothing for more than three steps"
    assert one(passages, said(80, 5)).present(at(80)).estimate == 5, "but a person has just counted"


def test_before_it_begins_and_after_it_ends_nothing_is_counted() -> None:
    whole = one(north(*[(10, 0)] * 96))
    assert whole.present(at(-1)).state is State.BEFORE and whole.present(at(-1)).estimate is None
    over = whole.present(at(700))
    assert (over.state, over.estimate) == (State.OVER, 960)


def test_the_course_has_the_cells_that_counts_can_have_filled() -> None:
    """Counts that end two minutes after the round ones: what is not over yet, or was not begun, is no gap."""
    passages = [Passage(s, at(2 + 5 * n), 6.0 if s == 11 else 1.0) for n in range(1, 13) for s in (11, 12)]
    late = Plan(at(2), at(480), (1,))
    rows = Counted(passages, GATES[:1], late, []).course(at(63))
    assert [row.end for row in rows] == [at(5 * n) for n in range(2, 13)]
    assert [row.estimate for row in rows] == [5 * n for n in range(1, 12)]
    holes = [each for each in passages if each.end != at(32)]
    gaps = [row.end for row in Counted(holes, GATES[:1], late, []).course(at(63)) if row.estimate is None]
    assert gaps == [at(35)], "and a gap is one"


def test_a_step_is_over_only_clearly_below_it() -> None:
    plan = Plan(NOON, at(480), (1,), levels=(100, 200))
    for people, standing, reached in ((99, 0, 0), (100, 0, 1), (96, 1, 1), (94, 1, 0), (250, 0, 2), (191, 2, 2)):
        now = one([], said(0, people)).present(at(0))
        assert steps_reached(now, plan, standing) == reached, (people, standing)


# --- in the database --------------------------------------------------------------------------------------


@pytest.fixture
def fair(analyst: Analyst) -> tuple[Analyst, int, int]:
    """An event at the market from 9 to 17 local with two steps of capacity and a list of its own; its number, and that
    of the person who writes.
    """
    town = analyst.town
    populate(town)
    channels(town, "mail")
    group(town, "観光", [person(town, "desk", ("mail", "desk@example.jp"))], desk="tourism")
    own = group(town, "祭り本部", [person(town, "tent", ("mail", "tent@example.jp"))], desk="water")
    gate = analyst.rows("select station_id from station where code = 'spot-asaichi'")[0][0]
    with connect(town.owner, name="test") as conn:
        user = conn.execute("select user_id from app_user where login = 'own-tourism'").fetchone()
        assert user is not None
        entry = Entry(EventKind.EVENT, "港まつり", START.date(), START.date(), ("spot-asaichi",))
        event = events.put(conn, town.municipality_id, entry, now=START, user_id=user[0])
        plan = Plan(START, START + timedelta(hours=8), (gate,), levels=(100, 200), group_id=own)
        event_days.put_plan(conn, town.municipality_id, event, plan, now=START, user_id=user[0])
    return analyst, event, user[0]


def passed(analyst: Analyst, *pairs: tuple[float | None, float | None], first: int = 1) -> None:
    for way, place in (("passages_in", 0), ("passages_out", 1)):
        series = analyst.town.datastream("spot-asaichi", way)
        rows = [(START + timedelta(minutes=10 * (first + n)), pair[place]) for n, pair in enumerate(pairs)]
        analyst.send(series, rows)
    analyst.work()


def open_steps(analyst: Analyst) -> list[tuple[str, float, float]]:
    return analyst.rows(
        "select kind, value, usual from finding where ended_at is null and kind like 'crowd%%' order by 1"
    )


def told(analyst: Analyst) -> list[tuple[str, str]]:
    clock = FixedClock(START + timedelta(hours=2))
    with kept(analyst.town.worker) as conn:
        Consumer(analyst.town.worker, "alerts").drain(conn, Evaluator(clock).handle)
    return analyst.rows(
        "select h.event, o.recipient from outbox o join alert_history h using (alert_history_id) "
        "join alert a using (alert_id) where a.rule like 'crowd%%' and o.channel = 'mail' order by o.outbox_id"
    )


def test_steps_of_capacity_tell_the_events_own_list_and_end_with_it(fair: tuple[Analyst, int, int]) -> None:
    analyst, event, user = fair
    passed(analyst, (90, 0))
    assert open_steps(analyst) == []
    passed(analyst, (60, 10), (100, 10), first=2)
    assert open_steps(analyst) == [("crowd_1", 230.0, 100.0), ("crowd_2", 230.0, 200.0)]
    assert told(analyst) == [("raised", "tent@example.jp"), ("raised", "tent@example.jp")], "nobody else's business"
    (body,) = analyst.rows(
        "select o.body from outbox o join alert_history h using (alert_history_id) join alert a using (alert_id) "
        "where a.rule = 'crowd_2' and o.channel = 'mail'"
    )
    assert (
        "行事：港まつり" in body[0]
        and "滞在推定：230（段の人数 200）" in body[0]
        and "実際の人数とは違います" in body[0]
    )
    with connect(analyst.town.owner, name="test") as conn:
        at = START + timedelta(minutes=30)
        event_days.count(conn, analyst.town.municipality_id, event, 120, at=at, note="", now=at, user_id=user)
        append_headquarters(conn, analyst.town.municipality_id)
    analyst.work()
    assert [each[0] for each in open_steps(analyst)] == ["crowd_1"], "somebody counted: at once"
    assert told(analyst)[2:] == [("cleared", "tent@example.jp")]
    with connect(analyst.town.worker, name="test") as conn:
        assert watch.end_over(conn, START + timedelta(hours=1)) == []
        assert len(watch.end_over(conn, START + timedelta(hours=9))) == 1, "the counters are packed away by then"
    assert open_steps(analyst) == []


def test_jobs_and_pages_say_the_same_and_two_events_do_not_share_a_gate(fair: tuple[Analyst, int, int]) -> None:
    analyst, event, user = fair
    town = analyst.town
    passed(analyst, (90, 5), (None, None), (60, 10))
    with connect(town.worker, name="test") as worker, connect(town.api, name="test") as api:
        api.execute("select set_config('mimamori.municipality_id', %s, true)", (str(town.municipality_id),))
        day = event_days.day(api, town.municipality_id, event)
        assert day is not None
        now = START + timedelta(minutes=30)
        seen = [
            counted(worker, day, [], now, "observation").present(now),
            counted(api, day, [], now, "tenant_observation").present(now),
        ]
    assert seen[0] == seen[1]
    assert seen[0].state is State.UNKNOWN, "a third of the time is not there"
    assert open_steps(analyst) == []
    with connect(town.owner, name="test") as conn:
        other = events.put(
            conn,
            town.municipality_id,
            Entry(EventKind.EVENT, "隣", START.date(), START.date()),
            now=START,
            user_id=user,
        )
        with pytest.raises(RecordError, match="overlap"):
            event_days.put_plan(conn, town.municipality_id, other, day.plan, now=START, user_id=user)
