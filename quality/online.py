"""The contract of everything that learns what is usual for a series, and says how far a value is from that.

An online estimator is an immutable value: its parameters. What it has learnt is a state, for any number of series side
by side, each for itself:

    state = estimator.begin(n)                       nothing is known yet of n series
    excess = estimator.step(state, times, values)    one row of all of them: judged first, learnt then
    state = estimator.fit(times, values)             rows of the past, learnt
    scores = estimator.score(state, times, values)   what comes next, as scores; the state is left as it was
    estimator.words(excess)                          the reason, for people

The excess compares with what is tolerated: from 1 on a value is told. The score is the same between 0 and 1, and 0.5
there. What holds for every one:

- causal: what comes later never changes an excess, and judging in pieces is judging at once;
- separate: what one series does never changes the excess of another;
- a row without a value (nan) has excess 0 and is learnt nothing from, as if it were not there. Only `gap` counts it;
- nothing is told before enough is known: `warm` rows at least.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from typing import ClassVar, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from devices.model import Quality, Reason
from quality.estimator import Floats

State = TypeVar("State")
Bools = npt.NDArray[np.bool_]


class Online(ABC, Generic[State]):
    """Judges rows of many series as they come."""

    quality: ClassVar[Quality] = Quality.DOUBTFUL
    reason: ClassVar[Reason]
    sentence: ClassVar[str]  # with {excess}

    @abstractmethod
    def begin(self, n: int) -> State:
        """What is known of `n` series of which nothing is known."""

    @abstractmethod
    def step(self, state: State, times: Floats, values: Floats) -> Floats:
        """The excess of one row, shape (n,): `times` in s since 1970, `values` nan where there is none. The state goes
        on to it.
        """

    def fit(self, times: Floats, values: Floats) -> State:
        """What is known after rows of the past, shapes (rows, n)."""
        state = self.begin(values.shape[1])
        for row in range(len(values)):
            self.step(state, times[row], values[row])
        return state

    def score(self, state: State, times: Floats, values: Floats) -> Floats:
        """Scores of the rows that follow, shapes (rows, n), 0 to 1; told from 0.5 on."""
        state = copy.deepcopy(state)
        excess = np.zeros(values.shape)
        for row in range(len(values)):
            excess[row] = self.step(state, times[row], values[row])
        return score_of(excess)

    def words(self, excess: float) -> str:
        """Why a value with this excess is told, as a sentence."""
        return self.sentence.format(excess=f"{min(excess, 999.0):.1f}")


def score_of(excess: Floats) -> Floats:
    """An excess (0 to infinity, told from 1 on) as a score (0 to 1, told from 0.5 on).

    >>> score_of(np.array([0.0, 1.0, 3.0, np.inf])).tolist()
    [0.0, 0.5, 0.75, 1.0]
    """
    return np.asarray(1.0 - 1.0 / (1.0 + excess))


def ratio(values: Floats, limits: Floats, where: Bools) -> Floats:
    """values / limits where asked, else 0; without a limit anything above 0 is infinitely beyond."""
    with np.errstate(divide="ignore", invalid="ignore"):
        found = values / limits
    return np.where(where & (values > 0), found, 0.0)
