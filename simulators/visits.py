"""Visitors: how many people pass a spot's counter, inwards and outwards, and how many of them it counts.

A marked point process: groups of one to four arrive at the rate of the hour (Poisson), each stays its time (gamma
distributed about the spot's usual one) and leaves together, so that whoever came in goes out again. Counts of
passages, of nobody in particular.

The rate follows the season, the kind of day (weekends, holidays, and more at GW, Bon and New Year), the weather - the
same wet days as the river's - and the day's own luck; festivals, and people who seek shelter in a flood, come on top of
it and change nothing of the others.

A counter makes mistakes: each has its own share of people that it misses (more of those who walk beside others) and of
those that it counts twice. Now and then something stands before it: for some hours it goes on reporting and counts
nobody. In a flood leaves cover another spot's counter.

Everything is a pure function of (seed, spot, festivals, time), and counts of neighbouring periods add up. Works badly
for: coaches that unload forty people at once, people who come back the same day.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import jpholiday
import numpy as np
from numpy.typing import NDArray

from simulators.chance import Counts, Floats, integer, normal, poisson, uniform
from simulators.weather import STORM_EVERY

Mask = NDArray[np.bool_]

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

GROUPS = (0.45, 0.35, 0.12, 0.08)  # share of groups of 1, 2, 3 and 4
MEAN_GROUP = sum(size * share for size, share in enumerate(GROUPS, 1))
_BESIDE_OTHERS = 0.03  # missed besides, of those in a group
_ABREAST = 1 - GROUPS[0] / MEAN_GROUP  # share of people who are in a group
_STAYS = 4.0  # the shape of their distribution
_LONGEST_STAY = 6  # times the usual one: whoever stays longer goes home then
_REMEMBERED = 6  # stretches of a spot: today and yesterday are asked for again and again


@dataclass(frozen=True, slots=True)
class Profile:
    """A kind of spot: passages inwards that are counted on a weekday, how much more at weekends, when, and for how long
    people stay.
    """

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

    _known: dict[tuple[str, datetime | date], _Visits] = field(
        default_factory=dict, init=False, compare=False, repr=False
    )

    def passages(self, end: datetime, period: timedelta) -> tuple[int, int]:
        """Passages (inwards, outwards) counted in the period that ends at `end`."""
        return self.inwards(end, period), self.outwards(end, period)

    def inwards(self, end: datetime, period: timedelta) -> int:
        """Passages inwards counted in the period that ends at `end`."""
        return sum(each.counted_in(end, period) for each in self._visits(end, period))

    def outwards(self, end: datetime, period: timedelta) -> int:
        """Passages outwards counted in the period that ends at `end`."""
        return sum(each.counted_out(end, period) for each in self._visits(end, period))

    def truly(self, end: datetime, period: timedelta) -> tuple[int, int]:
        """How many people really went in and out in the period that ends at `end`."""
        found = list(self._visits(end, period))
        return sum(v.really_in(end, period) for v in found), sum(v.really_out(end, period) for v in found)

    @property
    def missed(self) -> float:
        """Share of people walking alone whom the counter misses."""
        return 0.01 + 0.04 * uniform(self.seed, self.code, "missed")

    @property
    def doubled(self) -> float:
        """Share of people whom it counts twice."""
        return 0.005 + 0.015 * uniform(self.seed, self.code, "doubled")

    @property
    def accuracy(self) -> float:
        """Passages that it counts for each that there is, in the mean."""
        return 1 - self.missed - _BESIDE_OTHERS * _ABREAST + self.doubled

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

    def blocked_times(self, first: datetime, last: datetime) -> Iterator[tuple[datetime, datetime]]:
        """When something stands before the counter in [first, last); leaves are not meant."""
        day = first.astimezone(self.timezone).date() - timedelta(days=1)
        while day <= last.astimezone(self.timezone).date():
            hours = _blocked_hours(self.seed, self.code, self.profile.opens, day)
            if hours is not None:
                midnight = datetime.combine(day, time(0), self.timezone)
                start, end = (midnight + hour * _HOUR for hour in hours)
                if start < last and end > first:
                    yield start, end
            day += timedelta(days=1)

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

    def _visits(self, end: datetime, period: timedelta) -> Iterator[_Visits]:
        """Everybody who can have come or gone in a period."""
        first = end - period - _LONGEST_STAY * self.profile.stay
        day = first.astimezone(self.timezone).date()
        last = end.astimezone(self.timezone).date()
        while day <= last:
            yield self._drawn("day", day)
            day += timedelta(days=1)
        for start, until in self.festivals:
            if start < end and first < until:
                yield self._drawn("festival", start, until)
        for named, began, every, lasts in (
            ("festivals", self.festival_from, FESTIVAL_EVERY, (timedelta(0), FESTIVAL_LASTS)),
            ("shelter", self.shelter_from, STORM_EVERY, SHELTER),
        ):
            if began is None:
                continue
            for n in range(max(0, (first - began - lasts[1]) // every), max(0, (end - began) // every + 1)):
                start = began + n * every
                if start + lasts[0] < end and first < start + lasts[1]:
                    yield self._drawn(named, start + lasts[0], start + lasts[1])

    def _drawn(self, what: str, start: datetime | date, until: datetime | None = None) -> _Visits:
        key = (what, start)
        if key not in self._known:
            while len(self._known) >= _REMEMBERED:
                del self._known[next(iter(self._known))]
            hours = self._hours(what, start, until)
            question = (self.seed, self.code, what, start, until)
            self._known[key] = _draw(self, hours, np.random.Philox(integer(*question)))
        return self._known[key]

    def _hours(
        self, what: str, start: datetime | date, until: datetime | None
    ) -> list[tuple[datetime, timedelta, float]]:
        """Stretches of a steady rate: from, how long, counted arrivals an hour."""
        if not isinstance(start, datetime):
            opens = datetime.combine(start, time(self.profile.opens), self.timezone)
            a_weight = self.profile.weekday * self._factor(start) / sum(self.profile.by_hour)
            return [(opens + n * _HOUR, _HOUR, a_weight * weight) for n, weight in enumerate(self.profile.by_hour)]
        assert until is not None
        if what == "shelter":
            return [(start, until - start, SHELTERING)]
        # half a usual day's arrivals in every hour of a festival, after a quarter of an hour in which they come
        crowd, coming = FESTIVAL_SHARE * self.profile.weekday, min(timedelta(minutes=15), until - start)
        return [
            (start, coming, crowd / 2),
            (start + coming, until - start - coming, crowd),
        ]

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


@dataclass(frozen=True, slots=True)
class _Visits:
    """Some people: when they came and went (s since 1970, in order), and running sums of how many, as there were and as
    they were counted; the sums begin with 0.
    """

    came: Floats
    came_sum: Counts
    came_counted: Counts
    left: Floats
    left_sum: Counts
    left_counted: Counts

    def counted_in(self, end: datetime, period: timedelta) -> int:
        return _within(self.came, self.came_counted, end, period)

    def counted_out(self, end: datetime, period: timedelta) -> int:
        return _within(self.left, self.left_counted, end, period)

    def really_in(self, end: datetime, period: timedelta) -> int:
        return _within(self.came, self.came_sum, end, period)

    def really_out(self, end: datetime, period: timedelta) -> int:
        return _within(self.left, self.left_sum, end, period)


def _within(times: Floats, sums: Counts, end: datetime, period: timedelta) -> int:
    until = end.timestamp()
    first, last = times.searchsorted((until - period.total_seconds(), until), side="right")
    return int(sums[last] - sums[first])


def _draw(spot: Spot, hours: list[tuple[datetime, timedelta, float]], bits: np.random.Philox) -> _Visits:
    """Who comes in stretches of a steady rate, and what the counter makes of it."""
    chance = np.random.Generator(bits)
    seconds = np.array([lasts.total_seconds() for _, lasts, _ in hours])
    begins = np.array([start.timestamp() for start, _, _ in hours])
    # a rate is what is counted; a few more come
    groups = chance.poisson([rate / spot.accuracy / MEAN_GROUP * (lasts / _HOUR) for _, lasts, rate in hours])
    which = np.repeat(np.arange(len(hours)), groups)
    came = np.sort(begins[which] + seconds[which] * chance.random(len(which)))
    size = 1 + chance.choice(len(GROUPS), p=GROUPS, size=len(came))
    usual = spot.profile.stay.total_seconds()
    stays = np.minimum(chance.gamma(_STAYS, usual / _STAYS, size=len(came)), _LONGEST_STAY * usual)
    left = came + stays
    order = np.argsort(left, kind="stable")
    missed = np.where(size > 1, spot.missed + _BESIDE_OTHERS, spot.missed)

    def counted(times: Floats) -> Counts:
        found: Counts = size - chance.binomial(size, missed) + chance.binomial(size, spot.doubled)
        return np.where(_blocked(spot, times), 0, found)

    came_counted, left_counted = counted(came), counted(left)
    return _Visits(came, _sums(size), _sums(came_counted), left[order], _sums(size[order]), _sums(left_counted[order]))


def _sums(counts: Counts) -> Counts:
    return np.concatenate(([0], np.cumsum(counts)))


def _blocked(spot: Spot, times: Floats) -> Mask:
    """`Spot.blocked` of all of these."""
    found = np.zeros(len(times), dtype=bool)
    if not len(times):
        return found
    first, last = (datetime.fromtimestamp(float(each), spot.timezone) for each in (times.min(), times.max()))
    day = first.date()
    while day <= last.date():
        hours = _blocked_hours(spot.seed, spot.code, spot.profile.opens, day)
        if hours is not None:
            midnight = datetime.combine(day, time(0), spot.timezone).timestamp()
            found |= (times >= midnight + 3600 * hours[0]) & (times < midnight + 3600 * hours[1])
        day += timedelta(days=1)
    if spot.covered_from is not None and spot.covered_from <= last:
        since = times - spot.covered_from.timestamp()
        within = since % STORM_EVERY.total_seconds()
        found |= (since >= 0) & (within >= COVERED[0].total_seconds()) & (within < COVERED[1].total_seconds())
    return found


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
