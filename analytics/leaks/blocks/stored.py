"""What a town's database knows of the water of its blocks, by who may ask: the pages, for their own town.

    blocks(conn) -> [Block, ...]                            every block inlet with what the town says of its use
    choose_pipes(conn, town, station, block, at=, user_id=) which block of the pipe network the inlet feeds
    put_use(conn, town, block, use, ...)                    what the town says
    metered(conn) -> {station: [Metered, ...]}              what customers' meters read together
    read_of(block, metered) -> [Metered, ...]               of them those of a block
    current(conn, town) -> {(station, period): volumes}     the same, to be changed
    put_metered(conn, town, plan, ...)                      what `meter_file.plan` said
    inflows(conn, blocks, first, end, zone) -> {station: {day: m3}}
    nights(conn, blocks, since, until) -> {station: [Night, ...]}
    hourly(conn, blocks, first, last) -> {station: Hourly}  what customers' hourly meters say, by the days of UTC

Inflow is the day's mean times its hours, of days of which 85 % came in. Of a block whose inlet fills a tank, a night is
its minimum less what the tank took in during that hour; where the tank's level does not say, the night is missing.

Of a block that several meters enclose (`inlets`) each of its inlets has the same inflow, in less out on days that all
of them know; the same nights, those of all inlets added up, unless it lets out: then its own; and what the town has
said at the first of them that it has said anything at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from analytics.leaks.blocks.balance import Metered
from analytics.leaks.blocks.frost import frost_nights
from analytics.leaks.blocks.hourly import Hourly
from analytics.leaks.blocks.inlets import signed
from analytics.leaks.blocks.meter_file import Period, Plan, Volumes, plain
from analytics.leaks.blocks.night_use import Use, filling
from analytics.leaks.meters import sums
from analytics.leaks.night_alarm import Night
from analytics.leaks.night_flow import COMPLETE_ENOUGH, WINDOW
from store.connection import Connection


@dataclass(frozen=True, slots=True)
class Whole:
    """What an inlet's block is: its inlets' `stations`, the one that stands for it first; its `meters` by series with
    what each counts for; `feeds` the series whose nights are its own, each with the tank that it fills; `use` and
    `pipe_km` of all of it; the `names` that customers' meters may know it by."""

    stations: tuple[int, ...]
    meters: Mapping[int, int]
    feeds: tuple[tuple[int, int | None], ...]
    use: Use
    pipe_km: float | None
    names: frozenset[str]

    @property
    def added(self) -> bool:
        """Whether its nights are those of several inlets."""
        return len(self.feeds) > 1


@dataclass(frozen=True, slots=True)
class Block:
    """A block inlet. `flow`: its datastream, None where it has none; `fills`: the tank that the inlet fills, None where
    there is none. `changed_at` None: nobody has said what is used at night.

    `pipes`: the block of the pipe network that it feeds, None: nobody has chosen one; `network_km` of it, None where
    the present network has no such block. `pipe_km`: these, else what the town's file says; None: not known.
    """

    station_id: int
    code: str
    name: str
    name_en: str
    pipe_km: float | None
    flow: int | None
    use: Use
    fills: int | None
    note: str
    changed_at: datetime | None
    changed_by: str
    pipes: str | None = None
    network_km: float | None = None
    within: Whole | None = None

    @property
    def whole(self) -> Whole:
        """The block that it is an inlet of: itself where it is the only one."""
        return self.within or _whole([self], ((), ()))[self.station_id]

    @property
    def stands(self) -> bool:
        """Whether it is the one that stands for its block."""
        return self.whole.stations[0] == self.station_id


