"""Learn from what was counted, say what will be.

    train(counts, calendar, weather, leads) -> Forecaster
    Forecaster.ahead(counts, calendar, weather, rows, lead) -> Expected(value, lo, hi)

One model for all counters given: gradient boosting of the difference to the same hour of the last four weeks, in log,
by absolute error (the median: a festival among the examples does not move what is expected), each example weighed by
how many come. Zeros that are none are left out of what is learned and of what is known. Trained once on the past; what
the last days, weeks and the last year were like enters with every forecast, so it follows without being trained again.

With less than four weeks there is nothing to learn from and every forecast is what the earlier weeks had; with nothing
at all it is nan. Cost: some 30 seconds of a processor for a year of 100 counters by the hour, less for fewer
(`mimamori bench visitors`).
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from analytics.visitors.expected.calendar import Calendar
from analytics.visitors.expected.counts import WEEK, Bools, Counts, Floats
from analytics.visitors.expected.intervals import Intervals
from analytics.visitors.expected.situation import Situation, Weather
from analytics.visitors.zeros import judge

if TYPE_CHECKING:
    from sklearn.ensemble import HistGradientBoostingRegressor

_MOST_EXAMPLES = 120_000
_OF_A_COUNTER = 6_000  # examples that one more counter is worth learning from,
_AT_LEAST = 20_000  # and that are always learned from where there are so many
_MOST_TRIED = 60_000  # of them for the forecaster that only shows how far off one is
_BINS = 255  # of a column: as many as there can be
_FEW = 5_000  # examples: below this the trees are small
_FEWEST = 28  # examples
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

    def ahead(self, counts: Counts, calendar: Calendar, weather: Weather, first: int, lead: int = 1) -> Expected:
        """The rows from `first` (the begin of a day) on, each with what was counted at least `lead` days before it."""
        if lead not in self.leads:
            raise ValueError(f"this forecaster has learned {self.leads} days ahead, not {lead}")
        believed = replace(counts, values=judge(counts, calendar).believed())
        warm = max(0, first - 8 * WEEK * counts.per_day)
        value = self._value(Situation.of(believed, calendar, weather, lead), lead, warm)
        # A count by the hour is known a day after the hour of its forecast: the day before is not yet whole.
        late = lead + (counts.per_day > 1)
        lo, hi = self.intervals.around(value, believed.values[warm:], counts.per_day, late)
        return Expected(value[first - warm :], lo[first - warm :], hi[first - warm :])

    def _value(self, situation: Situation, lead: int, first: int) -> Floats:
        """The rows from `first` on."""
        usual = situation.usual[first:]
        change = np.zeros(usual.shape)
        there = np.flatnonzero(~np.isnan(usual))
        if self.model is not None and len(there):
            table = situation.table(there + first * usual.shape[1])
            with _one_core():
                change.ravel()[there] = self.model.predict(_with_lead(table, lead))
        value: Floats = np.maximum(np.expm1(usual + change), 0.0)
        return value


def train(counts: Counts, calendar: Calendar, weather: Weather, leads: Sequence[int] = (1,)) -> Forecaster:
    """Learns from all of it. `leads` in days, 1..7."""
    believed = replace(counts, values=judge(counts, calendar).believed())
    asked = tuple(sorted(set(leads)))
    situations = {lead: Situation.of(believed, calendar, weather, lead) for lead in asked[:1]}
    examples = _examples(believed, calendar, weather, asked, situations)
    if len(examples.row) < _FEWEST:
        return Forecaster(asked, None, Intervals.learn(*(np.empty((0, counts.counters)),) * 2))
    border = int(np.quantile(examples.row, 1 - _HELD_OUT))
    with ThreadPoolExecutor(2) as both:
        tried, model = both.map(_fit, (examples.part(_some(examples.row < border)), examples))
    trial = Forecaster(asked, tried, Intervals.learn(*(np.empty((0, 1)),) * 2))
    held_out = trial._value(situations[asked[0]], asked[0], border)
    return Forecaster(asked, model, Intervals.learn(held_out, believed.values[border:]))


def _examples(
    counts: Counts, calendar: Calendar, weather: Weather, leads: tuple[int, ...], known: dict[int, Situation]
) -> _Examples:
    chance = np.random.default_rng(1)
    found = []
    for lead in leads:
        situation = known.get(lead) or Situation.of(counts, calendar, weather, lead)
        change = np.log1p(counts.values) - situation.usual
        change[: _WARM_UP * counts.per_day] = np.nan
        at = np.flatnonzero(~np.isnan(change.ravel()))
        most = min(_MOST_EXAMPLES, max(_AT_LEAST, _OF_A_COUNTER * counts.counters)) // len(leads)
        if len(at) > most:
            at = np.sort(chance.choice(at, most, replace=False))
        size = np.nan_to_num(situation.size).ravel()[at]
        expected = np.maximum(np.expm1(situation.usual.ravel()[at]), 0.05 * size)
        found.append(
            _Examples(
                at // counts.counters,
                _with_lead(situation.table(at), lead),
                np.clip(change.ravel()[at], -_FARTHEST, _FARTHEST),
                # A busy counter has more to be wrong about, but is not all that matters.
                (expected + 0.1) / np.sqrt(size + 1.0),
            )
        )
    return _Examples(*(np.concatenate([getattr(each, name) for each in found]) for name in _Examples.__slots__))


def _some(which: Bools) -> Bools:
    """At most `_MOST_TRIED` of them."""
    at = np.flatnonzero(which)
    if len(at) <= _MOST_TRIED:
        return which
    found = np.zeros(len(which), dtype=np.bool_)
    found[np.random.default_rng(2).choice(at, _MOST_TRIED, replace=False)] = True
    return found


def _with_lead(table: NDArray[np.float32], lead: int) -> NDArray[np.float32]:
    return np.column_stack([table, np.full(len(table), lead, dtype=np.float32)])


def _fit(examples: _Examples) -> HistGradientBoostingRegressor:
    few = len(examples.row) < _FEW
    from sklearn.ensemble import HistGradientBoostingRegressor  # takes a second to load, and pages never learn

    model = HistGradientBoostingRegressor(
        loss="absolute_error",
        max_iter=60 if few else 150,
        learning_rate=0.06,
        max_leaf_nodes=6 if few else 31,
        min_samples_leaf=15 if few else 60,
        l2_regularization=1.0,
        max_features=0.5,
        max_bins=_BINS,
        early_stopping=False,
        random_state=1,
    )
    with _one_core():
        return model.fit(_coarse(examples.table), examples.change, examples.weight / examples.weight.mean())


def _coarse(table: NDArray[np.float32]) -> NDArray[np.float32]:
    """The columns in no more values than the model makes bins of, those of their quantiles; what is the same everywhere
    says nothing, and is 0.

    The borders of a column of few values are the middles between them: only where exactly they lie is different from
    what scikit-learn does by itself. It sorts weighted examples anew for each of 254 borders, which took longer than
    all the trees.
    """
    coarse = np.zeros_like(table)
    for at in range(table.shape[1]):
        known = ~np.isnan(table[:, at])
        column = table[known, at]
        values = np.unique(column)
        if len(values) > _BINS:
            values = np.unique(np.quantile(column, np.linspace(0.0, 1.0, _BINS)).astype(np.float32))
            column = values[np.searchsorted((values[1:] + values[:-1]) / 2, column)]
        if len(values) > 1:
            coarse[known, at] = column
            coarse[~known, at] = np.nan
    return coarse


def _one_core() -> threadpool_limits:
    """For one fit: the threads of its trees wait for each other after every handful of rows, and on a busy machine two
    take longer than one alone.
    """
    return threadpool_limits(1, user_api="openmp")
