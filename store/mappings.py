"""What the devices of a municipality measure where: worked out of what their models say and what a person said of the
device at its place, and kept as the rows that ingest multiplies with (`field_mapping`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from devices.codecs import MODELS
from devices.mapping import MappingEntry, MappingError, Resolved, resolve
from devices.model import ObservedProperty
from store.connection import Connection
from store.errors import RegistrationError

Series = Mapping[str, Mapping[ObservedProperty, int]]


@dataclass(frozen=True, slots=True)
class Defaults:
    """What a model says of its fields, and which of them count on from message to message."""

    entries: tuple[MappingEntry, ...] = ()
    counters: frozenset[str] = frozenset()


def defaults_of(conn: Connection, municipality_id: int, model: str) -> Defaults | None:
    """What a model says of its fields; None where the municipality has no such model.

    A built-in model says the unit of each of its fields and leaves open what it is.
    """
    if model in MODELS:
        return _of_builtin(model)
    found = conn.execute(
        "select device_model_id, builtin from device_model where municipality_id = %s and name = %s",
        (municipality_id, model),
    ).fetchone()
    if found is None:
        return None
    entries = model_fields(conn, municipality_id, [found[0]]).get(found[0], ())
    if found[1] is None:
        return Defaults(entries)
    below = _of_builtin(found[1])
    said = {entry.field for entry in entries}
    return Defaults((*entries, *(e for e in below.entries if e.field not in said)), below.counters)


def _of_builtin(model: str) -> Defaults:
    known = MODELS[model]
    entries = tuple(MappingEntry(name, None, unit) for name, unit in known.fields.items())
    return Defaults(entries, frozenset(known.counters))


def model_fields(
    conn: Connection, municipality_id: int, model_ids: Sequence[int] | None = None
) -> dict[int, tuple[MappingEntry, ...]]:
    """device_model_id -> its fields, by name; None: of all models."""
    found: dict[int, list[MappingEntry]] = {}
    for model_id, modulus, *rest in conn.execute(
        """
        select device_model_id, modulus, field, observed_property, unit, scale, value_offset, channel from model_field
        where municipality_id = %s and (%s::integer[] is null or device_model_id = any(%s)) order by field
        """,
        (municipality_id, model_ids, model_ids),
    ):
        found.setdefault(model_id, []).append(_entry(rest, modulus))
    return {model_id: tuple(entries) for model_id, entries in found.items()}


def own_fields(
    conn: Connection, municipality_id: int, attachment_ids: Sequence[int]
) -> dict[int, tuple[MappingEntry, ...]]:
    """attachment_id -> what was said of the device there, by field."""
    found: dict[int, list[MappingEntry]] = {}
    for attachment_id, *rest in conn.execute(
        """
        select attachment_id, field, observed_property, unit, scale, value_offset, channel from attachment_field
        where municipality_id = %s and attachment_id = any(%s) order by field
        """,
        (municipality_id, list(attachment_ids)),
    ):
        found.setdefault(attachment_id, []).append(_entry(rest))
    return {attachment_id: tuple(entries) for attachment_id, entries in found.items()}


def _entry(row: Sequence[object], modulus: int | None = None) -> MappingEntry:
    field, observed, unit, scale, offset, channel = row
    return MappingEntry(
        field=str(field),
        observed_property=None if observed is None else ObservedProperty(str(observed)),
        unit=None if unit is None else str(unit),
        scale=scale if isinstance(scale, float) else None,
        offset=offset if isinstance(offset, float) else 0.0,
        channel=str(channel),
        modulus=modulus,
    )


def channels_of(conn: Connection, municipality_id: int, attachment_id: int) -> dict[str, int]:
    """Which other stations the inputs of a logger watch."""
    rows = conn.execute(
        "select channel, station_id from attachment_channel where municipality_id = %s and attachment_id = %s",
        (municipality_id, attachment_id),
    )
    return {str(channel): int(station_id) for channel, station_id in rows}


def put_own(conn: Connection, municipality_id: int, attachment_id: int, entries: Iterable[MappingEntry]) -> None:
    """Replaces what was said of a device at its place; `work_out` makes it count."""
    conn.execute("delete from attachment_field where attachment_id = %s", (attachment_id,))
    for entry in entries:
        conn.execute(
            """
            insert into attachment_field (attachment_id, municipality_id, field, unit, observed_property, scale,
                                          value_offset, channel)
            values (%s, %s, %s, %s, %s, %s, %s, %s)
            """,
            (
                attachment_id,
                municipality_id,
                entry.field,
                entry.unit,
                None if entry.observed_property is None else entry.observed_property.value,
                entry.scale,
                entry.offset,
                entry.channel,
            ),
        )


def put_channels(conn: Connection, municipality_id: int, attachment_id: int, channels: Mapping[str, int]) -> None:
    """Replaces which other stations the inputs watch."""
    conn.execute("delete from attachment_channel where attachment_id = %s", (attachment_id,))
    for channel, station_id in channels.items():
        conn.execute(
            "insert into attachment_channel (attachment_id, municipality_id, channel, station_id) "
            "values (%s, %s, %s, %s)",
            (attachment_id, municipality_id, channel, station_id),
        )


def watching(conn: Connection, municipality_id: int, station_id: int) -> list[int]:
    """The attachments of devices that are at a station, or watch it by an input."""
    rows = conn.execute(
        """
        select attachment_id from attachment where municipality_id = %(town)s and station_id = %(station)s
        union
        select attachment_id from attachment_channel where municipality_id = %(town)s and station_id = %(station)s
        order by 1
        """,
        {"town": municipality_id, "station": station_id},
    )
    return [row[0] for row in rows]


def work_out(conn: Connection, municipality_id: int, attachment_ids: Sequence[int]) -> int:
    """Makes `field_mapping` of these attachments say what their models and what was said of them come to; how many rows
    that are. RegistrationError (`mapping`) names device, station and field.
    """
    rows = conn.execute(
        """
        select attachment_id, d.key, d.model, s.station_id, s.code, d.device_id
        from attachment join device d using (device_id) join station s using (station_id)
        where attachment.municipality_id = %s and attachment_id = any(%s) order by attachment_id
        """,
        (municipality_id, list(attachment_ids)),
    ).fetchall()
    own = own_fields(conn, municipality_id, attachment_ids)
    known: dict[str, Defaults] = {}
    written = 0
    for attachment_id, key, model, station_id, code, _ in rows:
        if model not in known:
            known[model] = defaults_of(conn, municipality_id, model) or Defaults()
        stations = {"": station_id, **channels_of(conn, municipality_id, attachment_id)}
        series = _series(conn, municipality_id, stations)
        try:
            resolved = resolve(
                known[model].entries,
                own.get(attachment_id, ()),
                series,
                known[model].counters,
                taken(conn, municipality_id, attachment_id, series),
            )
        except MappingError as error:
            raise RegistrationError("mapping", f"device {key} at station {code}: {error}") from None
        write_resolved(conn, municipality_id, attachment_id, resolved)
        written += len(resolved)
    return written


def work_out_model(conn: Connection, municipality_id: int, model: str) -> None:
    """`work_out` for every place where a device of this model is or was."""
    rows = conn.execute(
        """
        select attachment_id from attachment join device d using (device_id)
        where d.municipality_id = %s and d.model = %s
        """,
        (municipality_id, model),
    )
    work_out(conn, municipality_id, [row[0] for row in rows])


def write_resolved(conn: Connection, municipality_id: int, attachment_id: int, resolved: Sequence[Resolved]) -> None:
    """Replaces the rows that ingest reads."""
    conn.execute("delete from field_mapping where attachment_id = %s", (attachment_id,))
    for row in resolved:
        conn.execute(
            """
            insert into field_mapping (attachment_id, municipality_id, field, datastream_id, scale, value_offset)
            values (%s, %s, %s, %s, %s, %s)
            """,
            (attachment_id, municipality_id, row.field, row.datastream_id, row.scale, row.offset),
        )


def _series(conn: Connection, municipality_id: int, stations: Mapping[str, int]) -> Series:
    """channel -> property -> datastream."""
    found: dict[int, dict[ObservedProperty, int]] = {station_id: {} for station_id in stations.values()}
    for station_id, observed, datastream_id in conn.execute(
        """
        select station_id, observed_property, datastream_id from datastream
        where municipality_id = %s and station_id = any(%s) and drill_run is null
        """,
        (municipality_id, list(found)),
    ):
        found[station_id][ObservedProperty(observed)] = datastream_id
    return {channel: found[station_id] for channel, station_id in stations.items()}


def taken(conn: Connection, municipality_id: int, attachment_id: int, series: Series) -> dict[int, str]:
    """Which of these datastreams another device feeds at the same time, and its key."""
    datastreams = [datastream_id for station in series.values() for datastream_id in station.values()]
    rows = conn.execute(
        """
        select f.datastream_id, d.key
        from attachment mine
        join attachment other on other.municipality_id = mine.municipality_id and other.device_id <> mine.device_id
             and tstzrange(other.attached_from, other.attached_to) && tstzrange(mine.attached_from, mine.attached_to)
        join field_mapping f on f.attachment_id = other.attachment_id
        join device d on d.device_id = other.device_id
        where mine.attachment_id = %s and mine.municipality_id = %s and f.datastream_id = any(%s)
        """,
        (attachment_id, municipality_id, datastreams),
    )
    return {int(datastream_id): str(key) for datastream_id, key in rows}
