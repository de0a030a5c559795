"""Looks ahead at the spots: each morning, how many will be counted on each of seven days, and hour by hour today and
tomorrow (`analytics.visitors.expected`).

    follow(dsn, clock, stop)          does so when a day has begun, in a thread and with a connection of its own
    look_ahead(conn, town, now)       does it for a municipality; how many spots it said something of
    expected(conn, ...)               what is stored of it

Learned anew each morning from the spots' own series of a good year, days and hours that are whole only: what was lost,
estimated, or not believed is not learned from. All spots of a municipality together, so that a new one has the others
to lean on. A spot needs four weeks of days.

Cost: a minute at most for 100 spots with a year by the hour; nothing waits for it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import structlog

from analytics.alone import follow as alone
from analytics.visitors.day_types import holiday_name
from analytics.visitors.expected.calendar import Calendar
from analytics.visitors.expected.counts import Counts, Floats
from analytics.visitors.expected.forecaster import Expected as Told
from analytics.visitors.expected.forecaster import train
from analytics.visitors.spots.series import days_of, hours
from analytics.visitors.usual import COMPLETE_ENOUGH, day_start, local_day
from devices.clock import Clock
from store import Connection

log = structlog.get_logger(__name__)

NAME = "visitors ahead"
WEEK = tuple(range(1, 8))
TODAY_AND_TOMORROW = (1, 2)
LEARNED_ON = timedelta(days=420)  # the same day of last year, with four weeks before it
KEPT = timedelta(days=400)
_FEWEST_DAYS = 28
_AFTER_MIDNIGHT = timedelta(minutes=20)  # the last counts of a day have come by then
_AGAIN = timedelta(hours=1)  # where nothing could be said: somebody may have imported a past meanwhile
_REST_SECONDS = 30.0
_DAY, _HOUR = timedelta(days=1), timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Expected:
    """延べ of a local day or hour that begins at `start`; between `low` and `high` in nine cases of ten. `lead`: how
    many days before it was said, 1 in its own morning.
    """

    start: datetime
    value: float
    low: float
    high: float
    lead: int
    issued: datetime


def follow(dsn: str, clock: Clock, stop: threading.Event) -> None:
    """Looks ahead for every municipality, until `stop` is set."""

    nothing: dict[int, datetime] = {}  # towns of which nothing could be said, and when

    def turn(conn: Connection) -> bool:
        now = clock.now()
        for town, zone, last in _towns(conn):
            if stop.is_set():
                break
            due = last is None or local_day(last, zone) < local_day(now - _AFTER_MIDNIGHT, zone)
            if due and now - nothing.get(town, datetime.min.replace(tzinfo=UTC)) >= _AGAIN:
                if look_ahead(conn, town, now):
                    nothing.pop(town, None)
                else:
                    nothing[town] = now
        return False

    alone(dsn, NAME, turn, stop, rest=_REST_SECONDS)


def look_ahead(conn: Connection, town: int, now: datetime) -> int:
    """Replaces what was expected from today on. `now`: town time. `conn` in autocommit."""
    spots = _spots(conn, town)
    if not spots:
        return 0
    zone = _zone(conn, town)
    today = local_day(now, zone)
    first, ids = today - LEARNED_ON, [each for each, _ in spots]
    daily = _daily(conn, ids, first, today)
    known = [at for at in range(len(ids)) if (~np.isnan(daily[:, at])).sum() >= _FEWEST_DAYS]
    with_hours = [at for at in known if spots[at][1]]
    said = _ahead(Counts(first, 1, daily[:, known]), WEEK) if known else {}
    rows = [
        (ids[spot], 1, day_start(today + (lead - 1) * _DAY, zone), lead, *figures)
        for lead, told in said.items()
        for spot, figures in zip(known, _figures(told, lead - 1), strict=True)
    ]
    if with_hours:
        hourly = np.column_stack([_hourly(conn, ids[at], first, today) for at in with_hours])
        for lead, told in _ahead(Counts(first, 24, hourly), TODAY_AND_TOMORROW).items():
            day = today + (lead - 1) * _DAY
            for hour in range(24):
                start = datetime.combine(day, time(hour), zone).astimezone(UTC)
                found = zip(with_hours, _figures(told, (lead - 1) * 24 + hour), strict=True)
                rows += [(ids[spot], 24, start, lead, *figures) for spot, figures in found]
    # What is nan nobody can say; an hour that a clock change leaves out is another one's.
    usable = {row[:3]: row for row in rows if not np.isnan(row[4])}
    with conn.transaction():
        conn.execute(
            "delete from visitor_expected where municipality_id = %s and (start >= %s or start < %s)",
            (town, day_start(today, zone), now - KEPT),
        )
        with conn.cursor() as cursor:
            cursor.executemany(
                """
                insert into visitor_expected
                    (municipality_id, spot_id, per_day, start, lead_days, value, low, high, issued_at)
                values (%s, %s, %s, %s, %s, %s, %s, %s, %s)
                """,
                [(town, *row, now) for row in usable.values()],
            )
    log.info("visitors_expected", municipality=town, spots=len(known))
    return len(known)


def expected(
    conn: Connection, spot_ids: Iterable[int], per_day: int, start: datetime, end: datetime
) -> Mapping[int, Sequence[Expected]]:
    """What begins in [start, end), by spot, in order; the caller's role decides what is seen."""
    found: dict[int, list[Expected]] = {}
    for spot, *rest in conn.execute(
        """
        select spot_id, start, value, low, high, lead_days, issued_at from visitor_expected
        where spot_id = any(%s) and per_day = %s and start >= %s and start < %s order by spot_id, start
        """,
        (list(spot_ids), per_day, start, end),
    ):
        found.setdefault(spot, []).append(Expected(*rest))
    return found


