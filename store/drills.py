"""Drills: what was planned, what runs, what came of it. All times are town time.

    plan(conn, town, new, now=, user_id=) -> drill_id        kept with all its readings; nothing happens yet
    start(conn, town, drill_id, at, now=, user_id=)          it is to begin at `at`; ingest does it (`ingest.drilling`)
    stop(conn, town, drill_id, now=, user_id=)               it is over, or does not take place
    running(conn, town) -> Drill | None                      at most one a town
    drills(conn, town), drill(conn, town, drill_id)

Raises `RecordError`. Each writes in the caller's transaction, on a connection of the API's role; announcing it to the
feed (`store.feed.append_headquarters`, the last statement) is the caller's.

The readings of a drill are observations of shadow datastreams (`datastream.drill_run`), made when it starts: they go
through the same gate and the same rules as real ones, and every query that counts or publishes leaves them out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from psycopg.types.json import Jsonb

from store.arrays import transposed
from store.connection import Connection
from store.errors import RecordError
from store.headquarters import clean

MOST_NAME = 80
MOST_READINGS = 20_000
LONGEST = timedelta(hours=48)
SPEEDS = (1.0, 2.0, 6.0)
LATEST_START = timedelta(days=31)
# After the last reading: who was called last has time to answer.
LAST_ANSWERS = timedelta(minutes=10)


class State(StrEnum):
    """What has become of a drill."""

    PLANNED = "planned"  # nobody has started it yet
    WAITING = "waiting"  # for its time
    RUNNING = "running"
    ENDED = "ended"
    NOT_HELD = "not_held"  # cancelled, or its time went by


@dataclass(frozen=True, slots=True)
class NewDrill:
    """`readings`: station_id -> (after the start, metres above gauge zero), ascending, at the drill's own speed."""

    name: str
    source: Mapping[str, Any]
    speed: float
    stop_level: int
    readings: Mapping[int, Sequence[tuple[timedelta, float]]]
    persons: Sequence[int] = ()
    groups: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Drill:
    """`ended_for`: the actual alert that has ended it. The names are those of the accounts."""

    drill_id: int
    name: str
    source: Mapping[str, Any]
    speed: float
    stop_level: int
    lasts: timedelta
    made_at: datetime
    made_by: str
    starts_at: datetime | None
    start_by: str | None
    started_at: datetime | None
    ended_at: datetime | None
    ended_by: str | None
    ending: str | None
    ended_for: int | None

    @property
    def state(self) -> State:
        if self.ended_at is not None:
            return State.NOT_HELD if self.started_at is None else State.ENDED
        if self.started_at is not None:
            return State.RUNNING
        return State.PLANNED if self.starts_at is None else State.WAITING


@dataclass(frozen=True, slots=True)
class DrillStation:
    """A station that takes part, and its shadow; None before the start. `readings`: how many, `peak` the highest."""

    station_id: int
    code: str
    name: str
    name_en: str
    datastream_id: int | None
    readings: int
    start: float
    peak: float
    peak_after: timedelta


def plan(conn: Connection, municipality_id: int, new: NewDrill, *, now: datetime, user_id: int) -> int:
    """Keeps a drill with its readings and returns its id."""
    name = clean("name", new.name, MOST_NAME)
    if not name:
        raise RecordError("name", "empty")
    rows = [(station, after, value) for station, series in new.readings.items() for after, value in series]
    if not rows or not all(new.readings.values()):
        raise RecordError("stations", "empty")
    if len(rows) > MOST_READINGS:
        raise RecordError("stations", "long")
    lasts = max(after for _, after, _ in rows)
    if not timedelta(0) < lasts <= LONGEST:
        raise RecordError("source", "long")
    row = conn.execute(
        """
        insert into drill (municipality_id, name, source, speed, stop_level, lasts, made_at, made_by)
        values (%s, %s, %s, %s, %s, %s, %s, %s) returning drill_id
        """,
        (municipality_id, name, Jsonb(dict(new.source)), new.speed, new.stop_level, lasts, now, user_id),
    ).fetchone()
    assert row is not None
    drill_id = int(row[0])
    conn.execute(
        "insert into drill_station (drill_id, station_id, municipality_id) select %s, unnest(%s::integer[]), %s",
        (drill_id, sorted(new.readings), municipality_id),
    )
    conn.execute(
        """
        insert into drill_reading (drill_id, station_id, municipality_id, after, value)
        select %s, station_id, %s, after, value
        from unnest(%s::integer[], %s::interval[], %s::double precision[]) as said (station_id, after, value)
        """,
        (drill_id, municipality_id, *transposed(rows, 3)),
    )
    conn.execute(
        """
        insert into drill_enrolled (drill_id, municipality_id, person_id, group_id)
        select %(drill)s, %(town)s, person_id, null::integer from unnest(%(persons)s::integer[]) as person_id
        union all
        select %(drill)s, %(town)s, null, group_id from unnest(%(groups)s::integer[]) as group_id
        """,
        {
            "drill": drill_id,
            "town": municipality_id,
            "persons": sorted(set(new.persons)),
            "groups": sorted(set(new.groups)),
        },
    )
    return drill_id


