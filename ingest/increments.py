"""A cumulative counter's readings -> what was counted in each interval between them.

    between(before, after, step) -> tuple[Increment, ...]

The rain of a tipping bucket, told so that nothing is lost with a lost message and nothing is invented by a counter
that begins anew:

  next reading, one step later     the difference                                             good
  readings between are missing     the last interval by the device's own count of it (good), the rest of the
                                   difference in equal parts over the others: estimated, gap; a counter that stood
                                   still over the gap counted 0 in each interval of it: good
  the count has become smaller     it wrapped (difference modulo `modulus`), where `restarts` is the same
  `restarts` has changed           what it counted since it began anew: at least so much fell: estimated, restart
  no reading before, or one of     the last interval by the device's own count of it; where that is unknown, nothing
  another device, or one more than
  LONGEST_GAP earlier

A device that does not tell its restarts: a smaller count has wrapped where the difference is at most a sixteenth of
the modulus, else it has begun anew.

Each interval is a function of the two readings around it and of nothing else. So readings that come late, twice or
in another order end in the same intervals; what a late one falls between is worked out anew.

Works badly for: a counter that begins anew unnoticed and passes its old count before the next message; rain that was
not even, within a gap.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from devices.model import Quality, Reason

# Beyond this nobody can say any more on which day it fell.
LONGEST_GAP = timedelta(days=7)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Count:
    """One reading. `slot` is the end of its interval (see `slot_of`); the rest as in `store.batch.CountRow`."""

    slot: datetime
    device_id: int
    count: int
    restarts: int | None
    latest: int | None
    modulus: int
    scale: float
    doubtful: bool = False


@dataclass(frozen=True, slots=True)
class Increment:
    """What was counted in the interval of one step that ends at `time`, in the unit of the datastream."""

    time: datetime
    value: float
    quality: Quality
    reason: Reason | None


def slot_of(time: datetime, step: timedelta) -> datetime:
    """The end of the interval that a reading at this time closes: the nearest whole multiple of the step since 1970.

    A device wakes some seconds beside the round time, and one without a clock is heard some seconds after it.

    >>> slot_of(datetime(2026, 6, 1, 9, 0, 41, tzinfo=UTC), timedelta(minutes=10)).isoformat()
    '2026-06-01T09:00:00+00:00'
    """
    return _EPOCH + ((time - _EPOCH + step / 2) // step) * step


def between(before: Count | None, after: Count, step: timedelta) -> tuple[Increment, ...]:
    """The increments of the intervals in (before.slot, after.slot], in time order; none where nothing can be said."""
    if not connected(before, after):
        if after.latest is None:
            return ()
        return (_increment(after, after.slot, after.latest, exact=True, reason=None),)
    assert before is not None
    restarted = _restarted(before, after)
    counted = after.count if restarted else (after.count - before.count) % after.modulus
    intervals = (after.slot - before.slot) // step
    exact = not restarted
    reason = Reason.RESTART if restarted else Reason.GAP
    if intervals == 1:
        return (_increment(after, after.slot, counted, exact=exact, reason=reason),)
    latest = after.latest if after.latest is not None and after.latest <= counted else None
    spread, parts = (counted, intervals) if latest is None else (counted - latest, intervals - 1)
    share = spread / parts
    still = exact and spread == 0
    increments = [
        _increment(after, before.slot + n * step, share, exact=still, reason=reason) for n in range(1, parts + 1)
    ]
    if latest is not None:
        # It began anew before the last interval where it has counted more than in that one; else perhaps within it.
        whole = exact or counted > latest
        increments.append(_increment(after, after.slot, latest, exact=whole, reason=reason))
    return tuple(increments)


def connected(before: Count | None, after: Count) -> bool:
    """Whether the difference of two readings means anything."""
    return before is not None and before.device_id == after.device_id and after.slot - before.slot <= LONGEST_GAP


def _restarted(before: Count, after: Count) -> bool:
    if before.restarts is not None and after.restarts is not None:
        return before.restarts != after.restarts
    return after.count < before.count and (after.count - before.count) % after.modulus > after.modulus // 16


def _increment(of: Count, time: datetime, counted: float, *, exact: bool, reason: Reason | None) -> Increment:
    value = counted * of.scale
    if not exact:
        return Increment(time, value, Quality.ESTIMATED, reason)
    if of.doubtful:
        return Increment(time, value, Quality.DOUBTFUL, Reason.CLOCK)
    return Increment(time, value, Quality.GOOD, None)
