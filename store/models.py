"""Codecs and device models that a municipality has brought along, beside those that are built in.

A codec is a manufacturer's file, known by its SHA-256 and never changed. A device model reads by a codec, by a built-in
one, or takes what the network has decoded; which one is set by `pin` alone, and `history` says who did so and when.
Everything belongs to one municipality; no other sees or uses it.

Works in the caller's transaction, with the rights of the API's role or the owner's; the caller commits, and with the
commit running ingest workers learn of it. Times are town time. RegistrationError names the field, what is wrong and
what to do.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from devices.codecs import MODELS
from devices.mapping import LONGEST_FIELD, MappingEntry, MappingError, check
from store.codecs import Codec, CodecUpload, codec, codec_source, codecs, remove_codec, text, upload
from store.connection import Connection
from store.errors import RegistrationError
from store.ledgers import hold_ledgers, one
from store.mappings import model_fields, work_out_model
from store.uploaded import BATTERY_UNITS, known_models

__all__ = [
    "Battery",
    "Codec",
    "CodecUpload",
    "ModelEntry",
    "Pinned",
    "StoredModel",
    "add_model",
    "change_model",
    "codec",
    "codec_source",
    "codecs",
    "history",
    "known_models",
    "model",
    "models",
    "pin",
    "remove_codec",
    "remove_model",
    "upload",
]

LONGEST_NAME = 100
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*/[a-z0-9][a-z0-9._-]*")


@dataclass(frozen=True, slots=True)
class Battery:
    """The field that tells a model's battery, its unit (V, mV or %), and below what it should be exchanged."""

    field: str
    unit: str = "V"
    low: float | None = None


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """A device model as a person says it. `name` is VENDOR/MODEL in lower case; at most one of `codec_id` and `builtin`
    (the name of a built-in model) is given: without both it takes what the network has decoded.
    """

    name: str
    title: str
    title_en: str
    manufacturer: str = ""
    codec_id: int | None = None
    builtin: str | None = None
    battery: Battery | None = None
    fields: tuple[MappingEntry, ...] = ()


@dataclass(frozen=True, slots=True)
class StoredModel:
    """A device model of the municipality; `devices`: how many are registered with it."""

    entry: ModelEntry
    sha256: str | None
    devices: int


@dataclass(frozen=True, slots=True)
class Pinned:
    """From when on a model reads by what, and who said so (None: somebody with the command line)."""

    at: datetime
    by: str | None
    codec_id: int | None
    sha256: str | None
    builtin: str | None


def add_model(conn: Connection, municipality_id: int, entry: ModelEntry, *, at: datetime, user_id: int | None) -> None:
    """Registers a device model. Devices that are registered with its name already are read by it from now on."""
    _check(entry)
    _check_reader(conn, municipality_id, entry.codec_id, entry.builtin)
    hold_ledgers(conn, municipality_id)
    if _model_id(conn, municipality_id, entry.name) is not None:
        raise RegistrationError("name", f"there is a device model {entry.name} already: change that one")
    battery = entry.battery
    model_id = one(
        conn,
        """
        insert into device_model (municipality_id, name, title, title_en, manufacturer, codec_id, builtin,
                                  battery_field, battery_unit, battery_low)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) returning device_model_id
        """,
        (
            municipality_id,
            entry.name,
            entry.title,
            entry.title_en,
            entry.manufacturer,
            entry.codec_id,
            entry.builtin,
            *((None, None, None) if battery is None else (battery.field, battery.unit, battery.low)),
        ),
    )
    _put_fields(conn, municipality_id, model_id, entry.fields)
    _note_pin(conn, municipality_id, model_id, entry.codec_id, entry.builtin, at, user_id)
    work_out_model(conn, municipality_id, entry.name)


