"""What the town tells of simulated places, and how much of what is wrong there that finds.

Told is what the product tells: the gate's verdicts by the rules of the demo's town, the learnt checks where
`analytics.doubts` lets them speak, the silence rule of the alerts, and the clock in a device's daily figures. Values
told side by side are one event, as `analytics.doubts` has them.

A fault is found where an event overlaps it; an event that overlaps one is right. What begins within `AFTER` of its end
is neither right nor false: when a sensor is put right its values jump once more.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import numpy as np
import numpy.typing as npt

from alerts.device_health import OTHER_DAYS
from alerts.rules.silence import Hearing, Listened, hearing
from analytics.doubts import judging_of, linger, told_of
from analytics.judging import Judging
from devices.model import Datastream, ObservedProperty, Quality, Reason
from mimamori.bench.quality_places import Heard
from quality.device_health import clock_drift
from quality.estimator import Floats
from quality.gate import Rules, free_of, judge
from quality.neighbours import Near
from simulators.faults import Fault, FaultKind
from simulators.mass import at

AFTER = 86400.0  # s
SILENCE = "silence"
REASONS = tuple(Reason)
_DAY = 86400.0

_ROWS = 288  # judged at a time
_NEAR = 1000  # so many rows back the values before are looked for

Why = npt.NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class Event:
    """Something told of one series, from the first to the last time it is told (s since 1970)."""

    first: float
    last: float
    reason: str


@dataclass(slots=True)
class Tally:
    """Of one property and one kind of fault: `faults` that could be told, of which `found`; `excused` ones that nothing
    came of, or that stood still no longer than the town allows; events `told`, of which `right`; how long each took, in
    values (None: it is told of a device) and hours; what the
    first event of each was told as, and what was told wrongly; months of the series.
    """

    faults: int = 0
    excused: int = 0
    found: int = 0
    told: int = 0
    right: int = 0
    months: float = 0.0
    waits: list[tuple[int | None, float]] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)

    def add(self, other: Tally) -> None:
        for name in ("faults", "excused", "found", "told", "right", "months", "waits", "reasons", "wrong"):
            setattr(self, name, getattr(self, name) + getattr(other, name))


def tells(kind: FaultKind, observed: ObservedProperty, stream: Datastream) -> bool:
    """Whether a fault of this kind is to be told of this property, as the town and the product are set."""
    told = told_of(observed, limited=False)
    beside = Reason.NEIGHBOURS in told
    return {
        FaultKind.STUCK: stream.stuck_after is not None or Reason.STUCK in told,
        FaultKind.DRIFT: Reason.DRIFT in told or beside,
        FaultKind.SPIKE: Reason.SPIKE in told or stream.max_rate is not None,
        FaultKind.STEP: Reason.STEP in told or beside,
        FaultKind.NOISE: Reason.NOISE in told,
        FaultKind.RANGE: stream.valid_range != (None, None),
    }.get(kind, True)


def tally(heard: Heard, observed: ObservedProperty) -> dict[FaultKind | None, Tally]:
    """What is found of one property, each place by itself, by the kind of fault; None: where nothing breaks."""
    stream = heard.streams[observed]
    why, values = gated(heard, observed)
    learnt(judging_of(observed)(), heard.times, values, np.empty((values.shape[1], 0), dtype=np.intp), stream, why)
    found: dict[FaultKind | None, Tally] = {}
    for column, lot in enumerate(heard.lots):
        if lot.of is not None and lot.of is not observed:
            continue
        if lot.of is None and any(each.of is observed and each.kind is lot.kind for each in heard.lots):
            continue  # of what is measured first; here it is the other
        found.setdefault(lot.kind, Tally()).add(counted(heard, column, observed, why[:, column]))
    return found


def counted(heard: Heard, column: int, observed: ObservedProperty, why: Why) -> Tally:
    """What of one series is told, and what is found by that; `why` as of `gated`, shape (rows,)."""
    stream, lot = heard.streams[observed], heard.lots[column]
    known = np.flatnonzero(~np.isnan(heard.values[observed][:, column]))
    times = heard.times[known, column]
    told = [
        *_events(times, why[known], linger(stream.interval)),
        *_silences(heard, column),
        *(_clocks(heard, column) if lot.kind in (None, FaultKind.CLOCK) else ()),
    ]
    judged = [each for each in told if each.last >= heard.judged_from]
    return _compared(heard, column, stream, times, judged)


# --- what is told --------------------------------------------------------------------------------------------


def gated(heard: Heard, observed: ObservedProperty) -> tuple[Why, Floats]:
    """Why each value is told by the gate, shape (rows, n): 1 + its number in `REASONS`, else 0; and the values that say
    something, nan in place of the others.
    """
    stream = heard.streams[observed]
    values = heard.values[observed].copy()
    why = np.where(heard.aside & ~np.isnan(values), _number(Reason.CLOCK), 0).astype(np.int8)
    values[heard.aside] = np.nan
    rules = Rules(
        stream.interval, *stream.valid_range, stream.max_rate, stream.stuck_after, free_of(observed, stream.max_rate)
    )
    for column in range(values.shape[1]):
        known = np.flatnonzero(~np.isnan(heard.times[:, column]))
        for row, verdict in zip(known, judge(rules, heard.times[known, column], values[known, column]), strict=True):
            if verdict.reason is not None:
                why[row, column] = _number(verdict.reason)
                if verdict.quality is Quality.BAD:
                    values[row, column] = np.nan
    return why, values


def learnt(judging: Judging, times: Floats, values: Floats, beside: Near, stream: Datastream, why: Why) -> None:
    """Adds what the learnt checks tell of values that are good until now. `beside`: of each series the columns of its
    neighbours, which have the same rows.
    """
    allowed = told_of(stream.observed_property, limited=stream.stuck_after is not None)
    if not allowed:
        return
    state = judging.begin(values.shape[1])
    there, good = ~np.isnan(values), (why == 0) & ~np.isnan(values)
    for first in range(0, len(values), _ROWS):
        part = slice(first, first + _ROWS)
        found = judging.step(state, times[part], values[part], beside)
        for column in range(values.shape[1]):
            for row, back, reason, _ in found.of(column, allowed):
                rows = np.array([first + row])
                if back:
                    begin = max(0, first + row - _NEAR)
                    rows = begin + np.flatnonzero(there[begin : first + row, column])[-back:]
                why[rows[good[rows, column]], column] = _number(reason)


def _number(reason: Reason) -> int:
    return 1 + REASONS.index(reason)


def _events(times: Floats, why: Why, apart: timedelta) -> Iterator[Event]:
    """What is told of one series, side by side."""
    current: Event | None = None
    for number in np.flatnonzero(why):
        time = float(times[number])
        if current is not None and time - current.last <= apart.total_seconds():
            current = Event(current.first, time, current.reason)
            continue
        if current is not None:
            yield current
        current = Event(time, time, REASONS[why[number] - 1].value)
    if current is not None:
        yield current


def _silences(heard: Heard, column: int) -> Iterator[Event]:
    """When the silence rule had raised an alert, and the message that ended it."""
    came = heard.heard[:, column]
    came = came[~np.isnan(came)]
    patience = heard.device.silence_after
    listening = at(float(came[0]))
    for number in np.flatnonzero(np.diff(came) > patience.total_seconds()):
        raised = float(came[number]) + patience.total_seconds()
        device = Listened(heard.device.key, patience, listening, at(float(came[number])))
        if hearing(device, listening, at(raised) + timedelta(seconds=1)) is Hearing.SILENT:
            yield Event(raised, float(came[number + 1]), SILENCE)


def _clocks(heard: Heard, column: int) -> Iterator[Event]:
    """The days after which the device's daily figures said that its clock is wrong."""
    if not heard.clock:
        return
    offsets: dict[int, float] = {}
    for row in np.flatnonzero(~np.isnan(heard.heard[:, column]) & ~heard.aside[:, column]):
        day = int(heard.heard[row, column] // _DAY)
        offsets[day] = max(offsets.get(day, -np.inf), float(heard.times[row, column] - heard.heard[row, column]))
    current: Event | None = None
    for day in range(min(offsets), max(offsets) + 1):
        known = [each for each in offsets if day - OTHER_DAYS < each <= day]
        drift = clock_drift(known, [offsets[each] for each in known])
        over = (day + 1) * _DAY
        if drift is not None and drift.wrong:
            current = Event(over if current is None else current.first, over, Reason.CLOCK.value)
        elif current is not None:
            yield current
            current = None
    if current is not None:
        yield current


# --- compared with what is wrong -------------------------------------------------------------------------------


def _compared(heard: Heard, column: int, stream: Datastream, times: Floats, told: Sequence[Event]) -> Tally:
    found = Tally(months=heard.months)
    windows = [_window(heard, fault) for fault in heard.faults[column]]
    for fault, (start, end) in zip(heard.faults[column], windows, strict=True):
        if _excused(fault, stream, times, start, end):
            found.excused += 1
            continue
        found.faults += 1
        overlapping = [each for each in told if each.first <= end and each.last >= start]
        if overlapping:
            event = min(overlapping, key=lambda each: each.first)
            found.found += 1
            found.reasons[event.reason] += 1
            found.waits.append(_wait(event, times, start))
    for event in told:
        right = any(event.first <= end and event.last >= start for start, end in windows)
        after = any(end < event.first <= end + AFTER for _, end in windows)
        if right or not (after or event.reason == SILENCE):  # who was silent, and not broken, was silent
            found.told += 1
            found.right += right
            found.wrong[event.reason] += not right
    return found


def _window(heard: Heard, fault: Fault) -> tuple[float, float]:
    """From when to when something is wrong with what comes."""
    assert fault.end is not None
    start, end = fault.start.timestamp(), fault.end.timestamp()
    if fault.kind is FaultKind.SPIKE:  # the first value after it
        return start, start + heard.period + 60.0
    if fault.kind is FaultKind.BATTERY:
        return fault.silent_from.timestamp(), end
    return start, end


def _excused(fault: Fault, stream: Datastream, times: Floats, start: float, end: float) -> bool:
    """Whether nobody could tell it: nothing came of it, or the town allows a standstill of that length."""
    if "silent_after_hours" in fault.parameters:
        return False
    if fault.kind is FaultKind.STUCK and stream.stuck_after is not None:
        return end - start <= stream.stuck_after.total_seconds()
    return bisect_left(times, start) == bisect_left(times, end)


def _wait(event: Event, times: Floats, start: float) -> tuple[int | None, float]:
    hours = max(0.0, event.first - start) / 3600
    if event.reason == SILENCE:
        return None, hours
    return max(0, bisect_left(times, event.first) - bisect_left(times, start)), hours
