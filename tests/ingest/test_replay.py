"""Quarantine that heals: what could not be read is read again, as if it could have been read when it came."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest

from devices import codecs
from devices.clock import FixedClock
from devices.model import CodecError
from ingest import Broker
from ingest.again import judge_again
from ingest.message import Message
from ingest.replay import STEP_MESSAGES, Replaying
from ingest.settle import KnownDevices, Settling
from quality.gate import CLOCK
from store import connect
from store.quarantine import Replay, Selection, ask, replay
from tests.brokers.running import publisher, wait_for
from tests.conftest import START, Registered
from tests.ingest.town import GAUGE, config_for, count, level, levels, query, worker

MINUTE = timedelta(minutes=1)
ELSEWHERE = "a84041ffff31ffff"  # nobody has this key
NOW = FixedClock(START)


@pytest.fixture
def devices(registered: Registered) -> Iterator[KnownDevices]:
    with closing(KnownDevices(registered.municipality_id)) as known:
        with connect(registered.worker, name="test") as conn:
            known.refresh(conn)
        yield known


def deliver(registered: Registered, devices: KnownDevices, messages: Sequence[tuple[str, bytes]]) -> None:
    """What the broker would bring, in one batch, received at the town's present."""
    with connect(registered.worker, name="test") as conn:
        settling = Settling(conn, devices, [Message(topic, raw, START) for topic, raw in messages], CLOCK)
        while not settling.over:
            settling.step(conn)


def rename(registered: Registered, old: str, new: str) -> None:
    with connect(registered.owner, name="test") as conn:
        assert conn.execute("update device set key = %s where key = %s", (new, old)).rowcount == 1


def ask_for(registered: Registered, selection: Selection = Selection()) -> Replay | None:  # noqa: B008
    with connect(registered.worker, name="test") as conn:
        return ask(conn, registered.municipality_id, selection, now=START, user_id=None)


def heal(registered: Registered, devices: KnownDevices, selection: Selection = Selection()) -> Replay:  # noqa: B008
    """Asks, and does it."""
    wish = ask_for(registered, selection)
    assert wish is not None
    with connect(registered.worker, name="test") as conn:
        replaying = Replaying(devices, NOW, CLOCK)
        while replaying.step(conn):
            pass
        return replay(conn, wish.replay_id)


def result(wish: Replay) -> dict[str, int]:
    return {name: getattr(wish, name) for name in ("accepted", "event", "duplicate", "quarantined")}


TABLES = {
    "uplink": """
        select device_key, session, counter, payload_hash, epoch, topic, raw, network_time, received_time, outcome,
               reason, detail, repeats, (select key from device d where d.device_id = u.device_id)
        from uplink u order by topic, raw, received_time""",
    "observation": """
        select o.datastream_id, phenomenon_time, value, quality::text, o.reason, u.raw
        from observation o left join uplink u using (uplink_id) order by 1, 2""",
    "observation_revision": """
        select r.datastream_id, phenomenon_time, value, u.raw
        from observation_revision r left join uplink u using (uplink_id) order by 1, 2, 3, 4""",
    "delivery_count": """
        select device_id, hour, delivered, accepted, event, duplicate, quarantined, given, stored + revised + unchanged
        from delivery_count where delivered <> 0 order by 1, 2""",
    "frame_run": "select device_id, session, first_counter, last_counter, received from frame_run order by 1, 2",
    "frame_gap": "select device_id, from_counter, to_counter from frame_gap order by 1, 2",
    "device_status": "select device_id, battery, measured_at from device_status order by 1",
}


def tables(registered: Registered) -> dict[str, list[tuple[Any, ...]]]:
    """What is stored when no verdict is waiting to be worked out again."""
    with connect(registered.worker, name="test") as conn:
        judge_again(conn, registered.directory)
    return {name: query(registered.owner, sql) for name, sql in TABLES.items()}


