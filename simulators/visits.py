"""Visitors: how many people pass a spot's counter, inwards and outwards.

Arrivals are a Poisson process whose rate depends on the hour, the day of the week and the day's own luck;
departures follow the same process one stay later. Counts of passages, of nobody in particular.

The rate follows the season, the kind of day (weekends, holidays, and more at GW, Bon and New Year), the weather - the
same wet days as the river's - and festivals. Now and then something stands before a counter: for some hours it goes on
reporting and counts nobody. In a flood people seek shelter at one spot, and leaves cover another one's counter.

Every count is a pure function of (seed, spot, festivals, period). Works badly for: coaches that unload forty people at
once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import jpholiday

from simulators.chance import normal, poisson, uniform
from simulators.weather import STORM_EVERY

FESTIVAL_SHARE = 0.5
SHELTERING = 150.0  # an hour: who comes in, and goes to look for others
# From and to how long after the beginning of a storm.
SHELTER = (timedelta(hours=2), timedelta(hours=10))
COVERED = (timedelta(0), timedelta(hours=8))
FIRST_FESTIVAL = timedelta(minutes=30)
FESTIVAL_EVERY = timedelta(days=7)
FESTIVAL_LASTS = timedelta(hours=8)

_SEASON = (0.80, 0.80, 1.00, 1.12, 1.20, 0.95, 1.00, 1.25, 1.05, 1.12, 1.10, 0.85)  # by month; the mean is about 1
_WET_SHARE = 0.35  # of all days
_WET, _DRY = 0.70, 1.16  # together the mean is 1
_HOLIDAYS = 1.4  # more than a weekend: GW, Bon, New Year
_BLOCKED_SHARE = 1 / 60  # of a counter's days
_HOUR = timedelta(hours=1)


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
# A spot without a counter: a small museum.
HAND_COUNTED = Profile(38, 2.4, 9, (3, 6, 6, 4, 6, 6, 4, 2), timedelta(minutes=45))


@dataclass(frozen=True, slots=True)
class Spot:
    """One counter."""

    seed: int
    timezone: ZoneInfo
    code: str
    profile: Profile
    festivals: tuple[tuple[datetime, datetime], ...] = ()  # from, to: crowds that no calendar knows
    festival_from: datetime | None = None  # the scenario's: eight hours from then on, and every week again
    shelter_from: datetime | None = None  # a storm's start: people seek shelter here, and after each later one again
    covered_from: datetime | None = None  # ...: leaves and mud cover the counter

    def passages(self, end: datetime, period: timedelta) -> tuple[int, int]:
        """Passages (inwards, outwards) counted in the period that ends at `end`."""
        return self.inwards(end, period), self.outwards(end, period)

    def inwards(self, end: datetime, period: timedelta) -> int:
        """Passages inwards counted in the period that ends at `end`."""
        return self._counted("in", end, period, timedelta(0))

    def outwards(self, end: datetime, period: timedelta) -> int:
        """Passages outwards counted in the period that ends at `end`."""
        return self._counted("out", end, period, self.profile.stay)

    def _counted(self, way: str, end: datetime, period: timedelta, stayed: timedelta) -> int:
        middle = end - period / 2
        mean = self._rate(middle - stayed) * (period / _HOUR)
        if mean == 0 or self.blocked(middle):
            return 0
        return poisson(mean, self.seed, self.code, way, end.timestamp())

    def expected(self, end: datetime, period: timedelta) -> float:
        """How many would be counted inwards in the period that ends at `end`, if nothing stood before the counter."""
        return self._rate(end - period / 2) * (period / _HOUR)

    def visitors(self, day: date) -> int:
        """Everybody of a local day, as a person counts who sees them all."""
        return poisson(self.profile.weekday * self._factor(day), self.seed, self.code, "day's count", day)

    def blocked(self, at: datetime) -> bool:
        """Whether something stands before the counter: then it counts nobody, and does not know it."""
        if _lasts(self.covered_from, COVERED, at):
            return True
        local = at.astimezone(self.timezone)
        hours = _blocked_hours(self.seed, self.code, self.profile.opens, local.date())
        return hours is not None and hours[0] <= local.hour + local.minute / 60 < hours[1]

    def _rate(self, at: datetime) -> float:
        """Arrivals per hour."""
        rate = self._usual(at)
        for start, end in self.festivals:
            if start <= at < end:
                rate += self._crowd(at - start)
        if self.festival_from is not None and at >= self.festival_from:
            since = (at - self.festival_from) % FESTIVAL_EVERY
            if since < FESTIVAL_LASTS:
                rate += self._crowd(since)
        if _lasts(self.shelter_from, SHELTER, at):
            rate += SHELTERING
        return rate

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
        return _factor(self.seed, self.code, self.profile.weekend_factor, day)


def _lasts(first_storm: datetime | None, hours: tuple[timedelta, timedelta], at: datetime) -> bool:
    """Whether a time is so long after one of the storms, the first of which begins then."""
    if first_storm is None or at < first_storm:
        return False
    return hours[0] <= (at - first_storm) % STORM_EVERY < hours[1]


@lru_cache(maxsize=64)  # of a day at some spots: its counts are asked for one after another
def _factor(seed: int, code: str, weekend_factor: float, day: date) -> float:
    season = _SEASON[day.month - 1]
    weather = _WET if uniform(seed, "wet", day) <= _WET_SHARE else _DRY
    luck = max(0.3, 1 + 0.15 * normal(seed, code, "day", day))
    kind = 1.0
    if _long_holidays(day):
        kind = _HOLIDAYS * weekend_factor
    elif day.weekday() >= 5 or jpholiday.is_holiday(day):
        kind = weekend_factor
    return season * weather * luck * kind


@lru_cache(maxsize=64)
def _blocked_hours(seed: int, code: str, opens: int, day: date) -> tuple[float, float] | None:
    """From and to which local hour the counter is blocked on a day."""
    if uniform(seed, code, "blocked", day) > _BLOCKED_SHARE:
        return None
    since = opens + 1 + 3 * uniform(seed, code, "blocked from", day)
    return since, since + 3 + 4 * uniform(seed, code, "blocked for", day)


def _long_holidays(day: date) -> bool:
    """GW, Bon and the days about New Year.

    >>> _long_holidays(date(2026, 5, 1)), _long_holidays(date(2026, 12, 31)), _long_holidays(date(2026, 6, 1))
    (True, True, False)
    """
    place = (day.month, day.day)
    return (4, 29) <= place <= (5, 5) or (8, 13) <= place <= (8, 16) or place >= (12, 29) or place <= (1, 3)
