"""paho's client with fewer system calls: what arrives is read in blocks, and acknowledgements leave together.

paho asks the socket three or four times for every packet (its first byte, its length byte by byte, its body) and sends
each acknowledgement by itself. Two thirds of what a message costs it are these calls; `mimamori bench ingest` measures
them. Everything else is paho's own: the protocol, the session, keep-alive, reconnection.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import TYPE_CHECKING

from paho.mqtt.client import Client
from paho.mqtt.enums import MessageType

if TYPE_CHECKING:
    from paho.mqtt.client import SocketLike

# A TCP window of small messages; a larger one is read in pieces of this.
BLOCK = 64 * 1024

_PUBACK = struct.Struct("!BBH")


class BlockReader:
    """A socket as paho uses one, which asks the system for `BLOCK` bytes at a time."""

    def __init__(self, sock: SocketLike) -> None:
        self._sock = sock
        self._block = b""
        self._position = 0

    def pending(self) -> int:
        """Bytes that have been read from the system and that nobody has asked for yet; paho's own loop asks too."""
        return len(self._block) - self._position

    def recv(self, size: int) -> bytes:
        if self._position == len(self._block):
            self._block, self._position = b"", 0
            self._block = self._sock.recv(BLOCK)
        start = self._position
        self._position = min(start + size, len(self._block))
        return self._block[start : self._position]

    def send(self, buffer: bytes | bytearray) -> int:
        return self._sock.send(buffer)

    def close(self) -> None:
        self._sock.close()

    def fileno(self) -> int:
        return self._sock.fileno()

    def setblocking(self, flag: bool) -> None:
        self._sock.setblocking(flag)


class MqttClient(Client):
    """A paho client; whoever drives it by `loop_read` has to come back as long as there is something `unread`."""

    @property
    def unread(self) -> bool:
        """Whether packets may be waiting here, of which the system knows nothing any more."""
        sock = self.socket()
        return isinstance(sock, BlockReader) and sock.pending() > 0

    def ack_all(self, packet_ids: Iterable[int]) -> None:
        """Acknowledges messages of QoS 1, in this order, with one packet after the other in one piece."""
        acks = b"".join(_PUBACK.pack(MessageType.PUBACK, 2, packet_id) for packet_id in packet_ids)
        if acks:
            self._packet_queue(MessageType.PUBACK, acks, 0, 1)

    def _create_socket(self) -> SocketLike:
        return BlockReader(super()._create_socket())
