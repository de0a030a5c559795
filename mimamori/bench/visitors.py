"""`mimamori bench visitors`: how often the visitor rules are wrong, and what they find, in simulated counters.

Every hour of every day is judged as analytics judges it: today so far against the same part of the last 8 days of the
same kind (`visits`), and the hours in which nobody was counted (`counter`). The first 90 days of a series are only
history. A spot-month is 30 judged days of one spot.

    visits_false, counter_false     findings a spot-month on days on which nothing was set off
    blocked_found, festivals_found  share of the days on which something was set off that had a finding of its kind
    blocked, festivals              how many such days there were; blocked ones only where at least `LEAST_USUAL` visits
                                    and two whole hours of the spot's opening were lost
    within_limits                   false findings and shares are within `LIMITS`

Works on hourly series (hours x spots), so that recorded ones can be judged by the same code (`judge`).
"""

from __future__ import annotations

import time as clock
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from statistics import median
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from analytics.visitors.day_types import day_type
from analytics.visitors.unusual import LEAST_USUAL, Hour, blocked, far_from_usual
from analytics.visitors.usual import DAYS, LOOK_BACK
from simulators.visits import PROFILES, Spot

HISTORY_DAYS = 90
LIMITS = {"visits_false": 0.5, "counter_false": 0.1, "blocked_found": 0.9, "festivals_found": 0.5}

_HOUR = timedelta(hours=1)
_ZONE = ZoneInfo("Asia/Tokyo")
_FIRST = date(2025, 5, 20)

Hourly = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class VisitorsBench:
    """`spots`: counters of each of the five profiles; `days`: of each, judged after the first 90."""

    spots: int
    days: int
    seed: int


@dataclass(frozen=True, slots=True)
class Judged:
    """The days of one series that had a finding, by kind, and how many were judged."""

    days: int
    visits: frozenset[date]
    counter: frozenset[date]


def judge(first: date, counts: Hourly, history_days: int = HISTORY_DAYS) -> Judged:
    """What the rules say of a series of hourly counts, (days, 24), nan where nothing was counted, from a local day on.

    As `analytics.visitors.watch` does, at the end of each hour; a day counts once a kind.
    """
    known = ~np.isnan(counts)
    sums = np.nancumsum(counts, axis=1)
    share = np.cumsum(known, axis=1) / np.arange(1, 25)
    whole_day = known.mean(axis=1) >= 0.85
    of_kind: dict[object, list[int]] = {}
    visits, counter = set(), set()
    for number in range(len(counts)):
        day = first + timedelta(days=number)
        alike = of_kind.setdefault(day_type(day), [])
        if number >= history_days:
            earlier = [each for each in reversed(alike) if number - each <= LOOK_BACK.days and whole_day[each]]
            if _counter(counts[number], [counts[each] for each in earlier[:DAYS]]):
                counter.add(day)
            elif _visits(sums, share, number, earlier[: DAYS + 4]):
                visits.add(day)
        alike.append(number)
    return Judged(max(0, len(counts) - history_days), frozenset(visits), frozenset(counter))


def _visits(sums: Hourly, share: Hourly, number: int, earlier: Sequence[int]) -> bool:
    for hour in range(24):
        if share[number, hour] < 0.85:
            continue
        alike = [each for each in earlier if share[each, hour] >= 0.85][:DAYS]
        if not alike:
            continue
        whole = median(float(sums[each, -1]) for each in alike)
        if far_from_usual(int(sums[number, hour]), [int(sums[each, hour]) for each in alike], whole) is not None:
            return True
    return False


def _counter(today: Hourly, earlier: Sequence[Hourly]) -> bool:
    hours = [
        Hour(
            datetime(2026, 1, 1, hour, tzinfo=UTC),
            time(hour),
            None if np.isnan(today[hour]) else int(today[hour]),
            not np.isnan(today[hour]),
        )
        for hour in range(24)
    ]
    usual = {time(hour): [int(each[hour]) for each in earlier if not np.isnan(each[hour])] for hour in range(24)}
    return any(blocked(hours[: until + 1], usual) is not None for until in range(24))