def start(conn: Connection, municipality_id: int, drill_id: int, at: datetime, *, now: datetime, user_id: int) -> None:
    """Says when it is to begin; `changed` where it has begun, is over or was started by somebody else already."""
    if at > now + LATEST_START:
        raise RecordError("starts_at", "long")
    found = conn.execute(
        """
        update drill set starts_at = %s, start_by = %s
        where municipality_id = %s and drill_id = %s and starts_at is null and ended_at is null
        """,
        (max(at, now), user_id, municipality_id, drill_id),
    )
    if not found.rowcount:
        raise RecordError("drill", "changed")


def stop(conn: Connection, municipality_id: int, drill_id: int, *, now: datetime, user_id: int) -> None:
    """Ends it, or says that it does not take place; `changed` where it is over already."""
    found = conn.execute(
        """
        update drill set ended_at = %s, ended_by = %s,
            ending = case when started_at is null then 'cancelled' else 'stopped' end
        where municipality_id = %s and drill_id = %s and ended_at is null
        """,
        (now, user_id, municipality_id, drill_id),
    )
    if not found.rowcount:
        raise RecordError("drill", "changed")


def drills(conn: Connection, municipality_id: int, limit: int = 50) -> list[Drill]:
    """The newest first."""
    rows = conn.execute(
        _DRILLS + "where d.municipality_id = %s order by d.drill_id desc limit %s", (municipality_id, limit)
    )
    return [Drill(*row) for row in rows]


def drill(conn: Connection, municipality_id: int, drill_id: int) -> Drill | None:
    """One of them."""
    row = conn.execute(
        _DRILLS + "where d.municipality_id = %s and d.drill_id = %s", (municipality_id, drill_id)
    ).fetchone()
    return None if row is None else Drill(*row)


def running(conn: Connection, municipality_id: int) -> Drill | None:
    """The one that runs now."""
    row = conn.execute(
        _DRILLS + "where d.municipality_id = %s and d.started_at is not null and d.ended_at is null",
        (municipality_id,),
    ).fetchone()
    return None if row is None else Drill(*row)


def stations(conn: Connection, drill_id: int) -> list[DrillStation]:
    """The stations that take part."""
    return [
        DrillStation(*row)
        for row in conn.execute(
            """
            select x.station_id, s.code, s.name, s.name_en, x.datastream_id, r.n, r.start, r.peak, r.peak_after
            from drill_station x join station s using (station_id)
            cross join lateral (
                select count(*) as n, (array_agg(value order by after))[1] as start, max(value) as peak,
                       (array_agg(after order by value desc, after))[1] as peak_after
                from drill_reading r where r.drill_id = x.drill_id and r.station_id = x.station_id
            ) r
            where x.drill_id = %s order by s.station_id
            """,
            (drill_id,),
        )
    ]


def planned(conn: Connection, drill_id: int) -> dict[int, list[tuple[timedelta, float]]]:
    """station_id -> what it is going to say."""
    found: dict[int, list[tuple[timedelta, float]]] = {}
    for station_id, after, value in conn.execute(
        "select station_id, after, value from drill_reading where drill_id = %s order by station_id, after",
        (drill_id,),
    ):
        found.setdefault(station_id, []).append((after, value))
    return found


def enrolled(conn: Connection, drill_id: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """(persons, groups) who take part."""
    rows: Iterable[tuple[int | None, int | None]] = conn.execute(
        "select person_id, group_id from drill_enrolled where drill_id = %s order by drill_enrolled_id", (drill_id,)
    ).fetchall()
    return tuple(p for p, _ in rows if p is not None), tuple(g for _, g in rows if g is not None)


_DRILLS = """
select d.drill_id, d.name, d.source, d.speed, d.stop_level, d.lasts, d.made_at, made.display_name,
       d.starts_at, starter.display_name, d.started_at, d.ended_at, ender.display_name, d.ending, d.ended_for
from drill d
join app_user made on made.user_id = d.made_by
left join app_user starter on starter.user_id = d.start_by
left join app_user ender on ender.user_id = d.ended_by
"""
