"""What a forecaster may see: a gauge and what is measured round it, on one regular grid.

Record(start, step, level, neighbours, rain)
on_grid(times, values, start, step, n) -> (n,)        a level: the newest value of each step
summed(times, amounts, start, step, n) -> (n,)        rain: what fell in each step
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Record:
    """n rows, oldest first; nan where nothing usable is known. Row i is what was known at `start` + i * `step`, seconds
    since 1970.

    `level` (n,) the gauge, in a unit of its own; `neighbours` (n, k) other gauges, each in its own; `rain` (n, r) what
    fell in the step that ends at the row.
    """

    start: float
    step: float
    level: Floats
    neighbours: Floats
    rain: Floats

    def __post_init__(self) -> None:
        n = len(self.level)
        if self.neighbours.shape[:1] != (n,) or self.rain.shape[:1] != (n,):
            raise ValueError(f"{n} rows of the gauge, {len(self.neighbours)} of neighbours, {len(self.rain)} of rain")
        if not 0 < self.step <= 3600 or 3600 % self.step:
            raise ValueError(f"a step of {self.step:g} s: whole steps must make an hour")

    @property
    def hour(self) -> int:
        """Rows in an hour."""
        return round(3600 / self.step)

    def before(self, rows: int) -> Record:
        """The first `rows` of it."""
        return Record(self.start, self.step, self.level[:rows], self.neighbours[:rows], self.rain[:rows])


def on_grid(times: Floats, values: Floats, start: float, step: float, n: int) -> Floats:
    """The newest usable value of each step (row - step, row]; nan where there is none. `times` ascending, seconds."""
    found = np.full(n, np.nan)
    usable = ~np.isnan(values)
    rows = np.ceil((times[usable] - start) / step - 1e-9).astype(np.intp)
    inside = (rows >= 0) & (rows < n)
    found[rows[inside]] = values[usable][inside]
    return found


def summed(times: Floats, amounts: Floats, start: float, step: float, n: int) -> Floats:
    """What was measured in each step (row - step, row]; nan where nothing was."""
    usable = ~np.isnan(amounts)
    rows = np.ceil((times[usable] - start) / step - 1e-9).astype(np.intp)
    inside = (rows >= 0) & (rows < n)
    total = np.bincount(rows[inside], amounts[usable][inside], minlength=n)
    measured = np.bincount(rows[inside], minlength=n) > 0
    return np.where(measured, total, np.nan)
