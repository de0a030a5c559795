"""The outermost layer of every request: size limit, security headers, counting, and the last catch.

Plain ASGI, so that a stream is neither buffered nor held by it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import MappingProxyType

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import PageRenderer, Text, TooLarge, problem_response
from api.instruments import Instruments

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self'; worker-src 'self'; style-src 'self'; img-src 'self' data:; "
        "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "geolocation=(), camera=(), microphone=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Staff share machines: what a person saw must not come back with the back button after signing out.
    # A route that wants caching says so itself.
    "Cache-Control": "no-store",
}


class Boundary:
    """Wraps the application; `page` renders an unexpected error for a person's browser."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        instruments: Instruments,
        max_body_bytes: int,
        page: PageRenderer | None,
        larger: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        """`larger`: by the beginning of a path, how many bytes may be posted there: photos, say."""
        self._app = app
        self._instruments = instruments
        self._max_body_bytes = max_body_bytes
        self._page = page
        self._larger = larger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.monotonic()
        status = 0
        streamed = False

        async def send_on(message: Message) -> None:
            nonlocal status, streamed
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                streamed = headers.get("content-type", "").startswith("text/event-stream")
                framed = "frame-ancestors *" in headers.get("content-security-policy", "")
                for name, value in _HEADERS.items():
                    if not (framed and name == "X-Frame-Options"):  # older than frame-ancestors, and against it
                        headers.setdefault(name, value)
            await send(message)

        request = Request(scope, receive)
        try:
            most = self._most(scope["path"])
            _refuse_declared_size(scope, most)
            await self._app(scope, _limited(receive, most), send_on)
        except ClientDisconnect:
            pass
        except Exception as error:
            if status:  # half an answer is out: only breaking it off tells the client that it is not whole
                raise
            await problem_response(request, error, page=self._page)(scope, receive, send_on)
        finally:
            route = getattr(scope.get("route"), "path", "(none)")
            self._instruments.answered(scope["method"], route, status, time.monotonic() - began, streamed=streamed)

    def _most(self, path: str) -> int:
        return max([self._max_body_bytes, *(most for begin, most in self._larger.items() if path.startswith(begin))])


def _refuse_declared_size(scope: Scope, most: int) -> None:
    declared = Headers(scope=scope).get("content-length", "0")
    if not declared.isdigit() or int(declared) > most:
        raise _too_large(most)


def _limited(receive: Receive, most: int) -> Receive:
    """Counts what really comes: a chunked body declares no length."""
    received = 0

    async def receive_on() -> Message:
        nonlocal received
        message = await receive()
        if message["type"] == "http.request":
            received += len(message.get("body", b""))
            if received > most:
                raise _too_large(most)
        return message

    return receive_on


def _too_large(most: int) -> TooLarge:
    return TooLarge(
        Text(
            f"送られたデータが上限（{most:,} バイト）を超えています。",
            f"The body is above the limit of {most:,} bytes.",
        )
    )
