"""Metered zones: the parts of a network between its flow meters, and what each of them uses.

    zones(network, meters) -> Zones
    Zones.used(flows, levels) -> (n, z)

A zone is what hangs together when the metered links are taken out; one that holds a reservoir and nothing to leak from
is a source. What a zone uses is what its meters let in, less what they let out, less what its tanks store.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from analytics.leaks.network.pipes import Floats, Ints, Network


@dataclass(frozen=True, slots=True)
class Zones:
    """Of z zones: `pipe` (p,) which one each pipe is in, -1 for metered pipes and sources; `sign` (f, z) whether each
    meter lets in (+1) or out (-1); `area` (t, z) m2 of the tanks in it."""

    pipe: Ints
    sign: Floats
    area: Floats

    def used(self, flows: Floats, levels: Floats, hours: float) -> Floats:
        """(n, z) m3/h of the steps, nan where a meter or a level is missing. `flows` (n, f) m3/h, `levels` (n, t) m,
        `hours` the length of a step. What a step stores is seen when it is over: nothing is known from later."""
        stored = np.diff(levels, axis=0, prepend=np.full((1, levels.shape[1]), np.nan)) / hours
        found = np.zeros((len(flows), self.sign.shape[1]))
        for zone in range(found.shape[1]):
            let = self.sign[:, zone] != 0
            kept = self.area[:, zone] != 0
            found[:, zone] = flows[:, let] @ self.sign[let, zone] - stored[:, kept] @ self.area[kept, zone]
        return found


def zones(network: Network, meters: Sequence[str], tanks: Sequence[str]) -> Zones:
    """Between `meters`, names of links in the order of their flows; `tanks` names of nodes in that of their levels.

    KeyError: the network has no such link or node.
    """
    ends, metered = {}, set(meters)
    start: list[int] = []
    end: list[int] = []
    for links in (network.pipes, network.valves, network.pumps):
        for name, one, other in zip(links.names, links.start.tolist(), links.end.tolist(), strict=True):
            ends[name] = (one, other)
            if name not in metered:
                start.append(one)
                end.append(other)
    size = len(network.nodes)
    graph = sparse.csr_array((np.ones(len(start)), (np.array(start), np.array(end))), shape=(size, size))
    _, part = sparse.csgraph.connected_components(graph, directed=False)
    place = {name: at for at, name in enumerate(network.nodes.names)}
    sources = set(part[network.reservoirs.node].tolist())
    known = [each for each in dict.fromkeys(part[network.pipes.start].tolist()) if each not in sources]
    zone = {each: at for at, each in enumerate(known)}
    sign = np.zeros((len(meters), len(known)))
    for at, name in enumerate(meters):
        one, other = (zone.get(int(part[node])) for node in ends[name])
        if one is not None and one != other:
            sign[at, one] -= 1
        if other is not None and one != other:
            sign[at, other] += 1
    area = np.zeros((len(tanks), len(known)))
    wide = dict(zip(network.tanks.node.tolist(), network.tanks.diameter.tolist(), strict=True))
    for at, name in enumerate(tanks):
        node = place[name]
        if int(part[node]) in zone:
            area[at, zone[int(part[node])]] = np.pi * wide[node] ** 2 / 4
    inside = np.array([zone.get(each, -1) for each in part[network.pipes.start].tolist()])
    inside[[name in metered for name in network.pipes.names]] = -1
    return Zones(inside, sign, area)
