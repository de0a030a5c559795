"""Which zeros were none: hours in which nobody was counted although somebody must have come. The one judge of them: of
the checking queue, of what is expected, and of recorded counts (`mimamori evaluate visitors`). Pure, on arrays.

    judge(counts, calendar) -> Zeros    each row by itself and what came before it, never by what came later
    Zeros.runs(counter) -> [Run]        the runs of zeros that nobody believes, each with the row at which it was known

A zero speaks against its counter as far as a zero is improbable then: by how many usually come at this hour of the week
(a negative binomial count with a wide spread), and by how often the hour was empty within the last eight weeks. It says
nothing where the hour was empty before on more than one day in fifty, or on the same weekday within four weeks: spots
close on Mondays, and such habits are left out of the one in fifty. On a public holiday the last four Sundays and
holidays have to say so too. From 29 December to 3 January, and in the week after a weekday of rest on which it was
open, zeros say nothing before somebody has been counted on the day: only then the spot is surely open. Where the other
counters (the median of two or more) have less than half of their usual too (typhoon, snow), it says less, by their
share.

Zeros in a row add up; from 1 in 10,000 on they are an outage (two hours where 20 and more usually come, else three, or
a day), until somebody is counted again. What is missing is not 0: it adds nothing and ends nothing. What was called an
outage is forgotten for all that comes later: a dead counter must not become the usual. A zero that somebody answers for
(`Counts.vouched`) is a count like any other: it ends what speaks against the counter, and is remembered.

When it works badly: a spot that is closed for weeks for the first time looks like a dead counter (staff say so, and no
pure function can know it); a counter that dies on the night of a quiet spot is found in the morning; at a spot that
counts fewer than about five an hour it takes most of a day, and one with some five a day is never judged.

    State   ok        counted
            outage    zeros that cannot be
            absent    no count at all
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from analytics.visitors.expected.calendar import FREE, Calendar
from analytics.visitors.expected.counts import WEEK, Bools, Counts, Floats, known_median

HISTORY_DAYS = 91  # of counts before a row: with more of them nothing is judged otherwise

_WEEKS = 4
_REMEMBERED = 56  # days
_FEWEST_DAYS = 10
_SELDOM = 0.02  # an hour that is empty on more days than this may be empty today
_SPREAD = 1.5  # of the negative binomial: as wild as the wildest counters of the recorded cities
_PRIOR = 4.0  # days that the negative binomial counts for beside those seen
_DOUBT = 4.0  # -log of the probability from which on a single zero is not believed
_SURE = 9.2  # -log(1e-4)
# One hour is never enough, for a cloudburst empties a square, and two only where very many usually come. One day alone
# is, of a place where thousands come.
_MOST_OF_ONE = {24: 4.5, 1: 10.0}
_MOST_OF_MANY, _MANY = 5.0, 20.0
_FEWEST_BESIDE = 2  # other counters, each with so many usual visitors, can say something:
_LEAST_BESIDE = 5.0
_FEW_BESIDE = 0.5  # of their usual: with fewer a zero here says less
_SMALLEST_SHARE = 0.05


class State(StrEnum):
    """What a row of a counter is worth."""

    OK = "ok"
    OUTAGE = "outage"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Run:
    """Zeros from row `start` to before `end`, without counts between them. In `hours` of these rows somebody usually
    comes, `usual` visitors together; `visited` is the row after the last of them. `against`: as in `Zeros`, at its
    end. `found`: the row at whose end it was known.
    """

    start: int
    end: int
    visited: int
    hours: int
    usual: float
    against: float
    found: int


@dataclass(frozen=True, slots=True)
class Zeros:
    """(n, C) each: what was counted; `doubted`, a zero that is not believed by itself; `against`, what the zeros in a
    row speak against their counter so far, 1 is an outage (0 at every count and where nothing is known); `usual`, how
    many come at this hour of the week (0: nobody, or not known).
    """

    values: Floats
    doubted: Bools
    against: Floats
    usual: Floats

    @property
    def outage(self) -> Bools:
        """(n, C) zeros that nobody would believe any more."""
        sure: Bools = self.against >= 1.0
        return sure

    def believed(self) -> Floats:
        """The counts without what is not one."""
        left: Floats = np.where(self.doubted | (self.against >= 1.0), np.nan, self.values)
        return left

    def states(self) -> list[list[State]]:
        """A list a counter."""
        return [
            [State.ABSENT if none else State.OUTAGE if out else State.OK for none, out in zip(*counter, strict=True)]
            for counter in zip(np.isnan(self.values).T, self.outage.T, strict=True)
        ]

    def runs(self, counter: int = 0) -> list[Run]:
        """The outages of a counter in their order; one that has not ended reaches to the end of the rows."""
        values = self.values[:, counter]
        came = np.flatnonzero(values > 0)
        found: list[Run] = []
        for row in np.flatnonzero(self.against[:, counter] >= 1.0):
            if found and row < found[-1].end:
                continue
            before = int(np.searchsorted(came, row))
            since = int(came[before - 1]) + 1 if before else 0
            end = int(came[before]) if before < len(came) else len(values)
            found.append(self._run(counter, since, end, int(row)))
        return found

    def lately(self, counter: int = 0) -> Run | None:
        """The zeros at the end of the rows in which somebody usually comes, believed or not; None without any."""
        came = np.flatnonzero(self.values[:, counter] > 0)
        run = self._run(counter, int(came[-1]) + 1 if len(came) else 0, len(self.values), len(self.values) - 1)
        return run if run.hours else None

    def _run(self, counter: int, since: int, end: int, found: int) -> Run:
        rows = slice(since, end)
        zero = self.values[rows, counter] == 0
        meant = since + np.flatnonzero(zero & (self.usual[rows, counter] > 0))
        if not len(meant):
            return Run(since, end, end, 0, 0.0, 0.0, found)
        usual, against = float(self.usual[meant, counter].sum()), float(self.against[rows, counter].max())
        return Run(int(meant[0]), end, int(meant[-1]) + 1, len(meant), round(usual, 1), round(against, 2), found)


def judge(counts: Counts, calendar: Calendar) -> Zeros:
    """Day by day, each hour with what was known before it. `calendar`: of the same days."""
    days, hours, counters = counts.days, counts.per_day, counts.counters
    values = counts.values.reshape(days, hours, counters)
    believed = values.copy()
    doubted = np.zeros(values.shape, dtype=np.bool_)
    against = np.zeros(values.shape)
    usual = np.zeros(values.shape)
    seen = np.zeros((hours, counters))
    empty = np.zeros((hours, counters))
    so_far = np.zeros(counters)
    kind = calendar.kind
    free, new_year = np.flatnonzero(kind == FREE), calendar.new_year
    resting = _Resting(values)
    ordinary = np.ones(values.shape, dtype=np.bool_)
    vouched = np.zeros_like(ordinary) if counts.vouched is None else counts.vouched.reshape(values.shape)
    for day in range(days):
        nobody, known = values[day] == 0, ~np.isnan(values[day])
        zero = nobody & ~vouched[day]
        alike = believed[[day - WEEK * back for back in range(1, _WEEKS + 1) if day >= WEEK * back]]
        usual[day] = _usual(alike)
        if kind[day] == FREE and calendar.weekday[day] < WEEK - 1:
            of_free = believed[free[: np.searchsorted(free, day)][-_WEEKS:]]
            alike, usual[day] = np.concatenate([alike, of_free]), np.minimum(usual[day], _usual(of_free))
        if nobody.any():
            said = _improbable(usual[day], alike, seen, empty)
            if so_far.any() or (said[zero] > 0).any():
                share = _beside(values[day], usual[day], known & (so_far < _SURE))
                opened = np.logical_or.accumulate(values[day] > 0, axis=0)
                opened |= ~resting.maybe(day) & (not new_year[day])
                most = np.where(usual[day] >= _MANY, max(_MOST_OF_MANY, _MOST_OF_ONE[hours]), _MOST_OF_ONE[hours])
                said = np.where(opened, np.minimum(said * share, most), 0.0)
                for hour in range(hours):
                    so_far = np.where(zero[hour], so_far + said[hour], np.where(known[hour], 0.0, so_far))
                    against[day, hour] = np.where(zero[hour], so_far / _SURE, 0.0)
                doubted[day] = zero & (said >= _DOUBT)
                believed[day][(against[day] >= 1.0) | doubted[day]] = np.nan
            habit = 2 * (alike == 0).sum(axis=0) >= np.maximum((~np.isnan(alike)).sum(axis=0), 1)
            ordinary[day] = ~(nobody & habit)
        elif so_far.any():
            so_far = np.where(known.any(axis=0), 0.0, so_far)
        for at, sign in ((day, 1), (day - _REMEMBERED, -1)):
            if at >= 0:
                seen += sign * (ordinary[at] & ~np.isnan(believed[at]))
                empty += sign * (ordinary[at] & (believed[at] == 0))
    shape = counts.values.shape
    return Zeros(counts.values, doubted.reshape(shape), against.reshape(shape), usual.reshape(shape))


def _improbable(usual: Floats, alike: Floats, seen: Floats, empty: Floats) -> Floats:
    """(hours, C) -log of the probability of a zero in each hour of a day; 0: says nothing. `alike` (days, hours, C):
    the days that are like it.
    """
    by_size = (_SPREAD / (_SPREAD + usual)) ** _SPREAD
    # Seen for eight weeks without one zero, small as the spot may be, or so many that the size alone tells.
    probability = (empty + _PRIOR * by_size) / (seen + _PRIOR)
    says = (seen >= _FEWEST_DAYS) & (empty <= _SELDOM * seen) & ~(alike == 0).any(axis=0) & (usual > 0)
    improbable: Floats = np.where(says, -np.log(np.maximum(probability, 1e-12)), 0.0)
    return improbable


class _Resting:
    """Whether a counter's spot may rest on a day because it did not on its weekday of rest in the week before."""

    def __init__(self, values: Floats) -> None:
        known = ~np.isnan(values)
        self._open: Bools = np.any(values > 0, axis=1)  # (days, C)
        self._rested: Bools = np.any(known, axis=1) & ~self._open

    def maybe(self, day: int) -> Bools:
        """(C,) of the days before `day` alone."""
        waits = np.zeros(self._open.shape[1], dtype=np.bool_)
        for before in range(max(0, day - WEEK + 1), day):
            habit = self._rested[[before - WEEK * back for back in range(1, _WEEKS + 1) if before >= WEEK * back]]
            waits = (waits | (self._open[before] & (habit.sum(axis=0) >= _WEEKS - 1))) & ~self._rested[before]
        return waits


def _usual(rows: Floats) -> Floats:
    """(hours, C) the median of some days; 0 where nothing is known."""
    return np.nan_to_num(known_median(rows)) if len(rows) else np.zeros(rows.shape[1:])


def _beside(came: Floats, usual: Floats, counting: Bools) -> Floats:
    """(hours, C) how much a zero says beside the other counters, 0.05 to 1, by the median of what these have of their
    usual: one of them may be at fault itself. `counting`: whose counts are believed.
    """
    if came.shape[1] <= _FEWEST_BESIDE:
        return np.ones(came.shape)
    there = counting & (usual >= _LEAST_BESIDE)
    ordered = np.sort(np.where(there, came / np.maximum(usual, 1e-9), np.nan), axis=1)
    number = there.sum(axis=1, keepdims=True)
    # A zero is the least of them all: without it begins what the others have.
    others = [known_median(ordered[:, skip:].T)[:, None] for skip in (0, 1)]
    share = np.where(there, others[1], others[0])
    enough = number - there >= _FEWEST_BESIDE
    found: Floats = np.where(enough, np.clip(share / _FEW_BESIDE, _SMALLEST_SHARE, 1.0), 1.0)
    return found