def change_model(conn: Connection, municipality_id: int, entry: ModelEntry) -> None:
    """Gives a model other words, another battery rule, other fields; the mapping of its devices is worked out anew.

    By what it reads must be as it is: that is `pin`'s.
    """
    _check(entry)
    hold_ledgers(conn, municipality_id)
    known = model(conn, municipality_id, entry.name)
    if (entry.codec_id, entry.builtin) != (known.entry.codec_id, known.entry.builtin):
        raise RegistrationError(
            "codec", f"{entry.name} keeps the codec that it has, until another is pinned on purpose"
        )
    battery = entry.battery
    model_id = one(
        conn,
        """
        update device_model set (title, title_en, manufacturer, battery_field, battery_unit, battery_low)
            = (%s, %s, %s, %s, %s, %s)
        where municipality_id = %s and name = %s returning device_model_id
        """,
        (
            entry.title,
            entry.title_en,
            entry.manufacturer,
            *((None, None, None) if battery is None else (battery.field, battery.unit, battery.low)),
            municipality_id,
            entry.name,
        ),
    )
    if set(entry.fields) != set(known.entry.fields):
        _put_fields(conn, municipality_id, model_id, entry.fields)
        work_out_model(conn, municipality_id, entry.name)


def pin(
    conn: Connection,
    municipality_id: int,
    name: str,
    *,
    codec_id: int | None = None,
    builtin: str | None = None,
    at: datetime,
    user_id: int | None,
) -> None:
    """From now on the model reads by this codec, this built-in one, or (both None) takes what the network has decoded.
    What it reads by already is pinned already.
    """
    _check_reader(conn, municipality_id, codec_id, builtin)
    hold_ledgers(conn, municipality_id)
    known = model(conn, municipality_id, name)
    if (codec_id, builtin) == (known.entry.codec_id, known.entry.builtin):
        return
    model_id = one(
        conn,
        """
        update device_model set (codec_id, builtin) = (%s, %s) where municipality_id = %s and name = %s
        returning device_model_id
        """,
        (codec_id, builtin, municipality_id, name),
    )
    _note_pin(conn, municipality_id, model_id, codec_id, builtin, at, user_id)
    if builtin is not None or known.entry.builtin is not None:  # it brings units and counters of its own
        work_out_model(conn, municipality_id, name)


def remove_model(conn: Connection, municipality_id: int, name: str) -> None:
    """Takes a model away that no device is registered with."""
    hold_ledgers(conn, municipality_id)
    found = model(conn, municipality_id, name)
    if found.devices:
        raise RegistrationError("name", f"{found.devices} devices are registered as {name}: it stays")
    conn.execute("delete from device_model where municipality_id = %s and name = %s", (municipality_id, name))


def history(conn: Connection, municipality_id: int, name: str) -> list[Pinned]:
    """By what a model has read, the newest first."""
    rows = conn.execute(
        """
        select p.pinned_at, u.display_name, p.codec_id, encode(c.sha256, 'hex'), p.builtin
        from device_model_codec p join device_model m using (device_model_id)
        left join codec c on c.codec_id = p.codec_id left join app_user u on u.user_id = p.user_id
        where p.municipality_id = %s and m.name = %s order by device_model_codec_id desc
        """,
        (municipality_id, name),
    )
    return [Pinned(*row) for row in rows]


def models(conn: Connection, municipality_id: int) -> list[StoredModel]:
    """The municipality's own device models, by name."""
    return _models(conn, municipality_id, None)


def model(conn: Connection, municipality_id: int, name: str) -> StoredModel:
    """One of them. RegistrationError where there is none."""
    found = _models(conn, municipality_id, name)
    if not found:
        raise RegistrationError("name", f"there is no device model {name} here: add it, or choose another")
    return found[0]


