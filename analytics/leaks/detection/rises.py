"""What may have happened to what a block loses: a filter that follows many histories at once.

    rises = Rises(weights, numbers)         of the block, and about its usual
    rises.follow(numbers, weekday)          one more day; nan where it is missing
    rises.histories() -> Histories          with their probabilities, likeliest first

Each day of each history: nothing happened, a leak burst, one was repaired, one began to grow or stopped, or the day was
odd (a fire, a feast) and says little. Within a history all is linear: the level of the loss, its growth a day, the
season of use with its drift, what each weekday differs, and the level before the last rise; a Kalman filter finds
them with all they depend on. The likeliest histories live on; two that agree on what happened of late are one.

Source: P. Harrison, C. Stevens, Bayesian Forecasting, J. R. Statist. Soc. B 38(3), 1976 (multi-process models).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from analytics.leaks.detection.inflow_days import Weights
from analytics.leaks.network.pipes import Floats, Ints

NOTHING, BURST, REPAIR, GROWS, STOPS, ODD = range(6)

_HISTORIES, _ALIKE = 50, 25  # that live on; days on which two must differ
_RISES, _REPAIRS, _STOPPING, _ODD_DAYS = 0.015, 0.01, 0.05, 0.02  # a day; _RISES of each kind
_BURST, _BURST_SD, _REPAIRED, _REPAIRED_SD = 7.0, 5.0, -10.0, 8.0  # m3/h
_GROWTH, _GROWTH_SD, _GROWTH_CHANGES = 0.3, 0.3, 0.05  # m3/h a day
_ODD_SD = 12.0  # m3/h
_SEASON_SD, _DRIFT_SD, _DRIFT_CHANGES = 0.3, 0.2, 0.01  # of the mean; m3/h a day
_WEEKDAY_SD = 12.0  # m3/h

_LEVEL, _GROWING, _SEASON, _DRIFT, _BEFORE, _FIRST_WEEKDAY = range(6)
_SIZE = _FIRST_WEEKDAY + 7


@dataclass(frozen=True, slots=True, eq=False)
class Histories:
    """Of h histories over d days: `probability` (h,), `events` (h, d) what happened, `levels` (h, d) m3/h as seen on
    each day, `rise` (h,) m3/h since the last burst or beginning of growth, `variances` (h,) of it."""

    probability: Floats
    events: npt.NDArray[np.int8]
    levels: Floats
    rise: Floats
    variances: Floats


@dataclass(slots=True, eq=False)
class _Some:
    """Of k histories: `mean` (k, s) and `cov` (k, s, s) of the state, `log` (k,) of the probability, `grows` (k,),
    `parent` (k,) the history it goes on from, `event` (k,) what happened to it today."""

    mean: Floats
    cov: Floats
    log: Floats
    grows: npt.NDArray[np.bool_]
    parent: Ints
    event: npt.NDArray[np.int8]


class Rises:
    """`weights` of the block; `numbers` (2,) about the usual of its first days."""

    def __init__(self, weights: Weights, numbers: Floats) -> None:
        self._carried, self._variances = weights.carried, weights.variances
        spread = np.zeros(_SIZE)
        spread[[_LEVEL, _SEASON]] = (_SEASON_SD * weights.mean) ** 2
        spread[_DRIFT], spread[_FIRST_WEEKDAY:] = _DRIFT_SD**2, _WEEKDAY_SD**2
        mean = np.zeros((1, _SIZE))
        mean[0, _LEVEL], mean[0, _SEASON] = numbers[0] - weights.carried * numbers[1], numbers[1]
        one = np.zeros(1, dtype=np.int64)
        self._now = _Some(mean, np.diag(spread)[None], np.zeros(1), one.astype(bool), one, one.astype(np.int8))
        self._events, self._levels = np.zeros((1, 0), np.int8), np.zeros((1, 0))

    def follow(self, numbers: Floats, weekday: int) -> None:
        """The next day's two `numbers`."""
        some = self._happened(bool(self._events.shape[1]))
        if np.isfinite(numbers).all():
            self._learn(some, numbers, weekday)
        self._keep(some)

    def histories(self) -> Histories:
        now = self._now
        rise = now.mean[:, _LEVEL] - now.mean[:, _BEFORE]
        own, before = now.cov[:, _LEVEL, _LEVEL], now.cov[:, _BEFORE, _BEFORE]
        variances = own + before - 2 * now.cov[:, _LEVEL, _BEFORE]
        return Histories(np.exp(now.log), self._events, self._levels, rise, np.maximum(variances, 0.0))

    def level(self) -> float:
        """m3/h, over all histories; what is used at the usual season is in it."""
        return float(np.exp(self._now.log) @ self._now.mean[:, _LEVEL])

    def _happened(self, any_day: bool) -> _Some:
        """Each history with each thing that may have happened to it today."""
        old, move = self._now, np.eye(_SIZE)
        move[_LEVEL, _GROWING] = move[_SEASON, _DRIFT] = 1.0
        mean, cov = old.mean @ move.T, move @ old.cov @ move.T
        cov[:, _DRIFT, _DRIFT] += _DRIFT_CHANGES**2
        cov[old.grows, _GROWING, _GROWING] += _GROWTH_CHANGES**2
        grows, every = old.grows, np.ones(len(old.log), dtype=bool)
        made: list[_Some] = []

        def add(which: npt.NDArray[np.bool_], event: int, chance: float, *does: Callable[[_Some], None]) -> None:
            if which.any():
                at = np.flatnonzero(which)
                kind = np.full(len(at), event, np.int8)
                one = _Some(mean[at], cov[at], old.log[at] + np.log(chance), grows[at], at, kind)
                for each in does:
                    each(one)
                made.append(one)

        if not any_day:
            add(every, NOTHING, 1.0)
        else:
            rest = 1 - _RISES - _REPAIRS - _ODD_DAYS
            add(~grows, NOTHING, rest - _RISES)
            add(grows, NOTHING, rest - _STOPPING)
            add(every, BURST, _RISES, _remember, _bursts)
            add(~grows, REPAIR, _REPAIRS, _repaired)
            add(grows, REPAIR, _REPAIRS / 2, _repaired)
            add(grows, REPAIR, _REPAIRS / 2, _stands, _repaired)
            add(~grows, GROWS, _RISES, _remember, _begins)
            add(grows, STOPS, _STOPPING, _stands)
            add(every, ODD, _ODD_DAYS)
        return _Some(*(np.concatenate([getattr(one, name) for one in made]) for name in _Some.__slots__))

    def _learn(self, some: _Some, numbers: Floats, weekday: int) -> None:
        seen = np.zeros((2, _SIZE))
        seen[0, [_LEVEL, _FIRST_WEEKDAY + weekday]], seen[0, _SEASON], seen[1, _SEASON] = 1.0, self._carried, 1.0
        off = numbers - some.mean @ seen.T
        across = some.cov @ seen.T
        scatter = seen @ across + np.diag(self._variances)
        scatter[:, 0, 0] += np.where(some.event == ODD, _ODD_SD**2, 0.0)
        inverse = np.linalg.inv(scatter)
        gain = across @ inverse
        some.log -= 0.5 * (np.einsum("ki,kij,kj->k", off, inverse, off) + np.log(np.linalg.det(scatter)))
        some.mean += np.einsum("kij,kj->ki", gain, off)
        cov = some.cov - gain @ np.swapaxes(across, 1, 2)
        some.cov = (cov + np.swapaxes(cov, 1, 2)) / 2

    def _keep(self, some: _Some) -> None:
        """The likeliest; of those alike of late the likeliest has the probability of all."""
        events = np.hstack([self._events[some.parent], some.event[:, None]])
        first: dict[tuple[bytes, bool], int] = {}
        for at in np.argsort(-some.log, kind="stable")[: 4 * _HISTORIES].tolist():
            key = (events[at, -_ALIKE:].tobytes(), bool(some.grows[at]))
            if key in first:
                some.log[first[key]] = np.logaddexp(some.log[first[key]], some.log[at])
            elif len(first) < _HISTORIES:
                first[key] = at
        kept = np.array(sorted(first.values(), key=lambda at: -some.log[at]))
        log = some.log[kept] - some.log[kept].max()
        log -= np.log(np.exp(log).sum())
        parent = some.parent[kept]
        self._now = _Some(some.mean[kept], some.cov[kept], log, some.grows[kept], parent, some.event[kept])
        self._levels = np.hstack([self._levels[parent], self._now.mean[:, [_LEVEL]]])
        self._events = events[kept]


