"""Which loggers tell most leaks apart.

    best(directions, lengths, count) -> (count,)

Greedily the loggers that together narrow down most of what is not known (D-optimal): a leak is as likely on every
metre, and a logger's reading scatters by a twentieth of what a leak near it does. Ties go to the first.

Source: A. Krause et al., Efficient Sensor Placement Optimization for Securing Large Water Distribution Networks,
J. Water Resour. Plann. Manage. 134(6), 2008.
"""

from __future__ import annotations

import numpy as np

from analytics.leaks.network.pipes import Floats, Ints

_SCATTER = 0.05


def best(directions: Floats, lengths: Floats, count: int) -> Ints:
    """Columns of `directions` (p, s), best first: how 1 m3/h from each pipe, of `lengths` (p,) m, is felt at s places.

    >>> here_there = np.array([[1.0, 0.9, 0.0], [1.0, 0.9, 0.0], [0.0, 0.0, 0.8]])
    >>> best(here_there, np.array([100.0, 100.0, 100.0]), 2).tolist()
    [0, 2]
    """
    weight = np.maximum(lengths, 0.0) / max(float(np.sum(lengths)), 1e-12)
    among = directions.T @ (directions * weight[:, None])
    noise = (_SCATTER * np.abs(directions).max(initial=0.0)) ** 2
    left = among + noise * np.eye(len(among))
    chosen: list[int] = []
    for _ in range(min(count, len(among))):
        open_ = np.where(np.isin(np.arange(len(left)), chosen), -np.inf, np.diag(left))
        one = int(np.argmax(open_))
        chosen.append(one)
        # What the others still tell once this one is known.
        left = left - np.outer(left[:, one], left[one]) / left[one, one]
    return np.array(chosen, dtype=np.int64)
