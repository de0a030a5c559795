"""The ledgers in the database: a town's YAML goes in, a directory of its devices comes out.

`sync_town` makes the database say what the file says. What has observations is never removed by a file: a station,
device or series that the file no longer names stays, with its history; a device that moved gets a new attachment
from the moment the file gives, so that earlier readings keep their place.
"""

from __future__ import annotations

import json
from collections.abc import Container, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import structlog
from psycopg import sql

from devices.codecs import MODELS, DeviceModel
from devices.envelopes.definitions import NOTHING, Definitions
from devices.mapping import MappingEntry, MappingError, resolve
from devices.model import Device, ObservedProperty, Station, Town
from store.calibrations import Applied, applied
from store.connection import Connection
from store.duty import put_duty
from store.errors import TownConflict
from store.ledgers import (
    hold_ledgers,
    insert_datastream,
    insert_section,
    insert_station,
    insert_thresholds,
    one,
    put_block,
    put_river,
    put_tank,
    state_source,
    update_datastream,
)
from store.mappings import Defaults, defaults_of, put_own, taken, write_resolved
from store.official import put_links
from store.planned_work import works_of
from store.sources import load_definitions
from store.uploaded import uploaded_models

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class MappedField:
    """observation = field x scale + offset."""

    datastream_id: int
    scale: float
    offset: float
    calibrations: tuple[Applied, ...] = ()  # of this device and datastream, in the order in which they apply


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
    works: tuple[tuple[datetime, datetime], ...] = ()  # planned works: from, until before

    def attachment_at(self, time: datetime) -> RegisteredAttachment | None:
        """Where the device was at that time, None where it was nowhere."""
        return next((a for a in self.attachments if a.covers(time)), None)

    def at_work(self, time: datetime) -> bool:
        """Whether somebody works at the device then."""
        return any(start <= time < end for start, end in self.works)


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
    """All devices and datastreams of one municipality, as they were when it was loaded, and the device models: those
    that are built in, and of the municipality's own those that its devices have. `definitions` are whose messages come
    on the topics that no network has for itself.
    """

    municipality_id: int
    devices: Mapping[str, RegisteredDevice]
    datastreams: Mapping[int, DatastreamInfo]
    models: Mapping[str, DeviceModel] = field(default_factory=lambda: MODELS)
    unsettled: bool = False  # a calibration has not been applied yet to all that is stored
    definitions: Definitions = NOTHING

    def device(self, key: str) -> RegisteredDevice | None:
        return self.devices.get(key)


def municipality_id_of(conn: Connection, code: str) -> int | None:
    """The id of a municipality by its 6-digit code, None where it is not registered."""
    row = conn.execute("select municipality_id from municipality where code = %s", (code,)).fetchone()
    return None if row is None else int(row[0])


