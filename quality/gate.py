"""The gate: the estimators of one datastream together, and the time at which a reading counts.

Nothing is turned away here. A value that cannot be is stored as bad, one that is hard to believe as doubtful; both
are shown, and the reader is told why.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from devices.model import ObservedProperty, Quality, Reason
from quality.clock import Clock
from quality.estimator import Estimator, Floats
from quality.leap import Leap
from quality.limits import Limits
from quality.rate import Rate
from quality.stuck import Stuck

CLOCK = Clock()
# In m. Only levels raise an alert by a single value.
_FREE: Mapping[str, float] = {ObservedProperty.WATER_LEVEL: 0.5}
# A standstill is looked back for over at most so many observations (a week of ten minutes).
MOST_CONTEXT = 1008


@dataclass(frozen=True, slots=True)
class Rules:
    """What is known of a datastream's honest behaviour; None switches a check off.

    `low`, `high` in the unit; `max_rate` in the unit per hour; `stuck_after` how long it can stand still; `step` the
    usual time between observations; `free` how far a value may move in it without a doubt where there is no `max_rate`,
    and the rate is learnt from the values before. Interval totals usually have neither rate nor stuck: nobody at night
    is honest.
    """

    step: timedelta
    low: float | None = None
    high: float | None = None
    max_rate: float | None = None
    stuck_after: timedelta | None = None
    free: float | None = None

    def estimators(self) -> tuple[Estimator, ...]:
        """What is switched on, in the order of judgement."""
        chosen: list[Estimator] = []
        if self.low is not None or self.high is not None:
            chosen.append(Limits(self.low, self.high))
        if self.max_rate is not None:
            chosen.append(Rate(self.max_rate))
        elif self.free is not None:
            chosen.append(Leap(self.step.total_seconds(), self.free))
        if self.stuck_after is not None:
            chosen.append(Stuck(self.stuck_after.total_seconds()))
        return tuple(chosen)

    def context(self) -> int:
        """How many earlier observations `judge` needs before the first new one."""
        step = self.step.total_seconds()
        return min(MOST_CONTEXT, max((e.context(step) for e in self.estimators()), default=0))


@dataclass(frozen=True, slots=True)
class Verdict:
    """How far a value can be trusted, and why not further."""

    quality: Quality
    reason: Reason | None


def free_of(observed: str, max_rate: float | None) -> float | None:
    """How far a value of this property may move in one step without a doubt, where nobody has set a rate; None: as far
    as it likes.
    """
    return _FREE.get(observed) if max_rate is None else None


GOOD = Verdict(Quality.GOOD, None)


def judge(rules: Rules, times: Floats, values: Floats) -> list[Verdict]:
    """One verdict for each of n points of a series.

    `times`: shape (n,), seconds since 1970-01-01T00:00Z, strictly ascending; `values`: shape (n,), nan where there
    is nothing to judge (its verdict is good and means nothing). Points known from before belong in front: the
    verdicts on the first few lack their context.

    A value that one estimator calls bad is no neighbour for the next ones. Of several doubts the first is told.

    >>> rules = Rules(step=timedelta(minutes=10), low=0.0, high=8.0, max_rate=2.0)
    >>> [v.reason for v in judge(rules, np.arange(4) * 600.0, np.array([1.0, 99.0, 3.0, 1.1]))]
    [None, <Reason.RANGE: 'range'>, <Reason.RATE: 'rate'>, None]
    """
    verdicts = [GOOD] * len(values)
    remaining = values
    for estimator in rules.estimators():
        flagged = np.flatnonzero(estimator.flags(times, remaining))
        verdict = Verdict(estimator.quality, estimator.reason)
        for i in flagged:
            if verdicts[i] is GOOD:
                verdicts[i] = verdict
        if estimator.quality is Quality.BAD and flagged.size:
            remaining = remaining.copy()
            remaining[flagged] = np.nan
    return verdicts


@dataclass(frozen=True, slots=True)
class Moment:
    """When a reading counts, and what that time is worth."""

    time: datetime
    verdict: Verdict


_NO_CLOCK = Verdict(CLOCK.quality, CLOCK.reason)


def moment(
    measured: datetime | None,
    network: datetime | None,
    received: datetime,
    age: timedelta,
    clock: Clock = CLOCK,
) -> Moment:
    """The time at which a reading counts: the device's own where it can be, else the network's, else the received.

    `measured` is the device's time, None where it has no clock: then the network's less the reading's `age` is its
    rightful time. Whatever stands in for an impossible time is doubtful, and so is the received time where nobody
    else gave one. `clock` says which times are possible.

    >>> from datetime import UTC
    >>> at = datetime(2026, 6, 1, tzinfo=UTC)
    >>> moment(datetime(1970, 1, 1, tzinfo=UTC), at, at, timedelta(0))
    ... # doctest: +NORMALIZE_WHITESPACE
    Moment(time=datetime.datetime(2026, 6, 1, 0, 0, tzinfo=datetime.timezone.utc),
           verdict=Verdict(quality=<Quality.DOUBTFUL: 'doubtful'>, reason=<Reason.CLOCK: 'clock'>))
    """
    if measured is not None and clock.allows(received, measured):
        return Moment(measured, GOOD)
    if network is not None and clock.allows(received, network):
        heard = _earlier(network, age)
        if heard is not None and clock.allows(received, heard):
            return Moment(heard, GOOD if measured is None else _NO_CLOCK)
        # An age beyond all bounds is as wrong as a clock: the time it was counted from stands alone then.
        return Moment(network, _NO_CLOCK)
    heard = _earlier(received, age)
    return Moment(heard if heard is not None and clock.allows(received, heard) else received, _NO_CLOCK)


def _earlier(time: datetime, age: timedelta) -> datetime | None:
    try:
        return time - age
    except OverflowError:
        return None
