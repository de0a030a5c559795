"""Drills: what was planned, what runs, what came of it. All times are town time.

    plan(conn, town, new, now=, user_id=) -> drill_id        kept with all its readings; nothing happens yet
    start(conn, town, drill_id, at, now=, user_id=)          it is to begin at `at`; ingest does it (`ingest.drilling`)
    stop(conn, town, drill_id, now=, user_id=)               it is over, or does not take place
    repeat(conn, town, drill_id, now=, user_id=) -> drill_id the same plan once more
    standing_against(conn, town, stop_level)                 the actual alert for which none begins now
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

from devices.model import ObservedProperty, StationKind
from store.arrays import transposed
from store.connection import Connection
from store.errors import RecordError
from store.headquarters import clean

_DESK = [kind.value for kind in StationKind if kind.desk == "disaster"]

MOST_NAME = 80
MOST_READINGS = 20_000
LONGEST = timedelta(hours=48)
SPEEDS = (1.0, 2.0, 6.0)
LATEST_START = timedelta(days=31)
# After the last reading: who was called last has time to answer.
LAST_ANSWERS = timedelta(minutes=10)


Series = tuple[int, str]
"""A station by its id, and an observed property."""


class State(StrEnum):
    """What has become of a drill."""

    PLANNED = "planned"  # nobody has started it yet
    WAITING = "waiting"  # for its time
    RUNNING = "running"
    ENDED = "ended"
    NOT_HELD = "not_held"  # cancelled, or its time went by


@dataclass(frozen=True, slots=True)
class NewDrill:
    """`readings`: (station_id, observed property) -> (after the start, value in the property's unit), ascending, at the
    drill's own speed.
    """

    name: str
    source: Mapping[str, Any]
    speed: float
    stop_level: int
    readings: Mapping[Series, Sequence[tuple[timedelta, float]]]
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
class DrillSeries:
    """A series that takes part, and its shadow; None before the start. `readings`: how many, `peak` the highest."""

    station_id: int
    code: str
    name: str
    name_en: str
    observed_property: str
    datastream_id: int | None
    readings: int
    start: float
    peak: float
    peak_after: timedelta

    @property
    def key(self) -> Series:
        return self.station_id, self.observed_property

    @property
    def unit(self) -> str:
        return ObservedProperty(self.observed_property).unit


def plan(conn: Connection, municipality_id: int, new: NewDrill, *, now: datetime, user_id: int) -> int:
    """Keeps a drill with its readings and returns its id."""
    name = clean("name", new.name, MOST_NAME)
    if not name:
        raise RecordError("name", "empty")
    rows = [(*series, after, value) for series, course in new.readings.items() for after, value in course]
    if not rows or not all(new.readings.values()):
        raise RecordError("stations", "empty")
    if len(rows) > MOST_READINGS:
        raise RecordError("stations", "long")
    lasts = max(after for *_, after, _ in rows)
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
        "insert into drill_station (drill_id, station_id, observed_property, municipality_id) "
        "select %s, station_id, observed_property, %s "
        "from unnest(%s::integer[], %s::text[]) as said (station_id, observed_property)",
        (drill_id, municipality_id, *transposed(sorted(new.readings), 2)),
    )
    conn.execute(
        """
        insert into drill_reading (drill_id, station_id, observed_property, municipality_id, after, value)
        select %s, station_id, observed_property, %s, after, value
        from unnest(%s::integer[], %s::text[], %s::interval[], %s::double precision[])
             as said (station_id, observed_property, after, value)
        """,
        (drill_id, municipality_id, *transposed(rows, 4)),
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
    """Says when it is to begin; `changed` where it has begun, is over or was started by somebody else already,
    `stopped` where it is to begin now and an actual alert stands at its level.
    """
    if at > now + LATEST_START:
        raise RecordError("starts_at", "long")
    planned_ = drill(conn, municipality_id, drill_id)
    if planned_ is not None and at <= now and standing_against(conn, municipality_id, planned_.stop_level) is not None:
        raise RecordError("drill", "stopped")
    found = conn.execute(
        """
        update drill set starts_at = %s, start_by = %s
        where municipality_id = %s and drill_id = %s and starts_at is null and ended_at is null
        """,
        (max(at, now), user_id, municipality_id, drill_id),
    )
    if not found.rowcount:
        raise RecordError("drill", "changed")


@dataclass(frozen=True, slots=True)
class Against:
    """An actual alert that ends a drill at once: of a station by its names; `level` None where it has a severity."""

    alert_id: int
    name: str
    name_en: str
    level: int | None


def standing_against(conn: Connection, municipality_id: int, stop_level: int) -> Against | None:
    """The highest actual alert of the disaster desk at this level or above it: while it stands no drill begins."""
    row = conn.execute(
        """
        select a.alert_id, s.name, s.name_en, a.level from alert a join station s using (station_id)
        where a.municipality_id = %s and a.mode = 'actual' and a.cleared_at is null and s.kind = any(%s)
          and coalesce(a.level, a.severity + 1) >= %s
        order by coalesce(a.level, a.severity + 1) desc, a.alert_id limit 1
        """,
        (municipality_id, _DESK, stop_level),
    ).fetchone()
    return None if row is None else Against(*row)


def repeat(conn: Connection, municipality_id: int, drill_id: int, *, now: datetime, user_id: int) -> int:
    """Keeps the plan of a drill once more, with its readings and those who took part, and returns the new one's id.
    `unknown` where there is none.
    """
    asked = {"town": municipality_id, "drill": drill_id, "now": now, "user": user_id}
    row = conn.execute(
        """
        insert into drill (municipality_id, name, source, speed, stop_level, lasts, made_at, made_by)
        select municipality_id, name, source, speed, stop_level, lasts, %(now)s, %(user)s from drill
        where municipality_id = %(town)s and drill_id = %(drill)s returning drill_id
        """,
        asked,
    ).fetchone()
    if row is None:
        raise RecordError("drill", "unknown")
    for table, columns in (
        ("drill_station", "station_id, observed_property"),
        ("drill_reading", "station_id, observed_property, after, value"),
        ("drill_enrolled", "person_id, group_id"),
    ):
        conn.execute(
            f"insert into {table} (drill_id, municipality_id, {columns}) "  # noqa: S608
            f"select %(new)s, municipality_id, {columns} from {table} where drill_id = %(drill)s",
            {**asked, "new": row[0]},
        )
    return int(row[0])


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


def series_of(conn: Connection, drill_id: int) -> list[DrillSeries]:
    """What takes part, by station: the water before everything else."""
    return [
        DrillSeries(*row)
        for row in conn.execute(
            """
            select x.station_id, s.code, s.name, s.name_en, x.observed_property, x.datastream_id,
                   r.n, r.start, r.peak, r.peak_after
            from drill_station x join station s using (station_id)
            cross join lateral (
                select count(*) as n, (array_agg(value order by after))[1] as start, max(value) as peak,
                       (array_agg(after order by value desc, after))[1] as peak_after
                from drill_reading r where r.drill_id = x.drill_id and r.station_id = x.station_id
                     and r.observed_property = x.observed_property
            ) r
            where x.drill_id = %s order by x.observed_property <> 'water_level', s.station_id, x.observed_property
            """,
            (drill_id,),
        )
    ]


def planned(conn: Connection, drill_id: int) -> dict[Series, list[tuple[timedelta, float]]]:
    """What each series is going to say."""
    found: dict[Series, list[tuple[timedelta, float]]] = {}
    for station_id, observed, after, value in conn.execute(
        "select station_id, observed_property, after, value from drill_reading where drill_id = %s order by 1, 2, 3",
        (drill_id,),
    ):
        found.setdefault((station_id, observed), []).append((after, value))
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
