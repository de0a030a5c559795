"""Where along the pipes between A and B a noise is, that is heard later at B by so much.

    longest(stretches) -> float                       the longest delay there can be, s
    place(draws, stretches, asynchrony=) -> Place     draws: the delay as it may be, s

The noise needs T(x) to A and T(L) - T(x) to B, so T(x) = (T(L) - delay) / 2; T grows along the stretches by their
length over their speed, so that a way of several materials is no worse than one of one material. In one material it is
x = (L - c delay) / 2. What is not known (delay, speed of each material, 2 % of the length, how synchronous the two
recorders were) is drawn, and the interval holds 80 % of what comes out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analytics.leaks.location.suspects import HOLDS
from analytics.leaks.network.pipes import Floats
from analytics.leaks.sound.speed import Speed

_EACH = 20  # draws of what else is not known, for each of the delay
_LENGTH = 0.02
_SEED = 20190102


@dataclass(frozen=True, slots=True)
class Stretch:
    """`length` m of one material."""

    length: float
    speed: Speed


@dataclass(frozen=True, slots=True)
class Place:
    """`metres` from A, in between `low` and `high`; `length` of the way. `beyond`: 'a' or 'b' where the noise comes
    from there or from behind it rather than from between, else None. `shares` (k,): how probably it is in each stretch.
    """

    metres: float
    low: float
    high: float
    length: float
    beyond: str | None
    shares: tuple[float, ...]


def longest(stretches: Sequence[Stretch]) -> float:
    """Seconds that a noise at one end needs to the other at most, and a tenth more: lengths are not exact.

    >>> longest([Stretch(90.0, Speed(1000.0, 1200.0))])
    0.099
    """
    return round(1.1 * sum(each.length / each.speed.low for each in stretches), 6)


def place(draws: Floats, stretches: Sequence[Stretch], *, asynchrony: float = 0.0) -> Place:
    """Of delays `draws` (k,) s; the recorders were synchronous to +-`asynchrony` s. At least one stretch.

    >>> found = place(np.array([0.02]), [Stretch(100.0, Speed(1000.0, 1000.0))])
    >>> round(found.metres), found.beyond, found.shares
    (40, None, (1.0,))
    """
    rng = np.random.default_rng(_SEED)
    size = len(draws) * _EACH
    # Two stretches of one material are as fast as each other.
    kinds = list(dict.fromkeys(each.speed for each in stretches))
    speeds = rng.uniform([each.low for each in kinds], [each.high for each in kinds], (size, len(kinds)))
    speeds = speeds[:, [kinds.index(each.speed) for each in stretches]]
    scale = 1 + rng.uniform(-_LENGTH, _LENGTH, (size, 1))
    lengths = np.array([each.length for each in stretches]) * scale
    ends = np.concatenate([np.zeros((size, 1)), np.cumsum(lengths / speeds, axis=1)], axis=1)
    late = np.repeat(draws, _EACH) + rng.uniform(-asynchrony, asynchrony, size)
    time = (ends[:, -1] - late) / 2
    # The stretch that each is in, and how far in it.
    within = np.clip((time[:, None] >= ends[:, 1:]).sum(axis=1), 0, len(stretches) - 1)
    row = np.arange(size)
    share = np.clip((time - ends[row, within]) / (ends[row, within + 1] - ends[row, within]), 0.0, 1.0)
    begin = np.concatenate([[0.0], np.cumsum([each.length for each in stretches])])
    metres = begin[within] + share * (begin[within + 1] - begin[within])
    low, middle, high = np.quantile(metres, [(1 - HOLDS) / 2, 0.5, (1 + HOLDS) / 2])
    behind_a, behind_b = float((time <= 0).mean()), float((time >= ends[:, -1]).mean())
    # At the end itself half of the draws fall outside.
    beyond = "a" if behind_a > 0.3 else "b" if behind_b > 0.3 else None
    shares = np.bincount(within, minlength=len(stretches)) / size
    return Place(float(middle), float(low), float(high), float(begin[-1]), beyond, tuple(shares.tolist()))
