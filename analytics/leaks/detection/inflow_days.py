"""A block's inflow, day by day: one number that a leak raises by its size, and one that only the season moves.

    parted(values, per_day) -> (d, 12)              mornings to mornings, in twelve parts
    weighed(days, weekdays, level) -> Weights       learned from the days so far
    Weights.of(day, weekday) -> (2,)                nan where too little came in

A leak raises every part of a day by as much, people's use raises it by the day's own curve. What people use scatters
least in the night, but not only the night says something: the parts are weighed so that a leak counts in full and the
scatter of a day is least (generalised least squares); across that, how much of the day's curve there is. Both follow
from how the parts differ from one day to the next, each weekday by its own usual curve; days on which the level itself
changed are left out, and what is known of such changes (`level`) is taken out first.

A day begins at six: the night that says most is its end, and what comes in by the morning is judged that morning.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analytics.leaks.network.pipes import Floats, Ints

PARTS, MORNING = 12, 6  # of a day; o'clock
_ENOUGH = 0.85  # of the readings of a day
_QUIET = 0.9  # of the days: the others say nothing of how much they usually scatter
_TRIMMED = 1.6  # a variance of the quiet ones times this is that of all
_ROUNDS = 3
_STILL = 1e-9  # of the mean: a meter that stands
_WEEK = 7


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """Of b parts: `leak` (b,) sums to 1; `season` (b,) finds how much of the day's curve there is, m3/h as a mean, of
    which a share `carried` is in the first number too. `variances` (2,) of both; `usual` (7, b) m3/h of each weekday,
    `weekly` (7,) how the second differs by weekday; `mean` m3/h."""

    leak: Floats
    season: Floats
    carried: float
    variances: Floats
    usual: Floats
    weekly: Floats
    mean: float

    def of(self, day: Floats, weekday: int) -> Floats:
        """`day` (b,) m3/h, nan where missing: a part that is missing is as far from usual as the others are."""
        there = np.isfinite(day)
        if not enough(day):
            return np.full(2, np.nan)
        usual = self.usual[weekday]
        whole = np.where(there, day, usual + (day - usual)[there].mean())
        return np.array([whole @ self.leak, whole @ self.season - self.weekly[weekday]])


def enough(day: Floats) -> bool:
    """Whether so much of a `day` (b,) came in that something can be said of it."""
    return bool(np.isfinite(day).sum() >= _ENOUGH * len(day))


def parted(values: Floats, per_day: int) -> Floats:
    """(d, 12) means of `values` (n,) by the step, from the first morning on; nan where less than half came in.

    >>> parted(np.arange(96.0), 48).shape
    (1, 12)
    """
    values = values[MORNING * per_day // 24 :]
    count = len(values) // per_day
    steps = values[: count * per_day].reshape(count, PARTS, -1)
    known = np.isfinite(steps)
    sums, enough = np.where(known, steps, 0.0).sum(axis=2), known.mean(axis=2) >= 0.5
    return np.where(enough, sums / np.maximum(known.sum(axis=2), 1), np.nan)


def weighed(days: Floats, weekdays: Ints, level: Floats) -> Weights | None:
    """`days` (d, b) m3/h with their `weekdays` (d,), Monday 0; `level` (d,) m3/h what is known to have been lost more
    or less than usual. None while a weekday was never whole, or where nothing ever differs or flows."""
    days = days - level[:, None]
    whole = np.isfinite(days).all(axis=1)
    if len(np.unique(weekdays[whole])) < _WEEK:
        return None
    usual = np.stack([days[whole & (weekdays == each)].mean(axis=0) for each in range(_WEEK)])
    rest = days - usual[weekdays]
    steps = np.diff(rest, axis=0)
    steps = steps[np.isfinite(steps).all(axis=1)]
    count, parts = steps.shape
    mean = float(days[whole].mean())
    if count < 2 * _WEEK or mean <= 0 or np.abs(steps).max() <= _STILL * mean:
        return None
    # With few days only what each part scatters by itself is known.
    shrunk = parts / (parts + count)
    quiet = np.ones(count, dtype=bool)
    one = np.ones(parts)
    for _ in range(_ROUNDS):
        cov = steps[quiet].T @ steps[quiet] / quiet.sum() / 2
        cov = (1 - shrunk) * cov + shrunk * np.diag(np.diag(cov)) + 1e-9 * np.trace(cov) / parts * np.eye(parts)
        inverse = np.linalg.inv(cov)
        leak = inverse @ one / (one @ inverse @ one)
        moved = np.abs(steps @ leak)
        quiet = moved <= np.sort(moved)[int(_QUIET * (count - 1))]
    # Usual weekdays and weights were found from the same days: the next one scatters more.
    more = count / (count - _WEEK + 1) * (1 + 0.5 * parts / count)
    first = float((moved[quiet] ** 2).mean()) * _TRIMMED / 2 * more
    curve = days[whole].mean(axis=0) / mean
    carried = float(leak @ curve)
    across = curve - carried
    # Where every hour is as the next, nothing tells season from leak: the second number then says nothing.
    told = max(float(across @ inverse @ across), mean**-2)
    season = inverse @ across / told
    by_season = rest @ season
    differences = np.abs(np.diff(by_season))
    scatter = 1.4826 * float(np.median(differences[np.isfinite(differences)]))
    second = max(scatter**2 / 2, 1 / told)
    weekly = (usual - days[whole].mean(axis=0)) @ season
    return Weights(leak, season, carried, np.array([first, second]), usual, weekly, mean)