def _remember(some: _Some) -> None:
    """What the level was before today."""
    copy = np.eye(_SIZE)
    copy[_BEFORE] = 0.0
    copy[_BEFORE, _LEVEL], copy[_BEFORE, _GROWING] = 1.0, -1.0
    some.mean, some.cov = some.mean @ copy.T, copy @ some.cov @ copy.T


def _bursts(some: _Some) -> None:
    some.mean[:, _LEVEL] += _BURST
    some.cov[:, _LEVEL, _LEVEL] += _BURST_SD**2


def _repaired(some: _Some) -> None:
    some.mean[:, _LEVEL] += _REPAIRED
    some.cov[:, _LEVEL, _LEVEL] += _REPAIRED_SD**2


def _stands(some: _Some) -> None:
    some.mean[:, _GROWING], some.cov[:, _GROWING, :], some.cov[:, :, _GROWING] = 0.0, 0.0, 0.0
    some.grows = np.zeros_like(some.grows)


def _begins(some: _Some) -> None:
    some.mean[:, _GROWING] = _GROWTH
    some.mean[:, _LEVEL] += _GROWTH
    some.grows = np.ones_like(some.grows)
    pair = np.array([_LEVEL, _GROWING])
    some.cov[np.ix_(np.arange(len(some.log)), pair, pair)] += _GROWTH_SD**2