def blocks(conn: Connection) -> list[Block]:
    """In the order of the water page: by code."""
    rows = conn.execute(
        """
        select s.station_id, s.code, s.name, s.name_en, coalesce(network_km(s.station_id), b.pipe_km), d.flow,
               u.connections, u.litres, u.known_m3h, u.known_metered_m3h, u.fills, coalesce(u.note, ''), u.changed_at,
               coalesce(p.display_name, ''), k.block, network_km(s.station_id),
               coalesce(w.lets_in, '{}'), coalesce(w.lets_out, '{}')
        from station s
        left join lateral (
            select min(datastream_id) as flow from datastream
            where station_id = s.station_id and observed_property = 'flow' and drill_run is null
        ) d on true
        left join inflow_watch w on w.datastream_id = d.flow
        left join block_inlet b using (station_id)
        left join block_use u using (station_id)
        left join app_user p on p.user_id = u.changed_by
        left join block_pipes k using (station_id)
        where s.kind = 'block_inlet'
        order by s.code
        """
    )
    found, beside = [], {}
    for station_id, code, name, name_en, pipe_km, flow, connections, *more in rows:
        *said, fills, note, at, by, pipes, km, lets_in, lets_out = more
        use = Use() if at is None else Use(connections, *said)
        found.append(Block(station_id, code, name, name_en, pipe_km, flow, use, fills, note, at, by, pipes, km))
        if lets_in or lets_out:
            beside[station_id] = lets_in, lets_out
    by_series = {each.flow: each for each in found}
    within: dict[int, Whole] = {}
    for each in found:
        if each.station_id in beside:
            several = [each, *(by_series[one] for one in beside[each.station_id][0] if one in by_series)]
            within |= _whole(several, beside[each.station_id])
    return [replace(each, within=within.get(each.station_id)) for each in found]


def _whole(several: Sequence[Block], beside: tuple[Sequence[int], Sequence[int]]) -> dict[int, Whole]:
    """By station the block of inlets, the one that stands for it first; `beside` as `Inlet` has it."""
    lets_in, lets_out = beside
    first = several[0]
    said = next((each for each in several if each.changed_at is not None), first)
    km = next((each.pipe_km for each in several if each.pipe_km is not None), None)
    own = () if first.flow is None else (first.flow,)
    whole = Whole(
        tuple(each.station_id for each in several),
        signed((*own, *lets_in), lets_out),
        tuple((each.flow, each.fills) for each in several if each.flow is not None),
        said.use,
        km,
        frozenset(plain(name) for each in several for name in (each.code, each.name, each.pipes) if name),
    )
    if not lets_out and len(several) == 1 + len(lets_in):
        return dict.fromkeys(whole.stations, whole)
    # What leaves the block at night nobody has looked for: of each inlet its own.
    return {
        each.station_id: replace(whole, feeds=() if each.flow is None else ((each.flow, each.fills),))
        for each in several
    }


def choose_pipes(
    conn: Connection, municipality_id: int, station_id: int, block: str | None, *, at: datetime, user_id: int | None
) -> bool:
    """Which block of the pipe network the inlet feeds; None takes the choice back. False where another inlet feeds it:
    then nothing has changed.
    """
    if block is None:
        conn.execute(
            "delete from block_pipes where municipality_id = %s and station_id = %s", (municipality_id, station_id)
        )
        return True
    return bool(
        conn.execute(
            """
            insert into block_pipes (station_id, municipality_id, block, chosen_at, chosen_by)
            select %(station)s, %(town)s, %(block)s, %(at)s, %(user)s
            where not exists (select from block_pipes where municipality_id = %(town)s and block = %(block)s
                              and station_id <> %(station)s)
            on conflict (station_id) do update set (block, chosen_at, chosen_by)
                = (excluded.block, excluded.chosen_at, excluded.chosen_by)
            """,
            {"station": station_id, "town": municipality_id, "block": block, "at": at, "user": user_id},
        ).rowcount
    )


