"""What doubted values would look like, were the doubt right: for the eye of whoever decides, never stored by itself.

    proposed = propose(Reason.SPIKE, times, values, first, last)

| reason | proposed |
|---|---|
| spike | the straight line between the values beside |
| step | all values from the jump on, moved back by the difference of the medians before and behind it |
| drift, neighbours | less a straight line from nothing to the distance of the newest values from those before |
| noise | the running median of 13 values |
| stuck | nothing: what was there nobody knows |
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from devices.model import Reason
from quality.estimator import Floats

_SIDE = 24  # values whose median says what the level is
_WIDTH = 13
_LATE = 8 * 3600.0  # s: a jump that neighbours were asked about is told hours later


@dataclass(frozen=True, slots=True)
class Proposal:
    """`values`, of the shape of those given, nan where nothing can be said. `amount`: what is to be added to all of
    them from the time `begin` on, None where it is not the same for all.
    """

    values: Floats
    begin: float
    amount: float | None = None


def propose(reason: Reason, times: Floats, values: Floats, first: float, last: float) -> Proposal:
    """`times` in s, ascending, and `values` (nan: none) of shape (n,) around what was doubted from `first` to `last`,
    both inclusive. What is not doubted stays as it is.

    >>> times = np.arange(6.0)
    >>> propose(Reason.SPIKE, times, np.array([1.0, 2, 9, 9, 5, 6]), 2, 3).values.tolist()
    [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    >>> propose(Reason.STEP, times, np.array([1.0, 1, 3, 3, 4, 3]), 3, 4)
    Proposal(values=array([1., 1., 1., 1., 2., 1.]), begin=2.0, amount=-2.0)
    """
    inside = (times >= first) & (times <= last)
    found = values.copy()
    if reason is Reason.STEP:
        first = _jump(times, values, first)
        amount = _median(values[times < first][-_SIDE:]) - _median(values[times >= first][:_SIDE])
        if np.isfinite(amount):
            found[times >= first] += amount
            return Proposal(found, first, float(amount))
        return Proposal(found, first)
    if reason is Reason.SPIKE:
        known = ~inside & ~np.isnan(values)
        # outside of what is known there is no line
        found[inside] = np.interp(times[inside], times[known], values[known], np.nan, np.nan) if known.any() else np.nan
    elif reason in (Reason.DRIFT, Reason.NEIGHBOURS):
        amount = _median(values[times < first][-_SIDE:]) - _median(values[times <= last][-_SIDE:])
        if np.isfinite(amount):
            share = np.clip((times - first) / max(last - first, 1.0), 0.0, 1.0)
            found += amount * share
    elif reason is Reason.NOISE:
        for n in np.flatnonzero(inside):
            found[n] = _median(values[max(0, n - _WIDTH // 2) : n + _WIDTH // 2 + 1])
    else:
        found[inside] = np.nan
    return Proposal(found, first)


def _median(values: Floats) -> float:
    known = values[~np.isnan(values)]
    return float(np.median(known)) if known.size else float("nan")


def _jump(times: Floats, values: Floats, told: float) -> float:
    """When the level changed that was told some values later: at the largest movement of those before."""
    known = np.flatnonzero((times <= told) & ~np.isnan(values))
    near = known[min(max(0, known.size - _SIDE), int(np.searchsorted(times[known], told - _LATE))) :]
    if near.size < 2:
        return told
    return float(times[near[1 + np.abs(np.diff(values[near])).argmax()]])
