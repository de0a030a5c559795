"""How long does the water take from one gauge to the next? Learned from past rises at both.

    lag(up, down, step, begin, peak, longest) -> Lag | None      one rise
    link(lags, rises)                         -> Link            all of them together

For one rise at the lower gauge, the rates at which both gauges rose are laid over each other with every shift from
-`longest` / 4 to `longest`; the shift at which they are most alike (Pearson's correlation) is how long it took. Rates
and not levels, for a level keeps a flood's shape for days while its rise is over in hours; smoothed over a third of
the rise, at most 3 h, for a rise takes longer than a gauge's noise. A parabola through the best shift and its two
neighbours says parts of a step. A rise counts where both were alike (`ALIKE`), the best shift is not the first or last
that was tried, and no other is nearly as good (`CLEAR`: of two showers in a row either may be the one). Of several
rises the median is told with the 10th and 90th percentile: as far as they lay apart.

It is a statistic of what was observed and says nothing about a flood that comes.

When it works badly: a tributary, a dam or heavy rain between the gauges rises the lower one first (the lags scatter, or
are negative: then the upper gauge leads nowhere); tides at the lower gauge; hourly data on a short river, where the lag
is less than the step. Fewer than `FEWEST` rises say nothing (unknown).

Cost: a few ms a rise. What was measured of it on recorded rivers stands in docs/rivers.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from analytics.rivers.turning import despiked
from store.columns import Floats

ALIKE = 0.8  # correlation from which on a rise counts
CLEAR = 0.2  # by how much the best shift has to be better than any other that is one
FEWEST = 5  # rises that say something
LEAST_RISE = 0.1  # m: what is less than this may be a gauge's noise
SLOWEST = 0.5  # m/s: a wave of high water is faster
LONGEST = timedelta(hours=48)
_SHORTEST = timedelta(hours=3)
_SMOOTHED = 1 / 3  # of the rise
_SMOOTH_AT_MOST = timedelta(hours=3)
_KNOWN = 0.8  # of the values of both, at least


@dataclass(frozen=True, slots=True)
class Lag:
    """How much later the lower gauge rose in one rise (negative: earlier), and how alike both were, -1 to 1."""

    after: timedelta
    alike: float


@dataclass(frozen=True, slots=True)
class Link:
    """What all rises together say. `rises` at the lower gauge were looked at, in `events` both were alike. The lags
    are None where those are fewer than FEWEST: unknown. `alike`: the median of all rises; None where there was none.
    """

    rises: int
    events: int
    p10: timedelta | None
    p50: timedelta | None
    p90: timedelta | None
    alike: float | None


def longest_lag(km: float) -> timedelta:
    """How long a wave may take for so many km of river, at most LONGEST.

    >>> [longest_lag(km) / timedelta(hours=1) for km in (1.0, 18.0, 300.0)]
    [3.0, 10.0, 48.0]
    """
    return min(max(timedelta(seconds=km * 1000 / SLOWEST), _SHORTEST), LONGEST)


def least_rise(levels: Floats) -> float:
    """From how many m on a rise of this gauge tells of a flood rather than of a shower: 15 % of the way from its median
    to its 99.5th percentile. `levels` (n,), of a long time; nan where nothing is known.
    """
    known = levels[~np.isnan(levels)]
    if not known.size:
        return LEAST_RISE
    middle, high = np.percentile(known, [50, 99.5])
    return max(LEAST_RISE, 0.15 * float(high - middle))


def margin(rise: timedelta, step: timedelta, longest: timedelta) -> tuple[timedelta, timedelta]:
    """How long before the beginning and after the peak of a rise `lag` looks at both gauges."""
    around = _pad(rise, step) + _smoothing(rise, step) + 2 * step
    return around + longest, around + longest / 4


def lag(up: Floats, down: Floats, step: timedelta, begin: int, peak: int, longest: timedelta) -> Lag | None:
    """Of the rise at the lower gauge from position `begin` to `peak`; None where it cannot be said.

    `up` and `down` (n,) in m at the same times, `step` apart, nan where nothing is known; they have to reach `margin`
    beyond the rise.

    >>> low = np.concatenate([np.zeros(60), 2 / (1 + np.exp(-np.arange(-15, 16) / 3)), np.full(60, 2.0)])
    >>> found = lag(np.roll(low, -4), low, timedelta(minutes=10), 60, 90, timedelta(hours=3))
    >>> round(found.after / timedelta(minutes=1)), round(found.alike, 2)
    (40, 1.0)
    """
    rise = (peak - begin) * step
    first, last = begin - _pad(rise, step) // step, peak + _pad(rise, step) // step
    later, sooner = longest // step, longest // 4 // step
    if first - later < 0 or last + sooner > len(down) or len(up) != len(down):
        raise ValueError(f"values {begin} to {peak} of {len(down)} leave no room for lags of up to {longest}")
    width = _smoothing(rise, step) // step
    here = _rate(despiked(down), width)[first:last]
    there = _rate(despiked(up), width)[first - later : last + sooner]
    shifted = sliding_window_view(there, len(here))[::-1]  # of -sooner, ..., later steps
    alike = _correlations(shifted, here)
    if np.isnan(alike).all() or not np.nanmax(up) - np.nanmin(up) >= LEAST_RISE:
        return None
    best = int(np.nanargmax(alike))
    if best in (0, len(alike) - 1):
        return None
    others = alike[1:-1][(alike[1:-1] >= alike[:-2]) & (alike[1:-1] >= alike[2:])]
    if (others > alike[best] - CLEAR).sum() > 1:
        return None  # two showers, either of which may be the one
    shift = float(best - sooner)
    before, at, behind = alike[best - 1 : best + 2].tolist()
    bend = before - 2 * at + behind
    if bend < 0:  # not so where one of them is nan
        shift += 0.5 * (before - behind) / bend
    return Lag(shift * step, at)


def link(lags: Sequence[Lag], looked_at: int) -> Link:
    """What lags of `looked_at` rises say together.

    >>> hour = timedelta(hours=1)
    >>> found = link([*(Lag(n * hour, 0.9) for n in range(1, 10)), Lag(30 * hour, 0.5)], 12)
    >>> found.events, found.p50 / hour, found.p10 / hour, found.p90 / hour
    (9, 5.0, 1.8, 8.2)
    >>> link([Lag(hour, 0.9)] * 4, 4).p50 is None
    True
    """
    good = np.array([each.after / timedelta(seconds=1) for each in lags if each.alike >= ALIKE])
    alike = float(np.median([each.alike for each in lags])) if lags else None
    if len(good) < FEWEST:
        return Link(looked_at, len(good), None, None, None, alike)
    p10, p50, p90 = (timedelta(seconds=float(each)) for each in np.percentile(good, [10, 50, 90]))
    return Link(looked_at, len(good), p10, p50, p90, alike)


def _pad(rise: timedelta, step: timedelta) -> timedelta:
    return max(rise / 2, timedelta(hours=2), 2 * step) // step * step


def _smoothing(rise: timedelta, step: timedelta) -> timedelta:
    return max(step, min(rise * _SMOOTHED, _SMOOTH_AT_MOST) // step * step)


def _rate(values: Floats, width: int) -> Floats:
    """How fast it rises, in the unit a step; 0 where it falls, nan where nothing is known."""
    known = ~np.isnan(values)
    box = np.ones(width)
    sums, counts = np.convolve(np.where(known, values, 0.0), box, "same"), np.convolve(known, box, "same")
    level = np.where(counts >= width / 2, sums / np.maximum(counts, 1.0), np.nan)
    found = np.full(len(values), np.nan)
    found[1:-1] = np.maximum((level[2:] - level[:-2]) / 2, 0.0)
    return found


def _correlations(rows: Floats, one: Floats) -> Floats:
    """Of each row with `one`, over what is known of both; nan where that is too little, or either does not change."""
    both = ~np.isnan(rows) & ~np.isnan(one)
    n = both.sum(axis=1)
    a, b = np.where(both, rows, 0.0), np.where(both, one, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        a -= np.where(both, (a.sum(axis=1) / n)[:, None], 0.0)
        b = b - np.where(both, (b.sum(axis=1) / n)[:, None], 0.0)
        scale = np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
        found: Floats = np.where(
            (n >= _KNOWN * len(one)) & (scale > 1e-9), (a * b).sum(axis=1) / np.maximum(scale, 1e-9), np.nan
        )
    return found
