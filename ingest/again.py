"""Verdicts worked out again where the gate could not know all that decides them.

A value is judged when it comes, by what is stored before it. What comes late falls between values that were judged
without it; what another worker commits in the same moment nobody saw. The writer notes such stretches
(`store.verdicts`), and here they are judged anew, with all that stands now. A verdict depends on the values alone and
not on verdicts, so it does not matter how often or in which order this is done: when nothing is noted any more, every
verdict is the one that a single worker would have given to messages in the order of their times.

Only the verdicts on how a value moved change here (`rate`, `stuck`, or good). A value keeps itself and where it came
from, so nothing goes to `observation_revision`.

    judge_step(conn, directory)    one transaction of it, a fraction of a second: what a worker does between batches
    judge_again(conn, directory)   all that is noted, step by step

A step reads about MOST_ROWS noted values and their surroundings, whatever is noted: of a long stretch its beginning, of
many stretches some of every datastream. What it does not come to is noted again in the same transaction, behind what
waits already. So one device that brings a year of late values holds up neither the live ones nor another's verdicts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import NamedTuple

import numpy as np

from devices.model import ASIDE, Quality, Reason
from ingest.gate import rules_of
from quality.gate import MOST_CONTEXT, Rules, judge
from store import chunks
from store.connection import Connection
from store.registry import Directory
from store.verdicts import Row, Stretch, Verdict, around, ends, give, leave, take

MOST_STRETCHES = 100  # in one step
MOST_ROWS = 20_000  # of all its stretches together, about; each of them has its surroundings besides

_STUCK = (Quality.DOUBTFUL.value, Reason.STUCK.value)
_OPEN = {
    (quality.value, None if reason is None else reason.value)
    for quality, reason in ((Quality.GOOD, None), (Quality.DOUBTFUL, Reason.RATE), (Quality.DOUBTFUL, Reason.STUCK))
}


class Step(NamedTuple):
    """How many verdicts have changed, and whether there may be more to do at once."""

    changed: int
    more: bool


def judge_again(conn: Connection, directory: Directory) -> int:
    """Works out all that is noted, in transactions of its own, and returns how many verdicts have changed."""
    changed, more = 0, True
    while more:
        step = judge_step(conn, directory)
        changed, more = changed + step.changed, step.more
    return changed


def judge_step(conn: Connection, directory: Directory) -> Step:
    """Works out some of what is noted, and commits that."""
    try:
        step = _step(conn, directory)
        conn.commit()
        return step
    except BaseException:
        if not conn.closed:
            conn.rollback()
        raise


def _step(conn: Connection, directory: Directory) -> Step:
    noted, more = take(conn, directory.municipality_id)
    known = [stretch for stretch in noted if stretch.datastream_id in directory.datastreams]
    rules = {i: _moving(rules_of(directory.datastreams[i])) for i in {stretch.datastream_id for stretch in known}}
    waiting = _in_turn(_merged(known, rules))
    part, left = waiting[:MOST_STRETCHES], waiting[MOST_STRETCHES:]
    if not part:
        return Step(0, more)
    for n, end in enumerate(ends(conn, part, MOST_ROWS // len(part))):
        if end < part[n].last:
            left.append(part[n]._replace(first=end))
            part[n] = part[n]._replace(last=end)
    verdicts = [
        verdict
        for window in _windows(conn, part, rules)
        for verdict in window.judged(rules[window.stretch.datastream_id])
    ]
    # Surroundings overlap: a value may have been looked at twice, with the same verdict.
    verdicts = list({verdict[:2]: verdict for verdict in verdicts}.values())
    # Values in compressed chunks are costly to change: as many as go in one transaction, the others another time.
    parts = list(chunks.steps(verdicts, lambda verdict: verdict[:2], lambda i: rules[i].step))
    left += (Stretch(*verdict[:2], verdict.time) for part in parts[1:] for verdict in part)
    leave(conn, directory.municipality_id, _merged(left, rules))
    return Step(give(conn, directory.municipality_id, parts[0]) if parts else 0, more or bool(left))


def _merged(noted: Iterable[Stretch], rules: Mapping[int, Rules]) -> list[Stretch]:
    """Those that lie so near each other that they share surroundings as one: these are then read once."""
    merged: list[Stretch] = []
    for stretch in sorted(noted):
        last = merged[-1] if merged else None
        if last and last.datastream_id == stretch.datastream_id:
            of = rules[stretch.datastream_id]
            if stretch.first <= last.last + of.context() * of.step:
                merged[-1] = last._replace(last=max(last.last, stretch.last))
                continue
        merged.append(stretch)
    return merged


def _in_turn(stretches: Iterable[Stretch]) -> list[Stretch]:
    """The first of every datastream, then the second of each, and so on."""
    turns: Counter[int] = Counter()
    ranked = []
    for stretch in stretches:
        ranked.append((turns[stretch.datastream_id], stretch))
        turns[stretch.datastream_id] += 1
    return [stretch for _, stretch in sorted(ranked)]


def _moving(rules: Rules) -> Rules:
    """Whether a value is possible at all follows from itself; what is bad by that is no neighbour."""
    return replace(rules, low=None, high=None)


class _Window:
    """The observations around a stretch, as the estimators want them."""

    def __init__(self, stretch: Stretch, rows: Sequence[Row]) -> None:
        self.stretch = stretch
        self.rows = rows
        self.times = np.array([row[0].timestamp() for row in rows], dtype=np.float64)
        # What is bad, stands at a stand-in time or came while somebody was at work says nothing about how the values
        # beside it moved.
        self.values = np.array(
            [np.nan if quality == Quality.BAD or reason in ASIDE else value for _, value, quality, reason in rows],
            dtype=np.float64,
        )

    def shows(self, standstill: timedelta, points: int) -> bool:
        """Whether it reaches back to where a standstill at its beginning would have begun, and ahead to where one
        behind its end could be known as such; or where the series itself ends. It was asked for with so many `points`.
        """
        after = standstill.total_seconds()
        known = np.flatnonzero(~np.isnan(self.values))
        times, values = self.times[known], self.values[known]
        first, end = self.stretch.first.timestamp(), self.stretch.last.timestamp()
        before = int(np.searchsorted(times, first))
        behind = int(np.searchsorted(times, end, side="right"))
        if before < known.size and np.searchsorted(self.times, first) >= points:
            same = values[:before] == values[before]
            if same.all() and not (before and times[0] <= first - after):
                return False
        if behind < known.size and self.times.size - np.searchsorted(self.times, end, side="right") >= points:
            same = values[behind:] == values[behind]
            if same.all() and times[-1] < times[behind] + after:
                return False
        return True

    def judged(self, rules: Rules) -> Iterator[Verdict]:
        """The verdicts that change, from the beginning of the stretch on."""
        # Of a series without a limit a standstill was told by what it has taught (`analytics.doubts`).
        open_ = _OPEN if rules.stuck_after is not None else _OPEN - {_STUCK}
        for row, verdict in zip(self.rows, judge(rules, self.times, self.values), strict=True):
            time, value, quality, reason = row
            if (
                (verdict.quality, verdict.reason) != (quality, reason)
                and (quality, reason) in open_
                and value is not None
                and time >= self.stretch.first
            ):
                yield Verdict(self.stretch.datastream_id, time, value, quality, reason, verdict.quality, verdict.reason)


def _windows(conn: Connection, stretches: Sequence[Stretch], rules: Mapping[int, Rules]) -> list[_Window]:
    """Each with as many observations before and behind it as its rules need."""
    points = [rules[stretch.datastream_id].context() + 1 for stretch in stretches]
    read = around(conn, list(zip(stretches, points, strict=True)))
    windows = [_Window(stretch, rows) for stretch, rows in zip(stretches, read, strict=True)]
    # Where a standstill is told more often than usual, more of it has to be seen.
    short = []
    for n, window in enumerate(windows):
        standstill = rules[window.stretch.datastream_id].stuck_after
        if standstill is not None and points[n] < MOST_CONTEXT and not window.shows(standstill, points[n]):
            short.append(n)
    if short:
        read = around(conn, [(stretches[n], MOST_CONTEXT) for n in short])
        for n, rows in zip(short, read, strict=True):
            windows[n] = _Window(stretches[n], rows)
    return windows
