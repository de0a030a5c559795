"""What a leak in a pipe would do to the pressures, by a hydraulic model of the network.

    with Model(network) as model:
        model.heads(hour, nodes)                             heads of a steady state, m
        model.drawn(hour)                                    what is used at each node, m3/h
        model.sensitivities(sensors, pipes, hours=)          (hours, pipes, sensors), m per m3/h
    sensitivities(network, sensors, pipes, hours)            their mean over the hours, (pipes, sensors)

A sensitivity is the change of head at a sensor for one m3/h that leaks from the middle of a pipe: below zero, for a
leak takes pressure away. It is taken between two solutions of EPANET, without the leak and with `leak` m3/h at a node;
the middle of a pipe is the mean of its ends, which is exact for small leaks: the loss along one pipe is even.

Limits: as good as the file (roughness, open and closed valves, demands); a state is steady, with the tanks at the
level the file begins with and pumps and valves as its status says, not as its controls would switch them later. Head
loss is not linear: at 20 m3/h a sensitivity is about a tenth larger than at 5, by day twice that of the night. Cost:
about 1 ms a node and hour in a network of 800 nodes.

Engine: EPANET 2.2 (US EPA, public domain) as the library wntr brings it. Method: R. Pérez et al., Control Engineering
Practice 19 (2011), leak sensitivity matrices.
"""

from __future__ import annotations

import logging
import re
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from analytics.leaks.network import inp, inp_text
from analytics.leaks.network.pipes import Floats, Hydraulics, Ints, Network

HOURS = (2.0, 4.0, 8.0, 13.0, 20.0)  # of the file's day: two of the night, when a leak shows, and three of the day
LEAK = 5.0  # m3/h: a leak worth the search

_STEADY = "_steady"  # a demand pattern that no hour changes
_BASE_DEMAND, _DEMAND, _HEAD = 1, 9, 10  # codes of EPANET's toolkit
_DURATION, _PATTERN_START = 0, 4
_RESTART, _CONTINUE = 10, 0  # flows begin anew: an hour must not depend on the one before


class ModelError(Exception):
    """The network cannot be calculated; the message says what EPANET says of it."""