def _ahead(past: Counts, leads: tuple[int, ...]) -> dict[int, Told]:
    """What is expected of the days after the past, by how far ahead: lead 1 is the first of them."""
    days = past.days + len(leads)
    calendar = _calendar(past.first, days)
    forecaster = train(past, calendar.until(past.days), np.empty((len(past.values), 0)), leads)
    grown, nothing = past.with_days(days), np.empty((days * past.per_day, 0))
    return {lead: forecaster.ahead(grown, calendar, nothing, len(past.values), lead) for lead in leads}


def _figures(told: Told, row: int) -> list[tuple[float, float, float]]:
    return [
        (float(value), float(low), float(high))
        for value, low, high in zip(told.value[row], told.lo[row], told.hi[row], strict=True)
    ]


def _calendar(first: date, days: int) -> Calendar:
    around = range(-40, days + 40)
    free = {day for at in around if holiday_name(day := first + at * _DAY) is not None}
    return Calendar.of(first, days, free)


def _daily(conn: Connection, ids: Sequence[int], first: date, today: date) -> Floats:
    """(days, spots), today not among them; nan where there is no whole number."""
    found = days_of(conn, ids, first, today - _DAY)
    return np.array(
        [
            [
                float(day.visitors)
                if day.state == "ok" and day.visitors is not None and day.completeness >= COMPLETE_ENOUGH
                else np.nan
                for day in found[spot]
            ]
            for spot in ids
        ]
    ).T.clip(min=0.0)


def _hourly(conn: Connection, spot_id: int, first: date, today: date) -> Floats:
    """(hours,) by local time: the mean of an hour that comes twice."""
    n = (today - first).days * 24
    total, number = np.zeros(n), np.zeros(n)
    for each in hours(conn, spot_id, first, today - _DAY):
        if each.state == "ok" and each.visitors is not None:
            at = (each.start.date() - first).days * 24 + each.start.hour
            total[at] += max(0.0, each.visitors)
            number[at] += 1
    counted: Floats = np.where(number > 0, total / np.maximum(number, 1), np.nan)
    return counted


def _towns(conn: Connection) -> list[tuple[int, ZoneInfo, datetime | None]]:
    """Municipalities with spots, and when they were last looked ahead at."""
    return [
        (town, ZoneInfo(zone), last)
        for town, zone, last in conn.execute(
            """
            select m.municipality_id, m.timezone,
                   (select max(issued_at) from visitor_expected e where e.municipality_id = m.municipality_id)
            from municipality m where exists (select from spot s where s.municipality_id = m.municipality_id)
            """
        )
    ]


def _zone(conn: Connection, town: int) -> ZoneInfo:
    row = conn.execute("select timezone from municipality where municipality_id = %s", (town,)).fetchone()
    assert row is not None
    return ZoneInfo(row[0])


def _spots(conn: Connection, town: int) -> list[tuple[int, bool]]:
    """Those that are not retired, and whether counters count for them."""
    return conn.execute(
        """
        select s.spot_id, s.kind = 'virtual' or exists (
                   select from spot_source c
                   where c.spot_id = s.spot_id and c.to_day is null and c.measure in ('in', 'out', 'both', 'vehicles'))
        from spot s where s.municipality_id = %s and s.retired_from is null order by s.spot_id
        """,
        (town,),
    ).fetchall()
