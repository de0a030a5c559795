"""A district's water pipes: a trunk main from the service tank, mains along the streets, branches into the lanes.

The streets are a lattice, turned as the district lies and cut off at its edge; every second of them carries a main (a
loop main, so that water reaches each corner from two sides), the others a branch from main to main. Every crossing is
a node with its height. Diameters in mm and materials are those a Japanese town buys: ductile iron (DIP) for mains,
polyethylene (HPPE) and old PVC (VP) for branches.

Lengths in km from the map's corner, heights in m. A pure function of its arguments.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import cos, dist, radians, sin

from devices.model import MapShape
from simulators.chance import integer, uniform
from simulators.contours import inside

Place = tuple[float, float]

TRUNK_MM, MAIN_MM = 250, 150
_OLD = 0.3  # share of the branches that are old PVC


@dataclass(frozen=True, slots=True)
class Node:
    """A crossing of pipes; `height` m above T.P."""

    name: str
    place: Place
    height: float


@dataclass(frozen=True, slots=True)
class Pipe:
    """A pipe between two nodes."""

    name: str
    start: str
    end: str
    line: tuple[Place, ...]
    diameter_mm: int
    material: str

    @property
    def length_m(self) -> float:
        return 1000 * sum(dist(a, b) for a, b in zip(self.line, self.line[1:], strict=False))


@dataclass(frozen=True, slots=True)
class Network:
    """The pipes of a block. `trunk` feeds its inlet and is no part of what is searched for a leak in the block."""

    trunk: Pipe
    pipes: tuple[Pipe, ...]
    nodes: tuple[Node, ...]


def lay(
    seed: int,
    block: Sequence[Place],
    inlet: Place,
    trunk: Sequence[Place],
    height: Callable[[Place], float],
    *,
    spacing: Place,
    turned: float,
) -> Network:
    """The network of a block: streets every `spacing` km in two directions, turned by so many degrees.

    `trunk` runs from the tank to the inlet, both included.
    """
    crossings = _crossings(block, spacing, turned)
    joined = sorted(
        (a, b)
        for a in crossings
        for b in ((a[0] + 1, a[1]), (a[0], a[1] + 1))
        if b in crossings and inside(_middle(crossings[a], crossings[b]), block)
    )
    first = min(crossings, key=lambda key: dist(crossings[key], inlet))
    fed = _connected(first, joined)
    keys = [key for key in sorted(crossings) if key in fed]
    names = {key: f"n{number:02d}" for number, key in enumerate(keys, start=1)}
    nodes = [Node("inlet", inlet, round(height(inlet), 1))]
    nodes += [Node(names[key], crossings[key], round(height(crossings[key]), 1)) for key in keys]
    pipes = [Pipe("p00", "inlet", names[first], (inlet, crossings[first]), MAIN_MM, "DIP")]
    for a, b in joined:
        if a not in fed:
            continue
        main = a[1] % 2 == first[1] % 2 if a[1] == b[1] else a[0] % 3 == first[0] % 3
        number = len(pipes)
        diameter, material = (MAIN_MM, "DIP") if main else _branch(seed, number)
        line = (crossings[a], crossings[b])
        pipes.append(Pipe(f"p{number:02d}", names[a], names[b], line, diameter, material))
    return Network(Pipe("trunk", "tank", "inlet", tuple(trunk), TRUNK_MM, "DIP"), tuple(pipes), tuple(nodes))


@dataclass(frozen=True, slots=True)
class Site:
    """A node at which a pipe leaks: so much lower than the block's inlet, and so far from it through the pipes."""

    node: str
    lower_m: float
    way_m: float


def site(seed: int, block: str, shapes: Sequence[MapShape]) -> Site | None:
    """The node of a block that the seed makes leak; None where the basemap has no pipes of the block with their nodes.

    The inlet is the node that the trunk main ends at.
    """
    nodes = {
        str(each.properties["code"]): float(each.properties.get("height_m", 0.0))
        for each in shapes
        if each.kind == "node" and each.properties["block"] == block
    }
    pipes = [each.properties for each in shapes if each.kind == "pipe"]
    joined = [
        (str(each["from"]), str(each["to"]), float(each["length_m"]))
        for each in pipes
        if each.get("block") == block and "from" in each and "to" in each
    ]
    inlets = [str(each["to"]) for each in pipes if each["class"] == "trunk" and each.get("to") in nodes]
    reached = ways(joined, inlets[0]) if inlets else {}
    fed = sorted(code for code in reached if code in nodes and code not in inlets)
    if not fed:
        return None
    node = fed[integer(seed, block, "leaking node") % len(fed)]
    return Site(node, round(nodes[inlets[0]] - nodes[node], 2), reached[node])


def ways(pipes: Sequence[tuple[str, str, float]], start: str) -> dict[str, float]:
    """The shortest way through the pipes from a node to every node that can be reached: its length in m.

    `pipes` are (start, end, length m). Dijkstra (1959).
    """
    beside: dict[str, list[tuple[str, float]]] = {}
    for a, b, length in pipes:
        beside.setdefault(a, []).append((b, length))
        beside.setdefault(b, []).append((a, length))
    found: dict[str, float] = {}
    waiting = [(0.0, start)]
    while waiting:
        far, node = heapq.heappop(waiting)
        if node in found:
            continue
        found[node] = far
        for other, length in beside.get(node, ()):
            heapq.heappush(waiting, (far + length, other))
    return found


def _branch(seed: int, number: int) -> tuple[int, str]:
    diameter = 75 if uniform(seed, "branch", number) < 0.45 else 100
    return diameter, "VP" if uniform(seed, "material", number) < _OLD else "HPPE"


def _crossings(block: Sequence[Place], spacing: Place, turned: float) -> dict[tuple[int, int], Place]:
    middle = (sum(x for x, _ in block) / len(block), sum(y for _, y in block) / len(block))
    c, s = cos(radians(turned)), sin(radians(turned))
    found = {}
    for i in range(-30, 31):
        for j in range(-30, 31):
            u, v = i * spacing[0], j * spacing[1]
            place = (middle[0] + c * u - s * v, middle[1] + s * u + c * v)
            if inside(place, block):
                found[i, j] = place
    return found


def _middle(a: Place, b: Place) -> Place:
    return (a[0] + b[0]) / 2, (a[1] + b[1]) / 2


def _connected(
    first: tuple[int, int], joined: Sequence[tuple[tuple[int, int], tuple[int, int]]]
) -> set[tuple[int, int]]:
    reached = ways([(f"{a[0]} {a[1]}", f"{b[0]} {b[1]}", 1.0) for a, b in joined], f"{first[0]} {first[1]}")
    found = set()
    for name in reached:
        i, j = name.split()
        found.add((int(i), int(j)))
    return found
