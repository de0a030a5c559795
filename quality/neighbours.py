"""Does a series move as its neighbours do?

    neighbours = Neighbours()
    state = neighbours.begin(n)                              n series of which nothing is known
    compared = neighbours.step(state, times, values, near)   rows of all of them: compared first, learnt then

As in `online`, what comes later changes nothing, and the state can be kept and taken up again. What is different: a
series depends on others, on those that `near` names and no more. Each series has times of its own. Of a neighbour
counts what it measured up to and with the time of the value that is compared: what is known of it in `state`, and what
stands in the same rows. So rows that are cut at a time, for all series the same, give what the whole gives.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from devices.model import Quality, Reason
from quality import tolerance
from quality.estimator import Floats
from quality.motion import Motion, Moves, Moving
from quality.online import Bools, ratio, score_of

Near = npt.NDArray[np.intp]

_DAY = 86400.0
_KEPT = 12  # records of a series: those that come late may be that much behind
_APART = 1e10  # s from one series to the next on an axis of time that all of them share
_ENOUGH = 2  # neighbours, before it is said that a series disagrees with them


@dataclass(slots=True)
class Records:
    """What neighbours see of n series: how far they moved up and down lately, and how far they are off, at some of
    their times; shapes (records, n), the newest last, nan where there is none.
    """

    time: Floats
    up: Floats
    down: Floats
    off: Floats


@dataclass(slots=True)
class Relation:
    """Of n series: sums over what they and their neighbours were off (`xy`, `xx`), the times of the newest value and of
    the first, how far the neighbours were off lately, since when the series has left them (nan: it has not), whether
    an event lasts, and how far the series leave them.
    """

    xy: Floats
    xx: Floats
    time: Floats
    began: Floats
    astir: Floats
    since: Floats
    lasts: Floats
    tail: tolerance.Tail


@dataclass(slots=True)
class Company:
    """What is known of n series beside each other."""

    moving: Moving
    records: Records
    relation: Relation


@dataclass(frozen=True, slots=True)
class Compared:
    """Of rows of n series, shapes (rows, n). `up`, `down`: how far the neighbours moved in the last hours, in units of
    what is usual for them: as far as two of them did, or one by far. `known`: enough of them say something. `walk`: how
    far the mean of a day usually is from that of weeks at most, in the unit of the series. `excess`: how far the series
    has left the neighbours, as a multiple of what is tolerated; told from 1 on.
    """

    up: Floats
    down: Floats
    known: Bools
    walk: Floats
    excess: Floats


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Says how far the neighbours moved lately, and tells a series that leaves them.

    How far they moved is the second largest of them, or a third (`strong`) of the largest, each in units that it
    exceeds in one row of fifty; it counts for `lag` hours, and fades.

    Told is a series (`excess`) whose mean of a day has left the mean of many days otherwise than the neighbours'
    median says. How it follows them is learnt, with a memory of `memory` days. The distance is measured in units that
    grow with how far the neighbours were off lately: in a flood every gauge goes its own way. No neighbour alone is
    believed: "nothing happens" has a voice in the median, and what lies between the medians of all neighbours but one,
    whichever that is, has not left them. So of two neighbours one has to be near, and when one breaks the others are
    not told for it. And it is told only when it has been so for `lag` hours while they did not move: who leaves the
    others may be the first to rise. How far it parts from them while they move is not learnt either.

    Works badly where gates or tides move one gauge alone, on slow drift (less than some cm a day), in the first month,
    and for faults in a flood that are no larger than the flood.

    Assumes that what moves several gauges at once is water. What breaks several at once (a lightning, a gateway that
    sends nonsense) in the same direction looks the same.

    Cost: some two hundred operations on whole rows, and one search of all records; 96 numbers a series.

    >>> rng = np.random.default_rng(1)
    >>> times = np.repeat(np.arange(0.0, 90 * 86400, 3600)[:, None], 3, axis=1)
    >>> water = np.cumsum(0.02 * rng.standard_normal(len(times)))[:, None] * [1.0, 0.5, 2.0]
    >>> values = water + 0.01 * rng.standard_normal(times.shape)
    >>> values[1800:, 0] += 3.0
    >>> near = np.array([[1, 2], [0, 2], [0, 1]])
    >>> neighbours = Neighbours()
    >>> scores = neighbours.score(neighbours.begin(3), times, values, near)
    >>> [np.flatnonzero(series >= 0.5)[:1].tolist() for series in scores.T]
    [[1809], [], []]

    Source: own; spatial consistency checks as in WMO-No. 305 ch. 6 (of neighbours in space, by regression) with tails
    that are learnt in place of fixed ones (`tolerance`).
    """

    motion: Motion = field(default_factory=Motion)
    every: float = 300.0  # s between records
    lag: float = 6.0
    strong: float = 3.0
    memory: float = 60.0
    nats: float = 3.0
    calm: float = 0.1
    rest: float = 5.0
    least: float = 0.5
    settle_days: float = 5.0
    least_days: float = 20.0
    until: float = 0.7

    quality: ClassVar[Quality] = Quality.DOUBTFUL
    reason: ClassVar[Reason] = Reason.NEIGHBOURS
    sentence: ClassVar[str] = "left its neighbours {excess} times as far as is tolerated of this series"

    def begin(self, n: int) -> Company:
        """What is known of `n` series of which nothing is known."""
        unknown, nothing, none = np.full(n, np.nan), np.zeros(n), np.full((_KEPT, n), np.nan)
        return Company(
            self.motion.begin(n),
            Records(none, none, none, none),
            Relation(nothing, nothing, unknown, unknown, nothing, unknown, nothing, tolerance.begin(n)),
        )

    def step(self, state: Company, times: Floats, values: Floats, near: Near) -> Compared:
        """Rows of n series, shapes (rows, n): `times` in s since 1970, of each series ascending, `values` nan where
        there is none. `near`: of each series the numbers of its neighbours, shape (n, k), -1 for none. The state goes
        on.
        """
        if not values.size:
            nothing = np.zeros(values.shape)
            return Compared(nothing, nothing, np.zeros(values.shape, dtype=np.bool_), nothing, nothing)
        moves = self._moves(state.moving, times, values)
        known = self._recorded(state.records, times, values, moves)
        state.records = _newest(known)
        seen = self._seen(known, times, _two_at_least(near))
        usual, low, high, voices = _usual(seen.off)
        astir, still = self._together(np.abs(seen.off)), self._together(np.fmax(seen.up, seen.down)) < 1.0
        excess = np.zeros(values.shape)
        compared = ~np.isnan(values) & ~np.isnan(moves.off) & (voices >= _ENOUGH)
        for row in range(len(values)):
            given = (each[row] for each in (times, moves.off, usual, low, high, astir, still, compared))
            excess[row] = self._left(state.relation, *given)
        return Compared(self._together(seen.up), self._together(seen.down), voices >= _ENOUGH, moves.unit, excess)

    def fit(self, times: Floats, values: Floats, near: Near) -> Company:
        """What is known after rows of the past, shapes (rows, n)."""
        state = self.begin(values.shape[1])
        self.step(state, times, values, near)
        return state

    def score(self, state: Company, times: Floats, values: Floats, near: Near) -> Floats:
        """How far the series leave their neighbours in the rows that follow, 0 to 1; told from 0.5 on."""
        return score_of(self.step(copy.deepcopy(state), times, values, near).excess)

    def words(self, excess: float) -> str:
        """Why a value with this excess is told, as a sentence."""
        return self.sentence.format(excess=f"{min(excess, 999.0):.1f}")

    def _moves(self, state: Moving, times: Floats, values: Floats) -> Moves:
        rows = [self.motion.step(state, *row) for row in zip(times, values, strict=True)]
        return Moves(
            *(np.stack([getattr(row, name) for row in rows]) for name in ("move", "up", "down", "off", "unit"))
        )

    def _recorded(self, records: Records, times: Floats, values: Floats, moves: Moves) -> Records:
        """The records so far and those of these rows, one in `every` s."""
        recorded, newest = np.full(times.shape, np.nan), records.time[-1]
        for row, there in enumerate(~np.isnan(values)):
            due = there & ~(times[row] - newest < self.every)
            recorded[row] = np.where(due, times[row], np.nan)
            newest = np.where(due, times[row], newest)
        return Records(
            np.concatenate([records.time, recorded]),
            np.concatenate([records.up, moves.up]),
            np.concatenate([records.down, moves.down]),
            np.concatenate([records.off, moves.off]),
        )

    def _seen(self, known: Records, times: Floats, near: Near) -> Records:
        """The newest record of each neighbour that is no later, shapes (rows, n, k); nan where it is too old."""
        n, valid = near.shape[0], ~np.isnan(known.time).T
        own = known.time.T[valid]
        if not own.size:
            nothing = np.full((*times.shape, near.shape[1]), np.nan)
            return Records(nothing, nothing, nothing, nothing)
        # All series behind each other on one axis: one search finds all.
        first = own.min()
        owner = np.broadcast_to(np.arange(n)[:, None], valid.shape)[valid]
        at = np.searchsorted(own - first + _APART * owner, times[..., None] - first + _APART * near, side="right") - 1
        there = (at >= 0) & (owner[at] == near) & (near >= 0)
        passed = np.where(there, times[..., None] - own[at], np.inf)
        fade = np.where(passed <= self.lag * 3600, np.exp(-passed / (self.motion.hours * 3600)), np.nan)
        return Records(
            own[at],
            known.up.T[valid][at] * fade,
            known.down.T[valid][at] * fade,
            np.where(passed <= _DAY, known.off.T[valid][at], np.nan),
        )

    def _together(self, moved: Floats) -> Floats:
        """How far neighbours moved, of (..., k) each: as far as two of them did, or one by far."""
        ordered = np.sort(np.nan_to_num(moved, nan=0.0), axis=-1)
        return np.asarray(np.maximum(ordered[..., -2], ordered[..., -1] / self.strong))

    def _left(
        self,
        state: Relation,
        times: Floats,
        off: Floats,
        usual: Floats,
        low: Floats,
        high: Floats,
        astir: Floats,
        still: Bools,
        compared: Bools,
    ) -> Floats:
        """The excess of one row, shape (n,); the state goes on."""
        first = compared & np.isnan(state.time)
        state.began = np.where(first, times, state.began)
        passed = np.where(compared & ~first, np.maximum(times - state.time, 0.0), 0.0) / _DAY
        x, y = np.where(compared, usual, 0.0), np.where(compared, off, 0.0)
        # 1 in place of nothing: who has never moved with the neighbours is expected to stay where it is
        slope = np.clip(state.xy / (state.xx + 1.0), 0.0, 3.0)
        lately = np.maximum(astir, state.astir * np.exp(-passed / self.rest))
        state.astir = np.where(compared, lately, state.astir)
        beyond = np.maximum(np.maximum(y - slope * high, slope * low - y), 0.0)
        left = np.where(compared, beyond, 0.0) / (self.calm + state.astir)
        limit = np.maximum(state.tail.limit(self.nats), self.least)
        warm = compared & (times - state.began >= self.least_days * _DAY)
        excess = ratio(left, limit, warm)
        alone = (excess >= 1.0) & still
        state.since = np.where(compared, np.where(alone, np.fmin(state.since, times), np.nan), state.since)
        lasts = (state.lasts > 0) & (excess >= self.until)
        begins = alone & (times - state.since >= self.lag * 3600)
        excess = np.where(lasts, np.maximum(excess, 1.0), np.where(begins, excess, np.minimum(excess, 0.99)))
        told = excess >= 1.0
        keep = np.exp(-passed / self.memory)
        gain = np.where(compared & ~told, np.minimum(passed, 1.0), 0.0)
        state.xy, state.xx = state.xy * keep + gain * x * y, state.xx * keep + gain * x * x
        # A day is what a row is elsewhere: in a month of drift the hours say the same again and again.
        weight = np.minimum(passed, 1.0)
        cap = np.where(warm, limit, np.inf)
        # learnt where it could be told: how far they part in a flood says nothing about it
        says = compared & still & (times - state.began >= self.settle_days * _DAY)
        state.tail.learn(np.where(says, left, np.nan), cap, pace=0.04, gain=0.02, weight=weight)
        state.lasts = np.where(compared, np.where(told, 1.0, 0.0), state.lasts)
        state.time = np.where(compared, times, state.time)
        return excess


