"""What the fields of a device probably mean: proposals that a person judges and may change.

    propose(fields, templates, samples) -> {field: Proposal}

A field is known by its name (`Template.property_of`), its unit by what the codec declares, else by the end of the name
(`level_mm`), else, for lengths and pressures, by the size of what it measured: then `guessed` says that nobody knew. A
property gets one field, the one whose name tells most. What is measured downwards from the sensor (a distance) becomes
a level by subtraction: `downward`; from what height only whoever mounted the sensor knows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from devices.mapping import MappingEntry
from devices.model import ObservedProperty
from devices.templates import Template
from devices.units import UnitError, conversion

_P = ObservedProperty
LEVELS = frozenset({_P.WATER_LEVEL, _P.TANK_LEVEL})
_DOWNWARD = re.compile(r"(?:^|[._])(?:distance|dist|ullage|air_gap)(?:$|[._])")

# Of a property, the units in which devices bring it, the property's own first: what a person may choose from.
UNITS: Mapping[ObservedProperty, tuple[str, ...]] = {
    _P.WATER_LEVEL: ("m", "cm", "mm"),
    _P.TANK_LEVEL: ("m", "cm", "mm"),
    _P.PRECIPITATION: ("mm",),
    _P.FLOW: ("m3/h", "L/min", "L/s", "m3/s"),
    _P.PRESSURE: ("kPa", "MPa", "bar", "Pa", "hPa"),
    _P.RESIDUAL_CHLORINE: ("mg/L", "ug/L"),
}
# The largest value that is likelier in this unit than in the next finer one: a level of 30 is no 30 m, it is 30 cm.
_LIKELY: Mapping[ObservedProperty, tuple[tuple[float, str], ...]] = {
    _P.WATER_LEVEL: ((20.0, "m"), (600.0, "cm"), (float("inf"), "mm")),
    _P.TANK_LEVEL: ((20.0, "m"), (600.0, "cm"), (float("inf"), "mm")),
    _P.PRESSURE: ((2.0, "MPa"), (20.0, "bar"), (3000.0, "kPa"), (float("inf"), "Pa")),
}
_CHANNEL = re.compile(r"[_ -]?\d+$")
_ENDINGS = {
    "mm": "mm", "cm": "cm", "m": "m", "kpa": "kPa", "mpa": "MPa", "hpa": "hPa", "pa": "Pa", "bar": "bar",
    "m3h": "m3/h", "lps": "L/s", "lpm": "L/min",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a field probably means. `guessed`: its unit is a guess by the size of its values; `downward`: it is measured
    down from the sensor, and the entry's offset is still to be said by a person.
    """

    entry: MappingEntry
    guessed: bool = False
    downward: bool = False


def propose(
    fields: Mapping[str, str | None], templates: Iterable[Template], samples: Mapping[str, float]
) -> dict[str, Proposal]:
    """Proposals for the fields (name -> unit, None where the codec does not declare it) that mean something at one of
    these kinds of place; `samples`: a value that a field had. A template that comes first is asked first.
    """
    found: dict[str, Proposal] = {}
    taken: set[ObservedProperty] = set()
    for template in templates:
        named = [(field, _property(template, field)) for field in fields if field not in found]
        for field, observed in sorted(named, key=lambda each: _rank(template, *each)):
            if observed is None or observed in taken:
                continue
            proposal = _of(field, fields[field], observed, samples.get(field))
            if proposal is not None:
                found[field] = proposal
                taken.add(observed)
    return found


def units_of(observed: ObservedProperty) -> tuple[str, ...]:
    """The units to choose from for a field that is to become this property."""
    return UNITS.get(observed, (observed.unit,))


def downward_scale(unit: str, observed: ObservedProperty) -> float:
    """What a distance in `unit` is multiplied with, so that it counts down in the unit of the property. UnitError."""
    return -conversion(unit, observed.unit)[0]


def _property(template: Template, field: str) -> ObservedProperty | None:
    """What the field is by its name, with or without the number of a channel at its end (`distance_1`)."""
    return template.property_of(field) or template.property_of(_CHANNEL.sub("", field))


def _rank(template: Template, field: str, observed: ObservedProperty | None) -> int:
    """How telling a field's name is: 0 is the most."""
    if observed is None:
        return 0
    usual = template.fields[observed]
    name = field.strip().lower().replace("-", "_").replace(" ", "_")
    return next((i for i, each in enumerate(usual) if each in (name, name.rpartition(".")[2])), len(usual))


def _of(field: str, unit: str | None, observed: ObservedProperty, sample: float | None) -> Proposal | None:
    """None where the declared unit cannot become the property's: then the name has said too much."""
    guessed = False
    if unit in (None, "1") and observed in UNITS:
        unit = _by_name(field, observed)
        if unit is None:
            unit, guessed = _by_size(observed, sample), True
    unit = unit or observed.unit
    downward = observed in LEVELS and _DOWNWARD.search(field.lower().replace("-", "_").replace(" ", "_")) is not None
    try:
        scale = downward_scale(unit, observed) if downward else None
        if not downward and unit != observed.unit:
            conversion(unit, observed.unit)
    except UnitError:
        return None
    return Proposal(MappingEntry(field, observed, unit=unit, scale=scale), guessed, downward)


def _by_name(field: str, observed: ObservedProperty) -> str | None:
    ending = _ENDINGS.get(re.split(r"[._\s-]", field.lower())[-1])
    return ending if ending in units_of(observed) else None


def _by_size(observed: ObservedProperty, sample: float | None) -> str:
    if sample is None or observed not in _LIKELY:
        return observed.unit
    return next(unit for largest, unit in _LIKELY[observed] if abs(sample) <= largest)
