"""Where to search for a leak, and in which order to go there.

    of_block(network, block) -> (k,)            the pipes of a block
    around(network, pipe, metres) -> (k,)       those whose middle is so near to the pipe's, along pipes
    walk(network, pipes, first=) -> Walk        the valves and hydrants on them, in the order of a short way

Who listens for a leak puts the stick on what reaches the surface: valves and hydrants. A pipe that has neither gets its
middle as a stop, so that none is passed over. The way leads along the pipes, which mostly lie in the roads; where no
pipe leads from one stop to the next it is the straight line. It is short, not the shortest: the nearest stop next,
then stretches of the way turned round as long as that shortens it (2-opt; Croes 1958). A one-way road, a fence or a
river in between is known to whoever walks, not here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from analytics.leaks.network.pipes import Floats, Ints, Network, middle_distances, share_before, ways

MOST_TURNED = 400  # stops: of more the nearest is next, and nothing is turned round
_LEAST_GAIN = 1e-6  # m


@dataclass(frozen=True, slots=True)
class Stop:
    """Where to listen: `kind` valve, hydrant, or pipe (its middle); `way` m from the stop before, 0 at the first, None
    where no place says how far. `x`, `y` m in the network's plane, NaN not known.
    """

    name: str
    kind: str
    pipe: str
    x: float
    y: float
    way: float | None


@dataclass(frozen=True, slots=True)
class Walk:
    """Stops in the order to go; `metres` between them as far as they are known, `km` the pipes that are searched."""

    stops: tuple[Stop, ...]
    metres: float
    km: float


def of_block(network: Network, block: str) -> Ints:
    """The pipes whose block it is; empty where there is none of this name."""
    return np.flatnonzero([each == block for each in network.pipes.block])


def around(network: Network, pipe: int, metres: float) -> Ints:
    """The pipe and those whose middle is at most `metres` from its middle along pipes."""
    return np.flatnonzero(middle_distances(network, [pipe])[0] <= metres)


def walk(network: Network, pipes: npt.ArrayLike, first: int | None = None) -> Walk:
    """The way over all `pipes` (index), begun on the pipe `first`, else at the first of them. O(stops^2) memory.

    >>> from analytics.leaks.network.inp import parse
    >>> pipes = " a n1 n2 100 75 130 \\n b n2 n3 300 75 130 \\n c n1 n3 80 75 130"
    >>> network = parse("[OPTIONS]\\n Units LPS\\n[JUNCTIONS]\\n n1\\n n2\\n n3\\n[PIPES]\\n" + pipes, "three.inp")
    >>> found = walk(network, [0, 1, 2], first=1)
    >>> [stop.name for stop in found.stops], found.metres
    (['b', 'c', 'a'], 280.0)
    """
    area = np.unique(np.asarray(pipes, dtype=np.int64))
    own = network.pipes
    km = float(np.nansum(own.length[area])) / 1000
    names, kinds, on, along, places = _stops(network, area)
    if not names:
        return Walk((), 0.0, km)
    far = _distances(network, on, along, places)
    unknown = ~np.isfinite(far)
    # Somewhere they have to stand: as far away as all pipes are long together.
    guessed = np.where(unknown, max(float(np.nansum(own.length)), 1.0), far)
    begin = next((at for at, pipe in enumerate(on) if pipe == first), 0)
    order = _order(guessed, begin)
    stops, metres = [], 0.0
    for before, at in zip([order[0], *order], order, strict=False):
        way = None if unknown[before, at] else float(far[before, at])
        metres += way or 0.0
        x, y = places[at].tolist()
        stops.append(Stop(names[at], kinds[at], own.names[on[at]], x, y, way))
    return Walk(tuple(stops), metres, km)


def _stops(network: Network, area: Ints) -> tuple[list[str], list[str], list[int], Floats, Floats]:
    """Names, kinds, pipes, metres from the pipe's start (s,), and places (s, 2)."""
    own, fixtures = network.pipes, network.fixtures
    names, kinds, on, along, places = [], [], [], [], []
    wanted = set(area.tolist())
    for name, kind, pipe, xy in zip(fixtures.names, fixtures.kind, fixtures.pipe.tolist(), fixtures.xy, strict=True):
        if pipe in wanted and kind in ("valve", "hydrant"):
            names.append(name)
            kinds.append(kind)
            on.append(pipe)
            along.append(share_before(own.lines[pipe], xy) * own.length[pipe])
            places.append(xy)
    for pipe in sorted(wanted - set(on)):
        names.append(own.names[pipe])
        kinds.append("pipe")
        on.append(pipe)
        along.append(own.length[pipe] / 2)
        places.append(_middle(own.lines[pipe]))
    return names, kinds, on, np.array(along, float), np.array(places, float).reshape(-1, 2)


def _middle(line: Floats) -> Floats:
    """Where half of a line is behind, (2,); NaN where it has no place."""
    if len(line) < 2 or not np.isfinite(line).all():
        return np.full(2, np.nan)
    passed = np.concatenate([[0.0], np.hypot(*np.diff(line, axis=0).T).cumsum()])
    half = passed[-1] / 2
    return np.array([np.interp(half, passed, line[:, 0]), np.interp(half, passed, line[:, 1])])


def _distances(network: Network, on: list[int], along: Floats, places: Floats) -> Floats:
    """(s, s) m between stops along pipes, else straight; NaN where neither is known."""
    own = network.pipes
    pipe = np.array(on)
    ends = np.stack([own.start[pipe], own.end[pipe]])
    rest = np.stack([along, own.length[pipe] - along])
    nodes, place = np.unique(ends, return_inverse=True)
    between = ways(network, nodes)[:, nodes]
    place = place.reshape(2, -1)
    far = np.full((len(pipe), len(pipe)), np.inf)
    for a in (0, 1):
        for b in (0, 1):
            far = np.fmin(far, rest[a][:, None] + between[np.ix_(place[a], place[b])] + rest[b][None, :])
    same = pipe[:, None] == pipe[None, :]
    far = np.where(same, np.fmin(far, np.abs(along[:, None] - along[None, :])), far)
    straight = np.hypot(*(places[:, None, :] - places[None, :, :]).transpose(2, 0, 1))
    found: Floats = np.where(np.isfinite(far), far, straight)
    np.fill_diagonal(found, 0.0)
    return found


def _order(far: Floats, begin: int) -> list[int]:
    """All stops from `begin` on, each once."""
    left = np.ones(len(far), bool)
    order = [begin]
    left[begin] = False
    while left.any():
        at = int(np.where(left, far[order[-1]], np.inf).argmin())
        order.append(at)
        left[at] = False
    way = np.array(order)
    better = len(way) <= MOST_TURNED
    while better:
        better = False
        for i in range(1, len(way) - 1):
            # Turn round the stretch i..j: two hops change, at the end of the way one.
            j = np.arange(i + 1, len(way))
            after = np.minimum(j + 1, len(way) - 1)
            last = j + 1 == len(way)
            before = far[way[i - 1], way[i]] + np.where(last, 0.0, far[way[j], way[after]])
            turned = far[way[i - 1], way[j]] + np.where(last, 0.0, far[way[i], way[after]])
            gain = before - turned
            best = int(gain.argmax())
            if gain[best] > _LEAST_GAIN:
                way[i : j[best] + 1] = way[i : j[best] + 1][::-1].copy()
                better = True
    result: list[int] = way.tolist()
    return result
