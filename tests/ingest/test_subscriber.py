"""The subscriber on real brokers: generations, repetition, bounded memory, coming back."""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from paho.mqtt.client import Client

from devices.clock import FixedClock
from ingest.batcher import Batcher, batch_limit
from ingest.broker import Broker
from ingest.embedded import EmbeddedBroker
from ingest.subscriber import Delivery, Subscriber
from tests.brokers.running import Ear, publish_all, wait_for
from tests.conftest import START


class Line:
    """A subscriber and what it delivered."""

    def __init__(self, broker: Broker, *, hold_messages: int | None = None) -> None:
        self.delivered: list[Delivery] = []
        self.clock = FixedClock(START)
        self.subscriber = Subscriber(
            broker, "line", ["t/#"], self.clock, self.delivered.append, hold_messages=hold_messages
        )
        self.subscriber.start()

    def wait(self, n: int) -> None:
        wait_for(lambda: len(self.delivered) >= n, f"{n} deliveries")

    def listen(self) -> None:
        wait_for(lambda: self.subscriber.listening_since is not None, "the subscriptions")

    @property
    def payloads(self) -> list[bytes]:
        return [delivery.raw for delivery in self.delivered]


@contextlib.contextmanager
def line(broker: Broker, *, hold_messages: int | None = None) -> Iterator[Line]:
    made = Line(broker, hold_messages=hold_messages)
    try:
        made.listen()
        yield made
    finally:
        made.subscriber.stop()


