"""The rows of stations, datastreams and devices, written the same way whoever says them: the town file
(`store.registry`) or people (`store.registration`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import LiteralString

from devices.levels import CrossSection
from devices.model import Datastream, DistributionBlock, RiverPlace, ServiceTank, Station, ThresholdSet
from store.connection import Connection


def hold_ledgers(conn: Connection, municipality_id: int) -> None:
    """One transaction at a time changes the ledgers of a municipality: what one of them looks at stays as it is."""
    conn.execute("select pg_advisory_xact_lock(hashtext('registration'), %s)", (municipality_id,))


def insert_station(conn: Connection, municipality_id: int, station: Station, managed_by: str) -> int:
    """The row of a new station; its id."""
    return one(
        conn,
        """
        insert into station (municipality_id, code, kind, name, name_en, latitude, longitude, managed_by)
        values (%s, %s, %s, %s, %s, %s, %s, %s) returning station_id
        """,
        (
            municipality_id,
            station.code,
            station.kind.value,
            station.name,
            station.name_en,
            station.latitude,
            station.longitude,
            managed_by,
        ),
    )


def insert_datastream(conn: Connection, municipality_id: int, station_id: int, datastream: Datastream) -> int:
    """The row of a new datastream; its id."""
    low, high = datastream.valid_range
    prop = datastream.observed_property
    return one(
        conn,
        """
        insert into datastream (municipality_id, station_id, observed_property, unit, statistic, step,
                                range_low, range_high, max_rate, stuck_after)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) returning datastream_id
        """,
        (
            municipality_id,
            station_id,
            prop.value,
            prop.unit,
            prop.statistic.value,
            datastream.interval,
            low,
            high,
            datastream.max_rate,
            datastream.stuck_after,
        ),
    )


def update_datastream(conn: Connection, datastream_id: int, datastream: Datastream) -> None:
    """Interval and checks; what the values rest on (property, unit, statistic) is for ever."""
    low, high = datastream.valid_range
    conn.execute(
        """
        update datastream set (step, range_low, range_high, max_rate, stuck_after) = (%s, %s, %s, %s, %s)
        where datastream_id = %s
        """,
        (datastream.interval, low, high, datastream.max_rate, datastream.stuck_after, datastream_id),
    )


def put_tank(conn: Connection, municipality_id: int, station_id: int, tank: ServiceTank) -> None:
    conn.execute(
        """
        insert into service_tank (station_id, municipality_id, area_m2, full_m, low_m) values (%s, %s, %s, %s, %s)
        on conflict (station_id) do update set (area_m2, full_m, low_m)
            = (excluded.area_m2, excluded.full_m, excluded.low_m)
        """,
        (station_id, municipality_id, tank.area_m2, tank.full_m, tank.low_m),
    )


def put_block(conn: Connection, municipality_id: int, station_id: int, block: DistributionBlock) -> None:
    """The tank that feeds the block is named by its code; one that is not there is not known."""
    conn.execute(
        """
        insert into block_inlet (station_id, municipality_id, pipe_km, tank_station_id)
        values (%s, %s, %s, (select station_id from station where municipality_id = %s and code = %s))
        on conflict (station_id) do update set (pipe_km, tank_station_id)
            = (excluded.pipe_km, excluded.tank_station_id)
        """,
        (station_id, municipality_id, block.pipe_km, municipality_id, block.tank),
    )


def put_river(conn: Connection, municipality_id: int, station_id: int, river: RiverPlace) -> None:
    conn.execute(
        """
        insert into station_river (station_id, municipality_id, river, km_from_mouth, catchment_km2)
        values (%s, %s, %s, %s, %s)
        on conflict (station_id) do update set (river, km_from_mouth, catchment_km2)
            = (excluded.river, excluded.km_from_mouth, excluded.catchment_km2)
        """,
        (station_id, municipality_id, river.river, river.km_from_mouth, river.catchment_km2),
    )


def insert_thresholds(
    conn: Connection,
    municipality_id: int,
    station_id: int,
    thresholds: ThresholdSet,
    *,
    corrects: int | None = None,
    made_at: datetime | None = None,
    user_id: int | None = None,
) -> int:
    """Adds a set and returns its id. `corrects`: the set of the same date that was wrong; `made_at` (town time) and
    `user_id` None: the levels came with the station.
    """
    threshold_set_id = one(
        conn,
        """
        insert into threshold_set (municipality_id, station_id, valid_from, reason, clear_margin, hold, gauge_zero_tp,
                                   corrects, made_at, user_id)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) returning threshold_set_id
        """,
        (
            municipality_id,
            station_id,
            thresholds.valid_from,
            thresholds.reason,
            thresholds.clear_margin,
            thresholds.hold,
            thresholds.gauge_zero_tp,
            corrects,
            made_at,
            user_id,
        ),
    )
    for level in thresholds.levels:
        conn.execute(
            """
            insert into threshold_level (threshold_set_id, municipality_id, level, name, name_en, value, kind)
            values (%s, %s, %s, %s, %s, %s, %s)
            """,
            (threshold_set_id, municipality_id, level.level, level.name, level.name_en, level.value, level.kind.value),
        )
    for mark in thresholds.marks:
        conn.execute(
            """
            insert into threshold_mark (threshold_set_id, municipality_id, kind, name, name_en, value)
            values (%s, %s, %s, %s, %s, %s)
            """,
            (threshold_set_id, municipality_id, mark.kind.value, mark.name, mark.name_en, mark.value),
        )
    state_source(conn, municipality_id, threshold_set_id, thresholds)
    return threshold_set_id


def insert_section(
    conn: Connection,
    municipality_id: int,
    station_id: int,
    section: CrossSection,
    *,
    made_at: datetime | None = None,
    user_id: int | None = None,
) -> int:
    """Adds a surveyed cross-section and returns its id; `made_at` None: it came with the station."""
    return one(
        conn,
        """
        insert into cross_section (municipality_id, station_id, surveyed_on, reason, datum, distance, height, note,
                                   made_at, user_id)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) returning cross_section_id
        """,
        (
            municipality_id,
            station_id,
            section.surveyed_on,
            section.reason,
            section.datum,
            list(section.distance),
            list(section.height),
            list(section.note),
            made_at,
            user_id,
        ),
    )


def state_source(conn: Connection, municipality_id: int, threshold_set_id: int, thresholds: ThresholdSet) -> None:
    """Notes whose levels the file says they are, from when they are in force, where nobody has said anything of it."""
    source = thresholds.source
    if source is None:
        return
    conn.execute(
        """
        insert into threshold_source (municipality_id, threshold_set_id, source, authority, document, dated, stated_at)
        select %s, %s, %s, %s, %s, %s, %s
        where not exists (select from threshold_source where threshold_set_id = %s)
        """,
        (
            municipality_id,
            threshold_set_id,
            "administrator" if source.administrator is not None else "adopted",
            source.administrator,
            source.document,
            source.dated,
            thresholds.valid_from,
            threshold_set_id,
        ),
    )


def one(conn: Connection, query: LiteralString, values: Sequence[object]) -> int:
    """The single id that an `insert ... returning` gives."""
    row = conn.execute(query, values).fetchone()
    assert row is not None, "an insert with returning gives a row"
    return int(row[0])