def put_use(
    conn: Connection,
    municipality_id: int,
    station_id: int,
    use: Use,
    *,
    fills: int | None,
    note: str,
    at: datetime,
    user_id: int | None,
) -> None:
    """What the town says of a block from now on."""
    conn.execute(
        """
        insert into block_use as u
            (station_id, municipality_id, connections, litres, known_m3h, known_metered_m3h, fills, note,
             changed_at, changed_by)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
        on conflict (station_id) do update
            set (connections, litres, known_m3h, known_metered_m3h, fills, note, changed_at, changed_by)
              = (excluded.connections, excluded.litres, excluded.known_m3h, excluded.known_metered_m3h,
                 excluded.fills, excluded.note, excluded.changed_at, excluded.changed_by)
        """,
        (station_id, municipality_id, use.connections, use.litres, use.known, use.metered, fills, note, at, user_id),
    )


def current(conn: Connection, municipality_id: int) -> dict[tuple[int, Period], Volumes]:
    """The periods that count. Until the transaction's end nobody else changes them."""
    conn.execute("select pg_advisory_xact_lock(hashtext('metered water'), %s)", (municipality_id,))
    return {
        (station_id, (each.start, each.end)): (each.billed, each.unbilled)
        for station_id, found in metered(conn).items()
        for each in found
    }


def metered(conn: Connection) -> dict[int, list[Metered]]:
    """By station, in the order of their days."""
    found: dict[int, list[Metered]] = {}
    for station_id, *values in conn.execute(
        """
        select station_id, read_from, read_until, billed_m3, unbilled_m3 from metered_water
        where replaced_at is null order by station_id, read_from
        """
    ):
        found.setdefault(station_id, []).append(Metered(*values))
    return found


def read_of(block: Block, found: Mapping[int, list[Metered]]) -> list[Metered]:
    """What was read of a block: at the first of its inlets that the town's tables name."""
    return next((found[station] for station in block.whole.stations if station in found), [])


def put_metered(
    conn: Connection, municipality_id: int, plan: Plan, *, file: str, at: datetime, user_id: int | None
) -> None:
    """Puts what a plan says; what it replaces stays, with who and when."""
    with conn.cursor() as cursor:
        cursor.executemany(
            """
            update metered_water set replaced_at = %s, replaced_by = %s
            where station_id = %s and read_from = %s and read_until = %s and replaced_at is null
            """,
            [(at, user_id, station_id, *period) for station_id, period in [*plan.put, *plan.gone]],
        )
        cursor.executemany(
            """
            insert into metered_water
                (municipality_id, station_id, read_from, read_until, billed_m3, unbilled_m3,
                 file, entered_at, entered_by)
            values (%s, %s, %s, %s, %s, %s, %s, %s, %s)
            """,
            [
                (municipality_id, station_id, *period, *volumes, file, at, user_id)
                for (station_id, period), volumes in plan.put.items()
            ],
        )


def inflows(
    conn: Connection, found: Iterable[Block], first: date, end: date, zone: ZoneInfo
) -> dict[int, dict[date, float]]:
    """What flowed in on the days [first, end), m3 by station; days that are not known are not there."""
    known = [each for each in found if each.flow is not None]
    means: dict[int, dict[date, float]] = {series: {} for each in known for series in each.whole.meters}
    for datastream_id, day, mean in conn.execute(
        """
        select datastream_id, day, mean from rollup_day
        where datastream_id = any(%s) and day >= %s and day < %s and mean is not null and n >= %s * expected
        """,
        (list(means), first, end, COMPLETE_ENOUGH),
    ):
        means[datastream_id][day] = mean
    volumes = {}
    for each in known:
        signs = each.whole.meters
        days = sorted(set[date].intersection(*(set(means[series]) for series in signs)))
        volumes[each.station_id] = {
            day: sum(sign * means[series][day] for series, sign in signs.items()) * _hours(day, zone) for day in days
        }
    return volumes


