"""Publishes with QoS 1 at a rate, and keeps the ledger: what the broker has acknowledged has been sent.

paho keeps what is not acknowledged and sends it again after a reconnection, so that in the end everything has been.
A message whose broker died with it may so arrive twice; that is for the town to notice.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any, Self

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from ingest.broker import Broker
from tests.chaos.fleet import Message, Transmission

WINDOW = 1000


class Publisher:
    """A client of the broker that publishes in a thread of its own, from `start` to `pause`."""

    def __init__(self, broker: Broker, messages: Iterator[Message], rate: float) -> None:
        self._messages = messages
        self._rate = rate
        self.sent: set[Transmission] = set()
        self.published: set[Transmission] = set()
        self._waiting: dict[int, Transmission] = {}
        self._acknowledged: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._connected = threading.Event()
        self._running = threading.Event()
        self._idle = threading.Event()
        self._ending = threading.Event()
        client = Client(CallbackAPIVersion.VERSION2, client_id="chaos", protocol=MQTTProtocolVersion.MQTTv311)
        client.username_pw_set(broker.username, broker.password)
        client.max_inflight_messages_set(WINDOW)
        client.reconnect_delay_set(min_delay=1, max_delay=1)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.connect_async(broker.host, broker.port, keepalive=10)
        self._client = client
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)

    def __enter__(self) -> Self:
        self._client.loop_start()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()
        self._client.disconnect()
        self._client.loop_stop()

    def start(self) -> None:
        """Begins to publish, with an empty ledger."""
        self.sent, self.published = set(), set()
        self._idle.clear()
        self._running.set()

    def pause(self) -> None:
        """Stops publishing; what waits for its acknowledgement still gets it."""
        self._running.clear()
        self._idle.wait()

    def say(self, messages: Iterable[Message]) -> None:
        """Publishes these, while it is paused."""
        for message in messages:
            self._publish(message)

    def settled(self) -> bool:
        """Whether the broker has acknowledged everything; for the thread that has paused it."""
        self._collect()
        return not self._waiting

    def _run(self) -> None:
        begun, done = 0.0, 0
        while not self._ending.is_set():
            if not self._running.is_set():
                self._idle.set()
                begun = 0.0
                self._running.wait(0.05)
                continue
            now = time.monotonic()
            if not begun:
                begun, done = now, 0
            self._collect()
            if len(self._waiting) >= WINDOW or not self._connected.is_set():
                begun = 0.0  # no hurry afterwards: a device does not make up for the time it waited
                time.sleep(0.01)
                continue
            due = int((now - begun) * self._rate) - done
            for _ in range(min(due, WINDOW - len(self._waiting))):
                self._publish(next(self._messages))
                done += 1
            time.sleep(0.005)

    def _publish(self, message: Message) -> None:
        self.published.add(message.key)
        for _ in range(message.copies):
            self._waiting[self._client.publish(message.topic, message.raw, qos=1).mid] = message.key

    def _collect(self) -> None:
        while True:
            try:
                mid = self._acknowledged.get_nowait()
            except queue.Empty:
                return
            self.sent.add(self._waiting.pop(mid))

    def _on_connect(self, _client: Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if not reason.is_failure:
            self._connected.set()

    def _on_disconnect(self, *_: Any) -> None:
        self._connected.clear()

    def _on_publish(self, _client: Client, _data: Any, mid: int, *_: Any) -> None:
        self._acknowledged.put(mid)
