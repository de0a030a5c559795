"""Feeds drills: what `store.drills` has planned becomes observations when it is due, as if devices had sent it.

Contract
- A drill begins at its time, unless another one runs (then it waits), its time went by more than `LATEST` ago (then it
  is not held), or an actual alert already stands at its level. Its shadow datastreams are made then, like the real
  ones of its stations: the same step and limits, in the drill's own pace.
- Its readings go through the gate and the writer as all observations do, at their own times. They have no uplink and no
  device: nothing that counts messages, batteries or frames knows of them.
- How far it is fed is written in the transaction that holds the readings: killed anywhere and started again, it goes
  on; what became due meanwhile comes at once and late, as after an outage.
- It ends `store.drills.LAST_ANSWERS` after its last reading, when somebody stops it, or at once when an actual alert of
  the disaster desk reaches `stop_level`: nobody is to look for what is real among what is not.
- It also stores what was measured in a trial and counts after all (`ingest.trial.counted`).
- A thread of the ingest worker with its own connection. A fault is logged and tried again: it ends neither the thread
  nor the worker. Where there are many workers, one of them feeds (a lock).
"""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from functools import partial

import psycopg
import structlog

from devices.clock import Clock
from devices.model import Quality
from ingest.gate import judged, judged_there
from ingest.trial import counted
from store.connection import Connection, connect
from store.drills import LAST_ANSWERS, standing_against
from store.feed import append_headquarters
from store.registry import DatastreamInfo, Directory
from store.writer import ObservationRow, write_unsent

LOOK_SECONDS = 1.0
# Who planned a drill for ten o'clock does not expect it at eleven.
LATEST = timedelta(minutes=15)
MOST_ROWS = 2_000  # in one transaction

_RECONNECT_SECONDS = 2.0

log = structlog.get_logger(__name__)


class Drilling:
    """Looks about once a second, from `start` to `stop`. `dsn` is for the role mimamori_worker."""

    def __init__(self, dsn: str, municipality_id: int, clock: Clock) -> None:
        self._dsn = dsn
        self._town = municipality_id
        self._clock = clock
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="drills", daemon=True)

    def start(self) -> None:
        """Begins to look; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """Ends with the transaction in hand. A drill that runs goes on with the next worker."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                with connect(self._dsn, name="drills") as conn:
                    while not self._alone(conn) and not self._stopping.wait(LOOK_SECONDS):
                        pass
                    while not self._stopping.is_set():
                        more = look(conn, self._town, self._clock.now())
                        conn.commit()
                        more = counted(conn, self._town, self._clock.now(), judged) or more
                        conn.commit()
                        self._stopping.wait(0.0 if more else LOOK_SECONDS)
            except psycopg.OperationalError as error:
                log.warning("database lost", consumer="drills", error=str(error).strip())
                self._stopping.wait(_RECONNECT_SECONDS)
            except Exception:  # a drill that cannot be fed must not take real messages with it
                log.exception("the drill cannot be fed")
                self._stopping.wait(_RECONNECT_SECONDS)

    def _alone(self, conn: Connection) -> bool:
        row = conn.execute("select pg_try_advisory_lock(hashtext('drills'), %s)", (self._town,)).fetchone()
        conn.commit()
        return row is not None and bool(row[0])


def look(conn: Connection, municipality_id: int, now: datetime) -> bool:
    """One turn: begins what is due, feeds what runs, ends what is over; whether more readings are due at once. The
    caller commits.
    """
    more = changed = False
    row = conn.execute(
        """
        select drill_id, started_at, coalesce(fed_to, interval '-1 s'), lasts, stop_level from drill
        where municipality_id = %s and started_at is not null and ended_at is null for update
        """,
        (municipality_id,),
    ).fetchone()
    if row is None:
        changed = _begin(conn, municipality_id, now)
    else:
        drill_id, started_at, fed_to, lasts, stop_level = row
        against = standing_against(conn, municipality_id, stop_level)
        if against is not None:
            changed = _end(conn, drill_id, now, "alert", against.alert_id)
        else:
            changed, more = _feed(conn, municipality_id, drill_id, started_at, fed_to, now)
            if now >= started_at + lasts + LAST_ANSWERS and not more:
                changed = _end(conn, drill_id, now, "done")
    if changed:
        append_headquarters(conn, municipality_id)
    return more


