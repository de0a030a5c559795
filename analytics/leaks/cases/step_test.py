"""ステップテスト: in which order to close a block's valves at night; the fall of its inflow says where it leaks.

    entries(network, pipes) -> (k,)                   nodes by which water can come into the block from elsewhere
    steps(network, pipes, inlet, count=) -> Steps     what to close
    fed(network, pipes, inlet, closed) -> (k, 2, p)   m of each pipe that still hang on the inlet, whatever was closed

Valves cut the block into sections; seen from the inlet, each section hangs on a valve. From the far end inwards one
valve after the other is closed, each of which takes about the same length out; what flows into the rest is read after
each. Where the inflow falls by more than use, it leaks in what that step took out.

Where sections are joined in a ring, one valve takes nothing out. Those that have to be closed beforehand, so that there
is a tree, are `first`: the ring is opened at the valve that is farthest from the inlet. Closed pipes count as shut.

Limits: only valves that the network has, and as open as it says; a ring that was opened has less pressure and turned
flow, which may cloud the water: who closes knows what hangs on it (a hospital, a fire). Where two inlets feed a block
the other one has to be closed (`others`). A section between no valves cannot be divided. Cost: O(pipes + valves).

Source: step testing as in Farley & Trow, Losses in Water Distribution Networks (IWA, 2003), ch. 6.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

import numpy as np
import numpy.typing as npt

from analytics.leaks.network.pipes import Floats, Ints, Network, ways

Key = tuple[str, str]  # a valve, and the pipe that it is on ('' of a model's own valve)
USUAL_STEPS = 6  # of a night: each takes half an hour
_ENOUGH = 0.75  # of a step's share: what is less goes with the step before it


@dataclass(frozen=True, slots=True)
class Step:
    """Close `valve` (on `pipe`; '' of a model's own valve): `isolated` km that it takes out, `left` km still fed after
    it; `x`, `y` m, NaN not known.
    """

    valve: str
    pipe: str
    isolated: float
    left: float
    x: float
    y: float

    @property
    def key(self) -> Key:
        """What tells its valve from the others of the network."""
        return self.valve, self.pipe


@dataclass(frozen=True, slots=True)
class Steps:
    """`first`: the valves to close beforehand; `steps` in their order, none where no valve divides the block. `km` of
    the block that hangs on the inlet, `apart` km that do not; `others`: nodes by which water may come in besides.
    """

    first: tuple[Step, ...]
    steps: tuple[Step, ...]
    km: float
    apart: float
    others: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Valve:
    """Between two sections; `far` m from the inlet."""

    name: str
    pipe: str
    sections: tuple[int, int]
    far: float
    x: float
    y: float


def entries(network: Network, pipes: npt.ArrayLike) -> Ints:
    """Nodes of the block at which a pipe, valve or pump of elsewhere ends, or a tank or source stands."""
    own = np.zeros(len(network.pipes), bool)
    own[np.asarray(pipes, np.int64)] = True
    ends = np.stack([network.pipes.start, network.pipes.end])
    inside = np.unique(ends[:, own])
    outside = [ends[:, ~own & ~network.pipes.closed].ravel(), network.tanks.node, network.reservoirs.node]
    for links in (network.valves, network.pumps):
        for a, b in ((links.start, links.end), (links.end, links.start)):
            outside.append(a[~np.isin(b, inside)])
    return np.intersect1d(inside, np.concatenate(outside))


def steps(network: Network, pipes: npt.ArrayLike, inlet: int, count: int = USUAL_STEPS) -> Steps:
    """`pipes` (k,) of the block, `inlet` the node at which it is fed; about `count` steps.

    >>> from analytics.leaks.network.inp import parse
    >>> pipes = " a n0 n1 400 75 130 \\n b n2 n3 300 75 130 \\n c n4 n5 300 75 130"
    >>> valves = " v1 n1 n2 75 TCV 0 0 \\n v2 n3 n4 75 TCV 0 0"
    >>> nodes = "\\n".join(f" n{n}" for n in range(6))
    >>> text = f"[OPTIONS]\\n Units LPS\\n[JUNCTIONS]\\n{nodes}\\n[PIPES]\\n{pipes}\\n[VALVES]\\n{valves}"
    >>> network = parse(text, "three.inp")
    >>> [(step.valve, step.isolated, step.left) for step in steps(network, [0, 1, 2], 0).steps]
    [('v2', 0.3, 0.7), ('v1', 0.3, 0.4)]
    """
    asked = np.unique(np.asarray(pipes, np.int64))
    section_of, lengths, valves = _sections(network, asked, ways(network, [inlet])[0])
    root = section_of.get(inlet)
    other = tuple(network.nodes.names[each] for each in entries(network, asked) if each != inlet)
    whole = sum(lengths.values())
    if root is None:
        return Steps((), (), 0.0, whole / 1000, other)
    hung, order, rings = _tree(valves, root)
    below = {each: lengths[each] for each in order}
    total = sum(below.values())
    share = total / max(count, 1)
    found: list[Step] = []
    cut: set[int] = set()
    left = total
    for section in reversed(order[1:]):
        valve = hung[section]
        inner = valve.sections[0] if valve.sections[1] == section else valve.sections[1]
        if below[section] >= share * _ENOUGH:
            left -= below[section]
            found.append(_step(valve, below[section], left))
            cut.add(section)
        else:
            below[inner] += below[section]
    # What no step divides may stay a ring.
    part = {root: root}
    for section in order[1:]:
        a, b = hung[section].sections
        part[section] = section if section in cut else part[a if b == section else b]
    first = tuple(_step(each, 0.0, total) for each in rings if part[each.sections[0]] != part[each.sections[1]])
    return Steps(first, tuple(found), total / 1000, (whole - total) / 1000, other)


def fed(network: Network, pipes: npt.ArrayLike, inlet: int, closed: Sequence[Collection[Key]]) -> Floats | None:
    """`pipes` of the block, `inlet` a node; for each set of closed valves the metres of every pipe of the network that
    hang on the inlet, of the half at its start and of that at its end: its own valve stands between them. None where
    the block has no such node or valve.

    >>> from analytics.leaks.network.inp import parse
    >>> pipes = " a n0 n1 400 75 130 \\n b n2 n3 300 75 130 \\n c n4 n5 300 75 130"
    >>> valves = " v1 n1 n2 75 TCV 0 0 \\n v2 n3 n4 75 TCV 0 0"
    >>> nodes = "\\n".join(f" n{n}" for n in range(6))
    >>> text = f"[OPTIONS]\\n Units LPS\\n[JUNCTIONS]\\n{nodes}\\n[PIPES]\\n{pipes}\\n[VALVES]\\n{valves}"
    >>> fed(parse(text, "three.inp"), [0, 1, 2], 0, [[], [("v2", "")]]).tolist()
    [[[200.0, 150.0, 150.0], [200.0, 150.0, 150.0]], [[200.0, 150.0, 0.0], [200.0, 150.0, 0.0]]]
    """
    asked = np.unique(np.asarray(pipes, np.int64))
    section_of, _, valves = _sections(network, asked, ways(network, [inlet])[0])
    root = section_of.get(inlet)
    known = {(each.name, each.pipe) for each in valves}
    if root is None or any(key not in known for keys in closed for key in keys):
        return None
    beyond: dict[int, list[tuple[int, Key]]] = {}
    for each in valves:
        for here, there in (each.sections, each.sections[::-1]):
            beyond.setdefault(here, []).append((there, (each.name, each.pipe)))
    own = network.pipes
    ends = np.array([[section_of[int(node)] for node in table[asked]] for table in (own.start, own.end)])
    half = np.nan_to_num(own.length[asked]) / 2
    found = np.zeros((len(closed), 2, len(own)))
    for row, keys in enumerate(closed):
        reached, waiting = {root}, [root]
        while waiting:
            for there, key in beyond.get(waiting.pop(), ()):
                if there not in reached and key not in keys:
                    reached.add(there)
                    waiting.append(there)
        found[row][:, asked] = np.isin(ends, list(reached)) * half
    return found


def _step(valve: _Valve, isolated: float, left: float) -> Step:
    return Step(valve.name, valve.pipe, round(isolated / 1000, 3), round(left / 1000, 3), valve.x, valve.y)


def _tree(valves: Sequence[_Valve], root: int) -> tuple[dict[int, _Valve], list[int], list[_Valve]]:
    """By section the valve that feeds it, the sections from the inlet outwards, and the valves that close rings: the
    nearest valves feed, so that a ring is opened at its far end.
    """
    at: dict[int, list[int]] = {}
    for number, each in enumerate(valves):
        for section in set(each.sections):
            at.setdefault(section, []).append(number)
    hung: dict[int, _Valve] = {}
    seen, order, used = {root}, [root], set[int]()
    waiting = [(valves[number].far, number) for number in at.get(root, [])]
    heapify(waiting)
    while waiting:
        _, number = heappop(waiting)
        new = set(valves[number].sections) - seen
        if not new:
            continue
        (section,) = new
        used.add(number)
        seen.add(section)
        hung[section] = valves[number]
        order.append(section)
        for other in at[section]:
            heappush(waiting, (valves[other].far, other))
    rings = [
        each
        for number, each in enumerate(valves)
        if number not in used and each.sections[0] != each.sections[1] and each.sections[0] in seen
    ]
    return hung, order, rings


def _sections(
    network: Network, asked: Ints, far: npt.NDArray[np.float64]
) -> tuple[dict[int, int], dict[int, float], list[_Valve]]:
    """By node its section, by section its metres, and the valves between sections. A pipe with a valve on it is cut
    there: half of it belongs to either side.
    """
    own, fixtures = network.pipes, network.fixtures
    on: dict[int, list[int]] = {}
    for number, (kind, pipe) in enumerate(zip(fixtures.kind, fixtures.pipe.tolist(), strict=True)):
        if kind == "valve":
            on.setdefault(pipe, []).append(number)
    parent: dict[int, int] = {}

    def top(node: int) -> int:
        parent.setdefault(node, node)
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for pipe in asked.tolist():
        a, b = top(int(own.start[pipe])), top(int(own.end[pipe]))
        if pipe not in on and not own.closed[pipe]:
            parent[a] = b
    lengths: dict[int, float] = {}
    for pipe in asked.tolist():
        length = float(own.length[pipe]) if np.isfinite(own.length[pipe]) else 0.0
        for end in (own.start[pipe], own.end[pipe]):
            section = top(int(end))
            lengths[section] = lengths.get(section, 0.0) + length / 2
    valves = [
        _Valve(fixtures.names[numbers[0]], own.names[pipe], (top(int(a)), top(int(b))), float(min(far[a], far[b])),
               *fixtures.xy[numbers[0]].tolist())
        for pipe, numbers in on.items()
        if pipe in set(asked.tolist()) and not own.closed[pipe]
        for a, b in ((own.start[pipe], own.end[pipe]),)
    ]  # fmt: skip
    for name, a, b in zip(
        network.valves.names, network.valves.start.tolist(), network.valves.end.tolist(), strict=True
    ):
        if a in parent and b in parent:
            x, y = network.nodes.xy[[a, b]].mean(axis=0).tolist()
            valves.append(_Valve(name, "", (top(a), top(b)), float(min(far[a], far[b])), x, y))
    nodes = {node: top(node) for node in list(parent)}
    return nodes, lengths, valves