class Cable:
    """A TCP relay to the broker that can be cut and mended: a network as the town has it."""

    def __init__(self, broker: Broker) -> None:
        self._target = (broker.host, broker.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._sockets: list[socket.socket] = []
        self._whole = threading.Event()
        self._whole.set()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        self._whole.clear()
        for one in self._sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self._sockets.clear()

    def mend(self) -> None:
        self._whole.set()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            if not self._whole.is_set():
                near.close()
                continue
            far = socket.create_connection(self._target)
            self._sockets += [near, far]
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    @staticmethod
    def _pump(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError), source, sink:
            while chunk := source.recv(65536):
                sink.sendall(chunk)
            sink.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def cable(broker: Broker) -> Iterator[Cable]:
    made = Cable(broker)
    yield made
    made.close()


def through(cable: Cable, broker: Broker) -> Broker:
    return Broker(
        "127.0.0.1",
        cable.port,
        broker.username,
        broker.password,
        max_unacked=broker.max_unacked,
        redelivery_seconds=broker.redelivery_seconds,
    )


def test_what_was_acknowledged_does_not_come_to_the_next_and_the_rest_does(broker: Broker) -> None:
    with line(broker) as first:
        publish_all(broker, "t/1", [b"a", b"b", b"c"])
        first.wait(3)
        assert first.payloads == [b"a", b"b", b"c"]
        first.subscriber.acknowledge(first.delivered[:2])
        wait_for(lambda: first.subscriber.held == 1, "the acknowledgements to go out")
    with line(broker) as second:
        second.wait(1)
        publish_all(broker, "t/1", [b"d"])
        second.wait(2)
        assert sorted(second.payloads) == [b"c", b"d"]


def test_an_acknowledgement_of_an_old_generation_is_dropped(broker: Broker, cable: Cable) -> None:
    with line(through(cable, broker)) as one:
        publish_all(broker, "t/1", [b"a", b"b"])
        one.wait(2)
        old = list(one.delivered)
        generation = one.subscriber.generation
        cable.cut()
        wait_for(lambda: one.subscriber.listening_since is None, "the loss to be noticed")
        cable.mend()
        one.listen()
        assert one.subscriber.generation > generation
        # Were these sent, the broker would take them for the same packet ids of the new connection.
        one.subscriber.acknowledge(old)
        one.wait(4)
        assert one.payloads == [b"a", b"b", b"a", b"b"]
        wait_for(lambda: one.subscriber.held == 2, "the old acknowledgements to be dropped")
    with line(broker) as two:
        two.wait(2)
        assert two.payloads == [b"a", b"b"]
        two.subscriber.acknowledge(two.delivered)
        wait_for(lambda: two.subscriber.held == 0, "the new acknowledgements to go out")
    with line(broker) as three:
        publish_all(broker, "t/1", [b"c"])
        three.wait(1)
        assert three.payloads == [b"c"]


def test_what_a_broker_repeats_while_it_is_in_hand_is_delivered_once(broker: Broker) -> None:
    if broker.redelivery_seconds == 0:
        pytest.skip("this broker repeats nothing on a standing connection")
    with line(broker) as one:
        publish_all(broker, "t/1", [b"a"])
        one.wait(1)
        # A second ear shows that the time for a repetition has passed: it leaves its own copy unacknowledged too.
        ear = Ear(broker, "ear", "t/#")
        publish_all(broker, "t/1", [b"b"])
        wait_for(lambda: [m.payload for m in ear.heard] == [b"b", b"b"], "the broker's repetition")
        assert one.payloads == [b"a", b"b"]
        one.subscriber.acknowledge(one.delivered)
        wait_for(lambda: one.subscriber.held == 0, "the acknowledgements")
        ear.leave()


def test_nothing_is_read_beyond_what_may_be_held(broker: Broker) -> None:
    messages = [str(i).encode() for i in range(100)]
    with line(broker, hold_messages=10) as one:
        publish_all(broker, "t/1", messages)
        settled = 0
        while settled < 100:
            one.wait(min(100, settled + 1))
            assert one.subscriber.held <= 10
            ready = one.delivered[settled:]
            one.subscriber.acknowledge(ready)
            settled += len(ready)
        assert list(dict.fromkeys(one.payloads)) == messages


def test_signs_of_life_go_on_while_a_message_waits_for_its_commit(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.subscriber.KEEPALIVE_SECONDS", 2)
    answers: list[str] = []

    def on_log(_client: Client, _data: Any, _level: int, text: str) -> None:
        if "PINGRESP" in text:
            answers.append(text)

    with line(broker) as one:
        one.subscriber._client.on_log = on_log
        publish_all(broker, "t/1", [b"a"])
        one.wait(1)
        # A connection without them would be cut by the broker after three seconds, and never have an answer.
        wait_for(lambda: len(answers) >= 2, "two answers of the broker to our signs of life")
        assert one.subscriber.held >= 1


def test_a_pause_that_costs_the_connection_costs_no_message(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.subscriber.KEEPALIVE_SECONDS", 1)
    with line(broker, hold_messages=1) as one:
        publish_all(broker, "t/1", [b"a", b"b", b"c"])
        one.wait(1)
        wait_for(lambda: one.subscriber.listening_since is None, "the connection to end for want of room")
        assert one.subscriber.held == 1
        monkeypatch.setattr("ingest.subscriber.KEEPALIVE_SECONDS", 30)
        settled = 0
        while set(one.payloads) != {b"a", b"b", b"c"}:
            batch = one.delivered[settled:]  # more may come in meanwhile
            one.subscriber.acknowledge(batch)
            settled += len(batch)
            one.wait(settled + 1)
        one.subscriber.acknowledge(one.delivered[settled:])
        one.listen()


def test_it_listens_again_after_the_broker_was_restarted_and_says_when(embedded: EmbeddedBroker) -> None:
    with line(embedded.broker) as one:
        assert one.subscriber.listening_since == START
        embedded.stop()
        wait_for(lambda: one.subscriber.listening_since is None, "the loss to be noticed")
        one.clock.at = START.replace(hour=1)
        embedded.start()
        one.listen()
        assert one.subscriber.listening_since == START.replace(hour=1)
        publish_all(embedded.broker, "t/1", [b"a"])
        one.wait(1)


def test_a_refused_sign_in_is_tried_again_and_never_listens(broker: Broker) -> None:
    wrong = Broker(broker.host, broker.port, broker.username, "guessed")
    one = Line(wrong)
    wait_for(lambda: one.subscriber.generation >= 2, "a second attempt")
    assert one.subscriber.listening_since is None
    one.subscriber.check()
    one.subscriber.stop()


@pytest.mark.parametrize(("wanted", "window", "limit"), [(1000, 2000, 1000), (1000, 100, 50), (10, 100, 10), (5, 2, 1)])
def test_a_batch_is_at_most_half_the_brokers_window(wanted: int, window: int, limit: int) -> None:
    assert batch_limit(wanted, Broker("localhost", 1883, max_unacked=window)) == limit


def delivery(i: int) -> Delivery:
    return Delivery("t/1", str(i).encode(), START, packet_id=i, generation=1)


def test_a_batch_ends_at_its_limit_and_keeps_the_order() -> None:
    batcher = Batcher(limit=3, linger=60.0)
    for i in range(7):
        batcher.put(delivery(i))
    assert [d.packet_id for d in batcher.take(timeout=1)] == [0, 1, 2]
    assert [d.packet_id for d in batcher.take(timeout=1)] == [3, 4, 5]


def test_a_batch_ends_when_its_time_is_over() -> None:
    batcher = Batcher(limit=1000, linger=0.01)
    assert batcher.take(timeout=0.01) == []
    batcher.put(delivery(1))
    taken: queue.SimpleQueue[list[Delivery]] = queue.SimpleQueue()
    threading.Thread(target=lambda: taken.put(batcher.take(timeout=60)), daemon=True).start()
    assert [d.packet_id for d in taken.get(timeout=30)] == [1]
