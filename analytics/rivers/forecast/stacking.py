"""How much each member counts: learned where it had not been trained.

    folds(rows, gap) -> [(learned from, tried on)]
    weigh(expected, changes) -> (L, members)

Stacked regression (Wolpert 1992, Breiman 1996): the record is cut into blocks, every member is trained without a block
and a day on either side of it, and tried on it; then each lead's weights are the non-negative ones with the least
squared error, held towards equal ones. A member that only fits what it has seen gets little.
"""

from __future__ import annotations

import numpy as np

from analytics.rivers.forecast.record import Floats, Ints

BLOCKS = 6
HOLD = 0.3  # of the members' mean square: how strongly the weights are held towards equal ones


def folds(rows: Ints, gap: int) -> list[tuple[Ints, Ints]]:
    """`rows` ascending; positions in it to learn from and to try, `gap` rows of the record apart."""
    found = []
    for block in np.array_split(np.arange(len(rows)), BLOCKS):
        outside = (rows < rows[block[0]] - gap) | (rows > rows[block[-1]] + gap)
        found.append((np.flatnonzero(outside), block))
    return found


def weigh(expected: Floats, changes: Floats) -> Floats:
    """`expected` (m, L, members) out of the fold, `changes` (m, L)."""
    from scipy.optimize import nnls  # takes a while to load, and only learning needs it

    leads, members = expected.shape[1:]
    found = np.zeros((leads, members))
    for at in range(leads):
        said = expected[:, at]
        hold = np.sqrt(HOLD * (said**2).sum(axis=0).mean())
        found[at], _ = nnls(
            np.vstack([said, hold * np.eye(members)]),
            np.concatenate([changes[:, at], np.full(members, hold / members)]),
        )
    return found
