"""What a record says at each row: how the water moved, how much rain fell, how wet the ground is.

    inputs(record, largest=None) -> Inputs

Every column is a difference or a sum, so that a steady river without rain is a row of zeros: a datum, a unit of a
neighbour or a shifted gauge cannot pass for a flood. What is not known counts as no change.

A neighbour that moves in one step by far more than it ever did (`largest`, of the record that was learned from) is
taken to have been shifted, not the river: that step is taken out of it, and it is not believed for `MISTRUST`. One that
has said nothing for `STALE` says nothing here.

Own changes are exact differences between lags that grow (`LAGS`), after Box & Jenkins' transfer functions; rain is the
mean of the gauges that answered, over the same lags and under exponential memories, of which the long ones stand for
the wetness of the catchment (antecedent precipitation index, Kohler & Linsley 1951).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.signal import lfilter

from analytics.rivers.forecast.record import Floats, Record

LAGS = (0, 1, 2, 3, 4, 5, 6, 8, 12, 18, 24, 36, 48)  # hours
NEIGHBOUR_LAGS = (0, 1, 2, 3, 6, 12)
MEMORIES = (2, 6, 12, 24, 72, 240)  # half-lives, hours
BASE = 168  # hours in which the lowest level is the river's base
STALE = 6  # hours a level stands for
MISTRUST = 12  # hours
SHIFT = 3.0  # times the largest step ever seen


@dataclass(frozen=True, slots=True)
class Inputs:
    """`level` (n,) the last known, nan after `STALE`; `columns` (n, p) under `names`; `rate` (n,) the change of the last
    hour; `steps` (k,) the largest step of each neighbour; `left_out` (n, k).

    Names: `d6` own change from 5 to 6 hours ago, `s10` of the last 10 minutes, `base` above the river's base, `r6` rain
    of that hour (mm/h), `e24` its memory, `m1` the wettest gauge, `n0d3` a neighbour's change.
    """

    level: Floats
    names: tuple[str, ...]
    columns: Floats
    rate: Floats
    steps: Floats
    left_out: npt.NDArray[np.bool_]

    def of(self, *wanted: str) -> Floats:
        """The columns of these names, those that there are."""
        return self.columns[:, [self.names.index(name) for name in wanted if name in self.names]]

    def within(self, hours: float) -> Inputs:
        """Only what looks back at most so many hours, but a day."""
        kept = [at for at, name in enumerate(self.names) if _memory(name) <= max(hours, 24.0)]
        return replace(self, names=tuple(self.names[at] for at in kept), columns=self.columns[:, kept])


def inputs(record: Record, largest: Floats | None = None) -> Inputs:
    """The inputs of every row, each of the row and what was before it. `largest` (k,): `Inputs.steps` of the record that
    was learned from; without it nothing is mistrusted.
    """
    hour = record.hour
    level = held(record.level, STALE * hour)
    found: dict[str, Floats] = {}
    for newer, older in itertools.pairwise(LAGS):
        found[f"d{older}"] = lagged(level, newer * hour) - lagged(level, older * hour)
    rate = found["d1"]
    for rows in (1, hour // 2):
        if 0 < rows < hour:
            found[f"s{round(rows * record.step / 60)}"] = level - lagged(level, rows)
    found["base"] = level - _lowest(level, BASE * hour)
    if record.rain.shape[1]:
        found |= _rain(record)
    steps, left_out = np.zeros(record.neighbours.shape[1]), np.zeros(record.neighbours.shape, dtype=np.bool_)
    for at in range(record.neighbours.shape[1]):
        known = held(record.neighbours[:, at], STALE * hour)
        moved = np.diff(known, prepend=np.nan)
        steps[at] = np.nanmax(np.abs(moved), initial=0.0)
        if largest is not None:
            jumped = np.abs(moved) > SHIFT * largest[at]
            moved = np.where(jumped, 0.0, moved)
            left_out[:, at] = _lately(jumped, MISTRUST * hour) | np.isnan(known)
        course = np.cumsum(np.nan_to_num(moved))
        course[np.isnan(known)] = np.nan
        for newer, older in itertools.pairwise(NEIGHBOUR_LAGS):
            found[f"n{at}d{older}"] = lagged(course, newer * hour) - lagged(course, older * hour)
    columns = np.nan_to_num(np.column_stack(list(found.values())))
    return Inputs(level, tuple(found), columns, np.nan_to_num(rate), steps, left_out)


def _memory(name: str) -> float:
    """How many hours a column looks back."""
    if name == "base":
        return BASE
    return 0.0 if name.startswith("s") else float(name.rsplit("d", 1)[-1].lstrip("drem"))


def held(values: Floats, rows: int) -> Floats:
    """The last known value, for at most so many `rows` after it."""
    at = np.where(np.isnan(values), -1, np.arange(len(values)))
    at = np.maximum.accumulate(at) if len(at) else at
    age = np.arange(len(values)) - at
    return np.where((at >= 0) & (age <= rows), values[np.maximum(at, 0)], np.nan)


def lagged(values: Floats, rows: int) -> Floats:
    """The values of so many `rows` earlier; nan before there were any."""
    found = np.full(len(values), np.nan)
    found[rows:] = values[: max(0, len(values) - rows)]
    return found


def ahead(values: Floats, rows: int) -> Floats:
    """The values of so many `rows` later; nan after the last."""
    return lagged(values[::-1], rows)[::-1]


def _rain(record: Record) -> dict[str, Floats]:
    hour = record.hour
    answered = ~np.isnan(record.rain)
    known = np.where(answered, record.rain, 0.0)
    fallen = known.sum(axis=1) / np.maximum(answered.sum(axis=1), 1)
    total = np.concatenate([[0.0], np.cumsum(fallen)])

    def since(rows: int) -> Floats:
        """Of each row, what had fallen until so many rows before it."""
        return total[np.maximum(np.arange(1, len(fallen) + 1) - rows, 0)]

    found = {}
    for newer, older in itertools.pairwise(LAGS):
        found[f"r{older}"] = (since(newer * hour) - since(older * hour)) / (older - newer)
    for memory in MEMORIES:
        kept = 0.5 ** (1.0 / (memory * hour))
        found[f"e{memory}"] = lfilter([1.0], [1.0, -kept], fallen) / memory
    if record.rain.shape[1] > 1:
        wettest = np.concatenate([[0.0], np.cumsum(known.max(axis=1))])
        rows = np.arange(1, len(fallen) + 1)
        found["m1"] = wettest[rows] - wettest[np.maximum(rows - hour, 0)]
    return found


def _lowest(level: Floats, rows: int) -> Floats:
    """The lowest value of the last so many rows, by blocks (van Herk 1992): two running minima instead of a window."""
    n = len(level)
    if not n:
        return level
    rows = min(rows, n)
    filled = np.where(np.isnan(level), np.inf, level)
    blocks = -(-n // rows)
    padded = np.concatenate([filled, np.full(blocks * rows - n, np.inf)]).reshape(blocks, rows)
    forward = np.minimum.accumulate(padded, axis=1).ravel()[:n]
    backward = np.minimum.accumulate(padded[:, ::-1], axis=1)[:, ::-1].ravel()[:n]
    first = np.maximum(np.arange(n) - rows + 1, 0)
    lowest = np.minimum(forward, backward[first])
    lowest[: rows - 1] = forward[: rows - 1]
    return np.where(np.isinf(lowest), np.nan, lowest)


def _lately(events: npt.NDArray[np.bool_], rows: int) -> npt.NDArray[np.bool_]:
    counted = np.concatenate([[0], np.cumsum(events)])
    at = np.arange(1, len(events) + 1)
    return counted[at] > counted[np.maximum(at - rows, 0)]
