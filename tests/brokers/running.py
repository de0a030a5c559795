"""Real brokers and plain clients for the tests of this room and of ingest."""

from __future__ import annotations

import itertools
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.client import Client, MQTTMessage

from ingest.broker import Broker
from ingest.embedded import EmbeddedBroker, available

DEADLINE = 60.0
_numbers = itertools.count(1)


@pytest.fixture(params=["mosquitto", "nats"])
def embedded(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EmbeddedBroker]:
    """A running broker of each kind; skips, saying so, where one is not installed."""
    if request.param not in available():
        pytest.skip(f"{request.param} is not installed here")
    with EmbeddedBroker(tmp_path / "broker", kind=request.param) as running:
        yield running


@pytest.fixture
def broker(embedded: EmbeddedBroker) -> Broker:
    """How to reach it."""
    return embedded.broker


def wait_for(condition: Callable[[], bool], what: str, *, seconds: float = DEADLINE) -> None:
    """Returns when the condition holds; fails the test when it does not within `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"not within {seconds:g} s: {what}")
        time.sleep(0.01)


def wait_for_a_save(mosquitto: EmbeddedBroker) -> None:
    """Returns when it has written down everything that it has now."""
    saved = mosquitto.data / "mosquitto.db"

    def written() -> int:
        return saved.stat().st_mtime_ns if saved.exists() else 0

    for _ in range(2):  # one may have begun already
        before = written()
        wait_for(lambda: written() != before, "mosquitto saves")  # noqa: B023


@contextmanager
def publisher(broker: Broker) -> Iterator[Callable[[str, bytes], None]]:
    """A function that publishes with QoS 1; leaving waits until the broker has acknowledged everything."""
    client = broker.client(f"publisher-{next(_numbers)}", clean=True)
    client.max_inflight_messages_set(1000)
    acknowledged = itertools.count(1)
    done = [0]

    def on_publish(*_: Any) -> None:
        done[0] = next(acknowledged)

    client.on_publish = on_publish
    client.connect(broker.host, broker.port)
    client.loop_start()
    sent = 0

    def publish(topic: str, raw: bytes) -> None:
        nonlocal sent
        client.publish(topic, raw, qos=1)
        sent += 1

    try:
        yield publish
        wait_for(lambda: done[0] == sent, f"{sent} messages acknowledged by the broker")
    finally:
        client.disconnect()
        client.loop_stop()


def publish_all(broker: Broker, topic: str, messages: Iterable[bytes]) -> None:
    """Publishes the messages with QoS 1 and returns when the broker has them all."""
    with publisher(broker) as publish:
        for message in messages:
            publish(topic, message)


class Ear:
    """A plain subscriber with a persistent session that acknowledges only what it is told to."""

    def __init__(self, broker: Broker, client_id: str, topic_filter: str) -> None:
        self.heard: list[MQTTMessage] = []
        self.connections = 0
        self.resumed = False
        self._granted = threading.Event()
        self._filter = topic_filter
        self.client = broker.client(client_id, clean=False)
        self.client.on_connect = self._on_connect
        self.client.on_subscribe = lambda *_: self._granted.set()
        self.client.on_message = lambda _client, _data, message: self.heard.append(message)
        self.client.connect(broker.host, broker.port)
        self.client.loop_start()
        assert self._granted.wait(DEADLINE)

    @property
    def payloads(self) -> list[bytes]:
        return [message.payload for message in self.heard]

    def acknowledge(self, first: int, last: int) -> None:
        """Acknowledges heard[first:last]; returns when that has been sent."""
        for message in self.heard[first:last]:
            self.client.ack(message.mid, 1)
        wait_for(lambda: not self.client.want_write(), "the acknowledgements go out")

    def cut(self) -> None:
        """Loses the connection without taking leave."""
        sock = self.client.socket()
        assert sock is not None
        with socket.socket(fileno=os.dup(sock.fileno())) as same:
            same.shutdown(socket.SHUT_RDWR)
        self.client.loop_stop()
        self.client.disconnect()

    def leave(self) -> None:
        """Takes leave in good order; the session stays."""
        self.client.disconnect()
        self.client.loop_stop()

    def _on_connect(self, client: Client, _data: Any, flags: Any, reason: Any, _properties: Any) -> None:
        assert not reason.is_failure, reason
        self.connections += 1
        self.resumed = flags.session_present
        client.subscribe(self._filter, qos=1)
