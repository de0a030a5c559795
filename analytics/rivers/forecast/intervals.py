"""How far off an expectation may be: intervals by what was missed, and whether that held by now.

    Intervals.learn(expected, rate, rain, missed, hour) -> Intervals
    .spread(expected, rate, rain) -> (m, L)
    .stretches(spread, missed, hours) -> (m, L, S, 2)
    .quantiles(expected, spread, stretch, least_reach) -> (m, L, 7)

What was missed out of the fold is divided by what is usually missed in such a situation, a non-negative linear function
of how much is expected to happen, how fast the water moves and how hard it rains (normalised conformal prediction, Lei
et al. 2018). Its quantiles need no distribution; they are taken apart for ripples, rises and floods (`SIZES`), for
floods come faster than they were expected and ripples do not (Mondrian conformal prediction, Vovk et al. 2005). A size
of which little was seen has those of the smaller one, or of all, whichever are wider.

Whether they hold is followed from what comes true: each side is stretched when it was missed and tightened a little
when it was not, so that one in twenty is missed on either side in the long run whatever the river does (adaptive
conformal inference, Gibbs & Candès 2021). That too is apart for each size: a quiet month says nothing of a flood. Of a
size of which little is known yet, steps are larger (as in Angelopoulos, Barber & Bates 2024).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analytics.rivers.forecast.fan import QUANTILES
from analytics.rivers.forecast.record import Floats
from analytics.rivers.forecast.running import shares

SIZES: Floats = np.array([1.0, 4.0, 16.0])  # of the median spread; between them, both count
FEW = 50.0  # hours of a size: as much as the next smaller one counts
PACE = 0.08  # of a stretch, in logarithms, for a miss just outside
QUICK, YOUNG = 8.0, 500.0  # times as fast at most; hours of a size from which on it goes at PACE
WIDEST, TIGHTEST = 6.0, -4.0  # logarithms
_MIDDLE = QUANTILES.index(0.5)
_LOWER = np.arange(len(QUANTILES)) < _MIDDLE
_OUTER = QUANTILES[0]
_SIDES = np.array([-1.0, 1.0])


@dataclass(frozen=True, slots=True)
class Intervals:
    """`usual` (4, L): what is missed as a share of 1, |expected|, |rate| and rain; `least` (L,): it is never less;
    `median` (L,) of it over the record. For each size `normal` (S, L, 7) quantiles of what was missed, divided by that,
    and `seen` (L, S) hours that they come from.
    """

    usual: Floats
    least: Floats
    median: Floats
    normal: Floats
    seen: Floats

    @staticmethod
    def learn(expected: Floats, rate: Floats, rain: Floats, missed: Floats, hour: int) -> Intervals:
        """`expected` and `missed` (m, L) out of the fold: changes, and what came less those; `rate` and `rain` (m,);
        `hour` rows in an hour.
        """
        from scipy.optimize import nnls  # takes a while to load, and only learning needs it

        leads = missed.shape[1]
        usual, least = np.zeros((4, leads)), np.zeros(leads)
        for at in range(leads):
            size = np.abs(missed[:, at])
            situation = _situation(expected[:, at], rate, rain)
            scale = np.sqrt((situation**2).mean(axis=0)) + 1e-12
            usual[:, at] = nnls(situation / scale, size)[0] / scale
            least[at] = max(1e-6, 0.3 * float(np.median(size)), 0.05 * float(size.mean()))
        usual, least = _even(usual.T).T, np.maximum.accumulate(least)
        spread = _spread(usual, least, expected, rate, rain)
        median = np.median(spread, axis=0)
        share, away = shares(spread / median, SIZES), missed / spread
        normal, seen = np.zeros((len(SIZES), leads, len(QUANTILES))), share.sum(axis=0) / hour
        for at in range(leads):
            every = np.quantile(away[:, at], QUANTILES)
            smaller = every
            for n in range(len(SIZES)):
                own = _quantiles(away[:, at], share[:, at, n]) if seen[at, n] >= 1.0 else every
                wider = np.where(_LOWER, np.minimum(smaller, every), np.maximum(smaller, every))
                trust = seen[at, n] / (seen[at, n] + FEW)
                smaller = trust * own + (1.0 - trust) * wider
                normal[n, at] = smaller
        return Intervals(usual, least, median, _even(normal), seen)

    def spread(self, expected: Floats, rate: Floats, rain: Floats) -> Floats:
        """What is usually missed (m, L) in these situations."""
        return _spread(self.usual, self.least, expected, rate, rain)

    def quantiles(self, expected: Floats, spread: Floats, stretch: Floats, least_reach: Floats) -> Floats:
        """`stretch` (m, L, S, 2) logarithms, of the lower and of the upper side; `least_reach` (m, L) the change that
        the upper end is to take in at least, -inf for none.
        """
        share = shares(spread / self.median, SIZES)
        normal = np.einsum("mls,slq->mlq", share, self.normal)
        sides = _even(np.einsum("mls,mlsk->mlk", share, stretch))
        middle = normal[..., _MIDDLE]
        away = spread[..., None] * (normal - middle[..., None]) * np.exp(sides)[..., np.where(_LOWER, 0, 1)]
        reach = np.maximum(away[..., -1], 1e-9)
        away[..., _MIDDLE:] *= np.maximum(1.0, (least_reach - expected - spread * middle) / reach)[..., None]
        # Nobody is surer of a later hour than of an earlier one.
        away[..., :_MIDDLE] = np.minimum.accumulate(away[..., :_MIDDLE], axis=1)
        away[..., _MIDDLE:] = np.maximum.accumulate(away[..., _MIDDLE:], axis=1)
        found: Floats = (expected + spread * middle)[..., None] + away
        return found

    def stretches(self, spread: Floats, missed: Floats, hours: float) -> Floats:
        """(m, L, S, 2) after each of m rows `hours` apart, one after another; what has not come true is nan and changes
        nothing.
        """
        share = shares(spread / self.median, SIZES)
        normal = np.einsum("mls,slq->mlq", share, self.normal)
        middle = normal[..., _MIDDLE]
        sides = np.stack([normal[..., 0] - middle, normal[..., -1] - middle], axis=-1)
        away = missed / spread - middle
        true = ~np.isnan(away)
        # How many times as far as the side reached before it was stretched.
        beyond = np.where(true, away, 0.0)[..., None] / np.where(sides == 0, _SIDES * 1e-9, sides)
        with np.errstate(divide="ignore"):
            beyond = np.log(np.maximum(beyond, 0.0))
        share = np.where(true[..., None], share, 0.0)
        seen = self.seen + hours * (np.cumsum(share, axis=0) - share)
        paces = (PACE * np.clip(np.sqrt(YOUNG / (seen + 1.0)), 1.0, QUICK) * share)[..., None]
        found, now = np.zeros((*paces.shape[:-1], 2)), np.zeros((*paces.shape[1:-1], 2))
        for at in range(len(away)):
            farther = beyond[at] - (share[at, ..., None] * now).sum(axis=1)
            # The farther outside, the wider at once: a river that has changed its ways is not waited for.
            step = np.where(farther > 0.0, 1.0 + farther, -_OUTER / (1.0 - _OUTER))
            now = np.minimum(np.maximum(now + paces[at] * step[:, None], TIGHTEST), WIDEST)
            found[at] = now
        return found


def _spread(usual: Floats, least: Floats, expected: Floats, rate: Floats, rain: Floats) -> Floats:
    found = [_situation(expected[:, at], rate, rain) @ usual[:, at] for at in range(expected.shape[1])]
    return np.maximum(np.column_stack(found), least)


def _quantiles(values: Floats, weights: Floats) -> Floats:
    """The `QUANTILES` of `values` (m,) that count as `weights` (m,) say."""
    order = np.argsort(values)
    counted = np.cumsum(weights[order])
    return np.interp(QUANTILES, (counted - 0.5 * weights[order]) / counted[-1], values[order])


def _even(figures: Floats) -> Floats:
    """(..., L, q) each lead with a quarter of those beside it: leads are learned apart, and the fan must not jump."""
    first, last = figures[..., :1, :], figures[..., -1:, :]
    beside = np.concatenate([first, figures, last], axis=-2)
    even: Floats = 0.5 * figures + 0.25 * (beside[..., :-2, :] + beside[..., 2:, :])
    return even


def _situation(expected: Floats, rate: Floats, rain: Floats) -> Floats:
    return np.column_stack([np.ones(len(rate)), np.abs(expected), np.abs(rate), rain])
