"""Visitors: how many people pass a spot's counter, inwards and outwards.

Arrivals are a Poisson process whose rate depends on the hour, the day of the week and the day's own luck;
departures follow the same process one stay later. Counts of passages, of nobody in particular.

Every count is a pure function of (seed, spot, period). Works badly for: coaches that unload forty people at
once, and events.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from simulators.chance import normal, poisson


@dataclass(frozen=True, slots=True)
class Profile:
    """A kind of spot: passages inwards on a weekday, how much more at weekends, when, and for how long."""

    weekday: float
    weekend_factor: float
    opens: int  # local hour of the first arrivals
    by_hour: tuple[float, ...]  # weight of each hour from then on
    stay: timedelta


# In this order the visitor spots of a town file take their profiles.
PROFILES = (
    Profile(420, 2.2, 8, (2, 4, 6, 8, 9, 8, 7, 7, 6, 4, 2), timedelta(minutes=35)),  # roadside station
    Profile(110, 2.8, 5, (2, 1, 1, 2, 4, 6, 6, 5, 5, 6, 7, 8, 6, 2), timedelta(minutes=40)),  # lighthouse
    Profile(80, 3.0, 8, (2, 4, 6, 7, 6, 6, 5, 3, 1), timedelta(minutes=50)),  # waterfall
    Profile(190, 1.8, 10, (3, 4, 4, 4, 5, 6, 8, 9, 8, 6, 3), timedelta(minutes=80)),  # hot spring
    Profile(150, 3.6, 5, (5, 10, 9, 6, 2), timedelta(minutes=30)),  # morning market
)


@dataclass(frozen=True, slots=True)
class Spot:
    """One counter."""

    seed: int
    timezone: ZoneInfo
    code: str
    profile: Profile

    def passages(self, end: datetime, period: timedelta) -> tuple[int, int]:
        """Passages (inwards, outwards) counted in the period that ends at `end`."""
        hours = period / timedelta(hours=1)
        middle = end - period / 2
        inwards = self._rate(middle) * hours
        outwards = self._rate(middle - self.profile.stay) * hours
        return (
            poisson(inwards, self.seed, self.code, "in", end.timestamp()),
            poisson(outwards, self.seed, self.code, "out", end.timestamp()),
        )

    def _rate(self, at: datetime) -> float:
        """Arrivals per hour."""
        local = at.astimezone(self.timezone)
        hour = local.hour - self.profile.opens
        if not 0 <= hour < len(self.profile.by_hour):
            return 0.0
        weekend = self.profile.weekend_factor if local.weekday() >= 5 else 1.0
        luck = max(0.3, 1 + 0.2 * normal(self.seed, self.code, "day", local.date()))
        return self.profile.weekday * weekend * luck * self.profile.by_hour[hour] / sum(self.profile.by_hour)
