"""One delivered message -> the row that will be stored of it, whatever it is.

envelope -> device in the directory -> codec -> mapping of the attachment valid at that time. Here a value gets the
quality that is known from its message alone (no value: missing; impossible clock: doubtful); what needs its
neighbours is `gate.py`'s, and the difference of two readings of a counter `counters.py`'s.

Nothing raises and nothing is dropped. Where some fields of a message can be used and others not, it is accepted with
those that can; `quarantined_fields` lists the others and `detail` says why. What cannot pass becomes a quarantined row
with the raw message, a detail for people, and one of these reasons:

    envelope        the network's wrapping is not what it should be
    unknown_device  nobody registered the sender
    codec           the payload is not what this device model sends
    not_attached    the device is registered, but was mounted nowhere at that time
    not_finite      no value is a number
    privacy         it holds pictures, faces or addresses of phones, and is not kept (`ingest.privacy`)
    slow            the messages of this device take too long to read, and others wait (`ingest.budget`)
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
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import structlog
from msgspec.structs import replace

from devices import codecs, envelopes
from devices.codecs import DeviceModel, Runs
from devices.codecs.models import Counter
from devices.model import DecodeError, Outcome, Quality, Reading, Reason, Uplink
from ingest.budget import Budget
from ingest.message import Message
from ingest.privacy import PRIVACY, REMOVED, forbidden
from quality.clock import Clock
from quality.gate import CLOCK, Moment, Verdict, moment
from store.batch import BatteryRow, CountRow, ObservationRow, UplinkRow
from store.calibrations import calibrated
from store.registry import Directory, MappedField, RegisteredDevice

UNKNOWN_DEVICE = "unknown_device"
LONGEST_NAMES = 512  # an index takes some 2700 bytes

log = structlog.get_logger(__name__)


def decode(
    message: Message,
    directory: Directory,
    possible: Clock = CLOCK,
    budget: Budget | None = None,
    sandbox: Runs | None = None,
) -> UplinkRow:
    """What to store of a message, by what the directory knows; `possible` says which times of a device can be. With a
    `budget` a device whose messages are slow to read takes no more than that. Manufacturers' codecs run in `sandbox`.
    """
    said: _Said | None = None
    device: RegisteredDevice | None = None
    try:
        uplink = envelopes.open_uplink(message.topic, message.raw, directory.definitions, message.received)
        said = _Said(uplink, _digest(message, uplink))
        device = directory.device(uplink.device_key)
        if (why := forbidden(message.raw, uplink, device, directory)) is not None:
            return _emptied(message, said, device, why)
        if device is None:
            detail = f"device {uplink.device_key} ({uplink.network}) is not registered: add it to the town's devices"
            return _row(message, said, None, Outcome.QUARANTINED, UNKNOWN_DEVICE, detail)
        if uplink.event is not None:
            return _row(message, said, device, Outcome.EVENT, None, uplink.event)
        observed = _within(budget, message, device, uplink, directory, sandbox, possible)
        without = _without(device, observed.refused) if observed.refused else None
        return _row(message, said, device, Outcome.ACCEPTED, None, without, observed)
    except DecodeError as error:
        if said is None and (why := forbidden(message.raw)) is not None:
            return _emptied(message, None, None, why)
        return _row(message, said, device, Outcome.QUARANTINED, error.reason, str(error))
    except _Refused as refused:
        return _row(message, said, device, Outcome.QUARANTINED, refused.reason, refused.detail)
    except Exception as error:
        # One message must not hold up the others, whatever is wrong with us.
        key = None if said is None else said.uplink.device_key
        log.exception("message could not be decoded", topic=message.topic, device=key)
        return _row(message, said, device, Outcome.QUARANTINED, "internal", f"{type(error).__name__}: {error}")


def _within(
    budget: Budget | None,
    message: Message,
    device: RegisteredDevice,
    uplink: Uplink,
    directory: Directory,
    sandbox: Runs | None,
    possible: Clock,
) -> _Observed:
    """What the message says, unless its device has used up what slow ones may take."""
    models = directory.models
    if budget is None:
        readings = codecs.decode(device.model, uplink, models, sandbox, message.received)
        return _observed(message, device, models[device.model], uplink, readings, possible)
    if not budget.allows(device.key):
        raise _Refused(
            "slow", f"device {device.key}: its messages take too long to read; this one waits until it is read again"
        )
    budget.begin()
    try:
        readings = codecs.decode(device.model, uplink, models, sandbox, message.received)
        return _observed(message, device, models[device.model], uplink, readings, possible)
    finally:
        model = models.get(device.model)
        if model is None or model.codec is None or sandbox is None:
            budget.end(device.key)
        else:
            budget.end_elsewhere(device.key, sandbox.pid)


class _Said(NamedTuple):
    """A message whose wrapping could be read, and its `payload_hash`."""

    uplink: Uplink
    digest: bytes


class _RefusedField(NamedTuple):
    """A value that no row could be made of: `reason` is what its message would be quarantined for if it were alone."""

    field: str
    reason: str
    detail: str


class _Observed(NamedTuple):
    """What a message says of the world, by the mapping of its device."""

    observations: tuple[ObservationRow, ...] = ()
    counts: tuple[CountRow, ...] = ()
    battery: BatteryRow | None = None
    refused: tuple[_RefusedField, ...] = ()
    calibrations: tuple[int, ...] = ()


class _Refused(Exception):
    """A message that can be read and yet not be used; never leaves this module."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


