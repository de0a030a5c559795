"""Local days and their hours: what a desk calls 'today', and 'the 10 o'clock hour'."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from api.pages.readings import Point


@dataclass(frozen=True, slots=True)
class Hour:
    """One local hour of a series, from `start`; `n` usable observations of `expected` (so far, in the running hour).

    n = 0 is 欠測: then there is neither a mean nor a total, and certainly not a total of 0.
    """

    start: datetime
    n: int
    expected: int
    running: bool
    minimum: float | None = None
    mean: float | None = None
    maximum: float | None = None
    total: float | None = None

    @property
    def partial(self) -> bool:
        return 0 < self.n < self.expected


def day_start(day: date, zone: ZoneInfo) -> datetime:
    """The first moment of a local day, in UTC: there an hour is an hour, also in the night the clocks change."""
    return datetime.combine(day, time.min, zone).astimezone(UTC)


def hours_of(
    points: Sequence[Point],
    step: timedelta,
    day: date,
    now: datetime,
    zone: ZoneInfo,
    *,
    total: bool,
    first: datetime | None,
) -> tuple[Hour, ...]:
    """The hours of a local day up to now, newest first.

    A total belongs to the hour in which its counting interval lies, so an observation at 10:00 sharp counts for
    9 o'clock; a momentary value at 10:00 belongs to 10 o'clock. Hours before `first`, the oldest observation there is,
    are left out: nothing was there yet to be missing.
    """
    if first is None:
        return ()
    hours = []
    hour = timedelta(hours=1)
    midnight, end_of_day = day_start(day, zone), day_start(day + timedelta(days=1), zone)
    values: dict[int, list[float]] = {}
    for point in points:
        if point.usable and point.value is not None:
            since = point.time - midnight
            values.setdefault(-(-since // hour) - 1 if total else since // hour, []).append(point.value)
    start = midnight
    while start < min(now, end_of_day):
        end = start + hour
        if end < first or (end == first and not total):
            start = end
            continue
        inside = values.get((start - midnight) // hour, [])
        expected = int((min(now, end) - start) / step)
        running = end > now
        if not inside:
            hours.append(Hour(start, 0, expected, running))
        elif total:
            hours.append(Hour(start, len(inside), expected, running, total=sum(inside)))
        else:
            mean = sum(inside) / len(inside)
            hours.append(Hour(start, len(inside), expected, running, min(inside), mean, max(inside)))
        start = end
    return tuple(reversed(hours))
