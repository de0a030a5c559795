"""Which zeros were none: hours in which nobody was counted although somebody must have come.

    judge(counts) -> Zeros      each row by itself and what came before it, never by what came later

A zero speaks against its counter as far as a zero is improbable then: by how many usually come at this hour of the week
(a negative binomial count with a wide spread), and by how often the hour was empty within the last eight weeks. It says
nothing where the hour was empty before on more than one day in fifty, or on the same weekday within four weeks: spots
close on Mondays. Zeros in a row add up; from 1 in 10,000 on it is an outage, until somebody is counted again.
What was called an outage is forgotten for all that comes later: a dead counter must not become the usual.

When it works badly: a spot that is closed for weeks for the first time looks like a dead counter (staff say so, and no
pure function can know it); a counter that dies on the night of a quiet spot is found in the morning; at a spot that
counts fewer than about five an hour it takes most of a day.

    State   ok        counted
            outage    zeros that cannot be
            absent    no count at all
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from analytics.visitors.expected.counts import WEEK, Bools, Counts, Floats, known_median

_WEEKS = 4
_REMEMBERED = 56  # days
_FEWEST_DAYS = 14
_SELDOM = 0.02  # an hour that is empty on more days than this may be empty today
_SPREAD = 1.5  # of the negative binomial: as wild as the wildest counters of the recorded cities
_PRIOR = 4.0  # days that the negative binomial counts for beside those seen
_DOUBT = 4.0  # -log of the probability from which on a single zero is not believed
_SURE = 9.2  # -log(1e-4)
# One hour alone is never enough: a cloudburst empties a square. One day alone is, of a place where thousands come.
_MOST_OF_ONE = {24: 5.0, 1: 10.0}


class State(StrEnum):
    """What a row of a counter is worth."""

    OK = "ok"
    OUTAGE = "outage"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Zeros:
    """(n, C) each: `doubted`, a zero that is not believed by itself; `outage`, that nobody would believe any more."""

    doubted: Bools
    outage: Bools

    def believed(self, values: Floats) -> Floats:
        """The counts without what is not one."""
        left: Floats = np.where(self.doubted | self.outage, np.nan, values)
        return left

    def states(self, values: Floats) -> list[list[State]]:
        """A list a counter."""
        return [
            [State.ABSENT if none else State.OUTAGE if out else State.OK for none, out in zip(*counter, strict=True)]
            for counter in zip(np.isnan(values).T, self.outage.T, strict=True)
        ]


def judge(counts: Counts) -> Zeros:
    """Day by day, each hour with what was known before it."""
    days, hours, counters = counts.days, counts.per_day, counts.counters
    values = counts.values.reshape(days, hours, counters)
    believed = values.copy()
    doubted = np.zeros(values.shape, dtype=np.bool_)
    outage = np.zeros(values.shape, dtype=np.bool_)
    seen = np.zeros((hours, counters))
    empty = np.zeros((hours, counters))
    so_far = np.zeros(counters)
    most = _MOST_OF_ONE[hours]
    for day in range(days):
        zero = values[day] == 0
        said = _improbable(believed, day, seen, empty, most) if zero.any() else np.zeros_like(seen)
        if so_far.any() or (said[zero] > 0).any():
            known = ~np.isnan(values[day])
            for hour in range(hours):
                so_far = np.where(zero[hour], so_far + said[hour], np.where(known[hour], 0.0, so_far))
                outage[day, hour] = zero[hour] & (so_far >= _SURE)
            doubted[day] = zero & (said >= _DOUBT)
            believed[day][outage[day] | doubted[day]] = np.nan
        for at, sign in ((day, 1), (day - _REMEMBERED, -1)):
            if at >= 0:
                seen += sign * ~np.isnan(believed[at])
                empty += sign * (believed[at] == 0)
    shape = counts.values.shape
    return Zeros(doubted.reshape(shape), outage.reshape(shape))


def _improbable(believed: Floats, day: int, seen: Floats, empty: Floats, most: float) -> Floats:
    """(hours, C) -log of the probability of a zero at each hour of the day, at most `most`; 0: says nothing."""
    weeks = [day - WEEK * back for back in range(1, _WEEKS + 1) if day >= WEEK * back]
    if not weeks:
        return np.zeros_like(seen)
    same = believed[weeks]
    usual = np.nan_to_num(known_median(same))
    by_size = (_SPREAD / (_SPREAD + usual)) ** _SPREAD
    probability = (empty + _PRIOR * by_size) / (seen + _PRIOR)
    says = (seen >= _FEWEST_DAYS) & (empty <= _SELDOM * seen) & ~(same == 0).any(axis=0) & (usual > 0)
    # Seen for eight weeks without one zero, small as the spot may be, or so many that the size alone tells.
    improbable: Floats = np.where(says, np.minimum(-np.log(np.maximum(probability, 1e-12)), most), 0.0)
    return improbable
