"""A page that somebody has left open: it listens to the live stream and fetches itself anew, as `live.js` does.

One thread listens to the stream; what it says of the shown datastreams, and every alert, asks for a refresh; another
fetches the page's blocks, at most once a second, and at least as often as the page says (`data-poll`).
"""

from __future__ import annotations

import http.client
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mimamori.errors import StartError
from mimamori.signed_in import SignedIn

_REST = 1.0
# The stream says something every 15 s, be it only that it lives.
_STREAM_SECONDS = 60.0
_SHOWN = re.compile(r'data-datastream="(\d+)"')
_STREAM = re.compile(r'data-stream="([^"]+)"')
_POLL = re.compile(r'data-poll="(\d+)"')


class OpenPage:
    """The page at `path` of a person who has signed in. `events` and `refreshes` count what happened to it."""

    def __init__(self, person: SignedIn, path: str) -> None:
        self.events = 0
        self.refreshes = 0
        self._person = person
        self._path = path
        self._wanted = threading.Event()
        self._over = threading.Event()
        self._failure: Exception | None = None
        text = self._text(path)
        stream, poll = _STREAM.search(text), _POLL.search(text)
        if stream is None or poll is None:
            raise StartError(f"the page {path} names no live stream: is nobody signed in?")
        self._shown = set(_SHOWN.findall(text))
        self._poll = float(poll[1])
        self._stream = person.get(stream[1].replace("&amp;", "&"), accept="text/event-stream", timeout=_STREAM_SECONDS)

    @contextmanager
    def open(self) -> Iterator[None]:
        """Leave it open in the meantime. What went wrong with it is raised at the end."""
        self._wanted.set()  # whatever happened while nobody listened
        work = (self._listen, self._serve)
        threads = [threading.Thread(target=self._guarded, args=(each,), daemon=True) for each in work]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            self._wanted.set()
            threads[1].join(15)
        if self._failure is not None:
            raise StartError(f"the open page was cut off: {self._failure}") from self._failure

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except (OSError, http.client.HTTPException) as failure:
            if not self._over.is_set():
                self._failure = failure

    def _listen(self) -> None:
        kind = ""
        with self._stream as lines:
            for raw in lines:
                if self._over.is_set():
                    return
                name, _, value = raw.decode().rstrip("\n").partition(": ")
                if name == "event":
                    kind = value
                elif name == "data":
                    self.events += 1
                    if kind in ("alerts", "reset") or (kind == "observations" and self._concerned(value)):
                        self._wanted.set()
        if not self._over.is_set():
            raise ConnectionError("the stream has ended")

    def _concerned(self, data: str) -> bool:
        return any(str(each["datastream"]) in self._shown for each in json.loads(data)["observations"])

    def _serve(self) -> None:
        while True:
            self._wanted.wait(self._poll)
            if self._over.is_set():
                return
            self._wanted.clear()
            text = self._text(self._path + "?fragment=1")
            self._shown = set(_SHOWN.findall(text))
            self.refreshes += 1
            self._over.wait(_REST)

    def _text(self, path: str) -> str:
        with self._person.get(path) as answer:
            return answer.read().decode()
