"""It goes to and fro for hours more than it does at this time of day."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from devices.model import Reason
from quality import tolerance
from quality.estimator import Floats
from quality.online import Bools, Online, ratio

_PARTS = 24  # of a day
_PART = 86400.0 / _PARTS
_ROWS = 12.0  # that a part of a day has: what comes oftener moves its mean faster


@dataclass(slots=True)
class Tremors:
    """Of n series: the newest value and the movement that led to it; how far each hour of the day usually goes to
    and fro and on how many days it was seen, shapes (24, n), with the hour of the newest value; how far it does
    lately, as a multiple of that; the smallest movement, and what multiples are usual.
    """

    newest: Floats
    move: Floats
    usual: Floats
    seen: Floats
    part: Floats
    lately: Floats
    grain: tolerance.Grain
    tail: tolerance.Tail


@dataclass(frozen=True, slots=True)
class Tremble(Online[Tremors]):
    """Tells a series that goes to and fro more than it does at this time of day, as a mean over `rows` values.

    What one movement takes back of the one before is compared with the usual of the hour of the day: a pipe
    trembles by day, when people draw water, and hardly at night. A rise takes nothing back, however fast; a spike does
    once, and counts as no more than `most`. `least` times the usual at least is tolerated. What is beyond `doubt`
    (nats) may be a fault, and teaches little (`wary`).

    Works badly where something else moves it to and fro for hours (wind on a lake, a regulating valve that hunts), and
    in the first `days` days.

    Assumes that days resemble each other in how unsteady they are.

    Cost: some thirty operations on whole rows; a hundred numbers a series.

    >>> rng = np.random.default_rng(1)
    >>> times = np.arange(0.0, 30 * 86400, 600)[:, None]
    >>> values = 0.2 * np.sin(times / 86400 * 2 * np.pi) + 0.02 * rng.standard_normal(times.shape)
    >>> values[3600:3900] += 0.2 * rng.standard_normal((300, 1))
    >>> tremble = Tremble()
    >>> told = np.flatnonzero(tremble.score(tremble.begin(1), times, values)[:, 0] >= 0.5)
    >>> bool(3600 < told[0] < 3650), bool(3880 < told[-1] < 3960)
    (True, True)

    Source: own; a control chart for the spread, as in Montgomery, "Introduction to Statistical Quality Control", ch. 9,
    of turning points instead of deviations.
    """

    rows: float = 36.0
    nats: float = 7.0
    least: float = 2.5
    most: float = 10.0
    doubt: float = 2.0
    wary: float = 0.03
    new: float = 3.0  # rows that such a mean counts as
    memory: float = 14.0
    days: float = 3.0
    warm: int = 24

    reason: ClassVar[Reason] = Reason.NOISE
    sentence: ClassVar[str] = "goes to and fro {excess} times as much as is tolerated of this series"

    def begin(self, n: int) -> Tremors:
        unknown, nothing = np.full(n, np.nan), np.full((_PARTS, n), np.nan)
        return Tremors(
            unknown, unknown, nothing, np.zeros((_PARTS, n)), np.full(n, -1.0), np.ones(n),
            tolerance.grain(n), tolerance.begin(n),
        )  # fmt: skip

    def step(self, state: Tremors, times: Floats, values: Floats, counts: Bools | None = None) -> Floats:
        """As of every estimator; `counts`: where this row says something about how steady the series is."""
        there = ~np.isnan(values)
        move = values - state.newest
        turned = there & ~np.isnan(move) & ~np.isnan(state.move) & (True if counts is None else counts)
        undone = np.where(state.move * move < 0, np.minimum(np.abs(state.move), np.abs(move)), 0.0)
        number = np.floor(np.where(there, times, 0.0) / _PART)
        part, series = (number % _PARTS).astype(np.intp), np.arange(len(values))
        usual, seen = state.usual[part, series], state.seen[part, series]
        unit = np.fmax(usual, state.grain.learn(values))
        known = turned & (seen >= self.days) & (unit > 0)
        multiple = np.minimum(ratio(undone, unit, known), self.most)
        state.lately = np.where(known, state.lately + (multiple - state.lately) / self.rows, state.lately)
        limit = np.maximum(state.tail.limit(self.nats), self.least)
        warm = state.tail.known >= self.warm
        excess = ratio(state.lately, limit, known & warm)
        told = excess >= 1.0
        # The means overlap, so each says little that is new; and a fault could teach while it rises.
        weight = np.where(state.lately > state.tail.limit(self.doubt), self.wary, 1.0) * self.new / self.rows
        cap = np.where(warm, np.where(told, state.tail.limit(1.0), limit), np.inf)
        weight = np.where(warm, weight, self.new / self.rows)
        state.tail.learn(np.where(known, state.lately, np.nan), cap, pace=0.04, gain=0.02, weight=weight)
        self._remember(state, part, series, number, undone, turned & ~told)
        state.move = np.where(there, move, state.move)
        state.newest = np.where(there, values, state.newest)
        return excess

    def _remember(
        self, state: Tremors, part: npt.NDArray[np.intp], series: npt.NDArray[np.intp], number: Floats, undone: Floats,
        learns: Bools,
    ) -> None:  # fmt: skip
        usual, seen = state.usual[part, series], state.seen[part, series]
        gain = 1.0 / (np.minimum(seen + 1.0, self.memory) * _ROWS)
        undone = np.where(seen >= self.days, np.minimum(undone, self.most * np.fmax(usual, state.grain.finest)), undone)
        moved = np.where(np.isnan(usual), undone, usual + gain * (undone - usual))
        state.usual[part, series] = np.where(learns, moved, usual)
        state.seen[part, series] = seen + (learns & (number != state.part))
        state.part = np.where(learns, number, state.part)
