"""How does a device fare? Battery, clock, radio and sending, each out of its daily figures.

    battery_outlook(days, values, limit) -> BatteryOutlook    for how long it lasts, or that nobody can say
    clock_drift(days, offsets) -> ClockDrift | None           how fast its clock walks away
    radio_outlook(days, margins) -> RadioOutlook | None       whether it is heard worse than it was
    sending(days, interval) -> Sending                        whether it sends far too often, or always the same

What cannot be known is said to be unknown: a lithium cell keeps its voltage for years and falls within weeks, so a flat
curve promises nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

import numpy as np

from quality.trend import theil_sen

# A new battery shows as a jump of at least so much of the limit between two days; what was before is another one's.
_EXCHANGED = 0.08
_FEWEST_DAYS = 14
_SHORTEST_SPAN = 21  # days: temperature swings within a week, not over three
LONGEST_OUTLOOK = 3 * 365  # days ahead that a straight line says nothing of

# s: less than this no series notices; s/day: what a quartz does in bad weather (50 ppm) is half of it.
CLOCK_LIMIT, DRIFT_LIMIT = 120.0, 10.0

RECENT_DAYS, FEWEST_RECENT, FEWEST_BEFORE = 7, 3, 10
WORSE_BY, THIN = 3.0, 5.0  # dB

_TOO_OFTEN = 4.0  # times as many as its interval promises
_USUAL_DAYS = 7  # of which the median says how often it always sent
_FEWEST_MESSAGES = 100  # a day: what is less does no harm
_SAME_DAYS, _SAME_MESSAGES = 3, 30


class Why(StrEnum):
    """Why nobody can say for how long a battery lasts."""

    SHORT = "short"  # too few days are known
    STEADY = "steady"  # it does not fall, or not more than it varies
    NO_LIMIT = "no_limit"  # nobody said below what it is empty
    FAR = "far"  # it falls so slowly that a straight line says nothing


@dataclass(frozen=True, slots=True)
class BatteryOutlook:
    """Days until the limit, by the trend since the last exchange; None, and why. `slope` per day where there is one."""

    days_left: float | None
    why: Why | None = None
    slope: float | None = None


def battery_outlook(days: Sequence[int], values: Sequence[float], limit: float | None) -> BatteryOutlook:
    """For how long a battery lasts: daily values (oldest first; V or %) and the value at which it is to be exchanged.

    >>> days = list(range(40))
    >>> falling = battery_outlook(days, [3.6 - 0.004 * day for day in days], 3.2)
    >>> round(falling.days_left), battery_outlook(days, [3.6] * 40, 3.2).why.value
    (61, 'steady')
    >>> battery_outlook(days[:5], [3.6] * 5, 3.2).why.value, battery_outlook(days, [3.6] * 40, None).why.value
    ('short', 'no_limit')
    """
    if limit is None:
        return BatteryOutlook(None, Why.NO_LIMIT)
    since = 0
    for n in range(1, len(values)):
        before = float(np.median(values[max(since, n - 3) : n]))
        after = float(np.median(values[n : n + 3]))
        if after - before > _EXCHANGED * abs(limit):
            since = n
    days, values = days[since:], values[since:]
    if len(days) < _FEWEST_DAYS or days[-1] - days[0] < _SHORTEST_SPAN:
        return BatteryOutlook(None, Why.SHORT)
    trend = theil_sen(days, values)
    if trend is None or not trend.falling:
        return BatteryOutlook(None, Why.STEADY)
    left = max(0.0, (trend.now - limit) / -trend.slope)
    if left > LONGEST_OUTLOOK:
        return BatteryOutlook(None, Why.FAR, trend.slope)
    return BatteryOutlook(left, None, trend.slope)


@dataclass(frozen=True, slots=True)
class ClockDrift:
    """`offset`: s that the clock is ahead now (below 0: behind); `per_day`: s that it gains, None where it keeps time
    or too few days are known.
    """

    offset: float
    per_day: float | None

    @property
    def wrong(self) -> bool:
        return abs(self.offset) > CLOCK_LIMIT or (self.per_day is not None and abs(self.per_day) > DRIFT_LIMIT)


def clock_drift(days: Sequence[int], offsets: Sequence[float]) -> ClockDrift | None:
    """How a clock walks: the daily offsets (s, oldest first; positive: ahead). None where there are none.

    >>> clock_drift(range(20), [2.0 * day for day in range(20)]).per_day
    2.0
    """
    if not offsets:
        return None
    trend = theil_sen(days, offsets)
    walks = trend is not None and (trend.falling or trend.rising)
    return ClockDrift(float(np.median(offsets[-3:])), round(trend.slope, 3) if trend is not None and walks else None)


@dataclass(frozen=True, slots=True)
class RadioOutlook:
    """Mean margin (dB) of the last days, and how that differs from the weeks before (None: too few are known)."""

    margin: float
    change: float | None

    @property
    def worse(self) -> bool:
        """Whether it is heard clearly worse than it was, with little left."""
        return self.change is not None and self.change <= -WORSE_BY and self.margin < THIN


def radio_outlook(days: Sequence[int], margins: Sequence[float]) -> RadioOutlook | None:
    """Whether a device is heard worse: daily mean margins in dB, oldest first. None where there are none.

    >>> outlook = radio_outlook(range(30), [9.0] * 23 + [4.0] * 7)
    >>> outlook.margin, outlook.change, outlook.worse
    (4.0, -5.0, True)
    """
    if not margins:
        return None
    newest = days[-1]
    recent = [margin for day, margin in zip(days, margins, strict=True) if day > newest - RECENT_DAYS]
    before = [margin for day, margin in zip(days, margins, strict=True) if day <= newest - RECENT_DAYS]
    now = float(np.median(recent))
    known = len(recent) >= FEWEST_RECENT and len(before) >= FEWEST_BEFORE
    return RadioOutlook(now, now - float(np.median(before)) if known else None)


class Sending(StrEnum):
    """How a device sends."""

    WELL = "well"
    TOO_OFTEN = "too_often"  # 送信しっぱなし: far more than its interval promises
    THE_SAME = "the_same"  # the same payload for days, by a device that says something else otherwise


@dataclass(frozen=True, slots=True)
class SentDay:
    """What a device sent on a day: messages (without repetitions), and how many different payloads."""

    messages: int
    payloads: int


def sending(days: Sequence[SentDay], interval: timedelta | None) -> Sending:
    """How a device sent, by its last days (oldest first) and the interval at which it is to speak. One that has always
    sent more often than that was told so, and is well.

    >>> sending([SentDay(5000, 700)], timedelta(minutes=10)).value
    'too_often'
    >>> sending([SentDay(144, 90)] * 5 + [SentDay(144, 1)] * 3, timedelta(minutes=10)).value
    'the_same'
    """
    if not days:
        return Sending.WELL
    promised = None if interval is None else timedelta(days=1) / interval
    newest = days[-1].messages
    before = sorted(day.messages for day in days[:-1])
    usual = before[len(before) // 2] if len(before) >= _USUAL_DAYS else 0
    if promised is not None and newest >= _FEWEST_MESSAGES and newest > _TOO_OFTEN * max(promised, usual):
        return Sending.TOO_OFTEN
    last = days[-_SAME_DAYS:]
    varied = any(day.payloads > 1 for day in days[:-_SAME_DAYS])
    stuck = len(last) == _SAME_DAYS and all(day.payloads == 1 and day.messages >= _SAME_MESSAGES for day in last)
    return Sending.THE_SAME if stuck and varied else Sending.WELL
