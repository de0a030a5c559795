"""However much is to be judged again: in small steps, in turn, and in the end every verdict follows from the values."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

import numpy as np
import pytest

from devices.model import Quality
from ingest import Broker, again
from ingest.again import judge_again, judge_step
from ingest.gate import judged, rules_of
from quality.gate import judge
from store import chunks, connect, verdicts
from store.batch import ObservationRow
from store.connection import Connection
from store.registry import load_directory
from store.verdicts import Stretch
from store.writer import write_history
from tests.brokers.running import publisher, wait_for
from tests.conftest import START, Registered
from tests.ingest.town import config_for, count, level, worker

STEP = timedelta(minutes=10)
NOW = START + timedelta(days=200)
Values = dict[datetime, float]


@pytest.fixture
def river(registered: Registered) -> int:
    return registered.datastream("river-mimamoribashi", "water_level")


def levels(n: int, *, seed: int = 20260601, step: timedelta = STEP) -> Values:
    """A river that trembles, jumps now and then, and stands still for two days in the middle."""
    chance = random.Random(seed)
    height, values = 2.0, {}
    for k in range(n):
        height = min(max(height + chance.uniform(-0.1, 0.1), 0.2), 4.5)
        jump = chance.choice([-1.5, 1.5]) if chance.random() < 0.03 else 0.0
        still = timedelta(0) <= k * step - n * step / 2 < timedelta(days=2)
        values[START + k * step] = 2.5 if still else round(height + jump, 3)
    return values


def said(conn: Connection, town: Registered, ds: int, values: Values) -> None:
    """They come in one batch, judged by what is stored before them."""
    rows = [ObservationRow(ds, time, value, Quality.GOOD, None) for time, value in sorted(values.items())]
    write_history(conn, town.municipality_id, rows, stated=NOW, judge=partial(judged, conn, town.directory))
    conn.commit()


def in_batches(conn: Connection, town: Registered, ds: int, values: Values, times: Sequence[datetime]) -> None:
    for n in range(0, len(times), 500):
        said(conn, town, ds, {time: values[time] for time in times[n : n + 500]})


def wrong(conn: Connection, town: Registered, ds: int) -> list[datetime]:
    """The values whose verdicts are not those of a look at the whole series at once."""
    rows = conn.execute(
        "select phenomenon_time, value, quality::text, reason from observation where datastream_id = %s order by 1",
        (ds,),
    ).fetchall()
    found = judge(
        replace(rules_of(town.directory.datastreams[ds]), low=None, high=None),
        np.array([time.timestamp() for time, *_ in rows]),
        np.array([np.nan if quality == "bad" else value for _, value, quality, _ in rows]),
    )
    return [
        row[0]
        for row, verdict in zip(rows, found, strict=True)
        if row[2] != "bad" and row[2:] != (verdict.quality, verdict.reason)
    ]


def noted(conn: Connection) -> list[Stretch]:
    found = conn.execute("select datastream_id, first_time, last_time from judge_again order by judge_again_id")
    return [Stretch(*row) for row in found.fetchall()]


def note(conn: Connection, town: Registered, stretches: Iterable[Stretch]) -> None:
    verdicts.leave(conn, town.municipality_id, list(stretches))
    conn.commit()


def without_a_rate(town: Registered, ds: int) -> Registered:
    """The town where nobody has said how fast that river can rise."""
    with connect(town.owner, name="test") as conn:
        conn.execute("update datastream set max_rate = null where datastream_id = %s", (ds,))
        return replace(town, directory=load_directory(conn, town.municipality_id))


@pytest.mark.parametrize(
    ("order", "rate"),
    [("as they were", True), ("backwards", True), ("any", True), ("backwards", False), ("any", False)],
)
def test_ten_thousand_late_values_are_judged_as_if_they_had_come_in_time(
    registered: Registered, river: int, order: str, rate: bool
) -> None:
    if not rate:
        registered = without_a_rate(registered, river)
    values = levels(12_000)
    times = sorted(values)
    late = [time for n, time in enumerate(times) if n % 6]
    if order == "backwards":
        late.reverse()
    elif order == "any":
        random.Random(1).shuffle(late)
    with connect(registered.worker, name="test") as conn:
        in_batches(conn, registered, river, values, times[::6])
        judge_again(conn, registered.directory)
        in_batches(conn, registered, river, values, late)
        assert wrong(conn, registered, river), "nothing was to be judged again"
        assert judge_again(conn, registered.directory) > 0
        assert wrong(conn, registered, river) == []
        assert noted(conn) == []


def test_a_step_reads_some_of_a_long_stretch_and_notes_the_rest(
    registered: Registered, river: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(again, "MOST_ROWS", 500)
    read: list[int] = []
    around = again.around

    def counting(conn: Connection, stretches: Sequence[tuple[Stretch, int]]) -> list[list[verdicts.Row]]:
        found = around(conn, stretches)
        read.append(sum(map(len, found)))
        return found

    monkeypatch.setattr(again, "around", counting)
    values = levels(5000)
    times = sorted(values)
    with connect(registered.worker, name="test") as conn:
        in_batches(conn, registered, river, values, times[::2])
        in_batches(conn, registered, river, values, times[1::2])
        conn.execute("delete from judge_again")
        note(conn, registered, [Stretch(river, times[0], times[-1])])
        steps = 1
        while judge_step(conn, registered.directory).more:
            steps += 1
            (left,) = noted(conn)
            assert left.last == times[-1] and left.first >= times[500 * (steps - 1)]
        assert steps == 10
        context = rules_of(registered.directory.datastreams[river]).context() + 1
        assert max(read) <= 500 + 2 + 2 * context
        assert wrong(conn, registered, river) == []
        assert noted(conn) == []


def test_who_has_much_to_be_judged_makes_nobody_wait(
    registered: Registered, river: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(again, "MOST_STRETCHES", 4)
    other = registered.datastream("river-shiomibashi", "water_level")
    values = levels(3000)
    times = sorted(values)
    with connect(registered.worker, name="test") as conn:
        in_batches(conn, registered, river, values, times)
        said(conn, registered, other, {START: 1.0, START + 2 * STEP: 1.1})
        said(conn, registered, other, {START + STEP: 4.0})
        assert wrong(conn, registered, other) == []
        conn.execute("update observation set quality = 'doubtful', reason = 'stuck' where datastream_id = %s", (other,))
        conn.execute("delete from judge_again")
        # Each alone: no two of them share surroundings.
        note(conn, registered, [Stretch(river, time, time) for time in times[::300]])
        note(conn, registered, [Stretch(other, START, START + 2 * STEP)])
        assert judge_step(conn, registered.directory).more
        assert wrong(conn, registered, other) == []
        assert {stretch.datastream_id for stretch in noted(conn)} == {river}
        judge_again(conn, registered.directory)
        assert noted(conn) == []


def test_a_standstill_that_is_told_more_often_than_usual_is_seen(registered: Registered, river: int) -> None:
    """Every two minutes instead of every ten: the last day is more than the usual number of values."""
    values = levels(3000, step=timedelta(minutes=2))
    times = sorted(values)
    late = times[1700]
    assert values[times[1600]] == values[late] == values[times[2900]] == 2.5
    with connect(registered.worker, name="test") as conn:
        in_batches(conn, registered, river, values, [time for time in times if time != late])
        note(conn, registered, [Stretch(river, times[0], times[-1])])  # the gate looks back for a few values only
        judge_again(conn, registered.directory)
        assert wrong(conn, registered, river) == []
        said(conn, registered, river, {late: 2.6})
        # The standstill begins anew behind it, and is known as one only a day later.
        doubted = wrong(conn, registered, river)
        assert len(doubted) > 144 and min(doubted) > late + timedelta(hours=16)
        judge_again(conn, registered.directory)
        assert wrong(conn, registered, river) == []


def test_verdicts_in_compressed_chunks_change_in_parts(
    registered: Registered, river: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks, "STEP_ROWS", 2 * chunks.BATCH_ROWS)
    values = levels(12_000)
    times = sorted(values)
    with connect(registered.worker, name="test") as conn:
        in_batches(conn, registered, river, values, times)
        judge_again(conn, registered.directory)
        conn.execute("update observation set quality = 'doubtful', reason = 'stuck' where value <> 2.5")
        conn.commit()
        while chunks.compress(conn, NOW) is not None:
            conn.commit()
        note(conn, registered, [Stretch(river, times[0], times[-1])])
        step = judge_step(conn, registered.directory)
        assert step.more and 0 < step.changed <= 2 * chunks.BATCH_ROWS
        judge_again(conn, registered.directory)
        assert wrong(conn, registered, river) == []
        assert noted(conn) == []


def test_a_live_message_does_not_wait_until_all_is_judged(
    registered: Registered, river: int, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(again, "MOST_ROWS", 1)  # then what is noted takes minutes
    values = levels(6000)
    times = sorted(values)
    with connect(registered.worker, name="test") as conn:
        in_batches(conn, registered, river, values, times)
        note(conn, registered, [Stretch(river, times[0], times[-1])])
        with worker(config_for(registered, broker)):
            wait_for(lambda: noted(conn)[0].first > times[0], "the worker to have begun")
            with publisher(broker) as send:
                send(*level(1.0, counter=1, time=START))
            wait_for(lambda: count(registered, "uplink") == 1, "the message")
            (left,) = noted(conn)
        assert left.first < times[-1]


def test_what_is_noted_stays_where_a_step_fails(
    registered: Registered, river: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> int:
        raise RuntimeError("killed")

    stretch = Stretch(river, START, START + STEP)
    with connect(registered.worker, name="test") as conn:
        said(conn, registered, river, {START: 1.0, START + STEP: 4.0})
        conn.execute("update observation set quality = 'good', reason = null")
        note(conn, registered, [stretch])
        with monkeypatch.context() as patched:
            patched.setattr(again, "give", fail)
            with pytest.raises(RuntimeError):
                judge_step(conn, registered.directory)
        assert noted(conn) == [stretch]
        assert judge_again(conn, registered.directory) == 1
        assert wrong(conn, registered, river) == []


def test_a_second_worker_leaves_a_step_to_the_first(registered: Registered, river: int) -> None:
    with connect(registered.worker, name="first") as first, connect(registered.worker, name="second") as second:
        note(first, registered, [Stretch(river, START, START)])
        taken, more = verdicts.take(first, registered.municipality_id)
        assert taken and not more
        assert judge_step(second, registered.directory) == again.Step(0, more=False)
        first.rollback()
        assert noted(second) == [Stretch(river, START, START)]