def load_directory(conn: Connection, municipality_id: int, before: Directory | None = None) -> Directory:
    """Reads what ingest and the rules need to know of a municipality: a few small queries. Of what was known `before`,
    the codecs, which are large and never change, are not read again.
    """
    fields: dict[int, dict[str, MappedField]] = {}
    for attachment_id, name, datastream_id, scale, offset in conn.execute(
        "select attachment_id, field, datastream_id, scale, value_offset from field_mapping where municipality_id = %s",
        (municipality_id,),
    ):
        fields.setdefault(attachment_id, {})[name] = MappedField(datastream_id, scale, offset)

    calibrations = applied(conn, municipality_id)

    def calibrated(device_id: int, mapped: Mapping[str, MappedField]) -> Mapping[str, MappedField]:
        return {
            name: replace(each, calibrations=calibrations.get((device_id, each.datastream_id), ()))
            for name, each in mapped.items()
        }

    attachments: dict[int, list[RegisteredAttachment]] = {}
    for attachment_id, device_id, station_id, code, since, until in conn.execute(
        """
        select attachment_id, device_id, station_id, s.code, attached_from, attached_to
        from attachment join station s using (station_id)
        where attachment.municipality_id = %s order by attached_from
        """,
        (municipality_id,),
    ):
        mapped: Mapping[str, MappedField] = fields.get(attachment_id, {})
        if calibrations:
            mapped = calibrated(device_id, mapped)
        attachments.setdefault(device_id, []).append(RegisteredAttachment(station_id, code, since, until, mapped))
    works = works_of(conn, municipality_id)

    devices = {
        key: RegisteredDevice(
            device_id, key, model, silence_after, tuple(attachments.get(device_id, ())), works.get(device_id, ())
        )
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
    unsettled = any(each.stamped for some in calibrations.values() for each in some)
    models = uploaded_models(conn, municipality_id, MODELS if before is None else before.models)
    return Directory(
        municipality_id, devices, datastreams, models, unsettled, definitions=load_definitions(conn, municipality_id)
    )


# From so many stations on the planner has to know that there are so many, before it looks by itself in a minute or so:
# until then it reads all series for each device.
_MANY = 200
_LEDGERS = ("station", "device", "attachment", "datastream", "field_mapping", "threshold_set", "threshold_level")


def sync_town(conn: Connection, town: Town) -> int:
    """Makes the ledgers say what the town's file says, and returns the municipality's id.

    Runs in the caller's transaction, as the owner of the database. Raises `TownConflict` where the file would
    change what observations already rest on (the unit of a series, the kind of a station).
    """
    m = town.municipality
    municipality_id = one(
        conn,
        """
        insert into municipality (code, name, name_en, timezone, bounds) values (%s, %s, %s, %s, %s)
        on conflict (code) do update set (name, name_en, timezone, bounds)
            = (excluded.name, excluded.name_en, excluded.timezone, excluded.bounds)
        returning municipality_id
        """,
        (m.code, m.name, m.name_en, m.timezone, list(town.bounds)),
    )
    hold_ledgers(conn, municipality_id)
    _sync_shapes(conn, municipality_id, town)
    by_people = _by_people(conn, municipality_id)
    stations: dict[str, int] = {}
    models: dict[str, Defaults] = {}
    for station in town.stations:
        station_id = stations[station.code] = _sync_station(conn, municipality_id, station, by_people.stations)
        datastreams = _sync_datastreams(conn, municipality_id, station_id, station, by_people.stations)
        for device in station.devices:
            if device.key not in by_people.devices:
                _sync_device(conn, municipality_id, station_id, device, datastreams, models, bool(by_people.devices))
        _sync_thresholds(conn, municipality_id, station, station_id)
    ours = {code: station_id for code, station_id in stations.items() if code not in by_people.stations}
    _sync_places(conn, municipality_id, town, ours)
    by_people.say(town)
    if len(town.stations) >= _MANY:
        conn.execute("analyze " + ", ".join(_LEDGERS))
    return municipality_id


@dataclass(frozen=True, slots=True)
class _ByPeople:
    """The codes of stations and the keys of devices that somebody made or changed: no file takes that back."""

    stations: frozenset[str]
    devices: frozenset[str]

    def say(self, town: Town) -> None:
        stations = sorted(self.stations & {station.code for station in town.stations})
        devices = sorted(self.devices & {device.key for station in town.stations for device in station.devices})
        if stations or devices:
            log.info("the town file leaves these as people have changed them", stations=stations, devices=devices)


def _by_people(conn: Connection, municipality_id: int) -> _ByPeople:
    codes = conn.execute(
        "select code from station where municipality_id = %s and managed_by = 'people'", (municipality_id,)
    ).fetchall()
    keys = conn.execute(
        "select key from device where municipality_id = %s and managed_by = 'people'", (municipality_id,)
    ).fetchall()
    return _ByPeople(frozenset(row[0] for row in codes), frozenset(row[0] for row in keys))


def _sync_shapes(conn: Connection, municipality_id: int, town: Town) -> None:
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


def _sync_places(conn: Connection, municipality_id: int, town: Town, stations: Mapping[str, int]) -> None:
    """Tanks before the blocks they feed, and rivers; what the file no longer says of its own stations is no longer
    known. `stations`: code -> id of those that are the file's.
    """
    for table in ("block_inlet", "service_tank", "station_river"):
        conn.execute(
            sql.SQL(
                "delete from {} where station_id in "
                "(select station_id from station where municipality_id = %s and managed_by = 'file')"
            ).format(sql.Identifier(table)),
            (municipality_id,),
        )
    ours = [(stations[station.code], station) for station in town.stations if station.code in stations]
    for station_id, station in ours:
        if station.tank is not None:
            put_tank(conn, municipality_id, station_id, station.tank)
        if station.river is not None:
            put_river(conn, municipality_id, station_id, station.river)
        if station.links is not None:  # else they are whatever somebody has set on the page
            put_links(conn, municipality_id, station_id, station.links)
    for station_id, station in ours:
        if station.block is not None:
            put_block(conn, municipality_id, station_id, station.block)


def _sync_station(conn: Connection, municipality_id: int, station: Station, by_people: Container[str]) -> int:
    known = conn.execute(
        "select station_id, kind from station where municipality_id = %s and code = %s", (municipality_id, station.code)
    ).fetchone()
    if known is None:
        return insert_station(conn, municipality_id, station, "file")
    station_id = int(known[0])
    if known[1] != station.kind.value:
        raise TownConflict(
            f"station {station.code} is registered as {known[1]}; a {station.kind.value} needs a code of its own"
        )
    if station.code not in by_people:
        conn.execute(
            "update station set (name, name_en, latitude, longitude) = (%s, %s, %s, %s) where station_id = %s",
            (station.name, station.name_en, station.latitude, station.longitude, station_id),
        )
    return station_id


def _sync_datastreams(
    conn: Connection, municipality_id: int, station_id: int, station: Station, by_people: Container[str]
) -> dict[ObservedProperty, int]:
    """property -> datastream, of those that the file names."""
    known: dict[str, tuple[int, str]] = {
        observed: (datastream_id, unit)
        for observed, datastream_id, unit in conn.execute(
            "select observed_property, datastream_id, unit from datastream where station_id = %s and drill_run is null",
            (station_id,),
        )
    }
    found = {}
    for datastream in station.datastreams:
        prop = datastream.observed_property
        datastream_id, unit = known.get(prop.value, (None, prop.unit))
        if unit != prop.unit:
            raise TownConflict(f"station {station.code}: {prop.value} is stored in {unit}, not in {prop.unit}")
        if datastream_id is None:
            datastream_id = insert_datastream(conn, municipality_id, station_id, datastream)
        elif station.code not in by_people:
            update_datastream(conn, datastream_id, datastream)
        found[prop] = datastream_id
    return found


def _sync_device(
    conn: Connection,
    municipality_id: int,
    station_id: int,
    device: Device,
    datastreams: Mapping[ObservedProperty, int],
    models: dict[str, Defaults],
    beside_people: bool,
) -> None:
    device_id = one(
        conn,
        """
        insert into device (municipality_id, key, model, silence_after) values (%s, %s, %s, %s)
        on conflict (municipality_id, key) do update set (model, silence_after)
            = (excluded.model, excluded.silence_after)
        returning device_id
        """,
        (municipality_id, device.key, device.model, device.silence_after),
    )
    put_duty(conn, municipality_id, device_id, device.duty)
    current = conn.execute(
        "select attachment_id, station_id, attached_from from attachment where device_id = %s and attached_to is null",
        (device_id,),
    ).fetchone()
    if current is not None and current[1] == station_id:
        attachment_id = int(current[0])
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
        attachment_id = one(
            conn,
            "insert into attachment (municipality_id, device_id, station_id, attached_from) values (%s, %s, %s, %s) "
            "returning attachment_id",
            (municipality_id, device_id, station_id, device.attached_from),
        )
    if device.model not in models:
        defaults = defaults_of(conn, municipality_id, device.model)
        if defaults is None:
            log.warning("nobody has brought this device model yet; its messages wait", model=device.model)
        models[device.model] = defaults or Defaults()
    own = [MappingEntry(m.field, m.observed_property, scale=m.scale, offset=m.offset) for m in device.mapping]
    series = {"": datastreams}
    others = taken(conn, municipality_id, attachment_id, series) if beside_people else {}
    try:
        resolved = resolve(models[device.model].entries, own, series, models[device.model].counters, others)
    except MappingError as error:
        raise TownConflict(f"device {device.key}: {error}") from None
    put_own(conn, municipality_id, attachment_id, own)
    write_resolved(conn, municipality_id, attachment_id, resolved)


def _sync_thresholds(conn: Connection, municipality_id: int, station: Station, station_id: int) -> None:
    """Adds the sets and cross-sections that are new. A set that is in force already is history: what was judged by it
    must stay readable. One that people have corrected since stays as they corrected it.
    """
    for thresholds in station.thresholds:
        wanted = (
            thresholds.clear_margin,
            thresholds.hold,
            thresholds.gauge_zero_tp,
            sorted([level.level, level.value, level.kind.value] for level in thresholds.levels),
            sorted([mark.kind.value, mark.name, mark.value] for mark in thresholds.marks),
        )
        known = conn.execute(
            """
            select threshold_set_id, clear_margin, hold, gauge_zero_tp,
                   (select coalesce(json_agg(json_build_array(level, value, kind)), '[]') from threshold_level l
                    where l.threshold_set_id = t.threshold_set_id),
                   (select coalesce(json_agg(json_build_array(kind, name, value)), '[]') from threshold_mark m
                    where m.threshold_set_id = t.threshold_set_id)
            from threshold_set t where station_id = %s and valid_from = %s
            """,
            (station_id, thresholds.valid_from),
        ).fetchall()
        same = next((row[0] for row in known if (*row[1:4], sorted(row[4]), sorted(row[5])) == wanted), None)
        if same is not None:
            state_source(conn, municipality_id, same, thresholds)
        elif known:
            raise TownConflict(
                f"station {station.code}: the reference levels valid from {thresholds.valid_from:%Y-%m-%d} are "
                "registered with other values; add a new set with its own valid_from and reason instead"
            )
        else:
            insert_thresholds(conn, municipality_id, station_id, thresholds)
    for section in station.cross_sections:
        if not conn.execute(
            "select from cross_section where station_id = %s and surveyed_on = %s and made_at is null",
            (station_id, section.surveyed_on),
        ).fetchone():
            insert_section(conn, municipality_id, station_id, section)
