"""What the fields of a device model mean, and for one device otherwise: entries as people write them -> rows that
ingest multiplies with.

    resolve(defaults, own, series) -> tuple[Resolved, ...]

An entry says which field is which observed property. With a `scale`, value = field x scale + offset. Without one the
field's `unit` is converted into that of the property (`devices.units`), and `offset`, in the unit of the property, is
added. A device's own entry goes before that of its model for the same field, and for the same property of the same
station.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from devices.model import DevicesError, ObservedProperty, Statistic
from devices.units import UnitError, check_unit, conversion

LONGEST_FIELD = 200
LONGEST_CHANNEL = 40
HIGHEST_MODULUS = 2**31 - 1
_NOTHING: Mapping[int, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class MappingEntry:
    """One field of a codec, as a person says what it is.

    `observed_property` None: the field is known and not stored. `unit`: UCUM, of the field as the codec gives it; None
    where nobody knows. `scale` None: by the units. `channel` names the input of a logger that gives the field; empty:
    the device's own station. `modulus` (of a model's entry only): the field counts on from message to message and is 0
    again at this count.
    """

    field: str
    observed_property: ObservedProperty | None
    unit: str | None = None
    scale: float | None = None
    offset: float = 0.0
    channel: str = ""
    modulus: int | None = None


@dataclass(frozen=True, slots=True)
class Resolved:
    """value of the datastream = field x scale + offset."""

    field: str
    datastream_id: int
    scale: float
    offset: float


class MappingError(DevicesError):
    """An entry cannot be meant like this; `field` is the codec's field, the text says what is wrong and what to do."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def factors(entry: MappingEntry) -> tuple[float, float] | None:
    """(scale, offset) from the field to the unit of its property; None for a field that is not stored.

    A field without unit and scale is taken to be in the property's unit. Raises MappingError where the units cannot be
    converted, or a number is none.
    """
    if entry.observed_property is None:
        return None
    if not math.isfinite(entry.offset):
        raise MappingError(entry.field, f"field {entry.field}: the offset {entry.offset} is no number")
    if entry.scale is not None:
        if entry.scale == 0 or not math.isfinite(entry.scale):
            raise MappingError(
                entry.field,
                f"field {entry.field}: the scale is {entry.scale:g}, then no value says anything: give another",
            )
        return entry.scale, entry.offset
    if entry.unit is None:
        return 1.0, entry.offset
    try:
        scale, offset = conversion(entry.unit, entry.observed_property.unit)
    except UnitError as error:
        raise MappingError(entry.field, f"field {entry.field}: {error}") from None
    return scale, offset + entry.offset


def check(entries: Iterable[MappingEntry], counters: Container[str] = ()) -> None:
    """Raises MappingError for the first entry that cannot be meant. `counters`: the fields that count on from message
    to message, beside those whose entry has a modulus.
    """
    seen: set[str] = set()
    for entry in entries:
        name = f"field {entry.field[:40]}"
        if not entry.field or len(entry.field) > LONGEST_FIELD or not _storable(entry.field):
            raise MappingError(entry.field, f"{name}: a field has a name of 1 to {LONGEST_FIELD} characters")
        if entry.field in seen:
            raise MappingError(entry.field, f"{name} is there twice: one field can be one property only")
        seen.add(entry.field)
        if len(entry.channel) > LONGEST_CHANNEL or not _storable(entry.channel):
            raise MappingError(entry.field, f"{name}: a channel has at most {LONGEST_CHANNEL} characters")
        if entry.unit is not None:
            try:
                check_unit(entry.unit)
            except UnitError as error:
                raise MappingError(entry.field, f"{name}: {error}") from None
        if entry.modulus is not None and not 2 <= entry.modulus <= HIGHEST_MODULUS:
            raise MappingError(
                entry.field, f"{name}: a counter begins anew at 2 to {HIGHEST_MODULUS}, not at {entry.modulus}"
            )
        found = factors(entry)
        if found is not None and (entry.modulus is not None or entry.field in counters):
            _check_counter(entry, *found)


def _check_counter(entry: MappingEntry, scale: float, offset: float) -> None:
    assert entry.observed_property is not None
    if entry.observed_property.statistic is not Statistic.TOTAL:
        raise MappingError(
            entry.field,
            f"field {entry.field} is a counter: it gives a sum over time, and {entry.observed_property} is none",
        )
    if scale < 0 or offset != 0:
        raise MappingError(
            entry.field,
            f"field {entry.field} is a counter: its scale says what one count is worth (above 0), and it has no offset",
        )


def resolve(
    defaults: Sequence[MappingEntry],
    own: Sequence[MappingEntry],
    series: Mapping[str, Mapping[ObservedProperty, int]],
    counters: Iterable[str] = (),
    taken: Mapping[int, str] = _NOTHING,
) -> tuple[Resolved, ...]:
    """The rows for one device at one place.

    `series`: channel -> property -> datastream; the channel '' is the device's own station. `counters` as in `check`.
    `taken`: datastreams that another device feeds -> its key.

    An own entry without unit has that of the model. A default for which there is no datastream to feed here is left
    out; an own entry of that kind is a MappingError, like two fields for one datastream.
    """
    known = {entry.field: entry for entry in defaults}
    own = [_with_unit(entry, known.get(entry.field)) for entry in own]
    check(own, {*counters, *(entry.field for entry in defaults if entry.modulus is not None)})
    fed = {datastream_id: f"device {key}" for datastream_id, key in taken.items()}
    found = []
    for entry in own:
        row = _row(entry, series, fed)
        if row is not None:
            fed[row.datastream_id] = f"field {entry.field}"
            found.append(row)
    said = {entry.field for entry in own}
    for entry in defaults:
        datastream_id = _datastream(entry, series)
        if entry.field in said or datastream_id is None or datastream_id in fed:
            continue
        row = _row(entry, series, fed)
        if row is not None:
            fed[row.datastream_id] = f"field {entry.field}"
            found.append(row)
    return tuple(found)


def _with_unit(entry: MappingEntry, default: MappingEntry | None) -> MappingEntry:
    return entry if entry.unit is not None or default is None else replace(entry, unit=default.unit)


def _datastream(entry: MappingEntry, series: Mapping[str, Mapping[ObservedProperty, int]]) -> int | None:
    if entry.observed_property is None:
        return None
    return series.get(entry.channel, {}).get(entry.observed_property)


def _row(
    entry: MappingEntry, series: Mapping[str, Mapping[ObservedProperty, int]], fed: Mapping[int, str]
) -> Resolved | None:
    found = factors(entry)
    if found is None or entry.observed_property is None:
        return None
    name = f"field {entry.field}"
    if entry.channel not in series:
        raise MappingError(
            entry.field,
            f"{name}: nobody said which station the input {entry.channel!r} watches: say it, or take the field out",
        )
    datastream_id = _datastream(entry, series)
    if datastream_id is None:
        there = ", ".join(sorted(series[entry.channel])) or "none"
        raise MappingError(
            entry.field,
            f"{name}: its station has no series {entry.observed_property}, it has {there}: add it, or choose another",
        )
    if datastream_id in fed:
        raise MappingError(
            entry.field,
            f"{name}: {entry.observed_property} of this station is already fed by {fed[datastream_id]}: "
            "take one of them out",
        )
    return Resolved(entry.field, datastream_id, *found)


def _storable(text: str) -> bool:
    """PostgreSQL keeps neither NUL nor half a surrogate pair."""
    return "\x00" not in text and not any("\ud800" <= character <= "\udfff" for character in text)
