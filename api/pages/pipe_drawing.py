"""The picture of a pipe network: lines by block, what sits on them, where something is wrong; to scale, north up.

Drawn by the server from the network's own plane, so that it needs neither the internet nor a script, and a network that
no map knows the place of has one too. Everything in it stands in words beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from analytics.leaks.network.pipes import Floats, Network
from analytics.leaks.network.problems import Problem

WIDTH = 900
_LEAST, _MOST = 260, 680  # height
_MARGIN = 24
_COLOURS = 6
_SCALES = (10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)  # m
_FINEST = 0.7  # of a unit of the picture: nobody sees a bend that is smaller


@dataclass(frozen=True, slots=True)
class Part:
    """The pipes of a block (None: of none): `path` of an SVG, `colour` 0 to 5, and where its name stands. `shade`: the
    class of what the picture shows of blocks; None: not known.
    """

    block: str | None
    colour: int
    path: str
    x: float
    y: float
    shade: int | None = None


@dataclass(frozen=True, slots=True)
class Mark:
    """A fixture (`kind`), or a problem or a stop with its `number` in the list."""

    kind: str
    x: float
    y: float
    number: int = 0


@dataclass(frozen=True, slots=True)
class Span:
    """A way between two places `a` and `b`, and the part of it where something was `heard`, '' nowhere."""

    path: str
    heard: str
    a: tuple[float, float]
    b: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Drawing:
    """`closed` pipes again, and the `searched` ones; `links`: pumps and valves of a hydraulic model, which are as long
    as a pipe. `bar` m is `bar_width` units long. `spans` in the order they were given, `sections`
    that stand out.
    """

    width: int
    height: int
    parts: tuple[Part, ...]
    closed: str
    links: str
    marks: tuple[Mark, ...]
    bar: int
    bar_width: float
    searched: str = ""
    spans: tuple[Span, ...] = ()
    sections: str = ""


def draw(
    network: Network,
    problems: Sequence[tuple[int, Problem]] = (),
    *,
    area: Sequence[int] = (),
    stops: Sequence[tuple[float, float]] = (),
    shades: Mapping[str, int] = MappingProxyType({}),
    spans: Sequence[tuple[Sequence[Floats], Sequence[Floats]]] = (),
    sections: Sequence[Floats] = (),
) -> Drawing | None:
    """`problems` with their numbers; None where no pipe has a place. `area`: pipes to be searched, which fill the
    picture; `stops` are numbered from 1; `shades` of blocks. `spans`: the lines of ways as one walks
    them, at least one each, and of the part in which something was heard. `sections`: lines that stand out.
    """
    pipes = network.pipes
    placed = [at for at, line in enumerate(pipes.lines) if np.isfinite(line).all()]
    searched = sorted(set(area) & set(placed))
    if not placed or (area and not searched):
        return None
    # Of blocks that are compared only what belongs to one: a trunk main to the next valley would make them small.
    framed = searched or [at for at in placed if shades and pipes.block[at] is not None] or placed
    places = np.concatenate(
        [*(pipes.lines[at] for at in framed), *(line for lines, _ in spans for line in lines), *sections]
    )
    drawn = placed if not searched else _near(network, placed, places)
    low, high = places.min(axis=0), places.max(axis=0)
    size = np.maximum(high - low, 1.0)
    scale = (WIDTH - 2 * _MARGIN) / size[0]
    height = round(min(max(size[1] * scale + 2 * _MARGIN, _LEAST), _MOST))
    scale = min(scale, (height - 2 * _MARGIN) / size[1])
    middle = (low + high) / 2

    def at(xy: Floats) -> Floats:
        moved = (xy - middle) * scale * (1, -1) + (WIDTH / 2, height / 2)
        rounded: Floats = np.round(moved, 1)
        return rounded

    blocks = dict.fromkeys(sorted(each for each in set(pipes.block) if each is not None))
    parts = []
    for colour, block in enumerate([*blocks, None]):
        of_it = [n for n in drawn if pipes.block[n] == block]
        if of_it:
            lines = [at(pipes.lines[n]) for n in of_it]
            x, y = np.concatenate(lines).mean(axis=0).round(1).tolist()
            parts.append(Part(block, colour % _COLOURS, _path(lines), x, y, shades.get(block or "")))
    closed = _path(at(pipes.lines[n]) for n in drawn if pipes.closed[n])
    marks = [
        Mark(kind, *at(xy).tolist())
        for kind, xy in zip(network.fixtures.kind, network.fixtures.xy, strict=True)
        if np.isfinite(xy).all()
    ]
    links = []
    for table in (network.valves, network.pumps):
        for a, b, kind in zip(table.start, table.end, table.kind, strict=True):
            ends = network.nodes.xy[[a, b]]
            if np.isfinite(ends).all():
                links.append(at(ends))
                marks.append(Mark("pump" if kind == "PUMP" else "valve", *at(ends.mean(axis=0)).tolist()))
    for node, kind in (*((n, "tank") for n in network.tanks.node), *((n, "tank") for n in network.reservoirs.node)):
        if np.isfinite(network.nodes.xy[node]).all():
            marks.append(Mark(kind, *at(network.nodes.xy[node]).tolist()))
    for number, each in problems:
        if each.xy is not None:
            x, y = at(np.array(each.xy)).tolist()
            if 0 <= x <= WIDTH and 0 <= y <= height:
                marks.append(Mark("problem", x, y, number))
    for number, xy in enumerate(stops, start=1):
        if np.isfinite(xy).all():
            x, y = at(np.array(xy)).tolist()
            marks.append(Mark("stop", x, y, number))
    bar = max((each for each in _SCALES if each * scale <= WIDTH / 4), default=_SCALES[0])
    return Drawing(
        WIDTH,
        height,
        tuple(parts),
        closed,
        _path(links),
        tuple(marks),
        bar,
        round(bar * scale, 1),
        _path(at(pipes.lines[n]) for n in searched),
        tuple(_span([at(each) for each in lines], [at(each) for each in heard]) for lines, heard in spans),
        _path(at(each) for each in sections),
    )


def _span(lines: Sequence[Floats], heard: Sequence[Floats]) -> Span:
    (ax, ay), (bx, by) = lines[0][0].tolist(), lines[-1][-1].tolist()
    return Span(_path(lines), _path(heard), (ax, ay), (bx, by))


def _near(network: Network, placed: Sequence[int], places: Floats) -> list[int]:
    """The pipes that a picture of these places may show: those not wholly on one side, farther off than it is wide."""
    low, high = places.min(axis=0), places.max(axis=0)
    reach = max(float((high - low).max()), 1.0)
    return [
        n
        for n in placed
        if (network.pipes.lines[n].max(axis=0) >= low - reach).all()
        and (network.pipes.lines[n].min(axis=0) <= high + reach).all()
    ]


def _path(lines: Iterable[Floats]) -> str:
    pieces = []
    for line in lines:
        places = line.tolist()
        seen = [places[0]]
        for x, y in places[1:-1]:
            if abs(x - seen[-1][0]) + abs(y - seen[-1][1]) >= _FINEST:
                seen.append([x, y])
        seen.append(places[-1])
        pieces.append("M" + "L".join(f"{x:g} {y:g}" for x, y in seen))
    return "".join(pieces)
