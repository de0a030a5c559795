"""How good a list of reports about leaks was, by the published rule of the BattLeDIM competition.

A report is (time, pipe). It hits a leak that runs at that time (start <= time <= end) when the shortest way along the
pipes between the two pipes' middle points is at most `hit_m`. The nearest such leak that was not found before takes
the report and earns the value of the water that leaks from then until its end, less the crew's cost * distance /
`hit_m`. A report that hits nothing costs the crew. One that hits only leaks found before is a repeat: it costs and
earns nothing.

    judge(times, pipes, leaks, distances, rule) -> Judged       reports in any order; judged by their time
    perfect(leaks, rule) -> (k,)                                what each leak earns when it is reported as it starts
    chance(n, leaks, distances, rule) -> float                  leaks found by n reports at random, on average
    blanket(leaks, distances, rule) -> float                    euros of reporting everywhere every two months

Times are seconds, pipes indices, distances (p, p) in m, inf where pumps or valves break the way.

Source: S. Vrachimis et al., Battle of the Leakage Detection and Isolation Methods, J. Water Resour. Plann. Manage.
148(12), 2022.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Distances = npt.NDArray[np.float32] | npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

FALSE, REPEAT = -1, -2
_LISTS = 300  # of random reports
_ROUND = 61 * 86400.0  # of the blanket, s


@dataclass(frozen=True, slots=True)
class Rule:
    """Euros for a cubic metre, euros for a crew sent out, metres that count as found."""

    value: float = 0.8
    crew: float = 500.0
    hit_m: float = 300.0


@dataclass(frozen=True, slots=True)
class Leaks:
    """`pipe`, `start`, `end` (k,); `times` (t,) s at an even step; `flow` (t, k) m3/h."""

    pipe: Ints
    start: Floats
    end: Floats
    times: Floats
    flow: Floats

    @property
    def new(self) -> npt.NDArray[np.bool_]:
        """(k,): those that do not run from the first minute."""
        found: npt.NDArray[np.bool_] = self.start > self.times[0]
        return found

    def volumes(self) -> Floats:
        """(t + 1, k): m3 that leak from each time until the end."""
        hours = (self.times[1] - self.times[0]) / 3600 if len(self.times) > 1 else 0.0
        running = (self.times[:, None] >= self.start) & (self.times[:, None] <= self.end)
        lost = np.where(running, self.flow, 0.0) * hours
        return np.concatenate([np.cumsum(lost[::-1], axis=0)[::-1], np.zeros((1, len(self.pipe)))])


@dataclass(frozen=True, slots=True)
class Judged:
    """Of n reports, in the order they were given: `leak` (n,) its index, FALSE or REPEAT; `metres` (n,) to it, nan
    where none; `euros` (n,) earned."""

    leak: Ints
    metres: Floats
    euros: Floats

    @property
    def false(self) -> int:
        return int((self.leak == FALSE).sum())

    def found(self, among: npt.NDArray[np.bool_] | None = None) -> int:
        """Leaks found, of all or of those marked in `among` (k,)."""
        taken = self.leak[self.leak >= 0]
        return len(taken) if among is None else int(among[taken].sum())

    def earned(self, among: npt.NDArray[np.bool_]) -> float:
        """Euros of the leaks marked in `among` (k,), without the cost of false reports."""
        return float(sum(euros for leak, euros in zip(self.leak, self.euros, strict=True) if leak >= 0 and among[leak]))


def judge(times: Floats, pipes: Ints, leaks: Leaks, distances: Distances, rule: Rule) -> Judged:
    """Reports at `times` (n,) of `pipes` (n,).

    >>> times, distances = np.array([0.0, 3600, 7200]), np.array([[0.0, 150.0], [150.0, 0.0]])
    >>> leaks = Leaks(np.array([0]), np.array([0.0]), np.array([7200.0]), times, np.full((3, 1), 9.0))
    >>> done = judge(np.array([3600.0, 3600.0]), np.array([1, 0]), leaks, distances, Rule())
    >>> done.leak.tolist(), done.metres.tolist(), round(float(done.euros[0]), 1)
    ([0, -2], [150.0, nan], -235.6)
    """
    return _judge(times, pipes, leaks, distances, rule, leaks.volumes())


def _judge(times: Floats, pipes: Ints, leaks: Leaks, distances: Distances, rule: Rule, volumes: Floats) -> Judged:
    n = len(times)
    taken, metres, euros = np.full(n, FALSE), np.full(n, np.nan), np.full(n, -rule.crew)
    found = np.zeros(len(leaks.pipe), dtype=bool)
    for at in np.argsort(times, kind="stable"):
        far = distances[pipes[at], leaks.pipe].astype(np.float64)
        hit = (leaks.start <= times[at]) & (times[at] <= leaks.end) & (far <= rule.hit_m)
        if not hit.any():
            continue
        if not (hit & ~found).any():
            taken[at], euros[at] = REPEAT, 0.0
            continue
        leak = int(np.argmin(np.where(hit & ~found, far, np.inf)))
        row = int(np.searchsorted(leaks.times, times[at]))
        found[leak], taken[at], metres[at] = True, leak, far[leak]
        euros[at] = rule.value * volumes[row, leak] - rule.crew * far[leak] / rule.hit_m
    return Judged(taken, metres, euros)


def perfect(leaks: Leaks, rule: Rule) -> Floats:
    """(k,) euros."""
    found: Floats = rule.value * leaks.volumes()[0]
    return found


def chance(n: int, leaks: Leaks, distances: Distances, rule: Rule) -> float:
    """Leaks found by `n` reports of any pipe at any time, the mean of many such lists; always the same for the same."""
    dice = np.random.default_rng(1)
    begins, length, volumes = leaks.times[0], leaks.times[-1] - leaks.times[0], leaks.volumes()
    lists = [
        _judge(begins + dice.random(n) * length, dice.integers(len(distances), size=n), leaks, distances, rule, volumes)
        for _ in range(_LISTS)
    ]
    return float(np.mean([each.found() for each in lists]))


def blanket(leaks: Leaks, distances: Distances, rule: Rule) -> float:
    """Euros of no method at all: every two months a report at each of a few pipes that have all others in reach."""
    near = distances <= rule.hit_m
    left, everywhere = np.ones(len(near), dtype=bool), []
    while left.any():
        best = int(np.argmax((near & left).sum(axis=1)))
        everywhere.append(best)
        left &= ~near[best]
        left[best] = False
    rounds = np.arange(leaks.times[0], leaks.times[-1], _ROUND)
    times, pipes = np.repeat(rounds, len(everywhere)), np.tile(np.array(everywhere), len(rounds))
    return float(judge(times, pipes, leaks, distances, rule).euros.sum())
