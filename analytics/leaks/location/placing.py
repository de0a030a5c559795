"""Which loggers tell most leaks apart.

    best(directions, lengths, count, known=) -> (count,)
    next_places(network, pipes, inlet, there=, ...) -> (count,)    nodes at which one more would tell most

Greedily the loggers that together narrow down most of what is not known (D-optimal): a leak is as likely on every
metre, and a logger's reading scatters by a twentieth of what a leak near it does. Ties go to the first.

Source: A. Krause et al., Efficient Sensor Placement Optimization for Securing Large Water Distribution Networks,
J. Water Resour. Plann. Manage. 134(6), 2008.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from analytics.leaks.location.free import felt
from analytics.leaks.network.pipes import Floats, Ints, Network, Reservoirs, Tanks, cut_out

_SCATTER = 0.05


def best(directions: Floats, lengths: Floats, count: int, known: Sequence[int] = ()) -> Ints:
    """Columns of `directions` (p, s), best first: how 1 m3/h from each pipe, of `lengths` (p,) m, is felt at s places.
    At the columns `known` a logger stands already: none of them is named, and what they tell counts no more.

    >>> here_there = np.array([[1.0, 0.9, 0.0], [1.0, 0.9, 0.0], [0.0, 0.0, 0.8]])
    >>> best(here_there, np.array([100.0, 100.0, 100.0]), 2).tolist()
    [0, 2]
    """
    weight = np.maximum(lengths, 0.0) / max(float(np.sum(lengths)), 1e-12)
    among = directions.T @ (directions * weight[:, None])
    noise = (_SCATTER * np.abs(directions).max(initial=0.0)) ** 2
    left = among + noise * np.eye(len(among))
    chosen: list[int] = []
    given = list(dict.fromkeys(known))
    for at in range(min(count + len(given), len(among))):
        open_ = np.where(np.isin(np.arange(len(left)), chosen), -np.inf, np.diag(left))
        one = given[at] if at < len(given) else int(np.argmax(open_))
        chosen.append(one)
        # What the others still tell once this one is known.
        left = left - np.outer(left[:, one], left[one]) / left[one, one]
    return np.array(chosen[len(given) :], dtype=np.int64)


def next_places(
    network: Network, pipes: npt.ArrayLike, inlet: int, *, among: Sequence[int], there: Sequence[int], count: int
) -> Ints:
    """Nodes `among` which `count` more pressure loggers would tell most of where in a block, of `pipes` (k,), it leaks;
    the best first. `inlet`: the node that feeds it; `there`: nodes at which loggers stand. From the map alone
    (`free.felt`), the block cut out of the network and fed by the inlet.

    >>> from analytics.leaks.network.inp import parse
    >>> pipes = " a n0 n1 100 150 130 \\n b n1 n2 400 75 130 \\n c n1 n3 100 150 130"
    >>> nodes = "[JUNCTIONS]\\n n0\\n n1\\n n2\\n n3\\n"
    >>> network = parse("[OPTIONS]\\n Units LPS\\n" + nodes + "[PIPES]\\n" + pipes, "three.inp")
    >>> next_places(network, [0, 1, 2], 0, among=[1, 2, 3], there=[], count=1).tolist()
    [2]
    """
    block, nodes = cut_out(network, pipes)
    place = {int(node): at for at, node in enumerate(nodes)}
    source = Reservoirs(np.array([place[inlet]]), np.array([np.nan]), ("",))
    block = replace(block, reservoirs=source, tanks=Tanks())
    asked = [each for each in dict.fromkeys([*there, *among]) if each in place and each != inlet]
    km = float(np.nansum(block.pipes.length)) / 1000
    heads = felt(block, np.array([place[each] for each in asked], np.int64), np.zeros(0, np.int64), km).heads
    known = [at for at, each in enumerate(asked) if each in there]
    wanted = set(among)
    found = best(heads, block.pipes.length, count, known) if asked else np.zeros(0, np.int64)
    return np.array([asked[at] for at in found if asked[at] in wanted], np.int64)
