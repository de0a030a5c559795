"""What an entry of the calendar changed, from the series of its spots and control spots: reads, leaves out, calculates.

    measured(conn, event, others, known, today, relation) -> Measured

The count of a day is the sum over the event's spots; a day counts only where every spot has a number of its own (no
estimate stands for a measurement here) with at least 85 % of its counts, by the method that the days of the event have.
Of an entry for the whole town those spots are added up that have numbers then and before.
Days of other events, campaigns, closures and works at the spots or the controls are left out; school holidays are not,
for they are everywhere. How many days were left out, and why, is part of the answer. Days that are not over are none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from analytics.visitors.day_types import DayType, day_type
from analytics.visitors.events.effect import BASE, LEAST_BASE, MOST_PLACEBO, Effect, Floats, Table, effect
from analytics.visitors.spots.plan import Method
from analytics.visitors.spots.series import SpotDay, days_of
from analytics.visitors.usual import COMPLETE_ENOUGH, Observations
from store import Connection
from store.events import EventKind, LocalEvent

LOOK_BACK = BASE + 7 * MOST_PLACEBO
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Days before the event that are in no calculation, by the reason; each is counted once."""

    other_events: int
    method: int
    missing: int


@dataclass(frozen=True, slots=True)
class Measured:
    """`last` is the last day that is over. `spots` and `controls` are codes."""

    effect: Effect
    spots: tuple[str, ...]
    controls: tuple[str, ...]
    last: date
    left_out: LeftOut


def kind_of(day: date) -> Hashable:
    """What a day is compared with: days of the same kind, and of plain weekdays the same one."""
    kind = day_type(day)
    return (kind, day.weekday()) if kind is DayType.WEEKDAY else kind


def measured(
    conn: Connection,
    event: LocalEvent,
    others: Sequence[LocalEvent],
    known: Mapping[str, int],
    today: date,
    relation: Observations,
) -> Measured | None:
    """The effect of an event as far as its days are over; None where none is, or it has no control spot. `known`: the
    ids of the spots by their code; `others`: what else the calendar has in the `LOOK_BACK` days before.
    """
    entry = event.entry
    controls = tuple(each for each in entry.controls if each in known)
    spots = tuple(each for each in entry.spots or sorted(set(known) - set(controls)) if each in known)
    last = min(entry.last_day, today - _DAY)
    if not controls or not spots or last < entry.first_day:
        return None
    first = entry.first_day - timedelta(days=LOOK_BACK)
    series = days_of(conn, [known[each] for each in (*spots, *controls)], first, last, relation=relation)
    if not entry.spots:
        spots = tuple(each for each in spots if _counts(series[known[each]], entry.first_day)) or spots
    own = [series[known[each]] for each in spots]
    beside = [series[known[each]] for each in controls]
    treated = np.sum([_numbers(each, entry.first_day) for each in own], axis=0)
    apart = np.stack([_numbers(each, entry.first_day) for each in beside], axis=1)
    n = len(treated)
    before = (entry.first_day - first).days
    busy = np.zeros(n, dtype=bool)
    for other in others:
        if other.event_id != event.event_id and _concerns(other, {*spots, *controls}):
            start, end = (other.entry.first_day - first).days, (other.entry.last_day - first).days + 1
            busy[max(0, start) : max(0, min(end, before))] = True
    switched = np.zeros(n, dtype=bool)
    for each in (*own, *beside):
        switched |= _other_method(each, entry.first_day)
    began = np.flatnonzero(np.isfinite(treated) & np.isfinite(apart).all(axis=1))
    since = int(began[0]) if len(began) else before
    treated[busy] = np.nan
    unknown = ~np.isfinite(treated) | ~np.isfinite(apart).all(axis=1)
    left = LeftOut(
        int(busy[since:before].sum()),
        int((switched & ~busy)[:before].sum()),
        int((unknown & ~busy & ~switched)[since:before].sum()),
    )
    found = effect(Table(first, treated, apart), entry.first_day, last, kind_of)
    return Measured(found, spots, controls, last, left)


def _concerns(other: LocalEvent, spots: set[str]) -> bool:
    if other.withdrawn or other.entry.kind is EventKind.SCHOOL_HOLIDAY:
        return False
    return not other.entry.spots or bool(spots & set(other.entry.spots))


def _counts(days: Sequence[SpotDay], first: date) -> bool:
    """Whether a spot has numbers in the days of the event, and enough of them before."""
    known = np.isfinite(_numbers(days, first))
    in_event = np.array([each.day >= first for each in days])
    return bool(known[in_event].any() and known[~in_event].sum() >= LEAST_BASE)


def _method(days: Sequence[SpotDay], first: date) -> Method:
    """The method of the days of the event."""
    return Counter(each.method for each in days if each.day >= first).most_common(1)[0][0]


def _other_method(days: Sequence[SpotDay], first: date) -> Floats:
    method = _method(days, first)
    return np.array([each.visitors is not None and _another(each, method) for each in days])


def _another(each: SpotDay, method: Method) -> bool:
    return each.method is not method or each.method_before is not None


def _numbers(days: Sequence[SpotDay], first: date) -> Floats:
    """(n,): nan where there is none that can be compared."""
    method = _method(days, first)
    return np.array(
        [
            float(each.visitors)
            if each.visitors is not None
            and each.visitors >= 0
            and each.state == "ok"
            and each.completeness >= COMPLETE_ENOUGH
            and not _another(each, method)
            else np.nan
            for each in days
        ]
    )
