"""What a town's database knows of the water of its blocks, by who may ask: the pages, for their own town.

    blocks(conn) -> [Block, ...]                            every block inlet with what the town says of its use
    choose_pipes(conn, town, station, block, at=, user_id=) which block of the pipe network the inlet feeds
    put_use(conn, town, block, use, ...)                    what the town says
    metered(conn) -> {station: [Metered, ...]}              what customers' meters read together
    current(conn, town) -> {(station, period): volumes}     the same, to be changed
    put_metered(conn, town, plan, ...)                      what `meter_file.plan` said
    inflows(conn, blocks, first, end, zone) -> {station: {day: m3}}
    nights(conn, blocks, since, until) -> {station: [Night, ...]}

Inflow is the day's mean times its hours, of days of which 85 % came in. Of a block whose inlet fills a tank, a night is
its minimum less what the tank took in during that hour; where the tank's level does not say, the night is missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from analytics.leaks.blocks.balance import Metered
from analytics.leaks.blocks.frost import frost_nights
from analytics.leaks.blocks.meter_file import Period, Plan, Volumes
from analytics.leaks.blocks.night_use import Use, filling
from analytics.leaks.night_alarm import Night
from analytics.leaks.night_flow import COMPLETE_ENOUGH, WINDOW
from store.connection import Connection


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


def blocks(conn: Connection) -> list[Block]:
    """In the order of the water page: by code."""
    rows = conn.execute(
        """
        select s.station_id, s.code, s.name, s.name_en, coalesce(network_km(s.station_id), b.pipe_km),
               (select min(datastream_id) from datastream d
                where d.station_id = s.station_id and d.observed_property = 'flow' and d.drill_run is null),
               u.connections, u.litres, u.known_m3h, u.fills, coalesce(u.note, ''), u.changed_at,
               coalesce(p.display_name, ''), k.block, network_km(s.station_id)
        from station s
        left join block_inlet b using (station_id)
        left join block_use u using (station_id)
        left join app_user p on p.user_id = u.changed_by
        left join block_pipes k using (station_id)
        where s.kind = 'block_inlet'
        order by s.code
        """
    )
    found = []
    for station_id, code, name, name_en, pipe_km, flow, connections, litres, known, fills, note, at, by, *pipes in rows:
        use = Use() if at is None else Use(connections, litres, known)
        found.append(Block(station_id, code, name, name_en, pipe_km, flow, use, fills, note, at, by, *pipes))
    return found


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
            (station_id, municipality_id, connections, litres, known_m3h, fills, note, changed_at, changed_by)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s)
        on conflict (station_id) do update
            set (connections, litres, known_m3h, fills, note, changed_at, changed_by)
              = (excluded.connections, excluded.litres, excluded.known_m3h, excluded.fills, excluded.note,
                 excluded.changed_at, excluded.changed_by)
        """,
        (station_id, municipality_id, use.connections, use.litres, use.known, fills, note, at, user_id),
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
    of = {each.flow: each.station_id for each in found if each.flow is not None}
    volumes: dict[int, dict[date, float]] = {station_id: {} for station_id in of.values()}
    for datastream_id, day, mean in conn.execute(
        """
        select datastream_id, day, mean from rollup_day
        where datastream_id = any(%s) and day >= %s and day < %s and mean is not null and n >= %s * expected
        """,
        (list(of), first, end, COMPLETE_ENOUGH),
    ):
        volumes[of[datastream_id]][day] = mean * _hours(day, zone)
    return volumes


def nights(conn: Connection, found: Sequence[Block], since: date, until: date) -> dict[int, list[Night]]:
    """The nights that end on the days [since, until], by station, in their order."""
    of = {each.flow: each for each in found if each.flow is not None}
    rows = conn.execute(
        """
        select datastream_id, day, minimum, minimum_from from night_flow
        where datastream_id = any(%s) and day >= %s and day <= %s order by datastream_id, day
        """,
        (list(of), since, until),
    ).fetchall()
    taken = _filled(conn, [(of[row[0]], row[3]) for row in rows if of[row[0]].fills is not None and row[3] is not None])
    cold = frost_nights(conn, since, until) if rows else {}
    nights: dict[int, list[Night]] = {each.station_id: [] for each in of.values()}
    for datastream_id, day, minimum, begins in rows:
        block = of[datastream_id]
        if minimum is not None and block.fills is not None:
            filled = taken.get((block.fills, begins))
            minimum = None if filled is None else minimum - filled
        nights[block.station_id].append(Night(day, minimum, cold.get(day)))
    return nights


def _filled(conn: Connection, asked: Sequence[tuple[Block, datetime]]) -> dict[tuple[int, datetime], float]:
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
        ([each.fills for each, _ in asked], [begins for _, begins in asked], WINDOW),
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
