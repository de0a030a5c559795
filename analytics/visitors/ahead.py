"""Looks ahead at the spots: each morning, how many will be counted on each of seven days, and hour by hour today and
tomorrow (`analytics.visitors.expected`).

    follow(dsn, clock, stop)          does so when a day has begun, in a thread and with a connection of its own
    look_ahead(conn, town, now)       does it for a municipality; how many spots it said something of
    changed(conn, town, zone, now)    whether the weather agency has said something else of today meanwhile
    said_ahead(past, known, ...)      the same of counts, without a database
    expected(conn, ...)               what is stored of it

Learned anew each morning from the spots' own series of a good year, days and hours that are whole only: what was lost,
estimated, or not believed is not learned from. A zero is believed where a person entered it, has looked at its day
(checked, confirmed) or has overruled the fault that it was taken for. All spots of a municipality together, so that a
new one has the others to lean on. A spot needs four weeks of days; hours may have been counted by hand.

Days of events in the town's calendar are not learned from either: they are expected as without them, and moved by what
earlier events did (`planned`, `expected.effects`); and so are days for which a 警報 of the weather agency stands, where
its telegrams are read (`issued`). When what stands for today changes before the evening, it is said anew, at most once
an hour. School holidays that the calendar has are among what is learned, and rain and temperature of the days that are
over, as the town's own gauges had them. The weather that comes is not: there is no forecast of it here.

Cost: some 45 seconds of a processor for 100 spots with 14 months by the hour (`mimamori bench visitors`); nothing waits
for it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import structlog

from analytics.alone import follow as alone
from analytics.visitors.checks.hours import vouched
from analytics.visitors.day_types import calendar
from analytics.visitors.expected.calendar import Calendar
from analytics.visitors.expected.counts import Bools, Counts, Floats
from analytics.visitors.expected.effects import Basis, Effect, with_effect
from analytics.visitors.expected.forecaster import Expected as Told
from analytics.visitors.expected.forecaster import train
from analytics.visitors.expected.situation import Weather
from analytics.visitors.issued import SHUT, issued
from analytics.visitors.past_weather import weather_of
from analytics.visitors.planned import planned
from analytics.visitors.spots.plan import Method, plans
from analytics.visitors.spots.series import SpotDay, days_of, hours
from analytics.visitors.usual import COMPLETE_ENOUGH, day_start, local_day
from devices.clock import Clock
from store import Connection
from store.jma_spells import Spell

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
class Event:
    """The entry of the calendar that a day was reckoned with: `factor` times as many as without it, as `past` earlier
    ones of its name (`same`), of its kind (`alike`) or nobody (`none`) says.
    """

    name: str
    basis: Basis
    past: int
    factor: float


@dataclass(frozen=True, slots=True)
class Standing:
    """What of the weather agency a day was reckoned with, in its own words: `factor` times as many as without it, as
    `past` earlier days of its `name` (`same`), of others (`alike`) or nobody (`none`) says.
    """

    name: str
    office: str
    since: datetime
    basis: Basis
    past: int
    factor: float


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
    event: Event | None = None
    standing: Standing | None = None


@dataclass(frozen=True, slots=True)
class _Spot:
    spot_id: int
    code: str
    with_hours: bool


def follow(dsn: str, clock: Clock, stop: threading.Event) -> None:
    """Looks ahead for every municipality, until `stop` is set."""

    nothing: dict[int, datetime] = {}  # towns of which nothing could be said, and when

    def turn(conn: Connection) -> bool:
        now = clock.now()
        for town, zone, last in _towns(conn):
            if stop.is_set():
                break
            due = last is None or local_day(last, zone) < local_day(now - _AFTER_MIDNIGHT, zone)
            due = due or (last is not None and now - last >= _AGAIN and changed(conn, town, zone, now))
            if due and now - nothing.get(town, datetime.min.replace(tzinfo=UTC)) >= _AGAIN:
                if look_ahead(conn, town, now):
                    nothing.pop(town, None)
                else:
                    nothing[town] = now
        return False

    alone(dsn, NAME, turn, stop, rest=_REST_SECONDS)


def look_ahead(conn: Connection, town: int, now: datetime) -> int:
    """Replaces what was expected from today on, and returns of how many spots something is. `now`: town time. `conn` in
    autocommit.
    """
    spots = _spots(conn, town)
    if not spots:
        return 0
    zone = _zone(conn, town)
    today = local_day(now, zone)
    first, n = today - LEARNED_ON, LEARNED_ON.days
    days = n + len(WEEK)
    plan = planned(conn, town, [each.code for each in spots], first, days)
    with_school = calendar(first, days).with_school(plan.school)
    agency = issued(conn, town, zone, first, days, now)
    apart = plan.moved | agency.days[:, None]  # days that nothing is learned from
    found = days_of(conn, [each.spot_id for each in spots], first, today - _DAY)
    true = _vouched(conn, found, first, today, zone)
    daily = _known(np.column_stack([_daily(found[each.spot_id]) for each in spots]), 1)
    said_true = np.column_stack([true[each.spot_id].any(axis=1) for each in spots])
    weather = weather_of(conn, town, zone, first, today)
    said, without = said_ahead(
        Counts(first, 1, np.where(apart[:n], np.nan, daily), said_true), with_school, WEEK, weather
    )
    # A festival in a typhoon says nothing of festivals, nor of typhoons.
    calm = np.where(agency.days[:n, None], np.nan, daily)
    past = [plan.past(at, calm[:, at], without[:, at]) for at in range(len(spots))]
    stood = [
        agency.past(np.where(plan.moved[:n, at], np.nan, daily[:, at]), without[:, at]) for at in range(len(spots))
    ]
    effects = {
        (at, lead): (
            plan.effect(at, n + lead - 1, past[at]),
            agency.effect(n + lead - 1, stood[at]),
            agency.standing[n + lead - 1],
        )
        for at in range(len(spots))
        for lead in WEEK
    }
    rows = [
        (
            spot.spot_id,
            1,
            day_start(today + (lead - 1) * _DAY, zone),
            lead,
            *_told(told, lead - 1, at, *effects[at, lead]),
        )
        for lead, told in said.items()
        for at, spot in enumerate(spots)
    ]
    with_hours = [at for at, each in enumerate(spots) if each.with_hours]
    if with_hours:
        hourly = _known(np.column_stack([_hourly(conn, spots[at].spot_id, first, today) for at in with_hours]), 24)
        moved = np.repeat(apart[:n, with_hours], 24, axis=0)
        said_true = np.column_stack([true[spots[at].spot_id].ravel() for at in with_hours])
        past_hours = Counts(first, 24, np.where(moved, np.nan, hourly), said_true)
        said, _ = said_ahead(past_hours, with_school, TODAY_AND_TOMORROW, weather)
        for lead, told in said.items():
            for hour in range(24):
                start = datetime.combine(today + (lead - 1) * _DAY, time(hour), zone).astimezone(UTC)
                rows += [
                    (
                        spots[at].spot_id,
                        24,
                        start,
                        lead,
                        *_told(told, 24 * (lead - 1) + hour, column, *effects[at, lead]),
                    )
                    for column, at in enumerate(with_hours)
                ]
    # What is nan nobody can say; an hour that a clock change leaves out is another one's.
    usable = {row[:3]: row for row in rows if not np.isnan(row[4])}
    with conn.transaction():
        # An hour of today that has begun keeps what was said of it before.
        conn.execute(
            """
            delete from visitor_expected
            where municipality_id = %(town)s
              and (start < %(old)s
                   or (start >= %(today)s and not (per_day = 24 and start < %(now)s and issued_at >= %(today)s)))
            """,
            {"town": town, "old": now - KEPT, "today": day_start(today, zone), "now": now},
        )
        with conn.cursor() as cursor:
            cursor.executemany(
                """
                insert into visitor_expected
                    (municipality_id, spot_id, per_day, start, lead_days, value, low, high, event_name, event_basis,
                     event_past, event_factor, issued_name, issued_office, issued_since, issued_basis, issued_past,
                     issued_factor, issued_at)
                values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
                on conflict do nothing
                """,
                [(town, *row, now) for row in usable.values()],
            )
    n_said = len({row[0] for row in usable.values()})
    log.info("visitors_expected", municipality=town, spots=n_said)
    return n_said


def expected(
    conn: Connection, spot_ids: Iterable[int], per_day: int, start: datetime, end: datetime
) -> Mapping[int, Sequence[Expected]]:
    """What begins in [start, end), by spot, in order; the caller's role decides what is seen."""
    found: dict[int, list[Expected]] = {}
    for spot, *rest in conn.execute(
        """
        select spot_id, start, value, low, high, lead_days, issued_at,
               event_name, event_basis, event_past, event_factor,
               issued_name, issued_office, issued_since, issued_basis, issued_past, issued_factor
        from visitor_expected
        where spot_id = any(%s) and per_day = %s and start >= %s and start < %s order by spot_id, start
        """,
        (list(spot_ids), per_day, start, end),
    ):
        event = None if rest[6] is None else Event(*rest[6:10])
        standing = None if rest[10] is None else Standing(*rest[10:])
        start, value, low, high, lead, said_at = rest[:6]
        found.setdefault(spot, []).append(Expected(start, value, low, high, lead, said_at, event, standing))
    return found


