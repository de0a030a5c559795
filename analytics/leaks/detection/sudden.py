"""A pipe that bursts, by the pressures within half an hour: for loggers that send all day.

    bursts(network, record, near, heads, shares, keep, progress) -> [(Part, [Report])]      of a whole record

What a day's use does to each channel is taken out as in `levels`, with what was learned up to the day before. Of the
rest the mean of the last 20 minutes is compared with that of the three hours before. How such differences scatter, and
together, is known from the last 30 days; so they are whitened, what use does is left out of them, and the direction of
each pipe's leak is held against them. Hours in which they scatter more, as in the morning, count for less. A burst is a
difference of `LEAST` standard deviations along some pipe's direction that resembles it, that is no more like a repair,
nor one logger alone; it is said once in three hours.

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

LEAST = 8.5  # standard deviations along a pipe's direction
LIKE = 0.6  # to some pipe's direction
CONTRARY = 1.1  # times as like a repair: then it is one
ALONE = 0.9  # of it by one channel: that logger, not a pipe
WRONG = 0.25  # of a difference: how wrong a direction may be
LEARNED, SCATTER = 21, 30  # days
FEWEST = 3  # channels
_NOW, _BEFORE = 1200.0, 10800.0  # s
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
    now, before = max(1, round(_NOW / step)), max(1, round(_BEFORE / step))
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


def learned(past: Floats, directions: Floats, slope: Floats | None, per_hour: int) -> Filter | None:
    """From `past` (n, c) differences of whole days, `per_hour` of them; `directions` (p, c) of 1 m3/h, `slope` (c,)
    what 1 m3/h of use does, None where leaks are no part of the use. None: too few channels are known.
    """
    there = np.flatnonzero(np.isfinite(past).mean(axis=0) >= 0.5) if len(past) else np.empty(0, dtype=np.int64)
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


def strengths(found: Filter, moved: Floats) -> Floats:
    """(n,) standard deviations along the best pipe's direction, as they are in that hour, of a whole day of differences
    `moved` (n, c) from `seen`; 0 where it is no burst.
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
    busy = np.repeat(found.busy, len(moved) // _HOURS)
    return np.asarray(np.where(pipe_like & np.isfinite(moved).all(axis=1), best / busy, 0.0))


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
    columns = [heads[np.ix_(part.pipes, part.sensors)], shares[np.ix_(part.pipes, part.links)] * part.sign]
    directions = np.column_stack(columns)
    levels, per_day = Levels(part.values.shape[1], part.given.shape[1]), record.per_day
    rest = np.full(part.values.shape, np.nan)
    moved = np.full(part.values.shape, np.nan)
    lengths, close = network.pipes.length[part.pipes], near[part.pipes][:, part.pipes]
    reports: list[Report] = []
    for day in range(record.days):
        rows = slice(day * per_day, (day + 1) * per_day)
        if day >= LEARNED:
            slopes = levels.slopes()
            rest[rows] = part.values[rows] - part.given[rows] @ slopes.T
            back = max(0, rows.start - per_day)
            moved[rows] = differences(rest[back : rows.stop], record.step)[rows.start - back :]
            use = slopes[:, 0] + 2 * slopes[:, 1] * np.nanmean(levels.given(0)) / 100
            past = moved[max(0, day - SCATTER) * per_day : rows.start]
            judge = learned(past, directions, use if part.use else None, per_day // _HOURS)
            if judge is not None:
                seen = judge.seen(moved[rows])
                strong = strengths(judge, seen)
                for step in np.flatnonzero(strong >= LEAST).tolist():
                    time = (rows.start + step + 1) * record.step
                    if reports and time - reports[-1].at < _BEFORE:
                        continue
                    said = suspects(seen[step], 1.0, judge.directions, lengths, close, WRONG)
                    reports.append(
                        Report(
                            time, int(part.pipes[said.pipe]), part.pipes[said.area], said.probability[said.area],
                            walked(lengths, said.area), said.size, (time - 2 * _NOW, time), float(strong[step]),
                            said.likeness, 0, ("pressures",),
                        )
                    )  # fmt: skip
        levels.learn(part.values[rows], part.given[rows])
    return reports
