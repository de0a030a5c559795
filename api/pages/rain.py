"""雨量: what has fallen at every rain gauge in 10 minutes, 60 minutes, since this rain began, and in 24 hours.

The sums are worked out from the observations themselves (`analytics.rivers.rain`), so that a new one moves them at
once. They end at the gauge's newest observation, whose time stands beside them; a sum with a gap in it says 以上.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np
from psycopg import sql

from analytics.rivers.rain import Sums, sums
from api.pages.readings import Now, State, StationNow, stations_now
from devices.model import ObservedProperty, StationKind
from store.columns import columns
from store.connection import Connection

# How far back a rain is followed: one that began earlier is told as 以上.
LOOK_BACK = timedelta(hours=72)


@dataclass(frozen=True, slots=True)
class RainGauge:
    """A rain gauge as its row shows it. `sums` None where nothing was ever received, or nothing for LOOK_BACK."""

    station: StationNow
    now: Now | None
    sums: Sums | None

    @property
    def badge(self) -> str:
        """Its mark on the map: a drop while its sums are of the present."""
        return "rain" if self.current else "unknown"

    @property
    def heard(self) -> bool:
        """Whether anything was ever received from it."""
        return self.now is not None and self.now.state is not State.NEVER

    @property
    def current(self) -> bool:
        """Whether the sums may be taken for present ones. A gauge that could not measure just now still tells of the
        rain before.
        """
        return self.sums is not None and self.heard and self.now is not None and self.now.state is not State.SILENT


def rain(conn: Connection, now: datetime) -> tuple[RainGauge, ...]:
    """All rain gauges in two queries."""
    stations = stations_now(conn, StationKind.RAIN_GAUGE, now)
    readings = {s.code: s.readings.get(ObservedProperty.PRECIPITATION) for s in stations}
    found = rain_sums(conn, {r.datastream_id: r.step for r in readings.values() if r is not None}, now)
    return tuple(
        RainGauge(station, reading, None if reading is None else found[reading.datastream_id])
        for station in stations
        for reading in (readings[station.code],)
    )


def rain_sums(conn: Connection, steps: Mapping[int, timedelta], now: datetime) -> dict[int, Sums | None]:
    """The sums of these datastreams (with their steps), of what was observed within LOOK_BACK; one query. What cannot
    be believed is missing from them.
    """
    datastreams, times, amounts, estimated = columns(
        conn,
        sql.SQL(_AMOUNTS).format(
            ids=sql.Literal(list(steps)), start=sql.Literal(now - LOOK_BACK), end=sql.Literal(now)
        ),
        ("datastream", "time", "amount", "estimated"),
    )
    found: dict[int, Sums | None] = dict.fromkeys(steps)
    begins = np.flatnonzero(np.diff(datastreams, prepend=-1))
    for begin, end in pairwise([*begins, len(times)]):
        datastream_id, part = int(datastreams[begin]), slice(begin, end)
        found[datastream_id] = sums(times[part], amounts[part], steps[datastream_id], estimated[part] > 0)
    return found


_AMOUNTS = """
    select datastream_id::float8, date_part('epoch', phenomenon_time),
           coalesce(case when quality not in ('bad', 'missing') then value end, 'NaN')::float8,
           (quality = 'estimated')::int::float8
    from tenant_observation
    where datastream_id = any({ids}) and phenomenon_time > {start} and phenomenon_time <= {end}
    order by datastream_id, phenomenon_time
"""
