"""Learns how long the water takes between the gauges of a town: which pairs, when, and from what is stored of them.

    next_link(conn, now) -> bool      one pair that is due; whether there may be more

Pairs are, of the gauges of one river (the town file's `river`), each with the `NEAREST` above it; any other with the
`NEAREST` by air within `NEAR_KM`, in both directions, which are proposals for people only; and what people have set.

A pair is due when it was never learned, a week of town time after it was, and as soon as it has many more days with
data than it had then, as after an import. Rises are found in the hours; the `MOST` highest of the lower gauge are
looked at in the observations themselves.

Cost: of ten years of 10 minutes half a second a pair; a worker's transaction takes one at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from psycopg import sql

from analytics.rivers.links import Lag, Link, lag, least_rise, link, longest_lag, margin
from analytics.rivers.turning import Rise, despiked, rises
from store.columns import Floats, columns
from store.connection import Connection

EVERY = timedelta(days=7)
NEAREST = 3
NEAR_KM = 15.0
MOST = 40
LONGEST_RISE = timedelta(days=10)
FINEST = timedelta(minutes=5)  # a gauge that tells every minute is read so finely
_MORE = 1.1  # times the days
_MORE_DAYS = 14
_LATE_STEPS = 2.5  # a gap: nothing is known between
_BEGINS = 0.1  # of a rise: what comes before is a slow beginning
_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class _Pair:
    municipality_id: int
    upstream_id: int
    downstream_id: int
    upstream: int
    downstream: int
    step: timedelta
    way: float
    days: int


def next_link(conn: Connection, now: datetime) -> bool:
    """Learns the pair that has waited longest, and writes it down; False where none is due. Of a worker."""
    row = conn.execute(
        sql.SQL(_DUE),
        {"now": now, "every": EVERY, "nearest": NEAREST, "near": NEAR_KM, "more": _MORE, "days": _MORE_DAYS},
    ).fetchone()
    if row is None:
        return False
    pair = _Pair(*row)
    found, spans = _learned(conn, pair, now)
    conn.execute(
        """
        insert into station_link (municipality_id, upstream_id, downstream_id, learnt_at, days, since, until,
                                  rises, events, lag_p10, lag_p50, lag_p90, alike)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
        """,
        (
            pair.municipality_id,
            pair.upstream_id,
            pair.downstream_id,
            now,
            pair.days,
            min(spans, default=None),
            max(spans, default=None),
            found.rises,
            found.events,
            found.p10,
            found.p50,
            found.p90,
            found.alike,
        ),
    )
    return True


def _learned(conn: Connection, pair: _Pair, now: datetime) -> tuple[Link, list[datetime]]:
    """What the rises say, and when they had their peaks."""
    hours, highs = _hours(conn, pair.downstream, now)
    longest, step = longest_lag(pair.way), max(pair.step, FINEST)
    lags: list[Lag] = []
    peaks: list[datetime] = []
    for rise in sorted(rises(despiked(highs), least_rise(highs)), key=lambda each: each.height, reverse=True)[:MOST]:
        begin, peak = (_moment(hours[each]) for each in (_begin(highs, rise), rise.peak))
        if peak - begin > LONGEST_RISE:
            continue  # over a gap, or a season
        before, after = margin(peak - begin + _HOUR, step, longest)
        first, last = begin - before - 2 * step, peak + _HOUR + after + 2 * step
        if last > now:
            continue  # of one that still goes on nothing can be said yet
        n = (last - first) // step + 1
        up, down = (_on_grid(conn, each, first, step, n) for each in (pair.upstream, pair.downstream))
        at, top = -(-(begin - first) // step), (peak + _HOUR - first) // step
        peaks.append(peak)
        said = lag(up, down, step, at, top, longest)
        if said is not None:
            lags.append(said)
    return link(lags, len(peaks)), peaks


def _begin(highs: Floats, rise: Rise) -> int:
    """The last position at which it had risen by no more than a little."""
    low = np.flatnonzero(highs[rise.begin : rise.peak] <= highs[rise.begin] + _BEGINS * rise.height)
    return rise.begin + int(low[-1])


def _hours(conn: Connection, datastream_id: int, now: datetime) -> tuple[Floats, Floats]:
    """When each hour with a value begins (seconds since 1970), and its highest."""
    hours, highs = columns(
        conn,
        sql.SQL(
            """
            select date_part('epoch', hour), maximum::float8 from rollup_hour
            where datastream_id = {} and hour < {} and maximum is not null order by hour
            """
        ).format(sql.Literal(datastream_id), sql.Literal(now)),
        ("hour", "maximum"),
    )
    return hours, highs


def _on_grid(conn: Connection, datastream_id: int, first: datetime, step: timedelta, n: int) -> Floats:
    """The level at `n` times from `first` on, between two observations on the line that joins them; nan in a gap."""
    room = _LATE_STEPS * step
    times, values = columns(
        conn,
        sql.SQL(
            """
            select date_part('epoch', phenomenon_time), value::float8 from observation
            where datastream_id = {} and phenomenon_time >= {} and phenomenon_time <= {}
              and quality not in ('bad', 'missing') and value is not null
            order by phenomenon_time
            """
        ).format(sql.Literal(datastream_id), sql.Literal(first - room), sql.Literal(first + n * step + room)),
        ("time", "value"),
    )
    if not len(times):
        return np.full(n, np.nan)
    at = first.timestamp() + np.arange(n) * step.total_seconds()
    found: Floats = np.interp(at, times, values)
    behind = np.searchsorted(times, at, side="left")
    before = times[np.maximum(np.searchsorted(times, at, side="right") - 1, 0)]
    after = times[np.minimum(behind, len(times) - 1)]
    found[(after - before > room.total_seconds()) | (at < times[0]) | (at > times[-1])] = np.nan
    return found


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(float(seconds), UTC)


# Days with data are told by the days that are kept of each series anyway.
_DUE = """
with gauge as (
    select s.municipality_id, s.station_id, s.latitude, s.longitude, r.river, r.km_from_mouth, d.datastream_id, d.step,
           (select count(*) from rollup_day k where k.datastream_id = d.datastream_id and k.n > 0) as days
    from station s
    join datastream d on d.station_id = s.station_id and d.observed_property = 'water_level' and d.drill_run is null
    left join station_river r on r.station_id = s.station_id
    where s.kind = 'river_gauge'
), apart as (
    select u.station_id as upstream_id, l.station_id as downstream_id,
           coalesce(u.river = l.river and u.km_from_mouth - l.km_from_mouth is not null, false) as one_river,
           u.km_from_mouth - l.km_from_mouth as km,
           111.2 * sqrt((u.latitude - l.latitude) ^ 2
                        + ((u.longitude - l.longitude) * cos(radians((u.latitude + l.latitude) / 2))) ^ 2) as by_air
    from gauge u join gauge l on u.municipality_id = l.municipality_id and u.station_id <> l.station_id
), way as (
    -- a river that nobody has measured winds half as far again
    select *, case when one_river and km > 0 then km else 1.5 * by_air end as way from apart
), ranked as (
    select *, row_number() over (
        partition by downstream_id, one_river order by case when one_river then km else by_air end, upstream_id
    ) as place
    from way where (one_river and km > 0) or (not one_river and by_air <= %(near)s)
), word as (
    select distinct on (upstream_id, downstream_id) upstream_id, downstream_id, verdict from station_link_word
    order by upstream_id, downstream_id, station_link_word_id desc
), pair as (
    select upstream_id, downstream_id, way from ranked where place <= %(nearest)s
    union
    select a.upstream_id, a.downstream_id, a.way from way a join word w using (upstream_id, downstream_id)
    where w.verdict = 'set'
)
select u.municipality_id, u.station_id, l.station_id, u.datastream_id, l.datastream_id, greatest(u.step, l.step), p.way,
       (u.days + l.days)::integer
from pair p join gauge u on u.station_id = p.upstream_id join gauge l on l.station_id = p.downstream_id
left join lateral (
    select learnt_at, k.days from station_link k
    where k.upstream_id = p.upstream_id and k.downstream_id = p.downstream_id order by station_link_id desc limit 1
) last on true
where u.days > 0 and l.days > 0
  and (last.learnt_at is null or last.learnt_at <= %(now)s - %(every)s
       or u.days + l.days > greatest(last.days * %(more)s, last.days + %(days)s))
order by last.learnt_at nulls first, u.station_id, l.station_id limit 1
"""
