"""The start page: four doors, the own desk's first, each with its present state in words.

What a door says is what its page says: the same view models, so that nobody finds behind a door another number than
on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from api.pages.alert_list import Alert
from api.pages.digital import DeviceState, counted, devices_now
from api.pages.disaster import Gauge, disaster
from api.pages.tourism import tourism
from api.pages.water import water
from api.roles import Role
from devices.model import ObservedProperty
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
    blocks = water(conn, now, zone).blocks
    spots = tourism(conn, now, zone)
    passages = [spot.today.inwards for spot in spots if spot.today.inwards is not None]
    counters = [spot for spot in spots if ObservedProperty.PASSAGES_IN in spot.station.readings]
    devices = devices_now(conn, now)
    states = counted(devices)
    return Start(
        doors=tuple(_door(desk, role, alerts) for desk in sorted(DOORS, key=lambda desk: desk is not role)),
        worst=disaster(conn, now, zone).worst,
        blocks=(len(blocks), sum(block.flow is not None and block.flow.current for block in blocks)),
        spots=(len(counters), sum(not spot.outage for spot in counters)),
        passages=sum(passages) if passages else None,
        devices=len(devices),
        unheard=states[DeviceState.LOST] + states[DeviceState.NEVER],
        low_batteries=states[DeviceState.LOW_BATTERY],
    )


def _door(desk: Role, own: Role, alerts: Sequence[Alert]) -> Door:
    mine = [alert for alert in alerts if alert.may_act(desk)]
    return Door(desk, desk is own, len(mine), sum(alert.acknowledged_at is None for alert in mine))
