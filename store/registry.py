"""The ledgers in the database: a town's YAML goes in, a directory of its devices comes out.

`sync_town` makes the database say what the file says. What has observations is never removed by a file: a station,
device or series that the file no longer names stays, with its history; a device that moved gets a new attachment
from the moment the file gives, so that earlier readings keep their place.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import LiteralString

from devices.model import Datastream, Device, FieldMapping, Station, ThresholdSet, Town
from store.connection import Connection
from store.errors import TownConflict


@dataclass(frozen=True, slots=True)
class MappedField:
    """observation = field x scale + offset."""

    datastream_id: int
    scale: float
    offset: float


@dataclass(frozen=True, slots=True)
class RegisteredAttachment:
    """A device at a station from `attached_from` (inclusive) to `attached_to` (exclusive, None: still there)."""

    station_id: int
    station_code: str
    attached_from: datetime
    attached_to: datetime | None
    fields: Mapping[str, MappedField]

    def covers(self, time: datetime) -> bool:
        return self.attached_from <= time and (self.attached_to is None or time < self.attached_to)


@dataclass(frozen=True, slots=True)
class RegisteredDevice:
    device_id: int
    key: str
    model: str
    silence_after: timedelta
    attachments: tuple[RegisteredAttachment, ...]

    def attachment_at(self, time: datetime) -> RegisteredAttachment | None:
        """Where the device was at that time, None where it was nowhere."""
        return next((a for a in self.attachments if a.covers(time)), None)


@dataclass(frozen=True, slots=True)
class DatastreamInfo:
    """A datastream as gate, rollups and rules need it; `None` switches a check off."""

    datastream_id: int
    station_id: int
    station_code: str
    observed_property: str
    unit: str
    statistic: str
    step: timedelta
    range_low: float | None
    range_high: float | None
    max_rate: float | None
    stuck_after: timedelta | None


@dataclass(frozen=True, slots=True)
class Directory:
    """All devices and datastreams of one municipality, as they were when it was loaded."""

    municipality_id: int
    devices: Mapping[str, RegisteredDevice]
    datastreams: Mapping[int, DatastreamInfo]

    def device(self, key: str) -> RegisteredDevice | None:
        return self.devices.get(key)


def municipality_id_of(conn: Connection, code: str) -> int | None:
    """The id of a municipality by its 6-digit code, None where it is not registered."""
    row = conn.execute("select municipality_id from municipality where code = %s", (code,)).fetchone()
    return None if row is None else int(row[0])


def load_directory(conn: Connection, municipality_id: int) -> Directory:
    """Reads what ingest and the rules need to know of a municipality: four small queries."""
    fields: dict[int, dict[str, MappedField]] = {}
    for attachment_id, field, datastream_id, scale, offset in conn.execute(
        "select attachment_id, field, datastream_id, scale, value_offset from field_mapping where municipality_id = %s",
        (municipality_id,),
    ):
        fields.setdefault(attachment_id, {})[field] = MappedField(datastream_id, scale, offset)

    attachments: dict[int, list[RegisteredAttachment]] = {}
    for attachment_id, device_id, station_id, code, since, until in conn.execute(
        """
        select attachment_id, device_id, station_id, s.code, attached_from, attached_to
        from attachment join station s using (station_id)
        where attachment.municipality_id = %s order by attached_from
        """,
        (municipality_id,),
    ):
        attachments.setdefault(device_id, []).append(
            RegisteredAttachment(station_id, code, since, until, fields.get(attachment_id, {}))
        )

    devices = {
        key: RegisteredDevice(device_id, key, model, silence_after, tuple(attachments.get(device_id, ())))
        for device_id, key, model, silence_after in conn.execute(
            "select device_id, key, model, silence_after from device where municipality_id = %s",
            (municipality_id,),
        )
    }
    datastreams = {
        row[0]: DatastreamInfo(*row)
        for row in conn.execute(
            """
            select datastream_id, station_id, s.code, observed_property, unit, statistic, step,
                   range_low, range_high, max_rate, stuck_after
            from datastream join station s using (station_id)
            where datastream.municipality_id = %s and drill_run is null
            """,
            (municipality_id,),
        )
    }
    return Directory(municipality_id, devices, datastreams)


def sync_town(conn: Connection, town: Town) -> int:
    """Makes the ledgers say what the town's file says, and returns the municipality's id.

    Runs in the caller's transaction, as the owner of the database. Raises `TownConflict` where the file would
    change what observations already rest on (the unit of a series, the kind of a station).
    """
    m = town.municipality
    municipality_id = _one(
        conn,
        """
        insert into municipality (code, name, name_en, timezone, bounds) values (%s, %s, %s, %s, %s)
        on conflict (code) do update set (name, name_en, timezone, bounds)
            = (excluded.name, excluded.name_en, excluded.timezone, excluded.bounds)
        returning municipality_id
        """,
        (m.code, m.name, m.name_en, m.timezone, list(town.bounds)),
    )
    conn.execute("delete from map_shape where municipality_id = %s", (municipality_id,))
    for shape in town.shapes:
        conn.execute(
            """
            insert into map_shape (municipality_id, kind, name, name_en, lines, properties)
            values (%s, %s, %s, %s, %s, %s)
            """,
            (
                municipality_id,
                shape.kind,
                shape.name,
                shape.name_en,
                json.dumps(shape.lines),
                json.dumps(dict(shape.properties), ensure_ascii=False),
            ),
        )
    for station in town.stations:
        station_id = _sync_station(conn, municipality_id, station)
        datastreams = {
            d.observed_property.value: _sync_datastream(conn, municipality_id, station_id, station, d)
            for d in station.datastreams
        }
        for device in station.devices:
            _sync_device(conn, municipality_id, station_id, device, datastreams)
        _sync_thresholds(conn, municipality_id, station, station_id)
    _sync_waterworks(conn, municipality_id, town)
    _sync_rivers(conn, municipality_id, town)
    return municipality_id


def _sync_waterworks(conn: Connection, municipality_id: int, town: Town) -> None:
    """The tanks before the blocks they feed; what the file no longer says is no longer known."""
    conn.execute("delete from block_inlet where municipality_id = %s", (municipality_id,))
    conn.execute("delete from service_tank where municipality_id = %s", (municipality_id,))
    for station in town.stations:
        if station.tank is not None:
            conn.execute(
                """
                insert into service_tank (station_id, municipality_id, area_m2, full_m, low_m)
                select station_id, municipality_id, %s, %s, %s from station where municipality_id = %s and code = %s
                """,
                (station.tank.area_m2, station.tank.full_m, station.tank.low_m, municipality_id, station.code),
            )
    for station in town.stations:
        if station.block is not None:
            conn.execute(
                """
                insert into block_inlet (station_id, municipality_id, pipe_km, tank_station_id)
                select s.station_id, s.municipality_id, %s, t.station_id
                from station s left join station t on t.municipality_id = s.municipality_id and t.code = %s
                where s.municipality_id = %s and s.code = %s
                """,
                (station.block.pipe_km, station.block.tank, municipality_id, station.code),
            )


def _sync_rivers(conn: Connection, municipality_id: int, town: Town) -> None:
    conn.execute("delete from station_river where municipality_id = %s", (municipality_id,))
    for station in town.stations:
        if station.river is not None:
            conn.execute(
                """
                insert into station_river (station_id, municipality_id, river, km_from_mouth, catchment_km2)
                select station_id, municipality_id, %s, %s, %s from station where municipality_id = %s and code = %s
                """,
                (
                    station.river.river,
                    station.river.km_from_mouth,
                    station.river.catchment_km2,
                    municipality_id,
                    station.code,
                ),
            )


def _sync_station(conn: Connection, municipality_id: int, station: Station) -> int:
    known = conn.execute(
        "select kind from station where municipality_id = %s and code = %s", (municipality_id, station.code)
    ).fetchone()
    if known is not None and known[0] != station.kind.value:
        raise TownConflict(
            f"station {station.code} is registered as {known[0]}; a {station.kind.value} needs a code of its own"
        )
    return _one(
        conn,
        """
        insert into station (municipality_id, code, kind, name, name_en, latitude, longitude)
        values (%s, %s, %s, %s, %s, %s, %s)
        on conflict (municipality_id, code) do update set (name, name_en, latitude, longitude)
            = (excluded.name, excluded.name_en, excluded.latitude, excluded.longitude)
        returning station_id
        """,
        (
            municipality_id,
            station.code,
            station.kind.value,
            station.name,
            station.name_en,
            station.latitude,
            station.longitude,
        ),
    )


def _sync_datastream(
    conn: Connection, municipality_id: int, station_id: int, station: Station, datastream: Datastream
) -> int:
    low, high = datastream.valid_range
    prop = datastream.observed_property
    known = conn.execute(
        "select unit from datastream where station_id = %s and observed_property = %s and drill_run is null",
        (station_id, prop.value),
    ).fetchone()
    if known is not None and known[0] != prop.unit:
        raise TownConflict(f"station {station.code}: {prop.value} is stored in {known[0]}, not in {prop.unit}")
    return _one(
        conn,
        """
        insert into datastream (municipality_id, station_id, observed_property, unit, statistic, step,
                                range_low, range_high, max_rate, stuck_after)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
        on conflict (station_id, observed_property, drill_run) do update
            set (step, range_low, range_high, max_rate, stuck_after)
              = (excluded.step, excluded.range_low, excluded.range_high, excluded.max_rate, excluded.stuck_after)
        returning datastream_id
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


