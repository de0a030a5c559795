"""The land of the town: drawn from its plan alone, water runs down to the sea, and the pipes hang together."""

from __future__ import annotations

import math

import numpy as np
import pytest

from devices.model import StationKind, Town
from simulators.contours import area, areas_above, inside, simplified
from simulators.network import site, ways
from simulators.terrain import STEP
from simulators.towns import draw, plan


def test_the_basemap_is_what_the_plan_draws_and_small() -> None:
    text = draw.path().read_text("utf-8")
    assert text == draw.document(), "draw it again: python -m simulators.towns.draw"
    assert len(text.encode()) < 300_000


def test_every_drop_on_land_reaches_the_sea_downhill_or_through_a_filled_hollow() -> None:
    land = draw.land()
    heights, drains = land.height.ravel(), land.drains
    assert len(land.order) == np.count_nonzero(drains >= 0)
    reached = drains < 0
    for cell in land.order:
        assert reached[drains[cell]]
        reached[cell] = True
    assert reached.all() and (heights[drains < 0] < 0).all()


def test_a_catchment_is_all_that_drains_to_a_place_and_grows_downstream(town: Town) -> None:
    for river in plan.RIVERS:
        line = draw.course(river)
        sizes = [draw.land().above(place).sum() for place in line[:: len(line) // 4]]
        assert sizes == sorted(sizes)
    both = [draw.land().above(draw.last_on_land(draw.course(river))) for river in plan.RIVERS]
    assert not (both[0] & both[1]).any(), "no land drains to two rivers"


def test_the_town_file_says_of_its_gauges_what_the_land_says(town: Town) -> None:
    rivers = {river[0]: river for river in plan.RIVERS}
    gauges = [station for station in town.stations if station.kind is StationKind.RIVER_GAUGE]
    assert {station.river.river for station in gauges if station.river} == set(rivers)
    for station in gauges:
        assert station.river is not None and station.river.km_from_mouth is not None
        place = draw.km((station.longitude, station.latitude))
        line = draw.course(rivers[station.river.river])
        nearest = min(range(len(line)), key=lambda index: math.dist(line[index], place))
        assert math.dist(line[nearest], place) < 0.1, "a gauge stands at its river"
        way = sum(math.dist(a, b) for a, b in zip(line[nearest:], line[nearest + 1 :], strict=False))
        assert station.river.km_from_mouth == pytest.approx(way, abs=0.1)
        drained = draw.catchment_km2(place, rivers[station.river.river])
        assert station.river.catchment_km2 == pytest.approx(drained, abs=0.1)
        zero = station.thresholds[-1].gauge_zero_tp
        assert zero == pytest.approx(draw.land().at(place), abs=1.0)


def test_the_tank_stands_above_its_block_as_high_as_the_pressure_needs(town: Town) -> None:
    land = draw.land()
    nodes = draw.network().nodes
    assert land.at(draw.km(plan.TANK)) - max(node.height for node in nodes) > 40
    stations = {station.code: station for station in town.stations}
    assert (stations[plan.TANK_CODE].longitude, stations[plan.TANK_CODE].latitude) == plan.TANK
    assert (stations[plan.BLOCK_CODE].longitude, stations[plan.BLOCK_CODE].latitude) == plan.INLET


def test_every_node_is_fed_from_the_inlet_and_the_lengths_add_up_to_the_blocks(town: Town) -> None:
    found = draw.network()
    reached = ways([(pipe.start, pipe.end, pipe.length_m) for pipe in found.pipes], "inlet")
    assert set(reached) == {node.name for node in found.nodes}
    total = sum(pipe.length_m for pipe in found.pipes) / 1000
    block = next(station.block for station in town.stations if station.code == plan.BLOCK_CODE)
    assert block is not None and block.pipe_km == pytest.approx(total, abs=0.01)
    assert {pipe.diameter_mm for pipe in found.pipes} == {75, 100, 150} and found.trunk.end == "inlet"


def test_a_leak_is_at_a_node_that_the_seed_chooses(town: Town) -> None:
    places = {site(seed, plan.BLOCK_CODE, town.shapes) for seed in range(30)}
    assert len(places) > 5 and None not in places
    assert all(place is not None and place.way_m > 0 and place.node != "inlet" for place in places)
    assert site(1, "block-of-another", town.shapes) is None


def test_contours_enclose_what_is_above_them_with_its_holes() -> None:
    x = y = np.arange(40) * 0.1
    across, along = np.meshgrid(x, y)
    away = np.hypot(across - 2.0, along - 2.0)
    ring = np.where((away > 0.5) & (away < 1.2), 10.0, 0.0)
    ((outer, hole),) = areas_above(x, y, ring, 5.0, 0.01)
    assert area(outer) == pytest.approx(math.pi * 1.2**2, rel=0.1)
    assert area(hole) == pytest.approx(-math.pi * 0.5**2, rel=0.2)
    assert inside((3.0, 2.0), outer) and not inside((3.0, 2.0), hole) and inside((2.0, 2.0), hole)
    ((edge,),) = areas_above(x, y, np.full((40, 40), 9.0), 5.0, 0.01)
    assert area(edge) == pytest.approx(4.0**2, rel=0.02), "an area reaches the grid's edge"


def test_a_simplified_line_stays_near_itself() -> None:
    line = [(n / 10, math.sin(n / 10)) for n in range(200)]
    short = simplified(line, 0.02)
    assert len(short) < 60 and short[0] == line[0] and short[-1] == line[-1]
    heights = np.interp([p[0] for p in line], [p[0] for p in short], [p[1] for p in short])
    assert max(abs(height - p[1]) for height, p in zip(heights, line, strict=True)) < 0.05
    assert STEP < 0.1