def _models(conn: Connection, municipality_id: int, name: str | None) -> list[StoredModel]:
    rows = conn.execute(
        """
        select m.device_model_id, m.name, m.title, m.title_en, m.manufacturer, m.codec_id, m.builtin, m.battery_field,
               m.battery_unit, m.battery_low, encode(c.sha256, 'hex'),
               (select count(*) from device d where d.municipality_id = m.municipality_id and d.model = m.name)
        from device_model m left join codec c using (codec_id)
        where m.municipality_id = %s and (%s::text is null or m.name = %s) order by m.name
        """,
        (municipality_id, name, name),
    ).fetchall()
    fields = model_fields(conn, municipality_id, [row[0] for row in rows])
    return [
        StoredModel(
            ModelEntry(
                name=row[1],
                title=row[2],
                title_en=row[3],
                manufacturer=row[4],
                codec_id=row[5],
                builtin=row[6],
                battery=None if row[7] is None else Battery(row[7], row[8], row[9]),
                fields=fields.get(row[0], ()),
            ),
            sha256=row[10],
            devices=row[11],
        )
        for row in rows
    ]


# --- what can be a model -----------------------------------------------------------------------------------


def _check(entry: ModelEntry) -> None:
    if not _NAME.fullmatch(entry.name) or len(entry.name) > LONGEST_NAME:
        raise RegistrationError(
            "name",
            f"{entry.name[:40]!r} names no device model: maker and model, lower case, with a slash between them and "
            "without spaces, as in example/level-2",
        )
    text("title", entry.title, 200)
    text("title_en", entry.title_en, 200)
    if entry.manufacturer:
        text("manufacturer", entry.manufacturer, 200)
    if entry.battery is not None:
        text("battery", entry.battery.field, LONGEST_FIELD)
        if entry.battery.unit not in BATTERY_UNITS:
            raise RegistrationError(
                "battery", f"a battery is told in {', '.join(BATTERY_UNITS)}, not in {entry.battery.unit[:20]!r}"
            )
        if entry.battery.low is not None and not math.isfinite(entry.battery.low):
            raise RegistrationError("battery", f"{entry.battery.low} is no limit of a battery: give a number")
    counters = MODELS[entry.builtin].counters if entry.builtin is not None and entry.builtin in MODELS else {}
    try:
        check(entry.fields, counters)
    except MappingError as error:
        raise RegistrationError("fields", str(error)) from None


def _check_reader(conn: Connection, municipality_id: int, codec_id: int | None, builtin: str | None) -> None:
    if codec_id is not None and builtin is not None:
        raise RegistrationError("codec", "a device model reads by an uploaded codec or by a built-in one, not by both")
    if builtin is not None and builtin not in MODELS:
        raise RegistrationError("builtin", f"there is no built-in codec {builtin!r}; there are {', '.join(MODELS)}")
    if codec_id is not None:
        codec(conn, municipality_id, codec_id)


def _model_id(conn: Connection, municipality_id: int, name: str) -> int | None:
    row = conn.execute(
        "select device_model_id from device_model where municipality_id = %s and name = %s", (municipality_id, name)
    ).fetchone()
    return None if row is None else int(row[0])


def _put_fields(conn: Connection, municipality_id: int, model_id: int, fields: Sequence[MappingEntry]) -> None:
    conn.execute("delete from model_field where device_model_id = %s", (model_id,))
    for entry in fields:
        conn.execute(
            """
            insert into model_field (device_model_id, municipality_id, field, unit, observed_property, scale,
                                     value_offset, channel, modulus)
            values (%s, %s, %s, %s, %s, %s, %s, %s, %s)
            """,
            (
                model_id,
                municipality_id,
                entry.field,
                entry.unit,
                None if entry.observed_property is None else entry.observed_property.value,
                entry.scale,
                entry.offset,
                entry.channel,
                entry.modulus,
            ),
        )


def _note_pin(
    conn: Connection,
    municipality_id: int,
    model_id: int,
    codec_id: int | None,
    builtin: str | None,
    at: datetime,
    user_id: int | None,
) -> None:
    conn.execute(
        """
        insert into device_model_codec (municipality_id, device_model_id, codec_id, builtin, pinned_at, user_id)
        values (%s, %s, %s, %s, %s, %s)
        """,
        (municipality_id, model_id, codec_id, builtin, at, user_id),
    )
