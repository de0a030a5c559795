"""A pipe that bursts, by the pressures within half an hour: for loggers that send all day.

    Usual(part, values, given, directions, per_day)     what a part's channels do by themselves, from a month of days
        .rest(values, given), .strong(moved, hours), .size(change, pipe)
    bursts(network, record, near, heads, shares, keep, progress) -> [(Part, [Report])]      of a whole record

What a day's use does to each channel is taken out as in `levels`, with what was learned from the `LEARNED` days before.
Of the rest the mean of the last 20 minutes is compared with that of the three hours before. How such differences
scatter, and together, is known from the same days; so they are whitened, what use does is left out of them, and the
direction of each pipe's leak is held against them. Hours in which they scatter more, as in the morning, count for less.
A burst is a difference of `LEAST` standard deviations along some pipe's direction that resembles it, that is no more
like a repair, nor one logger alone; it is said once in three hours. Channels that are silent at a time are left out of
it, as long as half of those that usually speak are there.

When it works badly: fewer than three channels (the inflow's own rule, `analytics.leaks.burst`, needs none of this);
loggers that deliver once a day (the nights find it); a large draw that begins suddenly, such as fire fighting or
flushing, is felt like a burst, and nobody can tell them apart by pressures.

Source: whitened matched filter, as in S. Kay, Fundamentals of Statistical Signal Processing II, ch. 4.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from analytics.leaks.detection.levels import Levels
from analytics.leaks.detection.record import Part, Record, parts
from analytics.leaks.detection.report import Report, walked
from analytics.leaks.location.suspects import suspects
from analytics.leaks.network.pipes import Floats, Ints, Network

LEAST = 9.0  # standard deviations along a pipe's direction
LIKE = 0.6  # to some pipe's direction
CONTRARY = 1.1  # times as like a repair: then it is one
ALONE = 0.9  # of it by one channel: that logger, not a pipe
WRONG = 0.25  # of a difference: how wrong a direction may be
FIRST, LEARNED = 21, 31  # days: before the first word, and from which is learned what is usual
FEWEST = 3  # channels
NOW, BEFORE = 1200.0, 10800.0  # s
_THIN = 3  # every third difference says how they scatter
_QUIET = 6.0  # robust deviations
_STILL = 0.1  # of its standard deviation: what mostly scatters less stands still, and only its rounding is seen
_HOURS, _BUSY = 24, 0.95  # of a day; the quantile by which one is busy

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, eq=False)
class Filter:
    """How differences (c,) of the channels `there` are judged: `white` (c, c), `directions` (p, c) whitened, of 1 m3/h
    each, both without what use does (`along` (c,)); `busy` (24,) how far differences scatter in each hour of the day,
    of what they do on the whole."""

    there: Ints
    middle: Floats
    white: Floats
    along: Floats
    directions: Floats
    busy: Floats

    def seen(self, differences: Floats) -> Floats:
        """(n, c) of differences (n, all channels), whitened; nan where a channel is missing."""
        found = (differences[:, self.there] - self.middle) @ self.white
        return np.asarray(found - np.outer(found @ self.along, self.along))


def differences(rest: Floats, step: float) -> Floats:
    """(n, c): mean of the last 20 minutes less that of the three hours before, nan where less than half of either is
    there. `rest` (n, c) by steps of `step` s.

    >>> rest = np.concatenate([np.zeros((36, 1)), np.ones((4, 1))])
    >>> differences(rest, 300.0)[[20, 35, 37, 39], 0].round(3).tolist()
    [nan, 0.0, 0.5, 1.0]
    """
    now, before = max(1, round(NOW / step)), max(1, round(BEFORE / step))
    known = np.isfinite(rest)
    sums = np.cumsum(np.vstack([np.zeros(rest.shape[1]), np.where(known, rest, 0.0)]), axis=0)
    counts = np.cumsum(np.vstack([np.zeros(rest.shape[1]), known]), axis=0)
    found = np.full(rest.shape, np.nan)
    end = np.arange(now + before // 2, len(rest) + 1)

    def mean(first: Ints, last: Ints, least: float) -> Floats:
        n = counts[last] - counts[first]
        return np.where(n >= least, (sums[last] - sums[first]) / np.maximum(n, 1), np.nan)

    if len(end):
        first = np.maximum(end - now - before, 0)
        found[end - 1] = mean(end - now, end, now / 2) - mean(first, end - now, before / 2)
    return found


def learned(past: Floats, there: Ints, directions: Floats, slope: Floats | None, per_hour: int) -> Filter | None:
    """Of the channels `there`, from `past` (n, c) differences of whole days, `per_hour` of them; `directions` (p, c) of
    1 m3/h, `slope` (c,) what 1 m3/h of use does, None where leaks are no part of the use. None: too few are known.
    """
    every = past[:, there]
    known = every[::_THIN]
    known = known[np.isfinite(known).all(axis=1)]
    if len(there) < FEWEST or len(known) < 10 * len(there):
        return None
    middle = np.median(known, axis=0)
    scatter = 1.4826 * np.median(np.abs(known - middle), axis=0)
    lively = scatter > _STILL * known.std(axis=0)
    there, known, every, middle, scatter = (
        there[lively],
        known[:, lively],
        every[:, lively],
        middle[lively],
        scatter[lively],
    )
    quiet = known[(np.abs(known - middle) / scatter).max(axis=1, initial=0.0) < _QUIET]
    if len(there) < FEWEST or len(quiet) < 10 * len(there):
        return None
    cov = np.cov(quiet.T)
    values, vectors = np.linalg.eigh(cov + 0.02 * np.diag(np.diag(cov)))
    white = (vectors / np.sqrt(values)) @ vectors.T
    along = np.zeros(len(there)) if slope is None else slope[there] @ white
    along = along / max(float(np.linalg.norm(along)), 1e-12)
    turned = directions[:, there] @ white
    far = np.linalg.norm((every - middle) @ white, axis=1).reshape(-1, _HOURS, per_hour)
    hours = np.array(
        [np.nanquantile(far[:, at], _BUSY) if np.isfinite(far[:, at]).any() else np.nan for at in range(_HOURS)]
    )
    hours = np.nan_to_num(hours, nan=float(np.nanmedian(hours)))
    # People are not punctual: an hour is as busy as the busier one beside it.
    hours = np.max([np.roll(hours, 1), hours, np.roll(hours, -1)], axis=0)
    busy = hours / np.median(hours)
    return Filter(there, middle, white, along, turned - np.outer(turned @ along, along), busy)


def strengths(found: Filter, moved: Floats, hours: Ints) -> Floats:
    """(n,) standard deviations along the best pipe's direction, as they are in that hour of the day (`hours` (n,)), of
    differences `moved` (n, c) from `seen`; 0 where it is no burst.
    """
    sizes = np.maximum(np.linalg.norm(found.directions, axis=1), 1e-12)
    along = np.nan_to_num(moved) @ (found.directions / sizes[:, None]).T
    best, worst = along.max(axis=1), -along.min(axis=1)
    whole = np.maximum(np.linalg.norm(np.nan_to_num(moved), axis=1), 1e-12)
    alone = np.eye(len(found.there)) @ found.white
    alone = alone - np.outer(alone @ found.along, found.along)
    alone /= np.maximum(np.linalg.norm(alone, axis=1), 1e-12)[:, None]
    single = np.abs(np.nan_to_num(moved) @ alone.T).max(axis=1)
    pipe_like = (best >= LIKE * whole) & (worst <= CONTRARY * best) & ~((single > ALONE * whole) & (single > best))
    return np.asarray(np.where(pipe_like & np.isfinite(moved).all(axis=1), best / found.busy[hours], 0.0))


@dataclass(frozen=True, slots=True, eq=False)
class Strong:
    """A step (`row`) at which a pipe seems to have burst: `seen` (c,) whitened by `filter`, `strength` in
    deviations."""

    row: int
    strength: float
    seen: Floats
    filter: Filter


class Usual:
    """What the channels of a part do by themselves, from `values` (n, c) and `given` (n, k) of whole days of `per_day`
    steps; `directions` (p, c) of 1 m3/h in each of its pipes."""

    def __init__(self, part: Part, values: Floats, given: Floats, directions: Floats, per_day: int) -> None:
        levels = Levels(values.shape[1], given.shape[1])
        for at in range(0, len(values), per_day):
            levels.learn(values[at : at + per_day], given[at : at + per_day])
        self._slopes, self._directions, self._step = levels.slopes(), directions, 86400 / per_day
        self._per_hour = per_day // _HOURS
        use = levels.given(0)
        use = use[np.isfinite(use)]
        self._slope = None
        if part.use:
            self._slope = self._slopes[:, 0] + 2 * self._slopes[:, 1] * (float(use.mean()) if len(use) else 0.0) / 100
        self._past = differences(self.rest(values, given), self._step)
        self._speaks = np.isfinite(self._past).mean(axis=0) >= 0.5 if len(values) else np.zeros(values.shape[1], bool)
        self._filters: dict[bytes, Filter | None] = {}

    def rest(self, values: Floats, given: Floats) -> Floats:
        """(n, c): what use does not explain."""
        return np.asarray(values - given @ self._slopes.T)

    def filter(self, present: np.typing.NDArray[np.bool_]) -> Filter | None:
        """Of the channels that usually speak, those that are `present` (c,); None where they are too few."""
        there = np.flatnonzero(self._speaks & present)
        if len(there) < max(FEWEST, self._speaks.sum() / 2):
            return None
        key = there.tobytes()
        if key not in self._filters:
            self._filters[key] = learned(self._past, there, self._directions, self._slope, self._per_hour)
        return self._filters[key]

    def strong(self, moved: Floats, hours: Ints) -> list[Strong]:
        """The steps of differences `moved` (n, c), in the `hours` (n,) of the day, at which a pipe seems to burst."""
        found = []
        present = np.isfinite(moved) & self._speaks
        for pattern in np.unique(present, axis=0):
            judge = self.filter(pattern)
            if judge is not None:
                rows = np.flatnonzero((present == pattern).all(axis=1))
                seen = judge.seen(moved[rows])
                strength = strengths(judge, seen, hours[rows])
                found += [
                    Strong(int(rows[at]), float(strength[at]), seen[at], judge)
                    for at in np.flatnonzero(strength >= LEAST)
                ]
        return sorted(found, key=lambda each: each.row)

    def size(self, change: Floats, pipe: int) -> float:
        """m3/h that leak in a pipe (index of the part's) when the rest changes by `change` (c,); nan: nobody knows."""
        judge = self.filter(np.isfinite(change))
        if judge is None:
            return np.nan
        direction = judge.directions[pipe]
        # Not less the middle of short differences: over hours and days the rest has none.
        turned = change[judge.there] @ judge.white
        turned = turned - (turned @ judge.along) * judge.along
        return float(turned @ direction / max(float(direction @ direction), 1e-12))


def directions(part: Part, heads: Floats, shares: Floats) -> Floats:
    """(p, c) of 1 m3/h in each pipe of a part; `heads` and `shares` of all pipes, loggers and metered links."""
    return np.column_stack(
        [heads[np.ix_(part.pipes, part.sensors)], shares[np.ix_(part.pipes, part.links)] * part.sign]
    )


def report(part: Part, strong: Strong, time: float, lengths: Floats, near: sparse.csr_array) -> Report:
    """What a strong step says, `time` s since the record's start when it ends; `lengths` (p,) and `near` (p, p) of the
    part's pipes.
    """
    said = suspects(strong.seen, 1.0, strong.filter.directions, lengths, near, WRONG)
    return Report(
        time, int(part.pipes[said.pipe]), part.pipes[said.area], said.probability[said.area],
        walked(lengths, said.area), said.size, (time - 2 * NOW, time), strong.strength, said.likeness, 0,
        ("pressures",),
    )  # fmt: skip


def bursts(
    network: Network,
    record: Record,
    near: sparse.csr_array,
    heads: Floats,
    shares: Floats,
    keep: Ints,
    progress: Progress,
) -> list[tuple[Part, list[Report]]]:
    """Of each part that has enough channels, in the order of their times; arguments as of `year.watch`."""
    found = []
    watched = parts(network, record, keep)
    for at, part in enumerate(watched):
        if part.values.shape[1] >= FEWEST:
            found.append((part, _of_part(part, network, record, near, heads, shares)))
        progress(at + 1, len(watched))
    return found


def _of_part(
    part: Part, network: Network, record: Record, near: sparse.csr_array, heads: Floats, shares: Floats
) -> list[Report]:
    per_day, toward = record.per_day, directions(part, heads, shares)
    lengths, close = network.pipes.length[part.pipes], near[part.pipes][:, part.pipes]
    hours = np.arange(per_day) * _HOURS // per_day
    reports: list[Report] = []
    for day in range(FIRST, record.days):
        rows = slice(day * per_day, (day + 1) * per_day)
        month = slice(max(0, day - LEARNED) * per_day, rows.start)
        usual = Usual(part, part.values[month], part.given[month], toward, per_day)
        # From the day before on: the three hours before midnight count too.
        lately = slice(rows.start - per_day, rows.stop)
        moved = differences(usual.rest(part.values[lately], part.given[lately]), record.step)[per_day:]
        for strong in usual.strong(moved, hours):
            time = (rows.start + strong.row + 1) * record.step
            if not reports or time - reports[-1].at >= BEFORE:
                reports.append(report(part, strong, time, lengths, close))
    return reports
