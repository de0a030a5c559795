"""What a town's loggers measured, on its pipe network: a record as `analytics.leaks.detection` reads it.

    supplied(network, placed, where) -> Network         with the sources and tanks that a map does not say
    measured(conn, network, placed, where, start, days) -> Measured                  by the hour
    measured(conn, network, placed, where, start, days, quick=Quick(...)) -> Measured          by the step
    step(conn, placed, where) -> timedelta | None       at which a town can be judged all day

By the hour, from `rollup_hour`: for 33 loggers and a year these are 300,000 values instead of 3.5 million, and on two
twin years what is found by the hour is what is found by five minutes, but for one leak of 58. Hours of which less than
half came in are missing. Pressures in m of water; the height of a logger does not matter, a day's level is compared
with its own past.

A network of a map has no sources: its tanks are, as far as nobody measures their level (else what flows into such a
tank is known by it), and for what hangs on none of these the ends of its meters' pipes that no other pipe meets;
without such ones the ends that fewer others meet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np

from analytics.leaks.detection.record import Record
from analytics.leaks.location.free import courses
from analytics.leaks.loggers.places import USUAL_INFLOW, Located, Placed, ends
from analytics.leaks.network.pipes import Floats, Network, Reservoirs, Tanks, joined
from store.connection import Connection

_METRE_KPA = 9.80665
_ENOUGH = 0.5  # of an hour
STEPS = tuple(timedelta(minutes=each) for each in (5, 10, 15))
_HEAD = 50.0  # m, of a source whose head nobody has said: only differences count


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """`sensors` (s,) station ids of the record's pressures; `flows` (f,) of its meters, with the datastream of each."""

    record: Record
    sensors: tuple[int, ...]
    flows: tuple[int, ...]
    flow_series: tuple[int, ...]


