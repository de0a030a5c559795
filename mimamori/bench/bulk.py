"""Many messages into a broker, with QoS 1, by less work than a client library: nobody measures how they get in.

    with Bulk(broker, "bench-publisher") as bulk:
        bulk.publish(messages)          # returns when the broker has acknowledged all of them

`make_session` opens the queue of a subscriber who is not there, `ingest.broker.end_session` closes it.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from types import TracebackType
from typing import Any, Self

from paho.mqtt.client import Client

from ingest.broker import Broker
from mimamori.errors import StartError

_PATIENCE = 60.0  # s for an answer of the broker
_AT_ONCE = 500  # messages on their way
_CONNECT, _CONNACK, _PUBLISH_QOS1, _DISCONNECT = 0x10, 0x20, 0x32, b"\xe0\x00"
_PUBACK_BYTES = 4


class Bulk:
    """A connection that publishes. StartError where the broker does not take it or does not answer."""

    def __init__(self, broker: Broker, client_id: str) -> None:
        self._sock = socket.create_connection((broker.host, broker.port), timeout=_PATIENCE)
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._next_id = 0
        self._sock.sendall(_connect(broker, client_id))
        answer = self._receive(4)
        if answer[0] != _CONNACK or answer[3] != 0:
            raise StartError(f"the broker {broker.address} refuses the bench (MQTT return code {answer[3]})")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._sock.sendall(_DISCONNECT)
        self._sock.close()

    def publish(self, messages: Iterable[tuple[str, bytes]]) -> int:
        """Publishes (topic, payload) in order; how many they were, once the broker has acknowledged them."""
        published = 0
        for some in _groups(messages):
            self._sock.sendall(b"".join(self._publication(topic, payload) for topic, payload in some))
            self._receive(_PUBACK_BYTES * len(some))
            published += len(some)
        return published

    def _publication(self, topic: str, payload: bytes) -> bytes:
        self._next_id = self._next_id % 65535 + 1
        body = _text(topic) + struct.pack("!H", self._next_id) + payload
        return bytes([_PUBLISH_QOS1]) + _length(len(body)) + body

    def _receive(self, size: int) -> bytes:
        received = b""
        while len(received) < size:
            some = self._sock.recv(size - len(received))
            if not some:
                raise StartError("the broker has closed the bench's connection")
            received += some
        return received


def make_session(broker: Broker, client_id: str, filters: Sequence[str]) -> None:
    """Subscribes with QoS 1 and leaves: from now on the broker keeps what is published for this client."""
    granted = threading.Event()

    def subscribe(client: Client, *_: Any) -> None:
        client.subscribe([(name, 1) for name in filters])

    client = broker.client(client_id, clean=False)
    client.on_connect = subscribe
    client.on_subscribe = lambda *_: granted.set()
    client.connect(broker.host, broker.port)
    client.loop_start()
    try:
        if not granted.wait(_PATIENCE):
            raise StartError(f"the broker {broker.address} does not answer")
        client.disconnect()
    finally:
        client.loop_stop()


def _groups(messages: Iterable[tuple[str, bytes]]) -> Iterator[list[tuple[str, bytes]]]:
    remaining = iter(messages)
    while some := list(islice(remaining, _AT_ONCE)):
        yield some


def _connect(broker: Broker, client_id: str) -> bytes:
    flags, credentials = 0x02, b""  # a clean session
    if broker.username is not None:
        flags |= 0xC0
        credentials = _text(broker.username) + _text(broker.password or "")
    body = _text("MQTT") + bytes([4, flags]) + struct.pack("!H", 0) + _text(client_id) + credentials
    return bytes([_CONNECT]) + _length(len(body)) + body


def _text(text: str) -> bytes:
    encoded = text.encode()
    return struct.pack("!H", len(encoded)) + encoded


def _length(size: int) -> bytes:
    """MQTT's remaining length: seven bits a byte, the lowest first."""
    encoded = bytearray()
    while True:
        size, low = divmod(size, 128)
        encoded.append(low | (0x80 if size else 0))
        if not size:
            return bytes(encoded)
