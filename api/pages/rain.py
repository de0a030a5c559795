"""雨量: what has fallen at every rain gauge in 10 minutes, 60 minutes, since this rain began, and in 24 hours.

The sums are worked out from the observations themselves (`analytics.rivers.rain`), so that a new one moves them at
once. They end at the gauge's newest observation, whose time stands beside them; a sum with a gap in it says 以上.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from analytics.rivers.rain import Sums, sums
from api.pages.readings import Now, Point, State, StationNow, history, stations_now
from devices.model import ObservedProperty, Quality, StationKind
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
    series = history(conn, [r.datastream_id for r in readings.values() if r is not None], now - LOOK_BACK, now)
    return tuple(
        RainGauge(station, reading, None if reading is None else sums_of(series[reading.datastream_id], reading.step))
        for station in stations
        for reading in (readings[station.code],)
    )


def sums_of(points: Sequence[Point], step: timedelta) -> Sums | None:
    """The sums of a gauge's observations; what cannot be believed is missing from them."""
    return sums(
        [point.time for point in points],
        np.array(
            [point.value if point.usable and point.value is not None else np.nan for point in points], dtype=np.float64
        ),
        step,
        np.array([point.quality is Quality.ESTIMATED for point in points], dtype=np.bool_),
    )
