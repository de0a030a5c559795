"""漏水調査: every stop once by a short way, what a case is worth, and how often suspects were right."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from analytics.leaks.cases.case import ENDED, FOUND, NOTHING, PLANNED, REPAIRED, UNDONE, Case, Step, loss
from analytics.leaks.cases.figures import figures
from analytics.leaks.cases.step_test import entries, steps
from analytics.leaks.cases.step_test import fed as hanging
from analytics.leaks.cases.walk import around, of_block, walk
from analytics.leaks.network.files import read_network
from analytics.leaks.network.inp import parse
from tests.analytics.pipe_networks import geojson

BEGAN = datetime(2026, 6, 1, tzinfo=UTC)


def test_a_walk_passes_every_valve_and_hydrant_and_the_middle_of_pipes_without() -> None:
    network = read_network({"town.geojson": geojson()}).network
    names = network.pipes.names
    found = walk(network, range(len(names)), first=names.index("枝2"))
    assert [(stop.kind, stop.name, stop.pipe) for stop in found.stops] == [
        ("pipe", "枝2", "枝2"),
        ("valve", "弁1", "本管2"),
        ("hydrant", "栓1", "本管1#2"),
        ("pipe", "本管1#1", "本管1#1"),
        ("pipe", "枝1", "枝1"),
    ]
    assert [stop.way for stop in found.stops] == pytest.approx([0, 160, 250, 100, 250], abs=0.5)
    assert (found.metres, found.km) == (pytest.approx(760, abs=1), pytest.approx(1.02, abs=0.01))
    assert {names[at] for at in of_block(network, "東")} == {"枝2"}
    assert {names[at] for at in around(network, names.index("枝2"), 200)} == {"枝2", "本管2"}
    assert walk(network, []).stops == ()
    # The block 中央 is fed from nowhere that the map knows; 東 hangs on it by one end, and so does it on 東.
    crossing = entries(network, of_block(network, "東"))
    assert len(crossing) == 1 and np.array_equal(entries(network, of_block(network, "中央")), crossing)


@given(st.lists(st.integers(1, 500), min_size=2, max_size=12), st.data())
def test_a_walk_along_one_street_goes_straight_and_elsewhere_leaves_nothing_out(
    lengths: list[int], data: st.DataObject
) -> None:
    """Also where valves divide the street, and where a file has no places at all."""
    valve = data.draw(st.integers(0, len(lengths)))
    nodes = [f" n{n}" for n in range(len(lengths) + 2)]
    at = [n + (n >= valve) for n in range(len(lengths))]
    pipes = [f" p{n} n{start} n{start + 1} {m} 75 130" for n, (start, m) in enumerate(zip(at, lengths, strict=True))]
    text = ["[OPTIONS]", " Units LPS", "[JUNCTIONS]", *nodes, "[PIPES]", *data.draw(st.permutations(pipes))]
    network = parse("\n".join([*text, "[VALVES]", f" v n{valve} n{valve + 1} 75 TCV 0 0"]), "street.inp")
    everything = range(len(lengths))
    straight = walk(network, everything, first=network.pipes.names.index("p0"))
    assert [stop.name for stop in straight.stops] == [f"p{n}" for n in range(len(lengths))]
    assert straight.metres == pytest.approx(sum(a + b for a, b in pairwise(lengths)) / 2, abs=0.01)
    begin = data.draw(st.sampled_from(everything))
    other = walk(network, everything, first=begin)
    assert other.stops[0].name == network.pipes.names[begin]
    assert sorted(stop.name for stop in other.stops) == sorted(network.pipes.names)
    # To the nearer end and back over everything is never longer than twice the street.
    assert other.metres <= 2 * sum(lengths) and np.isnan(other.stops[0].x)


@given(st.data())
def test_what_a_step_shuts_off_is_shut_off_and_the_steps_leave_what_they_say(data: st.DataObject) -> None:
    """A grid of streets with valves here and there: closed in that order, they leave the water what they say."""
    wide, high = data.draw(st.integers(2, 4)), data.draw(st.integers(2, 4))
    streets = [(x, y, x + 1, y) for x in range(wide - 1) for y in range(high)]
    streets += [(x, y, x, y + 1) for x in range(wide) for y in range(high - 1)]
    metres = data.draw(st.lists(st.integers(1, 300), min_size=len(streets), max_size=len(streets)))
    valved = data.draw(st.sets(st.integers(0, len(streets) - 1)))
    lines = {
        f"p{n}": (((300 * a, 300 * b), (300 * c, 300 * d)), {"延長": m, "ブロック": "中央"})
        for n, ((a, b, c, d), m) in enumerate(zip(streets, metres, strict=True))
    }
    points = {
        f"v{n}": ((150.0 * (streets[n][0] + streets[n][2]), 150.0 * (streets[n][1] + streets[n][3])), "仕切弁")
        for n in valved
    }
    network = read_network({"town.geojson": geojson(lines, points)}).network
    pipes, names = network.pipes, network.pipes.names
    inlet = int(pipes.start[names.index("p0")])
    found = steps(network, range(len(pipes)), inlet, data.draw(st.integers(1, 6)))

    def fed(closed: set[str]) -> float:
        """km that the inlet feeds; half of a closed pipe belongs to either end."""
        open_ = np.array([f"v{name[1:]}" not in closed for name in names])
        size = len(network.nodes)
        graph = sparse.csr_array((open_[open_].astype(float), (pipes.start[open_], pipes.end[open_])), (size, size))
        _, part = sparse.csgraph.connected_components(graph, directed=False)
        reached = part == part[inlet]
        return float((pipes.length * (reached[pipes.start].astype(float) + reached[pipes.end]) / 2).sum()) / 1000

    nights = [[each.key for each in (*found.first, *found.steps[:n])] for n in range(len(found.steps) + 1)]
    metres = hanging(network, range(len(pipes)), inlet, [data.draw(st.permutations(each)) for each in nights])
    assert metres is not None and hanging(network, range(len(pipes)), inlet, [[("v", "none")]]) is None
    assert metres.sum(axis=(1, 2)) / 1000 == pytest.approx([fed({valve for valve, _ in each}) for each in nights])
    # Left out, a step's pipes go with a later one, or stay.
    some = data.draw(st.lists(st.sampled_from(found.steps), unique=True)) if found.steps else []
    left = hanging(network, range(len(pipes)), inlet, [[each.key for each in some]])
    assert left is not None and left.sum() / 1000 == pytest.approx(fed({each.valve for each in some}))

    closed = {each.valve for each in found.first}
    assert fed(closed) == pytest.approx(found.km, abs=0.001), "opening the rings takes nothing out"
    for each in found.steps:
        before = fed(closed)
        closed.add(each.valve)
        assert fed(closed) == pytest.approx(each.left, abs=0.002)
        assert before - fed(closed) == pytest.approx(each.isolated, abs=0.003)
    assert found.apart == pytest.approx(0) and found.others == ()


def case(number: int, *steps: tuple[str, float, str | None, float | None], size: float | None = 2.0) -> Case:
    """Opened on the tenth day; a step is kind, day, what, km; an undone one undoes the one before it."""
    written = tuple(
        Step(n, kind, BEGAN + timedelta(days=day), what, None, None, km, "", undoes, BEGAN, "")
        for n, (kind, day, what, km) in enumerate(steps, start=1)
        for undoes in (n - 1 if kind == UNDONE else None,)
    )
    return Case(number, "A", None, None, (), None, BEGAN, size, "", BEGAN + timedelta(days=10), "", None, written)


def test_a_wrong_step_is_undone_and_the_state_is_the_one_before_it() -> None:
    steps = [(PLANNED, 11, None, None), (NOTHING, 12, None, 2.0), (UNDONE, 12, None, None), (FOUND, 12, "joint", 1.0)]
    states = [case(1, *steps[:n]).state for n in range(5)]
    assert states == ["candidate", "planned", "nothing", "planned", "found"]
    assert case(1, *steps).may == {"repaired", "note", "undone"} and case(1, *steps).walked_km == 1.0
    assert case(1).may == {"planned", "found", "nothing", "ended", "note"}, "nothing stands that could be undone"


def test_what_is_lost_ends_with_the_repair_and_a_suspect_that_was_none_has_lost_nothing() -> None:
    now = BEGAN + timedelta(days=20)
    found = (FOUND, 12.0, "joint", 1.0)
    assert loss(case(1), now) == 2.0 * 24 * 20
    assert loss(case(1, found, (REPAIRED, 15, None, None)), now) == 2.0 * 24 * 15
    assert loss(case(1, (ENDED, 12, "explained", None)), now) is None
    assert loss(case(1, size=None), now) is None, "not zero: nobody knows"


def test_what_was_no_leak_counts_and_what_was_opened_twice_does_not() -> None:
    cases = [
        case(1, (FOUND, 12, "joint", 3.0), (REPAIRED, 13, None, None)),
        case(2, (NOTHING, 11, None, 4.0), (FOUND, 16, "crack", 2.0)),
        case(3, (NOTHING, 11, None, 5.0), (ENDED, 12, "not_found", None)),
        case(4, (ENDED, 12, "twice", None)),
        case(5, (NOTHING, 11, None, 9.0)),
    ]
    found = figures(cases, {1: 80.0, 3: 10.0}, BEGAN + timedelta(days=30))
    assert (found.hits, found.wrong, found.rate) == (2, 1, pytest.approx(2 / 3))
    assert found.km_a_leak == 7.0, "what was walked in vain counts for those that were found"
    assert (found.off.value, found.off.n) == (80.0, 1)
    assert (found.to_case.value, found.to_find.value, found.to_repair.value) == (10.0, 4.0, 1.0)
    assert (found.delay.value, found.lost, found.uncounted) == (14.0, 2.0 * 24 * (13 + 30), 0)
    unsaid = figures([*cases, case(6, (FOUND, 12, "joint", None), size=None)], {}, BEGAN)
    assert unsaid.uncounted == 1 and unsaid.km_a_leak is None and unsaid.unsaid == 1, "unknown, not less"
    assert figures([], {}, BEGAN).rate is None
