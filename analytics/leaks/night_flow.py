"""夜間最小流量 (minimum night flow): the lowest 60-minute mean of a block's inflow between 01:00 and 05:00 local time.

At night hardly anyone uses water; what still flows is mostly lost. The nightly figure is what a block's 許容漏水量
is compared with and the base of every later method (leaks: step, drift, location).

    minimum_night_flow(times, values, start, end, step) -> NightFlow

A window of 60 minutes begins at each sample and counts where at least 85 % of its samples are there; the whole night
counts where at least 85 % are. Both guard against the same error: the minimum of a night with a hole is the minimum
of what is left, which is never too low but often too high, and so looks like a leak that began.

When it works badly: a reservoir that fills at night, night-time users, frost: they are in the figure and have to be
subtracted by whoever interprets it. Assumes the mean of evenly spaced samples is the mean flow (a step of 60 minutes
or less; with a longer one there is no figure). Cost O(n) by prefix sums.

Source: night flow analysis as in Farley & Trow, Losses in Water Distribution Networks (IWA, 2003), ch. 4; 60-minute
means as customary in Japan's 配水ブロック surveys.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

NIGHT = (time(1), time(5))  # local
WINDOW = timedelta(minutes=60)
COMPLETE_ENOUGH = 0.85


@dataclass(frozen=True, slots=True)
class NightFlow:
    """One night. `minimum` in the unit of the values (m3/h) and the start of its window; None: too incomplete to say.

    `completeness` is the share (0..1) of the night's expected samples that are usable.
    """

    minimum: float | None
    minimum_from: datetime | None
    completeness: float


def night_of(day: date, timezone: str) -> tuple[datetime, datetime]:
    """Start and end of a local day's night, aware.

    >>> [each.isoformat() for each in night_of(date(2026, 6, 1), "Asia/Tokyo")]
    ['2026-06-01T01:00:00+09:00', '2026-06-01T05:00:00+09:00']
    """
    zone = ZoneInfo(timezone)
    start, end = (datetime.combine(day, each, zone) for each in NIGHT)
    return start, end


def minimum_night_flow(
    times: Sequence[datetime],
    values: npt.NDArray[np.float64],
    start: datetime,
    end: datetime,
    step: timedelta,
) -> NightFlow:
    """The lowest 60-minute mean in [start, end).

    `times` (n,) ascending and aware; `values` (n,) in m3/h, nan where not usable. Samples outside the night are
    ignored. `step` is the usual time between samples.

    >>> from datetime import UTC
    >>> start = datetime(2026, 6, 1, 16, tzinfo=UTC)
    >>> times = [start + timedelta(minutes=10 * n) for n in range(24)]
    >>> values = np.array([6.0] * 9 + [4.2] * 6 + [5.0] * 9)
    >>> night = minimum_night_flow(times, values, start, start + timedelta(hours=4), timedelta(minutes=10))
    >>> round(night.minimum, 3), night.minimum_from.strftime("%H:%M"), night.completeness
    (4.2, '17:30', 1.0)
    """
    # By timestamps: subtracting aware times of one zone is wall time, an hour wrong in the night the clocks change.
    origin = start.timestamp()
    length, window, pace = end.timestamp() - origin, WINDOW.total_seconds(), step.total_seconds()
    seconds = np.array([each.timestamp() - origin for each in times], dtype=np.float64)
    usable = (seconds >= 0) & (seconds < length) & ~np.isnan(values)
    at, flow = seconds[usable], values[usable]
    completeness = min(1.0, len(at) * pace / length)
    if completeness < COMPLETE_ENOUGH or pace > window:
        return NightFlow(None, None, completeness)

    first = np.arange(len(at))
    behind = np.searchsorted(at, at + window, side="left")  # the first sample behind each window
    counts = behind - first
    sums = np.concatenate(([0.0], np.cumsum(flow)))
    means = (sums[behind] - sums[first]) / counts
    valid = (at + window <= length) & (counts >= COMPLETE_ENOUGH * window / pace)
    if not valid.any():
        return NightFlow(None, None, completeness)
    best = int(np.flatnonzero(valid)[np.argmin(means[valid])])
    return NightFlow(float(means[best]), datetime.fromtimestamp(origin + float(at[best]), start.tzinfo), completeness)
