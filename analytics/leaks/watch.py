"""Keeps the findings `night_flow` and `burst` of every block inlet equal to what its series say.

A `night_flow` is a rise at once (`night_alarm`) or a slow one (`blocks.growth`; `growing` in its detail). One that
grows stays the one it is until its nights are back, whatever comes on top. Nights of frost are as if they were not
there, and of a leak that the inflow (`blocks.rises`) or the loggers have told of none begins. Where several inlets feed
one block, which lets nothing out, their nights are added up and judged at the one that stands for it (`blocks.inlets`):
no more than flowed into the block in any hour, for each inlet's lowest hour may be another.

Judged at the newest observation, whatever the touched range was; the open finding goes into the judging. So the same
observations give the same open finding, however often and in which batches this runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np

from analytics.findings import Changes, Finding, Stored, end, last, open_or_update
from analytics.leaks import burst, night_alarm
from analytics.leaks.blocks.frost import frost_nights
from analytics.leaks.blocks.growth import RULE_VERSION, Growth, growth
from analytics.leaks.blocks.rises_stored import tells_of
from analytics.leaks.burst import Burst, Grid, Witness
from analytics.leaks.emptying import behind, lasts
from analytics.leaks.night_alarm import Alarm, Night
from analytics.leaks.night_flow import night_of
from analytics.leaks.nights import usable
from store import Connection
from store.feed import Touched
from store.observations import Series, series

_HISTORY = timedelta(days=burst.USUAL_DAYS) + timedelta(hours=12)
# What counts as a fall, where its scatter would allow less: kPa, m.
LEAST_FALL = {"pressure": 5.0, "tank_level": 0.03}


@dataclass(frozen=True, slots=True)
class _Block:
    """A block's flow series with its newest observation, and the series that fall when a pipe bursts."""

    datastream_id: int
    municipality_id: int
    station_id: int
    step: timedelta
    timezone: str
    newest: datetime
    witnesses: tuple[tuple[int, str, timedelta], ...]  # (datastream_id, observed property, step)
    feeds: tuple[int, ...]  # the flows of all inlets of the block, the one that stands for it first
    fills: int | None  # the station of a tank behind its inlet, with its level's datastream and area, m2, where known
    level_id: int | None
    area_m2: float | None


def recompute(conn: Connection, touched: Iterable[Touched]) -> Changes:
    """Judges the blocks whose series were touched; `night_flow` must be up to date. What changed."""
    ranges = list(touched)
    changes: Changes = []
    for block in _blocks(conn, sorted({each.datastream_id for each in ranges})):
        if any(each.datastream_id in block.feeds for each in ranges):
            changes += _judge_nights(conn, block)
        series_of = {block.datastream_id, *(each[0] for each in block.witnesses)}
        # Older than that, a value can only move what is usual: the next reading will be judged by it.
        since = block.newest - burst.LONGEST_LOOK_BACK
        fresh = [each.start for each in ranges if each.datastream_id in series_of and each.end >= since]
        if fresh:
            changes += _judge_burst(conn, block, min(fresh))
    return changes


def _blocks(conn: Connection, datastream_ids: Sequence[int]) -> list[_Block]:
    """The blocks of which a series is among these: their own, that of an inlet beside it, or the level of the tank that
    feeds them."""
    rows = conn.execute(
        """
        select d.datastream_id, d.municipality_id, d.station_id, d.step, m.timezone, o.newest,
               coalesce(w.ids, '{}'), coalesce(w.properties, '{}'), coalesce(w.steps, '{}'),
               coalesce(g.feeds, array[d.datastream_id]), u.fills, f.datastream_id, v.area_m2
        from datastream d
        join station s on s.station_id = d.station_id and s.kind = 'block_inlet'
        join municipality m on m.municipality_id = d.municipality_id
        left join block_inlet b on b.station_id = d.station_id
        left join block_use u on u.station_id = d.station_id
        left join service_tank v on v.station_id = u.fills
        left join lateral (
            select min(datastream_id) as datastream_id from datastream
            where station_id = u.fills and observed_property = 'tank_level' and drill_run is null
        ) f on true
        cross join lateral (
            select phenomenon_time as newest from observation
            where datastream_id = d.datastream_id order by phenomenon_time desc limit 1
        ) o
        left join lateral (
            select array_agg(e.datastream_id order by e.datastream_id) as ids,
                   array_agg(e.observed_property order by e.datastream_id) as properties,
                   array_agg(e.step order by e.datastream_id) as steps
            from datastream e
            where e.drill_run is null and (
                (e.station_id = d.station_id and e.observed_property = 'pressure')
                or (e.station_id in (b.tank_station_id, u.fills) and e.observed_property = 'tank_level'))
        ) w on true
        left join lateral (
            select i.datastream_id || i.lets_in as feeds from inflow_watch i
            where d.datastream_id = any(i.datastream_id || i.lets_in) and i.lets_in <> '{}'
              and i.lets_out = '{}'
              -- Of a meter that is no inlet there are no nights, and without them none of the block.
              and not exists (select from datastream x join station y using (station_id)
                              where x.datastream_id = any(i.lets_in) and y.kind <> 'block_inlet')
            order by i.worked_at desc limit 1
        ) g on true
        where d.observed_property = 'flow' and d.drill_run is null
          and (d.datastream_id = any(%(ids)s) or w.ids && %(ids)s::integer[] or g.feeds && %(ids)s::integer[])
        order by d.datastream_id
        """,
        {"ids": list(datastream_ids)},
    )
    return [
        _Block(
            own,
            municipality_id,
            station_id,
            step,
            timezone,
            newest,
            tuple(zip(ids, properties, steps, strict=True)),
            tuple(feeds),
            *filled,
        )
        for own, municipality_id, station_id, step, timezone, newest, ids, properties, steps, feeds, *filled in rows
    ]


