"""Learn from what was counted, say what will be.

    train(counts, calendar, weather, leads) -> Forecaster
    Forecaster.ahead(counts, calendar, weather, rows, lead) -> Expected(value, lo, hi)

One model for all counters given: gradient boosting of the difference to the same hour of the last four weeks, in log,
by absolute error (the median: a festival among the examples does not move what is expected), each example weighed by
how many come. Zeros that are none are left out of what is learned and of what is known. Trained once on the past; what
the last days, weeks and the last year were like enters with every forecast, so it follows without being trained again.

With less than four weeks there is nothing to learn from and every forecast is what the earlier weeks had; with nothing
at all it is nan. Cost: a year of 100 counters by the hour is trained in well under a minute on two cores.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from analytics.visitors.expected.calendar import Calendar
from analytics.visitors.expected.counts import WEEK, Bools, Counts, Floats
from analytics.visitors.expected.intervals import Intervals
from analytics.visitors.expected.situation import Situation
from analytics.visitors.expected.zeros import judge

if TYPE_CHECKING:
    from sklearn.ensemble import HistGradientBoostingRegressor

_MOST_EXAMPLES = 250_000
_FEW = 5_000  # examples: below this the trees are small
_FEWEST = 28  # examples
_MANY = 50_000  # examples: from here on a second core is worth the waiting for each other
_WARM_UP = 4 * WEEK  # days
_HELD_OUT = 0.25  # of the examples, the newest: the intervals are measured on them
_FARTHEST = 3.0  # in log


@dataclass(frozen=True, slots=True)
class Expected:
    """(m, C) each, of the rows asked for: visitors, and between how many in nine cases of ten; nan: cannot be said."""

    value: Floats
    lo: Floats
    hi: Floats


@dataclass(frozen=True, slots=True)
class _Examples:
    """`table` (m, k), `change` (m,), `weight` (m,), in the order of their rows."""

    row: NDArray[np.int64]
    table: NDArray[np.float32]
    change: Floats
    weight: Floats

    def part(self, which: Bools) -> _Examples:
        return _Examples(self.row[which], self.table[which], self.change[which], self.weight[which])


@dataclass(frozen=True, slots=True)
class Forecaster:
    """What was learned; `model` None where there was too little."""

    leads: tuple[int, ...]
    model: HistGradientBoostingRegressor | None
    intervals: Intervals

    def ahead(self, counts: Counts, calendar: Calendar, weather: Floats, first: int, lead: int = 1) -> Expected:
        """The rows from `first` (the begin of a day) on, each with what was counted at least `lead` days before it."""
        if lead not in self.leads:
            raise ValueError(f"this forecaster has learned {self.leads} days ahead, not {lead}")
        believed = replace(counts, values=judge(counts).believed(counts.values))
        value = self._value(Situation.of(believed, calendar, weather, lead), lead)
        # A count by the hour is known a day after the hour of its forecast: the day before is not yet whole.
        late = lead + (counts.per_day > 1)
        warm = max(0, first - 8 * WEEK * counts.per_day)
        lo, hi = self.intervals.around(value[warm:], believed.values[warm:], counts.per_day, late)
        return Expected(value[first:], lo[first - warm :], hi[first - warm :])

    def _value(self, situation: Situation, lead: int) -> Floats:
        change = np.zeros(situation.usual.shape)
        if self.model is not None:
            table = situation.table.reshape(-1, situation.table.shape[2])
            there = ~np.isnan(situation.usual.ravel())
            if there.any():
                with _cores(int(there.sum())):
                    change.ravel()[there] = self.model.predict(_with_lead(table[there], lead))
        value: Floats = np.maximum(np.expm1(situation.usual + change), 0.0)
        return value


def train(counts: Counts, calendar: Calendar, weather: Floats, leads: Sequence[int] = (1,)) -> Forecaster:
    """Learns from all of it. `weather` (n, k), nan where not known. `leads` in days, 1..7."""
    believed = replace(counts, values=judge(counts).believed(counts.values))
    asked = tuple(sorted(set(leads)))
    situations = {lead: Situation.of(believed, calendar, weather, lead) for lead in asked[:1]}
    examples = _examples(believed, calendar, weather, asked, situations)
    if len(examples.row) < _FEWEST:
        return Forecaster(asked, None, Intervals.learn(*(np.empty((0, counts.counters)),) * 2))
    border = int(np.quantile(examples.row, 1 - _HELD_OUT))
    trial = Forecaster(asked, _fit(examples.part(examples.row < border)), Intervals.learn(*(np.empty((0, 1)),) * 2))
    held_out = trial._value(situations[asked[0]], asked[0])[border:]
    return Forecaster(asked, _fit(examples), Intervals.learn(held_out, believed.values[border:]))


def _examples(
    counts: Counts, calendar: Calendar, weather: Floats, leads: tuple[int, ...], known: dict[int, Situation]
) -> _Examples:
    chance = np.random.default_rng(1)
    found = []
    for lead in leads:
        situation = known.get(lead) or Situation.of(counts, calendar, weather, lead)
        change = np.log1p(counts.values) - situation.usual
        change[: _WARM_UP * counts.per_day] = np.nan
        at = np.flatnonzero(~np.isnan(change.ravel()))
        most = _MOST_EXAMPLES // len(leads)
        if len(at) > most:
            at = np.sort(chance.choice(at, most, replace=False))
        size = np.nan_to_num(situation.size).ravel()[at]
        expected = np.maximum(np.expm1(situation.usual.ravel()[at]), 0.05 * size)
        table = situation.table.reshape(-1, situation.table.shape[2])[at]
        found.append(
            _Examples(
                at // counts.counters,
                _with_lead(table, lead),
                np.clip(change.ravel()[at], -_FARTHEST, _FARTHEST),
                # A busy counter has more to be wrong about, but is not all that matters.
                (expected + 0.1) / np.sqrt(size + 1.0),
            )
        )
    return _Examples(*(np.concatenate([getattr(each, name) for each in found]) for name in _Examples.__slots__))


def _with_lead(table: NDArray[np.float32], lead: int) -> NDArray[np.float32]:
    return np.column_stack([table, np.full(len(table), lead, dtype=np.float32)])


def _fit(examples: _Examples) -> HistGradientBoostingRegressor:
    few = len(examples.row) < _FEW
    table = examples.table
    # The binning wants two different values of each; what is the same everywhere says nothing.
    nothing = [at for at in range(table.shape[1]) if len(np.unique(table[~np.isnan(table[:, at]), at])) < 2]
    if nothing:
        table = table.copy()
        table[:, nothing] = 0.0
    from sklearn.ensemble import HistGradientBoostingRegressor  # takes a second to load, and pages never learn

    model = HistGradientBoostingRegressor(
        loss="absolute_error",
        max_iter=60 if few else 150,
        learning_rate=0.06,
        max_leaf_nodes=6 if few else 31,
        min_samples_leaf=15 if few else 60,
        l2_regularization=1.0,
        max_features=0.5,
        early_stopping=False,
        random_state=1,
    )
    with _cores(len(examples.row)):
        return model.fit(table, examples.change, examples.weight / examples.weight.mean())


def _cores(rows: int) -> threadpool_limits:
    """On a busy machine, threads that wait for each other after a handful of rows take longer than one alone."""
    return threadpool_limits(None if rows >= _MANY else 1, user_api="openmp")
