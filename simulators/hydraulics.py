"""The hydraulics of a distribution block: EPANET on its pipes, solved once, asked for ever.

Within a block nothing is stored, so that what flows and presses follows from what is drawn and what leaks at that
moment alone. `solve` lets EPANET (through wntr) work that out for a grid of demands and of openings at every node, and
`Table` interpolates between: a running town needs neither EPANET nor wntr, and answers in microseconds.

    network    the basemap's pipes (lengths, diameters, materials) and nodes (heights) of the block; the trunk main from
               the tank, a valve at the inlet that throttles, and the gauges behind it
    losses     Hazen-Williams; the throttle: K v^2 / 2g
    demand     shared out to the nodes by the length of the pipes that end there
    leakage    emitters, Q = C p^N1 with N1 = 1 (FAVAD, a town of mixed pipes): the background's at every node by its
               length of pipe, an opening's at its node, named by what it lets out at `USUAL_PRESSURE`
    pump       lifts water from a well to the tank by its curve and a rising main

Works badly for: a tank whose level changes by much (it is held at its usual one), pipes of which the age is known.

Sources: L. A. Rossman et al., EPANET 2.2 User Manual, EPA/600/R-20/133; K. A. Klise et al., "A software framework for
assessing the resilience of drinking water systems", Environmental Modelling & Software 95 (2017) (wntr); J. May,
"Pressure dependent leakage", World Water and Environmental Engineering (October 1994).
"""

from __future__ import annotations

import json
import tempfile
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from devices.model import MapShape
from simulators.errors import SimulatorError

if TYPE_CHECKING:
    from wntr.network import WaterNetworkModel

DEMANDS = (0.0, 2.0, 4.0, 7.0, 10.0, 15.0, 20.0, 25.0, 30.0, 36.0, 42.0, 50.0, 60.0, 72.0, 85.0)  # m3/h
OPENINGS = (0.0, 1.0, 2.0, 4.0, 8.0, 14.0, 22.0, 32.0)  # m3/h at the usual pressure
USUAL_PRESSURE = 380.0  # kPa
BACKGROUND = 4.0  # m3/h, at STATIC
STATIC = 460.0  # kPa
KPA_A_METRE = 9.80665
USUAL_LEVEL = 3.0  # m, of the tank: where its head counts from

# A valve of 150 mm at the inlet: as it stands, and half shut for works.
THROTTLES: Mapping[str, float] = {"usual": 150.0, "throttled": 260.0}
_VALVE_MM = 150.0
_SMOOTHNESS: Mapping[str, float] = {"DIP": 110.0, "HPPE": 130.0, "VP": 120.0}  # Hazen-Williams C, used pipes
_PUMP_POINT = (42.0, 58.0)  # m3/h, m: what the pump was bought for
_WELL, _RISING_M, _RISING_MM = 2.0, 900.0, 150.0  # m above T.P., m, mm
_HOUR = 3600


@dataclass(frozen=True, slots=True)
class Network:
    """What is solved: pipes as (name, from, to, length m, diameter mm, material), heights of nodes in m; the first pipe
    is the trunk main, which ends at the inlet.
    """

    block: str
    pipes: tuple[tuple[str, str, str, float, float, str], ...]
    heights: Mapping[str, float]

    @property
    def inlet(self) -> str:
        return self.pipes[0][2]

    @property
    def nodes(self) -> tuple[str, ...]:
        """Where something can be drawn or leak: all but the inlet."""
        return tuple(sorted(set(self.heights) - {self.inlet}))

    def digest(self) -> str:
        """Tells whether a table belongs to these pipes."""
        return sha256(repr((self.block, self.pipes, sorted(self.heights.items()))).encode()).hexdigest()[:16]

    def shares(self) -> dict[str, float]:
        """Of the demand and of the background leakage: half of every pipe to each of its ends, the sum is 1."""
        lengths = dict.fromkeys(self.nodes, 0.0)
        for _, start, end, length, _, _ in self.pipes[1:]:
            for node in (start, end):
                if node in lengths:
                    lengths[node] += length / 2
        whole = sum(lengths.values())
        return {node: length / whole for node, length in lengths.items()}


