"""A pipe network as everybody here shares it: nodes, pipes between them, and what sits on them.

    Network(nodes=, pipes=, valves=, pumps=, tanks=, reservoirs=, fixtures=, hydraulics=)
    middle_distances(network) -> (p, p)      shortest way along pipes between the pipes' middle points, m
    within(network, metres) -> (p, p)        the pipes whose middle is so near to each other
    areas(network) -> (n,)                   which part a node is in, where valves and pumps divide
    joined(network) -> (n,)                  the same where they do not
    share_before(line, xy) -> 0..1           how much of a line lies before what is nearest to a place
    ways(network, nodes) -> (k, n)           how far a walker has from these nodes to every node, m
    cut_out(network, pipes) -> (Network, (n,))    only these pipes, and which nodes of the whole are left

Arrays of one table are of one length and never change. Lengths, places and heads in metres, diameters in millimetres.
NaN, None and a year of 0 say that a value is not known: an unknown diameter is no diameter of zero.

Places are in a plane (`epsg`: which one; None: the file's own, that no map knows), east then north.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from scipy import sparse

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_PIECE = 256  # pipes
_SHORTEST = 1e-6  # m; a pipe of no length still joins its ends: csgraph takes 0 for 'no pipe'


@dataclass(frozen=True, slots=True, eq=False)
class Nodes:
    """Where pipes end or meet. `xy` (n, 2) m, NaN where the file has no place; `elevation` (n,) m, NaN unknown."""

    names: tuple[str, ...]
    xy: Floats
    elevation: Floats

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True, slots=True, eq=False)
class Pipes:
    """Pipes; `start` and `end` (p,) index of the nodes, `length` (p,) m, `diameter` (p,) mm or NaN, `material` as the
    town writes it or None, `year` (p,) laid, 0 unknown, `block` 配水ブロック or None, `roughness` (p,) Hazen-Williams C
    (or what the file's formula wants) or NaN, `closed` (p,). `lines`: (k, 2) m each, from start to end.
    """

    names: tuple[str, ...]
    start: Ints
    end: Ints
    length: Floats
    diameter: Floats
    material: tuple[str | None, ...]
    year: Ints
    block: tuple[str | None, ...]
    roughness: Floats
    closed: npt.NDArray[np.bool_]
    lines: tuple[Floats, ...]

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True, slots=True, eq=False)
class Links:
    """Valves or pumps of a hydraulic model, each between two nodes. `kind` as EPANET names it (PRV, TCV, PUMP);
    `parameters` the words behind the nodes in its file, in the file's units.
    """

    names: tuple[str, ...] = ()
    start: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    end: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    kind: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True, slots=True, eq=False)
class Tanks:
    """配水池 with a level that moves: `node` (t,), `initial`, `lowest` and `highest` level above its elevation, m, and
    `diameter` m. `parameters`: the words behind these in the file.
    """

    node: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    initial: Floats = field(default_factory=lambda: np.zeros(0))
    lowest: Floats = field(default_factory=lambda: np.zeros(0))
    highest: Floats = field(default_factory=lambda: np.zeros(0))
    diameter: Floats = field(default_factory=lambda: np.zeros(0))
    parameters: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.node)


@dataclass(frozen=True, slots=True, eq=False)
class Reservoirs:
    """Sources that hold their head: `node` (r,), `head` (r,) m; `pattern` its name in the file or ''."""

    node: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    head: Floats = field(default_factory=lambda: np.zeros(0))
    pattern: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.node)


@dataclass(frozen=True, slots=True, eq=False)
class Fixtures:
    """What sits on a pipe without dividing it: `kind` valve, hydrant or meter; `xy` (f, 2) m; `pipe` (f,) the index of
    the nearest pipe, -1 where none is near; `attributes` what the town's file says of it.
    """

    names: tuple[str, ...] = ()
    kind: tuple[str, ...] = ()
    xy: Floats = field(default_factory=lambda: np.zeros((0, 2)))
    pipe: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    attributes: tuple[Mapping[str, str], ...] = ()

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True, slots=True, eq=False)
class Blocks:
    """配水ブロック as areas: `rings` (k, 2) m, the outer line of each."""

    names: tuple[str, ...] = ()
    rings: tuple[Floats, ...] = ()

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True, slots=True, eq=False)
class Hydraulics:
    """What a hydraulic model knows beyond the pipes. `units`: the flow unit of the file (CMH, LPS, GPM): all text here
    is in it. Of demand d: `demand_node` (d,), `demand` (d,) m3/h and `demand_pattern`, '' the default one. `sections`:
    lines of EPANET's other sections as they were (PATTERNS, CURVES, CONTROLS, RULES, EMITTERS, TIMES, OPTIONS).
    Of pipes, by index: `minor` loss coefficients other than 0; `one_way`: with a check valve.
    """

    units: str
    demand_node: Ints
    demand: Floats
    demand_pattern: tuple[str, ...]
    sections: Mapping[str, tuple[str, ...]]
    minor: Mapping[int, float] = field(default_factory=dict)
    one_way: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """All of it. `hydraulics` is None for a network from a map, which nobody has made a model of."""

    nodes: Nodes
    pipes: Pipes
    valves: Links = field(default_factory=Links)
    pumps: Links = field(default_factory=Links)
    tanks: Tanks = field(default_factory=Tanks)
    reservoirs: Reservoirs = field(default_factory=Reservoirs)
    fixtures: Fixtures = field(default_factory=Fixtures)
    blocks: Blocks = field(default_factory=Blocks)
    hydraulics: Hydraulics | None = None
    epsg: int | None = None


def middle_distances(network: Network, pipes: npt.ArrayLike | None = None) -> npt.NDArray[np.float32]:
    """(k, p) float32 m: the shortest way along pipes from the middle of each of `pipes` (index; None: of all) to the
    middle of every pipe; inf where no way leads. Valves and pumps break the way, a closed pipe does not: it lies in
    the ground all the same. O(k p) memory: 1,000 pipes are 4 MB, 10,000 are 400 MB.

    >>> from analytics.leaks.network.inp import parse
    >>> pipes = " a n1 n2 100 75 130 \\n b n2 n3 300 75 130 \\n c n1 n3 80 75 130"
    >>> network = parse("[OPTIONS]\\n Units LPS\\n[JUNCTIONS]\\n n1\\n n2\\n n3\\n[PIPES]\\n" + pipes, "three.inp")
    >>> middle_distances(network)[0].tolist()
    [0.0, 200.0, 90.0]
    """
    from scipy.sparse import csgraph  # loaded by who asks, as below: a page that only shows pipes does without

    own = network.pipes
    if len(own) == 0:
        return np.zeros((0, 0), np.float32)
    asked = np.arange(len(own)) if pipes is None else np.asarray(pipes, dtype=np.int64)
    ends = np.stack([own.start, own.end])
    needed, place = np.unique(ends[:, asked], return_inverse=True)
    place = place.reshape(2, len(asked))
    nodes = csgraph.dijkstra(_graph(network), directed=False, indices=needed)
    # From an end of one to the nearer end of the other, and half of each pipe.
    reached = np.minimum(nodes[:, own.start], nodes[:, own.end])
    between = np.minimum(reached[place[0]], reached[place[1]])
    distance = between + own.length[asked, None] / 2 + own.length[None, :] / 2
    distance[np.arange(len(asked)), asked] = 0.0
    result: npt.NDArray[np.float32] = distance.astype(np.float32)
    return result


def within(network: Network, metres: float) -> sparse.csr_array:
    """(p, p) of bool: the pipes whose middle is at most `metres` from each one's, as `middle_distances` measures. In
    pieces, so that 10,000 pipes need some megabytes.

    >>> from analytics.leaks.network.inp import parse
    >>> pipes = " a n1 n2 100 75 130 \\n b n2 n3 300 75 130 \\n c n1 n3 80 75 130"
    >>> network = parse("[OPTIONS]\\n Units LPS\\n[JUNCTIONS]\\n n1\\n n2\\n n3\\n[PIPES]\\n" + pipes, "three.inp")
    >>> within(network, 195)[[0]].toarray().tolist()
    [[True, False, True]]
    """
    from scipy import sparse

    count = len(network.pipes)
    pieces = [
        sparse.csr_array(middle_distances(network, np.arange(at, min(at + _PIECE, count))) <= metres)
        for at in range(0, count, _PIECE)
    ]
    return sparse.csr_array(sparse.vstack(pieces)) if pieces else sparse.csr_array((0, 0), dtype=bool)


def ways(network: Network, nodes: npt.ArrayLike) -> Floats:
    """(k, n) m: the shortest way along pipes from each of `nodes` (index) to every node; inf where none leads. Unlike
    water, who walks passes valves and pumps.
    """
    from scipy.sparse import csgraph

    distance: Floats = csgraph.dijkstra(_graph(network, walked=True), directed=False, indices=np.asarray(nodes))
    return distance


def cut_out(network: Network, pipes: npt.ArrayLike) -> tuple[Network, Ints]:
    """The pipes (index) with their nodes, the valves and pumps between these, and what stands there; no fixtures, no
    blocks, no demands. Beside it the index in `network` of each node that is left.
    """
    own = network.pipes
    kept = np.unique(np.asarray(pipes, np.int64))
    nodes = np.unique(np.stack([own.start[kept], own.end[kept]]))
    place = np.full(len(network.nodes), -1, np.int64)
    place[nodes] = np.arange(len(nodes))

    def links(table: Links) -> Links:
        within = np.flatnonzero((place[table.start] >= 0) & (place[table.end] >= 0))
        return Links(
            tuple(table.names[at] for at in within),
            place[table.start[within]],
            place[table.end[within]],
            tuple(table.kind[at] for at in within),
            tuple(table.parameters[at] for at in within),
        )

    tanks, sources = (np.flatnonzero(place[each.node] >= 0) for each in (network.tanks, network.reservoirs))
    return Network(
        nodes=Nodes(tuple(network.nodes.names[at] for at in nodes), network.nodes.xy[nodes],
                    network.nodes.elevation[nodes]),
        pipes=Pipes(
            tuple(own.names[at] for at in kept), place[own.start[kept]], place[own.end[kept]], own.length[kept],
            own.diameter[kept], tuple(own.material[at] for at in kept), own.year[kept],
            tuple(own.block[at] for at in kept), own.roughness[kept], own.closed[kept],
            tuple(own.lines[at] for at in kept),
        ),
        valves=links(network.valves),
        pumps=links(network.pumps),
        tanks=Tanks(
            place[network.tanks.node[tanks]], network.tanks.initial[tanks], network.tanks.lowest[tanks],
            network.tanks.highest[tanks], network.tanks.diameter[tanks],
            tuple(network.tanks.parameters[at] for at in tanks),
        ),
        reservoirs=Reservoirs(
            place[network.reservoirs.node[sources]], network.reservoirs.head[sources],
            tuple(network.reservoirs.pattern[at] for at in sources),
        ),
        epsg=network.epsg,
    ), nodes  # fmt: skip


def share_before(line: Floats, xy: Floats) -> float:
    """How much of the line, 0 to 1, lies before the place of it that is nearest to `xy`."""
    step = np.diff(line, axis=0)
    lengths = np.hypot(*step.T)
    whole = float(lengths.sum())
    if not whole > 0:
        return 0.5
    part = np.clip(((xy - line[:-1]) * step).sum(axis=1) / np.maximum(lengths**2, 1e-12), 0.0, 1.0)
    away = np.hypot(*(line[:-1] + part[:, None] * step - xy).T)
    nearest = int(away.argmin())
    return float(lengths[:nearest].sum() + part[nearest] * lengths[nearest]) / whole


def areas(network: Network) -> Ints:
    """(n,) number of the part each node is in when valves and pumps are taken out: the largest number of pipes is 0."""
    return _parts(network, _graph(network))


def joined(network: Network) -> Ints:
    """(n,) number of the part each node is in, over pipes, valves and pumps: 0 is the network, others are apart."""
    from scipy import sparse

    ties = [(each.start, each.end) for each in (network.valves, network.pumps) if len(each)]
    start = np.concatenate([network.pipes.start, *(one for one, _ in ties)])
    end = np.concatenate([network.pipes.end, *(other for _, other in ties)])
    size = len(network.nodes)
    return _parts(network, sparse.csr_array((np.ones(len(start)), (start, end)), shape=(size, size)))


def _graph(network: Network, *, walked: bool = False) -> sparse.csr_array:
    """The shortest pipe between each two nodes: csgraph would add up two pipes side by side. `walked`: over valves and
    pumps too.
    """
    from scipy import sparse

    pipes, size = network.pipes, len(network.nodes)
    start, end, length = pipes.start, pipes.end, pipes.length
    for links in (network.valves, network.pumps) if walked else ():
        start, end = np.concatenate([start, links.start]), np.concatenate([end, links.end])
        length = np.concatenate([length, np.zeros(len(links))])
    low, high = np.minimum(start, end), np.maximum(start, end)
    length = np.where(np.isfinite(length), np.maximum(length, _SHORTEST), _SHORTEST)
    order = np.lexsort((length, high, low))
    low, high, length = low[order], high[order], length[order]
    first = np.ones(len(low), bool)
    first[1:] = (low[1:] != low[:-1]) | (high[1:] != high[:-1])
    return sparse.csr_array((length[first], (low[first], high[first])), shape=(size, size))


def _parts(network: Network, graph: sparse.csr_array) -> Ints:
    from scipy.sparse import csgraph

    _, part = csgraph.connected_components(graph, directed=False)
    pipes = np.bincount(part[network.pipes.start], minlength=int(part.max(initial=-1)) + 1)
    rank = np.empty(len(pipes), np.int64)
    rank[np.argsort(-pipes, kind="stable")] = np.arange(len(pipes))
    ranked: Ints = rank[part]
    return ranked
