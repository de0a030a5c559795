"""Layers of a town's GIS -> a network: ends that meet become nodes, points find their pipe, areas become blocks.

    assemble(layers, system=, bounds=) -> (Network, [Problem, ...])

Ends within 1 cm of each other are one node. An end that lies on the middle of a pipe (1 cm) divides it there; its parts
are called `name#1`, `name#2`, each with its share of the stated length. An end that comes near without touching is
left as it is and told (`checks`): whether the pipes are joined is known in the field, not here.

Lines are pipes, areas blocks; a point is what its kind, or else the name of its file, says. A feature that cannot be
used is left out and told, never guessed. Without a column for the block, a pipe is in the block that its middle is in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from analytics.leaks.network import attributes, coordinates
from analytics.leaks.network.layers import Feature, Layer, LayerError
from analytics.leaks.network.pipes import Blocks, Fixtures, Floats, Ints, Network, Nodes, Pipes
from analytics.leaks.network.problems import Problem
from analytics.leaks.network.touching import length, nearest

MEET = 0.01  # m: ends this near are one node
ON_PIPE = 1.0  # m: a valve this near to a pipe is on it

Bounds = tuple[float, float, float, float]  # longitude, latitude, longitude, latitude
_WORLD = 2e7  # m: no place is further from any other
_MARGIN = 0.05  # degrees around the town, some 5 km: water may come from the neighbour


@dataclass(frozen=True, slots=True)
class _Drawn:
    """A line with what its feature says."""

    file: str
    name: str
    line: Floats
    said: Mapping[str, str]
    length: float


def assemble(
    layers: Sequence[Layer], *, system: str | int | None = None, bounds: Bounds | None = None
) -> tuple[Network, list[Problem]]:
    """`system`: of files that do not state theirs. `bounds`: of the town; what lies outside is told, not left out.
    LayerError where there is no pipe or no coordinate system.
    """
    problems: list[Problem] = []
    plane, placed = _in_plane(layers, system, problems)
    if bounds is not None:
        _outside(plane, placed, bounds, problems)
    drawn: list[_Drawn] = []
    points: list[tuple[str, str, str, Floats, Mapping[str, str]]] = []
    areas: list[tuple[str, Floats]] = []
    names: dict[str, int] = {}
    columns: set[str] = set()
    for layer, feature in placed:
        said = attributes.known(feature.said, short=layer.short)
        name = said.get("name") or f"{layer.file}:{feature.number}"
        if feature.form is None:
            problems.append(Problem("geometry", layer.file, name))
        elif feature.form == "line":
            columns |= said.keys()
            drawn += _lines(layer.file, name, feature, said, names, problems)
        elif feature.form == "area":
            areas += [(said.get("block") or said.get("name") or name, ring) for ring in feature.parts]
        else:
            kind = attributes.fixture_kind(said.get("kind", "")) or attributes.fixture_kind(f"{layer.file} {name}")
            if kind is None:
                problems.append(Problem("kind", layer.file, name, {"kind": said.get("kind", "")}, _first(feature)))
            else:
                points += [(layer.file, name, kind, part, feature.said) for part in feature.parts]
    if not drawn:
        raise LayerError(layers[0].file, "empty")
    wanted = ("material", "diameter", "year", *(() if areas else ("block",)))
    problems += [Problem("columns", values={"column": each}) for each in wanted if each not in columns]
    return _network(plane, drawn, points, areas, problems), problems


def _in_plane(
    layers: Sequence[Layer], system: str | int | None, problems: list[Problem]
) -> tuple[int, list[tuple[Layer, Feature]]]:
    systems = []
    for layer in layers:
        said = layer.system or system
        if said is None:
            raise LayerError(layer.file, "system")
        crs = coordinates.system(said)
        if coordinates.old(crs):
            problems.append(Problem("datum", layer.file))
        systems.append(crs)
    plane = 0
    placed = []
    for layer, crs in zip(layers, systems, strict=True):
        for feature in layer.features:
            if feature.parts and not plane:
                place = coordinates.between(crs, coordinates.WGS84, feature.parts[0][:1])[0]
                if not np.isfinite(place).all():
                    raise LayerError(layer.file, "range")
                plane = coordinates.plane_near(*place)
            parts = tuple(coordinates.between(crs, plane, part) for part in feature.parts)
            good = all((np.abs(part) < _WORLD).all() for part in parts)  # inf and NaN are not
            placed.append((layer, Feature(feature.number, feature.form if good else None, parts, feature.said)))
    return plane, placed


def _outside(plane: int, placed: list[tuple[Layer, Feature]], bounds: Bounds, problems: list[Problem]) -> None:
    where = [(layer, feature) for layer, feature in placed if feature.form is not None]
    if not where:
        return
    # The two ends of each: a line between two places in the town is in the town.
    ends = np.array([[feature.parts[0][0], feature.parts[-1][-1]] for _, feature in where])
    at = coordinates.between(plane, coordinates.WGS84, ends.reshape(-1, 2)).reshape(-1, 2, 2)
    low, high = np.array(bounds[:2]) - _MARGIN, np.array(bounds[2:]) + _MARGIN
    for (layer, feature), places in zip(where, at, strict=True):
        beyond = [place for place in places if not ((place >= low) & (place <= high)).all()]
        if beyond:
            name = attributes.known(feature.said, short=layer.short).get("name") or f"{layer.file}:{feature.number}"
            values = {"longitude": round(float(beyond[0][0]), 5), "latitude": round(float(beyond[0][1]), 5)}
            problems.append(Problem("outside", layer.file, name, values, _first(feature)))


def _first(feature: Feature) -> tuple[float, float]:
    return float(feature.parts[0][0, 0]), float(feature.parts[0][0, 1])


def _lines(
    file: str, name: str, feature: Feature, said: Mapping[str, str], names: dict[str, int], problems: list[Problem]
) -> Iterator[_Drawn]:
    stated = attributes.number(said["length"]) if "length" in said else None
    for meaning in ("diameter", "length"):
        if meaning in said and attributes.number(said[meaning]) is None:
            values = {"column": meaning, "text": said[meaning][:40]}
            problems.append(Problem("number", file, name, values, _first(feature)))
    if "year" in said and not attributes.year(said["year"]) and said["year"].strip("0 .") != "":
        values = {"column": "year", "text": said["year"][:40]}
        problems.append(Problem("number", file, name, values, _first(feature)))
    whole = sum(length(part) for part in feature.parts)
    for part in feature.parts:
        unique = name
        while unique in names:  # a name of three pipes: a, a#2, a#3
            names[name] += 1
            unique = f"{name}#{names[name]}"
        if unique != name and len(feature.parts) == 1:
            problems.append(Problem("named_twice", file, name, {"name": unique}, _first(feature)))
        names.setdefault(unique, 1)
        share = length(part) / whole if whole > 0 else 1 / len(feature.parts)
        yield _Drawn(file, unique, part, said, stated * share if stated else length(part))


def _network(
    plane: int,
    drawn: list[_Drawn],
    points: list[tuple[str, str, str, Floats, Mapping[str, str]]],
    areas: list[tuple[str, Floats]],
    problems: list[Problem],
) -> Network:
    places, start, end = _meeting([each.line for each in drawn])
    drawn, start, end = _divided(drawn, places, start, end, problems)
    rings = [ring for _, ring in areas]
    blocks = [each.said.get("block") or _inside(_middle(each.line), areas) for each in drawn]
    pipes = Pipes(
        tuple(each.name for each in drawn),
        start,
        end,
        np.array([each.length for each in drawn]),
        np.array([_or_unknown(each.said.get("diameter")) for each in drawn]),
        tuple(attributes.material(each.said["material"]) if "material" in each.said else None for each in drawn),
        np.array([attributes.year(each.said.get("year", "")) for each in drawn], np.int64),
        tuple(blocks),
        np.full(len(drawn), np.nan),
        np.array([each.said.get("closed", "") in ("閉", "全閉", "closed", "CLOSED") for each in drawn], bool),
        tuple(each.line for each in drawn),
    )
    xy = np.array([part[0] for *_, part, _ in points]).reshape(-1, 2)
    on = nearest(xy, pipes.lines, ON_PIPE)
    fixtures = Fixtures(
        tuple(name for _, name, *_ in points),
        tuple(kind for _, _, kind, *_ in points),
        xy,
        on.line,
        tuple(dict(said) for *_, said in points),
    )
    nodes = Nodes(tuple(f"n{at + 1}" for at in range(len(places))), places, np.full(len(places), np.nan))
    return Network(
        nodes, pipes, fixtures=fixtures, blocks=Blocks(tuple(name for name, _ in areas), tuple(rings)), epsg=plane
    )


def _or_unknown(text: str | None) -> float:
    """A diameter of 0 is how a GIS without NULL says that it is not known."""
    return attributes.number(text or "") or np.nan


def _meeting(lines: Sequence[Floats]) -> tuple[Floats, Ints, Ints]:
    """Places of the nodes, and the nodes at which each line starts and ends."""
    from scipy.sparse import coo_array  # loaded by who reads a network
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import cKDTree

    ends = np.concatenate([[line[0] for line in lines], [line[-1] for line in lines]])
    pairs = cKDTree(ends).query_pairs(MEET, output_type="ndarray")
    graph = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(len(ends), len(ends)))
    count, node = connected_components(graph, directed=False)
    places = np.empty((count, 2))
    places[node[::-1]] = ends[::-1]  # the first end there gives the place
    node = node.astype(np.int64)
    return places, node[: len(lines)], node[len(lines) :]


def _divided(
    drawn: list[_Drawn], places: Floats, start: Ints, end: Ints, problems: list[Problem]
) -> tuple[list[_Drawn], Ints, Ints]:
    own: dict[int, set[int]] = {}
    for at, (a, b) in enumerate(zip(start.tolist(), end.tolist(), strict=True)):
        own.setdefault(a, set()).add(at)
        own.setdefault(b, set()).add(at)
    touch = nearest(places, [each.line for each in drawn], MEET, but=own)
    joins: dict[int, list[tuple[float, int]]] = {}
    for node in np.flatnonzero(touch.line >= 0).tolist():
        joins.setdefault(int(touch.line[node]), []).append((float(touch.along[node]), node))
    result: list[_Drawn] = []
    ends: list[tuple[int, int]] = []
    for at, each in enumerate(drawn):
        cuts = sorted(joins.get(at, ()))
        if not cuts:
            result.append(each)
            ends.append((int(start[at]), int(end[at])))
            continue
        values = {"parts": len(cuts) + 1}
        problems.append(
            Problem("split", each.file, each.name, values, (float(each.line[0, 0]), float(each.line[0, 1])))
        )
        nodes = [int(start[at]), *(node for _, node in cuts), int(end[at])]
        whole = length(each.line)
        for part, piece in enumerate(_cut(each.line, [along for along, _ in cuts]), start=1):
            share = length(piece) / whole if whole > 0 else 1 / (len(cuts) + 1)
            result.append(_Drawn(each.file, f"{each.name}#{part}", piece, each.said, each.length * share))
            ends.append((nodes[part - 1], nodes[part]))
    return result, np.array([a for a, _ in ends], np.int64), np.array([b for _, b in ends], np.int64)


def _cut(line: Floats, at: Sequence[float]) -> Iterator[Floats]:
    """The pieces of a line divided at some metres along it, in order."""
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
    stops = [0.0, *at, float(along[-1])]
    cuts = np.column_stack([np.interp(stops, along, line[:, axis]) for axis in (0, 1)])
    for n in range(len(stops) - 1):
        between = line[(along > stops[n]) & (along < stops[n + 1])]
        yield np.concatenate([cuts[n : n + 1], between, cuts[n + 1 : n + 2]])


def _middle(line: Floats) -> Floats:
    first, *_ = _cut(line, [length(line) / 2])
    middle: Floats = first[-1]
    return middle


def _inside(place: Floats, areas: Sequence[tuple[str, Floats]]) -> str | None:
    """The area a place is in, by how often a ray to the east leaves it."""
    x, y = place
    for name, ring in areas:
        (x1, y1), (x2, y2) = ring[:-1].T, ring[1:].T
        over = (y1 > y) != (y2 > y)
        cross = x1[over] + (y - y1[over]) / (y2[over] - y1[over]) * (x2[over] - x1[over])
        if np.count_nonzero(cross > x) % 2:
            return name
    return None
