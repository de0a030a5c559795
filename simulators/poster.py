"""Posting what comes by HTTP: a few connections that stay open, and an answer for every message.

A message counts as taken when it was answered with 202; asked to wait (408, 429, 5xx) or cut off, it is sent again, as
the network's own backend does. A refusal (401, 404, ...) ends the run: nobody has told us how to come in.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

import structlog

from simulators.config import Post
from simulators.errors import SimulatorError

CONNECTIONS = 4
_TIMEOUT = 15.0
_AGAIN = 1.0  # s: how long after it was asked to wait
_MOST_WAIT = 30.0

log = structlog.get_logger()


class Poster:
    """Posts to one address. `taken` hears the number of each message that was, `refused` why nothing will be."""

    def __init__(self, post: Post, taken: Callable[[int], None], refused: Callable[[str], None]) -> None:
        parts = urlsplit(post.url)
        if parts.scheme not in ("http", "https") or not parts.hostname or not parts.path.strip("/"):
            raise SimulatorError(
                f"{post.url}: must be the address of a source, such as http://localhost:8000/intake/name"
            )
        self._parts = parts
        self._headers = {"Authorization": f"Bearer {post.secret}", "Content-Type": "application/json"}
        self._url, self._taken, self._refused = post.url, taken, refused
        self._waiting: queue.SimpleQueue[tuple[int, bytes] | None] = queue.SimpleQueue()
        self._closed = threading.Event()
        self._threads = [
            threading.Thread(target=self._work, name=f"post-{number}", daemon=True) for number in range(CONNECTIONS)
        ]
        for thread in self._threads:
            thread.start()

    def put(self, number: int, body: bytes) -> None:
        """Posts a message; `taken` hears the number."""
        self._waiting.put((number, body))

    def close(self) -> None:
        """Leaves; what was not taken yet is not sent again."""
        self._closed.set()
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join(_TIMEOUT)

    def _work(self) -> None:
        connection: HTTPConnection | None = None
        while (waiting := self._waiting.get()) is not None:
            number, body = waiting
            while not self._closed.is_set():
                connection = connection or self._connection()
                try:
                    connection.request("POST", self._parts.path, body, self._headers)
                    answer = connection.getresponse()
                    answer.read()
                except (OSError, HTTPException) as error:
                    log.warning("the intake cannot be reached; trying again", url=self._url, error=str(error))
                    connection.close()
                    connection = None
                    self._closed.wait(_AGAIN)
                    continue
                if answer.status == 202:
                    self._taken(number)
                    break
                if answer.status in (408, 429) or answer.status >= 500:
                    self._closed.wait(_seconds(answer.getheader("Retry-After")))
                    continue
                self._refused(f"{answer.status} {answer.reason}: is it the address of a source, with its secret?")
                break
        if connection is not None:
            connection.close()

    def _connection(self) -> HTTPConnection:
        assert self._parts.hostname is not None
        kind = HTTPSConnection if self._parts.scheme == "https" else HTTPConnection
        return kind(self._parts.hostname, self._parts.port, timeout=_TIMEOUT)


def _seconds(text: str | None) -> float:
    return min(float(text), _MOST_WAIT) if text is not None and text.isdecimal() else _AGAIN
