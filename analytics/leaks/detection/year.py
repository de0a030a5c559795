"""Suspects of a record, day after day: nothing that is said of a day knows anything from later.

    watch(network, record, near, heads, shares, keep, progress) -> [Report]      of a year, from its beginning
    Watching(network, record, near, heads, shares, keep, told)                   day by day, with what is known by now
        .learn(), .judge() -> [Report]

Each night, for each part of the network (`record`): the levels of its channels so far (`levels`), taken apart into
changes (`changes`), and of each young change the pipes it speaks for (`location.suspects`). A change becomes a report
when it speaks for more water going out, resembles the direction of some pipe, and puts enough probability within a
crew's reach. Near a report of the last two months there is no second one.

A fault is no leak: a change that moves one logger alone, as no pipe could, takes that logger out until a month later;
so does a line that it alone has followed (`lone`). One that stands still or sends nothing is left out of the days on
which it does. Nor is a change a leak of a size by which the inflow has not risen. `LEAST` and the other settings are
the same for every network and year.

What people found out (`Told`) goes in: on the day of a repair everything may have changed, so what is usual is learned
anew from there, and a leak that begins later is spoken of however near the repaired one was; near a leak that was found
and still runs nothing is said again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from scipy import sparse

from analytics.leaks.detection.changes import Change, changes, whitening
from analytics.leaks.detection.levels import Levels
from analytics.leaks.detection.lone import drifting, moved_alone
from analytics.leaks.detection.record import Part, Record, parts
from analytics.leaks.detection.report import Report, walked
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
WRONG = 0.25  # of a change: how wrong a direction may be in all its channels together, for the first pipe
# The same in each channel, for the area. Not together: more loggers make what the network's errors do no smaller, for
# these are alike in many loggers. Found so that areas hold what they say in the first of the twin years, and leaks that
# another network than the map's makes (docs/waterworks.md, How good it is).
AREA_WRONG = 0.17
REACH_M, AGAIN_DAYS = 300.0, 60  # m that a crew reaches, and within which nothing is said again for so many days
FEWEST, FEWEST_DRIFT, FAULTY_DAYS = 5, 3, 30
_WEEK = 7
MISSING_DAYS = 3  # without a level: a logger is left out altogether

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Told:
    """What is known beside the measurements, days counted from the record's first. `said`: (day, pipe) of suspects that
    were told before; `mended`: (day, pipe) from which on a leak is repaired; `running`: pipes of leaks that were found
    and not repaired; `faulty`: until which day a logger (column of the record's pressures) is not believed.
    """

    said: tuple[tuple[int, int], ...] = ()
    mended: tuple[tuple[int, int], ...] = ()
    running: tuple[int, ...] = ()
    faulty: Mapping[int, int] = field(default_factory=dict)


@dataclass(slots=True)
class _Watched:
    """A part with what was learned of it. `directions` (p, c): of 1 m3/h in each of its pipes."""

    part: Part
    directions: Floats
    lengths: Floats
    near: sparse.csr_array
    levels: Levels
    faulty_until: Ints


class Watching:
    """`near` (p, p) which pipes a crew reaches from each; `heads` (p, s) m and `shares` (p, f) m3/h what 1 m3/h from
    each pipe does to the record's loggers and metered links; `keep` the loggers used (columns of its pressures).
    """

    def __init__(
        self,
        network: Network,
        record: Record,
        near: sparse.csr_array,
        heads: Floats,
        shares: Floats,
        keep: Ints,
        told: Told | None = None,
    ) -> None:
        self._per_day, self._near = record.per_day, near
        self._told = told = told or Told()
        self._said = list(told.said)
        self._watched = [_watched(part, network, near, heads, shares) for part in parts(network, record, keep)]
        for one in self._watched:
            for at, sensor in enumerate(one.part.sensors.tolist()):
                one.faulty_until[at] = told.faulty.get(sensor, 0)
        self.days = 0

    def learn(self) -> None:
        """Takes in one more day."""
        rows = slice(self.days * self._per_day, (self.days + 1) * self._per_day)
        for one in self._watched:
            one.levels.learn(one.part.values[rows], one.part.given[rows])
        self.days += 1

    def judge(self) -> list[Report]:
        """What the days so far say that was not said before; nothing before `LEARNED` of them."""
        if self.days < LEARNED:
            return []
        return [report for one in self._watched for report in self._judged(one)]

    def faulty(self) -> dict[int, int]:
        """Until which day a logger (column of the record's pressures) is not believed, of those that are not now."""
        return {
            int(one.part.sensors[at]): int(until)
            for one in self._watched
            for at, until in enumerate(one.faulty_until[: len(one.part.sensors)])
            if until > self.days
        }

    def parts(self) -> list[Part]:
        """The parts that are judged."""
        return [one.part for one in self._watched]

    def _judged(self, one: _Watched) -> list[Report]:
        values, slopes = one.levels.known()
        part, days = one.part, self.days
        use = one.levels.given(0)
        if part.unaccounted is not None:
            values = np.column_stack([values, part.unaccounted[:days]])
        else:
            slope = slopes[:, 0] + 2 * slopes[:, 1] * np.nanmean(use) / 100
        mended = [day for day, pipe in self._told.mended if pipe in part.pipes]
        while True:
            there = _usable(values, one.faulty_until, days)
            if not len(there):
                return []
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
                levels, directions, alone = (
                    each - np.outer(each @ along, along) for each in (levels, directions, alone)
                )
            # Of few channels nobody can say which is wrong; a line that rises is not even then a pipe's.
            drifts = drifting(levels, alone, directions, LEAST) if len(there) >= FEWEST_DRIFT else None
            if drifts is not None:
                faulty = [drifts]
            else:
                found = changes(levels, directions, LEAST, MOST, mended)
                lone = (moved_alone(change.vector, alone, directions) for change in found)
                faulty = [at for at in lone if at is not None] if len(there) >= FEWEST else []
            if not faulty:
                break
            one.faulty_until[there[faulty]] = days + FAULTY_DAYS
        reports = []
        for change in found:
            if YOUNGEST <= days - change.start <= OLDEST:
                speaks = (change.vector, change.variance, directions, one.lengths, one.near)
                wrong = WRONG / len(there) ** 0.5
                said, wide = suspects(*speaks, wrong), suspects(*speaks, AREA_WRONG)
                until = days if change.growth else change.start + _WEEK
                if not part.use or said.size <= most_risen(use[:until], change.start):
                    report = _report(one, change, said, wide, days)
                    if report is not None and not self._known(report.pipe, change.start):
                        self._said.append((days, report.pipe))
                        reports.append(report)
        return reports

    def _known(self, pipe: int, start: int) -> bool:
        """Whether it was said before, or a leak that was found, and was not repaired since."""

        def near(others: Iterable[tuple[int, int]]) -> list[int]:
            return [day for day, other in others if self._near[pipe, other]]

        if near((0, other) for other in self._told.running):
            return True
        mended = max((day for day in near(self._told.mended) if day <= start + 1), default=-1)
        return any(day > mended and self.days - day < AGAIN_DAYS for day in near(self._said))


def watch(
    network: Network,
    record: Record,
    near: sparse.csr_array,
    heads: Floats,
    shares: Floats,
    keep: Ints,
    progress: Progress,
) -> list[Report]:
    """All days of a record (arguments as of `Watching`). In the order of their times."""
    watching = Watching(network, record, near, heads, shares, keep)
    reports = []
    for _ in range(record.days):
        watching.learn()
        reports += watching.judge()
        progress(watching.days, record.days)
    return sorted(reports, key=lambda report: report.at)


def _watched(part: Part, network: Network, near: sparse.csr_array, heads: Floats, shares: Floats) -> _Watched:
    columns = [heads[np.ix_(part.pipes, part.sensors)], shares[np.ix_(part.pipes, part.links)] * part.sign]
    if part.unaccounted is not None:
        columns.append(np.ones((len(part.pipes), 1)))
    directions = np.column_stack(columns)
    return _Watched(
        part,
        directions,
        network.pipes.length[part.pipes],
        near[part.pipes][:, part.pipes],
        Levels(part.values.shape[1], part.given.shape[1]),
        np.zeros(directions.shape[1], dtype=np.int64),
    )


def most_risen(use: Floats, start: int) -> float:
    """m3/h that the inflow can at most have risen since the day `start`: the newest week of `use` (d,) against the same
    weekdays of the two weeks before the start, and three times what such differences are by themselves. inf where
    nobody knows.

    >>> use = np.array([100.0, 102, 101, 99, 98, 110, 108] * 6) + np.array([0.5, -0.5] * 21)
    >>> use[35:] += 8
    >>> 8 < most_risen(use, 35) < 12, most_risen(use[:22], 5)
    (True, inf)
    """

    def risen(newest: int, start: int) -> float:
        days = np.arange(max(start, newest - _WEEK + 1), newest + 1)
        back = start - 1 - (start - 1 - days) % _WEEK
        there = back >= _WEEK  # a change may be older than what it could be compared with
        days, back = days[there], back[there]
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


def _report(one: _Watched, change: Change, said: Suspects, wide: Suspects, days: int) -> Report | None:
    # What is as much like a repair is one: where in the network it was may be known badly, its sign is not.
    if said.contrary > CONTRARY * said.likeness:
        return None
    # Without loggers only the block can be named.
    sensors = len(one.part.sensors)
    if said.likeness < ALIKE or (said.reach < REACHED and sensors):
        return None
    area = wide.area if sensors else np.arange(len(one.part.pipes))
    pieces = (
        ("pressures", sensors),
        ("inlets", len(one.part.links)),
        ("customers' meters", one.part.unaccounted is not None),
    )
    return Report(
        days * 86400.0,
        int(one.part.pipes[said.pipe]),
        one.part.pipes[area],
        wide.probability[area],
        walked(one.lengths, area),
        said.size,
        (max(0, change.start - 1) * 86400.0, (change.start + 1) * 86400.0),
        change.gain**0.5,
        said.likeness,
        change.growth,
        tuple(word for word, has in pieces if has),
    )
