"""What counters counted in a day or hour without what was false; estimates in its place where the office chose so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from analytics.visitors.checks import judged
from analytics.visitors.spots.plan import Plan


@dataclass(frozen=True, slots=True)
class Sum:
    """What one datastream counted in an hour or day; `low` and `high` where a part of `total` is an estimate."""

    n: int
    expected: float
    total: float | None
    low: float | None = None
    high: float | None = None

    def without(self, out: judged.Judged | None, choice: judged.Choice) -> Sum:
        """This, without the hours that do not count, or with the estimates in their place."""
        if out is None:
            return self
        if choice.outages == "missing" or out.estimate is None or out.hopeless:
            return Sum(out.n, self.expected, out.counted)
        counted = out.counted or 0.0
        return Sum(out.n, self.expected, counted + out.estimate, counted + out.low, counted + out.high)


def true_sums(
    plan: Plan,
    day: date,
    counted: Mapping[int, Mapping[date, Sum]],
    out: Mapping[tuple[int, date], judged.Judged],
    choice: judged.Choice,
) -> dict[int, Sum]:
    """By datastream, what the counters of a spot counted on a day."""
    sums = {}
    for source in plan.sources_on(day):
        for each in source.datastreams:
            whole = counted[each].get(day)
            if whole is not None or (each, day) in out:
                sums[each] = (whole or Sum(0, 1.0, None)).without(out.get((each, day)), choice)
    return sums


def true_hours(
    plan: Plan,
    counted: Mapping[int, Mapping[datetime, Sum]],
    out: Mapping[tuple[int, datetime], judged.Judged],
    choice: judged.Choice,
) -> dict[int, dict[datetime, Sum]]:
    """By datastream and hour, what the counters of a spot counted."""
    found: dict[int, dict[datetime, Sum]] = {}
    for each in {each for source in plan.sources for each in source.datastreams if each in counted}:
        hours = {*counted[each], *(hour for which, hour in out if which == each)}
        found[each] = {
            hour: counted[each].get(hour, Sum(0, 1.0, None)).without(out.get((each, hour)), choice) for hour in hours
        }
    return found