def nights(conn: Connection, found: Sequence[Block], since: date, until: date) -> dict[int, list[Night]]:
    """The nights that end on the days [since, until], by station, in their order."""
    known = [each for each in found if each.flow is not None]
    fills = {series: tank for each in known for series, tank in each.whole.feeds}
    rows = conn.execute(
        """
        select datastream_id, day, minimum, minimum_from from night_flow
        where datastream_id = any(%s) and day >= %s and day <= %s order by datastream_id, day
        """,
        (list(fills), since, until),
    ).fetchall()
    asked = [(tank, begins) for series, _, _, begins in rows if (tank := fills[series]) is not None and begins]
    taken = _filled(conn, asked)
    cold = frost_nights(conn, since, until) if rows else {}
    used = hourly(conn, known, since - timedelta(days=1), until) if rows else {}
    measured: dict[int, dict[date, tuple[float | None, datetime | None]]] = {series: {} for series in fills}
    for series, day, minimum, begins in rows:
        tank = fills[series]
        if minimum is not None and tank is not None:
            filled = taken.get((tank, begins))
            minimum = None if filled is None else minimum - filled
        measured[series][day] = minimum, begins
    nights: dict[int, list[Night]] = {each.station_id: [] for each in known}
    for block in known:
        feeds = [measured[series] for series, _ in block.whole.feeds]
        meters = used.get(block.station_id)
        for day in sorted(set().union(*feeds)):
            each = [one[day][0] for one in feeds if day in one]
            there = [minimum for minimum in each if minimum is not None]
            begins = feeds[0][day][1] if day in feeds[0] else None
            read = (None, None) if meters is None or begins is None else meters.at(begins)
            whole = sum(there) if len(there) == len(feeds) else None
            nights[block.station_id].append(Night(day, whole, cold.get(day), *read))
    return nights


def hourly(conn: Connection, found: Iterable[Block], first: date, last: date) -> dict[int, Hourly]:
    """Of the days [first, last] of UTC, and only of blocks whose connections somebody has said. The block of a meter is
    an inlet's name, its code, or the block of the pipe network that it feeds.
    """
    sums_of = sums.hours(conn, first, last)
    known = {}
    for block in found:
        own = [each for name, each in sums_of.items() if plain(name) in block.whole.names]
        if own and block.whole.use.connections:
            known[block.station_id] = Hourly.of(sums.of_all(own), block.whole.use.connections)
    return known


def _filled(conn: Connection, asked: Sequence[tuple[int, datetime]]) -> dict[tuple[int, datetime], float]:
    """What each tank took in during the hour from each time, m3/h; not there where that is not known."""
    if not asked:
        return {}
    readings: dict[tuple[int, datetime, float], tuple[list[datetime], list[float]]] = {}
    for tank, area, begins, at, level in conn.execute(
        """
        select asked.tank, t.area_m2, asked.begins, o.phenomenon_time, o.value
        from unnest(%s::integer[], %s::timestamptz[]) as asked (tank, begins)
        join service_tank t on t.station_id = asked.tank
        join datastream d on d.station_id = asked.tank and d.observed_property = 'tank_level' and d.drill_run is null
        join tenant_observation o on o.datastream_id = d.datastream_id
             and o.phenomenon_time between asked.begins and asked.begins + %s
        where o.value is not null and o.quality not in ('bad', 'missing')
        """,
        ([tank for tank, _ in asked], [begins for _, begins in asked], WINDOW),
    ):
        times, levels = readings.setdefault((tank, begins, area), ([], []))
        times.append(at)
        levels.append(level)
    rates = {
        (tank, begins): filling(times, np.array(levels), begins, area)
        for (tank, begins, area), (times, levels) in readings.items()
    }
    return {key: rate for key, rate in rates.items() if rate is not None}


def _hours(day: date, zone: ZoneInfo) -> float:
    """How long a local day is: by timestamps, for wall time does not know of the night the clocks change."""
    start, end = (datetime.combine(each, time(), zone).timestamp() for each in (day, day + timedelta(days=1)))
    return (end - start) / 3600
