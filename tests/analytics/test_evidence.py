"""One area from several evidences: what is drawn is found as often as it is said."""

from __future__ import annotations

import numpy as np
import pytest

from analytics.leaks.location.evidence import RIGHT, Evidence, combined
from analytics.leaks.location.falls import NONE, SCATTER, SCATTER_SHARE, UNEVEN, read
from analytics.leaks.location.falls import chances as by_falls
from analytics.leaks.network.files import read_network
from analytics.leaks.sound.between import Heard, chances, piece, spot, way
from tests.analytics.pipe_networks import geojson

PIPES = 60


def test_an_area_holds_the_leak_as_often_as_it_says_even_where_evidence_is_wrong() -> None:
    """Leaks anywhere by the metre; each evidence is a bump about the leak, or about anything with 1 - RIGHT."""
    dice = np.random.default_rng(3)
    lengths = dice.uniform(20, 300, PIPES)
    start, at = lengths / lengths.sum(), np.arange(PIPES)

    def evidence(leak: int, width: float) -> Evidence:
        about = leak if dice.random() < RIGHT else int(dice.choice(PIPES, p=start))
        # What is seen scatters about the pipe; the probability is that of each pipe for what was seen.
        kernel = np.exp(-0.5 * ((at[:, None] - at) / width) ** 2)
        kernel /= kernel.sum(axis=1, keepdims=True)
        seen = int(dice.choice(PIPES, p=kernel[about]))
        probability = start * kernel[:, seen]
        return Evidence(probability / probability.sum())

    areas: list[list[tuple[float, bool, float]]] = [[], [], []]
    for _ in range(300):
        leak = int(dice.choice(PIPES, p=start))
        evidences = [evidence(leak, width) for width in (2.0, 5.0, 1.0)]
        for count in range(3):
            area = combined(lengths, evidences[: count + 1])
            areas[count].append((area.holds, leak in area.pipes, area.probability[leak]))
    holds, held, likely = np.mean(areas, axis=1).T
    assert np.abs(holds - held).max() < 0.06
    assert likely[0] < likely[1] < likely[2], "each makes the right pipe likelier"


def test_nothing_known_is_every_metre_alike() -> None:
    lengths = np.array([100.0, 300.0, 0.0, 600.0])
    area = combined(lengths, [])
    assert np.allclose(area.probability, lengths / 1000, atol=1e-3) and area.holds >= 0.8
    sure = combined(lengths, [Evidence(np.array([1.0, 0, 0, 0]), right=1.0)])
    assert sure.pipes.tolist() == [0] and sure.km == 0.1 and sure.holds > 0.999


def test_the_way_of_a_correlation_gives_its_chances_to_the_pipes_it_passes() -> None:
    network = read_network({"town.geojson": geojson()}).network
    a, b = (spot(network, name) for name in ("弁1", "枝2"))
    assert a is not None and b is not None and spot(network, "枝9") is None
    along = way(network, a, b)
    assert along is not None and along.metres == pytest.approx(160, abs=0.5)
    names = [network.pipes.names[part.pipe] for part in along.parts]
    assert names == ["本管2", "枝2"]
    # 80 m as measured on site: half of it is half of the way on the map.
    likely = chances(network, along, Heard(80.0, 30.0, 25.0, 35.0))
    assert likely.sum() == pytest.approx(1) and likely[network.pipes.names.index("本管2")] > 0.9
    for begin, end in ((0.0, 1.0), (0.2, 0.7)):
        lines = piece(network, along, begin, end)
        walked = sum(float(np.hypot(*np.diff(line, axis=0).T).sum()) for line in lines)
        assert walked == pytest.approx((end - begin) * 160, abs=0.5)
        assert np.allclose(lines[0][-1], lines[1][0]), "as one walks"
    back = way(network, b, a)
    assert back is not None and back.metres == pytest.approx(along.metres)