def network_of(shapes: Iterable[MapShape], block: str) -> Network | None:
    """The network of a block on a basemap; None where that has no pipes of it with their nodes, or no trunk main."""
    shapes = tuple(shapes)
    heights = {
        str(each.properties["code"]): float(each.properties.get("height_m", 0.0))
        for each in shapes
        if each.kind == "node" and each.properties["block"] == block
    }
    trunk: list[tuple[str, str, str, float, float, str]] = []
    inside: list[tuple[str, str, str, float, float, str]] = []
    for each in (shape.properties for shape in shapes if shape.kind == "pipe"):
        if not {"from", "to", "diameter_mm", "length_m"} <= set(each):
            continue
        pipe = (
            str(each.get("code", f"pipe {len(inside)}")), str(each["from"]), str(each["to"]),
            float(each["length_m"]), float(each["diameter_mm"]), str(each.get("material", "")),
        )  # fmt: skip
        if each["class"] == "trunk" and pipe[2] in heights:
            trunk.append(pipe)
        elif each.get("block") == block and pipe[1] in heights and pipe[2] in heights:
            inside.append(pipe)
    if not (trunk and inside):
        return None
    return Network(block, (trunk[0], *inside), heights)


@dataclass(frozen=True, slots=True)
class Grid:
    """A quantity on a grid of demands (rows) and openings (columns), m3/h each."""

    values: tuple[tuple[float, ...], ...]

    def at(self, demand: float, opening: float) -> float:
        """Between the grid's points linearly; beyond its edges the line goes on."""
        i, x = _between(DEMANDS, demand)
        j, y = _between(OPENINGS, opening)
        low, high = self.values[i], self.values[i + 1]
        return (1 - x) * ((1 - y) * low[j] + y * low[j + 1]) + x * ((1 - y) * high[j] + y * high[j + 1])


@dataclass(frozen=True, slots=True)
class Site:
    """What a block does that leaks at one node: inflow (m3/h), pressure at the inlet and at the node (kPa)."""

    inflow: Grid
    pressure: Grid


@dataclass(frozen=True, slots=True)
class Table:
    """The solved block. `sites` by throttle and node; `pump`: m3/h into the tank at so many metres of level."""

    digest: str
    sites: Mapping[str, Mapping[str, Site]]
    nodes: Mapping[str, tuple[float, ...]]  # pressure (kPa) by demand, nothing opened, the valve as usual
    pump: tuple[tuple[float, float], ...]

    def inflow(self, site: str, demand: float, opening: float, throttle: str = "usual") -> float:
        """m3/h: what is drawn and what leaks, with an opening of a size at a node."""
        return self.sites[throttle][site].inflow.at(demand, opening)

    def pressure(self, site: str, demand: float, opening: float, throttle: str = "usual") -> float:
        """kPa behind the inlet's valve."""
        return self.sites[throttle][site].pressure.at(demand, opening)

    def at_node(self, node: str, demand: float) -> float:
        """kPa at a node while nothing is opened."""
        i, x = _between(DEMANDS, demand)
        values = self.nodes[node]
        return (1 - x) * values[i] + x * values[i + 1]

    def pumped(self, level: float) -> float:
        """m3/h that the pump lifts into a tank of so many metres."""
        levels = [at for at, _ in self.pump]
        i, x = _between(levels, level)
        return (1 - x) * self.pump[i][1] + x * self.pump[i + 1][1]


def _between(points: Sequence[float], value: float) -> tuple[int, float]:
    i = min(max(bisect_right(points, value) - 1, 0), len(points) - 2)
    return i, (value - points[i]) / (points[i + 1] - points[i])


# --- the file ---------------------------------------------------------------------------------------------


