"""What scikit-learn can say of recorded series, in the same terms as the checks: an excess a row, told from 1 on.

    rows = read(folder)                 every series side by side, and what each check says of each row by itself
    checks(rows)                        the product's detector
    forest(rows), forecast(rows)        scores, learnt anew from the past of each series alone, weekly; no labels
    unusual(rows, scores, nats)         these over what is tolerated of them
    told(rows, excess, factors)         verdicts, one fault one event
    logistic(), trees()                 learn from labelled rows how the checks' excesses are to be read

Nothing of a row comes from later. An unusual score is compared with the tail of the scores so far
(`quality.tolerance`), as every check does. Nothing of this is part of what runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from mimamori.anomaly_files import Series
from mimamori.anomaly_files import read as read_files
from quality import tolerance
from quality.detector import Detector
from quality.estimator import Flags, Floats
from quality.step import Step

DAY = 86400.0
FIRST = (2.0, 4.0)  # days after which is learnt for the first times; then every `EVERY`
EVERY, PAST = 7.0, 56.0  # days: learnt so often, from so many before
FEWEST = 96  # rows that are enough to learn from
SEED = 1
SIZE, ROUNDS = 50, 60  # trees of a forest and rounds of a forecast; rounds of boosting
LAGS = 6  # movements before a value that it is forecast from
RECENT = 24  # rows
_MOST = 1e6

DETECTOR, _STEP = Detector(), Step()


@dataclass(frozen=True)
class Rows:
    """Series side by side, shapes (rows, n) and (checks, rows, n); shorter ones end in rows without a value. `off`: how
    far a value is from the usual one of its half hour of the day, `short` and `long` its means (`quality.step`).
    """

    series: Sequence[Series]
    times: Floats
    values: Floats
    excess: Floats
    off: Floats
    short: Floats
    long: Floats

    @property
    def there(self) -> Flags:
        return ~np.isnan(self.values)

    @property
    def features(self) -> Floats:
        """Of each row what each check says, and the most that it said lately: shape (rows, n, 2 * checks)."""
        heights = np.log1p(np.minimum(self.excess, 1e3))
        lately = np.empty_like(heights)
        most = np.zeros_like(heights[:, 0])
        for row in range(heights.shape[1]):
            most = np.maximum(heights[:, row], most * np.exp(-1 / RECENT))
            lately[:, row] = most
        return np.moveaxis(np.concatenate([heights, lately]), 0, -1).astype(np.float32)


@dataclass(frozen=True)
class Excess:
    """Shapes (rows, n): of what moves, of which one fault becomes one event, and of what stands still or is silent."""

    moving: Floats
    still: Floats

    def beside(self, other: Excess) -> Excess:
        """The greater of both."""
        return Excess(np.maximum(self.moving, other.moving), np.maximum(self.still, other.still))


def read(folder: Path) -> Rows:
    every = read_files(folder)
    shape = (max(len(series.times) for series in every), len(every))
    times, values, off, short, long = np.full((5, *shape), np.nan)
    excess = np.zeros((len(DETECTOR.checks), *shape))
    for n, series in enumerate(every):
        times[: len(series.times), n], values[: len(series.times), n] = series.times, series.values
    states, days = DETECTOR.begin(shape[1]).states, _STEP.begin(shape[1])
    for row in range(shape[0]):
        excess[:, row] = DETECTOR.excesses(states, times[row], values[row])
        _STEP.step(days, times[row], values[row])
        off[row], short[row], long[row] = days.off, days.short, days.long
    return Rows(every, times, values, np.minimum(excess, _MOST), off, short, long)


def checks(rows: Rows) -> Excess:
    return Excess(rows.excess[:4].max(axis=0), rows.excess[4:].max(axis=0))


def told(rows: Rows, excess: Excess, factors: Sequence[float]) -> list[Flags]:
    """Verdicts, shape (rows, n) each, where an excess has to be so many times as high; as `Detector.step`."""
    n, over = rows.values.shape[1], np.repeat(np.array(factors), rows.values.shape[1])
    state, there = DETECTOR.begin(n * len(factors)), np.tile(rows.there, (1, len(factors)))
    moving = np.minimum(np.tile(excess.moving, (1, len(factors))) / over, _MOST)
    verdict = np.tile(excess.still, (1, len(factors))) >= over
    for row in range(len(moving)):
        compared = DETECTOR.compared(state, moving[row], there[row])
        verdict[row] |= np.where(there[row], compared >= 1.0, state.lasts)
    return [np.asarray(verdict[:, n * number : n * (number + 1)]) for number in range(len(factors))]


# --- without labels ----------------------------------------------------------------------------------------------


def forest(rows: Rows) -> Floats:
    """How easily each row is told from those of the weeks before: 0 to 1, nan where nothing was learnt yet."""
    from sklearn.ensemble import IsolationForest

    found = np.full(rows.values.shape, np.nan)
    for n in range(rows.values.shape[1]):
        own = np.flatnonzero(rows.there[:, n])
        values, off, long = rows.values[own, n], rows.off[own, n], rows.long[own, n]
        moved = np.diff(values, prepend=values[:1])
        shown = np.stack([values, moved, np.diff(moved, prepend=0.0), off, off - long, _spread(values)], axis=1)
        for past, new in _weeks(rows.times[own, n]):
            most = min(256, past.stop - past.start)
            model = IsolationForest(n_estimators=SIZE, max_samples=most, random_state=SEED).fit(shown[past])
            found[own[new], n] = -model.score_samples(shown[new])
    return found


def forecast(rows: Rows) -> Floats:
    """How far each value is from what the rows before it led to expect; nan where nothing was learnt yet."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    found = np.full(rows.values.shape, np.nan)
    for n in range(rows.values.shape[1]):
        own = np.flatnonzero(rows.there[:, n])
        times, values = rows.times[own, n], rows.values[own, n]
        moved = np.diff(values, prepend=values[:1])
        # of the row before: how far it was from its usual value, which its own row could tell
        known = (_before(column[own, n], 1) for column in (rows.off, rows.short, rows.long))
        angle = times % DAY / DAY * 2 * np.pi
        shown = np.stack(
            [
                *(_before(moved, lag) for lag in range(1, LAGS + 1)),
                *known,
                np.diff(times, prepend=times[:1]),
                np.sin(angle),
                np.cos(angle),
            ],
            axis=1,
        )
        for past, new in _weeks(times):
            low, high = np.quantile(moved[past], [0.005, 0.995])  # a sensor's -9999 is nothing to be learnt
            model = HistGradientBoostingRegressor(max_iter=SIZE, early_stopping=False, random_state=SEED)
            model.fit(shown[past], np.clip(moved[past], low, high))
            found[own[new], n] = np.abs(moved[new] - model.predict(shown[new]))
    return found


