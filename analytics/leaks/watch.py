"""Keeps the findings `night_flow` and `burst` of every block inlet equal to what its series say.

Judged at the newest observation, whatever the touched range was; the open finding goes into the judging. So the same
observations give the same open finding, however often and in which batches this runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from analytics.findings import Changes, Finding, Stored, end, last, open_or_update
from analytics.leaks import burst, night_alarm
from analytics.leaks.burst import Burst, Grid, Witness
from analytics.leaks.night_alarm import Alarm, Night
from analytics.leaks.night_flow import night_of
from analytics.leaks.nights import usable
from analytics.rivers import trend
from store import Connection
from store.feed import Touched
from store.observations import Series, series

_HISTORY = timedelta(days=burst.USUAL_DAYS) + timedelta(hours=12)
# What counts as a fall, where its scatter would allow less: kPa, m.
LEAST_FALL = {"pressure": 5.0, "tank_level": 0.03}


@dataclass(frozen=True, slots=True)
class _Tank:
    name: str
    name_en: str
    area_m2: float
    low_m: float


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
    tank: _Tank | None  # that feeds it; None where that, or its size, is not known


def recompute(conn: Connection, touched: Iterable[Touched]) -> Changes:
    """Judges the blocks whose series were touched; `night_flow` must be up to date. What changed."""
    ranges = list(touched)
    changes: Changes = []
    for block in _blocks(conn, sorted({each.datastream_id for each in ranges})):
        if any(each.datastream_id == block.datastream_id for each in ranges):
            changes += _judge_nights(conn, block)
        series_of = {block.datastream_id, *(each[0] for each in block.witnesses)}
        # Older than that, a value can only move what is usual: the next reading will be judged by it.
        since = block.newest - burst.LONGEST_LOOK_BACK
        fresh = [each.start for each in ranges if each.datastream_id in series_of and each.end >= since]
        if fresh:
            changes += _judge_burst(conn, block, min(fresh))
    return changes


def _blocks(conn: Connection, datastream_ids: Sequence[int]) -> list[_Block]:
    """The blocks of which a series is among these: their own, or the level of the tank that feeds them."""
    rows = conn.execute(
        """
        select d.datastream_id, d.municipality_id, d.station_id, d.step, m.timezone, o.newest,
               coalesce(w.ids, '{}'), coalesce(w.properties, '{}'), coalesce(w.steps, '{}'),
               k.name, k.name_en, t.area_m2, t.low_m
        from datastream d
        join station s on s.station_id = d.station_id and s.kind = 'block_inlet'
        join municipality m on m.municipality_id = d.municipality_id
        left join block_inlet b on b.station_id = d.station_id
        left join station k on k.station_id = b.tank_station_id
        left join service_tank t on t.station_id = k.station_id
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
                or (e.station_id = b.tank_station_id and e.observed_property = 'tank_level'))
        ) w on true
        where d.observed_property = 'flow' and d.drill_run is null
          and (d.datastream_id = any(%(ids)s) or w.ids && %(ids)s::integer[])
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
            None if tank[2] is None else _Tank(*tank),
        )
        for own, municipality_id, station_id, step, timezone, newest, ids, properties, steps, *tank in rows
    ]


def _judge_nights(conn: Connection, block: _Block) -> Changes:
    nights = [
        Night(day, minimum)
        for day, minimum in conn.execute(
            "select day, minimum from night_flow where datastream_id = %s order by day", (block.datastream_id,)
        )
        # What is known of a night that is not over is no night minimum.
        if night_of(day, block.timezone)[1] <= block.newest + block.step
    ]
    found = night_alarm.assess(nights)
    changes: Changes = []
    stored = last(conn, block.station_id, "night_flow")
    open_ = stored if stored is not None and stored.ended_at is None else None
    over = None if found.ended is None else night_of(found.ended, block.timezone)[1]
    if open_ is not None:
        ended = over is not None and over > open_.started_at
        if ended or found.alarm is None:
            changes += end(conn, block.station_id, "night_flow", over if ended and over else open_.started_at)
    if found.alarm is not None:
        changes += open_or_update(conn, _night_finding(block, found.alarm))
    return changes


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
        },
    )


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
    ]
    verdict = burst.judge_burst(
        grid,
        _on_grid(grid, found[block.datastream_id], block.step),
        witnesses,
        open_,
        None if stored is None else stored.ended_at,
        since,
    )
    if verdict.burst is not None:
        levels = [found[each] for each, name, _ in block.witnesses if name == "tank_level"]
        lasts = {} if block.tank is None or not levels else _lasts(block.tank, levels[0], verdict.burst, block.newest)
        return open_or_update(conn, _burst_finding(block, verdict.burst, lasts))
    return [] if verdict.ended_at is None else end(conn, block.station_id, "burst", verdict.ended_at)


def _on_grid(grid: Grid, found: Series, step: timedelta) -> burst.Values:
    return burst.on_grid(grid, found.times, usable(found), hold=max(0, step // grid.step - 1))


def _lasts(tank: _Tank, level: Series, found: Burst, now: datetime) -> dict[str, Any]:
    """In how many hours the tank is at its low level at this rate; None where it does not fall. Nothing where its level
    is not known now.

    Within the first hour no trend shows the burst yet: then the rate is that of the two hours before, and what the
    burst takes on top of it. Later it is the trend of the last hour, with all that was switched meanwhile.
    """
    values = usable(level)
    known = np.flatnonzero(~np.isnan(values))
    if not len(known) or now - level.times[int(known[-1])] > trend.WINDOW:
        return {}
    before = found.started_at - burst.WINDOW
    if now - found.started_at < trend.WINDOW:
        earlier = [at for at, time in enumerate(level.times) if time <= before]
        calm = trend.trend([level.times[at] for at in earlier], values[earlier], window=2 * trend.WINDOW)
        rate = None if calm is None else calm.rate - found.excess / tank.area_m2
    else:
        lately = trend.trend(level.times, values)
        rate = None if lately is None else lately.rate
    if rate is None:
        return {}
    hours = max(0.0, float(values[known[-1]]) - tank.low_m) / -rate if rate < 0 else None
    if hours is not None:
        hours = round(hours * 2) / 2 if hours < 10 else float(round(hours))
    return {"tank": tank.name, "tank_en": tank.name_en, "tank_hours": hours}


def _burst_finding(block: _Block, found: Burst, lasts: Mapping[str, Any]) -> Finding:
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
            **lasts,
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
