"""EPANET's network file (.inp), read (`inp_text` writes it).

    read(path) -> Network
    parse(text, name) -> Network       what cannot be read is an InpError: file, line, what is wrong
    scale(units) -> (m3/h, m, mm)      what one of its flow unit, of its lengths and of its diameters is

Of units only metric figures leave this module: lengths and heads in m, diameters in mm, demands in m3/h, whatever flow
unit the file states (GPM and its kin mean feet and inches; without a statement EPANET's rule is GPM). Places are the
file's own. What the pipes do not need (patterns, curves, controls, options) is kept as it stands.

EPANET knows no material, year or block. They stand in the comment behind a pipe, `;material=DIP; year=1987;
block=中央`, and the block also as its [TAGS] word, which is where other programs look. A tag of a pipe is its block.

Format: L. Rossman et al., EPANET 2.2 User Manual (EPA/600/R-20/133), appendix C.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from analytics.leaks.network.pipes import Floats, Hydraulics, Ints, Links, Network, Nodes, Pipes, Reservoirs, Tanks

# m3/h of one unit of flow, and whether the file's lengths are metres.
_UNITS = {
    "CFS": (101.940648, False), "GPM": (0.227124707, False), "MGD": (157.725491, False), "IMGD": (189.42041, False),
    "AFD": (51.3950655, False), "LPS": (3.6, True), "LPM": (0.06, True), "MLD": (41.6666667, True), "CMH": (1.0, True),
    "CMD": (1 / 24, True),
}  # fmt: skip
_FOOT, _INCH = 0.3048, 25.4
_KEPT = ("STATUS", "PATTERNS", "CURVES", "CONTROLS", "RULES", "ENERGY", "EMITTERS", "TIMES", "OPTIONS")
_READ = ("JUNCTIONS", "RESERVOIRS", "TANKS", "PIPES", "PUMPS", "VALVES", "TAGS", "DEMANDS", "COORDINATES", "VERTICES")
_SAID = re.compile(r"(material|year|block|diameter)\s*=\s*([^;]*)")


class InpError(ValueError):
    """A network file that cannot be read. `file`, `line` (from 1; None: the whole file), `code` and what it is about:

    missing    a value is missing          number     not a number            node     there is no such node
    twice      the name was used before    units      an unknown flow unit    empty    no pipes in it
    """

    def __init__(self, file: str, line: int | None, code: str, about: str) -> None:
        place = file if line is None else f"{file}, line {line}"
        super().__init__(f"{place}: {_ERRORS[code].format(about=about)}")
        self.file, self.line, self.code, self.about = file, line, code, about


_ERRORS = {
    "missing": "a value is missing: {about}",
    "number": "{about} is not a number",
    "node": "there is no node {about}",
    "twice": "the name {about} is used twice",
    "units": "unknown flow unit {about}",
    "empty": "no pipes in it ({about})",
}


@dataclass(slots=True)
class _Line:
    number: int
    words: list[str]
    comment: str
    text: str


@dataclass(slots=True)
class _File:
    """The lines of a file by section, and how to complain about one."""

    name: str
    sections: dict[str, list[_Line]]
    nodes: dict[str, int] = field(default_factory=dict)

    def of(self, section: str) -> Iterator[_Line]:
        return iter(self.sections.get(section, ()))

    def number(self, line: _Line, at: int, default: float | None = None) -> float:
        if at >= len(line.words):
            if default is None:
                raise InpError(self.name, line.number, "missing", line.text.strip())
            return default
        try:
            value = float(line.words[at])
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise InpError(self.name, line.number, "number", line.words[at])
        return value

    def node(self, line: _Line, at: int) -> int:
        if at >= len(line.words):
            raise InpError(self.name, line.number, "missing", line.text.strip())
        try:
            return self.nodes[line.words[at]]
        except KeyError:
            raise InpError(self.name, line.number, "node", line.words[at]) from None


def scale(units: str) -> tuple[float, float, float]:
    """m3/h of one of a flow unit, and metres and millimetres of one of the lengths and diameters that go with it.

    >>> scale("LPS"), scale("CFS")[1:]
    ((3.6, 1.0, 1.0), (0.3048, 25.4))
    """
    flow, metric = _UNITS[units]
    return (flow, 1.0, 1.0) if metric else (flow, _FOOT, _INCH)


def read(path: Path) -> Network:
    """The network of a file in UTF-8 or, as Windows programs write it in Japan, CP932. OSError, InpError."""
    return parse(decoded(path.read_bytes()), path.name)


def decoded(data: bytes) -> str:
    """The text of a file, in UTF-8 or CP932."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp932", errors="replace")