_NOTHING = _Observed()
_AT_WORK = Verdict(Quality.DOUBTFUL, Reason.MAINTENANCE)


def _row(
    message: Message,
    said: _Said | None,
    device: RegisteredDevice | None,
    outcome: Outcome,
    reason: str | None,
    detail: str | None,
    observed: _Observed = _NOTHING,
) -> UplinkRow:
    """The row, made once: a copy of it for each step on the way costs more than all the steps."""
    uplink = None if said is None else said.uplink
    return UplinkRow(
        device_id=None if device is None else device.device_id,
        device_key=None if uplink is None else uplink.device_key,
        session="" if uplink is None else uplink.session,
        counter=None if uplink is None else uplink.counter,
        payload_hash=_hash(message.topic.encode(errors="replace"), message.raw) if said is None else said.digest,
        network=None if uplink is None else uplink.network,
        topic=message.topic,
        raw=message.raw,
        network_time=None if uplink is None else uplink.network_time,
        received_time=message.received,
        outcome=outcome,
        reason=reason,
        detail=detail,
        observations=observed.observations,
        battery=observed.battery,
        counts=observed.counts,
        quarantined_fields=tuple(sorted({_storable(each.field) for each in observed.refused})),
        rejected=len(observed.refused),
        radio=None if uplink is None else uplink.radio,
        status=None if uplink is None else uplink.status,
        calibrations=observed.calibrations,
    )


def _emptied(message: Message, said: _Said | None, device: RegisteredDevice | None, why: str) -> UplinkRow:
    """That a message came, and none of what it said."""
    row = _row(message, said, device, Outcome.QUARANTINED, PRIVACY, _storable(why))
    return replace(row, raw=REMOVED)


def _without(device: RegisteredDevice, refused: Sequence[_RefusedField]) -> str:
    """Which fields of a message were not stored, and why; each once, for people."""
    details = {each.field: each.detail for each in reversed(refused)}
    said = "; ".join(f"{field[:40]}: {detail}" for field, detail in sorted(details.items()))
    return _storable(f"device {device.key}: stored without {said}"[:1000])


def quarantined(row: UplinkRow, reason: str, detail: str) -> UplinkRow:
    """The same message, kept without observations, and why."""
    return replace(
        row,
        outcome=Outcome.QUARANTINED,
        reason=reason,
        detail=detail,
        observations=(),
        counts=(),
        battery=None,
        quarantined_fields=(),
        rejected=0,
        calibrations=(),
    )


