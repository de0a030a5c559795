"""The duty cycle of a device in a town file, for those whose pace depends on what they measure:

    duty:
      of: water_level                  whose values decide; may be left out
      interval: 24h                    how often it speaks below the first start level
      above:
        - {start: 1.20, stop: 1.00, interval: 10min, silence_after: 25min}

`silence_after` of a mode may be left out: two and a half intervals. That of the device itself is the calm mode's.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from devices.duty import WATER_LEVEL, DutyCycle, Mode, patience, wrong_with
from devices.yaml_reader import Mapping, YamlReader


def read_duty(
    reader: YamlReader, device: Mapping, silence_after: timedelta | None, mapped: Iterable[str]
) -> DutyCycle | None:
    """The duty cycle of a device, None where it has none or a mistake, noted in `reader`, leaves nothing to build.

    `mapped`: the observed properties that the device feeds.
    """
    node = device.get("duty")
    entry = None if node is None else reader.mapping(node, f"{device.name}: duty")
    if entry is None:
        return None
    before = reader.problems
    entry.only(("of", "interval", "above"))
    of = entry.text("of") if entry.get("of") is not None else WATER_LEVEL
    known = list(mapped)
    if of is not None and of not in known:
        reader.problem(
            entry.keys.get("of", entry),
            f"{entry.name}: the device does not measure {of!r}, so its pace cannot depend on it; "
            f"'of' can be {', '.join(known) or 'nothing'}",
        )
    interval = entry.duration("interval")
    above = _modes(reader, entry)
    if reader.problems > before or of is None or interval is None or silence_after is None:
        return None
    calm = Mode(interval, silence_after)
    wrong = wrong_with(calm, above)
    if wrong is not None:
        reader.problem(entry, f"{entry.name}: {wrong}")
        return None
    return DutyCycle(calm, above, of)


def _modes(reader: YamlReader, duty: Mapping) -> tuple[Mode, ...]:
    node = duty.required("above")
    modes = []
    for entry in () if node is None else reader.mappings(node, f"{duty.name}: above"):
        entry.name = f"{duty.name}: mode"
        entry.only(("start", "stop", "interval", "silence_after"))
        start, stop, interval = entry.number("start"), entry.number("stop"), entry.duration("interval")
        given = entry.duration("silence_after") if entry.get("silence_after") is not None else None
        if start is not None and stop is not None and interval is not None:
            modes.append(Mode(interval, given or patience(interval), start, stop))
    return tuple(modes)