def parse(text: str, name: str) -> Network:
    """The network of a file's text; `name` stands in errors.

    >>> parse("[JUNCTIONS]\\nA 12\\nB 10\\n[PIPES]\\nP1 A C 100 75 130", "town.inp")
    Traceback (most recent call last):
    analytics.leaks.network.inp.InpError: town.inp, line 5: there is no node C
    """
    file = _File(name, _sections(text))
    units = _units(file)
    flow, long, wide = scale(units)
    nodes, tanks, reservoirs = _nodes(file, long)
    pipes = _pipes(file, nodes.xy, long, wide)
    if not len(pipes):
        raise InpError(name, None, "empty", "[PIPES]")
    kept = {each: tuple(line.text for line in file.of(each)) for each in _KEPT if file.sections.get(each)}
    lines = list(file.of("PIPES"))
    minor = {at: file.number(line, 6, 0.0) for at, line in enumerate(lines) if len(line.words) > 7}
    hydraulics = Hydraulics(
        units,
        *_demands(file, flow),
        kept,
        {at: value for at, value in minor.items() if value},
        frozenset(at for at, line in enumerate(lines) if line.words[-1].upper() == "CV"),
    )
    return Network(
        nodes=nodes,
        pipes=pipes,
        valves=_links(file, "VALVES", lambda words: words[4].upper() if len(words) > 4 else "PRV"),
        pumps=_links(file, "PUMPS", lambda _: "PUMP"),
        tanks=tanks,
        reservoirs=reservoirs,
        hydraulics=hydraulics,
    )


def _sections(text: str) -> dict[str, list[_Line]]:
    found: dict[str, list[_Line]] = {}
    section = ""
    for number, line in enumerate(text.splitlines(), start=1):
        stated, _, comment = line.partition(";")
        words = stated.split()
        if not words:
            continue
        if words[0].startswith("["):
            head = words[0].strip("[]").upper()
            # EPANET knows a section by its first letters.
            section = next((each for each in (*_READ, *_KEPT) if head[:4] == each[:4]), head)
            continue
        found.setdefault(section, []).append(_Line(number, words, comment, line.rstrip()))
    return found


def _units(file: _File) -> str:
    for line in file.of("OPTIONS"):
        if line.words[0].upper() == "UNITS" and len(line.words) > 1:
            units = line.words[1].upper()
            if units not in _UNITS:
                raise InpError(file.name, line.number, "units", line.words[1])
            return units
    return "GPM"


def _nodes(file: _File, long: float) -> tuple[Nodes, Tanks, Reservoirs]:
    elevation: list[float] = []
    tanks: list[tuple[int, list[float], str]] = []
    reservoirs: list[tuple[int, float, str]] = []

    def add(line: _Line, height: float) -> int:
        if line.words[0] in file.nodes:
            raise InpError(file.name, line.number, "twice", line.words[0])
        file.nodes[line.words[0]] = len(file.nodes)
        elevation.append(height)
        return len(file.nodes) - 1

    for line in file.of("JUNCTIONS"):
        add(line, file.number(line, 1, 0.0) * long)
    for line in file.of("RESERVOIRS"):
        head = file.number(line, 1, 0.0) * long
        reservoirs.append((add(line, head), head, " ".join(line.words[2:3])))
    for line in file.of("TANKS"):
        node = add(line, file.number(line, 1, 0.0) * long)
        tanks.append((node, [file.number(line, at, 0.0) * long for at in range(2, 6)], " ".join(line.words[6:])))
    xy = np.full((len(elevation), 2), np.nan)
    for line in file.of("COORDINATES"):
        xy[file.node(line, 0)] = file.number(line, 1), file.number(line, 2)
    initial, lowest, highest, diameter = np.array([each for _, each, _ in tanks]).reshape(-1, 4).T
    return (
        Nodes(tuple(file.nodes), xy, np.array(elevation)),
        Tanks(
            _ints([each for each, _, _ in tanks]),
            initial,
            lowest,
            highest,
            diameter,
            tuple(each for _, _, each in tanks),
        ),
        Reservoirs(
            _ints([each for each, _, _ in reservoirs]),
            np.array([each for _, each, _ in reservoirs]),
            tuple(each for _, _, each in reservoirs),
        ),
    )


