"""How a leak would be felt, known from the map alone: no demands, no roughness, no calibration.

    felt(network, nodes, links, inflow) -> Felt
    courses(network, links, inflow) -> (f,)          which way water goes there

The pipe graph's Laplacian with one conductance a pipe: the head at `nodes` and the flow in `links` that change with a
draw of 1 m3/h in the middle of each pipe. A conductance is the slope of Hazen-Williams at the flow that runs when the
town's `inflow` is used evenly along its pipes, every pipe as rough as the next; so a wide short pipe with much flow
carries a change far, a narrow dead end keeps it. Reservoirs, tanks and the far sides of pressure reducing valves hold
their head; what a block behind such a valve draws is drawn from the near side too. Pumps break the way.

When it works badly: large customers (their flow is not even), closed valves the map does not know, diameters that are
nominal. Signs and ranks are right far more often than sizes. Cost: two dozen sparse solves of n nodes, then one for
each of `nodes`: L-Town (782 nodes) takes half a second.

Source: E. Todini, S. Pilati, A gradient algorithm for the analysis of pipe networks, 1988 (the slopes);
G. Romero-Ben et al., Leak localization in water distribution networks using data-driven and model-based approaches,
J. Water Resour. Plann. Manage. 148(5), 2022 (Laplacian interpolation).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu

from analytics.leaks.network.pipes import Floats, Ints, Network

_ROUGHNESS, _DIAMETER = 120.0, 100.0  # Hazen-Williams C of every pipe; mm where none is known
_POWER = 1.852
_ROUNDS, _SETTLED = 60, 1e-7  # of the flows, m3/s
_SLOWEST = 1e-5  # m3/s: below it a pipe is taken to carry as well as at it
_HOLDING = ("PRV", "PSV", "PBV")


@dataclass(frozen=True, slots=True)
class Felt:
    """Of 1 m3/h drawn in the middle of each of p pipes: `heads` (p, s) m at the nodes, negative where it falls, and
    `flows` (p, f) m3/h in the links, in the direction from their start to their end."""

    heads: Floats
    flows: Floats


def felt(network: Network, nodes: Ints, links: Ints, inflow: float) -> Felt:
    """`nodes` (s,) and `links` (f,) indices, the latter of pipes; `inflow` m3/h that the whole network uses."""
    system = _System(network)
    along = _even(network, system, inflow)
    flow = system.settled(along)
    conductance = system.conductance(flow)
    asked = np.zeros((len(network.nodes), len(nodes) + 2 * len(links)))
    pipes = network.pipes
    asked[nodes, np.arange(len(nodes))] = 1.0
    # A link's flow is its conductance times the difference of its ends: two more nodes to ask for.
    for at, link in enumerate(links):
        asked[pipes.start[link], len(nodes) + at] = 1.0
        asked[pipes.end[link], len(nodes) + len(links) + at] = 1.0
    heads = system.answers(conductance, asked)
    middle = (heads[pipes.start] + heads[pipes.end]) / 2
    first, second = np.split(middle[:, len(nodes) :], 2, axis=1)
    return Felt(middle[:, : len(nodes)], (first - second) * conductance[links] * 3600)


def courses(network: Network, links: Sequence[str], inflow: float) -> Floats:
    """(f,) 1 where water runs from the start of a link to its end, -1 where it runs back, when `inflow` m3/h is used
    evenly. Pumps and valves run forward: they are drawn as they work.

    KeyError: the network has no such link.
    """
    pipe = {name: at for at, name in enumerate(network.pipes.names)}
    others = {*network.valves.names, *network.pumps.names}
    system = _System(network)
    flow = system.settled(_even(network, system, inflow))
    found = np.ones(len(links))
    for at, name in enumerate(links):
        if name in pipe:
            found[at] = -1.0 if flow[pipe[name]] < 0 else 1.0
        elif name not in others:
            raise KeyError(name)
    return found


class _System:
    """The linear equations of a network: who holds his head, and whose draw is passed on to whom."""

    def __init__(self, network: Network) -> None:
        self.network, size = network, len(network.nodes)
        holding = [at for at, kind in enumerate(network.valves.kind) if kind in _HOLDING]
        self.near, self.far = network.valves.start[holding], network.valves.end[holding]
        held = np.zeros(size, dtype=bool)
        held[[*network.reservoirs.node, *network.tanks.node, *self.far]] = True
        # Nobody is left without a head to fall from: of a part that nothing feeds, its first node holds one.
        joints = [(network.pipes.start, network.pipes.end)]
        others = [at for at in range(len(network.valves)) if at not in holding]
        self.others = (network.valves.start[others], network.valves.end[others])
        joints.append(self.others)
        start, end = (np.concatenate(each) for each in zip(*joints, strict=True))
        _, part = sparse.csgraph.connected_components(
            sparse.csr_array((np.ones(len(start)), (start, end)), shape=(size, size)), directed=False
        )
        for each in np.setdiff1d(part, part[held]):
            held[np.flatnonzero(part == each)[0]] = True
        self.held = held
        pipes = network.pipes
        diameter = np.where(np.isfinite(pipes.diameter), pipes.diameter, _DIAMETER) / 1000
        length = np.where(np.isfinite(pipes.length), pipes.length, 1.0)
        self.resistance = 10.67 * np.maximum(length, 0.1) / (_ROUGHNESS**_POWER * diameter**4.87)
        self.fast = np.pi * diameter**2 / 4 * 0.3  # m3/s to begin with

    def conductance(self, flow: Floats) -> Floats:
        """(p,) m3/s per m at a `flow` (p,) in m3/s."""
        slope: Floats = 1 / (_POWER * self.resistance * np.maximum(np.abs(flow), _SLOWEST) ** (_POWER - 1))
        return np.where(self.network.pipes.closed, 1e-12, slope)

    def matrix(self, conductance: Floats) -> sparse.csc_array:
        """A: A @ heads = the draws that `passed` gives (n, n)."""
        pipes, size = self.network.pipes, len(self.network.nodes)
        wide = np.full(len(self.others[0]), conductance.max(initial=1.0) * 10)
        start, end = np.concatenate([pipes.start, self.others[0]]), np.concatenate([pipes.end, self.others[1]])
        g = np.concatenate([conductance, wide])
        rows, columns = np.concatenate([start, end, start, end]), np.concatenate([start, end, end, start])
        laplacian = sparse.csr_array((np.concatenate([g, g, -g, -g]), (rows, columns)), shape=(size, size))
        free = sparse.diags_array((~self.held).astype(float))
        one = sparse.diags_array(self.held.astype(float))
        return sparse.csc_array(free @ self._passing() @ laplacian + one)

    def passed(self, draws: Floats) -> Floats:
        """Right sides: (n, k) of draws (n, k) in m3/s."""
        right: Floats = -(self._passing() @ draws)
        right[self.held] = 0.0
        return right

    def _passing(self) -> sparse.csr_array:
        """What is drawn at a valve's far side is drawn at its near side too."""
        size = len(self.network.nodes)
        passing = sparse.csr_array((np.ones(len(self.near)), (self.near, self.far)), shape=(size, size))
        return sparse.csr_array(sparse.eye_array(size) + passing)

    def settled(self, draws: Floats) -> Floats:
        """(p,) m3/s in the pipes when `draws` (n,) m3/s are drawn, all held heads of a part being equal."""
        pipes, flow = self.network.pipes, self.fast
        size = len(self.network.nodes)
        for _ in range(_ROUNDS):
            g = self.conductance(flow)
            rest = (1 - 1 / _POWER) * flow
            carried = np.bincount(pipes.start, rest, size) - np.bincount(pipes.end, rest, size)
            heads = splu(self.matrix(g)).solve(self.passed(draws + carried))
            before, flow = flow, g * (heads[pipes.start] - heads[pipes.end]) + rest
            if np.abs(flow - before).max(initial=0.0) < _SETTLED:
                break
        return flow

    def answers(self, conductance: Floats, asked: Floats) -> Floats:
        """(n, k): heads, weighted by `asked` (n, k), that 1 m3/h drawn at each node changes."""
        # By the transposed equations: a solve for each thing asked, not for each node drawn from.
        back = splu(self.matrix(conductance)).solve(asked, trans="T")
        found: Floats = -(self._passing().T @ np.where(self.held[:, None], 0.0, back)) / 3600
        return found


def _even(network: Network, system: _System, inflow: float) -> Floats:
    """(n,) m3/s: the inflow spread along the pipes."""
    pipes, size = network.pipes, len(network.nodes)
    half = np.where(np.isfinite(pipes.length), pipes.length, 0.0) / 2
    along = np.bincount(pipes.start, half, size) + np.bincount(pipes.end, half, size)
    found: Floats = along / max(float(along.sum()), 1e-9) * inflow / 3600
    return found
