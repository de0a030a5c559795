"""GET /api/v1/stream: server-sent events (HTML standard, 9.2) of the person's municipality.

The stream begins with `retry:` and the id up to which it is complete; then what the page missed since
`Last-Event-ID` (or `?last_event_id=`, for the first connection: the page knows at which id it was rendered);
then events as they come. Every 15 seconds without one a comment keeps proxies from cutting the line, with the
newest id, so that a quiet town does not let a page's id grow old.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Annotated

import anyio
import psycopg
import structlog
from fastapi import Query, Request, Response
from fastapi.responses import StreamingResponse
from psycopg_pool import PoolTimeout
from starlette.concurrency import run_in_threadpool
from starlette.types import Message, Receive, Scope, Send

from api.access import READERS, Router, SignedIn, Visit, access, optional_visit
from api.errors import BadRequest, Text, Unavailable
from api.live import Event, Hub, Subscriber, replay
from api.models import clock_now

log = structlog.get_logger(__name__)
router = Router(prefix="/api/v1", tags=["stream"])

HEARTBEAT_SECONDS = 15.0
_RETRY_MS = 3000
_SEND_SECONDS = 30.0
_BEGIN_SECONDS = 5.0
# Beyond this the process serves pages badly; a browser opens one stream a page.
_MAX_STREAMS = 500


class EventStream(StreamingResponse):
    """A stream of one subscriber, who is let go however it ends.

    A client that does not read is given up: an open socket must not hold memory for ever.
    """

    media_type = "text/event-stream"

    def __init__(self, body: AsyncIterator[str], hub: Hub, subscriber: Subscriber) -> None:
        super().__init__(body, headers={"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"})
        self._hub = hub
        self._subscriber = subscriber

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Not in the body's own `finally`: a client gone before the first byte leaves the generator unstarted.
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._hub.unsubscribe(self._subscriber)

    async def stream_response(self, send: Send) -> None:
        async def in_time(message: Message) -> None:
            with anyio.fail_after(_SEND_SECONDS):
                await send(message)

        try:
            await super().stream_response(in_time)
        except TimeoutError:
            log.info("stream_client_stuck", seconds=_SEND_SECONDS)


@router.get(
    "/stream", response_class=Response, responses={200: {"content": {"text/event-stream": {}}, "description": "Events"}}
)
@access(READERS)
async def stream(
    request: Request, visit: SignedIn, last_event_id: Annotated[str | None, Query()] = None
) -> EventStream:
    """Events `observations`, `alerts`, `headquarters`, `clock` (once, first) and `reset`; see docs/api.md."""
    hub = visit.state.hub
    seen = _seen_id(request.headers.get("last-event-id") or last_event_id)
    if hub.clients >= _MAX_STREAMS:
        raise Unavailable(Text("同時に開ける画面の数を超えました。", "Too many pages are open at once."))
    if not await hub.begun(within=_BEGIN_SECONDS):
        raise Unavailable(Text("データベースにまだつながっていません。", "The database has not been reached yet."))
    subscriber = hub.subscribe(visit.tenant.municipality_id)
    try:
        position, missed = await run_in_threadpool(_catch_up, visit, seen)
        clock = await run_in_threadpool(lambda: clock_now(visit.clock))
    except BaseException:
        hub.unsubscribe(subscriber)
        raise
    # with an id, so that a page that leaves before the first event, too, can say where it stood
    place = position if seen is None else seen
    greeting = f"retry: {_RETRY_MS}\nid: {place}\nevent: clock\ndata: {clock.model_dump_json()}\n\n"
    return EventStream(_events(request, hub, subscriber, greeting, position, missed), hub, subscriber)


def _catch_up(visit: Visit, seen: int | None) -> tuple[int, list[Event]]:
    with visit.transaction() as conn:
        return replay(conn, visit.tenant.municipality_id, seen)


async def _events(
    request: Request, hub: Hub, subscriber: Subscriber, greeting: str, position: int, missed: list[Event]
) -> AsyncIterator[str]:
    yield greeting
    for event in missed:
        yield _event(event)
    # an id alone is no event for the page, but the place it will resume from
    yield f": complete\nid: {position}\n\n"
    due = time.monotonic() + HEARTBEAT_SECONDS
    while True:
        try:
            arrived = await asyncio.wait_for(subscriber.next(), max(0.0, due - time.monotonic()))
        except TimeoutError:
            if not await _still_signed_in(request):
                return
            due = time.monotonic() + HEARTBEAT_SECONDS
            if subscriber.caught_up:  # what the hub has passed since was for others, or has been sent
                position = max(position, hub.position)
            yield f": alive\nid: {position}\n\n"
            continue
        if arrived is None:
            yield f"retry: {_RETRY_MS}\n\n"
            return
        if arrived.feed_id > position or arrived.kind == "reset":
            position = arrived.feed_id
            yield _event(arrived)


async def _still_signed_in(request: Request) -> bool:
    """Someone may have signed out elsewhere, or the account be gone; a lost database proves neither."""
    try:
        return await run_in_threadpool(optional_visit, request) is not None
    except (psycopg.OperationalError, PoolTimeout):
        return True


def _event(event: Event) -> str:
    return f"id: {event.feed_id}\nevent: {event.kind}\ndata: {event.data}\n\n"


def _seen_id(given: str | None) -> int | None:
    if given is None or not given.strip():
        return None
    if not (given.isascii() and given.isdigit() and len(given) <= 18):
        raise BadRequest(
            Text("Last-Event-ID が番号ではありません。", "Last-Event-ID is not a number."),
            Text("前回受け取った id をそのまま送ってください。", "Send back the id of the last event as it was."),
        )
    return int(given)
