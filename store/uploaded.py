"""The device models that a municipality brought along, as `devices.codecs.decode` takes them.

uploaded_models(conn, municipality_id, before) -> name -> DeviceModel, of those that its devices have
known_models(conn, municipality_id)            -> every model that a device here can have, without codecs
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from devices.codecs import MODELS, DeviceModel
from devices.codecs.javascript import JavaScriptCodec, codec_of
from devices.codecs.models import Counter
from devices.mapping import MappingEntry
from store.connection import Connection
from store.mappings import model_fields

# How many of the unit that a battery is told in make one of the unit that it is judged in.
BATTERY_UNITS: Mapping[str, tuple[float, str]] = MappingProxyType(
    {"V": (1.0, "V"), "mV": (0.001, "V"), "%": (1.0, "%")}
)


def uploaded_models(
    conn: Connection, municipality_id: int, before: Mapping[str, DeviceModel] = MODELS
) -> Mapping[str, DeviceModel]:
    """Every model that a device of the municipality has, the built-in ones among them; a codec that `before` has (what
    this said the last time) is not read again.
    """
    rows = conn.execute(
        """
        select m.device_model_id, m.name, m.title, m.title_en, m.manufacturer, m.builtin,
               m.battery_field, m.battery_unit, m.battery_low, m.codec_id, encode(c.sha256, 'hex'), c.stateless
        from device_model m left join codec c on c.codec_id = m.codec_id and c.municipality_id = m.municipality_id
        where m.municipality_id = %(municipality)s
          and exists (select from device d where d.municipality_id = %(municipality)s and d.model = m.name)
        """,
        {"municipality": municipality_id},
    ).fetchall()
    if not rows:
        return MODELS
    codecs = {model.codec.sha256: model.codec for model in before.values() if model.codec is not None}
    codecs = {sha256: codec for sha256, codec in codecs.items() if any(sha256 == row[10] for row in rows)}
    wanted = {row[9]: row[11] for row in rows if row[10] is not None and row[10] not in codecs}
    codecs.update(_sources(conn, municipality_id, wanted))
    fields = model_fields(conn, municipality_id, [row[0] for row in rows])
    return {**MODELS, **{row[1]: _model(row, fields.get(row[0], ()), codecs.get(row[10])) for row in rows}}


def known_models(conn: Connection, municipality_id: int) -> Mapping[str, DeviceModel]:
    """Every model that a device here can have, built in or not, by its name: titles, fields with units, battery rule.
    None of them decodes by an uploaded codec: `uploaded_models` brings those in use with it.
    """
    rows = conn.execute(
        """
        select device_model_id, name, title, title_en, manufacturer, builtin, battery_field, battery_unit, battery_low
        from device_model where municipality_id = %s order by name
        """,
        (municipality_id,),
    ).fetchall()
    fields = model_fields(conn, municipality_id)
    return {**MODELS, **{row[1]: _model(row, fields.get(row[0], ()), None) for row in rows}}


def _sources(conn: Connection, municipality_id: int, wanted: Mapping[int, bool]) -> dict[str, JavaScriptCodec]:
    """sha256 -> the codec."""
    if not wanted:
        return {}
    rows = conn.execute(
        "select codec_id, source from codec where municipality_id = %s and codec_id = any(%s)",
        (municipality_id, list(wanted)),
    )
    found = [codec_of(source, stateless=wanted[codec_id]) for codec_id, source in rows]
    return {codec.sha256: codec for codec in found}


def _model(row: Sequence[object], fields: Sequence[MappingEntry], codec: JavaScriptCodec | None) -> DeviceModel:
    _, name, title, title_en, manufacturer, builtin, battery_field, battery_unit, battery_low = row[:9]
    below = MODELS[str(builtin)] if builtin is not None else None
    counters = {e.field: Counter(e.modulus, restarts="", latest="") for e in fields if e.modulus is not None}
    scale, unit = BATTERY_UNITS[str(battery_unit)] if battery_unit is not None else (1.0, "V")
    low = battery_low if isinstance(battery_low, float) else None
    if below is not None and battery_field is None:
        battery_field, low = below.battery_field, below.battery_low
    return DeviceModel(
        name=str(name),
        title=str(title),
        title_en=str(title_en),
        manufacturer=str(manufacturer),
        fields={**(below.fields if below else {}), **{e.field: e.unit or "1" for e in fields}},
        decode=below.decode if below else None,
        codec=codec,
        counters={**(below.counters if below else {}), **counters},
        battery_field=None if battery_field is None else str(battery_field),
        battery_scale=scale,
        battery_unit=unit,
        battery_low=None if low is None else low * scale,
        battery_low_bit=below.battery_low_bit if below else None,
    )
