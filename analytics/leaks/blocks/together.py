"""Which flow meters belong to one block: where several enclose it, none of them says alone what is used in it.

    fed(network, placed) -> (Fed, ...)          the parts of a network between two meters or more
    of_towns(conn, kept) -> {town: (Fed, ...)}  of every town whose people have put two meters or more on its pipes

What a part uses is what its meters let in, less what they let out, less what its tanks store. Where a meter stands, and
whether it counts against the way that the network lets expect, is what the page of places says (`loggers.places`); what
hangs together is the network's (`detection.zones`), as for the loggers. A meter that nobody has placed, and a block
with a source within, are in none: such inlets are judged by themselves. So a block is only as closed as the places are
complete.

Cost: a network is read when it or a place has changed; else two queries.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog

from analytics.leaks.detection.zones import zones
from analytics.leaks.location.free import courses
from analytics.leaks.loggers.known import NO_NUMBERS
from analytics.leaks.loggers.measured import supplied
from analytics.leaks.loggers.places import USUAL_INFLOW, Placed, located, stations
from analytics.leaks.network import stored as networks
from analytics.leaks.network.pipes import Network
from store.connection import Connection

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Meter:
    """The flow `series` of a station at the border of a part."""

    station_id: int
    series: int


@dataclass(frozen=True, slots=True)
class Fed:
    """A part: the meters that count what is let in (one at least) and those that count what is let out. `tanks` in it:
    the series of the level with the area in m2; None for the series: nobody measures it, and then nothing is known of
    what the part uses."""

    lets_in: tuple[Meter, ...]
    lets_out: tuple[Meter, ...]
    tanks: tuple[tuple[int | None, float], ...]


@dataclass(slots=True)
class Kept:
    """By town what was found, and of which network and places."""

    found: dict[int, tuple[object, tuple[Fed, ...]]] = field(default_factory=dict)


def fed(network: Network, placed: Sequence[Placed]) -> tuple[Fed, ...]:
    """`network` as it was drawn."""
    where = located(network, placed)
    if len(where.link) < 2:
        return ()
    network = supplied(network, placed, where)
    names = list(where.link.values())
    by_station = {each.station_id: each for each in placed}
    flows = [by_station[station] for station in where.link]
    meters = [Meter(each.station_id, each.series["flow"]) for each in flows]
    nodes = network.tanks.node.tolist()
    levels = {
        where.node[each.station_id]: each.series["tank_level"]
        for each in placed
        if each.what == "level" and each.station_id in where.node
    }
    found = zones(network, names, [network.nodes.names[each] for each in nodes])
    # What a meter counts above zero, whichever way the map would have it go.
    way = courses(network, names, USUAL_INFLOW) * [-1 if each.reversed else 1 for each in flows]
    made = []
    for zone in range(found.sign.shape[1]):
        sign = found.sign[:, zone] * way
        lets_in, lets_out = (tuple(meters[at] for at in (sign * which > 0).nonzero()[0]) for which in (1, -1))
        tanks = tuple((levels.get(nodes[at]), float(found.area[at, zone])) for at in found.area[:, zone].nonzero()[0])
        if lets_in and len(lets_in) + len(lets_out) > 1:
            made.append(Fed(lets_in, lets_out, tanks))
    return tuple(made)


def of_towns(conn: Connection, kept: Kept) -> dict[int, tuple[Fed, ...]]:
    """Of towns that have some."""
    towns = conn.execute(
        """
        select p.municipality_id from logger_place p
        join datastream d on d.station_id = p.station_id and d.observed_property = 'flow' and d.drill_run is null
        group by p.municipality_id having count(*) > 1
        """
    ).fetchall()
    found = {}
    for (town,) in towns:
        number = networks.present(conn, town)
        if number is None:
            continue
        placed = [each for each in stations(conn, town) if each.element]
        said = tuple(
            (each.station_id, each.element, each.reversed, each.tank_m2, tuple(each.series.items())) for each in placed
        )
        key = (number, said)
        if town not in kept.found or kept.found[town][0] != key:
            kept.found[town] = key, _of_town(conn, town, number, placed)
        if kept.found[town][1]:
            found[town] = kept.found[town][1]
    return found


def _of_town(conn: Connection, town: int, number: int, placed: Sequence[Placed]) -> tuple[Fed, ...]:
    try:
        return fed(networks.network_of(conn, town, number), placed)
    except NO_NUMBERS:
        # A network that nobody thought of: each inlet by itself, until somebody changes it.
        log.exception("inlets_together_failed", municipality=town)
        return ()
