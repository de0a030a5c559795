"""The solved pipes: EPANET says again what the file says, water is conserved, pressure falls where more is drawn."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from devices.model import StationKind, Town
from simulators import hydraulics
from simulators.config import PERFECT, Scenario, SimulatorConfig
from simulators.errors import SimulatorError
from simulators.hydraulics import BACKGROUND, DEMANDS, OPENINGS, STATIC, USUAL_PRESSURE, Network, Table, read
from simulators.pipes import NIGHT_USER, Block
from simulators.towns import SOLVED
from simulators.towns.solve import HEAD, network
from simulators.world import World

ORIGIN = datetime(2026, 6, 20, 8, tzinfo=UTC)
TOKYO = ZoneInfo("Asia/Tokyo")


@pytest.fixture(scope="module")
def pipes() -> Network:
    return network()


@pytest.fixture(scope="module")
def table() -> Table:
    return read(SOLVED)


def block_of(town: Town, scenario: Scenario = Scenario.NORMAL) -> Block:
    config = SimulatorConfig("", 0, scenario=scenario, impairments=PERFECT)
    (block,) = World(config, town, ORIGIN).blocks.values()
    return block


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_epanet_says_the_same_again(pipes: Network, table: Table) -> None:
    again = hydraulics.solve(pipes, HEAD, sites=["n08"])
    assert again.digest == table.digest and again.pump == table.pump and again.nodes == table.nodes
    for throttle in hydraulics.THROTTLES:
        assert again.sites[throttle]["n08"] == table.sites[throttle]["n08"]


def test_what_flows_in_is_what_is_drawn_and_what_leaks(pipes: Network, table: Table) -> None:
    """Mass balance: leakage worked out from the nodes' own pressures, L = L0 p / p0."""
    shares = pipes.shares()
    assert sum(shares.values()) == pytest.approx(1.0)
    for demand in DEMANDS:
        leaks = sum(BACKGROUND * share * table.at_node(node, demand) / STATIC for node, share in shares.items())
        assert table.inflow("n08", demand, 0.0) == pytest.approx(demand + leaks, abs=0.02)


def test_an_opening_lets_out_its_size_at_the_usual_pressure(pipes: Network, table: Table) -> None:
    for node in pipes.nodes:
        for demand in (5.0, 45.0):
            more = table.inflow(node, demand, 4.0) - table.inflow(node, demand, 0.0)
            assert more == pytest.approx(4.0 * table.at_node(node, demand) / USUAL_PRESSURE, rel=0.06), node


def test_pressures_are_those_of_the_heights_and_fall_with_every_draw(pipes: Network, table: Table) -> None:
    for node, height in pipes.heights.items():
        if node in table.nodes:
            static = (HEAD - height) * hydraulics.KPA_A_METRE
            assert static - 5 < table.at_node(node, 0.0) <= static
            assert list(table.nodes[node]) == sorted(table.nodes[node], reverse=True)
    for throttle in hydraulics.THROTTLES:
        for site in table.sites[throttle].values():
            for row in site.pressure.values:
                assert list(row) == sorted(row, reverse=True) and row[-1] > 0
            columns = list(zip(*site.pressure.values, strict=True))
            assert all(list(column) == sorted(column, reverse=True) for column in columns)
    usual, shut = (table.pressure("n08", 45.0, 0.0, name) for name in hydraulics.THROTTLES)
    assert shut < usual - 20, "a valve that is half shut takes pressure"
    assert table.pressure("n08", 5.0, 0.0, "throttled") > table.pressure("n08", 5.0, 0.0) - 2, "but not at night"


def test_between_the_grids_points_it_is_between_their_values(table: Table) -> None:
    for demand in (1.0, 13.3, 84.0):
        low = max(each for each in DEMANDS if each <= demand)
        high = min(each for each in DEMANDS if each > demand)
        assert table.inflow("n08", low, 3.0) < table.inflow("n08", demand, 3.0) < table.inflow("n08", high, 3.0)
    assert table.inflow("n08", DEMANDS[-1] + 5, OPENINGS[-1] + 5) > table.inflow("n08", DEMANDS[-1], OPENINGS[-1])


def test_the_pump_gives_less_into_a_fuller_tank(table: Table) -> None:
    flows = [table.pumped(level) for level in (0.0, 1.5, 3.0, 4.5)]
    assert flows == sorted(flows, reverse=True) and 38 < flows[-1] < flows[0] < 50


