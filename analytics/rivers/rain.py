"""How much has it rained: in 10 minutes, in 60, in 24 hours, and since this rain began (累加雨量)?

    sums(times, amounts, step, estimated) -> Sums | None        times are seconds since 1970

All four end at the newest observation. An amount belongs to the interval of one `step` that ends at its time. What was
not measured is not 0: a sum with a gap in it is marked as incomplete, to be read 「以上」 (at least), and a sum of
which nothing was measured is no number at all.

The event sum goes back to the last DRY_ENDS_EVENT in which it is known not to have rained; six hours is the usual rule
of Japanese river and slope offices. Hours of which nothing is known neither end an event nor count as dry: the dry time
before and after them is added up. Where the observations given begin within the event, the sum is incomplete.

When it works badly: a gauge that counts by the hour has no 10-minute sum (None); snow that melts slowly in a heated
funnel makes an event longer than it was.

Cost: one pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt

DRY_ENDS_EVENT = timedelta(hours=6)
TEN_MINUTES, HOUR, DAY = timedelta(minutes=10), timedelta(hours=1), timedelta(hours=24)

_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Sum:
    """`amount` mm (None: nothing was measured); `complete`: nothing is missing from it; `estimated`: parts of it are
    estimates, as over a gap that a counter told of afterwards.
    """

    amount: float | None
    complete: bool
    estimated: bool


@dataclass(frozen=True, slots=True)
class Sums:
    """The sums that end at `time`; None where the gauge's intervals are longer than the sum's. `since`: the beginning
    of the interval in which this event's first rain fell, None when it is dry.
    """

    time: datetime
    ten_minutes: Sum | None
    hour: Sum | None
    day: Sum | None
    event: Sum
    since: datetime | None


def sums(
    times: _Floats,
    amounts: _Floats,
    step: timedelta,
    estimated: npt.NDArray[np.bool_] | None = None,
) -> Sums | None:
    """The sums at the newest of the observations; None where there is none.

    `times` seconds since 1970, ascending; `amounts` mm in the interval that ends there, nan where it was not measured
    or cannot be believed; `estimated` marks amounts that are estimates. All have one length.
    """
    if not len(times):
        return None
    guessed = np.zeros(len(times), dtype=np.bool_) if estimated is None else estimated
    begin, since, whole = _event(times, amounts, step)
    ten_minutes, hour, day = (_window(times, amounts, guessed, step, length) for length in (TEN_MINUTES, HOUR, DAY))
    return Sums(
        _moment(times[-1]),
        ten_minutes,
        hour,
        day,
        Sum(_total(amounts[begin:]), whole, bool(guessed[begin:].any())),
        since,
    )


def _window(
    times: _Floats,
    amounts: _Floats,
    estimated: npt.NDArray[np.bool_],
    step: timedelta,
    length: timedelta,
) -> Sum | None:
    if step > length:
        return None
    first = int(np.searchsorted(times, times[-1] - length.total_seconds(), side="right"))
    inside = amounts[first:]
    known = ~np.isnan(inside)
    return Sum(_total(inside), int(known.sum()) >= round(length / step), bool((estimated[first:] & known).any()))


def _total(amounts: _Floats) -> float | None:
    """The sum of what is known; None where nothing is."""
    known = amounts[~np.isnan(amounts)]
    return float(known.sum()) if known.size else None


def _event(times: _Floats, amounts: _Floats, step: timedelta) -> tuple[int, datetime | None, bool]:
    """(position of the first observation that counts, when its interval began, whether nothing is missing).

    When it is dry the event is the dry stretch itself: its sum is 0, or nothing.
    """
    # What is known, newest first: how many dry intervals there have been since the last wet one.
    known = np.flatnonzero(~np.isnan(amounts))[::-1]
    order = np.arange(len(known))
    wet = amounts[known] > 0
    dry = order - np.maximum.accumulate(np.where(wet, order, -1))
    over = np.flatnonzero(dry >= -(-DRY_ENDS_EVENT // step))
    ended = bool(over.size)
    begin = int(known[over[0]]) if ended else 0
    inside = known[: over[0] + 1] if ended else known
    rained = inside[wet[: len(inside)]]
    if not rained.size:
        return begin, None, ended
    # A gap in the dry time before the first rain may hide more of the event: it counts as missing from it.
    gap = bool(np.isnan(amounts[begin:]).any() or (np.diff(times[begin:]) > step.total_seconds() * 1.5).any())
    first = int(rained[-1])
    return first, _moment(times[first]) - step, ended and not gap


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(float(seconds), UTC)