def said_ahead(
    past: Counts, known: Calendar, leads: tuple[int, ...], weather: Floats | None = None
) -> tuple[dict[int, Told], Floats]:
    """What is expected of the days after the past, by how far ahead (lead 1 is the first of them), and of the past days
    themselves, each a day before. `known`: of all these days. `weather` (past days, k), nan where nobody knows; a
    figure of which nothing is known is none.
    """
    n = len(past.values)
    figures = np.empty((past.days, 0)) if weather is None else weather[:, ~np.isnan(weather).all(axis=0)]
    whole = np.full((known.days, figures.shape[1]), np.nan)
    whole[: past.days] = figures
    by_row = Weather(np.repeat(whole, past.per_day, axis=0), foreseen=False)
    forecaster = train(past, known.until(past.days), Weather(by_row.values[:n], foreseen=False), leads)
    grown = past.with_days(known.days)
    said = {lead: forecaster.ahead(grown, known, by_row, n, lead) for lead in leads}
    return said, forecaster.ahead(grown, known, by_row, 0, leads[0]).value[:n] if past.per_day == 1 else np.empty(0)


def changed(conn: Connection, town: int, zone: ZoneInfo, now: datetime) -> bool:
    """Whether something else of the agency stands for today than it was reckoned with."""
    today = local_day(now, zone)
    if now.astimezone(zone).time() >= SHUT:
        return False
    row = conn.execute(
        "select issued_name from visitor_expected where municipality_id = %s and per_day = 1 and start = %s limit 1",
        (town, day_start(today, zone)),
    ).fetchone()
    (standing,) = issued(conn, town, zone, today, 1, now).standing
    return row is not None and row[0] != (None if standing is None else standing.name)