def test_the_towns_block_is_the_solved_one_and_other_pipes_are_not_taken_for_it(town: Town) -> None:
    block = block_of(town)
    assert block.table is not None and block.site is not None and block.site.node in block.table.sites["usual"]
    moved = tuple(
        replace(shape, properties={**shape.properties, "diameter_mm": 200}) if shape.kind == "pipe" else shape
        for shape in town.shapes
    )
    (other,) = World(SimulatorConfig("", 0), replace(town, shapes=moved), ORIGIN).blocks.values()
    assert other.table is None, "nobody has solved these"
    assert 0 < other.drawn(ORIGIN) < 100


def test_the_blocks_flow_closes_and_the_ice_plant_works_on_weekday_nights(town: Town) -> None:
    block = block_of(town, Scenario.VALVE)
    for n in range(288):
        state = block.state(ORIGIN - timedelta(days=5) + n * timedelta(minutes=5))
        assert state.inflow == pytest.approx(state.demand + state.leakage)
        assert 3 < state.leakage < 6 and 300 < state.pressure < 465

    def at_night(day: int, hour: int) -> float:
        times = [datetime(2026, 6, day, hour, minute, tzinfo=TOKYO) for minute in range(0, 60, 5)]
        return sum(block.state(at).demand for at in times) / len(times)

    weekday, weekend = at_night(16, 23), at_night(20, 23)
    assert weekday - weekend > 0.5 * NIGHT_USER, "Tuesday and Saturday"


def test_a_half_shut_valve_takes_pressure_by_day_and_hardly_any_flow(town: Town) -> None:
    works, usual = block_of(town, Scenario.VALVE), block_of(replace(town, stations=town.stations), Scenario.LEAK)
    ((start, end),) = works.valves_shut(ORIGIN, ORIGIN + timedelta(days=1))
    evening = ORIGIN + timedelta(hours=2)  # 19:00 in the town
    assert start < evening < end and works.valve_shut(evening) and not works.valve_shut(end)
    leak = usual.leak(evening)
    assert leak > 0
    quiet = replace(works, origin=datetime(2100, 1, 1, tzinfo=UTC))
    assert quiet.state(evening).pressure - works.state(evening).pressure > 15
    assert works.state(evening).inflow == pytest.approx(quiet.state(evening).inflow, rel=0.02)


def test_a_burst_shows_in_flow_and_pressure_at_the_inlet(town: Town) -> None:
    block = block_of(town, Scenario.BURST)
    ((start, end, size),) = block.bursts(ORIGIN, ORIGIN + timedelta(days=1))
    quiet = replace(block, origin=datetime(2100, 1, 1, tzinfo=UTC))
    for hours in (0.5, 2, 5):
        at = start + timedelta(hours=hours)
        assert block.burst(at) == pytest.approx(size)
        assert block.state(at).inflow - quiet.state(at).inflow > 0.8 * size
        assert quiet.state(at).pressure - block.state(at).pressure > 10
    assert block.state(end + timedelta(minutes=5)).inflow < 1.3 * quiet.state(end + timedelta(minutes=5)).inflow


def test_a_file_that_is_no_table_is_named(tmp_path: Path) -> None:
    for text in ("", "{}", '{"demands": [], "openings": []}', SOLVED.read_text("utf-8").replace('"digest"', '"x"')):
        path = tmp_path / f"{len(text)}.json"
        path.write_text(text, "utf-8")
        with pytest.raises(SimulatorError, match=r"\.json: is no table of a solved network .*simulators\.towns\.solve"):
            read(path)
    with pytest.raises(SimulatorError, match="is no table"):
        read(tmp_path / "nothing.json")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_pipes_that_are_too_thin_are_named(pipes: Network) -> None:
    thin = tuple((a, b, c, d, 40.0, m) if n else (a, b, c, d, e, m) for n, (a, b, c, d, e, m) in enumerate(pipes.pipes))
    with pytest.raises(SimulatorError, match=r"block-hamamachi cannot bring .*diameters and heights"):
        hydraulics.solve(replace(pipes, pipes=thin), HEAD, sites=["n08"])


def test_a_basemap_without_nodes_or_trunk_main_has_no_network(town: Town) -> None:
    inlet = next(station.code for station in town.stations if station.kind is StationKind.BLOCK_INLET)
    assert hydraulics.network_of(town.shapes, inlet) is not None
    assert hydraulics.network_of(town.shapes, "elsewhere") is None
    without = [shape for shape in town.shapes if shape.properties.get("class") != "trunk"]
    assert hydraulics.network_of(without, inlet) is None
