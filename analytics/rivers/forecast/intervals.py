"""How far off an expectation may be: intervals by what was missed, and whether that held by now.

    Intervals.learn(expected, rate, rain, missed, leads) -> Intervals
    .quantiles(values, spread, stretch) -> (m, L, 7)
    .stretches(spread, missed) -> (m, L, 2)

What was missed out of the fold is divided by what is usually missed in such a situation, a non-negative linear function
of how much is expected to happen, how fast the water moves and how hard it rains (normalised conformal prediction, Lei
et al. 2018). Its quantiles need no distribution. Whether they hold is followed from what comes true: each side is
stretched when it was missed and tightened a little when it was not, so that one in twenty is missed on either side in
the long run whatever the river does (adaptive conformal inference, Gibbs & Candès 2021).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from analytics.rivers.forecast.fan import QUANTILES
from analytics.rivers.forecast.record import Floats

PACE = 0.06  # of a stretch, in logarithms, for a miss just outside
WIDEST, TIGHTEST = 6.0, -4.0  # logarithms
_MIDDLE = QUANTILES.index(0.5)
_OUTER = QUANTILES[0]
_SIDES = np.array([-1.0, 1.0])


@dataclass(frozen=True, slots=True)
class Intervals:
    """`usual` (4, L): what is missed as a share of 1, |expected|, |rate| and rain; `normal` (L, 7) quantiles of what
    was missed, divided by that; `least` (L,): it is never less.
    """

    usual: Floats
    normal: Floats
    least: Floats

    @staticmethod
    def learn(expected: Floats, rate: Floats, rain: Floats, missed: Floats) -> Intervals:
        """`expected` and `missed` (m, L) out of the fold: changes, and what came less those; `rate` and `rain` (m,)."""
        leads = missed.shape[1]
        usual, normal, least = np.zeros((4, leads)), np.zeros((leads, len(QUANTILES))), np.zeros(leads)
        for at in range(leads):
            size = np.abs(missed[:, at])
            seen = _situation(expected[:, at], rate, rain)
            scale = np.sqrt((seen**2).mean(axis=0)) + 1e-12
            usual[:, at] = nnls(seen / scale, size)[0] / scale
            least[at] = max(1e-6, 0.3 * float(np.median(size)), 0.05 * float(size.mean()))
            normal[at] = np.quantile(missed[:, at] / np.maximum(seen @ usual[:, at], least[at]), QUANTILES)
        return Intervals(_even(usual.T).T, _even(normal), np.maximum.accumulate(least))

    def spread(self, expected: Floats, rate: Floats, rain: Floats) -> Floats:
        """What is usually missed (m, L) in these situations."""
        found = [_situation(expected[:, at], rate, rain) @ self.usual[:, at] for at in range(expected.shape[1])]
        return np.maximum(np.column_stack(found), self.least)

    def quantiles(self, expected: Floats, spread: Floats, stretch: Floats) -> Floats:
        """`stretch` (m, L, 2) logarithms, of the lower and of the upper side."""
        middle = self.normal[:, _MIDDLE]
        away = self.normal - middle[:, None]  # (L, 7)
        side = np.where(np.arange(len(QUANTILES)) < _MIDDLE, 0, 1)
        away = spread[:, :, None] * away * np.exp(_even(stretch))[:, :, side]
        # Nobody is surer of a later hour than of an earlier one.
        away[..., :_MIDDLE] = np.minimum.accumulate(away[..., :_MIDDLE], axis=1)
        away[..., _MIDDLE:] = np.maximum.accumulate(away[..., _MIDDLE:], axis=1)
        return expected[:, :, None] + spread[:, :, None] * middle[None, :, None] + away

    def stretches(self, spread: Floats, missed: Floats) -> Floats:
        """(m, L, 2) after each of m rows, one after another; what has not come true is nan and changes nothing."""
        middle = self.normal[:, _MIDDLE]
        low, high = self.normal[:, 0] - middle, self.normal[:, -1] - middle
        away = missed / spread - middle
        known = ~np.isnan(away)[..., None]
        away = np.where(known, away[..., None], 0.0)
        # How many times as far as the side reached before it was stretched.
        beyond = away / np.where(np.stack([low, high], axis=1) == 0, _SIDES * 1e-9, np.stack([low, high], axis=1))
        with np.errstate(divide="ignore"):
            beyond = np.log(np.maximum(beyond, 0.0))
        found, now = np.zeros((*away.shape[:2], 2)), np.zeros((away.shape[1], 2))
        for at in range(len(away)):
            farther = beyond[at] - now
            # The farther outside, the wider at once: a river that has changed its ways is not waited for.
            step = np.where(farther > 0.0, 1.0 + farther, -_OUTER / (1.0 - _OUTER))
            now = np.clip(now + known[at] * PACE * step, TIGHTEST, WIDEST)
            found[at] = now
        return found


def _even(figures: Floats) -> Floats:
    """(..., L, q) each lead with a quarter of those beside it: leads are learned apart, and the fan must not jump."""
    first, last = figures[..., :1, :], figures[..., -1:, :]
    beside = np.concatenate([first, figures, last], axis=-2)
    even: Floats = 0.5 * figures + 0.25 * (beside[..., :-2, :] + beside[..., 2:, :])
    return even


def _situation(expected: Floats, rate: Floats, rain: Floats) -> Floats:
    return np.column_stack([np.ones(len(rate)), np.abs(expected), np.abs(rate), rain])
