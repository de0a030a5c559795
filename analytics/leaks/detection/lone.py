"""A logger that moves by itself, as no pipe could make it: a fault, and no leak.

    moved_alone(vector, alone, directions)        the channel of which a change is
    drifting(levels, alone, directions, least)    the channel that has followed a line of its own lately

Channels are those of `changes`: `alone` (m, m) says how each by itself moves them, `directions` (p, m) how a leak in
each pipe would. A drift is no change with a beginning: taken apart it is a row of small repairs near its logger,
wherever a pipe at a dead end moves that logger and hardly another. So it is looked for as a line, with its sign.
"""

from __future__ import annotations

import numpy as np

from analytics.leaks.network.pipes import Floats

LIKE, GAIN = 0.9, 1.3  # likeness to one channel moving alone, and its gain over the best pipe's
DAYS, FEWEST_DAYS = 60, 21  # of a line, at the most and at the least
STRAIGHT = 1.1  # times what the best step explains of it


def moved_alone(vector: Floats, alone: Floats, directions: Floats) -> int | None:
    """The channel that moved by itself, if that is what a change by `vector` (m,) was."""
    return _lone(vector, alone, np.abs(_likeness(directions, vector)))


def drifting(levels: Floats, alone: Floats, directions: Floats, least: float) -> int | None:
    """The channel that follows a line by itself in the newest days of `levels` (d, m), in units of their scatter.
    `least` gain of it, chi-square. No pipe follows one upwards: a leak grows, but a repair is sudden. What a step
    explains about as well is no drift.

    >>> days, one = np.arange(60.0), np.eye(3)
    >>> dead_end = -one[:1]
    >>> [drifting(np.outer(each, one[0]), one, dead_end, 60.0) for each in (days, -days, 60 * (days > 30))]
    [0, None, None]
    """
    newest = levels[-DAYS:] - levels[-DAYS:].mean(axis=0)
    if len(newest) < FEWEST_DAYS:
        return None
    time = np.linspace(-0.5, 0.5, len(newest))
    power = float(time @ time)
    vector = time @ newest / power
    size = float(np.linalg.norm(vector))
    if size**2 * power < least:
        return None
    at = _lone(vector, alone, np.maximum(_likeness(directions, vector), 0.0))
    along = newest @ vector / size
    days = np.arange(1, len(along))
    steps = np.cumsum(along)[:-1] ** 2 * len(along) / (days * (len(along) - days))
    return at if float(time @ along) ** 2 / power > STRAIGHT * steps.max() else None


def _likeness(directions: Floats, vector: Floats) -> Floats:
    """(n,) cosines of rows (n, m) with a vector (m,)."""
    sizes = np.linalg.norm(directions, axis=1) * np.linalg.norm(vector)
    return np.asarray(directions @ vector / np.maximum(sizes, 1e-12))


def _lone(vector: Floats, alone: Floats, by_pipe: Floats) -> int | None:
    by_channel = np.abs(_likeness(alone, vector))
    at = int(np.argmax(by_channel))
    return at if by_channel[at] > LIKE and by_channel[at] ** 2 > GAIN * by_pipe.max(initial=0.0) ** 2 else None