def _judge_nights(conn: Connection, block: _Block) -> Changes:
    if block.feeds[0] != block.datastream_id:
        return end(conn, block.station_id, "night_flow", block.newest)
    nights = [
        Night(day, minimum)
        for day, minimum in conn.execute(
            """
            select day, case when count(minimum) = cardinality(%(feeds)s::integer[]) then sum(minimum) end
            from night_flow where datastream_id = any(%(feeds)s) group by day order by day
            """,
            {"feeds": list(block.feeds)},
        )
        # What is known of a night that is not over is no night minimum.
        if night_of(day, block.timezone)[1] <= block.newest + block.step
    ]
    stored = last(conn, block.station_id, "night_flow")
    open_ = stored if stored is not None and stored.ended_at is None else None
    changes: Changes = []
    if open_ is not None and open_.detail.get("meters", 1) != len(block.feeds):
        # What other inlets were compared with says nothing of these.
        changes += end(conn, block.station_id, "night_flow", block.newest)
        open_ = None
    slow = None if open_ is None or not open_.detail.get("growing") else _as_growth(open_)
    if open_ is None and _above(nights) is None:
        return changes
    nights = _without_frost(conn, block, nights)
    if slow is not None:
        slow_now = growth(nights, slow)
        if slow_now is not None:
            return open_or_update(conn, _growth_finding(block, slow_now))
        return end(conn, block.station_id, "night_flow", block.newest)
    found = night_alarm.assess(nights)
    over = None if found.ended is None else night_of(found.ended, block.timezone)[1]
    if open_ is not None:
        ended = over is not None and over > open_.started_at
        if ended or found.alarm is None:
            changes += end(conn, block.station_id, "night_flow", over if ended and over else open_.started_at)
            open_ = None
    new = _above(nights)
    if new is None or (open_ is None and tells_of(conn, block.datastream_id, new.since, new.newest)):
        return changes
    finding = _growth_finding(block, new) if isinstance(new, Growth) else _night_finding(block, new)
    return changes + open_or_update(conn, finding)


def _above(nights: Sequence[Night]) -> Alarm | Growth | None:
    alarm = night_alarm.assess(nights).alarm
    return growth(nights, None) if alarm is None else alarm


def _without_frost(conn: Connection, block: _Block, nights: Sequence[Night]) -> list[Night]:
    """The nights of frost say nothing: taps may have been left running. Asked for only where there is something to
    tell, which costs a query of the hours."""
    cold = frost_nights(conn, nights[0].day, nights[-1].day, block.municipality_id) if nights else {}
    return [Night(each.day, None if cold.get(each.day) else each.minimum, cold.get(each.day)) for each in nights]


def _night_finding(block: _Block, alarm: Alarm) -> Finding:
    usual = alarm.usual
    return Finding(
        block.municipality_id,
        block.station_id,
        block.datastream_id,
        "night_flow",
        night_of(alarm.since, block.timezone)[0],
        round(alarm.minimum, 2),
        round(usual.median, 2),
        round(alarm.excess / (usual.limit - usual.median), 2),
        night_alarm.RULE_VERSION,
        {
            "limit": round(usual.limit, 2),
            "usual_nights": usual.nights,
            "nights": alarm.nights,
            "newest": alarm.newest.isoformat(),
            "month_m3": round(alarm.month),
            **_meters(block),
        },
    )


def _growth_finding(block: _Block, found: Growth) -> Finding:
    return Finding(
        block.municipality_id,
        block.station_id,
        block.datastream_id,
        "night_flow",
        night_of(found.since, block.timezone)[0],
        round(found.now, 2),
        round(found.before, 2),
        round(found.size / night_alarm.LEAST_TOLERANCE, 2),
        RULE_VERSION,
        {
            "growing": True,
            "since": found.since.isoformat(),
            "before": found.before,
            "newest": found.newest.isoformat(),
            "month_m3": round(found.size * night_alarm.HOURS_A_MONTH),
            **_meters(block),
        },
    )


