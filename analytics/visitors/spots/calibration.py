"""How many of those who came a counter counted: factor = manual / sensor, with its 95 % interval.

    usable(session, ...)     whether a manual count can say anything of the counter, or why not
    estimate(sessions)       the factor of some sessions
    shortcomings(sessions)   what is missing before a factor may be applied
    typical_hour(conn, ...)  what the counter usually counts in an hour of the day: whether a holiday was busy

Method: the ratio estimator R = sum(manual) / sum(sensor) over the sessions, each a cluster; its variance by
linearisation, v(R) = sum((m - R s)^2) / (n (n - 1) mean(s)^2), and a t interval with n - 1 degrees of freedom. Source:
Cochran, Sampling Techniques, 3rd ed. (1977), section 6.4; without a finite-population correction, as the sessions are
few of many hours. A sum of ratios would let an hour with three visitors weigh as much as one with three hundred.

MAPE = mean of |sensor - manual| / manual over the sessions with somebody to count, in percent: before the factor as it
is, after it with the factor of the *other* sessions (leave one out), so that no session praises itself.

When it works badly: with three sessions the interval is wide and only roughly of 95 % (the linearised variance is too
small where sessions differ much); sessions of one sort of weather or crowd say nothing of others. So three sessions of
1 to 2 hours, one of them on a busy holiday, are asked for before a factor may be applied: what counters miss they miss
where people walk side by side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from statistics import fmean
from zoneinfo import ZoneInfo

from analytics.visitors.day_types import DayType, day_type
from store import Connection

LEAST_SESSIONS = 3
SHORTEST, LONGEST = timedelta(hours=1), timedelta(hours=2)
TRUSTED = (0.8, 1.4)  # outside, a factor is not applied without a written reason
RECHECK_AFTER = timedelta(days=365)
_BUSY_FROM, _BUSY_UNTIL = 9, 17
_LOOK_BACK = timedelta(days=56)


class Unusable(StrEnum):
    """Why a session does not count for the factor."""

    WITHDRAWN = "withdrawn"
    LENGTH = "length"  # not 1 to 2 hours
    OTHER_DEVICE = "other_device"  # the counter was moved or exchanged after it
    OLD = "old"  # more than a year before the newest
    GAPS = "gaps"  # the counter did not count all of it
    FAULT = "fault"  # the counter was at fault then
    NOT_COUNTED = "not_counted"  # nobody counted in this direction


class Missing(StrEnum):
    """What a factor still needs."""

    SESSIONS = "sessions"
    HOLIDAY = "holiday"  # none was on a busy holiday
    SENSOR = "sensor"  # the counter counted nobody


@dataclass(frozen=True, slots=True)
class Session:
    """A manual count beside what the counter said of the same time; `sensor` None where it did not count all of it.

    `day` is the local day; `manual` None where nobody counted in the direction that is meant.
    """

    session_id: int
    day: date
    length: timedelta
    manual: int | None
    sensor: float | None
    busy: bool

    @property
    def holiday(self) -> bool:
        return day_type(self.day) is not DayType.WEEKDAY


@dataclass(frozen=True, slots=True)
class Estimate:
    """`low`..`high`: 95 %; equal to 0 and infinity where one session says nothing of the spread. `mape` in percent
    without a factor, `mape_after` with that of the other sessions; None where nobody came.
    """

    factor: float
    low: float
    high: float
    n: int
    mape: float | None
    mape_after: float | None

    @property
    def trusted(self) -> bool:
        return TRUSTED[0] <= self.factor <= TRUSTED[1]


def length_fits(length: timedelta) -> bool:
    """Whether a session is 1 to 2 hours long."""
    return SHORTEST <= length <= LONGEST


def estimate(sessions: Sequence[Session]) -> Estimate | None:
    """The factor; None where the counter counted nobody, or there is no session.

    >>> day = date(2026, 5, 3)
    >>> def one(manual: int, sensor: float) -> Session:
    ...     return Session(0, day, timedelta(hours=1), manual, sensor, True)
    >>> found = estimate([one(110, 100), one(210, 200), one(60, 50)])
    >>> f"{found.factor:.3f} {found.low:.3f} {found.high:.3f} {found.mape:.1f}"
    '1.086 0.946 1.225 10.2'
    """
    pairs = [(float(s.manual), s.sensor) for s in sessions if s.manual is not None and s.sensor is not None]
    n, counted = len(pairs), sum(sensor for _, sensor in pairs)
    if not n or counted <= 0:
        return None
    factor = sum(manual for manual, _ in pairs) / counted
    low, high = 0.0, float("inf")
    if n > 1:
        from scipy.special import stdtrit  # takes long to load, and no page needs it at its start

        spread = sum((manual - factor * sensor) ** 2 for manual, sensor in pairs)
        half = float(stdtrit(n - 1, 0.975)) * (spread / (n * (n - 1))) ** 0.5 / (counted / n)
        low, high = max(0.0, factor - half), factor + half
    some = [(manual, sensor) for manual, sensor in pairs if manual > 0]
    before = 100 * fmean(abs(sensor - manual) / manual for manual, sensor in some) if some else None
    return Estimate(factor, low, high, n, before, _left_out(pairs))


def _left_out(pairs: Sequence[tuple[float, float]]) -> float | None:
    errors = []
    for i, (manual, sensor) in enumerate(pairs):
        others = [pair for j, pair in enumerate(pairs) if j != i]
        counted = sum(each for _, each in others)
        if manual > 0 and counted > 0:
            errors.append(abs(sensor * sum(each for each, _ in others) / counted - manual) / manual)
    return 100 * fmean(errors) if errors else None


def shortcomings(sessions: Sequence[Session]) -> tuple[Missing, ...]:
    """What these usable sessions lack; empty where their factor may be applied."""
    found = [Missing.SESSIONS] if len(sessions) < LEAST_SESSIONS else []
    if not any(session.holiday and session.busy for session in sessions):
        found.append(Missing.HOLIDAY)
    if estimate(sessions) is None:
        found.append(Missing.SENSOR)
    return tuple(found)


def typical_hour(conn: Connection, datastreams: Sequence[int], until: datetime, zone: ZoneInfo) -> float | None:
    """The mean count of an hour from 9 to 17 o'clock in the 8 weeks before; None where there is none. `datastreams`
    are added up.
    """
    totals: dict[datetime, float] = {}
    for hour, total in conn.execute(
        """
        select hour, total from rollup_hour
        where datastream_id = any(%s) and hour >= %s and hour < %s and n > 0
        """,
        (list(datastreams), until - _LOOK_BACK, until),
    ):
        if _BUSY_FROM <= hour.astimezone(zone).hour < _BUSY_UNTIL:
            totals[hour] = totals.get(hour, 0.0) + total
    return fmean(totals.values()) if totals else None
