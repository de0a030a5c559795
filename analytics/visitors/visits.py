"""Visits (延べ): counted passages inwards by hour and by local day.

A visit count is the rollup of the series `passages_in`: people who passed the counter inwards, each passage counted.
Whoever comes twice counts twice; so it is 延べ and is never called a number of persons. Passages outwards are kept
beside it to check a counter by (what goes in comes out), not added to it.

No count is not a count of zero: an hour without usable observations has no `visits`, and `completeness` tells how
much of the counting time was there. A count with gaps is what was seen, a lower bound, and is never scaled up here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from devices.model import Quality
from store import Connection


@dataclass(frozen=True, slots=True)
class HourOfVisits:
    """`visits` counted in (hour, hour + 1 h]; None where nothing usable was counted. `completeness` 0..1."""

    hour: datetime
    visits: int | None
    completeness: float
    worst_quality: Quality


@dataclass(frozen=True, slots=True)
class DayOfVisits:
    """`visits` counted on a local day; None where nothing usable was counted. `completeness` 0..1."""

    day: date
    visits: int | None
    completeness: float
    worst_quality: Quality


def visits_by_hour(
    conn: Connection, datastream_ids: Sequence[int], start: datetime, end: datetime
) -> dict[int, list[HourOfVisits]]:
    """Hours that begin in [start, end), by datastream of passages_in; hours without observations are not there."""
    found: dict[int, list[HourOfVisits]] = {each: [] for each in datastream_ids}
    for datastream_id, hour, total, n, expected, worst in conn.execute(
        """
        select r.datastream_id, r.hour, r.total, r.n, r.expected, r.worst_quality::text
        from rollup_hour r join datastream d using (datastream_id)
        where r.datastream_id = any(%s) and d.observed_property = 'passages_in' and r.hour >= %s and r.hour < %s
        order by 1, 2
        """,
        (list(datastream_ids), start, end),
    ):
        found[datastream_id].append(HourOfVisits(hour, count(total), completeness(n, expected), Quality(worst)))
    return found


def visits_by_day(
    conn: Connection, datastream_ids: Sequence[int], first: date, last: date
) -> dict[int, list[DayOfVisits]]:
    """Local days first..last, by datastream of passages_in; days without observations are not there."""
    found: dict[int, list[DayOfVisits]] = {each: [] for each in datastream_ids}
    for datastream_id, day, total, n, expected, worst in conn.execute(
        """
        select r.datastream_id, r.day, r.total, r.n, r.expected, r.worst_quality::text
        from rollup_day r join datastream d using (datastream_id)
        where r.datastream_id = any(%s) and d.observed_property = 'passages_in' and r.day >= %s and r.day <= %s
        order by 1, 2
        """,
        (list(datastream_ids), first, last),
    ):
        found[datastream_id].append(DayOfVisits(day, count(total), completeness(n, expected), Quality(worst)))
    return found


def count(total: float | None) -> int | None:
    """A total of passages as a whole number; a count stays None where there was none.

    >>> count(41.99999999), count(0.0), count(None)
    (42, 0, None)
    """
    return None if total is None else round(total)


def completeness(n: int, expected: float) -> float:
    """The share of the expected observations that is there, at most 1.

    >>> completeness(5, 6.0), completeness(7, 6.0)
    (0.8333333333333334, 1.0)
    """
    return min(1.0, n / expected)
