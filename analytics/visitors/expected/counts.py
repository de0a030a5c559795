"""Counts of one or many counters on one regular grid of local time.

    Counts(first, per_day, values)     values (n, C): hour (24 a day) or day (1), from the midnight of `first` on
    Counts(..., vouched)               (n, C) of which somebody has said that they are true, zeros too

Local time, so that nine o'clock is nine o'clock in summer and winter: the hour that a clock change leaves out is nan,
the one that comes twice holds the mean of both. nan: nothing is known of it. 0: counted, and nobody came - or so the
counter says.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

WEEK = 7


@dataclass(frozen=True, slots=True)
class Counts:
    """`values` (n, C) with n a whole number of days; `per_day` 24 or 1. `vouched` None: nobody has said anything."""

    first: date
    per_day: int
    values: Floats
    vouched: Bools | None = None

    @property
    def days(self) -> int:
        return len(self.values) // self.per_day

    @property
    def counters(self) -> int:
        return int(self.values.shape[1])

    def day_of(self, row: int) -> date:
        return self.first + timedelta(days=row // self.per_day)

    def until(self, row: int) -> Counts:
        """What is known when row `row` begins; the day it lies in is there, empty from then on."""
        days = -(-row // self.per_day)
        shorter = self.with_days(days)
        shorter.values[row:] = np.nan
        return shorter

    def with_days(self, days: int) -> Counts:
        """The same with empty days at its end, or without the days beyond `days`."""
        n = days * self.per_day
        grown = np.full((n, self.counters), np.nan)
        kept = min(n, len(self.values))
        grown[:kept] = self.values[:kept]
        said = None
        if self.vouched is not None:
            said = np.zeros(grown.shape, dtype=np.bool_)
            said[:kept] = self.vouched[:kept]
        return replace(self, values=grown, vouched=said)


def earlier(figures: Floats, rows: int) -> Floats:
    """(n, ...) what the figures were `rows` rows earlier; nan before the first."""
    found = np.full_like(figures, np.nan)
    if rows < len(figures):
        found[rows:] = figures[: len(figures) - rows] if rows else figures
    return found


def lately(figures: Floats, rows: int) -> Floats:
    """(n, C) the mean of the `rows` rows that end with each, of what is known; nan where nothing is."""
    known = ~np.isnan(figures)
    none = np.zeros((1, figures.shape[1]))
    total = np.vstack([none, np.cumsum(np.where(known, figures, 0.0), axis=0)])
    number = np.vstack([none, np.cumsum(known, axis=0)])
    end = np.arange(1, len(figures) + 1)
    begin = np.maximum(end - rows, 0)
    n = number[end] - number[begin]
    mean: Floats = np.where(n > 0, (total[end] - total[begin]) / np.maximum(n, 1), np.nan)
    return mean


def known_mean(figures: Floats, axis: int) -> Floats:
    """The mean of what is not nan; nan, without a warning, where nothing is known."""
    known = ~np.isnan(figures)
    n = known.sum(axis=axis)
    mean: Floats = np.where(n > 0, np.where(known, figures, 0.0).sum(axis=axis) / np.maximum(n, 1), np.nan)
    return mean


def known_median(figures: Floats) -> Floats:
    """The median over the first axis of what is not nan; nan, without a warning, where nothing is known."""
    # Sorting puts nan last; of k known ones the median lies between (k - 1) // 2 and k // 2.
    ordered = np.sort(figures, axis=0)
    k = (~np.isnan(figures)).sum(axis=0)[None]
    low = np.take_along_axis(ordered, np.maximum(k - 1, 0) // 2, axis=0)[0]
    high = np.take_along_axis(ordered, np.minimum(k // 2, len(figures) - 1), axis=0)[0]
    middle: Floats = np.where(k[0] > 0, (low + high) / 2, np.nan)
    return middle