def _sync_device(
    conn: Connection, municipality_id: int, station_id: int, device: Device, datastreams: Mapping[str, int]
) -> None:
    device_id = _one(
        conn,
        """
        insert into device (municipality_id, key, model, silence_after) values (%s, %s, %s, %s)
        on conflict (municipality_id, key) do update set (model, silence_after)
            = (excluded.model, excluded.silence_after)
        returning device_id
        """,
        (municipality_id, device.key, device.model, device.silence_after),
    )
    current = conn.execute(
        "select attachment_id, station_id, attached_from from attachment where device_id = %s and attached_to is null",
        (device_id,),
    ).fetchone()
    if current is not None and current[1] == station_id:
        attachment_id = int(current[0])
        conn.execute("delete from field_mapping where attachment_id = %s", (attachment_id,))
    else:
        if current is not None:
            if device.attached_from <= current[2]:
                raise TownConflict(
                    f"device {device.key} moved, so its new place must begin after {current[2]:%Y-%m-%d %H:%M} UTC: "
                    "set attached_from to the day it was moved"
                )
            conn.execute(
                "update attachment set attached_to = %s where attachment_id = %s",
                (device.attached_from, current[0]),
            )
        attachment_id = _one(
            conn,
            "insert into attachment (municipality_id, device_id, station_id, attached_from) values (%s, %s, %s, %s) "
            "returning attachment_id",
            (municipality_id, device_id, station_id, device.attached_from),
        )
    _insert_mapping(conn, municipality_id, attachment_id, device.mapping, datastreams)


