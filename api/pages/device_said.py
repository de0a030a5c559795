"""What a device said in its newest messages, before anybody made levels or flows of it: the distance down to the water
of a radar gauge, a current, a count. It is read anew from the stored messages, so nothing is kept twice; how far back
it goes is how long messages are kept (docs/operations.md).

A codec in JavaScript runs in ingest's sandbox alone, so of such a model nothing is said here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from devices import codecs, envelopes
from devices.model import DecodeError, ObservedProperty
from store.connection import Connection
from store.sources import load_definitions
from store.uploaded import uploaded_models

NEWEST = 6  # messages


@dataclass(frozen=True, slots=True)
class Said:
    """A message: when it was received, and (field, value, unit) as the device means them; value None: it could not
    measure. `unit` empty: a number without one.
    """

    received: datetime
    fields: tuple[tuple[str, float | None, str], ...]


@dataclass(frozen=True, slots=True)
class Made:
    """How an observation is made of a field: `field` times `scale` plus `offset`, in `unit`."""

    station: str
    name: str
    name_en: str
    observed_property: str
    unit: str
    field: str
    scale: float
    offset: float
    gauge_zero_tp: float | None

    @property
    def sensor_height(self) -> float | None:
        """Of a field that is a distance down to the water: how high above gauge zero the sensor hangs, m."""
        looks_down = self.observed_property == ObservedProperty.WATER_LEVEL and self.scale < 0
        return self.offset if looks_down else None


def said(conn: Connection, municipality_id: int, device_id: int) -> list[Said] | None:
    """The newest messages of a device, newest first; None where its model is read by JavaScript only."""
    row = conn.execute("select model from device where device_id = %s", (device_id,)).fetchone()
    models = uploaded_models(conn, municipality_id)
    model = None if row is None else models.get(row[0])
    if model is None or model.codec is not None:
        return None
    definitions = load_definitions(conn, municipality_id)
    found = []
    for topic, raw, received in conn.execute(
        """
        select topic, raw, received_time from uplink
        where device_id = %s and outcome = 'accepted' order by received_time desc limit %s
        """,
        (device_id, NEWEST),
    ).fetchall():
        try:
            uplink = envelopes.open_uplink(topic, bytes(raw), definitions, received)
            readings = codecs.decode(model.name, uplink, models, received=received)
        except DecodeError:
            continue  # accepted by a codec or a source that has changed since
        fields = []
        for reading in readings:
            unit = model.fields.get(reading.field, "")
            fields.append((reading.field, reading.value, "" if unit == "1" else unit))
        found.append(Said(received, tuple(fields)))
    return found


def made(conn: Connection, device_id: int, now: datetime) -> list[Made]:
    """How its fields become observations where it is mounted now."""
    return [
        Made(*row)
        for row in conn.execute(
            """
            select s.code, s.name, s.name_en, d.observed_property, d.unit, f.field, f.scale, f.value_offset,
                   (select t.gauge_zero_tp from threshold_set t where t.station_id = s.station_id and t.valid_from <= %s
                    order by t.valid_from desc, t.threshold_set_id desc limit 1)
            from attachment a join field_mapping f using (attachment_id)
            join datastream d using (datastream_id) join station s on s.station_id = d.station_id
            where a.device_id = %s and a.attached_to is null and d.drill_run is null order by s.code, f.field
            """,
            (now, device_id),
        )
    ]
