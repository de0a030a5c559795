"""Who follows a personal link: whose town it is, and what the link is for. No session, no account.

A link that is unknown, over or revoked looks the same, and who tries many is slowed down; it is looked up before
anything of a form is read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar
from zoneinfo import ZoneInfo

from psycopg import sql
from starlette.requests import Request

from api.errors import NotFound, Text, TooManyLinks
from api.state import ApiState
from devices.clock import Clock
from store.connection import Connection
from store.links import Kind, token_hash

MOST_TOKEN = 100
Holder = TypeVar("Holder")
_OVER = Text(
    "このリンクは使えません。期限が過ぎたか、取り消されたか、途中で切れています。",
    "This link is of no use: it is over, was revoked, or a part of it is missing.",
)


@dataclass(frozen=True, slots=True)
class LinkTown:
    """The municipality of a link, and its clock's present."""

    municipality_id: int
    name: str
    name_en: str
    zone: ZoneInfo
    clock: Clock
    now: datetime


def held(
    request: Request,
    token: str,
    kind: Kind,
    find: Callable[[Connection, LinkTown], Holder | None],
    what_to_do: Text,
) -> tuple[LinkTown, Holder]:
    """Whose town the token is of, and what `find` makes of it there. Raises NotFound where it is of no use, and
    TooManyLinks.
    """
    state: ApiState = request.app.state.api
    address = request.client.host if request.client else ""
    if (pause := state.throttle_answer.pause(address)) > 0:
        raise TooManyLinks(int(pause) + 1)
    municipality_id, found = None, None
    if len(token) <= MOST_TOKEN:
        asked = sql.SQL("select {}(%s)").format(sql.Identifier(f"municipality_of_{kind}_link"))
        with state.database.transaction(None) as conn:
            row = conn.execute(asked, (token_hash(token),)).fetchone()
        municipality_id = None if row is None else row[0]
    if municipality_id is not None:
        clock = state.database.clock()
        with state.database.transaction(municipality_id) as conn:
            named = conn.execute(
                "select name, name_en, timezone from municipality where municipality_id = %s", (municipality_id,)
            ).fetchone()
            assert named is not None, "the link's municipality"
            town = LinkTown(municipality_id, named[0], named[1], ZoneInfo(named[2]), clock, clock.now())
            found = find(conn, town)
        if found is not None:
            return town, found
    state.throttle_answer.failed(address)
    raise NotFound(_OVER, what_to_do)
