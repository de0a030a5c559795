"""Many series end to end, so that one search looks into all of them: what the rule engine reads.

    columns = Columns.of(stream, times, values, doubtful, steps)
    at = columns.last(stream, time)      # per row: where that series' newest observation at or before that time is

A value is what is known of it: between `low` and `high`. A doubtful one (but for its clock) alone says nothing new: it
lies somewhere between the usable one before it and itself, so that it neither begins nor ends anything until the next
one agrees. Missing and bad observations are not here at all: a gap is a gap, never a zero.

Times are whole microseconds since 1970 in UTC, as PostgreSQL has them. Cost: O(n log n) once, O(log n) a search.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

SECOND = 1_000_000
FOREVER = 10**17  # µs, longer than any series; a step of this never gets old
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_ASIDE = 40 * 7 * 86_400 * SECOND  # between the series on the common axis: farther than any window reaches
_EXACT = 6  # decimals: 0.7 - 0.1 shall be 0.6


def micros(time: datetime) -> int:
    return (time - _EPOCH) // _MICROSECOND


def moment(time: int) -> datetime:
    return _EPOCH + timedelta(microseconds=int(time))


@dataclass(frozen=True, slots=True)
class Columns:
    """`offsets[s]` to `offsets[s + 1]` are the rows of series s; `step[s]` its usual time between observations."""

    offsets: Ints
    times: Ints
    low: Floats
    high: Floats
    step: Ints
    _keys: Ints
    _span: int
    _first: int
    _sums: tuple[Floats, Floats]

    @classmethod
    def of(
        cls,
        stream: ArrayLike,
        times: ArrayLike,
        values: ArrayLike,
        doubtful: ArrayLike,
        step: ArrayLike,
        *,
        summed: ArrayLike = False,
    ) -> Self:
        """Rows by series (0, 1, ...) and time, one each; `values` NaN: known to be unknown. `step` per series.

        `summed` (per series): its values are amounts; a doubtful one is then between nothing and itself.
        """
        stream_, times_ = np.asarray(stream, dtype=np.int64), np.asarray(times, dtype=np.int64)
        values_, doubtful_ = np.asarray(values, dtype=np.float64), np.asarray(doubtful, dtype=np.bool_)
        steps = np.atleast_1d(np.asarray(step, dtype=np.int64))
        summed_ = np.broadcast_to(np.asarray(summed, dtype=np.bool_), steps.shape)
        offsets = np.searchsorted(stream_, np.arange(steps.size + 1)).astype(np.int64)
        low, high = values_.copy(), values_.copy()
        if doubtful_.any():
            before = np.roll(values_, 1)
            before[offsets[:-1][offsets[:-1] < offsets[1:]]] = np.nan  # the first of its series agrees with nothing
            before = np.where(summed_[stream_], 0.0, before)
            known = ~np.isnan(before)
            low = np.where(doubtful_, np.where(known, np.fmin(values_, before), -np.inf), low)
            high = np.where(doubtful_, np.where(known, np.fmax(values_, before), np.inf), high)
        low, high = np.where(np.isnan(low), -np.inf, low), np.where(np.isnan(high), np.inf, high)
        first = int(times_.min()) if times_.size else 0
        span = (int(times_.max()) - first if times_.size else 0) + 2 * _ASIDE
        if steps.size * span >= 2**63:
            raise OverflowError(f"{steps.size} series over {span // (86_400 * SECOND)} days do not fit on one axis")
        keys = stream_ * span + (times_ - first)
        finite = np.where(np.isfinite(low), low, 0.0), np.where(np.isfinite(high), high, 0.0)
        sums = np.concatenate(([0.0], np.cumsum(finite[0]))), np.concatenate(([0.0], np.cumsum(finite[1])))
        return cls(offsets, times_, low, high, steps, keys, span, first, sums)

    def last(self, stream: Ints, time: Ints) -> Ints:
        """Per row the index of the newest observation of `stream` at or before `time`; -1 where there is none."""
        known = stream >= 0
        at = np.clip(time - self._first, -_ASIDE, self._span - _ASIDE)
        found = np.searchsorted(self._keys, np.where(known, stream, 0) * self._span + at, side="right") - 1
        return np.where(known & (found >= self.offsets[np.where(known, stream, 0)]), found, -1)

    def ever_known(self, stream: int) -> bool:
        """Whether a series has a value that anybody knows."""
        return bool(np.isfinite(self.low[self.offsets[stream] : self.offsets[stream + 1]]).any())

    def reading(self, stream: Ints, time: Ints) -> tuple[Floats, Floats, Ints]:
        """What is known of the value as last read, and where that reading is (-1: none that is fresh enough)."""
        at = self.last(stream, time)
        fresh = at >= 0
        # Two and a half steps: one reading may be lost.
        fresh &= 2 * (time - self._time(at)) <= 5 * self._step(stream)
        return *self._known(np.where(fresh, at, -1)), np.where(fresh, at, -1)

    def change(self, stream: Ints, time: Ints, window: Ints) -> tuple[Floats, Floats]:
        """What is known of how much it rose in the `window` before the last reading."""
        low, high, at = self.reading(stream, time)
        then = self._time(at) - window
        before = np.where(at >= 0, self.last(np.where(at >= 0, stream, -1), then), -1)
        after = np.minimum(before + 1, self.times.size - 1)
        exact = (before >= 0) & (self._time(before) == then)
        gap = np.where(before >= 0, self._time(after) - self._time(before), 1)
        near = (before >= 0) & (2 * gap <= 5 * self._step(stream)) & (gap > 0)
        share = np.where(exact, 0.0, (then - self._time(before)) / np.where(gap > 0, gap, 1))
        ends = []
        for side in self._known(before), self._known(np.where(exact, before, after)):
            ends.append(tuple(np.where(exact | near, each, np.nan) for each in side))
        (low0, high0), (low1, high1) = ends
        with np.errstate(invalid="ignore"):
            start_low, start_high = low0 + share * (low1 - low0), high0 + share * (high1 - high0)
            return _bounds(low - start_high, high - start_low)

    def total(self, stream: Ints, time: Ints, window: Ints) -> tuple[Floats, Floats]:
        """What is known of the sum over the `window` that ends with the last reading: where one is missing it is at
        least that of the others.
        """
        _, _, at = self.reading(stream, time)
        end = np.where(at >= 0, self._time(at), time)
        upto = self.last(stream, end)
        start = np.maximum(self.last(stream, end - window) + 1, self.offsets[np.maximum(stream, 0)])
        count = np.where(upto >= 0, upto + 1 - start, 0)
        first, past = np.where(count > 0, start, 0), np.where(count > 0, upto + 1, 0)
        needed = np.maximum(1, window // self._step(stream))
        whole = (at >= 0) & (count >= needed)
        low = np.round(self._sums[0][past] - self._sums[0][first], _EXACT)
        high = np.where(whole, np.round(self._sums[1][past] - self._sums[1][first], _EXACT), np.inf)
        return np.where(stream >= 0, low, -np.inf), np.where(stream >= 0, high, np.inf)

    def rows_since(self, stream: Ints, since: Ints) -> tuple[Ints, Ints]:
        """Of each series the times from `since` on: (which of the given series, time)."""
        known = np.flatnonzero(stream >= 0)
        wanted = stream[known]
        at = np.clip(since[known] - self._first, -_ASIDE, self._span - _ASIDE)
        start = np.maximum(np.searchsorted(self._keys, wanted * self._span + at), self.offsets[wanted])
        count = np.maximum(self.offsets[wanted + 1] - start, 0)
        within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        return np.repeat(known, count), self.times[np.repeat(start, count) + within]

    def _time(self, at: Ints) -> Ints:
        return self.times[np.maximum(at, 0)] if self.times.size else np.zeros_like(at)

    def _step(self, stream: Ints) -> Ints:
        return self.step[np.maximum(stream, 0)]

    def _known(self, at: Ints) -> tuple[Floats, Floats]:
        if not self.times.size:
            return np.full(at.shape, -np.inf), np.full(at.shape, np.inf)
        some = np.maximum(at, 0)
        return np.where(at >= 0, self.low[some], -np.inf), np.where(at >= 0, self.high[some], np.inf)


def _bounds(low: Floats, high: Floats) -> tuple[Floats, Floats]:
    """Rounded, and unbounded where nothing is known."""
    return (
        np.where(np.isnan(low), -np.inf, np.round(low, _EXACT)),
        np.where(np.isnan(high), np.inf, np.round(high, _EXACT)),
    )
