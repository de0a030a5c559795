"""読めなかった電文: why messages could not be read, what would happen now, and the button that reads them again.

For the digital section: here are raw messages. Pressing only leaves the wish (`store.quarantine.ask`); an ingest worker
takes it up in small steps, so that no press holds up a page or a message. What would happen now is worked out for the
messages shown, by the same code as ingest's, and changes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated
from urllib.parse import quote

from fastapi import Form
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api.access import Role, Router, SignedIn, Visit, access
from api.errors import NotFound, Text
from api.pages.alert_list import open_alerts
from api.pages.digital import preview
from api.pages.site import moment, page
from devices.codecs.javascript import Sandbox
from devices.model import Outcome
from ingest.decode import UNKNOWN_DEVICE
from ingest.replay import read_again
from quality.clock import Clock
from quality.gate import CLOCK
from store.batch import UplinkRow
from store.connection import Connection
from store.quarantine import Held, Selection, ask, groups, held_newest, replays
from store.registry import Directory, load_directory

router = Router()

HEALERS = frozenset({Role.DIGITAL})
SENDERS_SHOWN = 30
MESSAGES_SHOWN = 20
REPLAYS_SHOWN = 20
# Working out what would happen now stops here: a slow codec shall not hold up the page.
TRYING_SECONDS = 0.3
_HEX_SHOWN = 256
_ADDRESS = "/digital/quarantine"


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sent messages that wait for one reason; `key` None: it could not be read."""

    key: str | None
    messages: int
    newest: datetime


@dataclass(frozen=True, slots=True)
class Value:
    """A value that a message would bring: where, what, when. `value` None: the device could not measure it."""

    station: tuple[str, str]
    observed_property: str
    value: float | None
    unit: str
    time: datetime


@dataclass(frozen=True, slots=True)
class Outlook:
    """What would become of a message now. `outcome` None: not tried, because others took too long.

    `values` as decoded; what their neighbours say to them is judged when they are stored. `counters`: readings of
    cumulative counters, out of which their differences are worked out then.
    """

    outcome: Outcome | None
    reason: str | None = None
    detail: str | None = None
    values: tuple[Value, ...] = ()
    counters: int = 0


@dataclass(frozen=True, slots=True)
class Shown:
    """A message that waits, its beginning as text and as bytes in hex, and what would become of it."""

    uplink_id: int
    received: datetime
    device_key: str | None
    topic: str
    detail: str | None
    size: int
    text: str
    hex: str
    outlook: Outlook


@router.get(_ADDRESS)
@access(HEALERS, page=True)
def quarantine_page(request: Request, visit: SignedIn) -> Response:
    at = moment(request, visit)
    with visit.transaction() as conn:
        waiting = groups(conn, visit.tenant.municipality_id, Selection())
        history = replays(conn, visit.tenant.municipality_id, REPLAYS_SHOWN)
        unknown = [each for each in _senders(conn, UNKNOWN_DEVICE) if each.key is not None]
        alerts = open_alerts(conn, visit.user.role)
    done = request.query_params.get("asked")
    done = done if done in ("asked", "nothing") else None
    return page(
        request,
        visit,
        at,
        "digital_quarantine",
        alerts,
        groups=waiting,
        unknown=unknown,
        history=history,
        done=done,
        address=address,
    )


@router.get(_ADDRESS + "/{reason}")
@access(HEALERS, page=True)
def reason_page(request: Request, visit: SignedIn, reason: str, device: str | None = None) -> Response:
    """The messages of one reason, of one device only where `device` says so."""
    at = moment(request, visit)
    if f"quarantine.{reason}" not in at.words.texts:
        raise NotFound(Text("そのような理由はありません。", "There is no such reason."))
    with visit.transaction() as conn:
        waiting = groups(conn, visit.tenant.municipality_id, Selection(reason=reason))
        senders = _senders(conn, reason)
        messages = held_newest(
            conn, visit.tenant.municipality_id, Selection(reason=reason, device_key=device), MESSAGES_SHOWN
        )
        shown = _shown(conn, visit, messages)
        alerts = open_alerts(conn, visit.user.role)
    return page(
        request,
        visit,
        at,
        "digital_quarantine_reason",
        alerts,
        reason=reason,
        device=device,
        group=waiting[0] if waiting else None,
        senders=senders,
        messages=shown,
        address=address,
    )


@router.post(_ADDRESS)
@access(HEALERS)
def read_them_again(
    visit: SignedIn,
    reason: Annotated[str, Form(max_length=100)] = "",
    device: Annotated[str, Form(max_length=1000)] = "",
    message: Annotated[int | None, Form(ge=0, lt=2**63)] = None,
) -> Response:
    """Leaves the wish to read again the messages of a reason, of a device, or one; of neither: all."""
    selection = Selection(reason=reason or None, device_key=device or None, uplink_id=message)
    with visit.transaction() as conn:
        wish = ask(conn, visit.tenant.municipality_id, selection, now=visit.clock.now(), user_id=visit.user.user_id)
    return RedirectResponse(f"{_ADDRESS}?asked={'nothing' if wish is None else 'asked'}#replays", 303)


def address(reason: str, device: str | None = None) -> str:
    """Where the messages of a reason, or of one device among them, are shown."""
    return f"{_ADDRESS}/{quote(reason, safe='')}" + (f"?device={quote(device, safe='')}" if device else "")


def _senders(conn: Connection, reason: str) -> list[Sender]:
    """The senders that were heard last, and how much of each waits."""
    rows = conn.execute(
        """
        select device_key, count(*), max(received_time)
        from uplink where outcome = 'quarantined' and reason = %s group by 1 order by 3 desc, 1 limit %s
        """,
        (reason, SENDERS_SHOWN),
    )
    return [Sender(*row) for row in rows]


def _shown(conn: Connection, visit: Visit, messages: Sequence[Held]) -> list[Shown]:
    if not messages:
        return []
    directory = load_directory(conn, visit.tenant.municipality_id)
    stations = {
        code: (name, name_en) for code, name, name_en in conn.execute("select code, name, name_en from station")
    }
    intake = visit.config.intake
    possible = CLOCK if intake is None else replace(CLOCK, behind=intake.oldest.total_seconds())
    until = time.monotonic() + TRYING_SECONDS
    shown = []
    for message in messages:
        tried = time.monotonic() < until
        outlook = _outlook(message, directory, possible, visit.state.sandbox, stations) if tried else Outlook(None)
        shown.append(
            Shown(
                uplink_id=message.uplink_id,
                received=message.received_time,
                device_key=message.device_key,
                topic=message.topic,
                detail=message.detail,
                size=len(message.raw),
                text=preview(message.raw, len(message.raw)),
                hex=message.raw[:_HEX_SHOWN].hex(" ") + (" …" if len(message.raw) > _HEX_SHOWN else ""),
                outlook=outlook,
            )
        )
    return shown


def _outlook(
    message: Held, directory: Directory, possible: Clock, sandbox: Sandbox, stations: Mapping[str, tuple[str, str]]
) -> Outlook:
    row = read_again(message, directory, possible, sandbox)
    return Outlook(row.outcome, row.reason, row.detail, _values(row, directory, stations), len(row.counts))


def _values(row: UplinkRow, directory: Directory, stations: Mapping[str, tuple[str, str]]) -> tuple[Value, ...]:
    values = []
    for each in row.observations:
        info = directory.datastreams[each.datastream_id]
        values.append(
            Value(stations[info.station_code], info.observed_property, each.value, info.unit, each.phenomenon_time)
        )
    return tuple(values)
