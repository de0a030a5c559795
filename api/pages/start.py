"""The start page: four doors, the own desk's first, each with its present state in words.

What a door says is what its page says: worked out by the same functions, so that nobody finds behind a door another
number than on it; only curves, hours and comparisons, which no door shows, are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from api.pages.alert_list import Alert
from api.pages.digital import DeviceState, counted, devices_now
from api.pages.disaster import Gauge, worst_now
from api.pages.readings import stations_now
from api.pages.tourism import counters_now
from api.roles import Role
from devices.model import ObservedProperty, StationKind
from store.connection import Connection

DOORS = (Role.DISASTER, Role.WATER, Role.TOURISM, Role.DIGITAL)


@dataclass(frozen=True, slots=True)
class Door:
    """A desk with the number of its open alerts, and of those nobody has acknowledged."""

    role: Role
    own: bool
    open: int
    unacknowledged: int


@dataclass(frozen=True, slots=True)
class Start:
    """`worst`: the gauge nearest to harm, None where none can be judged. `blocks` and `spots` (those with a counter):
    how many there are, and how many of them report. `passages`: 延べ of today over all spots, None where nothing was
    counted.
    """

    doors: tuple[Door, ...]
    worst: Gauge | None
    blocks: tuple[int, int]
    spots: tuple[int, int]
    passages: float | None
    devices: int
    unheard: int
    low_batteries: int


def start(conn: Connection, now: datetime, zone: ZoneInfo, role: Role, alerts: Sequence[Alert]) -> Start:
    """The present of all four desks; `alerts` are the open ones."""
    flows = [s.readings.get(ObservedProperty.FLOW) for s in stations_now(conn, StationKind.BLOCK_INLET, now)]
    counters = counters_now(conn, now, zone)
    devices = devices_now(conn, now)
    states = counted(devices)
    return Start(
        doors=tuple(_door(desk, role, alerts) for desk in sorted(DOORS, key=lambda desk: desk is not role)),
        worst=worst_now(conn, now),
        blocks=(len(flows), sum(flow is not None and flow.current for flow in flows)),
        spots=(counters.spots, counters.reporting),
        passages=counters.passages,
        devices=len(devices),
        unheard=states[DeviceState.LOST] + states[DeviceState.NEVER],
        low_batteries=states[DeviceState.LOW_BATTERY],
    )


def _door(desk: Role, own: Role, alerts: Sequence[Alert]) -> Door:
    mine = [alert for alert in alerts if alert.mode == "actual" and alert.may_act(desk)]
    return Door(desk, desk is own, len(mine), sum(alert.acknowledged_at is None for alert in mine))
