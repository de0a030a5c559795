"""How far from what is expected the count may be: 90 % intervals that were measured, not assumed.

    Intervals.learn(value, came)              from forecasts that had not been learned from
    Intervals.around(value, came, late)       lo, hi; wider or narrower as a counter's own forecasts came true

What is usually missed is learned by how many are expected (a count of 3 and one of 3,000 scatter by different laws) and
by counter; upwards and downwards apart, as crowds come suddenly and nobody stays away below zero. The factor that makes
nine of ten counts fall inside is found for few and for many visitors apart: where 0 lies inside anyway, less is needed
upwards. Then each counter's intervals follow its own record: a little wider after a day on which more than a tenth lay
outside, a little narrower after others (adaptive conformal inference; Gibbs and Candès 2021).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analytics.visitors.expected.counts import Floats

COVERED = 0.9
_BINS = 12
_FEWEST = 40  # held-out counts in a bin
_MOST = 14.0  # a million, in log
_STEP = 0.06  # of the logarithm, for a day that lies outside altogether
_FARTHEST = 1.2  # that a counter's own factor may go, in log
_LEAST_OWN = 0.05  # of what others miss: a past in which nothing was missed promises nothing
_TO_SHRINK = 100  # counts of a counter at which half of its own scatter is believed


@dataclass(frozen=True, slots=True)
class Intervals:
    """By log(1 + expected) at `at` (b,): `missed` (b,) visitors; `up`, `down` (b,) how many of it to each side.

    `own` (C,) each counter's factor on it.
    """

    at: Floats
    missed: Floats
    up: Floats
    down: Floats
    own: Floats

    @staticmethod
    def learn(value: Floats, came: Floats) -> Intervals:
        """`value`, `came` (m, C) of the same rows, nan where one of them is not known."""
        known = ~np.isnan(value) & ~np.isnan(came)
        if known.sum() < _FEWEST:
            # Next to nothing to learn from: as a count that scatters twice as much as chance alone, and a third.
            at = np.linspace(0.0, _MOST, _BINS * 4)
            missed, sides = np.sqrt(np.exp(at)) + np.expm1(at) / 3, np.full(len(at), 2.0)
            return Intervals(at, missed, sides, sides, np.ones(value.shape[1]))
        expected, error = np.log1p(value[known]), (came - value)[known]
        counter = np.broadcast_to(np.arange(value.shape[1]), value.shape)[known]
        parts = np.array_split(np.argsort(expected, kind="stable"), min(_BINS, max(1, len(expected) // _FEWEST)))
        at = np.array([expected[part].mean() for part in parts])
        missed = np.maximum.accumulate([max(float(np.abs(error[part]).mean()), 0.05) for part in parts])
        scale = np.interp(expected, at, missed)
        own = np.ones(value.shape[1])
        for each in np.unique(counter):
            mine = counter == each
            share = mine.sum() / (mine.sum() + _TO_SHRINK)
            own[each] = max(float(np.abs(error[mine]).mean() / scale[mine].mean()), _LEAST_OWN) ** share
        score = error / (scale * own[counter])
        up, down = np.empty(len(parts)), np.empty(len(parts))
        for bin_, part in enumerate(parts):
            more, less = (max(float(np.quantile(side * score[part], (1 + COVERED) / 2)), 0.1) for side in (1, -1))
            # Where 0 lies inside anyway, nine of ten are reached with less than the two twentieths.
            outside = np.where(score[part] >= 0, score[part] / more, -score[part] / less)
            factor = float(np.quantile(outside, COVERED))
            up[bin_], down[bin_] = factor * more, factor * less
        return Intervals(at, missed, up, down, own)

    def around(self, value: Floats, came: Floats, per_day: int, late: int) -> tuple[Floats, Floats]:
        """`value`, `came` (n, C), whole days, nan where not known; a day's counts are used `late` days later."""
        expected = np.log1p(np.nan_to_num(value))
        wide = np.interp(expected, self.at, self.missed) * self.own
        up = wide * np.interp(expected, self.at, self.up)
        down = wide * np.interp(expected, self.at, self.down)
        lo, hi = np.full_like(value, np.nan), np.full_like(value, np.nan)
        steps: list[Floats] = []
        followed = np.zeros(value.shape[1])
        for day in range(len(value) // per_day):
            if day >= late:
                followed = np.clip(followed + steps[day - late], -_FARTHEST, _FARTHEST)
            rows = slice(day * per_day, (day + 1) * per_day)
            lo[rows] = np.maximum(value[rows] - down[rows] * np.exp(followed), 0.0)
            hi[rows] = value[rows] + up[rows] * np.exp(followed)
            known = ~np.isnan(came[rows]) & ~np.isnan(value[rows])
            outside = known & ((came[rows] < lo[rows]) | (came[rows] > hi[rows]))
            steps.append(_STEP * (outside.sum(axis=0) - (1 - COVERED) * known.sum(axis=0)) / per_day)
        return lo, hi