def _insert_mapping(
    conn: Connection,
    municipality_id: int,
    attachment_id: int,
    mapping: Sequence[FieldMapping],
    datastreams: Mapping[str, int],
) -> None:
    for entry in mapping:
        conn.execute(
            """
            insert into field_mapping (attachment_id, municipality_id, field, datastream_id, scale, value_offset)
            values (%s, %s, %s, %s, %s, %s)
            """,
            (
                attachment_id,
                municipality_id,
                entry.field,
                datastreams[entry.observed_property.value],
                entry.scale,
                entry.offset,
            ),
        )


def _sync_thresholds(conn: Connection, municipality_id: int, station: Station, station_id: int) -> None:
    """Adds the sets that are new. One that is in force already is history: what was judged by it must stay readable."""
    for thresholds in station.thresholds:
        wanted = (
            thresholds.clear_margin,
            thresholds.hold,
            thresholds.gauge_zero_tp,
            [(level.level, level.value) for level in sorted(thresholds.levels, key=lambda x: x.level)],
        )
        known = conn.execute(
            """
            select clear_margin, hold, gauge_zero_tp,
                   (select array_agg(array[level, value] order by level) from threshold_level l
                    where l.threshold_set_id = t.threshold_set_id)
            from threshold_set t where station_id = %s and valid_from = %s
            """,
            (station_id, thresholds.valid_from),
        ).fetchone()
        if known is None:
            _insert_thresholds(conn, municipality_id, station_id, thresholds)
        elif (*known[:3], [(int(level), value) for level, value in known[3] or ()]) != wanted:
            raise TownConflict(
                f"station {station.code}: the reference levels valid from {thresholds.valid_from:%Y-%m-%d} are "
                "registered with other values; add a new set with its own valid_from and reason instead"
            )


def _insert_thresholds(conn: Connection, municipality_id: int, station_id: int, thresholds: ThresholdSet) -> None:
    threshold_set_id = _one(
        conn,
        """
        insert into threshold_set (municipality_id, station_id, valid_from, reason, clear_margin, hold, gauge_zero_tp)
        values (%s, %s, %s, %s, %s, %s, %s) returning threshold_set_id
        """,
        (
            municipality_id,
            station_id,
            thresholds.valid_from,
            thresholds.reason,
            thresholds.clear_margin,
            thresholds.hold,
            thresholds.gauge_zero_tp,
        ),
    )
    for level in thresholds.levels:
        conn.execute(
            """
            insert into threshold_level (threshold_set_id, municipality_id, level, name, name_en, value)
            values (%s, %s, %s, %s, %s, %s)
            """,
            (threshold_set_id, municipality_id, level.level, level.name, level.name_en, level.value),
        )


def _one(conn: Connection, query: LiteralString, values: Sequence[object]) -> int:
    """The single id that an `insert ... returning` gives."""
    row = conn.execute(query, values).fetchone()
    assert row is not None, "an insert with returning gives a row"
    return int(row[0])
