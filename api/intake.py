"""/intake/{source}: messages that networks post (ChirpStack, The Things Stack, Sigfox, Soracom), see docs/ingest.md.

202 says that the message is committed, and what became of it. A message that cannot be read is kept as well
(quarantined) and gets its 202: sending it again would not mend it. Whoever gets anything else sends it again.
"""

from __future__ import annotations

import asyncio
from typing import Literal

from fastapi import Request
from pydantic import Field

from api.access import SOURCE, Router, access
from api.errors import Text, TooLarge, TooSlow
from api.models import Out
from api.source import send_again
from api.state import ApiState
from ingest.errors import NotTaken
from ingest.sources import Source

# The body has to be here by then; and the answer before those give up that send again (Sigfox, The Things Stack: 10 s).
# ChirpStack gives up after 5 s but never sends again: what it sent is stored all the same, if it can be.
BODY_SECONDS = 5.0
ANSWER_SECONDS = 8.0

router = Router(tags=["intake"])


class TakenOut(Out):
    """What became of a message. It is in the database; sending it again would be a repetition."""

    outcome: Literal["accepted", "event", "duplicate", "quarantined"]
    reason: str | None = Field(description="of a quarantined one, a code of docs/ingest.md")
    detail: str | None = Field(description="... and what is wrong with it, in words")


@router.post(
    "/intake/{source}",
    status_code=202,
    openapi_extra={
        "requestBody": {
            "required": True,
            "description": "the message, as the source's network posts it",
            "content": {"application/json": {"schema": {"type": "object"}}},
        },
        "parameters": [
            {
                "name": "source",
                "in": "path",
                "required": True,
                "description": "the source's name",
                "schema": {"type": "string"},
            }
        ],
    },
    responses={
        401: {"description": "no source of that name with that secret"},
        408: {"description": "the body did not come in time"},
        413: {"description": "the body is too large"},
        429: {"description": "too many messages, or too many wrong secrets; see Retry-After"},
        503: {"description": "not stored: send it again after Retry-After"},
    },
)
@access(SOURCE)
async def take(request: Request) -> TakenOut:
    """Stores one message. The secret of the source stands in `Authorization` (Bearer, or Basic as the password) or in
    `X-Mimamori-Secret`.
    """
    state: ApiState = request.app.state.api
    assert state.intake is not None, "the route exists only where there is an intake"
    source: Source = request.state.source
    try:
        with state.intake.room(_size(request, state.intake.config.max_bytes)) as room:
            raw = await _body(request, room.size)
            answer = asyncio.wrap_future(state.intake.put(source, room, request.query_params, request.headers, raw))
        async with asyncio.timeout(ANSWER_SECONDS):
            settled = await answer
    except NotTaken as error:
        raise send_again(soon=error.soon) from None
    except TimeoutError:
        raise send_again() from None
    return TakenOut(outcome=settled.outcome.value, reason=settled.reason, detail=settled.detail)


def _size(request: Request, limit: int) -> int:
    """How many bytes there will be at most: those that are declared, or as many as may be."""
    declared = request.headers.get("content-length", "")
    size = int(declared) if declared.isdigit() else limit
    if size > limit:
        raise _too_large(limit)
    return size


async def _body(request: Request, limit: int) -> bytes:
    """The body, read no further than its limit."""
    chunks = []
    size = 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                size += len(chunk)
                if size > limit:
                    raise _too_large(limit)
                chunks.append(chunk)
    except TimeoutError:
        raise TooSlow() from None
    return b"".join(chunks)


def _too_large(limit: int) -> TooLarge:
    return TooLarge(
        Text(
            f"送られたデータが上限（{limit:,} バイト）を超えています。",
            f"The body is above the limit of {limit:,} bytes.",
        )
    )