def _begin(conn: Connection, municipality_id: int, now: datetime) -> bool:
    row = conn.execute(
        """
        select drill_id, starts_at, stop_level, speed from drill
        where municipality_id = %(town)s and starts_at <= %(now)s and started_at is null and ended_at is null
          -- what the one before has left open is ended first (`alerts.apart`)
          and not exists (select from drill d where d.municipality_id = %(town)s and d.started_at is not null
                          and d.closed_at is null)
        order by starts_at, drill_id limit 1 for update
        """,
        {"town": municipality_id, "now": now},
    ).fetchone()
    if row is None:
        return False
    drill_id, starts_at, stop_level, speed = row
    if now - starts_at > LATEST:
        return _end(conn, drill_id, now, "missed")
    against = standing_against(conn, municipality_id, stop_level)
    if against is not None:
        return _end(conn, drill_id, now, "alert", against.alert_id)
    conn.execute(
        """
        with made as (
            insert into datastream (municipality_id, station_id, observed_property, unit, statistic, step, range_low,
                                    range_high, max_rate, stuck_after, drill_run)
            select d.municipality_id, d.station_id, d.observed_property, d.unit, d.statistic,
                   greatest(d.step / %(speed)s, interval '1 second'), d.range_low, d.range_high, d.max_rate * %(speed)s,
                   d.stuck_after / %(speed)s, 'drill:' || %(drill)s::text
            from drill_station x
            join datastream d on d.station_id = x.station_id and d.observed_property = x.observed_property
                 and d.drill_run is null
            where x.drill_id = %(drill)s
            returning datastream_id, station_id, observed_property
        )
        update drill_station x set datastream_id = made.datastream_id from made
        where x.drill_id = %(drill)s and x.station_id = made.station_id
          and x.observed_property = made.observed_property
        """,
        {"drill": drill_id, "speed": speed},
    )
    conn.execute("update drill set started_at = %s where drill_id = %s", (now, drill_id))
    log.info("a drill has begun", drill=drill_id)
    return True


def _feed(
    conn: Connection, municipality_id: int, drill_id: int, started_at: datetime, fed_to: timedelta, now: datetime
) -> tuple[bool, bool]:
    """Stores what is due; whether anything was, and whether there is more of it."""
    due = conn.execute(
        """
        select x.datastream_id, r.after, r.value from drill_reading r
        join drill_station x using (drill_id, station_id, observed_property)
        where r.drill_id = %s and r.after > %s and r.after <= %s and x.datastream_id is not null
        order by r.after, x.datastream_id limit %s
        """,
        (drill_id, fed_to, now - started_at, MOST_ROWS),
    ).fetchall()
    if not due:
        return False, False
    more = len(due) == MOST_ROWS
    if more:  # of one moment all or none: what is fed is remembered by the moment
        last = due[-1][1]
        due = [each for each in due if each[1] < last]
    rows = [ObservationRow(i, started_at + after, value, Quality.GOOD, None) for i, after, value in due]
    judge = partial(judged_there, conn, _shadows(conn, municipality_id, drill_id))
    write_unsent(conn, municipality_id, rows, stated=now, judge=judge)
    conn.execute("update drill set fed_to = %s where drill_id = %s", (due[-1][1], drill_id))
    return True, more


def _shadows(conn: Connection, municipality_id: int, drill_id: int) -> Directory:
    """What the gate knows of the drill's series."""
    infos = [
        DatastreamInfo(*row)
        for row in conn.execute(
            """
            select d.datastream_id, d.station_id, s.code, d.observed_property, d.unit, d.statistic, d.step,
                   d.range_low, d.range_high, d.max_rate, d.stuck_after
            from drill_station x join datastream d using (datastream_id) join station s on s.station_id = d.station_id
            where x.drill_id = %s
            """,
            (drill_id,),
        )
    ]
    return Directory(municipality_id, {}, {info.datastream_id: info for info in infos})


def _end(conn: Connection, drill_id: int, now: datetime, ending: str, alert: int | None = None) -> bool:
    conn.execute(
        "update drill set ended_at = %s, ending = %s, ended_for = %s where drill_id = %s",
        (now, ending, alert, drill_id),
    )
    log.info("a drill has ended", drill=drill_id, ending=ending, alert=alert)
    return True
