"""What is wrong with a network, whatever file it came from (`problems` says what there is).

    check(network) -> [Problem, ...]

Nothing is repaired: an end that does not meet may be a drawing error or a real gap, and only the town knows.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from analytics.leaks.network.pipes import Floats, Network, joined
from analytics.leaks.network.problems import Problem
from analytics.leaks.network.touching import length, nearest

NEAR = 0.5  # m: an end this near to a pipe was probably meant to touch it
_DIAMETERS = (10.0, 3000.0)  # mm
_YEARS = (1880, 2100)
_LENGTH_SHARE, _LENGTH_M = 0.2, 5.0


def check(network: Network) -> list[Problem]:
    """All problems, kind by kind."""
    pipes = network.pipes
    found = [*_ends(network), *_twice(network), *_pipes(network), *_apart(network)]
    used = np.zeros(len(network.nodes), bool)
    for each in (pipes, network.valves, network.pumps):
        used[each.start] = used[each.end] = True
    for node in np.flatnonzero(~used).tolist():
        found.append(Problem("lone_node", feature=network.nodes.names[node], xy=_place(network.nodes.xy[node])))
    for node in np.flatnonzero(~np.isfinite(network.nodes.xy).all(axis=1)).tolist():
        found.append(Problem("no_place", feature=network.nodes.names[node]))
    for at in np.flatnonzero(network.fixtures.pipe < 0).tolist():
        fixtures = network.fixtures
        if fixtures.kind[at] == "tank":
            continue  # it stands beside its pipe
        values = {"kind": fixtures.kind[at]}
        found.append(Problem("off_pipe", feature=fixtures.names[at], values=values, xy=_place(fixtures.xy[at])))
    filled = set(pipes.block)
    found += [
        Problem("empty_block", feature=name, xy=_place(ring.mean(axis=0)))
        for name, ring in zip(network.blocks.names, network.blocks.rings, strict=True)
        if name not in filled
    ]
    without = np.array([each is None for each in pipes.block], bool)
    if without.any() and not without.all():
        km = round(float(pipes.length[without].sum()) / 1000, 2)
        found.append(Problem("no_block", values={"n": int(without.sum()), "km": km}))
    return found


def _ends(network: Network) -> Iterator[Problem]:
    """Ends of one pipe alone, near another one."""
    pipes, xy = network.pipes, network.nodes.xy
    degree = np.bincount(np.concatenate([pipes.start, pipes.end]), minlength=len(network.nodes))
    for each in (network.valves, network.pumps):
        degree += np.bincount(np.concatenate([each.start, each.end]), minlength=len(network.nodes))
    loose = np.flatnonzero(degree == 1)
    own: dict[int, set[int]] = {}
    for at, (a, b) in enumerate(zip(pipes.start.tolist(), pipes.end.tolist(), strict=True)):
        own.setdefault(a, set()).add(at)
        own.setdefault(b, set()).add(at)
    near = nearest(xy[loose], pipes.lines, NEAR, but={n: own.get(int(node), set()) for n, node in enumerate(loose)})
    for n in np.flatnonzero(near.line >= 0).tolist():
        end = own[int(loose[n])]
        values = {"m": round(float(near.distance[n]), 2), "pipe": pipes.names[near.line[n]]}
        yield Problem("near_end", feature=pipes.names[min(end)], values=values, xy=_place(xy[loose[n]]))


def _twice(network: Network) -> Iterator[Problem]:
    """Pipes between the same nodes that run the same way: two that only share their ends are a loop."""
    pipes = network.pipes
    first: dict[tuple[int, int, tuple[float, ...]], int] = {}
    for at in range(len(pipes)):
        a, b = int(pipes.start[at]), int(pipes.end[at])
        line = pipes.lines[at] if a <= b else pipes.lines[at][::-1]
        key = (min(a, b), max(a, b), tuple(np.round(line, 2).ravel().tolist()))
        if a != b and key in first:
            values = {"pipe": pipes.names[first[key]]}
            yield Problem("duplicate", feature=pipes.names[at], values=values, xy=_place(pipes.lines[at][0]))
        first.setdefault(key, at)


def _pipes(network: Network) -> Iterator[Problem]:
    pipes = network.pipes
    unknown = int(np.count_nonzero(np.isnan(pipes.diameter)))
    if unknown:
        yield Problem("no_diameter", values={"n": unknown, "of": len(pipes)})
    for at, name in enumerate(pipes.names):
        place = _place(pipes.lines[at][0])
        drawn, stated = length(pipes.lines[at]), float(pipes.length[at])
        diameter, laid = float(pipes.diameter[at]), int(pipes.year[at])
        if stated <= 0 or (pipes.start[at] == pipes.end[at] and drawn < _LENGTH_M):
            yield Problem("zero_length", feature=name, xy=place)
        elif np.isfinite(drawn) and abs(drawn - stated) > max(_LENGTH_M, _LENGTH_SHARE * stated):
            values = {"m": round(stated, 1), "drawn": round(drawn, 1)}
            yield Problem("length_differs", feature=name, values=values, xy=place)
        if np.isfinite(diameter) and not _DIAMETERS[0] <= diameter <= _DIAMETERS[1]:
            yield Problem("odd_diameter", feature=name, values={"mm": round(diameter, 1)}, xy=place)
        if laid and not _YEARS[0] <= laid <= _YEARS[1]:
            yield Problem("odd_year", feature=name, values={"year": laid}, xy=place)


def _apart(network: Network) -> Iterator[Problem]:
    part = joined(network)[network.pipes.start]
    for number in range(1, int(part.max(initial=0)) + 1):
        of_it = np.flatnonzero(part == number)
        if len(of_it):
            values = {"n": len(of_it), "km": round(float(network.pipes.length[of_it].sum()) / 1000, 2)}
            name, line = network.pipes.names[of_it[0]], network.pipes.lines[of_it[0]]
            yield Problem("apart", feature=name, values=values, xy=_place(line[0]))


def _place(xy: Floats) -> tuple[float, float] | None:
    return (float(xy[0]), float(xy[1])) if np.isfinite(xy).all() else None
