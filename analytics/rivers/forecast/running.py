"""How much the learned expectation and the simple rule of the rise count by now, from what came true since.

    rise(rate, leads) -> (m, L)                  the simple rule: the last hour's change, damped
    Balance.of(learned, simple, changes)         what the record says of the two, out of the fold
    .after(learned, simple, changes, hours)      and what has come true after each row
    blend(balance, learned, simple) -> (m, L)    the two together

A record without a flood teaches nothing about floods, and one of a single flood little about the quiet after it. So the
two are weighed against each other again and again by least squares over everything that has come true, the record
first, apart for each `SIZES` of what is expected, the small ripples and the floods. No more than the last `MEMORY` hours of
each size count, so that the quiet forgets in days and floods are kept for years. That is recursive least squares
with forgetting (Plackett 1950) of two coefficients, which are kept within 0 and 1, with a sum of at most 1.2: where
neither has been right of late, the level stays.

Source of the rule's numbers: the shares of the last hour's rise and fall that came again within the lead, as medians
over gauges of four countries, rounded (docs/rivers.md).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.signal import lfilter

from analytics.rivers.forecast.record import Floats

MEMORY = np.array([24.0, 48.0, 96.0, 480.0, 4800.0])  # hours of each size
HOLD = 0.1  # of what is seen: the learned one alone is believed so much beforehand
LATELY = 48.0  # hours
TRUST = 4.0  # hours
SIZES = 0.02 * 3.0 ** np.arange(5)  # of the root mean square change; between them, both count

_HOURS = (0.0, 1.0, 3.0, 6.0)
_RISE = (0.0, 0.6, 0.9, 0.9)
_FALL = (0.0, 0.5, 1.2, 1.9)


def rise(rate: Floats, leads: tuple[float, ...]) -> Floats:
    """`rate` (m,) change of the last hour.

    >>> rise(np.array([0.5, -0.1]), (1.0, 3.0)).round(2).tolist()
    [[0.3, 0.45], [-0.05, -0.12]]
    """
    up, down = np.interp(leads, _HOURS, _RISE), np.interp(leads, _HOURS, _FALL)
    return np.where(rate[:, None] > 0, rate[:, None] * up, rate[:, None] * down)


@dataclass(frozen=True, slots=True)
class Balance:
    """Sums of products of learned and simple, for each of S sizes: `gram` (..., L, S, 2, 2), `with_changes` (..., L, S, 2).
    `usual` (L,): the root mean square change of the record.
    """

    gram: Floats
    with_changes: Floats
    usual: Floats

    @staticmethod
    def of(learned: Floats, simple: Floats, changes: Floats, hour: int) -> Balance:
        """All (m, L), `hour` rows in an hour."""
        usual = np.sqrt((changes**2).mean(axis=0)) + 1e-12
        share, grams, withs = _products(learned, simple, changes, usual)
        counted = share.sum(axis=0) / hour
        remembered = np.minimum(1.0, MEMORY / np.maximum(counted, 1e-9)) / hour
        gram = np.einsum("mls,mlij->lsij", share, grams) * remembered[..., None, None]
        return Balance(gram, np.einsum("mls,mli->lsi", share, withs) * remembered[..., None], usual)

    def after(self, learned: Floats, simple: Floats, changes: Floats, hours: float) -> Balance:
        """After each of m rows that came true one after another, `hours` apart; nan `changes` did not."""
        share, grams, withs = _products(learned, simple, changes, self.usual)
        kept, share = np.exp(-share * hours / MEMORY), share * hours
        gram, with_changes = self.gram, self.with_changes
        found = Balance(np.empty((len(grams), *gram.shape)), np.empty((len(grams), *with_changes.shape)), self.usual)
        for at in range(len(grams)):
            gram = gram * kept[at][..., None, None] + share[at][..., None, None] * grams[at][:, None]
            with_changes = with_changes * kept[at][..., None] + share[at][..., None] * withs[at][:, None]
            found.gram[at], found.with_changes[at] = gram, with_changes
        return found

    def at(self, rows: npt.NDArray[np.intp], start: Balance) -> Balance:
        """Of many, those of `rows` (m, L), each lead its own; `start` where the row is negative."""
        leads = np.arange(rows.shape[1])
        early = rows < 0
        gram = np.broadcast_to(start.gram, (*rows.shape, *start.gram.shape[1:]))
        with_changes = np.broadcast_to(start.with_changes, (*rows.shape, *start.with_changes.shape[1:]))
        if len(self.gram):
            gram = np.where(early[..., None, None, None], gram, self.gram[rows, leads])
            with_changes = np.where(early[..., None, None], with_changes, self.with_changes[rows, leads])
        return Balance(gram, with_changes, self.usual)


def blend(balance: Balance, learned: Floats, simple: Floats) -> Floats:
    """The change (m, L) by both; `balance` of one time, or of each of m."""
    weights = _solve(balance.gram, balance.with_changes)  # (..., L, S, 2)
    apart = weights[..., 0] * learned[..., None] + weights[..., 1] * simple[..., None]
    together: Floats = (apart * _sizes(learned, simple, balance.usual)).sum(axis=-1)
    return together


def guarded(expected: Floats, told: Floats, changes: Floats, last: npt.NDArray[np.intp], hours: float) -> Floats:
    """`expected` (m, L) held back as far as forecasts of its size have been wrong of late.

    `told` (t, L) what was expected at rows `hours` apart and `changes` what came of it; `last` (m, L) the last of them
    that was known at each of the m rows, -1 for none. The share is the coefficient of least squares of what came on what
    was told over the last `LATELY`, within 0 and 1, where `TRUST` hours in which an expectation as large as the present
    one came true are added: a flood is no ripple, and is not held back for what ripples did.
    """
    if not len(told):
        return expected
    true = ~np.isnan(changes)
    size, right = np.where(true, told**2, 0.0), np.where(true, told * np.where(true, changes, 0.0), 0.0)
    kept = np.exp(-hours / LATELY)
    sizes, rights = (lfilter([hours], [1.0, -kept], each, axis=0) for each in (size, right))
    leads = np.arange(told.shape[1])
    early = last < 0
    trust = TRUST * expected**2 + 1e-12
    lately = np.where(early, 0.0, sizes[last, leads]), np.where(early, 0.0, rights[last, leads])
    held: Floats = expected * np.clip((lately[1] + trust) / (lately[0] + trust), 0.0, 1.0)
    return held


def _sizes(learned: Floats, simple: Floats, usual: Floats) -> Floats:
    """(..., L, S) how much of each size what is expected has, by whoever expects more; the sum is 1."""
    size = np.maximum(np.abs(learned), np.abs(simple)) / usual
    place = np.clip(np.log(np.maximum(size, 1e-12) / SIZES[0]) / np.log(SIZES[1] / SIZES[0]), 0.0, len(SIZES) - 1.0)
    return np.maximum(0.0, 1.0 - np.abs(place[..., None] - np.arange(len(SIZES))))


def _products(learned: Floats, simple: Floats, changes: Floats, usual: Floats) -> tuple[Floats, Floats, Floats]:
    """Shares (m, L, S), products (m, L, 2, 2) and (m, L, 2); what did not come true has no share."""
    true = ~np.isnan(changes)
    both = np.stack([learned, simple], axis=-1)
    share = np.where(true[..., None], _sizes(learned, simple, usual), 0.0)
    return share, both[..., :, None] * both[..., None, :], both * np.where(true, changes, 0.0)[..., None]


def _solve(gram: Floats, with_changes: Floats) -> Floats:
    """The two weights (..., 2) of least squares within their bounds."""
    a, b, c = gram[..., 0, 0], gram[..., 0, 1], gram[..., 1, 1]
    p, q = with_changes[..., 0], with_changes[..., 1]
    # Where both say nearly the same, the learned one counts.
    a, c, p = a * (1.0 + HOLD) + 1e-12, c * (1.0 + 2.0 * HOLD) + 1e-12, p + HOLD * a
    det = a * c - b * b
    first, second = (c * p - b * q) / det, (a * q - b * p) / det
    # Where one would be negative, it is 0 and the other stands alone.
    first, second = np.where(second < 0, p / a, first), np.where(first < 0, q / c, second)
    weights = np.stack([np.clip(first, 0.0, 1.0), np.clip(second, 0.0, 1.0)], axis=-1)
    return weights / np.maximum(weights.sum(axis=-1, keepdims=True) / 1.2, 1.0)