def _known(counts: Floats, per_day: int) -> Floats:
    """Without the spots that have fewer than four weeks of days."""
    days = (~np.isnan(counts)).reshape(-1, per_day, counts.shape[1]).any(axis=1).sum(axis=0)
    return np.where(days >= _FEWEST_DAYS, counts, np.nan)


def _told(
    told: Told, row: int, column: int, event: Effect | None, effect: Effect | None, standing: Spell | None
) -> tuple[Any, ...]:
    """value, low, high, and what of an event there is in them, and of the agency's."""
    value, low, high = (float(each[row, column]) for each in (told.value, told.lo, told.hi))
    entry: tuple[Any, ...] = (None,) * 4
    if event is not None:
        value, low, high = with_effect(value, low, high, event)
        entry = (event.name, event.basis, event.past, event.factor)
    stands: tuple[Any, ...] = (None,) * 6
    if effect is not None and standing is not None:
        value, low, high = with_effect(value, low, high, effect)
        stands = (effect.name, standing.office, standing.since, effect.basis, effect.past, effect.factor)
    return (value, low, high, *entry, *stands)


def _daily(days: Sequence[SpotDay]) -> Floats:
    """(days,) nan where there is no whole number."""
    whole = [
        float(day.visitors)
        if day.state == "ok" and day.visitors is not None and day.completeness >= COMPLETE_ENOUGH
        else np.nan
        for day in days
    ]
    return np.array(whole).clip(min=0.0)


def _vouched(
    conn: Connection, found: Mapping[int, Sequence[SpotDay]], first: date, today: date, zone: ZoneInfo
) -> dict[int, Bools]:
    """(days, 24) by spot: the hours of which somebody says that the counts are true. Who says so of one of several
    counters has looked at the spot; a virtual one is as sure as the least of its parts.
    """
    known = plans(conn, found)
    ids = {each for plan in known.values() for source in plan.sources for each in source.datastreams}
    overruled = vouched(conn, ids, first, today - _DAY, zone)

    def said(spot: int) -> Bools:
        plan = known[spot]
        parts = [said(part.spot_id) for part in plan.parts]
        counters = [overruled[each] for source in plan.sources for each in source.datastreams]
        nothing = np.zeros(((today - first).days, 24), dtype=np.bool_)
        true: Bools = np.logical_and.reduce(parts) if parts else np.logical_or.reduce([nothing, *counters])
        return true

    by_people = {
        spot: np.array([day.method is Method.FORM or day.version != "provisional" for day in days])
        for spot, days in found.items()
    }
    return {spot: said(spot) | days[:, None] for spot, days in by_people.items()}


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


def _spots(conn: Connection, town: int) -> list[_Spot]:
    """Those that are not retired, and whether somebody or something counts there by the hour."""
    return [
        _Spot(*row)
        for row in conn.execute(
            """
            select s.spot_id, s.code,
                   s.kind = 'virtual' or exists (
                       select from spot_source c where c.spot_id = s.spot_id and c.to_day is null
                                                   and c.measure in ('in', 'out', 'both', 'vehicles'))
                   or exists (select from part_entry e where e.station_id = s.station_id and e.kind = 'hour')
            from spot s where s.municipality_id = %s and s.retired_from is null order by s.spot_id
            """,
            (town,),
        )
    ]
