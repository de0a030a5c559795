"""Suspects of a recorded year, day after day: nothing that is said of a day knows anything from later.

    watch(network, record, distances, heads, shares, keep, progress) -> [Report]

Each night, for each part of the network (`record`): the levels of its channels so far (`levels`), taken apart into
changes (`changes`), and of each young change the pipes it speaks for (`location.suspects`). A change becomes a report
when it speaks for more water going out, resembles the direction of some pipe, and puts enough probability within a
crew's reach. Near a report of the last two months there is no second one.

A fault is no leak: a change that moves one logger alone, as no pipe could, takes that logger out until a month later;
one that stands still or sends nothing is left out of the days on which it does. Nor is a change a leak of a size by
which the inflow has not risen. `LEAST` and the other settings are the same for every network and year.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from analytics.leaks.detection.changes import Change, changes, whitening
from analytics.leaks.detection.levels import Levels
from analytics.leaks.detection.record import Part, Record, parts
from analytics.leaks.detection.report import Report, walked
from analytics.leaks.judged import Distances
from analytics.leaks.location.suspects import Suspects, suspects
from analytics.leaks.network.pipes import Floats, Ints, Network

LEAST = 60.0  # gain of a change, chi-square
MOST = 40  # changes
LEARNED = 21  # days before the first word
SCATTER = 90  # days that say how a channel scatters
YOUNGEST, OLDEST = 3, 20  # days of a change that is spoken of
ALIKE = 0.6  # to some pipe's direction
CONTRARY = 1.1  # times as like a repair: then it is one
REACHED = 0.5  # probability within a crew's reach
WRONG, AREA_WRONG = 0.25, 0.5  # of a change: how wrong a direction may be, for the first pipe and for the area
REACH_M, AGAIN_M, AGAIN_DAYS = 300.0, 300.0, 60
ALONE, ALONE_GAIN = 0.9, 1.3  # likeness to one logger moving alone, and its gain over the best pipe's
FEWEST, FAULTY_DAYS = 5, 30
_WEEK = 7
MISSING_DAYS = 3  # without a level: a logger is left out altogether

Progress = Callable[[int, int], None]


@dataclass(slots=True)
class _Watched:
    """A part with what was learned of it. `directions` (p, c): of 1 m3/h in each of its pipes."""

    part: Part
    directions: Floats
    lengths: Floats
    near: npt.NDArray[np.bool_]
    levels: Levels
    faulty_until: Ints
    reports: list[Report] = field(default_factory=list)


def watch(
    network: Network,
    record: Record,
    distances: Distances,
    heads: Floats,
    shares: Floats,
    keep: Ints,
    progress: Progress,
) -> list[Report]:
    """`distances` (p, p) m between pipes; `heads` (p, s) m and `shares` (p, f) m3/h what 1 m3/h from each pipe does to
    the record's loggers and metered links; `keep` the loggers used. In the order of their times.
    """
    watched = [_watched(part, network, distances, heads, shares) for part in parts(network, record, keep)]
    per_day = record.per_day
    for day in range(record.days):
        rows = slice(day * per_day, (day + 1) * per_day)
        for one in watched:
            one.levels.learn(one.part.values[rows], one.part.given[rows])
            if day + 1 >= LEARNED:
                _judge(one, distances, day + 1)
        progress(day + 1, record.days)
    return sorted((report for one in watched for report in one.reports), key=lambda report: report.at)


def _watched(part: Part, network: Network, distances: Distances, heads: Floats, shares: Floats) -> _Watched:
    columns = [heads[np.ix_(part.pipes, part.sensors)], shares[np.ix_(part.pipes, part.links)] * part.sign]
    if part.unaccounted is not None:
        columns.append(np.ones((len(part.pipes), 1)))
    directions = np.column_stack(columns)
    return _Watched(
        part,
        directions,
        network.pipes.length[part.pipes],
        distances[np.ix_(part.pipes, part.pipes)] <= REACH_M,
        Levels(part.values.shape[1], part.given.shape[1]),
        np.zeros(directions.shape[1], dtype=np.int64),
    )


def _judge(one: _Watched, distances: Distances, days: int) -> None:
    """The changes of the days so far, and what they say that was not said before."""
    values, slopes = one.levels.known()
    part = one.part
    use = one.levels.given(0)
    if part.unaccounted is not None:
        values = np.column_stack([values, part.unaccounted[:days]])
    else:
        slope = slopes[:, 0] + 2 * slopes[:, 1] * np.nanmean(use) / 100
    while True:
        there = _usable(values, one.faulty_until, days)
        if not len(there):
            return
        known = _carried(values[:, there])
        white = whitening(known, SCATTER)
        levels, directions = known @ white, one.directions[:, there] @ white
        alone = np.eye(len(there)) @ white
        if part.use and len(there) == 1:
            # A leak is part of the use that the level was cleared of.
            directions = directions - slope[there] @ white
        elif part.use:
            # The same; of several channels what use does is seen of neither, for how much it does is known badly.
            along = slope[there] @ white
            along = along / max(float(np.linalg.norm(along)), 1e-12)
            levels, directions, alone = (each - np.outer(each @ along, along) for each in (levels, directions, alone))
        found = changes(levels, directions, LEAST, MOST)
        lone = (_alone(change, alone, directions) for change in found)
        # Of few channels nobody can say which is wrong.
        faulty = [at for at in lone if at is not None] if len(there) >= FEWEST else []
        if not faulty:
            break
        one.faulty_until[there[faulty]] = days + FAULTY_DAYS
    for change in found:
        if YOUNGEST <= days - change.start <= OLDEST:
            speaks = (change.vector, change.variance, directions, one.lengths, one.near)
            said = suspects(*speaks, WRONG)
            wide = suspects(*speaks, AREA_WRONG).area if len(part.sensors) else np.arange(len(part.pipes))
            until = days if change.growth else change.start + _WEEK
            if not part.use or said.size <= most_risen(use[:until], change.start):
                _say(one, change, replace(said, area=wide), distances, days)


def most_risen(use: Floats, start: int) -> float:
    """m3/h that the inflow can at most have risen since the day `start`: the newest week of `use` (d,) against the same
    weekdays of the two weeks before the start, and three times what such differences are by themselves. inf where
    nobody knows.

    >>> use = np.array([100.0, 102, 101, 99, 98, 110, 108] * 6) + np.array([0.5, -0.5] * 21)
    >>> use[35:] += 8
    >>> 8 < most_risen(use, 35) < 12
    True
    """

    def risen(newest: int, start: int) -> float:
        days = np.arange(max(start, newest - _WEEK + 1), newest + 1)
        back = start - 1 - (start - 1 - days) % _WEEK
        differences = use[days] - (use[back] + use[back - _WEEK]) / 2
        known = differences[np.isfinite(differences)]
        return float(known.mean()) if len(known) else np.nan

    length = len(use) - start
    before = [risen(at + length - 1, at) for at in range(2 * _WEEK + 1, start - length + 1)]
    if len(before) < _WEEK:
        before = [risen(at, at) for at in range(2 * _WEEK + 1, start)]
    usual, now = np.array([each for each in before if np.isfinite(each)]), risen(len(use) - 1, start)
    if len(usual) < 3 or not np.isfinite(now):
        return np.inf
    return now + 3 * 1.4826 * float(np.median(np.abs(usual - np.median(usual))))


def _usable(values: Floats, faulty_until: Ints, days: int) -> Ints:
    """Channels with a level on one of the newest days, that are not known to be faulty."""
    present = np.isfinite(values[-MISSING_DAYS:]).any(axis=0) & (np.isfinite(values).sum(axis=0) >= LEARNED // 2)
    return np.flatnonzero(present & (faulty_until <= days))


def _carried(values: Floats) -> Floats:
    """Days without a level have the one before; the first ones that of the first with one."""
    there = np.isfinite(values)
    row = np.where(there, np.arange(len(values))[:, None], -1)
    row = np.maximum.accumulate(row, axis=0)
    first = np.argmax(there, axis=0)
    return values[np.where(row < 0, first, row), np.arange(values.shape[1])]


def _alone(change: Change, alone: Floats, directions: Floats) -> int | None:
    """The channel that moved by itself, if that is what the change was."""
    size = max(float(np.linalg.norm(change.vector)), 1e-12)
    by_channel = np.abs(alone @ change.vector) / np.maximum(np.linalg.norm(alone, axis=1), 1e-12) / size
    by_pipe = np.abs(directions @ change.vector) / np.maximum(np.linalg.norm(directions, axis=1), 1e-12) / size
    at = int(np.argmax(by_channel))
    return at if by_channel[at] > ALONE and by_channel[at] ** 2 > ALONE_GAIN * by_pipe.max() ** 2 else None


def _say(one: _Watched, change: Change, said: Suspects, distances: Distances, days: int) -> None:
    # What is as much like a repair is one: where in the network it was may be known badly, its sign is not.
    if said.contrary > CONTRARY * said.likeness:
        return
    # Without loggers only the block can be named.
    if said.likeness < ALIKE or (said.reach < REACHED and len(one.part.sensors)):
        return
    pipe = int(one.part.pipes[said.pipe])
    for before in one.reports:
        if distances[pipe, before.pipe] <= AGAIN_M and days - before.at / 86400 < AGAIN_DAYS:
            return
    area = one.part.pipes[said.area]
    km = walked(one.lengths, said.area)
    began = (max(0, change.start - 1) * 86400.0, (change.start + 1) * 86400.0)
    kind = "step" if change.growth == 0 else "growth"
    means = " and ".join(
        word
        for word, has in (
            ("pressures", len(one.part.sensors)),
            ("inlets", len(one.part.links)),
            ("customers' meters", one.part.unaccounted is not None),
        )
        if has
    )
    evidence = f"{means}: {kind}; strength {change.gain**0.5:.0f}; likeness {said.likeness:.2f}"
    one.reports.append(Report(days * 86400.0, pipe, area, km, said.size, began, change.gain**0.5, evidence))