def _pipes(file: _File, xy: Floats, long: float, wide: float) -> Pipes:
    vertices: dict[str, list[tuple[float, float]]] = {}
    for line in file.of("VERTICES"):
        vertices.setdefault(line.words[0], []).append((file.number(line, 1), file.number(line, 2)))
    tags = {line.words[1]: " ".join(line.words[2:]) for line in file.of("TAGS") if line.words[0].upper() == "LINK"}
    seen: set[str] = set()
    ends, figures, said, closed, lines = [], [], [], [], []
    for line in file.of("PIPES"):
        name = line.words[0]
        if name in seen:
            raise InpError(file.name, line.number, "twice", name)
        seen.add(name)
        start, end = file.node(line, 1), file.node(line, 2)
        ends.append((name, start, end))
        figures.append([file.number(line, at) for at in (3, 4, 5)])
        closed.append(line.words[-1].upper() == "CLOSED")
        said.append({key: value.strip() for key, value in _SAID.findall(line.comment)} | {"tag": tags.get(name, "")})
        lines.append(np.array([xy[start], *vertices.get(name, ()), xy[end]]))
    closed_later = {
        line.words[0] for line in file.of("STATUS") if len(line.words) > 1 and line.words[1].upper() == "CLOSED"
    }
    length, diameter, roughness = np.array(figures).reshape(-1, 3).T
    return Pipes(
        tuple(each for each, _, _ in ends),
        _ints([each for _, each, _ in ends]),
        _ints([each for _, _, each in ends]),
        length * long,
        np.where([each.get("diameter") == "unknown" for each in said], np.nan, diameter * wide),
        tuple(each.get("material") or None for each in said),
        _ints([int(each["year"]) if each.get("year", "").isdecimal() else 0 for each in said]),
        tuple(each.get("block") or each["tag"] or None for each in said),
        roughness,
        np.array([shut or name in closed_later for shut, (name, _, _) in zip(closed, ends, strict=True)], bool),
        tuple(lines),
    )


def _links(file: _File, section: str, kind: Callable[[Sequence[str]], str]) -> Links:
    lines = list(file.of(section))
    return Links(
        tuple(each.words[0] for each in lines),
        _ints([file.node(each, 1) for each in lines]),
        _ints([file.node(each, 2) for each in lines]),
        tuple(kind(each.words) for each in lines),
        tuple(" ".join(each.words[3:]) for each in lines),
    )


def _demands(file: _File, flow: float) -> tuple[Ints, Floats, tuple[str, ...]]:
    """[DEMANDS] of a node stand instead of what its [JUNCTIONS] line says."""
    rows: list[tuple[int, float, str]] = []
    several = {line.words[0] for line in file.of("DEMANDS")}
    for line in file.of("JUNCTIONS"):
        if line.words[0] not in several and len(line.words) > 2:
            rows.append((file.node(line, 0), file.number(line, 2) * flow, " ".join(line.words[3:4])))
    for line in file.of("DEMANDS"):
        rows.append((file.node(line, 0), file.number(line, 1) * flow, " ".join(line.words[2:3])))
    return _ints([each for each, _, _ in rows]), np.array([each for _, each, _ in rows]), tuple(p for _, _, p in rows)


def _ints(values: Sequence[int]) -> Ints:
    return np.array(values, np.int64)