def supplied(network: Network, placed: Sequence[Placed], where: Located) -> Network:
    """The same network where it is a model that says its sources itself."""
    if len(network.reservoirs) + len(network.tanks):
        return network
    tanks = [
        (where.node[each.station_id], 2 * float(np.sqrt(each.tank_m2 / np.pi)))
        for each in placed
        if each.what == "level" and each.tank_m2 and each.station_id in where.node
    ]
    own = network.pipes
    drawn = [
        int(own.start[pipe])
        for kind, pipe in zip(network.fixtures.kind, network.fixtures.pipe.tolist(), strict=True)
        if kind == "tank" and pipe >= 0
    ]
    sources = {node for node in drawn if node not in {at for at, _ in tanks}}
    part = joined(network)
    fed = {int(part[node]) for node in (*sources, *(at for at, _ in tanks))}
    ends = np.bincount(np.concatenate([own.start, own.end]), minlength=len(network.nodes))
    place = {name: at for at, name in enumerate(own.names)}
    outer: dict[int, set[int]] = {}
    for pipe in (place[name] for name in where.link.values() if name in place):
        one, other = int(own.start[pipe]), int(own.end[pipe])
        if int(part[one]) not in fed:
            outer.setdefault(int(part[one]), set()).add(one if ends[one] <= ends[other] else other)
    for nodes_of_part in outer.values():
        # Where the map ends behind some meter, the others are between blocks.
        sources |= {node for node in nodes_of_part if ends[node] == 1} or nodes_of_part
    nodes = np.array(sorted(sources), dtype=np.int64)
    count = len(tanks)
    return replace(
        network,
        reservoirs=Reservoirs(nodes, np.full(len(nodes), _HEAD), ("",) * len(nodes)),
        tanks=Tanks(
            np.array([node for node, _ in tanks], dtype=np.int64),
            np.zeros(count), np.zeros(count), np.zeros(count), np.array([wide for _, wide in tanks]), ("",) * count,
        ),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Quick:
    """The readings themselves, as means of steps of `step`; those from `since` up to before `until`, nan else."""

    step: timedelta
    since: datetime
    until: datetime


def step(conn: Connection, placed: Sequence[Placed], where: Located) -> timedelta | None:
    """The pace of the slowest flow, tank or quick pressure, as 5, 10 or 15 minutes. None: some inlet or tank, or all
    pressures are slower than that.
    """
    inside = [each for each in placed if each.station_id in where.link or each.station_id in where.node]
    series = {number: name for each in inside for name, number in each.series.items()}
    paces: dict[int, timedelta] = dict(
        conn.execute(
            "select datastream_id, step from datastream where datastream_id = any(%s)", (list(series),)
        ).fetchall()
    )
    needed = [paces[number] for number, name in series.items() if name != "pressure"]
    pressures = [paces[number] for number, name in series.items() if name == "pressure" and paces[number] <= STEPS[-1]]
    if not pressures:
        return None
    slowest = max([*needed, *pressures])
    return next((each for each in STEPS if slowest <= each), None)


def measured(
    conn: Connection,
    network: Network,
    placed: Sequence[Placed],
    where: Located,
    start: datetime,
    days: int,
    quick: Quick | None = None,
) -> Measured:
    """`network` as `supplied`; whole days of 24 hours from `start` (a local midnight, on an hour of UTC)."""
    signs = dict(zip(where.link.values(), courses(network, list(where.link.values()), USUAL_INFLOW), strict=True))
    meters = [each for each in placed if each.station_id in where.link]
    tank_nodes = set(network.tanks.node.tolist())
    levels = [each for each in placed if each.what == "level" and where.node.get(each.station_id) in tank_nodes]
    behind = {name: ends(network, name)[1 if sign > 0 else 0] for name, sign in signs.items()}
    pressures = [
        (each, node)
        for each in placed
        if "pressure" in each.series
        and (node := where.node.get(each.station_id, behind.get(where.link.get(each.station_id, "")))) is not None
    ]
    wanted = [each.series["pressure"] for each, _ in pressures]
    wanted += [each.series["flow"] for each in meters] + [each.series["tank_level"] for each in levels]
    values = hours(conn, wanted, start, days) if quick is None else _steps(conn, wanted, start, days, quick)
    s, f = len(pressures), len(meters)
    turned = np.array([signs[where.link[each.station_id]] * (-1 if each.reversed else 1) for each in meters])
    names = network.nodes.names
    record = Record(
        3600.0 if quick is None else quick.step.total_seconds(),
        tuple(names[node] for _, node in pressures),
        values[:, :s] / _METRE_KPA,
        tuple(where.link[each.station_id] for each in meters),
        values[:, s : s + f] * turned,
        tuple(names[where.node[each.station_id]] for each in levels),
        values[:, s + f :],
        (),
        np.empty((len(values), 0)),
        (start + timedelta(hours=12)).weekday(),
    )
    return Measured(
        record,
        tuple(each.station_id for each, _ in pressures),
        tuple(each.station_id for each in meters),
        tuple(each.series["flow"] for each in meters),
    )


def hours(conn: Connection, series: Sequence[int], start: datetime, days: int) -> Floats:
    """(24 days, series), nan where too little came in."""
    values = np.full((24 * days, len(series)), np.nan)
    column = {datastream_id: at for at, datastream_id in enumerate(series)}
    rows = conn.execute(
        """
        select datastream_id, (extract(epoch from hour - %(start)s) / 3600)::integer, mean from rollup_hour
        where datastream_id = any(%(series)s) and hour >= %(start)s and hour < %(end)s
          and mean is not null and n >= %(enough)s * expected
        """,
        {
            "series": list(series),
            "start": start,
            "end": start + timedelta(days=days),
            "enough": _ENOUGH,
        },
    ).fetchall()
    if rows:
        ids, hours, means = zip(*rows, strict=True)
        values[np.array(hours), [column[each] for each in ids]] = means
    return values


def _steps(conn: Connection, series: Sequence[int], start: datetime, days: int, quick: Quick) -> Floats:
    """(steps of days, series), nan where nothing usable came in."""
    values = np.full((days * (timedelta(days=1) // quick.step), len(series)), np.nan)
    column = {datastream_id: at for at, datastream_id in enumerate(series)}
    rows = conn.execute(
        """
        select datastream_id, floor(extract(epoch from phenomenon_time - %(start)s) / %(step)s)::integer, avg(value)
        from observation
        where datastream_id = any(%(series)s) and phenomenon_time >= %(since)s and phenomenon_time < %(until)s
          and value is not null and quality not in ('bad', 'missing')
        group by 1, 2
        """,
        {
            "series": list(series),
            "start": start,
            "step": quick.step.total_seconds(),
            "since": max(start, quick.since),
            "until": min(start + timedelta(days=days), quick.until),
        },
    ).fetchall()
    if rows:
        ids, steps, means = zip(*rows, strict=True)
        values[np.array(steps), [column[each] for each in ids]] = means
    return values
