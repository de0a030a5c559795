"""`mimamori bench visitors`: how often the visitor rules are wrong, and what they find, in simulated counters.

Every hour of every day is judged as analytics judges it: today so far against the same part of the last 8 days of the
same kind (`visits`), and the hours in which nobody was counted (`counter`). The first 90 days of a series are only
history. A spot-month is 30 judged days of one spot. Beside the counters' own faults (hours by day) each is covered for
6 to 40 hours every five weeks, from a morning or afternoon on.

    visits_false                    findings a spot-month on days on which nothing was set off
    counter_false                   false zeros found a spot and year in which nothing stood before the counter
    zeros_found                     share of the long covers found within 3 hours, at spots never empty by day: of the
                                    60 days before no hour from three before to three after their beginning was without
                                    anybody
    blocked_found, festivals_found  share of the days on which something was set off that had a finding of its kind
    zeros, blocked, festivals       how many such there were; blocked ones only where 30 visits and three whole
                                    hours were lost
    estimates_within                share of estimates of hours left out (a morning, an afternoon, a day) whose interval
                                    holds the truth; meant to be 0.9
    estimates_off                   sum of their errors over the sum of the truth
    ahead_...                       how long it takes to look ahead (`visitors_ahead`); left out with `ahead_spots` 0
    within_limits                   false findings, shares and `ahead_seconds` are within `LIMITS`

Works on hourly series (days, 24), so that recorded ones can be judged by the same code (`judge`, `covered`).
"""

from __future__ import annotations

import time as clock
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from statistics import median
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from analytics.visitors.checks.estimate import estimate
from analytics.visitors.day_types import calendar, day_type
from analytics.visitors.expected.counts import Counts
from analytics.visitors.unusual import far_from_usual
from analytics.visitors.usual import DAYS, LOOK_BACK
from analytics.visitors.zeros import Run
from analytics.visitors.zeros import judge as judge_zeros
from mimamori.bench import visitors_ahead
from simulators.visits import PROFILES, Spot

HISTORY_DAYS = 90
LIMITS = {
    "visits_false": 0.5,
    "counter_false": 1.0,
    "zeros_found": 0.99,
    "blocked_found": 0.9,
    "festivals_found": 0.5,
    "estimates_within": 0.85,
    "ahead_seconds": 60.0,
}
AT_MOST = ("false", "seconds")  # names of what should be small
WITHIN = 3  # hours
LEAST_LOST = 3, 30.0  # whole hours and visits of a fault of the counter's own that has to be found
NEVER_EMPTY_DAYS = 60
COVER_EVERY, COVER_HOURS = 35, (6, 40)
ESTIMATE_EVERY = 15

_HOUR = timedelta(hours=1)
_ZONE = ZoneInfo("Asia/Tokyo")
_FIRST = date(2025, 5, 20)

Hourly = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class VisitorsBench:
    """`spots`: counters of each of the five profiles; `days`: of each, judged after the first 90. `ahead_spots`: spots
    that are looked ahead at.
    """

    spots: int
    days: int
    seed: int
    ahead_spots: int


@dataclass(frozen=True, slots=True)
class Judged:
    """The days of one series that had a finding `visits`, the runs of false zeros that were found in it, and how many
    days were judged.
    """

    days: int
    visits: frozenset[date]
    runs: tuple[Run, ...]


