"""機器台帳: every device with where it is, how it is, and who is called; and the labels to stick on them.

The whole town hall may look; what changes something is `device`'s and `bulk`'s, and the digital section's alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache

import segno
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from api.access import READERS, Role, Router, SignedIn, access
from api.pages.alert_list import open_alerts
from api.pages.digital import DeviceNow, DeviceState, counted, devices_now
from api.pages.site import moment, page
from store.connection import Connection
from store.planned_work import PlannedWork, planned_work
from store.records import DeviceRecord, records

router = Router()

# A service that ends within this time is said in the list.
SOON = timedelta(days=183)
_MOST_LABELS = 500
_KEY_TAIL = 6
_HOST = re.compile(r"[A-Za-z0-9.-]{1,253}(?::[0-9]{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](?::[0-9]{1,5})?")


@dataclass(frozen=True, slots=True)
class Listed:
    """A row of the list: the device as it is now, its papers, and the work that is going on at it."""

    device_id: int
    now: DeviceNow
    record: DeviceRecord
    work: PlannedWork | None
    ends_soon: bool


@dataclass(frozen=True, slots=True)
class Label:
    """What stands on a label. `code` is the QR code as SVG; it opens `address`, the page of the device."""

    device: Listed
    tail: str
    address: str
    code: Markup


def listed(conn: Connection, municipality_id: int, now: datetime, today: date) -> list[Listed]:
    """All devices, those that ask for somebody first."""
    ids: Mapping[str, int] = dict(conn.execute("select key, device_id from device").fetchall())
    papers = records(conn, municipality_id)
    works = {work.device_id: work for work in planned_work(conn, municipality_id, now, now)}
    rows = []
    for device in devices_now(conn, now):
        device_id = ids[device.key]
        record = papers.get(device_id, DeviceRecord())
        ends_soon = record.service_ends is not None and record.service_ends <= today + SOON
        rows.append(Listed(device_id, device, record, works.get(device_id), ends_soon))
    return rows


def matching(rows: Sequence[Listed], text: str, state: str) -> list[Listed]:
    """The rows that have every word of `text` somewhere, and the state, or `ends_soon`, or `work`."""
    words = text.lower().split()

    def said(row: Listed) -> str:
        now, record = row.now, row.record
        parts = (now.key, now.model, *now.title, now.station, now.name, now.name_en, record.serial_number, record.owner)
        return " ".join(filter(None, parts)).lower()

    def chosen(row: Listed) -> bool:
        if state == "ends_soon":
            return row.ends_soon
        if state == "work":
            return row.work is not None
        return not state or row.now.state.value == state

    return [row for row in rows if chosen(row) and all(word in said(row) for word in words)]


@router.get("/digital/devices")
@access(READERS, page=True)
def devices_page(request: Request, visit: SignedIn) -> Response:
    """The list; `q` words, `state` a state, `ends_soon` or `work`."""
    at = moment(request, visit)
    text, state = request.query_params.get("q", "")[:100], request.query_params.get("state", "")
    with visit.transaction() as conn:
        rows = listed(conn, visit.tenant.municipality_id, at.now, at.now.astimezone(at.zone).date())
        alerts = open_alerts(conn, visit.user.role)
    return page(
        request,
        visit,
        at,
        "digital_devices",
        alerts,
        rows=matching(rows, text, state),
        total=len(rows),
        counts=counted(tuple(row.now for row in rows)),
        ends_soon=sum(row.ends_soon for row in rows),
        working=sum(row.work is not None for row in rows),
        text=text,
        state=state,
        states=[each.value for each in DeviceState],
        may_change=visit.user.role is Role.DIGITAL,
    )


@router.get("/digital/labels")
@access(READERS, page=True)
def labels_page(request: Request, visit: SignedIn) -> Response:
    """Labels to print, of the devices that the same `q` and `state` choose, or of the one of `device`."""
    at = moment(request, visit)
    query = request.query_params
    with visit.transaction() as conn:
        rows = listed(conn, visit.tenant.municipality_id, at.now, at.now.astimezone(at.zone).date())
        alerts = open_alerts(conn, visit.user.role)
    chosen = matching(rows, query.get("q", "")[:100], query.get("state", ""))
    if "device" in query:
        chosen = [row for row in rows if str(row.device_id) == query["device"]]
    chosen.sort(key=lambda row: (row.now.station is None, row.now.station or "", row.now.key))
    base = base_of(request)
    return page(
        request,
        visit,
        at,
        "digital_labels",
        alerts,
        labels=[label(row, base) for row in chosen[:_MOST_LABELS]],
        left_out=max(0, len(chosen) - _MOST_LABELS),
        base=base,
    )


def label(row: Listed, base: str) -> Label:
    """The label of a device; its QR code opens the page of the device at `base` (https://town.example)."""
    address = f"{base}/digital/devices/{row.device_id}"
    return Label(row, row.now.key[-_KEY_TAIL:].upper(), address, _qr(address))


def base_of(request: Request) -> str:
    """Where this very browser finds the pages: the labels it prints lead there, and the page says so."""
    host = request.headers.get("host", "")
    return f"{request.url.scheme}://{host if _HOST.fullmatch(host) else 'localhost'}"


@lru_cache(maxsize=1000)
def _qr(address: str) -> Markup:
    # Medium correction: a label outdoors loses a corner to dirt.
    code = segno.make(address, error="m", micro=False)
    return Markup(code.svg_inline(border=2, omitsize=True, svgclass="qr", lineclass=None))
