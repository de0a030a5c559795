"""A network as EPANET's file (.inp): EPANET 2.2 opens it, and `inp` reads the same network from it.

    write(network, title) -> text

Material, year and block stand in the comment behind a pipe, the block also as its tag (`inp`). Names that EPANET would
not take (blanks, more than 31 bytes, twice) become `_` and a number.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from analytics.leaks.network.inp import scale
from analytics.leaks.network.pipes import Links, Network

_LONGEST_NAME = 31  # bytes, EPANET's limit
_UNKNOWN_DIAMETER, _UNKNOWN_ROUGHNESS = 100.0, 130.0  # mm, C


def write(network: Network, title: str = "") -> str:
    """The network as a file's text, in the units its hydraulics state, else in m3/h. What is not known of a pipe is
    left to EPANET as 100 mm, C 130 and an elevation of 0; of a diameter the comment behind the line says so, and
    `inp` reads it as unknown.

    >>> from analytics.leaks.network.inp import parse
    >>> pipe = "P1 A B 100 75 130 ; material=DIP; year=1987; block=中央"
    >>> network = parse("[JUNCTIONS]\\nA 12 0.5\\nB 10\\n[PIPES]\\n" + pipe + "\\n[OPTIONS]\\nUnits CMH", "town.inp")
    >>> again = parse(write(network), "again.inp").pipes
    >>> again.length.tolist(), again.material, again.year.tolist(), again.block
    ([100.0], ('DIP',), [1987], ('中央',))
    """
    own = network.hydraulics
    units = own.units if own is not None else "CMH"
    flow, long, wide = scale(units)
    name = _Names(network.nodes.names)
    special = {*network.tanks.node.tolist(), *network.reservoirs.node.tolist()}
    pipes, link = network.pipes, _Names((*network.pipes.names, *network.valves.names, *network.pumps.names))
    parts: dict[str, list[str]] = {
        "TITLE": [title.replace("\n", " ")] if title else [],
        "JUNCTIONS": [
            f"{name[n]}\t{_figure(height / long, 0)}"
            for n, height in enumerate(network.nodes.elevation)
            if n not in special
        ],
        "RESERVOIRS": [
            f"{name[n]}\t{_figure(head / long)}\t{pattern}"
            for n, head, pattern in zip(
                network.reservoirs.node, network.reservoirs.head, network.reservoirs.pattern, strict=True
            )
        ],
        "TANKS": [_tank(network, name, at, long) for at in range(len(network.tanks))],
        "PIPES": [_pipe(network, name, link, at, long, wide) for at in range(len(pipes))],
        "PUMPS": _link_lines(network.pumps, name, link, len(pipes) + len(network.valves)),
        "VALVES": _link_lines(network.valves, name, link, len(pipes)),
        "TAGS": [f"LINK\t{link[at]}\t{_word(block)}" for at, block in enumerate(pipes.block) if block],
        "DEMANDS": []
        if own is None
        else [
            f"{name[node]}\t{_figure(demand / flow)}\t{pattern}"
            for node, demand, pattern in zip(own.demand_node, own.demand, own.demand_pattern, strict=True)
        ],
        "COORDINATES": [
            f"{name[n]}\t{_figure(x)}\t{_figure(y)}" for n, (x, y) in enumerate(network.nodes.xy) if math.isfinite(x)
        ],
        "VERTICES": [
            f"{link[at]}\t{_figure(x)}\t{_figure(y)}" for at, line in enumerate(pipes.lines) for x, y in line[1:-1]
        ],
    }
    kept = dict(own.sections) if own is not None else {"OPTIONS": ("Units CMH", "Headloss H-W")}
    parts |= {section: list(lines) for section, lines in kept.items()}
    return (
        "".join(f"[{each}]\n" + "".join(f"{line}\n" for line in lines) + "\n" for each, lines in parts.items())
        + "[END]\n"
    )


class _Names:
    """Names as EPANET takes them: no blank, at most 31 bytes, none twice."""

    def __init__(self, names: Sequence[str]) -> None:
        taken: set[str] = set()
        self._names: list[str] = []
        for at, name in enumerate(names):
            word = _word(name)
            if not word or len(word.encode()) > _LONGEST_NAME or word in taken:
                word = f"_{at + 1}"
            taken.add(word)
            self._names.append(word)

    def __getitem__(self, at: int) -> str:
        return self._names[at]


def _word(text: str) -> str:
    return re.sub(r'[\s;"]+', "_", text)


def _figure(value: float, unknown: float | None = None) -> str:
    if not math.isfinite(value):
        value = unknown if unknown is not None else 0.0
    return f"{value:.10g}"


def _pipe(network: Network, name: _Names, link: _Names, at: int, long: float, wide: float) -> str:
    pipes, own = network.pipes, network.hydraulics
    one_way = own is not None and at in own.one_way
    said = {
        "material": pipes.material[at],
        "year": str(pipes.year[at]) if pipes.year[at] else None,
        "block": pipes.block[at],
        "diameter": None if math.isfinite(pipes.diameter[at]) else "unknown",
    }
    comment = "; ".join(f"{key}={value.replace(';', ',')}" for key, value in said.items() if value)
    figures = (
        _figure(pipes.length[at] / long),
        _figure(pipes.diameter[at] / wide, _UNKNOWN_DIAMETER / wide),
        _figure(pipes.roughness[at], _UNKNOWN_ROUGHNESS),
        _figure(own.minor.get(at, 0.0) if own is not None else 0.0),
        "CV" if one_way else "Closed" if pipes.closed[at] else "Open",
    )
    return "\t".join((link[at], name[pipes.start[at]], name[pipes.end[at]], *figures, f";{comment}"))


def _tank(network: Network, name: _Names, at: int, long: float) -> str:
    tanks = network.tanks
    node = int(tanks.node[at])
    figures = (
        network.nodes.elevation[node],
        tanks.initial[at],
        tanks.lowest[at],
        tanks.highest[at],
        tanks.diameter[at],
    )
    return "\t".join((name[node], *(_figure(each / long, 0) for each in figures), tanks.parameters[at]))


def _link_lines(links: Links, name: _Names, link: _Names, first: int) -> list[str]:
    rows = zip(links.start, links.end, links.parameters, strict=True)
    return [f"{link[first + at]}\t{name[a]}\t{name[b]}\t{words}" for at, (a, b, words) in enumerate(rows)]
