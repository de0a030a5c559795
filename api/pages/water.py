"""水道: the service tanks; flow and pressure of every block now, its nights against the usual one, what is suspected
there, and today by the hour.

Today's hours are computed from the observations themselves, so that a new value moves them at once; the nights
come from analytics. A night without a row, or too incomplete to say, is 欠測 and never 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from analytics.leaks import night_alarm
from analytics.leaks.night_alarm import HOURS_A_MONTH, Usual, assess
from api.pages.chart import Chart, line_chart
from api.pages.days import Hour, day_start, hours_of
from api.pages.readings import Now, Point, StationNow, history, stations_now
from api.pages.suspects import LOGGERS, Suspect, suspects
from api.pages.tanks import Tank, tanks
from devices.model import ObservedProperty, StationKind
from store.connection import Connection

NIGHTS = 7
REMEMBERED_NIGHTS = 60  # to find the usual one of
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
    first) are the flow of the last 24 hours. `usual` is the night that the last one is compared with.
    """

    station: StationNow
    flow: Now | None
    pressure: Now | None
    nights: tuple[Night, ...]
    usual: Usual | None
    suspects: tuple[Suspect, ...]
    hours: tuple[Hour, ...]
    chart: Chart | None
    recent: tuple[Point, ...]

    @property
    def last_night(self) -> Night | None:
        """The newest night that is over; None where there was none yet."""
        return next((night for night in self.nights if not night.pending), None)

    @property
    def open(self) -> tuple[Suspect, ...]:
        return tuple(each for each in self.suspects if each.ended_at is None)

    @property
    def excess(self) -> float | None:
        """How much more than usual flowed in the last measured night, m3/h; None where that is not known."""
        last = self.last_night
        if last is None or last.minimum is None or self.usual is None:
            return None
        return last.minimum - self.usual.median

    @property
    def month(self) -> float | None:
        """m3 a month of an excess that is above what is tolerated; None of any other."""
        if self.excess is None or self.usual is None or self.excess <= self.usual.limit - self.usual.median:
            return None
        return self.excess * HOURS_A_MONTH

    @property
    def night_change(self) -> float | None:
        """Last measured night minus the one before it, m3/h."""
        known = [night.minimum for night in self.nights if night.minimum is not None]
        return known[0] - known[1] if len(known) > 1 else None


@dataclass(frozen=True, slots=True)
class Water:
    """The waterworks' page. `loggers`: names of a station and what the loggers suspect near it."""

    tanks: tuple[Tank, ...]
    blocks: tuple[Block, ...]
    loggers: tuple[tuple[str, str, Suspect], ...]


def water(conn: Connection, now: datetime, zone: ZoneInfo) -> Water:
    """All tanks and blocks, in a few queries however many there are."""
    stations = stations_now(conn, StationKind.BLOCK_INLET, now)
    flows = {s.station_id: r for s in stations if (r := s.readings.get(ObservedProperty.FLOW)) is not None}
    today = now.astimezone(zone).date()
    midnight = day_start(today, zone)
    # A day of 23 or 25 hours begins before or after the curve does.
    series = history(conn, [r.datastream_id for r in flows.values()], min(midnight, now - CURVE), now)
    nights = _nights(conn, today - timedelta(days=REMEMBERED_NIGHTS))
    everything = suspects(conn, now)
    found = {at: tuple(each for each in several if each.kind not in LOGGERS) for at, several in everything.items()}
    blocks = []
    for station in stations:
        flow = flows.get(station.station_id)
        pressure = station.readings.get(ObservedProperty.PRESSURE)
        if flow is None:
            blocks.append(Block(station, None, pressure, (), None, (), (), None, ()))
            continue
        points = series[flow.datastream_id]
        curve = [point for point in points if point.time >= now - CURVE]
        blocks.append(
            Block(
                station,
                flow,
                pressure,
                _last_nights(nights.get(flow.datastream_id, {}), flow.first, now, zone),
                _usual(nights.get(flow.datastream_id, {}), found.get(station.station_id, ()), now, zone),
                found.get(station.station_id, ()),
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
    return Water(tanks(conn, now, zone, flows), tuple(blocks), _loggers(conn, everything))


def _loggers(conn: Connection, found: Mapping[int, Sequence[Suspect]]) -> tuple[tuple[str, str, Suspect], ...]:
    """The open ones first, the newest before older ones."""
    asked = {at: [each for each in several if each.kind in LOGGERS] for at, several in found.items()}
    names = {
        row[0]: row[1:]
        for row in conn.execute(
            "select station_id, name, name_en from station where station_id = any(%s)",
            ([at for at, several in asked.items() if several],),
        )
    }
    lines = [(*names[at], each) for at, several in asked.items() for each in several]
    return tuple(sorted(lines, key=lambda line: (line[2].ended_at is not None, -line[2].started_at.timestamp())))


def _usual(
    known: dict[date, tuple[float | None, datetime | None, float]],
    suspects: tuple[Suspect, ...],
    now: datetime,
    zone: ZoneInfo,
) -> Usual | None:
    """What the last night is compared with: while there is an alarm, the usual night of before it. A slow growth has no
    limit of its own.
    """
    for each in suspects:
        if each.kind == "night_flow" and each.ended_at is None and each.usual is not None and "limit" in each.detail:
            return Usual(each.usual, float(each.detail["limit"]), int(each.detail["usual_nights"]))
    today = now.astimezone(zone).date()
    return assess([night_alarm.Night(day, night[0]) for day, night in sorted(known.items()) if day < today]).usual


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
