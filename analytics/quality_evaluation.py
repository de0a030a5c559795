"""How good are verdicts on recorded series, of which somebody has said what is wrong in them?

    events(flags) -> [(start, stop)]              runs of flagged rows
    compare(verdict, truth) -> Counts             events told and true, by any overlap
    delay(times, verdict, truth) -> [seconds]     from the beginning of an event to the first flag in it
    nab_points(verdict, truth) -> NabPoints       the Numenta Anomaly Benchmark's rule for one series
    nab_score(points) -> float | None             ... and for a corpus: 0 says nothing at all, 100 everything at once

An event told is right where any of its rows is true; a true one is found where any of its rows is told. So it pays to
tell one fault as one event. Nothing here knows a detector: truth is never an input of a verdict.

The rule of the benchmark is that of Lavin and Ahmad, "Evaluating Real-time Anomaly Detection Algorithms - the Numenta
Anomaly Benchmark" (ICMLA 2015), standard profile: the first flag in a window counts between 0 (at its end) and 1 (at
its beginning) by a scaled sigmoid; every flag outside costs up to 0.11, less while it is close behind a window; a
window without a flag costs 1. The first 15 %, at most 750 rows, are probation and count nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from quality.estimator import Flags, Floats

# The standard profile of the benchmark.
_TRUE, _FALSE, _MISSED = 1.0, 0.11, 1.0
_PROBATION, _LONGEST_PROBATION = 0.15, 750
_FAR = 3.0  # window lengths behind a window: from there on a flag costs all of it


@dataclass(frozen=True, slots=True)
class Counts:
    """Events: `told` by the verdict, of which `right`; `true` ones, of which `found`. Rows: the same by points."""

    told: int = 0
    right: int = 0
    true: int = 0
    found: int = 0
    rows_told: int = 0
    rows_true: int = 0
    rows_both: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.told + other.told,
            self.right + other.right,
            self.true + other.true,
            self.found + other.found,
            self.rows_told + other.rows_told,
            self.rows_true + other.rows_true,
            self.rows_both + other.rows_both,
        )

    @property
    def precision(self) -> float | None:
        return self.right / self.told if self.told else None

    @property
    def recall(self) -> float | None:
        return self.found / self.true if self.true else None

    @property
    def f1(self) -> float | None:
        """The harmonic mean of both; 0 where something is true or told and nothing right, None where nothing is."""
        if not self.told and not self.true:
            return None
        precision, recall = self.precision or 0.0, self.recall or 0.0
        return 2 * precision * recall / (precision + recall) if precision + recall else 0.0

    @property
    def point_f1(self) -> float | None:
        if not self.rows_told and not self.rows_true:
            return None
        return 2 * self.rows_both / (self.rows_told + self.rows_true)


def events(flags: Flags) -> list[tuple[int, int]]:
    """The runs of flagged rows, each as (first, one behind the last).

    >>> events(np.array([True, True, False, True]))
    [(0, 2), (3, 4)]
    """
    edges = np.diff(np.concatenate(([False], flags, [False])).astype(np.int8))
    return list(zip(np.flatnonzero(edges == 1).tolist(), np.flatnonzero(edges == -1).tolist(), strict=True))


def compare(verdict: Flags, truth: Flags) -> Counts:
    """What the verdict on one series is worth. Both of shape (n,).

    >>> counts = compare(np.array([1, 0, 0, 1, 0], bool), np.array([1, 1, 0, 0, 0], bool))
    >>> counts.told, counts.right, counts.true, counts.found, round(counts.f1, 3)
    (2, 1, 1, 1, 0.667)
    """
    told, true = events(verdict), events(truth)
    return Counts(
        told=len(told),
        right=sum(bool(truth[start:stop].any()) for start, stop in told),
        true=len(true),
        found=sum(bool(verdict[start:stop].any()) for start, stop in true),
        rows_told=int(verdict.sum()),
        rows_true=int(truth.sum()),
        rows_both=int((verdict & truth).sum()),
    )


def delay(times: Floats, verdict: Flags, truth: Flags) -> list[float]:
    """Seconds from the first row of every event that is found to the first flag in it."""
    waited = []
    for start, stop in events(truth):
        flagged = np.flatnonzero(verdict[start:stop])
        if flagged.size:
            waited.append(float(times[start + flagged[0]] - times[start]))
    return waited


@dataclass(frozen=True, slots=True)
class NabPoints:
    """What one series brings: `points`, `windows` of which `found`, and rows flagged outside of all of them."""

    points: float
    windows: int
    found: int
    rows_outside: int


def nab_points(verdict: Flags, truth: Flags) -> NabPoints:
    """The points of one series; the runs of `truth` are the label windows. Both of shape (n,).

    >>> flagged, window = np.zeros((2, 1000), bool)
    >>> window[400:500] = flagged[400] = True
    >>> nab_points(flagged, window).points, nab_points(~window & flagged, window).points
    (1.0, -1.0)
    """
    windows = events(truth)
    points, outside, found = 0.0, 0, set[int]()
    probation = min(int(_PROBATION * len(truth)), _LONGEST_PROBATION)
    ends = [stop for _, stop in windows]
    for row in (np.flatnonzero(verdict[probation:]) + probation).tolist():
        behind = sum(stop <= row for stop in ends)  # so many windows have ended
        if behind < len(windows) and windows[behind][0] <= row:
            if behind not in found:
                found.add(behind)
                start, stop = windows[behind]
                points += _TRUE * _sigmoid((row - stop) / (stop - start)) / _sigmoid(-1.0)
            continue
        outside += 1
        points += _FALSE * (-1.0 if behind == 0 else _after(windows[behind - 1], row))
    return NabPoints(points - _MISSED * (len(windows) - len(found)), len(windows), len(found), outside)


def nab_score(series: Iterable[NabPoints]) -> float | None:
    """The score of a corpus: 0 is a detector that never says anything, 100 one that says all at once and no more.

    None where no window is labelled. Below 0 it goes as far as one likes.
    """
    points, windows = 0.0, 0
    for each in series:
        points += each.points
        windows += each.windows
    if not windows:
        return None
    nothing, everything = -_MISSED * windows, _TRUE * windows
    return 100 * (points - nothing) / (everything - nothing)


def _after(window: tuple[int, int], row: int) -> float:
    start, stop = window
    distance = (row - (stop - 1)) / max(1, stop - start - 1)
    return _sigmoid(distance) if distance <= _FAR else -1.0


def _sigmoid(place: float) -> float:
    return 2 / (1 + math.exp(5 * place)) - 1