@lru_cache(maxsize=4)
def read(path: Path) -> Table:
    """A table as `written` made it. SimulatorError where the file is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if (tuple(found["demands"]), tuple(found["openings"])) != (DEMANDS, OPENINGS):
            raise ValueError("it has another grid")
        return Table(
            found["digest"],
            {
                throttle: {node: Site(_grid(each["inflow"]), _grid(each["pressure"])) for node, each in sites.items()}
                for throttle, sites in found["sites"].items()
            },
            {node: tuple(values) for node, values in found["nodes"].items()},
            tuple((level, flow) for level, flow in found["pump"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SimulatorError(
            f"{path}: is no table of a solved network ({error}): python -m simulators.towns.solve writes it"
        ) from error


def written(table: Table) -> str:
    """The file's text, a node a line."""

    def grid(of: Grid) -> list[list[float]]:
        return [list(row) for row in of.values]

    def sites(of: Mapping[str, Site]) -> str:
        lines = (
            f'"{node}":{_dumped({"inflow": grid(each.inflow), "pressure": grid(each.pressure)})}'
            for node, each in of.items()
        )
        return "{\n" + ",\n".join(lines) + "\n}"

    throttles = ",\n".join(f'"{name}":{sites(each)}' for name, each in table.sites.items())
    head = {"digest": table.digest, "demands": DEMANDS, "openings": OPENINGS, "nodes": table.nodes, "pump": table.pump}
    return f'{_dumped(head)[:-1]},\n"sites":{{{throttles}}}}}\n'


def _dumped(thing: object) -> str:
    return json.dumps(thing, separators=(",", ":"))


def _grid(rows: Sequence[Sequence[float]]) -> Grid:
    values = tuple(tuple(float(value) for value in row) for row in rows)
    if len(values) != len(DEMANDS) or any(len(row) != len(OPENINGS) for row in values):
        raise ValueError("a grid is not whole")
    return Grid(values)


# --- EPANET -----------------------------------------------------------------------------------------------


def solve(network: Network, head: float, *, sites: Sequence[str] | None = None) -> Table:
    """Solves the block; `head` is that of the tank (m above T.P.) at its usual level, `sites` the nodes at which
    something may open (None: all). Some tenths of a second for each node. SimulatorError where EPANET finds none.
    """
    table: dict[str, dict[str, Site]] = {}
    nodes: dict[str, tuple[float, ...]] = {}
    for throttle, loss in THROTTLES.items():
        table[throttle] = {}
        for site in network.nodes if sites is None else sites:
            flows: list[list[float]] = []
            pressures: list[list[float]] = []
            for opening in OPENINGS:
                if opening == 0.0 and nodes and table[throttle]:  # nothing is opened: every node says the same
                    other = next(iter(table[throttle].values()))
                    flows.append([row[0] for row in other.inflow.values])
                    pressures.append([row[0] for row in other.pressure.values])
                    continue
                flow, pressure = _run(network, head, loss, site, opening)
                flows.append(flow)
                pressures.append(pressure[network.inlet])
                if not nodes:
                    nodes = {node: tuple(round(each, 1) for each in pressure[node]) for node in network.nodes}
            table[throttle][site] = Site(_turned(flows, 3), _turned(pressures, 2))
    return Table(network.digest(), table, nodes, _pump(head))


def _turned(columns: list[list[float]], digits: int) -> Grid:
    return Grid(tuple(tuple(round(value, digits) for value in row) for row in zip(*columns, strict=True)))


def _run(
    network: Network, head: float, loss: float, site: str, opening: float
) -> tuple[list[float], dict[str, list[float]]]:
    """Inflow (m3/h), and pressure (kPa) by node, for each of DEMANDS: an hour of EPANET's each."""
    model = _model(network, head, loss)
    if opening:
        junction = model.get_node(site)
        junction.emitter_coefficient = _emitter(junction.emitter_coefficient, opening, USUAL_PRESSURE)
    found = _solved(model, network.block)
    flow = [_HOUR * float(value) for value in found.link["flowrate"]["trunk-main"]]
    pressure = {
        node: [KPA_A_METRE * float(value) for value in found.node["pressure"][node]] for node in network.heights
    }
    if min(min(each) for each in pressure.values()) < 0:
        raise SimulatorError(
            f"the pipes of {network.block} cannot bring {DEMANDS[-1]:g} m3/h to every node: the pressure falls below "
            "zero; look at diameters and heights on the basemap"
        )
    return flow, pressure


