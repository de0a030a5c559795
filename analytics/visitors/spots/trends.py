"""How busy it is by counters that cannot count people: 100 is what is usual, and there is no other number.

    trends(conn, sources, first, last)   an index a day for each source that is a trend

An index is the mean of the local day over the median mean of the 28 days before it, times 100. Phones heard by Wi-Fi or
BLE, vehicles parked, people seen in an area: what they are to visitors changes with the phones, the season and the
place, so no factor makes visitors of them, and days months apart are not to be compared.

None where less than 85 % of the day, or fewer than 14 of the days before, were heard: unknown, not quiet.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from statistics import median

from analytics.visitors.spots.plan import Source
from analytics.visitors.usual import COMPLETE_ENOUGH
from store import Connection

_BEFORE, _LEAST = 28, 14


def trends(conn: Connection, sources: Iterable[Source], first: date, last: date) -> dict[int, dict[date, int | None]]:
    """By source id and local day first..last; sources that are no trend are not there."""
    wanted = {s.datastreams[0]: s for s in sources if s.measure.trend and s.datastreams}
    means: dict[int, dict[date, float]] = {each: {} for each in wanted}
    for datastream_id, day, mean in conn.execute(
        """
        select datastream_id, day, mean from rollup_day
        where datastream_id = any(%s) and day >= %s and day <= %s and n >= %s * expected
        """,
        (list(wanted), first - timedelta(days=_BEFORE), last, COMPLETE_ENOUGH),
    ):
        means[datastream_id][day] = mean
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    return {
        source.source_id: {day: index(means[each], day) if source.holds(day) else None for day in days}
        for each, source in wanted.items()
    }


def index(means: dict[date, float], day: date) -> int | None:
    """100 as usual; None where that cannot be said.

    >>> before = {date(2026, 5, 1) + timedelta(days=n): 40.0 for n in range(20)}
    >>> index(before | {date(2026, 5, 21): 60.0}, date(2026, 5, 21)), index(before, date(2026, 5, 21))
    (150, None)
    """
    before = [mean for n in range(1, _BEFORE + 1) if (mean := means.get(day - timedelta(days=n))) is not None]
    usual = median(before) if len(before) >= _LEAST else 0.0
    return round(100 * means[day] / usual) if day in means and usual > 0 else None
