"""One delivered message -> the row that will be stored of it, whatever it is.

envelope -> device in the directory -> codec -> mapping of the attachment valid at that time. Here a value gets the
quality that is known from its message alone (no value: missing; impossible clock: doubtful); what needs its
neighbours is `gate.py`'s, and the difference of two readings of a counter `counters.py`'s.

Nothing raises and nothing is dropped. What cannot pass becomes a quarantined row with the raw message, a detail
for people, and one of these reasons:

    envelope        the network's wrapping is not what it should be
    unknown_device  nobody registered the sender
    codec           the payload is not what this device model sends
    not_attached    the device is registered, but was mounted nowhere at that time
    not_finite      a value is NaN or infinite
    internal        a fault of ours: the log has it
    store           (given by `settle.py`) the database refused the row

`payload_hash`, which with (device, session, counter) tells a repetition: SHA-256 of the device's own payload, and of
the network's time where nobody counts; of the readings where the sender sends values; of topic and raw message where
there is neither.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from devices import codecs, envelopes
from devices.codecs.models import Counter
from devices.model import DecodeError, Outcome, Quality, Reading, Reason, Uplink
from ingest.message import Message
from quality.clock import Clock
from quality.gate import CLOCK, Moment, moment
from store.batch import BatteryRow, CountRow, ObservationRow, UplinkRow
from store.registry import Directory, MappedField, RegisteredDevice

UNKNOWN_DEVICE = "unknown_device"

log = structlog.get_logger(__name__)


def decode(message: Message, directory: Directory, possible: Clock = CLOCK) -> UplinkRow:
    """What to store of a message, by what the directory knows; `possible` says which times of a device can be."""
    row = _unreadable(message)
    try:
        uplink = envelopes.open_uplink(message.topic, message.raw)
        row = _opened(row, message, uplink)
        device = directory.device(uplink.device_key)
        if device is None:
            return quarantined(
                row,
                UNKNOWN_DEVICE,
                f"device {uplink.device_key} ({uplink.network}) is not registered: add it to the town's devices",
            )
        row = replace(row, device_id=device.device_id)
        if uplink.event is not None:
            return replace(row, outcome=Outcome.EVENT, reason=None, detail=uplink.event)
        return _observed(row, device, uplink, codecs.decode(device.model, uplink), possible)
    except DecodeError as error:
        return quarantined(row, error.reason, str(error))
    except Exception as error:
        # One message must not hold up the others, whatever is wrong with us.
        log.exception("message could not be decoded", topic=message.topic, device=row.device_key)
        return quarantined(row, "internal", f"{type(error).__name__}: {error}")


def quarantined(row: UplinkRow, reason: str, detail: str) -> UplinkRow:
    """The same message, kept without observations, and why."""
    return replace(
        row, outcome=Outcome.QUARANTINED, reason=reason, detail=detail, observations=(), counts=(), battery=None
    )


def bare(row: UplinkRow, detail: str) -> UplinkRow:
    """The message alone, after the database refused the row: nothing of it that could be refused again."""
    return replace(
        quarantined(row, "store", _storable(detail)),
        device_id=None,
        device_key=None if row.device_key is None else _storable(row.device_key),
        session="",
        counter=None,
        payload_hash=_hash(row.topic.encode(errors="replace"), row.raw),
        topic=_storable(row.topic),
    )


def _observed(
    row: UplinkRow, device: RegisteredDevice, uplink: Uplink, readings: tuple[Reading, ...], possible: Clock
) -> UplinkRow:
    observations = []
    counts = []
    counters = codecs.MODELS[device.model].counters
    attached = not readings
    moments: dict[tuple[datetime | None, timedelta], Moment] = {}  # the readings of a message share a few times
    for reading in readings:
        when = moments.get((reading.time, reading.age))
        if when is None:
            when = moment(reading.time, uplink.network_time, row.received_time, reading.age, possible)
            moments[reading.time, reading.age] = when
        attachment = device.attachment_at(when.time)
        if attachment is None:
            continue
        attached = True
        field = attachment.fields.get(reading.field)
        if field is None:
            continue
        if reading.field in counters:
            counts.append(_count(reading, counters[reading.field], readings, field, when))
            continue
        if reading.value is None:
            observations.append(ObservationRow(field.datastream_id, when.time, None, Quality.MISSING, Reason.SENSOR))
            continue
        value = reading.value * field.scale + field.offset
        if not math.isfinite(value):
            return quarantined(
                row,
                "not_finite",
                f"device {device.key} at station {attachment.station_code}: {reading.field} is {reading.value}",
            )
        verdict = when.verdict
        observations.append(ObservationRow(field.datastream_id, when.time, value, verdict.quality, verdict.reason))
    if not attached:
        return quarantined(
            row,
            "not_attached",
            f"device {device.key} was at no station when it measured: correct its attached_from, or attach it",
        )
    return replace(
        row,
        outcome=Outcome.ACCEPTED,
        reason=None,
        detail=None,
        observations=tuple(observations),
        counts=tuple(counts),
        battery=_battery(row, device, uplink, readings, possible),
    )


def _count(
    reading: Reading, counter: Counter, readings: tuple[Reading, ...], field: MappedField, when: Moment
) -> CountRow:
    """A cumulative counter with what its message says beside it, at the same time. Only `counters.py` makes it rain."""

    def beside(name: str) -> int | None:
        same = (r for r in readings if r.field == name and (r.time, r.age) == (reading.time, reading.age))
        return next((_whole(r.value) for r in same), None)

    return CountRow(
        datastream_id=field.datastream_id,
        time=when.time,
        count=_whole(reading.value),
        restarts=beside(counter.restarts),
        latest=beside(counter.latest),
        modulus=counter.modulus,
        scale=field.scale,
        doubtful=when.verdict.reason is not None,
    )


def _whole(value: float | None) -> int | None:
    """A count; None where there is none, or where what was sent cannot be one."""
    return None if value is None or not 0 <= value < 2**31 else int(value)


def _battery(
    row: UplinkRow, device: RegisteredDevice, uplink: Uplink, readings: tuple[Reading, ...], possible: Clock
) -> BatteryRow | None:
    """The battery as the message tells it; None where it does not. It is of the device, not of the place."""
    said = {reading.field: reading for reading in readings if reading.field in ("battery", "status")}
    battery = said.get("battery")
    if battery is None or battery.value is None or not math.isfinite(battery.value):
        return None
    status = said["status"].value if "status" in said else None
    if status is not None and not math.isfinite(status):
        status = None
    when = moment(battery.time, uplink.network_time, row.received_time, battery.age, possible)
    return BatteryRow(battery.value, codecs.MODELS[device.model].says_low(battery.value, status), when.time)


def _unreadable(message: Message) -> UplinkRow:
    return UplinkRow(
        device_id=None,
        device_key=None,
        session="",
        counter=None,
        payload_hash=_hash(message.topic.encode(errors="replace"), message.raw),
        network=None,
        topic=message.topic,
        raw=message.raw,
        network_time=None,
        received_time=message.received,
        outcome=Outcome.QUARANTINED,
        reason="internal",
        detail=None,
        observations=(),
    )


def _opened(row: UplinkRow, message: Message, uplink: Uplink) -> UplinkRow:
    if uplink.event is not None:
        digest = row.payload_hash
    elif uplink.readings is not None:
        digest = _hash(_canonical(uplink.readings))
    elif uplink.counter is None and uplink.network_time is not None:
        digest = _hash(uplink.payload, uplink.network_time.isoformat().encode())
    else:
        digest = _hash(uplink.payload)
    return replace(
        row,
        device_key=uplink.device_key,
        session=uplink.session,
        counter=uplink.counter,
        payload_hash=digest,
        network=uplink.network,
        network_time=uplink.network_time,
    )


def _canonical(readings: tuple[Reading, ...]) -> bytes:
    """The same bytes for the same readings, however the sender ordered or spaced them."""
    parts = sorted(
        (r.field, "" if r.time is None else r.time.isoformat(), "null" if r.value is None else repr(float(r.value)))
        for r in readings
    )
    return json.dumps(parts).encode()


def _hash(*parts: bytes) -> bytes:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") if len(parts) > 1 else b"")
        digest.update(part)
    return digest.digest()


def _storable(text: str) -> str:
    """PostgreSQL keeps neither NUL nor half a surrogate pair."""
    return text.replace("\x00", "\ufffd").encode(errors="replace").decode()