def _emitter(already: float | None, size: float, pressure: float) -> float:
    """Of a hole that lets out `size` m3/h at a pressure, in m3/s and m, added to one that is there already."""
    return float(already or 0.0) + size / _HOUR / (pressure / KPA_A_METRE)


def _model(network: Network, head: float, loss: float) -> WaterNetworkModel:
    wntr = _wntr()
    model = wntr.network.WaterNetworkModel()
    model.options.hydraulic.emitter_exponent = 1.0
    model.options.hydraulic.headloss = "H-W"
    # In feet and gallons wntr converts emitters as if N1 were 0.5.
    model.options.hydraulic.inpfile_units = "CMH"
    model.options.time.duration = _HOUR * (len(DEMANDS) - 1)
    model.options.time.hydraulic_timestep = model.options.time.pattern_timestep = _HOUR
    model.options.time.report_timestep = _HOUR
    model.add_pattern("demand", [each / _HOUR for each in DEMANDS])
    model.add_reservoir("tank", base_head=head)
    model.add_junction("before-valve", base_demand=0.0, elevation=network.heights[network.inlet])
    for node, share in {network.inlet: 0.0, **network.shares()}.items():
        model.add_junction(node, base_demand=share, demand_pattern="demand", elevation=network.heights[node])
        if share:
            model.get_node(node).emitter_coefficient = _emitter(None, share * BACKGROUND, STATIC)
    _, _, _, length, diameter, material = network.pipes[0]
    _add_pipe(model, "trunk-main", "tank", "before-valve", length, diameter, material)
    model.add_valve(
        "inlet-valve", "before-valve", network.inlet, diameter=_VALVE_MM / 1000, valve_type="TCV",
        initial_setting=loss,
    )  # fmt: skip
    for name, start, end, length, diameter, material in network.pipes[1:]:
        _add_pipe(model, name, start, end, length, diameter, material)
    return model


def _add_pipe(
    model: WaterNetworkModel, name: str, start: str, end: str, length: float, diameter: float, material: str
) -> None:
    model.add_pipe(name, start, end, length, diameter / 1000, _SMOOTHNESS.get(material, 110.0))


def _pump(head: float) -> tuple[tuple[float, float], ...]:
    """What the pump gives at levels around the usual one of the tank."""
    wntr = _wntr()
    found = []
    for level in (0.0, 1.0, 2.0, 3.0, 4.0, 5.0):
        model = wntr.network.WaterNetworkModel()
        model.options.time.duration = 0
        model.add_reservoir("well", base_head=_WELL)
        model.add_reservoir("tank", base_head=head - USUAL_LEVEL + level)
        model.add_junction("pump-house", base_demand=0.0, elevation=_WELL)
        model.add_curve("pump", "HEAD", [(_PUMP_POINT[0] / _HOUR, _PUMP_POINT[1])])
        model.add_pump("pump", "well", "pump-house", "HEAD", "pump")
        _add_pipe(model, "rising-main", "pump-house", "tank", _RISING_M, _RISING_MM, "DIP")
        flow = _solved(model, "the pump").link["flowrate"]["pump"].iloc[0]
        found.append((level, round(_HOUR * float(flow), 2)))
    return tuple(found)


def _wntr() -> Any:
    """The library takes seconds to load, and only who solves needs it."""
    import wntr

    return wntr


def _solved(model: WaterNetworkModel, what: str) -> Any:
    with tempfile.TemporaryDirectory(prefix="mimamori-epanet-") as folder:
        try:
            return _wntr().sim.EpanetSimulator(model).run_sim(file_prefix=str(Path(folder) / "run"))
        except Exception as error:  # EPANET's errors come as several kinds, each with its words
            raise SimulatorError(f"EPANET finds no solution for {what}: {error}") from error
