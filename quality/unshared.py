"""A jump to another level that none of its neighbours shares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from quality import tolerance
from quality.estimator import Floats
from quality.online import Bools, ratio


class Beside(NamedTuple):
    """One row of what is seen of the neighbours of n series, shapes (n,): how far they moved `up` and `down` lately, in
    units of what is usual for them, and whether enough of them are `known`; and of the series itself how far its mean
    of a day usually is from that of weeks at most (`walk`). As rows of `neighbours.Compared`.
    """

    up: Floats
    down: Floats
    known: Bools
    walk: Floats

    @property
    def still(self) -> Bools:
        """Whether they are known to stand still."""
        return np.asarray(self.known & (np.maximum(self.up, self.down) < 1.0))


@dataclass(slots=True)
class Jumped:
    """Of n series: when it began; the newest value; when another level was come to (nan: none is suspected), the one
    that was left and the one that was come to, how far beyond what is tolerated that was, and whether it is told by
    now; the smallest movement, and what movements are usual while the neighbours stand still.
    """

    began: Floats
    newest: Floats
    jumped: Floats
    left: Floats
    came: Floats
    excess: Floats
    told: Floats
    grain: tolerance.Grain
    moves: tolerance.Tail


@dataclass(frozen=True, slots=True)
class Unshared:
    """Tells a jump of a series whose neighbours have stood still for `lag` hours since.

    A flood is a jump in itself. So it is told neither of one gauge for itself, nor at once: the first gauge that a
    flood reaches moves while the others still stand. What is tolerated is learnt while the neighbours stand still: how
    far the series moves from one value to the next then.

    A jump is one movement, and no less than `share` of how far the mean of a day walks at most. It is dropped where the
    series goes on from there, or comes back, by more than `within` of it before it is told: a flood does not stand
    still behind its first movement. It is told until the series comes back half of the way, for `stays` days at most;
    and never on from where the neighbours move the same way.

    Works badly in the first `least_days` days, where a gate or a pump seldom moves one gauge alone, and not at all for
    what breaks in a flood.

    Assumes that what the neighbours have not shared for hours is no water.

    Cost: some forty operations on whole rows; thirteen numbers a series.

    >>> rng = np.random.default_rng(1)
    >>> times, values = np.arange(0.0, 30 * 86400, 600), 1.0 + 0.01 * rng.standard_normal(4320)
    >>> values[3600:] += 0.5
    >>> unshared = Unshared()
    >>> state = unshared.begin(1)
    >>> still = Beside(np.zeros(1), np.zeros(1), np.ones(1, dtype=np.bool_), np.full(1, 0.2))
    >>> told = [bool(unshared.step(state, times[n : n + 1], values[n : n + 1], still)[0]) for n in range(4320)]
    >>> told.index(True), sum(told)
    (3636, 397)

    Source: own; the spatial consistency check of WMO-No. 305 ch. 6, given time, against limits that are learnt
    (`tolerance`).
    """

    lag: float = 6.0
    nats: float = 10.0
    share: float = 0.5
    within: float = 0.4
    stays: float = 3.0
    digits: float = 6.0
    warm: int = 288
    least_days: float = 20.0

    def begin(self, n: int) -> Jumped:
        """Nothing is known of `n` series."""
        unknown, nothing = np.full(n, np.nan), np.zeros(n)
        return Jumped(
            unknown, unknown, unknown, unknown, unknown, nothing, nothing, tolerance.grain(n), tolerance.begin(n)
        )  # fmt: skip

    def step(self, state: Jumped, times: Floats, values: Floats, beside: Beside) -> Floats:
        """The excess of a jump (`Reason.STEP`), told from 1 on, 0 where nothing is, shape (n,). `times` in s since
        1970, `values` nan where there is none. The state goes on.
        """
        there = ~np.isnan(values)
        state.began = np.where(there & np.isnan(state.began), times, state.began)
        compared = there & beside.still & ~np.isnan(state.newest)
        moved = np.where(compared, np.abs(values - state.newest), 0.0)
        tolerated = np.maximum(state.moves.limit(self.nats), self.digits * state.grain.learn(values))
        warm = state.moves.known >= self.warm
        ready = there & warm & (times - state.began >= self.least_days * 86400)
        excess = ratio(moved, np.maximum(tolerated, self.share * beside.walk), compared & ready)
        cap = np.where(warm, tolerated, np.inf)
        state.moves.learn(np.where(compared, moved, np.nan), cap, pace=0.02, gain=0.02)
        waits = state.told == 0
        jumps = (excess >= 1.0) & waits
        for name, now in (("jumped", times), ("left", state.newest), ("came", values), ("excess", excess)):
            setattr(state, name, np.where(jumps, now, getattr(state, name)))
        far, passed = state.came - state.left, times - state.jumped
        shared = ~beside.known | (np.where(far > 0, beside.up, beside.down) >= 1.0)
        gone = np.abs(values - state.came) > self.within * np.abs(far)
        back = np.abs(values - state.left) < 0.5 * np.abs(far)
        ends = shared | np.where(waits, gone, back | (passed > self.stays * 86400))
        state.jumped = np.where(there & ends, np.nan, state.jumped)
        told = there & ~np.isnan(state.jumped) & (passed >= self.lag * 3600)
        state.told = np.where(there, told, state.told)
        state.newest = np.where(there, values, state.newest)
        return np.where(told, np.maximum(state.excess, 1.0), 0.0)