class Model:
    """EPANET with a network in it. `demand` multiplies all demands, or (d,) each: what was measured over what the file
    has. `leaks` m3/h by pipe (index) that run all the time, as those already found do. A network without hydraulics is
    no model.
    """

    def __init__(
        self, network: Network, *, demand: float | Floats = 1.0, leaks: Mapping[int, float] | None = None
    ) -> None:
        if network.hydraulics is None:
            raise ModelError("the network has no demands and sources: it comes from a map, not from a hydraulic model")
        if not len(network.reservoirs) + len(network.tanks):
            raise ModelError("the network has neither a reservoir nor a tank: no water flows")
        self.network = network
        special = np.concatenate([network.reservoirs.node, network.tanks.node])
        self._junctions = np.setdiff1d(np.arange(len(network.nodes)), special)
        # EPANET counts junctions first, then reservoirs and tanks as written.
        self._place = np.empty(len(network.nodes), np.int64)
        self._place[np.concatenate([self._junctions, special])] = np.arange(1, len(network.nodes) + 1)
        self._is_junction = np.zeros(len(network.nodes), bool)
        self._is_junction[self._junctions] = True
        self._engine: Any = None  # wntr has no types
        self._standing = self._at_ends(leaks or {})
        self._flow, self._metres, _ = inp.scale(network.hydraulics.units)
        self._open(_with_steady(network, network.hydraulics, self._junctions, self._standing, demand))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends EPANET and removes its files. Once is enough; twice does no harm."""
        if self._engine is not None:
            self._engine.ENcloseH()
            self._engine.ENclose()
            self._engine = None  # whoever goes on gets a Python error, not EPANET's memory
        self._folder.cleanup()

    def heads(self, hour: float, nodes: npt.ArrayLike | None = None) -> Floats:
        """(k,) m: the head at each of `nodes` (index; None: all) at an hour of the file's day."""
        asked = np.arange(len(self.network.nodes)) if nodes is None else np.asarray(nodes, np.int64)
        self._begin(hour)
        return self._solved(self._place[asked])

    def drawn(self, hour: float) -> Floats:
        """(n,) m3/h: what is used at each node at an hour of the file's day, found leaks with it; 0 at sources."""
        self._begin(hour)
        found = np.zeros(len(self.network.nodes))
        for node in self._junctions.tolist():
            found[node] = self._engine.ENgetnodevalue(int(self._place[node]), _DEMAND) * self._flow
        return found

    def sensitivities(
        self,
        sensors: npt.ArrayLike,
        pipes: npt.ArrayLike | None = None,
        hours: Sequence[float] = HOURS,
        leak: float = LEAK,
    ) -> Floats:
        """(hours, pipes, sensors) m per m3/h. `sensors` are nodes, `pipes` pipes (index; None: all)."""
        own = self.network.pipes
        asked = np.arange(len(own)) if pipes is None else np.asarray(pipes, np.int64)
        read = self._place[np.asarray(sensors, np.int64)]
        ends, place = np.unique(np.stack([own.start[asked], own.end[asked]]), return_inverse=True)
        place = place.reshape(2, len(asked))
        found = np.zeros((len(hours), len(ends), len(read)))
        for at, hour in enumerate(hours):
            self._begin(hour)
            before = self._solved(read)
            for n, node in enumerate(ends):
                if not self._is_junction[node]:
                    continue  # a source holds its head, whatever leaks there
                self._set(node, self._standing.get(int(node), 0.0) + leak)
                found[at, n] = self._solved(read) - before
                self._set(node, self._standing.get(int(node), 0.0))
        result: Floats = (found[:, place[0]] + found[:, place[1]]) / (2 * leak)
        return result

    def _at_ends(self, leaks: Mapping[int, float]) -> dict[int, float]:
        nodes: dict[int, float] = {}
        for pipe, size in leaks.items():
            for node in (int(self.network.pipes.start[pipe]), int(self.network.pipes.end[pipe])):
                nodes[node] = nodes.get(node, 0.0) + size / 2
        return {node: size for node, size in nodes.items() if self._is_junction[node]}

    def _open(self, network: Network) -> None:
        # wntr takes over a second to import and most of the product does without it.
        from wntr.epanet.exceptions import EpanetException
        from wntr.epanet.toolkit import ENepanet

        logging.getLogger("wntr.epanet.toolkit").setLevel(logging.CRITICAL)  # one line a solution otherwise
        self._folder = tempfile.TemporaryDirectory(prefix="mimamori-epanet-")
        self._failures: type[Exception] = EpanetException
        file, report = (str(Path(self._folder.name, each)) for each in ("network.inp", "report.txt"))
        Path(file).write_text(inp_text.write(network), encoding="utf-8")
        try:
            engine = ENepanet()
        except OSError as error:  # wntr brings none for some processors
            self._folder.cleanup()
            raise ModelError(f"EPANET does not run on this machine: {error}") from None
        try:
            engine.ENopen(file, report, "")
            engine.ENsettimeparam(_DURATION, 0)
            engine.ENopenH()
        except EpanetException as error:
            with suppress(EpanetException):
                engine.ENclose()  # only then is the report on the disk
            said = Path(report).read_text(encoding="utf-8", errors="replace") if Path(report).exists() else ""
            self._folder.cleanup()
            raise ModelError(_first_error(said) or str(error)) from None
        self._engine = engine

    def _begin(self, hour: float) -> None:
        self._engine.ENcloseH()  # while it is open the time cannot be set
        self._engine.ENsettimeparam(_PATTERN_START, round(hour * 3600))
        self._engine.ENopenH()
        self._engine.ENinitH(_RESTART)
        self._solved(np.zeros(0, np.int64))

    def _solved(self, places: Ints) -> Floats:
        try:
            self._engine.ENinitH(_CONTINUE)
            self._engine.ENrunH()
        except self._failures as error:
            raise ModelError(f"the network cannot be solved: {error}") from None
        return np.array([self._engine.ENgetnodevalue(int(each), _HEAD) for each in places]) * self._metres

    def _set(self, node: int, flow: float) -> None:
        self._engine.ENsetnodevalue(int(self._place[node]), _BASE_DEMAND, flow / self._flow)


def sensitivities(
    network: Network, sensors: npt.ArrayLike, pipes: npt.ArrayLike | None = None, hours: Sequence[float] = HOURS
) -> Floats:
    """(pipes, sensors) m per m3/h, the mean over the hours."""
    with Model(network) as model:
        result: Floats = model.sensitivities(sensors, pipes, hours).mean(axis=0)
        return result


def _with_steady(
    network: Network, own: Hydraulics, junctions: Ints, standing: Mapping[int, float], demand: float | Floats
) -> Network:
    """The network with one more demand at each junction, that no pattern and no factor changes: the leak's. It comes
    first, for that is the one EPANET's toolkit sets. Solved to a precision at which a small leak is no rounding.
    """
    options, factor = [], demand
    for line in own.sections.get("OPTIONS", ()):
        words = line.split()
        if words[0].upper() == "DEMAND" and len(words) > 2 and words[1].upper() == "MULTIPLIER":
            factor = factor * float(words[2])
        elif words[0].upper() not in ("ACCURACY", "TRIALS", "QUALITY", "HYDRAULICS", "MAP"):
            options.append(line)
    sections = {
        **own.sections,
        "OPTIONS": (*options, "Accuracy 1e-6", "Trials 200"),
        "PATTERNS": (*own.sections.get("PATTERNS", ()), f"{_STEADY} 1"),
    }
    hydraulics = replace(
        own,
        demand_node=np.concatenate([junctions, own.demand_node]),
        demand=np.concatenate([[standing.get(int(each), 0.0) for each in junctions], own.demand * factor]),
        demand_pattern=(*[_STEADY] * len(junctions), *own.demand_pattern),
        sections=sections,
    )
    return replace(network, hydraulics=hydraulics)


def _first_error(report: str) -> str:
    found = re.search(r"Error \d+.*(?:\n\s+.*)?", report)
    return " ".join(found.group().split()) if found else ""
