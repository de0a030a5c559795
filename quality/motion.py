"""How far a series moves now, and how far it has walked off lately, each in units of what is usual for itself.

    motion = Motion()
    state = motion.begin(n)
    moves = motion.step(state, times, values)       one row of n series

Nothing is told here: it is what `neighbours` compares, and what is kept of a series for them to see. In units of its
own a brook and a river can be laid beside each other, and neither gauge zeros nor units matter.

Source: own; exponentially weighted means as in Roberts, "Control chart tests based on geometric moving averages"
(Technometrics 1, 1959), in units of a tail that is learnt (`tolerance`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from quality import tolerance
from quality.estimator import Floats
from quality.online import Bools

_DAY = 86400.0
_CAP = 8.0  # nats: what is beyond is learnt as that


@dataclass(slots=True)
class Moving:
    """Of n series: their level over hours, a day and many; the times of the newest value and of the first; for how many
    rows it has been far off; how far up and down it moved lately; and what is usual of all that.
    """

    level: Floats
    day: Floats
    days: Floats
    time: Floats
    began: Floats
    far: Floats
    up: Floats
    down: Floats
    grain: tolerance.Grain
    moves: tolerance.Tail
    walks: tolerance.Tail


@dataclass(frozen=True, slots=True)
class Moves:
    """Of one row: `move`, this value less the level of the last hours; `up` and `down`, how far it moved up and down
    lately, both from 0 on, the earlier the less; `off`, the mean of a day less that of many. All in units of what one
    row in fifty exceeds; `off` is nan while too little is known, the others 0. `unit`: that of `off`.
    """

    move: Floats
    up: Floats
    down: Floats
    off: Floats
    unit: Floats


@dataclass(frozen=True, slots=True)
class Motion:
    """`hours`: of the level that a movement is measured from, and in which it is forgotten; `days`: of the level that
    a walk is measured from. A movement counts as no more than `most` units. What is far off for fewer than `accept`
    rows moves no level: it may be no more than a spike.
    """

    hours: float = 3.0
    days: float = 20.0
    most: float = 20.0
    accept: int = 4
    digits: float = 2.0
    warm: int = 96
    least_days: float = 10.0

    def begin(self, n: int) -> Moving:
        unknown, nothing = np.full(n, np.nan), np.zeros(n)
        return Moving(
            unknown, unknown, unknown, unknown, unknown, nothing, nothing, nothing,
            tolerance.grain(n), tolerance.begin(n), tolerance.begin(n),
        )  # fmt: skip

    def step(self, state: Moving, times: Floats, values: Floats) -> Moves:
        """`times` (s since 1970) and `values` (nan where there is none) of shape (n,). The state goes on."""
        there = ~np.isnan(values)
        first = there & np.isnan(state.time)
        passed = np.where(there & ~first, np.maximum(times - state.time, 0.0), 0.0)
        for name in ("level", "day", "days"):
            setattr(state, name, np.where(first, values, getattr(state, name)))
        state.began = np.where(first, times, state.began)
        age = np.where(there, times - state.began, 0.0) / _DAY
        least = self.digits * state.grain.learn(values)

        # what happened in a long gap is no movement of now
        gone = passed > 2 * self.hours * 3600
        moved = np.where(there & ~gone, values - state.level, 0.0)
        warm = state.moves.known >= self.warm
        limit = np.where(warm, np.maximum(state.moves.limit(_CAP), least), np.inf)
        far = np.abs(moved) > limit
        state.far = np.where(there, np.where(far, state.far + 1, 0.0), state.far)
        taken = there & (~far | (state.far >= self.accept))
        move = self._units(moved, state.moves, least, warm)
        state.moves.learn(np.where(there & ~gone, np.abs(moved), np.nan), limit, pace=0.01, gain=0.01)
        fade = np.exp(-passed / (self.hours * 3600))
        state.up = np.maximum(state.up * fade, move)
        state.down = np.maximum(state.down * fade, -move)
        state.level = np.where(taken, state.level + (1.0 - fade) * (values - state.level), state.level)

        # while little is known a mean is one over all that is
        known = np.maximum(age, 0.01)
        fast, slow = (1.0 - np.exp(-passed / _DAY / np.minimum(known, span)) for span in (1.0, self.days))
        state.day = np.where(taken, state.day + fast * (values - state.day), state.day)
        state.days = np.where(taken, state.days + slow * (values - state.days), state.days)
        walked = state.day - state.days
        ready = there & (age >= self.least_days)
        off = np.where(ready, self._units(walked, state.walks, least, ready), np.nan)
        cap = np.where(ready, np.maximum(state.walks.limit(_CAP), least), np.inf)
        # a day is what a row is elsewhere: in a month of drift the hours say the same again and again
        weight = np.minimum(passed / _DAY, 1.0)
        walked = np.where(there & (age >= 3.0), np.abs(walked), np.nan)
        state.walks.learn(walked, cap, pace=0.04, gain=0.02, weight=weight)
        state.time = np.where(there, times, state.time)
        return Moves(move, state.up, state.down, off, state.walks.high)

    def _units(self, values: Floats, tail: tolerance.Tail, least: Floats, known: Bools) -> Floats:
        unit = np.maximum(tail.high, least)
        with np.errstate(divide="ignore", invalid="ignore"):
            found = np.where(known & (unit > 0), values / unit, 0.0)
        return np.clip(found, -self.most, self.most)
