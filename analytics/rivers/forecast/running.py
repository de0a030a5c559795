"""How much the learned expectation and the simple rule of the rise count by now, from what came true since.

    rise(rate, leads) -> (m, L)                  the simple rule: the last hour's change, damped
    Balance.of(learned, simple, changes)         what the record says of the two, out of the fold
    Balance.weights(...) -> (rows, 2, L)         and what has come true up to each row

A record without a flood teaches nothing about floods. So the two are weighed against each other again and again by
least squares over everything that has come true, the record first: once a flood has been seen that is larger than all
that was learned from, it decides. That is one step of recursive least squares (Plackett 1950) with two coefficients,
which are kept within 0 and 1, with a sum of at most 1.2.

Source of the rule's numbers: the shares of the last hour's rise and fall that came again within the lead, as medians
over gauges of four countries, rounded (docs/rivers.md).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analytics.rivers.forecast.record import Floats

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
    """Sums of products over the record: `gram` (L, 2, 2) of learned and simple, `with_changes` (L, 2)."""

    gram: Floats
    with_changes: Floats

    @staticmethod
    def of(learned: Floats, simple: Floats, changes: Floats) -> Balance:
        both = np.stack([learned, simple], axis=2)  # (m, L, 2)
        return Balance(np.einsum("mli,mlj->lij", both, both), np.einsum("mli,ml->li", both, changes))

    def weights(self, learned: Floats, simple: Floats, changes: Floats) -> Floats:
        """(m, L, 2) after each of m rows that came true at one time after another; nan `changes` did not."""
        true = ~np.isnan(changes)
        both = np.stack([learned, simple], axis=2)
        told = np.where(true, changes, 0.0)
        both = np.where(true[:, :, None], both, 0.0)
        gram = self.gram + np.cumsum(both[..., :, None] * both[..., None, :], axis=0)
        with_changes = self.with_changes + np.cumsum(both * told[..., None], axis=0)
        return solve(gram, with_changes)


def solve(gram: Floats, with_changes: Floats) -> Floats:
    """The two weights (..., 2) of least squares within their bounds."""
    a, b, c = gram[..., 0, 0], gram[..., 0, 1], gram[..., 1, 1]
    p, q = with_changes[..., 0], with_changes[..., 1]
    a, c = a * 1.001 + 1e-12, c * 1.02 + 1e-12
    det = a * c - b * b
    first, second = (c * p - b * q) / det, (a * q - b * p) / det
    # Where one would be negative, it is 0 and the other stands alone.
    first, second = np.where(second < 0, p / a, first), np.where(first < 0, q / c, second)
    weights = np.stack([np.clip(first, 0.0, 1.0), np.clip(second, 0.0, 1.0)], axis=-1)
    return weights / np.maximum(weights.sum(axis=-1, keepdims=True) / 1.2, 1.0)
