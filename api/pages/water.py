"""水道: flow and pressure of every block now, the night minimum of the last nights, and today by the hour.

Today's hours are computed from the observations themselves, so that a new value moves them at once; the nights
come from analytics. A night without a row, or too incomplete to say, is 欠測 and never 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from api.pages.chart import Chart, line_chart
from api.pages.days import Hour, day_start, hours_of
from api.pages.readings import Now, Point, StationNow, history, stations_now
from devices.model import ObservedProperty, StationKind
from store.connection import Connection

NIGHTS = 7
CURVE = timedelta(hours=24)
NIGHT_END = 5  # o'clock: until then the present night is still being measured


@dataclass(frozen=True, slots=True)
class Night:
    """夜間最小流量 of one night (named by the day it ends on), m3/h.

    `minimum` None: it could not be measured; `completeness` 0..1 of the observations came in.
    `pending`: the night is not over, or not yet worked out.
    """

    day: date
    minimum: float | None
    since: datetime | None
    completeness: float
    pending: bool


@dataclass(frozen=True, slots=True)
class Block:
    """One block inlet. `nights` newest first; `hours` of today up to now, newest first; `chart` and `recent` (newest
    first) are the flow of the last 24 hours.
    """

    station: StationNow
    flow: Now | None
    pressure: Now | None
    nights: tuple[Night, ...]
    hours: tuple[Hour, ...]
    chart: Chart | None
    recent: tuple[Point, ...]

    @property
    def last_night(self) -> Night | None:
        """The newest night that is over; None where there was none yet."""
        return next((night for night in self.nights if not night.pending), None)

    @property
    def night_change(self) -> float | None:
        """Last measured night minus the one before it, m3/h."""
        known = [night.minimum for night in self.nights if night.minimum is not None]
        return known[0] - known[1] if len(known) > 1 else None


def water(conn: Connection, now: datetime, zone: ZoneInfo) -> tuple[Block, ...]:
    """All blocks in three queries."""
    stations = stations_now(conn, StationKind.BLOCK_INLET, now)
    flows = {s.station_id: r for s in stations if (r := s.readings.get(ObservedProperty.FLOW)) is not None}
    today = now.astimezone(zone).date()
    midnight = day_start(today, zone)
    # A day of 23 or 25 hours begins before or after the curve does.
    series = history(conn, [r.datastream_id for r in flows.values()], min(midnight, now - CURVE), now)
    nights = _nights(conn, today - timedelta(days=NIGHTS - 1))
    blocks = []
    for station in stations:
        flow = flows.get(station.station_id)
        pressure = station.readings.get(ObservedProperty.PRESSURE)
        if flow is None:
            blocks.append(Block(station, None, pressure, (), (), None, ()))
            continue
        points = series[flow.datastream_id]
        curve = [point for point in points if point.time >= now - CURVE]
        blocks.append(
            Block(
                station,
                flow,
                pressure,
                _last_nights(nights.get(flow.datastream_id, {}), flow.first, now, zone),
                hours_of(
                    [point for point in points if point.time >= midnight],
                    flow.step,
                    today,
                    now,
                    zone,
                    total=False,
                    first=flow.first,
                ),
                line_chart(curve, now - CURVE, now, flow.step, zone),
                tuple(reversed(curve)),
            )
        )
    return tuple(blocks)


def _nights(conn: Connection, since: date) -> dict[int, dict[date, tuple[float | None, datetime | None, float]]]:
    found: dict[int, dict[date, tuple[float | None, datetime | None, float]]] = {}
    for datastream_id, day, minimum, minimum_from, completeness in conn.execute(
        "select datastream_id, day, minimum, minimum_from, completeness from night_flow where day >= %s", (since,)
    ):
        found.setdefault(datastream_id, {})[day] = (minimum, minimum_from, completeness)
    return found


def _last_nights(
    known: dict[date, tuple[float | None, datetime | None, float]],
    first: datetime | None,
    now: datetime,
    zone: ZoneInfo,
) -> tuple[Night, ...]:
    """The nights since there are observations, newest first."""
    if first is None:
        return ()
    today = now.astimezone(zone).date()
    night_over = now.astimezone(zone).hour >= NIGHT_END
    nights = []
    for back in range(NIGHTS):
        day = today - timedelta(days=back)
        if day_start(day, zone) + timedelta(hours=NIGHT_END) <= first:
            break
        minimum, since, completeness = known.get(day, (None, None, 0.0))
        # What is known of a night that is not over would be its minimum so far: not a night minimum at all.
        pending = back == 0 and not night_over
        nights.append(Night(day, None if pending else minimum, since, completeness, pending))
    return tuple(nights)
