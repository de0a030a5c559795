"""Looks, once a day, at what a town's loggers, inlets and tanks say of leaks (`analytics.leaks.detection`).

    follow(dsn, clock, stop)          does so when a day's data are there, in a thread and with a connection of its own;
                                      and after each turn at what just came in (`lively`)
    night(conn, town, day, now, kept) judges the days up to one; what changed
    listen(conn, now, seen)           judges the sound loggers (`sounds`), whose nights do not wait for the others

A day is judged when every series that sent in the last week has come to its end, and at noon of the next day at the
latest: loggers that deliver once a day are waited for. What comes later still is in the next night's record, which is
read anew from the hours of up to a year; so nothing is lost by late data, restarts or a fast clock. Kept between nights
is what the network alone decides (who is near to whom, what a leak in each pipe would do); of the record nothing.

Days on which nobody looked are judged one after the other, as far back as a change is young enough to be spoken of.
With a hydraulic model the leaks that were found and still run are put into it; where it cannot be calculated the map
does. Cost: docs/waterworks.md.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import structlog

from analytics.alone import follow as alone
from analytics.findings import Changes, announce
from analytics.leaks.detection.report import Report
from analytics.leaks.detection.year import LEARNED, OLDEST, Watching
from analytics.leaks.loggers import lively, places, sounds, stored
from analytics.leaks.loggers.known import NO_NUMBERS, Kept, keep, nearest, placed_names
from analytics.leaks.loggers.measured import Measured, measured, supplied
from analytics.leaks.loggers.stored import Watch
from analytics.leaks.network import stored as networks
from devices.clock import Clock
from store import Connection

log = structlog.get_logger(__name__)

NAME = "leak loggers"
YEAR = 365  # days of the record
_NOON = timedelta(hours=12)
_LATELY = timedelta(days=7)
_REST_SECONDS = 30.0
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class _Town:
    municipality_id: int
    zone: ZoneInfo


def follow(dsn: str, clock: Clock, stop: threading.Event) -> None:
    """Looks at every town whose stations somebody has put on its pipes, until `stop` is set."""
    kept: dict[int, Kept] = {}
    quick: dict[int, lively.Watched] = {}
    heard: dict[int, object] = {}

    def turn(conn: Connection) -> bool:
        now = clock.now()
        listen(conn, now, heard)
        for town in _towns(conn):
            if stop.is_set():
                break
            with conn.transaction():
                announce(conn, stored.end_settled(conn, town.municipality_id, now))
            day = due(conn, town.municipality_id, town.zone, now)
            if day is not None:
                night(conn, town.municipality_id, town.zone, day, now, kept.setdefault(town.municipality_id, Kept()))
            lively.look(
                conn,
                town.municipality_id,
                town.zone,
                kept.setdefault(town.municipality_id, Kept()),
                quick.setdefault(town.municipality_id, lively.Watched()),
            )
        return False

    alone(dsn, NAME, turn, stop, rest=_REST_SECONDS)


def listen(conn: Connection, now: datetime, seen: dict[int, object]) -> None:
    """Judges the sound loggers of every town where something has changed; `seen` keeps what was there, by town."""
    for municipality_id, timezone in sounds.towns(conn):
        day = sounds.last_over(timezone, now)
        if seen.get(municipality_id) == (state := sounds.state(conn, municipality_id, day)):
            continue
        seen[municipality_id] = state
        try:
            with conn.transaction():
                announce(conn, sounds.judge(conn, municipality_id, timezone, now))
        except NO_NUMBERS:  # as below: one town's numbers; looked at again when something has changed
            log.exception("leak_sounds_failed", municipality=municipality_id, day=str(day))


def due(conn: Connection, municipality_id: int, zone: ZoneInfo, now: datetime) -> date | None:
    """The day that can be judged and has not been; None: there is none yet."""
    today = now.astimezone(zone).date()
    day = today - _DAY
    last = stored.judged(conn, municipality_id)
    if last is not None and last.day >= day:
        return None
    if now < _midnight(today, zone) + _NOON:
        row = conn.execute(
            """
            select count(*) filter (where l.phenomenon_time + d.step < %(end)s)
            from logger_place p
            join datastream d on d.station_id = p.station_id and d.drill_run is null
                 and d.observed_property in ('flow', 'pressure', 'tank_level')
            join datastream_latest l using (datastream_id)
            where p.municipality_id = %(town)s and l.phenomenon_time >= %(lately)s
            """,
            {"end": _midnight(today, zone), "town": municipality_id, "lately": now - _LATELY},
        ).fetchone()
        if row is None or row[0]:
            return None
    return day


def night(conn: Connection, municipality_id: int, zone: ZoneInfo, day: date, now: datetime, kept: Kept) -> Changes:
    """Judges the days up to `day` that were not; `conn` in autocommit. What changed, which was announced."""
    try:
        watch, changes = _judged(conn, municipality_id, zone, day, now, kept)
    except NO_NUMBERS:
        # One town's odd numbers must not end the process that counts everybody's hours; the page says that it failed.
        log.exception("leak_loggers_failed", municipality=municipality_id, day=str(day))
        watch, changes = Watch(day, now, None, 0, 0, False, "failed"), []
        with conn.transaction():
            stored.put_judged(conn, municipality_id, watch)
    seen = {"loggers": watch.loggers, "new": len(changes), "why": watch.why}
    log.info("leak_loggers", municipality=municipality_id, day=str(day), **seen)
    return changes


def _judged(conn: Connection, town: int, zone: ZoneInfo, day: date, now: datetime, kept: Kept) -> tuple[Watch, Changes]:
    def nothing(why: str, network_id: int | None = None, days: int = 0, loggers: int = 0) -> tuple[Watch, Changes]:
        watch = Watch(day, now, network_id, days, loggers, False, why)
        with conn.transaction():
            stored.put_judged(conn, town, watch)
        return watch, []

    number = networks.present(conn, town)
    if number is None:
        return nothing("network")
    placed = places.stations(conn, town)
    drawn = networks.network_of(conn, town, number)
    where = places.located(drawn, placed)
    if not where.link:
        return nothing("inlets", number)
    network = supplied(drawn, placed, where)
    found = measured(conn, network, placed, where, _midnight(day, zone) - (YEAR - 1) * _DAY, YEAR)
    found, days = _since_first(found)
    loggers = len(found.sensors)
    if days < LEARNED:
        return nothing("days", number, days, loggers)
    start = _midnight(day, zone) - (days - 1) * _DAY
    known, running = stored.told(conn, town, network, start, found.sensors)
    keep(kept, network, (number, found.sensors, found.flows, placed_names(placed, where)), found, running)
    assert kept.effects is not None and kept.near is not None
    watching = Watching(
        network, found.record, kept.near, kept.effects.heads, kept.effects.shares, np.arange(loggers), known
    )
    last = stored.judged(conn, town)
    missed = OLDEST if last is None else min(max((day - last.day).days, 1), OLDEST)
    said: list[Report] = []
    for at in range(days):
        watching.learn()
        if at >= days - missed:
            said += watching.judge()
    watch = Watch(day, now, number, days, loggers, kept.by_model, None)
    first = start.astimezone(zone).date()
    until = {found.sensors[at]: first + each * _DAY for at, each in watching.faulty().items()}
    with conn.transaction():
        changes: Changes = []
        for report in said:
            changes += stored.open_suspect(
                conn,
                town,
                number,
                report,
                start=start,
                day=first + timedelta(seconds=report.at) - _DAY,
                stations=nearest(network, report, found, where),
                series=_series(watching, report, found),
                by_model=kept.by_model,
            )
        stored.put_faults(conn, town, until)
        stored.put_judged(conn, town, watch)
        announce(conn, changes)
    return watch, changes


def _since_first(found: Measured) -> tuple[Measured, int]:
    """From the first day on which all meters measured, and how many days these are."""
    record = found.record
    per_day = record.per_day
    flows = np.isfinite(record.flows[: record.days * per_day]).all(axis=1).reshape(record.days, per_day)
    known = np.flatnonzero(flows.sum(axis=1) * 2 >= per_day)
    if not len(known):
        return found, 0
    first = int(known[0])
    rows = slice(first * per_day, None)
    cut = Measured(
        type(record)(
            record.step,
            record.sensors,
            record.pressures[rows],
            record.meters,
            record.flows[rows],
            record.tanks,
            record.levels[rows],
            (),
            record.customers[rows],
            (record.weekday + first) % 7,
        ),
        found.sensors,
        found.flows,
        found.flow_series,
    )
    return cut, record.days - first


def _series(watching: Watching, report: Report, found: Measured) -> int:
    """The flow of an inlet of the part that the report is of: its size is counted in it."""
    for part in watching.parts():
        if report.pipe in part.pipes:
            return found.flow_series[int(part.inlets[0])]
    raise AssertionError("a report is of a part")


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone)


def _towns(conn: Connection) -> list[_Town]:
    """Those with a station on their pipes."""
    return [
        _Town(row[0], ZoneInfo(row[1]))
        for row in conn.execute(
            """
            select m.municipality_id, m.timezone from municipality m
            where exists (select from logger_place p where p.municipality_id = m.municipality_id)
            order by m.municipality_id
            """
        )
    ]
