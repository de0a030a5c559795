"""Sessions that change: from alone to one of several, from a backlog to what is new. Real brokers, real processes."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from devices.clock import FixedClock
from devices.codecs import rain_gauge
from ingest import Broker, ConfigError, EmbeddedBroker, IngestConfig
from ingest.broker import end_session
from ingest.embedded import available
from ingest.sessions import Sessions
from store import connect
from tests.brokers.running import Ear, publisher, wait_for
from tests.conftest import START, Registered
from tests.ingest.test_increments import RAIN_GAUGE
from tests.ingest.test_subscriber import Cable, line, through
from tests.ingest.town import Child, chirpstack, config_for, count, level, levels, query, worker


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Broker]:
    """A broker with shared subscriptions."""
    if "mosquitto" not in available():
        pytest.skip("mosquitto is not installed here")
    with EmbeddedBroker(tmp_path / "broker", kind="mosquitto") as running:
        yield running.broker


def publish(broker: Broker, *messages: tuple[str, bytes]) -> None:
    with publisher(broker) as send:
        for topic, raw in messages:
            send(topic, raw)


@contextmanager
def publishing(broker: Broker, messages: list[tuple[str, bytes]], per_second: float) -> Iterator[None]:
    """The messages one after the other, in a thread; leaving waits for the last."""

    def body() -> None:
        with publisher(broker) as send:
            for topic, raw in messages:
                send(topic, raw)
                time.sleep(1 / per_second)

    thread = threading.Thread(target=body)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def slowly(registered: Registered, seconds: float) -> None:
    """Every batch takes so long to be stored."""
    with connect(registered.owner, name="test") as conn:
        conn.execute(
            "create or replace function slow() returns trigger language plpgsql as "
            f"$$begin perform pg_sleep({seconds}); return null; end$$"
        )
        conn.execute("create or replace trigger slow after insert on uplink for each statement execute function slow()")


def comes_to_rest(config: IngestConfig) -> None:
    """A next worker finds nothing that is not stored, and its main session alone listens."""
    sessions = Sessions(config, FixedClock(START))
    sessions.start()
    try:

        def at_rest() -> bool:
            subscriber, batch = sessions.take(timeout=0.01)
            repeated = {(each.topic, each.raw) for each in batch}
            stored = query(config.dsn, "select topic, raw from uplink")
            assert repeated <= {(topic, bytes(raw)) for topic, raw in stored}
            subscriber.acknowledge(batch)
            sessions.rounds()
            return sessions.at_rest

        wait_for(at_rest, "the sessions to come to rest")
    finally:
        sessions.stop()


def waits_in(broker: Broker, client_id: str) -> set[bytes]:
    """What a session brings beside what is published now."""
    ear = Ear(broker, client_id, "mimamori/v1/marker/up")
    publish(broker, ("mimamori/v1/marker/up", b"marker"))
    wait_for(lambda: b"marker" in ear.payloads, "the marker")
    ear.leave()
    return set(ear.payloads) - {b"marker"}


def test_two_workers_divide_the_messages(registered: Registered, mosquitto: Broker) -> None:
    configs = [config_for(registered, mosquitto, worker_id=name, shared=True) for name in ("0", "1")]
    with worker(configs[0]), worker(configs[1]):
        publish(mosquitto, *levels(200))
        wait_for(lambda: count(registered, "uplink") == 200, "all of them")
        wait_for(lambda: query(registered.owner, "select sum(held) from ingest_worker") == [(0,)], "none in hand")
    assert count(registered, "uplink", "repeats > 0") == 0
    assert count(registered, "observation") == 200


def test_becoming_one_of_several_and_alone_again_loses_nothing_and_stores_nothing_twice(
    registered: Registered, mosquitto: Broker
) -> None:
    alone, shared = (config_for(registered, mosquitto, worker_id="0", shared=several) for several in (False, True))
    messages = levels(1200)
    with worker(alone):
        pass  # there is a session now, in which messages wait
    with publishing(mosquitto, messages, 100):
        for n, config in enumerate((alone, shared, alone, shared)):
            with worker(config):
                wait_for(lambda: count(registered, "uplink") >= 300 * n + 100, f"the {n}th to take some")  # noqa: B023
    with worker(shared):
        wait_for(lambda: count(registered, "uplink") == 1200, "all of them")
        assert count(registered, "observation") == 1200
        # The old subscriptions are gone: nothing comes by two ways.
        before = query(registered.owner, "select sum(repeats) from uplink")
        publish(mosquitto, *[level(1.5, counter=9000 + n, time=START + timedelta(seconds=n)) for n in range(50)])
        wait_for(lambda: count(registered, "uplink") == 1250, "what came afterwards")
    assert query(registered.owner, "select sum(repeats) from uplink") == before


def test_what_is_new_overtakes_a_backlog_and_the_backlog_comes_to_its_end(
    registered: Registered, mosquitto: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.sessions.BEHIND_SECONDS", 0.1)
    config = config_for(registered, mosquitto, worker_id="0", batch_size=20)
    with worker(config):
        pass
    backlog = levels(1200)
    publish(mosquitto, *backlog)
    slowly(registered, 0.2)
    with worker(config):
        wait_for(lambda: count(registered, "uplink") >= 100, "the worker to notice that it is behind")
        publish(mosquitto, level(2.0, counter=5000, time=START))
        wait_for(lambda: count(registered, "uplink", "counter = 5000") == 1, "the new reading")
        left = 1201 - count(registered, "uplink")
        slowly(registered, 0.0)
        wait_for(lambda: count(registered, "uplink") == 1201, "the backlog")
    # In the order of their arrival it would have been the last.
    assert left > 200
    assert count(registered, "observation") == 1201
    assert count(registered, "uplink", "repeats > 0") <= 1  # by both sessions, in the moment of the change
    comes_to_rest(config)
    for client_id in (config.client_id, config.spare_client_id):
        assert waits_in(mosquitto, client_id) == set()


def test_a_worker_killed_while_it_overtakes_leaves_nothing_behind(registered: Registered, mosquitto: Broker) -> None:
    config = config_for(registered, mosquitto, worker_id="0", batch_size=20)
    with worker(config):
        pass
    backlog, new = levels(2000)[:1500], levels(2000)[1500:]
    publish(mosquitto, *backlog)
    slowly(registered, 0.1)
    with Child(config) as child:
        wait_for(lambda: count(registered, "uplink") >= 600, "the worker to be behind for some seconds")
        with publishing(mosquitto, new, 200):
            wait_for(
                lambda: count(registered, "uplink", "counter >= 1500") > 0, "a new reading before the end of the old"
            )
            assert count(registered, "uplink", "counter < 1500") < 1500
            child.kill()
        slowly(registered, 0.0)
        child.start()
        wait_for(lambda: count(registered, "uplink") == 2000, "everything")
    assert count(registered, "observation") == 2000
    assert count(registered, "observation_revision") == 0
    comes_to_rest(config)
    for client_id in (config.client_id, config.spare_client_id):
        assert waits_in(mosquitto, client_id) == set()


def test_an_acknowledgement_never_meets_another_message_under_the_same_packet_id(
    registered: Registered, mosquitto: Broker
) -> None:
    cable = Cable(mosquitto)
    try:
        with line(through(cable, mosquitto)) as one:
            publish(mosquitto, ("t/1", b"old"))
            one.wait(1)
            cable.cut()
            wait_for(lambda: one.subscriber.listening_since is None, "the loss to be noticed")
            end_session(mosquitto, "line")  # the broker counts from the beginning again
            cable.mend()
            one.listen()
            publish(mosquitto, ("t/1", b"new"))
            one.wait(2)
            old, new = one.delivered
            assert (old.packet_id, new.raw) == (new.packet_id, b"new") and old.generation != new.generation
            one.subscriber.acknowledge([old])
            wait_for(lambda: one.subscriber.held == 1, "the old acknowledgement to be dropped")
        with line(mosquitto) as two:
            two.wait(1)
            assert two.payloads == [b"new"]
            two.subscriber.acknowledge(two.delivered)
    finally:
        cable.close()


def test_two_workers_at_one_rain_gauge_count_every_tip_once(registered: Registered, mosquitto: Broker) -> None:
    chance = random.Random(20260601)
    messages = []
    total = 0
    for n in range(150):
        tips = chance.choice([0, 0, 1, 3])
        total += tips
        time_ = START - timedelta(minutes=10 * (150 - n))
        payload = rain_gauge.encode(time=time_, restarts=0, count=total, tips=tips)
        messages.append(chirpstack(RAIN_GAUGE, payload, counter=n, time=time_))
    first = messages[0]
    chance.shuffle(messages)
    # Both subscribe for themselves: each message is in two hands, in batches of other sizes.
    with ExitStack() as stack:
        for name, size in (("0", 7), ("1", 5)):
            stack.enter_context(worker(config_for(registered, mosquitto, worker_id=name, batch_size=size)))
        publish(mosquitto, first, *messages)
        wait_for(
            lambda: query(registered.owner, "select sum(repeats) from uplink") == [(152,)], "both copies of all of them"
        )
    datastream = registered.datastream("rain-okusawa", "precipitation")
    rows = query(
        registered.owner,
        "select count(*), sum(value), count(*) filter (where quality <> 'good') from observation "
        "where datastream_id = %s",
        datastream,
    )
    assert rows == [(150, 0.5 * total, 0)]
    assert count(registered, "uplink") == 150


def test_several_workers_are_refused_where_the_broker_cannot_divide(registered: Registered, broker: Broker) -> None:
    if broker.shared:
        pytest.skip("this broker can")
    with pytest.raises(ConfigError, match="one worker there"):
        config_for(registered, broker, shared=True)
    with pytest.raises(ConfigError, match="no shared subscriptions"):
        config_for(registered, replace(broker, shared=False), shared=True)