def test_a_device_registered_afterwards_gets_its_past(registered: Registered, devices: KnownDevices) -> None:
    rename(registered, GAUGE, ELSEWHERE)
    with connect(registered.worker, name="test") as conn:
        devices.refresh(conn)
    messages = levels(30)
    deliver(registered, devices, messages)
    assert count(registered, "uplink", "reason = 'unknown_device'") == 30
    assert count(registered, "observation") == 0
    rename(registered, ELSEWHERE, GAUGE)
    wish = heal(registered, devices)
    assert result(wish) == {"accepted": 30, "event": 0, "duplicate": 0, "quarantined": 0}
    assert (wish.total, wish.done, wish.finished_at) == (30, 30, START)
    assert count(registered, "observation") == 30
    kept = query(registered.owner, "select topic, raw, received_time, outcome, reason from uplink order by uplink_id")
    assert [(topic, bytes(raw)) for topic, raw, *_ in kept] == messages
    assert {tuple(rest) for _, _, *rest in kept} == {(START, "accepted", None)}
    assert ask_for(registered) is None  # there is nothing left to read again


@pytest.mark.parametrize("seed", range(3))
def test_healed_late_is_the_same_as_read_at_first(registered: Registered, devices: KnownDevices, seed: int) -> None:
    """Late, doubled and contradicting messages, half of them unreadable when they came: the tables are as if they had
    been read at once, whatever came when.
    """
    chance = random.Random(seed)
    begin = START - timedelta(hours=6)
    messages = []
    for i, minute in enumerate(sorted(chance.randrange(120) for _ in range(60))):
        at = begin + MINUTE * minute  # several for one time
        messages.append(level(1 + chance.randrange(50) / 100, counter=i, time=at))
    messages += chance.sample(messages, 10)
    chance.shuffle(messages)
    half = len(messages) // 2

    deliver(registered, devices, messages[:half])
    deliver(registered, devices, messages[half:])
    at_once = tables(registered)
    with connect(registered.owner, name="test") as conn:
        conn.execute(
            "truncate uplink, observation, observation_revision, delivery_count, frame_run, feed, datastream_latest, "
            "device_status, alert_judged, judge_again cascade"
        )

    rename(registered, GAUGE, ELSEWHERE)
    with connect(registered.worker, name="test") as conn:
        devices.refresh(conn)
    deliver(registered, devices, messages[:half])
    rename(registered, ELSEWHERE, GAUGE)
    with connect(registered.worker, name="test") as conn:
        devices.refresh(conn)
    deliver(registered, devices, messages[half:])
    assert heal(registered, devices).accepted > 20
    # Where a repetition was counted: for the unknown sender, who it was then.
    healed = tables(registered)
    for table in ("uplink", "observation", "observation_revision", "device_status", "frame_gap"):
        assert healed[table] == at_once[table], table


