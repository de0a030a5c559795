"""What the customers of a block use, where most of them have an hourly meter (`analytics.leaks.meters.sums`).

    Hourly.of(hours, connections) -> Hourly
    Hourly.at(begins) -> (m3, read)           the hour that begins there
    Hourly.days(zone) -> {day: Read}          the local days that are known whole

What the meters read is scaled to all connections: who has no such meter is taken to use what the others do. Where they
are fewer than `MOST` of the connections nothing is known of an hour but which share they are, and where nobody said how
many connections there are, not even that. Pure.

It works badly where those without a meter are not like the others, such as a factory, and where meters stand that are
no connection of the block.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from analytics.leaks.meters.signs import Floats
from analytics.leaks.meters.sums import Hours

MOST = 0.5  # of the connections
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Read:
    """`m3` that all connections used, by the meters of the share `read` (0..1) of them."""

    m3: float
    read: float


@dataclass(frozen=True, slots=True, eq=False)
class Hourly:
    """Hours without holes from `start` on: `m3` (h,) of all connections, NaN where not known, and which share of these
    was `read` (h,)."""

    start: datetime
    m3: Floats
    read: Floats

    @classmethod
    def of(cls, hours: Hours, connections: int) -> Hourly:
        """
        >>> from datetime import UTC
        >>> hours = Hours(datetime(2026, 6, 1, tzinfo=UTC), np.array([80.0, 90.0]), np.array([40, 60]))
        >>> found = Hourly.of(hours, 100)
        >>> found.m3.tolist(), found.read.tolist()
        ([nan, 0.15], [0.4, 0.6])
        """
        read = np.minimum(hours.meters / max(connections, 1), 1.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            m3 = np.where(read >= MOST, hours.litres / read / 1000, np.nan)
        return cls(hours.start, m3, read)

    def at(self, begins: datetime) -> tuple[float | None, float | None]:
        """What all used in the hour from `begins` on (None: too few are known), by which share of them (None: of none).
        Of two hours that it lies in each has its part.
        """
        since = (begins - self.start) / _HOUR
        first, part = int(since // 1), since % 1
        hours = [first] if part == 0 else [first, first + 1]
        if first < 0 or hours[-1] >= len(self.m3) or not self.read[hours].any():
            return None, None
        weights = np.array([1 - part, part][: len(hours)])
        m3 = float(weights @ self.m3[hours])
        return None if np.isnan(m3) else m3, float(weights @ self.read[hours])

    def days(self, zone: ZoneInfo) -> dict[date, Read]:
        """All of whose hours are known."""
        found = {}
        day, end = self.start.astimezone(zone).date(), self.start + len(self.m3) * _HOUR
        while (after := _begins(day + _DAY, zone)) <= end:
            first, last = ((each - self.start) // _HOUR for each in (_begins(day, zone), after))
            if first >= 0 and np.isfinite(self.m3[first:last]).all():
                found[day] = Read(float(self.m3[first:last].sum()), float(self.read[first:last].mean()))
            day += _DAY
        return found


def _begins(day: date, zone: ZoneInfo) -> datetime:
    # As a time of UTC: within one zone wall times are compared, and a day may have 23 hours.
    return datetime.fromtimestamp(datetime.combine(day, time(), zone).timestamp(), UTC)