def judge(first: date, counts: Hourly, history_days: int = HISTORY_DAYS) -> Judged:
    """What the rules say of a series of hourly counts, (days, 24), nan where nothing was counted, from a local day on.

    As `analytics.visitors.watch` does, at the end of each hour; a day counts once.
    """
    zeros = judge_zeros(Counts(first, 24, counts.reshape(-1, 1)), calendar(first, len(counts)))
    runs = tuple(run for run in zeros.runs() if run.found >= 24 * history_days)
    at_fault = {(run.start // 24 + n) for run in runs for n in range(run.end // 24 - run.start // 24 + 1)}
    known = ~np.isnan(counts)
    sums = np.nancumsum(counts, axis=1)
    share = np.cumsum(known, axis=1) / np.arange(1, 25)
    whole_day = known.mean(axis=1) >= 0.85
    of_kind: dict[object, list[int]] = {}
    visits = set()
    for number in range(len(counts)):
        day = first + timedelta(days=number)
        alike = of_kind.setdefault(day_type(day), [])
        if number >= history_days and number not in at_fault:
            earlier = [each for each in reversed(alike) if number - each <= LOOK_BACK.days and whole_day[each]]
            if _visits(sums, share, number, earlier[: DAYS + 4]):
                visits.add(day)
        alike.append(number)
    return Judged(max(0, len(counts) - history_days), frozenset(visits), runs)


@dataclass(frozen=True, slots=True)
class Cover:
    """A counter that counts nobody in the hours `start`..`end` (positions); `never_empty`: at a spot that is not empty
    at this time of day.
    """

    start: int
    end: int
    never_empty: bool


def covered(counts: Hourly, chance: np.random.Generator, history_days: int = HISTORY_DAYS) -> list[Cover]:
    """Covers a counter every five weeks from some time by day on for 6 to 40 hours; `counts` (days, 24) are changed."""
    covers = []
    flat = counts.ravel()
    truth = flat.copy()
    for day in range(history_days + 7, len(counts) - 9, COVER_EVERY):
        start = 24 * (day + int(chance.integers(0, 7))) + int(chance.integers(8, 15))
        end = min(start + int(chance.integers(COVER_HOURS[0], COVER_HOURS[1] + 1)), len(flat))
        hours = truth[: start // 24 * 24].reshape(-1, 24)[-NEVER_EMPTY_DAYS:, start % 24 - 3 : start % 24 + WITHIN]
        never = bool((hours > 0).all()) and bool((truth[start : start + WITHIN] > 0).all())
        flat[start:end] = np.where(np.isnan(flat[start:end]), np.nan, 0.0)
        covers.append(Cover(start, end, never))
    return covers


def estimated(first: date, counts: Hourly, chance: np.random.Generator) -> list[tuple[float, float, float, float]]:
    """(truth, estimate, low, high) of hours left out of known days: a morning, an afternoon, or all of the day."""
    found = []
    for day in range(HISTORY_DAYS, len(counts), ESTIMATE_EVERY):
        if np.isnan(counts[day]).any():
            continue
        out = np.zeros(24, dtype=bool)
        out[(slice(6, 12), slice(12, 19), slice(0, 24))[int(chance.integers(0, 3))]] = True
        made = estimate(first + timedelta(days=day), first, counts, out)
        if made is not None:
            truth = float(counts[day][out].sum())
            value, low, high = (float(np.nansum(each)) for each in (made.value, made.low, made.high))
            found.append((truth, value, low, high))
    return found


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


def measure(options: VisitorsBench, progress: Callable[[int, int], None]) -> dict[str, Any]:
    """The figures of the module's docstring. `progress` hears how many spots are judged, of how many."""
    began = clock.monotonic()
    spots = [
        (f"bench-{number}-{position}", position) for number in range(options.spots) for position in range(len(PROFILES))
    ]
    days = 0
    false = {"visits": 0, "counter": 0}
    found = {"blocked": 0, "festivals": 0, "zeros": 0}
    there = dict.fromkeys(found, 0)
    estimates: list[tuple[float, float, float, float]] = []
    for done, (code, position) in enumerate(spots):
        happened = _festivals(options.days)
        spot = Spot(options.seed, _ZONE, code, PROFILES[position], tuple(happened.values()))
        counts, lost = _counted(spot, HISTORY_DAYS + options.days)
        chance = np.random.default_rng([options.seed, done])
        known = counts.copy()
        known[[(day - _FIRST).days for day in set(lost) | set(happened)]] = np.nan
        estimates += estimated(_FIRST, known, chance)
        covers = covered(counts, chance)
        judged = judge(_FIRST, counts)
        days += judged.days
        hit = {_FIRST + timedelta(days=each // 24) for cover in covers for each in range(cover.start, cover.end)}
        hidden = {
            day for day, (hours, usual) in lost.items() if hours >= LEAST_LOST[0] and usual >= LEAST_LOST[1]
        } - hit
        false["visits"] += len(judged.visits - set(happened) - set(lost) - hit)
        found_days = {_FIRST + timedelta(days=run.found // 24) for run in judged.runs}
        excused = set(lost) | hit | {day + timedelta(days=1) for day in set(lost) | hit}
        false["counter"] += len(found_days - excused)
        since = _FIRST + timedelta(days=HISTORY_DAYS)
        for kind, truth, seen in (
            ("blocked", hidden, found_days),
            ("festivals", set(happened) - set(lost) - hit, judged.visits),
        ):
            truth = {day for day in truth if day >= since}
            there[kind] += len(truth)
            found[kind] += len(truth & seen)
        for cover in covers:
            if cover.never_empty:
                there["zeros"] += 1
                found["zeros"] += any(
                    run.start < cover.end and cover.start <= run.found < cover.start + WITHIN for run in judged.runs
                )
        progress(done + 1, len(spots))
    months = days / 30
    figures: dict[str, Any] = {
        "spots": len(spots),
        "spot_months": round(months, 1),
        "visits_false": round(false["visits"] / months, 3),
        "counter_false": round(false["counter"] / days * 365, 3),
    }
    for kind in ("zeros", "blocked", "festivals"):
        figures[kind] = there[kind]
        figures[f"{kind}_found"] = round(found[kind] / there[kind], 3) if there[kind] else None
    figures["estimates"] = len(estimates)
    within = sum(low <= truth <= high for truth, _, low, high in estimates)
    figures["estimates_within"] = round(within / len(estimates), 3) if estimates else None
    whole = sum(truth for truth, *_ in estimates)
    figures["estimates_off"] = (
        round(sum(abs(truth - made) for truth, made, *_ in estimates) / whole, 3) if whole else None
    )
    figures["ahead_seconds"] = None
    if options.ahead_spots:
        figures |= visitors_ahead.measure(options.ahead_spots, options.seed)
    figures["within_limits"] = within_limits(figures)
    return figures | {"seconds": round(clock.monotonic() - began, 1)}


def within_limits(figures: Mapping[str, Any]) -> bool:
    """Whether nothing is wrong more often, or found less often, than `LIMITS` say; what did not happen counts not."""
    return all(
        figures[name] is None or (figures[name] <= limit if name.endswith(AT_MOST) else figures[name] >= limit)
        for name, limit in LIMITS.items()
    )


def rows(figures: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """The table's lines: what, how often, its limit."""
    words = {
        "visits_false": "far from usual, for no reason, a spot-month",
        "counter_false": "false zeros found where there were none, a spot and year",
        "zeros_found": f"6 h of false zeros or more found within 3 h, of {figures['zeros']}",
        "blocked_found": f"blocked counters found, of {figures['blocked']}",
        "festivals_found": f"festivals found, of {figures['festivals']}",
        "estimates_within": f"estimates whose interval holds the truth, of {figures['estimates']}",
        "ahead_seconds": f"seconds to look ahead at {figures.get('ahead_spots', 0)} spots",
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
