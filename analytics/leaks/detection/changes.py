"""What changed, and when: a series of days taken apart into changes that overlap.

    changes(days, directions, least, most, known) -> [Change]

`days` (d, m) are the levels of the channels in units of their own day-to-day scatter, made independent (`whitening`);
`directions` (p, m) how a leak in each pipe would move them. A change is a beginning and a shape over time (a step, or
a growth that slows to a stand in 20, 40 or 60 days), and any vector over the channels: it is chosen because some
pipe's direction fits it best, but all of it is taken out. So a leak whose direction the map knows badly leaves nothing
behind that would look like another, a repair is a change like any other, and the next leak is seen against what is
left. All vectors are fitted again with each further one. The days are taken apart anew every day, so what was said of
a change may be revised while it is young. Days on which something is known to have changed, such as a repair, are taken
out first: what was before them and what comes after have nothing to do with each other.

Source: orthogonal matching pursuit (Y. Pati et al., 1993) with groups of columns; the shapes are those of the BattLeDIM
leaks (Vrachimis et al., 2022): an area that grows evenly with time lets out its square.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analytics.leaks.network.pipes import Floats

GROWTHS = (20, 40, 60)  # days
_STARTS = 12  # of each shape, those that move most, are compared with the pipes
_FIRST, _SHORTEST = 3, 2  # days before the first change, and of the last one
_RIDGE = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """Of the days so far: `start` the first day of it, `growth` in days or 0 for a step, `vector` (m,) what it has come
    to by the newest day and `variance` of each of its elements; `gain` in chi-square along the best pipe's direction.
    """

    start: int
    growth: int
    vector: Floats
    variance: float
    gain: float


def shapes(days: int) -> dict[int, Floats]:
    """(days, days) for each growth: row = first day, column = day, value = share of its final size.

    >>> shapes(30)[20][4, [3, 4, 13, 23, 29]].round(4).tolist()
    [0.0, 0.0025, 0.25, 1.0, 1.0]
    """
    since = np.arange(days)[None] - np.arange(days)[:, None]
    return {0: (since >= 0).astype(float)} | {
        growth: np.clip((since + 1) / growth, 0.0, 1.0) ** 2 for growth in GROWTHS
    }


def whitening(days: Floats, newest: int) -> Floats:
    """(m, m) symmetric: the differences of consecutive days, changes left out, times it are of variance 2 and free of
    one another. `days` (d, m), of which the `newest` count."""
    steps = np.diff(days, axis=0)[-newest:]
    steps = steps[(steps != 0).any(axis=1)]
    scatter = 1.4826 * np.median(np.abs(steps), axis=0)
    scatter = np.where(scatter > 0, scatter, 1.0)
    quiet = steps[(np.abs(steps) / scatter).max(axis=1) < 5]
    if len(quiet) < 5:
        return np.diag(np.sqrt(2) / scatter)
    cov = np.atleast_2d(np.cov(quiet.T)) / 2
    floor = np.maximum(np.diag(cov), (scatter / 10) ** 2)
    values, vectors = np.linalg.eigh(cov + 0.05 * np.diag(floor))
    return np.asarray((vectors / np.sqrt(values)) @ vectors.T)


def changes(days: Floats, directions: Floats, least: float, most: int, known: Sequence[int] = ()) -> list[Change]:
    """`least` gain of a change; at the `most` so many. `known`: first days of steps that are known to be there,
    whatever they did; they are none of what is found.
    """
    count = len(days)
    if count < _FIRST + _SHORTEST:
        return []
    starts = np.arange(_FIRST, count - _SHORTEST + 1)
    unit = directions / np.maximum(np.linalg.norm(directions, axis=1), 1e-12)[:, None]
    full = {growth: shape[starts] for growth, shape in shapes(count).items()}
    bases = {growth: shape - shape.mean(axis=1, keepdims=True) for growth, shape in full.items()}
    power = {growth: (base**2).sum(axis=1) + 1e-9 for growth, base in bases.items()}
    centred = days - days.mean(axis=0)
    rest = centred
    found: list[tuple[float, int, int]] = []
    used: list[Floats] = []
    vectors, gram = np.empty((0, days.shape[1])), np.empty((0, 0))

    def fit() -> tuple[Floats, Floats, Floats]:
        stack = np.array(used)
        gram = stack @ stack.T + _RIDGE * np.eye(len(stack))
        vectors = np.linalg.solve(gram, stack @ centred)
        return gram, vectors, centred - stack.T @ vectors

    steps = shapes(count)[0]
    for day in sorted({day for day in known if 0 < day < count}):
        used.append(steps[day] - steps[day].mean())
    first = len(used)
    if used:
        gram, vectors, rest = fit()
    while len(found) < most:
        best = (least, 0, -1)
        for growth, base in bases.items():
            sums = base @ rest
            moved = (sums**2).sum(axis=1) / power[growth]
            likely = np.argsort(moved)[-_STARTS:]
            along = (sums[likely] @ unit.T) / np.sqrt(power[growth][likely])[:, None]
            # A repair is sudden; only leaks grow.
            gains = (along if growth == 0 else np.maximum(along, 0.0)) ** 2
            row = int(np.argmax(gains.max(axis=1)))
            if gains[row].max() >= best[0]:
                best = (float(gains[row].max()), growth, int(likely[row]))
        gain, growth, row = best
        if row < 0:
            break
        found.append((gain, growth, row))
        used.append(bases[growth][row])
        gram, vectors, rest = fit()
    if not found:
        return []
    variances = np.diag(np.linalg.inv(gram))
    return [
        Change(
            int(starts[row]),
            growth,
            vectors[at] * full[growth][row, -1],
            float(variances[at] * full[growth][row, -1] ** 2),
            gain,
        )
        for at, (gain, growth, row) in enumerate(found, start=first)
    ]
