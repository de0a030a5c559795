"""paho's client over a socket that is read in blocks."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from ingest.mqtt_client import BLOCK, BlockReader


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, BlockReader]]:
    theirs, ours = socket.socketpair()
    reader = BlockReader(ours)
    reader.setblocking(False)
    with theirs:
        yield theirs, reader
    reader.close()


def test_what_comes_in_one_block_is_given_out_piece_by_piece(pair: tuple[socket.socket, BlockReader]) -> None:
    theirs, reader = pair
    theirs.sendall(b"abcdef")
    assert (reader.recv(1), reader.recv(2)) == (b"a", b"bc")
    assert reader.pending() == 3
    theirs.sendall(b"gh")
    # First what is here; then the system is asked again.
    assert (reader.recv(100), reader.pending(), reader.recv(100)) == (b"def", 0, b"gh")


def test_nothing_there_is_said_as_a_socket_says_it(pair: tuple[socket.socket, BlockReader]) -> None:
    with pytest.raises(BlockingIOError):
        pair[1].recv(1)
    assert pair[1].pending() == 0


def test_the_end_comes_after_the_last_byte(pair: tuple[socket.socket, BlockReader]) -> None:
    theirs, reader = pair
    theirs.sendall(b"x")
    theirs.shutdown(socket.SHUT_WR)
    assert (reader.recv(1), reader.recv(1)) == (b"x", b"")


def test_more_than_a_block_comes_whole(pair: tuple[socket.socket, BlockReader]) -> None:
    theirs, reader = pair
    sent = bytes(range(256)) * (BLOCK // 128)
    received = b""
    while len(received) < len(sent):
        if len(received) % BLOCK == 0:
            theirs.sendall(sent[len(received) : len(received) + BLOCK])
        received += reader.recv(1000)
    assert received == sent


def test_what_is_sent_goes_out_at_once(pair: tuple[socket.socket, BlockReader]) -> None:
    theirs, reader = pair
    assert reader.send(b"pong") == 4
    assert theirs.recv(10) == b"pong"
