"""What the pages that make links for people without an account have in common (`store.links`): a link is shown once,
with a code for the telephone's camera, and is ended by one press.

    pressed_end(conn, visit, kind, typed)     ends a link where the form says so
    made(request, kind, holder, token)        what is shown of a new one
    number(text, field)                       a whole number out of a form
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import segno
from markupsafe import Markup
from starlette.requests import Request

from api.access import Visit
from api.pages.device_list import base_of
from store import links
from store.connection import Connection
from store.errors import RecordError


@dataclass(frozen=True, slots=True)
class Made:
    """A link that was just made: this is the only time it can be shown."""

    holder: str
    address: str
    qr: Markup


def pressed_end(conn: Connection, visit: Visit, kind: links.Kind, typed: Mapping[str, str]) -> bool:
    """Whether the form was the one that ends a link (`do=revoke`); then it is ended. Raises `RecordError`."""
    if typed.get("do") != "revoke":
        return False
    link_id = number(typed.get("link", ""), "link")
    links.revoke(conn, kind, visit.tenant.municipality_id, link_id, user_id=visit.user.user_id)
    return True


def made(request: Request, kind: links.Kind, holder: str, token: str) -> Made:
    """The address as this request came to it, and the same as a picture in the page."""
    address = f"{base_of(request)}/{kind}/{token}"
    code = segno.make(address, error="m", micro=False)
    return Made(holder, address, Markup(code.svg_inline(border=2, omitsize=True, svgclass="qr", lineclass=None)))


def number(text: str, field: str) -> int:
    """Raises `RecordError` (`field`, `empty`) where it is none."""
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise RecordError(field, "empty")
    return int(text)
