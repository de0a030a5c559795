"""The forms for counts as a browser keeps them, to be opened without a network: the spots by name, nothing that was
counted, no token. Each stands at its own address with ?copy=1; field_queue.js keeps it, entry_keep.js makes it work.

    asked_for(request) -> bool          whether the form is wanted as a copy
    staff_copy(request, visit, ...)     of an account
    kept_copy(request, at, ...)         of anybody: whoever has the link of a spot, too
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response

from api.access import Visit
from api.pages.site import Moment, plain_page

MAX_NOTE = 200
MOST_NAME = 80


class What(StrEnum):
    """Which form: as `entry.way` calls them."""

    DAY = "day"
    HOURS = "hours"
    EVENTS = "events"
    MONTHS = "months"


class _Named(Protocol):
    @property
    def code(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def name_en(self) -> str: ...


def asked_for(request: Request) -> bool:
    return request.query_params.get("copy") == "1"


def staff_copy(request: Request, visit: Visit, at: Moment, what: What, home: str, spots: Iterable[_Named]) -> Response:
    """The copy for this account: `home` is the address of the form, `home`/code that of each spot."""
    named = [(f"{home}/{each.code}", at.words.name(each.name, each.name_en)) for each in spots]
    town = at.words.name(visit.tenant.name, visit.tenant.name_en)
    return kept_copy(request, at, what, town, visit.user.display_name, visit.user.login, home, named)


def kept_copy(
    request: Request,
    at: Moment,
    what: What,
    town: str,
    holder: str,
    login: str | None,
    home: str,
    spots: Sequence[tuple[str, str]],
) -> Response:
    """The form to be opened without a network at `home`: spots as (address, name), one at least. `login` None: whoever
    has the link.
    """
    return plain_page(
        request,
        "count_copy",
        what=what.value,
        town=town,
        simulated=at.clock.simulated,
        holder=holder,
        login=login,
        home=home,
        spots=spots,
        most_note=MAX_NOTE,
        most_name=MOST_NAME,
    )
