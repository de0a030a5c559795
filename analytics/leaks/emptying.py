"""How long a service tank lasts while something leaks behind it.

lasts(tank, level, started_at, excess, now) -> {"tank", "tank_en", "tank_hours", "tank_at"}, a finding's detail
behind(conn, stations) -> (Tank, datastream_id) | None        the tank that feeds one of these block inlets
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from analytics.leaks.burst import WINDOW
from analytics.leaks.nights import usable
from analytics.rivers import trend
from store.connection import Connection
from store.observations import Series


@dataclass(frozen=True, slots=True)
class Tank:
    """`area_m2` of its water, `low_m` the level above the floor below which nobody wants to be."""

    name: str
    name_en: str
    area_m2: float
    low_m: float


def lasts(tank: Tank, level: Series, started_at: datetime, excess: float, now: datetime) -> dict[str, Any]:
    """In how many hours from `tank_at`, the time of its last known level, the tank is at its low level at this rate;
    None where it does not fall. Nothing where its level is not known now. `excess` m3/h that something takes since
    `started_at`.

    Within the first hour no trend shows it yet: then the rate is that of the two hours before, and what is taken on top
    of it. Later it is the trend of the last hour, with all that was switched meanwhile.
    """
    values = usable(level)
    known = np.flatnonzero(~np.isnan(values))
    if not len(known):
        return {}
    at = level.times[int(known[-1])]
    if now - at > trend.WINDOW:
        return {}
    before = started_at - WINDOW
    if now - started_at < trend.WINDOW:
        earlier = [n for n, time in enumerate(level.times) if time <= before]
        calm = trend.trend([level.times[n] for n in earlier], values[earlier], window=2 * trend.WINDOW)
        rate = None if calm is None else calm.rate - excess / tank.area_m2
    else:
        lately = trend.trend(level.times, values)
        rate = None if lately is None else lately.rate
    if rate is None:
        return {}
    hours = max(0.0, float(values[known[-1]]) - tank.low_m) / -rate if rate < 0 else None
    if hours is not None:
        hours = round(hours * 2) / 2 if hours < 10 else float(round(hours))
    return {"tank": tank.name, "tank_en": tank.name_en, "tank_hours": hours, "tank_at": at.isoformat()}


def behind(conn: Connection, stations: Iterable[int]) -> tuple[Tank, int] | None:
    """None: none is known with its size and its level."""
    row = conn.execute(
        """
        select k.name, k.name_en, t.area_m2, t.low_m, d.datastream_id
        from block_inlet b
        join station k on k.station_id = b.tank_station_id
        join service_tank t on t.station_id = k.station_id
        join datastream d on d.station_id = k.station_id and d.observed_property = 'tank_level' and d.drill_run is null
        where b.station_id = any(%s) order by d.datastream_id limit 1
        """,
        (list(stations),),
    ).fetchone()
    return None if row is None else (Tank(*row[:4]), row[4])
