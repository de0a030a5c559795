"""Leaks of a block that has nothing but its inflow, told once every morning.

    watch_inflow(values, per_day, weekday) -> [Rise]           a recorded year
    Watched(days, weekdays, memory).until(day) -> Histories    morning by morning, from where one stopped
    new_rise(histories, first, day, told) -> Rise | None       what is to be told that morning
    standing(histories, first, day, rise, sizes) -> Standing   what became of one that was told

`values` (n,) are m3/h that the block uses, nan where missing: what its meters let in, less what they let out and what
its tanks store. Each morning the day that ended (`inflow_days`) goes into a filter of what may have happened
(`rises`); a rise is told when it is likelier than `SURE` that one began within `EVENTS` days that was not told before.
Which histories mean a rise that was told is decided one by one: each told one accounts for the nearest within some
days of it, more for one that grows, whose beginning is known badly.

How parts of a day are weighed is learned anew each week from the last `WINDOW` days, and those are followed again.
Nothing is known from later, there is no leak-free time to wait for, and after a repair nothing has to be learned anew.

It works badly where use jumps by itself for good (a factory, a hotel season) and on holidays that no weekday is like.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from analytics.leaks.detection.inflow_days import Weights, enough, parted, weighed
from analytics.leaks.detection.rises import BURST, GROWS, Histories, Rises
from analytics.leaks.network.pipes import Floats, Ints

LEARNED, WINDOW = 28, 120  # days before the first word; days looked at
SURE, LEAST = 0.7, 3.0  # probability; m3/h
EVENTS = 40  # days
_SLIGHT = 0.7  # of LEAST: what less of is none, in a history
_ONE = 2  # days apart: still one rise
NEAR, EARLIER, LATER = 5, 18, 8  # days from a told burst; before and after a told beginning of growth
_EDGE = 20  # days before the newest EVENTS, of which what was told accounts for its own
_TENTHS = 1.2816  # standard deviations: a tenth of a normal scatter lies above
_WIDER = 2.0  # than the filter says of a size: what happens in a block is more than its histories know
_LEFT = 0.5  # of a rise: with less of it left it is gone
_WEEK = 7


@dataclass(frozen=True, slots=True)
class Rise:
    """Told on the morning of day `day` (0: the first one); began most likely on the day `start`, to 80 % on the days
    `began`, `growing` or at once; `size` m3/h by now, to 80 % `between`; `probability` that one began at all."""

    day: int
    start: int
    began: tuple[int, int]
    growing: bool
    size: float
    probability: float
    between: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Standing:
    """Of a rise that was told: whether it is `gone` again; `size` m3/h of it by now, None where it began before the
    days that are looked at."""

    gone: bool
    size: float | None


@dataclass(frozen=True, slots=True, eq=False)
class Memory:
    """What has to be kept to go on another day: the day `learned` on which the weights were found last, and what was
    known then: `level` (n,) m3/h of the days from `first` on."""

    learned: int
    first: int
    level: Floats


def watch_inflow(
    values: Floats, per_day: int, weekday: int, progress: Callable[[int, int], None] = lambda done, of: None
) -> list[Rise]:
    """`weekday` of the first day, Monday 0. In the order of their days."""
    days = parted(values, per_day)
    weekdays = (np.arange(len(days)) + weekday) % _WEEK
    watched = Watched(days, weekdays)
    told: list[Rise] = []
    for day in range(LEARNED, len(days) + 1):
        histories = watched.until(day)
        rise = None if histories is None else new_rise(histories, watched.first, day, told)
        if rise is not None:
            told.append(rise)
        progress(day, len(days))
    return told


class Watched:
    """`days` (d, b) m3/h and `weekdays` (d,) so far, as the filter has followed them from the day `first` on; `memory`:
    where it stopped, of which the same days give the same histories."""

    def __init__(self, days: Floats, weekdays: Ints, memory: Memory | None = None) -> None:
        self._days, self._weekdays = days, weekdays
        self.first, self.memory = 0, memory
        self._level = np.zeros(0)
        self._weights: Weights | None = None
        self._rises: Rises | None = None
        self._reached = 0
        if memory is not None:
            self.first, self._level = memory.first, memory.level
            self._learn(memory.learned)

    def until(self, day: int) -> Histories | None:
        """Histories of all days before `day`, which is after the last one asked for; None while nobody can say what is
        usual, and where the last day is missing: of that nothing is new but what might have been."""
        learned = 0 if self.memory is None else self.memory.learned
        self._follow(day - 1)
        if self._rises is None or (day - learned) % _WEEK == 0:
            self._learn(day)
        self._follow(day)
        return None if self._rises is None or not enough(self._days[day - 1]) else self._rises.histories()

    def _learn(self, day: int) -> None:
        first = max(0, day - WINDOW)
        known = np.zeros(day - first)
        if len(self._level):
            known[:] = self._level[-1]
            before = self._level[max(0, first - self.first) :][: len(known)]
            known[: len(before)] = before
            known -= known.mean()
        rows = slice(first, day)
        weights = weighed(self._days[rows], self._weekdays[rows], known)
        if weights is None:
            return
        self.memory = Memory(day, self.first, self._level)
        self.first, self._weights, self._level = first, weights, np.zeros(0)
        begin = range(first, min(first + 2 * _WEEK, day))
        usual = np.array([weights.of(self._days[at], int(self._weekdays[at])) for at in begin])
        usual = usual[np.isfinite(usual).all(axis=1)]
        self._rises = Rises(weights, np.median(usual, axis=0) if len(usual) else np.array([weights.mean, weights.mean]))
        self._reached = first
        self._follow(day)

    def _follow(self, until: int) -> None:
        if self._rises is None or self._weights is None:
            return
        for at in range(self._reached, until):
            weekday = int(self._weekdays[at])
            self._rises.follow(self._weights.of(self._days[at], weekday), weekday)
            self._level = np.append(self._level, self._rises.level())
        self._reached = max(self._reached, until)


def new_rise(histories: Histories, first: int, day: int, told: list[Rise]) -> Rise | None:
    """The rise that was not told before, if it is likely. `first` the day that the histories begin."""
    count = len(histories.probability)
    began, size, grows = np.full(count, -1), np.zeros(count), np.zeros(count, dtype=bool)
    for at in range(count):
        found = _untold(histories.events[at], first, day, told)
        if found is None:
            continue
        start, last, following = found
        began[at], grows[at] = start, histories.events[at, start - first] == GROWS
        if following is None and start == last:
            size[at] = histories.rise[at]
        else:
            levels = histories.levels[at]
            size[at] = levels[(day if following is None else following) - 1 - first] - levels[start - 1 - first]
    means = (began >= 0) & (size > _SLIGHT * LEAST)
    weight = histories.probability[means]
    probability = float(weight.sum())
    if probability < SURE:
        return None
    mean = float(weight @ size[means]) / probability
    if mean < LEAST:
        return None
    starts = began[means]
    likeliest = int(np.bincount(starts, weights=weight).argmax())
    order = np.argsort(starts)
    low, high = np.interp([0.1, 0.9], np.cumsum(weight[order]) / probability, starts[order])
    growing = bool(weight[grows[means]].sum() > probability / 2)
    interval = min(int(low), likeliest), max(int(np.ceil(high)), likeliest)
    # Between the histories and within each.
    scatter = float(weight @ ((size[means] - mean) ** 2 + histories.variances[means])) / probability
    off = _WIDER * _TENTHS * scatter**0.5
    return Rise(day, likeliest, interval, growing, mean, min(probability, 1.0), (max(mean - off, 0.0), mean + off))


def standing(histories: Histories, first: int, day: int, rise: Rise, sizes: Sequence[float]) -> Standing:
    """On the morning of `day`. `sizes` m3/h of other rises by which the level would differ without this one: told later
    and still there (above zero), told earlier and gone since this one began (below)."""
    before = rise.began[0] - 1 - first
    seen = before >= 0
    more = histories.levels[:, day - 1 - first] - histories.levels[:, max(before, 0)] - sum(sizes)
    # Of one that began before these days, they hold only what went of it.
    gone = more < _LEFT * rise.size if seen else more < -_LEFT * rise.size
    size = float(histories.probability @ more)
    return Standing(float(histories.probability[gone].sum()) >= SURE, size if seen else None)


def _untold(
    events: np.typing.NDArray[np.int8], first: int, day: int, told: list[Rise]
) -> tuple[int, int, int | None] | None:
    """Of one history the newest rise that nothing told accounts for: its first and last day, and the first day of the
    rise after it."""
    days = np.flatnonzero((events == BURST) | (events == GROWS)) + first
    groups: list[list[int]] = []
    for each in days[days > max(first, day - EVENTS - _EDGE - 1)].tolist():
        if groups and each - groups[-1][1] <= _ONE:
            groups[-1][1] = each
        else:
            groups.append([each, each])
    free = list(range(len(groups)))
    for rise in told:
        earlier, later = (EARLIER, LATER) if rise.growing else (NEAR, NEAR)
        low, high = rise.start - earlier, rise.start + later
        near = [at for at in free if low <= groups[at][1] and groups[at][0] <= high]
        if near:
            free.remove(min(near, key=lambda at: abs(groups[at][0] - rise.start)))
    free = [at for at in free if groups[at][0] >= day - EVENTS]
    if not free:
        return None
    at = free[-1]
    return groups[at][0], groups[at][1], groups[at + 1][0] if at + 1 < len(groups) else None
