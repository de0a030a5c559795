"""Where on the pipe network the stations of a town measure.

    stations(conn, town) -> [Placed, ...]        those that measure what is searched by, with what was said
    put(conn, town, station_id, element, reversed, now=, user_id=)
    located(network, placed) -> Located          the node or link of each in a version, or why there is none
    ways(network, where) -> {station_id: (before, behind)}           how water is expected to go through the flows
    suggest(network, placed) -> Suggestion | None        what is near to the station's place on the map

A pressure, a level and a sound are measured at a node, a flow in a pipe, valve or pump. People name what they know: a
hydrant, a meter or a pipe will do for a pressure (its nearest end), a meter or hydrant for a flow (its pipe). Names are
looked for in the version that is present; what a newer version does not have any more is said, and not measured with.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Literal

import numpy as np

from analytics.leaks.location.free import courses
from analytics.leaks.network import coordinates
from analytics.leaks.network.pipes import Floats, Network
from store.connection import Connection

What = Literal["pressure", "flow", "level", "sound"]
USUAL_INFLOW = 50.0  # m3/h: which way water goes hardly depends on how much
NEAR_M = 200.0  # what is suggested is not farther away


@dataclass(frozen=True, slots=True)
class Placed:
    """A station. `what` decides where it can be: a flow (with or without a pressure), a level, a pressure or a sound.
    `series`: datastream ids by property. `tank_m2`: the area of a tank's water, None unknown. `element` and `reversed`
    as in `logger_place`; '' where nobody has said it. `faulty_until`: a day, None where it is believed.
    """

    station_id: int
    code: str
    name: str
    name_en: str
    longitude: float
    latitude: float
    series: Mapping[str, int]
    tank_m2: float | None
    element: str
    reversed: bool
    faulty_until: date | None

    @property
    def what(self) -> What:
        kinds: tuple[tuple[str, What], ...] = (("flow", "flow"), ("tank_level", "level"), ("pressure", "pressure"))
        return next((what for each, what in kinds if each in self.series), "sound")


@dataclass(frozen=True, slots=True)
class Located:
    """By station id: the `node` (index) of pressures and levels, the `link` (name) of flows; `problem` where a name is
    not in this version (unknown) or its link has another station already (taken).
    """

    node: Mapping[int, int]
    link: Mapping[int, str]
    problem: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class Suggestion:
    """The name of what is nearest, and how many metres away."""

    element: str
    metres: float


def stations(conn: Connection, municipality_id: int) -> list[Placed]:
    """By name."""
    return [
        Placed(*row)
        for row in conn.execute(
            """
            select s.station_id, s.code, s.name, s.name_en, s.longitude, s.latitude,
                   jsonb_object_agg(d.observed_property, d.datastream_id), t.area_m2,
                   coalesce(p.element, ''), coalesce(p.reversed, false), f.until
            from station s
            join datastream d on d.station_id = s.station_id and d.drill_run is null
                 and d.observed_property in ('flow', 'pressure', 'tank_level', 'leak_sound')
            left join service_tank t on t.station_id = s.station_id
            left join logger_place p on p.station_id = s.station_id
            left join logger_fault f on f.station_id = s.station_id
            where s.municipality_id = %s
            group by s.station_id, t.area_m2, p.element, p.reversed, f.until order by s.name, s.station_id
            """,
            (municipality_id,),
        )
    ]


def put(
    conn: Connection,
    municipality_id: int,
    station_id: int,
    element: str,
    reversed: bool,
    *,
    now: datetime,
    user_id: int,
) -> None:
    """Says where a station is; '' that it is nowhere on the pipes."""
    if not element:
        conn.execute(
            "delete from logger_place where municipality_id = %s and station_id = %s", (municipality_id, station_id)
        )
        return
    conn.execute(
        """
        insert into logger_place as p (station_id, municipality_id, element, reversed, said_at, said_by)
        values (%s, %s, %s, %s, %s, %s)
        on conflict (station_id) do update set (element, reversed, said_at, said_by)
            = (excluded.element, excluded.reversed, excluded.said_at, excluded.said_by)
        where (p.element, p.reversed) is distinct from (excluded.element, excluded.reversed)
        """,
        (station_id, municipality_id, element, reversed, now, user_id),
    )


def located(network: Network, placed: Iterable[Placed]) -> Located:
    """Those that somebody has placed. The pressure of a flow's station is at a node of its link."""
    nodes = {name: at for at, name in enumerate(network.nodes.names)}
    pipes = {name: at for at, name in enumerate(network.pipes.names)}
    fixtures = {name: at for at, name in enumerate(network.fixtures.names)}
    links = {name for each in (network.pipes, network.valves, network.pumps) for name in each.names}
    node: dict[int, int] = {}
    link: dict[int, str] = {}
    problem: dict[int, str] = {}
    for each in placed:
        if not each.element:
            continue
        fixture = fixtures.get(each.element)
        pipe = pipes.get(each.element, -1 if fixture is None else int(network.fixtures.pipe[fixture]))
        if each.what == "flow":
            name = each.element if each.element in links else network.pipes.names[pipe] if pipe >= 0 else None
            if name is None:
                problem[each.station_id] = "unknown"
            elif name in link.values():
                problem[each.station_id] = "taken"
            else:
                link[each.station_id] = name
        elif each.element in nodes:
            node[each.station_id] = nodes[each.element]
        elif pipe >= 0:
            at = None if fixture is None else network.fixtures.xy[fixture]
            node[each.station_id] = _end(network, pipe, _place(network, each) if at is None else at)
        else:
            problem[each.station_id] = "unknown"
    return Located(node, link, problem)