def _two_at_least(near: Near) -> Near:
    """With columns for two neighbours, whether there are any or not."""
    return np.pad(near, ((0, 0), (0, max(0, _ENOUGH - near.shape[1]))), constant_values=-1)


def _newest(known: Records) -> Records:
    """The last records of each series, in order."""
    last = np.argsort(~np.isnan(known.time), axis=0, kind="stable")[-_KEPT:]
    columns = (known.time, known.up, known.down, known.off)
    return Records(*(np.take_along_axis(column, last, axis=0) for column in columns))


def _usual(off: Floats) -> tuple[Floats, Floats, Floats, npt.NDArray[np.intp]]:
    """What neighbours say, of (..., k) each: the median of them and of 0; between what this and the medians of all but
    one of them lie, whichever that is; and how many there are that say something.
    """
    ordered = np.sort(off, axis=-1)
    n = (~np.isnan(ordered)).sum(axis=-1)
    usual = _middle(np.sort(np.concatenate([off, np.zeros((*off.shape[:-1], 1))], axis=-1), axis=-1), 0, n + 1)
    without = _middle(ordered, 0, n - 1), _middle(ordered, 1, n - 1)
    return usual, np.fmin(usual, without[0]), np.fmax(usual, without[1]), n


def _middle(ordered: Floats, first: int, n: npt.NDArray[np.intp]) -> Floats:
    """The median of `n` of (..., k) each, from number `first` on."""
    low, high = (
        np.take_along_axis(ordered, np.clip(first + at, 0, ordered.shape[-1] - 1)[..., None], axis=-1)[..., 0]
        for at in ((n - 1) // 2, n // 2)
    )
    return np.asarray((low + high) / 2)
