"""Judges rules over stored observations: a pure function of rule versions and series, with no memory and no clock.

    judged = judge(columns, asked)       # every moment at which something was observed, of every asked rule
    standing(judged, n), excursions(judged, n)

A rule is judged at the times of the observations of its own series, each moment from what had been measured by then
(not: from what had arrived). So the answer is the same in whatever order they came. What is known of a number is an
interval (`alerts.rules.columns`), so a comparison is so, is not so, or nobody knows: a sum with a gap in it can say
"at least 80 mm" and cannot say "less".

A moment *begins* when the version's condition was so at every judged moment for `lasting` without a gap longer than two
and a half steps, and it *ends* when the clearing condition was so for `hold`. The last moment that did either decides
how the rule stands; where none in the window did, it stands as it stood. A gap proves nothing.

Rules of one shape (`condition.shape`) are judged together, their figures as columns: thousands of rules cost about as
much as one. Cost: O(rows x parts of the tree x log rows).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from alerts.rules.columns import FOREVER, SECOND, Columns, Flags, Floats, Ints, micros, moment
from alerts.rules.condition import (
    DAY,
    Body,
    Change,
    Compare,
    Either,
    Every,
    Minus,
    Named,
    Number,
    Reading,
    Reference,
    Series,
    Times,
    Total,
    Usual,
    shape,
    sight,
    walk,
)

_EXACT = 6
_HOUR = 3600 * SECOND
# Where a series is in the columns: of a `Series`, or of a level by its number or its name.
Where = Mapping[Series | int | str, int]


@dataclass(frozen=True, slots=True)
class Asked:
    """One version of a rule at one station. `cause` numbers what can have one open alert: the versions of a rule at a
    station share it. Judged are moments from `since` on, within [`valid_from`, `valid_to`); µs. `on` False: the rule
    was switched off with this version. `key`: its shape where the caller knows it.
    """

    cause: int
    body: Body
    where: Where
    since: int
    valid_from: int = -FOREVER
    valid_to: int = FOREVER
    on: bool = True
    zone: str = "UTC"
    key: str = ""


@dataclass(frozen=True, slots=True)
class Judged:
    """Moments by cause and time. `so`: the condition has been so for long enough; `over`: what clears it has been."""

    cause: Ints
    asked: Ints  # which of the asked
    time: Ints
    so: Flags
    over: Flags


@dataclass(frozen=True, slots=True)
class Excursion:
    """From the first moment at which it was so to the one that ended it; `end` None while nothing has. `last`: the
    last moment at which it was so. `asked`: the version that began it.
    """

    asked: int
    start: datetime
    last: datetime
    end: datetime | None


@dataclass(frozen=True, slots=True)
class Standing:
    """How a rule stands at its newest moment. `open` None: nothing in the window says. `so_now`: at that moment."""

    time: datetime
    open: bool | None
    so_now: bool
    decided: datetime | None
    asked: int


def judge(columns: Columns, asked: Sequence[Asked]) -> Judged:
    """Every judged moment of every asked rule."""
    groups: dict[str, list[int]] = {}
    for n, each in enumerate(asked):
        groups.setdefault(each.key or shape(each.body), []).append(n)
    parts = [_Group(columns, [asked[n] for n in members], members).judged() for members in groups.values()]
    if not parts:
        nothing = np.zeros(0, np.int64)
        return Judged(nothing, nothing, nothing, nothing.astype(bool), nothing.astype(bool))
    which, time, so, over = (np.concatenate(column) for column in zip(*parts, strict=True))
    cause = np.fromiter((each.cause for each in asked), np.int64, len(asked))[which]
    order = np.lexsort((time, cause))
    return Judged(cause[order], which[order], time[order], so[order], over[order])


def standings(judged: Judged, *, not_before: Mapping[int, int] | None = None) -> dict[int, Standing]:
    """cause -> how it stands. `not_before`: what was so until then does not count (a person has cleared it)."""
    so = _counting(judged, not_before)
    decisive = np.flatnonzero(so | judged.over)
    found: dict[int, Standing] = {}
    if not judged.cause.size:
        return found
    causes, starts = np.unique(judged.cause, return_index=True)
    ends = np.append(starts[1:], judged.cause.size)
    last = decisive[np.maximum(np.searchsorted(decisive, ends) - 1, 0)] if decisive.size else np.full(ends.size, -1)
    for cause, start, end, decided in zip(causes.tolist(), starts.tolist(), ends.tolist(), last.tolist(), strict=True):
        known = start <= decided < end
        found[cause] = Standing(
            moment(judged.time[end - 1]),
            bool(so[decided]) if known else None,
            bool(so[end - 1]),
            moment(judged.time[decided]) if known else None,
            int(judged.asked[decided if known else end - 1]),
        )
    return found


def excursions(judged: Judged, *, not_before: Mapping[int, int] | None = None) -> dict[int, list[Excursion]]:
    """cause -> every time it was so, oldest first, as if nothing had been open at the first moment."""
    so = _counting(judged, not_before)
    decisive = np.flatnonzero(so | judged.over)
    cause, up = judged.cause[decisive], so[decisive]
    fresh = np.r_[True, cause[1:] != cause[:-1]] if decisive.size else np.zeros(0, bool)
    before = np.r_[False, up[:-1]] & ~fresh if decisive.size else fresh
    found: dict[int, list[Excursion]] = {}
    begins, ends = np.flatnonzero(up & ~before), np.flatnonzero(~up & before)
    for begin in begins.tolist():
        n = int(np.searchsorted(ends, begin))
        end = int(ends[n]) if n < ends.size and cause[ends[n]] == cause[begin] else None
        if end is None:
            past = int(np.searchsorted(cause, cause[begin], side="right"))
        first, last = decisive[begin], decisive[(end if end is not None else past) - 1]
        found.setdefault(int(cause[begin]), []).append(
            Excursion(
                int(judged.asked[first]),
                moment(judged.time[first]),
                moment(judged.time[last]),
                None if end is None else moment(judged.time[decisive[end]]),
            )
        )
    return found


def first_over(judged: Judged, after: Mapping[int, int]) -> dict[int, int]:
    """cause -> the first moment (µs) after the given one at which what clears it had been so; those that have one."""
    found: dict[int, int] = {}
    for cause, limit in after.items():
        start, end = np.searchsorted(judged.cause, (cause, cause + 1))
        moments = judged.time[start:end][judged.over[start:end] & (judged.time[start:end] > limit)]
        if moments.size:
            found[cause] = int(moments[0])
    return found


def _counting(judged: Judged, not_before: Mapping[int, int] | None) -> Flags:
    if not not_before:
        return judged.so
    causes, inverse = np.unique(judged.cause, return_inverse=True)
    limits = np.fromiter((not_before.get(each, -FOREVER) for each in causes.tolist()), np.int64, causes.size)
    return judged.so & (judged.time > limits[inverse])


def figures(
    columns: Columns, asked: Asked, time: datetime | Sequence[datetime]
) -> list[list[tuple[Compare, float | None, float | None]]]:
    """Per time what each comparison of `when` compared then: (comparison, left, right); None where it is not known
    exactly.
    """
    times = [time] if isinstance(time, datetime) else list(time)
    t = np.array([micros(each) for each in times], dtype=np.int64)
    group = _Group(columns, [asked], [0], np.zeros(t.size, np.int64), t)
    found: list[list[tuple[Compare, float | None, float | None]]] = [[] for _ in times]
    for part in walk(asked.body.when):
        if isinstance(part, Compare):
            left, right = (_exactly(group.interval([side], t)) for side in (part.left, part.right))
            for n in range(t.size):
                found[n].append((part, left[n], right[n]))
    return found


def _exactly(known: tuple[Floats, Floats]) -> list[float | None]:
    """The figure; of what is only known to be at least that much, that much."""
    return [
        low if np.isfinite(low) and (low == high or not np.isfinite(high)) else None
        for low, high in zip(known[0].tolist(), known[1].tolist(), strict=True)
    ]


class _Group:
    """Rules of one shape. A row is a moment of one of them."""

    def __init__(
        self,
        columns: Columns,
        asked: Sequence[Asked],
        members: Sequence[int],
        pair: Ints | None = None,
        time: Ints | None = None,
    ) -> None:
        self.columns, self.asked, self.members = columns, asked, np.array(members, dtype=np.int64)
        self._places: list[Ints] | None = None
        if pair is None or time is None:
            pair, time = self._moments()
        self.pair, self.time = pair, time

    def judged(self) -> tuple[Ints, Ints, Flags, Flags]:
        """(which of the asked, time, so, over) per row."""
        asked = self.asked
        when, over = self.condition([each.body.when for each in asked])
        own = [each.body.clear for each in asked]
        if own[0] is not None:
            over = self.condition([each for each in own if each is not None])[0]
        on = self._of([each.on for each in asked], bool)
        inside = on & self._inside()
        so = self._lasting(when & inside, self._of([each.body.lasting * SECOND for each in asked]))
        over = self._lasting(over | ~inside, self._of([each.body.hold * SECOND for each in asked])) | ~on
        return self.members[self.pair], self.time, so, over & ~so

    def condition(self, parts: Sequence[Any]) -> tuple[Flags, Flags]:
        """(it is so, it is over) per row; neither where nobody knows or within the margin."""
        first = parts[0]
        if isinstance(first, Every | Either):
            inside = [self.condition([each.of[n] for each in parts]) for n in range(len(first.of))]
            so, over = [each[0] for each in inside], [each[1] for each in inside]
            if isinstance(first, Every):
                return np.logical_and.reduce(so), np.logical_or.reduce(over)
            return np.logical_or.reduce(so), np.logical_and.reduce(over)
        left = self.interval([each.left for each in parts], self.time)
        right = self.interval([each.right for each in parts], self.time)
        margin = self._of([each.margin for each in parts], float)
        if first.order == "above":
            return left[0] >= right[1], left[1] < _less(right[0], margin)
        return left[1] < right[0], left[0] >= _less(right[1], -margin)

    def interval(self, parts: Sequence[Any], time: Ints) -> tuple[Floats, Floats]:
        """What is known of an expression, per row, at other times than the rows' where they are given."""
        first = parts[0]
        if isinstance(first, Number):
            value = self._of([each.value for each in parts], float)
            return value, value
        if isinstance(first, Reading | Change | Total):
            stream = self._streams([each.series for each in parts])
            if isinstance(first, Reading):
                return self.columns.reading(stream, time)[:2]
            window = self._of([each.seconds * SECOND for each in parts])
            if isinstance(first, Total):
                return self.columns.total(stream, time, window)
            low, high = self.columns.change(stream, time, window)
            falling = self._of([each.falling for each in parts], bool)
            return np.where(falling, -high, low), np.where(falling, -low, high)
        if isinstance(first, Reference):
            return self.columns.reading(self._streams([each.level for each in parts]), time)[:2]
        if isinstance(first, Named):
            return self.columns.reading(self._streams([each.name for each in parts]), time)[:2]
        if isinstance(first, Usual):
            return self._usual([each.of for each in parts], first.weeks, time)
        if isinstance(first, Times):
            low, high = self.interval([each.of for each in parts], time)
            factor = self._of([each.factor for each in parts], float)
            with np.errstate(invalid="ignore"):
                ends = np.array([low * factor, high * factor])
            ends = np.where(np.isnan(ends), 0.0, ends)  # 0 x unknown
            return np.round(ends.min(0), _EXACT), np.round(ends.max(0), _EXACT)
        left = self.interval([each.left for each in parts], time)
        right = self.interval([each.right for each in parts], time)
        if isinstance(first, Minus):
            right = -right[1], -right[0]
        return np.round(left[0] + right[0], _EXACT), np.round(left[1] + right[1], _EXACT)

    def _usual(self, parts: Sequence[Any], weeks: int, time: Ints) -> tuple[Floats, Floats]:
        values = np.full((weeks, time.size), np.inf)
        for week in range(weeks):
            low, high = self.interval(parts, time - (week + 1) * 7 * DAY * SECOND)
            values[week] = np.where(low == high, low, np.inf)
        known = np.isfinite(values).sum(0)
        values.sort(axis=0)
        rows = np.arange(time.size)
        middle = values[np.maximum(known - 1, 0) // 2, rows], values[np.minimum(known // 2, weeks - 1), rows]
        with np.errstate(invalid="ignore"):
            median = np.round((middle[0] + middle[1]) / 2, _EXACT)
        enough = known >= 2
        return np.where(enough, median, -np.inf), np.where(enough, median, np.inf)

    def _moments(self) -> tuple[Ints, Ints]:
        """Every time at which one of a rule's own series was observed."""
        since = np.fromiter((max(each.since, each.valid_from) for each in self.asked), np.int64, len(self.asked))
        until = np.fromiter((each.valid_to for each in self.asked), np.int64, len(self.asked))
        found = [self.columns.rows_since(streams, since) for streams in self._slots()]
        pair, time = (np.concatenate(column) for column in zip(*found, strict=True))
        inside = time < until[pair]
        pair, time = pair[inside], time[inside]
        if len(found) > 1:
            order = np.lexsort((time, pair))
            pair, time = pair[order], time[order]
            new = np.r_[True, (pair[1:] != pair[:-1]) | (time[1:] != time[:-1])][: pair.size]
            pair, time = pair[new], time[new]
        return pair, time

    def _lasting(self, flags: Flags, seconds: Ints) -> Flags:
        """Whether they have been set at every row of the last `seconds` (µs), without a gap between."""
        if not seconds.any() or not flags.size:
            return flags
        steps = [np.where(streams >= 0, self.columns.step[np.maximum(streams, 0)], 0) for streams in self._slots()]
        patience = np.max(steps, axis=0)[self.pair]
        gap = np.r_[False, 2 * (self.time[1:] - self.time[:-1]) > 5 * patience[1:]]
        apart = np.r_[True, self.pair[1:] != self.pair[:-1]] | gap
        begins = flags & (apart | np.r_[True, ~flags[:-1]])
        start = np.maximum.accumulate(np.where(begins, np.arange(flags.size), 0))
        return flags & (self.time - self.time[start] >= seconds)

    def _slots(self) -> list[Ints]:
        """Where the series of the tree are, per rule; each place in the tree that differs from the others once."""
        if self._places is None:
            named = [sight(each.body).series for each in self.asked]
            slots = {
                tuple(each.where.get(series, -1) for each, series in zip(self.asked, slot, strict=True))
                for slot in zip(*named, strict=True)
            }
            self._places = [np.array(slot, dtype=np.int64) for slot in sorted(slots)]
        return self._places

    def _inside(self) -> Flags:
        """Whether season and hours of its version let anything begin."""
        inside = np.ones(self.time.size, dtype=bool)
        limited = [n for n, each in enumerate(self.asked) if each.body.season or each.body.hours]
        for zone in {self.asked[n].zone for n in limited}:
            of_zone = np.zeros(len(self.asked), dtype=bool)
            of_zone[[n for n in limited if self.asked[n].zone == zone]] = True
            rows = np.flatnonzero(of_zone[self.pair])
            day, minute = _local(self.time[rows], zone)
            members = self.pair[rows]
            for now, spans, code, open_end in (
                (day, [each.body.season for each in self.asked], _day_code, False),
                (minute, [each.body.hours for each in self.asked], _minute_code, True),
            ):
                first = np.array([code(each.first) if each else -1 for each in spans])[members]
                last = np.array([code(each.last) if each else -1 for each in spans])[members]
                after, before = now >= first, now < last if open_end else now <= last
                inside[rows] &= (first < 0) | np.where(first <= last, after & before, after | before)
        return inside

    def _streams(self, of: Sequence[Series | int]) -> Ints:
        found = (each.where.get(series, -1) for each, series in zip(self.asked, of, strict=True))
        return np.fromiter(found, np.int64, len(self.asked))[self.pair]

    def _of(self, values: Sequence[Any], kind: Any = np.int64) -> Any:
        return np.array(values, dtype=kind)[self.pair]


def _less(value: Floats, margin: Floats) -> Floats:
    return np.round(value - margin, _EXACT)


def _day_code(text: str) -> int:
    return int(text[:2]) * 100 + int(text[3:])


def _minute_code(text: str) -> int:
    return int(text[:2]) * 60 + int(text[3:])


def _local(time: Ints, zone: str) -> tuple[Ints, Ints]:
    """(month x 100 + day, minute of the day) as a local clock says them."""
    hours, inverse = np.unique(time // _HOUR, return_inverse=True)
    there = ZoneInfo(zone)
    shifts = (moment(hour * _HOUR).astimezone(there).utcoffset() for hour in hours.tolist())
    shift = np.fromiter((0 if s is None else int(s.total_seconds()) * SECOND for s in shifts), np.int64, hours.size)
    local = time + shift[inverse]
    days = (local // (24 * _HOUR)).astype("datetime64[D]")
    months = days.astype("datetime64[M]")
    code = (months.astype(np.int64) % 12 + 1) * 100 + (days - months).astype(np.int64) + 1
    return code, (local // (60 * SECOND)) % 1440
