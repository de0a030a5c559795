"""How many are in an event's area now: the sum of who went in less who came out, with how far that can be wrong.

    counted = Counted(passages, gates, plan, counts)
    counted.present(at) -> Present
    counted.course(at) -> [Row]        the same every five minutes, with in and out of each gate

滞在推定, never a count of people: every passage that a counter misses or takes twice stays in the sum. So the estimate
goes on from the newest manual count (`Base`; before the first one from nobody at the beginning), and its bounds grow
with what has passed since then:

    half = sqrt( sum over gates of error^2 (in^2 + out^2) + (what nobody knows to have passed before or after it)^2 )

`error` is the share by which a counter is wrong in a direction in nine cases of ten, so the bounds hold as often
where counters are wrong independently of one another and of the direction. Where all of them miss alike, in and
out, the sum is better than said; where one misses in one direction only (people come in side by side and leave one by
one), it is the `error` of that one that has to be set higher: the table of manual counts shows it.

Nobody can be less than nobody there: where the sum has been below zero, people were missed on their way in, at least so
many. The lowest value is lifted to zero and all that follows with it (`lifted`, shown as part of the drift).

What did not come is unknown, not zero. With a gate of which more than `MOST_MISSING` of the time since the base is not
there, or whose newest count is older than `LATEST` of its steps, there is no estimate; with less the estimate is
`partial` and says which gate. A count that covers the time of a base is taken in proportion. Cost: O(n log n) once,
O(gates log n) a moment.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import accumulate
from math import ceil

from store.event_days import Count, Plan

CELL = timedelta(minutes=5)
MOST_MISSING = 0.15  # of the time since the base
LATEST = 3  # steps
CLEAR = 0.95  # a step of capacity is over below this part of it


class State(StrEnum):
    """What there is to say."""

    BEFORE = "before"  # it has not begun
    OK = "ok"
    PARTIAL = "partial"  # a gate has gaps
    UNKNOWN = "unknown"  # a gate has too many, or gives nothing now
    OVER = "over"


@dataclass(frozen=True, slots=True)
class Gate:
    """An entrance: a station with counters. `step` between two counts; `series` (in, out) of its datastreams, already
    turned where it is mounted the other way round.
    """

    station_id: int
    code: str
    name: str
    name_en: str
    step: timedelta
    series: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Passage:
    """Counted in (end - step, end]; only what is usable."""

    datastream_id: int
    end: datetime
    n: float


@dataclass(frozen=True, slots=True)
class Flow:
    """What a gate counted since the beginning: `missing` of the time (0..1), `newest` count, None: nothing came."""

    gate: Gate
    inwards: float
    outwards: float
    missing: float
    newest: datetime | None
    late: bool


@dataclass(frozen=True, slots=True)
class Check:
    """A manual count beside what was estimated up to then."""

    count: Count
    estimated: float | None

    @property
    def apart(self) -> float | None:
        return None if self.estimated is None else self.estimated - self.count.present


@dataclass(frozen=True, slots=True)
class Present:
    """`estimate` of people in [`low`, `high`]; None: unknown. `base` is the manual count it goes on from. `imbalance`:
    in less out since the beginning, `lifted` people at least that were missed on their way in since the base.
    `step`: how many of the steps of capacity are reached; None where it is unknown.
    """

    at: datetime
    state: State
    estimate: int | None
    low: int | None
    high: int | None
    base: Count | None
    inwards: float
    outwards: float
    lifted: float
    step: int | None
    flows: tuple[Flow, ...]
    checks: tuple[Check, ...] = ()

    @property
    def imbalance(self) -> float:
        return self.inwards - self.outwards

    @property
    def troubled(self) -> tuple[Flow, ...]:
        return tuple(each for each in self.flows if each.late or each.missing > 0)


@dataclass(frozen=True, slots=True)
class Row:
    """Five minutes (or a counter's step, where that is longer) up to `end`: `gates` (in, out) of each gate by its
    station, None where nothing usable came.
    """

    start: datetime
    end: datetime
    gates: Mapping[int, tuple[float | None, float | None]]
    estimate: int | None
    low: int | None
    high: int | None


class _Series:
    """What one series counted: sums from any moment to any other."""

    def __init__(self, passages: Sequence[Passage], step: timedelta) -> None:
        self.step = step
        self.ends = [each.end for each in passages]
        self.numbers = [each.n for each in passages]
        self._sums = list(accumulate(self.numbers, initial=0.0))

    def between(self, since: datetime, until: datetime) -> tuple[float, int, float]:
        """Passages in (since, until], how many counts they come from, and how uncertain the first of them is."""
        first, last = bisect_right(self.ends, since), bisect_right(self.ends, until)
        if first >= last:
            return 0.0, 0, 0.0
        share = min(1.0, (self.ends[first] - since) / self.step)
        total = self._sums[last] - self._sums[first] - (1 - share) * self.numbers[first]
        return total, last - first, self.numbers[first] * min(share, 1 - share)

    def newest(self, until: datetime) -> datetime | None:
        """The newest count by then."""
        place = bisect_right(self.ends, until)
        return self.ends[place - 1] if place else None

    def cell(self, start: datetime, end: datetime, since: datetime) -> float | None:
        """What was counted in a cell, of it after `since`; None unless all of its counts are there."""
        first, last = bisect_right(self.ends, start), bisect_right(self.ends, end)
        whole = last > first and last - first >= int((end - start) / self.step)
        if not whole:
            return None
        return self.between(since, end)[0] if start < since else self._sums[last] - self._sums[first]


class _Stretch:
    """The estimate from a base on: at each moment how many there are, and the least there have been."""

    def __init__(self, base: Count | None, plan: Plan, gates: Mapping[int, tuple[_Series, _Series]]) -> None:
        self.base = base
        self.since = plan.starts_at if base is None else base.at
        steps: dict[datetime, float] = {}
        for pair in gates.values():
            for series, sign in zip(pair, (1, -1), strict=True):
                for place in range(bisect_right(series.ends, self.since), len(series.ends)):
                    end = series.ends[place]
                    share = min(1.0, (end - self.since) / series.step)
                    steps[end] = steps.get(end, 0.0) + sign * share * series.numbers[place]
        self._moments = sorted(steps)
        start = 0.0 if base is None else float(base.present)
        self._present = list(accumulate((steps[each] for each in self._moments), initial=start))
        self._lowest = list(accumulate(self._present, min, initial=0.0))[1:]

    def at(self, until: datetime) -> tuple[float, float]:
        """How many there are, and by how much that was lifted."""
        place = bisect_right(self._moments, until)
        lifted = max(0.0, -self._lowest[place])
        return self._present[place] + lifted, lifted


class Counted:
    """What the gates of an event counted, by the time of each count; `counts` the earliest first."""

    def __init__(self, passages: Sequence[Passage], gates: Sequence[Gate], plan: Plan, counts: Sequence[Count]) -> None:
        self._gates, self._plan, self._counts = tuple(gates), plan, tuple(counts)
        self._series = {
            gate.station_id: (
                _Series([each for each in passages if each.datastream_id == gate.series[0]], gate.step),
                _Series([each for each in passages if each.datastream_id == gate.series[1]], gate.step),
            )
            for gate in gates
        }
        self._stretches = [_Stretch(base, plan, self._series) for base in (None, *self._counts)]

    def present(self, at: datetime) -> Present:
        """How things stand at a moment, by what was known of it then."""
        plan, until = self._plan, min(at, self._plan.ends_at)
        flows = tuple(self._flow(each, plan.starts_at, until) for each in self._gates)
        inwards, outwards = sum(each.inwards for each in flows), sum(each.outwards for each in flows)
        checks = tuple(Check(each, self._before(n, each.at)) for n, each in enumerate(self._counts) if each.at <= at)
        stretch = self._stretches[len(checks)]
        state = State.BEFORE if at < plan.starts_at else self._state(stretch, until)
        shown = State.OVER if at >= plan.ends_at else state
        if state not in (State.OK, State.PARTIAL):
            return Present(
                at, shown, None, None, None, stretch.base, inwards, outwards, 0.0, None, flows, checks
            )  # fmt: skip
        exact, lifted = stretch.at(until)
        half = self._half(stretch.since, until)
        estimate = round(exact)
        low, high = max(0, round(exact - half)), ceil(exact + half)
        reached = sum(estimate >= level for level in plan.levels)
        return Present(
            at, shown, estimate, low, high, stretch.base, inwards, outwards, lifted, reached, flows, checks
        )  # fmt: skip

    def course(self, at: datetime) -> list[Row]:
        """From the beginning up to now, the earliest first; only cells that are over. A cell in which a gate has a gap
        has no estimate, and what may still be under way is no row yet.
        """
        plan, until = self._plan, min(at, self._plan.ends_at)
        cell = max([CELL, *(each.step for each in self._gates)])
        # cells end at whole multiples of their length, as the counts of devices do
        first = plan.starts_at - timedelta(seconds=plan.starts_at.timestamp() % cell.total_seconds())
        rows = []
        for n in range(max(0, int((until - first) / cell))):
            start, end = first + n * cell, first + (n + 1) * cell
            now = self.present(end)
            inside = {
                station: (pair[0].cell(start, end, plan.starts_at), pair[1].cell(start, end, plan.starts_at))
                for station, pair in self._series.items()
            }
            known = all(each is not None for pair in inside.values() for each in pair)
            bounds = (now.estimate, now.low, now.high) if known else (None, None, None)
            rows.append(Row(start, end, inside, *bounds))
        if rows and rows[0].start < plan.starts_at and rows[0].estimate is None:
            del rows[0]  # the beginning is within it, and no count need have ended there yet
        while rows and rows[-1].estimate is None and until - rows[-1].end < LATEST * cell:
            rows.pop()
        return rows

    def _before(self, n: int, at: datetime) -> float | None:
        """What was estimated at the time of the n-th manual count, by what was known before it."""
        stretch = self._stretches[n]
        if at <= self._plan.starts_at or self._state(stretch, at) is State.UNKNOWN:
            return None
        return stretch.at(at)[0]

    def _state(self, stretch: _Stretch, until: datetime) -> State:
        flows = [self._flow(each, stretch.since, until) for each in self._gates]
        if not flows or any(each.late or each.missing > MOST_MISSING for each in flows):
            return State.UNKNOWN
        if stretch.base is None and any(each.newest is None for each in flows):
            return State.UNKNOWN  # nobody has counted anything yet
        return State.PARTIAL if any(each.missing > 0 for each in flows) else State.OK

    def _flow(self, gate: Gate, since: datetime, until: datetime) -> Flow:
        """In and out of a gate. What may still be under way is not missing."""
        inwards, outwards = self._series[gate.station_id]
        sums = inwards.between(since, until), outwards.between(since, until)
        heard = [each for each in (inwards.newest(until), outwards.newest(until)) if each is not None and each > since]
        newest = max(heard, default=None)
        expected = int((max(newest or since, until - LATEST * gate.step) - since) / gate.step)
        missing = 0.0 if expected <= 0 else max(0.0, 1 - min(each[1] for each in sums) / expected)
        late = until - (newest or since) > LATEST * gate.step
        return Flow(gate, sums[0][0], sums[1][0], missing, newest, late)

    def _half(self, since: datetime, until: datetime) -> float:
        """Half of the width of the bounds."""
        passed = [each.between(since, until) for pair in self._series.values() for each in pair]
        edge = sum(each[2] for each in passed)
        return float((sum((self._plan.error * each[0]) ** 2 for each in passed) + edge**2) ** 0.5)


def steps_reached(found: Present, plan: Plan, standing: int) -> int | None:
    """How many steps of capacity stand, where `standing` of them stood before: one is over only below 95 % of it. None
    where nobody knows.
    """
    if found.estimate is None:
        return None
    kept = sum(found.estimate >= CLEAR * level for level in plan.levels[:standing])
    return max(kept, sum(found.estimate >= level for level in plan.levels))