def test_falls_of_a_step_test_are_believed_as_far_as_they_hold() -> None:
    """Nights as the model has them: which section, how large and whether at all come true as often as is said."""
    dice, said = np.random.default_rng(5), []
    for _ in range(250):
        km = dice.uniform(0.2, 1.0, int(dice.integers(3, 8)))
        inflow, leak = dice.uniform(1, 12), int(dice.choice(len(km), p=km / km.sum()))
        size = 0.0 if dice.random() < NONE else dice.random() * inflow
        use = (inflow - size) * km / km.sum() * np.maximum(1 + UNEVEN * dice.standard_normal(len(km)), 0)
        flows = np.array([use[n:].sum() + (size if n <= leak else 0.0) for n in range(len(km))])
        flows += dice.standard_normal(len(km)) * np.hypot(SCATTER, SCATTER_SHARE * flows)
        found = read(np.maximum(flows, 0), km[::-1].cumsum()[::-1])
        assert found.probability.sum() + found.none == pytest.approx(1)
        holds = found.probability[list(found.area)].sum() / (1 - found.none)
        right = size > 0 and leak == found.area[0] and found.silent is None
        within = found.low <= size <= found.high if right else np.nan
        said.append((size == 0, found.none, *((np.nan, np.nan) if size == 0 else (leak in found.area, holds)), within))
    none, said_none, held, holds, within = np.nanmean(np.array(said, float), axis=0)
    assert said_none == pytest.approx(none, abs=0.06) and holds == pytest.approx(held, abs=0.05)
    assert within == pytest.approx(0.8, abs=0.1)


def test_of_two_leaks_a_step_test_names_the_larger_one() -> None:
    dice, named = np.random.default_rng(2), []
    for share in (1.0, 0.5) * 60:
        km = dice.uniform(0.3, 0.8, 7)
        large, small = dice.choice(7, 2, replace=False)
        use = 0.6 * km * np.maximum(1 + UNEVEN * dice.standard_normal(7), 0)
        use[large] += (size := dice.uniform(2, 4))
        use[small] += size * share
        flows = use[::-1].cumsum()[::-1]
        flows += dice.standard_normal(7) * np.hypot(SCATTER, SCATTER_SHARE * flows)
        found = read(np.maximum(flows, 0), km[::-1].cumsum()[::-1])
        named.append((large in found.area or (small in found.area and share == 1), found.silent is None))
    assert np.mean(named, axis=0).min() > 0.97


@pytest.mark.parametrize(
    ("inflow", "why"),
    [
        ([6.0, 5.5, 1.6, 1.0], None),
        ([5.0, 4.95, 4.9, 4.95], None),  # it leaks in what stays fed
        ([6.0, 4.7, 3.3, 1.6], "use"),
        ([6.0, 5.5, 7.5, 7.0], "rose"),
        ([0.3, 0.25, 0.2, 0.15], "scatter"),
        ([0.0, 0.0, 0.0, 0.0], "scatter"),
    ],
)
def test_a_step_test_says_when_it_says_nothing(inflow: list[float], why: str | None) -> None:
    assert read(inflow, [3.0, 2.4, 1.6, 0.8]).silent == why
    assert read(inflow, [3.0, 3.0, 3.0, 3.0]).silent == "shut"
    assert read([5.0, 4.9], [3.0, 2.1]).silent is None, "not in what was shut off, where it is most of the km"


def test_what_a_step_left_out_says_goes_to_all_that_the_next_one_shut_off() -> None:
    metres = np.diag([600.0, 800, 800, 800])
    all_, two = read([6.0, 5.5, 1.6, 1.0], [3.0, 2.4, 1.6, 0.8]), read([6.0, 1.6, 1.0], [3.0, 1.6, 0.8])
    assert by_falls(metres, all_).argmax() == 1 and two.area == (0,)
    shared = by_falls(np.array([metres[0] + metres[1], metres[2], metres[3]]), two)
    assert shared.sum() == pytest.approx(1) and shared[0] / 600 == pytest.approx(shared[1] / 800)