def unstorable(row: UplinkRow) -> str | None:
    """What the database would have against this row, known without asking it; None: nothing that we know of."""
    names = f"{row.topic}{row.device_key or ''}{row.session}"
    # One look at all of it: what cannot be written down cannot be printed either.
    if not names.isprintable() and _storable(names) != names:
        return "topic, device or session has characters that cannot be stored"
    if len(row.device_key or "") + len(row.session) > LONGEST_NAMES:
        return f"device and session together are longer than {LONGEST_NAMES} characters"
    if row.counter is not None and not -(2**63) <= row.counter < 2**63:
        return f"counter {row.counter} is out of range"
    return None


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
    message: Message,
    device: RegisteredDevice,
    model: DeviceModel,
    uplink: Uplink,
    readings: tuple[Reading, ...],
    possible: Clock,
) -> _Observed:
    observations = []
    counts = []
    refused: list[_RefusedField] = []
    stamped: tuple[int, ...] = ()
    counters = model.counters
    attached = not readings
    moments: dict[tuple[datetime | None, timedelta], Moment] = {}  # the readings of a message share a few times
    for reading in readings:
        when = moments.get((reading.time, reading.age))
        if when is None:
            when = moment(reading.time, uplink.network_time, message.received, reading.age, possible)
            moments[reading.time, reading.age] = when
        attachment = device.attachment_at(when.time)
        if attachment is None:
            if any(reading.field in each.fields for each in device.attachments):
                detail = f"measured at {when.time.isoformat()}, when the device was at no station"
                refused.append(_RefusedField(reading.field, "not_attached", detail))
            continue
        attached = True
        if reading.problem is not None:
            if model.decode is None and reading.field not in attachment.fields:
                continue  # of all that a manufacturer's codec tells, what nobody wants
            refused.append(_RefusedField(reading.field, "codec", reading.problem))
            continue
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
        if field.calibrations:
            value, stamps = calibrated(field.calibrations, when.time, value)
            stamped += stamps
        if not math.isfinite(value):
            detail = f"at station {attachment.station_code} its value is {value}"
            refused.append(_RefusedField(reading.field, "not_finite", detail))
            continue
        verdict = when.verdict
        if device.works and verdict.reason is None and device.at_work(when.time):
            verdict = _AT_WORK
        observations.append(ObservationRow(field.datastream_id, when.time, value, verdict.quality, verdict.reason))
    if not attached:
        raise _Refused(
            "not_attached",
            f"device {device.key} was at no station when it measured: correct its attached_from, or attach it",
        )
    if refused and not observations and not counts:
        first = refused[0]
        raise _Refused(first.reason, f"device {device.key}: {first.field[:40]}: {first.detail}")
    battery = _battery(message, model, uplink, readings, possible)
    return _Observed(tuple(observations), tuple(counts), battery, tuple(refused), stamped)


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
    message: Message, model: DeviceModel, uplink: Uplink, readings: tuple[Reading, ...], possible: Clock
) -> BatteryRow | None:
    """The battery as the message tells it; None where it does not. It is of the device, not of the place."""
    said = {reading.field: reading for reading in readings if reading.field in (model.battery_field, "status")}
    battery = said.get(model.battery_field or "")
    if battery is None or battery.value is None or not math.isfinite(battery.value):
        return None
    status = said["status"].value if "status" in said else None
    if status is not None and not math.isfinite(status):
        status = None
    when = moment(battery.time, uplink.network_time, message.received, battery.age, possible)
    charge = battery.value * model.battery_scale
    return BatteryRow(charge, model.says_low(charge, status), when.time, model.battery_unit)


def _digest(message: Message, uplink: Uplink) -> bytes:
    if uplink.event is not None:
        return _hash(message.topic.encode(errors="replace"), message.raw)
    if uplink.readings is not None:
        return _hash(_canonical(uplink.readings))
    if uplink.counter is None and uplink.network_time is not None:
        return _hash(uplink.payload, uplink.network_time.isoformat().encode())
    return _hash(uplink.payload)


def _canonical(readings: tuple[Reading, ...]) -> bytes:
    """The same bytes for the same readings, however the sender ordered or spaced them: a list in JSON."""
    if len(readings) == 1 and readings[0].field.isidentifier() and readings[0].field.isascii():
        one = readings[0]  # mostly it is one, with a name that JSON writes as it is
        time = "" if one.time is None else one.time.isoformat()
        return f'[["{one.field}", "{time}", "{"null" if one.value is None else repr(float(one.value))}"]]'.encode()
    parts = sorted(
        (r.field, "" if r.time is None else r.time.isoformat(), "null" if r.value is None else repr(float(r.value)))
        for r in readings
    )
    return json.dumps(parts).encode()


def _hash(*parts: bytes) -> bytes:
    if len(parts) == 1:
        return hashlib.sha256(parts[0]).digest()
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.digest()


def _storable(text: str) -> str:
    """PostgreSQL keeps neither NUL nor half a surrogate pair."""
    return text.replace("\x00", "\ufffd").encode(errors="replace").decode()