def _meters(block: _Block) -> dict[str, int]:
    return {"meters": len(block.feeds)} if len(block.feeds) > 1 else {}


def _as_growth(stored: Stored) -> Growth:
    detail = stored.detail
    now = detail["before"] if stored.value is None else stored.value
    since, newest = date.fromisoformat(detail["since"]), date.fromisoformat(detail["newest"])
    return Growth(since, float(detail["before"]), now, newest)


def _judge_burst(conn: Connection, block: _Block, since: datetime) -> Changes:
    stored = last(conn, block.station_id, "burst")
    open_ = None if stored is None or stored.ended_at is not None else _as_burst(stored)
    first = block.newest if open_ is None else min(open_.started_at, block.newest)
    # On multiples of the step, so that a time has the same place whenever one looks.
    start = datetime.fromtimestamp(
        (first - _HISTORY).timestamp() // block.step.total_seconds() * block.step.total_seconds(), block.newest.tzinfo
    )
    grid = Grid(start, block.step, (block.newest - start) // block.step + 2)
    found = series(conn, [block.datastream_id, *(each[0] for each in block.witnesses)], start, block.newest)
    witnesses = [
        Witness(name, _on_grid(grid, found[datastream_id], step), LEAST_FALL[name])
        for datastream_id, name, step in block.witnesses
        # It is in the use already, and falls whenever the pump stops.
        if datastream_id != block.level_id
    ]
    verdict = burst.judge_burst(
        grid,
        _inflow(block, grid, found),
        witnesses,
        open_,
        None if stored is None else stored.ended_at,
        since,
    )
    if verdict.burst is not None and open_ is None and told_by_pressures(conn, block.municipality_id, block.station_id):
        return []
    if verdict.burst is not None:
        found_now, hours = verdict.burst, dict[str, Any]()
        fed = behind(conn, [block.station_id])
        if fed is not None and fed[1] in found:
            hours = lasts(fed[0], found[fed[1]], found_now.started_at, found_now.excess, block.newest)
        return open_or_update(conn, _burst_finding(block, found_now, hours))
    return [] if verdict.ended_at is None else end(conn, block.station_id, "burst", verdict.ended_at)


def told_by_pressures(conn: Connection, municipality_id: int, station_id: int) -> bool:
    """Whether the loggers behind this inlet have an open burst (`analytics.leaks.loggers.lively`): it is not told
    twice. Should that one end while the inflow is still above usual, the burst is told then."""
    return (
        conn.execute(
            """
            select from finding where municipality_id = %s and kind = 'leak_suspect' and ended_at is null
              and detail->'inlets' @> to_jsonb(%s::integer) limit 1
            """,
            (municipality_id, station_id),
        ).fetchone()
        is not None
    )


def _inflow(block: _Block, grid: Grid, found: Mapping[int, Series]) -> burst.Values:
    """What is judged: the inflow, less what it brings into a tank. Nothing where that is not known."""
    inflow = _on_grid(grid, found[block.datastream_id], block.step)
    if block.fills is None:
        return inflow
    step = next((step for each, _, step in block.witnesses if each == block.level_id), burst.SPAN)
    if block.level_id is None or block.area_m2 is None or 2 * step > burst.SPAN:
        return np.full(grid.n, np.nan)
    return burst.used(grid, inflow, _on_grid(grid, found[block.level_id], step), block.area_m2)


def _on_grid(grid: Grid, found: Series, step: timedelta) -> burst.Values:
    return burst.on_grid(grid, found.times, usable(found), hold=max(0, step // grid.step - 1))


def _burst_finding(block: _Block, found: Burst, hours: Mapping[str, Any]) -> Finding:
    return Finding(
        block.municipality_id,
        block.station_id,
        block.datastream_id,
        "burst",
        found.started_at,
        round(found.value, 1),
        round(found.usual, 1),
        round(found.found / found.tolerance, 2),
        burst.RULE_VERSION,
        {
            "found": round(found.found, 2),
            "tolerance": round(found.tolerance, 2),
            "witness": found.witness,
            "fall": round(found.fall, 2),
            "month_m3": round(found.excess * night_alarm.HOURS_A_MONTH),
            **({} if block.fills is None else {"filled": True}),
            **hours,
        },
    )


def _as_burst(stored: Stored) -> Burst:
    detail = stored.detail
    value, usual = stored.value, stored.usual
    return Burst(
        stored.started_at,
        np.nan if value is None else value,
        np.nan if usual is None else usual,
        detail["found"],
        detail["tolerance"],
        detail["witness"],
        detail["fall"],
    )
