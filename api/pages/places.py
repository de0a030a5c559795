"""Stations of the kinds that have no section of their own on a desk: what each says now, in a table and on the map.

Inundation points and shelters; pressure points, pumps, water quality and leak loggers; areas and parking. Contacts read
as words (浸水あり, 停止), everything else as a number with its unit.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from api.pages.readings import Now, StationNow, stations_now
from devices.model import ObservedProperty, StationKind
from store.connection import Connection

# The kinds that a desk's page speaks of itself.
_OWN_SECTION = frozenset(
    {
        StationKind.RIVER_GAUGE,
        StationKind.RAIN_GAUGE,
        StationKind.BLOCK_INLET,
        StationKind.SERVICE_TANK,
        StationKind.VISITOR_SPOT,
    }
)


def other_places(conn: Connection, desk: str, now: datetime) -> list[StationNow]:
    """The stations of a desk that its page has no section for, kind by kind. One query."""
    kinds = [kind for kind in StationKind if kind.desk == desk and kind not in _OWN_SECTION]
    order = {kind: n for n, kind in enumerate(kinds)}
    return sorted(stations_now(conn, kinds, now), key=lambda station: order[station.kind])


def headline(station: StationNow) -> Now | None:
    """The reading that stands for a station on the map: one that is current, if there is any."""
    readings: Iterable[Now] = station.readings.values()
    return max(readings, key=lambda reading: reading.current, default=None)


def badge(station: StationNow) -> str:
    """The mark of a station: wet, dry, reporting, or unknown where it says nothing of the present."""
    now = headline(station)
    if now is None or not now.current:
        return "unknown"
    if now.contact is not None and station.kind is StationKind.INUNDATION_POINT:
        return "wet" if now.contact == f"{ObservedProperty.INUNDATION}.1" else "dry"
    return "reporting"
