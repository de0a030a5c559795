"""観光: passages (延べ) of every spot today, this hour, by the hour, and of the last days.

A passage is one person crossing the counter's line inwards. Nobody knows from it how many different people came.
A counter without data has no number: it says since when it is silent, never 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from api.pages.days import Hour, day_start, hours_of
from api.pages.readings import Now, Point, State, StationNow, history, stations_now
from devices.model import ObservedProperty, StationKind
from store.connection import Connection

DAYS = 7
DIRECTIONS = (ObservedProperty.PASSAGES_IN, ObservedProperty.PASSAGES_OUT)


@dataclass(frozen=True, slots=True)
class Sum:
    """Passages over a period: `n` observations of `expected`; n = 0 means that nothing was counted (inwards None).

    `n` and `expected` are those of the inward series, which is what is counted (see `analytics.visitors.visits`);
    outwards is shown beside it, to check the counter by.
    """

    n: int
    expected: int
    inwards: float | None
    outwards: float | None

    @property
    def partial(self) -> bool:
        return 0 < self.n < self.expected


@dataclass(frozen=True, slots=True)
class SpotHour:
    start: datetime
    running: bool
    passages: Sum


@dataclass(frozen=True, slots=True)
class SpotDay:
    day: date
    today: bool
    passages: Sum


@dataclass(frozen=True, slots=True)
class Spot:
    """One visitor spot. `latest` is the newest reading of either direction; `hours` and `days` newest first."""

    station: StationNow
    latest: Now | None
    today: Sum
    hours: tuple[SpotHour, ...]
    days: tuple[SpotDay, ...]

    @property
    def outage(self) -> bool:
        """True where the counter gives no data now, whatever it counted earlier today."""
        return self.latest is None or self.latest.state in (State.SILENT, State.MISSING, State.NEVER)

    @property
    def this_hour(self) -> SpotHour | None:
        return self.hours[0] if self.hours and self.hours[0].running else None


def tourism(conn: Connection, now: datetime, zone: ZoneInfo) -> tuple[Spot, ...]:
    """All spots in three queries."""
    stations = stations_now(conn, StationKind.VISITOR_SPOT, now)
    ids = [s.readings[p].datastream_id for s in stations for p in DIRECTIONS if p in s.readings]
    today = now.astimezone(zone).date()
    series = history(conn, ids, day_start(today, zone), now)
    days = _days(conn, ids, today - timedelta(days=DAYS - 1), today)
    return tuple(_spot(station, series, days, today, now, zone) for station in stations)


Days = dict[int, dict[date, tuple[int, float, float | None]]]


def _days(conn: Connection, ids: list[int], since: date, today: date) -> Days:
    found: Days = {}
    for datastream_id, day, n, expected, total in conn.execute(
        """
        select datastream_id, day, n, expected, total from rollup_day
        where datastream_id = any(%s) and day >= %s and day < %s
        """,
        (ids, since, today),
    ):
        found.setdefault(datastream_id, {})[day] = (n, expected, total)
    return found


def _spot(
    station: StationNow, series: dict[int, list[Point]], days: Days, today: date, now: datetime, zone: ZoneInfo
) -> Spot:
    readings = [station.readings.get(direction) for direction in DIRECTIONS]
    known = [reading for reading in readings if reading is not None]
    counted = [
        None if r is None else hours_of(series[r.datastream_id], r.step, today, now, zone, total=True, first=r.first)
        for r in readings
    ]
    hours = _hours(counted[0], counted[1])
    first = min((r.first for r in known if r.first is not None), default=None)
    so_far = Sum(
        sum(hour.passages.n for hour in hours),
        sum(hour.passages.expected for hour in hours),
        _add([hour.passages.inwards for hour in hours]),
        _add([hour.passages.outwards for hour in hours]),
    )
    earlier = [
        day
        for day in (today - timedelta(days=back) for back in range(1, DAYS))
        if first is not None and day_start(day + timedelta(days=1), zone) > first
    ]
    return Spot(
        station,
        max(known, key=lambda reading: reading.time or datetime.min.replace(tzinfo=zone), default=None),
        so_far,
        hours,
        (SpotDay(today, True, so_far), *(SpotDay(day, False, _day(readings, days, day)) for day in earlier)),
    )


def _hours(inwards: tuple[Hour, ...] | None, outwards: tuple[Hour, ...] | None) -> tuple[SpotHour, ...]:
    by_start = {hour.start: hour.total for hour in outwards or ()}
    return tuple(
        SpotHour(
            hour.start,
            hour.running,
            Sum(
                hour.n,
                hour.expected,
                hour.total,
                by_start.get(hour.start),
            ),
        )
        for hour in inwards or ()
    )


def _day(readings: list[Now | None], days: Days, day: date) -> Sum:
    rows = [None if r is None else days.get(r.datastream_id, {}).get(day) for r in readings]
    totals = [None if row is None or row[0] == 0 else row[2] for row in rows]
    n, expected, _ = rows[0] or (0, 0.0, None)
    return Sum(n, round(expected), totals[0], totals[1])


def _add(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def by_hour(spots: Sequence[Spot]) -> list[tuple[datetime, list[SpotHour | None]]]:
    """The hours of all spots side by side, newest first; None where a spot has none (nothing was there yet)."""
    cells = [{hour.start: hour for hour in spot.hours} for spot in spots]
    starts = sorted({start for of_spot in cells for start in of_spot}, reverse=True)
    return [(start, [of_spot.get(start) for of_spot in cells]) for start in starts]


def by_day(spots: Sequence[Spot]) -> list[tuple[date, list[SpotDay | None]]]:
    """The days of all spots side by side, newest first."""
    cells = [{day.day: day for day in spot.days} for spot in spots]
    days = sorted({day for of_spot in cells for day in of_spot}, reverse=True)
    return [(day, [of_spot.get(day) for of_spot in cells]) for day in days]
