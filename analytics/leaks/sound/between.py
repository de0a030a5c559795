"""The way along the pipes between the two places of a correlation, and how probably the noise is on which pipe.

    spot(network, name) -> Spot | None          a node, hydrant, valve, meter or pipe (its middle) of this name
    way(network, a, b) -> Way | None            the shortest way from one to the other; None: none leads there
    chances(network, way, heard) -> (p,)        of every pipe of the network, summing to 1
    piece(network, way, begin, end) -> [line]   the lines of a part of the way, for a picture

What was measured on the street and what the map says of a way differ: metres of the measurement are stretched to those
of the map. A noise passes open valves, so the way does too. Within what the interval says (`heard.low` to `high` hold
0.8) every metre counts alike on either side of the likeliest place, and the rest of the way gets what is left.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from analytics.leaks.location.suspects import HOLDS
from analytics.leaks.network.pipes import Floats, Network, share_before, ways

_SAME = 1e-3  # m


@dataclass(frozen=True, slots=True)
class Spot:
    """Where it can be left by: nodes (index) and m to each; on a `pipe` (index; None: at a node), `along` m of it."""

    ends: tuple[tuple[int, float], ...]
    pipe: int | None = None
    along: float = 0.0


@dataclass(frozen=True, slots=True)
class Part:
    """A pipe of a way: walked from `begin` to `end` m of the pipe, which may be backwards."""

    pipe: int
    begin: float
    end: float

    @property
    def length(self) -> float:
        return abs(self.end - self.begin)


@dataclass(frozen=True, slots=True)
class Way:
    """The parts in the order from A, `metres` of the map in all."""

    parts: tuple[Part, ...]
    metres: float


@dataclass(frozen=True, slots=True)
class Heard:
    """m from A of a way that was measured to be `length` m long: likeliest at `metres`, with 0.8 in `low` to `high`."""

    length: float
    metres: float
    low: float
    high: float


def spot(network: Network, name: str) -> Spot | None:
    """None where nothing in the network has this name, or it sits on no pipe."""
    own, fixtures = network.pipes, network.fixtures
    if name in network.nodes.names:
        return Spot(((network.nodes.names.index(name), 0.0),))
    if name in fixtures.names:
        at = fixtures.names.index(name)
        pipe = int(fixtures.pipe[at])
        share = share_before(own.lines[pipe], fixtures.xy[at]) if pipe >= 0 else 0.0
    elif name in own.names:
        pipe, share = own.names.index(name), 0.5
    else:
        return None
    if pipe < 0:
        return None
    length = float(np.nan_to_num(own.length[pipe]))
    along = share * length
    return Spot(((int(own.start[pipe]), along), (int(own.end[pipe]), length - along)), pipe, along)


def way(network: Network, a: Spot, b: Spot) -> Way | None:
    """None where no pipe leads from one to the other, or they are one place.

    >>> from analytics.leaks.network.inp import parse
    >>> pipes = " a n1 n2 100 75 130 \\n b n2 n3 300 75 130 \\n c n1 n3 80 75 130"
    >>> network = parse("[OPTIONS]\\n Units LPS\\n[JUNCTIONS]\\n n1\\n n2\\n n3\\n[PIPES]\\n" + pipes, "three.inp")
    >>> found = way(network, spot(network, "n2"), spot(network, "c"))
    >>> [(each.pipe, each.begin, each.end) for each in found.parts], found.metres
    ([(0, 100.0, 0.0), (2, 0.0, 40.0)], 140.0)
    """
    far = ways(network, [node for node, _ in b.ends])
    found = [
        (out + float(far[at, node]) + rest, node, at)
        for node, out in a.ends
        for at, (_, rest) in enumerate(b.ends)
        if np.isfinite(far[at, node])
    ]
    straight = None
    if a.pipe is not None and a.pipe == b.pipe:
        straight = abs(a.along - b.along)
    if straight is not None and (not found or straight <= min(found)[0]):
        assert a.pipe is not None
        parts = [Part(a.pipe, a.along, b.along)]
    elif not found:
        return None
    else:
        _, node, at = min(found)
        parts = [] if a.pipe is None else [Part(a.pipe, a.along, _end(network, a.pipe, node, a.ends))]
        parts += _down(network, far[at], node)
        if b.pipe is not None:
            last = b.ends[at][0]
            parts.append(Part(b.pipe, _end(network, b.pipe, last, b.ends), b.along))
    parts = [each for each in parts if each.length > _SAME]
    metres = sum(each.length for each in parts)
    return Way(tuple(parts), metres) if parts else None


def chances(network: Network, along: Way, heard: Heard) -> Floats:
    """(p,) of all pipes; 0 of those that the way does not use."""
    bounds = np.clip(np.array([0.0, heard.low, heard.metres, heard.high, heard.length]), 0.0, heard.length)
    bounds = np.maximum.accumulate(bounds)
    rest = (1 - HOLDS) / 2
    held = np.cumsum([0.0, rest, HOLDS / 2, HOLDS / 2, rest])
    # Where two bounds are one place (at an end) the mass stands there: it is given to the metre beside it.
    bounds += np.arange(len(bounds)) * 1e-6
    scale = (bounds[-1] - bounds[0]) / along.metres
    ends = np.cumsum([0.0, *(each.length for each in along.parts)]) * scale
    shares = np.diff(np.interp(ends, bounds, held))
    found = np.zeros(len(network.pipes))
    for part, share in zip(along.parts, shares, strict=True):
        found[part.pipe] += share
    result: Floats = found / found.sum()
    return result


def piece(network: Network, along: Way, begin: float = 0.0, end: float = 1.0) -> list[Floats]:
    """(k, 2) m each, as one walks from A: the lines of the way from the share `begin` to `end` of it, but those that
    have no place.
    """
    return list(_lines(network, along, begin * along.metres, end * along.metres))


def _lines(network: Network, along: Way, begin: float, end: float) -> Iterator[Floats]:
    behind = 0.0
    for part in along.parts:
        low, high = max(begin - behind, 0.0), min(end - behind, part.length)
        behind += part.length
        line, length = network.pipes.lines[part.pipe], float(network.pipes.length[part.pipe])
        if high < low or len(line) < 2 or not np.isfinite(line).all() or not length > 0:
            continue
        sign = 1 if part.end >= part.begin else -1
        first, last = sorted((part.begin + sign * low, part.begin + sign * high))
        passed = np.concatenate([[0.0], np.hypot(*np.diff(line, axis=0).T).cumsum()])
        first, last = first / length * passed[-1], last / length * passed[-1]
        at = np.unique([first, *passed[(passed > first) & (passed < last)], last])
        yield np.column_stack([np.interp(at, passed, line[:, 0]), np.interp(at, passed, line[:, 1])])[::sign]


def _end(network: Network, pipe: int, node: int, ends: tuple[tuple[int, float], ...]) -> float:
    """The m of a pipe at which a node is; of a pipe that begins and ends at one node the nearer end is meant."""
    own = network.pipes
    if own.start[pipe] == own.end[pipe]:
        return 0.0 if ends[0][1] <= ends[1][1] else float(own.length[pipe])
    return 0.0 if own.start[pipe] == node else float(own.length[pipe])


def _down(network: Network, far: Floats, node: int) -> Iterator[Part]:
    """The pipes from a node to where `far` is 0: always one that leads as much nearer as it is long."""
    own = network.pipes
    links = [(each.start, each.end) for each in (network.valves, network.pumps) if len(each)]
    while far[node] > _SAME:
        at_start, at_end = np.flatnonzero(own.start == node), np.flatnonzero(own.end == node)
        pipes = np.concatenate([at_start, at_end])
        beyond = np.concatenate([own.end[at_start], own.start[at_end]])
        lengths = np.nan_to_num(own.length[pipes])
        off = np.where(far[beyond] < far[node], np.abs(far[beyond] + lengths - far[node]), np.inf)
        best = int(off.argmin()) if len(off) else -1
        if best >= 0 and off[best] <= _SAME:
            forwards = best < len(at_start)
            length = float(lengths[best])
            yield Part(int(pipes[best]), *((0.0, length) if forwards else (length, 0.0)))
            node = int(beyond[best])
            continue
        over = [*(int(each) for start, end in links for each in (*end[start == node], *start[end == node]))]
        nearer = [each for each in over if far[each] < far[node]]
        assert nearer, "a way that is so long leads on somewhere"
        node = min(nearer, key=lambda each: float(far[each]))