def test_a_codec_that_was_mended_reads_what_it_could_not(
    registered: Registered, devices: KnownDevices, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> object:
        raise CodecError("firmware 2 is not known")

    with monkeypatch.context() as before:
        before.setattr(codecs, "decode", broken)
        deliver(registered, devices, levels(5))
        deliver(registered, devices, levels(1))  # once more: a repetition of one that waits
    assert query(registered.owner, "select reason, detail, repeats from uplink order by counter") == [
        ("codec", "firmware 2 is not known", 1),
        *[("codec", "firmware 2 is not known", 0)] * 4,
    ]
    before_frames = query(registered.owner, TABLES["frame_run"])
    assert heal(registered, devices, Selection(reason="codec")).accepted == 5
    assert count(registered, "observation") == 5
    # Those frames had arrived before; they are not counted twice.
    assert query(registered.owner, TABLES["frame_run"]) == before_frames
    assert query(registered.owner, "select outcome, reason, detail, repeats from uplink order by counter") == [
        ("accepted", None, None, 1),
        *[("accepted", None, None, 0)] * 4,
    ]
    deliver(registered, devices, levels(5))
    assert count(registered, "observation_revision") == 0
    assert query(registered.owner, "select sum(repeats), count(*) from uplink") == [(6, 5)]
    assert unclosed(registered) == []


def unclosed(registered: Registered) -> list[object]:
    from store.counts import unclosed as ask_unclosed

    with connect(registered.worker, name="test") as conn:
        return list(ask_unclosed(conn, registered.municipality_id, START - timedelta(days=1)))


def test_a_replay_done_again_changes_nothing(registered: Registered, devices: KnownDevices) -> None:
    rename(registered, GAUGE, ELSEWHERE)
    with connect(registered.worker, name="test") as conn:
        devices.refresh(conn)
    deliver(registered, devices, [*levels(5), ("application/a/device/b/event/up", b"{")])
    rename(registered, ELSEWHERE, GAUGE)
    assert result(heal(registered, devices)) == {"accepted": 5, "event": 0, "duplicate": 0, "quarantined": 1}
    once = tables(registered)
    feed = count(registered, "feed")
    assert result(heal(registered, devices)) == {"accepted": 0, "event": 0, "duplicate": 0, "quarantined": 1}
    assert tables(registered) == once
    assert count(registered, "feed") == feed
    assert unclosed(registered) == []


def test_what_turns_out_to_be_a_repetition_is_counted_as_one(
    registered: Registered, devices: KnownDevices, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrapping that could not be read, and the same message again once it could: one message, one repetition."""
    from devices import envelopes
    from devices.model import EnvelopeError

    def broken(*_: object) -> object:
        raise EnvelopeError("a newer network server")

    messages = levels(3)
    with monkeypatch.context() as before:
        before.setattr(envelopes, "open_uplink", broken)
        deliver(registered, devices, messages)
    deliver(registered, devices, messages[:2])  # the network delivers two of them again
    assert query(registered.owner, "select outcome, count(*) from uplink group by 1 order by 1") == [
        ("accepted", 2),
        ("quarantined", 3),
    ]
    assert result(heal(registered, devices)) == {"accepted": 1, "event": 0, "duplicate": 2, "quarantined": 0}
    assert query(registered.owner, "select counter, outcome, repeats from uplink order by 1") == [
        (0, "accepted", 1),
        (1, "accepted", 1),
        (2, "accepted", 0),
    ]
    assert count(registered, "observation") == 3
    assert unclosed(registered) == []


def test_only_what_was_asked_for_is_read_again(registered: Registered, devices: KnownDevices) -> None:
    rename(registered, GAUGE, ELSEWHERE)
    with connect(registered.worker, name="test") as conn:
        devices.refresh(conn)
    deliver(registered, devices, [*levels(4), ("application/a/device/b/event/up", b"{")])
    rename(registered, ELSEWHERE, GAUGE)
    (first,) = query(registered.owner, "select min(uplink_id) from uplink where device_key = %s", GAUGE)[0]
    assert ask_for(registered, Selection(reason="codec")) is None
    assert ask_for(registered, Selection(device_key="b")) is None
    assert ask_for(registered, Selection(since=START + MINUTE)) is None
    assert heal(registered, devices, Selection(uplink_id=first)).accepted == 1
    assert count(registered, "uplink", "outcome = 'accepted'") == 1
    assert heal(registered, devices, Selection(device_key=GAUGE)).accepted == 3
    assert heal(registered, devices, Selection(reason="envelope")).quarantined == 1


def test_asked_twice_while_it_waits_is_one_wish(registered: Registered, devices: KnownDevices) -> None:
    deliver(registered, devices, [("application/a/device/b/event/up", b"{")])
    first, second = ask_for(registered), ask_for(registered)
    assert first is not None and first == second
    other = ask_for(registered, Selection(reason="envelope"))
    assert other is not None and other.replay_id != first.replay_id


def test_ten_thousand_messages_are_read_in_small_steps_and_live_ones_pass_between(
    registered: Registered, devices: KnownDevices
) -> None:
    rename(registered, GAUGE, ELSEWHERE)
    with connect(registered.worker, name="test") as conn:
        devices.refresh(conn)
    messages = levels(1000)
    deliver(registered, devices, messages)
    rename(registered, ELSEWHERE, GAUGE)
    assert ask_for(registered) is not None
    with connect(registered.worker, name="test") as conn:
        replaying = Replaying(devices, NOW, CLOCK)
        steps = 0
        while replaying.step(conn):
            steps += 1
            done = count(registered, "uplink", "outcome = 'accepted' and counter < 1000")
            assert done <= steps * STEP_MESSAGES
            if steps == 1:
                assert done > 0
                deliver(registered, devices, [level(2, counter=5000, time=START)])
                assert count(registered, "uplink", "counter = 5000 and outcome = 'accepted'") == 1
    assert steps >= 1000 / STEP_MESSAGES
    assert count(registered, "observation") == 1001


def test_a_step_that_dies_leaves_nothing_and_the_next_one_goes_on(
    registered: Registered, devices: KnownDevices
) -> None:
    rename(registered, GAUGE, ELSEWHERE)
    with connect(registered.worker, name="test") as conn:
        devices.refresh(conn)
    deliver(registered, devices, levels(STEP_MESSAGES + 10))
    rename(registered, ELSEWHERE, GAUGE)
    wish = ask_for(registered)
    assert wish is not None
    with connect(registered.worker, name="test") as conn:
        assert Replaying(devices, NOW, CLOCK).step(conn)
    with connect(registered.owner, name="test") as conn:
        conn.execute(
            "create function die() returns trigger language plpgsql as "
            "'begin perform pg_terminate_backend(pg_backend_pid()); return null; end'"
        )
        conn.execute("create trigger die before update on quarantine_replay for each row execute function die()")
    before = tables(registered)
    import psycopg

    with pytest.raises(psycopg.OperationalError), connect(registered.worker, name="test") as conn:
        Replaying(devices, NOW, CLOCK).step(conn)
    assert tables(registered) == before
    with connect(registered.owner, name="test") as conn:
        conn.execute("drop trigger die on quarantine_replay")
    with connect(registered.worker, name="test") as conn:
        replaying = Replaying(devices, NOW, CLOCK)
        while replaying.step(conn):
            pass
        assert replay(conn, wish.replay_id).accepted == STEP_MESSAGES + 10
    assert count(registered, "observation") == STEP_MESSAGES + 10
    assert unclosed(registered) == []


def test_replays_redeliveries_and_workers_at_once_give_one_result(
    registered: Registered, devices: KnownDevices, monkeypatch: pytest.MonkeyPatch
) -> None:
    from devices import envelopes
    from devices.model import EnvelopeError

    def broken(*_: object) -> object:
        raise EnvelopeError("not yet")

    messages = levels(400)
    with monkeypatch.context() as before:
        before.setattr(envelopes, "open_uplink", broken)
        deliver(registered, devices, messages)
    for reason in ("envelope", None):
        assert ask_for(registered, Selection(reason=reason)) is not None
    failures: list[BaseException] = []

    def guarded(body: Callable[[], None]) -> Callable[[], None]:
        def run() -> None:
            try:
                body()
            except BaseException as failure:
                failures.append(failure)

        return run

    @contextmanager
    def known() -> Iterator[KnownDevices]:
        with closing(KnownDevices(registered.municipality_id)) as own:
            with connect(registered.worker, name="test") as conn:
                own.refresh(conn)
            yield own

    # Who writes the same at the same time may be made to begin anew by the database; ingest does so by itself.
    def take_steps() -> None:
        with connect(registered.worker, name="test") as conn, known() as own:
            replaying = Replaying(own, NOW, CLOCK)
            while query(registered.owner, "select 1 from quarantine_replay where finished_at is null"):
                with suppress(psycopg.errors.DeadlockDetected):
                    replaying.step(conn)

    def redeliver() -> None:
        with known() as own:
            starts = list(range(0, len(messages), 20))
            while starts:
                with suppress(psycopg.errors.DeadlockDetected):
                    deliver(registered, own, messages[starts[0] : starts[0] + 20])
                    del starts[0]

    threads = [threading.Thread(target=guarded(body)) for body in (take_steps, take_steps, redeliver)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
        assert not thread.is_alive()
    assert failures == []
    assert query(registered.owner, "select outcome, count(*) from uplink group by 1") == [("accepted", 400)]
    assert count(registered, "observation") == 400
    assert count(registered, "observation_revision") == 0
    assert unclosed(registered) == []


def judged_to(registered: Registered, datastream_id: int) -> datetime | None:
    rows = query(registered.owner, "select judged_to from alert_judged where datastream_id = %s", datastream_id)
    return rows[0][0] if rows else None


def test_an_old_flood_that_heals_raises_no_alert_and_a_present_one_does(
    registered: Registered, devices: KnownDevices
) -> None:
    from alerts.evaluator import Evaluator
    from store.feed import Consumer

    gauge = registered.datastream("river-okusawa", "water_level")
    silence = next(d for d in registered.directory.devices.values() if d.key == GAUGE).silence_after
    old, young = START - timedelta(days=3), START - silence / 2
    rename(registered, GAUGE, ELSEWHERE)
    with connect(registered.worker, name="test") as conn:
        devices.refresh(conn)

    def flood(at: datetime, first: int) -> list[tuple[str, bytes]]:
        return [level(4.5, counter=first + i, time=at + i * MINUTE) for i in range(4)]

    def alerts() -> int:
        with connect(registered.worker, name="alerts") as conn:
            evaluator = Evaluator(NOW, mail=False)
            Consumer(registered.worker, "alerts").drain(conn, evaluator.handle)
        return count(registered, "alert", "rule = 'level'")

    deliver(registered, devices, flood(old, 1))
    rename(registered, ELSEWHERE, GAUGE)
    assert heal(registered, devices).accepted == 4
    assert judged_to(registered, gauge) == old + 3 * MINUTE
    assert alerts() == 0

    rename(registered, GAUGE, ELSEWHERE)
    with connect(registered.worker, name="test") as conn:
        devices.refresh(conn)
    deliver(registered, devices, flood(young, 100))
    rename(registered, ELSEWHERE, GAUGE)
    assert heal(registered, devices).accepted == 4
    assert alerts() == 1


def test_what_waits_to_be_judged_is_judged_before_what_heals_counts_as_judged(
    registered: Registered, devices: KnownDevices
) -> None:
    gauge = registered.datastream("river-okusawa", "water_level")
    old = START - timedelta(days=3)
    deliver(registered, devices, [level(1.5, counter=1, time=old)])  # the alerts have not seen it yet
    rename(registered, GAUGE, ELSEWHERE)
    with connect(registered.worker, name="test") as conn:
        devices.refresh(conn)
    deliver(registered, devices, [level(1.6, counter=2, time=old + 10 * MINUTE)])
    rename(registered, ELSEWHERE, GAUGE)
    assert heal(registered, devices).accepted == 1
    assert judged_to(registered, gauge) is None


def test_what_the_database_still_refuses_stays_and_the_rest_heals(
    registered: Registered, devices: KnownDevices
) -> None:
    with connect(registered.owner, name="test") as conn:
        conn.execute("alter table observation add constraint no_two check (value <> 2)")
    begin = START - timedelta(hours=1)
    messages = [level(2.0 if i in (3, 7) else 1.5, counter=i, time=begin + i * MINUTE) for i in range(10)]
    rename(registered, GAUGE, ELSEWHERE)
    with connect(registered.worker, name="test") as conn:
        devices.refresh(conn)
    deliver(registered, devices, messages)
    rename(registered, ELSEWHERE, GAUGE)
    assert result(heal(registered, devices)) == {"accepted": 8, "event": 0, "duplicate": 0, "quarantined": 2}
    assert query(registered.owner, "select reason, count(*) from uplink group by 1 order by 1") == [
        ("store", 2),
        (None, 8),
    ]
    with connect(registered.owner, name="test") as conn:
        conn.execute("alter table observation drop constraint no_two")
    assert heal(registered, devices, Selection(reason="store")).accepted == 2
    assert count(registered, "observation", "value = 2") == 2
    assert unclosed(registered) == []


def test_a_running_worker_takes_it_up(registered: Registered, broker: Broker) -> None:
    rename(registered, GAUGE, ELSEWHERE)
    with worker(config_for(registered, broker)):
        with publisher(broker) as send:
            for topic, raw in levels(40):
                send(topic, raw)
        wait_for(lambda: count(registered, "uplink", "outcome = 'quarantined'") == 40, "40 unknown messages")
        rename(registered, ELSEWHERE, GAUGE)
        wish = ask_for(registered)
        assert wish is not None and wish.total == 40
        wait_for(lambda: count(registered, "quarantine_replay", "finished_at is not null") == 1, "the replay to end")
    assert count(registered, "observation") == 40
    assert query(registered.owner, "select accepted, quarantined from quarantine_replay") == [(40, 0)]
