"""観光: passages (延べ) of every spot today, against the usual, this hour and by the hour.

A passage is one person crossing the counter's line inwards. Nobody knows from it how many different people came.
A counter without data has no number: it says since when it is silent, never 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from analytics.visitors.usual import Comparison, SoFar, compare, local_day, so_far
from api.pages.days import Hour, day_start, hours_of
from api.pages.readings import Now, Point, State, StationNow, history, stations_now
from devices.model import ObservedProperty, StationKind
from store.connection import Connection

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
class Spot:
    """One visitor spot. `latest` is the newest reading of either direction; `hours` newest first.

    `usual` compares today with the days of its kind, up to `until`; None where the spot has no counter. `entered` is
    the last day for which a person entered a number, None where nobody has.
    """

    station: StationNow
    latest: Now | None
    today: Sum
    hours: tuple[SpotHour, ...]
    usual: Comparison | None
    until: datetime | None
    entered: date | None

    @property
    def counter(self) -> bool:
        """False where people count, and write the day's number into the form."""
        return ObservedProperty.PASSAGES_IN in self.station.readings

    @property
    def manual(self) -> Now | None:
        """The series of daily totals that people enter; None where nobody may."""
        return self.station.readings.get(ObservedProperty.PASSAGES_DAY)

    @property
    def outage(self) -> bool:
        """True where the counter gives no data now, whatever it counted earlier today."""
        return self.counter and silent(self.latest)

    @property
    def this_hour(self) -> SpotHour | None:
        return self.hours[0] if self.hours and self.hours[0].running else None


def newest(station: StationNow) -> Now | None:
    """The newest reading of either direction; None where the spot has no counter."""
    known = [reading for each in DIRECTIONS if (reading := station.readings.get(each)) is not None]
    return max(known, key=lambda reading: reading.time or datetime.min.replace(tzinfo=UTC), default=None)


def silent(latest: Now | None) -> bool:
    """Whether a counter with this newest reading gives no data now."""
    return latest is None or latest.state in (State.SILENT, State.MISSING, State.NEVER)


@dataclass(frozen=True, slots=True)
class Counters:
    """How many spots have a counter, how many of these give data, and 延べ of today over all of them: None where
    nothing was counted.
    """

    spots: int
    reporting: int
    passages: float | None


def counters_now(conn: Connection, now: datetime, zone: ZoneInfo) -> Counters:
    """What `tourism` says of all spots together, in two queries."""
    spots = [s for s in stations_now(conn, StationKind.VISITOR_SPOT, now) if ObservedProperty.PASSAGES_IN in s.readings]
    row = conn.execute(
        """
        select sum(value) from tenant_observation
        where datastream_id = any(%s) and phenomenon_time > %s and phenomenon_time <= %s
          and quality not in ('bad', 'missing')
        """,
        (
            [s.readings[ObservedProperty.PASSAGES_IN].datastream_id for s in spots],
            day_start(now.astimezone(zone).date(), zone),
            now,
        ),
    ).fetchone()
    return Counters(len(spots), sum(not silent(newest(s)) for s in spots), row[0] if row is not None else None)


def tourism(conn: Connection, now: datetime, zone: ZoneInfo) -> tuple[Spot, ...]:
    """All spots in five queries; those without a counter last, as they are in the register."""
    stations = stations_now(conn, StationKind.VISITOR_SPOT, now)
    ids = [s.readings[p].datastream_id for s in stations for p in DIRECTIONS if p in s.readings]
    today = now.astimezone(zone).date()
    series = history(conn, ids, day_start(today, zone), now)
    counters = [reading for s in stations if (reading := s.readings.get(ObservedProperty.PASSAGES_IN)) is not None]
    usual = so_far(conn, {reading.datastream_id: now for reading in counters}, zone, "tenant_observation")
    return tuple(_spot(station, series, usual, today, now, zone) for station in stations)


def _spot(
    station: StationNow,
    series: dict[int, list[Point]],
    usual: dict[int, SoFar],
    today: date,
    now: datetime,
    zone: ZoneInfo,
) -> Spot:
    readings = [station.readings.get(direction) for direction in DIRECTIONS]
    counted = [
        None if r is None else hours_of(series[r.datastream_id], r.step, today, now, zone, total=True, first=r.first)
        for r in readings
    ]
    hours = _hours(counted[0], counted[1])
    so_far_today = Sum(
        sum(hour.passages.n for hour in hours),
        sum(hour.passages.expected for hour in hours),
        _add([hour.passages.inwards for hour in hours]),
        _add([hour.passages.outwards for hour in hours]),
    )
    part = None if readings[0] is None else usual[readings[0].datastream_id]
    return Spot(
        station,
        newest(station),
        so_far_today,
        hours,
        None if part is None else compare(part),
        None if part is None else part.until,
        _entered(station, zone),
    )


def _entered(station: StationNow, zone: ZoneInfo) -> date | None:
    manual = station.readings.get(ObservedProperty.PASSAGES_DAY)
    return None if manual is None or manual.time is None else local_day(manual.time, zone)


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


def _add(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def by_hour(spots: Sequence[Spot]) -> list[tuple[datetime, list[SpotHour | None]]]:
    """The hours of all spots side by side, newest first; None where a spot has none (nothing was there yet)."""
    cells = [{hour.start: hour for hour in spot.hours} for spot in spots]
    starts = sorted({start for of_spot in cells for start in of_spot}, reverse=True)
    return [(start, [of_spot.get(start) for of_spot in cells]) for start in starts]
