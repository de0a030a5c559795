"""How much each of those who expect something counts by now, from what came true since.

    rise(rate, leads) -> (m, L)                  the simple rule: the last hour's change, damped
    Balance.of(experts, prior, changes, hour)    what the record says of the members and the rule, out of the fold
    .at_first() -> (L, S, E)                     their weights by the record
    .after(experts, changes, hours)              their weights after each row that came true
    .blend(weights, experts) -> (m, L)           all of them together
    guarded(...) -> (m, L)                       held back where it was wrong of late

A record without a flood teaches nothing about floods, and one of a single flood little about the quiet after it; and
which member is the best one differs from river to river. So the members and the simple rule are weighed against each
other again and again by least squares over everything that has come true, the record first, apart for each of the
`SIZES` of what is expected: ripples, rises and floods. No more than the last `MEMORY` hours of each size count, so that
the quiet forgets in days and floods are kept for years. That is recursive least squares with forgetting (Plackett
1950), held towards what stacking said of the record (`stacking`). Weights are never negative (coordinate descent:
Franc, Hlaváč & Navara 2005), and their sum is at most `MOST`. Where what was expected has been wrong of late, it is
held back (`guarded`), and at last the level stays.

Source of the rule's numbers: the shares of the last hour's rise and fall that came again within the lead, as medians
over gauges of four countries, rounded (docs/rivers.md).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from analytics.rivers.forecast.fading import fading
from analytics.rivers.forecast.record import Floats

MEMORY = np.array([48.0, 240.0, 4800.0])  # hours of each size
SIZES: Floats = np.array([0.05, 0.4, 3.2])  # of the root mean square change; between them, both count
HOLD = 0.3  # of the mean square of what is said: how strongly the weights are held towards the prior
MOST = 1.2  # what the weights come to together
SWEEPS = 4  # over all weights: they begin at the prior, and more change nothing
LATELY = 48.0  # hours
TRUST = 4.0  # hours

_HOURS = (0.0, 1.0, 3.0, 6.0)
_RISE = (0.0, 0.6, 0.9, 0.9)
_FALL = (0.0, 0.5, 1.2, 1.9)
_AT_ONCE = 256  # rows


def rise(rate: Floats, leads: tuple[float, ...]) -> Floats:
    """`rate` (m,) change of the last hour.

    >>> rise(np.array([0.5, -0.1]), (1.0, 3.0)).round(2).tolist()
    [[0.3, 0.45], [-0.05, -0.12]]
    """
    up, down = np.interp(leads, _HOURS, _RISE), np.interp(leads, _HOURS, _FALL)
    found: Floats = np.where(rate[:, None] > 0, rate[:, None] * up, rate[:, None] * down)
    return found


@dataclass(frozen=True, slots=True)
class Balance:
    """Of E experts, the last of them the simple rule, for each of S sizes: sums of products `gram` (L, S, E, E) and
    `with_changes` (L, S, E). `prior` (L, E) what stacking gave each. `usual` (L,): the root mean square change of the
    record.
    """

    gram: Floats
    with_changes: Floats
    prior: Floats
    usual: Floats

    @staticmethod
    def of(experts: Floats, prior: Floats, changes: Floats, hour: int) -> Balance:
        """`experts` (m, L, E) out of the fold, `changes` (m, L), `hour` rows in an hour."""
        usual = np.sqrt((changes**2).mean(axis=0)) + 1e-12
        share = _shares(experts, prior, usual)
        remembered = np.minimum(1.0, MEMORY / np.maximum(share.sum(axis=0) / hour, 1e-9)) / hour  # (L, S)
        leads, n = changes.shape[1], experts.shape[-1]
        gram, with_changes = np.zeros((leads, len(SIZES), n, n)), np.zeros((leads, len(SIZES), n))
        for lead in range(leads):
            said = experts[:, lead]
            for size in range(len(SIZES)):
                weighed = said * (share[:, lead, size] * remembered[lead, size])[:, None]
                gram[lead, size], with_changes[lead, size] = weighed.T @ said, weighed.T @ changes[:, lead]
        return Balance(gram, with_changes, prior, usual)

    def at_first(self) -> Floats:
        return self._solved(self.gram, self.with_changes)

    def after(self, experts: Floats, changes: Floats, hours: float) -> Floats:
        """(m, L, S, E) after each of m rows that came true one after another, `hours` apart; nan `changes` did not."""
        true = ~np.isnan(changes)
        share = np.where(true[..., None], _shares(experts, self.prior, self.usual), 0.0)
        came = np.where(true, changes, 0.0)
        found = np.empty((*share.shape, experts.shape[-1]))
        gram, with_changes = self.gram, self.with_changes
        for first in range(0, len(experts), _AT_ONCE):
            rows = slice(first, first + _AT_ONCE)
            said, new = experts[rows], (share[rows] * hours)[..., None]
            # What is kept of the beginning after each row; a row counts as if it had been kept from there on.
            kept = np.exp(-np.cumsum(new / MEMORY[:, None], axis=0))  # (r, L, S, 1)
            new = new / kept
            products = (said[..., :, None] * said[..., None, :])[:, :, None]
            grams = kept[..., None] * (gram + np.cumsum(new[..., None] * products, axis=0))
            withs = kept * (with_changes + np.cumsum(new * (said * came[rows][..., None])[:, :, None], axis=0))
            found[rows] = self._solved(grams, withs)
            gram, with_changes = grams[-1], withs[-1]
        return found

    def blend(self, weights: Floats, experts: Floats) -> Floats:
        """The change (m, L) by all experts (m, L, E); `weights` (..., L, S, E) of one time, or of each of m."""
        apart = (weights * experts[:, :, None]).sum(axis=-1)
        together: Floats = (apart * _shares(experts, self.prior, self.usual)).sum(axis=-1)
        return together

    def _solved(self, gram: Floats, with_changes: Floats) -> Floats:
        """The weights (..., L, S, E) of least squares within their bounds."""
        hold = HOLD * np.trace(gram, axis1=-2, axis2=-1) / gram.shape[-1] + 1e-12
        wanted = with_changes + hold[..., None] * self.prior[:, None]
        found = np.broadcast_to(self.prior[:, None], with_changes.shape).copy()
        for _ in range(SWEEPS):
            for at in range(found.shape[-1]):
                missing = wanted[..., at] - (gram[..., at, :] * found).sum(axis=-1) - hold * found[..., at]
                found[..., at] = np.maximum(found[..., at] + missing / (gram[..., at, at] + hold), 0.0)
        held: Floats = found / np.maximum(found.sum(axis=-1, keepdims=True) / MOST, 1.0)
        return held


def guarded(expected: Floats, told: Floats, changes: Floats, last: npt.NDArray[np.intp], hours: float) -> Floats:
    """`expected` (m, L) held back as far as forecasts of its size have been wrong of late.

    `told` (t, L) what was expected at rows `hours` apart and `changes` what came of it; `last` (m, L) the last of them
    that was known at each of the m rows, -1 for none. The share is the coefficient of least squares of what came on
    what was told over the last `LATELY`, within 0 and 1, where `TRUST` hours in which an expectation as large as the
    present one came true are added: a flood is no ripple, and is not held back for what ripples did.
    """
    if not len(told):
        return expected
    true = ~np.isnan(changes)
    size, right = np.where(true, told**2, 0.0), np.where(true, told * np.where(true, changes, 0.0), 0.0)
    kept = np.exp(-hours / LATELY)
    sizes, rights = (hours * fading(each, kept) for each in (size, right))
    leads = np.arange(told.shape[1])
    early = last < 0
    trust = TRUST * expected**2 + 1e-12
    lately = np.where(early, 0.0, sizes[last, leads]), np.where(early, 0.0, rights[last, leads])
    held: Floats = expected * np.clip((lately[1] + trust) / (lately[0] + trust), 0.0, 1.0)
    return held


def shares(size: Floats, sizes: Floats) -> Floats:
    """(..., S) how much of each of `sizes`, a geometric row, `size` has; the sum is 1."""
    place = np.log(np.maximum(size, 1e-12) / sizes[0]) / np.log(sizes[1] / sizes[0])
    place = np.clip(place, 0.0, len(sizes) - 1.0)
    found: Floats = np.maximum(0.0, 1.0 - np.abs(place[..., None] - np.arange(len(sizes))))
    return found


def _shares(experts: Floats, prior: Floats, usual: Floats) -> Floats:
    """(m, L, S) by what is expected as stacking has it, or by the rule where that expects more."""
    stacked = (experts * prior).sum(axis=-1)
    return shares(np.maximum(np.abs(stacked), np.abs(experts[..., -1])) / usual, SIZES)