def as_said(placed: Placed, element: str, reversed: bool) -> Placed:
    """The same station as somebody says it now."""
    return replace(placed, element=element, reversed=reversed)


def ways(network: Network, where: Located) -> dict[int, tuple[str, str]]:
    """The nodes before and behind each flow, by station id, as water is expected to go through; `network` with its
    sources (`measured.supplied`).
    """
    names = list(where.link.values())
    found = {}
    for station, name, sign in zip(where.link, names, courses(network, names, USUAL_INFLOW), strict=True):
        start, end = ends(network, name)[:: 1 if sign > 0 else -1]
        found[station] = (network.nodes.names[start], network.nodes.names[end])
    return found


def ends(network: Network, link: str) -> tuple[int, int]:
    """Start and end of a pipe, valve or pump. KeyError: there is none of this name."""
    for each in (network.pipes, network.valves, network.pumps):
        if link in each.names:
            at = each.names.index(link)
            return int(each.start[at]), int(each.end[at])
    raise KeyError(link)


def suggest(network: Network, placed: Sequence[Placed]) -> dict[int, Suggestion]:
    """By station id, what is near to those that nobody has placed: of flows a pipe, meter or valve, of others a
    hydrant, valve or node. Nothing where no map knows the network's place.
    """
    found: dict[int, Suggestion] = {}
    if network.epsg is None:
        return found
    own = network.pipes
    middles = (network.nodes.xy[own.start] + network.nodes.xy[own.end]) / 2
    fixtures = [at for at in range(len(network.fixtures)) if network.fixtures.pipe[at] >= 0]
    sitting = [(network.fixtures.names[at], network.fixtures.xy[at]) for at in fixtures]
    flows = _named([*sitting, *zip(own.names, middles, strict=True)])
    others = _named([*sitting, *zip(network.nodes.names, network.nodes.xy, strict=True)])
    for each in placed:
        if each.element:
            continue
        names, places = flows if each.what == "flow" else others
        if not names:
            continue
        metres = np.linalg.norm(places - _place(network, each), axis=1)
        at = int(np.argmin(np.where(np.isfinite(metres), metres, np.inf)))
        if metres[at] <= NEAR_M:
            found[each.station_id] = Suggestion(names[at], float(metres[at]))
    return found


def _named(places: Sequence[tuple[str, Floats]]) -> tuple[list[str], Floats]:
    return [name for name, _ in places], np.array([xy for _, xy in places]).reshape(-1, 2)


def _place(network: Network, each: Placed) -> Floats:
    """(2,) m in the network's plane; nan where no map knows it."""
    if network.epsg is None:
        return np.full(2, np.nan)
    where: Floats = coordinates.between(
        coordinates.WGS84, network.epsg, np.array([[each.longitude, each.latitude]], dtype=np.float64)
    )[0]
    return where


def _end(network: Network, pipe: int, xy: Floats) -> int:
    """The nearer end of a pipe; its start where nobody knows."""
    ends = (int(network.pipes.start[pipe]), int(network.pipes.end[pipe]))
    metres = [float(np.linalg.norm(network.nodes.xy[node] - xy)) for node in ends]
    return ends[1] if metres[1] < metres[0] else ends[0]
