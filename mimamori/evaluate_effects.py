"""`mimamori evaluate effects`: what the measurement of an event's effect is worth (`analytics.visitors.events.effect`).

Recorded counters have no calendar of events, so effects of a known size are planted: on dates at random, of each
counter that has whole days for four fifths of its time, with the two counters after it in the file as its controls.
What was really counted on the days is thinned out (-30 %), or has a random number of visitors put beside it (+30 %,
+50 %, twice as many); 0 leaves the days as they were, a placebo. What the city really had on such a day is in the
recording, and is a fault of the measurement here. The JSON object:

    effects               a list, for each `planted` share and number of `days`
      tried, said         dates; and those of which an effect could be calculated, of a past that is long enough
      bias                the median of the shares that were measured, less the planted one (0.02: two hundredths more)
      off                 the median distance of the two, either way
      coverage            share of the 90 % intervals that hold the planted share
      more, fewer         share of which the verdict was that there were more, or fewer; the rest is 分かりません
    counters              that were tried
    seconds               real time

Days have at least 85 % of their hours, without the zeros that are not believed, as in the town's own pages.
"""

from __future__ import annotations

import time as clock
from collections.abc import Callable, Hashable, Iterator, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from analytics.visitors.events.effect import BASE, Effect, Floats, Table, Verdict, WhyNot, effect
from analytics.visitors.events.measured import LOOK_BACK
from analytics.visitors.usual import COMPLETE_ENOUGH
from analytics.visitors.zeros import judge
from mimamori import visitor_files
from mimamori.errors import InputError
from mimamori.visitor_files import VisitorSet

Progress = Callable[[int, int], None]

PLANTED = (0.0, 0.3, 0.5, 1.0, -0.3)
DAYS = (1, 3, 7)
_CONTROLS = 2
_KNOWN = 0.8  # of the days of a counter
_SEED = 11


def measure(folder: Path, dates: int, progress: Progress = lambda done, of: None) -> dict[str, Any]:
    """Plants on `dates` dates a counter, size and length. InputError: a folder that cannot be read or is too short."""
    began = clock.monotonic()
    known = visitor_files.read(folder)
    daily = _daily(known)
    usable = np.flatnonzero((~np.isnan(daily)).mean(axis=0) > _KNOWN)
    longest = max(DAYS)
    if len(usable) <= _CONTROLS:
        raise InputError(f"{folder}: {len(usable)} counters have whole days; one and two controls are needed")
    if len(daily) < BASE + 2 * longest:
        raise InputError(f"{folder}: has {len(daily)} days; {BASE + 2 * longest} are needed to learn what is usual")
    kinds = [
        (int(kind), int(weekday)) for kind, weekday in zip(known.calendar.kind, known.calendar.weekday, strict=True)
    ]
    chance = np.random.default_rng(_SEED)
    found: dict[tuple[float, int], list[Effect]] = {(planted, days): [] for days in DAYS for planted in PLANTED}
    for n, counter in enumerate(usable):
        controls = [int(usable[(n + 1 + more) % len(usable)]) for more in range(_CONTROLS)]
        for days in DAYS:
            for start in chance.integers(min(LOOK_BACK, len(daily) // 2), len(daily) - days, dates):
                begin = max(0, int(start) - LOOK_BACK)
                rows = slice(begin, int(start) + days)
                for planted in PLANTED:
                    treated = daily[rows, counter].copy()
                    treated[-days:] = _planted(treated[-days:], planted, chance)
                    table = Table(known.counts.first + timedelta(days=begin), treated, daily[rows][:, controls])
                    found[planted, days].append(_effect(table, days, kinds, begin))
        progress(n + 1, len(usable))
    return {
        "effects": [
            {"planted": planted, "days": days} | _figures(found[planted, days], planted) for planted, days in found
        ],
        "counters": len(usable),
        "seconds": round(clock.monotonic() - began, 1),
    }


SHOWN = ("days", "tried", "said", "bias", "off", "coverage", "more", "fewer")


def rows(figures: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """The figures for people, a line for each size and length."""
    for each in figures["effects"]:
        yield (f"{each['planted']:+.0%}", *("-" if each[key] is None else f"{each[key]:g}" for key in SHOWN))


def _daily(known: VisitorSet) -> Floats:
    """(days, counters) sums of whole days; nan elsewhere."""
    believed = judge(known.counts, known.calendar).believed().reshape(known.counts.days, known.counts.per_day, -1)
    there = ~np.isnan(believed)
    daily: Floats = np.where(there.mean(axis=1) >= COMPLETE_ENOUGH, np.nansum(believed, axis=1), np.nan)
    return daily


def _planted(came: Floats, share: float, chance: np.random.Generator) -> Floats:
    """Of so many visitors as would have come: some that did not, or others beside them."""
    there = np.nan_to_num(np.rint(came)).astype(np.int64)
    moved = chance.poisson(share * there) if share >= 0 else -chance.binomial(there, -share)
    planted: Floats = came + moved
    return planted


def _effect(table: Table, days: int, kinds: list[tuple[int, int]], begin: int) -> Effect:
    """Of the last days of the table. A free day is one, whatever its weekday; else each weekday by itself."""

    def kind(day: date) -> Hashable:
        free, weekday = kinds[begin + (day - table.first).days]
        return weekday if free == 0 else (free,)

    end = table.first + timedelta(days=len(table.treated) - 1)
    return effect(table, end - timedelta(days=days - 1), end, kind)


def _figures(found: list[Effect], planted: float) -> dict[str, Any]:
    said = [each for each in found if each.share is not None and each.why_not is not WhyNot.FEW_PLACEBO]
    shares = np.array([each.share for each in said if each.share is not None]).reshape(-1, 3)

    def share(true: Any) -> float | None:
        return round(float(np.mean(true)), 3) if said else None

    return {
        "tried": len(found),
        "said": len(said),
        "bias": round(float(np.median(shares[:, 0]) - planted), 3) if said else None,
        "off": round(float(np.median(np.abs(shares[:, 0] - planted))), 3) if said else None,
        "coverage": share((shares[:, 1] <= planted) & (planted <= shares[:, 2])),
        "more": share([each.verdict is Verdict.MORE for each in said]),
        "fewer": share([each.verdict is Verdict.FEWER for each in said]),
    }
