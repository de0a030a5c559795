"""What a record says at each row: how the water moved, how much rain fell, how wet the ground is.

    inputs(record, largest=None, rows=None) -> Inputs
    situation(seen) -> (m, q)                    how much is going on: what tells whether it lies beyond a record

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
import re
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from analytics.rivers.forecast.fading import fading
from analytics.rivers.forecast.record import Floats, Ints, Record

LAGS = (0, 1, 2, 3, 4, 5, 6, 8, 12, 18, 24, 36, 48)  # hours
NEIGHBOUR_LAGS = (0, 1, 2, 3, 6, 12)
MEMORIES = (2, 6, 12, 24, 72, 240)  # half-lives, hours
BASE = 168  # hours in which the lowest level is the river's base
STALE = 6  # hours a level stands for
MISTRUST = 12  # hours
SHIFT = 3.0  # times the largest step ever seen
SPANS = (1, 3, 6, 12, 24)  # hours over which a climb is taken together
_LAGGED = re.compile(r"(d|r|n\d+d)\d+")


@dataclass(frozen=True, slots=True)
class Inputs:
    """`level` (n,) the last known, nan after `STALE`; `columns` (m, p) under `names` and `rate` (m,), the last hour's
    change, at the rows that were asked for; `steps` (k,) the largest step of each neighbour; `left_out` (n, k).

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


def inputs(record: Record, largest: Floats | None = None, rows: Ints | None = None) -> Inputs:
    """The inputs at `rows`, or at all of them, each of the row and what was before it. `largest` (k,): `Inputs.steps`
    of the record that was learned from; without it nothing is mistrusted.
    """
    hour = record.hour
    at = np.arange(len(record.level)) if rows is None else rows
    level = held(record.level, STALE * hour)
    found: dict[str, Floats] = {}

    def moves(course: Floats, lags: tuple[int, ...], name: str) -> None:
        known = [_before(course, at, lag * hour) for lag in lags]
        for (newer, older), lag in zip(itertools.pairwise(known), lags[1:], strict=True):
            found[f"{name}{lag}"] = newer - older

    moves(level, LAGS, "d")
    for past in (1, hour // 2):
        if 0 < past < hour:
            found[f"s{round(past * record.step / 60)}"] = level[at] - _before(level, at, past)
    found["base"] = (level - _lowest(level, BASE * hour))[at]
    if record.rain.shape[1]:
        found |= _rain(record, at)
    steps, left_out = np.zeros(record.neighbours.shape[1]), np.zeros(record.neighbours.shape, dtype=np.bool_)
    for k in range(record.neighbours.shape[1]):
        known = held(record.neighbours[:, k], STALE * hour)
        moved = np.diff(known, prepend=np.nan)
        steps[k] = np.nanmax(np.abs(moved), initial=0.0)
        if largest is not None:
            jumped = np.abs(moved) > SHIFT * largest[k]
            moved = np.where(jumped, 0.0, moved)
            left_out[:, k] = _lately(jumped, MISTRUST * hour) | np.isnan(known)
        course = np.cumsum(np.nan_to_num(moved))
        course[np.isnan(known)] = np.nan
        moves(course, NEIGHBOUR_LAGS, f"n{k}d")
    columns = np.nan_to_num(np.column_stack(list(found.values())))
    return Inputs(level, tuple(found), columns, columns[:, tuple(found).index("d1")], steps, left_out)


def situation(seen: Inputs) -> Floats:
    """(m, q), each at least 0: how far the gauge has climbed over the last 1, 3, 6, 12 and 24 hours and above its base,
    how much rain fell in them, how far each neighbour has climbed; as far as `seen` looks back.
    """
    courses: dict[str, list[int]] = {}
    for at, name in enumerate(seen.names):
        part = _LAGGED.fullmatch(name)
        if part is not None:
            courses.setdefault(part[1], []).append(at)
    found = [seen.of("base")]
    for course, columns in courses.items():
        hours = np.array([_memory(seen.names[at]) for at in columns])
        # Rain is told as mm/h of the time between two lags.
        counted = np.diff(hours, prepend=0.0) if course == "r" else np.ones(len(columns))
        found.append(np.cumsum(seen.columns[:, columns] * counted, axis=1)[:, np.isin(hours, SPANS)])
    return np.maximum(np.hstack(found), 0.0)


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


def _before(values: Floats, at: Ints, rows: int) -> Floats:
    """The values so many `rows` before each of `at`; nan before there were any."""
    return np.where(at >= rows, values[np.maximum(at - rows, 0)], np.nan)


def _rain(record: Record, at: Ints) -> dict[str, Floats]:
    hour = record.hour
    answered = ~np.isnan(record.rain)
    known = np.where(answered, record.rain, 0.0)
    fallen = known.sum(axis=1) / np.maximum(answered.sum(axis=1), 1)
    total = np.concatenate([[0.0], np.cumsum(fallen)])

    def since(rows: int) -> Floats:
        """Of each of `at`, what had fallen until so many rows before it."""
        return total[np.maximum(at + 1 - rows, 0)]

    found = {}
    for newer, older in itertools.pairwise(LAGS):
        found[f"r{older}"] = (since(newer * hour) - since(older * hour)) / (older - newer)
    for memory in MEMORIES:
        kept = 0.5 ** (1.0 / (memory * hour))
        found[f"e{memory}"] = fading(fallen, kept)[at] / memory
    if record.rain.shape[1] > 1:
        wettest = np.concatenate([[0.0], np.cumsum(known.max(axis=1))])
        found["m1"] = wettest[at + 1] - wettest[np.maximum(at + 1 - hour, 0)]
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