def measure(options: VisitorsBench, progress: Callable[[int, int], None]) -> dict[str, Any]:
    """The figures of the module's docstring. `progress` hears how many spots are judged, of how many."""
    began = clock.monotonic()
    spots = [
        (f"bench-{number}-{position}", position) for number in range(options.spots) for position in range(len(PROFILES))
    ]
    days = 0
    false = {"visits": 0, "counter": 0}
    found = {"blocked": 0, "festivals": 0}
    there = {"blocked": 0, "festivals": 0}
    for done, (code, position) in enumerate(spots):
        happened = _festivals(options.days)
        spot = Spot(options.seed, _ZONE, code, PROFILES[position], tuple(happened.values()))
        counts, lost = _counted(spot, HISTORY_DAYS + options.days)
        judged = judge(_FIRST, counts)
        days += judged.days
        hidden = {day for day, (hours, usual) in lost.items() if hours >= 2 and usual >= 1.5 * LEAST_USUAL}
        excused = set(happened) | set(lost)
        false["visits"] += len(judged.visits - excused)
        false["counter"] += len(judged.counter - excused)
        since = _FIRST + timedelta(days=HISTORY_DAYS)
        for kind, truth, seen in (
            ("blocked", hidden, judged.counter),
            ("festivals", set(happened) - set(lost), judged.visits),
        ):
            truth = {day for day in truth if day >= since}
            there[kind] += len(truth)
            found[kind] += len(truth & seen)
        progress(done + 1, len(spots))
    months = days / 30
    figures: dict[str, Any] = {
        "spots": len(spots),
        "spot_months": round(months, 1),
        "visits_false": round(false["visits"] / months, 3),
        "counter_false": round(false["counter"] / months, 3),
    }
    for kind in ("blocked", "festivals"):
        figures[kind] = there[kind]
        figures[f"{kind}_found"] = round(found[kind] / there[kind], 3) if there[kind] else None
    figures["within_limits"] = within_limits(figures)
    return figures | {"seconds": round(clock.monotonic() - began, 1)}


def within_limits(figures: Mapping[str, Any]) -> bool:
    """Whether nothing is wrong more often, or found less often, than `LIMITS` say; what did not happen counts not."""
    return all(
        figures[name] is None or (figures[name] <= limit if name.endswith("false") else figures[name] >= limit)
        for name, limit in LIMITS.items()
    )


def rows(figures: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """The table's lines: what, how often, its limit."""
    words = {
        "visits_false": "far from usual, for no reason, a spot-month",
        "counter_false": "counter blocked, for no reason, a spot-month",
        "blocked_found": f"blocked counters found, of {figures['blocked']}",
        "festivals_found": f"festivals found, of {figures['festivals']}",
    }
    return [(word, str(figures[name]), str(LIMITS[name])) for name, word in words.items()]


def _festivals(days: int) -> dict[date, tuple[datetime, datetime]]:
    """One in every six weeks, on the Wednesday, from 10 to 17 o'clock."""
    found = {}
    for number in range(HISTORY_DAYS + days):
        day = _FIRST + timedelta(days=number)
        if day.weekday() == 2 and (number // 7) % 6 == 0:
            start = datetime.combine(day, time(10), _ZONE)
            found[day] = (start, start + timedelta(hours=7))
    return found


def _counted(spot: Spot, days: int) -> tuple[Hourly, dict[date, tuple[int, float]]]:
    """Hourly counts, (days, 24), and the days on which the counter was blocked: whole hours, and the visits lost."""
    counts = np.zeros((days, 24))
    lost: dict[date, tuple[int, float]] = {}
    for number in range(days):
        day = _FIRST + timedelta(days=number)
        begins = datetime.combine(day, time(0), _ZONE)
        for hour in range(24):
            ends = begins + (hour + 1) * _HOUR
            counts[number, hour] = spot.inwards(ends, _HOUR)
            covered = sum(spot.blocked(begins + hour * _HOUR + minute * _HOUR / 60) for minute in (1, 30, 59))
            if covered == 3:
                counts[number, hour] = 0
            if covered:
                hours, visits = lost.get(day, (0, 0.0))
                lost[day] = (hours + (covered == 3), visits + (spot.expected(ends, _HOUR) if covered == 3 else 0.0))
    return counts, lost
