"""この端末に通知する: a person lets their own browsers be written to by web push, tries them, and takes them away.

For every account that the digital section has named a person of the contacts for (連絡先). Allowing is done by the
browser, so the page needs its script; the list, the test and taking away do not. A browser allowed here is a contact of
that person, behind the others; their order is the digital section's. Nothing here writes to a push service: a test is a
row of the outbox, like every message.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from alerts import browsers
from alerts.browsers import Owner, Subscription, SubscriptionFault
from api.access import READERS, Router, SignedIn, Visit, access
from api.pages import typed
from api.pages.alert_list import open_alerts
from api.pages.site import Moment, moment, page
from store.connection import Connection

router = Router()

ADDRESS = "/notifications"
_SYSTEMS = ("iPhone", "iPad", "Android", "Windows", "Macintosh", "CrOS", "Linux")
# The first that fits: most call themselves by the names of others too.
_PROGRAMS = {
    "Edg": "Edge",
    "Firefox": "Firefox",
    "SamsungBrowser": "Samsung Internet",
    "Chrome": "Chrome",
    "Safari": "Safari",
}
_NICER = {"Macintosh": "Mac", "CrOS": "Chromebook"}


@router.get(ADDRESS)
@access(READERS, page=True)
def notifications_page(request: Request, visit: SignedIn) -> Response:
    at = moment(request, visit)
    with visit.transaction() as conn:
        owner = browsers.person_of(conn, visit.user.user_id)
        channel = browsers.channel_of_pushes(conn)
        listed = [] if owner is None else browsers.browsers(conn, owner.person_id)
        alerts = open_alerts(conn, visit.user.role)
    said = request.query_params.get("said")
    return page(
        request, visit, at, "notifications", alerts,
        owner=owner, public_key=None if channel is None else channel[1], listed=listed,
        device=device_name(request.headers.get("user-agent", "")),
        said=said if f"push.said.{said}" in at.words.texts else None, most_name=browsers.MOST_NAME,
    )  # fmt: skip


@router.post(ADDRESS)
@access(READERS)
def change_notifications(request: Request, visit: SignedIn, given: typed.Form) -> Response:
    """`do`: allow (endpoint, p256dh, auth, key, old, name), test or remove (contact)."""
    at = moment(request, visit)
    with visit.transaction() as conn:
        owner = browsers.person_of(conn, visit.user.user_id)
        act = _ACTS.get(given.get("do", ""))
        said = "nothing" if act is None else "nobody" if owner is None else act(conn, visit, at, owner, given)
    return RedirectResponse(f"{ADDRESS}?said={said}#said", 303)


def device_name(agent: str) -> str:
    """What a browser says of itself, as far as it helps to tell two devices of a person apart.

    >>> device_name("Mozilla/5.0 (Linux; Android 16; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0 Mobile")
    'Android Chrome'
    """
    system = next((each for each in _SYSTEMS if each in agent), "")
    program = next((name for sign, name in _PROGRAMS.items() if f"{sign}/" in agent), "")
    return f"{_NICER.get(system, system)} {program}".strip()


# --- what the forms do: each says which key behind "push.said." tells it


def _allow(conn: Connection, visit: Visit, at: Moment, owner: Owner, given: Mapping[str, str]) -> str:
    channel = browsers.channel_of_pushes(conn)
    if channel is None:
        return "no_channel"
    name, public_key = channel
    subscription = Subscription(*(given.get(each, "") for each in ("endpoint", "p256dh", "auth", "key")))
    if subscription.public_key != public_key:
        return "old_key"
    try:
        browsers.allow(
            conn, visit.tenant.municipality_id, owner, visit.user.user_id, name, subscription, at.now,
            name=given.get("name", ""), old=given.get("old", ""),
        )  # fmt: skip
    except SubscriptionFault:
        return "no_subscription"
    return "allowed"


def _remove(conn: Connection, visit: Visit, at: Moment, owner: Owner, given: Mapping[str, str]) -> str:
    return "removed" if browsers.remove(conn, owner.person_id, _number(given), at.now) else "nothing"


def _test(conn: Connection, visit: Visit, at: Moment, owner: Owner, given: Mapping[str, str]) -> str:
    town, user = visit.tenant, visit.user.user_id
    wanted = owner.person_id, _number(given)
    written = browsers.try_out(conn, town.municipality_id, *wanted, user, at.now, town=town.name)
    return "tested" if written else "not_tested"


_ACTS: Mapping[str, Callable[[Connection, Visit, Moment, Owner, Mapping[str, str]], str]] = {
    "allow": _allow,
    "remove": _remove,
    "test": _test,
}


def _number(given: Mapping[str, str]) -> int:
    text = given.get("contact", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
