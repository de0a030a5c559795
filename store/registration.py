"""Stations and devices registered by people: on a page, by a list, by a command. The town file is `store.registry`'s.

Every function works on one municipality in the caller's transaction; the caller commits, and with the commit running
ingest workers learn of it (channel `directory`). All of them work with the rights of the API's role, which sees one
municipality, as well as with the owner's.

What is made or changed here is managed by people from then on: the town file leaves it as it is.

RegistrationError names the field, what is wrong and what to do; what the function did is to be rolled back then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg

from devices.mapping import LONGEST_CHANNEL, MappingEntry, MappingError, check
from devices.model import Datastream, Station
from store.connection import Connection
from store.duty import duties, put_duty
from store.errors import RegistrationError
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
    update_datastream,
)
from store.mappings import channels_of, own_fields, put_channels, put_own, watching, work_out
from store.registrable import (
    NO_TEXT,
    check_code,
    check_datastream,
    check_model,
    check_place,
    check_silence,
    device_key,
    device_of,
    known_device,
    known_station,
    no_station,
    station_id_of,
)

__all__ = [
    "Mounting",
    "add_device",
    "add_station",
    "attach",
    "change_device",
    "change_station",
    "detach",
    "device_key",
    "mounted_since",
    "mountings",
    "put_datastream",
    "remap",
    "swap",
]


@dataclass(frozen=True, slots=True)
class Mounting:
    """Where a device is or was mounted, and what it measures there otherwise than its model says.

    `channels`: input of a logger -> code of the station that it watches, where that is another one.
    """

    attachment_id: int
    device_key: str
    station_code: str
    attached_from: datetime
    attached_to: datetime | None
    mapping: tuple[MappingEntry, ...]
    channels: Mapping[str, str]


# --- stations ----------------------------------------------------------------------------------------------


def add_station(conn: Connection, municipality_id: int, station: Station) -> int:
    """Registers a station with its datastreams, reference levels, tank, block and river, and returns its id.

    `station.devices` must be empty: a device is registered by `add_device` and `attach`.
    """
    if station.devices:
        raise RegistrationError("devices", f"station {station.code}: register its devices by themselves")
    check_code(station.code)
    check_place(station.code, station.name, station.name_en, station.latitude, station.longitude)
    if not station.datastreams:
        raise RegistrationError("datastreams", f"station {station.code}: say what is observed there")
    if len({each.observed_property for each in station.datastreams}) < len(station.datastreams):
        raise RegistrationError("datastreams", f"station {station.code}: each property can be there once")
    for datastream in station.datastreams:
        check_datastream(station.code, datastream)
    hold_ledgers(conn, municipality_id)
    if station_id_of(conn, municipality_id, station.code) is not None:
        raise RegistrationError(
            "code", f"there is a station {station.code} already: choose another code, or change that station"
        )
    station_id = insert_station(conn, municipality_id, station, "people")
    for datastream in station.datastreams:
        insert_datastream(conn, municipality_id, station_id, datastream)
    for thresholds in station.thresholds:
        insert_thresholds(conn, municipality_id, station_id, thresholds)
    for section in station.cross_sections:
        insert_section(conn, municipality_id, station_id, section)
    if station.tank is not None:
        put_tank(conn, municipality_id, station_id, station.tank)
    if station.block is not None:
        put_block(conn, municipality_id, station_id, station.block)
    if station.river is not None:
        put_river(conn, municipality_id, station_id, station.river)
    return station_id


def change_station(
    conn: Connection,
    municipality_id: int,
    code: str,
    *,
    name: str | None = None,
    name_en: str | None = None,
    latitude: float | None = None,
    longitude: float | None = None,
) -> None:
    """Changes what is given and leaves the rest. The kind of a station is for ever: its observations rest on it."""
    hold_ledgers(conn, municipality_id)
    row = conn.execute(
        "select station_id, name, name_en, latitude, longitude from station where municipality_id = %s and code = %s",
        (municipality_id, code),
    ).fetchone()
    if row is None:
        raise no_station(code)
    given = (name, name_en, latitude, longitude)
    wanted: tuple[Any, ...] = tuple(old if new is None else new for old, new in zip(row[1:], given, strict=True))
    check_place(code, *wanted)
    conn.execute(
        """
        update station set (name, name_en, latitude, longitude, managed_by) = (%s, %s, %s, %s, 'people')
        where station_id = %s
        """,
        (*wanted, row[0]),
    )


def put_datastream(conn: Connection, municipality_id: int, code: str, datastream: Datastream) -> int:
    """Adds a datastream to a station, or changes the interval and the checks of one that it has; its id."""
    check_datastream(code, datastream)
    hold_ledgers(conn, municipality_id)
    station_id = known_station(conn, municipality_id, code)
    prop = datastream.observed_property
    known = conn.execute(
        """
        select datastream_id from datastream where station_id = %s and observed_property = %s and drill_run is null
        """,
        (station_id, prop.value),
    ).fetchone()
    if known is None:
        datastream_id = insert_datastream(conn, municipality_id, station_id, datastream)
    else:
        datastream_id = int(known[0])
        update_datastream(conn, datastream_id, datastream)
    conn.execute("update station set managed_by = 'people' where station_id = %s", (station_id,))
    if known is None:
        # A model may have had a field for it all along.
        work_out(conn, municipality_id, watching(conn, municipality_id, station_id))
    return datastream_id


# --- devices -----------------------------------------------------------------------------------------------


def add_device(conn: Connection, municipality_id: int, *, key: str, model: str, silence_after: timedelta) -> int:
    """Registers a device, mounted nowhere yet, and returns its id. `model`: built in, or one of `store.models`."""
    key = device_key(key)
    check_silence(key, silence_after)
    hold_ledgers(conn, municipality_id)
    check_model(conn, municipality_id, key, model)
    if device_of(conn, municipality_id, key) is not None:
        raise RegistrationError("key", f"device {key} is registered already: change that one")
    return one(
        conn,
        """
        insert into device (municipality_id, key, model, silence_after, managed_by)
        values (%s, %s, %s, %s, 'people') returning device_id
        """,
        (municipality_id, key, model, silence_after),
    )


def change_device(
    conn: Connection,
    municipality_id: int,
    key: str,
    *,
    model: str | None = None,
    silence_after: timedelta | None = None,
    mapping: Sequence[MappingEntry] | None = None,
) -> None:
    """Changes what is given and leaves the rest. With another model what was said of the device's own fields ends, for
    they were fields of the old one: `mapping` says what holds instead where it is mounted now.
    """
    hold_ledgers(conn, municipality_id)
    device_id, before = known_device(conn, municipality_id, key)
    if silence_after is not None:
        check_silence(key, silence_after)
    if model is not None:
        check_model(conn, municipality_id, key, model)
    conn.execute(
        """
        update device set (model, silence_after, managed_by)
            = (coalesce(%s, model), coalesce(%s, silence_after), 'people')
        where device_id = %s
        """,
        (model, silence_after, device_id),
    )
    current = _current(conn, device_id)
    if model is not None and model != before:
        for (attachment_id,) in conn.execute(
            "select attachment_id from attachment where device_id = %s", (device_id,)
        ).fetchall():
            put_own(conn, municipality_id, attachment_id, ())
            if current is None or attachment_id != current[0]:
                work_out(conn, municipality_id, [attachment_id])
        mapping = mapping or ()
    if mapping is not None and current is not None:
        _map(conn, municipality_id, key, current[0], mapping, None)


def attach(
    conn: Connection,
    municipality_id: int,
    key: str,
    station: str,
    *,
    since: datetime,
    mapping: Sequence[MappingEntry] = (),
    channels: Mapping[str, str] | None = None,
) -> int:
    """Mounts a device at a station from `since` on and returns the attachment's id. Where it was mounted elsewhere,
    that ends then.

    `mapping` is what it measures otherwise than its model says, `channels` which other stations its inputs watch.
    """
    hold_ledgers(conn, municipality_id)
    device_id, _ = known_device(conn, municipality_id, key)
    station_id = known_station(conn, municipality_id, station)
    current = _current(conn, device_id)
    if current is not None:
        if current[1] == station_id:
            raise RegistrationError(
                "station", f"device {key} is at station {station} already: change its mapping there"
            )
        _end(conn, key, current, since, "since")
    attachment_id = _begin(conn, municipality_id, key, device_id, station_id, since)
    _map(conn, municipality_id, key, attachment_id, mapping, channels or {})
    return attachment_id


def mounted_since(conn: Connection, municipality_id: int, key: str, *, since: datetime) -> None:
    """Puts right since when a device is where it is: its messages from then on are of this station."""
    hold_ledgers(conn, municipality_id)
    device_id, _ = known_device(conn, municipality_id, key)
    current = _current(conn, device_id)
    if current is None:
        raise RegistrationError("key", f"device {key} is mounted nowhere: mount it at a station")
    try:
        with conn.transaction():
            conn.execute("update attachment set attached_from = %s where attachment_id = %s", (since, current[0]))
    except psycopg.errors.ExclusionViolation:
        raise RegistrationError("since", f"device {key} was at another station then: choose a later time") from None
    _manage(conn, device_id)
    work_out(conn, municipality_id, [current[0]])


def remap(
    conn: Connection,
    municipality_id: int,
    key: str,
    *,
    mapping: Sequence[MappingEntry],
    channels: Mapping[str, str] | None = None,
) -> None:
    """Replaces the own mapping of a device where it is mounted now (`channels` None: as they are)."""
    hold_ledgers(conn, municipality_id)
    device_id, _ = known_device(conn, municipality_id, key)
    current = _current(conn, device_id)
    if current is None:
        raise RegistrationError("key", f"device {key} is mounted nowhere: mount it at a station first")
    _map(conn, municipality_id, key, current[0], mapping, channels)
    _manage(conn, device_id)


def detach(conn: Connection, municipality_id: int, key: str, *, until: datetime) -> None:
    """Takes a device down: what it measures from `until` on belongs nowhere."""
    hold_ledgers(conn, municipality_id)
    device_id, _ = known_device(conn, municipality_id, key)
    current = _current(conn, device_id)
    if current is None:
        raise RegistrationError("key", f"device {key} is mounted nowhere: there is nothing to take down")
    _end(conn, key, current, until, "until")
    _manage(conn, device_id)


def swap(
    conn: Connection,
    municipality_id: int,
    old: str,
    new: str,
    *,
    at: datetime,
    mapping: Sequence[MappingEntry] | None = None,
) -> int:
    """In the place of one device another one from `at` on: the same station and channels, so the series go on; and the
    same duty cycle, where the new one has none of its own. Returns the new attachment's id.

    `mapping` None: the own mapping of the old one, where both are of one model, else that of the new one's model alone.
    """
    hold_ledgers(conn, municipality_id)
    old_id, old_model = known_device(conn, municipality_id, old)
    new_id, new_model = known_device(conn, municipality_id, new)
    if old_id == new_id:
        raise RegistrationError("new", f"device {old} cannot take its own place: name the other device")
    current = _current(conn, old_id)
    if current is None:
        raise RegistrationError("old", f"device {old} is mounted nowhere, so nothing can take its place")
    elsewhere = _current(conn, new_id)
    if elsewhere is not None:
        _end(conn, new, elsewhere, at, "at")
    if mapping is None:
        same = own_fields(conn, municipality_id, [current[0]]).get(current[0], ())
        mapping = same if old_model == new_model else ()
    _end(conn, old, current, at, "at")
    attachment_id = _begin(conn, municipality_id, new, new_id, current[1], at)
    put_channels(conn, municipality_id, attachment_id, channels_of(conn, municipality_id, current[0]))
    _map(conn, municipality_id, new, attachment_id, mapping, None)
    _manage(conn, old_id)
    cycles = duties(conn)
    if old_id in cycles and new_id not in cycles:
        put_duty(conn, municipality_id, new_id, cycles[old_id])
    return attachment_id


def mountings(conn: Connection, municipality_id: int, *, key: str) -> list[Mounting]:
    """Where a device is and was, the newest first."""
    rows: list[tuple[int, str, str, datetime, datetime | None, dict[str, str]]] = conn.execute(
        """
        select attachment_id, d.key, s.code, attached_from, attached_to,
               coalesce((select jsonb_object_agg(c.channel, w.code) from attachment_channel c
                         join station w on w.station_id = c.station_id where c.attachment_id = a.attachment_id), '{}')
        from attachment a join device d using (device_id) join station s on s.station_id = a.station_id
        where a.municipality_id = %s and d.key = %s order by attached_from desc
        """,
        (municipality_id, key),
    ).fetchall()
    own = own_fields(conn, municipality_id, [row[0] for row in rows])
    return [
        Mounting(attachment_id, device_key, code, since, until, own.get(attachment_id, ()), channels)
        for attachment_id, device_key, code, since, until, channels in rows
    ]


# --- one place ---------------------------------------------------------------------------------------------


def _begin(conn: Connection, municipality_id: int, key: str, device_id: int, station_id: int, since: datetime) -> int:
    try:
        with conn.transaction():
            attachment_id = one(
                conn,
                """
                insert into attachment (municipality_id, device_id, station_id, attached_from) values (%s, %s, %s, %s)
                returning attachment_id
                """,
                (municipality_id, device_id, station_id, since),
            )
    except psycopg.errors.ExclusionViolation:
        raise RegistrationError(
            "since", f"device {key} was at a station after {since:%Y-%m-%d %H:%M} UTC: choose a later time"
        ) from None
    _manage(conn, device_id)
    return attachment_id


def _end(conn: Connection, key: str, current: tuple[int, int, datetime], at: datetime, field: str) -> None:
    attachment_id, _, since = current
    if at <= since:
        raise RegistrationError(
            field,
            f"device {key} is where it is since {since:%Y-%m-%d %H:%M} UTC: choose a later time, or put that right",
        )
    conn.execute("update attachment set attached_to = %s where attachment_id = %s", (at, attachment_id))


def _map(
    conn: Connection,
    municipality_id: int,
    key: str,
    attachment_id: int,
    mapping: Sequence[MappingEntry],
    channels: Mapping[str, str] | None,
) -> None:
    """Puts down what a device measures where it is; `channels` None: they stay."""
    try:
        check(mapping)
    except MappingError as error:
        raise RegistrationError("mapping", f"device {key}: {error}") from None
    if channels is not None:
        watched = {}
        for channel, code in channels.items():
            if not channel or len(channel) > LONGEST_CHANNEL or NO_TEXT.search(channel):
                raise RegistrationError(
                    "channels", f"device {key}: an input has a name of 1 to {LONGEST_CHANNEL} characters"
                )
            watched[channel] = known_station(conn, municipality_id, code, "channels")
        put_channels(conn, municipality_id, attachment_id, watched)
    put_own(conn, municipality_id, attachment_id, mapping)
    if not work_out(conn, municipality_id, [attachment_id]):
        raise RegistrationError(
            "mapping",
            f"device {key} would measure nothing there: say which of its fields is which property of the station",
        )


def _manage(conn: Connection, device_id: int) -> None:
    conn.execute("update device set managed_by = 'people' where device_id = %s", (device_id,))


def _current(conn: Connection, device_id: int) -> tuple[int, int, datetime] | None:
    """(attachment, station, since) where a device is mounted now."""
    return conn.execute(
        "select attachment_id, station_id, attached_from from attachment where device_id = %s and attached_to is null",
        (device_id,),
    ).fetchone()
