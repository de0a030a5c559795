"""/api/v1/stations, /datastreams, /latest, /clock: what is watched, and what it says now."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, cast

from fastapi import Query
from psycopg.rows import dict_row

from api.access import READERS, Router, SignedIn, access
from api.errors import NotFound, Text
from api.models import (
    ClockOut,
    DatastreamOut,
    LatestOut,
    ObservationOut,
    StationOut,
    ThresholdLevelOut,
    ThresholdMarkOut,
    ThresholdSetOut,
    clock_now,
)
from api.readings import Latest, latest_in_trial, latest_of
from devices.model import Quality
from store.connection import Connection

router = Router(prefix="/api/v1", tags=["stations"])


@router.get("/stations")
@access(READERS)
def stations(visit: SignedIn) -> list[StationOut]:
    """Every station with its datastreams, their latest observations, and the thresholds in force."""
    now = visit.clock.now()
    with visit.transaction() as conn:
        return _stations(conn, now)


@router.get("/stations/{code}")
@access(READERS)
def station(visit: SignedIn, code: str) -> StationOut:
    """One station by its code."""
    now = visit.clock.now()
    with visit.transaction() as conn:
        found = _stations(conn, now, code)
    if not found:
        raise NotFound(Text(f"観測所「{code}」はありません。", f"There is no station {code!r}."))
    return found[0]


@router.get("/datastreams")
@access(READERS)
def datastreams(visit: SignedIn) -> list[DatastreamOut]:
    """Every datastream with its latest observation."""
    with visit.transaction() as conn:
        return [_datastream(row) for row in latest_of(conn)]


@router.get("/datastreams/{station}/{observed_property}")
@access(READERS)
def datastream(visit: SignedIn, station: str, observed_property: str) -> DatastreamOut:
    """One datastream by its station's code and its observed property."""
    with visit.transaction() as conn:
        return _datastream(find_datastream(conn, station, observed_property))


@router.get("/latest")
@access(READERS)
def latest(
    visit: SignedIn,
    trial: Annotated[bool, Query(description="true: of the stations in trial instead of the real ones")] = False,
) -> list[LatestOut]:
    """The newest observation of every datastream, in one cheap call."""
    now = visit.clock.now()
    with visit.transaction() as conn:
        return [
            LatestOut(
                datastream=row.datastream,
                station=row.station,
                observed_property=row.observed_property,
                mode="test" if trial else "actual",
                observation=_observation(row),
            )
            for row in (latest_in_trial(conn, now=now) if trial else latest_of(conn))
        ]


@router.get("/clock")
@access(READERS)
def clock(visit: SignedIn) -> ClockOut:
    """The town's time and zone; ages of observations are counted on it."""
    return clock_now(visit.clock, visit.tenant.timezone)


def find_datastream(conn: Connection, station: str, observed_property: str) -> Latest:
    """The datastream of that name. Raises `NotFound` where the municipality has none."""
    row = conn.execute(
        """
        select d.datastream_id from datastream d join station s using (station_id)
        where s.code = %s and d.observed_property = %s and d.drill_run is null
        """,
        (station, observed_property),
    ).fetchone()
    if row is None:
        name = f"{station}/{observed_property}"
        raise NotFound(
            Text(f"系列「{name}」はありません。", f"There is no datastream {name!r}."),
            Text("/api/v1/datastreams で一覧を確かめてください。", "See the list at /api/v1/datastreams."),
        )
    return latest_of(conn, [row[0]])[0]


def _stations(conn: Connection, now: datetime, code: str | None = None) -> list[StationOut]:
    with conn.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(
            """
            select station_id, code, kind, name, name_en, latitude, longitude from station
            where %(code)s::text is null or code = %(code)s order by code
            """,
            {"code": code},
        ).fetchall()
    if not rows:
        return []
    thresholds = _thresholds(conn, now, [row["station_id"] for row in rows])
    series: dict[str, list[DatastreamOut]] = defaultdict(list)
    for latest_row in latest_of(conn):
        series[latest_row.station].append(_datastream(latest_row))
    return [
        StationOut(
            station=row["code"],
            kind=row["kind"],
            name=row["name"],
            name_en=row["name_en"],
            latitude=row["latitude"],
            longitude=row["longitude"],
            thresholds=thresholds.get(row["station_id"]),
            datastreams=series[row["code"]],
        )
        for row in rows
    ]


def _thresholds(conn: Connection, now: datetime, station_ids: Sequence[int]) -> Mapping[int, ThresholdSetOut]:
    """The set in force at `now` of each station that has one."""
    with conn.cursor(row_factory=dict_row) as cursor:
        sets = cursor.execute(
            """
            select distinct on (station_id) threshold_set_id, station_id, valid_from, reason, clear_margin,
                   extract(epoch from hold)::double precision as hold_seconds, gauge_zero_tp
            from threshold_set where station_id = any(%s) and valid_from <= %s
            order by station_id, valid_from desc, threshold_set_id desc
            """,
            (list(station_ids), now),
        ).fetchall()
        levels: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for level in cursor.execute(
            """
            select threshold_set_id, level, name, name_en, value, kind from threshold_level
            where threshold_set_id = any(%s) order by threshold_set_id, level
            """,
            ([row["threshold_set_id"] for row in sets],),
        ):
            levels[level.pop("threshold_set_id")].append(level)
        marks: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for mark in cursor.execute(
            """
            select threshold_set_id, kind, name, name_en, value from threshold_mark
            where threshold_set_id = any(%s) order by threshold_set_id, value, name
            """,
            ([row["threshold_set_id"] for row in sets],),
        ):
            marks[mark.pop("threshold_set_id")].append(mark)
    found = {}
    for row in sets:
        set_id = row.pop("threshold_set_id")
        own = [ThresholdLevelOut(**level) for level in levels[set_id]]
        beside = [ThresholdMarkOut(**mark) for mark in marks[set_id]]
        found[row.pop("station_id")] = ThresholdSetOut(**row, levels=own, marks=beside)
    return found


def _datastream(row: Latest) -> DatastreamOut:
    return DatastreamOut(
        datastream=row.datastream,
        station=row.station,
        observed_property=row.observed_property,
        unit=row.unit,
        statistic=cast(Literal["instant", "total"], row.statistic),
        step_seconds=row.step.total_seconds(),
        latest=_observation(row),
    )


def _observation(row: Latest) -> ObservationOut | None:
    if row.phenomenon_time is None or row.quality is None:
        return None
    return ObservationOut(
        phenomenon_time=row.phenomenon_time,
        value=row.value,
        unit=row.unit,
        quality=Quality(row.quality),
        reason=row.reason,
    )
