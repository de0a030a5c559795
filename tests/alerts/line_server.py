"""A local server that answers as LINE's documentation says, and a plain one that keeps what it is sent."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOKEN = "channel-token"


@dataclass
class Received:
    """One request."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, object]:
        loaded: dict[str, object] = json.loads(self.body)
        return loaded


@dataclass
class Server:
    """`rule` says what to answer: a status and headers; None hangs up without a word. It sees the request."""

    rule: Callable[[Received], tuple[int, dict[str, str]] | None] = field(default=lambda _: (200, {}))
    requests: list[Received] = field(default_factory=list)
    url: str = ""


class Line(Server):
    """The push endpoint: a token, a retry key that is taken once, and the failures that a test asks for next."""

    def __init__(self) -> None:
        super().__init__(self._answer)
        self.taken: dict[str, str] = {}  # retry key -> recipient
        self.failures: list[int | None] = []  # before taking it
        self.lost_answers = 0  # taken, and then the line breaks

    def _answer(self, received: Received) -> tuple[int, dict[str, str]] | None:
        if received.headers.get("Authorization") != f"Bearer {TOKEN}":
            return 401, {}
        if self.failures:
            status = self.failures.pop(0)
            return None if status is None else (status, {"Retry-After": "7"} if status == 429 else {})
        key, to = received.headers["X-Line-Retry-Key"], str(received.json["to"])
        if not to.startswith("U"):
            return 400, {}
        if key in self.taken:
            return 409, {"X-Line-Accepted-Request-Id": "1"}
        self.taken[key] = to
        if self.lost_answers:
            self.lost_answers -= 1
            return None
        return 200, {}


@contextmanager
def running(server: Server, *, tls: ssl.SSLContext | None = None) -> Iterator[None]:
    class Handler(BaseHTTPRequestHandler):
        def _take(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            received = Received(self.command, self.path, dict(self.headers), self.rfile.read(length))
            server.requests.append(received)
            answer = server.rule(received)
            if answer is None:
                self.close_connection = True
                return
            status, headers = answer
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        do_GET = do_POST = do_PUT = _take

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        if tls is not None:
            http.socket = tls.wrap_socket(http.socket, server_side=True)
        server.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{http.server_address[1]}"
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield
        finally:
            http.shutdown()
            thread.join()
