"""配水池: how full each service tank is, which way it goes, and for how long what is in it would last.

The net outflow is measured, not assumed: the fall of the level over the last hour. What flows in is what the blocks
draw less that; where a block's flow is not known now, the inflow is unknown. While a tank fills or stands still there
is no "hours left", and without a trend nobody knows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

import numpy as np

from analytics.rivers.trend import trend
from api.pages.chart import Chart, line_chart
from api.pages.readings import Now, Point, StationNow, history, stations_now
from devices.model import ObservedProperty, ServiceTank, StationKind
from store.connection import Connection

CURVE = timedelta(hours=24)
STEADY = 0.02  # m/h: less is no movement of the water


class Direction(StrEnum):
    """What the water in a tank does."""

    FALLING = "falling"
    FILLING = "filling"
    STEADY = "steady"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Outlook:
    """`rate` m/h, upwards positive; `hours` until the low level at this rate, None while the tank does not fall or
    where its size is not known; `inflow` and `outflow` m3/h, None where they are unknown.
    """

    direction: Direction
    rate: float | None = None
    hours: float | None = None
    inflow: float | None = None
    outflow: float | None = None


@dataclass(frozen=True, slots=True)
class Tank:
    """One service tank; `volume` m3 above its low level, None where it is not known. `recent` newest first."""

    station: StationNow
    level: Now | None
    size: ServiceTank | None
    volume: float | None
    outlook: Outlook
    chart: Chart | None
    recent: tuple[Point, ...]


def tanks(conn: Connection, now: datetime, zone: ZoneInfo, flows: Mapping[int, Now]) -> tuple[Tank, ...]:
    """All service tanks; `flows` is the flow of each block inlet by station id."""
    stations = stations_now(conn, StationKind.SERVICE_TANK, now)
    levels = {s.station_id: r for s in stations if (r := s.readings.get(ObservedProperty.TANK_LEVEL)) is not None}
    series = history(conn, [level.datastream_id for level in levels.values()], now - CURVE, now)
    sizes = {
        row[0]: ServiceTank(*row[1:])
        for row in conn.execute("select station_id, area_m2, full_m, low_m from service_tank")
    }
    fed: dict[int, list[Now | None]] = {}
    for tank_id, block_id in conn.execute(
        "select tank_station_id, station_id from block_inlet where tank_station_id is not null"
    ):
        fed.setdefault(tank_id, []).append(flows.get(block_id))
    found = []
    for station in stations:
        level, size = levels.get(station.station_id), sizes.get(station.station_id)
        points = [] if level is None else series[level.datastream_id]
        blocks = fed.get(station.station_id, [])
        drawn = [each.value for each in blocks if each is not None and each.current and each.value is not None]
        outflow = sum(drawn) if blocks and len(drawn) == len(blocks) else None
        value = level.value if level is not None and level.current else None
        found.append(
            Tank(
                station,
                level,
                size,
                None if size is None or value is None else max(0.0, value - size.low_m) * size.area_m2,
                Outlook(Direction.UNKNOWN, outflow=outflow) if value is None else outlook(value, points, size, outflow),
                None if level is None else line_chart(points, now - CURVE, now, level.step, zone),
                tuple(reversed(points)),
            )
        )
    return tuple(found)


def outlook(level: float, points: list[Point], size: ServiceTank | None, outflow: float | None) -> Outlook:
    """Which way the water goes, from the last hour of `points` (oldest first), and what follows for `size`."""
    moving = trend(
        [p.time for p in points], np.array([p.value if p.usable else None for p in points], dtype=np.float64)
    )
    if moving is None:
        return Outlook(Direction.UNKNOWN, outflow=outflow)
    rate = moving.rate
    inflow = None if size is None or outflow is None else max(0.0, outflow + rate * size.area_m2)
    if abs(rate) < STEADY:
        return Outlook(Direction.STEADY, rate, None, inflow, outflow)
    if rate > 0:
        return Outlook(Direction.FILLING, rate, None, inflow, outflow)
    hours = None if size is None else max(0.0, level - size.low_m) / -rate
    return Outlook(Direction.FALLING, rate, hours, inflow, outflow)
