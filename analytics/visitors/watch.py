"""Keeps the findings `visits` and `counter` of every visitor spot equal to what its counts say.

Judged at the spot's newest count, whatever the touched range was: a late value moves what is usual, or today. So the
same observations give the same open finding, however often this runs. An open finding of `visits` ends with its day,
or when the day has come back to its usual; `counter` is `analytics.visitors.checks.counter`'s. A day on which the
counter was at fault has no sum to judge: then there is no finding of `visits` beside that of `counter`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from zoneinfo import ZoneInfo

from analytics.findings import Changes, Finding, Kind, Stored, end, last, open_or_update
from analytics.visitors.checks.counter import LATE, Counter, judge, look_back
from analytics.visitors.day_types import day_type
from analytics.visitors.unusual import RULE_VERSION, far_from_usual
from analytics.visitors.usual import COMPLETE_ENOUGH, SoFar, counts_of, day_start, local_day, so_far, whole_day_of
from store import Connection
from store.feed import Touched


@dataclass(frozen=True, slots=True)
class _Spot:
    """A counter's series, and its newest usable count."""

    datastream_id: int
    municipality_id: int
    station_id: int
    timezone: str
    newest: datetime
    step: timedelta
    out_id: int | None

    @property
    def counter(self) -> Counter:
        return Counter(
            *(self.datastream_id, self.municipality_id, self.station_id, self.newest, self.step, self.out_id)
        )


def recompute(conn: Connection, touched: Iterable[Touched]) -> Changes:
    """Judges the spots whose inward counts were touched; the rollups must be up to date. What changed."""
    changes: Changes = []
    since: dict[int, datetime] = {}
    for each in touched:
        since[each.datastream_id] = min(since.get(each.datastream_id, each.start), each.start)
    spots = _spots(conn, sorted(since))
    for timezone, group in groupby(sorted(spots, key=lambda spot: spot.timezone), key=lambda spot: spot.timezone):
        zone, of_zone = ZoneInfo(timezone), list(group)
        parts = so_far(conn, {spot.datastream_id: spot.newest for spot in of_zone}, zone)
        for spot in of_zone:
            changes += judge(conn, spot.counter, zone)
            if spot.newest - since[spot.datastream_id] > LATE:
                first = local_day(since[spot.datastream_id], zone)
                look_back(conn, spot.counter, first, local_day(spot.newest, zone), zone)
            changes += _judge_visits(conn, spot, parts[spot.datastream_id], zone)
    return changes


def _spots(conn: Connection, datastream_ids: Sequence[int]) -> list[_Spot]:
    return [
        _Spot(*row)
        for row in conn.execute(
            """
            select d.datastream_id, d.municipality_id, d.station_id, m.timezone, o.newest, d.step, out.datastream_id
            from datastream d
            join station s on s.station_id = d.station_id and s.kind = 'visitor_spot'
            join municipality m on m.municipality_id = d.municipality_id
            left join datastream out on out.station_id = d.station_id and out.observed_property = 'passages_out'
                                     and out.drill_run is null
            cross join lateral (
                select phenomenon_time as newest from observation
                where datastream_id = d.datastream_id and quality not in ('bad', 'missing')
                order by phenomenon_time desc limit 1
            ) o
            where d.datastream_id = any(%s) and d.observed_property = 'passages_in' and d.drill_run is null
            """,
            (list(datastream_ids),),
        )
    ]


def _judge_visits(conn: Connection, spot: _Spot, part: SoFar, zone: ZoneInfo) -> Changes:
    changes: Changes = []
    day = part.today.day
    open_ = _open(conn, spot, "visits")
    if open_ is not None and (its_day := local_day(open_.started_at, zone)) != day:
        changes += end(conn, spot.station_id, "visits", day_start(its_day + timedelta(days=1), zone))
        open_ = None
    if _blocked_since(conn, spot, day_start(day, zone)):
        return changes + end(conn, spot.station_id, "visits", spot.newest)
    if part.today.visits is None or part.today.completeness < COMPLETE_ENOUGH:
        return changes  # what was not counted says nothing, for the finding or against it
    earlier = counts_of(part)
    far = far_from_usual(part.today.visits, earlier, whole_day_of(part), already=open_ is not None)
    if far is None:
        return changes + end(conn, spot.station_id, "visits", spot.newest)
    return changes + open_or_update(
        conn,
        Finding(
            spot.municipality_id,
            spot.station_id,
            spot.datastream_id,
            "visits",
            spot.newest if open_ is None else open_.started_at,
            float(part.today.visits),
            float(far.usual),
            far.score,
            RULE_VERSION,
            {"day": day.isoformat(), "day_type": day_type(day).value, "n": len(earlier)},
        ),
    )


def _open(conn: Connection, spot: _Spot, kind: Kind) -> Stored | None:
    stored = last(conn, spot.station_id, kind)
    return stored if stored is not None and stored.ended_at is None else None


def _blocked_since(conn: Connection, spot: _Spot, since: datetime) -> bool:
    counter = last(conn, spot.station_id, "counter")
    return counter is not None and (counter.ended_at is None or counter.ended_at > since)