def unusual(rows: Rows, scores: Floats, nats: Sequence[float], digits: float = 0.0) -> list[Excess]:
    """Scores over what is tolerated of them so far, for each of the nats; `digits`: and over so many last digits."""
    n = rows.values.shape[1]
    many, tail = np.repeat(np.array(nats), n), tolerance.begin(n * len(nats))
    grain, excess = tolerance.grain(n), np.zeros((len(scores), n * len(nats)))
    for row in range(len(scores)):
        score, fine = np.tile(scores[row], len(nats)), np.tile(digits * grain.learn(rows.values[row]), len(nats))
        limit = np.maximum(tail.high + many * tail.excess, fine)
        warm = tail.known >= FEWEST
        excess[row] = np.where(warm & (score > 0) & (limit > 0), score / np.maximum(limit, 1e-12), 0.0)
        tail.learn(score, np.where(warm, limit, np.inf), pace=0.08, gain=0.02)
    excess = np.minimum(np.nan_to_num(excess), _MOST)
    still = np.zeros((len(scores), n))
    return [Excess(excess[:, n * number : n * (number + 1)], still) for number in range(len(nats))]


def _before(column: Floats, rows: int) -> Floats:
    """The column so many rows later; nothing before it begins."""
    return np.concatenate([np.full(min(rows, len(column)), np.nan), column[:-rows]])


def _spread(values: Floats) -> Floats:
    """The standard deviation of about the last `RECENT` values."""
    found, mean, square = np.zeros(len(values)), 0.0, 0.0
    for row, value in enumerate(values.tolist()):
        away = value - mean if row else 0.0
        mean = mean + away / RECENT if row else value
        square += (away * away - square) / RECENT
        found[row] = square**0.5
    return found


def _weeks(times: Floats) -> Iterator[tuple[slice, slice]]:
    """What is learnt from, and what is judged by it until the next time."""
    days = np.array(times - times[:1]) / DAY if len(times) else np.zeros(0)
    last = float(days[-1]) if len(days) else 0.0
    moments = [*FIRST, *np.arange(EVERY, last, EVERY).tolist(), np.inf]
    for begin, end in pairwise(moments):
        start, stop = np.searchsorted(days, [begin, end])
        first = int(np.searchsorted(days, begin - PAST))
        if start - first >= FEWEST and stop > start:
            yield slice(first, int(start)), slice(int(start), int(stop))


# --- with labels -------------------------------------------------------------------------------------------------


class Classifier(Protocol):
    def fit(self, shown: Any, truth: Any, sample_weight: Any) -> Any: ...

    def predict_proba(self, shown: Any) -> Any: ...


def logistic() -> Classifier:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(max_iter=300)


def trees() -> Classifier:
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(
        max_iter=ROUNDS, max_leaf_nodes=15, min_samples_leaf=50, early_stopping=False, random_state=SEED
    )
