"""Who brings a message to the intake: the source that the address names, if the request has its secret.

The secret stands in a header, as the network can send it: `Authorization: Bearer SECRET`, `Authorization: Basic` with
it as the password, or `X-Mimamori-Secret: SECRET`. Never in the address, which every proxy on the way writes into its
log.
"""

from __future__ import annotations

import base64
import logging
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from starlette.requests import Request

from api.errors import NotFound, SourceRefused, Text, TooManyAttempts, TooManyMessages, Unavailable

if TYPE_CHECKING:
    from api.state import ApiState
    from ingest.sources import Source

SECRET_HEADER = "x-mimamori-secret"

log = logging.getLogger("mimamori.api")


def known_source(request: Request) -> Source:
    """The source that brings this request, its message counted.

    Raises SourceRefused; TooManyAttempts for an address that goes on with wrong secrets (a right one still passes: a
    network's address has other customers too); TooManyMessages; Unavailable while nobody can say who it is.
    """
    from ingest.errors import NotTaken

    state: ApiState = request.app.state.api
    if state.intake is None:
        raise NotFound(Text("受付は動いていません。", "No messages are taken in here."))
    name = request.path_params["source"]
    try:
        source = state.intake.source(name, given_secrets(request))
    except NotTaken:
        raise send_again() from None
    address = request.client.host if request.client else "?"
    if source is None:
        if (pause := state.throttle_intake.pause(address)) > 0:
            raise TooManyAttempts(math.ceil(pause))
        state.throttle_intake.failed(address)
        log.warning("intake: wrong or no secret for %r from %s", name[:40], address)
        raise SourceRefused()
    if (seconds := state.intake.wait(source)) > 0:
        raise TooManyMessages(math.ceil(seconds))
    return source


def send_again(*, soon: bool = False) -> Unavailable:
    """The answer to a message that was not stored."""
    if soon:
        wrong = Text("受信が集中しています。", "Too many messages at once.")
    else:
        wrong = Text("いまは保存できません。", "The message cannot be stored now.")
    return Unavailable(
        wrong, Text("同じ内容をもう一度送ってください。", "Send the same message again."), seconds=1 if soon else 10
    )


def given_secrets(request: Request) -> Iterator[str]:
    """The secrets that a request shows, two at most."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        yield value.strip()
    elif scheme.lower() == "basic":
        yield _password(value.strip())
    if SECRET_HEADER in request.headers:
        yield request.headers[SECRET_HEADER].strip()


def _password(basic: str) -> str:
    try:
        return base64.b64decode(basic, validate=True).decode().partition(":")[2]
    except ValueError:  # neither base64 nor UTF-8
        return ""
