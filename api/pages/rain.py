"""雨量: what has fallen at every rain gauge in 10 minutes, 60 minutes, since this rain began, and in 24 hours.

The sums are worked out from the observations themselves (`analytics.rivers.rain`), so that a new one moves them at
once. They end at the gauge's newest observation, whose time stands beside them; a sum with a gap in it says 以上.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from analytics.rivers.amounts import read
from analytics.rivers.rain import Sums, sums
from api.pages.readings import Now, State, StationNow, stations_now
from devices.model import ObservedProperty, StationKind
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
    amounts = read(conn, list(steps), now - LOOK_BACK, now)
    return {
        each: sums(found.times, found.values, step, found.estimated) if (found := amounts.get(each)) else None
        for each, step in steps.items()
    }
