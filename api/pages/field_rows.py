"""The rows in which a person says what the fields of a device mean: how they stand in a form and in an address, and
what is wrong with what was typed. The pages of a device model and of a new device have the same rows.

In the form each row has its field's name with a prefix: `is.F` the observed property (empty: not stored), `unit.F`,
`plus.F` the number to add, `times.F` the number to multiply with (empty: by the unit), `down.F` present where the field
is measured downwards from the sensor, `channel.F` the input of a logger.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from devices.mapping import LONGEST_CHANNEL, LONGEST_FIELD, MappingEntry
from devices.model import ObservedProperty
from devices.proposals import LEVELS, Proposal, downward_scale
from devices.units import UnitError, check_unit, conversion

MOST_ROWS = 300
_TYPED = 30  # characters of a number that are worth keeping
_UNIT = 40
_PREFIXES = ("is", "unit", "plus", "times", "down", "channel")


@dataclass(frozen=True, slots=True)
class Row:
    """One field. `plus` and `times` are as typed; `sample` what it said last, in its own unit. `guessed`: its unit is a
    guess. `problem` is a key of the catalogue behind "mapping.problem.", None where the row can be meant.
    """

    field: str
    observed: ObservedProperty | None = None
    unit: str = ""
    plus: str = ""
    times: str = ""
    down: bool = False
    channel: str = ""
    sample: float | None = None
    guessed: bool = False
    problem: str | None = None

    @property
    def level(self) -> bool:
        """Whether it may be measured downwards."""
        return self.observed in LEVELS


def proposed_rows(
    fields: Mapping[str, str | None],
    proposals: Mapping[str, Proposal],
    entries: Iterable[MappingEntry],
    samples: Mapping[str, float],
) -> list[Row]:
    """Rows as they are before anybody typed: what is registered (`entries`) goes before what is proposed."""
    known = {entry.field: entry for entry in entries}
    rows = []
    for field, unit in fields.items():
        entry, proposal = known.get(field), proposals.get(field)
        if entry is not None:
            row = row_of(entry)
        elif proposal is not None:
            row = replace(row_of(proposal.entry), guessed=proposal.guessed, down=proposal.downward)
            # A sensor's height is nothing that can be proposed: better a gap than a wrong level.
            row = replace(row, plus="", times="") if proposal.downward else row
        else:
            row = Row(field)
        rows.append(replace(row, unit=row.unit or unit or "", sample=samples.get(field)))
    return rows


def row_of(entry: MappingEntry) -> Row:
    """An entry as the form shows it."""
    down = False
    if entry.scale is not None and entry.unit is not None and entry.observed_property in LEVELS:
        try:
            down = math.isclose(entry.scale, downward_scale(entry.unit, entry.observed_property))
        except UnitError:
            down = False
    return Row(
        entry.field,
        entry.observed_property,
        entry.unit or "",
        f"{entry.offset:.12g}" if entry.offset or down else "",
        "" if entry.scale is None or down else f"{entry.scale:.12g}",
        down,
        entry.channel,
    )


def typed_rows(rows: Iterable[Row], form: Mapping[str, str], among: Collection[ObservedProperty]) -> list[Row]:
    """The rows with what was typed into them, each checked; `among`: the properties that are to choose from."""
    return checked([_typed(row, form, among) for row in rows])


def typed_fields(form: Mapping[str, str]) -> list[str]:
    """The fields that somebody said something of, as the form names them."""
    names = {name.partition(".")[2]: None for name in form if name.partition(".")[0] in _PREFIXES and "." in name}
    return [name for name in names if 0 < len(name) <= LONGEST_FIELD][:MOST_ROWS]


def address_of(rows: Iterable[Row]) -> dict[str, str]:
    """The rows that mean something, as they stand in an address."""
    query = {}
    for row in rows:
        if row.observed is None:
            continue
        query[f"is.{row.field}"] = row.observed.value
        for name, value in (("unit", row.unit), ("plus", row.plus), ("times", row.times), ("channel", row.channel)):
            if value:
                query[f"{name}.{row.field}"] = value
        if row.down:
            query[f"down.{row.field}"] = "1"
    return query


def checked(rows: Iterable[Row]) -> list[Row]:
    """The rows with their problems: each by itself, and two for one property of one place."""
    seen: set[tuple[ObservedProperty, str]] = set()
    result = []
    for row in rows:
        if row.observed is None:
            result.append(replace(row, problem=None))
            continue
        problem = _problem(row)
        if problem is None and (row.observed, row.channel) in seen:
            problem = "twice"
        seen.add((row.observed, row.channel))
        result.append(replace(row, problem=problem))
    return result


def entry_of(row: Row, *, modulus: int | None = None) -> MappingEntry:
    """What the row says. Of a row without a problem."""
    if row.observed is None:
        return MappingEntry(row.field, None, unit=row.unit or None, modulus=modulus)
    scale = None if not row.times else number(row.times)
    if row.down and row.level:
        scale = downward_scale(row.unit or row.observed.unit, row.observed)
    return MappingEntry(
        row.field, row.observed, row.unit or None, scale, number(row.plus) if row.plus else 0.0, row.channel, modulus
    )


def number(text: str) -> float:
    """A number as people type it, also with the digits and the minus of a Japanese keyboard. ValueError."""
    plain = re.sub(r"[−–ー]", "-", unicodedata.normalize("NFKC", text)).strip().replace(",", "")
    value = float(plain)
    if not math.isfinite(value) or not re.fullmatch(r"[-+0-9.eE]+", plain):
        raise ValueError(text)
    return value


def _typed(row: Row, form: Mapping[str, str], among: Collection[ObservedProperty]) -> Row:
    meant = form.get(f"is.{row.field}", "")
    observed = next((each for each in among if each.value == meant), None)
    if observed is None:
        return replace(row, observed=None, plus="", times="", down=False, guessed=False)
    unit = form.get(f"unit.{row.field}", "").strip()[:_UNIT]
    return replace(
        row,
        observed=observed,
        unit=unit,
        plus=form.get(f"plus.{row.field}", "").strip()[:_TYPED],
        times=form.get(f"times.{row.field}", "").strip()[:_TYPED],
        down=f"down.{row.field}" in form and observed in LEVELS,
        channel=form.get(f"channel.{row.field}", "").strip()[:LONGEST_CHANNEL],
        guessed=row.guessed and unit == row.unit,
    )


def _problem(row: Row) -> str | None:
    assert row.observed is not None
    for text in (row.plus, row.times):
        try:
            if text:
                number(text)
        except ValueError:
            return "number"
    if row.times and number(row.times) == 0:
        return "zero"
    if row.down and not row.plus:
        return "height"
    try:
        if row.times and not row.down:
            check_unit(row.unit or "1")
        else:
            conversion(row.unit or row.observed.unit, row.observed.unit)
    except UnitError:
        return "unit"
    return None
