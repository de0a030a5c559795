"""The count from outside: which frame counters came, in whatever order, and which never did."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from store import connect
from store.batch import UplinkRow
from store.frames import JUMP, NEAR, Frame, Run, take
from store.writer import write_batch
from tests.conftest import START, Registered
from tests.store.test_writer import uplink

BEGIN = datetime(2026, 6, 1, tzinfo=UTC)


def frame(counter: int, *, second: int | None = None, received: int | None = None) -> Frame:
    sent = BEGIN + timedelta(seconds=counter if second is None else second)
    return Frame(counter, sent, sent if received is None else BEGIN + timedelta(seconds=received))


def taken(*frames: Frame) -> list[Run]:
    runs: list[Run] = []
    for each in frames:
        take(runs, each)
    return runs


def missing(run: Run) -> set[int]:
    return {counter for gap in run.gaps for counter in range(gap.start, gap.end + 1)}


@given(st.sets(st.integers(0, 300), min_size=1), st.randoms(use_true_random=False), st.booleans())
def test_every_order_of_arrival_gives_the_same_count(counters: set[int], chance: random.Random, again: bool) -> None:
    arriving = [frame(counter) for counter in counters]
    if again:  # the same counter once more, with another payload
        arriving += chance.sample(arriving, min(3, len(arriving)))
    chance.shuffle(arriving)
    (run,) = taken(*arriving)
    assert (run.first, run.last) == (min(counters), max(counters))
    assert run.received == len(counters)
    assert missing(run) == set(range(run.first, run.last + 1)) - counters
    assert run.expected - run.received == sum(gap.end - gap.start + 1 for gap in run.gaps)


def test_a_gap_is_noticed_with_the_frame_after_it_and_a_late_one_splits_it() -> None:
    (run,) = taken(frame(1), frame(5, received=100), frame(3, received=200))
    assert [(gap.start, gap.end, gap.noticed) for gap in run.gaps] == [
        (2, 2, BEGIN + timedelta(seconds=100)),
        (4, 4, BEGIN + timedelta(seconds=100)),
    ]


@pytest.mark.parametrize("last", [9, 65_535])
def test_a_counter_that_begins_anew_loses_nothing(last: int) -> None:
    before = [frame(counter, second=counter) for counter in range(last - 3, last + 1)]
    after = [frame(counter, second=last + 10 + counter) for counter in range(4)]
    runs = taken(*before, *after)
    if last > NEAR:
        assert [(run.first, run.last, run.gaps) for run in runs] == [(0, 3, []), (last - 3, last, [])]
    else:  # so near to the first that it may as well be late: nothing is missed either way
        assert sum(run.received for run in runs) == 8


def test_a_frame_of_before_the_restart_closes_its_gap_there() -> None:
    runs = taken(frame(1000), frame(1002), frame(0, second=2000), frame(1, second=2001), frame(1001))
    assert [(run.first, run.last, run.received, run.gaps) for run in runs] == [(0, 1, 2, []), (1000, 1002, 3, [])]


def test_a_leap_is_another_count_and_no_gap() -> None:
    runs = taken(frame(5), frame(6 + JUMP))
    assert [run.gaps for run in runs] == [[], []]
    (run,) = taken(frame(5), frame(5 + JUMP))
    assert run.gaps == [(6, 4 + JUMP, BEGIN + timedelta(seconds=5 + JUMP))]


def test_a_counter_that_stands_still_is_one_frame() -> None:
    (run,) = taken(*(frame(7, second=second) for second in range(10)))
    assert (run.received, run.expected) == (1, 1)


# --- in the database -------------------------------------------------------------------------------------


def rows(registered: Registered, counters: list[int], *, session: str = "01020304") -> list[UplinkRow]:
    device = next(iter(registered.directory.devices.values()))
    return [
        replace(
            uplink(counter, payload=counter.to_bytes(8, "big")),
            device_id=device.device_id,
            device_key=device.key,
            session=session,
        )
        for counter in counters
    ]


def stored(registered: Registered) -> list[tuple[object, ...]]:
    with connect(registered.owner, name="test") as conn:
        return conn.execute(
            """
            select r.session, r.first_counter, r.last_counter, r.received,
                   array(select array[g.from_counter, g.to_counter] from frame_gap g
                         where g.frame_run_id = r.frame_run_id order by 1)
            from frame_run r order by 1, 2
            """
        ).fetchall()


@pytest.mark.parametrize("seed", range(4))
def test_batches_in_any_order_and_of_any_size_give_the_same_rows(registered: Registered, seed: int) -> None:
    chance = random.Random(seed)
    sent = sorted(chance.sample(range(400), 250))
    arriving = rows(registered, [*sent, *chance.sample(sent, 30)])
    chance.shuffle(arriving)
    with connect(registered.worker, name="test") as conn:
        while arriving:
            n = chance.randint(1, 60)
            write_batch(conn, registered.municipality_id, arriving[:n])
            conn.commit()
            arriving = arriving[n:]
    ((session, first, last, received, gaps),) = stored(registered)
    assert (session, first, last, received) == ("01020304", sent[0], sent[-1], 250)
    lost = {counter for start, end in gaps for counter in range(start, end + 1)}  # type: ignore[attr-defined]
    assert lost == set(range(sent[0], sent[-1] + 1)) - set(sent)


def test_each_session_counts_for_itself_and_a_lost_transaction_leaves_nothing(registered: Registered) -> None:
    with connect(registered.worker, name="test") as conn:
        write_batch(conn, registered.municipality_id, rows(registered, [1, 2, 9], session="a"))
        conn.rollback()
        write_batch(conn, registered.municipality_id, rows(registered, [1, 3], session="a"))
        write_batch(conn, registered.municipality_id, rows(registered, [1, 2], session="b"))
        conn.commit()
    assert stored(registered) == [("a", 1, 3, 2, [[2, 2]]), ("b", 1, 2, 2, [])]


def test_what_healed_of_before_a_restart_is_written_where_it_belongs(registered: Registered) -> None:
    device = rows(registered, [0])[0]
    old = rows(registered, [1000, 1003])
    anew = [
        replace(row, network_time=START + timedelta(days=2), received_time=START + timedelta(days=2))
        for row in rows(registered, [0, 1])
    ]
    assert device.device_id is not None
    with connect(registered.worker, name="test") as conn:
        for batch in (old, anew, rows(registered, [1001])):
            write_batch(conn, registered.municipality_id, batch)
        conn.commit()
    assert stored(registered) == [("01020304", 0, 1, 2, []), ("01020304", 1000, 1003, 3, [[1002, 1002]])]
