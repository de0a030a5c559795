"""Visitors: how many people pass a spot's counter, inwards and outwards.

Arrivals are a Poisson process whose rate depends on the hour, the day of the week and the day's own luck;
departures follow the same process one stay later. Counts of passages, of nobody in particular.

The rate follows the season, the kind of day (weekends, holidays, and more at GW, Bon and New Year), the weather - the
same wet days as the river's - and festivals. Now and then something stands before a counter: for some hours it goes on
reporting and counts nobody.

Every count is a pure function of (seed, spot, festivals, period). Works badly for: coaches that unload forty people at
once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import jpholiday

from simulators.chance import normal, poisson, uniform

FESTIVAL_SHARE = 0.5
FIRST_FESTIVAL = timedelta(minutes=30)
FESTIVAL_EVERY = timedelta(days=7)
FESTIVAL_LASTS = timedelta(hours=8)

_SEASON = (0.80, 0.80, 1.00, 1.12, 1.20, 0.95, 1.00, 1.25, 1.05, 1.12, 1.10, 0.85)  # by month; the mean is about 1
_WET_SHARE = 0.35  # of all days
_WET, _DRY = 0.70, 1.16  # together the mean is 1
_HOLIDAYS = 1.4  # more than a weekend: GW, Bon, New Year
_BLOCKED_SHARE = 1 / 60  # of a counter's days


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
    festivals: tuple[tuple[datetime, datetime], ...] = ()  # from, to: crowds that no calendar knows
    festival_from: datetime | None = None  # the scenario's: eight hours from then on, and every week again

    def passages(self, end: datetime, period: timedelta) -> tuple[int, int]:
        """Passages (inwards, outwards) counted in the period that ends at `end`."""
        hours = period / timedelta(hours=1)
        middle = end - period / 2
        if self.blocked(middle):
            return 0, 0
        inwards = self._rate(middle) * hours
        outwards = self._rate(middle - self.profile.stay) * hours
        return (
            poisson(inwards, self.seed, self.code, "in", end.timestamp()),
            poisson(outwards, self.seed, self.code, "out", end.timestamp()),
        )

    def blocked(self, at: datetime) -> bool:
        """Whether something stands before the counter: then it counts nobody, and does not know it."""
        local = at.astimezone(self.timezone)
        day = local.date()
        if uniform(self.seed, self.code, "blocked", day) > _BLOCKED_SHARE:
            return False
        since = self.profile.opens + 1 + 3 * uniform(self.seed, self.code, "blocked from", day)
        lasts = 3 + 4 * uniform(self.seed, self.code, "blocked for", day)
        return since <= local.hour + local.minute / 60 < since + lasts

    def _rate(self, at: datetime) -> float:
        """Arrivals per hour."""
        crowds = [at - start for start, end in self.festivals if start <= at < end]
        if self.festival_from is not None and at >= self.festival_from:
            since = (at - self.festival_from) % FESTIVAL_EVERY
            crowds += [since] if since < FESTIVAL_LASTS else []
        return self._usual(at) + sum(self._crowd(since) for since in crowds)

    def _crowd(self, since: timedelta) -> float:
        """Half a usual day's arrivals in every hour of a festival, after a quarter of an hour in which they come."""
        return FESTIVAL_SHARE * self.profile.weekday * min(1.0, since / timedelta(minutes=15))

    def _usual(self, at: datetime) -> float:
        local = at.astimezone(self.timezone)
        hour = local.hour - self.profile.opens
        if not 0 <= hour < len(self.profile.by_hour):
            return 0.0
        of_hour = self.profile.by_hour[hour] / sum(self.profile.by_hour)
        return self.profile.weekday * self._factor(local.date()) * of_hour

    def _factor(self, day: date) -> float:
        """How much more or less than on a mean weekday, by season, kind of day, weather and the day's own luck."""
        season = _SEASON[day.month - 1]
        weather = _WET if uniform(self.seed, "wet", day) <= _WET_SHARE else _DRY
        luck = max(0.3, 1 + 0.15 * normal(self.seed, self.code, "day", day))
        kind = 1.0
        if _long_holidays(day):
            kind = _HOLIDAYS * self.profile.weekend_factor
        elif day.weekday() >= 5 or jpholiday.is_holiday(day):
            kind = self.profile.weekend_factor
        return season * weather * luck * kind


def _long_holidays(day: date) -> bool:
    """GW, Bon and the days about New Year.

    >>> _long_holidays(date(2026, 5, 1)), _long_holidays(date(2026, 12, 31)), _long_holidays(date(2026, 6, 1))
    (True, True, False)
    """
    place = (day.month, day.day)
    return (4, 29) <= place <= (5, 5) or (8, 13) <= place <= (8, 16) or place >= (12, 29) or place <= (1, 3)
